/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tls/kt_ca_name.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_dns_name(const char *s)
{
    size_t label = 0;
    for (; *s; s++) {
        if (*s == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!is_label_char(*s) || ++label > 63) {
            return false;
        }
    }
    return label > 0;
}

static bool parse_ip(const char *host, struct kt_ca_name *out)
{
    int family = AF_INET;
    if (inet_pton(AF_INET, host, out->ip) == 1)
        out->ip_len = 4;
    else if (inet_pton(AF_INET6, host, out->ip) == 1)
        out->ip_len = 16, family = AF_INET6;
    else
        return false;
    return inet_ntop(family, out->ip, out->text, sizeof out->text) != NULL;
}

kt_result kt_ca_name_parse(const char *host, struct kt_ca_name *out)
{
    memset(out, 0, sizeof *out);
    if (parse_ip(host, out))
        return kt_ok();
    if (strncmp(host, "*.", 2) == 0) {
        out->wildcard = true;
        host += 2;
    }
    size_t n = strlen(host);
    if (n > 0 && host[n - 1] == '.')
        n--;
    KT_ENSURE(n > 0 && n < sizeof out->text, KT_ERR_USAGE);
    for (size_t i = 0; i < n; i++)
        out->text[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] + 32) : host[i];
    KT_ENSURE(is_dns_name(out->text), KT_ERR_USAGE);
    return kt_ok();
}

GENERAL_NAME *kt_ca_name_general(const struct kt_ca_name *name, bool constraint)
{
    unsigned char bytes[32];
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_STRING *s = name->ip_len ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool fine = g && s;
    if (fine && name->ip_len) {
        size_t n = name->ip_len;
        memcpy(bytes, name->ip, n);
        memset(bytes + n, 0xff, n);
        fine = ASN1_STRING_set(s, bytes, (int)(constraint ? 2 * n : n)) == 1;
    } else if (fine) {
        fine = ASN1_STRING_set(s, name->text, -1) == 1;
    }
    if (!fine) {
        ASN1_STRING_free(s);
        GENERAL_NAME_free(g);
        return NULL;
    }
    GENERAL_NAME_set0_value(g, name->ip_len ? GEN_IPADD : GEN_DNS, s);
    return g;
}
