/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where finds overlap, one placeholder stands for all that they cover. Is one of them to be restored, that
 * placeholder's value is all of it: else the words around the smaller one would be lost on the way back.
 * Not so across the structure of JSON: whoever wrote that text would write members of whatever JSON the model
 * puts the placeholder into. What is gone there stays gone.
 */
#include "policyengine/chain/kt_run_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_start(const void *left, const void *right)
{
    const struct kt_redactions_raw *a = left, *b = right;
    if (a->r.start != b->r.start)
        return a->r.start < b->r.start ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* The entries of r->text, the newest ones; false where none can overlap one that is restored. */
static bool entries(const struct kt_chain_run *r, struct kt_redactions_raw **first, size_t *count)
{
    const struct kt_redactions *l = &r->redactions;
    bool restores = false, apart = true;
    size_t at = l->count;
    for (; at > 0 && l->raw[at - 1].r.segment == r->text.segment; at--) {
        restores |= l->raw[at - 1].r.restores;
        apart &= at == l->count || l->raw[at - 1].r.end <= l->raw[at].r.start;
    }
    *first = l->raw ? l->raw + at : NULL;
    *count = l->count - at;
    return restores && !apart;
}

/* "EMAIL" of "[EMAIL_1]", quotes of JSON around it or not. */
static void kind_of(const struct kt_redaction *d, char kind[KT_PLACEHOLDER_NAME_MAX])
{
    const char *from = memchr(d->text, '[', d->len), *end = memrchr(d->text, '_', d->len);
    size_t n = from && end > from ? (size_t)(end - from) - 1 : 0;
    if (n == 0 || n >= KT_PLACEHOLDER_NAME_MAX) {
        snprintf(kind, KT_PLACEHOLDER_NAME_MAX, "REDACTED");
        return;
    }
    memcpy(kind, from + 1, n);
    kind[n] = '\0';
}

/* A string of JSON cannot hold it as it is. */
static bool breaks_string(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == '"' || value[i] == '\\')
            return true;
    return false;
}

const char *kt_run_name(struct kt_chain_run *r, const char *kind, const char *data, size_t len, bool restore)
{
    if (!breaks_string(data, len))
        return kt_placeholders_name(r->names, kind, data, len, restore);
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf plain = KT_BUF_INIT(len);
    unsigned times = kt_run_json_times(r, r->text.base + (size_t)(data - r->text.data));
    bool escaped = kt_run_json_plain(data, len, times, &plain);
    struct kt_span value = escaped ? kt_buf_span(&plain) : kt_span(data, len);
    return kt_placeholders_name(r->names, kind, value.data, value.len, restore);
}

kt_result kt_run_rename(struct kt_chain_run *r, struct kt_redaction *d, struct kt_buf *out)
{
    char kind[KT_PLACEHOLDER_NAME_MAX];
    kind_of(d, kind);
    d->restores = !kt_run_json_across(r, d->start, d->end);
    d->text = kt_run_name(r, kind, r->text.data + (d->start - r->text.base), d->end - d->start, d->restores);
    KT_ENSURE(d->text, KT_ERR_MEMORY);
    d->len = strlen(d->text);
    return d->restores ? kt_run_json_fit(r, d, out) : kt_ok();
}

/* The first policy's; where nothing comes back, rather one that never does. */
static const struct kt_redactions_raw *leading(const struct kt_redactions_raw *all, size_t n, bool back)
{
    const struct kt_redactions_raw *lead = &all[0];
    for (size_t i = 1; i < n; i++) {
        bool stays = !all[i].r.restores, led = !lead->r.restores;
        if (back || stays == led ? all[i].policy < lead->policy : stays)
            lead = &all[i];
    }
    return lead;
}

/* `n` entries that overlap become one, in all[0]. */
static KT_MUST kt_result unite(struct kt_chain_run *r, struct kt_redactions_raw *all, size_t n, size_t end)
{
    const struct kt_redactions_raw *lead = leading(all, n, !kt_run_json_across(r, all[0].r.start, end));
    struct kt_redaction d = {.segment = r->text.segment,
                             .start = all[0].r.start,
                             .end = end,
                             .text = lead->r.text,
                             .len = lead->r.len};
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf with = KT_BUF_INIT(1u << 10);
    KT_GUARD(kt_run_rename(r, &d, &with));
    return kt_redactions_replace(&r->redactions, all, lead->policy, &d);
}

kt_result kt_run_unite(struct kt_chain_run *r)
{
    struct kt_redactions_raw *all;
    size_t count, kept = 0;
    if (!entries(r, &all, &count))
        return kt_ok();
    qsort(all, count, sizeof *all, by_start);
    for (size_t i = 0, n; i < count; i += n) {
        size_t end = all[i].r.end;
        bool restores = all[i].r.restores;
        for (n = 1; i + n < count && all[i + n].r.start < end; n++) {
            end = all[i + n].r.end > end ? all[i + n].r.end : end;
            restores |= all[i + n].r.restores;
        }
        bool one = n > 1 && restores;
        if (one)
            KT_GUARD(unite(r, all + i, n, end));
        memmove(all + kept, all + i, (one ? 1 : n) * sizeof *all);
        kept += one ? 1 : n;
    }
    r->redactions.count -= count - kept;
    return kt_ok();
}
