/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Brings real values back where an answer names their placeholders, also where the model altered a
 * placeholder's case or spacing (kt_shape.h). The restorer knows the names that may be restored at the moment
 * when it is made: make it when the request phase is over, and what the answer's own policies redact stays
 * redacted.
 *
 * Works on windows like a policy: what may still become a placeholder is held, at most KT_SHAPE_MAX bytes and
 * a backslash, and only while it is the beginning of a name that is known.
 */
#include "policyengine/base/kt_buf.h"
#include "policyengine/body/kt_json_place.h"
#include "policyengine/chain/kt_placeholders.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_restorer;

/* new; borrows `p`, which must outlive it. *out is NULL where nothing may be restored. */
kt_result kt_restorer_new(const struct kt_placeholders *p, struct kt_restorer **out) KT_MUST;
void kt_restorer_free(struct kt_restorer *r); /* wipes */

/* One text that is restored. Start with {.json = ...}. Where a text is JSON, values are escaped as all the
 * strings around them need it. */
struct kt_restore_text {
    /* The text is JSON source (arguments of a tool call): values get quotes where the placeholder had none
     * around it. Of other texts it shows whether they are JSON. */
    bool json;
    bool begun;
    size_t read;                /* bytes of which `place` knows */
    struct kt_json_track place; /* in the text as it leaves */
};

/* [start,end) of the text (absolute) shall read `with`; borrowed for the call. */
typedef kt_result (*kt_restore_fn)(void *arg, size_t start, size_t end, struct kt_span with);

/* Reads a window of a text: `base` is the absolute offset of data[0]. *hold receives the absolute offset from
 * where on the text must be shown again; its end where nothing is held, and always when `final`. */
kt_result kt_restorer_scan(struct kt_restorer *r, struct kt_restore_text *t, const char *data, size_t len,
                           size_t base, bool final, kt_restore_fn fn, void *arg, size_t *hold) KT_MUST;

/* The value of exactly this name; data == NULL where it may not be restored. */
struct kt_span kt_restorer_value(const struct kt_restorer *r, const char *name, size_t len);

#ifdef __cplusplus
}
#endif
