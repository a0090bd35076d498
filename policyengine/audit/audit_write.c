/* SPDX-License-Identifier: Apache-2.0 */
/* Events become lines, and lines go into the file: many with one write, where many are due. */
#include "policyengine/audit/audit_log.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LINE_USUAL 2040u      /* bytes of most lines, with the buffer's own end a round number */
#define PILE_BYTES (1u << 20) /* of the lines that one write takes; a longer one goes alone */

/* Lines that are due, and the head as it will be behind them. */
struct pile {
    struct kt_buf lines;
    struct audit_head next;
    size_t count;
};

/* The whole line with its newline; `next` receives number and hash. */
static kt_result build_line(const struct kt_event *e, struct kt_buf *line, struct audit_head *next)
{
    struct kt_event numbered = *e;
    char before[KT_SHA256_HEX];
    memcpy(before, next->hash, sizeof before);
    numbered.seq = next->seq + 1;
    numbered.prev_hash = before;
    KT_GUARD(kt_buf_reserve(line, LINE_USUAL)); /* it grows once, not four times */
    KT_GUARD(kt_event_canonical(&numbered, line));
    KT_GUARD(kt_sha256_hex(line->data, line->len, next->hash));
    next->seq = numbered.seq;
    if (e->immutable)
        KT_GUARD(kt_buf_printf(line, ",\"hash\":\"%s\"", next->hash));
    return kt_buf_puts(line, "}\n");
}

/* All lines and the head, or neither. */
static kt_result store(struct audit_turn *t, const struct pile *p, struct kt_error *err)
{
    kt_result r = kt_write_all(t->log_fd, p->lines.data, p->lines.len);
    if (r.code == KT_OK)
        r = audit_head_write(t->head_fd, &p->next);
    if (r.code == KT_OK) {
        t->head = p->next;
        t->size = p->next.bytes;
        return r;
    }
    int cause = errno;
    t->room_to = 0; /* cut off with the half line */
    if (ftruncate(t->log_fd, (off_t)t->size) != 0)
        kt_warn("audit: %s: half a line could not be taken back: %s", t->dir, strerror(errno));
    return kt_fail(err, KT_ERR_IO, "audit: cannot append to %s/" KT_AUDIT_CURRENT ": %s", t->dir,
                   strerror(cause));
}

static void start_file(struct audit_turn *t, struct audit_head *next)
{
    if (audit_rotate(t).code != KT_OK)
        kt_warn("audit: %s: no new file could be started (%s); the old one grows on", t->dir,
                strerror(errno));
    next->first_seq = t->head.first_seq;
}

/* Adds the line of one event. *full: it belongs into the next pile. */
static kt_result add(struct audit_turn *t, uint64_t max_bytes, struct pile *p, const struct kt_event *e,
                     bool *full)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(KT_AUDIT_LINE_MAX);
    struct audit_head next = p->next;
    KT_GUARD(build_line(e, &line, &next));
    uint64_t size = t->size + p->lines.len;
    bool rotate = size > 0 && size + line.len > max_bytes;
    *full = p->count && (rotate || p->lines.len + line.len > PILE_BYTES);
    if (*full)
        return kt_ok();
    if (rotate)
        start_file(t, &next);
    if (p->count) {
        KT_GUARD(kt_buf_append(&p->lines, line.data, line.len));
    } else {
        kt_buf_free(&p->lines);
        p->lines = line; /* as it is: most piles have one line */
        line = (struct kt_buf){0};
    }
    next.bytes = t->size + p->lines.len;
    p->next = next;
    p->count++;
    return kt_ok();
}

/* Writes the first of the items in one go, and says how many; at least one is dealt with. */
static size_t write_some(struct audit_turn *t, uint64_t max_bytes, struct kt_audit_item *items, size_t count,
                         struct kt_error *err)
{
    struct pile p = {.next = t->head};
    bool full = false;
    kt_result formed = kt_ok();
    while (p.count < count && !full && formed.code == KT_OK)
        formed = add(t, max_bytes, &p, items[p.count].event, &full);
    if (!p.count) {
        items[0].result =
            kt_fail(err, formed.code, "audit: cannot form the event: %s", kt_code_name(formed.code));
        return 1;
    }
    kt_result r = store(t, &p, err);
    kt_buf_free(&p.lines);
    if (r.code != KT_OK && p.count > 1) /* a disk that is almost full takes one or the other */
        return write_some(t, max_bytes, items, 1, err);
    for (size_t i = 0; i < p.count; i++) {
        items[i].result = r;
        if (r.code == KT_OK)
            items[i].event->seq = p.next.seq - (p.count - 1 - i);
    }
    return p.count;
}

kt_result audit_write(struct audit_turn *t, uint64_t max_bytes, struct kt_audit_item *items, size_t count,
                      struct kt_error *err)
{
    kt_result r = kt_ok();
    for (size_t at = 0; at < count;) {
        size_t n = write_some(t, max_bytes, items + at, count - at, err);
        for (; n > 0; n--, at++)
            if (items[at].result.code != KT_OK)
                r = items[at].result;
    }
    return r;
}
