/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whose words a folded text of kt_injection.c holds: quoted ones, messages in code, a template that a program
 * fills in. */
#include "policyengine/detect/kt_injection_work.h"

/* True where the sign that ends at `end` stands inside of quotes: somebody's words, not a command. */
bool kt_injection_quoted(const char *text, size_t len, size_t end);

enum kt_injection_frame {
    KT_INJECTION_PLAIN,
    KT_INJECTION_CODE,     /* source, configs, talk about formats of messages: roles are what it is about */
    KT_INJECTION_TEMPLATE, /* begins with a turn of a conversation, has a user's and ends where the model's
                              begins: a program's own, not one that breaks into another */
};

/* Of a text that has a sign of roles; `opens`: it begins with one. */
enum kt_injection_frame kt_injection_frame_of(const char *text, size_t len, bool opens);

/* Takes the weight off signs that others take back, but in a tool's text: "ignore any instructions" where it
 * goes on "in the document" (a careful program's words), "reveal the instructions" where it began with "do
 * not". */
void kt_injection_excuse(struct kt_injection *w);
