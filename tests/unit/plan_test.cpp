/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plan_fixture.h"

using namespace kt_test;

namespace {

/* Written down once by hand from the rules of the format header, to hold both the shim and the engine to
 * them. */
TEST_F(Plan, KeyIsWhatTheFormatSays)
{
    char key[17];
    kt_plan_key(nullptr, nullptr, nullptr, key);
    EXPECT_STREQ(key, "08328807b4eb6fed"); /* FNV-1a 64 over two NULs */
    std::string bytes = "/no/such" + std::string(40, '\0') + std::string("enforce\0block\0", 14);
    uint64_t h = 14695981039346656037ull;
    for (unsigned char c : bytes)
        h = (h ^ c) * 1099511628211ull;
    char want[17];
    snprintf(want, sizeof want, "%016llx", (unsigned long long)h);
    kt_plan_key("/no/such", "enforce", "block", key);
    EXPECT_STREQ(key, want);
    kt_plan_key("::/no/such:", "enforce", "block", key);
    EXPECT_STREQ(key, want) << "empty elements are no paths";

    std::set<std::string> keys;
    std::string other = dir + "/other.yaml";
    spill(other, "y");
    auto add = [&](const std::string &p, const char *m, const char *f) {
        kt_plan_key(p.c_str(), m, f, key);
        EXPECT_TRUE(keys.insert(key).second) << p << m << f;
    };
    add(yaml, "enforce", "block");
    add(yaml, "observe", "block");
    add(yaml, "enforce", "allow");
    add(yaml, "enforceblock", "");
    add(other, "enforce", "block");
    add(yaml + ":" + other, "enforce", "block");
    add(other + ":" + yaml, "enforce", "block");
    spill(yaml, "xx");
    add(yaml, "enforce", "block");
    struct timespec t[2] = {{1, 1}, {1, 1}};
    utimensat(AT_FDCWD, yaml.c_str(), t, 0);
    add(yaml, "enforce", "block");
}

TEST_F(Plan, FileSaysWhatTheShimNeeds)
{
    hosts = {"api.OpenAI.com",  "*.openai.azure.com", "10.1.2.3",
             "api.openai.com.", "api.mistral.ai",     "*.openai.azure.com"};
    exclude = {"internal.openai.azure.com", "*.corp.example", "api.mistral.ai"};
    kt_plan_made m = made();
    std::string text = slurp(m.path);
    EXPECT_EQ(text.compare(0, 9, "ktplan 1\n"), 0);
    EXPECT_EQ(lines_with(text, "mode"), std::vector<std::string>{"enforce"});
    EXPECT_EQ(lines_with(text, "fail_mode"), std::vector<std::string>{"block"});
    EXPECT_EQ(lines_with(text, "ca"), std::vector<std::string>{m.ca_pem});
    EXPECT_EQ(lines_with(text, "bundle"), std::vector<std::string>{m.bundle_pem});
    EXPECT_EQ(lines_with(text, "extra"), std::vector<std::string>{m.extra_pem});
    EXPECT_EQ(lines_with(text, "roots_from"), std::vector<std::string>{roots});
    EXPECT_EQ(lines_with(text, "host"),
              (std::vector<std::string>{"127.183.0.1 api.openai.com", "127.183.0.2 10.1.2.3",
                                        "127.183.0.3 api.mistral.ai"}));
    EXPECT_EQ(lines_with(text, "wild"), std::vector<std::string>{"*.openai.azure.com"});
    EXPECT_EQ(lines_with(text, "exclude"),
              (std::vector<std::string>{"internal.openai.azure.com", "*.corp.example", "api.mistral.ai"}));
    EXPECT_EQ(text.back(), '\n');
    long long expires = std::stoll(lines_with(text, "expires").at(0));
    EXPECT_GT(expires, time(nullptr) + 5 * 24 * 3600);
    EXPECT_LT(expires, time(nullptr) + KT_CA_VALID_SECONDS - 3600)
        << "a late starter's CA must not run out at once";
    char key[17], ca[4096];
    kt_plan_key(yaml.c_str(), "enforce", "block", key);
    EXPECT_EQ(std::string(m.path), plan_dir() + "/" + key);
    EXPECT_EQ(mode_of(m.path), 0600u);
    EXPECT_EQ(mode_of(m.ca_dir), 0700u);
    EXPECT_EQ(mode_of(m.ca_key), 0600u);
    ASSERT_TRUE(kt_is_ok(kt_plan_read_ca(m.path, ca, sizeof ca)));
    EXPECT_STREQ(ca, m.ca_pem);
    EXPECT_EQ(kt_plan_read_ca(m.path, ca, 10).code, KT_ERR_LIMIT);
    kt_ca *loaded = nullptr;
    ASSERT_TRUE(kt_is_ok(kt_ca_load(m.ca_pem, m.ca_key, &loaded, nullptr)));
    SSL_CTX *ctx = nullptr;
    EXPECT_TRUE(kt_is_ok(kt_ca_server_ctx(loaded, "10.1.2.3", &ctx)));
    kt_ca_free(loaded);
}

TEST_F(Plan, EnvironmentBeatsConfigAndNonsenseIsRefused)
{
    config.mode = KT_MODE_OBSERVE;
    config.fail_mode = KT_FAIL_ALLOW;
    kt_plan_made m;
    kt_error err = {};
    ASSERT_TRUE(kt_is_ok(make(false, &m, &err, nullptr, "")));
    EXPECT_EQ(lines_with(slurp(m.path), "mode"), std::vector<std::string>{"observe"});
    EXPECT_EQ(lines_with(slurp(m.path), "fail_mode"), std::vector<std::string>{"allow"});
    ASSERT_TRUE(kt_is_ok(make(false, &m, &err, "enforce", "block")));
    EXPECT_EQ(lines_with(slurp(m.path), "mode"), std::vector<std::string>{"enforce"});
    EXPECT_EQ(lines_with(slurp(m.path), "fail_mode"), std::vector<std::string>{"block"});
    EXPECT_EQ(make(false, &m, &err, "enforced", "block").code, KT_ERR_USAGE);
    EXPECT_NE(strstr(err.text, "KT_MODE"), nullptr);
    EXPECT_EQ(make(false, &m, &err, "enforce", "block\nhost 127.183.9.9 evil").code, KT_ERR_USAGE);
    EXPECT_EQ(m.path[0], '\0');
}

TEST_F(Plan, BrokenConfigStillCapturesTheBuiltInHosts)
{
    kt_plan_made m;
    kt_error err = {};
    ASSERT_TRUE(kt_is_ok(kt_plan_make(nullptr, yaml.c_str(), nullptr, nullptr, &paths, false, &m, &err)))
        << err.text;
    size_t n = 0;
    while (kt_default_hosts[n])
        n++;
    std::string text = slurp(m.path);
    EXPECT_EQ(lines_with(text, "host").size() + lines_with(text, "wild").size(), n);
    EXPECT_EQ(lines_with(text, "fail_mode"), std::vector<std::string>{"block"});
}

TEST_F(Plan, BadHostsLeaveNothingBehind)
{
    kt_plan_made m;
    kt_error err = {};
    for (const char *bad : {"https://x", "a b", "x\nhost 127.183.0.9 evil", "", "*"}) {
        hosts = {"ok.example", bad};
        EXPECT_EQ(make(false, &m, &err).code, KT_ERR_USAGE) << bad;
        hosts = {"ok.example"};
        exclude = {bad};
        EXPECT_EQ(make(false, &m, &err).code, KT_ERR_USAGE) << bad;
        exclude = {};
    }
    hosts.assign(KT_PLAN_MAX_HOSTS + 1, "x.example");
    EXPECT_EQ(make(false, &m, &err).code, KT_ERR_USAGE);
    hosts.clear();
    for (int i = 0; i < KT_PLAN_MAX_HOSTS; i++)
        hosts.push_back(std::string(50, 'a') + std::to_string(i) + ".example");
    EXPECT_EQ(make(false, &m, &err).code, KT_ERR_USAGE) << "more than a plan holds";
    EXPECT_NE(strstr(err.text, "too many"), nullptr) << err.text;
    EXPECT_TRUE(entries(paths.runtime_dir).empty());
    EXPECT_TRUE(entries(plan_dir()).empty());
    kt_plan_remove(&m); /* of a failure: touches nothing */
    for (int i = 0; i < KT_PLAN_MAX_HOSTS; i++)
        hosts[i] = "h" + std::to_string(i) + ".example";
    m = made();
    EXPECT_EQ(lines_with(slurp(m.path), "host").back(), "127.183.4.0 h1023.example");
}

TEST_F(Plan, ReadCaTellsWhatIsWrong)
{
    kt_plan_made m = made();
    char ca[4096];
    EXPECT_EQ(kt_plan_read_ca((dir + "/none").c_str(), ca, sizeof ca).code, KT_ERR_IO);
    EXPECT_EQ(kt_plan_read_ca(dir.c_str(), ca, sizeof ca).code, KT_ERR_IO);
    EXPECT_EQ(kt_plan_read_ca("/dev/zero", ca, sizeof ca).code, KT_ERR_IO);
    std::string fifo = dir + "/fifo", whole = slurp(m.path), cut = dir + "/cut";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(kt_plan_read_ca(fifo.c_str(), ca, sizeof ca).code, KT_ERR_IO) << "and it must not hang";
    size_t ca_end = whole.find('\n', whole.find("\nca ") + 1);
    umask(022);
    for (size_t n = 0; n <= whole.size(); n++) {
        spill(cut, whole.substr(0, n));
        kt_result r = kt_plan_read_ca(cut.c_str(), ca, sizeof ca);
        if (n <= ca_end)
            EXPECT_EQ(r.code, KT_ERR_SYNTAX) << n;
        else
            EXPECT_STREQ(ca, m.ca_pem) << n;
    }
    spill(cut, "ktplan 1\nexpires 5\nca /x\n");
    EXPECT_EQ(kt_plan_read_ca(cut.c_str(), ca, sizeof ca).code, KT_ERR_STATE);
    spill(cut, "ktplan 1\nexpires 99999999999999999999\nca /x\n");
    EXPECT_EQ(kt_plan_read_ca(cut.c_str(), ca, sizeof ca).code, KT_ERR_SYNTAX);
    if (geteuid() == 0) {
        ASSERT_EQ(chown(m.path, 12345, 12345), 0);
        EXPECT_EQ(kt_plan_read_ca(m.path, ca, sizeof ca).code, KT_ERR_IO) << "somebody else's plan";
    }
}

} // namespace
