/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over a flow: framing, keep-alive, what is refused. */
#include "flow_client.hpp"

namespace {

TEST(FlowHttp, ManyRequestsOnOneConnection)
{
    Harness h;
    Client c(h);
    for (int i = 0; i < 200; i++) {
        std::string body = "call " + std::to_string(i);
        ASSERT_TRUE(c.send(post(body)));
        Answer a = c.answer();
        ASSERT_EQ(a.status, 200);
        ASSERT_EQ(a.body, body);
        ASSERT_FALSE(a.has("connection:"));
    }
    EXPECT_EQ(h.requests().size(), 200u);
    EXPECT_EQ(h.requests()[0], "divert POST /v1/x");
    EXPECT_EQ(kt_flows_count(h.flows), 1u);
    close(c.fd);
    c.fd = -1;
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
}

TEST(FlowHttp, OneByteAtATime)
{
    Harness h;
    Client c(h);
    for (const std::string &r : {post("abc"), GET,
                                 std::string("POST /y HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                                             "chunked\r\n\r\n3\r\nfoo\r\n2;x=y\r\nba\r\n0\r\n\r\n")}) {
        for (char b : r)
            ASSERT_TRUE(c.send(std::string(1, b)));
        EXPECT_EQ(c.answer().status, 200);
    }
    ASSERT_TRUE(c.send(post("z") + "\r\n")); /* a CRLF too much is no pipelined request */
    EXPECT_EQ(c.answer().body, "z");
    ASSERT_TRUE(c.send(GET));
    EXPECT_EQ(c.answer().body, "/v1/models");
}

TEST(FlowHttp, AnswersWithoutABody)
{
    Harness h;
    h.script = [](kt_exchange *x) {
        int status = x->target == "/204" ? 204 : x->target == "/304" ? 304 : 200;
        x->head(status, x->target == "/empty" ? 0 : x->target == "/chunked" ? -1 : 5);
        x->write("12345"); /* nothing of it may leave for these */
        x->end();
    };
    Client c(h);
    ASSERT_TRUE(c.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"));
    Answer a = c.answer(true);
    EXPECT_TRUE(a.has("\r\nContent-Length: 5\r\n"));
    for (const char *t : {"/204", "/304"}) {
        ASSERT_TRUE(c.send(std::string("GET ") + t + " HTTP/1.1\r\nHost: h\r\n\r\n"));
        a = c.answer();
        EXPECT_EQ(a.status, atoi(t + 1));
        EXPECT_FALSE(a.has("content-length"));
        EXPECT_FALSE(a.has("transfer-encoding"));
    }
    ASSERT_TRUE(c.send("HEAD /chunked HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(c.answer(true).status, 200);
    ASSERT_TRUE(c.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(c.answer().body, "12345"); /* in step: no stray byte came before */
}

TEST(FlowHttp, ChunkedAndHttp10)
{
    Harness h;
    h.script = [](kt_exchange *x) {
        x->head(200, x->target == "/known" ? 6 : -1);
        x->write("abc");
        x->write("");
        x->write(std::string(x->target == "/big" ? 70000 : 3, 'x'));
        x->end();
    };
    {
        Client c(h);
        for (const char *t : {"/", "/big"}) {
            ASSERT_TRUE(c.send(std::string("GET ") + t + " HTTP/1.1\r\nHost: h\r\n\r\n"));
            Answer a = c.answer();
            EXPECT_TRUE(a.has("transfer-encoding: chunked"));
            EXPECT_FALSE(a.has("content-length"));
            EXPECT_EQ(a.body, "abc" + std::string(t[1] ? 70000 : 3, 'x'));
        }
    }
    {
        Client c(h);
        ASSERT_TRUE(c.send("GET / HTTP/1.0\r\n\r\n"));
        std::string all = c.rest();
        EXPECT_EQ(all, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcxxx");
    }
    {
        Client c(h);
        ASSERT_TRUE(c.send("GET /known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        Answer a = c.answer();
        EXPECT_TRUE(a.has("connection: keep-alive"));
        EXPECT_EQ(a.body, "abcxxx");
        ASSERT_TRUE(c.send("GET /known HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        a = c.answer();
        EXPECT_TRUE(a.has("connection: close"));
        EXPECT_TRUE(c.ends());
    }
}

TEST(FlowHttp, HeadersThatWouldBreakTheFramingAreLeftOut)
{
    Harness h;
    h.script = [](kt_exchange *x) {
        x->head(200, 2,
                {field("Connection", "close"), field("Transfer-Encoding", "chunked"),
                 field("content-length", "99"), field("X-Good", "1"), field("X-Bad", "a\r\nSet-Cookie: evil"),
                 field("X-Bad2", "a\nb"), field("X\r\nEvil", "1"), field("Transfer-Encoding ", "chunked"),
                 field("X Y", "1"), field("X-Bell", "a\a"), field("X-Tab", "a\tb"),
                 field("Keep-Alive", "timeout=1"), field("", "x"), field("Upgrade", "h2c")});
        x->write("ok");
        x->end();
    };
    Client c(h);
    ASSERT_TRUE(c.send(GET));
    Answer a = c.answer();
    EXPECT_EQ(a.head, "HTTP/1.1 200 OK\r\nX-Good: 1\r\nX-Tab: a\tb\r\nContent-Length: 2\r\n\r\n");
}

TEST(FlowHttp, PipelinedRequestsAreAnsweredInTheirOrder)
{
    for (size_t cut : {0u, 1u, 40u, 150u}) { // where the second piece begins; 0 = one piece
        Harness h;
        std::atomic<kt_exchange *> held{nullptr};
        std::atomic<bool> hold{true};
        h.script = [&](kt_exchange *x) {
            if (hold.exchange(false))
                held = x;
            else
                echo(x);
        };
        Client c(h);
        const std::string all = post("one") + post("two") + "\r\n" + post("three") + post("four");
        ASSERT_TRUE(c.send(post("zero") + all.substr(0, cut ? cut : all.size())));
        ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
        EXPECT_EQ(h.requests().size(), 1u) << "one at a time";
        if (cut) {
            ASSERT_TRUE(c.send(all.substr(cut)));
        }
        h.post([&] { echo(held); });
        for (const char *body : {"zero", "one", "two", "three", "four"}) {
            Answer a = c.answer();
            EXPECT_EQ(a.body, body) << cut;
            EXPECT_FALSE(a.has("connection: close"));
        }
        ASSERT_TRUE(c.send(post("five")));
        EXPECT_EQ(c.answer().body, "five");
        EXPECT_EQ(h.requests().size(), 6u);
    }
}

// More than is kept of them: the client sees the end of the connection before any byte of a second answer,
// and may send the rest again.
TEST(FlowHttp, LongPipelinedRequestsAreRefusedCleanly)
{
    Harness h;
    std::atomic<kt_exchange *> held{nullptr};
    h.script = [&](kt_exchange *x) { held = x; };
    Client c(h);
    ASSERT_TRUE(c.send(post("one")));
    ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
    ASSERT_TRUE(c.send(post("two") + post(std::string(400000, 'x'))));
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); /* either order is fine, this one is meant */
    h.post([&] { echo(held); });
    Answer a = c.answer();
    EXPECT_EQ(a.body, "one");
    EXPECT_TRUE(a.has("connection: close"));
    EXPECT_TRUE(c.ends());
    EXPECT_EQ(c.last_errno, 0); /* no reset: the answer could be read */
    EXPECT_EQ(h.requests().size(), 1u);
}

TEST(FlowHttp, BehindAnAnswerThatEndsTheConnectionNothingIsServed)
{
    Harness h;
    Client c(h);
    ASSERT_TRUE(c.send(post("one", "Connection: close\r\n") + post("two")));
    EXPECT_EQ(c.answer().body, "one");
    EXPECT_TRUE(c.ends());
    EXPECT_EQ(h.requests().size(), 1u);
    Client bad(h);
    ASSERT_TRUE(bad.send(post("one") + "BROKEN\r\n\r\n" + post("two")));
    EXPECT_EQ(bad.answer().body, "one");
    EXPECT_EQ(bad.answer().status, 400);
    EXPECT_TRUE(bad.ends());
}

TEST(FlowHttp, ExpectContinue)
{
    Harness h;
    Client c(h);
    for (int i = 0; i < 2; i++) {
        ASSERT_TRUE(
            c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"));
        Answer a = c.answer();
        EXPECT_EQ(a.head, "HTTP/1.1 100 Continue\r\n\r\n");
        ASSERT_TRUE(c.send("body"));
        EXPECT_EQ(c.answer().body, "body");
    }
    ASSERT_TRUE(c.send(post("at once", "Expect: 100-continue\r\n")));
    Answer a = c.answer();
    if (a.status == 100)
        a = c.answer();
    EXPECT_EQ(a.body, "at once");
}

TEST(FlowHttp, WebSocketIsRefusedFast)
{
    Harness h;
    Client c(h);
    ASSERT_TRUE(
        c.send("GET /v1/responses HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"));
    Answer a = c.answer();
    EXPECT_EQ(a.status, 426);
    EXPECT_NE(a.body.find("\"code\":\"websocket_not_supported\""), std::string::npos) << a.body;
    EXPECT_TRUE(c.ends());
    EXPECT_TRUE(h.requests().empty());
    ASSERT_EQ(h.reports().size(), 1u);
    EXPECT_EQ(h.reports()[0].type, "request_refused");
    EXPECT_EQ(h.reports()[0].status, 426);
    EXPECT_EQ(h.reports()[0].host, "api.test");
}

TEST(FlowHttp, BadRequestsGetAnOpenAiShapedError)
{
    struct {
        std::string request;
        int status;
    } cases[] = {
        {"NONSENSE\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", 413},
        {"GET / HTTP/3.0\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(70000, 'x'), 431},
    };
    Harness h;
    h.max_body = 1000;
    for (auto &t : cases) {
        Client c(h);
        ASSERT_TRUE(c.send(t.request));
        Answer a = c.answer();
        EXPECT_EQ(a.status, t.status) << t.request.substr(0, 60);
        EXPECT_EQ(a.body.rfind("{\"error\":{\"message\":\"", 0), 0u) << a.body;
        EXPECT_EQ(a.body.find("limits.max_body_bytes is 1000") != std::string::npos, t.status == 413)
            << a.body;
        EXPECT_TRUE(a.has("connection: close"));
        EXPECT_TRUE(c.ends());
    }
    EXPECT_TRUE(h.requests().empty());
    EXPECT_EQ(h.reports().size(), std::size(cases));
}

} // namespace
