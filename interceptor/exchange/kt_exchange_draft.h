/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An exchange's event between being made and being written; exchange_event.c. */
#include "interceptor/exchange/kt_exchange_private.h"

/* The event, and what it borrows and the exchange does not have. */
struct kt_x_draft {
    struct kt_exchange *x;
    struct kt_event e;
    bool wanted; /* else it is made for the witness only */
    struct kt_event_policy *policies;
    struct kt_event_label *labels;
    struct kt_event_attempt attempts[KT_X_MAX_ATTEMPTS];
    char origin[300], method[32], path[1024];
    struct kt_buf capture;
};

/* False where nobody wants to know: `d` needs no end then. It must not move in between. */
bool kt_x_draft_begin(struct kt_exchange *x, struct kt_x_draft *d) KT_MUST;
/* Tells the witness, and frees what the draft owns. */
void kt_x_draft_end(struct kt_x_draft *d, kt_result written);
/* What kt_x_record remembers; warns of a loss. */
void kt_x_recorded(struct kt_exchange *x, kt_result written, const struct kt_error *err);
