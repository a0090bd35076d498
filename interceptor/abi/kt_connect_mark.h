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
