/* SPDX-License-Identifier: Apache-2.0 */
/* Options against each other, once per config. */
#include "policyengine/base/kt_suggest.h"
#include "policyengine/policies/quality_scorer.h"

#include <stdlib.h>
#include <string.h>

static bool names(const struct quality_assertion *a, const char *key)
{
    return strcmp(a->label, key) == 0 || strcmp(a->type->name, key) == 0;
}

static kt_result apply_weights(const struct quality_options *o, struct quality_instance *in,
                               struct kt_error *err)
{
    for (size_t w = 0; w < o->weights.count; w++) {
        bool used = false;
        for (size_t i = 0; i < in->count; i++)
            if (names(&in->assertions[i], o->weights.keys[w])) {
                in->assertions[i].weight = o->weights.values[w];
                used = true;
            }
        if (!used)
            return kt_fail(
                err, KT_ERR_USAGE,
                "quality-scorer: weights: no enabled assertion has the name or type '%.60s'; name one of "
                "assertions",
                o->weights.keys[w]);
    }
    return kt_ok();
}

static bool misspelt(const char *key)
{
    struct kt_suggest near;
    char text[96];
    kt_suggest_begin(&near, key);
    kt_suggest_try(&near, "min_aggregate", sizeof "min_aggregate" - 1);
    return kt_suggest_text(&near, text) != NULL;
}

static kt_result read_thresholds(const struct quality_options *o, struct quality_instance *in,
                                 struct kt_error *err)
{
    in->threshold = o->pass_policy.threshold;
    for (size_t i = 0; i < o->thresholds.count; i++) {
        const char *key = o->thresholds.keys[i];
        double v = o->thresholds.values[i];
        if (strcmp(key, "min_aggregate") == 0)
            in->threshold = v > in->threshold ? v : in->threshold;
        else if (strncmp(key, "min_", 4) != 0 || misspelt(key))
            return kt_fail(err, KT_ERR_USAGE,
                           "quality-scorer: thresholds: no key '%.60s'; did you mean 'min_aggregate'?", key);
        else if (v > 0)
            return kt_fail(
                err, KT_ERR_USAGE,
                "quality-scorer: thresholds.%.60s needs a model to decide; use min_aggregate and assertions",
                key);
    }
    return kt_ok();
}

/* min_output_chars and min_sentences are assertions that nobody has to write. */
static kt_result add_least(struct quality_instance *in, const char *name, char *type, int64_t least,
                           struct kt_error *err)
{
    char value[24];
    struct kt_buf b = KT_BUF_INIT(sizeof value);
    if (least <= 0)
        return kt_ok();
    KT_GUARD(kt_buf_printf(&b, "%lld", (long long)least));
    struct quality_entry e = {.type = type, .value = b.data, .weight = 1, .case_sensitive = true};
    e.severity = QUALITY_CRITICAL;
    kt_result r = quality_compile(&e, 0, &in->assertions[in->count++], err);
    kt_buf_free(&b);
    KT_GUARD(r);
    char *label = strdup(name);
    KT_ENSURE(label, KT_ERR_MEMORY);
    free(in->assertions[in->count - 1].label);
    in->assertions[in->count - 1].label = label;
    return kt_ok();
}

void quality_fini(void *instance)
{
    struct quality_instance *in = instance;
    if (!in)
        return;
    for (size_t i = 0; i < in->count; i++)
        quality_assertion_free(&in->assertions[i]);
    free(in->assertions);
    free(in);
}

static void instance_cleanup(struct quality_instance **in)
{
    quality_fini(*in);
}

kt_result quality_init(const void *opts, void **instance, struct kt_error *err)
{
    const struct quality_options *o = opts;
    static char chars[] = "min-length", sentences[] = "min-sentences";
    if (o->assertions.count > QUALITY_ASSERTIONS_MAX)
        return kt_fail(err, KT_ERR_USAGE, "quality-scorer: assertions: are more than %u; leave some out",
                       QUALITY_ASSERTIONS_MAX);
    KT_CLEANUP(instance_cleanup) struct quality_instance *in = calloc(1, sizeof *in);
    KT_ENSURE(in, KT_ERR_MEMORY);
    in->assertions = calloc(o->assertions.count + 2, sizeof *in->assertions);
    KT_ENSURE(in->assertions, KT_ERR_MEMORY);
    const struct quality_entry *entries = o->assertions.items;
    for (size_t i = 0; i < o->assertions.count; i++)
        if (entries[i].enabled)
            KT_GUARD(quality_compile(&entries[i], i, &in->assertions[in->count++], err));
    KT_GUARD(apply_weights(o, in, err));
    KT_GUARD(add_least(in, "min_output_chars", chars, o->min_output_chars, err));
    KT_GUARD(add_least(in, "min_sentences", sentences, o->min_sentences, err));
    KT_GUARD(read_thresholds(o, in, err));
    *instance = KT_TAKE(in);
    return kt_ok();
}
