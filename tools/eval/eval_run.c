/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/eval/kt_eval_run.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_ROWS 1024u
#define BATCH_BYTES ((size_t)8 << 20)
#define THREADS_MAX 8u

struct item {
    struct kt_buf line;
    size_t number;
    struct eval_row row;
    struct eval_found found;
    kt_result result;
    struct kt_error err;
};

struct batch {
    const struct eval_run *run;
    struct item *items; /* BATCH_ROWS of them, owned; used again from batch to batch */
    size_t count;
    atomic_size_t next;
};

static void batch_free(struct batch *b)
{
    for (size_t i = 0; b->items && i < BATCH_ROWS; i++) {
        kt_buf_free(&b->items[i].line);
        eval_row_free(&b->items[i].row);
        eval_found_free(&b->items[i].found);
    }
    free(b->items);
}

/* ---- one row ---- */

/* Byte offsets of the hits, which come by start, to characters. */
static void in_characters(struct eval_found *f, const char *text)
{
    size_t at = 0, characters = 0;
    for (size_t i = 0; i < f->count; i++) {
        struct eval_hit *h = &f->hits[i];
        size_t inside = eval_characters(text + h->start, h->end - h->start);
        characters += eval_characters(text + at, h->start - at);
        at = h->start;
        h->start = characters;
        h->end = characters + inside;
    }
}

static void work(struct batch *b, struct item *it)
{
    struct kt_span line = kt_buf_span(&it->line);
    it->result = eval_row_parse(line, &it->row, &it->err);
    if (it->result.code != KT_OK)
        return;
    eval_probe_text(b->run->probe, it->row.from, it->row.text, it->row.len, &it->found);
    in_characters(&it->found, it->row.text);
}

static void *worker(void *arg)
{
    struct batch *b = arg;
    for (size_t i; (i = atomic_fetch_add(&b->next, 1)) < b->count;)
        work(b, &b->items[i]);
    return NULL;
}

/* ---- a batch ---- */

static bool blank(struct kt_span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    return true;
}

static KT_MUST kt_result fill(struct batch *b, struct eval_lines *lines, struct eval_stop *stop, bool *end)
{
    struct kt_span line;
    size_t bytes = 0;
    bool more = true;
    b->count = 0;
    atomic_store(&b->next, 0);
    while (b->count < BATCH_ROWS && bytes < BATCH_BYTES) {
        kt_result r = eval_lines_next(lines, &line, &more);
        if (r.code == KT_ERR_LIMIT) {
            stop->line = lines->number + 1;
            return kt_fail(&stop->err, r.code, "longer than %zu MiB", EVAL_LINE_MAX >> 20);
        }
        if (r.code == KT_ERR_IO)
            return kt_fail(&stop->err, r.code, "cannot be read: %s", strerror(errno));
        KT_GUARD(r);
        if (!more)
            break;
        if (blank(line))
            continue;
        struct item *it = &b->items[b->count];
        kt_buf_clear(&it->line);
        KT_GUARD(kt_buf_append(&it->line, line.data, line.len));
        it->number = lines->number;
        b->count++;
        bytes += line.len;
    }
    *end = !more;
    return kt_ok();
}

static void look(struct batch *b, unsigned threads)
{
    pthread_t id[THREADS_MAX];
    unsigned started = 0;
    while (started + 1 < threads && started + 1 < b->count &&
           pthread_create(&id[started], NULL, worker, b) == 0)
        started++;
    worker(b); /* this thread works too, and alone where there is no other */
    for (unsigned i = 0; i < started; i++)
        pthread_join(id[i], NULL);
}

static KT_MUST kt_result hand_on(struct batch *b, size_t *rows, struct eval_stop *stop)
{
    for (size_t i = 0; i < b->count; i++) {
        struct item *it = &b->items[i];
        if (it->result.code != KT_OK) {
            stop->line = it->number;
            stop->err = it->err;
            return it->result;
        }
        struct eval_result one = {*rows, &it->row, &it->found};
        kt_result r = b->run->on_row(b->run->ctx, &one);
        eval_row_free(&it->row);
        KT_GUARD(r);
        ++*rows;
    }
    return kt_ok();
}

static void forget(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        eval_row_free(&b->items[i].row);
        if (b->items[i].line.cap > BATCH_BYTES)
            kt_buf_free(&b->items[i].line);
    }
}

static unsigned threads_of(const struct eval_run *run)
{
    long n = run->threads ? (long)run->threads : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > (long)THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static void lines_cleanup(struct eval_lines *l)
{
    eval_lines_free(l);
}

static KT_MUST kt_result run_all(const struct eval_run *run, struct batch *b, size_t *rows,
                                 struct eval_stop *stop)
{
    KT_CLEANUP(lines_cleanup) struct eval_lines lines;
    eval_lines_init(&lines, run->fd);
    for (bool end = false; !end;) {
        KT_GUARD(fill(b, &lines, stop, &end));
        look(b, threads_of(run));
        kt_result r = hand_on(b, rows, stop);
        forget(b);
        KT_GUARD(r);
        if (run->on_progress)
            run->on_progress(run->ctx, lines.consumed, *rows);
    }
    return kt_ok();
}

kt_result eval_run_rows(const struct eval_run *run, size_t *rows, struct eval_stop *stop)
{
    *rows = 0;
    *stop = (struct eval_stop){.line = 0};
    KT_CLEANUP(batch_free) struct batch b = {.run = run, .items = calloc(BATCH_ROWS, sizeof(struct item))};
    kt_result r = b.items ? kt_ok() : kt_err(KT_ERR_MEMORY);
    for (size_t i = 0; b.items && i < BATCH_ROWS; i++)
        b.items[i].line.max = EVAL_LINE_MAX;
    if (r.code == KT_OK)
        r = run_all(run, &b, rows, stop);
    if (r.code != KT_OK && !stop->err.text[0])
        return kt_fail(&stop->err, r.code, "%s", kt_code_name(r.code));
    return r;
}
