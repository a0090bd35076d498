/* SPDX-License-Identifier: Apache-2.0 */
/* configs/examples: every one loads, says nothing worse than W001, and has the effective form that its golden
 * shows. A golden is written anew by tools/dev/update-golden. */
#include "policyengine/config/kt_effective.h"
#include "policyengine/policies/kt_policy.h"
#include "tests/unit/config_fixture.h"

#include <cstring>
#include <set>
#include <sstream>

using kt::Loaded;

namespace {

const std::filesystem::path examples = KT_SOURCE_DIR "/configs/examples";
const std::filesystem::path goldens = KT_SOURCE_DIR "/tests/golden/effective";

std::string read(const std::filesystem::path &p)
{
    std::ifstream in(p, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

std::set<std::string> names_in(const std::filesystem::path &dir)
{
    std::set<std::string> out;
    for (const auto &e : std::filesystem::directory_iterator(dir))
        out.insert(e.path().filename().string());
    return out;
}

bool has_option(const char *kind, const char *option)
{
    const kt_policy *p = kt_policy_find(kind);
    for (const kt_option *o = p ? p->options : nullptr; o && o->name; o++)
        if (strcmp(o->name, option) == 0)
            return true;
    return false;
}

/* Two examples are of policies that a build may be without. */
bool available(const std::string &name)
{
    if (name == "privacy.yaml")
        return has_option("pii-detector", "redaction");
    if (name == "agents.yaml")
        return has_option("agent-firewall", "allowed_tools") && has_option("dlp-filter", "secrets");
    return true;
}

std::string effective(const kt_config *c)
{
    kt_node *tree = nullptr;
    kt_buf text = KT_BUF_INIT(1 << 20);
    EXPECT_EQ(kt_effective_tree(c, &tree).code, KT_OK);
    EXPECT_EQ(kt_node_yaml(tree, &text).code, KT_OK);
    std::string out(text.data, text.len);
    kt_buf_free(&text);
    kt_node_free(tree);
    return out;
}

class Example : public testing::TestWithParam<std::string> {
  protected:
    void SetUp() override
    {
        if (!available(GetParam()))
            GTEST_SKIP() << "this build has not all of its policies";
    }
    std::string file = (examples / GetParam()).string();
};

TEST_P(Example, IsClean)
{
    Loaded l(std::vector<std::string>{file});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    for (const auto &complaint : l.all())
        EXPECT_EQ(complaint.substr(0, 4), "W001") << l.line();
}

TEST_P(Example, HasItsGoldenForm)
{
    Loaded l(std::vector<std::string>{file});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(effective(l.config.get()), read(goldens / GetParam()))
        << "after a change that is meant: tools/dev/update-golden";
}

TEST_P(Example, TheEffectiveFormIsItsOwn)
{
    Loaded l(std::vector<std::string>{file});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    std::string once = effective(l.config.get());
    Loaded again(once);
    ASSERT_EQ(again.code, KT_OK) << again.line();
    EXPECT_EQ(effective(again.config.get()), once);
}

std::vector<std::string> sorted_examples()
{
    auto set = names_in(examples);
    return std::vector<std::string>(set.begin(), set.end());
}

std::string test_name(const testing::TestParamInfo<std::string> &info)
{
    std::string out;
    for (char c : info.param.substr(0, info.param.find('.')))
        out += isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return out;
}

INSTANTIATE_TEST_SUITE_P(All, Example, testing::ValuesIn(sorted_examples()), test_name);

TEST(Examples, AreAllThatThePageHasAndNoGoldenIsLeftOver)
{
    auto have = names_in(examples), golden = names_in(goldens);
    for (const char *name : {"minimal", "shorthand", "streaming", "multi-model-fallback",
                             "cross-provider-fallback", "latency", "weighted-ab", "circuit-breaker", "retry",
                             "codestral", "combined", "observe-only", "privacy", "ci", "agents"})
        EXPECT_TRUE(have.count(std::string(name) + ".yaml")) << name;
    for (const auto &name : golden)
        EXPECT_TRUE(have.count(name)) << name;
    for (const auto &name : have)
        EXPECT_TRUE(golden.count(name) || !available(name)) << name << ": run tools/dev/update-golden";
}

/* The two forms of a target on the page mean the same. */
TEST(Examples, TheShorthandIsTheLongForm)
{
    std::string text = read(examples / "shorthand.yaml"), word = "mistral:chat:mistral-large-latest";
    size_t at = text.find("provider: " + word);
    ASSERT_NE(at, std::string::npos);
    std::string longer = text;
    longer.replace(at, strlen("provider: ") + word.size(),
                   "provider: mistral\n      model: mistral-large-latest");
    Loaded a(text), b(longer);
    ASSERT_EQ(a.code, KT_OK) << a.line();
    ASSERT_EQ(b.code, KT_OK) << b.line();
    EXPECT_EQ(effective(a.config.get()), effective(b.config.get()));
}

TEST(Examples, SayWhatThePageSays)
{
    Loaded ab(std::vector<std::string>{(examples / "weighted-ab.yaml").string()});
    EXPECT_EQ(ab->providers.strategy, KT_STRATEGY_WEIGHTED_ROUND_ROBIN);
    EXPECT_DOUBLE_EQ(ab->providers.targets[1].weight, 0.2);
    Loaded all(std::vector<std::string>{(examples / "combined.yaml").string()});
    EXPECT_TRUE(all->providers.circuit_breaker.enabled);
    EXPECT_TRUE(all->providers.retry.configured);
    EXPECT_TRUE(all->providers.fallback.enabled);
    EXPECT_TRUE(all->providers.targets[0].health_probe.enabled);
    EXPECT_EQ(all->providers.target_count, 3u);
    Loaded stream(std::vector<std::string>{(examples / "streaming.yaml").string()});
    EXPECT_EQ(stream->providers.targets[0].stream_timeout_seconds, 180);
    Loaded observe(std::vector<std::string>{(examples / "observe-only.yaml").string()});
    EXPECT_EQ(observe->mode, KT_MODE_OBSERVE);
    EXPECT_FALSE(observe->has_providers);
}

} // namespace
