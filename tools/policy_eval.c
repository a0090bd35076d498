/* SPDX-License-Identifier: Apache-2.0 */
/* kt policy eval: how good a policy is on labelled rows of the user's own. */
#include "policyengine/detect/kt_pii.h"
#include "tools/eval/kt_eval_run.h"
#include "tools/policy_eval.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: kt policy eval --kind K --data F.jsonl [--threshold T] [--json] [--rows] [--policy-config "
    "F]...\n\n"
    "Runs one policy over labelled rows and prints how often it is right. Nothing leaves this machine.\n\n"
    "  --kind K           injection (prompt-injection), safety (safety-filter), secret (dlp-filter) or\n"
    "                     pii (pii-detector)\n"
    "  --data F           JSON Lines, one row a line; - is standard input:\n"
    "                       {\"text\": \"...\", \"label\": \"injection\", \"lang\": \"en\", \"source\": "
    "\"mine\"}\n"
    "                       {\"text\": \"...\", \"spans\": [{\"start\": 3, \"end\": 9, \"type\": "
    "\"EMAIL_ADDRESS\"}]}\n"
    "                     label: injection, jailbreak, harmful, unsafe, secret, pii, 1 are positive; benign, "
    "safe,\n"
    "                     0 are negative. lang, source and role may be left "
    "out.\n"
    "                     Offsets of spans are characters (Unicode code points), `end` behind the last one.\n"
    "  --threshold T      0..1: a row is flagged where its score is at least T, instead of where the policy "
    "acts\n"
    "  --policy-config F  take the policy's options from a config; without it: its defaults. May be "
    "repeated.\n"
    "  --json             one JSON object on standard output\n"
    "  --rows             one JSON line per row: {\"i\", \"score\", \"verdict\", \"spans\"}; `i` counts rows "
    "from 0;\n"
    "                     rows need no label then. With --json the figures follow as the last line.\n\n"
    "figures: precision, recall, f1, fpr (false positive rate), auc (ties count half), recall_at_fpr_1pct "
    "(the\n"
    "largest recall of all thresholds that flag at most 1 % of the negative rows); null or - where a divisor "
    "is 0.\n"
    "A policy without a score of its own scores 1 where it acts and 0 where it does not.\n"
    "pii: a row is positive where it has spans. A found span is right where it overlaps a labelled one of "
    "its type\n"
    "by a character or more; exact recall wants the very ends. Common spellings of types are the same type "
    "(EMAIL is\n"
    "EMAIL_ADDRESS), US_SSN and the like answer NATIONAL_ID. Labelled types that the policy does not look "
    "for are\n"
    "listed as `unsupported` and left out of the total; `any_type` ignores types.\n\n"
    "exit status: 0 measured, 2 wrong usage or a row that cannot be read (with its line)\n";

static const struct eval_kind kinds[] = {
    {"injection", "prompt-injection", NULL, false, NULL},
    {"safety", "safety-filter", NULL, false, NULL},
    {"secret", "dlp-filter", "secrets: true", false, "SECRET"},
    {"pii", "pii-detector", NULL, true, NULL},
};

static void command_free(struct eval_command *c)
{
    kt_strings_free(&c->files);
    kt_config_free(c->config);
    eval_measure_free(c->measure);
    eval_types_free(c->types);
    if (c->spans)
        eval_spans_free(c->spans);
    free(c->spans);
    free(c->typed);
}

/* ---- options ---- */

static int set_kind(struct eval_command *c, const char *name)
{
    for (size_t i = 0; i < KT_COUNT(kinds); i++)
        if (strcmp(name, kinds[i].name) == 0 || strcmp(name, kinds[i].policy) == 0) {
            c->kind = &kinds[i];
            return 0;
        }
    return kt_usage_error(&kt_cmd_policy, "eval: no kind '%s'; there are injection, safety, secret and pii",
                          name);
}

static int set_threshold(struct eval_command *c, const char *text)
{
    char *end;
    c->threshold = strtod(text, &end);
    if (end != text && !*end && c->threshold >= 0 && c->threshold <= 1)
        return 0;
    return kt_usage_error(&kt_cmd_policy, "eval: --threshold wants a number from 0 to 1, not '%s'", text);
}

static int set_data(struct eval_command *c, const char *path)
{
    if (c->data)
        return kt_usage_error(&kt_cmd_policy, "eval: one data file at a time");
    c->data = path;
    return *path ? 0 : kt_usage_error(&kt_cmd_policy, "eval: --data wants a file");
}

static int parse_valued(struct eval_command *c, int argc, char **argv, int *i)
{
    const char *v;
    bool missing = false;
    if ((v = kt_option_value("--kind", argc, argv, i, &missing)) != NULL)
        return set_kind(c, v);
    if ((v = kt_option_value("--data", argc, argv, i, &missing)) != NULL)
        return set_data(c, v);
    if ((v = kt_option_value("--threshold", argc, argv, i, &missing)) != NULL)
        return set_threshold(c, v);
    if (missing)
        return kt_usage_error(&kt_cmd_policy, "eval: %s needs a value", argv[*i]);
    int status = kt_policy_file_option(argc, argv, i, &v);
    if (status || v)
        return status ? status : kt_policy_add_file(&c->files, v);
    return kt_usage_error(&kt_cmd_policy, "eval: unknown option '%s'", argv[*i]);
}

static int parse_args(struct eval_command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int status = 0;
        if (strcmp(argv[i], "--json") == 0)
            c->json = true;
        else if (strcmp(argv[i], "--rows") == 0)
            c->rows = true;
        else if (argv[i][0] != '-' || !argv[i][1])
            status = set_data(c, argv[i]);
        else
            status = parse_valued(c, argc, argv, &i);
        if (status)
            return status;
    }
    if (!c->kind)
        return kt_usage_error(&kt_cmd_policy,
                              "eval: which --kind? There are injection, safety, secret and pii");
    return c->data ? 0 : kt_usage_error(&kt_cmd_policy, "eval: which --data?");
}

/* ---- the policy ---- */

static int find_policy(struct eval_command *c)
{
    for (size_t i = 0; i < c->config->chain_count; i++) {
        if (strcmp(c->config->chain[i].policy->kind, c->kind->policy) != 0)
            continue;
        c->policy = c->config->chain[i].policy;
        c->opts = c->config->chain[i].opts;
        return 0;
    }
    return kt_usage_error(&kt_cmd_policy, "eval: %s is not in the chain of this config", c->kind->policy);
}

static int load_policy(struct eval_command *c)
{
    int status = c->files.count ? kt_policy_load(&c->files, &c->config)
                                : kt_policy_load_one(c->kind->policy, c->kind->extra, &c->config);
    if (status == 0)
        status = find_policy(c);
    if (status)
        return status;
    if (!eval_option_enum(c->policy, c->opts, "action", c->action))
        snprintf(c->action, sizeof c->action, "block");
    /* What is found does not depend on what is done with it, and only a redaction has a place. */
    if (c->kind->spans || c->kind->one_type)
        (void)eval_set_enum(c->policy, c->opts, "action", "redact");
    return 0;
}

static int prepare(struct eval_command *c)
{
    size_t n;
    const struct kt_pii_kind *const *pii = kt_pii_kinds(&n);
    c->measure = eval_measure_new();
    c->types = eval_types_new();
    c->spans = calloc(1, sizeof *c->spans);
    if (!c->measure || !c->types || !c->spans)
        return kt_policy_out_of_memory();
    c->spans->types = c->types;
    for (size_t i = 0; i < n; i++)
        eval_spans_support(c->spans, eval_types_find(c->types, pii[i]->label));
    return 0;
}

double eval_effective_threshold(const struct eval_command *c)
{
    const double *own = eval_option_float(c->policy, c->opts, "threshold");
    if (!isnan(c->threshold))
        return c->threshold;
    return own && *own > 0 ? *own : (double)NAN; /* 0: the policy's mode sets it */
}

/* ---- one row ---- */

static bool flagged(const struct eval_command *c, const struct eval_found *f)
{
    return isnan(c->threshold) ? f->verdict != KT_VERDICT_ALLOW : f->score >= c->threshold;
}

static const char *verdict_of(const struct eval_command *c, const struct eval_found *f)
{
    if (f->failed)
        return "error";
    if (!flagged(c, f))
        return "allow";
    return f->verdict == KT_VERDICT_ALLOW ? c->action : kt_verdict_name(f->verdict);
}

static void print_row(const struct eval_command *c, const struct eval_result *r)
{
    printf("{\"i\":%zu,\"score\":%.6g,\"verdict\":\"%s\",\"spans\":[", r->index, r->found->score,
           verdict_of(c, r->found));
    for (size_t i = 0; i < r->found->count; i++) {
        const struct eval_hit *h = &r->found->hits[i];
        const char *type = c->kind->spans ? eval_type_public(h->label) : h->label;
        KT_CLEANUP(kt_buf_free) struct kt_buf name = KT_BUF_INIT(1 << 16);
        if (kt_buf_json(&name, type, strlen(type)).code == KT_OK)
            printf("%s{\"type\":\"%s\",\"start\":%zu,\"end\":%zu}", i ? "," : "", name.data ? name.data : "",
                   h->start, h->end);
    }
    puts("]}");
}

static KT_MUST kt_result count_spans(struct eval_command *c, const struct eval_result *r,
                                     bool *all_unsupported)
{
    size_t gold = r->row->span_count, found = r->found->count, known = 0;
    if (gold + found > c->typed_cap) {
        struct eval_typed *grown = realloc(c->typed, (gold + found) * sizeof *grown);
        KT_ENSURE(grown, KT_ERR_MEMORY);
        c->typed = grown;
        c->typed_cap = gold + found;
    }
    for (size_t i = 0; i < gold; i++) {
        const struct eval_span *s = &r->row->spans[i];
        c->typed[i] = (struct eval_typed){s->start, s->end, eval_types_find(c->types, s->type)};
        known += eval_spans_supported(c->spans, c->typed[i].type);
    }
    for (size_t i = 0; i < found; i++) {
        const struct eval_hit *h = &r->found->hits[i];
        c->typed[gold + i] = (struct eval_typed){h->start, h->end, eval_types_find(c->types, h->label)};
    }
    *all_unsupported = gold > 0 && known == 0;
    return eval_spans_add(c->spans, c->typed, gold, c->typed + gold, found);
}

/* Positive, negative, or neither. With spans it is they who say it. */
static enum eval_label label_of(const struct eval_command *c, const struct eval_row *row)
{
    bool by_spans = row->has_spans && (c->kind->spans || row->label == EVAL_UNLABELLED);
    if (!by_spans)
        return row->label;
    return row->span_count ? EVAL_POSITIVE : EVAL_NEGATIVE;
}

static kt_result on_row(void *ctx, const struct eval_result *r)
{
    struct eval_command *c = ctx;
    enum eval_label label = label_of(c, r->row);
    bool all_unsupported = false;
    c->row_count++;
    c->outside += r->found->outside;
    if (c->rows)
        print_row(c, r);
    if (r->found->failed) {
        c->failed++;
        return kt_ok();
    }
    if (label == EVAL_UNLABELLED) {
        c->unlabelled++;
        return kt_ok();
    }
    if (c->kind->spans && (r->row->has_spans || label == EVAL_NEGATIVE))
        KT_GUARD(count_spans(c, r, &all_unsupported));
    if (all_unsupported) {
        c->unsupported_rows++;
        return kt_ok();
    }
    return eval_measure_add(c->measure, r->row->lang, r->row->source, r->found->score, label == EVAL_POSITIVE,
                            flagged(c, r->found));
}

/* ---- progress ---- */

struct progress {
    struct eval_command *command; /* first: the context of on_row as well */
    uint64_t size;                /* bytes of the file; 0 = not known */
    uint64_t last_ns;
    bool shown;
};

static kt_result on_row_of(void *ctx, const struct eval_result *r)
{
    return on_row(((struct progress *)ctx)->command, r);
}

static void on_progress(void *ctx, uint64_t bytes, size_t rows)
{
    struct progress *p = ctx;
    uint64_t now = kt_now_mono_ns();
    bool end = p->size && bytes >= p->size;
    if (!end && now - p->last_ns < 100 * 1000000u)
        return;
    p->last_ns = now;
    p->shown = true;
    if (!p->size) {
        fprintf(stderr, "\r%zu rows", rows);
        return;
    }
    static const char full[] = "##############################", none[] = "..............................";
    int done = (int)(bytes >= p->size ? 30 : bytes * 30 / p->size);
    fprintf(stderr, "\r[%.*s%.*s] %3d %%  %zu rows", done, full, 30 - done, none,
            (int)(bytes >= p->size ? 100 : bytes * 100 / p->size), rows);
}

static void clear_progress(const struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
}

/* ---- the run ---- */

static int complain(const struct eval_command *c, const struct eval_stop *stop)
{
    fflush(stdout); /* rows that came before */
    if (stop->line)
        fprintf(stderr, "kt policy eval: %s:%zu: %s\n", c->data, stop->line, stop->err.text);
    else
        fprintf(stderr, "kt policy eval: %s: %s\n", c->data, stop->err.text);
    return KT_EXIT_USAGE;
}

static int measure(struct eval_command *c, int fd)
{
    struct eval_probe *probe = NULL;
    struct eval_stop stop = {.line = 0};
    struct stat st;
    if (eval_probe_new(c->policy, c->opts, &probe, &stop.err).code != KT_OK)
        return kt_usage_error(&kt_cmd_policy, "eval: %s: %s", c->kind->policy, stop.err.text);
    struct progress p = {.command = c, .last_ns = kt_now_mono_ns()};
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        p.size = (uint64_t)st.st_size;
    bool show = isatty(STDERR_FILENO) && !(c->rows && isatty(STDOUT_FILENO));
    struct eval_run run = {
        .probe = probe, .fd = fd, .ctx = &p, .on_row = on_row_of, .on_progress = show ? on_progress : NULL};
    size_t rows = 0;
    kt_result r = eval_run_rows(&run, &rows, &stop);
    eval_probe_free(probe);
    clear_progress(&p);
    if (r.code == KT_OK && rows == 0) {
        (void)kt_fail(&stop.err, KT_ERR_USAGE, "no rows");
        return complain(c, &stop);
    }
    if (r.code == KT_OK)
        r = eval_measure_finish(c->measure);
    return r.code == KT_OK ? 0 : complain(c, &stop);
}

static int report(const struct eval_command *c)
{
    if (c->outside)
        fprintf(stderr, "kt policy eval: %zu rows needed a check outside, which is not made here\n",
                c->outside);
    if (c->failed)
        fprintf(stderr, "kt policy eval: the policy failed on %zu rows, which are not counted\n", c->failed);
    if (c->unlabelled == c->row_count && !c->rows)
        return kt_usage_error(&kt_cmd_policy,
                              "eval: no row has a label or spans: there is nothing to measure");
    if (c->json)
        eval_print_json(c, c->rows);
    else if (!c->rows)
        eval_print_text(c);
    return kt_policy_flush(KT_EXIT_OK);
}

int kt_policy_eval(int argc, char **argv)
{
    KT_CLEANUP(command_free) struct eval_command c = {.threshold = (double)NAN};
    if (kt_policy_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return KT_EXIT_OK;
    }
    int status = parse_args(&c, argc, argv);
    if (status == 0)
        status = load_policy(&c);
    if (status == 0)
        status = prepare(&c);
    if (status)
        return status;
    bool in = strcmp(c.data, "-") == 0;
    KT_CLEANUP(kt_cleanup_fd) int own = in ? -1 : open(c.data, O_RDONLY | O_CLOEXEC);
    if (!in && own < 0)
        return kt_usage_error(&kt_cmd_policy, "eval: cannot read %s: %s", c.data, strerror(errno));
    status = measure(&c, in ? STDIN_FILENO : own);
    return status ? status : report(&c);
}
