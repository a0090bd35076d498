/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `kt doctor`: findings, and what a program's file tells about how its calls can be captured. */
#include "policyengine/base/kt_base.h"

#include <limits.h>

enum doctor_level { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_BAD }; /* BAD: something will not be seen or not work */

#define DOCTOR_MAX 96
struct doctor_finding {
    const char *topic; /* static: machine, state, config, key, program, lane */
    enum doctor_level level;
    char text[512];
};
struct doctor {
    struct doctor_finding all[DOCTOR_MAX];
    size_t count;
    bool wildcards; /* intercept.hosts has some */
};
/* Further ones than DOCTOR_MAX are dropped. */
void doctor_add(struct doctor *d, const char *topic, enum doctor_level level, const char *fmt, ...)
    KT_PRINTF(4, 5);

struct doctor_elf {
    bool elf, dynamic, musl, setuid, foreign; /* foreign: of another word size or machine than kt */
    bool go, openssl_shared, openssl_own, gnutls, nss, cert_file;
    bool resolver_own;          /* c-ares */
    bool node_certs;            /* reads NODE_EXTRA_CA_CERTS */
    bool java;                  /* set by doctor_program */
    char interpreter[PATH_MAX]; /* of a script; "" = none */
    char argument[256];         /* what stands behind it in that line */
};
/* Reads the file `path` and, where it is dynamic, what it needs. False with errno where it cannot be read. */
bool doctor_read_elf(const char *path, struct doctor_elf *out);
/* doctor_program.c: findings about CMD, a path or a name in PATH. */
void doctor_program(struct doctor *d, const char *cmd, bool supervised);
