/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON source, and where wanted what forms and pages write as "%63" or "&#99;", as the text that it stands
 * for, in windows, with the way back to where it stood. One level at a time: source in source is this once
 * more over what came out. A second look beside the one at the text as it is; it begins at the first window
 * that holds an escape, so that other text pays for one quick test only.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_UNESCAPE_LEVELS 4u /* source in source that is looked through */

/* One segment; zero-initialised = at its start. Holds the last piece: wipe with kt_unescape_free. */
struct kt_unescape {
    bool nested; /* chosen by the owner: escapes of all levels at once ("\\\\n"), as kt_pii_unit reads them */
    bool web;    /* chosen by the owner: percent escapes and references of HTML as well */
    bool on;     /* from the first window on that holds an escape */
    size_t at;   /* first byte of the segment not yet dealt with, as it stands ... */
    size_t plain_at;    /* ... and in the plain text */
    struct kt_buf text; /* kept between windows */
    uint32_t *raw;      /* owned; where in the piece the unit of each byte of `text` begins, and its end */
    size_t raw_room;
};

/* [base, base + len) of a text. */
struct kt_unescape_window {
    const char *data; /* borrowed */
    size_t len, base;
    bool final;
};

/* Looks at a piece of the plain text; *hold receives the first byte that it wants to see again (absolute). */
typedef kt_result (*kt_unescape_look_fn)(void *ctx, const struct kt_unescape_window *plain, size_t *hold);

/* True where the window is to be run. All in front of `settled` was dealt with as it stands; where u->on
 * becomes true the two texts are the same up to there. */
bool kt_unescape_wants(struct kt_unescape *u, const struct kt_unescape_window *w, size_t settled);
/* *hold: first byte of the segment (absolute, as it stands) that must come again; no window may begin behind
 * the one of the window before. */
kt_result kt_unescape_run(struct kt_unescape *u, const struct kt_unescape_window *w, kt_unescape_look_fn look,
                          void *ctx, size_t *hold) KT_MUST;
/* Within `look`: where [*start, *end) of the piece stands in the source; never inside of an escape. */
void kt_unescape_range(const struct kt_unescape *u, size_t *start, size_t *end);
/* Within `look`: where the byte at `plain` (or the end of the piece) comes from. */
size_t kt_unescape_place(const struct kt_unescape *u, size_t plain);
void kt_unescape_free(struct kt_unescape *u);

/* Appends a whole text without its escapes of one level, those of the web too; *changed = it had some. */
kt_result kt_unescape_text(const char *s, size_t len, struct kt_buf *out, bool *changed) KT_MUST;

#ifdef __cplusplus
}
#endif
