/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/body/kt_json_place.h"

enum state {
    OFF,   /* no JSON */
    START, /* nothing but white space yet */
    VALUE,
    VALUE_OR_END,
    KEY,
    KEY_OR_END,
    COLON,
    AFTER,
    DONE,
    NUMBER,
    WORD,
    STRING,
    KEY_STRING,
    LOOSE, /* known to be JSON: outside of its strings */
    LOOSE_STRING
};

/* Parts of a number (RFC 8259, 6). */
enum part { MINUS, ZERO, WHOLE, POINT, FRACTION, E, E_SIGN, EXPONENT };

static const char *const words[] = {"true", "false", "null"};

static bool in_string(const struct kt_json_level *l)
{
    return l->state == STRING || l->state == KEY_STRING || l->state == LOOSE_STRING;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool number_goes_on(struct kt_json_level *l, unsigned char c)
{
    enum part p = l->sub;
    if (is_digit(c)) {
        if (p == ZERO)
            return false;
        l->sub = p == MINUS              ? (c == '0' ? ZERO : WHOLE)
                 : p == POINT            ? FRACTION
                 : p == E || p == E_SIGN ? EXPONENT
                                         : p;
        return true;
    }
    if (c == '.' && (p == ZERO || p == WHOLE))
        l->sub = POINT;
    else if ((c | 0x20) == 'e' && (p == ZERO || p == WHOLE || p == FRACTION))
        l->sub = E;
    else if ((c == '+' || c == '-') && p == E)
        l->sub = E_SIGN;
    else
        return false;
    return true;
}

static bool number_may_end(const struct kt_json_level *l)
{
    return l->sub == ZERO || l->sub == WHOLE || l->sub == FRACTION || l->sub == EXPONENT;
}

static bool word_goes_on(struct kt_json_level *l, unsigned char c)
{
    const char *rest = words[l->sub >> 4] + (l->sub & 15);
    if (*rest == '\0' || (unsigned char)*rest != c)
        return false;
    l->sub++;
    return true;
}

static void open_container(struct kt_json_level *l, bool object)
{
    if (l->depth == KT_JSON_NESTED) {
        l->state = OFF;
        return;
    }
    l->objects = l->objects << 1 | object;
    l->depth++;
    l->state = object ? KEY_OR_END : VALUE_OR_END;
}

static void close_container(struct kt_json_level *l, bool object)
{
    bool fits = (l->objects & 1) == object;
    l->objects >>= 1;
    l->depth--;
    l->state = !fits ? OFF : l->depth ? AFTER : DONE;
}

static void begin_value(struct kt_json_track *t, struct kt_json_level *l, unsigned char c)
{
    l->state = OFF;
    t->token = t->clean;
    if (c == '{' || c == '[') {
        open_container(l, c == '{');
    } else if (c == '"') {
        l->state = STRING;
    } else if (c == '-' || is_digit(c)) {
        l->state = NUMBER;
        l->sub = c == '-' ? MINUS : c == '0' ? ZERO : WHOLE;
    } else {
        for (uint8_t i = 0; i < 3; i++)
            if ((unsigned char)words[i][0] == c) {
                l->state = WORD;
                l->sub = (uint8_t)(i << 4 | 1);
            }
    }
}

static void behind_value(struct kt_json_level *l, unsigned char c)
{
    if (c == ',')
        l->state = l->objects & 1 ? KEY : VALUE;
    else if (c == '}' || c == ']')
        close_container(l, c == '}');
    else
        l->state = OFF;
}

static void read_outside(struct kt_json_track *t, struct kt_json_level *l, unsigned char c)
{
    if ((l->state == NUMBER && number_goes_on(l, c)) || (l->state == WORD && word_goes_on(l, c)))
        return;
    if (l->state == NUMBER)
        l->state = number_may_end(l) ? AFTER : OFF;
    else if (l->state == WORD)
        l->state = words[l->sub >> 4][l->sub & 15] == '\0' ? AFTER : OFF;
    if (l->state == OFF || c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return;
    bool value =
        l->state == VALUE || l->state == VALUE_OR_END || (l->state == START && (c == '{' || c == '['));
    if (l->state == AFTER)
        behind_value(l, c);
    else if (l->state == VALUE_OR_END && c == ']')
        close_container(l, false);
    else if (l->state == KEY_OR_END && c == '}')
        close_container(l, true);
    else if (value)
        begin_value(t, l, c);
    else if (l->state == LOOSE)
        l->state = c == '"' ? LOOSE_STRING : LOOSE;
    else if (l->state == COLON && c == ':')
        l->state = VALUE;
    else
        l->state = (l->state == KEY || l->state == KEY_OR_END) && c == '"' ? KEY_STRING : OFF;
}

static int hex(unsigned char c)
{
    unsigned char low = c | 0x20;
    return is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

enum { MORE = -1, WRONG = -2, OTHER = 0x80 };

/* The byte that an escape stands for behind its last byte `c`; OTHER for any character beyond ASCII. */
static int read_escape(struct kt_json_level *l, unsigned char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (l->escape > 1) { /* behind \u: 5 to 2, one for each digit to come */
        int digit = hex(c);
        l->code = (uint16_t)(l->code << 4 | (digit < 0 ? 0 : digit));
        l->escape = l->escape == 2 || digit < 0 ? 0 : (uint8_t)(l->escape - 1);
        return digit < 0 ? WRONG : l->escape ? MORE : l->code < 0x80 ? l->code : OTHER;
    }
    l->escape = c == 'u' ? 5 : 0;
    l->code = 0;
    if (c == 'u')
        return MORE;
    for (size_t i = 0; from[i]; i++)
        if ((unsigned char)from[i] == c)
            return (unsigned char)to[i];
    return WRONG;
}

static void end_string(struct kt_json_level *l)
{
    l->state = l->state == LOOSE_STRING ? LOOSE : l->state == KEY_STRING ? COLON : AFTER;
}

/* Reads `c` on a level; what is in a string there goes on to the next one. */
static void read_byte(struct kt_json_track *t, unsigned char c)
{
    for (size_t k = 0; k < KT_JSON_LEVELS && t->level[k].state != OFF; k++) {
        struct kt_json_level *l = &t->level[k];
        if (!in_string(l)) {
            read_outside(t, l, c);
            if (in_string(l) && k + 1 < KT_JSON_LEVELS)
                t->level[k + 1] = (struct kt_json_level){.state = START};
            return;
        }
        int is = c;
        if (l->state == LOOSE_STRING && l->escape > 1 && hex(c) < 0)
            l->escape = 0; /* no escape after all; it may be the quote that ends the string */
        if (l->escape) {
            is = read_escape(l, c);
        } else if (c == '\\') {
            l->escape = 1;
            is = MORE;
        } else if (c == '"') {
            end_string(l);
            return;
        } else if (c < 0x20) {
            is = WRONG;
        }
        if (is == WRONG && l->state != LOOSE_STRING)
            l->state = OFF;
        if (is == MORE || l->state == OFF)
            return;
        c = is == WRONG ? OTHER : (unsigned char)is;
    }
}

/* The level that the next byte belongs to, and whether it stands within an escape. */
static size_t deepest(const struct kt_json_track *t, bool *escape)
{
    size_t k = 0;
    *escape = false;
    for (;; k++) {
        *escape |= in_string(&t->level[k]) && t->level[k].escape;
        if (!in_string(&t->level[k]) || k + 1 == KT_JSON_LEVELS || t->level[k + 1].state == OFF)
            return k;
    }
}

void kt_json_track_start(struct kt_json_track *t, bool known)
{
    *t = (struct kt_json_track){0};
    t->level[0].state = known ? LOOSE : START;
}

void kt_json_track_read(struct kt_json_track *t, const char *data, size_t len)
{
    bool escape;
    size_t i = 0;
    for (; i < len && t->level[0].state != OFF; i++) {
        read_byte(t, (unsigned char)data[i]);
        t->at++;
        deepest(t, &escape);
        if (!escape)
            t->clean = t->at;
    }
    t->at += len - i;
}

struct kt_json_place kt_json_track_place(const struct kt_json_track *t)
{
    bool escape;
    size_t k = deepest(t, &escape);
    if (k > 0 && t->level[k].state == START)
        k--; /* a string that may yet become JSON: no number has begun in it */
    enum state s = t->level[k].state;
    return (struct kt_json_place){
        .json = s != OFF && s != START,
        .bare = !in_string(&t->level[k]),
        .token = s == VALUE || s == VALUE_OR_END || s == NUMBER || s == WORD,
        .known = s == LOOSE,
        .level = (unsigned)k,
    };
}

bool kt_json_track_in_token(const struct kt_json_track *t)
{
    bool escape;
    enum state s = t->level[deepest(t, &escape)].state;
    return s == NUMBER || s == WORD;
}
