/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the request chain of a config costs: bench_chain CONFIG [--short] [--json]. Microseconds per KB of
 * text, p50 and p99 over runs, by size and kind of text; how linear it is; the share of each policy. One
 * thread. A run is what the engine does for a request of one text: new run, text, end, outcome, free.
 * --cpu counts the thread's processor time: on a busy machine, what p99 says is else who took the processor
 * away. What the machine itself adds to a p99 (a neighbour on the same core, caches that others emptied, the
 * hypervisor) is in that time, too: beside each text of 16 KB stands a fixed piece of arithmetic, whose own
 * p99 is printed.
 */
#include "policyengine/chain/kt_chain.h"
#include "policyengine/config/kt_config.h"
#include "tests/bench/bench_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VARIANTS 64u   /* different texts of one size, so that no run knows its text by heart */
#define RUNS_MIN 1000u /* of each kind at 16 KB, where p99 is asked for */
#define SAMPLES_MAX 20000u
#define POLICIES_MAX 32u

static const size_t sizes[] = {205, 1024, 4096, 16384, 65536, 262144, 1048576};
enum { SIZE_16K = 3, SIZE_1M = 6 };

struct cell {
    double p50, p99; /* us per KB */
    double share[POLICIES_MAX];
    unsigned runs, texts;
    double dearest;                  /* us per KB: the text that costs most, its p50 over runs */
    double control_p50, control_p99; /* us: the fixed work */
};

struct bench {
    struct kt_config *config;
    struct kt_chain *chain;
    double budget_ns; /* per cell */
    double *samples, *controls, *sorted;
    const char *kinds[POLICIES_MAX];
    size_t policies;
    const char *stopper; /* a policy that stopped one of the texts; NULL = none */
    struct cell cells[BENCH_TEXTS][KT_COUNT(sizes)];
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static clockid_t bench_clock = CLOCK_MONOTONIC;

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(bench_clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Adds the policies' times to `times`; nanoseconds of the whole run, < 0 where it failed. */
static double run_once(struct bench *b, const char *text, size_t len, double *times)
{
    struct kt_chain_run *run = NULL;
    uint64_t start = now_ns();
    if (kt_chain_run_new(b->chain, KT_PHASE_REQUEST, false, NULL, &run).code != KT_OK)
        return -1;
    struct kt_text t = {.from = KT_FROM_USER, .data = text, .len = len, .final = true};
    bool done = kt_chain_run_text(run, &t) == KT_STEP_DONE && kt_chain_run_end(run) == KT_STEP_DONE;
    struct kt_outcome o = kt_chain_run_outcome(run);
    if (o.verdict >= KT_VERDICT_ESCALATE)
        b->stopper = o.policy; /* then it did not measure the whole chain */
    b->policies = o.policy_count < POLICIES_MAX ? o.policy_count : POLICIES_MAX;
    for (size_t i = 0; i < b->policies; i++) {
        b->kinds[i] = o.policies[i].kind;
        times[i] += (double)o.policies[i].time_ns;
    }
    kt_chain_run_free(run);
    return done ? (double)(now_ns() - start) : -1;
}

/* The same every time, a third of a millisecond, no memory: chains of arithmetic that keep as many units of a
 * core busy as the policies do, so what slows these slows it. */
static double fixed_work(void)
{
    uint64_t start = now_ns(), a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
    for (unsigned i = 0; i < 600000; i++) {
        a ^= a << 13;
        b ^= b >> 7;
        c += c << 3;
        d ^= d << 17;
        e += e >> 5;
        f ^= f << 9;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
    }
    return (double)(now_ns() - start) / 1e3;
}

static double percentile(double *values, unsigned n, unsigned percent)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n * percent / 100];
}

/* Runs the texts by turns until the budget is spent; the number of runs, 0 = the chain failed. */
static unsigned run_texts(struct bench *b, const char *texts, size_t len, unsigned variants, bool control,
                          double *times)
{
    double ignored[POLICIES_MAX] = {0}, spent = 0;
    unsigned n = 0, least = control ? RUNS_MIN : 20;
    for (unsigned v = 0; v < variants; v++) /* warm */
        if (run_once(b, texts + v * len, len, ignored) < 0)
            return 0;
    for (; n < SAMPLES_MAX && (spent < b->budget_ns || n < least); n++) {
        double ns = run_once(b, texts + n % variants * len, len, times);
        spent += ns;
        b->samples[n] = ns / 1e3 * 1024 / (double)len;
        b->controls[n] = 0;
        for (unsigned i = n + 1 - variants; control && (n + 1) % variants == 0 && i <= n; i++)
            b->controls[i] = fixed_work();
    }
    return control ? n - n % variants : n;
}

/* The highest of the texts' own p50. */
static double dearest(struct bench *b, unsigned runs, unsigned variants)
{
    double most = 0;
    for (unsigned v = 0; v < variants; v++) {
        unsigned n = 0;
        for (unsigned i = v; i < runs; i += variants)
            b->sorted[n++] = b->samples[i];
        double own = n ? percentile(b->sorted, n, 50) : 0;
        most = own > most ? own : most;
    }
    return most;
}

static int measure(struct bench *b, enum bench_text kind, size_t size_at)
{
    size_t len = sizes[size_at];
    unsigned variants = len > 65536 ? 3 : VARIANTS;
    struct cell *c = &b->cells[kind][size_at];
    double times[POLICIES_MAX] = {0}, policies = 0;
    char *texts = malloc(len * variants);
    if (!texts)
        return -1;
    for (unsigned v = 0; v < variants; v++)
        bench_text_fill(kind, v, texts + v * len, len);
    unsigned n = run_texts(b, texts, len, variants, size_at == SIZE_16K, times);
    free(texts);
    if (n == 0)
        return -1;
    c->runs = n;
    c->texts = variants;
    c->dearest = dearest(b, n, variants);
    c->p50 = percentile(b->samples, n, 50);
    c->p99 = percentile(b->samples, n, 99);
    c->control_p50 = percentile(b->controls, n, 50);
    c->control_p99 = percentile(b->controls, n, 99);
    for (size_t i = 0; i < b->policies; i++)
        policies += times[i];
    for (size_t i = 0; i < b->policies; i++)
        c->share[i] = policies > 0 ? times[i] / policies : 0;
    return 0;
}

/* ---- output ---- */

static void size_name(size_t len, char out[16])
{
    if (len < 1024)
        snprintf(out, 16, "%.1f KB", (double)len / 1024);
    else if (len < 1048576)
        snprintf(out, 16, "%zu KB", len / 1024);
    else
        snprintf(out, 16, "%zu MB", len / 1048576);
}

static double linearity(const struct cell *row)
{
    return row[SIZE_1M].p50 / row[SIZE_16K].p50;
}

static double p99_ms(const struct cell *row)
{
    return row[SIZE_16K].p99 * 16 / 1e3;
}

/* What the machine adds by itself. */
static double control_ratio(const struct cell *row)
{
    return row[SIZE_16K].control_p99 / row[SIZE_16K].control_p50;
}

static void print_16k(const struct bench *b)
{
    printf("\n%-22s", "p99 at 16 KB, ms");
    for (int k = 0; k < BENCH_TEXTS; k++)
        printf("  %9s %9.2f", "", p99_ms(b->cells[k]));
    printf("\n%-22s", "  its dearest text");
    for (int k = 0; k < BENCH_TEXTS; k++)
        printf("  %9.2f %9s", b->cells[k][SIZE_16K].dearest * 16 / 1e3, "");
    printf("\n%-22s", "  p99 / p50");
    for (int k = 0; k < BENCH_TEXTS; k++)
        printf("  %9s %8.2fx", "", b->cells[k][SIZE_16K].p99 / b->cells[k][SIZE_16K].p50);
    printf("\n%-22s", "  fixed work beside");
    for (int k = 0; k < BENCH_TEXTS; k++)
        printf("  %9s %8.2fx", "", control_ratio(b->cells[k]));
    printf("\n  (%u texts of each kind, %u runs or more; fixed work: %.2f ms of arithmetic, in rounds "
           "between theirs)",
           b->cells[0][SIZE_16K].texts, RUNS_MIN, b->cells[0][SIZE_16K].control_p50 / 1e3);
}

static void print_table(const struct bench *b)
{
    char name[16];
    printf("chain");
    for (size_t i = 0; i < b->policies; i++)
        printf("%s%s", i ? " > " : " ", b->kinds[i]);
    printf(", request phase, one thread; us %sper KB of text\n\n%-22s",
           bench_clock == CLOCK_MONOTONIC ? "" : "of processor time ", "");
    for (int k = 0; k < BENCH_TEXTS; k++)
        printf("  %19s", bench_text_name((enum bench_text)k));
    printf("\n%-22s", "size");
    for (int k = 0; k < BENCH_TEXTS; k++)
        printf("  %9s %9s", "p50", "p99");
    for (size_t s = 0; s < KT_COUNT(sizes); s++) {
        size_name(sizes[s], name);
        printf("\n%-22s", name);
        for (int k = 0; k < BENCH_TEXTS; k++)
            printf("  %9.1f %9.1f", b->cells[k][s].p50, b->cells[k][s].p99);
    }
    printf("\n%-22s", "p50 1 MB / 16 KB");
    for (int k = 0; k < BENCH_TEXTS; k++)
        printf("  %8.2fx %9s", linearity(b->cells[k]), "");
    print_16k(b);
    printf("\n\n%-22s", "share at 16 KB");
    for (size_t i = 0; i < b->policies; i++) {
        printf("\n  %-20s", b->kinds[i]);
        for (int k = 0; k < BENCH_TEXTS; k++)
            printf("  %7.1f %% %9s", b->cells[k][SIZE_16K].share[i] * 100, "");
    }
    putchar('\n');
}

static void print_json(const struct bench *b)
{
    putchar('{');
    for (int k = 0; k < BENCH_TEXTS; k++) {
        const struct cell *row = b->cells[k];
        printf("%s\"%s\":{\"sizes\":[", k ? "," : "", bench_text_name((enum bench_text)k));
        for (size_t s = 0; s < KT_COUNT(sizes); s++)
            printf("%s{\"bytes\":%zu,\"p50_us_per_kb\":%.2f,\"p99_us_per_kb\":%.2f,\"runs\":%u}",
                   s ? "," : "", sizes[s], row[s].p50, row[s].p99, row[s].runs);
        printf("],\"linearity_1mb_16kb\":%.3f,\"p99_16kb_ms\":%.3f,\"dearest_16kb_ms\":%.3f,"
               "\"control_p99_p50\":%.3f,\"share_16kb\":{",
               linearity(row), p99_ms(row), row[SIZE_16K].dearest * 16 / 1e3, control_ratio(row));
        for (size_t i = 0; i < b->policies; i++)
            printf("%s\"%s\":%.4f", i ? "," : "", b->kinds[i], row[SIZE_16K].share[i]);
        printf("}}");
    }
    puts("}");
}

/* ---- the whole ---- */

static int prepare(struct bench *b, const char *path)
{
    struct kt_diags diags = {.items = NULL};
    struct kt_error err = {.code = KT_OK};
    kt_result r = kt_config_load(&path, 1, &b->config, &diags);
    kt_diags_free(&diags);
    if (r.code == KT_OK)
        r = kt_chain_new(b->config, &b->chain, &err);
    b->samples = calloc(3 * SAMPLES_MAX, sizeof *b->samples);
    b->controls = b->samples + SAMPLES_MAX;
    b->sorted = b->controls + SAMPLES_MAX;
    if (r.code == KT_OK && b->samples)
        return 0;
    fprintf(stderr, "bench_chain: %s cannot be used: %s %s\n", path, kt_code_name(r.code), err.text);
    return -1;
}

int main(int argc, char **argv)
{
    bool json = false, brief = false;
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--short") == 0)
            brief = true;
        else if (strcmp(argv[i], "--cpu") == 0)
            bench_clock = CLOCK_THREAD_CPUTIME_ID;
        else
            path = argv[i];
    }
    if (!path) {
        fputs("usage: bench_chain CONFIG [--short] [--json] [--cpu]\n", stderr);
        return 2;
    }
    static struct bench b;
    b.budget_ns = brief ? 1e8 : 1e9;
    int status = prepare(&b, path);
    for (int k = 0; status == 0 && k < BENCH_TEXTS; k++)
        for (size_t s = 0; status == 0 && s < KT_COUNT(sizes); s++)
            if ((status = measure(&b, (enum bench_text)k, s)) != 0)
                fprintf(stderr, "bench_chain: the chain failed on %s of %zu bytes\n",
                        bench_text_name((enum bench_text)k), sizes[s]);
    if (status == 0 && json)
        print_json(&b);
    else if (status == 0)
        print_table(&b);
    if (status == 0 && b.stopper)
        fprintf(stderr, "bench_chain: %s stopped some of these texts: the figures are too good\n", b.stopper);
    free(b.samples);
    kt_chain_free(b.chain);
    kt_config_free(b.config);
    return status ? 1 : 0;
}
