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

/* Says on stderr which word of KT_TRACE is unknown, or that its file cannot be written: else there would be
 * no trace and no word. */
void kt_wrap_check_trace(void);
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

/* libkt.so lies in ../lib beside the folder of kt, or where KT_LIB says. False where it cannot be read, or
 * where LD_PRELOAD cannot name it; `err` says which. */
bool kt_find_libkt(char out[PATH_MAX], struct kt_error *err);
/* The file that execvp will run, for a look at its TLS stack; the name itself where it is not found. */
void kt_find_program(const char *name, char out[PATH_MAX]);
/* Loads the engine that a libkt.so there would load, and lets it go. False where that cannot be; `err` says
 * why. */
bool kt_try_engine(const char *libkt, struct kt_error *err);
/* `files` as they were given, else those of KT_POLICY_CONFIG, else ./policy-config.yaml, else none; `paths`
 * receives their absolute paths joined by colons. KT_ERR_USAGE where one holds a colon itself; said on stderr
 * as `kt <command>`. */
kt_result kt_find_configs(const char *command, struct kt_strings *files, struct kt_buf *paths) KT_MUST;
