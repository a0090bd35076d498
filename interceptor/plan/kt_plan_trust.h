/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/plan: trust files for stacks that the shim cannot reach. */
#include "policyengine/base/kt_buf.h"

#define KT_TRUST_MAX_BYTES (16u << 20)

/* The root file that the environment of this process means: SSL_CERT_FILE, else the system's; NULL where
 * there is none. `chosen`: true where the user's variable names it. Borrowed. */
const char *kt_trust_roots(bool *chosen);
/* NODE_EXTRA_CA_CERTS, or NULL. Borrowed. */
const char *kt_trust_extra(void);

/* Appends every complete certificate block of a PEM text: no key is copied along, and a block that never ends
 * swallows nothing. */
kt_result kt_trust_filter(struct kt_span pem, struct kt_buf *out) KT_MUST;
/* Appends the certificates of the file `path` (NULL = none). A file that cannot be read is a warning, not a
 * failure: a program that was given it would trust nobody then either. */
kt_result kt_trust_append_file(const char *path, struct kt_buf *out) KT_MUST;

/* Appends a PKCS#12 store in which Java finds every certificate of `pem` as a trusted one. */
kt_result kt_trust_pkcs12(struct kt_span pem, struct kt_buf *out) KT_MUST;
