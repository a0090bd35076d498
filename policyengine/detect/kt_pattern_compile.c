/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler half of Vectorscan, by dlopen: it brings a C++ run time with it, which neither a wrapped
 * program nor a `kt` without such expressions shall pay for.
 */
#include "policyengine/detect/kt_pattern_image.h"

#include <dlfcn.h>
#include <hs/hs_common.h>
#include <hs/hs_compile.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libhs.so.5"
/* Without HS_FLAG_UCP: it knows no \b, and \w by Unicode is too large for more than one of them. */
#define FLAGS (HS_FLAG_SOM_LEFTMOST | HS_FLAG_UTF8)

struct compiler {
    void *handle;
    __typeof__(&hs_compile_multi) compile;
    __typeof__(&hs_expression_info) info;
    __typeof__(&hs_free_compile_error) free_error;
    __typeof__(&hs_serialize_database) serialize;
    __typeof__(&hs_free_database) free_database;
};

static void compiler_close(struct compiler *c)
{
    if (c->handle)
        dlclose(c->handle);
}

static bool symbol(const struct compiler *c, const char *name, void *out)
{
    void *at = dlsym(c->handle, name);
    memcpy(out, &at, sizeof at);
    return at != NULL;
}

static kt_result compiler_open(struct compiler *c, struct kt_error *err)
{
    c->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool ok =
        c->handle && symbol(c, "hs_compile_multi", &c->compile) &&
        symbol(c, "hs_expression_info", &c->info) && symbol(c, "hs_free_compile_error", &c->free_error) &&
        symbol(c, "hs_serialize_database", &c->serialize) && symbol(c, "hs_free_database", &c->free_database);
    if (ok)
        return kt_ok();
    return kt_fail(err, KT_ERR_NOTFOUND,
                   "detect_patterns need " LIBRARY
                   " to be compiled (package libvectorscan5), and it cannot be loaded");
}

static kt_result refused(const struct compiler *c, size_t at, hs_compile_error_t *e, struct kt_error *err)
{
    kt_result r =
        kt_fail(err, KT_ERR_USAGE,
                "[%zu] is no pattern that can be used: %s; a plain sign is written with a backslash, as in "
                "\\( or \\.",
                at, e && e->message ? e->message : "unknown error");
    if (e)
        c->free_error(e);
    return r;
}

/* Says no to what would take minutes to compile. */
static kt_result check_repeats(const char *expression, size_t at, uint64_t *all, struct kt_error *err)
{
    uint64_t one = kt_pattern_repeats(expression);
    if (one == UINT64_MAX)
        return kt_fail(err, KT_ERR_USAGE, "[%zu] has groups in groups, more than 64 deep", at);
    if (one > KT_PATTERN_REPEATS)
        return kt_fail(err, KT_ERR_USAGE,
                       "[%zu] has repeats like {n,m} that come to %" PRIu64
                       " positions when they are written "
                       "out, more than %u (one in another multiplies, each \\p counts %u); use smaller "
                       "numbers, or + and *",
                       at, one, KT_PATTERN_REPEATS, KT_PATTERN_PROPERTY);
    *all += one;
    if (*all > KT_PATTERNS_REPEATS)
        return kt_fail(err, KT_ERR_USAGE,
                       "[%zu]: up to here, repeats like {n,m} come to more than %u positions in all", at,
                       KT_PATTERNS_REPEATS);
    return kt_ok();
}

/* The plain spellings of "anything", in groups and with flags or without. */
static bool is_everything(const char *s)
{
    static const char *const any[] = {".",        "\\S",      "\\w",      "[^]",
                                      "[\\s\\S]", "[\\S\\s]", "[\\w\\W]", "[\\d\\D]"};
    static const char *const times[] = {"", "+", "+?", "{1,}", "++"};
    if (strncmp(s, "(?", 2) == 0 && strspn(s + 2, "imsx") > 0 && s[2 + strspn(s + 2, "imsx")] == ')')
        return is_everything(s + 3 + strspn(s + 2, "imsx"));
    s += *s == '^';
    size_t n = strlen(s);
    n -= n > 1 && s[n - 1] == '$' && s[n - 2] != '\\';
    bool group = n > 2 && s[0] == '(' && s[n - 1] == ')' && !memchr(s + 1, '(', n - 1);
    if (group) {
        s += strncmp(s, "(?:", 3) == 0 ? 3 : 1;
        n = strcspn(s, ")");
    }
    for (size_t i = 0; i < KT_COUNT(any); i++)
        for (size_t k = 0; k < KT_COUNT(times); k++)
            if (n == strlen(any[i]) + strlen(times[k]) && strncmp(s, any[i], strlen(any[i])) == 0 &&
                strncmp(s + strlen(any[i]), times[k], strlen(times[k])) == 0)
                return true;
    return false;
}

/* Each one by itself first: the number of the wrong one, and how long its matches are. */
static kt_result check(const struct compiler *c, char *const *expressions, size_t n, uint32_t *width,
                       struct kt_error *err)
{
    uint64_t repeats = 0;
    *width = 1;
    for (size_t i = 0; i < n; i++) {
        hs_expr_info_t *info = NULL;
        hs_compile_error_t *e = NULL;
        if (c->info(expressions[i], FLAGS, &info, &e) != HS_SUCCESS)
            return refused(c, i, e, err);
        unsigned least = info->min_width, most = info->max_width;
        free(info);
        if (least == 0)
            return kt_fail(err, KT_ERR_USAGE, "[%zu] matches the empty text: it would be found everywhere",
                           i);
        if (is_everything(expressions[i]))
            return kt_fail(err, KT_ERR_USAGE, "[%zu] matches any text: it would be found everywhere", i);
        KT_GUARD(check_repeats(expressions[i], i, &repeats, err));
        most = most < KT_PATTERN_WIDTH ? most : KT_PATTERN_WIDTH;
        *width = most > *width ? most : *width;
    }
    return kt_ok();
}

static kt_result compile(const struct compiler *c, char *const *expressions, size_t n,
                         struct kt_pattern_image *out, struct kt_error *err)
{
    KT_CLEANUP(kt_cleanup_free) unsigned *flags = calloc(n, sizeof *flags);
    KT_CLEANUP(kt_cleanup_free) unsigned *ids = calloc(n, sizeof *ids);
    if (!flags || !ids)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        flags[i] = FLAGS;
        ids[i] = (unsigned)i;
    }
    const hs_platform_info_t baseline = {.tune = HS_TUNE_FAMILY_GENERIC, .cpu_features = 0};
    hs_database_t *db = NULL;
    hs_compile_error_t *e = NULL;
    while (c->compile((const char *const *)expressions, flags, ids, (unsigned)n, HS_MODE_BLOCK, &baseline,
                      &db, &e) != HS_SUCCESS) {
        size_t at = e && e->expression >= 0 ? (size_t)e->expression : 0;
        if (!(flags[at] & HS_FLAG_UTF8))
            return refused(c, at, e, err);
        flags[at] &= ~(unsigned)HS_FLAG_UTF8; /* ".{600}" is too large with characters, and not with bytes */
        if (e)
            c->free_error(e);
        e = NULL;
    }
    char *bytes = NULL;
    size_t len = 0;
    hs_error_t r = c->serialize(db, &bytes, &len);
    c->free_database(db);
    if (r != HS_SUCCESS)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    out->bytes = (struct kt_buf)KT_BUF_INIT(KT_PATTERN_IMAGE);
    kt_result kept = kt_buf_append(&out->bytes, bytes, len);
    free(bytes);
    return kept.code == KT_OK ? kept
                              : kt_fail(err, kept.code, "the compiled patterns are larger than 64 MiB");
}

kt_result kt_pattern_compile(char *const *expressions, size_t n, struct kt_pattern_image *out,
                             struct kt_error *err)
{
    KT_CLEANUP(compiler_close) struct compiler c = {0};
    KT_GUARD(compiler_open(&c, err));
    KT_GUARD(check(&c, expressions, n, &out->width, err));
    return compile(&c, expressions, n, out, err);
}
