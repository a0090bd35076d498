/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's own API is asked for the usage of streams. It is reached through a proxy here, which answers for
 * it. */
#include "exchange_guard.hpp"
#include "exchange_sse.hpp"

namespace {

using namespace fake;

const std::string kExtra = "data: {\"id\":\"c1\",\"choices\":[]" + kUsage + "}\n\n";

class AskedUsage : public StreamTest {
  protected:
    void SetUp() override
    {
        StreamTest::SetUp();
        on_loop([this] { kt_upstream_free(ctx.upstream); }); // it looks for proxies when it begins
        setenv("http_proxy", ("http://127.0.0.1:" + std::to_string(up_.port())).c_str(), 1);
        ASSERT_TRUE(kt_is_ok(kt_upstream_new(ctx.loop, &ctx.upstream)));
    }
    void TearDown() override
    {
        StreamTest::TearDown();
        unsetenv("http_proxy");
    }
    void openai(const kt_policy *policy)
    {
        std::string text = config(target("a", 80, "KT_TEST_KEY_A", "m"));
        text.replace(text.find("provider: mistral"), 17, "provider: openai");
        text.replace(text.find("127.0.0.1"), 9, "api.openai.com");
        configure(text, policy);
    }
    std::string stream_ = delta("one") + delta("", "\"stop\"") + kExtra + kDone;
    Server up_{
        [this](Conn &c, const Request &) { return c.sse_head() && c.chunk(stream_) && c.chunk_end(); }};
};

TEST_F(AskedUsage, IsCountedAndNotGivenToWhoDidNotAsk)
{
    const kt_policy *const policies[] = {nullptr, guard()}; // as it came, and written anew
    for (size_t n = 0; n < 2; n++) {
        openai(policies[n]);
        Client k;
        ask(k, ask_stream());
        EXPECT_EQ(k.status, 200);
        EXPECT_EQ(k.body.find("\"usage\""), std::string::npos) << k.body;
        EXPECT_NE(k.body.find("\"content\":\"one\""), std::string::npos) << k.body;
        if (!n) {
            EXPECT_EQ(k.body, delta("one") + delta("", "\"stop\"") + kDone);
        }
        Json sent = parse(up_.requests().at(n).body);
        EXPECT_TRUE(cJSON_IsTrue(at(sent.get(), "stream_options.include_usage")));
        EXPECT_EQ(up_.requests().at(n).target, "http://api.openai.com/v1/chat/completions");
        EXPECT_EQ(num(event(n), "usage.total_tokens"), 6);
        EXPECT_EQ(num(event(n), "chunks"), 3);
        EXPECT_EQ(num(event(n), "delivered_chunks"), 2);
    }
}

TEST_F(AskedUsage, IsGivenToWhoAsked)
{
    openai(nullptr);
    Client k;
    ask(k, ask_stream(",\"stream_options\":{\"include_usage\":true}"));
    EXPECT_EQ(k.body, stream_);
    EXPECT_EQ(num(event(0), "delivered_chunks"), 3);
}

/* Known by name only; the client hears nothing of it, the event counts. */
TEST_F(AskedUsage, OfProvidersByName)
{
    size_t n = 0;
    for (const char *name : {"groq", "vllm", "deepseek"})
        for (const kt_policy *policy : {static_cast<const kt_policy *>(nullptr), guard()}) {
            std::string text = config(target("a", up_.port(), "KT_TEST_KEY_A", "m"));
            text.replace(text.find("provider: mistral"), 17, std::string("provider: ") + name);
            configure(text, policy);
            Client k;
            ask(k, ask_stream());
            EXPECT_EQ(k.body.find("\"usage\""), std::string::npos) << k.body;
            EXPECT_NE(k.body.find("\"content\":\"one\""), std::string::npos) << k.body;
            EXPECT_TRUE(
                cJSON_IsTrue(at(parse(up_.requests().at(n).body).get(), "stream_options.include_usage")));
            EXPECT_EQ(num(event(n), "usage.total_tokens"), 6) << name;
            n++;
        }
}

TEST_F(AskedUsage, AStreamThatEndsWithoutDone)
{
    stream_ = delta("one") + delta("", "\"stop\"") + kExtra;
    openai(nullptr);
    Client k;
    ask(k, ask_stream());
    EXPECT_EQ(k.body, delta("one") + delta("", "\"stop\"") + kDone);
}

} // namespace
