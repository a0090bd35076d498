/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `kt mock`: a provider of chat completions for tests and benches, with scripted faults. One thread per
 * connection. */
#include "interceptor/http/kt_http.h"
#include "policyengine/base/kt_option.h"

#include <openssl/ssl.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOCK_MAX_CONNECTIONS 512
#define MOCK_MAX_FAULTS 64
#define MOCK_MAX_BODY (128u << 20)  /* bytes of a request */
#define MOCK_MAX_ANSWER (64u << 20) /* bytes of an answer */
#define MOCK_MAX_CHUNKS 1000000

enum mock_dialect { MOCK_MISTRAL, MOCK_OPENAI };

struct mock_fault {
    int status;   /* 0 = none */
    int delay_ms; /* before the first byte; 0 = none */
    int cut;      /* stop behind that many events of a stream, or in the middle of a JSON answer; -1 = none */
    int retry_after;    /* seconds; -1 = none */
    int retry_after_ms; /* in the header of that name; -1 = none */
    int retry_date;     /* seconds from now, as an HTTP date; -1 = none */
    bool hang, close, html;
    unsigned skip, count; /* requests that pass first; requests that it then meets (UINT_MAX = all) */
};

/* Faults in their order: the next one begins when the one before has met all its requests. Zeroed = no fault
 * ever. */
struct mock_script {
    struct mock_fault faults[MOCK_MAX_FAULTS];
    size_t count, at;
    unsigned skipped, met; /* of the fault at `at` */
};
/* Adds "status=503,count=2". KT_ERR_USAGE with the cause. */
kt_result mock_script_add(struct mock_script *s, const char *text, struct kt_error *err) KT_MUST;
/* What meets the next request; false = nothing. Not locked. */
bool mock_script_next(struct mock_script *s, struct mock_fault *out);

/* Chat calls whose body has `word` wait until `count` of them are there. */
struct mock_gather {
    const char *word; /* borrowed; `len` bytes */
    size_t len;
    unsigned count, here;
};
#define MOCK_MAX_GATHERS 32

struct mock_options {
    const char *listen; /* host:port; NULL = 127.0.0.1:0 */
    bool tls;
    struct kt_strings names;    /* further names in certificates */
    const char *ca_out;         /* file for the CA certificate; NULL = none */
    const char *record;         /* file for what was received; NULL = none */
    const char *require_key;    /* NULL = any */
    struct kt_strings moderate; /* "WORD=CATEGORY" or "WORD=STATUS": what /v1/moderations finds */
    const char *text; /* of the answer; NULL = a short one that names model and number of messages */
    enum mock_dialect dialect;
    unsigned chunks; /* content events of a stream; 0 = 5 */
    unsigned chunk_delay_ms;
    unsigned exit_after; /* requests; 0 = never */
    struct mock_script script;
    struct mock_gather gather[MOCK_MAX_GATHERS];
    size_t gathers;
};
/* Adds "WORD=N", which is borrowed. KT_ERR_USAGE with the cause. */
kt_result mock_gather_add(struct mock_options *o, const char *text, struct kt_error *err) KT_MUST;

struct mock_server;

/* new. Listens already; borrows `o` (the script is used up as requests come). */
kt_result mock_server_new(struct mock_options *o, struct mock_server **out, struct kt_error *err) KT_MUST;
int mock_server_port(const struct mock_server *s);
const char *mock_server_url(const struct mock_server *s); /* borrowed: "http://127.0.0.1:4711" */
/* Serves until mock_server_stop or exit_after; then closes all connections and waits for their threads.
 * Ignore SIGPIPE first. */
void mock_server_run(struct mock_server *s);
/* From any thread or signal handler. */
void mock_server_stop(struct mock_server *s);
void mock_server_free(struct mock_server *s);

/* ---- between the files of this folder ---- */

struct mock_conn {
    struct mock_server *server;
    const struct mock_options *o;
    int fd;
    SSL *ssl;        /* NULL = plain */
    unsigned number; /* of the connection, from 1 */
    bool cut;        /* a fault ended it: no farewell */
};

/* One connection from its first byte to its end. */
void mock_conn_serve(struct mock_conn *c);
/* Like recv: 0 at the end, < 0 on failure. */
long mock_read(struct mock_conn *c, char *data, size_t len);
/* False when the client is gone. */
bool mock_write(struct mock_conn *c, const void *data, size_t len);
/* Says farewell and waits a moment for the client to close: a plain close() would
 * send a reset, and the client might lose what it has not read yet. */
void mock_finish(struct mock_conn *c);
/* Waits; -1 = until the client goes. False when it is gone, or the server stops. */
bool mock_pause(struct mock_conn *c, int ms);

/* The fault for this request, under the server's lock. */
bool mock_server_fault(struct mock_server *s, struct mock_fault *out);
struct mock_gather *mock_server_gathers(struct mock_server *s); /* borrowed: those of its options */
/* Waits for the others of this call's kind, 15 s at most; false where they did not come. */
bool mock_gathered(struct mock_conn *c, struct kt_span body);
/* Writes the request to the record file before it is answered. */
void mock_server_record(struct mock_server *s, const struct mock_conn *c, const struct kt_request *r);
/* That request as one line of JSON. */
kt_result mock_record_line(const struct mock_conn *c, const struct kt_request *r, struct kt_buf *out) KT_MUST;
/* Counts for exit_after. */
void mock_server_answered(struct mock_server *s);

/* Answers one request; false where the connection must end. */
bool mock_answer(struct mock_conn *c, const struct kt_request *r);
/* Sends a whole answer. `extra` are header lines, each with CRLF, or "". */
bool mock_send(struct mock_conn *c, const struct kt_request *r, int status, const char *type,
               const char *extra, struct kt_span body);
/* The provider's error body; `type` and `code` may be NULL. */
kt_result mock_error_body(enum mock_dialect d, int status, const char *message, const char *type,
                          const char *code, struct kt_buf *out) KT_MUST;

struct cJSON;
/* Mistral's own strictness. 0, or the status with the body of the refusal. */
int mock_check_mistral(const struct cJSON *request, struct kt_buf *out);
/* Only what OpenAI cannot do without. */
int mock_check_openai(const struct cJSON *request, struct kt_buf *out);
/* Order of roles, ids of tool calls: 400s that come when the fields are right. */
int mock_check_conversation(const struct cJSON *messages, struct kt_buf *out);

/* The answer to a good request. `f` may be NULL. */
bool mock_chat(struct mock_conn *c, const struct kt_request *r, const struct cJSON *request,
               const struct mock_fault *f);
/* POST /v1/moderations. 0, or the status with the body of the refusal; 200 with the answer otherwise. */
int mock_moderations(const struct mock_options *o, const struct cJSON *request, struct kt_buf *out);
/* "WORD=CATEGORY"; KT_ERR_USAGE with the cause. */
kt_result mock_moderate_add(struct kt_strings *rules, const char *text, struct kt_error *err) KT_MUST;
/* Endpoints that take plain text: /v1/embeddings, and Mistral's /v1/fim/completions or OpenAI's
 * /v1/completions. */
enum mock_texts { MOCK_NO_TEXTS, MOCK_EMBEDDINGS, MOCK_FIM, MOCK_COMPLETIONS };
enum mock_texts mock_texts_of(const struct mock_conn *c, struct kt_span path);
bool mock_texts(struct mock_conn *c, const struct kt_request *r, enum mock_texts what);
/* Mistral's refusal of a model that does not answer at the endpoint ("/v1/embeddings"). 0, or the status with
 * its body. */
int mock_check_model(const char *model, const char *endpoint, struct kt_buf *out);
kt_result mock_models(enum mock_dialect d, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
