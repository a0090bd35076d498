/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/policy_run.h"

#include "policyengine/audit/kt_event.h"
#include "policyengine/base/kt_io.h"
#include "policyengine/chain/kt_chain.h"
#include "policyengine/chain/kt_chain_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int loaded(kt_result r, const struct kt_diags *diags)
{
    size_t errors = kt_diags_errors(diags);
    for (size_t i = 0; i < diags->count; i++) {
        if (diags->items[i].severity != KT_SEV_ERROR)
            continue;
        KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(1 << 16);
        if (kt_diag_format(&diags->items[i], &line).code == KT_OK)
            fprintf(stderr, "%s\n", line.data);
    }
    if (r.code == KT_ERR_MEMORY)
        return kt_policy_out_of_memory();
    if (r.code != KT_OK && errors == 0)
        fprintf(stderr, "kt policy: the config cannot be loaded (%s)\n", kt_code_name(r.code));
    return r.code == KT_OK ? 0 : KT_EXIT_USAGE;
}

int kt_policy_load(const struct kt_strings *files, struct kt_config **out)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {.items = NULL};
    kt_result r = kt_config_load((const char *const *)files->items, files->count, out, &diags);
    return loaded(r, &diags);
}

int kt_policy_load_one(const char *kind, const char *extra, struct kt_config **out)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {.items = NULL};
    KT_CLEANUP(kt_buf_free) struct kt_buf yaml = KT_BUF_INIT(1 << 20);
    kt_result r = kt_buf_printf(&yaml,
                                "pack: {name: defaults, version: 1.0.0, enabled: true}\n"
                                "policies: {chain: [%s]}\npolicy:\n  %s: {%s}\n",
                                kind, kind, extra ? extra : "");
    if (r.code == KT_OK)
        r = kt_config_parse("defaults", yaml.data, yaml.len, out, &diags);
    return loaded(r, &diags);
}

int kt_policy_make_chain(const struct kt_config *config, struct kt_chain **out)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {.items = NULL};
    struct kt_error err = {KT_OK, ""};
    kt_result r = kt_chain_new(config, out, &err);
    if (kt_is_ok(r))
        return 0;
    if (r.code != KT_ERR_MEMORY && kt_is_ok(kt_chain_check_files(config, false, &diags)) &&
        kt_diags_errors(&diags))
        return loaded(r, &diags);
    fprintf(stderr, "kt policy: the chain cannot be made: %s\n",
            err.text[0] ? err.text : kt_code_name(r.code));
    return KT_EXIT_USAGE;
}

bool kt_policy_colour(FILE *to)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(to)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

void kt_policy_put_verdict(FILE *to, const char *verdict, int width, bool colour)
{
    static const struct {
        const char *verdict, *code;
    } colours[] = {{"allow", "\033[32m"}, {"redact", "\033[33m"}, {"escalate", "\033[35m"},
                   {"block", "\033[31m"}, {"error", "\033[31m"},  {"pass", "\033[32m"},
                   {"FAIL", "\033[1;31m"}};
    const char *code = NULL;
    for (size_t i = 0; colour && i < KT_COUNT(colours); i++)
        if (strcmp(colours[i].verdict, verdict) == 0)
            code = colours[i].code;
    fprintf(to, "%s%-*s%s", code ? code : "", width, verdict, code ? "\033[0m" : "");
}

/* Bytes of a character that may not reach a terminal: DEL, C1 controls, and those that turn the writing
 * direction around. C0 is escaped already. */
static size_t unsafe(const unsigned char *s)
{
    if (s[0] == 0x7F)
        return 1;
    if (s[0] == 0xC2 && s[1] >= 0x80 && s[1] <= 0x9F)
        return 2;
    bool bidi =
        s[0] == 0xE2 && ((s[1] == 0x80 && ((s[2] >= 0xA8 && s[2] <= 0xAE) || s[2] == 0x8E || s[2] == 0x8F)) ||
                         (s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9));
    return bidi ? 3 : 0;
}

void kt_policy_put_text(FILE *to, const char *text, size_t len, size_t max)
{
    size_t cut = 0, characters = 0;
    while (cut < len && characters < max) {
        cut++;
        while (cut < len && ((unsigned char)text[cut] & 0xC0) == 0x80)
            cut++;
        characters++;
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf clean = KT_BUF_INIT(len * 6 + 16);
    if (kt_event_text(&clean, text, cut).code != KT_OK)
        return;
    for (size_t i = 0; i < clean.len;) {
        size_t bad = unsafe((const unsigned char *)clean.data + i);
        putc(bad ? '?' : clean.data[i], to);
        i += bad ? bad : 1;
    }
    if (cut < len)
        fputs("...", to);
}

kt_result kt_policy_read_file(const char *path, struct kt_buf *out)
{
    bool in = strcmp(path, "-") == 0;
    KT_CLEANUP(kt_cleanup_fd) int own = in ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int fd = in ? STDIN_FILENO : own;
    KT_ENSURE(fd >= 0, KT_ERR_IO);
    KT_GUARD(kt_read_to_end(fd, out));
    if (out->len >= 3 && memcmp(out->data, "\xef\xbb\xbf", 3) == 0)
        kt_buf_consume(out, 3); /* editors' byte order mark, which no JSON begins with */
    return kt_ok();
}

int kt_policy_flush(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("kt policy: cannot write");
    return KT_EXIT_USAGE;
}
