/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/kt_marker.h"

#include <string.h>

#define FIXED "********" /* says nothing about the length */

const struct kt_option kt_marker_option_table[] = {
    {.name = "marker_format",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct kt_marker_options, format),
     .def = "label",
     .values = "label|asterisks|partial",
     .help = "what a value becomes: [EMAIL_1], ********, or j***@example.org"},
    {.name = "include_metadata",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct kt_marker_options, include_metadata),
     .def = "true",
     .help = "labels name the kind of the value; without: [REDACTED_1]"},
    {.name = "preserve_length",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct kt_marker_options, preserve_length),
     .def = "false",
     .help = "asterisks and partial: as many characters as the value has"},
    {.name = "custom_markers",
     .type = KT_OPT_STRING_MAP,
     .offset = offsetof(struct kt_marker_options, custom),
     .help = "texts of your own by kind: {EMAIL: \"<mail>\"}"},
    {.name = "restore",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct kt_marker_options, restore),
     .def = "false",
     .help = "put the real values back where the answer names their labels"},
    {.name = NULL},
};

kt_result kt_marker_check(const struct kt_marker_options *o, struct kt_error *err)
{
    if (o->restore && o->format != KT_MARKER_LABEL)
        return kt_fail(err, KT_ERR_USAGE,
                       "redaction.restore needs marker_format label: asterisks and partial markers cannot be "
                       "turned back; set marker_format: label or restore: false");
    if (o->restore && o->custom.count > 0)
        return kt_fail(
            err, KT_ERR_USAGE,
            "redaction.restore needs labels: the value behind custom_markers.%s could not be found "
            "again; remove custom_markers or set restore: false",
            o->custom.keys[0]);
    if (o->preserve_length && o->format == KT_MARKER_LABEL)
        return kt_fail(err, KT_ERR_USAGE,
                       "redaction.preserve_length: a label has a length of its own; set marker_format to "
                       "asterisks or partial");
    return kt_ok();
}

/* Bytes of the character at s: a stray continuation byte is one character. */
static size_t char_len(const char *s, size_t left)
{
    size_t n = 1;
    if ((unsigned char)s[0] >= 0xc2)
        while (n < left && n < 4 && ((unsigned char)s[n] & 0xc0) == 0x80)
            n++;
    return n;
}

static size_t characters(const char *s, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i += char_len(s + i, len - i))
        count++;
    return count;
}

static kt_result asterisks(size_t count, struct kt_buf *out)
{
    for (; count >= sizeof FIXED - 1; count -= sizeof FIXED - 1)
        KT_GUARD(kt_buf_puts(out, FIXED));
    return kt_buf_append(out, FIXED, count);
}

static bool counts(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80;
}

/* Hides letters and digits of s; everything else stays where it is. */
static kt_result hide(const char *s, size_t len, struct kt_buf *out)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = char_len(s + i, len - i);
        KT_GUARD(counts((unsigned char)s[i]) ? kt_buf_puts(out, "*") : kt_buf_append(out, s + i, n));
    }
    return kt_ok();
}

/* Where the part that is shown begins. */
static size_t tail_at(const char *s, size_t len)
{
    size_t letters = 0;
    for (size_t i = 0; i < len; i += char_len(s + i, len - i))
        letters += counts((unsigned char)s[i]);
    size_t hidden = letters - (letters >= 10 ? 4 : letters >= 6 ? 2 : 0), i = 0;
    for (; i < len && (hidden > 0 || !counts((unsigned char)s[i])); i += char_len(s + i, len - i))
        hidden -= counts((unsigned char)s[i]) && hidden > 0;
    return i;
}

static kt_result put_partial(const struct kt_marker_options *o, enum kt_marker_show show, const char *s,
                             size_t len, struct kt_buf *out)
{
    const char *at = show == KT_MARKER_SHOW_MAIL ? memrchr(s, '@', len) : NULL;
    if (at) {
        size_t first = char_len(s, len), local = (size_t)(at - s);
        first = local > first ? first : 0;
        KT_GUARD(kt_buf_append(out, s, first));
        KT_GUARD(o->preserve_length ? asterisks(characters(s + first, local - first), out)
                                    : kt_buf_puts(out, "***"));
        return kt_buf_append(out, at, len - local);
    }
    size_t tail = show == KT_MARKER_SHOW_TAIL ? tail_at(s, len) : len;
    KT_GUARD(o->preserve_length ? hide(s, tail, out) : kt_buf_puts(out, tail < len ? "****" : FIXED));
    return kt_buf_append(out, s + tail, len - tail);
}

kt_result kt_marker_put(const struct kt_marker_options *o, const struct kt_marker *m, struct kt_sink *sink,
                        const char *value, size_t len, struct kt_buf *out)
{
    if (m->custom)
        return kt_buf_puts(out, m->custom);
    if (o->format == KT_MARKER_ASTERISKS)
        return o->preserve_length ? asterisks(characters(value, len), out) : kt_buf_puts(out, FIXED);
    if (o->format == KT_MARKER_PARTIAL)
        return put_partial(o, m->show, value, len, out);
    const char *kind = o->include_metadata ? m->name : "REDACTED";
    const char *name = sink->placeholder(sink, kind, value, len, o->restore);
    return name ? kt_buf_puts(out, name) : kt_err(KT_ERR_MEMORY);
}
