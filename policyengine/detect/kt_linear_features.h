/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The features of kt_linear.h, sentence by sentence: words, stems (their first five letters) and classes of
 * words (kt_classes.h), alone and in pairs. All inline with the callback: a call per feature would cost most.
 * Only kt_linear.c includes this.
 */
#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_classes.h"
#include "policyengine/detect/kt_lexicon.h"
#include "policyengine/detect/kt_linear.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LOW(bytes) (~UINT64_C(0) >> (64 - 8 * (bytes)))
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define STEM 5u   /* letters */
#define NEAR 6u   /* classes before a word that are paired with its class ... */
#define FAR 12u   /* ... and how many words back they may stand */
#define BESIDE 2u /* classes before a word that are paired with its stem ... */
#define CLOSE 6u  /* ... and how many words back those may stand */
#define FIRST 3u  /* words, and classes, that begin a sentence */

/* What a feature says; part of its hash. */
enum kt_linear_kind {
    KIND_WORD,
    KIND_STEM,
    KIND_STEMS_NEXT,  /* two stems, neighbours */
    KIND_STEMS_APART, /* two stems with one or two words between them */
    KIND_CLASS,
    KIND_CLASS_LATER, /* in a sentence that is not the first one */
    KIND_CLASS_LAST,  /* in the last sentence of several */
    KIND_PAIR,        /* two classes of one sentence, in order */
    KIND_TRIPLE,      /* three that follow each other */
    KIND_TURN,        /* a class that began the sentence before, and one that begins this */
    KIND_WORD_CLASS,  /* a word, then a class */
    KIND_CLASS_WORD,  /* a class, then a word */
    KIND_CLASS_STEM,  /* a class, a stem some words later */
    KIND_OPENING,     /* one of the first words of a sentence, and which */
    KIND_OPENING_TWO,
};

INLINE uint64_t load(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w; /* little-endian hosts only, as the weights are (checked where the engine is built) */
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the weights were hashed little-endian");

/* Of a sentence: the bucket of a feature, or of none where it is not `there`. A branch that depends on the
 * words costs more than a bucket. */
typedef void (*feature_fn)(void *ctx, unsigned bucket, bool there);

/* Asked before each word: there will be KT_LINEAR_WORD features at most. */
typedef void (*room_fn)(void *ctx);
#define KT_LINEAR_WORD (8 + BESIDE + NEAR + FIRST + 5)

/* Of a feature whose hash is `h`; that times GOLDEN is what is asked for, since the hash of two is a sum and
 * each was multiplied once. */
INLINE unsigned bucket(unsigned kind, uint64_t h_golden)
{
    return (unsigned)((h_golden + kind * UINT64_C(0x2545f4914f6cdd1d) * GOLDEN) >> (64 - KT_LINEAR_BITS));
}

INLINE uint64_t turn(uint64_t h, unsigned by)
{
    return h << by | h >> (64 - by);
}

INLINE uint64_t class_hash(unsigned id)
{
    return id * UINT64_C(0xd6e8feb86659fd93);
}

/* How what stands in front goes into the hash of two. */
INLINE uint64_t in_front(uint64_t h)
{
    return turn(h, 21) * GOLDEN;
}

INLINE uint64_t word_hash(const char *p, size_t len)
{
    uint64_t h = len;
    for (; len > 8; p += 8, len -= 8)
        h = (h ^ load(p)) * UINT64_C(0xd6e8feb86659fd93);
    h = (h ^ (load(p) & LOW(len))) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

/* word_hash of the first letters, without a branch that depends on how many there are. */
INLINE uint64_t stem_hash(const char *p, size_t len)
{
    size_t n = len < STEM ? len : STEM;
    uint64_t h = (n ^ (load(p) & LOW(n))) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

/* What a sentence has had: "ha ha ha" says no more than once, however long it goes on. A slot that two keys
 * share forgets the older one: then it counts again, which is harmless. */
#define SLOTS 256u
struct had {
    uint16_t marks[SLOTS];
};

INLINE bool again(struct had *had, uint64_t h)
{
    uint16_t mark = (uint16_t)(h >> 40 | 1), *slot = &had->marks[h >> 56];
    bool same = *slot == mark;
    *slot = mark;
    return same;
}

/* Words of a prepared text: the one that comes next, behind the text where there is none. */
struct words {
    struct kt_runs runs;
    size_t start, end;
};

INLINE void next_run(struct words *w)
{
    if (!kt_runs_next(&w->runs, kt_bytes_letters, &w->start, &w->end))
        w->start = SIZE_MAX;
}

INLINE struct words words_of(const char *text, size_t len)
{
    struct words w = {.runs = kt_runs_of(text, len)};
    next_run(&w);
    return w;
}

/* Goes on; what a sentence that ends at `cut` left of a word is a word of the next one. */
INLINE void next_word(struct words *w, size_t cut)
{
    if (w->end > cut)
        w->start = cut;
    else
        next_run(w);
}

/* The classes that began the sentence before. */
struct kt_linear_turn {
    unsigned id[FIRST], count;
};

/* A sentence under way. `row`: its classes so far, the newest first; its start counts as one. */
struct sentence {
    bool later, last;
    const struct kt_linear_turn *before;
    struct kt_linear_turn now;
    struct {
        unsigned id, at;
        uint64_t front; /* in_front */
    } row[NEAR];
    unsigned row_count, at;  /* `at`: words so far */
    uint64_t word, stems[3]; /* in_front of the words before this one, the newest first; 0 = none */
    uint64_t class_before;   /* the same of the class of the last one */
};

INLINE void class_features(struct sentence *s, unsigned id, feature_fn fn, void *ctx)
{
    uint64_t h = class_hash(id) * GOLDEN, second = turn(class_hash(s->row[1].id), 42) * GOLDEN;
    fn(ctx, bucket(KIND_CLASS, h), true);
    for (unsigned i = 0; i < s->row_count && s->at - s->row[i].at <= FAR; i++)
        if (s->row[i].id != id)
            fn(ctx, bucket(KIND_PAIR, h + s->row[i].front), true);
    fn(ctx, bucket(KIND_TRIPLE, h + s->row[0].front + second),
       s->row_count > 1 && s->at - s->row[1].at <= FAR);
    fn(ctx, bucket(KIND_WORD_CLASS, h + s->word), s->word != 0);
    fn(ctx, bucket(KIND_CLASS_LATER, h), s->later);
    fn(ctx, bucket(KIND_CLASS_LAST, h), s->later && s->last);
    if (s->now.count == FIRST)
        return;
    for (unsigned i = 0; i < s->before->count; i++)
        fn(ctx, bucket(KIND_TURN, h + in_front(class_hash(s->before->id[i]))), true);
    s->now.id[s->now.count++] = id;
}

INLINE void stem_features(const struct sentence *s, uint64_t stem, feature_fn fn, void *ctx)
{
    const uint64_t *before = s->stems;
    stem *= GOLDEN;
    fn(ctx, bucket(KIND_STEM, stem), true);
    fn(ctx, bucket(KIND_STEMS_NEXT, stem + before[0]), before[0] != 0);
    fn(ctx, bucket(KIND_STEMS_APART, stem + before[1]), before[1] != 0);
    fn(ctx, bucket(KIND_STEMS_APART, stem + before[2]), (before[1] != 0) & (before[2] != 0));
    for (unsigned i = 0; i < BESIDE; i++) /* rows are in order: none behind one that is far */
        fn(ctx, bucket(KIND_CLASS_STEM, stem + s->row[i].front),
           i < s->row_count && s->at - s->row[i].at <= CLOSE);
    if (s->at <= FIRST)
        fn(ctx, bucket(KIND_OPENING, stem + s->at * GOLDEN), true);
    if (s->at == 2)
        fn(ctx, bucket(KIND_OPENING_TWO, stem + before[0]), true);
}

INLINE void step(struct sentence *s, unsigned id, uint64_t word, uint64_t stem)
{
    s->class_before = in_front(class_hash(id));
    s->word = in_front(word);
    s->stems[2] = s->stems[1];
    s->stems[1] = s->stems[0];
    s->stems[0] = in_front(stem);
    if (!id)
        return;
    s->row_count = s->row_count < NEAR ? s->row_count + 1 : NEAR;
    for (unsigned i = NEAR; i-- > 1;)
        s->row[i] = s->row[i - 1];
    s->row[0].id = id;
    s->row[0].at = s->at;
    s->row[0].front = s->class_before;
}

/* The features of the sentence [from,to) of the prepared text of `w`. `turns`: of the sentence before,
 * becomes that of this one. */
INLINE void each_feature(struct words *w, size_t from, size_t to, size_t len, struct kt_linear_turn *turns,
                         room_fn room, feature_fn fn, void *ctx)
{
    struct had had = {{0}};
    struct kt_linear_turn before = *turns;
    struct sentence s = {.later = from > 0, .last = to == len, .before = &before};
    s.row[0].id = KT_CLASS_COUNT;
    s.row[0].front = in_front(class_hash(KT_CLASS_COUNT));
    s.row_count = 1;
    for (; w->start <= to; next_word(w, to + 1)) { /* one space stands in front */
        const char *t = w->runs.text + w->start;
        size_t n = (w->end <= to ? w->end : to + 1) - w->start;
        uint64_t word = word_hash(t, n), stem = stem_hash(t, n);
        unsigned id = kt_class_of(t, n);
        s.at++;
        uint64_t h = word * GOLDEN;
        if (!again(&had, h + s.word)) {
            room(ctx);
            fn(ctx, bucket(KIND_WORD, h), true);
            stem_features(&s, stem, fn, ctx);
            fn(ctx, bucket(KIND_CLASS_WORD, h + s.class_before), s.class_before != 0);
            if (id)
                class_features(&s, id, fn, ctx);
        }
        step(&s, id, word, stem);
    }
    *turns = s.now;
}
