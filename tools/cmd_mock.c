/* SPDX-License-Identifier: Apache-2.0 */
/* kt mock: a provider on loopback, so that everything runs with no key and no network. */
#include "tools/kt.h"
#include "tools/mock/mock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct kt_command kt_cmd_mock;

struct args {
    struct mock_options o;
    const char *port_file;
};

static struct mock_server *volatile running;

static void on_stop(int sig)
{
    (void)sig;
    if (running)
        mock_server_stop(running);
}

static int set_number(const char *name, const char *text, unsigned max, unsigned *out)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || n > max)
        return kt_usage_error(&kt_cmd_mock, "%s wants a number from 0 to %u, not '%s'", name, max, text);
    *out = (unsigned)n;
    return 0;
}

static int set_dialect(struct args *a, const char *text)
{
    if (strcmp(text, "mistral") != 0 && strcmp(text, "openai") != 0)
        return kt_usage_error(&kt_cmd_mock, "--dialect wants openai or mistral, not '%s'", text);
    a->o.dialect = text[0] == 'o' ? MOCK_OPENAI : MOCK_MISTRAL;
    return 0;
}

static int add_fault(struct args *a, const char *text)
{
    struct kt_error err = {0};
    if (mock_script_add(&a->o.script, text, &err).code != KT_OK)
        return kt_usage_error(&kt_cmd_mock, "--fault: %s", err.text);
    return 0;
}

static int add_marker(struct args *a, const char *text)
{
    struct kt_error err = {0};
    if (mock_moderate_add(&a->o.moderate, text, &err).code != KT_OK)
        return kt_usage_error(&kt_cmd_mock, "--moderate: %s", err.text);
    return 0;
}

static int add_gather(struct args *a, const char *text)
{
    struct kt_error err = {0};
    if (mock_gather_add(&a->o, text, &err).code != KT_OK)
        return kt_usage_error(&kt_cmd_mock, "--gather: %s", err.text);
    return 0;
}

/* -1 where it is no option that takes a value. */
static int set_option(struct args *a, const char *name, const char *v)
{
    const struct {
        const char *name;
        const char **out;
    } texts[] = {{"--listen", &a->o.listen}, {"--port-file", &a->port_file},       {"--ca-out", &a->o.ca_out},
                 {"--record", &a->o.record}, {"--require-key", &a->o.require_key}, {"--text", &a->o.text}};
    const struct {
        const char *name;
        unsigned max, *out;
    } numbers[] = {{"--chunks", MOCK_MAX_CHUNKS, &a->o.chunks},
                   {"--chunk-delay-ms", 3600000, &a->o.chunk_delay_ms},
                   {"--exit-after", 1000000000, &a->o.exit_after}};
    for (size_t i = 0; i < KT_COUNT(texts); i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].out = v;
            return 0;
        }
    for (size_t i = 0; i < KT_COUNT(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return set_number(name, v, numbers[i].max, numbers[i].out);
    if (strcmp(name, "--dialect") == 0)
        return set_dialect(a, v);
    if (strcmp(name, "--fault") == 0)
        return add_fault(a, v);
    if (strcmp(name, "--moderate") == 0)
        return add_marker(a, v);
    if (strcmp(name, "--gather") == 0)
        return add_gather(a, v);
    if (strcmp(name, "--name") == 0)
        return kt_strings_add(&a->o.names, v).code == KT_OK ? 0 : KT_EXIT_USAGE;
    return -1;
}

/* 0, or the exit status to leave with. */
static int parse(struct args *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char name[32];
        const char *equals = strchr(argv[i], '=');
        size_t n = equals && argv[i][0] == '-' ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        if (strcmp(argv[i], "--tls") == 0) {
            a->o.tls = true;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(n < 31 ? n : 31), argv[i]);
        bool joined = argv[i][n] == '=';
        const char *value = joined ? equals + 1 : i + 1 < argc ? argv[i + 1] : NULL;
        int status = set_option(a, name, value ? value : "");
        if (status < 0)
            return kt_usage_error(&kt_cmd_mock, "no option '%s'", argv[i]);
        if (!value)
            return kt_usage_error(&kt_cmd_mock, "%s needs a value", name);
        if (status > 0)
            return status;
        i += !joined;
    }
    if (a->o.ca_out && !a->o.tls)
        return kt_usage_error(&kt_cmd_mock, "--ca-out goes with --tls");
    return 0;
}

/* By rename: who waits for the file never reads half a number. */
static bool write_port(const char *path, int port)
{
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    FILE *f = n > 0 && (size_t)n < sizeof temporary ? fopen(temporary, "we") : NULL;
    if (!f)
        return false;
    bool ok = fprintf(f, "%d\n", port) > 0;
    ok = fclose(f) == 0 && ok && rename(temporary, path) == 0;
    if (!ok)
        unlink(temporary);
    return ok;
}

static int serve(struct args *a)
{
    struct kt_error err = {0};
    struct mock_server *s = NULL;
    struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    if (mock_server_new(&a->o, &s, &err).code != KT_OK) {
        fprintf(stderr, "kt mock: %s\n", err.text);
        return KT_EXIT_USAGE;
    }
    running = s;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    printf("kt mock: listening on %s\n", mock_server_url(s));
    fflush(stdout);
    int status = KT_EXIT_OK;
    if (a->port_file && !write_port(a->port_file, mock_server_port(s))) {
        fprintf(stderr, "kt mock: cannot write %s: %s\n", a->port_file, strerror(errno));
        status = KT_EXIT_USAGE;
    } else {
        mock_server_run(s);
    }
    running = NULL;
    mock_server_free(s);
    return status;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int status = parse(&a, argc, argv);
    if (status == 0)
        status = serve(&a);
    kt_strings_free(&a.o.names);
    kt_strings_free(&a.o.moderate);
    return status;
}

static const char usage[] =
    "usage: kt mock [options]\n"
    "\n"
    "A provider of chat completions on loopback: POST /v1/chat/completions (JSON and stream),\n"
    "/v1/embeddings, Mistral's /v1/fim/completions or OpenAI's /v1/completions, /v1/moderations and\n"
    "GET /v1/models, with Mistral's strictness or OpenAI's tolerance, and faults by script. Its first line "
    "on stdout\n"
    "is 'kt mock: listening on http://127.0.0.1:PORT'. It ends on SIGINT or SIGTERM.\n"
    "\n"
    "where:\n"
    "  --listen HOST:PORT   default 127.0.0.1:0 (a free port)\n"
    "  --port-file F        writes the port there once connections are accepted\n"
    "  --tls                HTTPS, with a CA of its own that lives as long as this process\n"
    "  --ca-out F           writes the CA's certificate there, for clients to trust\n"
    "  --name N             a further name for certificates beside localhost and 127.0.0.1; repeatable\n"
    "\n"
    "what it accepts:\n"
    "  --dialect D          mistral (default): fields that Mistral does not know get its 422, as do bad\n"
    "                       tool-call ids and orders of roles their 400; openai: takes what comes\n"
    "  --require-key K      401 unless 'Authorization: Bearer K'\n"
    "  --record F           appends each request as a line of JSON before it is answered: method, path,\n"
    "                       headers (names in lower case), body, tls, connection\n"
    "\n"
    "what it answers:\n"
    "  --text T             default: a short text that names the model and the number of messages\n"
    "  --chunks N           content events of a stream (default 5); a text with fewer characters is "
    "repeated\n"
    "  --chunk-delay-ms N   pause behind each event of a stream\n"
    "  --exit-after N       ends behind N requests\n"
    "  --moderate W=C       /v1/moderations flags category C (sexual, hate_and_discrimination,\n"
    "                       violence_and_threats, dangerous, criminal, selfharm, health, financial, law,\n"
    "                       pii, jailbreaking) in texts with the word W; C may be an HTTP status (300-599),\n"
    "                       which is then the whole answer. Repeatable\n"
    "  --gather W=N         chat calls with the word W in their body are answered when N of them are there\n"
    "                       (400 after 15 s): proves that a program makes N at once. Repeatable\n"
    "\n"
    "  --fault F            a fault for chat completions; F is a comma list of\n"
    "                         status=N       that status with the provider's error body (300-599)\n"
    "                         retry_after=S  with that header; alone it means status=429\n"
    "                         retry_after_ms=N, retry_date=S  the same in milliseconds, and as a date\n"
    "                         html           200 (or status) with a page of HTML\n"
    "                         delay_ms=N     waits before the first byte\n"
    "                         hang           never answers\n"
    "                         close          closes without an answer\n"
    "                         cut=N          closes behind N events of a stream (the first holds only the\n"
    "                                        role), or in the middle of a JSON answer; with hang: stalls\n"
    "                         skip=N         lets N requests pass first\n"
    "                         count=N        then meets N requests (default: all that follow)\n"
    "                       Repeatable: each begins when the one before has met all its requests, so\n"
    "                       '--fault status=503,count=2' is two failures and then success.\n"
    "\n"
    "exit status: 0 when stopped, 2 usage, or it cannot listen or write its files\n";

const struct kt_command kt_cmd_mock = {
    .name = "mock",
    .summary = "a Mistral- or OpenAI-shaped provider on loopback, with scripted faults",
    .usage = usage,
    .run = run,
};
