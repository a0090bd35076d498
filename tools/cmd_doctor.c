/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_config.h"
#include "tools/doctor.h"
#include "tools/kt.h"
#include "tools/supervise/kt_supervise.h"
#include "tools/wrap_env.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

extern const struct kt_command kt_cmd_doctor;

struct options {
    struct kt_strings files;
    const char *state_dir, *cmd;
    bool json, help;
};

void doctor_add(struct doctor *d, const char *topic, enum doctor_level level, const char *fmt, ...)
{
    if (d->count == DOCTOR_MAX)
        return;
    struct doctor_finding *f = &d->all[d->count++];
    va_list ap;
    va_start(ap, fmt);
    f->topic = topic;
    f->level = level;
    vsnprintf(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
}

/* True where the supervise lane works. */
static bool look_at_machine(struct doctor *d)
{
    struct utsname u;
    char lib[PATH_MAX], yama[8] = "";
    if (uname(&u) == 0)
        doctor_add(d, "machine", DOCTOR_OK, "Linux %s, %s", u.release, u.machine);
    if (kt_find_libkt("doctor", lib))
        doctor_add(d, "machine", DOCTOR_OK, "libkt.so: %.300s", lib);
    else
        doctor_add(d, "machine", DOCTOR_BAD, "libkt.so is not found: nothing can be captured");
    FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (f && fgets(yama, sizeof yama, f))
        doctor_add(d, "machine", yama[0] > '1' ? DOCTOR_NOTE : DOCTOR_OK, "yama ptrace_scope is %c", yama[0]);
    if (f)
        fclose(f);
    const char *why = kt_supervise_probe();
    if (!why)
        doctor_add(d, "machine", DOCTOR_OK,
                   "supervise lane: works. sudo and setuid programs gain no rights under it; --no-supervise");
    else
        doctor_add(d, "machine", DOCTOR_BAD,
                   "supervise lane: %s. Static programs, Go and lost preloads will not be seen", why);
    return !why;
}

static void look_at_state(struct doctor *d, const char *state_dir)
{
    struct kt_paths paths;
    struct kt_error err = {KT_OK, ""};
    struct statfs fs;
    if (!kt_is_ok(kt_paths_resolve(state_dir, &paths, &err)) ||
        !kt_is_ok(kt_make_private_dir(paths.state_dir, &err)) || access(paths.state_dir, W_OK | X_OK) != 0) {
        doctor_add(d, "state", DOCTOR_BAD, "no audit events can be written: %s; choose another --state-dir",
                   err.text[0] ? err.text : strerror(errno));
        return;
    }
    bool remote = statfs(paths.state_dir, &fs) == 0 && (fs.f_type == 0x6969 || fs.f_type == 0xff534d42);
    doctor_add(d, "state", remote ? DOCTOR_NOTE : DOCTOR_OK, "%.300s: writable%s", paths.state_dir,
               remote ? "; on a network file system, where locks of several machines may fail" : "");
}

static void look_at_keys(struct doctor *d, const struct kt_config *c)
{
    for (size_t i = 0; i < c->providers.target_count; i++) {
        struct kt_error err = {KT_OK, ""};
        char *secret = NULL;
        const char *id = c->providers.targets[i].id;
        if (c->providers.targets[i].secret_key_ref.command)
            doctor_add(d, "key", DOCTOR_NOTE, "%.100s: from a command, which was not run", id);
        else if (kt_is_ok(kt_secret_resolve(&c->providers.targets[i], &secret, &err)))
            doctor_add(d, "key", DOCTOR_OK, "%.100s: %s", id, secret ? "present" : "none is wanted");
        else
            doctor_add(d, "key", DOCTOR_BAD, "%.100s: %s", id, err.text);
        kt_free_secret(secret);
    }
}

static void look_at_config(struct doctor *d, struct options *o)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {NULL, 0, 0};
    KT_CLEANUP(kt_buf_free) struct kt_buf paths = KT_BUF_INIT(64u << 10);
    struct kt_config *c = NULL;
    if (!kt_is_ok(kt_find_configs("doctor", &o->files, &paths)))
        return doctor_add(d, "config", DOCTOR_BAD, "its path cannot be used");
    if (o->files.count == 0)
        return doctor_add(d, "config", DOCTOR_NOTE, "none: calls go to their origin and are only audited");
    kt_result r = kt_config_load((const char *const *)o->files.items, o->files.count, &c, &diags);
    if (r.code == KT_OK) {
        doctor_add(d, "config", DOCTOR_OK, "%.300s: %zu targets, %zu intercepted hosts, %zu warnings",
                   paths.data, c->providers.target_count, c->intercept.hosts.count, diags.count);
        look_at_keys(d, c);
        for (size_t i = 0; i < c->intercept.hosts.count; i++)
            d->wildcards = d->wildcards || strchr(c->intercept.hosts.items[i], '*') != NULL;
    } else {
        doctor_add(d, "config", DOCTOR_BAD, "%.300s cannot be used: see kt policy lint", paths.data);
    }
    kt_config_free(c);
}

static const char *const words[] = {"ok", "note", "bad"};

static bool print_json(const struct doctor *d)
{
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "findings");
    for (size_t i = 0; i < d->count; i++) {
        cJSON *f = cJSON_CreateObject();
        cJSON_AddStringToObject(f, "topic", d->all[i].topic);
        cJSON_AddStringToObject(f, "level", words[d->all[i].level]);
        cJSON_AddStringToObject(f, "text", d->all[i].text);
        cJSON_AddItemToArray(list, f);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text)
        puts(text);
    free(text);
    return text != NULL;
}

static int parse(struct options *o, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        bool missing = false;
        const char *name = argv[i], *v;
        if (strcmp(name, "--") == 0) {
            i++;
            break;
        }
        if (kt_is_help(name)) {
            o->help = true;
            return 0;
        }
        if (strcmp(name, "--json") == 0)
            o->json = true;
        else if ((v = kt_option_value("--policy-config", argc, argv, &i, &missing))) {
            if (!kt_is_ok(kt_strings_add(&o->files, v)))
                return KT_EXIT_USAGE;
        } else if (!missing && (v = kt_option_value("--state-dir", argc, argv, &i, &missing)))
            o->state_dir = v;
        else
            return kt_usage_error(&kt_cmd_doctor, missing ? "%s needs a value" : "unknown option '%s'", name);
    }
    o->cmd = i < argc ? argv[i] : NULL; /* its arguments do not matter */
    return KT_EXIT_OK;
}

static int run(int argc, char **argv)
{
    static struct doctor d;
    struct options o;
    memset(&o, 0, sizeof o);
    int rc = parse(&o, argc, argv);
    if (o.help) {
        fputs(kt_cmd_doctor.usage, stdout);
    } else if (rc == KT_EXIT_OK) {
        bool supervised = look_at_machine(&d);
        look_at_state(&d, o.state_dir);
        look_at_config(&d, &o);
        if (o.cmd)
            doctor_program(&d, o.cmd, supervised);
        for (size_t i = 0; i < d.count; i++)
            rc = d.all[i].level == DOCTOR_BAD ? KT_EXIT_POLICY : rc;
        if (o.json && !print_json(&d))
            rc = KT_EXIT_USAGE;
        for (size_t i = 0; i < d.count && !o.json; i++)
            printf("%-4s  %-8s  %s\n", words[d.all[i].level], d.all[i].topic, d.all[i].text);
    }
    kt_strings_free(&o.files);
    return rc;
}

const struct kt_command kt_cmd_doctor = {
    .name = "doctor",
    .summary = "what this machine and a program allow, and what will not be seen",
    .usage = "usage: kt doctor [--policy-config F]... [--state-dir D] [--json] [--] [CMD]\n\n"
             "Says what can be captured here: lanes, kernel features, config, keys (present or not, never\n"
             "printed), state folder; with CMD (a path, or a name in PATH) its kind of program, its TLS\n"
             "stack and the lane that its calls take, and what to do about what will not be seen.\n\n"
             "  --policy-config F  as of kt wrap\n"
             "  --state-dir D      as of kt wrap\n"
             "  --json             one object: findings[] with topic, level (ok, note, bad) and text\n\n"
             "exit status: 0 nothing is bad, 1 something will not be seen or will not work, 2 wrong use.\n",
    .run = run,
    .own_help = true,
};
