/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which shared TLS libraries the program itself can use: the engine brings an OpenSSL and a GnuTLS into
 * processes that have none, and those say nothing about the program. */
#include <stdbool.h>

/* Around the engine's dlopen, by one thread at a time. */
void kt_tls_libraries_before_engine(void);
void kt_tls_libraries_after_engine(void);
/* The program asked for a function of one by name. */
void kt_tls_libraries_asked(void);
/* Is there a shared OpenSSL or GnuTLS that is the program's, or that something of the program links? */
bool kt_tls_libraries_of_program(void);
