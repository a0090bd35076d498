/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/plan/kt_plan.h"
#include "policyengine/audit/kt_audit.h"
#include "policyengine/base/kt_log.h"
#include "policyengine/chain/kt_chain.h"
#include "policyengine/chain/kt_chain_check.h"
#include "policyengine/detect/kt_pattern_cache.h"
#include "tools/kt.h"
#include "tools/report.h"
#include "tools/wrap_env.h"
#include "tools/wrap_keeper.h"
#include "tools/wrap_report.h"
#include "tools/wrap_run.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct kt_command kt_cmd_wrap;

#define WRAP_FAILED 125
#define PATHS_MAX (64u << 10)

struct wrap {
    struct kt_strings files;
    const char *mode, *fail_mode, *state_dir;
    char **command, *word; /* of the command line; argv[0] */
    struct kt_config *config;
    struct kt_paths paths;
    struct kt_plan_made plan;
    struct wrap_report report;
    struct wrap_guard guard;
    struct kt_buf config_paths;
    char libkt[PATH_MAX];
    char program[PATH_MAX];
    bool help;              /* asked for */
    void (*file_size)(int); /* what SIGXFSZ did */
};

static void wrap_free(struct wrap *w)
{
    kt_strings_free(&w->files);
    kt_config_free(w->config);
    kt_buf_free(&w->config_paths);
}

static int one_of(const char *option, const char *value, const char *a, const char *b)
{
    if (value && (strcmp(value, a) == 0 || strcmp(value, b) == 0))
        return KT_EXIT_OK;
    return kt_usage_error(&kt_cmd_wrap, "%s takes %s or %s, not '%s'", option, a, b, value ? value : "");
}

/* *took: argv[*i] is an option with a value, which is stored. Returns the exit status. */
static int valued(struct wrap *w, int argc, char **argv, int *i, bool *took)
{
    struct {
        const char *name, **to;
    } all[] = {{"--mode", &w->mode},
               {"--fail-mode", &w->fail_mode},
               {"--state-dir", &w->state_dir},
               {"--report-dir", &w->report.dir}};
    bool missing = false;
    const char *name = argv[*i], *v = kt_option_value("--policy-config", argc, argv, i, &missing);
    if ((*took = v != NULL))
        return kt_is_ok(kt_strings_add(&w->files, v)) ? KT_EXIT_OK : WRAP_FAILED;
    if (!missing && (*took = (v = kt_option_value("--fail-on", argc, argv, i, &missing)) != NULL))
        wrap_report_rule(&w->report, v);
    for (size_t k = 0; k < KT_COUNT(all) && !missing && !*took; k++)
        if ((*took = (v = kt_option_value(all[k].name, argc, argv, i, &missing)) != NULL)) {
            if (*all[k].to)
                return kt_option_twice(&kt_cmd_wrap, all[k].name);
            *all[k].to = v;
        }
    return missing ? kt_usage_error(&kt_cmd_wrap, "%s needs a value", name) : KT_EXIT_OK;
}

static int parse(struct wrap *w, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        bool took = false;
        const char *name = argv[i];
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (kt_is_help(argv[i])) {
            w->help = true;
            return 0;
        }
        if (wrap_guard_option(&w->guard, argv[i]))
            continue;
        int status = valued(w, argc, argv, &i, &took);
        if (status != KT_EXIT_OK)
            return status;
        if (!took)
            return kt_usage_error(&kt_cmd_wrap, "unknown option '%s'", name);
    }
    if (w->mode && one_of("--mode", w->mode, "enforce", "observe") != KT_EXIT_OK)
        return KT_EXIT_USAGE;
    if (w->fail_mode && one_of("--fail-mode", w->fail_mode, "block", "allow") != KT_EXIT_OK)
        return KT_EXIT_USAGE;
    if (i >= argc)
        return kt_usage_error(&kt_cmd_wrap, "no program given: kt wrap [options] -- PROGRAM [ARGUMENTS]");
    w->command = argv + i;
    if (w->guard.strict && w->guard.off)
        return kt_usage_error(&kt_cmd_wrap, "--strict needs the supervisor that --no-supervise switches off");
    return KT_EXIT_OK;
}

static void print_diags(const struct kt_diags *diags)
{
    for (size_t i = 0; i < diags->count; i++) {
        KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(PATHS_MAX);
        if (kt_is_ok(kt_diag_format(&diags->items[i], &line)))
            fprintf(stderr, "%s\n", line.data);
    }
}

static void warn_missing_keys(const struct kt_config *c)
{
    for (size_t i = 0; i < c->providers.target_count; i++) {
        struct kt_error err = {KT_OK, ""};
        char *secret = NULL;
        if (c->providers.targets[i].secret_key_ref.command)
            continue; /* runs once, in the program that needs the key */
        if (!kt_is_ok(kt_secret_resolve(&c->providers.targets[i], &secret, &err)))
            fprintf(stderr, "kt wrap: target '%s' is not available: %s\n", c->providers.targets[i].id,
                    err.text);
        kt_free_secret(secret);
    }
}

/* Where making the chain leaves compiled patterns for the child. A folder that cannot be had is
 * prepare_state's to report. */
static void open_pattern_cache(const struct wrap *w)
{
    struct kt_paths paths;
    struct kt_error err = {KT_OK, ""};
    if (kt_is_ok(kt_paths_resolve(w->state_dir, &paths, &err)) &&
        kt_is_ok(kt_make_private_dir(paths.state_dir, &err)))
        kt_pattern_cache_open(paths.state_dir, true);
}

/* A policy that says no to its options is asked once more, for the place where they stand. */
static bool chain_can_be_made(const struct kt_config *config)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {NULL, 0, 0};
    struct kt_error err = {KT_OK, ""};
    struct kt_chain *chain = NULL;
    if (kt_is_ok(kt_chain_new(config, &chain, &err))) {
        kt_chain_free(chain);
        return true;
    }
    if (kt_is_ok(kt_chain_check_files(config, false, &diags)) && kt_diags_errors(&diags)) {
        print_diags(&diags);
        fputs("kt wrap: the policy config cannot be used; nothing was started\n", stderr);
    } else {
        fprintf(stderr, "kt wrap: %s\n", err.text);
    }
    return false;
}

/* Everything that a program could only learn from its first call is checked here, where a person reads it. */
static int load_config(struct wrap *w)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {NULL, 0, 0};
    kt_result r = kt_find_configs("wrap", &w->files, &w->config_paths);
    if (r.code != KT_OK)
        return r.code == KT_ERR_USAGE ? KT_EXIT_USAGE : WRAP_FAILED;
    if (w->files.count == 0) {
        fputs("kt wrap: no policy config (--policy-config, KT_POLICY_CONFIG or ./policy-config.yaml): calls "
              "go to their "
              "origin and are only audited\n",
              stderr);
        return kt_is_ok(kt_config_default(&w->config)) ? KT_EXIT_OK : WRAP_FAILED;
    }
    r = kt_config_load((const char *const *)w->files.items, w->files.count, &w->config, &diags);
    print_diags(&diags);
    if (r.code != KT_OK) {
        fputs("kt wrap: the policy config cannot be used; nothing was started\n", stderr);
        return KT_EXIT_USAGE;
    }
    open_pattern_cache(w);
    if (!chain_can_be_made(w->config))
        return KT_EXIT_USAGE;
    warn_missing_keys(w->config);
    return KT_EXIT_OK;
}

/* Option, then environment; NULL where the config decides, which may change while the program runs. */
static int settle_modes(struct wrap *w)
{
    w->mode = kt_option_or_env(w->mode, "KT_MODE");
    w->fail_mode = kt_option_or_env(w->fail_mode, "KT_FAIL_MODE");
    if (w->mode && one_of("KT_MODE", w->mode, "enforce", "observe") != KT_EXIT_OK)
        return KT_EXIT_USAGE;
    return w->fail_mode ? one_of("KT_FAIL_MODE", w->fail_mode, "block", "allow") : KT_EXIT_OK;
}

static bool fails_open(const struct wrap *w)
{
    return w->fail_mode ? strcmp(w->fail_mode, "allow") == 0 : w->config->fail_mode == KT_FAIL_ALLOW;
}

static int prepare_state(struct wrap *w)
{
    struct kt_error err = {KT_OK, ""};
    if (!kt_is_ok(kt_paths_resolve(w->state_dir, &w->paths, &err))) {
        fprintf(stderr, "kt wrap: %s\n", err.text);
        return WRAP_FAILED;
    }
    struct kt_audit *audit = NULL;
    kt_result r = kt_make_private_dir(w->paths.state_dir, &err);
    if (r.code == KT_OK)
        r = kt_audit_open(w->paths.state_dir, 0, &audit, &err);
    kt_audit_free(audit);
    if (r.code != KT_OK) {
        bool block = !fails_open(w);
        fprintf(stderr, "kt wrap: no audit events can be written: %s\n", err.text);
        fprintf(
            stderr,
            block ? "kt wrap: choose another folder with --state-dir, or --fail-mode allow to go on without\n"
                  : "kt wrap: going on without, as --fail-mode allow says\n");
        if (block)
            return WRAP_FAILED;
    }
    if (!kt_is_ok(kt_plan_make(w->config, w->config_paths.data ? w->config_paths.data : "", w->mode,
                               w->fail_mode, &w->paths, true, &w->plan, &err))) {
        fprintf(stderr, "kt wrap: %s\n", err.text);
        return WRAP_FAILED;
    }
    return KT_EXIT_OK;
}

static void warn_rights(const struct wrap *w)
{
    if (!kt_program_gives_rights(w->program))
        return;
    fprintf(stderr,
            w->guard.off ? "kt wrap: %s is setuid, setgid or has capabilities: with the rights that it "
                           "gives, it ignores the preload "
                           "and is not seen; wrap what runs inside of it\n"
                         : "kt wrap: %s is setuid, setgid or has capabilities: under kt wrap it gives no "
                           "rights; --no-supervise lets it, "
                           "unseen\n",
            w->program);
}

static int find_libraries(struct wrap *w)
{
    struct kt_error err = {KT_OK, ""};
    if (kt_find_libkt(w->libkt, &err) && kt_try_engine(w->libkt, &err))
        return KT_EXIT_OK;
    fprintf(stderr, "kt wrap: %s; nothing was started\n", err.text);
    return WRAP_FAILED;
}

static bool setup_child(void *arg)
{
    const struct wrap *w = arg;
    signal(SIGXFSZ, w->file_size);
    struct kt_wrap_env env = {w->libkt,
                              w->config_paths.data ? w->config_paths.data : "",
                              w->mode,
                              w->fail_mode,
                              w->paths.state_dir,
                              &w->plan,
                              w->config,
                              w->program,
                              w->report.run};
    if (kt_is_ok(kt_wrap_setenv(&env)) && wrap_guard_setenv(&w->guard))
        return true;
    fputs("kt wrap: out of memory\n", stderr);
    return false;
}

static void remove_plan(void *arg)
{
    struct wrap *w = arg;
    kt_plan_remove(&w->plan);
}

static int run_program(struct wrap *w, int *sig)
{
    const struct wrap_program p = {
        .argv = w->command,
        .word = w->word,
        .setup = setup_child,
        .ended = remove_plan,
        .arg = w,
        .engine = {.config_paths = w->config_paths.data,
                   .mode = w->mode,
                   .fail_mode = w->fail_mode,
                   .state_dir = w->paths.state_dir,
                   .plan = w->plan.path,
                   .trace = getenv("KT_TRACE"),
                   .run = w->report.run,
                   .run_state = getenv("KT_RUN_STATE"),
                   .lane = "supervise"},
    };
    int status = wrap_guard_run(&w->guard, &p, sig);
    if (*sig == SIGSYS) {
        kt_log_open(w->paths.state_dir);
        kt_warn("%s was ended by SIGSYS: a seccomp filter of its own kills for a system call. Where it runs "
                "without kt wrap the call is one of ours, and a filter that denies instead would leave it "
                "alive",
                w->program);
    }
    return wrap_report_finish(&w->report, &p.engine, status);
}

static int run(int argc, char **argv)
{
    KT_CLEANUP(wrap_free) struct wrap w;
    memset(&w, 0, sizeof w);
    w.config_paths.max = PATHS_MAX;
    w.word = argv[0];
    w.file_size = signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error like a full disk */
    int rc = parse(&w, argc, argv);
    if (w.help) {
        fputs(kt_cmd_wrap.usage, stdout);
        return KT_EXIT_OK;
    }
    if (rc == KT_EXIT_OK)
        rc = find_libraries(&w);
    if (rc == KT_EXIT_OK)
        rc = wrap_report_prepare(&w.report);
    if (rc == KT_EXIT_OK)
        rc = load_config(&w);
    if (rc == KT_EXIT_OK)
        rc = settle_modes(&w);
    if (rc == KT_EXIT_OK)
        rc = prepare_state(&w);
    if (rc != KT_EXIT_OK)
        return rc;
    wrap_report_begin(&w.report, w.paths.state_dir);
    kt_find_program(w.command[0], w.program);
    warn_rights(&w);
    kt_wrap_check_trace();
    int sig;
    rc = run_program(&w, &sig);
    if (sig && rc == 128 + sig)
        kt_die_by_signal(sig);
    return rc;
}

const struct kt_command kt_cmd_wrap = {
    .name = "wrap",
    .summary = "run a program with policies and routing on its LLM calls",
    .usage =
        "usage: kt wrap [--policy-config F]... [--mode observe|enforce] [--fail-mode block|allow]\n"
        "               [--fail-on RULE] [--report-dir D] [--state-dir D] [--strict | --no-supervise]\n"
        "               [--] PROGRAM [ARGUMENTS]\n\n"
        "Runs PROGRAM unchanged; its calls to LLM hosts pass the policy chain and the router inside\n"
        "the process. Children of the program are covered too.\n\n"
        "  --policy-config F  the config; may be repeated, later files are layered on top. Default:\n"
        "                     KT_POLICY_CONFIG, then ./policy-config.yaml, then none (audit only)\n"
        "  --mode M           enforce (default) or observe: the chain runs dry, calls go to their origin;\n"
        "                     without it KT_MODE decides, then the config, whenever it changes\n"
        "  --fail-mode M      what happens to LLM calls when ktwrap itself fails: block (default) or allow\n"
        "  --fail-on RULE     exit status 1 where a call of the program, or of its children, broke it: a "
        "list of\n"
        "                     " REPORT_RULES_HELP "; error: it failed; unseen: ktwrap\n"
        "                     could not look into it. Several add up\n"
        "  --report-dir D     at the end, reports of the program's calls: report.html, report.md, "
        "junit.xml,\n"
        "                     report.sarif, report.json\n"
        "  --strict           what cannot be looked into is refused: TCP connects of the tree pass through "
        "kt,\n"
        "                     UDP to port 443, io_uring and 32-bit programs' connects are refused\n"
        "  --no-supervise     do without the seccomp filter, which catches static programs and lost "
        "preloads\n"
        "                     but keeps sudo and other setuid programs from gaining rights\n"
        "  --state-dir D      audit log and plans; default KT_STATE_DIR, $XDG_STATE_HOME/kt,\n"
        "                     ~/.local/state/kt\n\n"
        "exit status: the program's own; by its signal if a signal killed it; 125 when kt wrap itself\n"
        "failed, 126 when PROGRAM cannot be run, 127 when it is not found, 2 for a wrong option or config,\n"
        "1 when --fail-on was broken, whatever the program's own was.\n",
    .run = run,
    .own_help = true,
};
