/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP/1.1 requests (RFC 9112), incremental, bounded; and heads of answers. Used by flows, by `kt mock` and
 * by tests.
 *
 * Strict wherever two readers could disagree about where a message ends. Refused: a line that ends in a bare
 * LF, a CR that is not part of CRLF, folded fields, space before the colon, Content-Length beside
 * Transfer-Encoding, more than one of either, any transfer coding but `chunked`, Transfer-Encoding in
 * HTTP/1.0, and a missing or second Host. Chunk extensions and trailers are bounded and dropped.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_HTTP_MAX_HEAD (64u << 10)      /* request line and header fields, bytes; more: 431 */
#define KT_HTTP_MAX_TARGET (16u << 10)    /* bytes of a request line; more: 414 */
#define KT_HTTP_MAX_FIELDS 256            /* more: 431 */
#define KT_HTTP_MAX_CHUNK_EXT (16u << 10) /* bytes of all chunk extensions of one body; more: 400 */
#define KT_HTTP_MAX_TRAILER (16u << 10)   /* bytes; more: 431 */

struct kt_header {
    struct kt_span name, value; /* borrowed from the head's bytes; value trimmed */
};

struct kt_request {
    struct kt_buf head;            /* owned: the raw head */
    struct kt_span method, target; /* target as sent: "/v1/chat/completions?x=1" or absolute form */
    int minor;                     /* HTTP/1.minor: 0 or 1 */
    struct kt_header *headers;     /* owned array */
    size_t header_count;
    /* upgrade: asks for a WebSocket. What else is offered, a server may ignore (RFC 9110 7.8). */
    bool keep_alive, expect_continue, upgrade, chunked;
    int64_t content_length; /* -1 = none */
    struct kt_buf body;     /* owned; transfer coding removed, gzip/deflate content coding removed too (then
                               decoded = true) */
    bool decoded;
    bool unread; /* it has a body that nobody wanted: `body` is empty, and no request can follow */
};
/* Frees what it owns and empties it; also the cleanup function. */
void kt_request_free(struct kt_request *r);
/* First header of that name, ASCII case-insensitive; NULL data where absent. */
struct kt_span kt_request_header(const struct kt_request *r, const char *name);
/* Borrowed: path and query of the target, in origin form as well as in absolute form ("/" where that has no
 * path). */
struct kt_span kt_request_path(const struct kt_request *r);

enum kt_http_state {
    KT_HTTP_MORE,     /* needs bytes */
    KT_HTTP_CONTINUE, /* the head is complete and asks for 100-continue: send it, then feed on. Reported once.
                       */
    KT_HTTP_COMPLETE, /* a whole request; take it with kt_http_take */
    KT_HTTP_ERROR     /* kt_http_error tells; the connection cannot be used any further */
};

struct kt_http_parser; /* one per connection */
/* new. `max_body`: bytes, of the body as sent as well as after decoding. */
kt_result kt_http_parser_new(size_t max_body, struct kt_http_parser **out) KT_MUST;
void kt_http_parser_free(struct kt_http_parser *p);
/* Asked of each head in front of a body. False: the body is not read, and the request complete without it. */
typedef bool (*kt_http_wants_fn)(void *arg, const struct kt_request *head);
void kt_http_parser_ask(struct kt_http_parser *p, kt_http_wants_fn wants_body, void *arg);
/* Feeds bytes; *used receives how many were taken: all, except behind the head that KT_HTTP_CONTINUE reports,
 * and behind a complete request (those of a pipelined one are left). */
enum kt_http_state kt_http_feed(struct kt_http_parser *p, const char *data, size_t len, size_t *used);
/* Moves the complete request out; the parser is ready for the next one. `out` needs no initialisation.
 * Without a complete request `out` is empty. */
void kt_http_take(struct kt_http_parser *p, struct kt_request *out);
/* HTTP status to answer with (400, 413, 414, 415, 417, 431, 501, 505; 503 = out of memory) and a static text
 * for people. */
int kt_http_error(const struct kt_http_parser *p, const char **text);
/* True where no byte of a further request has come yet. */
bool kt_http_idle(const struct kt_http_parser *p);
/* True until the head of the request is complete. */
bool kt_http_in_head(const struct kt_http_parser *p);

/* The reason phrase of RFC 9110, section 15; "Unknown" where it has none. Static. */
const char *kt_http_reason(int status);

/*
 * Appends the head of an answer. Framing is made here: `length` >= 0 gives Content-Length, < 0 gives chunked
 * for minor 1 and end-by-close for minor 0; `keep_alive` gives Connection (false always where only a close
 * ends the body). Content-Length, Transfer-Encoding, Connection and Keep-Alive among `headers` are skipped.
 * KT_ERR_SYNTAX where a name or value would break the head (CR, LF, NUL); `out` is unchanged on failure.
 */
kt_result kt_http_put_head(struct kt_buf *out, int minor, int status, const struct kt_header *headers,
                           size_t count, int64_t length, bool keep_alive) KT_MUST;

#ifdef __cplusplus
}
#endif
