/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ca_fixture.h"

using namespace kt_test;

namespace {

TEST(Ca, LeavesPassTheStrictCheck)
{
    Ca ca = ca_for(kHosts);
    Cert root = ca_cert(ca.get());
    for (const char *name : {"api.openai.com", "my-res.openai.azure.com", "a.b.openai.azure.com",
                             "api.mistral.ai", "x.api.openai.com"}) {
        X509 *leaf = leaf_of(ca.get(), name);
        ASSERT_NE(leaf, nullptr);
        EXPECT_EQ(verify(root.get(), leaf, name), X509_V_OK) << name;
        EXPECT_EQ(verify(root.get(), leaf, "other.example"), X509_V_ERR_HOSTNAME_MISMATCH);
    }
    EXPECT_EQ(verify(root.get(), leaf_of(ca.get(), "API.OpenAI.com."), "api.openai.com"), X509_V_OK);
}

TEST(Ca, NamesOutsideTheConstraintsAreRefused)
{
    Ca ca = ca_for(kHosts);
    SSL_CTX *ctx = nullptr;
    for (const char *name : {"example.com", "openai.com", "evilapi.openai.com", "api.openai.com.evil.example",
                             "com", "xopenai.azure.com", "10.1.2.3", "::1", "127.0.0.1"})
        EXPECT_EQ(kt_ca_server_ctx(ca.get(), name, &ctx).code, KT_ERR_USAGE) << name;
    std::string longest(254, 'a');
    for (const char *name : {"", ".", "*.openai.azure.com", "a..openai.azure.com", ".api.openai.com",
                             "api.openai.com\n", "a b", "api.openai.com:443", "[::1]",
                             "caf\xc3\xa9.openai.azure.com", "a/b.openai.azure.com", "*", longest.c_str()})
        EXPECT_EQ(kt_ca_server_ctx(ca.get(), name, &ctx).code, KT_ERR_USAGE) << name;
    std::string label = std::string(64, 'a') + ".openai.azure.com";
    EXPECT_EQ(kt_ca_server_ctx(ca.get(), label.c_str(), &ctx).code, KT_ERR_USAGE);
    std::string fits = std::string(63, 'a') + ".openai.azure.com"; /* too long for a common name */
    EXPECT_EQ(verify(ca_cert(ca.get()).get(), leaf_of(ca.get(), fits), fits), X509_V_OK);
}

TEST(Ca, AddressesAreNamesToo)
{
    Ca ca = ca_for({"10.1.2.3", "2001:db8::1"});
    Cert root = ca_cert(ca.get());
    EXPECT_EQ(verify(root.get(), leaf_of(ca.get(), "10.1.2.3"), "10.1.2.3", true), X509_V_OK);
    EXPECT_EQ(verify(root.get(), leaf_of(ca.get(), "2001:DB8:0::1"), "2001:db8::1", true), X509_V_OK);
    SSL_CTX *ctx = nullptr;
    for (const char *name : {"10.1.2.4", "2001:db8::2", "api.openai.com"})
        EXPECT_EQ(kt_ca_server_ctx(ca.get(), name, &ctx).code, KT_ERR_USAGE) << name;
    Ca mixed = ca_for({"api.openai.com", "10.1.2.3"});
    Cert mixed_root = ca_cert(mixed.get());
    EXPECT_EQ(verify(mixed_root.get(), leaf_of(mixed.get(), "api.openai.com"), "api.openai.com"), X509_V_OK);
    EXPECT_EQ(verify(mixed_root.get(), leaf_of(mixed.get(), "10.1.2.3"), "10.1.2.3", true), X509_V_OK);
    EXPECT_EQ(kt_ca_server_ctx(mixed.get(), "::1", &ctx).code, KT_ERR_USAGE);
}

TEST(Ca, BadHostsAreTheUsersFault)
{
    Ca ca(nullptr, kt_ca_free);
    kt_error err = {};
    for (const char *host : {"", "*.", "*", "https://api.openai.com", "a b", "api.openai.com:443", "*.*.x",
                             "b\xc3\xbc"
                             "cher.example",
                             "a\nb"}) {
        EXPECT_EQ(make_ca({"ok.example", host}, ca, &err).code, KT_ERR_USAGE) << host;
        EXPECT_NE(strstr(err.text, "DNS name"), nullptr);
    }
}

TEST(Ca, Shape)
{
    Ca ca = ca_for(kHosts);
    Cert root = ca_cert(ca.get());
    X509 *leaf = leaf_of(ca.get(), "api.openai.com");
    for (int nid : {NID_basic_constraints, NID_key_usage, NID_name_constraints}) {
        int at = X509_get_ext_by_NID(root.get(), nid, -1);
        ASSERT_GE(at, 0);
        EXPECT_TRUE(X509_EXTENSION_get_critical(X509_get_ext(root.get(), at))) << OBJ_nid2sn(nid);
    }
    EXPECT_EQ(X509_get_pathlen(root.get()), 0);
    EXPECT_EQ(X509_get_key_usage(root.get()), (uint32_t)KU_KEY_CERT_SIGN);
    EXPECT_EQ(X509_get_key_usage(leaf), (uint32_t)KU_DIGITAL_SIGNATURE);
    EXPECT_EQ(X509_get_extended_key_usage(leaf), (uint32_t)XKU_SSL_SERVER);
    EXPECT_EQ(X509_check_ca(leaf), 0);
    EXPECT_NE(X509_get0_subject_key_id(leaf), nullptr);
    EXPECT_EQ(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(leaf), X509_get0_subject_key_id(root.get())),
              0);
    EXPECT_EQ(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(root.get())), 0);
    time_t now = time(nullptr);
    EXPECT_LT(X509_cmp_time(X509_get0_notBefore(leaf), &now), 0);
    time_t skewed = now - 3500, later = now + KT_CA_VALID_SECONDS - 60, over = now + KT_CA_VALID_SECONDS + 60;
    EXPECT_EQ(verify(root.get(), leaf, "api.openai.com", false, skewed), X509_V_OK);
    EXPECT_EQ(verify(root.get(), leaf, "api.openai.com", false, later), X509_V_OK);
    EXPECT_NE(verify(root.get(), leaf, "api.openai.com", false, over), X509_V_OK);
    EXPECT_NEAR((double)kt_ca_expires(ca.get()), (double)(now + KT_CA_VALID_SECONDS), 5);
}

TEST(Ca, SerialsAndSubjectsDiffer)
{
    std::set<std::string> serials, subjects;
    Ca ca = ca_for(kHosts);
    for (int i = 0; i < 20; i++) {
        Ca other = ca_for(kHosts);
        Cert c = ca_cert(other.get());
        const ASN1_INTEGER *n = X509_get0_serialNumber(c.get());
        EXPECT_EQ(ASN1_STRING_length(n), 16);
        serials.insert(std::string((const char *)ASN1_STRING_get0_data(n), 16));
        char *line = X509_NAME_oneline(X509_get_subject_name(c.get()), nullptr, 0);
        subjects.insert(line);
        OPENSSL_free(line);
        n = X509_get0_serialNumber(leaf_of(ca.get(), "r" + std::to_string(i) + ".openai.azure.com"));
        serials.insert(std::string((const char *)ASN1_STRING_get0_data(n), 16));
    }
    EXPECT_EQ(serials.size(), 40u);
    EXPECT_EQ(subjects.size(), 20u);
}

TEST(Ca, ContextsAreCachedAndBounded)
{
    Ca ca = ca_for(kHosts);
    SSL_CTX *a = nullptr, *b = nullptr;
    ASSERT_TRUE(kt_is_ok(kt_ca_server_ctx(ca.get(), "api.openai.com", &a)));
    ASSERT_TRUE(kt_is_ok(kt_ca_server_ctx(ca.get(), "API.openai.COM.", &b)));
    EXPECT_EQ(a, b);
    for (int i = 1; i < KT_CA_MAX_NAMES; i++)
        ASSERT_TRUE(
            kt_is_ok(kt_ca_server_ctx(ca.get(), ("n" + std::to_string(i) + ".openai.azure.com").c_str(), &b)))
            << i;
    EXPECT_NE(a, b);
    EXPECT_EQ(kt_ca_server_ctx(ca.get(), "one-more.openai.azure.com", &b).code, KT_ERR_LIMIT);
    ASSERT_TRUE(kt_is_ok(kt_ca_server_ctx(ca.get(), "api.openai.com", &b)));
    EXPECT_EQ(a, b);
    EXPECT_EQ(kt_ca_server_ctx(ca.get(), "refused.example", &b).code, KT_ERR_LIMIT)
        << "and refused names fill nothing";
}

TEST(Ca, ManyThreads)
{
    Ca ca = ca_for(kHosts);
    std::vector<std::thread> threads;
    std::vector<std::vector<SSL_CTX *>> got(8, std::vector<SSL_CTX *>(10));
    for (int t = 0; t < 8; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 10; i++)
                if (!kt_is_ok(kt_ca_server_ctx(
                        ca.get(), ("n" + std::to_string(i) + ".openai.azure.com").c_str(), &got[t][i])))
                    got[t][i] = nullptr;
        });
    for (auto &t : threads)
        t.join();
    for (int t = 0; t < 8; t++)
        for (int i = 0; i < 10; i++) {
            EXPECT_NE(got[t][i], nullptr);
            EXPECT_EQ(got[t][i], got[0][i]);
        }
}

/* One handshake through memory; returns the error of the client's side, 0 = fine. */
struct Handshake {
    std::string client_alpn;
    int verify_result = -1, version = 0, tickets = 0;
    bool done = false;
};

Handshake shake(kt_ca *ca, const std::string &host, const std::string &alpn, int max_version = 0)
{
    Handshake h;
    SSL_CTX *server_ctx = nullptr;
    EXPECT_TRUE(kt_is_ok(kt_ca_server_ctx(ca, host.c_str(), &server_ctx)));
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(client_ctx, 0);
    Cert root = ca_cert(ca);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), root.get());
    SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, nullptr);
    if (max_version) {
        SSL_CTX_set_min_proto_version(client_ctx, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(client_ctx, max_version);
    }
    SSL *c = SSL_new(client_ctx), *s = SSL_new(server_ctx);
    BIO *cb = nullptr, *sb = nullptr;
    BIO_new_bio_pair(&cb, 0, &sb, 0);
    SSL_set_bio(c, cb, cb);
    SSL_set_bio(s, sb, sb);
    SSL_set1_host(c, host.c_str());
    SSL_set_tlsext_host_name(c, host.c_str());
    if (!alpn.empty())
        SSL_set_alpn_protos(c, (const unsigned char *)alpn.data(), (unsigned)alpn.size());
    SSL_set_connect_state(c);
    SSL_set_accept_state(s);
    int rc = 0, rs = 0;
    for (int i = 0; i < 20 && !(rc == 1 && rs == 1); i++) {
        rc = SSL_do_handshake(c);
        rs = SSL_do_handshake(s);
    }
    h.done = rc == 1 && rs == 1;
    h.verify_result = (int)SSL_get_verify_result(c);
    h.version = SSL_version(c);
    const unsigned char *p = nullptr;
    unsigned n = 0;
    SSL_get0_alpn_selected(c, &p, &n);
    h.client_alpn = std::string((const char *)p, n);
    char byte;
    SSL_write(s, "x", 1);
    SSL_read(c, &byte, 1);
    h.tickets = SSL_SESSION_has_ticket(SSL_get_session(c));
    SSL_free(c);
    SSL_free(s);
    SSL_CTX_free(client_ctx);
    ERR_clear_error();
    return h;
}

TEST(CaTls, Handshakes)
{
    Ca ca = ca_for(kHosts);
    const std::string h2("\x02h2"), http("\x08http/1.1"), both = h2 + http;
    Handshake h = shake(ca.get(), "api.openai.com", both);
    EXPECT_TRUE(h.done);
    EXPECT_EQ(h.verify_result, X509_V_OK);
    EXPECT_EQ(h.client_alpn, "http/1.1");
    EXPECT_EQ(h.version, TLS1_3_VERSION);
    EXPECT_EQ(h.tickets, 0);
    h = shake(ca.get(), "api.openai.com", h2);
    EXPECT_TRUE(h.done) << "no answer instead of a fatal alert";
    EXPECT_EQ(h.client_alpn, "");
    h = shake(ca.get(), "api.openai.com", "");
    EXPECT_TRUE(h.done);
    h = shake(ca.get(), "api.openai.com", both, TLS1_2_VERSION);
    EXPECT_TRUE(h.done);
    EXPECT_EQ(h.version, TLS1_2_VERSION);
    EXPECT_EQ(h.tickets, 0);
    EXPECT_FALSE(shake(ca.get(), "api.openai.com", both, TLS1_1_VERSION).done);
}

TEST(Ca, TheThreadsErrorQueueIsLeftAlone)
{
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 42);
    unsigned long before = ERR_peek_last_error();
    Ca ca = ca_for(kHosts);
    SSL_CTX *ctx = nullptr;
    EXPECT_EQ(kt_ca_server_ctx(ca.get(), "example.com", &ctx).code, KT_ERR_USAGE);
    kt_ca *none = nullptr;
    EXPECT_FALSE(kt_is_ok(kt_ca_load("/dev/null", "/dev/null", &none, nullptr)));
    EXPECT_EQ(ERR_peek_last_error(), before);
    ERR_clear_error();
    EXPECT_FALSE(kt_is_ok(kt_ca_load("/dev/null", "/dev/null", &none, nullptr)));
    EXPECT_EQ(ERR_peek_last_error(), 0u);
}

TEST(Ca, Pem)
{
    Ca ca = ca_for(kHosts);
    kt_buf b = KT_BUF_INIT(65536);
    ASSERT_TRUE(kt_is_ok(kt_ca_pem(ca.get(), &b)));
    BIO *bio = BIO_new_mem_buf(b.data, (int)b.len);
    Cert c(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr), X509_free), root = ca_cert(ca.get());
    ASSERT_NE(c.get(), nullptr);
    EXPECT_EQ(X509_cmp(c.get(), root.get()), 0);
    BIO_free(bio);
    kt_buf_free(&b);
}

} // namespace
