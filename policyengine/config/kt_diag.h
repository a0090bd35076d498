/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How the loader complains: where it stands in the document (the path) and where in the file. */
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A place in a file; line 0 = the file as a whole. `file` is borrowed. */
struct kt_at {
    const char *file;
    unsigned line, col;
};

/* A pass over a document: what was found so far and which key is being looked at. */
struct kt_ctx {
    struct kt_diags *diags; /* borrowed */
    char path[512];         /* "providers.targets[0].id"; segments that do not fit are left out */
    size_t path_len;
};

/* Each push returns the length to hand to kt_path_pop. Long keys are cut. */
size_t kt_path_push(struct kt_ctx *c, const char *key);
size_t kt_path_push_index(struct kt_ctx *c, size_t index);
void kt_path_pop(struct kt_ctx *c, size_t length);

/* The longest prefix of at most `max` bytes that does not split a UTF-8 character. */
size_t kt_utf8_cut(const char *s, size_t len, size_t max);

/* Records a complaint about the current path. `code` decides the severity. `suggestion` is copied, NULL =
 * none. At most 100 of each severity are kept. Fails only with KT_ERR_MEMORY. */
kt_result kt_complain(struct kt_ctx *c, const char *code, struct kt_at at, const char *suggestion,
                      const char *fmt, ...) KT_MUST KT_PRINTF(5, 6);

#ifdef __cplusplus
}
#endif
