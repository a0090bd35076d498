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

void kt_options_free(const struct kt_option *table, void *opts)
{
    for (const struct kt_option *o = table; o && o->name; o++) {
        void *field = (char *)opts + o->offset;
        switch (o->type) {
        case KT_OPT_STRING:
            free_string(field);
            break;
        case KT_OPT_STRING_LIST:
            kt_strings_free(field);
            break;
        case KT_OPT_TABLE:
            kt_options_free(o->table, field);
            break;
        case KT_OPT_BOOL:
        case KT_OPT_INT:
        case KT_OPT_FLOAT:
        case KT_OPT_ENUM:
        case KT_OPT_CUSTOM:
            break;
        }
    }
}
