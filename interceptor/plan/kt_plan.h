/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Writes the plan file (interceptor/abi/kt_plan_format.h) and owns the CA on disk that goes with it. */
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_paths {
    char state_dir[4096];   /* KT_STATE_DIR or its default; absolute */
    char runtime_dir[4096]; /* per-user folder for the CA; absolute */
};
/* Fills both from the environment; creates nothing. `state_dir` (may be NULL) overrides KT_STATE_DIR. */
kt_result kt_paths_resolve(const char *state_dir, struct kt_paths *out, struct kt_error *err) KT_MUST;
/* mkdir -p with 0700; KT_ERR_IO also where it exists but is not ours or writable by others (group or world),
 * is somebody else's symbolic link, or lies in a folder where everybody may replace it. */
kt_result kt_make_private_dir(const char *path, struct kt_error *err) KT_MUST;

/* Java reads a PKCS#12 store without certificates only with a password; this one is known to everybody and
 * protects nothing. */
#define KT_TRUSTSTORE_PASSWORD "changeit"

struct kt_plan_made {
    char path[4096];
    char ca_dir[4096]; /* 0700; holds all files below */
    char ca_pem[4096], ca_key[4096];
    char bundle_pem[4096]; /* the roots that the environment names (SSL_CERT_FILE, else the system's) and the
                              CA */
    char extra_pem[4096];  /* the CA and the certificates of the user's own NODE_EXTRA_CA_CERTS */
    char truststore_p12[4096]; /* the bundle as a Java truststore; "" = none. Of a shared plan it is there
                                * only after kt_plan_make_truststore */
};
/* Makes CA, bundle and plan; nothing is left behind on failure. `config_paths`, `mode`, `fail_mode` as in
 * KT_POLICY_CONFIG, KT_MODE, KT_FAIL_MODE (NULL = not set: the config decides). `config` NULL (it is broken):
 * the built-in hosts. `unique`: a private plan file for one `kt wrap` tree (<key>-<random>) instead of the
 * shared <key>; a shared one that is current is used as it is. Old plans and CAs that have expired are
 * removed on the way. */
kt_result kt_plan_make(const struct kt_config *config, const char *config_paths, const char *mode,
                       const char *fail_mode, const struct kt_paths *paths, bool unique,
                       struct kt_plan_made *out, struct kt_error *err) KT_MUST;
/* Writes made->truststore_p12 where it is not there yet. */
kt_result kt_plan_make_truststore(const struct kt_plan_made *made, struct kt_error *err) KT_MUST;
/* Removes plan, CA and bundle of a unique plan. */
void kt_plan_remove(const struct kt_plan_made *made);
/* Reads the `ca` line of an existing plan. KT_ERR_IO where the file is missing, not ours, or writable by
 * others; KT_ERR_SYNTAX where it is no plan; KT_ERR_STATE where it has expired. */
kt_result kt_plan_read_ca(const char *plan_path, char *ca_pem, size_t size) KT_MUST;

#ifdef __cplusplus
}
#endif
