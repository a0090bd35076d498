/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ca_fixture.h"

using namespace kt_test;

namespace {

/* A thief of the CA key signs what he likes: the constraints must stop the client. */
Cert forge(const std::string &dir, const std::vector<std::string> &hosts, GENERAL_NAME *name)
{
    Ca ca = ca_for(hosts);
    std::string cert = dir + "/f.pem", key = dir + "/f.key";
    unlink(cert.c_str());
    unlink(key.c_str());
    EXPECT_TRUE(kt_is_ok(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), nullptr)));
    FILE *f = fopen(key.c_str(), "r");
    EVP_PKEY *pkey = PEM_read_PrivateKey(f, nullptr, nullptr, nullptr);
    fclose(f);
    Cert root = ca_cert(ca.get()), leaf(X509_new(), X509_free);
    X509_set_version(leaf.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(leaf.get()), 7);
    X509_set_issuer_name(leaf.get(), X509_get_subject_name(root.get()));
    X509_NAME_add_entry_by_txt(X509_get_subject_name(leaf.get()), "O", MBSTRING_ASC,
                               (const unsigned char *)"x", -1, -1, 0);
    X509_gmtime_adj(X509_getm_notBefore(leaf.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(leaf.get()), 3600);
    X509_set_pubkey(leaf.get(), pkey);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    sk_GENERAL_NAME_push(names, name);
    X509_add1_ext_i2d(leaf.get(), NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);
    GENERAL_NAMES_free(names);
    X509_sign(leaf.get(), pkey, EVP_sha256());
    EVP_PKEY_free(pkey);

    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, root.get());
    X509_STORE_CTX_init(ctx, store, leaf.get(), nullptr);
    int rc = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return Cert(rc == X509_V_OK ? leaf.release() : nullptr, X509_free);
}

GENERAL_NAME *general(int type, const char *text)
{
    return a2i_GENERAL_NAME(nullptr, nullptr, nullptr, type, text, 0);
}

class CaFiles : public ::testing::Test {
  protected:
    void SetUp() override
    {
        char t[] = "/tmp/kt-ca-test-XXXXXX";
        ASSERT_NE(mkdtemp(t), nullptr);
        dir = t;
        cert = dir + "/ca.pem";
        key = dir + "/ca.key";
    }
    void TearDown() override
    {
        std::string rm = "rm -rf '" + dir + "'";
        EXPECT_EQ(system(rm.c_str()), 0);
    }
    kt_result load(kt_error *err = nullptr)
    {
        kt_ca *ca = nullptr;
        kt_result r = kt_ca_load(cert.c_str(), key.c_str(), &ca, err);
        kt_ca_free(ca);
        return r;
    }
    std::string dir, cert, key;
};

TEST_F(CaFiles, AStolenKeySignsNothingElse)
{
    EXPECT_NE(forge(dir, kHosts, general(GEN_DNS, "api.openai.com")).get(), nullptr)
        << "the forgery itself must be sound";
    EXPECT_EQ(forge(dir, kHosts, general(GEN_DNS, "bank.example")).get(), nullptr);
    EXPECT_EQ(forge(dir, kHosts, general(GEN_IPADD, "10.1.2.3")).get(), nullptr);
    EXPECT_EQ(forge(dir, kHosts, general(GEN_IPADD, "fe80::1")).get(), nullptr);
    EXPECT_EQ(forge(dir, {"10.1.2.3"}, general(GEN_IPADD, "10.1.2.4")).get(), nullptr);
    EXPECT_EQ(forge(dir, {"10.1.2.3"}, general(GEN_IPADD, "fe80::1")).get(), nullptr);
    EXPECT_EQ(forge(dir, {"10.1.2.3"}, general(GEN_DNS, "bank.example")).get(), nullptr)
        << "no DNS name was permitted, so none is free";
    EXPECT_EQ(forge(dir, {}, general(GEN_DNS, "bank.example")).get(), nullptr);
}

TEST_F(CaFiles, SaveAndLoad)
{
    Ca ca = ca_for(kHosts);
    kt_error err = {};
    mode_t old = umask(0);
    ASSERT_TRUE(kt_is_ok(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), &err))) << err.text;
    umask(old);
    struct stat st;
    ASSERT_EQ(stat(cert.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0644u);
    ASSERT_EQ(stat(key.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
    kt_ca *loaded = nullptr;
    ASSERT_TRUE(kt_is_ok(kt_ca_load(cert.c_str(), key.c_str(), &loaded, &err))) << err.text;
    Ca again(loaded, kt_ca_free);
    Cert root = ca_cert(ca.get());
    EXPECT_EQ(verify(root.get(), leaf_of(again.get(), "api.openai.com"), "api.openai.com"), X509_V_OK);
    SSL_CTX *ctx = nullptr;
    EXPECT_EQ(kt_ca_server_ctx(again.get(), "example.com", &ctx).code, KT_ERR_USAGE)
        << "the constraints come with the certificate";
    EXPECT_EQ(kt_ca_expires(again.get()), kt_ca_expires(ca.get()));
}

TEST_F(CaFiles, SaveNeverWritesOverAnything)
{
    Ca ca = ca_for(kHosts);
    std::string victim = dir + "/victim";
    std::ofstream(victim) << "precious";
    auto untouched = [&] {
        std::ifstream f(victim);
        std::string s;
        std::getline(f, s);
        return s == "precious";
    };
    ASSERT_EQ(symlink(victim.c_str(), key.c_str()), 0);
    EXPECT_EQ(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), nullptr).code, KT_ERR_IO);
    EXPECT_TRUE(untouched());
    EXPECT_NE(access(cert.c_str(), F_OK), 0);
    unlink(key.c_str());
    ASSERT_EQ(symlink(victim.c_str(), cert.c_str()), 0);
    EXPECT_EQ(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), nullptr).code, KT_ERR_IO);
    EXPECT_TRUE(untouched());
    EXPECT_NE(access(key.c_str(), F_OK), 0) << "no key is left behind";
    unlink(cert.c_str());
    ASSERT_TRUE(kt_is_ok(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), nullptr)));
    EXPECT_EQ(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), nullptr).code, KT_ERR_IO) << "exclusive";
    EXPECT_TRUE(kt_is_ok(load()));
}

TEST_F(CaFiles, LoadIsSuspicious)
{
    Ca ca = ca_for(kHosts), other = ca_for(kHosts);
    kt_error err = {};
    EXPECT_EQ(load(&err).code, KT_ERR_IO);
    ASSERT_TRUE(kt_is_ok(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), nullptr)));
    ASSERT_EQ(chmod(key.c_str(), 0640), 0);
    EXPECT_EQ(load(&err).code, KT_ERR_IO) << "others may read the key";
    EXPECT_NE(strstr(err.text, "chmod"), nullptr);
    ASSERT_EQ(chmod(key.c_str(), 0600), 0);
    EXPECT_TRUE(kt_is_ok(load()));

    std::string real = key + ".real";
    ASSERT_EQ(rename(key.c_str(), real.c_str()), 0);
    ASSERT_EQ(symlink(real.c_str(), key.c_str()), 0);
    EXPECT_EQ(load().code, KT_ERR_IO);
    unlink(key.c_str());
    ASSERT_EQ(mkfifo(key.c_str(), 0600), 0);
    EXPECT_EQ(load().code, KT_ERR_IO) << "and it must not hang";
    unlink(key.c_str());

    std::string c2 = dir + "/2.pem";
    ASSERT_TRUE(kt_is_ok(kt_ca_save(other.get(), c2.c_str(), key.c_str(), nullptr)));
    EXPECT_EQ(load(&err).code, KT_ERR_CRYPTO) << "the key of another certificate";
    ASSERT_EQ(rename(real.c_str(), key.c_str()), 0);
    EXPECT_TRUE(kt_is_ok(load()));
    if (geteuid() == 0) {
        ASSERT_EQ(chown(key.c_str(), 12345, 12345), 0);
        EXPECT_EQ(load(&err).code, KT_ERR_IO);
        EXPECT_NE(strstr(err.text, "somebody else"), nullptr);
        ASSERT_EQ(chown(key.c_str(), 0, 0), 0);
    }
    X509 *leaf = leaf_of(ca.get(), "api.openai.com");
    FILE *f = fopen(cert.c_str(), "w");
    PEM_write_X509(f, leaf);
    fclose(f);
    EXPECT_EQ(load().code, KT_ERR_CRYPTO) << "a leaf is no CA";
}

TEST_F(CaFiles, EveryTruncationOfTheFilesFails)
{
    Ca ca = ca_for(kHosts);
    ASSERT_TRUE(kt_is_ok(kt_ca_save(ca.get(), cert.c_str(), key.c_str(), nullptr)));
    for (const std::string &path : {cert, key}) {
        std::ifstream in(path);
        std::string whole((std::istreambuf_iterator<char>(in)), {});
        in.close();
        for (size_t n = 0; n + 2 < whole.size(); n += 7) {
            ASSERT_EQ(truncate(path.c_str(), 0), 0);
            std::ofstream(path) << whole.substr(0, n);
            EXPECT_EQ(load().code, KT_ERR_CRYPTO) << path << " " << n;
        }
        std::ofstream(path) << whole;
        EXPECT_TRUE(kt_is_ok(load()));
    }
}

TEST_F(CaFiles, AFailedWriteLeavesNothing)
{
    Ca ca = ca_for(kHosts);
    kt_error err = {};
    EXPECT_EQ(kt_ca_save(ca.get(), (dir + "/no/such/ca.pem").c_str(), key.c_str(), &err).code, KT_ERR_IO);
    EXPECT_NE(access(key.c_str(), F_OK), 0);
    /* A file that may not grow fails as a full disk does: in the middle of the write. */
    struct rlimit old, tiny;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    tiny = old;
    tiny.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    kt_result r = kt_ca_save(ca.get(), cert.c_str(), key.c_str(), &err);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    EXPECT_EQ(r.code, KT_ERR_IO);
    EXPECT_NE(access(key.c_str(), F_OK), 0);
    EXPECT_NE(access(cert.c_str(), F_OK), 0);
}

} // namespace
