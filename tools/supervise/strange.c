/* SPDX-License-Identifier: Apache-2.0 */
/* First words that are neither TLS nor HTTP/1, or name no host: is an intercepted host meant nevertheless? */
#include "tools/supervise/relay.h"

#include <netdb.h>
#include <string.h>
#include <strings.h>

#define ADDRESSES_MAX 256
#define KEPT_NS 60000000000ull /* what a resolver said, also where it said nothing */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint8_t ip[ADDRESSES_MAX][16];
    size_t count;
    uint64_t until;
} known;

static void ip_of(const struct sockaddr *sa, uint8_t ip[16])
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;
    memset(ip, 0, 16);
    if (sa->sa_family == AF_INET6) {
        memcpy(ip, &v6->sin6_addr, 16);
        return;
    }
    ip[10] = ip[11] = 0xff;
    memcpy(ip + 12, &v4->sin_addr, 4);
}

static bool nth(struct kt_supervise *s, size_t i, char host[NAMES_HOST_MAX])
{
    pthread_mutex_lock(&s->lock);
    bool there = names_nth(&s->names, i, host);
    pthread_mutex_unlock(&s->lock);
    return there;
}

/* With the lock held: who comes meanwhile needs the same answer. */
static void resolve_all(struct kt_supervise *s)
{
    char host[NAMES_HOST_MAX];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    known.count = 0;
    for (size_t i = 0; nth(s, i, host); i++) {
        struct addrinfo *list = NULL;
        if (getaddrinfo(host, NULL, &hints, &list) != 0)
            continue;
        for (const struct addrinfo *a = list; a && known.count < ADDRESSES_MAX; a = a->ai_next)
            if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
                ip_of(a->ai_addr, known.ip[known.count++]);
        freeaddrinfo(list);
    }
    known.until = kt_now_mono_ns() + KEPT_NS;
}

static bool goes_to_one(struct relay *r)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    if (kt_now_mono_ns() >= known.until)
        resolve_all(r->s);
    for (size_t i = 0; i < known.count; i++)
        found = found || memcmp(known.ip[i], r->ip, sizeof r->ip) == 0;
    pthread_mutex_unlock(&lock);
    return found;
}

static bool in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* An intercepted name, whole, anywhere. A length before it may look like a part of it: so any start counts.
 */
static bool names_one(struct kt_supervise *s, struct kt_span seen, char host[NAMES_HOST_MAX])
{
    for (size_t i = 0; nth(s, i, host); i++) {
        size_t len = strlen(host);
        for (size_t at = 0; at + len <= seen.len; at++) {
            size_t end = at + len;
            if (strncasecmp(seen.data + at, host, len) == 0 && (end == seen.len || !in_name(seen.data[end])))
                return true;
        }
    }
    return false;
}

bool relay_is_strange(struct relay *r, struct kt_span seen, char host[NAMES_HOST_MAX])
{
    if (names_one(r->s, seen, host))
        return true;
    host[0] = '\0';
    return goes_to_one(r);
}
