/* SPDX-License-Identifier: Apache-2.0 */
/* A request in the words of libcurl. */
#include "interceptor/upstream/kt_upstream_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void kt_call_wipe_headers(struct kt_call *c)
{
    if (c->headers)
        kt_wipe(c->headers, c->headers_size);
    free(c->headers);
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

/* The list under way: nodes, and their texts behind them. */
struct list {
    struct curl_slist *next;
    char *text;
    bool accept, type;
};

static void put(struct list *l, const char *text)
{
    size_t n = strlen(text);
    memcpy(l->text, text, n + 1);
    l->text += n;
}

/* Begins a line; what is put next is its text. */
static void add_node(struct list *l)
{
    l->next->data = l->text;
    l->next->next = l->next + 1;
    l->next++;
}

static void add_line(struct list *l, const char *line)
{
    add_node(l);
    put(l, line);
    l->text++;
}

static void add_header(struct list *l, const struct kt_call_header *h)
{
    add_node(l);
    put(l, h->name);
    put(l, *h->value ? ": " : ";"); /* libcurl's way to write one without a value */
    put(l, h->value);
    l->text++;
    l->accept |= kt_span_ieq(kt_span(h->name, strlen(h->name)), "Accept");
    l->type |= kt_span_ieq(kt_span(h->name, strlen(h->name)), "Content-Type");
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

/* What libcurl would add by itself: the request has the fields that it was given and no other. */
static const char *const no_more[] = {"Expect:", "Accept:", "Content-Type:"};

/* Bytes that the list takes; checks the fields. */
static kt_result measure(const struct kt_call_request *q, size_t *size)
{
    size_t n = (q->header_count + KT_COUNT(no_more)) * sizeof(struct curl_slist);
    for (size_t i = 0; i < KT_COUNT(no_more); i++)
        n += strlen(no_more[i]) + 1;
    for (size_t i = 0; i < q->header_count; i++) {
        const struct kt_call_header *h = &q->headers[i];
        size_t line = strlen(h->name) + strlen(h->value) + sizeof ": ";
        if (is_ours(h->name))
            continue;
        KT_ENSURE(is_token(h->name) && !strpbrk(h->value, "\r\n"), KT_ERR_USAGE);
        KT_ENSURE(line <= KT_UP_MAX_HEAD, KT_ERR_LIMIT);
        n += line;
    }
    *size = n;
    return kt_ok();
}

/* In one block, made and wiped at once. */
static kt_result add_headers(struct kt_call *c, const struct kt_call_request *q)
{
    KT_GUARD(measure(q, &c->headers_size));
    c->headers = malloc(c->headers_size);
    KT_ENSURE(c->headers, KT_ERR_MEMORY);
    struct list l = {.next = c->headers, .text = (char *)(c->headers + q->header_count + KT_COUNT(no_more))};
    for (size_t i = 0; i < q->header_count; i++)
        if (!is_ours(q->headers[i].name))
            add_header(&l, &q->headers[i]);
    add_line(&l, no_more[0]);
    if (!l.accept)
        add_line(&l, no_more[1]);
    if (!l.type)
        add_line(&l, no_more[2]);
    l.next[-1].next = NULL;
    return kt_ok();
}

static bool has_body(const struct kt_call_request *q)
{
    return strcmp(q->method, "HEAD") != 0 && (q->body.len > 0 || strcmp(q->method, "POST") == 0);
}

static void set_method(CURL *e, const struct kt_call_request *q)
{
    bool head = strcmp(q->method, "HEAD") == 0, body = has_body(q);
    if (body) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
    } else if (head) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    if (!head && strcmp(q->method, body ? "POST" : "GET") != 0)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
}

#define CA_CACHE_S 86400L /* libcurl's own */

static void set_trust(const struct kt_upstream *u, CURL *e, const char *ca_file)
{
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    const char *file = ca_file ? ca_file : u->ca_file;
#if LIBCURL_VERSION_NUM >= 0x075700
    /* libcurl knows a file by its name, for a day: a private CA that was exchanged counts from the next
     * connection on. */
    curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, ca_file ? 0L : CA_CACHE_S);
#endif
    if (file) {
        curl_easy_setopt(e, CURLOPT_CAINFO, file);
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* that file and nothing else is trusted */
    } else if (u->ca_path) {
        curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(e, CURLOPT_CAPATH, u->ca_path);
    }
}

static void set_callbacks(struct kt_call *c)
{
    CURL *e = c->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, c->handle);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->handle->error);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, kt_call_on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c->handle);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, kt_call_on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c->handle);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, kt_call_on_send);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, c->handle);
    curl_easy_setopt(e, CURLOPT_RESOLVER_START_FUNCTION, kt_call_on_resolve);
    curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, c->handle);
    kt_up_install_opener(c->u, e);
}

/* What is the same for every call of this kind. */
static kt_result set_kind(struct kt_call *c, const struct kt_call_request *q)
{
    CURL *e = c->easy;
    set_callbacks(c);
    set_method(e, q);
    set_trust(c->u, e, q->ca_file);
    if (q->connect_ms > 0)
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
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
    bool tls = strncasecmp(q->url, "https:", 6) == 0;
    if (tls || q->stream)
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, tls ? KT_UP_TLS_BUFFER : KT_UP_STREAM_BUFFER);
    /* Never NULL: then libcurl asks the environment, which the program may be changing. */
    const char *proxy = tls ? c->u->https_proxy : c->u->http_proxy;
    curl_easy_setopt(e, CURLOPT_PROXY, proxy ? proxy : "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, c->u->no_proxy ? c->u->no_proxy : "");
    return curl_easy_setopt(e, CURLOPT_URL, q->url) == CURLE_OK ? kt_ok() : kt_err(KT_ERR_USAGE);
}

/* What is not: all of it, every time, or the last call's would stand. */
static void set_own(struct kt_call *c, const struct kt_call_request *q)
{
    CURL *e = c->easy;
    struct kt_up_handle *h = c->handle;
    h->call = c;
    h->error[0] = '\0';
    if (has_body(q)) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body.len ? q->body.data : "");
    }
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(q->total_ms > 0 ? q->total_ms : 0));
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 0L);
    if (h->undecoded)
        curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 1L);
    h->undecoded = false;
}

kt_result kt_call_configure(struct kt_call *c, const struct kt_call_request *q)
{
    c->easy = c->handle->easy;
    KT_ENSURE(is_token(q->method), KT_ERR_USAGE);
    KT_GUARD(add_headers(c, q));
    if (!c->handle->keeps) {
        KT_GUARD(set_kind(c, q));
        kt_up_handle_keep(c->handle, q);
    }
    set_own(c, q);
    return kt_ok();
}
