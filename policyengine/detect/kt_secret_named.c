/* SPDX-License-Identifier: Apache-2.0 */
/* Values that their name gives away: the name is found, then the value, then both are weighed. */
#include "policyengine/detect/kt_secret_assign.h"
#include "policyengine/detect/kt_secret_base64.h"
#include "policyengine/detect/kt_secret_named.h"

#include <string.h>

#define VALUE_MIN 5u
#define VALUE_MAX 512u
#define SERVICE_MAX 2048u /* session tokens */

static const struct name {
    const char *label, *word, *shapes;
    enum { SERVICE, PASSWORD, TOKEN, KEY } kind;
} names[] = {
#define KT_NAME(label, word, kind, shapes) {label, word, shapes, kind},
#include "policyengine/detect/patterns/secret_names.def"
#undef KT_NAME
};

unsigned kt_secret_name_count(void)
{
    return KT_COUNT(names);
}

const char *kt_secret_name_word(unsigned i)
{
    return names[i].word;
}

static bool letter(char c)
{
    return kt_secret_is(c, KT_CH_LETTER);
}

static bool upper(char c)
{
    return kt_secret_is(c, KT_CH_UPPER | KT_CH_HEX_UP);
}

/* A new word begins at `at`: "api|Key", "db_|pass". */
static bool word_begins(const struct kt_secret_view *v, size_t at)
{
    return at == 0 || at == v->floor || !letter(v->data[at - 1]) ||
           (upper(v->data[at]) && !upper(v->data[at - 1])) || (at >= 2 && v->data[at - 2] == '\\');
}

/* Where the word may stand in the name. Long words give themselves away, short ones are part of many others.
 */
static enum kt_secret_answer stands_right(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                          const struct name *n)
{
    bool short_word = a->end - a->start < 6;
    if ((n->kind == SERVICE || short_word) && !word_begins(v, a->start))
        return KT_SECRET_NO;
    if (n->kind == SERVICE)
        return KT_SECRET_YES;
    if (a->end == v->len)
        return v->final ? KT_SECRET_NO : KT_SECRET_MORE;
    return letter(v->data[a->end]) && !word_begins(v, a->end) ? KT_SECRET_NO : KT_SECRET_YES;
}

/* A word of `words` in the name, from the beginning of a word on: "sha" is none of "shared". One of up to
 * four letters ends there too. */
static bool has_part(const struct kt_secret_view *v, size_t from, size_t to, const char *const *words,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(words[i]);
        for (size_t at = from; at + n <= to; at++) {
            if ((v->data[at] | 0x20) != (words[i][0] | 0x20) || !kt_secret_has(v->data + at, n, &words[i], 1))
                continue;
            bool begins = at == from || word_begins(v, at);
            bool ends = n > 4 || at + n == to || !letter(v->data[at + n]) || word_begins(v, at + n);
            if (begins && ends)
                return true;
        }
    }
    return false;
}

/* "public_key", "token_type", "github_sha": the value is no secret, whatever it looks like. */
static bool harmless_name(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                          const struct kt_secret_assign *s)
{
    static const char *const in_front[] = {
        "public", "foreign", "partition",    "sort", "cache",       "idempot",   "csrf", "xsrf", "next",
        "page",   "cursor",  "continuation", "sha",  "commit",      "object",    "hash", "hot",  "short",
        "count",  "num_",    "max_",         "min_", "publishable", "composite", "s3_"};
    static const char *const behind[] = {
        "name",     "path",   "file",    "url",    "uri",      "type",     "len",         "size",
        "count",    "limit",  "expir",   "ttl",    "policy",   "regex",    "pattern",     "field",
        "label",    "column", "version", "alg",    "format",   "hint",     "desc",        "hash",
        "digest",   "arn",    "sha",     "commit", "revision", "checksum", "fingerprint", "public",
        "endpoint", "time",   "region",  "bucket", "email",    "host",     "title",       "status"};
    return has_part(v, s->name_start, a->start, in_front, KT_COUNT(in_front)) ||
           kt_secret_has(v->data + a->end, s->name_end - a->end, behind, KT_COUNT(behind));
}

struct looks {
    size_t len;
    unsigned digits, letters, signs;
    bool hex, uuid, wordy;
    double entropy;
};

static bool is_uuid(const char *text, size_t len)
{
    for (size_t i = 0; len == 36 && i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !kt_secret_is(text[i], KT_CH_DIGIT | KT_CH_HEX_LOW | KT_CH_HEX_UP))
            return false;
    }
    return len == 36;
}

static struct looks look_at(const char *text, size_t len)
{
    struct looks l = {.len = len, .hex = true};
    for (size_t i = 0; i < len; i++) {
        l.digits += kt_secret_is(text[i], KT_CH_DIGIT);
        l.letters += letter(text[i]);
        l.hex = l.hex && kt_secret_is(text[i], KT_CH_DIGIT | KT_CH_HEX_LOW | KT_CH_HEX_UP);
    }
    l.signs = (unsigned)len - l.digits - l.letters;
    l.entropy = kt_secret_entropy(text, len);
    l.uuid = is_uuid(text, len);
    l.wordy = !l.hex && kt_secret_wordy(text, len);
    return l;
}

/* Variables, paths, addresses, code: nothing that is written there is the secret itself. */
static bool refers(const char *text, const struct kt_secret_assign *s, bool base64)
{
    size_t len = s->end - s->start;
    if (s->call || strchr("$%@&*{<[(#", text[0]) || (text[0] == '/' && !base64) ||
        (len >= 2 && text[0] == '.' && text[1] == '/'))
        return true;
    static const char *const marks[] = {
        "://",     "process.env", "os.environ", "getenv", "config.", "settings.", "self.", "this.",
        "params.", "secrets.",    "var.",       "data.",  "env.",    "%s",        "{0}",   "()",
        "->",      "arn:",        "urn:",       "${",     "#{",      "{{",        "%("};
    return kt_secret_has(text, len < 64 ? len : 64, marks, KT_COUNT(marks));
}

static double judge_password(const char *text, const struct looks *l, const struct kt_secret_assign *s)
{
    static const char *const technical[] = {"oauth",  "sha1",     "sha2",   "utf8", "utf-8", "base64",
                                            "md5",    "argon2",   "bcrypt", "http", "ipv4",  "ipv6",
                                            "latin1", "iso-8859", "pbkdf2", "ntlm", "field", "wpa2",
                                            "wpa3",   "scram",    "tls_",   "aes_"};
    if (l->len < 5 || l->len > 128 || kt_secret_has(text, l->len, technical, KT_COUNT(technical)))
        return 0;
    bool mixed = l->letters > 0 && (l->digits > 0 || l->signs > 0);
    bool plain = l->signs == 0 || (l->wordy && l->digits == 0);
    if (!s->quoted && !s->said && l->letters == l->len && l->len >= 10 && kt_secret_jumbled(text, l->len) &&
        !l->wordy)
        return KT_SECRET_LIKELY - 0.1;
    if (!s->quoted || s->said) {
        bool enough = l->len >= 6 && l->letters > 0 && l->digits > 0 && l->entropy > 2.2;
        return enough && !(l->wordy && l->signs > 1 && l->digits < 2) ? KT_SECRET_LIKELY - 0.1 : 0;
    }
    if (l->digits == l->len)
        return l->len >= 6 && l->entropy > 2 ? KT_SECRET_MAYBE : 0;
    if (!mixed)
        return l->len >= 8 && !l->wordy && l->entropy > 2.7 ? KT_SECRET_LIKELY - 0.1 : 0;
    return plain && l->digits == 0 ? 0 : KT_SECRET_LIKELY;
}

static double judge_token(const char *text, const struct looks *l, const struct kt_secret_assign *s)
{
    if (l->len < 10 || l->wordy || l->digits == l->len)
        return 0;
    if (l->uuid)
        return s->said ? 0 : KT_SECRET_LIKELY - 0.1;
    double least = l->hex ? 2.5 : l->len < 16 ? 2.8 : 3.0;
    if (l->entropy < least)
        return 0;
    if (l->digits == 0)
        return l->len >= 20 && l->entropy > 3.4 && (s->quoted || kt_secret_jumbled(text, l->len))
                   ? KT_SECRET_LIKELY - 0.1
                   : 0;
    if (l->letters == 0)
        return 0;
    return s->quoted || l->len >= 20 ? KT_SECRET_LIKELY : KT_SECRET_LIKELY - 0.1;
}

/* "users/<id>/avatar.png": the key of an object in a store. */
static bool is_path(const char *text, size_t len)
{
    const char *slash = memchr(text, '/', len), *dot = memrchr(text, '.', len);
    size_t ext = dot ? len - (size_t)(dot - text) - 1 : 0;
    bool plain = slash && slash - text >= 3;
    for (const char *at = text; plain && at < slash; at++)
        plain = kt_secret_is(*at, KT_CH_LETTER | KT_CH_DASH | KT_CH_UNDER) && !upper(*at);
    return plain && ((ext >= 2 && ext <= 4) || memrchr(text, '/', len) != slash);
}

static double judge_key(const char *text, const struct looks *l, const struct kt_secret_assign *s)
{
    if (l->len < 16 || l->wordy || l->uuid || l->digits < 2 || l->letters < 4 || s->said ||
        is_path(text, l->len))
        return 0;
    return l->entropy >= (l->hex ? 2.9 : 3.3) ? (l->len >= 24 ? KT_SECRET_LIKELY - 0.1 : KT_SECRET_MAYBE) : 0;
}

/* Base64 of name:password, as "auth" in a Docker or npm config is. */
static bool login_inside(const char *text, size_t len)
{
    char plain[128];
    size_t n = len >= 12 && len % 4 == 0 ? kt_secret_base64(text, len, plain, sizeof plain) : 0;
    const char *colon = memchr(plain, ':', n);
    bool readable = colon && colon > plain && n - (size_t)(colon - plain) > 5;
    for (size_t i = 0; i < n; i++)
        readable = readable && plain[i] > ' ' && plain[i] < 0x7f;
    kt_wipe(plain, sizeof plain);
    return readable;
}

/* One of the shapes, over the whole value. */
static bool has_shape(const char *text, size_t len, const char *shapes)
{
    const struct kt_secret_view whole = {.data = text, .len = len, .final = true};
    for (const char *one = shapes; one; one = strchr(one, '|') ? strchr(one, '|') + 1 : NULL) {
        size_t end = 0;
        if (kt_secret_shape(&whole, 0, one, &end) == KT_SECRET_YES && end == len)
            return true;
    }
    return false;
}

static double judge_service(const char *text, const struct looks *l, const struct name *n)
{
    if (!has_shape(text, l->len, n->shapes) || l->digits == l->len || l->wordy)
        return 0;
    if (l->digits == 0 && !(l->len >= 20 && l->entropy > 3.4))
        return 0;
    bool commit_like = l->hex && l->len == 40 && strncmp(n->label, "aws", 3) == 0;
    return !commit_like && l->entropy >= (l->len < 20 ? 2.2 : 2.7) ? KT_SECRET_LIKELY + 0.1 : 0;
}

static double judge(const char *text, const struct kt_secret_assign *s, const struct name *n)
{
    struct looks l = look_at(text, s->end - s->start);
    if (kt_secret_placeholder(text, l.len) || refers(text, s, n->kind == SERVICE))
        return 0;
    switch (n->kind) {
    case SERVICE:
        return judge_service(text, &l, n);
    case PASSWORD:
        return judge_password(text, &l, s);
    case TOKEN:
        return login_inside(text, l.len) ? KT_SECRET_LIKELY : judge_token(text, &l, s);
    default:
        return login_inside(text, l.len) ? KT_SECRET_LIKELY : judge_key(text, &l, s);
    }
}

enum kt_secret_answer kt_secret_named(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit)
{
    const struct name *n = &names[a->arg];
    struct kt_secret_assign s;
    enum kt_secret_answer answer = stands_right(v, a, n);
    if (answer != KT_SECRET_YES)
        return answer;
    bool alone = strcmp(n->word, "bearer") == 0;
    answer =
        kt_secret_assigned(v, a, n->kind == SERVICE, alone, n->kind == SERVICE ? SERVICE_MAX : VALUE_MAX, &s);
    if (answer != KT_SECRET_YES)
        return answer;
    if (s.end - s.start < VALUE_MIN)
        return KT_SECRET_NO;
    /* A token that is known by its prefix is named after it, also where the name says little. */
    answer = kt_secret_token_at(v, s.start, hit);
    if (answer != KT_SECRET_NO)
        return answer;
    /* "auth_token": the word behind says more */
    static const char *const stronger[] = {"token", "secret", "pass", "pwd"};
    if (harmless_name(v, a, &s) || (n->kind == KEY && kt_secret_has(v->data + a->end, s.name_end - a->end,
                                                                    stronger, KT_COUNT(stronger))))
        return KT_SECRET_NO;
    hit->score = judge(v->data + s.start, &s, n);
    hit->start = s.start;
    hit->end = s.end;
    hit->label = n->label;
    return hit->score > 0 ? KT_SECRET_YES : KT_SECRET_NO;
}
