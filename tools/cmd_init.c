/* SPDX-License-Identifier: Apache-2.0 */
/* kt init: a config to start from. */
#include "policyengine/base/kt_io.h"
#include "tools/init_templates.h"
#include "tools/kt.h"
#include "tools/kt_outfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct kt_command kt_cmd_init;

#define CONFIG_MAX (1u << 20)

struct init {
    const char *template, *hosts, *output;
    bool force, list;
};

static int parse_one(struct init *o, int argc, char **argv, int *i)
{
    struct {
        const char *name, **to;
    } valued[] = {{"--template", &o->template}, {"--hosts", &o->hosts}, {"--output", &o->output}};
    for (size_t k = 0; k < KT_COUNT(valued); k++) {
        size_t n = strlen(valued[k].name);
        bool joined = strncmp(argv[*i], valued[k].name, n) == 0 && argv[*i][n] == '=';
        if (!joined && strcmp(argv[*i], valued[k].name) != 0)
            continue;
        if (!joined && *i + 1 == argc)
            return kt_usage_error(&kt_cmd_init, "%s needs a value", argv[*i]);
        *valued[k].to = joined ? argv[*i] + n + 1 : argv[++*i];
        return **valued[k].to ? 0 : kt_usage_error(&kt_cmd_init, "%s needs a value", valued[k].name);
    }
    if (strcmp(argv[*i], "--force") == 0)
        o->force = true;
    else if (strcmp(argv[*i], "--list") == 0)
        o->list = true;
    else
        return kt_usage_error(&kt_cmd_init, "unknown option '%s'", argv[*i]);
    return 0;
}

static const struct kt_template *find_template(const char *name)
{
    for (size_t i = 0; i < kt_template_count; i++)
        if (strcmp(kt_templates[i].name, name) == 0)
            return &kt_templates[i];
    return NULL;
}

static int list_templates(void)
{
    for (size_t i = 0; i < kt_template_count; i++)
        puts(kt_templates[i].name);
    return KT_EXIT_OK;
}

/* Names, "*.suffix" and IP addresses; what else a host may not be is for lint to say. */
static bool host_like(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(".-_*:", s[i]))
            return false;
    return n > 0 && n < 256;
}

static int put_hosts(struct kt_buf *out, const char *hosts)
{
    bool ok =
        kt_is_ok(kt_buf_puts(out, "  hosts: # whose calls are captured, instead of the known providers\n"));
    while (ok) {
        size_t n = strcspn(hosts, ",");
        if (!host_like(hosts, n))
            return kt_usage_error(&kt_cmd_init, "--hosts wants names separated by commas, not '%.*s'", (int)n,
                                  hosts);
        ok = kt_is_ok(kt_buf_printf(out, "    - \"%.*s\"\n", (int)n, hosts));
        if (!hosts[n])
            break;
        hosts += n + 1;
    }
    return ok ? 0 : kt_usage_error(&kt_cmd_init, "--hosts is too long");
}

/* Into the template's own `intercept:` block where it has one. */
static int compose(const struct init *o, const struct kt_template *t, struct kt_buf *out)
{
    static const char block[] = "\nintercept:\n";
    const char *at = o->hosts ? strstr(t->text, block) : NULL;
    size_t head = at ? (size_t)(at - t->text) + strlen(block) : t->len;
    bool ok = kt_is_ok(kt_buf_append(out, t->text, head));
    if (ok && o->hosts && !at)
        ok = kt_is_ok(kt_buf_puts(out, block));
    int status = ok && o->hosts ? put_hosts(out, o->hosts) : 0;
    if (status == 0 && !(ok && kt_is_ok(kt_buf_append(out, t->text + head, t->len - head))))
        status = kt_usage_error(&kt_cmd_init, "the config grows too large");
    return status;
}

/* Whole before it has its name; link never overwrites, rename does. */
static int store(const struct init *o, const struct kt_buf *text)
{
    KT_CLEANUP(kt_cleanup_free) char *temp = NULL;
    if (asprintf(&temp, "%s.part-XXXXXX", o->output) < 0) {
        temp = NULL;
        return KT_EXIT_USAGE;
    }
    int fd = mkostemp(temp, O_CLOEXEC);
    bool ok = fd >= 0 && kt_is_ok(kt_write_all(fd, text->data, text->len)) && fchmod(fd, 0644) == 0;
    ok = (fd < 0 || close(fd) == 0) && ok;
    ok = ok && (o->force ? rename(temp, o->output) : link(temp, o->output)) == 0;
    int cause = errno;
    if (fd >= 0)
        unlink(temp);
    if (ok)
        return 0;
    if (cause == EEXIST)
        return kt_usage_error(&kt_cmd_init,
                              "%s is there already; --force replaces it, --output names another", o->output);
    fprintf(stderr, "kt init: cannot write %s: %s\n", o->output, strerror(cause));
    return KT_EXIT_USAGE;
}

static int put_text(void *arg, FILE *to)
{
    const struct kt_buf *text = arg;
    fwrite(text->data, 1, text->len, to);
    return KT_EXIT_OK;
}

static int write_config(const struct init *o, struct kt_buf *text)
{
    if (strcmp(o->output, "-") == 0 || (o->force && kt_outfile_is_special(o->output)))
        return kt_outfile_write(o->output, put_text, text, "init");
    int status = store(o, text);
    if (status == 0)
        printf(
            "wrote %s\n\nnext:\n  kt policy lint --file %s\n  kt wrap --policy-config %s -- your-program\n",
            o->output, o->output, o->output);
    return status;
}

static int run(int argc, char **argv)
{
    struct init o = {.template = "default", .output = "policy-config.yaml"};
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(CONFIG_MAX);
    int status = 0;
    for (int i = 1; i < argc && status == 0; i++)
        status = parse_one(&o, argc, argv, &i);
    if (status != 0)
        return status;
    if (o.list)
        return list_templates();
    const struct kt_template *t = find_template(o.template);
    if (!t)
        return kt_usage_error(&kt_cmd_init, "no template '%s'; 'kt init --list' shows them", o.template);
    status = compose(&o, t, &text);
    return status ? status : write_config(&o, &text);
}

const struct kt_command kt_cmd_init = {
    .name = "init",
    .summary = "write a commented policy-config.yaml to start from",
    .usage =
        "usage: kt init [--template NAME] [--hosts A,B] [--output F] [--force]\n"
        "       kt init --list\n\n"
        "Writes a commented config and says the next command. An existing file stays as it is.\n\n"
        "  --template NAME  which one; 'default' without it\n"
        "  --list           the names of the templates\n"
        "  --hosts A,B      the hosts whose calls are captured: names, *.suffix, IP addresses; default:\n"
        "                   the known providers\n"
        "  --output F       default ./policy-config.yaml; - for stdout\n"
        "  --force          replace an existing file\n\n"
        "exit status: 0 ok, 2 a wrong option, or the file is there or cannot be written.\n",
    .run = run,
};
