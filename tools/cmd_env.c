/* SPDX-License-Identifier: Apache-2.0 */
/* kt env: the variables of a program that `kt wrap` cannot start. */
#include "policyengine/config/kt_diag.h"
#include "tools/kt.h"
#include "tools/wrap_env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct kt_command kt_cmd_env;

#define PATHS_MAX (64u << 10)

enum form { SHELL, SYSTEMD, DOCKER };

struct env {
    struct kt_strings files;
    struct kt_buf paths;
    enum form form;
    const char *mode, *fail_mode, *state_dir;
    char libkt[PATH_MAX];
    struct kt_paths dirs;
};

static void env_free(struct env *e)
{
    kt_strings_free(&e->files);
    kt_buf_free(&e->paths);
}

static int set_form(struct env *e, const char *v)
{
    static const char *const known[] = {[SHELL] = "shell", [SYSTEMD] = "systemd", [DOCKER] = "docker"};
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (strcmp(v, known[i]) == 0) {
            e->form = (enum form)i;
            return 0;
        }
    return kt_usage_error(&kt_cmd_env, "--format takes shell, systemd or docker, not '%s'", v);
}

static int set_file(struct env *e, const char *v)
{
    if (!*v || strchr(v, ':'))
        return kt_usage_error(&kt_cmd_env, "--policy-config '%s': KT_POLICY_CONFIG separates files by ':'",
                              v);
    return kt_is_ok(kt_strings_add(&e->files, v)) ? 0 : KT_EXIT_USAGE;
}

static int set_mode(struct env *e, const char *v)
{
    e->mode = v;
    return 0;
}

static int set_fail_mode(struct env *e, const char *v)
{
    e->fail_mode = v;
    return 0;
}

static int set_state_dir(struct env *e, const char *v)
{
    e->state_dir = v;
    return *v ? 0 : kt_usage_error(&kt_cmd_env, "--state-dir wants a folder");
}

static const struct {
    const char *name;
    int (*set)(struct env *e, const char *v);
} options[] = {{"--format", set_form},
               {"--policy-config", set_file},
               {"--mode", set_mode},
               {"--fail-mode", set_fail_mode},
               {"--state-dir", set_state_dir}};

static int parse_one(struct env *e, int argc, char **argv, int *i)
{
    for (size_t k = 0; k < KT_COUNT(options); k++) {
        size_t n = strlen(options[k].name);
        if (strncmp(argv[*i], options[k].name, n) != 0)
            continue;
        if (argv[*i][n] == '=')
            return options[k].set(e, argv[*i] + n + 1);
        if (argv[*i][n] != '\0')
            continue;
        if (*i + 1 == argc)
            return kt_usage_error(&kt_cmd_env, "%s needs a value", argv[*i]);
        return options[k].set(e, argv[++*i]);
    }
    return kt_usage_error(&kt_cmd_env, "unknown option '%s'", argv[*i]);
}

static int one_of(const char *name, const char *value, const char *a, const char *b)
{
    if (strcmp(value, a) == 0 || strcmp(value, b) == 0)
        return 0;
    return kt_usage_error(&kt_cmd_env, "%s takes %s or %s, not '%s'", name, a, b, value);
}

/* Option, then environment, else the config as it is then: as `kt wrap` does. */
static int settle(struct env *e)
{
    e->mode = kt_option_or_env(e->mode, "KT_MODE");
    e->fail_mode = kt_option_or_env(e->fail_mode, "KT_FAIL_MODE");
    int status = e->mode ? one_of("--mode", e->mode, "enforce", "observe") : 0;
    return status || !e->fail_mode ? status : one_of("--fail-mode", e->fail_mode, "block", "allow");
}

static void print_diags(const struct kt_diags *diags)
{
    for (size_t i = 0; i < diags->count; i++) {
        KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(PATHS_MAX);
        if (kt_is_ok(kt_diag_format(&diags->items[i], &line)))
            fprintf(stderr, "%s\n", line.data);
    }
}

/* A service that starts with a broken config is found out by its first call; here a person reads it. */
static int read_config(struct env *e)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {NULL, 0, 0};
    struct kt_config *config = NULL;
    kt_result r = kt_find_configs("env", &e->files, &e->paths);
    if (r.code != KT_OK)
        return r.code == KT_ERR_USAGE ? KT_EXIT_USAGE
                                      : kt_usage_error(&kt_cmd_env, "the list of config files is too long");
    r = e->files.count ? kt_config_load((const char *const *)e->files.items, e->files.count, &config, &diags)
                       : kt_config_default(&config);
    print_diags(&diags);
    int status =
        r.code == KT_OK ? settle(e) : kt_usage_error(&kt_cmd_env, "the policy config cannot be used");
    if (status == 0 && e->files.count == 0)
        fputs("kt env: no policy config (--policy-config, KT_POLICY_CONFIG or ./policy-config.yaml): calls "
              "will go to their origin and only be audited\n",
              stderr);
    kt_config_free(config);
    return status;
}

static bool find_lib(struct env *e)
{
    char given[PATH_MAX];
    struct kt_error err = {KT_OK, ""};
    bool found = kt_find_libkt(given, &err);
    if (found && given[0] == '/')
        snprintf(e->libkt, sizeof e->libkt, "%s", given);
    else if (found && (!realpath(given, e->libkt) || strpbrk(e->libkt, " :")))
        found = kt_is_ok(kt_fail(&err, KT_ERR_USAGE,
                                 "LD_PRELOAD cannot name '%.300s': it separates files by spaces and colons",
                                 e->libkt));
    if (!found || !kt_try_engine(e->libkt, &err))
        fprintf(stderr, "kt env: %s\n", err.text);
    return !err.text[0];
}

static kt_result put_escaped(struct kt_buf *out, enum form form, const char *v)
{
    for (; *v; v++) {
        if (form == SHELL && *v == '\'')
            KT_GUARD(kt_buf_puts(out, "'\\'"));
        if (form == SYSTEMD && strchr("\\\"", *v))
            KT_GUARD(kt_buf_puts(out, "\\"));
        if (form == SYSTEMD && *v == '%') /* else a specifier */
            KT_GUARD(kt_buf_puts(out, "%"));
        KT_GUARD(kt_buf_append(out, v, 1));
    }
    return kt_ok();
}

static kt_result put(struct kt_buf *out, enum form form, const char *name, const char *v)
{
    static const char *const before[] = {"export %s='", "Environment=\"%s=", "%s="};
    /* What the shell preloads already stays, behind ours. */
    static const char keep[] = "'\"${LD_PRELOAD:+:$LD_PRELOAD}\"\n";
    bool shell_preload = form == SHELL && strcmp(name, "LD_PRELOAD") == 0;
    static const char *const after[] = {"'\n", "\"\n", "\n"};
    for (const char *at = before[form]; *at; at++) {
        if (*at == '%')
            KT_GUARD(kt_buf_puts(out, name));
        else if (at == before[form] || at[-1] != '%')
            KT_GUARD(kt_buf_append(out, at, 1));
    }
    KT_GUARD(put_escaped(out, form, v));
    return kt_buf_puts(out, shell_preload ? keep : after[form]);
}

static kt_result put_all(struct kt_buf *out, const struct env *e)
{
    if (e->form == SYSTEMD)
        KT_GUARD(kt_buf_puts(out, "[Service]\n"));
    if (e->form == DOCKER)
        KT_GUARD(kt_buf_puts(
            out, "# For docker run --env-file: libkt.so and the folder of its engine, the configs "
                 "and the state folder\n# must be mounted at these very paths.\n"));
    KT_GUARD(put(out, e->form, "LD_PRELOAD", e->libkt));
    if (e->paths.len)
        KT_GUARD(put(out, e->form, "KT_POLICY_CONFIG", e->paths.data));
    KT_GUARD(put(out, e->form, "KT_STATE_DIR", e->dirs.state_dir));
    if (e->mode)
        KT_GUARD(put(out, e->form, "KT_MODE", e->mode));
    return e->fail_mode ? put(out, e->form, "KT_FAIL_MODE", e->fail_mode) : kt_ok();
}

/* No format has a safe form of them all. */
static bool printable(const char *v)
{
    for (; *v; v++)
        if ((unsigned char)*v < 0x20 || *v == 0x7F)
            return false;
    return true;
}

static int run(int argc, char **argv)
{
    KT_CLEANUP(env_free) struct env e = {.paths = KT_BUF_INIT(PATHS_MAX)};
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(1u << 20);
    struct kt_error err = {KT_OK, ""};
    int status = 0;
    for (int i = 1; i < argc && status == 0; i++)
        status = parse_one(&e, argc, argv, &i);
    if (status == 0)
        status = read_config(&e);
    if (status == 0 && !find_lib(&e))
        status = KT_EXIT_USAGE;
    if (status != 0)
        return status;
    if (!kt_is_ok(kt_paths_resolve(e.state_dir, &e.dirs, &err)))
        return kt_usage_error(&kt_cmd_env, "%s", err.text);
    if (!printable(e.libkt) || !printable(e.dirs.state_dir) || (e.paths.len && !printable(e.paths.data)))
        return kt_usage_error(&kt_cmd_env, "a path holds a line break or another control character");
    if (!kt_is_ok(put_all(&out, &e)))
        return kt_usage_error(&kt_cmd_env, "the paths are too long");
    fwrite(out.data, 1, out.len, stdout);
    return KT_EXIT_OK; /* whether that was written is seen at the end of kt */
}

const struct kt_command kt_cmd_env = {
    .name = "env",
    .summary = "print the variables for services that 'kt wrap' cannot start",
    .usage =
        "usage: kt env [--format shell|systemd|docker] [--policy-config F]... [--mode observe|enforce]\n"
        "              [--fail-mode block|allow] [--state-dir D]\n\n"
        "Prints LD_PRELOAD, KT_POLICY_CONFIG and KT_STATE_DIR, and KT_MODE and KT_FAIL_MODE where they are\n"
        "given, all paths absolute, for programs whose start belongs to somebody else. The config is "
        "checked\n"
        "first.\n\n"
        "  --format shell     eval \"$(kt env)\" (default); what LD_PRELOAD holds already is kept\n"
        "  --format systemd   a drop-in: kt env --format systemd > /etc/systemd/system/X.service.d/kt.conf,\n"
        "                     then systemctl daemon-reload; the user of the service needs the state folder\n"
        "  --format docker    a file for docker run --env-file; mount the named paths\n"
        "  --policy-config F  as for 'kt wrap': may be repeated; default KT_POLICY_CONFIG, then\n"
        "                     ./policy-config.yaml, then none (audit only)\n"
        "  --mode M           enforce or observe; default KT_MODE, then the config's, whenever it changes\n"
        "  --fail-mode M      block or allow; default KT_FAIL_MODE, then the config's, whenever it changes\n"
        "  --state-dir D      default KT_STATE_DIR, $XDG_STATE_HOME/kt, ~/.local/state/kt\n\n"
        "'kt wrap' does more: it also sets up trust for programs with a TLS stack of their own.\n\n"
        "exit status: 0 ok, 2 a wrong option, a broken config, or no libkt.so.\n",
    .run = run,
};
