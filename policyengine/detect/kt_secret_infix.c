/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that a mark near their beginning gives away, and passwords of command lines that name no password.
 */
#include "policyengine/detect/kt_secret_rule.h"

#include <string.h>

/* A hit starts at the mark: of a stream, what stands in front of it is gone already. So the mark has to stand
 * in front of what is secret. */
static const struct infix {
    const char *label, *mark;
    unsigned min, max; /* letters and digits in front of the mark */
    const char *shape; /* behind it */
} infixes[] = {
    {"azure-client-secret", "8Q~", 3, 3, "\\e{31,34}"},
    {"salesforce-token", "!AQ", 15, 18, "\\j{60,200}"}, /* in front: the public id of the organisation */
};

unsigned kt_secret_infix_count(void)
{
    return KT_COUNT(infixes);
}

const char *kt_secret_infix_mark(unsigned i)
{
    return infixes[i].mark;
}

enum kt_secret_answer kt_secret_infix(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit)
{
    const struct infix *x = &infixes[a->arg];
    if (memcmp(v->data + a->start, x->mark, a->end - a->start) != 0)
        return KT_SECRET_NO;
    size_t i = a->start, end = 0;
    while (i > v->floor && a->start - i <= x->max && kt_secret_is(v->data[i - 1], KT_CH_ALNUM))
        i--;
    if (a->start - i < x->min || a->start - i > x->max || !kt_secret_starts(v, i))
        return KT_SECRET_NO;
    enum kt_secret_answer answer = kt_secret_shape(v, a->end, x->shape, &end);
    if (answer != KT_SECRET_YES)
        return answer;
    if (kt_secret_placeholder(v->data + a->end, end - a->end) ||
        kt_secret_entropy(v->data + a->end, end - a->end) < 3)
        return KT_SECRET_NO;
    *hit = (struct kt_secret_hit){a->start, end, x->label, KT_SECRET_SURE};
    return KT_SECRET_YES;
}

#define PASSWORD_MIN 6u
#define PASSWORD_MAX 128u

/* sshpass -p X, mysql -pX, psexec -p X, docker login -p X: of many programs "-p" is a port or a path. */
enum kt_secret_answer kt_secret_password_option(const struct kt_secret_view *v,
                                                const struct kt_secret_anchor *a, struct kt_secret_hit *hit)
{
    static const char *const tools[] = {"sshpass",      "mysql",          "psexec", "docker login",
                                        "podman login", "registry login", "sqlcmd"};
    size_t low = a->start > KT_SECRET_BEHIND ? a->start - KT_SECRET_BEHIND : 0, line = a->start, i = a->end;
    while (line > low && v->data[line - 1] != '\n')
        line--;
    if (!kt_secret_has(v->data + line, a->start - line, tools, KT_COUNT(tools)))
        return KT_SECRET_NO;
    static const char *const glued[] = {"mysql"}; /* "mysql -p name" asks, and names a database */
    bool spaced = i < v->len && v->data[i] == ' ';
    if (spaced && kt_secret_has(v->data + line, a->start - line, glued, 1))
        return KT_SECRET_NO;
    i += spaced;
    i += i < v->len && (v->data[i] == '\'' || v->data[i] == '"');
    size_t start = i, digits = 0, letters = 0;
    for (; i < v->len && i - start <= PASSWORD_MAX && (unsigned char)v->data[i] > ' ' &&
           !strchr("'\"`|;<>", v->data[i]);
         i++) {
        digits += kt_secret_is(v->data[i], KT_CH_DIGIT);
        letters += kt_secret_is(v->data[i], KT_CH_LETTER);
    }
    if (i == v->len && !v->final && i - start <= PASSWORD_MAX)
        return KT_SECRET_MORE;
    bool refers = start < v->len && strchr("$%-/.", v->data[start]);
    if (i - start < PASSWORD_MIN || i - start > PASSWORD_MAX || !digits || !letters || refers ||
        kt_secret_placeholder(v->data + start, i - start))
        return KT_SECRET_NO;
    *hit = (struct kt_secret_hit){start, i, "password-option", KT_SECRET_LIKELY};
    return KT_SECRET_YES;
}
