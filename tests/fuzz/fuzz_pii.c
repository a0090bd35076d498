/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as text in which personal data may stand: finds of all kinds are ranges of the text, in order,
 * and a text that comes in windows, cut where the first two bytes say, gives the finds of the whole one.
 */
#include "policyengine/detect/kt_pii.h"
#include "tests/fuzz/kt_fuzz.h"

#include <string.h>

#define FINDS 4096u

struct finds {
    size_t len, count, end;
    struct {
        const struct kt_pii_kind *kind;
        size_t start, end;
    } hit[FINDS];
};

static void add(void *ctx, const struct kt_pii_kind *kind, size_t start, size_t end)
{
    struct finds *f = ctx;
    KT_HOLDS(kind && f->end <= start && start < end && end <= f->len);
    f->end = end;
    if (f->count < FINDS) {
        f->hit[f->count].kind = kind;
        f->hit[f->count].start = start;
        f->hit[f->count++].end = end;
    }
}

static void look(const char *text, size_t len, bool json, unsigned cuts, struct finds *f)
{
    struct kt_pii_stream s = {.at = 0};
    size_t base = 0, end = 0;
    f->len = len;
    f->count = f->end = 0;
    do {
        end += kt_fuzz_step(&cuts, len - end);
        char *data = kt_fuzz_copy(text + base, end - base);
        const struct kt_pii_window w = {data, end - base, base, end == len, json};
        size_t hold = 0;
        KT_HOLDS(kt_pii_stream_window(&s, &w, UINT32_MAX, add, f, &hold).code == KT_OK);
        KT_HOLDS(hold >= base && hold <= end);
        free(data);
        base = hold;
    } while (end < len);
    kt_pii_stream_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct finds whole, cut;
    if (size < 2 || size > 1u << 15)
        return 0;
    const char *text = (const char *)data + 2;
    bool json = data[0] & 1;
    look(text, size - 2, json, 0, &whole);
    look(text, size - 2, json, 1u + data[0] * 256u + data[1], &cut);
    KT_HOLDS(whole.count == cut.count);
    for (size_t i = 0; i < whole.count; i++)
        KT_HOLDS(whole.hit[i].kind == cut.hit[i].kind && whole.hit[i].start == cut.hit[i].start &&
                 whole.hit[i].end == cut.hit[i].end);
    return 0;
}
