/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The current runtime of a process, and its renewal: the config files are looked at again at most once per
 * second, by whoever asks for the runtime then. A changed file takes effect at once; a broken one leaves the
 * old runtime in place.
 */
#include "interceptor/exchange/kt_exchange.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_runtimes;

struct kt_runtimes_options {  /* borrowed for the call; NULL = not set */
    const char *config_paths; /* as KT_POLICY_CONFIG */
    const char *mode;         /* as KT_MODE; over the config */
    const char *fail_mode;    /* as KT_FAIL_MODE; over the config */
    uint64_t check_ns;        /* how often files are looked at */
    /* A config that cannot be used, once per state of its files. Any thread, no lock of ours held. */
    void (*trouble)(void *owner, const char *text);
    void *owner;
};

/* new. Loads; what is wrong with the config becomes a runtime that says so. */
kt_result kt_runtimes_new(const struct kt_runtimes_options *o, struct kt_runtimes **out) KT_MUST;
void kt_runtimes_free(struct kt_runtimes *rs);
/* Any thread. A new reference, never NULL; after a look at the files where that is due. */
struct kt_runtime *kt_runtimes_get(struct kt_runtimes *rs);
/* Any thread: a look at the files now; `force` reads them also where they did not change. */
void kt_runtimes_look(struct kt_runtimes *rs, bool force);
/* kt_runtimes_get without a look at the files. */
struct kt_runtime *kt_runtimes_peek(struct kt_runtimes *rs);

#ifdef __cplusplus
}
#endif
