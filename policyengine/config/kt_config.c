/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_address.h"
#include "policyengine/config/kt_config.h"
#include "policyengine/config/kt_config_parts.h"
#include "policyengine/config/kt_files.h"
#include "policyengine/config/kt_schema.h"
#include "policyengine/config/kt_spellings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 32, MAX_MODEL_MAP = 4096 };

void kt_config_free(struct kt_config *c)
{
    if (!c)
        return;
    kt_chain_entries_free(c);
    kt_targets_free(c);
    for (size_t i = 0; i < c->model_map_count; i++) {
        free(c->model_map[i].from);
        free(c->model_map[i].to);
    }
    free(c->model_map);
    kt_strings_free(&c->files);
    kt_options_free(kt_schema_root, c);
    free(c);
}

static void cleanup_config(struct kt_config **c)
{
    kt_config_free(*c);
}

/* ---- parts of the root ---- */

static bool semver(const char *s)
{
    for (int i = 0; i < 3; i++) {
        size_t len = strspn(s, "0123456789");
        if (len == 0 || len > 9)
            return false;
        s += len;
        if (i < 2 && *s++ != '.')
            return false;
    }
    /* -pre and +build: any of the letters that semver allows there. */
    static const char rest[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.+";
    return *s == '\0' || ((*s == '-' || *s == '+') && s[1] && strspn(s, rest) == strlen(s));
}

/* It stands in every event and on terminals. */
static bool is_shown_well(const char *s)
{
    const char *p = s;
    while (*p && (unsigned char)*p >= 0x20 && *p != 0x7f)
        p++;
    return p > s && !*p;
}

static kt_result check_pack(struct kt_ctx *c, const struct kt_node *root, const struct kt_config *config)
{
    const struct kt_node *version = kt_node_at(root, "pack.version"),
                         *enabled = kt_node_at(root, "pack.enabled");
    size_t path = kt_path_push(c, "pack");
    if (config->pack.version && !semver(config->pack.version)) {
        size_t inner = kt_path_push(c, "version");
        KT_GUARD(kt_complain(c, "E004", version->at, "e.g. 1.0.0", "is not a semantic version"));
        kt_path_pop(c, inner);
    }
    if (config->pack.name && !is_shown_well(config->pack.name)) {
        size_t inner = kt_path_push(c, "name");
        KT_GUARD(kt_complain(c, "E004", kt_node_at(root, "pack.name")->at, "a name, e.g. my-app",
                             "is empty or holds a control character"));
        kt_path_pop(c, inner);
    }
    kt_path_push(c, "enabled");
    if (!config->pack.enabled)
        KT_GUARD(kt_complain(c, "W004", enabled->at, NULL,
                             "no policy runs and calls go to their origin unchanged"));
    kt_path_pop(c, path);
    return kt_ok();
}

static kt_result check_header_names(struct kt_ctx *c, const struct kt_node *root)
{
    const struct kt_node *list = kt_node_at(root, "user_rate_limit.header_names");
    size_t path = kt_path_push(c, "user_rate_limit.header_names");
    for (size_t i = 0; list && list->kind == KT_NODE_LIST && i < list->count; i++) {
        const struct kt_node *item = list->items[i];
        if (item->kind != KT_NODE_SCALAR || kt_header_name_valid(item->text))
            continue;
        size_t inner = kt_path_push_index(c, i);
        KT_GUARD(kt_complain(c, "E004", item->at, "e.g. x-user-id", "is not the name of an HTTP header"));
        kt_path_pop(c, inner);
    }
    if (list && list->kind == KT_NODE_LIST && list->count == 0)
        KT_GUARD(kt_complain(c, "W006", list->at, "header_names: [x-user-id]",
                             "without a header no user is told from another"));
    kt_path_pop(c, path);
    return kt_ok();
}

static kt_result check_scope(struct kt_ctx *c, const struct kt_node *root, const struct kt_config *config)
{
    const struct kt_node *said = kt_node_at(root, "token_rate_limit.scope");
    const char *scope = config->token_rate_limit.scope;
    if (kt_node_is_null(said) || said->kind != KT_NODE_SCALAR || !scope || strcmp(scope, "global") == 0 ||
        strcmp(scope, "user") == 0)
        return kt_ok();
    size_t path = kt_path_push(c, "token_rate_limit.scope");
    kt_result r = kt_complain(c, "E004", said->at, "global: all calls; user: by user_rate_limit.header_names",
                              "must be global or user");
    kt_path_pop(c, path);
    return r;
}

static kt_result read_model(struct kt_ctx *c, const struct kt_pair *p, struct kt_model_map_entry *e)
{
    if (p->value->kind != KT_NODE_SCALAR || !*p->value->text || !*p->key->text)
        return kt_complain(c, "E004", p->value->at, "requested-model: model-to-send",
                           "must be a model's name");
    e->from = strdup(p->key->text);
    e->to = strdup(p->value->text);
    return e->from && e->to ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static kt_result read_model_map(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config)
{
    const struct kt_node *map = kt_node_get(root, "model_map");
    if (kt_node_is_null(map))
        return kt_ok();
    size_t path = kt_path_push(c, "model_map"), errors = kt_diags_errors(c->diags);
    if (map->kind != KT_NODE_MAP || map->count > MAX_MODEL_MAP) {
        KT_GUARD(kt_complain(c, "E004", map->at, "requested-model: model-to-send",
                             "must be a mapping of at most %d models", (int)MAX_MODEL_MAP));
        kt_path_pop(c, path);
        return kt_ok();
    }
    config->model_map = calloc(map->count ? map->count : 1, sizeof *config->model_map);
    KT_ENSURE(config->model_map, KT_ERR_MEMORY);
    for (size_t i = 0; i < map->count; i++) {
        size_t inner = kt_path_push(c, map->pairs[i].key->text);
        KT_GUARD(read_model(c, &map->pairs[i], &config->model_map[config->model_map_count++]));
        kt_path_pop(c, inner);
    }
    if (map->count && kt_diags_errors(c->diags) == errors && kt_node_is_null(kt_node_get(root, "providers")))
        KT_GUARD(kt_complain(c, "W006", map->at, "providers: {targets: [...]}",
                             "has no effect without providers: calls go to their origin as they are"));
    kt_path_pop(c, path);
    return kt_ok();
}

static bool same_value(const char *a, const char *b)
{
    double x, y;
    if (kt_parse_float(a, &x) && kt_parse_float(b, &y))
        return !(x < y) && !(x > y);
    return strcmp(a, b) == 0;
}

/* Is `n`, found at an entry's path, something that asks for nothing? */
static bool asks_for_nothing(const struct kt_unacted *u, const struct kt_node *n)
{
    const struct kt_node *off = u->off ? kt_node_at(n, u->off) : NULL;
    bool on = true;
    if (kt_node_is_null(n) || (u->value && n->kind == KT_NODE_SCALAR && same_value(n->text, u->value)))
        return true;
    return off && off->kind == KT_NODE_SCALAR && kt_parse_bool(off->text, &on) && !on;
}

kt_result kt_unacted_warn(struct kt_ctx *c, const struct kt_unacted *list, const struct kt_node *node)
{
    for (const struct kt_unacted *u = list; u->path; u++) {
        const struct kt_node *n = kt_node_at(node, u->path);
        if (asks_for_nothing(u, n))
            continue;
        size_t path = kt_path_push(c, u->path);
        KT_GUARD(kt_complain(c, "W001", n->at, "leave it out: nothing depends on it",
                             "accepted, not acted on in this version"));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

/* pack.enabled: false is the whole config switched off: nothing is checked, routed or rewritten. */
static void switch_off(struct kt_config *c)
{
    kt_chain_entries_free(c);
    kt_targets_free(c);
    c->has_providers = false;
}

/* ---- the whole ---- */

static kt_result read_root(struct kt_diags *diags, struct kt_node *root, struct kt_config *config)
{
    struct kt_ctx c = {.diags = diags};
    if (root)
        KT_GUARD(kt_spellings_apply(&c, root));
    KT_GUARD(kt_read_table(&c, kt_schema_root, root, config));
    if (!kt_node_is_null(root) && root->kind != KT_NODE_MAP)
        return kt_ok();
    KT_GUARD(check_pack(&c, root, config));
    KT_GUARD(kt_hosts_read(&c, root, config));
    KT_GUARD(kt_telemetry_check(&c, root, config));
    KT_GUARD(check_header_names(&c, root));
    KT_GUARD(check_scope(&c, root, config));
    KT_GUARD(read_model_map(&c, root, config));
    KT_GUARD(kt_testing_check(&c, root));
    KT_GUARD(kt_chain_read(&c, root, config));
    KT_GUARD(kt_providers_read(&c, root, config));
    KT_GUARD(kt_unused_warn(&c, root, config));
    return kt_unacted_warn(&c, kt_unacted_root, root);
}

/* By file, then line: the order in which a user mends things. */
static int by_place(const void *a, const void *b)
{
    const struct kt_diag *x = a, *y = b;
    int file = strcmp(x->file ? x->file : "", y->file ? y->file : "");
    if (file)
        return file;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->col == y->col ? strcmp(x->code, y->code) : x->col < y->col ? -1 : 1;
}

/* Layered tree and all bytes -> config. Complaints from index `first` on are ours. */
static kt_result finish(struct kt_node *root, const struct kt_buf *bytes, const char *const *names, size_t n,
                        struct kt_diags *diags, size_t first, struct kt_config **out)
{
    KT_CLEANUP(cleanup_config) struct kt_config *config = calloc(1, sizeof *config);
    KT_ENSURE(config, KT_ERR_MEMORY);
    for (size_t i = 0; i < n; i++)
        KT_GUARD(kt_strings_add(&config->files, names[i]));
    KT_GUARD(kt_sha256_hex(bytes->len ? bytes->data : "", bytes->len, config->sha256));
    KT_GUARD(read_root(diags, root, config));
    if (diags->count > first)
        qsort(diags->items + first, diags->count - first, sizeof *diags->items, by_place);
    for (size_t i = first; i < diags->count; i++)
        KT_ENSURE(diags->items[i].severity != KT_SEV_ERROR, KT_ERR_USAGE);
    if (!config->pack.enabled)
        switch_off(config);
    *out = KT_TAKE(config);
    return kt_ok();
}

static kt_result add_layer(const struct kt_source *src, struct kt_diags *diags, struct kt_buf *bytes,
                           struct kt_node **root)
{
    struct kt_node *layer = NULL;
    KT_GUARD(kt_buf_append(bytes, src->text, src->len));
    KT_GUARD(kt_yaml_parse(src, diags, &layer));
    return kt_node_layer(root, layer);
}

kt_result kt_config_parse(const char *name, const char *text, size_t len, struct kt_config **out,
                          struct kt_diags *diags)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf bytes = KT_BUF_INIT(KT_YAML_MAX_BYTES + 1);
    KT_CLEANUP(kt_cleanup_node) struct kt_node *root = NULL;
    struct kt_source src = {name, 0, text, len};
    size_t first = diags->count;
    *out = NULL;
    if (len > KT_YAML_MAX_BYTES)
        return kt_yaml_parse(&src, diags, &root); /* complains */
    KT_GUARD(add_layer(&src, diags, &bytes, &root));
    return finish(root, &bytes, &name, 1, diags, first, out);
}

static kt_result cannot_read(struct kt_diags *diags, const char *path, kt_result why)
{
    struct kt_ctx c = {.diags = diags};
    struct kt_at at = {path, 0, 0};
    if (why.code == KT_ERR_LIMIT)
        return kt_complain(&c, "E006", at, "split it into layers: several files", "larger than 1 MiB");
    return kt_complain(&c, "E008", at, "name a YAML file that this user may read", "cannot be read: %s",
                       errno == EINVAL ? "not a regular file" : strerror(errno));
}

static kt_result too_many(struct kt_diags *diags, const char *path)
{
    struct kt_ctx c = {.diags = diags};
    struct kt_at at = {path, 0, 0};
    KT_GUARD(kt_complain(&c, "E006", at, "join some of them", "more than %d files to layer", (int)MAX_FILES));
    return kt_err(KT_ERR_USAGE);
}

/* Reads one file and puts it on top of *root. */
static kt_result load_layer(const char *path, unsigned index, struct kt_diags *diags, struct kt_buf *all,
                            struct kt_node **root)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_YAML_MAX_BYTES);
    kt_result r = kt_file_read(path, &text);
    if (!kt_is_ok(r)) {
        KT_GUARD(cannot_read(diags, path, r));
        return r.code == KT_ERR_LIMIT ? kt_err(KT_ERR_USAGE) : r;
    }
    struct kt_source src = {path, index, text.len ? text.data : "", text.len};
    return add_layer(&src, diags, all, root);
}

kt_result kt_config_load(const char *const *paths, size_t n, struct kt_config **out, struct kt_diags *diags)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf all = KT_BUF_INIT((size_t)MAX_FILES * KT_YAML_MAX_BYTES);
    KT_CLEANUP(kt_cleanup_node) struct kt_node *root = NULL;
    kt_result worst = kt_ok();
    size_t first = diags->count;
    *out = NULL;
    if (n == 0)
        return kt_config_default(out);
    if (n > MAX_FILES)
        return too_many(diags, paths[MAX_FILES]);
    for (size_t i = 0; i < n; i++) { /* all of them, so that every file's errors show at once */
        kt_result r = load_layer(paths[i], (unsigned)i, diags, &all, &root);
        if (!kt_is_ok(r) && worst.code != KT_ERR_IO)
            worst = r;
    }
    KT_GUARD(worst);
    return finish(root, &all, paths, n, diags, first, out);
}

kt_result kt_config_default(struct kt_config **out)
{
    KT_CLEANUP(cleanup_config) struct kt_config *c = calloc(1, sizeof *c);
    *out = NULL;
    KT_ENSURE(c, KT_ERR_MEMORY);
    KT_GUARD(kt_read_defaults(kt_schema_root, c));
    KT_GUARD(kt_hosts_default(c));
    c->pack.name = strdup("built-in");
    c->pack.version = strdup("0.0.0");
    KT_ENSURE(c->pack.name && c->pack.version, KT_ERR_MEMORY);
    KT_GUARD(kt_sha256_hex("", 0, c->sha256));
    *out = KT_TAKE(c);
    return kt_ok();
}

kt_result kt_config_split_paths(const char *value, struct kt_strings *out)
{
    KT_CLEANUP(kt_cleanup_free) char *copy = strdup(value);
    KT_ENSURE(copy, KT_ERR_MEMORY);
    char *rest = copy, *part = NULL;
    while ((part = strsep(&rest, ":")))
        if (*part)
            KT_GUARD(kt_strings_add(out, part));
    return kt_ok();
}
