/* SPDX-License-Identifier: Apache-2.0 */
/* A handle keeps its options for the next call of its kind: nothing of the last call may be among them. */
#include "gzip.hpp"
#include "upstream_fixture.hpp"

namespace {

using namespace fake;

class Reuse : public UpstreamTest {
  protected:
    void done(const Ask &a, Seen &s, kt_call_outcome outcome = KT_CALL_OK)
    {
        call(a, s);
        ASSERT_TRUE(s.wait_done());
        EXPECT_EQ(s.outcome, outcome) << a.method << " " << a.url << ": " << s.detail;
    }
};

Ask ask(const Server &server, const char *method, const char *path, const char *body = "")
{
    Ask a;
    a.method = method;
    a.url = server.url(path);
    a.body = body;
    return a;
}

// Twelve kinds, more than are looked at: first with fresh handles, then with whatever the calls before left.
std::vector<Ask> kinds(const Server &server)
{
    std::vector<Ask> all = {ask(server, "POST", "/a", "one"),
                            ask(server, "POST", "/a", "another body"),
                            ask(server, "POST", "/a"),
                            ask(server, "GET", "/a"),
                            ask(server, "HEAD", "/a"),
                            ask(server, "DELETE", "/a"),
                            ask(server, "PUT", "/a", "x"),
                            ask(server, "PATCH", "/a", "x"),
                            ask(server, "POST", "/b", "x"),
                            ask(server, "POST", "/a?key=1", "x"),
                            ask(server, "POST", "/a?key=2", "y"),
                            ask(server, "AVERYVERYLONGMETHOD", "/a")};
    all[1].headers = {{"Authorization", "Bearer one"}, {"Content-Type", "application/json"}};
    all[8].headers = {{"X-Api-Key", "two"}, {"Accept", "text/event-stream"}, {"X-Empty", ""}};
    all[8].stream = true;
    return all;
}

bool bodiless(Conn &c, const Request &r)
{
    return r.method == "HEAD" ? c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") : hello(c, r);
}

TEST_F(Reuse, EveryRequestIsAsIfItWereTheFirst)
{
    Server server(bodiless);
    std::vector<Ask> all = kinds(server);
    std::vector<std::string> first;
    for (const Ask &a : all) {
        stop(); // a fresh one
        start();
        Seen s;
        done(a, s);
        Request r = server.requests().back();
        first.push_back(r.head + r.body);
    }
    for (size_t step : {1u, 5u, 7u, 11u}) // each kind behind several others, and behind itself
        for (size_t i = 0; i < 2 * all.size(); i++) {
            Seen s;
            size_t k = i / 2 * step % all.size();
            done(all[k], s);
            Request r = server.requests().back();
            EXPECT_EQ(r.head + r.body, first[k]) << step << " " << i;
            EXPECT_EQ(s.body, all[k].method == "HEAD" ? "" : "hello");
        }
}

TEST_F(Reuse, TheKeyOfOneCallIsNotSentWithTheNext)
{
    Server server(hello);
    for (const char *key : {"Bearer first", "", "Bearer third", ""}) {
        Seen s;
        Ask a = ask(server, "POST", "/", "x");
        if (*key)
            a.headers = {{"Authorization", key}};
        done(a, s);
        EXPECT_EQ(server.requests().back().header("authorization"), key);
    }
}

TEST_F(Reuse, TimeLimitsAreThoseOfTheCall)
{
    Gate late;
    Server server([&](Conn &c, const Request &r) {
        if (r.body == "late")
            (void)late.wait();
        return hello(c, r);
    });
    Seen quick, cut, again, slow;
    Ask a = ask(server, "POST", "/", "x");
    done(a, quick);
    a.body = "late"; // on the handle that had 20 s
    a.total_ms = 50;
    done(a, cut, KT_CALL_TIMEOUT);
    a.body = "x";
    a.total_ms = 500;
    done(a, again);
    a.body = "late"; // on the handle that had half a second
    a.total_ms = 0;
    call(a, slow);
    {
        std::unique_lock<std::mutex> l(slow.m);
        EXPECT_FALSE(slow.c.wait_for(l, std::chrono::milliseconds(700), [&] { return slow.dones > 0; }));
    }
    late.open();
    ASSERT_TRUE(slow.wait_done());
    EXPECT_EQ(slow.outcome, KT_CALL_OK) << slow.detail;
}

TEST_F(Reuse, ACodingOfOneAnswerIsNotThatOfTheNext)
{
    const std::string text(3000, 't');
    Server server([&](Conn &c, const Request &r) {
        if (r.body == "plain")
            return c.reply(200, "text/plain", text);
        return c.reply(200, "text/plain", gzip(text), "Content-Encoding: gzip\r\n");
    });
    for (const char *body : {"gzip!", "plain", "gzip!", "gzip!", "plain", "plain"}) {
        Seen s;
        done(ask(server, "POST", "/", body), s);
        EXPECT_EQ(s.body, text) << body;
    }
}

// What went wrong, and what was given up, leaves nothing behind.
TEST_F(Reuse, AfterAFailure)
{
    Gate arrived;
    Server server([&](Conn &c, const Request &r) {
        if (r.body == "cut")
            return false;
        if (r.body == "wait") {
            arrived.open();
            c.peer_gone();
            return false;
        }
        return hello(c, r);
    });
    for (int i = 0; i < 3; i++) {
        Seen fine, cut, given_up;
        done(ask(server, "POST", "/", "x"), fine);
        done(ask(server, "POST", "/", "cut"), cut, KT_CALL_CONNECTION);
        EXPECT_FALSE(cut.detail.empty());
        arrived.close();
        Ask wait = ask(server, "POST", "/", "wait"); // its body is borrowed
        call(wait, given_up);
        EXPECT_TRUE(arrived.wait());
        on_loop([&] { kt_call_cancel(given_up.call); });
        Seen last;
        done(ask(server, "POST", "/", "x"), last);
        EXPECT_EQ(last.body, "hello");
        EXPECT_EQ(last.detail, "");
        EXPECT_EQ(given_up.dones, 0);
    }
}

TEST_F(Reuse, ManyAtOnce)
{
    Server server(bodiless);
    std::vector<Ask> all = kinds(server);
    for (int round = 0; round < 3; round++) {
        std::vector<std::unique_ptr<Seen>> seen;
        for (int i = 0; i < 40; i++) {
            seen.push_back(std::make_unique<Seen>());
            call(all[static_cast<size_t>(i) % all.size()], *seen.back());
        }
        for (size_t i = 0; i < seen.size(); i++) {
            ASSERT_TRUE(seen[i]->wait_done());
            EXPECT_EQ(seen[i]->outcome, KT_CALL_OK) << seen[i]->detail;
            EXPECT_EQ(seen[i]->body, all[i % all.size()].method == "HEAD" ? "" : "hello");
        }
    }
}

} // namespace
