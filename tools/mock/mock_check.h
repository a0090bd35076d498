/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of the checks: fields as data, findings as Mistral's validation reports them. */
#include "tools/mock/mock.h"

#include <cjson/cJSON.h>

enum field_kind { FIELD_ANY, FIELD_STRING, FIELD_BOOL, FIELD_INT, FIELD_NUMBER, FIELD_OBJECT, FIELD_ARRAY };

struct field {
    const char *name;
    enum field_kind kind;
    bool nullable, required;
    double min, max;    /* numbers; both 0 = any */
    const char *values; /* FIELD_STRING: "a|b|c" */
};

/* Where we are in the request: names, or indexes of arrays. */
struct place {
    const char *names[12]; /* NULL = an index */
    int indexes[12];
    size_t depth;
};

struct findings {
    cJSON *detail; /* array; owned */
    struct place at;
};

void place_name(struct findings *f, const char *name);
void place_index(struct findings *f, int index);
void place_up(struct findings *f);
/* One finding at the place, or at its member `name` (may be NULL). `input` may be NULL. */
void finding(struct findings *f, const char *name, const char *type, const char *message, const cJSON *input);
/* Every member of `object` against the list: unknown, missing, of another type, out of bounds. */
void check_fields(struct findings *f, const cJSON *object, const struct field *fields, size_t count);

void check_message(struct findings *f, const cJSON *message);
void check_tools(struct findings *f, const cJSON *request);
