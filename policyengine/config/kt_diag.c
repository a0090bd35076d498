/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hostile file must not turn into a flood; nobody reads past a hundred complaints. */
enum { MAX_PER_SEVERITY = 100, MAX_KEY_SHOWN = 64 };

size_t kt_utf8_cut(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t n = max;
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static size_t path_append(struct kt_ctx *c, const char *text, size_t len)
{
    size_t before = c->path_len;
    if (len < sizeof c->path - before) {
        memcpy(c->path + before, text, len);
        c->path_len += len;
        c->path[c->path_len] = '\0';
    }
    return before;
}

size_t kt_path_push(struct kt_ctx *c, const char *key)
{
    char segment[MAX_KEY_SHOWN + 2];
    size_t n = kt_utf8_cut(key, strlen(key), MAX_KEY_SHOWN);
    int len = snprintf(segment, sizeof segment, "%s%.*s", c->path_len ? "." : "", (int)n, key);
    return path_append(c, segment, (size_t)len);
}

size_t kt_path_push_index(struct kt_ctx *c, size_t index)
{
    char segment[24];
    int len = snprintf(segment, sizeof segment, "[%zu]", index);
    return path_append(c, segment, (size_t)len);
}

void kt_path_pop(struct kt_ctx *c, size_t length)
{
    c->path_len = length;
    c->path[length] = '\0';
}

static enum kt_severity severity_of(const char *code)
{
    return code[0] == 'W' || strcmp(code, "E003") == 0 ? KT_SEV_WARNING : KT_SEV_ERROR;
}

static size_t count_of(const struct kt_diags *d, enum kt_severity severity)
{
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++)
        n += d->items[i].severity == severity;
    return n;
}

size_t kt_diags_errors(const struct kt_diags *d)
{
    return count_of(d, KT_SEV_ERROR);
}

static void free_diag(struct kt_diag *d)
{
    free(d->path);
    free(d->file);
    free(d->message);
    free(d->suggestion);
}

void kt_diags_free(struct kt_diags *d)
{
    for (size_t i = 0; i < d->count; i++)
        free_diag(&d->items[i]);
    free(d->items);
    memset(d, 0, sizeof *d);
}

static kt_result room_for_one(struct kt_diags *d)
{
    if (d->count < d->cap)
        return kt_ok();
    size_t cap = d->cap ? 2 * d->cap : 8;
    struct kt_diag *items = realloc(d->items, cap * sizeof *items);
    KT_ENSURE(items, KT_ERR_MEMORY);
    d->items = items;
    d->cap = cap;
    return kt_ok();
}

/* Keys and values come from the file: on a terminal their control bytes must do nothing. */
static char *harmless(char *text)
{
    for (char *p = text; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return text;
}

static char *copy_or_null(const char *s)
{
    return s && *s ? harmless(strdup(s)) : NULL;
}

kt_result kt_complain(struct kt_ctx *c, const char *code, struct kt_at at, const char *suggestion,
                      const char *fmt, ...)
{
    enum kt_severity severity = severity_of(code);
    if (count_of(c->diags, severity) >= MAX_PER_SEVERITY)
        return kt_ok();
    KT_GUARD(room_for_one(c->diags));
    struct kt_diag d = {.severity = severity, .line = at.line, .col = at.col};
    snprintf(d.code, sizeof d.code, "%s", code);
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&d.message, fmt, ap);
    va_end(ap);
    KT_ENSURE(n >= 0, KT_ERR_MEMORY);
    harmless(d.message);
    d.path = copy_or_null(c->path);
    d.file = copy_or_null(at.file);
    d.suggestion = copy_or_null(suggestion);
    c->diags->items[c->diags->count++] = d;
    return kt_ok();
}

kt_result kt_diag_format(const struct kt_diag *d, struct kt_buf *out)
{
    if (d->file)
        KT_GUARD(kt_buf_puts(out, d->file));
    if (d->file && d->line)
        KT_GUARD(kt_buf_printf(out, ":%u:%u", d->line, d->col));
    KT_GUARD(kt_buf_printf(out, "%s%s[%s] ", d->file ? ": " : "",
                           d->severity == KT_SEV_ERROR ? "error" : "warning", d->code));
    if (d->path)
        KT_GUARD(kt_buf_printf(out, "%s: ", d->path));
    KT_GUARD(kt_buf_puts(out, d->message ? d->message : ""));
    return d->suggestion ? kt_buf_printf(out, " (%s)", d->suggestion) : kt_ok();
}
