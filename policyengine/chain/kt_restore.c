/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_restore.h"

#include "policyengine/chain/kt_shape.h"

#include <stdlib.h>
#include <string.h>

#define ESCAPE_LEVELS 3u
#define ESCAPE_MAX (2u << ESCAPE_LEVELS) /* backslashes in front of a bracket that are looked at */

struct name {
    char key[KT_SHAPE_KEY_MAX];
    size_t key_len;
    const char *name; /* borrowed, with brackets */
    size_t name_len;
    struct kt_span value; /* borrowed */
};

struct kt_restorer {
    struct name *names; /* owned; by key */
    size_t count, cap;
    struct kt_buf with; /* the replacement under way */
};

static int compare_keys(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

static int by_key(const void *left, const void *right)
{
    const struct name *a = left, *b = right;
    int c = compare_keys(a->key, a->key_len, b->key, b->key_len);
    return c ? c : strcmp(a->name, b->name);
}

static void take(void *arg, const char *name, struct kt_span value)
{
    struct kt_restorer *r = arg;
    struct kt_shape s;
    size_t len = strlen(name);
    if (r->count == r->cap || kt_shape_read(name, len, &s) != KT_SHAPE_WHOLE)
        return;
    struct name *n = &r->names[r->count++];
    *n = (struct name){.key_len = s.key_len, .name = name, .name_len = len, .value = value};
    memcpy(n->key, s.key, s.key_len);
}

kt_result kt_restorer_new(const struct kt_placeholders *p, struct kt_restorer **out)
{
    *out = NULL;
    size_t n = p ? kt_placeholders_restorable(p) : 0;
    if (!n)
        return kt_ok();
    struct kt_restorer *r = calloc(1, sizeof *r);
    KT_ENSURE(r, KT_ERR_MEMORY);
    r->with = (struct kt_buf)KT_BUF_INIT(KT_PLACEHOLDERS_BYTES * 6u + 16u);
    r->names = calloc(n, sizeof *r->names);
    r->cap = n;
    if (!r->names) {
        free(r);
        return kt_err(KT_ERR_MEMORY);
    }
    kt_placeholders_each_restorable(p, take, r);
    qsort(r->names, r->count, sizeof *r->names, by_key);
    *out = r;
    return kt_ok();
}

void kt_restorer_free(struct kt_restorer *r)
{
    if (!r)
        return;
    kt_buf_wipe_free(&r->with);
    free(r->names);
    free(r);
}

/* ---- names ---- */

/* The first name whose key is not before this one. */
static size_t lower_bound(const struct kt_restorer *r, const char *key, size_t len)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare_keys(r->names[mid].key, r->names[mid].key_len, key, len) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool key_is(const struct kt_restorer *r, size_t i, const struct kt_shape *s)
{
    return i < r->count && compare_keys(r->names[i].key, r->names[i].key_len, s->key, s->key_len) == 0;
}

static bool begins_a_name(const struct kt_restorer *r, const struct kt_shape *s)
{
    size_t i = lower_bound(r, s->key, s->key_len);
    return i < r->count && r->names[i].key_len >= s->key_len &&
           memcmp(r->names[i].key, s->key, s->key_len) == 0;
}

static bool spells(const struct name *n, const char *text, const struct kt_shape *s)
{
    return n->name_len == s->len && memcmp(n->name + 1, text + 1, s->len - 2) == 0;
}

/* The name that the shape at `text` stands for; NULL where there is none. No two names of an exchange have
 * the same key (kt_taken.h). */
static const struct name *named(const struct kt_restorer *r, const char *text, const struct kt_shape *s)
{
    size_t i = lower_bound(r, s->key, s->key_len);
    return key_is(r, i, s) && (!s->exact || spells(&r->names[i], text, s)) ? &r->names[i] : NULL;
}

struct kt_span kt_restorer_value(const struct kt_restorer *r, const char *name, size_t len)
{
    struct kt_shape s;
    const struct name *n = NULL;
    if (len > 2 && name[0] == '[' && kt_shape_read(name, len, &s) == KT_SHAPE_WHOLE && s.len == len)
        n = named(r, name, &s);
    return n && n->name_len == len && memcmp(n->name, name, len) == 0 ? n->value : kt_span(NULL, 0);
}

/* ---- a window ---- */

struct scan {
    struct kt_restorer *r;
    struct kt_restore_text *t;
    const char *data;
    size_t len, base;
    bool final;
    kt_restore_fn fn;
    void *arg;
    size_t done; /* bytes of data that are dealt with */
};

/* Reads the text up to `to` (index in data). */
static void follow(const struct scan *s, size_t to)
{
    struct kt_restore_text *t = s->t;
    if (!t->begun)
        kt_json_track_start(&t->place, t->json);
    t->begun = true;
    if (s->base + to > t->read)
        kt_json_track_read(&t->place, s->data + (t->read - s->base), s->base + to - t->read);
    t->read = s->base + to > t->read ? s->base + to : t->read;
}

/* How often JSON escapes what stands at the place; 0 in plain text. */
static unsigned times_escaped(struct kt_json_place p)
{
    return !p.json ? 0 : p.bare ? p.level : p.level + 1;
}

static kt_result compose(const struct scan *s, const struct name *n, struct kt_span *with)
{
    const struct kt_json_place p = kt_json_track_place(&s->t->place);
    bool quotes = p.json && p.bare && p.known;
    unsigned times = times_escaped(p) + quotes;
    struct kt_buf *b = &s->r->with;
    *with = n->value;
    for (unsigned i = 0; i < times && (quotes || kt_plain_run(with->data, with->len) < with->len); i++) {
        KT_CLEANUP(kt_buf_wipe_free) struct kt_buf next = KT_BUF_INIT(b->max);
        const char *quote = quotes && i == 0 ? "\"" : "";
        KT_GUARD(kt_buf_puts(&next, quote));
        KT_GUARD(kt_buf_json(&next, with->data, with->len));
        KT_GUARD(kt_buf_puts(&next, quote));
        struct kt_buf last = *b;
        *b = next;
        next = last;
        *with = kt_buf_span(b);
    }
    return kt_ok();
}

/* How many bytes in front of the bracket at `i` belong to it: Markdown writes "\[EMAIL_1\]", which the source
 * of a JSON string shows with two backslashes each, and one of a string in a string with four. */
static size_t escape_before(struct scan *s, size_t i)
{
    size_t run = 0;
    while (run < ESCAPE_MAX && i - run > s->done && s->data[i - run - 1] == '\\')
        run++;
    if (run == 0)
        return 0;
    follow(s, i - run);
    unsigned times = times_escaped(kt_json_track_place(&s->t->place));
    size_t n = times <= ESCAPE_LEVELS ? (size_t)1 << times : 0;
    return run >= n ? n : 0;
}

static kt_result restore(struct scan *s, size_t i, const struct kt_shape *shape, const struct name *n)
{
    size_t lead = shape->close_escaped ? escape_before(s, i) : 0;
    size_t start = shape->exact ? i + 1 : i - lead, end = i + shape->len - shape->exact;
    struct kt_span with;
    follow(s, start);
    KT_GUARD(compose(s, n, &with));
    KT_GUARD(s->fn(s->arg, s->base + start, s->base + end, with));
    kt_json_track_read(&s->t->place, with.data, with.len);
    s->t->read = s->base + end;
    s->done = end;
    return kt_ok();
}

kt_result kt_restorer_scan(struct kt_restorer *r, struct kt_restore_text *t, const char *data, size_t len,
                           size_t base, bool final, kt_restore_fn fn, void *arg, size_t *hold)
{
    struct scan s = {r, t, data, len, base, final, fn, arg, 0};
    struct kt_shape shape;
    size_t keep = len;
    if (t->read < base)
        t->read = base;
    for (size_t i = 0; i < len; i++) {
        if (!kt_shape_opens(data[i]))
            continue;
        enum kt_shape_is is = kt_shape_read(data + i, len - i, &shape);
        if (is == KT_SHAPE_OPEN && !final && begins_a_name(r, &shape)) {
            keep = i;
            break;
        }
        const struct name *n = is == KT_SHAPE_WHOLE ? named(r, data + i, &shape) : NULL;
        if (n) {
            KT_GUARD(restore(&s, i, &shape, n));
            i = s.done - 1;
        }
    }
    for (size_t n = ESCAPE_MAX; !final && n > 0 && keep > s.done && data[keep - 1] == '\\'; n--)
        keep--; /* a bracket may follow, or does */
    follow(&s, keep);
    *hold = base + keep;
    return kt_ok();
}
