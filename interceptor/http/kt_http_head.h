/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/http: a complete head becomes a kt_request. */
#include "interceptor/http/kt_http.h"

/* Why a request is refused. */
struct kt_http_fault {
    int status; /* 0 = none */
    const char *text;
};

enum kt_http_coding { KT_CODING_IDENTITY, KT_CODING_GZIP, KT_CODING_DEFLATE };

/* RFC 9110, section 5.6.2; an empty span is none. */
bool kt_http_is_token(struct kt_span s);
/* Next element of a comma list: advances *rest; false at its end. Empty elements are skipped. */
bool kt_http_list_next(struct kt_span *rest, struct kt_span *item);

/* r->head holds the whole head with its empty line. Fills everything but the body. `lines`: field lines in
 * it. */
struct kt_http_fault kt_http_parse_head(struct kt_request *r, size_t lines);
/* Framing, connection options and content coding, out of the parsed fields. */
struct kt_http_fault kt_http_read_fields(struct kt_request *r, enum kt_http_coding *coding);
