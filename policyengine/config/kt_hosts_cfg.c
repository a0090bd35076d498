/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_address.h"
#include "policyengine/config/kt_config_parts.h"

#include <string.h>

const char *const kt_default_hosts[] = {"api.openai.com", "api.mistral.ai", "codestral.mistral.ai", NULL};

kt_result kt_hosts_default(struct kt_config *config)
{
    for (const char *const *h = kt_default_hosts; *h; h++)
        KT_GUARD(kt_strings_add(&config->intercept.hosts, *h));
    return kt_ok();
}

/* Names compare in lower case everywhere. */
static void lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

static kt_result bad_host(struct kt_ctx *c, const struct kt_node *item)
{
    const char *hint = strstr(item->text, "://") ? "the host alone, without https:// and path"
                       : strchr(item->text, '*') ? "a wildcard is '*.' and a name, e.g. '*.openai.azure.com'"
                                                 : "a name, '*.suffix' or an IP address, without a port";
    return kt_complain(c, "E004", item->at, hint, "is not a host");
}

/* `list` was read from `node`; non-text items were complained about and left out then. */
static kt_result check_list(struct kt_ctx *c, const struct kt_node *node, struct kt_strings *list)
{
    if (!node || node->kind != KT_NODE_LIST)
        return kt_ok();
    for (size_t i = 0; i < list->count; i++)
        lower(list->items[i]);
    for (size_t i = 0; i < node->count; i++) {
        const struct kt_node *item = node->items[i];
        if (item->kind != KT_NODE_SCALAR || kt_host_valid(item->text, true))
            continue;
        size_t path = kt_path_push_index(c, i);
        KT_GUARD(bad_host(c, item));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

/* `wide` is a name or "*.suffix"; both in lower case. */
static bool covers(const char *wide, const char *host)
{
    size_t n = strlen(host), m = strlen(wide);
    if (wide[0] != '*')
        return strcmp(wide, host) == 0;
    return n >= m && strcmp(host + n - (m - 1), wide + 1) == 0;
}

/* What is excluded must have been captured, and something must be left. */
static kt_result check_exclude(struct kt_ctx *c, const struct kt_node *node, const struct kt_config *config)
{
    const struct kt_strings *hosts = &config->intercept.hosts, *out = &config->intercept.exclude;
    if (!node || node->kind != KT_NODE_LIST || node->count != out->count)
        return kt_ok(); /* the list has complained */
    for (size_t i = 0; i < out->count; i++) {
        bool covered = false, whole = false;
        for (size_t h = 0; h < hosts->count; h++) {
            covered =
                covered || covers(hosts->items[h], out->items[i]) || covers(out->items[i], hosts->items[h]);
            whole = whole || covers(out->items[i], hosts->items[h]);
        }
        size_t path = kt_path_push_index(c, i);
        if (whole)
            KT_GUARD(kt_complain(c, "W006", node->items[i]->at, "take it out of one of the lists",
                                 "takes a host away that intercept.hosts names"));
        else if (!covered)
            KT_GUARD(kt_complain(c, "W006", node->items[i]->at, "leave it out",
                                 "has no effect: no entry of intercept.hosts covers it"));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

kt_result kt_hosts_read(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config)
{
    const struct kt_node *hosts = kt_node_at(root, "intercept.hosts"),
                         *exclude = kt_node_at(root, "intercept.exclude");
    size_t path = kt_path_push(c, "intercept"), errors = kt_diags_errors(c->diags);
    size_t inner = kt_path_push(c, "hosts");
    KT_GUARD(check_list(c, hosts, &config->intercept.hosts));
    if (hosts && hosts->kind == KT_NODE_LIST && hosts->count == 0)
        KT_GUARD(kt_complain(c, "W006", hosts->at, "leave 'hosts' out for the built-in list",
                             "no host is captured"));
    kt_path_pop(c, inner);
    kt_path_push(c, "exclude");
    KT_GUARD(check_list(c, exclude, &config->intercept.exclude));
    if (kt_node_is_null(hosts))
        KT_GUARD(kt_hosts_default(config));
    if (kt_diags_errors(c->diags) == errors)
        KT_GUARD(check_exclude(c, exclude, config));
    kt_path_pop(c, path);
    return kt_ok();
}
