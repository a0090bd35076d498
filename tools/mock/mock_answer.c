/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to an answer: endpoints, faults, keys, errors. */
#include "policyengine/audit/kt_event.h"
#include "tools/mock/mock.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool mock_send(struct mock_conn *c, const struct kt_request *r, int status, const char *type,
               const char *extra, struct kt_span body)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(MOCK_MAX_ANSWER + 8192);
    bool head_only = kt_span_eq(r->method.data ? r->method : kt_span("", 0), "HEAD");
    kt_result ok = kt_buf_printf(
        &out, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n%s%s\r\n", status,
        kt_http_reason(status), type, body.len, r->keep_alive ? "" : "connection: close\r\n", extra);
    if (ok.code == KT_OK && !head_only)
        ok = kt_buf_append(&out, body.data, body.len);
    return ok.code == KT_OK && mock_write(c, out.data, out.len);
}

static kt_result put_quoted(struct kt_buf *out, const char *text)
{
    if (!text)
        return kt_buf_puts(out, "null");
    KT_GUARD(kt_buf_puts(out, "\""));
    KT_GUARD(kt_event_text(out, text, strlen(text)));
    return kt_buf_puts(out, "\"");
}

kt_result mock_error_body(enum mock_dialect d, int status, const char *message, const char *type,
                          const char *code, struct kt_buf *out)
{
    KT_GUARD(kt_buf_puts(out, d == MOCK_OPENAI ? "{\"error\":{\"message\":"
                                               : "{\"object\":\"error\",\"message\":"));
    KT_GUARD(put_quoted(out, message));
    KT_GUARD(kt_buf_puts(out, ",\"type\":"));
    KT_GUARD(put_quoted(out, type));
    KT_GUARD(kt_buf_puts(out, ",\"param\":null,\"code\":"));
    KT_GUARD(put_quoted(out, code));
    return d == MOCK_OPENAI ? kt_buf_puts(out, "}}") : kt_buf_printf(out, ",\"raw_status_code\":%d}", status);
}

static bool send_error(struct mock_conn *c, const struct kt_request *r, int status, const char *message,
                       const char *type, const char *code, const char *extra)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(65536);
    return mock_error_body(c->o->dialect, status, message, type, code, &body).code == KT_OK &&
           mock_send(c, r, status, "application/json", extra, kt_buf_span(&body));
}

static bool send_text(struct mock_conn *c, const struct kt_request *r, int status, const char *type,
                      const char *extra, const char *text)
{
    return mock_send(c, r, status, type, extra, kt_span(text, strlen(text)));
}

/* ---- faults ---- */

static void put_date(char *out, size_t size, const char *name, time_t when)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    gmtime_r(&when, &t);
    size_t n = strlen(out);
    snprintf(out + n, size - n, "%s: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", name,
             days + 3 * (size_t)t.tm_wday, t.tm_mday, months + 3 * (size_t)t.tm_mon, t.tm_year + 1900,
             t.tm_hour, t.tm_min, t.tm_sec);
}

static void retry_fields(const struct mock_fault *f, char *out, size_t size)
{
    out[0] = '\0';
    if (f->retry_after >= 0)
        snprintf(out, size, "retry-after: %d\r\n", f->retry_after);
    size_t n = strlen(out);
    if (f->retry_after_ms >= 0)
        snprintf(out + n, size - n, "retry-after-ms: %d\r\n", f->retry_after_ms);
    if (f->retry_date < 0)
        return;
    time_t now = time(NULL);
    put_date(out, size, "date", now);
    put_date(out, size, "retry-after", now + f->retry_date);
}

static bool send_status(struct mock_conn *c, const struct kt_request *r, const struct mock_fault *f)
{
    static const struct {
        int status;
        const char *message, *type, *code;
    } known[] = {
        {429, "Rate limit exceeded", "rate_limited", "1300"},
        {500, "Service unavailable.", "internal_server_error", "3000"},
        {503, "Service unavailable.", "unreachable_backend", "1100"},
        {403, "Request blocked by a guardrail", "forbidden", NULL},
        {404, "Not Found", "not_found", NULL},
    };
    char extra[256];
    retry_fields(f, extra, sizeof extra);
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (known[i].status == f->status)
            return send_error(c, r, f->status, known[i].message, known[i].type, known[i].code, extra);
    const char *type = f->status >= 500 ? "internal_server_error" : "invalid_request_error";
    return send_error(c, r, f->status, kt_http_reason(f->status), type, NULL, extra);
}

/* True where the fault is the whole answer; *on = the connection goes on. */
static bool fault_answers(struct mock_conn *c, const struct kt_request *r, const struct mock_fault *f,
                          bool *on)
{
    *on = false;
    if (f->delay_ms > 0 && !mock_pause(c, f->delay_ms))
        return true;
    if (f->close || (f->hang && f->cut < 0)) {
        c->cut = true;
        if (f->hang)
            mock_pause(c, -1);
        return true;
    }
    if (f->html) {
        *on = send_text(c, r, f->status ? f->status : 200, "text/html; charset=utf-8", "",
                        "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Welcome to the "
                        "network</h1></body></html>\n");
        return true;
    }
    if (f->status) {
        *on = send_status(c, r, f);
        return true;
    }
    return false;
}

/* ---- endpoints ---- */

static bool authorized(const struct mock_conn *c, const struct kt_request *r)
{
    struct kt_span got = kt_request_header(r, "authorization");
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;
    if (!c->o->require_key)
        return true;
    return got.data && got.len > n && kt_span_ieq(kt_span(got.data, n), scheme) &&
           kt_span_eq(kt_span(got.data + n, got.len - n), c->o->require_key);
}

static bool send_unauthorized(struct mock_conn *c, const struct kt_request *r)
{
    if (c->o->dialect == MOCK_MISTRAL)
        return send_text(c, r, 401, "application/json", "www-authenticate: Bearer\r\n",
                         "{\"detail\":\"Unauthorized\"}");
    return send_error(c, r, 401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key",
                      "www-authenticate: Bearer\r\n");
}

/* A body that does not parse: Mistral answers 422 with pydantic's json_invalid, OpenAI 400. */
static bool send_bad_json(struct mock_conn *c, const struct kt_request *r, size_t at)
{
    char text[320];
    if (c->o->dialect == MOCK_OPENAI)
        return send_error(c, r, 400, "We could not parse the JSON body of your request.",
                          "invalid_request_error", NULL, "");
    snprintf(
        text, sizeof text,
        "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",%zu],"
        "\"msg\":\"JSON decode "
        "error\",\"input\":{}}]},\"type\":\"invalid_request_error\",\"param\":null,\"code\":null,"
        "\"raw_status_code\":422}",
        at);
    return send_text(c, r, 422, "application/json", "", text);
}

/* NULL where the whole body is no JSON: *at = where. */
static cJSON *parse_body(const struct kt_request *r, size_t *at)
{
    const char *data = r->body.data ? r->body.data : "", *end = data;
    cJSON *request = cJSON_ParseWithLengthOpts(data, r->body.len, &end, false);
    while (request && end < data + r->body.len && strchr(" \t\r\n", *end))
        end++;
    *at = (size_t)(end - data);
    if (request && end == data + r->body.len)
        return request;
    cJSON_Delete(request);
    return NULL;
}

static bool moderations(struct mock_conn *c, const struct kt_request *r)
{
    size_t at = 0;
    if (!authorized(c, r))
        return send_unauthorized(c, r);
    cJSON *request = parse_body(r, &at);
    if (!request)
        return send_bad_json(c, r, at);
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(MOCK_MAX_ANSWER);
    int status = mock_moderations(c->o, request, &body);
    cJSON_Delete(request);
    return status && mock_send(c, r, status, "application/json", "", kt_buf_span(&body));
}

static bool chat(struct mock_conn *c, const struct kt_request *r)
{
    struct mock_fault f;
    size_t at = 0;
    bool on, faulty = mock_server_fault(c->server, &f);
    if (faulty && fault_answers(c, r, &f, &on))
        return on;
    if (!authorized(c, r))
        return send_unauthorized(c, r);
    if (!mock_gathered(c, kt_buf_span(&r->body)))
        return send_error(c, r, 400, "Those that belong to this call did not come.", "not_gathered", NULL,
                          "");
    cJSON *request = parse_body(r, &at);
    if (!request)
        return send_bad_json(c, r, at);
    KT_CLEANUP(kt_buf_free) struct kt_buf refusal = KT_BUF_INIT(2 * MOCK_MAX_ANSWER);
    int status = c->o->dialect == MOCK_MISTRAL ? mock_check_mistral(request, &refusal)
                                               : mock_check_openai(request, &refusal);
    on = status ? mock_send(c, r, status, "application/json", "", kt_buf_span(&refusal))
                : mock_chat(c, r, request, faulty ? &f : NULL);
    cJSON_Delete(request);
    return on;
}

static bool models(struct mock_conn *c, const struct kt_request *r)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(65536);
    if (!authorized(c, r))
        return send_unauthorized(c, r);
    return mock_models(c->o->dialect, &body).code == KT_OK &&
           mock_send(c, r, 200, "application/json", "", kt_buf_span(&body));
}

static bool not_found(struct mock_conn *c, const struct kt_request *r, struct kt_span path)
{
    char text[256];
    if (c->o->dialect == MOCK_MISTRAL)
        return send_text(c, r, 404, "application/json", "", "{\"detail\":\"Not Found\"}");
    snprintf(text, sizeof text, "Unknown request URL: %.*s %.*s.",
             (int)(r->method.len < 16 ? r->method.len : 16), r->method.data,
             (int)(path.len < 128 ? path.len : 128), path.data);
    return send_error(c, r, 404, text, "invalid_request_error", "unknown_url", "");
}

bool mock_answer(struct mock_conn *c, const struct kt_request *r)
{
    struct kt_span path = kt_request_path(r);
    const char *query = memchr(path.data, '?', path.len);
    if (query)
        path.len = (size_t)(query - path.data);
    bool get = kt_span_eq(r->method, "GET") || kt_span_eq(r->method, "HEAD"),
         post = kt_span_eq(r->method, "POST");
    bool is_chat = kt_span_eq(path, "/v1/chat/completions"), is_models = kt_span_eq(path, "/v1/models");
    bool is_moderations = kt_span_eq(path, "/v1/moderations");
    if (is_moderations && post)
        return moderations(c, r);
    enum mock_texts texts = mock_texts_of(c, path);
    if (is_chat && post)
        return chat(c, r);
    if (texts && post)
        return authorized(c, r) ? mock_texts(c, r, texts) : send_unauthorized(c, r);
    if (is_models && get)
        return models(c, r);
    if (is_chat || is_models || is_moderations)
        return send_text(c, r, 405, "application/json",
                         !is_models ? "allow: POST\r\n" : "allow: GET, HEAD\r\n",
                         "{\"detail\":\"Method Not Allowed\"}");
    return not_found(c, r, path);
}
