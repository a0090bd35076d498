/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/dialect/kt_rules.h"

#include <string.h>

static size_t find_rule(const struct kt_translation *t, uint32_t key, const struct kt_rule *rules)
{
    size_t i = 0;
    while (rules[i].key && !kt_json_str_eq(t->j, key, rules[i].key))
        i++;
    return i;
}

static KT_MUST kt_result apply_one(const struct kt_translation *t, uint32_t object, uint32_t value,
                                   const struct kt_rule *rule)
{
    if ((rule->flags & KT_RULE_NOT_NULL) && kt_rule_is(t, value, KT_JSON_NULL))
        return kt_rule_drop(t, object, value);
    if (rule->fields)
        KT_GUARD(kt_rules_apply(t, value, rule->fields));
    return rule->fix ? rule->fix(t, object, value) : kt_ok();
}

kt_result kt_rules_apply(const struct kt_translation *t, uint32_t object, const struct kt_rule *rules)
{
    if (!kt_rule_is(t, object, KT_JSON_OBJECT))
        return kt_ok();
    /* Fixes look at neighbours, so each runs once: with one run per occurrence a body full of one key would
     * be quadratic. */
    uint32_t last[KT_RULES_MAX] = {0};
    for (uint32_t k = object + 1; k < t->j->tok[object].next; k = t->j->tok[k + 1].next) {
        size_t i = find_rule(t, k, rules);
        KT_ENSURE(i < KT_RULES_MAX, KT_ERR_INTERNAL);
        if (!rules[i].key)
            KT_GUARD(kt_rule_drop(t, object, k + 1));
        else if (last[i])
            KT_GUARD(kt_rule_drop(t, object, last[i]));
        last[i] = k + 1;
    }
    for (size_t i = 0; rules[i].key; i++)
        if (last[i])
            KT_GUARD(apply_one(t, object, last[i], &rules[i]));
    return kt_ok();
}

kt_result kt_rule_drop(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    return kt_edits_remove_member(t->edits, t->j, object, value);
}

kt_result kt_rule_rename(const struct kt_translation *t, uint32_t value, const char *key)
{
    return kt_edits_rename_key(t->edits, t->j, value, key);
}

kt_result kt_rule_set(const struct kt_translation *t, uint32_t value, const char *raw)
{
    return kt_edits_replace_value(t->edits, t->j, value, raw, strlen(raw));
}

kt_result kt_rule_wrap(const struct kt_translation *t, uint32_t value, const char *before, const char *behind)
{
    const struct kt_json_tok *tok = &t->j->tok[value];
    KT_GUARD(kt_edits_add(t->edits, tok->start, tok->start, before, strlen(before)));
    return kt_edits_add(t->edits, tok->end, tok->end, behind, strlen(behind));
}

kt_result kt_rule_unwrap(const struct kt_translation *t, uint32_t outer, uint32_t inner)
{
    const struct kt_json_tok *o = &t->j->tok[outer], *i = &t->j->tok[inner];
    KT_GUARD(kt_edits_add(t->edits, o->start, i->start, "", 0));
    return kt_edits_add(t->edits, i->end, o->end, "", 0);
}

bool kt_rule_is(const struct kt_translation *t, uint32_t value, enum kt_json_type type)
{
    return t->j->tok[value].type == type;
}

uint32_t kt_rule_given(const struct kt_translation *t, uint32_t object, const char *key)
{
    uint32_t value = kt_json_member(t->j, object, key, NULL);
    return value && !kt_rule_is(t, value, KT_JSON_NULL) ? value : 0;
}

static bool digit_at(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

static const char *read_digits(const char *p, const char *end, double *value)
{
    for (; digit_at(p, end); p++)
        *value = *value * 10 + (*p - '0');
    return p;
}

/* Digits behind the point, as long as a double has room for them; *places = how many were taken. */
static const char *read_fraction(const char *p, const char *end, double *value, int *places)
{
    for (*places = 0; digit_at(p, end); p++) {
        if (*value > 1e17)
            continue;
        *value = *value * 10 + (*p - '0');
        ++*places;
    }
    return p;
}

/* Past 400 every double is 0 or infinite anyway, and the loop stays short. */
static double scale(double v, double exponent)
{
    double power = 1;
    for (double n = exponent < 0 ? -exponent : exponent, i = 0; i < n && i < 400; i++)
        power *= 10;
    return exponent < 0 ? v / power : v * power;
}

double kt_rule_number(const struct kt_translation *t, uint32_t value)
{
    struct kt_span raw = kt_json_raw(t->j, value);
    const char *p = raw.data, *end = raw.data + raw.len;
    bool negative = *p == '-', small = false;
    double v = 0, exponent = 0;
    int places = 0;
    p = read_digits(p + negative, end, &v);
    if (p < end && *p == '.')
        p = read_fraction(p + 1, end, &v, &places);
    if (p < end) { /* the e */
        p++;
        small = *p == '-';
        read_digits(p + (*p == '-' || *p == '+'), end, &exponent);
    }
    v = v == 0 ? 0 : scale(v, (small ? -exponent : exponent) - places);
    return negative ? -v : v;
}
