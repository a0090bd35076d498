/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/tls: what may stand in a certificate as the name of a host. */
#include "policyengine/base/kt_base.h"

#include <openssl/x509v3.h>

#define KT_CA_NAME_BYTES 254 /* 253 and the NUL */

struct kt_ca_name {
    char text[KT_CA_NAME_BYTES]; /* lower case, no trailing dot, no "*."; for an IP literal its canonical text
                                  */
    unsigned char ip[16];
    size_t ip_len; /* 0 = DNS name, 4, 16 */
    bool wildcard; /* had a leading "*." */
};

/* KT_ERR_USAGE where `host` is neither a DNS name (letters, digits, '-', '_'; labels of 1..63) nor an IP
 * literal. */
kt_result kt_ca_name_parse(const char *host, struct kt_ca_name *out) KT_MUST;
/* new: the name as a GENERAL_NAME. As a constraint an address carries its full mask. NULL on failure. */
GENERAL_NAME *kt_ca_name_general(const struct kt_ca_name *name, bool constraint);
