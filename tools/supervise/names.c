/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/names_private.h"

#include "interceptor/abi/kt_plan_format.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLANKS " \t\r"

void names_init(struct names *n, const char *path)
{
    n->path = path;
    n->text = (struct kt_buf)KT_BUF_INIT(KT_PLAN_MAX_BYTES + 1);
    n->size = -1;
}

void names_free(struct names *n)
{
    kt_buf_free(&n->text);
}

/* The file only grows; a last line without its end may still be in the writer's hands. */
void names_refresh(struct names *n)
{
    struct stat st;
    char chunk[4096];
    ssize_t got;
    KT_CLEANUP(kt_cleanup_fd) int fd = open(n->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == n->size)
        return;
    n->text.len = 0;
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        if (!kt_is_ok(kt_buf_append(&n->text, chunk, (size_t)got)))
            break;
    while (n->text.len > 0 && n->text.data[n->text.len - 1] != '\n')
        n->text.len--;
    n->size = st.st_size;
}

/* The next line of `rest` without its end; NULL data after the last. */
static struct kt_span next_line(struct kt_span *rest)
{
    if (rest->len == 0)
        return kt_span(NULL, 0);
    const char *nl = memchr(rest->data, '\n', rest->len);
    struct kt_span line = kt_span(rest->data, nl ? (size_t)(nl - rest->data) : rest->len);
    size_t used = line.len + (nl ? 1 : 0);
    *rest = kt_span(rest->data + used, rest->len - used);
    return line;
}

static struct kt_span next_word(struct kt_span *line)
{
    size_t i = 0, j;
    while (i < line->len && strchr(BLANKS, line->data[i]))
        i++;
    for (j = i; j < line->len && !strchr(BLANKS, line->data[j]); j++)
        ;
    struct kt_span w = kt_span(line->data + i, j - i);
    *line = kt_span(line->data + j, line->len - j);
    return w;
}

struct kt_span names_word(struct names *n, const char *word)
{
    names_refresh(n);
    struct kt_span rest = kt_buf_span(&n->text), line;
    while ((line = next_line(&rest)).data)
        if (kt_span_eq(next_word(&line), word))
            return line.len > 1 ? kt_span(line.data + 1, line.len - 1) : kt_span("", 0);
    return kt_span("", 0);
}

bool names_next_host(struct kt_span *rest, struct in_addr *addr, char host[NAMES_HOST_MAX])
{
    struct kt_span line;
    while ((line = next_line(rest)).data) {
        struct kt_span word = next_word(&line);
        if (!kt_span_eq(word, "host") && !kt_span_eq(word, "name"))
            continue;
        struct kt_span where = next_word(&line), what = next_word(&line);
        char text[INET_ADDRSTRLEN];
        if (where.len >= sizeof text || what.len == 0 || what.len >= NAMES_HOST_MAX)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)where.len, where.data);
        snprintf(host, NAMES_HOST_MAX, "%.*s", (int)what.len, what.data);
        if (inet_pton(AF_INET, text, addr) == 1 && (ntohl(addr->s_addr) & KT_SYNTH_MASK) == KT_SYNTH_NET)
            return true;
    }
    return false;
}

bool names_by_addr(struct names *n, uint32_t addr, char host[NAMES_HOST_MAX])
{
    struct in_addr a;
    names_refresh(n);
    struct kt_span rest = kt_buf_span(&n->text);
    while (names_next_host(&rest, &a, host))
        if (ntohl(a.s_addr) == addr)
            return true;
    return false;
}

static bool parse_ip(const char *text, uint8_t ip[16])
{
    memset(ip, 0, 10);
    ip[10] = ip[11] = 0xff;
    return inet_pton(AF_INET, text, ip + 12) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

bool names_by_ip(struct names *n, const uint8_t ip[16], char host[NAMES_HOST_MAX])
{
    struct in_addr a;
    uint8_t literal[16];
    if (n->size < 0) /* only `host` lines hold literals, and those are there from the start */
        names_refresh(n);
    struct kt_span rest = kt_buf_span(&n->text);
    while (names_next_host(&rest, &a, host))
        if (parse_ip(host, literal) && memcmp(ip, literal, sizeof literal) == 0)
            return true;
    return false;
}

bool names_nth(struct names *n, size_t i, char host[NAMES_HOST_MAX])
{
    struct in_addr a;
    names_refresh(n);
    struct kt_span rest = kt_buf_span(&n->text);
    while (names_next_host(&rest, &a, host))
        if (i-- == 0)
            return true;
    return false;
}

static bool matches(struct kt_span name, struct kt_span pattern)
{
    if (pattern.len > 2 && pattern.data[0] == '*' && pattern.data[1] == '.') {
        size_t suffix = pattern.len - 1; /* with its dot */
        return name.len > suffix && name.data[0] != '.' &&
               strncasecmp(name.data + name.len - suffix, pattern.data + 1, suffix) == 0;
    }
    return name.len == pattern.len && strncasecmp(name.data, pattern.data, name.len) == 0;
}

bool names_has(struct names *n, const char *host)
{
    struct kt_span name = kt_span(host, strlen(host)), line;
    if (name.len > 0 && name.data[name.len - 1] == '.')
        name.len--;
    names_refresh(n);
    bool found = false;
    struct kt_span rest = kt_buf_span(&n->text);
    while ((line = next_line(&rest)).data) {
        struct kt_span word = next_word(&line);
        if (kt_span_eq(word, "exclude") && matches(name, next_word(&line)))
            return false;
        if (kt_span_eq(word, "wild"))
            found = found || matches(name, next_word(&line));
        if (kt_span_eq(word, "host") || kt_span_eq(word, "name")) {
            next_word(&line);
            found = found || matches(name, next_word(&line));
        }
    }
    return found;
}

static bool has_span(struct names *n, struct kt_span name)
{
    char host[NAMES_HOST_MAX];
    if (name.len >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)name.len, name.data);
    return names_has(n, host);
}

/* A line of the user's own, without names that are ours. */
static kt_result copy_line(struct names *n, struct kt_span line, struct kt_buf *out)
{
    const char *comment = line.len ? memchr(line.data, '#', line.len) : NULL;
    struct kt_span rest = kt_span(line.data, comment ? (size_t)(comment - line.data) : line.len), name;
    struct kt_span addr = next_word(&rest);
    bool first = true;
    if (addr.len == 0)
        return kt_ok();
    while ((name = next_word(&rest)).len > 0) {
        if (has_span(n, name))
            continue;
        if (first)
            KT_GUARD(kt_buf_append(out, addr.data, addr.len));
        KT_GUARD(kt_buf_printf(out, " %.*s", (int)name.len, name.data));
        first = false;
    }
    return first ? kt_ok() : kt_buf_puts(out, "\n");
}

/* Names that only a wildcard covers have no address before somebody asks. */
static void add_wild(struct names *n, struct kt_span hosts)
{
    struct kt_span line;
    while ((line = next_line(&hosts)).data) {
        const char *comment = line.len ? memchr(line.data, '#', line.len) : NULL;
        struct kt_span rest = kt_span(line.data, comment ? (size_t)(comment - line.data) : line.len), name;
        next_word(&rest);
        while ((name = next_word(&rest)).len > 0)
            names_add(n, name);
    }
}

kt_result names_hosts_file(struct names *n, struct kt_span hosts, struct kt_buf *out)
{
    struct in_addr a;
    char host[NAMES_HOST_MAX], text[INET_ADDRSTRLEN];
    uint8_t ip[16];
    names_refresh(n);
    add_wild(n, hosts);
    struct kt_span rest = kt_buf_span(&n->text), line;
    while (names_next_host(&rest, &a, host)) {
        if (parse_ip(host, ip) || !names_has(n, host))
            continue;
        inet_ntop(AF_INET, &a, text, sizeof text);
        /* The second line is for those who ask for IPv6 alone. */
        KT_GUARD(kt_buf_printf(out, "%s %s\n::ffff:%s %s\n", text, host, text, host));
    }
    while ((line = next_line(&hosts)).data)
        KT_GUARD(copy_line(n, line, out));
    return kt_ok();
}
