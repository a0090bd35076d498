/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_option.h"

#include <stdlib.h>
#include <string.h>

void kt_strings_free(struct kt_strings *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i]);
    free(s->items);
    s->items = NULL;
    s->count = 0;
}

kt_result kt_strings_add(struct kt_strings *s, const char *text)
{
    char **items = realloc(s->items, (s->count + 1) * sizeof *items);
    KT_ENSURE(items, KT_ERR_MEMORY);
    s->items = items;
    items[s->count] = strdup(text);
    KT_ENSURE(items[s->count], KT_ERR_MEMORY);
    s->count++;
    return kt_ok();
}

static void free_string(char **s)
{
    free(*s);
    *s = NULL;
}

static void free_list(const struct kt_option *o, struct kt_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        kt_options_free(o->table, (char *)l->items + i * o->item_size);
    free(l->items);
    *l = (struct kt_list){NULL, 0};
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}

static void free_string_map(struct kt_string_map *m)
{
    free_names(m->keys, m->count);
    free_names(m->values, m->count);
    *m = (struct kt_string_map){NULL, NULL, 0};
}

static void free_float_map(struct kt_float_map *m)
{
    free_names(m->keys, m->count);
    free(m->values);
    *m = (struct kt_float_map){NULL, NULL, 0};
}

void kt_option_clear(const struct kt_option *o, void *field)
{
    switch (o->type) {
    case KT_OPT_STRING:
    case KT_OPT_JSON:
        free_string(field);
        break;
    case KT_OPT_STRING_LIST:
        kt_strings_free(field);
        break;
    case KT_OPT_TABLE:
        kt_options_free(o->table, field);
        break;
    case KT_OPT_TABLE_LIST:
        free_list(o, field);
        break;
    case KT_OPT_STRING_MAP:
        free_string_map(field);
        break;
    case KT_OPT_FLOAT_MAP:
        free_float_map(field);
        break;
    case KT_OPT_BOOL:
    case KT_OPT_INT:
    case KT_OPT_FLOAT:
    case KT_OPT_ENUM:
    case KT_OPT_CUSTOM:
        break;
    }
}

void kt_options_free(const struct kt_option *table, void *opts)
{
    for (const struct kt_option *o = table; o && o->name; o++)
        kt_option_clear(o, (char *)opts + o->offset);
}
