/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pattern_window.h"

#include <string.h>

struct call {
    kt_patterns_hit_fn hit;
    void *ctx;
    struct kt_pattern_stream *s;
    size_t view_at;
};

static void on_match(void *ctx, size_t expression, size_t start, size_t end)
{
    const struct call *c = ctx;
    c->s->floor = c->view_at + end;
    c->hit(c->ctx, expression, c->view_at + start, c->view_at + end);
}

/* Keeps the bytes in front of `at`, which anchors and SOM may want to see. */
static kt_result remember(struct kt_pattern_stream *s, const char *view, size_t view_at, size_t at,
                          size_t width)
{
    size_t n = at - view_at < width ? at - view_at : width;
    char kept[KT_PATTERN_WIDTH];
    memcpy(kept, view + (at - view_at) - n, n);
    kt_buf_clear(&s->behind);
    kt_result r = kt_buf_append(&s->behind, kept, n);
    kt_wipe(kept, n);
    s->at = at;
    return r;
}

/* A match is sure once as many bytes follow its start as it can have. */
kt_result kt_pattern_window(const struct kt_patterns *p, struct kt_pattern_stream *s, const char *data,
                            size_t len, size_t base, bool final, kt_patterns_hit_fn hit, void *ctx,
                            size_t *hold)
{
    struct call c = {hit, ctx, s, base};
    size_t width = kt_patterns_width(p), end = base + len, keep = 0;
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf joined = KT_BUF_INIT(SIZE_MAX / 4);
    const char *view = data;
    *hold = end;
    s->behind.max = KT_PATTERN_WIDTH;
    if (s->at > base && s->at > end)
        return kt_ok(); /* shown again for another policy's sake */
    if (s->behind.len && s->at - s->behind.len < base) {
        keep = base - (s->at - s->behind.len);
        KT_GUARD(kt_buf_append(&joined, s->behind.data, keep < s->behind.len ? keep : s->behind.len));
        KT_GUARD(kt_buf_append(&joined, data, len));
        view = joined.data;
    }
    c.view_at = base - keep;
    size_t from = s->at > base ? s->at : base;
    size_t to = final ? end : end > width ? end - width : 0;
    to = to < from ? from : to;
    size_t start = from > s->floor ? from : s->floor;
    if (start < to)
        KT_GUARD(
            kt_patterns_scan(p, view, len + keep, start - c.view_at, to - c.view_at, final, on_match, &c));
    if (final)
        return kt_ok();
    size_t next = to > s->floor ? to : s->floor;
    *hold = next < *hold ? next : *hold;
    return remember(s, view, c.view_at, next, width);
}

kt_result kt_pattern_stream_copy(struct kt_pattern_stream *to, const struct kt_pattern_stream *from)
{
    *to = (struct kt_pattern_stream){.behind = KT_BUF_INIT(KT_PATTERN_WIDTH)};
    KT_GUARD(kt_buf_append(&to->behind, from->behind.data ? from->behind.data : "", from->behind.len));
    to->at = from->at;
    to->floor = from->floor;
    return kt_ok();
}

void kt_pattern_stream_free(struct kt_pattern_stream *s)
{
    kt_buf_wipe_free(&s->behind);
}
