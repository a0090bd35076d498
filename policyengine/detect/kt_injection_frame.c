/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_injection_frame.h"

#include "policyengine/detect/kt_lexicon.h"

#include <string.h>

#define QUOTE_REACH 160u /* bytes around a sign in which quotes are looked for */
#define EXCUSE_REACH 64u /* bytes from "any instructions" to "in the document" */

static bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

static bool glued(const char *text, size_t len, size_t at)
{
    return at < len && kt_lexicon_letter((unsigned char)text[at]);
}

static bool opens(const char *text, size_t len, size_t at)
{
    bool inner = glued(text, len, at + 1) || (text[at] == '"' && at + 1 < len && text[at + 1] == ' ' &&
                                              glued(text, len, at + 2)); /* French */
    return is_quote(text[at]) && inner && !(at > 0 && glued(text, len, at - 1));
}

/* The first `q` from `from` on that ends a quotation; `to` where there is none. */
static size_t closing(const char *text, size_t len, size_t from, size_t to, char q)
{
    for (size_t k = from; k < to; k++)
        if (text[k] == q && !glued(text, len, k + 1))
            return k;
    return to;
}

/* True where the sign that ends at `end` stands inside of quotes: somebody's words, not a command. */
bool kt_injection_quoted(const char *text, size_t len, size_t end)
{
    if (end == 0)
        return false;
    size_t low = end > QUOTE_REACH ? end - QUOTE_REACH : 0,
           high = len - end > QUOTE_REACH ? end + QUOTE_REACH : len;
    for (size_t at = end - 1; at > low; at--)
        if (opens(text, len, at - 1)) {
            size_t close = closing(text, len, at, high, text[at - 1]);
            if (close >= end && close < high)
                return true;
        }
    return false;
}

static bool has(const char *text, size_t len, const char *what)
{
    return memmem(text, len, what, strlen(what)) != NULL;
}

static bool has_any(const char *text, size_t len, const char *const *what, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has(text, len, what[i]))
            return true;
    return false;
}

/* `"content": question}`: a message whose words are somewhere else. */
static bool holds_variable(const char *text, size_t len)
{
    const char *end = text + len, *p = text;
    while ((p = memmem(p, (size_t)(end - p), "content", 7)) != NULL) {
        p += 7;
        const char *q = p;
        q += q < end && is_quote(*q);
        q += q < end && *q == ' ';
        bool member = q < end && (*q == ':' || *q == '=');
        q += member;
        q += q < end && *q == ' ';
        if (member && q < end && *q >= 'a' && *q <= 'z')
            return true;
    }
    return false;
}

static bool in_code(const char *text, size_t len)
{
    /* clang-format off */
    static const char *const signs[] = {
        "```", "{{", "{%", "vec![", "=[", "= [", "=f\"", "= f\"", "=\"\"\"", "= \"\"\"", "messages\": [",
        "messages\":[", "messages: [", "messages:[", "{\n\"messages", "def ", "const ", "(model=", "curl ",
        "=> {", "() {", ": |\n", "chatml", "chat template", "chat_template", "stop token", "special token",
        "tokenizer", "jinja", "modelfile", "prompt format",
    };
    /* clang-format on */
    return has_any(text, len, signs, KT_COUNT(signs)) || holds_variable(text, len);
}

/* Somebody speaks to the model: a fake role alone has no such turn. */
static bool has_user(const char *text, size_t len)
{
    static const char *const turns[] = {
        "human:",       "user:",    "benutzer:", "nutzer:", "utilisateur :",
        "utilisateur:", "usuario:", "utente:",   "|>user",  "### instruction:"};
    return has_any(text, len, turns, KT_COUNT(turns));
}

/* The last line leaves the word to the model. */
static bool ends_open(const char *text, size_t len)
{
    /* clang-format off */
    static const char *const turns[] = {
        "ai", "assistant", "response", "answer", "output", "assistent", "asistente", "assistente",
        "antwort", "respuesta", "risposta", "reponse", "<|im_start|>assistant", "<|assistant|>",
        "<start_of_turn>model",
    };
    /* clang-format on */
    while (len > 0 && strchr(" \n:", text[len - 1]))
        len--;
    for (size_t i = 0; i < KT_COUNT(turns); i++) {
        size_t n = strlen(turns[i]);
        bool apart = len == n || (len > n && strchr("\n# >", text[len - n - 1])) || turns[i][0] < 'a';
        if (len >= n && memcmp(text + len - n, turns[i], n) == 0 && apart)
            return true;
    }
    return false;
}

/* What a program does not promise its model. */
static bool sets_free(const char *text, size_t len)
{
    /* clang-format off */
    static const char *const words[] = {
        "unfiltered", "uncensored", "unrestricted", "no rules", "no restrictions", "no limits", "no filter", "without rules", "without restrictions",
        "without limits", "without filter", "without any", "keine regeln", "ohne regeln", "ohne filter", "keine filter", "sans regle", "sans filtre",
        "plus de regles", "aucune regle", "aucune limite", "sin reglas", "sin filtros", "sin limites", "senza regole", "senza filtri", "senza limiti",
    };
    /* clang-format on */
    return has_any(text, len, words, KT_COUNT(words));
}

enum kt_injection_frame kt_injection_frame_of(const char *text, size_t len, bool opens)
{
    bool cut = len > 1 && is_quote(text[len - 1]) &&
               strchr(" :=", text[len - 2]); /* to be continued with the prompt */
    if (!cut && in_code(text, len))
        return KT_INJECTION_CODE;
    bool template = opens && ends_open(text, len) && has_user(text, len) && !sets_free(text, len);
    return template ? KT_INJECTION_TEMPLATE : KT_INJECTION_PLAIN;
}

void kt_injection_excuse(struct kt_injection *w)
{
    for (unsigned i = 0; i < w->hit_count; i++) {
        struct kt_injection_hit *any = &w->hits[i];
        bool override = any->family == KT_INJ_OVERRIDE_ANY;
        unsigned by = override ? KT_INJ_DOCUMENT : KT_INJ_KEEPS;
        if (!override && any->family != KT_INJ_EXTRACTION)
            continue;
        for (unsigned k = i; k < w->hit_count && !w->scope.tool; k++)
            if (w->hits[k].family == by && w->hits[k].end >= any->end &&
                w->hits[k].end < any->end + EXCUSE_REACH)
                any->weight = 0;
        any->family = override ? KT_INJ_OVERRIDE : any->family;
    }
}
