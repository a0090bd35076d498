/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind the last dot of an address. Code and the names of files have '@' too ("q@k.transpose",
 * "icon@3x.png", "react@18.next"): there only the top-level domain tells, so it must be one that exists, by
 * the public suffix list, or one that companies and examples use without asking anybody.
 */
#include "policyengine/detect/kt_pii_email.h"
#include "policyengine/detect/kt_pii_text.h"

#include <libpsl.h>
#include <string.h>

#define TOP_MAX 24u /* the longest of the list that is no "xn--" has 18 letters */

static bool listed(const char *label, size_t len, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == len && kt_pii_same(label, list[i], len))
            return true;
    return false;
}

bool kt_pii_email_top_known(const char *label, size_t len)
{
    /* RFC 2606, RFC 6762 (appendix G), ICANN's own reservation of .internal in 2024; and the one country
     * whose domain is on the list with its second levels only. */
    static const char *const own[] = {"example",     "test",     "invalid", "local", "localhost",
                                      "localdomain", "internal", "lan",     "corp",  "home",
                                      "intranet",    "private",  "za"};
    char lower[TOP_MAX + 1];
    if (len > TOP_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        lower[i] = kt_pii_alpha((unsigned char)label[i]) ? (char)(label[i] | 0x20) : label[i];
    lower[len] = '\0';
    return psl_is_public_suffix2(psl_builtin(), lower, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE) == 1 ||
           listed(lower, len, own, KT_COUNT(own));
}

/* "x@model.to(device)", "x@W.data": a product of matrices and a method or member whose name is a top-level
 * domain too: called, or of a name of one letter. */
static bool is_member(const struct kt_pii_view *v, size_t end)
{
    static const char *const members[] = {"to",   "all",  "call",   "fit",  "is",  "map",  "new", "now",
                                          "open", "read", "search", "show", "run", "cat",  "zip", "select",
                                          "one",  "like", "page",   "next", "id",  "data", "in",  "date"};
    size_t n = 0;
    while (n < TOP_MAX && n < end && kt_pii_alpha((unsigned char)v->data[end - 1 - n]))
        n++;
    bool called = end < v->len && v->data[end] == '(';
    bool of_letter = end - n >= 3 && v->data[end - n - 3] == '@';
    return (called || of_letter) && listed(v->data + end - n, n, members, KT_COUNT(members));
}

/* "scheme://user:password@host": names an account of a host, not a letter box. */
static bool is_login(const struct kt_pii_view *v, size_t start)
{
    size_t i = start;
    if (i <= v->floor || v->data[i - 1] != ':')
        return false;
    for (i--; i > v->floor && !strchr(" \t\r\n\"'<>@/", v->data[i - 1]); i--)
        ;
    return i >= v->floor + 3 && memcmp(v->data + i - 3, "://", 3) == 0;
}

bool kt_pii_email_is_code(const struct kt_pii_view *v, size_t start, size_t end)
{
    return is_member(v, end) || is_login(v, start);
}
