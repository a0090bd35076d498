/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How the supervisor tells a connect that the shim means from one that its program makes by itself (Go, a raw
 * system call): these bytes stand behind the address, and count in its length. The kernel reads an internet
 * address up to its own end, so nobody else notices. Part of the plan's contract: shim and kt are of one
 * build.
 */
#define KT_CONNECT_MARK "\x8akt: meant so\x00\xf1\x9c"
#define KT_CONNECT_MARK_LEN 16u
/* The same for a connect that the engine makes for itself, to a target, in whatever thread: under --strict
 * only these may pass. */
#define KT_CONNECT_MARK_ENGINE "\x8akt: engine's\x00\xf1\x9c"

/* A marked connect to here tells the supervisor that the process cannot write its events: a system call is
 * the one way to it that needs no right and no fd. Nobody has this synthetic address. Host byte order. */
#define KT_LOST_ADDR 0x7fb7ffffu
#define KT_LOST_PORT 1
