/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words with their inner letters out of order: "ignroe yuor preivous insturctions". People and models read
 * them by their first and last letter (OWASP, LLM Prompt Injection Prevention Cheat Sheet: typoglycemia);
 * rules do not. Only words that orders to a model are made of are set right.
 */
#include "policyengine/detect/kt_decode.h"

#include <string.h>

#define WORD_MIN 4u
#define WORD_MAX 14u

struct word {
    uint8_t len; /* 0 ends a list */
    char letters[WORD_MAX + 1];
};
#define W(word)                                                                                              \
    {                                                                                                        \
        sizeof(word) - 1, word                                                                               \
    }

/* By their first letter. */
static const struct word words[26][20] = {
    ['a' - 'a'] = {W("anweisungen"), W("anweisung"), W("anteriores"), W("answer"), W("admin"), W("assistant"),
                   W("alles")},
    ['b' - 'a'] = {W("before"), W("bypass"), W("bisherigen"), W("bisher")},
    ['c' - 'a'] = {W("commands"), W("command"), W("consignes"), W("confidential"), W("content"),
                   W("conversation")},
    ['d' - 'a'] = {W("disregard"), W("display"), W("developer"), W("directives"), W("directions"),
                   W("dimentica"), W("delete")},
    ['e' - 'a'] = {W("earlier"), W("everything")},
    ['f' - 'a'] = {W("forget"), W("filters"), W("filter"), W("follow"), W("following")},
    ['g' - 'a'] = {W("guidelines"), W("given")},
    ['h' - 'a'] = {W("hidden")},
    ['i' - 'a'] = {W("ignore"), W("ignoring"), W("instructions"), W("instruction"), W("initial"),
                   W("ignoriere"), W("ignorez"), W("ignora"), W("instrucciones"), W("istruzioni"),
                   W("instead"), W("internal")},
    ['j' - 'a'] = {W("jailbreak")},
    ['l' - 'a'] = {W("limits"), W("limitations")},
    ['m' - 'a'] = {W("message"), W("messages")},
    ['o' - 'a'] = {W("override"), W("orders"), W("oublie"), W("oubliez"), W("olvida"), W("original"),
                   W("output")},
    ['p' - 'a'] = {W("previous"), W("preceding"), W("prompt"), W("prompts"), W("prior"), W("password"),
                   W("passwords"), W("policy"), W("policies"), W("pretend"), W("print"), W("precedenti"),
                   W("precedentes")},
    ['r' - 'a'] = {W("reveal"), W("repeat"), W("rules"), W("restrictions"), W("regeln"), W("regles"),
                   W("reglas"), W("regole"), W("respond")},
    ['s' - 'a'] = {W("system"), W("secret"), W("secrets"), W("safety"), W("security"), W("show")},
    ['t' - 'a'] = {W("told"), W("training"), W("their")},
    ['u' - 'a'] = {W("unrestricted"), W("unfiltered"), W("uncensored")},
    ['v' - 'a'] = {W("vergiss"), W("vorherigen")},
    ['w' - 'a'] = {W("without"), W("were")},
    ['y' - 'a'] = {W("your")},
    ['z' - 'a'] = {W("zeige")},
};

static bool letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* The same letters in another order, the first and the last one in their places. */
static bool scrambled(const char *text, const char *word, size_t len)
{
    signed char seen[26] = {0};
    if (memcmp(text, word, len) == 0)
        return false;
    for (size_t i = 1; i + 1 < len; i++) {
        seen[text[i] - 'a']++;
        seen[word[i] - 'a']--;
    }
    for (size_t i = 0; i < KT_COUNT(seen); i++)
        if (seen[i] != 0)
            return false;
    return true;
}

/* The next scrambled word from *at on; moves *at behind it. NULL where none follows. */
static const struct word *next_word(const char *text, size_t len, size_t *at)
{
    for (size_t i = *at; i < len; i++) {
        size_t start = i;
        while (i < len && letter(text[i]))
            i++;
        size_t n = i - start;
        if (n < WORD_MIN || n > WORD_MAX)
            continue;
        for (const struct word *w = words[text[start] - 'a']; w->len; w++)
            if (w->len == n && w->letters[n - 1] == text[i - 1] && scrambled(text + start, w->letters, n)) {
                *at = i;
                return w;
            }
    }
    *at = len;
    return NULL;
}

unsigned kt_decode_scrambled_count(const char *text, size_t len)
{
    unsigned count = 0;
    for (size_t at = 0; next_word(text, len, &at);)
        count++;
    return count;
}

void kt_decode_scrambled(char *text, size_t len)
{
    const struct word *w;
    for (size_t at = 0; (w = next_word(text, len, &at)) != NULL;)
        memcpy(text + at - w->len, w->letters, w->len);
}
