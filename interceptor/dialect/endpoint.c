/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which API a request line asks for. The path is brought to one form first: a server that decodes
 * "/v1/chat%2fcompletions" or
 * "//chat/./completions" would serve it, so that a chat in such a disguise must not pass as an unknown
 * endpoint, unread.
 */
#include "interceptor/dialect/kt_dialect.h"

#include <string.h>
#include <strings.h>

#define PATH_MAX_LEN 2048

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The path of the request target: no scheme and host, no query, no fragment. */
static struct kt_span path_of(struct kt_span target)
{
    const char *p = target.data, *end = p + target.len;
    const char *scheme = target.len > 0 && *p != '/' ? memmem(p, target.len, "://", 3) : NULL;
    if (scheme) {
        p = memchr(scheme + 3, '/', (size_t)(end - scheme - 3));
        if (!p)
            return kt_span("", 0);
    }
    size_t n = 0;
    while (p + n < end && p[n] != '?' && p[n] != '#')
        n++;
    return kt_span(p, n);
}

/* Percent-decodes into `out`; false where it does not fit. */
static bool decode(struct kt_span path, char *out, size_t *len)
{
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (n == PATH_MAX_LEN)
            return false;
        char c = path.data[i];
        if (c == '%' && i + 2 < path.len && hex(path.data[i + 1]) >= 0 && hex(path.data[i + 2]) >= 0) {
            c = (char)(hex(path.data[i + 1]) << 4 | hex(path.data[i + 2]));
            i += 2;
        }
        c = c == '\\' ? '/' : c;
        if (c != '/' || n == 0 || out[n - 1] != '/') /* any number of slashes is one */
            out[n++] = c;
    }
    while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '\t')) /* what some servers cut off */
        n--;
    *len = n;
    return true;
}

static size_t drop_segment(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] != '/')
        len--;
    return len > 0 ? len - 1 : 0;
}

/* Rewrites in place: "/a//b/./c/../d/" becomes "/a/b/d". Returns the new length. */
static size_t squeeze(char *path, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        while (i < len && path[i] == '/')
            i++;
        size_t start = i;
        while (i < len && path[i] != '/')
            i++;
        struct kt_span segment = kt_span(path + start, i - start);
        if (segment.len == 0 || kt_span_eq(segment, "."))
            continue;
        if (kt_span_eq(segment, "..")) {
            n = drop_segment(path, n);
            continue;
        }
        /* n <= start - 1 unless the path does not begin with a slash: no room for one there. */
        if (n < start)
            path[n++] = '/';
        memmove(path + n, segment.data, segment.len);
        n += segment.len;
    }
    return n;
}

static const struct {
    enum kt_endpoint endpoint;
    bool at_root; /* only right below the API's root: other APIs end in the same word */
    const char *path;
} endpoints[] = {
    {KT_EP_CHAT, false, "/chat/completions"},  {KT_EP_FIM, false, "/fim/completions"},
    {KT_EP_COMPLETIONS, true, "/completions"}, {KT_EP_EMBEDDINGS, true, "/embeddings"},
    {KT_EP_MODERATIONS, true, "/moderations"},
};

/* The last segment of `path` of the first *len bytes, without its slash; *len is what stands before it. */
static struct kt_span pop_segment(const char *path, size_t *len)
{
    size_t end = *len;
    *len = drop_segment(path, end);
    size_t start = *len < end && path[*len] == '/' ? *len + 1 : *len;
    return kt_span(path + start, end - start);
}

/* Nothing, a version ("v1", "v1beta"), or a deployment or engine by its name. */
static bool is_root(const char *path, size_t len)
{
    struct kt_span last = pop_segment(path, &len);
    if (last.len == 0)
        return true;
    if (last.len > 1 && (last.data[0] | 0x20) == 'v' && last.data[1] >= '0' && last.data[1] <= '9')
        return true;
    struct kt_span holder = pop_segment(path, &len);
    return kt_span_ieq(holder, "deployments") || kt_span_ieq(holder, "engines");
}

/* Where ".../models" ends in the path, right below the API's root; 0 = nowhere. */
static size_t models_end(const char *path, size_t len)
{
    static const char name[] = "/models";
    for (size_t i = 0; i + sizeof name - 1 <= len; i++) {
        size_t end = i + sizeof name - 1;
        if (strncasecmp(path + i, name, sizeof name - 1) == 0 && (end == len || path[end] == '/') &&
            is_root(path, i))
            return end;
    }
    return 0;
}

/* The path in its one form, at most PATH_MAX_LEN bytes. */
static bool canonical(struct kt_span target, char *path, size_t *len)
{
    if (!decode(path_of(target), path, len))
        return false;
    *len = squeeze(path, *len);
    return true;
}

bool kt_endpoint_model(struct kt_span target, char id[KT_MODEL_ID_MAX + 1])
{
    char path[PATH_MAX_LEN];
    size_t len;
    size_t end = canonical(target, path, &len) ? models_end(path, len) : 0;
    if (!end || end + 1 >= len || len - end - 1 > KT_MODEL_ID_MAX)
        return false;
    memcpy(id, path + end + 1, len - end - 1);
    id[len - end - 1] = '\0';
    return strlen(id) == len - end - 1;
}

enum kt_endpoint kt_endpoint_of(struct kt_span method, struct kt_span target)
{
    char path[PATH_MAX_LEN];
    size_t len;
    bool get = kt_span_eq(method, "GET");
    if ((!get && !kt_span_eq(method, "POST")) || !canonical(target, path, &len))
        return KT_EP_UNKNOWN;
    if (get)
        return models_end(path, len) ? KT_EP_MODELS : KT_EP_UNKNOWN;
    for (size_t i = 0; i < KT_COUNT(endpoints); i++) {
        size_t tail = strlen(endpoints[i].path);
        if (len >= tail && strncasecmp(path + len - tail, endpoints[i].path, tail) == 0 &&
            (!endpoints[i].at_root || is_root(path, len - tail)))
            return endpoints[i].endpoint;
    }
    return KT_EP_UNKNOWN;
}

const char *kt_endpoint_path(enum kt_endpoint e)
{
    for (size_t i = 0; i < KT_COUNT(endpoints); i++)
        if (endpoints[i].endpoint == e)
            return endpoints[i].path;
    return "";
}

const char *kt_endpoint_path_at(enum kt_endpoint e, const struct kt_target *t)
{
    const struct kt_provider *p = t ? kt_provider_of(t) : NULL;
    const char *own = p && p->path ? p->path(e) : NULL;
    return own ? own : kt_endpoint_path(e);
}
