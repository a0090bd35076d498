/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libcurl alone costs, with nothing of ours: a floor for whatever sends its calls by libcurl.
 *   bench_curl calls URL CAFILE CALLS     one handle, one kept connection: {"first","p50","p99"}
 *   bench_curl streams URL CAFILE CALLS   as bench_stream: {"ttft","ttft_p99","chunk","chunk_p99"}
 * Microseconds. A chunk's age is taken in the write callback: nobody has to read it any more.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#define CHUNKS 24 /* of bench_stream */

static const char prompt[] =
    "Summarise the following note in two sentences for a colleague who was not in the meeting: the release "
    "moves to Thursday, the migration is tested on a copy first, and the old exporter stays on for a week.";

struct samples {
    double *ttft, *chunk;
    size_t ttfts, chunks, events;
    double asked;
    bool ends;
};

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int fail(const char *what)
{
    fprintf(stderr, "bench_curl: %s failed\n", what);
    return 1;
}

static size_t on_write(char *data, size_t size, size_t n, void *arg)
{
    struct samples *s = arg;
    char piece[4096];
    size_t len = size * n < sizeof piece - 1 ? size * n : sizeof piece - 1;
    double now = now_us();
    memcpy(piece, data, len);
    piece[len] = '\0';
    for (const char *p = piece; (p = strstr(p, "\"sent_us\":")) != NULL; p += 10) {
        if (s->events++ == 0)
            s->ttft[s->ttfts++] = now - s->asked;
        else if (s->chunks < s->ttfts * CHUNKS)
            s->chunk[s->chunks++] = now - strtod(p + 10, NULL);
    }
    return size * n;
}

static CURL *prepare(char **argv, bool stream, struct samples *s, struct curl_slist **fields)
{
    static char body[1024];
    snprintf(body, sizeof body, "{\"model\":\"m\",%s\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
             stream ? "\"stream\":true," : "", prompt);
    *fields = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *e = curl_easy_init();
    if (!e || !*fields)
        return NULL;
    curl_easy_setopt(e, CURLOPT_URL, argv[0]);
    curl_easy_setopt(e, CURLOPT_CAINFO, argv[1]);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, *fields);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    return e;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
}

int main(int argc, char **argv)
{
    size_t calls = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    bool stream = calls > 1 && strcmp(argv[1], "streams") == 0;
    double *times = calloc(calls + 1, sizeof *times);
    struct samples s = {.ttft = calloc(calls + 2, sizeof(double)),
                        .chunk = calloc((calls + 2) * CHUNKS, sizeof(double))};
    struct curl_slist *fields = NULL;
    CURL *e = calls > 1 ? prepare(argv + 2, stream, &s, &fields) : NULL;
    if (!e || !times || !s.ttft || !s.chunk)
        return fail("usage: bench_curl calls|streams URL CAFILE CALLS; it");
    for (size_t i = 0; i <= calls; i++) {
        long status = 0;
        s.events = 0;
        s.asked = now_us();
        if (curl_easy_perform(e) != CURLE_OK ||
            curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200)
            return fail("call");
        times[i] = now_us() - s.asked;
        if (i == 0) /* it pays for the connection */
            s.ttfts = s.chunks = 0;
    }
    sort(times + 1, calls);
    sort(s.ttft, s.ttfts);
    sort(s.chunk, s.chunks);
    if (stream)
        printf("{\"ttft\": %.1f, \"ttft_p99\": %.1f, \"chunk\": %.1f, \"chunk_p99\": %.1f}\n",
               s.ttft[s.ttfts / 2], s.ttft[s.ttfts * 99 / 100], s.chunk[s.chunks / 2],
               s.chunk[s.chunks * 99 / 100]);
    else
        printf("{\"first\": %.1f, \"p50\": %.1f, \"p99\": %.1f}\n", times[0], times[1 + calls / 2],
               times[1 + calls * 99 / 100]);
    curl_easy_cleanup(e);
    curl_slist_free_all(fields);
    free(times);
    free(s.ttft);
    free(s.chunk);
    return 0;
}
