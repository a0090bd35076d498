/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A list of replacements over an untouched text: bytes outside of an edit leave exactly as they came.
 */
#include "policyengine/body/kt_json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Removals and additions of list entries know their commas only when all edits are known, so kt_edits_apply
 * sets them. */
enum kt_edit_kind { KT_EDIT_TEXT, KT_EDIT_REMOVE_ENTRY, KT_EDIT_ADD_ENTRY };

struct kt_edit {
    size_t start, end; /* bytes of the original text; start == end inserts */
    char *text;        /* owned replacement, raw bytes as they shall stand in the output */
    size_t len;
    unsigned order; /* order of addition; ties at one place keep it */
    enum kt_edit_kind kind;
};

/* Start with {0}. */
struct kt_edits {
    struct kt_edit *items; /* owned */
    size_t count, cap;
    /* Where the last kt_edits_in_string ended: redactions come in ascending order and shall not walk the
     * string again. */
    struct {
        const char *text;
        uint32_t tok;
        size_t decoded, raw;
    } hint;
};

#define KT_EDITS_MAX (1u << 20)

/* Copies `text`. */
kt_result kt_edits_add(struct kt_edits *e, size_t start, size_t end, const char *text, size_t len) KT_MUST;
/* Appends copies of all edits of `from`. */
kt_result kt_edits_merge(struct kt_edits *e, const struct kt_edits *from) KT_MUST;
void kt_edits_free(struct kt_edits *e);

/* Replaces the decoded range [start,end) of string token `tok` by `text` (plain UTF-8; escaped here). Of a
 * range that cuts a character, the whole character goes, however it is written. KT_ERR_STATE where the range
 * is not in the string. */
kt_result kt_edits_in_string(struct kt_edits *e, const struct kt_json *j, uint32_t tok, size_t start,
                             size_t end, const char *text, size_t len) KT_MUST;
/* Removes the member whose *value* token is `value` from its object, comma included, whatever its place.
 * Removing several members of one object composes correctly, all of them included. */
kt_result kt_edits_remove_member(struct kt_edits *e, const struct kt_json *j, uint32_t object,
                                 uint32_t value) KT_MUST;
/* Adds `"key":raw_json` as the last member of `object`; composes with removals of every other member. */
kt_result kt_edits_add_member(struct kt_edits *e, const struct kt_json *j, uint32_t object, const char *key,
                              const char *raw_json, size_t len) KT_MUST;
/* Removes element `element` of array `array`, comma included; composes like members do. */
kt_result kt_edits_remove_element(struct kt_edits *e, const struct kt_json *j, uint32_t array,
                                  uint32_t element) KT_MUST;
/* Replaces the value token by raw JSON text. */
kt_result kt_edits_replace_value(struct kt_edits *e, const struct kt_json *j, uint32_t value,
                                 const char *raw_json, size_t len) KT_MUST;
/* Renames the key of the member with value token `value`. */
kt_result kt_edits_rename_key(struct kt_edits *e, const struct kt_json *j, uint32_t value,
                              const char *key) KT_MUST;

/* Writes the edited text. Of overlapping edits the one that starts first, then the longest, wins; what the
 * others would have replaced goes too, their texts are dropped. KT_ERR_STATE where an edit is not within the
 * text. Sorts the list in place. */
kt_result kt_edits_apply(struct kt_edits *e, const char *text, size_t len, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
