/* SPDX-License-Identifier: Apache-2.0 */
// Group commit: the events of one turn of the loop are written together, before the answers leave.
#include "exchange_sse.hpp"
#include "exchange_words.hpp"

#include <csignal>
#include <sys/resource.h>

namespace {

using namespace fake;

class ExchangeCommit : public ExchangeTest {
  protected:
    void SetUp() override
    {
        ExchangeTest::SetUp();
        on_loop([this] { ASSERT_TRUE(kt_is_ok(kt_commit_new(&ctx, &commit))); });
    }
    void TearDown() override
    {
        on_loop([this] {
            kt_upstream_free(ctx.upstream);
            ctx.upstream = nullptr;
            kt_commit_free(commit);
        });
        ExchangeTest::TearDown();
    }
    // All within one turn of the loop; each is refused, since its body is no JSON.
    void start_all(
        std::vector<Client> &all, const std::function<void()> &then = [] {})
    {
        std::vector<kt_reply_sink> sinks;
        for (Client &k : all) {
            kt_request r = read_request(post("{"));
            kt_exchange_origin origin = {"127.0.0.1", origin_port, false, "gateway", false, nullptr};
            ASSERT_TRUE(kt_is_ok(kt_exchange_new(&ctx, &r, &origin, &k.x)));
            kt_exchange_prepare(k.x);
            sinks.push_back(k.sink());
        }
        on_loop([&] {
            for (size_t i = 0; i < all.size(); i++)
                kt_exchange_start(all[i].x, &sinks[i]);
            for (Client &k : all)
                EXPECT_FALSE(k.over()) << "an answer left before the end of the turn";
            then();
        });
    }
    kt_commit *commit = nullptr;
};

TEST_F(ExchangeCommit, AnswersLeaveBehindTheEventsOfTheirTurn)
{
    configure(config(target("a", 9, "KT_TEST_KEY_A")));
    std::vector<Client> all(40); // more than one turn of the log takes
    std::vector<size_t> written(all.size());
    for (size_t i = 0; i < all.size(); i++)
        all[i].at_end = [&, i] { written[i] = event_lines().size(); };
    start_all(all);
    for (Client &k : all) {
        ASSERT_TRUE(k.wait_over());
        EXPECT_EQ(k.status, 400);
    }
    EXPECT_EQ(written.front(), 32u);
    EXPECT_EQ(written[31], 32u);
    EXPECT_EQ(written[32], 40u);
    EXPECT_EQ(written.back(), 40u);
    kt_audit_report report;
    ASSERT_TRUE(kt_is_ok(kt_audit_verify(dir.c_str(), &report, nullptr)));
    EXPECT_TRUE(report.ok) << report.what;
    EXPECT_EQ(report.last_seq, 40u);
}

TEST_F(ExchangeCommit, AnswerOfATargetWaitsToo)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
    Client k;
    size_t written = 0;
    k.at_end = [&] { written = event_lines().size(); };
    ask(k, post(chat("hello")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(k.body, kAnswer);
    EXPECT_EQ(written, 1u);
    EXPECT_EQ(str(event(), "verdict"), "allow");
}

TEST_F(ExchangeCommit, ClientThatLeavesMeanwhileHasItsEvent)
{
    configure(config(target("a", 9, "KT_TEST_KEY_A")));
    std::vector<Client> all(3);
    start_all(all, [&] { kt_exchange_client_gone(all[1].x); });
    ASSERT_TRUE(all[0].wait_over());
    ASSERT_TRUE(all[2].wait_over());
    on_loop([] {});
    EXPECT_FALSE(all[1].over());
    ASSERT_EQ(event_lines().size(), 3u);
    EXPECT_EQ(str(event(0), "error"), "client_gone");
    EXPECT_EQ(str(event(1), "error"), "");
    EXPECT_EQ(str(event(2), "error"), "");
}

// A log that takes no more: every answer of a target is withheld, or none, as fail_mode says.
TEST_F(ExchangeCommit, FullDiskFollowsFailMode)
{
    Server up(answer);
    for (int mode : {KT_FAIL_BLOCK, KT_FAIL_ALLOW}) {
        const size_t before = up.requests().size();
        configure(config(target("a", up.port(), "KT_TEST_KEY_A")), nullptr, KT_MODE_ENFORCE, mode);
        rlimit old;
        ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
        rlimit none = {0, old.rlim_max};
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
        Client k;
        ask(k, post(chat("hello")));
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
        EXPECT_EQ(k.status, mode == KT_FAIL_BLOCK ? 503 : 200);
        EXPECT_EQ(str(parse(k.body), "error.code"), mode == KT_FAIL_BLOCK ? "audit_unavailable" : "");
        EXPECT_EQ(up.requests().size() - before, mode == KT_FAIL_BLOCK ? 0u : 1u)
            << "sent, and without a record";
    }
    EXPECT_EQ(event_lines().size(), 0u);
    Client again;
    ask(again, post(chat("hello")));
    EXPECT_EQ(again.status, 200) << "there is room again";
    EXPECT_EQ(event_lines().size(), 1u);
}

// Full only when the answer is under way: the text that left cannot be called back, but the end says why.
TEST_F(ExchangeCommit, StreamThatCannotBeRecordedEndsWithAnErrorEvent)
{
    rlimit old;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    Server up([&](Conn &c, const Request &) {
        rlimit none = {0, old.rlim_max};
        return c.sse_head() && c.chunk(delta("a")) && setrlimit(RLIMIT_FSIZE, &none) == 0 &&
               c.chunk(delta("", "\"stop\"") + kDone) && c.chunk_end();
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
    Client k;
    ask(k, post(chat("hi", ",\"stream\":true")));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    EXPECT_NE(k.body.find("\"code\":\"audit_unavailable\""), std::string::npos) << k.body;
    EXPECT_EQ(k.body.find("[DONE]"), std::string::npos) << k.body;
    EXPECT_EQ(event_lines().size(), 0u);
}

} // namespace
