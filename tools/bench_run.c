/* SPDX-License-Identifier: Apache-2.0 */
/* N calls at once on one thread; a finished one starts the next on the same handle and connection. */
#include "policyengine/base/kt_base.h"
#include "tools/bench.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONCURRENCY_MAX 1000
#define BAR 30
#define CALL_TIMEOUT_S 120L

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

struct run {
    const struct bench_options *o;
    struct bench_result *out;
    CURLM *multi;
    struct curl_slist *headers;
    CURL *easy[CONCURRENCY_MAX];
    size_t count;
    long started;
    uint64_t began, shown;
};

static size_t count_bytes(char *data, size_t size, size_t n, void *arg)
{
    struct bench_result *out = arg;
    (void)data;
    out->bytes += size * n;
    return size * n;
}

static bool more(const struct run *r)
{
    if (interrupted)
        return false;
    if (r->o->seconds > 0)
        return (double)(kt_now_mono_ns() - r->began) < r->o->seconds * 1e9;
    return r->started < r->o->requests;
}

static void start(struct run *r, CURL *easy)
{
    r->started++;
    curl_multi_add_handle(r->multi, easy);
}

static void count(struct run *r, const CURLMsg *m)
{
    struct bench_result *out = r->out;
    long status = 0;
    curl_off_t total = 0, first = 0;
    curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(m->easy_handle, CURLINFO_TOTAL_TIME_T, &total);
    curl_easy_getinfo(m->easy_handle, CURLINFO_STARTTRANSFER_TIME_T, &first);
    if (m->data.result != CURLE_OK) {
        status = 0;
        if (!out->failure[0])
            snprintf(out->failure, sizeof out->failure, "%s", curl_easy_strerror(m->data.result));
    }
    out->done++;
    out->status[status > 0 && status < 600 ? status : 0]++;
    if (status < 200 || status > 299)
        return;
    out->good++;
    spread_add(&out->total, (uint64_t)total);
    spread_add(&out->first, (uint64_t)first);
}

static void show(struct run *r, bool last)
{
    uint64_t now = kt_now_mono_ns();
    if (!r->o->progress || (!last && now - r->shown < 100000000ull))
        return;
    r->shown = now;
    double part = r->o->seconds > 0 ? (double)(now - r->began) / 1e9 / r->o->seconds
                                    : (double)r->out->done / (double)r->o->requests;
    int full = (int)(BAR * (part > 1 ? 1 : part));
    fprintf(stderr, "\r[%.*s%.*s] %llu calls, %llu failed ", full, "##############################",
            BAR - full, "..............................", (unsigned long long)r->out->done,
            (unsigned long long)(r->out->done - r->out->good));
    if (last)
        fputs("\n", stderr);
}

static CURL *make_call(struct run *r)
{
    const struct bench_options *o = r->o;
    CURL *e = curl_easy_init();
    if (!e)
        return NULL;
    curl_easy_setopt(e, CURLOPT_URL, o->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.len);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, o->body.data);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, count_bytes);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, r->out);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
    if (o->ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
    return e;
}

static void finished(struct run *r)
{
    int left;
    const CURLMsg *m;
    while ((m = curl_multi_info_read(r->multi, &left))) {
        CURL *easy = m->easy_handle;
        count(r, m);
        curl_multi_remove_handle(r->multi, easy);
        if (more(r))
            start(r, easy);
    }
}

static kt_result drive(struct run *r)
{
    int running = 0;
    r->began = kt_now_mono_ns();
    for (size_t i = 0; i < r->count && more(r); i++)
        start(r, r->easy[i]);
    for (;;) {
        KT_ENSURE(curl_multi_perform(r->multi, &running) == CURLM_OK, KT_ERR_IO);
        finished(r); /* starts others, which makes the poll return at once */
        show(r, false);
        if (interrupted || r->out->done == (uint64_t)r->started)
            break;
        KT_ENSURE(curl_multi_poll(r->multi, NULL, 0, 100, NULL) == CURLM_OK, KT_ERR_IO);
    }
    r->out->micros = (kt_now_mono_ns() - r->began) / 1000;
    show(r, true);
    return kt_ok();
}

static void done(struct run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        curl_multi_remove_handle(r->multi, r->easy[i]);
        curl_easy_cleanup(r->easy[i]);
    }
    curl_multi_cleanup(r->multi);
    for (struct curl_slist *h = r->headers; h; h = h->next)
        kt_wipe(h->data, strlen(h->data)); /* one holds the token */
    curl_slist_free_all(r->headers);
    free(r);
}

static bool add_header(struct run *r, const char *line)
{
    struct curl_slist *longer = curl_slist_append(r->headers, line);
    if (longer)
        r->headers = longer;
    return longer != NULL;
}

static kt_result prepare(struct run *r)
{
    char line[1100];
    KT_ENSURE((r->multi = curl_multi_init()), KT_ERR_MEMORY);
    KT_ENSURE(add_header(r, "Content-Type: application/json") && add_header(r, "Expect:"), KT_ERR_MEMORY);
    if (r->o->token) {
        snprintf(line, sizeof line, "Authorization: Bearer %s", r->o->token);
        bool added = add_header(r, line);
        kt_wipe(line, sizeof line);
        KT_ENSURE(added, KT_ERR_MEMORY);
    }
    curl_multi_setopt(r->multi, CURLMOPT_MAXCONNECTS, r->o->concurrency);
    for (; r->count < (size_t)r->o->concurrency; r->count++)
        KT_ENSURE((r->easy[r->count] = make_call(r)), KT_ERR_MEMORY);
    return kt_ok();
}

kt_result bench_run(const struct bench_options *o, struct bench_result *out)
{
    struct sigaction act = {.sa_handler = on_interrupt}, before;
    struct run *r = calloc(1, sizeof *r);
    KT_ENSURE(r, KT_ERR_MEMORY);
    r->o = o;
    r->out = out;
    memset(out, 0, sizeof *out);
    interrupted = 0;
    sigaction(SIGINT, &act, &before);
    kt_result result = prepare(r);
    if (result.code == KT_OK)
        result = drive(r);
    done(r);
    sigaction(SIGINT, &before, NULL);
    return result;
}
