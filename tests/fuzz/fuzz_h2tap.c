/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 of both sides, as pieces: a byte whose top bit tells the sender and whose rest the length, then that
 * many bytes. However a piece is cut again, the same is reported; the client's preface is put in front.
 */
#include "interceptor/tap/kt_h2.h"
#include "tests/fuzz/kt_fuzz.h"

#include <string.h>

struct log {
    uint64_t sum;
    uint64_t data; /* pieces of DATA may be cut anywhere: bytes count, not calls */
};

static void mix(struct log *l, const void *p, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        l->sum = (l->sum ^ b[i]) * 1099511628211ull;
    l->sum = (l->sum ^ n) * 1099511628211ull;
}

static void note(struct log *l, char what, enum kt_h2_dir dir, uint32_t stream)
{
    const uint32_t all[3] = {(uint32_t)what, (uint32_t)dir, stream};
    mix(l, all, sizeof all);
}

static bool may(void *arg, enum kt_h2_dir dir, uint32_t stream)
{
    (void)arg, (void)dir, (void)stream;
    return true;
}

static void on_field(void *arg, enum kt_h2_dir dir, uint32_t stream, struct kt_span name,
                     struct kt_span value)
{
    note(arg, 'f', dir, stream);
    mix(arg, name.data, name.len);
    mix(arg, value.data, value.len);
}

static void on_fields_end(void *arg, enum kt_h2_dir dir, uint32_t stream, bool cut)
{
    note(arg, cut ? 'c' : 'e', dir, stream);
}

static void on_data(void *arg, enum kt_h2_dir dir, uint32_t stream, const char *data, size_t len)
{
    struct log *l = arg;
    for (size_t i = 0; i < len; i++)
        l->data = ((l->data ^ (unsigned char)data[i]) * 1099511628211ull) ^ stream ^ (uint64_t)dir;
}

static void on_end(void *arg, enum kt_h2_dir dir, uint32_t stream)
{
    note(arg, 'z', dir, stream);
}

static void on_reset(void *arg, enum kt_h2_dir dir, uint32_t stream)
{
    note(arg, 'r', dir, stream);
}

static void on_goaway(void *arg, enum kt_h2_dir dir, uint32_t last)
{
    note(arg, 'g', dir, last);
}

static enum kt_h2_state feed(struct kt_h2 *h, enum kt_h2_dir dir, const uint8_t *data, size_t len,
                             size_t piece)
{
    enum kt_h2_state s = KT_H2_MORE;
    for (size_t at = 0; at < len && s == KT_H2_MORE; at += piece) {
        size_t n = len - at < piece ? len - at : piece, used = 0;
        char *exact = malloc(n); /* so that the sanitizer sees a read past the piece */
        KT_HOLDS(exact);
        memcpy(exact, data + at, n);
        s = kt_h2_feed(h, dir, exact, n, &used);
        KT_HOLDS(used <= n && (s == KT_H2_BAD || used == n));
        KT_HOLDS((s == KT_H2_BAD) == (kt_h2_error(h) != NULL));
        free(exact);
    }
    return s;
}

static struct log run(const uint8_t *data, size_t size, size_t piece)
{
    static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct log l = {0};
    const struct kt_h2_handler on = {may, on_field, on_fields_end, on_data, on_end, on_reset, on_goaway, &l};
    struct kt_h2 *h = NULL;
    if (!kt_is_ok(kt_h2_new(&on, &h)))
        return l;
    enum kt_h2_state s = feed(h, KT_H2_CLIENT, preface, sizeof preface - 1, piece);
    for (size_t at = 0; at < size && s == KT_H2_MORE;) {
        enum kt_h2_dir dir = data[at] & 0x80 ? KT_H2_SERVER : KT_H2_CLIENT;
        size_t n = data[at++] & 0x7f;
        n = n < size - at ? n : size - at;
        s = feed(h, dir, data + at, n, piece);
        at += n;
    }
    l.sum ^= (uint64_t)s;
    kt_h2_free(h);
    return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 2, 7};
    struct log whole = run(data, size, SIZE_MAX / 2);
    for (size_t i = 0; i < KT_COUNT(pieces); i++) {
        struct log cut = run(data, size, pieces[i]);
        KT_HOLDS(cut.sum == whole.sum && cut.data == whole.data);
    }
    return 0;
}
