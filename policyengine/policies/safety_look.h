/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One text of safety-filter: as it stands and, from its first escape on, also as what JSON source in it
 * stands for. */
#include "policyengine/detect/kt_safety.h"
#include "policyengine/detect/kt_unescape.h"

struct safety_look {
    size_t seen; /* absolute: fed to `text` */
    size_t held; /* absolute: what may leave ends here */
    struct kt_safety *text;
    /* the second look */
    struct kt_safety *plain; /* NULL until there is an escape */
    struct kt_unescape source;
    size_t plain_held;                   /* absolute, as it stands */
    size_t mark, mark_plain;             /* a place behind plain_held in both texts; 0 = none */
    const struct kt_safety_rules *rules; /* of one call */
    struct kt_safety_result found;
};

/* `l` zeroed. KT_ERR_MEMORY. */
kt_result safety_look_open(struct safety_look *l) KT_MUST;
void safety_look_close(struct safety_look *l);
/* Starts over with a new text. */
void safety_look_reset(struct safety_look *l);
/* The next window; `out` is the worse of both looks. What is in front of l->held may leave. */
kt_result safety_look_feed(struct safety_look *l, const struct kt_unescape_window *w,
                           const struct kt_safety_rules *rules, struct kt_safety_result *out) KT_MUST;
