/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in. Tokens are kept and compared as digests: equal length, and none can be read out of a core.
 */
#include "interceptor/gateway/kt_gateway_private.h"

#include "policyengine/chain/kt_conversation.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool digest(const char *data, size_t len, unsigned char out[32])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1;
}

kt_result kt_gateway_tokens_set(struct kt_gateway_tokens *t, const struct kt_strings *from)
{
    if (!from || !from->count)
        return kt_ok();
    t->digests = calloc(from->count, sizeof *t->digests);
    KT_ENSURE(t->digests, KT_ERR_MEMORY);
    for (; t->count < from->count; t->count++)
        KT_ENSURE(digest(from->items[t->count], strlen(from->items[t->count]), t->digests[t->count]),
                  KT_ERR_CRYPTO);
    return kt_ok();
}

void kt_gateway_tokens_free(struct kt_gateway_tokens *t)
{
    if (t->digests)
        kt_wipe(t->digests, t->count * sizeof *t->digests);
    free(t->digests);
    t->digests = NULL;
    t->count = 0;
}

/* What stands behind "Bearer ", as any HTTP client writes it. */
static struct kt_span shown(const struct kt_request *r)
{
    static const char scheme[] = "bearer";
    const size_t n = sizeof scheme - 1;
    struct kt_span v = kt_request_header(r, "authorization");
    if (!v.data || v.len <= n || strncasecmp(v.data, scheme, n) != 0 || v.data[n] != ' ')
        return kt_span("", 0);
    v = kt_span(v.data + n, v.len - n);
    while (v.len && *v.data == ' ')
        v = kt_span(v.data + 1, v.len - 1);
    return v;
}

bool kt_gateway_admits(const struct kt_gateway_tokens *t, const struct kt_request *r)
{
    unsigned char d[32];
    if (!t->count)
        return true;
    struct kt_span token = shown(r);
    if (!digest(token.data, token.len, d))
        return false;
    unsigned found = 0;
    for (size_t i = 0; i < t->count; i++)
        found |= CRYPTO_memcmp(d, t->digests[i], sizeof d) == 0;
    kt_wipe(d, sizeof d);
    return found != 0;
}

uint64_t kt_gateway_caller(const struct kt_gateway_tokens *t, const struct kt_request *r)
{
    struct kt_span token = shown(r);
    uint64_t caller = 0;
    return t->count && kt_conversation_caller(token.data, token.len, &caller) ? caller : 0;
}
