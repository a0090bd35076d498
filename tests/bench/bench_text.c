/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_text.h"

#include <stdio.h>
#include <string.h>

struct maker {
    uint64_t seed;
    char *out;
    size_t len, at;
};

static uint32_t next(struct maker *m)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (uint32_t)(m->seed >> 24);
}

static void put(struct maker *m, const char *text)
{
    for (; *text && m->at < m->len; text++)
        m->out[m->at++] = *text;
}

static void put_number(struct maker *m, uint32_t n)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%u", n);
    put(m, digits);
}

static const char *pick(struct maker *m, const char *const *list, size_t n)
{
    return list[next(m) % n];
}
#define PICK(m, list) pick(m, list, KT_COUNT(list))

static void prose(struct maker *m)
{
    static const char *const subjects[] = {
        "The committee",     "Our neighbour", "A small team", "The old library", "My colleague",
        "The morning train", "Every visitor", "The report",   "This recipe",     "The harbour master",
        "A careful reader",  "The museum",    "Their garden", "The new system",  "The second chapter"};
    static const char *const verbs[] = {"describes", "prepares", "compares",  "remembers", "follows",
                                        "explains",  "replaces", "discusses", "collects",  "questions",
                                        "repairs",   "measures", "orders",    "mentions",  "reviews",
                                        "schedules", "prints",   "visits"};
    static const char *const objects[] = {"the results of the last quarter",
                                          "three kinds of bread",
                                          "an unusual map of the coast",
                                          "the rules of the game",
                                          "a letter from the city council",
                                          "several photographs of the bridge",
                                          "the weather along the northern route",
                                          "a plan for the summer",
                                          "the price of heating oil",
                                          "its own history in some detail",
                                          "an answer that nobody expected",
                                          "the instructions for the assembly"};
    static const char *const tails[] = {"before the rain begins",         "with a good deal of patience",
                                        "because the budget allows it",   "although the deadline has passed",
                                        "and sends a copy to the office", "while the children are at school",
                                        "so that the work can go on",     "without asking anybody",
                                        "in less than an hour",           "as it was agreed in the spring"};
    put(m, PICK(m, subjects));
    put(m, " ");
    put(m, PICK(m, verbs));
    put(m, " ");
    put(m, PICK(m, objects));
    if (next(m) % 2) {
        put(m, next(m) % 2 ? ", " : " ");
        put(m, PICK(m, tails));
    }
    if (next(m) % 9 == 0) {
        put(m, " (see page ");
        put_number(m, next(m) % 400);
        put(m, ")");
    }
    put(m, next(m) % 12 ? ". " : ".\n\n");
}

static void code(struct maker *m)
{
    static const char *const names[] = {"count", "buffer", "index",  "result", "table", "node",
                                        "value", "offset", "length", "entry",  "state", "total"};
    static const char *const types[] = {"int", "size_t", "const char *", "double", "struct item *", "bool"};
    static const char *const calls[] = {"read_line", "push", "find_entry", "hash", "compare", "write_all"};
    const char *a = PICK(m, names), *b = PICK(m, names);
    put(m, "static ");
    put(m, PICK(m, types));
    put(m, " ");
    put(m, PICK(m, calls));
    put(m, "_");
    put_number(m, next(m) % 1000);
    put(m, "(struct ctx *c, size_t ");
    put(m, a);
    put(m, ")\n{\n    for (size_t i = 0; i < ");
    put(m, a);
    put(m, "; i++)\n        if (c->");
    put(m, b);
    put(m, "[i] != 0x");
    put_number(m, next(m) % 100000);
    put(m, ")\n            c->total += ");
    put(m, PICK(m, calls));
    put(m, "(&c->");
    put(m, b);
    put(m, "[i], \"");
    put(m, a);
    put(m, "\"); /* keeps the order */\n    return c->");
    put(m, PICK(m, names));
    put(m, ";\n}\n\n");
}

static void multilingual(struct maker *m)
{
    static const char *const starts[] = {"Die Stadt hat im vergangenen Jahr",
                                         "Le conseil municipal a décidé hier",
                                         "La biblioteca del barrio abre mañana",
                                         "Il treno della mattina è partito",
                                         "Ein kleiner Verein möchte",
                                         "Les élèves de la première année",
                                         "El informe describe con cuidado",
                                         "La ricetta della nonna prevede",
                                         "Музей открыт по воскресеньям",
                                         "図書館は来週から新しい本を",
                                         "الطريق إلى الميناء طويل",
                                         "Der Übersetzer prüft gründlich"};
    static const char *const ends[] = {" über die Kosten der Brücke gesprochen",
                                       " de réparer le pont avant l'été",
                                       " a las nueve con una exposición pequeña",
                                       " senza aspettare gli ultimi viaggiatori",
                                       " und schickt allen einen freundlichen Gruß",
                                       " pour préparer la fête de l'école",
                                       " los precios de la fruta y del pan",
                                       " due uova, farina e un po' di zucchero",
                                       " и до позднего вечера",
                                       "紹介する予定です",
                                       " والطقس جميل اليوم",
                                       " jede Fußnote des zweiten Kapitels"};
    put(m, PICK(m, starts));
    put(m, PICK(m, ends));
    put(m, next(m) % 10 ? ". " : ".\n");
}

/* Integers and groups of four, apart by spaces: every one of them may begin a value. */
static void numbers(struct maker *m)
{
    static const uint32_t tens[] = {10, 100, 1000, 10000, 100000};
    for (unsigned i = next(m) % 12; i < 16; i++) {
        put_number(m, next(m) % tens[next(m) % KT_COUNT(tens)]);
        put(m, " ");
    }
    for (unsigned i = next(m) % 3; i < 4; i++) {
        put_number(m, 1000 + next(m) % 9000);
        put(m, i < 3 ? " " : "\n");
    }
}

/* A line of a log, a row of a table, dates. */
static void records(struct maker *m)
{
    char line[160];
    unsigned a = next(m) % 60, b = next(m) % 28 + 1, c = next(m) % 12 + 1, d = next(m) % 100000;
    switch (next(m) % 4) {
    case 0:
        snprintf(line, sizeof line, "host-%u - - [%02u/Nov/2026:10:%02u:%02u +0000] \"GET /a/%u\" 200 %u\n",
                 a, b, a, c, d, d % 977);
        break;
    case 1:
        snprintf(line, sizeof line, "| %u | %u %u | %u-%u | %u.%02u |\n", d, a, b, c, a, d % 331, a);
        break;
    case 2:
        snprintf(line, sizeof line, "%08x: %04x %04x %04x %04x %04x\n", d * 16, d % 7919, d % 65521, a * 977,
                 d / 3, b * 1999);
        break;
    default:
        snprintf(line, sizeof line, "%u-%02u-%02u %02u.%02u.%u %02u:%02u:%02u\n", 1950 + a, c, b, b, c,
                 1960 + a, b % 24, a, a);
    }
    put(m, line);
}

const char *bench_text_name(enum bench_text t)
{
    static const char *const names[] = {"prose", "code", "multilingual", "numbers", "records"};
    return names[t];
}

void bench_text_fill(enum bench_text t, uint64_t seed, char *out, size_t len)
{
    static void (*const makers[])(struct maker *) = {prose, code, multilingual, numbers, records};
    struct maker m = {.seed = (seed + 1) * 0x9E3779B97F4A7C15u, .out = out, .len = len};
    while (m.at < len)
        makers[t](&m);
    size_t end = len; /* a character that was cut becomes spaces */
    while (end > 0 && ((unsigned char)out[end - 1] & 0xC0) == 0x80)
        end--;
    if (end > 0 && (unsigned char)out[end - 1] >= 0x80)
        memset(out + end - 1, ' ', len - end + 1);
}
