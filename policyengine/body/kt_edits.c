/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting edits. How they become text is in kt_edits_apply.c. */
#include "policyengine/body/kt_edits.h"

#include "policyengine/body/kt_json_lex.h"

#include <stdlib.h>
#include <string.h>

static kt_result reserve(struct kt_edits *e)
{
    if (e->count < e->cap)
        return kt_ok();
    KT_ENSURE(e->count < KT_EDITS_MAX, KT_ERR_LIMIT);
    size_t cap = e->cap ? e->cap * 2 : 16;
    struct kt_edit *items = realloc(e->items, cap * sizeof *items);
    KT_ENSURE(items, KT_ERR_MEMORY);
    e->items = items;
    e->cap = cap;
    return kt_ok();
}

static KT_MUST kt_result add(struct kt_edits *e, enum kt_edit_kind kind, size_t start, size_t end,
                             const char *text, size_t len)
{
    KT_ENSURE(start <= end, KT_ERR_STATE);
    KT_GUARD(reserve(e));
    char *copy = malloc(len + 1);
    KT_ENSURE(copy, KT_ERR_MEMORY);
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    struct kt_edit *item = &e->items[e->count];
    *item = (struct kt_edit){start, end, copy, len, (unsigned)e->count, kind};
    e->count++;
    return kt_ok();
}

kt_result kt_edits_add(struct kt_edits *e, size_t start, size_t end, const char *text, size_t len)
{
    return add(e, KT_EDIT_TEXT, start, end, text, len);
}

kt_result kt_edits_merge(struct kt_edits *e, const struct kt_edits *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct kt_edit *f = &from->items[i];
        KT_GUARD(add(e, f->kind, f->start, f->end, f->text, f->len));
    }
    return kt_ok();
}

void kt_edits_free(struct kt_edits *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->items[i].text);
    free(e->items);
    memset(e, 0, sizeof *e);
}

/* Raw range of the decoded range: outwards to whole characters. */
static KT_MUST kt_result raw_range(struct kt_edits *e, const struct kt_json *j, uint32_t tok,
                                   const size_t decoded[2], size_t raw[2])
{
    struct kt_json_place p;
    kt_json_place_init(&p, j, tok);
    if (e->hint.text == j->text && e->hint.tok == tok && e->hint.decoded <= decoded[0] && e->hint.raw > 0) {
        p.decoded = e->hint.decoded;
        p.raw = e->hint.raw;
    }
    kt_json_place_seek(&p, j, decoded[0]);
    KT_ENSURE(decoded[0] <= p.decoded || p.raw + 1 < j->tok[tok].end, KT_ERR_STATE);
    raw[0] = p.raw;
    e->hint.text = j->text;
    e->hint.tok = tok;
    e->hint.decoded = p.decoded;
    e->hint.raw = p.raw;
    raw[1] = raw[0];
    if (decoded[1] == decoded[0])
        return kt_ok();
    kt_json_place_seek(&p, j, decoded[1]);
    if (p.decoded < decoded[1])
        kt_json_place_step(&p, j);
    KT_ENSURE(decoded[1] <= p.decoded, KT_ERR_STATE);
    raw[1] = p.raw;
    return kt_ok();
}

kt_result kt_edits_in_string(struct kt_edits *e, const struct kt_json *j, uint32_t tok, size_t start,
                             size_t end, const char *text, size_t len)
{
    KT_ENSURE(tok < j->count && j->tok[tok].type == KT_JSON_STRING && start <= end, KT_ERR_STATE);
    size_t decoded[2] = {start, end}, raw[2];
    KT_GUARD(raw_range(e, j, tok, decoded, raw));
    KT_CLEANUP(kt_buf_free) struct kt_buf escaped = KT_BUF_INIT(len * 6);
    KT_GUARD(kt_buf_json(&escaped, text, len));
    return kt_edits_add(e, raw[0], raw[1], escaped.data, escaped.len);
}

static bool holds(const struct kt_json *j, uint32_t list, enum kt_json_type type, uint32_t entry)
{
    return list < j->count && j->tok[list].type == type && entry > list && entry < j->tok[list].next;
}

kt_result kt_edits_remove_member(struct kt_edits *e, const struct kt_json *j, uint32_t object, uint32_t value)
{
    KT_ENSURE(holds(j, object, KT_JSON_OBJECT, value), KT_ERR_STATE);
    return add(e, KT_EDIT_REMOVE_ENTRY, j->tok[value - 1].start, j->tok[value].end, NULL, 0);
}

kt_result kt_edits_remove_element(struct kt_edits *e, const struct kt_json *j, uint32_t array,
                                  uint32_t element)
{
    KT_ENSURE(holds(j, array, KT_JSON_ARRAY, element), KT_ERR_STATE);
    return add(e, KT_EDIT_REMOVE_ENTRY, j->tok[element].start, j->tok[element].end, NULL, 0);
}

kt_result kt_edits_add_member(struct kt_edits *e, const struct kt_json *j, uint32_t object, const char *key,
                              const char *raw_json, size_t len)
{
    KT_ENSURE(object < j->count && j->tok[object].type == KT_JSON_OBJECT, KT_ERR_STATE);
    size_t key_len = strlen(key);
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(key_len * 6 + len + 3);
    KT_GUARD(kt_buf_puts(&b, "\""));
    KT_GUARD(kt_buf_json(&b, key, key_len));
    KT_GUARD(kt_buf_puts(&b, "\":"));
    KT_GUARD(kt_buf_append(&b, raw_json, len));
    size_t at = (size_t)j->tok[object].end - 1; /* behind the last value, or behind the brace that opens */
    while (j->text[at - 1] == ' ' || j->text[at - 1] == '\t' || j->text[at - 1] == '\r' ||
           j->text[at - 1] == '\n')
        at--;
    return add(e, KT_EDIT_ADD_ENTRY, at, at, b.data, b.len);
}

kt_result kt_edits_replace_value(struct kt_edits *e, const struct kt_json *j, uint32_t value,
                                 const char *raw_json, size_t len)
{
    KT_ENSURE(value < j->count, KT_ERR_STATE);
    return kt_edits_add(e, j->tok[value].start, j->tok[value].end, raw_json, len);
}

kt_result kt_edits_rename_key(struct kt_edits *e, const struct kt_json *j, uint32_t value, const char *key)
{
    KT_ENSURE(value > 0 && value < j->count, KT_ERR_STATE);
    size_t len = strlen(key);
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(len * 6 + 2);
    KT_GUARD(kt_buf_puts(&b, "\""));
    KT_GUARD(kt_buf_json(&b, key, len));
    KT_GUARD(kt_buf_puts(&b, "\""));
    return kt_edits_add(e, j->tok[value - 1].start, j->tok[value - 1].end, b.data, b.len);
}
