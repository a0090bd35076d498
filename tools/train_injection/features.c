/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the product sees of a text, for train.py: kt_injection_features < texts.
 * In: texts, each "<bytes>\n<text>\n". Out, native numbers: per text the score that ships, the evidence of
 * the rules for a user's and for a tool's text (float), then the count of sentences (u32), per sentence its
 * bytes and its features (u32 each) and the buckets (u32). One block of text as the product works in blocks.
 */
#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_injection.h"
#include "policyengine/detect/kt_linear.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 20)
#define SENTENCES 256u
#define FEATURES 65536u

struct page {
    uint32_t buckets[FEATURES];
    uint32_t bucket_count, sentence_start;
    uint32_t bytes[SENTENCES], features[SENTENCES], count;
};

static void add_feature(void *ctx, unsigned bucket)
{
    struct page *p = ctx;
    if (p->bucket_count < FEATURES)
        p->buckets[p->bucket_count++] = (uint32_t)bucket;
}

static void add_sentence(void *ctx, size_t bytes)
{
    struct page *p = ctx;
    if (p->count == SENTENCES)
        return;
    p->bytes[p->count] = (uint32_t)bytes;
    p->features[p->count++] = p->bucket_count - p->sentence_start;
    p->sentence_start = p->bucket_count;
}

static void put(const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, stdout) != n)
        exit(1);
}

static void put_page(struct page *p)
{
    const uint32_t *b = p->buckets;
    put(&p->count, sizeof p->count);
    for (uint32_t i = 0; i < p->count; i++) {
        put(&p->bytes[i], sizeof p->bytes[i]);
        put(&p->features[i], sizeof p->features[i]);
        put(b, p->features[i] * sizeof *b);
        b += p->features[i];
    }
}

static void one_text(struct kt_injection *w, const char *text, size_t len)
{
    static struct page page;
    static struct kt_linear_work work;
    static char folded[KT_LINEAR_MAX];
    struct kt_injection_result user, tool;
    struct kt_injection_scope scope = KT_INJECTION_SCOPE_ALL, from_tool = scope;
    from_tool.tool = true;
    if (!kt_is_ok(kt_injection_score(w, text, len, scope, &user)) ||
        !kt_is_ok(kt_injection_score(w, text, len, from_tool, &tool)))
        exit(1);
    float signs[] = {(float)user.score, (float)tool.score, (float)user.rules,
                     (float)tool.rules, (float)user.best,  (float)user.length,
                     user.decoded,      (float)user.whole, (float)user.calm};
    put(signs, sizeof signs);
    struct kt_fold fold = {.out = folded, .cap = sizeof folded, .escapes = true};
    kt_fold_text(&fold, text, len, true);
    page.bucket_count = page.sentence_start = page.count = 0;
    kt_linear_features(&work, folded, fold.len, add_feature, add_sentence, &page);
    put_page(&page);
}

int main(void)
{
    char line[32], *text = malloc(TEXT_MAX);
    kt_injection_join();
    struct kt_injection *w = kt_injection_take();
    while (text && w && fgets(line, sizeof line, stdin)) {
        size_t n = strtoul(line, NULL, 10);
        if (n > TEXT_MAX || fread(text, 1, n, stdin) != n || getchar() != '\n')
            return 1;
        one_text(w, text, n);
    }
    kt_injection_give(w);
    kt_injection_leave();
    free(text);
    return 0;
}
