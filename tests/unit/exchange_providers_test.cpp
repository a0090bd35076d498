/* SPDX-License-Identifier: Apache-2.0 */
// Every provider that is known by name, called: its dialect, its key out of its own variable in its own
// header, and the model of the shorthand.
#include "exchange_fixture.hpp"

#include <cctype>

using namespace fake;

namespace {

struct Provider {
    const char *name, *url, *variable, *header, *prefix;
};

const Provider providers[] = {
#define KT_PROVIDER_DEFAULT(name, url, key) {name, url, key, "authorization", "Bearer "},
#define KT_PROVIDER_HEADER(name, url, key, header, prefix) {name, url, key, header, prefix},
#include "policyengine/config/provider_defaults.def"
#undef KT_PROVIDER_DEFAULT
#undef KT_PROVIDER_HEADER
};

class Providers : public ExchangeTest {
  protected:
    void TearDown() override
    {
        for (const Provider &p : providers)
            if (p.variable)
                unsetenv(p.variable);
        ExchangeTest::TearDown();
    }
    // All of them in order; each refuses, but the last.
    std::string config_of(bool shorthand)
    {
        std::string out;
        for (const Provider &p : providers) {
            std::string name = p.name;
            out += "    - id: t-" + name + "\n      provider: " + name +
                   (shorthand ? ":chat:m-" + name : "") + "\n" +
                   (shorthand ? "" : "      model: m-" + name + "\n") +
                   "      base_url: http://127.0.0.1:" + std::to_string(up_.port()) + "/" + name + "/v1\n";
            if (p.variable)
                setenv(p.variable, ("key-of-" + name).c_str(), 1);
        }
        return config(out + "  fallback: {max_fallback_attempts: 20}\n");
    }
    Server up_{[](Conn &c, const Request &r) {
        bool last = r.target.find(std::string("/") + providers[KT_COUNT(providers) - 1].name + "/") == 0;
        return c.reply(last ? 200 : 503, "application/json", last ? kAnswer : "{}", "");
    }};
};

TEST_F(Providers, EachIsCalledInItsOwnWay)
{
    for (bool shorthand : {false, true}) {
        size_t first = up_.requests().size();
        configure(config_of(shorthand));
        Client k;
        ask(k, post("{\"model\":\"gpt-4o\",\"seed\":7,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                    "Authorization: Bearer the-programs-own\r\n"));
        EXPECT_EQ(k.status, 200) << k.body;
        auto seen = up_.requests();
        ASSERT_EQ(seen.size() - first, KT_COUNT(providers));
        for (size_t i = 0; i < KT_COUNT(providers); i++) {
            const Provider &p = providers[i];
            const Request &r = seen[first + i];
            const std::string name = p.name, key = p.variable ? p.prefix + ("key-of-" + name) : "";
            EXPECT_EQ(r.target, "/" + name + "/v1/chat/completions");
            EXPECT_EQ(r.header(p.header), key) << name;
            EXPECT_EQ(r.head.find("the-programs-own"), std::string::npos) << name;
            Json body = parse(r.body);
            EXPECT_EQ(str(body, "model"), "m-" + name);
            bool mistral = name == "mistral"; // the one with a dialect of its own
            EXPECT_EQ(r.body.find("random_seed") != std::string::npos, mistral) << r.body;
        }
    }
}

// Without base_url: what stands in the table is what the target has, and a key's variable that is not there
// is named.
TEST(ProviderDefaults, AddressAndVariableAreFilledIn)
{
    for (const Provider &p : providers) {
        const std::string yaml = config("    - {id: a, provider: " + std::string(p.name) + ", model: m}\n");
        kt_diags diags = {};
        kt_config *c = nullptr;
        kt_result r = kt_config_parse("t.yaml", yaml.data(), yaml.size(), &c, &diags);
        kt_diags_free(&diags);
        ASSERT_EQ(r.code == KT_OK, p.url != nullptr) << p.name;
        if (c) {
            const kt_target &t = c->providers.targets[0];
            EXPECT_STREQ(t.base_url, p.url);
            EXPECT_STREQ(t.secret_key_ref.env, p.variable);
            EXPECT_EQ(std::string(t.api_key_prefix).empty(), std::string(p.prefix).empty());
        }
        kt_config_free(c);
    }
}

} // namespace
