/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The environment of a wrapped program: the preload, KT_*, and trust for stacks that the shim cannot reach.
 */
#include "interceptor/plan/kt_plan.h"

#include <limits.h>

struct kt_wrap_env {
    const char *libkt;            /* absolute path of libkt.so */
    const char *config_paths;     /* KT_POLICY_CONFIG; "" = none */
    const char *mode, *fail_mode; /* NULL = the config decides, whenever it is read */
    const char *state_dir;
    const struct kt_plan_made *plan;
    const struct kt_config *config;
    const char *program; /* as it will be executed: absolute or relative path */
    const char *run;     /* KT_RUN; NULL = leave it */
};

/* Changes the environment of this process; called in the child between fork and exec. */
kt_result kt_wrap_setenv(const struct kt_wrap_env *w) KT_MUST;

/* How the program gets its trust in TLS peers, as far as its file tells. */
enum kt_program_trust {
    KT_TRUST_SHARED_OPENSSL, /* or unknown: the shim gives each SSL our CA */
    KT_TRUST_OWN_STACK,      /* its own image reads SSL_CERT_FILE and links no shared libssl */
    KT_TRUST_JAVA
};
enum kt_program_trust kt_program_trust(const char *path);
/* Does this file give rights to who runs it (setuid, setgid, capabilities)? */
bool kt_program_gives_rights(const char *path);

/* libkt.so lies in ../lib beside the folder of kt, or where KT_LIB says. False where it cannot be read; said
 * on stderr as `kt <command>`. */
bool kt_find_libkt(const char *command, char out[PATH_MAX]);
/* `files` as they were given, else those of KT_POLICY_CONFIG, else ./policy-config.yaml, else none; `paths`
 * receives their absolute paths joined by colons. KT_ERR_USAGE where one holds a colon itself; said on stderr
 * as `kt <command>`. */
kt_result kt_find_configs(const char *command, struct kt_strings *files, struct kt_buf *paths) KT_MUST;
