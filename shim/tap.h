/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tap lane (mode: observe): the program resolves, connects and speaks by itself, and the engine gets
 * copies of the plaintext. Nothing here changes an answer, blocks on the chain or fails; every function keeps
 * errno.
 */
#include "interceptor/abi/kt_engine_abi.h"

#include <netdb.h>
#include <stdbool.h>

/* Are calls only watched now? Loads the engine where the plan says observe. */
bool kt_tap_on(void);
/* Can what this process says be read: is its TLS a shared OpenSSL or GnuTLS that our hooks stand in front of,
 * or `service` (as of getaddrinfo, NULL = not known) one without TLS? If not, divert. */
bool kt_tap_can(const char *service);
bool kt_tap_can_reach(uint16_t port);

/* What the resolver answered for an intercepted host; NULL: for another one, which takes addresses away. */
void kt_tap_learn_list(const char *host, const struct addrinfo *list);
void kt_tap_learn_host(const char *host, const struct hostent *h);
/* False: no intercepted host was ever resolved or reached for watching. One load. */
bool kt_tap_used(void);
/* connect(fd, sa) returned `rc`: remembers the socket where it leads to an intercepted host. */
void kt_tap_connected(int fd, const struct sockaddr *sa, socklen_t len, int rc);

/* A flow of the engine; 0 = none. `host` borrowed for the call. */
uint64_t kt_tap_open(const char *host, uint16_t port, bool tls);
void kt_tap_copy(uint64_t tap, enum kt_abi_dir dir, const void *data, size_t len);
void kt_tap_close(uint64_t tap);
/* See kt_engine_abi.settle. False: nothing was ever captured in this process, and nothing was done. */
bool kt_tap_settle(enum kt_abi_leave how);

/* Around fork. */
void kt_tap_lock(void);
void kt_tap_unlock(void);
