/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/eval/kt_eval_types.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64u
#define NO_PARENT UINT32_MAX

static const struct {
    const char *name, *parent, *spellings;
} table[] = {
#define EVAL_TYPE(name, parent, spellings) {#name, parent, spellings},
#include "tools/eval/eval_types.def"
#undef EVAL_TYPE
};

struct eval_types {
    unsigned count;
    unsigned parent[EVAL_TYPES_MAX];
    char name[EVAL_TYPES_MAX][NAME_MAX_LEN];
};

/* Capitals, and one '_' for whatever is neither letter nor digit; none in front and behind. Bytes beyond
 * ASCII stay. */
static void normalise(const char *name, char out[NAME_MAX_LEN])
{
    size_t n = 0;
    for (const unsigned char *c = (const unsigned char *)name; *c && n + 1 < NAME_MAX_LEN; c++) {
        bool lower = *c >= 'a' && *c <= 'z',
             word = lower || (*c >= 'A' && *c <= 'Z') || *c >= 0x80 || (*c >= '0' && *c <= '9');
        if (word)
            out[n++] = (char)(lower ? *c - 'a' + 'A' : *c);
        else if (n > 0 && out[n - 1] != '_')
            out[n++] = '_';
    }
    while (n > 0 && out[n - 1] == '_')
        n--;
    out[n] = '\0';
}

/* Is `word` one of the words of `list`? */
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; n > 0 && (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static unsigned in_table(const char *normal)
{
    for (unsigned i = 0; i < KT_COUNT(table); i++)
        if (strcmp(table[i].name, normal) == 0 || listed(table[i].spellings, normal))
            return i;
    return KT_COUNT(table);
}

struct eval_types *eval_types_new(void)
{
    struct eval_types *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    for (unsigned i = 0; i < KT_COUNT(table); i++) {
        memcpy(t->name[i], table[i].name, strlen(table[i].name) + 1);
        t->parent[i] = table[i].parent ? in_table(table[i].parent) : NO_PARENT;
    }
    t->count = KT_COUNT(table);
    return t;
}

void eval_types_free(struct eval_types *t)
{
    free(t);
}

unsigned eval_types_find(struct eval_types *t, const char *name)
{
    char normal[NAME_MAX_LEN];
    normalise(name, normal);
    if (!normal[0])
        memcpy(normal, "OTHER", sizeof "OTHER");
    unsigned known = in_table(normal);
    if (known < KT_COUNT(table))
        return known;
    if (t->count == EVAL_TYPES_MAX - 1) /* the last place is for all that have none */
        memcpy(normal, "OTHER", sizeof "OTHER");
    for (unsigned i = KT_COUNT(table); i < t->count; i++)
        if (strcmp(t->name[i], normal) == 0)
            return i;
    if (t->count == EVAL_TYPES_MAX)
        return EVAL_TYPES_MAX - 1;
    memcpy(t->name[t->count], normal, sizeof normal);
    t->parent[t->count] = NO_PARENT;
    return t->count++;
}

unsigned eval_types_count(const struct eval_types *t)
{
    return t->count;
}

const char *eval_types_name(const struct eval_types *t, unsigned type)
{
    return t->name[type];
}

bool eval_types_within(const struct eval_types *t, unsigned type, unsigned family)
{
    for (; type != NO_PARENT; type = t->parent[type])
        if (type == family)
            return true;
    return false;
}

bool eval_types_match(const struct eval_types *t, unsigned a, unsigned b)
{
    return eval_types_within(t, a, b) || eval_types_within(t, b, a);
}

const char *eval_type_public(const char *label)
{
    char normal[NAME_MAX_LEN];
    normalise(label, normal);
    unsigned known = in_table(normal);
    return known < KT_COUNT(table) ? table[known].name : label;
}
