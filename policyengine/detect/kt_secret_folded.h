/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Secrets in disguise: with characters of no width in them, in full-width or mathematical letters, with
 * letters as \uXXXX, or between the escapes of JSON source ("\n", "\"", "\/", nested ones too). A second look
 * beside kt_secret_stream_window, at the text with these folded; it begins at the first window that holds
 * one, so that other text pays for one quick test only.
 */
#include "policyengine/detect/kt_secret.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In a row of characters without width the ones behind these stay: what is held back must be bounded. */
#define KT_SECRET_WIDTHLESS_MAX 16u

/* One segment; zero-initialised = at its start. Wipe with kt_secret_folded_free. */
struct kt_secret_folded {
    bool on;                       /* from the first window on that holds a disguise */
    struct kt_secret_stream inner; /* its offsets are those of the folded text */
    size_t at;                     /* first byte of the segment not yet dealt with, as it stands ... */
    size_t folded_at;              /* ... and folded */
    unsigned widthless;            /* dropped in a row in front of `at` */
    struct kt_buf text;            /* kept between windows */
    uint32_t *raw;                 /* owned; where in the window each byte of `text` begins */
    size_t raw_room;
};

/* [base, base + len) of a segment. */
struct kt_secret_window {
    const char *data; /* borrowed */
    size_t len, base;
    bool final;
};

/* As kt_secret_stream_window, and to be called in front of it with the same window: `plain` is the state of
 * that. Hits are ranges of the text as it stands; the plain look finds some of them too. */
kt_result kt_secret_folded_window(struct kt_secret_folded *s, const struct kt_secret_stream *plain,
                                  const struct kt_secret_window *w, kt_secret_hit_fn hit, void *ctx,
                                  size_t *hold) KT_MUST;
void kt_secret_folded_free(struct kt_secret_folded *s);

#ifdef __cplusplus
}
#endif
