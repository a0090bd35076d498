/* SPDX-License-Identifier: Apache-2.0 */
/* kt policy explain: one request through the chain, and what each policy made of it. */
#include "tools/policy_explain.h"

#include "interceptor/exchange/kt_exchange.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)64 << 20)

static const char usage[] =
    "usage: kt policy explain [FILE|-] [--policy-config F]... [--response] [--show-text] [--json]\n\n"
    "Shows what the chain of a config makes of one request: what each policy saw, decided and took, the text "
    "as it\n"
    "leaves, and what the program would get. FILE (default: standard input) is a chat body in JSON; an "
    "answer in\n"
    "JSON ({\"choices\": ...}) runs through the response phase; everything else is taken as the text of one "
    "user\n"
    "message. Bodies of text completions, fill in the middle and embeddings are read, too. Nothing leaves "
    "this\n"
    "machine.\n\n"
    "  --policy-config F  the config; may be repeated (layers). Without it: $KT_POLICY_CONFIG, else\n"
    "                     ./policy-config.yaml\n"
    "  --response         plain text is an answer, not a request\n"
    "  --show-text        show texts of a call that was stopped, too: they are not redacted then\n"
    "  --json             one JSON object on standard output\n\n"
    "'kt policy explain --effective' prints the config itself, every default filled in; see its --help.\n\n"
    "Times are those of a second run: the first one warms up what a process prepares once.\n\n"
    "'kt policy explain --effective' prints the config instead, as it is understood.\n\n"
    "exit status: 0 the call goes on, 1 a policy stops it, 2 wrong usage, config or input\n";

struct explain_args {
    struct kt_strings files;
    const char *input;
    bool json, response, show_text;
};

static void args_free(struct explain_args *a)
{
    kt_strings_free(&a->files);
}

static int parse_args(struct explain_args *a, int argc, char **argv)
{
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        const char *v = NULL;
        int status = 0;
        bool *flag = strcmp(argv[i], "--json") == 0        ? &a->json
                     : strcmp(argv[i], "--response") == 0  ? &a->response
                     : strcmp(argv[i], "--show-text") == 0 ? &a->show_text
                                                           : NULL;
        if (!only_files && flag) {
            *flag = true;
        } else if (!only_files && strcmp(argv[i], "--") == 0) {
            only_files = true;
        } else if (only_files || argv[i][0] != '-' || !argv[i][1]) {
            if (a->input)
                return kt_usage_error(&kt_cmd_policy, "explain: one input at a time");
            a->input = argv[i];
        } else {
            status = kt_policy_file_option(argc, argv, &i, &v);
            if (status == 0)
                status = v ? kt_policy_add_file(&a->files, v)
                           : kt_usage_error(&kt_cmd_policy, "explain: unknown option '%s'", argv[i]);
        }
        if (status)
            return status;
    }
    return 0;
}

/* ---- input ---- */

struct input {
    enum kt_phase phase;
    bool text; /* the body was made by us */
    struct kt_buf body;
};

/* JSON objects that look like a request or an answer stay as they are; the rest becomes a text. */
static kt_result shape(const struct explain_args *a, struct kt_buf *raw, struct input *in)
{
    struct kt_json j;
    bool is_json = kt_json_parse(&j, kt_buf_span(raw).data, raw->len, NULL).code == KT_OK;
    bool answer = is_json && kt_json_member(&j, 0, "choices", NULL) != 0;
    bool request = is_json && !answer && kt_endpoint_of_body(&j) != KT_EP_UNKNOWN;
    if (is_json)
        kt_json_free(&j);
    in->phase = answer || (a->response && !request) ? KT_PHASE_RESPONSE : KT_PHASE_REQUEST;
    in->text = !answer && !request;
    if (!in->text)
        return kt_buf_append(&in->body, raw->data, raw->len);
    if (in->phase == KT_PHASE_REQUEST)
        return kt_body_of_text(&in->body, kt_buf_span(raw).data, raw->len);
    KT_GUARD(kt_buf_puts(&in->body,
                         "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\""));
    KT_GUARD(kt_buf_json(&in->body, kt_buf_span(raw).data, raw->len));
    return kt_buf_puts(&in->body, "\"}}]}");
}

/* Meant as JSON by its name or its beginning: as a text it would get a verdict that no such request gets. */
static bool means_json(const char *path, const struct kt_buf *raw)
{
    static const char blanks[] = " \t\r\n";
    const char *dot = strrchr(path, '.'), *p = raw->data, *end = p + raw->len;
    if (dot && strcmp(dot, ".json") == 0)
        return true;
    while (p < end && *p && strchr(blanks, *p))
        p++;
    if (p == end || (*p != '{' && *p != '['))
        return false;
    const char wanted = *p == '{' ? '"' : '{';
    for (p++; p < end && *p && strchr(blanks, *p); p++)
        ;
    return p < end && *p == wanted;
}

/* JSON that is cut or wrong. */
static int check_input(const char *path, const struct kt_buf *raw)
{
    struct kt_json j;
    struct kt_error err = {KT_OK, ""};
    if (kt_json_parse(&j, raw->data, raw->len, &err).code == KT_OK)
        kt_json_free(&j);
    else if (means_json(path, raw))
        return kt_usage_error(&kt_cmd_policy,
                              "explain: %s: this JSON cannot be read, as a request it gets 400: %s", path,
                              err.text);
    return 0;
}

static bool is_blank(const struct kt_buf *b)
{
    size_t i = 0;
    while (i < b->len && strchr(" \t\r\n", b->data[i]) && b->data[i])
        i++;
    return i == b->len;
}

static int read_input(const struct explain_args *a, struct input *in)
{
    const char *path = a->input ? a->input : "-";
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf raw = KT_BUF_INIT(INPUT_MAX);
    if (strcmp(path, "-") == 0 && isatty(STDIN_FILENO))
        fputs("kt policy explain: reading a request from the terminal; end with Ctrl-D\n", stderr);
    kt_result r = kt_policy_read_file(path, &raw);
    if (r.code == KT_OK && is_blank(&raw))
        return kt_usage_error(&kt_cmd_policy,
                              "explain: %s is empty; a request, an answer or a text is wanted", path);
    int wrong = r.code == KT_OK ? check_input(path, &raw) : 0;
    if (wrong)
        return wrong;
    if (r.code == KT_OK)
        r = shape(a, &raw, in);
    if (r.code == KT_OK)
        return 0;
    const char *why = r.code == KT_ERR_IO      ? strerror(errno)
                      : r.code == KT_ERR_LIMIT ? "larger than 64 MiB"
                                               : kt_code_name(r.code);
    return kt_usage_error(&kt_cmd_policy, "explain: cannot read %s: %s", path, why);
}

/* ---- what happens then ---- */

bool explain_shows_text(const struct explained *e)
{
    return e->show_text || e->checked.outcome.verdict < KT_VERDICT_ESCALATE;
}

/* The policy that refuses every target; NULL where one is left. */
static const char *none_admitted(const struct explained *e)
{
    const char *by = e->config->has_providers ? NULL : kt_chain_refuser(e->chain, kt_chain_origin(), NULL);
    for (size_t i = 0; i < e->config->providers.target_count; i++) {
        by = kt_chain_refuser(e->chain, &e->config->providers.targets[i], NULL);
        if (!by)
            return NULL;
    }
    return kt_chain_admits_none_warns(e->chain) ? NULL : by;
}

kt_result explain_end_of(const struct explained *e, struct explain_end *out)
{
    const struct kt_outcome *o = &e->checked.outcome;
    bool request = e->checked.phase == KT_PHASE_REQUEST;
    out->fate = FATE_GOES_ON;
    out->status = 0;
    if (e->config->mode == KT_MODE_OBSERVE || !e->config->pack.enabled)
        return kt_ok();
    if (o->verdict >= KT_VERDICT_ESCALATE) {
        out->fate = FATE_STOPPED;
        out->status = (int)e->config->block_status;
        return kt_openai_error(&out->answer, o->message ? o->message : "stopped by a policy",
                               "policy_violation",
                               o->verdict == KT_VERDICT_ESCALATE ? "escalation_required"
                               : request                         ? "input_blocked"
                                                                 : "output_blocked",
                               o->policy);
    }
    if (o->error_blocks || (o->internal_error && e->config->fail_mode == KT_FAIL_BLOCK)) {
        out->fate = FATE_FAILED;
        out->status = 503;
        char message[256];
        kt_policy_failed_message(message, sizeof message, o->failed, kt_outcome_failed_by(o));
        return kt_openai_error(&out->answer, message, "policy_error", "policy_failed", o->failed);
    }
    const char *by = request ? none_admitted(e) : NULL;
    if (!by)
        return kt_ok();
    out->fate = FATE_NO_TARGET;
    out->status = (int)e->config->block_status;
    return kt_openai_error(&out->answer, "Blocked by policy: no configured target may process this request.",
                           "policy_violation", "input_blocked", by);
}

static int explain(const struct explain_args *a, struct explained *e, const struct input *in)
{
    struct kt_error err = {.code = KT_OK};
    for (int run = 0; run < 2; run++) { /* the first one warms up */
        kt_checked_free(&e->checked);
        kt_placeholders_free(e->names);
        e->names = kt_placeholders_new();
        if (!e->names)
            return kt_policy_out_of_memory();
        if (kt_check_body(e->chain, in->phase, e->names, kt_buf_span(&in->body), &e->checked, &err).code !=
            KT_OK)
            return kt_usage_error(&kt_cmd_policy, "explain: %s",
                                  in->text ? "the input is no UTF-8 text" : err.text);
    }
    struct explain_end end = {.answer = KT_BUF_INIT(1 << 16)};
    if (explain_end_of(e, &end).code != KT_OK) {
        kt_buf_free(&end.answer);
        return kt_policy_out_of_memory();
    }
    if (a->json)
        explain_print_json(e, &end);
    else
        explain_print_text(e, &end);
    kt_buf_free(&end.answer);
    return kt_policy_flush(end.fate == FATE_GOES_ON ? KT_EXIT_OK : KT_EXIT_POLICY);
}

int kt_policy_explain(int argc, char **argv)
{
    KT_CLEANUP(args_free) struct explain_args a = {.json = false};
    KT_CLEANUP(kt_policy_config_cleanup) struct kt_config *config = NULL;
    if (kt_policy_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return KT_EXIT_OK;
    }
    int status = parse_args(&a, argc, argv);
    if (status == 0)
        status = kt_policy_default_files(&a.files, "explain");
    if (status == 0)
        status = kt_policy_load(&a.files, &config);
    struct input in = {.body = KT_BUF_INIT(8 * INPUT_MAX)};
    if (status == 0)
        status = read_input(&a, &in);
    struct kt_chain *chain = NULL;
    if (status == 0)
        status = kt_policy_make_chain(config, &chain);
    struct explained e = {.config = config, .chain = chain, .show_text = a.show_text};
    if (status == 0)
        status = explain(&a, &e, &in);
    kt_checked_free(&e.checked);
    kt_placeholders_free(e.names);
    kt_chain_free(chain);
    kt_buf_wipe_free(&in.body);
    return status;
}
