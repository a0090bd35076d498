/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Aliases are searched one by one by us, %TAG directives by libyaml. */
enum { MAX_ANCHORS = 256, MAX_DIRECTIVES = 8 };

/* What is known while one document is read. */
struct loader {
    yaml_parser_t parser;
    const struct kt_source *src;
    struct kt_ctx ctx;
    size_t budget; /* nodes still allowed */
    size_t mark;   /* bytes of the byte order mark that the parser does not see */
    struct anchor {
        char *name;
        const struct kt_node *node; /* in the tree; set once it is complete, so a node cannot hold itself */
    } * anchors;
    size_t anchor_count;
};

static struct kt_at at_mark(const struct loader *l, yaml_mark_t m)
{
    struct kt_at at = {l->src->name, (unsigned)m.line + 1, (unsigned)m.column + 1};
    return at;
}

/* libyaml's reader knows only a byte offset. */
static struct kt_at at_offset(const struct loader *l, size_t offset)
{
    struct kt_at at = {l->src->name, 1, 1};
    for (size_t i = 0; i < offset && i < l->src->len; i++) {
        unsigned char c = (unsigned char)l->src->text[i];
        if (c == '\n') {
            at.line++;
            at.col = 1;
        } else if ((c & 0xc0) != 0x80) {
            at.col++;
        }
    }
    return at;
}

/* Complains and ends the document. */
static kt_result refuse(struct loader *l, struct kt_at at, const char *suggestion, const char *what)
{
    KT_GUARD(kt_complain(&l->ctx, "E006", at, suggestion, "%s", what));
    return kt_err(KT_ERR_USAGE);
}

/* The commonest mistake of all, and libyaml's words for it do not name it. */
static const char *tab_hint(const struct loader *l)
{
    size_t at = l->parser.problem_mark.index;
    for (size_t i = 0, chars = 0; i < l->src->len; i++) {
        if (((unsigned char)l->src->text[i] & 0xc0) != 0x80 && chars++ == at)
            return l->src->text[i] == '\t' ? "a tab: YAML is indented with spaces" : NULL;
    }
    return NULL;
}

static kt_result parser_error(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    const char *problem = p->problem ? p->problem : "not readable as YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return kt_err(KT_ERR_MEMORY);
    if (p->error == YAML_READER_ERROR)
        return refuse(l, at_offset(l, p->problem_offset + l->mark), "the file must be UTF-8 text", problem);
    char begins[48] = ""; /* a quote or bracket that is not closed is found at the end only */
    struct kt_at at = at_mark(l, p->problem_mark), from = at_mark(l, p->context_mark);
    if (p->context && from.line < at.line)
        snprintf(begins, sizeof begins, " that begins on line %u", from.line);
    KT_GUARD(kt_complain(&l->ctx, "E006", at, tab_hint(l), "%s%s%s%s", problem, p->context ? ", " : "",
                         p->context ? p->context : "", begins));
    return kt_err(KT_ERR_USAGE);
}

static kt_result next_event(struct loader *l, yaml_event_t *e)
{
    return yaml_parser_parse(&l->parser, e) ? kt_ok() : parser_error(l);
}

static const char *event_anchor(const yaml_event_t *e)
{
    const yaml_char_t *a = NULL;
    if (e->type == YAML_SCALAR_EVENT)
        a = e->data.scalar.anchor;
    else if (e->type == YAML_SEQUENCE_START_EVENT)
        a = e->data.sequence_start.anchor;
    else if (e->type == YAML_MAPPING_START_EVENT)
        a = e->data.mapping_start.anchor;
    return (const char *)a;
}

static const char *event_tag(const yaml_event_t *e)
{
    const yaml_char_t *t = NULL;
    if (e->type == YAML_SCALAR_EVENT)
        t = e->data.scalar.tag;
    else if (e->type == YAML_SEQUENCE_START_EVENT)
        t = e->data.sequence_start.tag;
    else if (e->type == YAML_MAPPING_START_EVENT)
        t = e->data.mapping_start.tag;
    return (const char *)t;
}

static bool tag_is_ours(const yaml_event_t *e)
{
    static const char *const scalar_tags[] = {YAML_STR_TAG,  YAML_INT_TAG,  YAML_FLOAT_TAG,
                                              YAML_BOOL_TAG, YAML_NULL_TAG, "!"};
    const char *tag = event_tag(e);
    if (!tag)
        return true;
    if (e->type == YAML_SEQUENCE_START_EVENT)
        return strcmp(tag, YAML_SEQ_TAG) == 0;
    if (e->type == YAML_MAPPING_START_EVENT)
        return strcmp(tag, YAML_MAP_TAG) == 0;
    for (size_t i = 0; i < KT_COUNT(scalar_tags); i++)
        if (strcmp(tag, scalar_tags[i]) == 0)
            return true;
    return false;
}

static bool spells_null(const char *s)
{
    return *s == '\0' || strcmp(s, "~") == 0 || strcmp(s, "null") == 0 || strcmp(s, "Null") == 0 ||
           strcmp(s, "NULL") == 0;
}

static kt_result fill_scalar(struct loader *l, const yaml_event_t *e, struct kt_node *n)
{
    const char *value = (const char *)e->data.scalar.value, *tag = (const char *)e->data.scalar.tag;
    bool is_text = tag && (strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, "!") == 0);
    if (strlen(value) != e->data.scalar.length)
        return refuse(l, n->at, NULL, "a NUL byte in a value");
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_text;
    n->kind = n->plain && spells_null(value) ? KT_NODE_NULL : KT_NODE_SCALAR;
    n->text = strdup(value);
    KT_ENSURE(n->text, KT_ERR_MEMORY);
    return kt_ok();
}

static kt_result new_node(struct loader *l, const yaml_event_t *e, struct kt_node **out)
{
    if (l->budget == 0)
        return refuse(l, at_mark(l, e->start_mark), NULL, "more than 20000 values in one file");
    if (!tag_is_ours(e))
        return refuse(l, at_mark(l, e->start_mark), "leave the tag out",
                      "a YAML tag that means nothing here");
    l->budget--;
    struct kt_node *n = calloc(1, sizeof *n);
    KT_ENSURE(n, KT_ERR_MEMORY);
    n->at = at_mark(l, e->start_mark);
    n->layer = l->src->layer;
    *out = n;
    return kt_ok();
}

static kt_result remember(struct loader *l, const char *name, const struct kt_node *n)
{
    if (l->anchor_count >= MAX_ANCHORS)
        return refuse(l, n->at, NULL, "more than 256 anchors in one file");
    struct anchor *more = realloc(l->anchors, (l->anchor_count + 1) * sizeof *more);
    KT_ENSURE(more, KT_ERR_MEMORY);
    l->anchors = more;
    char *copy = strdup(name);
    KT_ENSURE(copy, KT_ERR_MEMORY);
    more[l->anchor_count++] = (struct anchor){copy, n};
    return kt_ok();
}

static kt_result resolve_alias(struct loader *l, const yaml_event_t *e, unsigned depth, struct kt_node **out)
{
    const char *name = (const char *)e->data.alias.anchor;
    const struct kt_node *found = NULL;
    for (size_t i = l->anchor_count; i-- > 0 && !found;)
        if (strcmp(l->anchors[i].name, name) == 0)
            found = l->anchors[i].node;
    if (!found)
        return refuse(l, at_mark(l, e->start_mark), NULL,
                      "an alias (*) without an anchor (&) in front of it");
    *out = kt_node_copy(found, &l->budget, KT_YAML_MAX_DEPTH - depth);
    if (!*out)
        return refuse(l, at_mark(l, e->start_mark), NULL, "aliases that expand to too much");
    return kt_ok();
}

static kt_result build(struct loader *l, const yaml_event_t *e, unsigned depth, struct kt_node **out);

static kt_result build_list(struct loader *l, struct kt_node *list, unsigned depth)
{
    for (;;) {
        KT_CLEANUP(yaml_event_delete) yaml_event_t e = {0};
        KT_GUARD(next_event(l, &e));
        if (e.type == YAML_SEQUENCE_END_EVENT)
            return kt_ok();
        struct kt_node *item = NULL;
        KT_GUARD(build(l, &e, depth, &item));
        KT_GUARD(kt_node_add_item(list, item));
    }
}

static kt_result check_key(struct loader *l, const struct kt_node *map, const struct kt_node *key)
{
    if (!key->text)
        return refuse(l, key->at, NULL, "a key must be a plain word");
    const struct kt_pair *first = kt_node_pair(map, key->text);
    if (!first)
        return kt_ok();
    return kt_complain(&l->ctx, "E006", key->at, "keep one of them", "duplicate key '%.*s', first on line %u",
                       (int)kt_utf8_cut(key->text, strlen(key->text), 64), key->text, first->key->at.line);
}

static kt_result build_map(struct loader *l, struct kt_node *map, unsigned depth)
{
    for (;;) {
        KT_CLEANUP(yaml_event_delete) yaml_event_t k = {0}, v = {0};
        KT_CLEANUP(kt_cleanup_node) struct kt_node *key = NULL;
        struct kt_node *value = NULL;
        KT_GUARD(next_event(l, &k));
        if (k.type == YAML_MAPPING_END_EVENT)
            return kt_ok();
        KT_GUARD(build(l, &k, depth, &key));
        KT_GUARD(check_key(l, map, key));
        KT_GUARD(next_event(l, &v));
        KT_GUARD(build(l, &v, depth, &value));
        /* A duplicate stays in the tree: an anchor may point into it. */
        KT_GUARD(kt_node_add_pair(map, KT_TAKE(key), value));
    }
}

static kt_result fill(struct loader *l, const yaml_event_t *e, unsigned depth, struct kt_node *n)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return fill_scalar(l, e, n);
    case YAML_SEQUENCE_START_EVENT:
        n->kind = KT_NODE_LIST;
        return build_list(l, n, depth + 1);
    case YAML_MAPPING_START_EVENT:
        n->kind = KT_NODE_MAP;
        return build_map(l, n, depth + 1);
    default:
        return kt_err(KT_ERR_INTERNAL);
    }
}

/* The node that starts with event `e`, all of it. */
static kt_result build(struct loader *l, const yaml_event_t *e, unsigned depth, struct kt_node **out)
{
    if (depth >= KT_YAML_MAX_DEPTH)
        return refuse(l, at_mark(l, e->start_mark), NULL, "nested more than 32 levels deep");
    if (e->type == YAML_ALIAS_EVENT)
        return resolve_alias(l, e, depth, out);
    KT_CLEANUP(kt_cleanup_node) struct kt_node *n = NULL;
    KT_GUARD(new_node(l, e, &n));
    KT_GUARD(fill(l, e, depth, n));
    if (event_anchor(e))
        KT_GUARD(remember(l, event_anchor(e), n));
    *out = KT_TAKE(n);
    return kt_ok();
}

static kt_result empty_document(struct loader *l, struct kt_node **out)
{
    struct kt_node *n = calloc(1, sizeof *n);
    KT_ENSURE(n, KT_ERR_MEMORY);
    n->at = (struct kt_at){l->src->name, 1, 1};
    n->layer = l->src->layer;
    *out = n;
    return kt_ok();
}

/* Stream start, one document or none, stream end. */
static kt_result load(struct loader *l, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *root = NULL;
    for (bool ended = false; !ended;) {
        KT_CLEANUP(yaml_event_delete) yaml_event_t e = {0};
        KT_GUARD(next_event(l, &e));
        switch (e.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (root)
                return refuse(l, at_mark(l, e.start_mark), "layer files with --policy-config instead",
                              "more than one YAML document in the file");
            break;
        case YAML_STREAM_END_EVENT:
            ended = true;
            break;
        default:
            KT_GUARD(build(l, &e, 0, &root));
        }
    }
    if (!root)
        KT_GUARD(empty_document(l, &root));
    *out = KT_TAKE(root);
    return kt_ok();
}

/* Counted up to one more than allowed, wherever they stand: libyaml knows five kinds of line break. */
static size_t directives(const struct kt_source *src)
{
    static const char word[] = "%TAG";
    const char *end = src->text + src->len;
    size_t n = 0;
    for (const char *p = src->text; n <= MAX_DIRECTIVES; p += sizeof word - 1, n++) {
        p = memmem(p, (size_t)(end - p), word, sizeof word - 1);
        if (!p)
            break;
    }
    return n;
}

static void loader_free(struct loader *l)
{
    for (size_t i = 0; i < l->anchor_count; i++)
        free(l->anchors[i].name);
    free(l->anchors);
    yaml_parser_delete(&l->parser);
}

kt_result kt_yaml_parse(const struct kt_source *src, struct kt_diags *diags, struct kt_node **out)
{
    size_t errors = kt_diags_errors(diags);
    struct loader l = {.src = src, .ctx = {.diags = diags}, .budget = KT_YAML_MAX_NODES};
    struct kt_node *root = NULL;
    *out = NULL;
    KT_ENSURE(yaml_parser_initialize(&l.parser), KT_ERR_MEMORY);
    /* Said outright, libyaml neither guesses UTF-16 nor skips a byte order mark. */
    l.mark = src->len >= 3 && memcmp(src->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)src->text + l.mark, src->len - l.mark);
    kt_result r;
    if (src->len > KT_YAML_MAX_BYTES)
        r = refuse(&l, (struct kt_at){src->name, 0, 0}, NULL, "larger than 1 MiB");
    else if (directives(src) > MAX_DIRECTIVES)
        r = refuse(&l, (struct kt_at){src->name, 1, 1}, NULL, "more than 8 %TAG directives");
    else
        r = load(&l, &root);
    loader_free(&l);
    if (kt_is_ok(r) && kt_diags_errors(diags) > errors)
        r = kt_err(KT_ERR_USAGE);
    if (!kt_is_ok(r))
        kt_node_free(root);
    else
        *out = root;
    return r;
}
