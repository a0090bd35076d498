/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk with a text and its finish_reason in two: the text goes on at once, and only the finish_reason
 * waits for the event that tells whether it is the end. OpenAI's own streams have the two apart as well.
 * Always, so that what the client gets does not depend on how the bytes come.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <string.h>

/* The next choice from *place on that says something and is said to end; 0 = none. */
static uint32_t next_choice(const struct kt_json *j, uint64_t both, unsigned *place, uint32_t at,
                            uint32_t list)
{
    for (; at < j->tok[list].next; at = j->tok[at].next, ++*place)
        if (j->tok[at].type == KT_JSON_OBJECT && kt_x_has_finish(j, at) &&
            (kt_x_choice_bit(j, at, *place) & both))
            return at;
    return 0;
}

static KT_MUST kt_result put_choice(struct kt_buf *out, const struct kt_json *j, uint32_t choice,
                                    unsigned place)
{
    struct kt_span why = kt_json_raw(j, kt_json_member(j, choice, "finish_reason", NULL));
    bool text = kt_json_member(j, choice, "text", NULL) != 0; /* of the old completions */
    KT_GUARD(kt_buf_printf(out, "{\"index\":%u,%s,\"finish_reason\":", kt_x_choice_index(j, choice, place),
                           text ? "\"text\":\"\"" : "\"delta\":{}"));
    KT_GUARD(kt_buf_append(out, why.data, why.len));
    return kt_buf_puts(out, "}");
}

static KT_MUST kt_result put_usage(struct kt_buf *out, const struct kt_json *j, uint32_t usage)
{
    KT_GUARD(kt_buf_puts(out, ",\"usage\":"));
    return kt_buf_append(out, kt_json_raw(j, usage).data, kt_json_raw(j, usage).len);
}

static KT_MUST kt_result split(const struct kt_json *j, uint64_t both, struct kt_edits *edits,
                               struct kt_buf *finish)
{
    uint32_t list = kt_json_member(j, 0, "choices", NULL), usage = kt_json_member(j, 0, "usage", NULL);
    unsigned place = 0;
    const char *comma = "";
    KT_GUARD(kt_buf_puts(finish, "\"choices\":["));
    for (uint32_t c = next_choice(j, both, &place, list + 1, list); c;
         c = next_choice(j, both, &place, j->tok[c].next, list)) {
        uint32_t why = kt_json_member(j, c, "finish_reason", NULL);
        KT_GUARD(kt_buf_puts(finish, comma));
        KT_GUARD(put_choice(finish, j, c, place++));
        KT_GUARD(kt_edits_replace_value(edits, j, why, "null", 4));
        comma = ",";
    }
    KT_GUARD(kt_buf_puts(finish, "]"));
    if (usage && j->tok[usage].type != KT_JSON_NULL) { /* clients look for it beside the finish_reason */
        KT_GUARD(put_usage(finish, j, usage));
        KT_GUARD(kt_edits_remove_member(edits, j, 0, usage));
    }
    return kt_buf_puts(finish, "}");
}

kt_result kt_x_split_chunk(const struct kt_exchange *x, const struct kt_json *j, uint64_t both,
                           struct kt_buf *text, struct kt_buf *finish)
{
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    KT_GUARD(kt_buf_puts(finish, "{"));
    KT_GUARD(kt_x_put_head(x, j, finish));
    KT_GUARD(split(j, both, &edits, finish));
    return kt_edits_apply(&edits, j->text, j->len, text);
}
