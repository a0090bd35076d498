/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plan_fixture.h"

using namespace kt_test;

namespace {

TEST_F(Plan, BundleHoldsTheUsersRootsAndTheCa)
{
    std::string ca = some_cert("a.example"), cb = some_cert("b.example");
    std::string key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    spill(roots, "# comment\n" + ca + key + cb.substr(0, cb.size() - 10)); /* the last block is torn */
    kt_plan_made m = made(true);
    std::string bundle = slurp(m.bundle_pem), own = slurp(m.ca_pem);
    EXPECT_EQ(bundle, ca + own) << "the torn block must not swallow our CA, and no key is copied";
    EXPECT_EQ(slurp(m.extra_pem), own);
    EXPECT_TRUE(lines_with(slurp(m.path), "extra_from").empty());

    std::string corp = dir + "/corp.pem";
    spill(corp, cb.substr(0, cb.size() - 1)); /* no newline at its end */
    setenv("NODE_EXTRA_CA_CERTS", corp.c_str(), 1);
    m = made(true);
    EXPECT_EQ(slurp(m.extra_pem), cb + slurp(m.ca_pem));
    EXPECT_EQ(lines_with(slurp(m.path), "extra_from"), std::vector<std::string>{corp});

    setenv("SSL_CERT_FILE", "/no/such/file", 1);
    m = made(true);
    EXPECT_EQ(slurp(m.bundle_pem), slurp(m.ca_pem))
        << "the user trusts nobody else: neither do we add the system's roots";
    setenv("SSL_CERT_FILE", dir.c_str(), 1);
    m = made(true);
    EXPECT_EQ(slurp(m.bundle_pem), slurp(m.ca_pem));
}

TEST_F(Plan, SystemRootsWithoutTheVariable)
{
    unsetenv("SSL_CERT_FILE");
    bool chosen = true;
    const char *system_roots = kt_trust_roots(&chosen);
    EXPECT_FALSE(chosen);
    if (!system_roots)
        GTEST_SKIP() << "no CA certificates on this machine";
    kt_plan_made m = made(true);
    EXPECT_EQ(count(slurp(m.bundle_pem), kBegin), count(slurp(system_roots), kBegin) + 1);
}

TEST_F(Plan, FilterSurvivesEveryCut)
{
    std::string ca = some_cert("a.example"), cb = some_cert("b.example"), whole = ca + cb;
    for (size_t n = 0; n <= whole.size(); n++) {
        kt_buf b = KT_BUF_INIT(1 << 20);
        ASSERT_TRUE(kt_is_ok(kt_trust_filter({whole.data(), n}, &b)));
        std::string got = b.data ? std::string(b.data, b.len) : "";
        std::string want = n + 1 < ca.size() ? "" : n + 1 < whole.size() ? ca : whole;
        EXPECT_EQ(got, want) << n;
        kt_buf_free(&b);
    }
    /* Many openings that never close must cost linear time, or the test's time limit ends it. */
    std::string openings;
#ifdef __SANITIZE_ADDRESS__
    const int many = 20000; /* its memmem looks at the whole haystack each time */
#else
    const int many = 200000;
#endif
    for (int i = 0; i < many; i++)
        openings += "-----BEGIN CERTIFICATE-----\n";
    kt_buf b = KT_BUF_INIT(1 << 20);
    EXPECT_TRUE(kt_is_ok(kt_trust_filter({openings.data(), openings.size()}, &b)));
    EXPECT_EQ(b.len, 0u);
    kt_buf_free(&b);
}

TEST_F(Plan, TruststoreForJava)
{
    std::string bad = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    spill(roots, some_cert("a.example") + bad + some_cert("b.example"));
    kt_plan_made m = made();
    EXPECT_FALSE(exists(m.truststore_p12)) << "a first call in a process does not wait for it";
    kt_error err = {};
    ASSERT_TRUE(kt_is_ok(kt_plan_make_truststore(&m, &err))) << err.text;
    std::string der = slurp(m.truststore_p12);
    auto *p = (const unsigned char *)der.data();
    PKCS12 *p12 = d2i_PKCS12(nullptr, &p, (long)der.size());
    ASSERT_NE(p12, nullptr);
    EXPECT_EQ(PKCS12_verify_mac(p12, KT_TRUSTSTORE_PASSWORD, -1), 1);
    EVP_PKEY *pkey = nullptr;
    X509 *cert = nullptr;
    STACK_OF(X509) *others = nullptr;
    ASSERT_EQ(PKCS12_parse(p12, KT_TRUSTSTORE_PASSWORD, &pkey, &cert, &others), 1);
    EXPECT_EQ(pkey, nullptr);
    EXPECT_EQ(sk_X509_num(others), 3);
    sk_X509_pop_free(others, X509_free);
    PKCS12_free(p12);
    kt_plan_remove(&m);
    EXPECT_FALSE(exists(m.ca_dir)) << "the store goes along";
    EXPECT_EQ(kt_plan_make_truststore(&m, &err).code, KT_ERR_IO);
}

TEST_F(Plan, JavaReadsTheTruststore)
{
    if (system("keytool -help >/dev/null 2>&1") != 0)
        GTEST_SKIP() << "no keytool";
    spill(roots, some_cert("a.example") + some_cert("b.example"));
    kt_plan_made m = made(true);
    std::string out = dir + "/out";
    std::string cmd = std::string("keytool -list -keystore '") + m.truststore_p12 +
                      "' -storepass changeit >'" + out + "' 2>&1";
    EXPECT_EQ(system(cmd.c_str()), 0);
    EXPECT_EQ(count(slurp(out), "trustedCertEntry"), 3u) << slurp(out);
}

} // namespace
