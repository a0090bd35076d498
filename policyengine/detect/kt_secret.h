/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Secrets in text: tokens of known services, keys and passwords that something names ("password = ..."),
 * private keys, credentials in URLs, JWTs, password hashes.
 *
 * Literal (prefix or keyword) -> shape of what follows -> entropy and checksum -> allow-list. A candidate
 * depends on nothing but the bytes from KT_SECRET_BEHIND in front of its literal to its end, so that a stream
 * cut at any byte finds exactly what the whole text would. The formats are the services' own documentation;
 * they are facts, listed in patterns/secret_tokens.def and patterns/secret_keys.def.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_SECRET_BEHIND 64u /* bytes in front of a literal that a rule may look at */
#define KT_SECRET_MAX 16384u /* bytes from the literal to the end of a secret */

/* Sure: the format leaves no doubt. Likely: named as a secret and looks like one. */
#define KT_SECRET_SURE 0.95
#define KT_SECRET_LIKELY 0.75
#define KT_SECRET_MAYBE 0.55

struct kt_secret_hit {
    size_t start, end;
    const char *label; /* static: "github-token" */
    double score;      /* 0..1 */
};
typedef void (*kt_secret_hit_fn)(void *ctx, const struct kt_secret_hit *hit);

/* Makes the tables that all scans share, on first use. KT_ERR_MEMORY. Any thread. */
kt_result kt_secret_prepare(void) KT_MUST;

/* Every secret of a whole text, in order. Calls kt_secret_prepare itself. Any thread. */
kt_result kt_secret_find(const char *text, size_t len, kt_secret_hit_fn hit, void *ctx) KT_MUST;

/* The same over windows of one segment, as policies see them. Zero-initialised = at the start of a segment;
 * kt_secret_prepare must have been called. Holds up to KT_SECRET_BEHIND bytes of the text: wipe with
 * kt_secret_stream_free. */
struct kt_secret_stream {
    char behind[KT_SECRET_BEHIND]; /* bytes [behind_at, behind_at + behind_len) of the segment */
    size_t behind_at, behind_len;
    size_t scanned, floor; /* absolute */
    struct kt_buf scratch; /* kept between windows */
};

/* `base`: absolute offset of data[0]; at most the *hold that the window before returned. Offsets of hits and
 * *hold (first byte that may still become part of a hit) are absolute. */
kt_result kt_secret_stream_window(struct kt_secret_stream *s, const char *data, size_t len, size_t base,
                                  bool final, kt_secret_hit_fn hit, void *ctx, size_t *hold) KT_MUST;
void kt_secret_stream_free(struct kt_secret_stream *s);

#ifdef __cplusplus
}
#endif
