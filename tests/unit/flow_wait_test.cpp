/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the program that wait for their answer's bytes themselves. */
#include "flow_client.hpp"
#include "slow.hpp"

namespace {

/* An exchange whose target is the far end of a socket pair: what comes from there goes to the client, and "."
 * ends the answer. */
struct Target {
    Harness &h;
    int far = -1;
    kt_loop_watch watch{};
    kt_exchange *x = nullptr;
    bool headed = false;
    std::atomic<int> served{0};
    std::atomic<std::thread::id> in{}; /* who served last */

    explicit Target(Harness &harness) : h(harness)
    {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        far = ends[0];
        watch.fd = ends[1];
        watch.arg = this;
        watch.fn = [](void *t, uint32_t) { static_cast<Target *>(t)->ready(); };
        h.script = [this](kt_exchange *y) {
            x = y;
            headed = false;
            EXPECT_TRUE(kt_is_ok(kt_loop_watch_set(h.loop, &watch, EPOLLIN)));
            y->waits_for = &watch;
        };
    }
    ~Target()
    {
        h.stop();
        close(far);
        close(watch.fd);
    }
    void ready()
    {
        char buf[256];
        ssize_t n = recv(watch.fd, buf, sizeof buf, 0);
        served++;
        in = std::this_thread::get_id();
        if (n <= 0 || !x)
            return;
        bool last = buf[n - 1] == '.';
        put({buf, static_cast<size_t>(n)});
        if (!last)
            return;
        kt_loop_watch_drop(h.loop, &watch);
        kt_exchange *over = x;
        x = nullptr;
        over->end();
    }
    void put(const std::string &text)
    {
        if (!headed)
            x->head(200, -1);
        headed = true;
        x->write(text);
        x->sink.push(x->sink.flow);
    }
    void say(const std::string &text) const
    {
        EXPECT_EQ(send(far, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    }
};

int wait(kt_flow *f, enum kt_flow_wait how)
{
    size_t none = 0;
    return kt_flow_wait(f, how, 0, nullptr, &none);
}

struct Reader {
    Harness &h;
    Client c;
    kt_flow *f;
    explicit Reader(Harness &harness) : h(harness), c(harness)
    {
        EXPECT_EQ(c.tls(h, "api.test"), 1);
        f = kt_flows_by_random(h.flows, random_of(c.ssl).data());
        EXPECT_NE(f, nullptr);
    }
    ~Reader()
    {
        kt_flow_release(f);
    }
    void ask() const
    {
        EXPECT_EQ(kt_flow_write(f, GET.data(), GET.size()), static_cast<ssize_t>(GET.size()));
    }
    /* As soon as the loop's thread sleeps. */
    int begin()
    {
        int fd = -1;
        EXPECT_TRUE(h.wait([&] { return (fd = wait(f, KT_FLOW_WAIT_BEGIN)) >= 0; }));
        return fd;
    }
};

void sleep_on(int fd)
{
    pollfd p = {fd, POLLIN, 0};
    ASSERT_EQ(poll(&p, 1, 5000), 1);
}

TEST(FlowWait, TheReaderServesItsOwnAnswer)
{
    Harness h;
    Target t(h);
    Reader r(h);
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_BEGIN), -1) << "nothing is asked";
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_READY), -1);
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_END), -1);
    r.ask();
    int here = 0, n = 0; /* not where the loop's thread was awake for a moment */
    for (std::string piece : {"one", "two", "three", "four", "five", "six", "seven", "eight."}) {
        int fd = r.begin();
        EXPECT_EQ(fd, t.watch.fd);
        t.say(piece);
        sleep_on(fd);
        EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_READY), -1) << "there is something to read";
        EXPECT_TRUE(h.wait([&] { return t.served == n + 1; }));
        here += t.in.load() == std::this_thread::get_id();
        n++;
    }
    EXPECT_GT(here, 0);
    EXPECT_EQ(r.c.answer().body, "onetwothreefourfivesixseveneight.");
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_BEGIN), -1) << "it is answered";
}

/* Right into its buffer, as far as that goes; the rest, and what comes later, over the connection. */
TEST(FlowWait, TheAnswerComesIntoTheReadersBuffer)
{
    Harness h;
    Target t(h);
    Reader r(h);
    r.ask();
    uint64_t taken = 0;
    size_t here = 0; /* not where the loop's thread was awake for a moment */
    for (std::string piece : {"one", "two", "a longer one", "three", "another long one", "four", "."}) {
        int fd = r.begin();
        t.say(piece);
        sleep_on(fd);
        char buf[256];
        size_t len = piece.size() > 10 ? 10 : sizeof buf;
        EXPECT_EQ(kt_flow_wait(r.f, KT_FLOW_WAIT_READY, taken, buf, &len), -1);
        r.c.in.append(buf, len);
        here += len;
        while (r.c.in.find(piece + "\r\n") == std::string::npos) {
            size_t before = r.c.in.size();
            ASSERT_TRUE(r.c.fill());
            taken += r.c.in.size() - before;
        }
    }
    EXPECT_GT(here, 0u);
    Answer a = r.c.answer();
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(a.body, "onetwoa longer onethreeanother long onefour.");
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_BEGIN), -1);
}

/* What left before it, and was not read yet, comes first. */
TEST(FlowWait, NothingOvertakes)
{
    Harness h;
    Target t(h);
    Reader r(h);
    r.ask();
    int fd = r.begin();
    h.post([&] { t.put("before "); });
    EXPECT_TRUE(h.wait([&] {
        char c;
        return recv(r.c.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    }));
    t.say("behind.");
    sleep_on(fd);
    char buf[1024];
    size_t len = sizeof buf;
    EXPECT_EQ(kt_flow_wait(r.f, KT_FLOW_WAIT_READY, 0, buf, &len), -1);
    EXPECT_EQ(len, 0u);
    EXPECT_EQ(r.c.answer().body, "before behind.");
}

/* However the wait ends, the loop's thread goes on. */
TEST(FlowWait, WhoEverLeavesIsReplaced)
{
    Harness h;
    Target t(h);
    Reader r(h);
    r.ask();
    r.begin();
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_END), -1);
    t.say("without me.");
    EXPECT_EQ(r.c.answer().body, "without me.");
    EXPECT_NE(t.in, std::this_thread::get_id());
    r.ask();
    r.begin();
    ERR_raise(ERR_LIB_USER, 7); /* of the program: its queue is not ours */
    t.say("nor with errors.");
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_READY), -1);
    EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 7);
    EXPECT_EQ(r.c.answer().body, "nor with errors.");
    EXPECT_NE(t.in, std::this_thread::get_id());
}

/* siglongjmp and pthread_cancel leave a loan behind. */
TEST(FlowWait, WhoNeverComesBackIsMissed)
{
    Harness h;
    Target t(h);
    Reader r(h);
    r.ask();
    r.begin();
    t.say("late, but here.");
    EXPECT_EQ(r.c.answer().body, "late, but here.");
    EXPECT_NE(t.in, std::this_thread::get_id());
}

/* What the exchange waits for may go, and come back as something else, while the reader sleeps. */
TEST(FlowWait, TheLoanEndsWithItsWatch)
{
    Harness h;
    Target t(h);
    Reader r(h);
    r.ask();
    r.begin();
    h.post([&] {
        kt_loop_watch_drop(h.loop, &t.watch);
        t.x->waits_for = nullptr;
    });
    EXPECT_TRUE(h.wait([&] { return wait(r.f, KT_FLOW_WAIT_READY) == -1; }));
    EXPECT_EQ(t.served, 0);
    h.post([&] { t.x->waits_for = &t.watch; });
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_BEGIN), -1) << "not watched";
    h.post([&] { EXPECT_TRUE(kt_is_ok(kt_loop_watch_set(h.loop, &t.watch, EPOLLIN))); });
    r.begin();
    close(r.c.fd); /* and with the connection */
    r.c.fd = -1;
    EXPECT_TRUE(h.wait([&] { return h.gone == 1; }));
    h.post([&] {
        t.x = nullptr;
        EXPECT_EQ(t.watch.loan, nullptr);
        kt_loop_watch_drop(h.loop, &t.watch);
    });
    EXPECT_EQ(wait(r.f, KT_FLOW_WAIT_READY), -1);
}

/* One answer, by whoever comes first: the reader, another one as the loop's guest, or the loop's thread. */
struct Once {
    kt_loop_watch watch{};
    int far = -1;
    kt_exchange *x = nullptr;
    static void begin(kt_exchange *x)
    {
        auto *o = new Once;
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        o->far = ends[0];
        o->x = x;
        o->watch.fd = ends[1];
        o->watch.arg = o;
        o->watch.fn = [](void *arg, uint32_t) { static_cast<Once *>(arg)->end(); };
        ASSERT_TRUE(kt_is_ok(kt_loop_watch_set(x->h->loop, &o->watch, EPOLLIN)));
        x->waits_for = &o->watch;
        std::thread([fd = o->far] {
            std::this_thread::sleep_for(std::chrono::microseconds(100));
            EXPECT_EQ(send(fd, ".", 1, 0), 1);
            close(fd);
        }).detach();
    }
    void end()
    {
        kt_loop_watch_drop(x->h->loop, &watch);
        close(watch.fd);
        echo(x);
        delete this;
    }
};

TEST(FlowWait, ManyReaders)
{
    Harness h;
    h.script = Once::begin;
    std::atomic<int> waited{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([&] {
            Reader r(h);
            for (int n = 0; n < 60; n++) {
                r.ask();
                for (int fd; (fd = wait(r.f, KT_FLOW_WAIT_BEGIN)) >= 0;) {
                    waited++;
                    pollfd p[2] = {{fd, POLLIN, 0}, {r.c.fd, POLLIN, 0}};
                    poll(p, 2, 1000);
                    if (wait(r.f, p[1].revents ? KT_FLOW_WAIT_END : KT_FLOW_WAIT_READY) < 0)
                        break;
                }
                ASSERT_EQ(r.c.answer().body, "/v1/models");
            }
        });
    for (auto &t : threads)
        t.join();
    if (!slow::machine()) { /* one thread at a time: the answer may always be there first */
        EXPECT_GT(waited, 0);
    }
}

} // namespace
