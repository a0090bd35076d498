/* SPDX-License-Identifier: Apache-2.0 */
/* kt bench: calls against a gateway or any OpenAI-compatible endpoint, and what they took. */
#include "policyengine/base/kt_io.h"
#include "tools/bench.h"
#include "tools/kt.h"
#include "tools/kt_outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct kt_command kt_cmd_bench;

#define PROMPT_MAX (4u << 20)
#define DEFAULT_PROMPT "Name three rivers of Europe, one line each."

struct command {
    struct bench_options o;
    const char *prompt_file, *output;
};

static void command_free(struct command *c)
{
    kt_buf_free(&c->o.body);
}

static int set_number(const char *option, const char *text, long max, long *out)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || *end || end == text || n < 1 || n > max)
        return kt_usage_error(&kt_cmd_bench, "%s wants a number from 1 to %ld, not '%s'", option, max, text);
    *out = n;
    return 0;
}

static int set_duration(struct command *c, const char *text)
{
    char *end;
    double n = strtod(text, &end);
    if (strcmp(end, "m") == 0)
        n *= 60;
    if (end == text || (*end && strcmp(end, "s") != 0 && strcmp(end, "m") != 0) || !(n > 0) || n > 86400)
        return kt_usage_error(&kt_cmd_bench, "--duration wants a time such as 30s or 2m, not '%s'", text);
    c->o.seconds = n;
    return 0;
}

static int valued(struct command *c, int argc, char **argv, int *i)
{
    struct {
        const char *name, **to;
    } texts[] = {{"--target", &c->o.target},
                 {"--model", &c->o.model},
                 {"--prompt-file", &c->prompt_file},
                 {"--output", &c->output},
                 {"--ca-file", &c->o.ca_file}};
    bool missing = false;
    const char *v, *name = argv[*i];
    for (size_t k = 0; k < KT_COUNT(texts) && !missing; k++)
        if ((v = kt_option_value(texts[k].name, argc, argv, i, &missing))) {
            *texts[k].to = v;
            return 0;
        }
    if (!missing && (v = kt_option_value("--requests", argc, argv, i, &missing)))
        return set_number("--requests", v, 100000000, &c->o.requests);
    if (!missing && (v = kt_option_value("--concurrency", argc, argv, i, &missing)))
        return set_number("--concurrency", v, 1000, &c->o.concurrency);
    if (!missing && (v = kt_option_value("--duration", argc, argv, i, &missing)))
        return set_duration(c, v);
    if (missing)
        return kt_usage_error(&kt_cmd_bench, "%s needs a value", name);
    return kt_usage_error(&kt_cmd_bench, "no option '%s'", name);
}

/* An address alone means its chat completions. */
static int set_url(struct bench_options *o)
{
    const char *rest = strncmp(o->target, "https://", 8) == 0  ? o->target + 8
                       : strncmp(o->target, "http://", 7) == 0 ? o->target + 7
                                                               : NULL;
    if (!rest || !*rest || strlen(o->target) > sizeof o->url - 32)
        return kt_usage_error(&kt_cmd_bench, "--target wants a URL, http://... or https://..., not '%s'",
                              o->target);
    const char *slash = strchr(rest, '/');
    size_t len = strlen(o->target);
    if (!slash || !slash[1])
        snprintf(o->url, sizeof o->url, "%.*s/v1/chat/completions", (int)(len - (slash ? 1 : 0)), o->target);
    else if (strcmp(slash, "/v1") == 0 || strcmp(slash, "/v1/") == 0)
        snprintf(o->url, sizeof o->url, "%.*s/chat/completions", (int)(slash[3] ? len - 1 : len), o->target);
    else
        snprintf(o->url, sizeof o->url, "%s", o->target);
    return 0;
}

static kt_result make_body(struct command *c, struct kt_span prompt)
{
    struct kt_buf *b = &c->o.body;
    b->max = PROMPT_MAX * 7;
    KT_GUARD(kt_buf_puts(b, "{\"model\":\""));
    KT_GUARD(kt_buf_json(b, c->o.model, strlen(c->o.model)));
    KT_GUARD(kt_buf_puts(b, "\",\"messages\":[{\"role\":\"user\",\"content\":\""));
    KT_GUARD(kt_buf_json(b, prompt.data, prompt.len));
    KT_GUARD(kt_buf_puts(b, "\"}]"));
    if (c->o.stream)
        KT_GUARD(kt_buf_puts(b, ",\"stream\":true"));
    return kt_buf_puts(b, "}");
}

static int set_body(struct command *c)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf prompt = KT_BUF_INIT(PROMPT_MAX);
    kt_result r = kt_ok();
    if (c->prompt_file) {
        KT_CLEANUP(kt_cleanup_fd) int fd = open(c->prompt_file, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? kt_err(KT_ERR_IO) : kt_read_to_end(fd, &prompt);
        if (r.code != KT_OK) {
            fprintf(stderr, "kt bench: cannot read %s: %s\n", c->prompt_file,
                    r.code == KT_ERR_IO ? strerror(errno) : "more than 4 MiB");
            return KT_EXIT_USAGE;
        }
    } else {
        r = kt_buf_puts(&prompt, DEFAULT_PROMPT);
    }
    if (r.code == KT_OK)
        r = make_body(c, kt_buf_span(&prompt));
    return r.code == KT_OK ? 0 : kt_usage_error(&kt_cmd_bench, "the prompt is too long");
}

/* ---- the result ---- */

static double ms(uint64_t micros)
{
    return (double)micros / 1000;
}

static void print_spread(FILE *to, const char *name, const struct spread *s)
{
    if (!s->count) {
        fprintf(to, "  %-14s  %9s  %9s  %9s  %9s  %9s\n", name, "-", "-", "-", "-", "-");
        return;
    }
    fprintf(to, "  %-14s  %9.2f  %9.2f  %9.2f  %9.2f  %9.2f\n", name, ms(s->sum / s->count),
            ms(spread_percentile(s, 50)), ms(spread_percentile(s, 95)), ms(spread_percentile(s, 99)),
            ms(s->max));
}

static void print_table(const struct command *c, const struct bench_result *r)
{
    double seconds = (double)r->micros / 1e6;
    printf("%s, model %s, %ld at once%s\n\n", c->o.url, c->o.model, c->o.concurrency,
           c->o.stream ? ", streams" : "");
    printf("  calls           %" PRIu64 ", %" PRIu64 " good, %" PRIu64 " failed\n", r->done, r->good,
           r->done - r->good);
    printf("  time            %.2f s, %.1f calls per second\n\n", seconds,
           seconds > 0 ? (double)r->good / seconds : 0.0);
    printf("  %-14s  %9s  %9s  %9s  %9s  %9s\n", "milliseconds", "mean", "p50", "p95", "p99", "max");
    print_spread(stdout, "call", &r->total);
    print_spread(stdout, "first byte", &r->first);
    for (int i = 0; i < 600; i++)
        if (r->status[i] && (i < 200 || i > 299))
            printf("\n  %s%.0d%s%s: %" PRIu64 " calls", i ? "HTTP " : "no answer", i, i ? "" : ", ",
                   i ? "" : r->failure, r->status[i]);
    puts(r->done > r->good ? "\n" : "");
}

static void json_spread(FILE *to, const char *name, const struct spread *s)
{
    fprintf(to, "\"%s\":{\"mean\":%.3f,\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name,
            s->count ? ms(s->sum / s->count) : 0.0, ms(spread_percentile(s, 50)),
            ms(spread_percentile(s, 95)), ms(spread_percentile(s, 99)), ms(s->max));
}

struct job {
    const struct command *c;
    const struct bench_result *r;
};

static int write_json(void *arg, FILE *to)
{
    const struct job *j = arg;
    const struct bench_result *r = j->r;
    KT_CLEANUP(kt_buf_free) struct kt_buf names = KT_BUF_INIT(65536);
    if (!kt_is_ok(kt_buf_printf(&names, "{\"target\":\"")) ||
        !kt_is_ok(kt_buf_json(&names, j->c->o.url, strlen(j->c->o.url))) ||
        !kt_is_ok(kt_buf_puts(&names, "\",\"model\":\"")) ||
        !kt_is_ok(kt_buf_json(&names, j->c->o.model, strnlen(j->c->o.model, 8192))))
        return kt_usage_error(&kt_cmd_bench, "the model's name is too long");
    fprintf(to, "%s\",\"concurrency\":%ld,\"stream\":%s,\"calls\":%" PRIu64 ",\"good\":%" PRIu64, names.data,
            j->c->o.concurrency, j->c->o.stream ? "true" : "false", r->done, r->good);
    fprintf(to, ",\"seconds\":%.6f,\"calls_per_second\":%.3f,\"answer_bytes\":%" PRIu64 ",\"status\":{",
            (double)r->micros / 1e6, r->micros ? (double)r->good * 1e6 / (double)r->micros : 0.0, r->bytes);
    bool first = true;
    for (int i = 0; i < 600; i++)
        if (r->status[i]) {
            fprintf(to, "%s\"%d\":%" PRIu64, first ? "" : ",", i, r->status[i]);
            first = false;
        }
    fputs("},", to);
    json_spread(to, "call_ms", &r->total);
    fputs(",", to);
    json_spread(to, "first_byte_ms", &r->first);
    fputs("}\n", to);
    return KT_EXIT_OK;
}

static int run(int argc, char **argv)
{
    const char *token = getenv("KT_GATEWAY_TOKEN");
    KT_CLEANUP(command_free)
    struct command c = {.o = {.target = "http://localhost:41002",
                              .model = "gpt-4o-mini",
                              .requests = 100,
                              .concurrency = 10,
                              .token = token && *token ? token : NULL}};
    int status = 0;
    for (int i = 1; i < argc && status == 0; i++) {
        if (strcmp(argv[i], "--stream") == 0)
            c.o.stream = true;
        else
            status = valued(&c, argc, argv, &i);
    }
    if (status == 0)
        status = set_url(&c.o);
    if (status == 0)
        status = set_body(&c);
    if (status != 0)
        return status;
    if (c.o.token && strlen(c.o.token) > 1024)
        return kt_usage_error(&kt_cmd_bench, "KT_GATEWAY_TOKEN has more than 1024 bytes");
    c.o.progress = isatty(STDERR_FILENO);
    static struct bench_result result;
    if (!kt_is_ok(bench_run(&c.o, &result))) {
        fputs("kt bench: libcurl cannot be set up\n", stderr);
        return KT_EXIT_USAGE;
    }
    struct job j = {&c, &result};
    if (c.output && strcmp(c.output, "-") == 0)
        status = write_json(&j, stdout);
    else
        print_table(&c, &result);
    if (c.output && strcmp(c.output, "-") != 0)
        status = kt_outfile_write(c.output, write_json, &j, "bench");
    return status ? status : result.done > result.good || result.done == 0 ? KT_EXIT_POLICY : KT_EXIT_OK;
}

const struct kt_command kt_cmd_bench = {
    .name = "bench",
    .summary = "call a gateway or an OpenAI-compatible endpoint many times and say what it took",
    .usage =
        "usage: kt bench [--target URL] [--requests N] [--concurrency N] [--duration T] [--model M]\n"
        "                [--prompt-file F] [--stream] [--ca-file F] [--output F]\n\n"
        "Makes chat completions and prints calls per second and latencies. Every call is a real one: with a\n"
        "provider as the target it is billed.\n\n"
        "  --target URL     default http://localhost:41002; /v1/chat/completions is added to a bare address\n"
        "  --requests N     calls in all, default 100\n"
        "  --concurrency N  at once, default 10, at most 1000\n"
        "  --duration T     for so long (30s, 2m) instead of --requests\n"
        "  --model M        default gpt-4o-mini\n"
        "  --prompt-file F  the user's message, at most 4 MiB; default: one short question\n"
        "  --stream         as streams; first byte is then the time to the first token\n"
        "  --ca-file F      trust this CA (PEM) for https\n"
        "  --output F       the result as JSON; - for stdout, instead of the table\n\n"
        "KT_GATEWAY_TOKEN, where set, goes along as the bearer token. A bar shows the progress on a "
        "terminal.\n\n"
        "exit status: 0 all calls were answered with 2xx, 1 some were not, 2 usage\n",
    .run = run,
};
