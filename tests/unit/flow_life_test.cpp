/* SPDX-License-Identifier: Apache-2.0 */
/* How flows and answers end: in order, broken, slow, or with the client gone. */
#include "flow_client.hpp"

namespace {

TEST(FlowLife, AClientThatStillSendsReadsItsRefusal)
{
    Harness h;
    h.max_body = 1000;
    Client c(h);
    std::string chunk = "10000\r\n" + std::string(0x10000, 'a') + "\r\n";
    std::string all = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 100; i++) /* more than the kernel's buffers hold */
        all += chunk;
    std::thread sender([&] { c.send(all + "0\r\n\r\n"); });
    Answer a = c.answer();
    sender.join();
    EXPECT_EQ(a.status, 413);
    EXPECT_FALSE(a.closed);
}

TEST(FlowLife, WhatIsPushedLeavesWithinTheCallback)
{
    Harness h;
    std::atomic<bool> read{false}, seen{false};
    h.script = [&](kt_exchange *x) {
        x->writable = [](kt_exchange *y) { y->end(); }; /* it had been paused: the push made room */
        x->head(200, -1);
        x->write("now");
        x->sink.push(x->sink.flow);
        seen = h.wait([&] { return read.load(); });
        x->write(" later"); /* once a turn: this one waits for its end */
        x->sink.push(x->sink.flow);
        x->write(" too");
    };
    Client c(h);
    ASSERT_TRUE(c.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
    while (c.in.find("now\r\n") == std::string::npos)
        ASSERT_TRUE(c.fill());
    EXPECT_EQ(c.in.find("later"), std::string::npos);
    read = true;
    Answer a = c.answer();
    EXPECT_TRUE(seen);
    EXPECT_EQ(a.body, "now later too");
    EXPECT_FALSE(a.closed);
}

TEST(FlowLife, TheLastByteWaitsForTheEnd)
{
    for (const char *target : {"/length", "/chunked", "/empty"}) {
        Harness h;
        std::atomic<kt_exchange *> held{nullptr};
        h.script = [&](kt_exchange *x) {
            x->head(200, x->target == "/length" ? 5 : x->target == "/empty" ? 0 : -1);
            if (x->target != "/empty")
                x->write("12345");
            held = x;
        };
        Client c(h);
        ASSERT_TRUE(c.send(std::string("GET ") + target + " HTTP/1.1\r\nHost: h\r\n\r\n"));
        ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
        std::string whole, early;
        pollfd p{c.fd, POLLIN, 0};
        while (poll(&p, 1, 50) == 1 && c.fill()) {
        }
        early = c.in;
        std::string last = target[1] == 'c' ? "0\r\n\r\n" : target[1] == 'l' ? "5" : "\n";
        ASSERT_GT(early.size(), 10u);
        EXPECT_NE(early.substr(early.size() - last.size()), target[1] == 'e' ? "\r\n\r\n" : last);
        h.post([&] { held.load()->end(); });
        Answer a = c.answer();
        EXPECT_EQ(a.body, target[1] == 'e' ? "" : "12345");
        EXPECT_FALSE(a.closed);
    }
}

TEST(FlowLife, BrokenAnswersLookBroken)
{
    Harness h;
    h.script = [](kt_exchange *x) {
        x->head(200, x->target == "/length" ? 5 : -1);
        x->write("12345");
        x->abort();
    };
    {
        Client c(h);
        ASSERT_TRUE(c.send("GET /length HTTP/1.1\r\nHost: h\r\n\r\n"));
        Answer a = c.answer();
        EXPECT_TRUE(a.closed);
        EXPECT_EQ(a.body, "1234");
    }
    {
        Client c(h);
        ASSERT_TRUE(c.send("GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n"));
        Answer a = c.answer();
        EXPECT_TRUE(a.closed);
        EXPECT_EQ(a.body, "12345"); /* what was written before is delivered */
    }
    {
        Client c(h); /* without framing only a reset says it */
        ASSERT_TRUE(c.send("GET / HTTP/1.0\r\n\r\n"));
        c.rest();
        EXPECT_EQ(c.last_errno, ECONNRESET);
    }
}

TEST(FlowLife, LessThanTheHeadPromisedLooksBroken)
{
    Harness h;
    h.script = [](kt_exchange *x) {
        x->head(200, 10);
        x->write("12345");
        x->end();
    };
    {
        Client c(h);
        ASSERT_TRUE(c.send(GET));
        EXPECT_TRUE(c.answer().closed);
    }
    {
        Client c(h);
        EXPECT_EQ(c.tls(h, "api.test"), 1);
        ASSERT_TRUE(c.send(GET));
        EXPECT_TRUE(c.answer().closed);
        EXPECT_FALSE(c.orderly); /* no close_notify: the cut is visible to TLS too */
    }
}

TEST(FlowLife, SlowReaderMakesTheExchangePause)
{
    for (bool tls : {false, true}) {
        Harness h;
        constexpr size_t TOTAL = 24u << 20, PIECE = 32768;
        std::atomic<size_t> worst{0}, pauses{0};
        std::function<void(kt_exchange *)> pump = [&](kt_exchange *x) {
            while (x->sent < TOTAL) {
                size_t backlog = x->sink.backlog(x->sink.flow);
                worst = std::max(worst.load(), backlog);
                if (backlog > (256u << 10)) {
                    pauses++;
                    return;
                }
                x->write(std::string(PIECE, static_cast<char>('a' + (x->sent / PIECE) % 26)));
                x->sent += PIECE;
            }
            x->end();
        };
        h.script = [&](kt_exchange *x) {
            x->head(200, tls ? -1 : static_cast<int64_t>(TOTAL));
            x->writable = pump;
            pump(x);
        };
        Client c(h);
        if (tls) {
            ASSERT_EQ(c.tls(h, "api.test"), 1);
        }
        ASSERT_TRUE(c.send(GET));
        ASSERT_TRUE(h.wait([&] { return pauses > 0; })); /* nobody reads: it must stop by itself */
        Answer a = c.answer();
        ASSERT_EQ(a.body.size(), TOTAL);
        for (size_t i = 0; i < TOTAL; i += PIECE / 2)
            ASSERT_EQ(a.body[i], static_cast<char>('a' + (i / PIECE) % 26)) << i;
        EXPECT_LT(worst, size_t{KT_FLOW_PAUSE_BYTES});
        ASSERT_TRUE(c.send(GET)); /* the connection is fit for more */
        EXPECT_EQ(c.answer().status, 200);
    }
}

TEST(FlowLife, ClientGoneDuringAnExchange)
{
    for (int how = 0; how < 5; how++) { /* close, reset, half-close and close, TLS close, and half before */
        Harness h;
        std::atomic<int> started{0};
        h.script = [&](kt_exchange *x) {
            x->head(200, -1);
            x->write("data");
            started++;
        };
        Client c(h);
        if (how >= 3) {
            ASSERT_EQ(c.tls(h, "api.test"), 1);
        }
        ASSERT_TRUE(c.send(GET));
        ASSERT_TRUE(h.wait([&] { return started == 1; }));
        if (how == 1) {
            linger hard{1, 0};
            setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        if (how >= 3)
            SSL_shutdown(c.ssl);
        if (how == 4)
            shutdown(c.fd, SHUT_WR);
        if (how == 2) { /* it still reads */
            shutdown(c.fd, SHUT_WR);
            std::this_thread::sleep_for(std::chrono::milliseconds(120));
            EXPECT_EQ(h.gone, 0) << how;
        }
        close(c.fd);
        c.fd = -1;
        EXPECT_TRUE(h.wait([&] { return h.gone == 1; })) << how;
        EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; })) << how;
        EXPECT_EQ(h.live, 0);
    }
}

TEST(FlowLife, AShutSendingSideStillGetsItsAnswer)
{
    Harness h;
    std::atomic<kt_exchange *> held{nullptr};
    h.script = [&](kt_exchange *x) { held = x; };
    Client c(h);
    ASSERT_TRUE(c.send(post("half")));
    shutdown(c.fd, SHUT_WR); /* as nc -N */
    ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_EQ(h.gone, 0);
    h.post([&] { echo(held); });
    EXPECT_EQ(c.answer().body, "half");
    EXPECT_TRUE(c.ends());
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    EXPECT_EQ(h.gone, 0);
}

TEST(FlowLife, AShutSendingSideStillGetsTheAnswersToAllThatCame)
{
    for (bool half : {false, true}) { // of a fourth request, which nothing completes
        Harness h;
        std::atomic<kt_exchange *> held{nullptr};
        h.script = [&](kt_exchange *x) { held = x; };
        Client c(h);
        ASSERT_TRUE(
            c.send(post("one") + post("two") + post("three") + (half ? post("four").substr(0, 40) : "")));
        shutdown(c.fd, SHUT_WR);
        for (const char *body : {"one", "two", "three"}) {
            ASSERT_TRUE(h.wait([&] { return held != nullptr; })) << body << half;
            std::this_thread::sleep_for(std::chrono::milliseconds(20)); /* the FIN is seen */
            kt_exchange *x = held.exchange(nullptr);
            h.post([&] { echo(x); });
            Answer a = c.answer();
            EXPECT_EQ(a.body, body) << half;
        }
        EXPECT_TRUE(c.ends()) << half;
        EXPECT_EQ(c.last_errno, 0);
        EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; })) << half;
        EXPECT_EQ(h.requests().size(), 3u);
        EXPECT_EQ(h.gone, 0);
    }
}

// All is said and the exchange over, but the client has not read it: a FIN then is one like any other.
TEST(FlowLife, AShutSendingSideStillGetsAFinishedAnswerThatWaits)
{
    const std::string much(24u << 20, 'x');
    for (bool reads : {true, false}) {
        Harness h;
        std::atomic<bool> ended{false};
        h.script = [&](kt_exchange *x) {
            echo(x);
            ended = true;
        };
        Client c(h);
        ASSERT_TRUE(c.send(post(much)));
        ASSERT_TRUE(h.wait([&] { return ended.load(); }));
        shutdown(c.fd, SHUT_WR);
        std::this_thread::sleep_for(std::chrono::milliseconds(60)); /* seen, and looked at once more */
        EXPECT_EQ(kt_flows_count(h.flows), 1u);
        if (reads) {
            EXPECT_TRUE(c.answer().body == much);
            EXPECT_TRUE(c.ends());
            EXPECT_EQ(c.last_errno, 0);
        } else {
            close(c.fd);
            c.fd = -1;
        }
        EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; })) << reads;
        EXPECT_EQ(h.gone, 0);
    }
}

TEST(FlowLife, HalfOfARequestAndAShutSideIsNoCall)
{
    Harness h;
    Client c(h);
    ASSERT_TRUE(c.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n\r\nab"));
    shutdown(c.fd, SHUT_WR);
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    EXPECT_TRUE(h.requests().empty());
}

TEST(FlowLife, ARequestWhoseClientLeftAtOnceIsStillStarted)
{
    Harness h;
    std::atomic<int> started{0};
    h.script = [&](kt_exchange *) { started++; };
    for (int i = 0; i < 50; i++) {
        Client c(h);
        c.send(GET);
    }
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    EXPECT_EQ(started, 50);
    EXPECT_EQ(h.gone, 50);
}

TEST(FlowLife, ConnectionsThatSayNothingCostNothing)
{
    Harness h;
    {
        std::vector<std::unique_ptr<Client>> cs;
        for (int i = 0; i < 50; i++)
            cs.push_back(std::make_unique<Client>(h));
        cs[0]->send("P");
        ASSERT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 50; }));
    }
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    EXPECT_TRUE(h.requests().empty());
    EXPECT_TRUE(h.reports().empty());
}

TEST(FlowLife, ClosingTheSetTellsEveryExchange)
{
    Harness h;
    std::atomic<int> started{0};
    h.script = [&](kt_exchange *) { started++; };
    std::vector<std::unique_ptr<Client>> cs;
    for (int i = 0; i < 5; i++) {
        cs.push_back(std::make_unique<Client>(h));
        ASSERT_TRUE(cs.back()->send(GET));
    }
    ASSERT_TRUE(h.wait([&] { return started == 5; }));
    h.stop();
    EXPECT_EQ(h.gone, 5);
    for (auto &c : cs)
        EXPECT_TRUE(c->ends());
}

TEST(FlowLife, AfterTheEndAndBeyondItsMeans)
{
    Harness h;
    Tcp t = connect_pair();
    h.post([&] { kt_flows_close(h.flows); });
    ASSERT_TRUE(kt_is_ok(
        kt_flows_adopt(h.flows, t.server, "api.test", 443))); /* closed as soon as the loop sees it */
    char b;
    EXPECT_EQ(recv(t.client, &b, 1, 0), 0);
    close(t.client);
    EXPECT_FALSE(kt_is_ok(kt_flows_adopt(h.flows, -1, "api.test", 443)));
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
}

} // namespace
