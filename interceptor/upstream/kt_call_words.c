/* SPDX-License-Identifier: Apache-2.0 */
/* Why a call failed, in our own words: libcurl's have hosts, addresses and ports in them. */
#include "interceptor/upstream/kt_upstream_private.h"

#include <stdio.h>

const char *kt_call_words(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return "";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "its name was not found";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "the proxy's name was not found";
    case CURLE_COULDNT_CONNECT:
        return "no connection";
    case CURLE_OPERATION_TIMEDOUT:
        return "its time ran out";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "its certificate is not trusted";
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        return "the connection ended before the answer did";
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return "the connection broke";
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return "the HTTP/2 stream broke";
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return "it does not speak HTTP";
    case CURLE_BAD_CONTENT_ENCODING:
        return "an unknown or damaged coding of the answer";
    case CURLE_OUT_OF_MEMORY: /* libcurl's word for a field of more than 100 KB, too */
        return "no memory, or a header field that is too large";
    default:
        return kt_call_classify(code) == KT_CALL_TLS ? "the TLS handshake failed" : "";
    }
}

void kt_call_note_code(struct kt_call *c, CURLcode code)
{
    char *error = c->handle ? c->handle->error : NULL;
    if (code != CURLE_OK && error && !error[0])
        snprintf(error, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
}

const char *kt_call_library_says(const struct kt_call *c)
{
    return c && c->handle ? c->handle->error : "";
}
