/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of `kt policy explain`. */
#include "tools/policy_chain.h"
#include "tools/policy_run.h"

struct explained {
    const struct kt_config *config;
    const struct kt_chain *chain;
    struct kt_placeholders *names; /* owned */
    struct kt_checked checked;
    bool show_text; /* also of a text that was stopped, where nobody has redacted all */
};

/* True where the texts may be shown: what a policy stopped is not redacted to its end. */
bool explain_shows_text(const struct explained *e);
/* What happens to the call: verdict of the chain, the routing and fail_mode taken together. */
enum explain_fate { FATE_GOES_ON, FATE_STOPPED, FATE_FAILED, FATE_NO_TARGET };
struct explain_end {
    enum explain_fate fate;
    int status;           /* HTTP status of the answer that the client gets; 0 where the call goes on */
    struct kt_buf answer; /* its body */
};
kt_result explain_end_of(const struct explained *e, struct explain_end *out) KT_MUST;

void explain_print_json(struct explained *e, const struct explain_end *end);
void explain_print_text(struct explained *e, const struct explain_end *end);
