/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a host name and a base_url look like. Text only: nothing is looked up. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A host name or an IP literal (IPv6 without brackets); `wildcard` also lets "*.suffix" through. */
bool kt_host_valid(const char *host, bool wildcard);
/* localhost, *.localhost, 127.0.0.0/8, ::1. */
bool kt_host_is_loopback(const char *host);

/* http(s)://host[:port][/path], no userinfo, query or fragment. NULL when good, otherwise what is wrong, in
 * words that do not quote the URL: it may hold a password. `host` (256 bytes) receives the host, *clear
 * whether it is http. */
const char *kt_url_problem(const char *url, char host[256], bool *clear);

/* True for the name of an HTTP header: a token of RFC 9110. */
bool kt_header_name_valid(const char *name);

#ifdef __cplusplus
}
#endif
