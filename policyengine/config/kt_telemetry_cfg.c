/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_address.h"
#include "policyengine/config/kt_config_parts.h"

#include <stdlib.h>
#include <string.h>

#define SERVICE "ktwrap"

static bool ends_in(const char *text, const char *tail)
{
    size_t n = strlen(text), m = strlen(tail);
    return n >= m && strcmp(text + n - m, tail) == 0;
}

static const char *problem_of(const char *url)
{
    char host[256];
    bool clear = false;
    if (strchr(url, '@'))
        return "it holds a user or password, which telemetry does not send";
    const char *problem = kt_url_problem(url, host, &clear);
    if (problem)
        return problem;
    return ends_in(url, "/v1/traces") || ends_in(url, "/v1/metrics")
               ? "/v1/traces and /v1/metrics are added to it"
               : NULL;
}

/* A collector shows it beside every span. */
static kt_result check_name(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config)
{
    const struct kt_node *node = kt_node_at(root, "telemetry.service_name");
    const char *p = config->telemetry.service_name;
    while (p && (unsigned char)*p >= 0x20 && *p != 0x7f)
        p++;
    if (kt_node_is_null(node) || node->kind != KT_NODE_SCALAR || !p ||
        (!*p && *config->telemetry.service_name))
        return kt_ok();
    char *usual = strdup(SERVICE);
    KT_ENSURE(usual, KT_ERR_MEMORY);
    free(config->telemetry.service_name);
    config->telemetry.service_name = usual;
    size_t path = kt_path_push(c, "telemetry.service_name");
    kt_result r = kt_complain(c, "W006", node->at, "leave it out, or e.g. ktwrap",
                              "is empty or holds a control character; it is " SERVICE);
    kt_path_pop(c, path);
    return r;
}

kt_result kt_telemetry_check(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config)
{
    const struct kt_node *node = kt_node_at(root, "telemetry.otlp_endpoint");
    if (config->telemetry.otlp_endpoint && !*config->telemetry.otlp_endpoint) { /* a layer switches it off */
        free(config->telemetry.otlp_endpoint);
        config->telemetry.otlp_endpoint = NULL;
    }
    const char *url = config->telemetry.otlp_endpoint;
    KT_GUARD(check_name(c, root, config));
    const char *problem = node && url ? problem_of(url) : NULL;
    if (!problem)
        return kt_ok();
    size_t path = kt_path_push(c, "telemetry");
    kt_path_push(c, "otlp_endpoint");
    kt_result r = kt_complain(c, "E004", node->at, "http://host[:port][/path] of a collector",
                              "is not the base URL of a collector: %s", problem);
    kt_path_pop(c, path);
    return r;
}
