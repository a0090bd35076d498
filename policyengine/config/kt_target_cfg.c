/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_address.h"
#include "policyengine/config/kt_config_parts.h"
#include "policyengine/config/kt_files.h"
#include "policyengine/config/kt_read.h"
#include "policyengine/config/kt_schema.h"
#include "policyengine/config/kt_secret_file.h"
#include "policyengine/config/kt_secret_run.h"
#include "policyengine/base/kt_suggest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct provider_default {
    const char *name, *base_url, *key_env, *key_header, *key_prefix;
} defaults[] = {
#define KT_PROVIDER_DEFAULT(name, base_url, key_env) {name, base_url, key_env, NULL, NULL},
#define KT_PROVIDER_HEADER(name, base_url, key_env, header, prefix) {name, base_url, key_env, header, prefix},
#include "policyengine/config/provider_defaults.def"
#undef KT_PROVIDER_DEFAULT
#undef KT_PROVIDER_HEADER
};

void kt_target_free(struct kt_target *t)
{
    kt_secret_run_free(t->secret_key_ref.run);
    t->secret_key_ref.run = NULL;
    kt_secret_file_free(t->secret_key_ref.kept);
    t->secret_key_ref.kept = NULL;
    kt_options_free(kt_schema_target, t);
}

static const struct provider_default *default_of(const char *provider)
{
    for (size_t i = 0; i < KT_COUNT(defaults); i++)
        if (strcmp(defaults[i].name, provider) == 0)
            return &defaults[i];
    return NULL;
}

/* Where a complaint about `key` points: its value, or the whole target where it is not written. */
static struct kt_at place(const struct kt_node *node, const char *dotted)
{
    const struct kt_node *n = kt_node_at(node, dotted);
    return n ? n->at : node->at;
}

/* A complaint about one field of the target. Never quotes the value. */
static kt_result about(struct kt_ctx *c, const char *code, const struct kt_node *node, const char *field,
                       const char *hint, const char *what)
{
    size_t path = kt_path_push(c, field);
    kt_result r = kt_complain(c, code, place(node, field), hint, "%s", what);
    kt_path_pop(c, path);
    return r;
}

static kt_result replace(char **slot, const char *text)
{
    char *copy = strdup(text);
    KT_ENSURE(copy, KT_ERR_MEMORY);
    free(*slot);
    *slot = copy;
    return kt_ok();
}

static const char *word_for(const char *field)
{
    return strcmp(field, "model") == 0      ? "e.g. mistral-large-latest"
           : strcmp(field, "id") == 0       ? "e.g. mistral-primary"
           : strcmp(field, "provider") == 0 ? "e.g. mistral"
                                            : "on one line";
}

/* Identifiers end up in headers, paths and event lines. */
static kt_result check_word(struct kt_ctx *c, const struct kt_node *node, const char *field,
                            const char *value)
{
    if (!value)
        return kt_ok();
    if (strspn(value, " ") == strlen(value))
        return about(c, "E004", node, field, word_for(field), "is empty");
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return about(c, "E004", node, field, word_for(field),
                         "holds a control character or a line break");
    return kt_ok();
}

/* "mistral:chat:mistral-large-latest" -> provider and model. The model may hold further colons. */
static kt_result split_shorthand(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t)
{
    static const char *const later[] = {"completion", "embedding"};
    char *kind = strchr(t->provider, ':');
    if (!kind)
        return kt_ok();
    *kind++ = '\0'; /* also where it is wrong: what follows needs the bare provider */
    char *model = strchr(kind, ':');
    if (!*t->provider || !model || !model[1])
        return about(c, "E004", node, "provider", "mistral, or mistral:chat:<model>",
                     "is no provider and no shorthand provider:chat:model");
    *model++ = '\0';
    for (size_t i = 0; i < KT_COUNT(later); i++)
        if (strcmp(kind, later[i]) == 0)
            return about(c, "E007", node, "provider", "use the kind 'chat'",
                         "only the kind 'chat' is available in this version");
    if (strcmp(kind, "chat") != 0)
        return about(c, "E004", node, "provider", "mistral:chat:<model>",
                     "the kind in the shorthand must be 'chat'");
    if (t->model && strcmp(t->model, model) != 0)
        return about(c, "E004", node, "model", "keep one of the two", "differs from the model in 'provider'");
    return t->model ? kt_ok() : replace(&t->model, model);
}

static const char *near_provider(const char *name, char out[96])
{
    struct kt_suggest s;
    kt_suggest_begin(&s, name);
    for (size_t i = 0; i < KT_COUNT(defaults); i++)
        kt_suggest_try(&s, defaults[i].name, strlen(defaults[i].name));
    return kt_suggest_text(&s, out);
}

/* base_url and key of a provider that is known by name. */
static kt_result apply_defaults(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t)
{
    const struct provider_default *d = default_of(t->provider);
    char near[96];
    const char *meant = d ? NULL : near_provider(t->provider, near);
    if (meant && t->base_url)
        KT_GUARD(
            about(c, "W006", node, "provider", meant, "is not known by name and taken as OpenAI-compatible"));
    if (d && d->base_url && !t->base_url)
        KT_GUARD(replace(&t->base_url, d->base_url));
    bool has_key = t->secret_key_ref.env || t->secret_key_ref.file || t->secret_key_ref.command;
    if (d && d->key_env && !has_key)
        KT_GUARD(replace(&t->secret_key_ref.env, d->key_env));
    if (d && d->key_header && !kt_read_is_set(node, "api_key_header"))
        KT_GUARD(replace(&t->api_key_header, d->key_header));
    if (d && d->key_prefix && !kt_read_is_set(node, "api_key_prefix"))
        KT_GUARD(replace(&t->api_key_prefix, d->key_prefix));
    if (t->base_url)
        return kt_ok();
    return about(c, "E005", node, "base_url",
                 meant ? meant
                 : d   ? "as in the provider's console"
                       : "https://host/v1",
                 "is missing, and the provider is not one that has a default");
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* The path of the endpoint comes behind it. */
static kt_result check_path(struct kt_ctx *c, const struct kt_node *node, const char *url)
{
    static const char *const endpoints[] = {"/chat/completions", "/completions", "/embeddings",
                                            "/moderations",      "/models",      "/responses",
                                            "/messages"};
    for (size_t i = 0; i < KT_COUNT(endpoints); i++)
        if (ends_with(url, endpoints[i]))
            return about(c, "E004", node, "base_url", "end it in front of that, e.g. https://host/v1",
                         "ends in the path of an endpoint, which calls add by themselves");
    return ends_with(url, "/v1/v1") ? about(c, "E004", node, "base_url", "https://host/v1", "has /v1 twice")
                                    : kt_ok();
}

/* The known providers' hosts have their API at one path only. DeepSeek serves it without /v1, too. */
static kt_result check_known_path(struct kt_ctx *c, const struct kt_node *node, const struct kt_target *t)
{
    for (size_t i = 0; i < KT_COUNT(defaults); i++) {
        const char *api = defaults[i].base_url;
        bool own = t->provider && strcmp(t->provider, defaults[i].name) == 0;
        if (!api || strcmp(defaults[i].name, "deepseek") == 0 || (!own && strncmp(api, "https", 5) != 0))
            continue;
        size_t origin = (size_t)(strchr(strstr(api, "//") + 2, '/') - api), whole = strlen(api);
        if (strncasecmp(t->base_url, api, origin) != 0 || !strchr("/", t->base_url[origin]) ||
            strncmp(t->base_url + origin, api + origin, whole - origin) == 0)
            continue;
        size_t path = kt_path_push(c, "base_url");
        kt_result r =
            kt_complain(c, "W006", place(node, "base_url"), api,
                        "calls would find nothing there: the API of this host is at %s", api + origin);
        kt_path_pop(c, path);
        return r;
    }
    return kt_ok();
}

static kt_result check_url(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t)
{
    char host[256];
    bool clear = false;
    if (!t->base_url)
        return kt_ok();
    const char *problem = kt_url_problem(t->base_url, host, &clear);
    if (problem)
        return about(c, "E004", node, "base_url", "https://host[:port][/path]", problem);
    for (size_t len = strlen(t->base_url); len && t->base_url[len - 1] == '/'; len--)
        t->base_url[len - 1] = '\0';
    KT_GUARD(check_path(c, node, t->base_url));
    KT_GUARD(check_known_path(c, node, t));
    if (clear && !kt_host_is_loopback(host))
        return about(c, "W003", node, "base_url", "use https://",
                     "sends prompts and the key in clear over the network");
    return kt_ok();
}

static bool env_name_valid(const char *s)
{
    static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *s && !(*s >= '0' && *s <= '9') && strspn(s, rest) == strlen(s);
}

static kt_result check_secret(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t)
{
    struct kt_secret_ref *s = &t->secret_key_ref;
    const struct kt_node *ref = kt_node_get(node, "secret_key_ref");
    int named = (s->env != NULL) + (s->file != NULL) + (s->command != NULL);
    bool wrong = kt_node_pair(ref, "env") || kt_node_pair(ref, "file") || kt_node_pair(ref, "command");
    if (ref && ref->kind == KT_NODE_MAP && named == 0 && !wrong)
        return about(c, "E005", node, "secret_key_ref", "{env: NAME}, {file: PATH} or {command: COMMAND}",
                     "names neither env nor file nor command");
    if (named > 1)
        return about(c, "E004", node, "secret_key_ref", "keep one of them",
                     "names more than one of env, file and command");
    if (s->env && !env_name_valid(s->env))
        return about(c, "E004", node, "secret_key_ref.env", "write the NAME of the variable, never the key",
                     "is not the name of an environment variable");
    if (s->command) {
        if (strspn(s->command, " \t\r\n") == strlen(s->command))
            return about(c, "E004", node, "secret_key_ref.command", "e.g. pass show mistral", "is empty");
        s->run = kt_secret_run_new(KT_SECRET_TIME_NS);
        return s->run ? kt_ok() : kt_err(KT_ERR_MEMORY);
    }
    if (!s->file)
        return kt_ok();
    KT_GUARD(check_word(c, node, "secret_key_ref.file", s->file));
    char *path = kt_file_beside(place(node, "secret_key_ref.file").file, s->file);
    KT_ENSURE(path, KT_ERR_MEMORY);
    free(s->file);
    s->file = path;
    s->kept = kt_secret_file_new();
    return s->kept ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static kt_result check_header(struct kt_ctx *c, const struct kt_node *node, const struct kt_target *t)
{
    const char *name = t->api_key_header;
    if (!kt_header_name_valid(name))
        return about(c, "E004", node, "api_key_header", "e.g. x-api-key",
                     "is not the name of an HTTP header");
    static const char *const own[] = {"host",       "content-length", "content-type", "transfer-encoding",
                                      "connection", "accept",         "expect",       "accept-encoding"};
    for (size_t i = 0; i < KT_COUNT(own); i++)
        if (strcasecmp(name, own[i]) == 0)
            return about(c, "E004", node, "api_key_header", "e.g. x-api-key",
                         "is a header of the call itself and cannot hold a key");
    for (const char *p = t->api_key_prefix; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return about(c, "E004", node, "api_key_prefix", "e.g. Bearer, or \"\" for none",
                         "holds a control character or a line break");
    return kt_ok();
}

static kt_result check_ca(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t)
{
    if (!t->tls.ca_file)
        return kt_ok();
    if (!*t->tls.ca_file)
        return about(c, "E004", node, "tls.ca_file", "leave it out for the CAs of the system", "is empty");
    char *file = kt_file_beside(place(node, "tls.ca_file").file, t->tls.ca_file);
    KT_ENSURE(file, KT_ERR_MEMORY);
    free(t->tls.ca_file);
    t->tls.ca_file = file;
    size_t path = kt_path_push(c, "tls.ca_file");
    kt_result r = kt_ca_check(c, file, place(node, "tls.ca_file"));
    kt_path_pop(c, path);
    return r;
}

static kt_result finish_provider(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t)
{
    size_t errors = kt_diags_errors(c->diags);
    if (!t->provider)
        return kt_ok(); /* the table has complained */
    KT_GUARD(split_shorthand(c, node, t));
    if (kt_diags_errors(c->diags) == errors)
        KT_GUARD(check_word(c, node, "provider", t->provider));
    if (kt_diags_errors(c->diags) > errors)
        return kt_ok(); /* what is missing now would only follow from that */
    KT_GUARD(apply_defaults(c, node, t));
    bool said =
        !kt_node_is_null(kt_node_get(node, "model")); /* then it was wrong, and the table has complained */
    return t->model || said
               ? kt_ok()
               : about(c, "E005", node, "model", "e.g. model: mistral-large-latest", "is missing");
}

/* Two promises of which only one can hold. The policy believes the number. */
static kt_result check_promises(struct kt_ctx *c, const struct kt_node *node, const struct kt_target *t)
{
    if (!t->data_policy.zero_data_retention || t->data_policy.retention_days <= 0)
        return kt_ok();
    return about(c, "W006", node, "data_policy.retention_days", "keep one of the two",
                 "says that requests are stored, zero_data_retention that they are not; taken as stored");
}

kt_result kt_target_finish(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t)
{
    if (t->stream_timeout_seconds == 0)
        t->stream_timeout_seconds = t->timeout_seconds;
    KT_GUARD(check_word(c, node, "id", t->id));
    KT_GUARD(check_secret(c, node, t));
    KT_GUARD(check_header(c, node, t));
    KT_GUARD(check_ca(c, node, t));
    KT_GUARD(check_promises(c, node, t));
    if (strcmp(t->format, "openai") != 0)
        KT_GUARD(about(c, "E007", node, "format", "use 'openai'",
                       "only the format 'openai' is available in this version"));
    KT_GUARD(finish_provider(c, node, t));
    KT_GUARD(check_word(c, node, "model", t->model));
    return check_url(c, node, t);
}
