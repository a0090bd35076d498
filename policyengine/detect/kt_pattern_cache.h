/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A config's own regular expressions, compiled once for all processes. The compiler half of Vectorscan is
 * loaded only where nothing usable lies in the cache folder; what it makes is kept there under the SHA-256 of
 * everything that it depends on, written by rename, and checked in full when it is read: a torn or foreign
 * file is as good as none.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_PATTERNS_MAX 1000u
#define KT_PATTERN_BYTES 4096u     /* of one expression */
#define KT_PATTERN_REPEATS 1000u   /* positions that the counted repeats of one expression add ... */
#define KT_PATTERNS_REPEATS 50000u /* ... and of all together: what takes minutes to compile */
#define KT_PATTERN_WIDTH 512u      /* bytes of one match in a text that is not there to its end */
#define KT_PATTERN_IMAGE (64u << 20)

/* Below which folder the cache lies ("<state_dir>/patterns"); NULL or never called = no cache. `quiet`:
 * compiling is what this process is for (kt); others warn when they have to. Before any kt_patterns_new;
 * copied. */
void kt_pattern_cache_open(const char *state_dir, bool quiet);

struct kt_patterns; /* immutable, any thread */

/* new. KT_ERR_USAGE with `err` naming the expression ("[2] ...") and the reason. KT_ERR_STATE: only between
 * kt_pattern_later_begin and _end, they are being compiled. */
kt_result kt_patterns_new(char *const *expressions, size_t n, struct kt_patterns **out,
                          struct kt_error *err) KT_MUST;
void kt_patterns_free(struct kt_patterns *p);
/* True where a repeat of the expression is lazy ("a.*?b"), which is not heeded: a match is the longest. */
bool kt_pattern_lazy(const char *expression);
/* True where the image came out of the cache. For tests. */
bool kt_patterns_cached(const struct kt_patterns *p);
/* The most bytes that a match has, at most KT_PATTERN_WIDTH. */
size_t kt_patterns_width(const struct kt_patterns *p);

typedef void (*kt_patterns_hit_fn)(void *ctx, size_t expression, size_t start, size_t end);

/* The matches that start in [from, to), leftmost and longest, none into another. `final`: the text is there
 * to its end; without it only those that end in front of `to` + width. Looks at the whole text, character by
 * character of UTF-8 (an expression that is too large so works on bytes); a byte that is none counts as '?'.
 * KT_ERR_LIMIT past 262,144 of them. */
kt_result kt_patterns_scan(const struct kt_patterns *p, const char *text, size_t len, size_t from, size_t to,
                           bool final, kt_patterns_hit_fn hit, void *ctx) KT_MUST;

#ifdef __cplusplus
}
#endif
