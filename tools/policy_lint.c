/* SPDX-License-Identifier: Apache-2.0 */
/* kt policy lint: says what is wrong with a config before a program depends on it. */
#include "policyengine/chain/kt_chain.h"
#include "policyengine/chain/kt_chain_check.h"
#include "policyengine/config/kt_diag.h"
#include "policyengine/config/kt_places.h"
#include "policyengine/policies/kt_policy.h"
#include "tools/kt.h"
#include "tools/policy.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "usage: kt policy lint [--file F]... [--json] [F...]\n\n"
    "Checks a config and says what is wrong, where, and how to mend it. Several files are layers of "
    "one config:\n"
    "later ones win, mappings merge, lists replace. Without a file: $KT_POLICY_CONFIG, else "
    "./policy-config.yaml.\n\n"
    "What a policy itself says about its options is an E004 or W006 at the option or at its block. Keys are "
    "looked "
    "up (W005), but "
    "no\nsecret_key_ref.command is run.\n\n"
    "  --file F, -f F, --policy-config F   a file to check; may be repeated\n"
    "  --json                              one JSON object on stdout\n\n"
    "codes: E001 unknown policy kind, E002 unknown key, E003 in the chain without a block "
    "(warning), E004 bad value,\n"
    "E005 missing, E006 syntax, E007 not available in this version, E008 unreadable file; W001 "
    "accepted but not acted\n"
    "on, W002 block outside the chain, W003 key and prompts in clear, W004 switched off, W005 key "
    "missing, W006 no effect\n\n"
    "exit status: 0 no error (warnings are no error), 2 errors or wrong usage\n";

struct lint {
    struct kt_strings files;
    bool json;
    struct kt_config *config; /* NULL when broken */
    struct kt_diags diags;
    struct kt_places *places; /* NULL until the config is loaded */
};

static void lint_free(struct lint *l)
{
    kt_strings_free(&l->files);
    kt_places_free(l->places);
    kt_config_free(l->config);
    kt_diags_free(&l->diags);
}

/* ---- checks beyond the loader ---- */

static bool complain(struct lint *l, const char *code, struct kt_at at, const char *path, const char *hint,
                     const char *text)
{
    struct kt_ctx c = {.diags = &l->diags};
    kt_path_push(&c, path);
    return kt_is_ok(kt_complain(&c, code, at, hint, "%s", text));
}

/* Where a setting of a target is written, or else the target. */
static struct kt_at place_of(const struct lint *l, const struct kt_target *t, const char *path)
{
    struct kt_at at = {t->file, t->line, t->col};
    if (kt_places_written(l->places, path))
        kt_places_at(l->places, path, &at);
    return at;
}

static bool check_chain(struct lint *l)
{
    if (!kt_is_ok(kt_chain_check(l->config, l->places, true, &l->diags)))
        return false;
    if (kt_diags_errors(&l->diags))
        return true;
    struct kt_chain *chain = NULL;
    struct kt_error err = {0};
    if (kt_is_ok(kt_chain_new(l->config, &chain, &err))) {
        kt_chain_free(chain);
        return true;
    }
    struct kt_at at = {l->files.items[0], 0, 0};
    return complain(l, "E004", at, "policies.chain", NULL,
                    err.text[0] ? err.text : "the chain cannot be made");
}

/* A key that others can read is one that others have. */
static bool check_key_file(struct lint *l, const struct kt_target *t, size_t i)
{
    struct stat st;
    const char *file = t->secret_key_ref.file;
    char path[80], text[768];
    if (!file || stat(file, &st) != 0 || (st.st_mode & 077) == 0)
        return true;
    snprintf(path, sizeof path, "providers.targets[%zu].secret_key_ref.file", i);
    snprintf(text, sizeof text, "%.600s has mode %04o, so that others can read the key", file,
             (unsigned)(st.st_mode & 07777));
    return complain(l, "W003", place_of(l, t, path), path, "chmod 600", text);
}

static const char *way_to_key(const struct kt_target *t)
{
    return t->secret_key_ref.file
               ? "write the key into that file, mode 0600"
               : "export it, or say where the key is: secret_key_ref: {env|file|command: ...}";
}

static bool check_keys(struct lint *l)
{
    for (size_t i = 0; i < l->config->providers.target_count; i++) {
        const struct kt_target *t = &l->config->providers.targets[i];
        struct kt_error err = {0};
        char *secret = NULL, path[80], text[768];
        if (t->secret_key_ref.command)
            continue; /* a config that is only looked at must not run anything */
        if (!check_key_file(l, t, i))
            return false;
        kt_result r = kt_secret_resolve(t, &secret, &err);
        kt_free_secret(secret);
        if (kt_is_ok(r))
            continue;
        snprintf(path, sizeof path, "providers.targets[%zu].secret_key_ref.%s", i,
                 t->secret_key_ref.file ? "file" : "env");
        if (!kt_places_written(l->places, path)) /* the provider's own variable */
            *strrchr(path, '.') = '\0';
        snprintf(text, sizeof text, "%s: target '%.100s' is unavailable until then", err.text, t->id);
        struct kt_at at = place_of(l, t, path);
        if (!complain(l, "W005", at, path, way_to_key(t), text))
            return false;
    }
    return true;
}

/* ---- output ---- */

static size_t warnings(const struct lint *l)
{
    return l->diags.count - kt_diags_errors(&l->diags);
}

static void print_files(const struct lint *l)
{
    for (size_t i = 0; i < l->files.count; i++)
        printf("%s%s", i ? " + " : "", l->files.items[i]);
}

static void print_chain(const struct kt_config *c)
{
    fputs(c->chain_count ? ", chain " : ", no policies", stdout);
    for (size_t i = 0; i < c->chain_count; i++)
        printf("%s%s", i ? " > " : "", c->chain[i].policy->kind);
}

static void print_count(size_t n, const char *what)
{
    printf("%zu %s%s", n, what, n == 1 ? "" : "s");
}

static bool print_text(const struct lint *l)
{
    size_t errors = kt_diags_errors(&l->diags);
    for (size_t i = 0; i < l->diags.count; i++) {
        KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(1 << 16);
        if (!kt_is_ok(kt_diag_format(&l->diags.items[i], &line)))
            return false;
        puts(line.data);
    }
    print_files(l);
    if (errors == 0) {
        printf(": ok, pack %s %s", l->config->pack.name, l->config->pack.version);
        print_chain(l->config);
        fputs(", ", stdout);
    } else {
        fputs(": ", stdout);
        print_count(errors, "error");
        fputs(", ", stdout);
    }
    print_count(warnings(l), "warning");
    putchar('\n');
    return true;
}

static cJSON *diag_json(const struct kt_diag *d)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "code", d->code);
    cJSON_AddStringToObject(o, "path", d->path ? d->path : "");
    cJSON_AddStringToObject(o, "message", d->message ? d->message : "");
    if (d->suggestion)
        cJSON_AddStringToObject(o, "suggestion", d->suggestion);
    else
        cJSON_AddNullToObject(o, "suggestion");
    if (d->file)
        cJSON_AddStringToObject(o, "file", d->file);
    cJSON_AddNumberToObject(o, "line", d->line);
    cJSON_AddNumberToObject(o, "col", d->col);
    return o;
}

static void add_diags(cJSON *root, const char *name, const struct lint *l, enum kt_severity severity)
{
    cJSON *list = cJSON_AddArrayToObject(root, name);
    for (size_t i = 0; i < l->diags.count; i++)
        if (l->diags.items[i].severity == severity)
            cJSON_AddItemToArray(list, diag_json(&l->diags.items[i]));
}

static void add_config(cJSON *root, const struct kt_config *c)
{
    cJSON *pack = cJSON_AddObjectToObject(root, "pack");
    cJSON_AddStringToObject(pack, "name", c->pack.name);
    cJSON_AddStringToObject(pack, "version", c->pack.version);
    cJSON *chain = cJSON_AddArrayToObject(root, "chain");
    for (size_t i = 0; i < c->chain_count; i++)
        cJSON_AddItemToArray(chain, cJSON_CreateString(c->chain[i].policy->kind));
    cJSON_AddNumberToObject(root, "policy_count", (double)c->chain_count);
}

static bool print_json(const struct lint *l)
{
    cJSON *root = cJSON_CreateObject();
    bool valid = kt_diags_errors(&l->diags) == 0;
    cJSON_AddBoolToObject(root, "valid", valid);
    cJSON_AddStringToObject(root, "file", l->files.items[0]);
    if (l->files.count > 1) { /* layers: all of them, in order */
        cJSON *files = cJSON_AddArrayToObject(root, "files");
        for (size_t i = 0; i < l->files.count; i++)
            cJSON_AddItemToArray(files, cJSON_CreateString(l->files.items[i]));
    }
    if (valid)
        add_config(root, l->config);
    else
        add_diags(root, "errors", l, KT_SEV_ERROR);
    add_diags(root, "warnings", l, KT_SEV_WARNING);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text)
        puts(text);
    cJSON_free(text);
    return text != NULL;
}

/* ---- lint ---- */

static int lint_run(struct lint *l)
{
    kt_result r = kt_config_load((const char *const *)l->files.items, l->files.count, &l->config, &l->diags);
    if (r.code == KT_ERR_MEMORY)
        return kt_policy_out_of_memory();
    if (l->config && (!kt_is_ok(kt_places_new(l->config, &l->places)) || !check_chain(l) || !check_keys(l)))
        return kt_policy_out_of_memory();
    struct kt_at whole = {l->files.items[0], 0, 0};
    if (!l->config && kt_diags_errors(&l->diags) == 0 &&
        !complain(l, "E006", whole, "", NULL, "cannot be loaded"))
        return kt_policy_out_of_memory();
    if (!(l->json ? print_json(l) : print_text(l)))
        return kt_policy_out_of_memory();
    if (fflush(stdout) != 0) {
        perror("kt policy: cannot write");
        return KT_EXIT_USAGE;
    }
    return kt_diags_errors(&l->diags) ? KT_EXIT_USAGE : KT_EXIT_OK;
}

int kt_policy_lint(int argc, char **argv)
{
    if (kt_policy_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return KT_EXIT_OK;
    }
    KT_CLEANUP(lint_free) struct lint l = {0};
    int status = kt_policy_file_args(argc, argv, "lint", NULL, &l.files, &l.json);
    if (status == 0)
        status = kt_policy_default_files(&l.files, "lint");
    return status ? status : lint_run(&l);
}
