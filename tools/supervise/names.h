/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside tools/supervise: the plan of the tree, read again when it has grown. One thread at a time. */
#include "policyengine/base/kt_buf.h"

#include <sys/types.h>

#define NAMES_HOST_MAX 256

#ifdef __cplusplus
extern "C" {
#endif

struct names {
    const char *path; /* borrowed */
    struct kt_buf text;
    off_t size; /* of the file when `text` was read */
};

void names_init(struct names *n, const char *path);
void names_free(struct names *n);
/* The name with this synthetic address (host byte order). */
bool names_by_addr(struct names *n, uint32_t addr, char host[NAMES_HOST_MAX]);
/* The intercepted IP literal (IPv4 as ::ffff:a.b.c.d). */
bool names_by_ip(struct names *n, const uint8_t ip[16], char host[NAMES_HOST_MAX]);
/* Is this name intercepted, by itself or by a wildcard, and not excluded? Any case, a last dot counts not. */
bool names_has(struct names *n, const char *host);
/* The `i`th intercepted name that is no wildcard; false past the last. */
bool names_nth(struct names *n, size_t i, char host[NAMES_HOST_MAX]);
/* The value of the first line `word value` of the plan; borrowed until the next call, empty where none. */
struct kt_span names_word(struct names *n, const char *word);
/* The text of `hosts` (an /etc/hosts) with the intercepted names at their synthetic addresses and nowhere
 * else. */
kt_result names_hosts_file(struct names *n, struct kt_span hosts, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
