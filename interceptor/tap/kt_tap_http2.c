/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tap/kt_tap_private.h"

static bool begin(struct kt_tap *t)
{
    (void)t;
    return true;
}

static size_t feed(struct kt_tap *t, enum kt_tap_dir dir, const char *data, size_t len)
{
    (void)dir, (void)data;
    kt_tap_lose(t, "unreadable_request", "HTTP/2 is not read");
    return len;
}

static void end(struct kt_tap *t, const char *error, const char *detail)
{
    (void)t, (void)error, (void)detail;
}

static void release(struct kt_tap *t)
{
    (void)t;
}

const struct kt_tap_protocol kt_tap_http2 = {
    .name = "HTTP/2", .begin = begin, .feed = feed, .end = end, .free = release};
