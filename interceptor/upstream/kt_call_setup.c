/* SPDX-License-Identifier: Apache-2.0 */
/* A request in the words of libcurl. */
#include "interceptor/upstream/kt_upstream_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void kt_call_wipe_headers(struct kt_call *c)
{
    for (struct curl_slist *h = c->headers; h; h = h->next)
        kt_wipe(h->data, strlen(h->data));
    curl_slist_free_all(c->headers);
    c->headers = NULL;
}

static bool is_token(const char *s)
{
    static const bool allowed[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,  ['#'] = true,
        ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
        ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
        ['`'] = true,         ['|'] = true,         ['~'] = true};
    const char *p = s;
    while (allowed[(unsigned char)*p])
        p++;
    return p > s && *p == '\0';
}

static kt_result add_line(struct kt_call *c, const char *line)
{
    struct curl_slist *list = curl_slist_append(c->headers, line);
    KT_ENSURE(list, KT_ERR_MEMORY);
    c->headers = list;
    return kt_ok();
}

static kt_result add_header(struct kt_call *c, const struct kt_call_header *h, struct kt_buf *line)
{
    KT_ENSURE(is_token(h->name) && !strpbrk(h->value, "\r\n"), KT_ERR_USAGE);
    kt_buf_clear(line);
    KT_GUARD(kt_buf_puts(line, h->name));
    KT_GUARD(kt_buf_puts(line, *h->value ? ": " : ";")); /* libcurl's way to write one without a value */
    KT_GUARD(kt_buf_puts(line, h->value));
    return add_line(c, line->data);
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = {"Host",   "Content-Length", "Accept-Encoding",  "Transfer-Encoding",
                                       "Expect", "Connection",     "Proxy-Connection", "Keep-Alive"};
    for (size_t i = 0; i < KT_COUNT(ours); i++)
        if (kt_span_ieq(kt_span(name, strlen(name)), ours[i]))
            return true;
    return false;
}

static kt_result add_headers(struct kt_call *c, const struct kt_call_request *q)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf line = KT_BUF_INIT(KT_UP_MAX_HEAD);
    bool accept = false, type = false;
    for (size_t i = 0; i < q->header_count; i++) {
        const struct kt_call_header *h = &q->headers[i];
        if (is_ours(h->name))
            continue;
        accept |= kt_span_ieq(kt_span(h->name, strlen(h->name)), "Accept");
        type |= kt_span_ieq(kt_span(h->name, strlen(h->name)), "Content-Type");
        KT_GUARD(add_header(c, h, &line));
    }
    /* What libcurl would add by itself: the request has the fields that it was given and no other. */
    KT_GUARD(add_line(c, "Expect:"));
    if (!accept)
        KT_GUARD(add_line(c, "Accept:"));
    return type ? kt_ok() : add_line(c, "Content-Type:");
}

static void set_method(CURL *e, const struct kt_call_request *q)
{
    bool head = strcmp(q->method, "HEAD") == 0;
    bool has_body = !head && (q->body.len > 0 || strcmp(q->method, "POST") == 0);
    if (has_body) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body.len ? q->body.data : "");
    } else if (head) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    if (!head && strcmp(q->method, has_body ? "POST" : "GET") != 0)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
}

static void set_trust(const struct kt_upstream *u, CURL *e, const char *ca_file)
{
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    const char *file = ca_file ? ca_file : u->ca_file;
    if (file) {
        curl_easy_setopt(e, CURLOPT_CAINFO, file);
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* that file and nothing else is trusted */
    } else if (u->ca_path) {
        curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(e, CURLOPT_CAPATH, u->ca_path);
    }
}

static void set_limits(CURL *e, const struct kt_call_request *q)
{
    if (q->connect_ms > 0)
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
    if (q->total_ms > 0)
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)q->total_ms);
}

static void set_callbacks(struct kt_call *c)
{
    CURL *e = c->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, kt_call_on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, kt_call_on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, kt_call_on_send);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
    curl_easy_setopt(e, CURLOPT_RESOLVER_START_FUNCTION, kt_call_on_resolve);
    curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, c);
    kt_up_install_opener(c->u, e);
}

kt_result kt_call_configure(struct kt_call *c, const struct kt_call_request *q)
{
    CURL *e = c->easy;
    KT_ENSURE(is_token(q->method), KT_ERR_USAGE);
    KT_GUARD(add_headers(c, q));
    set_callbacks(c);
    set_method(e, q);
    set_trust(c->u, e, q->ca_file);
    set_limits(e, q);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, KT_UP_IDLE_SECONDS);
    /* 64 KiB by default, taken and given back with every call: most prompts need less than the least there
     * is. */
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    if (q->stream) /* 16 KiB by default, for as long as it lasts */
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, KT_UP_STREAM_BUFFER);
    /* Never NULL: then libcurl asks the environment, which the program may be changing. */
    const char *proxy = strncasecmp(q->url, "https:", 6) == 0 ? c->u->https_proxy : c->u->http_proxy;
    curl_easy_setopt(e, CURLOPT_PROXY, proxy ? proxy : "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, c->u->no_proxy ? c->u->no_proxy : "");
    return curl_easy_setopt(e, CURLOPT_URL, q->url) == CURLE_OK ? kt_ok() : kt_err(KT_ERR_USAGE);
}
