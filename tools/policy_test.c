/* SPDX-License-Identifier: Apache-2.0 */
/* kt policy test: does the chain decide what its author expects? */
#include "tools/policy_test.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)64 << 20)
#define FILES_MAX 10000u

static const char usage[] =
    "usage: kt policy test [--json] [--pack-dir D] [--policy-config F]...\n\n"
    "Runs the cases of `testing.suites` of a config, and those of D/tests/*.json, through its chain. Nothing "
    "leaves\n"
    "this machine: a check that needs the world outside goes on as if nobody had answered.\n\n"
    "  --pack-dir D         a folder with policy-config.yaml and tests/*.json (default: the current folder, "
    "where it\n"
    "                       holds the policy-config.yaml that is used)\n"
    "  --policy-config F    another config; may be repeated (layers). Without it: D/policy-config.yaml,\n"
    "                       $KT_POLICY_CONFIG, ./policy-config.yaml, whichever is there first\n"
    "  --json               one JSON object: {ok, results[{name, verdict, reason_code, passed, details}]}\n\n"
    "a case:\n"
    "  {\"name\": \"...\",\n"
    "   \"input\": {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}],   or \"request\": a whole "
    "chat body\n"
    "             \"upstream_response\": \"...\"},                         optional: a string, a message or "
    "an answer\n"
    "   \"expected\": {\"verdict\": \"allow|redact|escalate|block\", \"reason_code\": \"...\"}}   the code "
    "is optional\n"
    "A file of tests/ holds one case, a list of cases, or an object with `cases`. A suite has name, cases, "
    "and\n"
    "optionally description, target (id of the one target that its calls may go to) and assertions (of\n"
    "quality-scorer, made of each upstream_response). `headers` are accepted; no policy reads them.\n\n"
    "exit status: 0 all passed, 1 a case failed, 2 wrong usage, config or case\n";

struct test_args {
    struct kt_strings files;
    const char *pack_dir;
    bool json;
};

/* ---- options and files ---- */

static int parse_args(struct test_args *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *v;
        bool missing = false;
        if (strcmp(argv[i], "--json") == 0) {
            a->json = true;
            continue;
        }
        v = kt_option_value("--pack-dir", argc, argv, &i, &missing);
        if (missing || (v && !*v))
            return kt_usage_error(&kt_cmd_policy, "test: --pack-dir needs a folder");
        if (v) {
            a->pack_dir = v;
            continue;
        }
        int status = kt_policy_file_option(argc, argv, &i, &v);
        if (status == 0)
            status = v ? kt_policy_add_file(&a->files, v)
                       : kt_usage_error(&kt_cmd_policy, "test: unknown option '%s'", argv[i]);
        if (status)
            return status;
    }
    return 0;
}

/* Settles which config is meant and whether tests/ belongs to it. */
static int choose_files(struct test_args *a)
{
    if (a->pack_dir && access(a->pack_dir, F_OK) != 0)
        return kt_usage_error(&kt_cmd_policy, "test: --pack-dir %s: %s", a->pack_dir, strerror(errno));
    if (a->files.count)
        return 0;
    if (a->pack_dir) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/policy-config.yaml", a->pack_dir);
        if (n < 0 || (size_t)n >= sizeof path)
            return kt_usage_error(&kt_cmd_policy, "test: the path of --pack-dir is too long");
        if (access(path, F_OK) == 0)
            return kt_policy_add_file(&a->files, path);
    }
    const char *env = getenv("KT_POLICY_CONFIG");
    int status = kt_policy_default_files(&a->files, "test");
    if (status == 0 && !a->pack_dir && !(env && *env))
        a->pack_dir = ".";
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The *.json files of a folder, in order of their names. A folder that is not there has none. */
static kt_result list_tests(const char *dir, struct kt_strings *out)
{
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT ? kt_ok() : kt_err(KT_ERR_IO);
    kt_result r = kt_ok();
    for (struct dirent *e; r.code == KT_OK && (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n < 6 || strcmp(e->d_name + n - 5, ".json") != 0 || e->d_name[0] == '.')
            continue;
        char path[4096];
        if (out->count == FILES_MAX ||
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path)
            r = kt_err(KT_ERR_LIMIT);
        else
            r = kt_strings_add(out, path);
    }
    closedir(d);
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    return r;
}

/* ---- suites ---- */

static void cases(struct test_run *t, const struct kt_json *j, uint32_t list, struct test_place *place)
{
    char before[sizeof place->path];
    snprintf(before, sizeof before, "%s", place->path);
    size_t i = 0;
    for (uint32_t c = list + 1; c < j->tok[list].next; c = j->tok[c].next, i++) {
        snprintf(place->path, sizeof place->path, "%.100s[%zu]", before, i);
        test_case(t, j, c, place);
    }
    snprintf(place->path, sizeof place->path, "%s", before);
}

/* new config and chain of a quality-scorer with just these assertions: JSON is YAML. */
static bool assertions_of(struct test_run *t, const struct kt_json *j, uint32_t suite,
                          struct test_place *place, struct kt_config **config, struct kt_chain **chain)
{
    uint32_t list = kt_json_member(j, suite, "assertions", NULL);
    *config = NULL;
    *chain = NULL;
    if (!list || j->tok[list].size == 0)
        return true;
    KT_CLEANUP(kt_buf_free) struct kt_buf extra = KT_BUF_INIT(FILE_MAX);
    struct kt_span raw = kt_json_raw(j, list);
    struct kt_error err = {.code = KT_OK};
    kt_result r = kt_buf_puts(&extra, "failure_action: {action: block}, assertions: ");
    if (r.code == KT_OK)
        r = kt_buf_append(&extra, raw.data, raw.len);
    if (r.code != KT_OK || kt_policy_load_one("quality-scorer", extra.data, config) != 0) {
        test_bad(t, place, "assertions", "quality-scorer does not take them");
        return false;
    }
    if (kt_chain_new(*config, chain, &err).code != KT_OK) {
        test_bad(t, place, "assertions", "%s", err.text);
        return false;
    }
    place->assertions = *chain;
    return true;
}

static bool target_known(const struct test_run *t, const char *id)
{
    for (size_t i = 0; i < t->config->providers.target_count; i++)
        if (strcmp(t->config->providers.targets[i].id, id) == 0)
            return true;
    return false;
}

static void suite(struct test_run *t, const struct kt_json *j, uint32_t tok, struct test_place place)
{
    uint32_t list = kt_json_member(j, tok, "cases", NULL);
    if (!list || j->tok[list].type != KT_JSON_ARRAY) {
        test_bad(t, &place, "cases", "must be a list of cases");
        return;
    }
    KT_CLEANUP(kt_cleanup_free) char *name = test_string(j, tok, "name");
    KT_CLEANUP(kt_cleanup_free) char *target = test_string(j, tok, "target");
    struct kt_config *config = NULL;
    struct kt_chain *chain = NULL;
    /* Elsewhere `target` may name what is under test in words: only a known id narrows the routing. */
    place.target = target && target_known(t, target) ? target : NULL;
    place.suite = name;
    if (!t->json && name) {
        printf("%s", t->colour ? "\033[1m" : "");
        kt_policy_put_text(stdout, name, strlen(name), 100);
        puts(t->colour ? "\033[0m" : "");
    }
    if (assertions_of(t, j, tok, &place, &config, &chain)) {
        size_t used = strlen(place.path);
        snprintf(place.path + used, sizeof place.path - used, "%scases", used ? "." : "");
        cases(t, j, list, &place);
    }
    kt_chain_free(chain);
    kt_config_free(config);
}

/* `testing` of the config; its shape was checked by the loader where it matters to it. */
static void config_suites(struct test_run *t, const char *file)
{
    struct test_place place = {.file = file, .path = "testing"};
    struct kt_error err = {.code = KT_OK};
    struct kt_json j;
    if (!t->config->testing)
        return;
    if (kt_json_parse(&j, t->config->testing, strlen(t->config->testing), &err).code != KT_OK) {
        test_bad(t, &place, "", "%s", err.text);
        return;
    }
    uint32_t list = kt_json_member(&j, 0, "suites", NULL);
    if (list && j.tok[list].type != KT_JSON_ARRAY)
        test_bad(t, &place, "suites", "must be a list");
    else if (list) {
        size_t i = 0;
        for (uint32_t s = list + 1; s < j.tok[list].next; s = j.tok[s].next, i++) {
            snprintf(place.path, sizeof place.path, "testing.suites[%zu]", i);
            suite(t, &j, s, place);
        }
    }
    kt_json_free(&j);
}

/* Of a folder, where a pipe would be waited for. */
static KT_MUST kt_result read_case(const char *path, struct kt_buf *out, struct kt_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return kt_fail(err, KT_ERR_IO, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return kt_fail(err, KT_ERR_IO, "%s", S_ISDIR(st.st_mode) ? strerror(EISDIR) : "no regular file");
    kt_result r = kt_policy_read_file(path, out);
    if (r.code == KT_ERR_LIMIT)
        return kt_fail(err, r.code, "larger than %zu MiB", (size_t)FILE_MAX >> 20);
    return r.code == KT_OK
               ? r
               : kt_fail(err, r.code, "%s", r.code == KT_ERR_IO ? strerror(errno) : kt_code_name(r.code));
}

static void test_file(struct test_run *t, const char *path)
{
    struct test_place place = {.file = path};
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(FILE_MAX);
    struct kt_error err = {.code = KT_OK};
    struct kt_json j;
    kt_result r = read_case(path, &text, &err);
    if (r.code != KT_OK) {
        test_bad(t, &place, "file", "cannot be read: %s", err.text);
        return;
    }
    if (kt_json_parse(&j, kt_buf_span(&text).data, text.len, &err).code != KT_OK) {
        test_bad(t, &place, "file", "%s", err.text);
        return;
    }
    if (!t->json)
        printf("%s%s%s\n", t->colour ? "\033[1m" : "", path, t->colour ? "\033[0m" : "");
    if (j.tok[0].type == KT_JSON_ARRAY)
        cases(t, &j, 0, &place);
    else if (kt_json_member(&j, 0, "cases", NULL))
        suite(t, &j, 0, place);
    else
        test_case(t, &j, 0, &place);
    kt_json_free(&j);
}

static int test_files(struct test_run *t, const char *pack_dir)
{
    KT_CLEANUP(kt_strings_free) struct kt_strings files = {.items = NULL};
    char dir[4096];
    if (snprintf(dir, sizeof dir, "%s/tests", pack_dir) >= (int)sizeof dir)
        return kt_usage_error(&kt_cmd_policy, "test: the path of --pack-dir is too long");
    kt_result r = list_tests(dir, &files);
    if (r.code != KT_OK)
        return kt_usage_error(&kt_cmd_policy, "test: cannot read %s: %s", dir,
                              r.code == KT_ERR_IO ? strerror(errno) : kt_code_name(r.code));
    for (size_t i = 0; i < files.count; i++)
        test_file(t, files.items[i]);
    return 0;
}

/* ---- the whole ---- */

static int report(struct test_run *t)
{
    size_t ran = t->passed + t->failed;
    bool ok = t->failed == 0 && t->bad == 0 && ran > 0;
    if (ran == 0 && t->bad == 0)
        fputs("kt policy test: no cases: neither testing.suites in the config nor tests/*.json\n", stderr);
    if (t->json) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddBoolToObject(root, "ok", ok);
        cJSON_AddItemToObject(root, "results", t->results);
        t->results = NULL;
        char *text = cJSON_Print(root);
        if (text)
            puts(text);
        cJSON_free(text);
        cJSON_Delete(root);
    } else {
        printf("%s%zu passed, %zu failed", ran ? "\n" : "", t->passed, t->failed);
        if (t->bad)
            printf(", %zu not usable", t->bad);
        putchar('\n');
    }
    return kt_policy_flush(t->bad || ran == 0 ? KT_EXIT_USAGE : ok ? KT_EXIT_OK : KT_EXIT_POLICY);
}

static int run(const struct test_args *a, const struct kt_config *config)
{
    struct kt_chain *chain = NULL;
    int status = kt_policy_make_chain(config, &chain);
    if (status)
        return status;
    struct test_run t = {.config = config, .chain = chain, .json = a->json, .results = cJSON_CreateArray()};
    t.colour = kt_policy_colour(stdout);
    if (!config->pack.enabled)
        fputs("kt policy test: pack.enabled is false: a program that uses this config runs without its "
              "policies\n",
              stderr);
    config_suites(&t, a->files.items[a->files.count - 1]);
    status = a->pack_dir ? test_files(&t, a->pack_dir) : 0;
    if (status == 0)
        status = report(&t);
    cJSON_Delete(t.results);
    kt_chain_free(chain);
    return status;
}

static void args_free(struct test_args *a)
{
    kt_strings_free(&a->files);
}

int kt_policy_test(int argc, char **argv)
{
    KT_CLEANUP(args_free) struct test_args a = {.json = false};
    KT_CLEANUP(kt_policy_config_cleanup) struct kt_config *config = NULL;
    if (kt_policy_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return KT_EXIT_OK;
    }
    int status = parse_args(&a, argc, argv);
    if (status == 0)
        status = choose_files(&a);
    if (status == 0)
        status = kt_policy_load(&a.files, &config);
    return status ? status : run(&a, config);
}
