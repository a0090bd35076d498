/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where something stands in the files of a config. A loaded config does not keep that: whoever has to
 * complain reads the files once more.
 */
#include "policyengine/config/kt_yaml.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_places;

/* new. The files that `config` was loaded from, layered, in the canonical spelling. Never fails for what the
 * files hold: where they cannot be read (any more), nothing is found. */
kt_result kt_places_new(const struct kt_config *config, struct kt_places **out) KT_MUST;
void kt_places_free(struct kt_places *p);

/* Where "providers.targets[0].tls.ca_file" is written: the value, or the deepest part of the path that is.
 * False where nothing of it is. at->file is borrowed from the config. */
bool kt_places_at(const struct kt_places *p, const char *path, struct kt_at *at);
/* True where the whole path is written, and not null. */
bool kt_places_written(const struct kt_places *p, const char *path);

/* Where the option stands that a policy's own message begins with ("assertions[2] (regex): ...", "kinds:
 * unknown kind \"x\"; ..."). True: *at is filled, and `path` holds what was found below the block
 * (".assertions[2]"), cut to `size` (> 160). */
bool kt_places_of_message(const struct kt_places *p, const char *kind, const char *message, struct kt_at *at,
                          char *path, size_t size);

#ifdef __cplusplus
}
#endif
