/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/audit_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "kt-audit-head 1 "
#define HEAD_SIZE AUDIT_HEAD_SIZE

#define DIGITS 20 /* of a number, zeros in front */

static char *put_number(char *out, uint64_t value)
{
    for (size_t i = DIGITS; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + DIGITS + 1;
}

/* By hand: twice per event, where printf costs more than the two calls of the kernel. */
static void format_head(const struct audit_head *h, char out[HEAD_SIZE + 1])
{
    memset(out, ' ', HEAD_SIZE);
    memcpy(out, MAGIC, strlen(MAGIC));
    char *at = put_number(out + strlen(MAGIC), h->seq);
    memcpy(at, h->hash, strnlen(h->hash, KT_SHA256_HEX - 1));
    at = put_number(at + KT_SHA256_HEX, h->first_seq);
    put_number(at, h->bytes);
    out[HEAD_SIZE - 1] = '\n';
    out[HEAD_SIZE] = '\0';
}

bool audit_head_read(int head_fd, struct audit_head *head)
{
    char raw[HEAD_SIZE + 1], again[HEAD_SIZE + 1];
    memset(head, 0, sizeof *head);
    memcpy(head->hash, AUDIT_NO_HASH, KT_SHA256_HEX);
    ssize_t n = pread(head_fd, raw, HEAD_SIZE, 0);
    if (n != HEAD_SIZE)
        return false;
    raw[HEAD_SIZE] = '\0';
    struct audit_head h = {0};
    const char *at = raw + strlen(MAGIC);
    h.seq = strtoull(at, NULL, 10);
    memcpy(h.hash, at + 21, KT_SHA256_HEX - 1);
    h.first_seq = strtoull(at + 21 + KT_SHA256_HEX, NULL, 10);
    h.bytes = strtoull(at + 21 + KT_SHA256_HEX + 21, NULL, 10);
    /* Fixed columns; only what we would write ourselves counts. */
    format_head(&h, again);
    if (memcmp(raw, again, HEAD_SIZE) != 0)
        return false;
    *head = h;
    return true;
}

kt_result audit_head_write(int head_fd, const struct audit_head *head)
{
    char raw[HEAD_SIZE + 1];
    format_head(head, raw);
    size_t done = 0;
    while (done < HEAD_SIZE) {
        ssize_t n = pwrite(head_fd, raw + done, HEAD_SIZE - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        KT_ENSURE(n > 0, KT_ERR_IO);
        done += (size_t)n;
    }
    return kt_ok();
}
