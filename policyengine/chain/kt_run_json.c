/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_boundary.h"
#include "policyengine/chain/kt_run_internal.h"

#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX 64u /* bytes of a number or word that a stream holds for its end */

/* Whether arguments are JSON source shows at their first byte that is no white space. */
static void begin(const struct kt_text *t, const struct kt_json_track *kept, struct kt_json_track *j)
{
    if (t->from == KT_FROM_TOOL_CALL && t->plain)
        *j = (struct kt_json_track){.at = t->base}; /* free text, whatever it looks like */
    else if (kept && (!kt_text_is_json(t) || kt_json_track_place(kept).json))
        *j = *kept;
    else
        kt_json_track_start(j, kt_text_is_json(t));
}

/* What the text says in front of `at`; policies tell their ranges in order, so it is read about once for each
 * of them. A range that grows to the start of its number is a step back from where it was found: not a reason
 * to read the text again. */
static const struct kt_json_track *read_to(struct kt_chain_run *r, size_t at)
{
    const struct kt_text *t = &r->text;
    struct kt_json_track *j = &r->json, *back = &r->json_back;
    if (!r->json_read || (j->at > at && back->at > at)) {
        begin(t, r->segments[t->segment].json, j);
        r->json_read = true;
        *back = *j;
    } else if (j->at > at) {
        *j = *back;
    } else if (j->at < at) {
        *back = *j;
    }
    if (j->at < t->base) /* bytes that nobody has shown */
        j->at = j->clean = t->base;
    if (at > j->at)
        kt_json_track_read(j, t->data + (j->at - t->base), at - j->at);
    return j;
}

/* Half a character, or half an escape of JSON source, would be left over. */
static void take_whole_characters(const struct kt_text *t, bool json, struct kt_redaction *d)
{
    if (d->start > t->base)
        d->start = t->base + kt_boundary_before(t->data, t->len, d->start - t->base, json);
    if (d->end > t->base)
        d->end = t->base + kt_boundary_behind(t->data, t->len, d->end - t->base, json);
}

/* The range lies in one string of JSON, `j` being at its start; takes whole escapes, of all levels. */
static bool take_in_string(const struct kt_text *t, struct kt_json_track j, struct kt_redaction *d)
{
    const struct kt_json_place p = kt_json_track_place(&j);
    size_t start = j.clean;
    kt_json_track_read(&j, t->data + (j.at - t->base), d->end - j.at);
    const struct kt_json_place q = kt_json_track_place(&j);
    if (!p.known && (!q.json || q.bare || q.level < p.level))
        return false;
    while (j.clean < d->end && j.at < t->base + t->len)
        kt_json_track_read(&j, t->data + (j.at - t->base), 1);
    if (start < d->start)
        d->start = start;
    if (j.clean > d->end)
        d->end = j.clean;
    take_whole_characters(t, true, d);
    return true;
}

/* Nothing but one number or word ends at d->end, `j` being at its start or within it. */
static bool one_token(const struct kt_text *t, struct kt_json_track *j, const struct kt_redaction *d)
{
    const struct kt_json_place p = kt_json_track_place(j);
    uint16_t depth = j->level[p.level].depth;
    bool begun = kt_json_track_in_token(j);
    while (p.token && j->at < d->end) {
        kt_json_track_read(j, t->data + (j->at - t->base), 1);
        bool in = kt_json_track_in_token(j) && kt_json_track_place(j).level == p.level;
        if ((begun && !in) || j->level[p.level].depth != depth)
            return false;
        begun = in;
    }
    return begun;
}

/* All of a number or word goes; false where the range is of no single one. */
static bool take_token(const struct kt_text *t, struct kt_json_track j, struct kt_redaction *d)
{
    if (!one_token(t, &j, d))
        return false;
    if (j.token < d->start)
        d->start = j.token;
    while (kt_json_track_in_token(&j)) {
        if (j.clean > d->end)
            d->end = j.clean;
        if (j.at == t->base + t->len)
            break;
        kt_json_track_read(&j, t->data + (j.at - t->base), 1);
    }
    return true;
}

/* `text` as the strings of `times` levels write it, the innermost of them made here where `quotes`. */
static kt_result write_for(struct kt_redaction *d, unsigned times, bool quotes, struct kt_buf *out)
{
    if (!quotes && kt_plain_run(d->text, d->len) == d->len)
        return kt_ok();
    KT_GUARD(kt_buf_append(out, d->text, d->len));
    for (unsigned i = 0; i < times; i++) {
        KT_CLEANUP(kt_buf_wipe_free) struct kt_buf source = *out;
        *out = (struct kt_buf)KT_BUF_INIT(source.max);
        const char *quote = quotes && i == 0 ? "\"" : "";
        KT_GUARD(kt_buf_puts(out, quote));
        KT_GUARD(kt_buf_json(out, kt_buf_span(&source).data, source.len));
        KT_GUARD(kt_buf_puts(out, quote));
    }
    struct kt_span with = kt_buf_span(out);
    d->text = with.data;
    d->len = with.len;
    return kt_ok();
}

/* In what is JSON for sure: sign, fraction and exponent go with the digits. Of a stream that is known when
 * the window's end is (kt_redactions_whole_numbers). */
static void take_number(const struct kt_chain_run *r, struct kt_redaction *d)
{
    const struct kt_text *t = &r->text;
    if (r->phase == KT_PHASE_REQUEST && d->start >= t->base && d->start < d->end)
        kt_boundary_number(t->data, t->len, t->base, r->segments[t->segment].released, &d->start, &d->end);
}

void kt_run_json_grow(struct kt_chain_run *r, struct kt_redaction *d)
{
    struct kt_json_track j = *read_to(r, d->start);
    const struct kt_json_place p = kt_json_track_place(&j);
    if (!p.json || !p.bare)
        return;
    if (p.known)
        take_number(r, d);
    else
        (void)take_token(&r->text, j, d);
}

kt_result kt_run_json_fit(struct kt_chain_run *r, struct kt_redaction *d, struct kt_buf *out)
{
    const struct kt_text *t = &r->text;
    struct kt_json_track j = *read_to(r, d->start);
    const struct kt_json_place p = kt_json_track_place(&j);
    take_whole_characters(t, kt_text_is_json(t), d);
    if (!p.json)
        return kt_ok();
    if (p.bare) {
        if (p.known)
            take_number(r, d);
        d->begins = !p.known && take_token(t, j, d);
        d->quoted = p.known || d->begins;
        return write_for(d, p.level + d->quoted, d->quoted, out);
    }
    bool in_string = take_in_string(t, j, d);
    return write_for(d, in_string || kt_text_is_json(t) ? p.level + 1 : 0, false, out);
}

unsigned kt_run_json_times(struct kt_chain_run *r, size_t at)
{
    const struct kt_json_place p = kt_json_track_place(read_to(r, at));
    return !p.json ? 0 : p.bare ? p.level : p.level + 1;
}

static bool structure_in(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] && strchr("{}[],:\"", data[i]))
            return true;
    return false;
}

bool kt_run_json_across(struct kt_chain_run *r, size_t start, size_t end)
{
    const struct kt_text *t = &r->text;
    struct kt_json_track j = *read_to(r, start);
    const struct kt_json_place p = kt_json_track_place(&j);
    const struct kt_redaction d = {.start = start, .end = end};
    if (!p.json)
        return false;
    if (p.bare)
        return p.known ? structure_in(t->data + (start - t->base), end - start) : !one_token(t, &j, &d);
    while (j.at < end) {
        kt_json_track_read(&j, t->data + (j.at - t->base), 1);
        const struct kt_json_place q = kt_json_track_place(&j);
        if (!q.json || q.level < p.level || (q.level == p.level && q.bare))
            return true;
    }
    return kt_json_track_place(&j).level != p.level;
}

static bool unescape(const char *value, size_t len, struct kt_buf *out)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf source = KT_BUF_INIT(len + 2);
    struct kt_json j = {0};
    bool is = kt_buf_puts(&source, "\"").code == KT_OK && kt_buf_append(&source, value, len).code == KT_OK &&
              kt_buf_puts(&source, "\"").code == KT_OK &&
              kt_json_parse(&j, source.data, source.len, NULL).code == KT_OK &&
              kt_json_unescape(&j, 0, out).code == KT_OK;
    kt_json_free(&j);
    return is;
}

bool kt_run_json_plain(const char *value, size_t len, unsigned times, struct kt_buf *out)
{
    bool is = false;
    for (; times > 0 && memchr(value, '\\', len); times--, is = true) {
        KT_CLEANUP(kt_buf_wipe_free) struct kt_buf next = KT_BUF_INIT(len);
        if (!unescape(value, len, &next))
            return false;
        struct kt_buf last = *out;
        *out = next;
        next = last;
        value = kt_buf_span(out).data;
        len = out->len;
    }
    return is;
}

size_t kt_run_json_hold(struct kt_chain_run *r, size_t hold)
{
    const struct kt_text *t = &r->text;
    if (hold <= t->base)
        return hold;
    if (kt_text_is_json(t))
        hold = t->base + kt_boundary_number_before(t->data, hold - t->base);
    const struct kt_json_track *j = read_to(r, hold);
    if (!kt_json_track_place(j).json)
        return hold;
    size_t before = kt_json_track_in_token(j) && hold - j->token < TOKEN_MAX ? j->token : j->clean;
    return before > t->base ? before : t->base;
}

kt_result kt_run_json_keep(struct kt_chain_run *r)
{
    struct kt_run_segment *g = &r->segments[r->text.segment];
    const struct kt_json_track *j = read_to(r, g->released);
    if (!g->json)
        g->json = malloc(sizeof *g->json);
    KT_ENSURE(g->json, KT_ERR_MEMORY);
    *g->json = *j;
    return kt_ok();
}
