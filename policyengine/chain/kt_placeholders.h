/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names for values within one exchange: the same kind and value always get the same "[EMAIL_1]". Numbers
 * follow the first occurrence, so that a conversation which is sent again whole gets the same names again;
 * with kt_placeholders_converse a value also keeps a name that an earlier answer of the conversation gave it,
 * or that it had before the conversation's oldest messages were dropped (kt_conversation.h).
 *
 * Holds the real values, so it is wiped when it goes. Bounded: past KT_PLACEHOLDERS_MAX values (or
 * KT_PLACEHOLDERS_BYTES of them) every new value of a kind shares the unnumbered "[EMAIL]".
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_PLACEHOLDERS_MAX 65536u
#define KT_PLACEHOLDERS_BYTES (8u << 20)
#define KT_PLACEHOLDER_KINDS 64u    /* distinct kinds; later kinds share "[REDACTED]" */
#define KT_PLACEHOLDER_NAME_MAX 48u /* bytes of a name, the NUL included */

struct kt_placeholders;

/* new; NULL on OOM. */
struct kt_placeholders *kt_placeholders_new(void);
void kt_placeholders_free(struct kt_placeholders *p);
/* Borrowed from `p`, stable until it goes. `kind` is copied: capital letters as they shall stand in the name.
 * `restore`: the program may get the value back where an answer names it; once allowed for a value, it stays
 * so. NULL on OOM. */
const char *kt_placeholders_name(struct kt_placeholders *p, const char *kind, const char *value, size_t len,
                                 bool restore);

/* `fn` is called before each new name is made and tells the conversation (borrowed), NULL = none. */
struct kt_conversation;
void kt_placeholders_converse(struct kt_placeholders *p, struct kt_conversation *(*fn)(void *arg), void *arg);

/* `fn` is called once, before the first name that may be restored is made: it tells what the texts of the
 * exchange hold that would read as a placeholder in the answer (kt_placeholders_avoid). Without it a text
 * that quotes "[EMAIL_1]" could come back as the value that got this name. */
void kt_placeholders_on_restore(struct kt_placeholders *p, void (*fn)(void *arg), void *arg);
/* `fn` is called before each new name is made, however it is used: it tells what the texts in front of the
 * value hold. */
void kt_placeholders_on_new(struct kt_placeholders *p, void (*fn)(void *arg), void *arg);
/* Finds placeholder look-alikes in `text`; no name with such a number is made afterwards. */
void kt_placeholders_avoid(struct kt_placeholders *p, const char *text, size_t len);

/* How many numbered names may be restored. */
size_t kt_placeholders_restorable(const struct kt_placeholders *p);
/* Calls `fn` for each of them, in no order; all borrowed from `p`. */
void kt_placeholders_each_restorable(const struct kt_placeholders *p,
                                     void (*fn)(void *arg, const char *name, struct kt_span value),
                                     void *arg);

#ifdef __cplusplus
}
#endif
