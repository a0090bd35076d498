/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream_fixture.hpp"

namespace {

using namespace fake;

class UpstreamFault : public UpstreamTest {};

// Head and first piece come in one segment, so that a slow machine cannot put a limit between them.
TEST_F(UpstreamFault, FourTimeLimits)
{
    Gate end;
    Server silent([&](Conn &, const Request &) { return end.wait() && false; });
    Server stalls([&](Conn &c, const Request &) {
        return c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx") && end.wait() && false;
    });
    Seen first, idle, total;
    Ask a;
    a.url = silent.url("/");
    a.first_ms = 50;
    call(a, first);
    a.first_ms = 0;
    a.total_ms = 50;
    call(a, total);
    a.url = stalls.url("/");
    a.total_ms = 0;
    a.idle_ms = 50;
    call(a, idle);
    ASSERT_TRUE(first.wait_done() && idle.wait_done() && total.wait_done());
    EXPECT_EQ(first.outcome, KT_CALL_TIMEOUT);
    EXPECT_EQ(first.heads, 0);
    EXPECT_EQ(total.outcome, KT_CALL_TIMEOUT);
    EXPECT_EQ(idle.outcome, KT_CALL_TIMEOUT);
    EXPECT_EQ(idle.body, "x");
    end.open();
}

TEST_F(UpstreamFault, ACutHeadIsNoAnswer)
{
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX: y\r\n\r\n";
    std::atomic<size_t> n{0};
    Server cuts([&](Conn &c, const Request &) { return c.send(head.substr(0, n)) && false; });
    for (n = 1; n < head.size(); n++) {
        Seen s;
        Ask a;
        a.url = cuts.url("/");
        call(a, s);
        ASSERT_TRUE(s.wait_done());
        EXPECT_EQ(s.outcome, KT_CALL_CONNECTION) << n;
        EXPECT_EQ(s.heads, 0) << n;
    }
}

TEST_F(UpstreamFault, AHeadThatDripsIsNoFirstByte)
{
    Server drips([&](Conn &c, const Request &) {
        bool on = c.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n");
        while (on) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            on = c.send("X-Drip: 1\r\n");
        }
        return false;
    });
    Seen s;
    Ask a;
    a.url = drips.url("/");
    a.first_ms = 100;
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_TIMEOUT) << "and not after 256 fields";
    EXPECT_EQ(s.heads, 0);
}

// libcurl 7.88 closes such sockets without telling us: their fds must not stay ours.
TEST_F(UpstreamFault, SocketsThatNeverConnectedAreGivenBack)
{
    fake::SilentPort silent;
    size_t before = kt_fds_count(), after = 0, open = 99;
    Seen timed, cancelled, total;
    Ask a;
    a.url = "http://127.0.0.1:" + std::to_string(silent.port()) + "/";
    a.connect_ms = 60;
    call(a, timed);
    a.connect_ms = 10000;
    call(a, cancelled);
    a.total_ms = 60;
    call(a, total);
    ASSERT_TRUE(timed.wait_done() && total.wait_done());
    EXPECT_EQ(timed.outcome, KT_CALL_TIMEOUT) << timed.detail;
    EXPECT_EQ(total.outcome, KT_CALL_TIMEOUT) << total.detail;
    on_loop([&] {
        kt_call_cancel(cancelled.call);
        after = kt_fds_count();
        open = kt_upstream_sockets(up);
    });
    EXPECT_EQ(after, before);
    EXPECT_EQ(open, 0u);
}

TEST_F(UpstreamFault, CutAnswerIsNoWholeAnswer)
{
    Server server([](Conn &c, const Request &) {
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        return false;
    });
    Seen s;
    Ask a;
    a.url = server.url("/");
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_CONNECTION);
    EXPECT_EQ(s.body, "half");
}

// libcurl would send it again by itself, and a model would run twice.
TEST_F(UpstreamFault, ARequestIsNotSentTwiceOnAKeptConnection)
{
    for (const char *method : {"POST", "GET"}) {
        std::atomic<int> all{0};
        Server server([&](Conn &c, const Request &) {
            return ++all == 2 ? false : c.reply(200, "text/plain", "hello");
        });
        Ask a;
        a.method = method;
        a.url = server.url("/");
        for (int i = 0; i < 3; i++) {
            Seen s;
            call(a, s);
            ASSERT_TRUE(s.wait_done());
            bool lost = i == 1 && a.method == "POST";
            EXPECT_EQ(s.outcome, lost ? KT_CALL_CONNECTION : KT_CALL_OK) << method << i << s.detail;
            EXPECT_EQ(s.detail, lost ? "the connection ended without an answer" : "") << method << i;
        }
        EXPECT_EQ(all, a.method == "POST" ? 3 : 4);
    }
}

TEST_F(UpstreamFault, CancelClosesTheConnection)
{
    for (bool inside : {false, true}) {
        Gate gone;
        Server server([&](Conn &c, const Request &) {
            c.sse_head();
            c.chunk("x");
            if (c.peer_gone())
                gone.open();
            return false;
        });
        Seen s;
        if (inside)
            s.at_data = [](Seen &seen) { kt_call_cancel(seen.call); };
        Ask a;
        a.url = server.url("/");
        call(a, s);
        ASSERT_TRUE(s.wait_body(1));
        if (!inside)
            on_loop([&] { kt_call_cancel(s.call); });
        EXPECT_TRUE(gone.wait());
        on_loop([] {});
        EXPECT_EQ(s.dones, 0) << "a cancelled call says nothing more";
    }
}

TEST_F(UpstreamFault, ACallMayStartInsideASlot)
{
    Server server(hello);
    Seen one, two;
    Ask a, b;
    a.url = server.url("/one");
    b.url = server.url("/two");
    one.at_head = [&](Seen &s) {
        kt_call_cancel(s.call);
        ASSERT_TRUE(kt_is_ok(begin(b, two)));
    };
    call(a, one);
    ASSERT_TRUE(two.wait_done());
    EXPECT_EQ(two.outcome, KT_CALL_OK);
    EXPECT_EQ(one.dones, 0);
}

TEST_F(UpstreamFault, PauseHoldsTheSenderBack)
{
    const size_t total = 64u << 20;
    Server server([&](Conn &c, const Request &) {
        c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(total) + "\r\n\r\n");
        const std::string piece(1 << 20, 'p');
        for (size_t n = 0; n < total; n += piece.size())
            if (!c.send(piece))
                return false;
        return true;
    });
    Seen s;
    std::atomic<bool> pausing{true};
    s.at_data = [&](Seen &seen) {
        if (pausing)
            kt_call_pause(seen.call);
    };
    Ask a;
    a.url = server.url("/");
    a.idle_ms = 1000; // does not run while paused
    call(a, s);
    ASSERT_TRUE(s.wait_body(1));
    Gate end; // another call with the same limit runs into it: so the time has passed for the paused one, too
    Server stalls([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk("x");
        return end.wait() && false;
    });
    Seen clock;
    Ask stalled = a;
    stalled.url = stalls.url("/");
    stalled.idle_ms = 1100;
    call(stalled, clock);
    ASSERT_TRUE(clock.wait_done());
    end.open();
    EXPECT_EQ(clock.outcome, KT_CALL_TIMEOUT);
    size_t held;
    {
        std::lock_guard<std::mutex> l(s.m);
        held = s.body.size();
        EXPECT_EQ(s.dones, 0);
    }
    EXPECT_LE(held, 64u << 10) << "one piece and no more";
    pausing = false;
    on_loop([&] { kt_call_resume(s.call); });
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_OK) << s.detail;
    EXPECT_EQ(s.body.size(), total);
}

TEST_F(UpstreamFault, ReleaseKeepsTheConnection)
{
    Gate released, sent;
    Server server([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk("all");
        released.wait();
        c.chunk("ignored");
        bool ok = c.chunk_end();
        sent.open();
        return ok;
    });
    Ask a;
    a.url = server.url("/");
    a.body = "{}";
    Seen one, two;
    one.at_data = [](Seen &s) { kt_call_release(s.call); };
    call(a, one);
    ASSERT_TRUE(one.wait_body(3));
    size_t open = 0;
    on_loop([&] { open = kt_upstream_sockets(up); });
    EXPECT_EQ(open, 1u) << "released, not cancelled";
    released.open();
    ASSERT_TRUE(sent.wait());
    for (int i = 0; i < 200; i++) // turns of the loop, in which the rest is read away
        on_loop([] {});
    call(a, two);
    ASSERT_TRUE(two.wait_done());
    EXPECT_EQ(one.dones, 0);
    EXPECT_EQ(one.body, "all");
    EXPECT_EQ(two.body, "allignored");
    EXPECT_EQ(server.connections(), 1u);
}

TEST_F(UpstreamFault, ReleasedCallThatNeverEndsIsDropped)
{
    Gate gone;
    Server server([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk("all");
        if (c.peer_gone())
            gone.open();
        return false;
    });
    Seen s;
    s.at_data = [](Seen &seen) { kt_call_release(seen.call); };
    Ask a;
    a.url = server.url("/");
    call(a, s);
    EXPECT_TRUE(gone.wait());
    on_loop([] {});
    EXPECT_EQ(s.dones, 0);
}

TEST_F(UpstreamFault, HostileHeadersOfOursAreRefused)
{
    for (const auto &h : std::vector<std::pair<std::string, std::string>>{
             {"X-A", "1\r\nX-B: 2"}, {"X A", "1"}, {"X-A:", "1"}, {"", "1"}, {"X-A", "a\nb"}}) {
        Seen s;
        Ask a;
        a.url = "http://127.0.0.1:1/";
        a.headers = {h};
        on_loop([&] { EXPECT_EQ(begin(a, s).code, KT_ERR_USAGE) << h.first; });
    }
    Seen s;
    Ask a;
    a.method = "GET /x HTTP/1.1\r\nX:";
    a.url = "http://127.0.0.1:1/";
    on_loop([&] { EXPECT_EQ(begin(a, s).code, KT_ERR_USAGE); });
}

TEST_F(UpstreamFault, OtherProtocolsAreRefused)
{
    Seen s;
    Ask a;
    a.method = "GET";
    a.url = "file:///etc/passwd";
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_NE(s.outcome, KT_CALL_OK);
    EXPECT_EQ(s.body, "");
}

TEST_F(UpstreamFault, HugeHeadIsCutOff)
{
    Server server([](Conn &c, const Request &) {
        c.send("HTTP/1.1 200 OK\r\n");
        const std::string line = "X-Pad: " + std::string(8000, 'x') + "\r\n";
        for (int i = 0; i < 10000; i++)
            if (!c.send(line))
                return false;
        return false;
    });
    Seen s;
    Ask a;
    a.url = server.url("/");
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_TOO_LARGE);
    EXPECT_EQ(s.heads, 0);
}

TEST_F(UpstreamFault, NeverConnectsToASyntheticAddress)
{
    Seen s;
    Ask a;
    a.url = "http://127.183.0.1:" + std::to_string(fake::DeadPort().port()) + "/";
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_CONNECTION);
}

TEST_F(UpstreamFault, FreeWithCallsUnderWay)
{
    Gate end;
    Server server([&](Conn &, const Request &) { return end.wait() && false; });
    Seen s[5];
    Ask a;
    a.url = server.url("/");
    for (auto &one : s)
        call(a, one);
    ASSERT_TRUE(server.wait_requests(5));
    stop();
    end.open();
    for (auto &one : s)
        EXPECT_EQ(one.dones, 0);
}

TEST_F(UpstreamFault, CancelAndFreeOfPausedCalls)
{
    Server server([&](Conn &c, const Request &) {
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n");
        const std::string piece(100000, 'p');
        while (c.send(piece))
            ;
        return false;
    });
    Ask a;
    a.url = server.url("/");
    Seen cancelled, left;
    cancelled.at_data = left.at_data = [](Seen &seen) { kt_call_pause(seen.call); };
    call(a, cancelled);
    call(a, left);
    ASSERT_TRUE(cancelled.wait_body(1) && left.wait_body(1));
    for (int i = 0; i < 50; i++)
        on_loop([] {});
    on_loop([&] { kt_call_cancel(cancelled.call); });
    stop();
    EXPECT_EQ(cancelled.dones + left.dones, 0);
}

} // namespace
