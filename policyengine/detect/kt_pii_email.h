/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Parts of e-mail addresses. */
#include "policyengine/detect/kt_pii.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the local part of an address whose '@' is at `at` would begin. */
size_t kt_pii_email_local(const struct kt_pii_view *v, size_t at);
/* Where the local part of an address whose '@', or what stands for it, is still to come at `at` would begin:
 * the first byte that must be seen again. */
size_t kt_pii_email_reach(const struct kt_pii_view *v, size_t at);

/* True where a local part is no ordinary word: "jane.doe", "j2". Only such a one may stand in front of a
 * space
 * ("jane.doe (at) example.org"): of a stream all other words are gone by then. */
bool kt_pii_email_apart(const struct kt_pii_view *v, size_t start, size_t end);
/* A domain from `at` on; `words`: its dots may be words. */
enum kt_pii_answer kt_pii_email_domain(const struct kt_pii_view *v, size_t at, bool words, size_t *end);
/* A dot at `at`, or what people write for one: "[.]", " (dot) ", with `words` also " dot ". *len: its bytes.
 */
enum kt_pii_answer kt_pii_email_dot(const struct kt_pii_view *v, size_t at, bool words, size_t *len);
/* True where the word [at,end) may stand for an '@': "at", "arroba". */
bool kt_pii_email_at_word(const char *word, size_t len);
/* True where what stands for an '@' is at `at`, or may be once the text goes on. */
bool kt_pii_email_may_spell(const struct kt_pii_view *v, size_t at);
/* An address whose '@' is a word in brackets at `at`, or a word. */
enum kt_pii_answer kt_pii_email_spelt(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end);

/* True for a top-level domain in ASCII that exists, or that is used inside of companies and in examples. */
bool kt_pii_email_top_known(const char *label, size_t len);
/* True where [start,end) only looks like an address: "a@b.to(c)", "x@W.data", the login of a URL with its
 * password. */
bool kt_pii_email_is_code(const struct kt_pii_view *v, size_t start, size_t end);

#ifdef __cplusplus
}
#endif
