/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One YAML document as a tree whose every node knows its file, line and column. Aliases are copied in, under
 * a hard maximum of nodes, so that the tree is a tree and a few hundred bytes cannot become gigabytes.
 *
 * Limits: 1 MiB of text, 20000 nodes, 32 levels, 256 anchors, 8 %TAG directives. Refused: several documents,
 * duplicate keys, keys that are no scalar, tags other than YAML's own, NUL in a scalar, anything but UTF-8.
 */
#include "policyengine/config/kt_diag.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KT_YAML_MAX_BYTES = 1 << 20, KT_YAML_MAX_NODES = 20000, KT_YAML_MAX_DEPTH = 32 };

enum kt_node_kind { KT_NODE_NULL, KT_NODE_SCALAR, KT_NODE_LIST, KT_NODE_MAP };

struct kt_node {
    enum kt_node_kind kind;
    bool plain;             /* a scalar without quotes and without !!str: may be a number or a boolean */
    unsigned layer;         /* which of the layered files; later ones win */
    struct kt_at at;        /* file borrowed from the source */
    char *text;             /* scalar, owned, never NULL there */
    struct kt_pair *pairs;  /* map, owned, in file order */
    struct kt_node **items; /* list, owned */
    size_t count;           /* of pairs or items */
    unsigned *slots;        /* owned; where a larger map's keys are, by hash; NULL = look at all */
    size_t slot_count;      /* a power of two */
};
struct kt_pair {
    struct kt_node *key, *value; /* owned; the key is a scalar or null */
};

struct kt_source {
    const char *name; /* for messages; must outlive the tree */
    unsigned layer;
    const char *text;
    size_t len;
};

/* new. An empty file gives a null node. KT_ERR_USAGE with complaints in `diags` (*out is NULL then). */
kt_result kt_yaml_parse(const struct kt_source *src, struct kt_diags *diags, struct kt_node **out) KT_MUST;
void kt_node_free(struct kt_node *n);
void kt_cleanup_node(void *pointer_to_node);

/* new copy, or NULL (out of memory, more than *budget nodes, deeper than `depth`); takes what it uses from
 * *budget. */
struct kt_node *kt_node_copy(const struct kt_node *n, size_t *budget, unsigned depth);

/* Borrowed; NULL where `n` is NULL, no map, or has no such key. */
const struct kt_pair *kt_node_pair(const struct kt_node *n, const char *key);
const struct kt_node *kt_node_get(const struct kt_node *n, const char *key);
/* kt_node_get along "a.b.c". */
const struct kt_node *kt_node_at(const struct kt_node *n, const char *dotted);
/* True for NULL, a missing value, "~" and "null". */
bool kt_node_is_null(const struct kt_node *n);
/* "a mapping", "a list", "empty", "text". */
const char *kt_node_what(const struct kt_node *n);

/* Puts `over` on top of *base: maps merge, everything else is replaced; a null document changes nothing.
 * Takes `over`. */
kt_result kt_node_layer(struct kt_node **base, struct kt_node *over) KT_MUST;

/* Used by the parser. Both take the nodes. */
kt_result kt_node_add_item(struct kt_node *list, struct kt_node *item) KT_MUST;
kt_result kt_node_add_pair(struct kt_node *map, struct kt_node *key, struct kt_node *value) KT_MUST;
/* Takes the pair out; *out then owns key and value (kt_pair_free). False where there is no such key. */
bool kt_node_take_pair(struct kt_node *map, const char *key, struct kt_pair *out);
void kt_pair_free(struct kt_pair *p);
/* new, for trees that are made and not parsed; `text` is copied. NULL on OOM. */
struct kt_node *kt_node_map(void);
struct kt_node *kt_node_list(void);
struct kt_node *kt_node_scalar(const char *text, bool plain);
/* A tree as block YAML, two spaces per level; texts are quoted where a reader could take them for something
 * else. Fails with KT_ERR_LIMIT and KT_ERR_MEMORY only. */
kt_result kt_node_yaml(const struct kt_node *n, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
