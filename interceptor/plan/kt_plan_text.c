/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/plan/kt_plan_text.h"
#include "interceptor/abi/kt_plan_format.h"
#include "interceptor/tls/kt_ca_name.h"

#include <stdio.h>
#include <string.h>

static kt_result put_path(struct kt_buf *out, const char *word, const char *path, struct kt_error *err)
{
    if (strpbrk(path, "\n\r"))
        return kt_fail(err, KT_ERR_USAGE, "a path with a line break cannot stand in a plan file");
    return kt_buf_printf(out, "%s %s\n", word, path);
}

/* Whether a line behind `start` already names it: in the plan each name gets one address. */
static bool seen_before(const struct kt_buf *out, size_t start, const struct kt_ca_name *name)
{
    char line[KT_CA_NAME_BYTES + 8];
    int n = snprintf(line, sizeof line, " %s%s\n", name->wildcard ? "*." : "", name->text);
    return memmem(out->data + start, out->len - start, line, (size_t)n) != NULL;
}

static kt_result parse(const char *text, const char *what, struct kt_ca_name *name, struct kt_error *err)
{
    if (kt_is_ok(kt_ca_name_parse(text, name)))
        return kt_ok();
    return kt_fail(err, KT_ERR_USAGE, "intercept.%s: '%.200s' is neither a DNS name nor an IP address", what,
                   text);
}

static kt_result put_host(struct kt_buf *out, const struct kt_ca_name *name, uint32_t *next)
{
    if (name->wildcard)
        return kt_buf_printf(out, "wild *.%s\n", name->text);
    uint32_t a = (*next)++;
    return kt_buf_printf(out, "host %u.%u.%u.%u %s\n", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
                         name->text);
}

static kt_result put_hosts(const struct kt_plan_facts *f, struct kt_buf *out, struct kt_error *err)
{
    struct kt_ca_name name;
    uint32_t next = KT_SYNTH_NET + 1;
    for (size_t i = 0; f->exclude && i < f->exclude->count; i++) {
        KT_GUARD(parse(f->exclude->items[i], "exclude", &name, err));
        KT_GUARD(kt_buf_printf(out, "exclude %s%s\n", name.wildcard ? "*." : "", name.text));
    }
    if (f->hosts->count > KT_PLAN_MAX_HOSTS)
        return kt_fail(err, KT_ERR_USAGE, "intercept.hosts has %zu entries; at most %d are possible",
                       f->hosts->count, KT_PLAN_MAX_HOSTS);
    size_t start = out->len;
    for (size_t i = 0; i < f->hosts->count; i++) {
        KT_GUARD(parse(f->hosts->items[i], "hosts", &name, err));
        if (!seen_before(out, start, &name))
            KT_GUARD(put_host(out, &name, &next));
    }
    return kt_ok();
}

kt_result kt_plan_print(const struct kt_plan_facts *f, struct kt_buf *out, struct kt_error *err)
{
    KT_GUARD(kt_buf_printf(out, KT_PLAN_MAGIC "\nmode %s\nfail_mode %s\nexpires %lld\n", f->mode,
                           f->fail_mode, (long long)f->expires));
    KT_GUARD(put_path(out, "ca", f->made->ca_pem, err));
    KT_GUARD(put_path(out, "bundle", f->made->bundle_pem, err));
    KT_GUARD(put_path(out, "extra", f->made->extra_pem, err));
    if (f->made->truststore_p12[0])
        KT_GUARD(put_path(out, "truststore", f->made->truststore_p12, err));
    if (f->roots_from)
        KT_GUARD(put_path(out, "roots_from", f->roots_from, err));
    if (f->extra_from)
        KT_GUARD(put_path(out, "extra_from", f->extra_from, err));
    kt_result r = put_hosts(f, out, err);
    return r.code == KT_ERR_LIMIT
               ? kt_fail(err, KT_ERR_USAGE, "intercept: too many or too long names for a plan file")
               : r;
}

struct kt_span kt_plan_word(struct kt_span plan, const char *word)
{
    size_t n = strlen(word);
    while (plan.len > 0) {
        const char *nl = memchr(plan.data, '\n', plan.len);
        if (!nl)
            break; /* a torn last line says nothing */
        size_t len = (size_t)(nl - plan.data);
        if (len > n && memcmp(plan.data, word, n) == 0 && plan.data[n] == ' ')
            return kt_span(plan.data + n + 1, len - n - 1);
        plan = kt_span(nl + 1, plan.len - len - 1);
    }
    return kt_span(NULL, 0);
}

kt_result kt_plan_check(struct kt_span plan, time_t now)
{
    static const char magic[] = KT_PLAN_MAGIC "\n";
    KT_ENSURE(plan.len >= sizeof magic - 1 && memcmp(plan.data, magic, sizeof magic - 1) == 0, KT_ERR_SYNTAX);
    struct kt_span text = kt_plan_word(plan, "expires");
    KT_ENSURE(text.len > 0 && text.len <= 12, KT_ERR_SYNTAX);
    long long expires = 0;
    for (size_t i = 0; i < text.len; i++) {
        KT_ENSURE(text.data[i] >= '0' && text.data[i] <= '9', KT_ERR_SYNTAX);
        expires = expires * 10 + (text.data[i] - '0');
    }
    KT_ENSURE(expires > (long long)now, KT_ERR_STATE);
    return kt_ok();
}
