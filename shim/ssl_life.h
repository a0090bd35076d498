/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When an SSL ends: SSL_free gives back one reference of several (SSL_up_ref), and libssl frees some inside
 * of itself (BIO_free_all). The library itself tells, by the free function of an index of extra data. */
#include "shim/ssl_api.h"

/* Entries of SSLs of this library are dropped at the end of their SSL from now on. */
void kt_ssl_life_follow(const struct kt_ssl_api *api);
/* Are they? Else SSL_free is all that is known. */
bool kt_ssl_life_is_followed(const struct kt_ssl_api *api);
