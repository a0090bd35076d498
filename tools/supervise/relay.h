/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside tools/supervise: a connection that passes through kt under --strict. */
#include "tools/supervise/private.h"

struct relay {
    struct kt_supervise *s;
    struct kt_event_program *program; /* owned; NULL = not known */
    int app;                          /* our end of the program's connection */
    int up;                           /* to where the program meant */
    char host[NAMES_HOST_MAX];        /* the intercepted literal, else "" */
    uint16_t port;
    uint8_t ip[16]; /* where to; IPv4 as ::ffff:a.b.c.d */
};

/* strange.c: does what `seen` says name an intercepted host, or go to an address of one? For first words that
 * name nobody in a way that we can read. `host` receives whose. May wait for a resolver. */
bool relay_is_strange(struct relay *r, struct kt_span seen, char host[NAMES_HOST_MAX]);

/* Looks at what the client says first; then gives `app` to the engine, refuses it, or copies until both ends
 * are closed. Takes both fds. */
void relay_run(struct relay *r);
