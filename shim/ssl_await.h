/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading in the handoff lane: a thread that would sleep in SSL_read until the engine's thread was woken and
 * has worked sleeps here instead, until the target's bytes come, and lends itself to the engine for that
 * work. What comes otherwise is on the connection, as ever.
 */
#include "shim/ssl_api.h"

/* Before a real SSL_read. Mostly the answer comes right into `buf`: how many bytes of it, at most `room`. 0:
 * ask the real one, at any time. */
size_t kt_ssl_await(const struct kt_ssl_api *api, SSL *ssl, void *buf, size_t room);

/* The program sets a handler with these flags (of sigaction). Any thread, also in a handler. */
void kt_ssl_await_handler(unsigned flags);

/* fd + 1: the next read of it ends with EINTR, for a handler of the program that ran while we slept in the
 * read's place. */
extern __thread int kt_interrupted_read __attribute__((tls_model("initial-exec")));
