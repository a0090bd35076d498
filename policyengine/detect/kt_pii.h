/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Personal data in text: a left-to-right scanner with a bounded view.
 *
 * Why not a pattern engine: whether a value starts at byte p must depend on nothing but the bytes from
 * KT_PII_BEHIND in front of p to the end of the candidate, so that a stream cut at any byte redacts exactly
 * what the whole text would. A kind whose answer could still change with the next byte says MORE; the scanner
 * stops there and tells from where on it wants to see the text again.
 *
 * What kinds see is folded (kt_pii_fold.h): full-width characters, odd spaces, dashes, characters of no width
 * and the escapes of JSON source are gone, so no kind has to know of them.
 *
 * A kind is one `const struct kt_pii_kind` at the bottom of its file and one line in pii.def. At one place
 * the first kind of the list wins.
 */
#include "policyengine/base/kt_buf.h"
#include "policyengine/detect/kt_pii_table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes in front of a candidate that a kind may look at (boundaries, context words, the local part of an
 * address). */
#define KT_PII_BEHIND 96u

struct kt_pii_cache; /* kt_pii_text.h */

struct kt_pii_view {
    const char *data; /* folded text */
    size_t len;
    size_t floor;                   /* end of the last hit: nothing starts in front of it */
    bool final;                     /* nothing follows behind len */
    const struct kt_pii_kind *last; /* of the last hit; NULL where there is none within the view */
    size_t hit;                     /* where the last hit starts: its words are no context */
    struct kt_pii_cache *cache;     /* of the scan; NULL = compute again */
    struct kt_pii_table *table;     /* that the text is in; borrowed */
    size_t passed;                  /* all in front of it has passed `table` */
    size_t mark;                    /* up to it nothing follows there that `table` takes note of */
};

enum kt_pii_answer { KT_PII_NO, KT_PII_YES, KT_PII_MORE };

/* What a value of the kind starts with. */
#define KT_PII_AT_DIGIT 1u
#define KT_PII_AT_LETTER                                                                                     \
    2u                    /* asked where the word holds a digit, has two letters, or goes on like a value    \
                           */
#define KT_PII_AT_SIGN 4u /* '+' or '(' */
#define KT_PII_AT_COLON 8u
#define KT_PII_AT_MAIL 16u /* '@', what stands for it: the value starts in front */

/* Which kinds are looked for where nobody chose. */
enum kt_pii_group { KT_PII_ALWAYS, KT_PII_PCI, KT_PII_HEALTH, KT_PII_OPT_IN };

#define KT_PII_TOLD 48u

/* Bits low..high of kt_pii_kind.words. */
#define KT_PII_LEN(low, high) ((UINT64_MAX << (low)) & (UINT64_MAX >> (63 - (high))))

struct kt_pii_kind {
    const char *label; /* for events and options: "email" */
    const char *name;  /* for placeholders: "EMAIL" */
    const char *also;  /* other names that options accept, between spaces: " email_address mail " */
    const char *help;  /* what is found and what decides, in a few words */
    enum kt_pii_group group;
    unsigned starts; /* KT_PII_AT_* or-ed */
    uint64_t words;  /* bit n: asked where the first word has n bytes; 0 = any length */
    unsigned digits; /* fewest digits of a number it is asked about */
    /* About numbers, places of digits alone: */
    uint64_t told; /* none is one without a word of these classes within KT_PII_TOLD bytes in front, or over
                      its column; 0 = it may be */
    uint64_t told_words; /* ... where the first group has so many digits; 0 = any */
    uint64_t leads; /* with a first group of so many digits none is one behind another number and a space */
    bool apart;     /* nor is any in a row of numbers with spaces between them, where no word stands near */
    const char
        *forms; /* asked where one begins with groups of these sizes (kt_pii_plain_number); NULL = any */
    const char *seps;   /* between them; NULL = any */
    const char *behind; /* asked where one of these, or no ASCII, follows the first group; NULL = any */
    bool behind_words;  /* ... or the first word, whatever it is made of */
    /* True YES: [*start,*end) with floor <= *start <= at < *end. */
    enum kt_pii_answer (*match)(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end);
};

/* All kinds, in order; at most 32. Borrowed, static. */
const struct kt_pii_kind *const *kt_pii_kinds(size_t *count);
/* Bit of the kind with this label in a set; 0 where there is none. */
uint32_t kt_pii_bit(const char *label);
/* The kinds that a name of the user's means: a label or one of its other names in any case, "national_ids"
 * for all numbers of persons; 0 where there is none. */
uint32_t kt_pii_named(const char *name);
uint32_t kt_pii_of_group(enum kt_pii_group group);

typedef void (*kt_pii_hit_fn)(void *ctx, const struct kt_pii_kind *kind, size_t start, size_t end);

/* Scans v->data (folded text) from `from` on, reports hits in order and moves v->floor. Returns where it
 * stopped: v->len, or the first place that needs more text. *hold receives the first byte that may still
 * become part of a hit (<= the returned place). */
size_t kt_pii_scan(struct kt_pii_view *v, size_t from, uint32_t kinds, kt_pii_hit_fn hit, void *ctx,
                   size_t *hold);

/* ---- raw text, in windows or whole (kt_pii_stream.c) ---- */

/* One segment. Zero-initialised = at its start. Holds up to KT_PII_BEHIND bytes of the text: wipe with
 * kt_pii_stream_free. */
struct kt_pii_stream {
    char behind[KT_PII_BEHIND]; /* folded text in front of `at` */
    size_t behind_len;
    size_t at;          /* raw, absolute: all in front of it is settled */
    size_t scanned;     /* folded bytes behind `at` that were looked at already */
    size_t since_hit;   /* folded bytes between the last hit and `at`; > behind_len where it is out of view */
    size_t hit_len;     /* of the last hit, folded */
    unsigned widthless; /* characters of no width directly in front of `at` */
    const struct kt_pii_kind *last;
    struct kt_pii_table table; /* at `at` + `scanned` */
    struct kt_buf scratch;     /* kept between windows */
    uint32_t *raw;             /* raw offsets of the bytes in scratch; owned */
    size_t raw_room;
};

struct kt_pii_window {
    const char *data; /* borrowed; any bytes */
    size_t len;
    size_t base; /* absolute offset of data[0]: at most the *hold that the window before returned */
    bool final;
    bool json; /* the text is JSON source */
};

/* Offsets of hits and *hold are absolute, raw, and never inside of a character or an escape. *hold: text from
 * there on must come again. */
kt_result kt_pii_stream_window(struct kt_pii_stream *s, const struct kt_pii_window *w, uint32_t kinds,
                               kt_pii_hit_fn hit, void *ctx, size_t *hold) KT_MUST;
void kt_pii_stream_free(struct kt_pii_stream *s);

#ifdef __cplusplus
}
#endif
