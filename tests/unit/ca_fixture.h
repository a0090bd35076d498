/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CAs, and the check that clients make of their leaves. */
#include "interceptor/tls/kt_ca.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace kt_test {

using Ca = std::unique_ptr<kt_ca, decltype(&kt_ca_free)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;

inline kt_result make_ca(const std::vector<std::string> &hosts, Ca &out, kt_error *err = nullptr)
{
    std::vector<char *> items;
    for (const std::string &h : hosts)
        items.push_back(const_cast<char *>(h.c_str()));
    kt_strings s = {items.data(), items.size()};
    kt_ca *ca = nullptr;
    kt_result r = kt_ca_new(&s, &ca, err);
    out.reset(ca);
    return r;
}

inline Ca ca_for(const std::vector<std::string> &hosts)
{
    Ca ca(nullptr, kt_ca_free);
    kt_error err = {};
    EXPECT_TRUE(kt_is_ok(make_ca(hosts, ca, &err))) << err.text;
    return ca;
}

inline Cert ca_cert(const kt_ca *ca)
{
    struct kt_span der = kt_ca_der(ca);
    auto *p = (const unsigned char *)der.data;
    return Cert(d2i_X509(nullptr, &p, (long)der.len), X509_free);
}

inline X509 *leaf_of(kt_ca *ca, const std::string &name)
{
    SSL_CTX *ctx = nullptr;
    EXPECT_TRUE(kt_is_ok(kt_ca_server_ctx(ca, name.c_str(), &ctx))) << name;
    return ctx ? SSL_CTX_get0_certificate(ctx) : nullptr;
}

/* What `openssl verify -x509_strict -purpose sslserver -verify_hostname` does. */
inline int verify(X509 *ca, X509 *leaf, const std::string &name, bool ip = false, time_t at = 0)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, ca);
    X509_STORE_CTX_init(ctx, store, leaf, nullptr);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    if (at)
        X509_VERIFY_PARAM_set_time(param, at);
    if (ip)
        X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str());
    else
        X509_VERIFY_PARAM_set1_host(param, name.c_str(), 0);
    int rc = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return rc;
}

const std::vector<std::string> kHosts = {"api.openai.com", "*.openai.azure.com", "API.Mistral.AI."};

} // namespace kt_test
