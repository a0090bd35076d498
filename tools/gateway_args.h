/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The options of `kt gateway run`. */
#include "policyengine/base/kt_buf.h"
#include "policyengine/base/kt_option.h"
#include "tools/kt.h"

struct gateway_args {
    struct kt_strings files;    /* owned */
    struct kt_strings tokens;   /* owned, wiped */
    struct kt_buf config_paths; /* owned: the files, separated by ':' */
    const char *listen, *tls_cert, *tls_key, *fail_mode, *port_file,
        *state_dir; /* borrowed; NULL = not given */
    unsigned threads, max_concurrency, drain_seconds;
};

/* 0, or the exit status to leave with, after a message. argv[0] is skipped. */
int gateway_args_parse(const struct kt_command *c, struct gateway_args *a, int argc, char **argv);
void gateway_args_free(struct gateway_args *a);
