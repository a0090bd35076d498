/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Around each hooked call on an SSL. OpenSSL counts what it has written to a BIO: what a tapped session wrote
 * between two hooked calls was said by others (BIO_write on a BIO_f_ssl), and is reported. Behind the first
 * calls the session's ClientHello is known.
 */
#include "shim/ssl_api.h"
#include "shim/ssl_table.h"

/* These keep errno. */
void kt_ssl_watch_before_call(const struct kt_ssl_api *api, SSL *ssl);
void kt_ssl_watch_behind_call(const struct kt_ssl_api *api, SSL *ssl);

/* This SSL goes past us with our knowledge, and its handshake begins now: tapped, or let go. */
void kt_ssl_watch_hello(const struct kt_ssl_api *api, SSL *ssl);
