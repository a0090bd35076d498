/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `kt wrap` under the supervise lane. The keeper, a child of kt, is the parent of the program and serves its
 * filter; kt ends when the program ends, while the keeper stays for as long as any process of the tree lives:
 * a filter that nobody serves would break every connect. Under --no-supervise it only waits: it is the
 * witness of signals to the whole group (wrap_signals.h).
 */
#include "tools/supervise/kt_supervise.h"

struct wrap_guard {
    bool strict; /* --strict */
    bool off;    /* --no-supervise */
};

struct wrap_program { /* all borrowed */
    char **argv;
    char *word; /* "wrap" of the command line: the keeper's says otherwise, so that pkill means kt alone */
    bool (*setup)(void *arg); /* in the program's process, before it is one */
    void (*ended)(void *arg); /* once nothing of the tree is left */
    void *arg;
    struct kt_engine_options engine;
};

/* True where `option` is one of ours; takes it. */
bool wrap_guard_option(struct wrap_guard *g, const char *option);
/* What a nested `kt wrap` must know. Called in the program's process. */
bool wrap_guard_setenv(const struct wrap_guard *g);
/* Runs the program; as kt_run_child. */
int wrap_guard_run(const struct wrap_guard *g, const struct wrap_program *p, int *signal);
