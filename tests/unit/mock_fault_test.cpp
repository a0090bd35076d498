// SPDX-License-Identifier: Apache-2.0
// The script of faults, and each fault as a client meets it.
#include "tests/unit/mock_fixture.h"

namespace {

class MockFault : public Mock {};

TEST(MockScript, Grammar)
{
    for (const char *bad : {"", "status", "status=", "status=99", "status=600", "status=5x", "delay_ms=-1",
                            "hang=1", "nothing=1", "count=2", "status=503,count=0", "status=503,,bogus"}) {
        mock_script s = {};
        kt_error err = {};
        EXPECT_EQ(mock_script_add(&s, bad, &err).code, KT_ERR_USAGE) << bad;
        EXPECT_NE(err.text[0], '\0') << bad;
        EXPECT_EQ(s.count, 0u);
    }
    mock_script s = {};
    kt_error err = {};
    ASSERT_EQ(mock_script_add(&s, "status=503", &err).code, KT_OK);
    EXPECT_EQ(mock_script_add(&s, "hang", &err).code, KT_ERR_USAGE); // its turn would never come
}

TEST(MockScript, SkipAndCountInSequence)
{
    mock_script s = {};
    mock_fault f;
    ASSERT_EQ(mock_script_add(&s, "status=503,skip=1,count=2", nullptr).code, KT_OK);
    ASSERT_EQ(mock_script_add(&s, "delay_ms=5,count=1", nullptr).code, KT_OK);
    ASSERT_EQ(mock_script_add(&s, "retry_after=3,skip=2", nullptr).code, KT_OK);
    std::string seen;
    for (int i = 0; i < 10; i++)
        seen += !mock_script_next(&s, &f)               ? '.'
                : f.status == 503                       ? 'S'
                : f.delay_ms                            ? 'D'
                : f.status == 429 && f.retry_after == 3 ? 'R'
                                                        : '?';
    EXPECT_EQ(seen, ".SSD..RRRR");
}

TEST_F(MockFault, StatusFaultsThenFine)
{
    fault("status=503,count=2");
    fault("retry_after=1,count=1");
    fault("status=418,count=1");
    start();
    EXPECT_EQ(ask(HELLO), 503);
    EXPECT_EQ(Json(answer).text("object"), "error");
    EXPECT_EQ(ask(HELLO_STREAM), 503);
    EXPECT_EQ(ask(HELLO), 429);
    EXPECT_NE(head.find("retry-after: 1\r\n"), std::string::npos);
    EXPECT_EQ(Json(answer).text("code"), "1300");
    EXPECT_EQ(ask(HELLO), 418);
    EXPECT_EQ(ask(HELLO), 200);
}

TEST_F(MockFault, HtmlDelayAndClose)
{
    fault("html,count=1");
    fault("delay_ms=150,count=1");
    fault("close,count=1");
    start();
    EXPECT_EQ(ask(HELLO), 200);
    EXPECT_NE(head.find("content-type: text/html"), std::string::npos);
    auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(ask(HELLO), 200);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(150));
    Client c(port);
    c.send(post(HELLO));
    EXPECT_TRUE(c.ended());
    EXPECT_EQ(c.in, "");
    EXPECT_EQ(ask(HELLO), 200);
}

TEST(MockScript, GatherGrammar)
{
    for (const char *bad : {"", "word", "=3", "word=", "word=1", "word=x", "word=3x", "word=100000"}) {
        mock_options o = {};
        kt_error err = {};
        EXPECT_EQ(mock_gather_add(&o, bad, &err).code, KT_ERR_USAGE) << bad;
        EXPECT_NE(err.text[0], '\0') << bad;
        EXPECT_EQ(o.gathers, 0u);
    }
}

TEST_F(MockFault, GatheredCallsWaitForEachOther)
{
    ASSERT_EQ(mock_gather_add(&o, "hi=2", nullptr).code, KT_OK);
    start();
    EXPECT_EQ(ask(R"({"model":"m","messages":[{"role":"user","content":"other"}]})"), 200);
    for (int round = 0; round < 2; round++) {
        Client a(port), b(port);
        a.send(post(HELLO));
        pollfd p = {a.fd, POLLIN, 0};
        EXPECT_EQ(poll(&p, 1, 50), 0); // alone it has no answer
        b.send(post(HELLO));
        EXPECT_TRUE(a.answer());
        EXPECT_TRUE(b.answer());
        EXPECT_EQ(a.status(), 200);
        EXPECT_EQ(b.status(), 200);
    }
}

TEST_F(MockFault, CutStreamsAndJson)
{
    fault("cut=0,count=1");
    fault("cut=1,count=1");
    fault("cut=3,count=1");
    fault("cut=3,count=1");
    start();
    for (size_t n : {size_t{0}, size_t{1}, size_t{3}}) {
        Client c(port);
        c.send(post(HELLO_STREAM));
        EXPECT_FALSE(c.answer());
        EXPECT_EQ(c.status(), 200);
        EXPECT_EQ(events(c.body).size(), n);
    }
    Client c(port);
    c.send(post(HELLO));
    EXPECT_FALSE(c.answer());
    EXPECT_GT(c.body.size(), 50u);
    EXPECT_EQ(Json(c.body).j, nullptr);
    EXPECT_EQ(ask(HELLO), 200);
}

TEST_F(MockFault, HangHoldsUntilTheClientGoesOrTheServerStops)
{
    fault("hang,count=1");
    fault("cut=2,hang,count=1");
    start();
    Client c(port), stalled(port);
    c.send(post(HELLO));
    std::this_thread::sleep_for(std::chrono::milliseconds(50)); // so that the second request is the second
    stalled.send(post(HELLO_STREAM));
    while (stalled.in.find("Hello") == std::string::npos)
        ASSERT_TRUE(stalled.more());
    pollfd p[] = {{c.fd, POLLIN, 0}, {stalled.fd, POLLIN, 0}};
    EXPECT_EQ(poll(p, 2, 200), 0);
    auto begin = std::chrono::steady_clock::now();
    stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    EXPECT_TRUE(c.ended());
}

} // namespace
