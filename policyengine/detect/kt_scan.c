/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_scan.h"

#include <hs/hs_common.h>
#include <hs/hs_runtime.h>

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

#define IDLE_SCRATCH 16u

struct kt_scan {
    const struct kt_scan_image *image;
    hs_database_t *db;
    hs_scratch_t *model;                        /* cloned for each thread that finds no idle one */
    _Atomic(hs_scratch_t *) idle[IDLE_SCRATCH]; /* not in use */
};

static const struct kt_scan_image *const images[KT_SCAN_SETS] = {
    [KT_SCAN_INJECTION] = &kt_scan_image_injection,
    [KT_SCAN_META] = &kt_scan_image_meta,
    [KT_SCAN_SAFETY] = &kt_scan_image_safety,
};

static _Atomic(struct kt_scan *) unpacked[KT_SCAN_SETS];

static void scan_free(struct kt_scan *s)
{
    if (!s)
        return;
    hs_free_scratch(s->model);
    hs_free_database(s->db);
    free(s);
}

static void scan_cleanup(struct kt_scan **s)
{
    scan_free(*s);
}

static kt_result unpack(const struct kt_scan_image *image, struct kt_scan **out, struct kt_error *err)
{
    KT_CLEANUP(scan_cleanup) struct kt_scan *s = calloc(1, sizeof *s);
    if (!s)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    s->image = image;
    if (hs_valid_platform() != HS_SUCCESS)
        return kt_fail(err, KT_ERR_INTERNAL, "this CPU is too old for the pattern engine");
    hs_error_t r = hs_deserialize_database((const char *)image->bytes, image->len, &s->db);
    if (r == HS_SUCCESS)
        r = hs_alloc_scratch(s->db, &s->model);
    if (r == HS_NOMEM)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    if (r != HS_SUCCESS)
        return kt_fail(err, KT_ERR_INTERNAL,
                       "pattern set %s does not fit the installed libhs_runtime (error %d)", image->name, r);
    *out = KT_TAKE(s);
    return kt_ok();
}

kt_result kt_scan_get(enum kt_scan_set set, const struct kt_scan **out, struct kt_error *err)
{
    *out = atomic_load_explicit(&unpacked[set], memory_order_acquire);
    if (*out)
        return kt_ok();
    struct kt_scan *mine = NULL, *first = NULL;
    KT_GUARD(unpack(images[set], &mine, err));
    if (atomic_compare_exchange_strong(&unpacked[set], &first, mine)) {
        *out = mine;
        return kt_ok();
    }
    scan_free(mine); /* another thread was first */
    *out = first;
    return kt_ok();
}

unsigned kt_scan_patterns(const struct kt_scan *s)
{
    return s->image->patterns;
}

static hs_scratch_t *scratch_take(struct kt_scan *s)
{
    for (size_t i = 0; i < IDLE_SCRATCH; i++) {
        hs_scratch_t *have = atomic_exchange_explicit(&s->idle[i], NULL, memory_order_acquire);
        if (have)
            return have;
    }
    hs_scratch_t *clone = NULL;
    return hs_clone_scratch(s->model, &clone) == HS_SUCCESS ? clone : NULL;
}

static void scratch_give(struct kt_scan *s, hs_scratch_t *scratch)
{
    for (size_t i = 0; i < IDLE_SCRATCH; i++) {
        hs_scratch_t *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&s->idle[i], &none, scratch, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    hs_free_scratch(scratch);
}

struct call {
    kt_scan_match_fn match;
    void *ctx;
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
    (void)from, (void)flags;
    const struct call *c = ctx;
    return c->match(c->ctx, id, (size_t)to);
}

kt_result kt_scan_run(const struct kt_scan *s, const char *text, size_t len, kt_scan_match_fn match,
                      void *ctx)
{
    KT_ENSURE(len <= UINT_MAX, KT_ERR_LIMIT);
    struct kt_scan *shared = (struct kt_scan *)(uintptr_t)s; /* only the idle list changes */
    hs_scratch_t *scratch = scratch_take(shared);
    KT_ENSURE(scratch, KT_ERR_MEMORY);
    struct call call = {match, ctx};
    hs_error_t r = hs_scan(s->db, text, (unsigned)len, 0, scratch, on_match, &call);
    scratch_give(shared, scratch);
    return r == HS_SUCCESS || r == HS_SCAN_TERMINATED ? kt_ok() : kt_err(KT_ERR_INTERNAL);
}
