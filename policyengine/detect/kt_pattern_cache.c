/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pattern_cache.h"

#include "policyengine/base/kt_log.h"
#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_pattern_image.h"
#include "policyengine/detect/kt_pattern_later.h"

#include <errno.h>
#include <hs/hs_common.h>
#include <hs/hs_runtime.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MATCHES_MAX 262144u

struct kt_patterns {
    hs_database_t *db;
    hs_scratch_t *model; /* cloned for each scan */
    size_t width, count;
    bool cached;
};

/* Where the cache lies. Published whole and never changed: a reader, or a fork child, needs no lock. Earlier
 * settings stay reachable, for whoever still reads them; there is one per folder that was ever set. */
struct place {
    const struct place *earlier;
    bool quiet;
    char folder[]; /* "" = none */
};
static _Atomic(const struct place *) place;

void kt_pattern_cache_open(const char *state_dir, bool quiet)
{
    char folder[PATH_MAX] = "";
    if (!state_dir || (size_t)snprintf(folder, sizeof folder, "%s/patterns", state_dir) >= sizeof folder)
        folder[0] = '\0';
    const struct place *now = atomic_load(&place);
    if (now && now->quiet == quiet && strcmp(now->folder, folder) == 0)
        return;
    size_t room = strlen(folder) + 1;
    struct place *fresh = malloc(sizeof *fresh + room);
    if (!fresh)
        return; /* as before: at worst a pattern is compiled once more */
    fresh->quiet = quiet;
    memcpy(fresh->folder, folder, room);
    fresh->earlier = now;
    while (!atomic_compare_exchange_weak(&place, &now, fresh))
        fresh->earlier = now;
}

static const char *cache_folder(void)
{
    const struct place *now = atomic_load(&place);
    return now ? now->folder : "";
}

static bool quiet_compiler(void)
{
    const struct place *now = atomic_load(&place);
    return now && now->quiet;
}

void kt_patterns_free(struct kt_patterns *p)
{
    if (!p)
        return;
    hs_free_scratch(p->model);
    hs_free_database(p->db);
    free(p);
}

static void patterns_cleanup(struct kt_patterns **p)
{
    kt_patterns_free(*p);
}

static kt_result check_lengths(char *const *expressions, size_t n, struct kt_error *err)
{
    if (n > KT_PATTERNS_MAX)
        return kt_fail(err, KT_ERR_USAGE, "has more than %u patterns", KT_PATTERNS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!expressions[i][0] || strlen(expressions[i]) > KT_PATTERN_BYTES)
            return kt_fail(err, KT_ERR_USAGE, "[%zu] must have 1 to %u bytes; leave it out, or split it", i,
                           KT_PATTERN_BYTES);
    return kt_ok();
}

static kt_result unpack(struct kt_patterns *p, const struct kt_pattern_image *image)
{
    hs_error_t r = hs_deserialize_database(image->bytes.data, image->bytes.len, &p->db);
    if (r == HS_SUCCESS)
        r = hs_alloc_scratch(p->db, &p->model);
    p->width = image->width;
    if (r != HS_SUCCESS) {
        hs_free_database(p->db);
        p->db = NULL;
    }
    return r == HS_SUCCESS ? kt_ok() : kt_err(r == HS_NOMEM ? KT_ERR_MEMORY : KT_ERR_INTERNAL);
}

static kt_result compile(char *const *expressions, size_t n, const char *key, struct kt_patterns *p,
                         struct kt_error *err)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf bytes = {0};
    struct kt_pattern_image image = {.width = 1};
    const struct kt_pattern_image *made = NULL;
    kt_result r;
    if (kt_pattern_later(expressions, n, key, cache_folder(), &made, &r, err)) {
        KT_GUARD(r);
        return unpack(p, made);
    }
    r = kt_pattern_compile(expressions, n, &image, err);
    bytes = image.bytes; /* freed with the block */
    if (r.code != KT_OK)
        return r;
    if (!quiet_compiler())
        kt_warn("the patterns of the config are compiled inside of this program; `kt wrap` would have had "
                "them ready");
    if (cache_folder()[0] && !kt_pattern_store(cache_folder(), key, &image))
        kt_warn("compiled patterns cannot be kept in %s: %s", cache_folder(), strerror(errno));
    return unpack(p, &image);
}

kt_result kt_patterns_new(char *const *expressions, size_t n, struct kt_patterns **out, struct kt_error *err)
{
    *out = NULL;
    KT_GUARD(check_lengths(expressions, n, err));
    KT_CLEANUP(patterns_cleanup) struct kt_patterns *p = calloc(1, sizeof *p);
    char key[KT_SHA256_HEX];
    if (!p || kt_pattern_key(expressions, n, key).code != KT_OK)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    p->count = n;
    struct kt_pattern_image image = {.width = 1};
    if (n > 0 && cache_folder()[0] && kt_pattern_load(cache_folder(), key, &image)) {
        p->cached = unpack(p, &image).code == KT_OK;
        kt_buf_free(&image.bytes);
    }
    if (n > 0 && !p->cached) {
        kt_result r = compile(expressions, n, key, p, err);
        if (r.code != KT_OK)
            return err && err->text[0] ? r : kt_fail(err, r.code, "cannot be used: %s", kt_code_name(r.code));
    }
    *out = KT_TAKE(p);
    return kt_ok();
}

bool kt_patterns_cached(const struct kt_patterns *p)
{
    return p->cached;
}

size_t kt_patterns_width(const struct kt_patterns *p)
{
    return p->width;
}

struct match {
    uint64_t start, end;
    unsigned expression;
};

struct found {
    struct match *items; /* owned */
    size_t count, cap;
    size_t from, to, width;
    enum kt_code trouble;
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
    struct found *f = ctx;
    (void)flags;
    if (from < f->from || from >= f->to || to - from > f->width)
        return 0;
    for (size_t i = f->count; i-- > 0 && f->count - i < 8;) /* the next end of one that is known: longer */
        if (f->items[i].expression == id && f->items[i].start == from) {
            f->items[i].end = to;
            return 0;
        }
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        struct match *grown = cap <= MATCHES_MAX ? realloc(f->items, cap * sizeof *grown) : NULL;
        if (!grown) {
            f->trouble = cap > MATCHES_MAX ? KT_ERR_LIMIT : KT_ERR_MEMORY;
            return 1;
        }
        f->items = grown;
        f->cap = cap;
    }
    f->items[f->count++] = (struct match){from, to, id};
    return 0;
}

static int by_place(const void *left, const void *right)
{
    const struct match *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->end != b->end)
        return a->end > b->end ? -1 : 1;
    return a->expression < b->expression ? -1 : a->expression > b->expression;
}

/* Fills `out` with a copy where the text is not UTF-8 throughout, which Vectorscan must not see. */
static kt_result mend(const char *text, size_t len, struct kt_buf *out)
{
    uint32_t cp;
    for (size_t i = 0, n; i < len; i += n) {
        n = (unsigned char)text[i] < 0x80 ? 1 : kt_char_next(text + i, len - i, &cp);
        if (n > 1 || (unsigned char)text[i] < 0x80)
            continue;
        if (!out->data) {
            *out = (struct kt_buf)KT_BUF_INIT(len);
            KT_GUARD(kt_buf_append(out, text, len));
        }
        out->data[i] = '?';
    }
    return kt_ok();
}

kt_result kt_patterns_scan(const struct kt_patterns *p, const char *text, size_t len, size_t from, size_t to,
                           bool final, kt_patterns_hit_fn hit, void *ctx)
{
    if (p->count == 0 || from >= to)
        return kt_ok();
    KT_ENSURE(len <= UINT_MAX, KT_ERR_LIMIT);
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf mended = {0};
    KT_GUARD(mend(text, len, &mended));
    text = mended.data ? mended.data : text;
    hs_scratch_t *scratch = NULL;
    KT_ENSURE(hs_clone_scratch(p->model, &scratch) == HS_SUCCESS, KT_ERR_MEMORY);
    struct found f = {.from = from, .to = to, .width = final ? SIZE_MAX : p->width};
    hs_error_t r = hs_scan(p->db, text, (unsigned)len, 0, scratch, on_match, &f);
    hs_free_scratch(scratch);
    KT_CLEANUP(kt_cleanup_free) struct match *items = f.items;
    KT_ENSURE(f.trouble == KT_OK, f.trouble);
    KT_ENSURE(r == HS_SUCCESS, KT_ERR_INTERNAL);
    if (f.count)
        qsort(items, f.count, sizeof *items, by_place);
    uint64_t floor = 0;
    for (size_t i = 0; i < f.count; i++) {
        if (items[i].start < floor || items[i].start == items[i].end)
            continue;
        hit(ctx, items[i].expression, (size_t)items[i].start, (size_t)items[i].end);
        floor = items[i].end;
    }
    return kt_ok();
}
