/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build-time only: turns a pattern table into C data. `kt_patc <set> <output.c>`: the phrases as a serialized
 * Vectorscan database for the baseline CPU, the concepts and rules, where it has any, as a lexicon; `kt_patc
 * classes <output.c>`: the word classes of the linear model. Compiling takes seconds that no wrapped program
 * should pay.
 */
#include "policyengine/detect/gen/kt_patc.h"

#include <hs/hs.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

extern const struct kt_patc_set kt_patc_injection, kt_patc_meta, kt_patc_safety;

static hs_database_t *compile(const struct kt_patc_set *s)
{
    const char **regex = calloc(s->phrase_count, sizeof *regex);
    unsigned *flags = calloc(s->phrase_count, sizeof *flags), *ids = calloc(s->phrase_count, sizeof *ids);
    if (!regex || !flags || !ids)
        kt_patc_die(s->name, "out of memory");
    for (unsigned i = 0; i < s->phrase_count; i++) {
        ids[i] = i;
        regex[i] = s->phrases[i].regex;
    }
    const hs_platform_info_t baseline = {.tune = HS_TUNE_FAMILY_GENERIC, .cpu_features = 0};
    hs_database_t *db = NULL;
    hs_compile_error_t *error = NULL;
    if (hs_compile_multi(regex, flags, ids, s->phrase_count, HS_MODE_BLOCK, &baseline, &db, &error) !=
        HS_SUCCESS)
        kt_patc_die(error->expression >= 0 ? regex[error->expression] : s->name, error->message);
    free(regex);
    free(flags);
    free(ids);
    return db;
}

static void write_image(const struct kt_patc_set *s, FILE *out)
{
    char *bytes = NULL;
    size_t len = 0;
    hs_database_t *db = compile(s);
    if (hs_serialize_database(db, &bytes, &len) != HS_SUCCESS)
        kt_patc_die(s->name, "cannot serialize");
    fprintf(out,
            "#include \"policyengine/detect/kt_scan.h\"\n\nstatic const _Alignas(64) unsigned char "
            "bytes[%zu] = {",
            len);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%s%d,", i % 32 == 0 ? "\n" : "", (unsigned char)bytes[i]);
    fprintf(out, "\n};\n\nconst struct kt_scan_image kt_scan_image_%s = {\"%s\", bytes, sizeof bytes, %u};\n",
            s->name, s->name, s->phrase_count);
    free(bytes);
    hs_free_database(db);
}

int main(int argc, char **argv)
{
    const struct kt_patc_set *s = NULL;
    if (argc == 3)
        s = strcmp(argv[1], "injection") == 0 ? &kt_patc_injection
            : strcmp(argv[1], "meta") == 0    ? &kt_patc_meta
            : strcmp(argv[1], "safety") == 0  ? &kt_patc_safety
                                              : NULL;
    bool classes = argc == 3 && strcmp(argv[1], "classes") == 0;
    if (!s && !classes) {
        fprintf(stderr, "usage: kt_patc injection|meta|safety|classes OUTPUT.c\n");
        return 2;
    }
    FILE *out = fopen(argv[2], "w");
    if (!out)
        kt_patc_die(argv[2], "cannot be written");
    fprintf(out, "/* Generated from policyengine/detect/patterns/%s.def by kt_patc. */\n", argv[1]);
    if (s) {
        if (s->rule_count > 0) /* else a set of phrases alone */
            kt_patc_lexicon(s, out);
        write_image(s, out);
    } else {
        kt_patc_classes(out);
    }
    int failed = ferror(out);
    if (fclose(out) != 0 || failed)
        kt_patc_die(argv[2], "cannot be written");
    return 0;
}
