/* SPDX-License-Identifier: Apache-2.0 */
/* kt policy explain --effective: the one canonical form of a config. */
#include "interceptor/route/kt_retry.h"
#include "policyengine/chain/kt_chain.h"
#include "policyengine/config/kt_effective.h"
#include "policyengine/config/kt_read.h"
#include "tools/policy.h"
#include "tools/policy_run.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 64 << 20 };

static const char usage[] =
    "usage: kt policy explain --effective [--policy-config F]... [--json] [F...]\n\n"
    "Prints the config as ktwrap understands it: several files layered, every default filled in, other "
    "spellings "
    "turned\n"
    "into the one that this version uses, in a fixed order. The output is a config itself, with comments "
    "that say what\n"
    "follows a failed attempt. Of a key it shows "
    "where "
    "it\n"
    "comes from, never the key. Without a file: $KT_POLICY_CONFIG, else ./policy-config.yaml. Warnings go to "
    "standard\n"
    "error.\n\n"
    "  --policy-config F, --file F, -f F   a file; may be repeated, later ones win\n"
    "  --json                              JSON instead of YAML\n\n"
    "exit status: 0 ok, 2 the config has errors, or wrong usage\n";

struct effective {
    struct kt_strings files;
    bool json;
    struct kt_config *config;
    struct kt_diags diags;
    struct kt_node *tree;
};

static void effective_free(struct effective *e)
{
    kt_strings_free(&e->files);
    kt_config_free(e->config);
    kt_diags_free(&e->diags);
    kt_node_free(e->tree);
}

static void print_diags(const struct kt_diags *d)
{
    for (size_t i = 0; i < d->count; i++) {
        KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(1 << 16);
        if (kt_is_ok(kt_diag_format(&d->items[i], &line)))
            fprintf(stderr, "%s\n", line.data);
    }
}

/* Compact JSON as cJSON lays it out for people. */
static bool put_json(const char *compact)
{
    cJSON *root = cJSON_Parse(compact);
    char *text = root ? cJSON_Print(root) : NULL;
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(root);
    return text != NULL;
}

/* As comments: the output stays a config. */
static bool print_failures(const struct kt_config *c)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(TEXT_MAX);
    if (!c->has_providers)
        return true;
    if (!kt_is_ok(kt_buf_puts(&text, "# What follows an attempt that failed, with this config:\n")) ||
        !kt_is_ok(kt_failure_table(c, "#   ", &text)))
        return false;
    fwrite(text.data, 1, text.len, stdout);
    return true;
}

static bool print_tree(const struct effective *e)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(TEXT_MAX);
    if (!kt_is_ok(e->json ? kt_node_json(e->tree, &text) : kt_node_yaml(e->tree, &text)))
        return false;
    if (e->json)
        return put_json(text.data);
    fwrite(text.data, 1, text.len, stdout);
    return print_failures(e->config);
}

/* What lint and `kt wrap` refuse must not come out as if it were fine. */
static bool chain_can_be_made(const struct kt_config *c)
{
    struct kt_chain *chain = NULL;
    int status = kt_policy_make_chain(c, &chain);
    kt_chain_free(chain);
    return status == 0;
}

static int run(struct effective *e)
{
    kt_result r = kt_config_load((const char *const *)e->files.items, e->files.count, &e->config, &e->diags);
    print_diags(&e->diags);
    if (!kt_is_ok(r))
        return r.code == KT_ERR_MEMORY ? kt_policy_out_of_memory() : KT_EXIT_USAGE;
    if (!chain_can_be_made(e->config))
        return KT_EXIT_USAGE;
    r = kt_effective_tree(e->config, &e->tree);
    if (r.code == KT_ERR_LIMIT) {
        fputs("kt policy: 'testing' or 'agents' is too large to be one file\n", stderr);
        return KT_EXIT_USAGE;
    }
    if (!kt_is_ok(r) || !print_tree(e))
        return kt_policy_out_of_memory();
    if (fflush(stdout) != 0) {
        perror("kt policy: cannot write");
        return KT_EXIT_USAGE;
    }
    return KT_EXIT_OK;
}

int kt_policy_effective(int argc, char **argv)
{
    KT_CLEANUP(effective_free) struct effective e = {0};
    if (kt_policy_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return KT_EXIT_OK;
    }
    int status = kt_policy_file_args(argc, argv, "explain --effective", "--effective", &e.files, &e.json);
    if (status == 0)
        status = kt_policy_default_files(&e.files, "explain --effective");
    return status ? status : run(&e);
}
