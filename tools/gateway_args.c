/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gateway_args.h"

#include "interceptor/gateway/kt_gateway.h"
#include "policyengine/base/kt_io.h"
#include "tools/wrap_env.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_FILE_BYTES (1u << 20)
#define TOKEN_MIN 8u /* shorter ones are guessed */
#define THREADS_DEFAULT_MAX 8
#define CONCURRENCY_DEFAULT 1024u
#define PATHS_MAX (64u << 10)

static int number(const struct kt_command *c, const char *name, const char *text, unsigned min, unsigned max,
                  unsigned *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || n < min || n > max)
        return kt_usage_error(c, "%s wants a number from %u to %u, not '%.40s'", name, min, max, text);
    *out = (unsigned)n;
    return KT_EXIT_OK;
}

/* Never names the token. */
static int add_token(const struct kt_command *c, struct gateway_args *a, const char *from, const char *token)
{
    if (strlen(token) < TOKEN_MIN ||
        token[strspn(token, "!#$%&'*+-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ["
                            "]^_`abcdefghijklmnopqrstuvwxyz{|}~")])
        return kt_usage_error(c, "%s: a token has at least %u visible ASCII characters and no space", from,
                              TOKEN_MIN);
    return kt_strings_add(&a->tokens, token).code == KT_OK ? KT_EXIT_OK : KT_EXIT_USAGE;
}

static int read_tokens(const struct kt_command *c, struct gateway_args *a, const char *path)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf text = KT_BUF_INIT(TOKEN_FILE_BYTES);
    size_t before = a->tokens.count, line = 0;
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || kt_read_to_end(fd, &text).code != KT_OK)
        return kt_usage_error(c, "--api-token-file %s cannot be read: %s", path, strerror(errno));
    char *rest = text.data ? text.data : NULL;
    while (rest && *rest) {
        size_t n = strcspn(rest, "\n");
        char *next = rest[n] ? rest + n + 1 : rest + n;
        rest[n] = '\0';
        while (n && (rest[n - 1] == '\r' || rest[n - 1] == ' '))
            rest[--n] = '\0';
        line++;
        if (n && *rest != '#') {
            char from[PATH_MAX + 24];
            snprintf(from, sizeof from, "%s:%zu", path, line);
            int status = add_token(c, a, from, rest);
            if (status)
                return status;
        }
        rest = next;
    }
    return a->tokens.count > before ? KT_EXIT_OK
                                    : kt_usage_error(c, "--api-token-file %s holds no token", path);
}

/* -1 where it is no option with a value. */
static int set(const struct kt_command *c, struct gateway_args *a, const char *name, const char *v)
{
    const struct {
        const char *name, **to;
    } texts[] = {{"--listen", &a->listen},       {"--tls-cert", &a->tls_cert},
                 {"--tls-key", &a->tls_key},     {"--fail-mode", &a->fail_mode},
                 {"--port-file", &a->port_file}, {"--state-dir", &a->state_dir}};
    const struct {
        const char *name;
        unsigned min, max, *to;
    } numbers[] = {{"--threads", 1, KT_GATEWAY_MAX_THREADS, &a->threads},
                   {"--max-concurrency", 1, 1000000, &a->max_concurrency},
                   {"--drain-seconds", 0, 86400, &a->drain_seconds}};
    for (size_t i = 0; i < KT_COUNT(texts); i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].to = v;
            return KT_EXIT_OK;
        }
    for (size_t i = 0; i < KT_COUNT(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return number(c, name, v, numbers[i].min, numbers[i].max, numbers[i].to);
    if (strcmp(name, "--api-token") == 0)
        return add_token(c, a, name, v);
    if (strcmp(name, "--api-token-file") == 0)
        return read_tokens(c, a, v);
    if (strcmp(name, "--policy-config") == 0)
        return kt_strings_add(&a->files, v).code == KT_OK ? KT_EXIT_OK : KT_EXIT_USAGE;
    return -1;
}

static int parse_all(const struct kt_command *c, struct gateway_args *a, int argc, char **argv)
{
    static const char *const names[] = {"--listen",         "--tls-cert",        "--tls-key",
                                        "--fail-mode",      "--port-file",       "--state-dir",
                                        "--threads",        "--max-concurrency", "--api-token",
                                        "--api-token-file", "--policy-config",   "--drain-seconds"};
    for (int i = 1; i < argc; i++) {
        const char *v = NULL, *name = NULL;
        bool missing = false;
        for (size_t k = 0; !v && !missing && k < KT_COUNT(names); k++) {
            name = names[k];
            v = kt_option_value(name, argc, argv, &i, &missing);
        }
        if (missing)
            return kt_usage_error(c, "%s needs a value", name);
        if (!v)
            return kt_usage_error(c, "unknown option '%s'", argv[i]);
        int status = set(c, a, name, v);
        if (status)
            return status;
    }
    return KT_EXIT_OK;
}

static unsigned cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX : (unsigned)n;
}

static kt_result join_files(const struct kt_command *c, struct gateway_args *a)
{
    a->config_paths = (struct kt_buf)KT_BUF_INIT(PATHS_MAX);
    if (!a->files.count)
        return kt_find_configs(c->name, &a->files, &a->config_paths);
    for (size_t i = 0; i < a->files.count; i++)
        KT_GUARD(kt_buf_printf(&a->config_paths, "%s%s", i ? ":" : "", a->files.items[i]));
    return kt_ok();
}

static int settle(const struct kt_command *c, struct gateway_args *a)
{
    const char *token = getenv("KT_GATEWAY_TOKEN");
    if (token && *token) {
        int status = add_token(c, a, "KT_GATEWAY_TOKEN", token);
        if (status)
            return status;
    }
    if (a->fail_mode && strcmp(a->fail_mode, "block") != 0 && strcmp(a->fail_mode, "allow") != 0)
        return kt_usage_error(c, "--fail-mode takes block or allow, not '%.40s'", a->fail_mode);
    if (!a->tls_cert != !a->tls_key)
        return kt_usage_error(c, "--tls-cert and --tls-key go together");
    for (size_t i = 0; i < a->files.count; i++)
        if (!*a->files.items[i] || strchr(a->files.items[i], ':'))
            return kt_usage_error(c, "--policy-config '%s': a path with ':' cannot be used",
                                  a->files.items[i]);
    kt_result joined = join_files(c, a);
    if (joined.code == KT_ERR_USAGE)
        return KT_EXIT_USAGE; /* that has been said */
    if (joined.code != KT_OK)
        return kt_usage_error(c, "the paths of the policy config are too long");
    if (!a->config_paths.len)
        return kt_usage_error(c, "no policy config: give --policy-config F, or make one with 'kt init'");
    return KT_EXIT_OK;
}

int gateway_args_parse(const struct kt_command *c, struct gateway_args *a, int argc, char **argv)
{
    a->listen = "127.0.0.1:8080";
    a->threads = cpus();
    a->max_concurrency = CONCURRENCY_DEFAULT;
    a->drain_seconds = 30;
    int status = parse_all(c, a, argc, argv);
    return status ? status : settle(c, a);
}

void gateway_args_free(struct gateway_args *a)
{
    for (size_t i = 0; i < a->tokens.count; i++)
        kt_wipe(a->tokens.items[i], strlen(a->tokens.items[i]));
    kt_strings_free(&a->tokens);
    kt_strings_free(&a->files);
    kt_buf_free(&a->config_paths);
}
