/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are there before the program asks for them: into the read that follows, or over the
 * connection. */
#include "flow_client.hpp"
#include "slow.hpp"

namespace {

const std::string kBody = "/v1/models"; // what `echo` says

/* A program whose thread writes and then reads. */
struct Program {
    Harness &h;
    Client c;
    kt_flow *f;
    uint64_t taken = 0;     // over the connection
    size_t from_memory = 0; // answers, or pieces of them

    explicit Program(Harness &harness, int version = 0) : h(harness), c(harness)
    {
        EXPECT_EQ(c.tls(h, "api.test", true, version), 1);
        f = kt_flows_by_random(h.flows, random_of(c.ssl).data());
        EXPECT_NE(f, nullptr);
    }
    ~Program()
    {
        kt_flow_release(f);
    }
    /* A moment before it: the loop's thread sleeps again. */
    void ask() const
    {
        std::this_thread::sleep_for(std::chrono::microseconds(300));
        EXPECT_EQ(kt_flow_write(f, GET.data(), GET.size()), static_cast<ssize_t>(GET.size()));
    }
    /* What the hook of SSL_read does in front of the real one. */
    size_t begin_read(size_t room = 16384)
    {
        std::string buf(room, '\0');
        size_t len = room;
        EXPECT_EQ(kt_flow_wait(f, KT_FLOW_WAIT_BEGIN, taken, buf.data(), &len), -1);
        EXPECT_LE(len, room);
        c.in.append(buf, 0, len);
        from_memory += len > 0;
        return len;
    }
    void real_read()
    {
        size_t before = c.in.size();
        ASSERT_TRUE(c.fill()) << "errno " << c.last_errno << " orderly " << c.orderly << " in <" << c.in << ">";
        taken += c.in.size() - before;
    }
    void read(size_t room = 16384)
    {
        if (begin_read(room) == 0)
            real_read();
    }
    /* One whole answer and nothing behind it. */
    void answered(size_t room = 16384)
    {
        while (c.in.find("\r\n\r\n" + kBody) == std::string::npos)
            read(room);
        Answer a = c.answer();
        EXPECT_EQ(a.status, 200);
        EXPECT_EQ(a.body, kBody);
        EXPECT_EQ(c.in, "");
    }
    /* Until the flow knows how this program reads, and one answer was held. */
    void teach()
    {
        for (int i = 0; i < 2000 && !from_memory; i++) {
            ask();
            answered();
        }
        EXPECT_GT(from_memory, 0u);
    }
};

bool readable(int fd, int ms)
{
    pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, ms) == 1;
}

TEST(FlowHold, TheReadBehindTheWriteTakesTheAnswer)
{
    Harness h;
    Program p(h);
    p.ask();
    EXPECT_TRUE(readable(p.c.fd, 5000)) << "the first answer: nobody knows yet how it reads";
    p.answered();
    for (int i = 0; i < 200; i++) {
        p.ask();
        p.answered();
    }
    EXPECT_GT(p.from_memory, 0u);
}

/* Whoever waits for the connection is served over it. */
TEST(FlowHold, WhoAsksTheConnectionFirstIsServedThere)
{
    Harness h;
    Program p(h);
    p.teach();
    size_t fds = kt_fds_count();
    for (int i = 0; i < 20; i++) {
        p.ask();
        ASSERT_TRUE(readable(p.c.fd, 5000)) << i;
        p.real_read();
        p.answered();
    }
    EXPECT_EQ(kt_fds_count(), fds);
}

/* ... and after some tries at once, on every flow. */
TEST(FlowHold, TriesThatFailEnd)
{
    Harness h;
    Program p(h);
    p.teach();
    for (int i = 0; i < 60; i++) {
        p.ask();
        ASSERT_TRUE(readable(p.c.fd, 5000));
        p.read();
        p.answered();
    }
    Program other(h);
    p.from_memory = 0;
    for (int i = 0; i < 50; i++) {
        p.ask();
        p.answered();
        other.ask();
        other.answered();
    }
    if (!slow::machine()) {
        EXPECT_EQ(p.from_memory, 0u);
        EXPECT_EQ(other.from_memory, 0u);
    }
}

/* A read with little room gets its part; the rest is in the connection, behind it. */
TEST(FlowHold, WhatDoesNotFitFollowsOverTheConnection)
{
    Harness h;
    Program p(h);
    p.teach();
    for (size_t room : {1u, 2u, 7u, 40u, 100u})
        for (int i = 0; i < 10; i++) {
            p.ask();
            p.answered(room);
        }
}

TEST(FlowHold, WhatIsUnreadInTheConnectionComesFirst)
{
    Harness h;
    Program p(h);
    p.teach();
    for (int i = 0; i < 30; i++) {
        p.ask();
        ASSERT_TRUE(readable(p.c.fd, 5000)); // there now, and not read
        p.ask();
        size_t none = p.begin_read();
        EXPECT_EQ(none, 0u);
        while (p.c.in.rfind(kBody) == p.c.in.find(kBody) || p.c.in.find(kBody) == std::string::npos)
            p.real_read();
        EXPECT_EQ(p.c.answer().body, kBody);
        EXPECT_EQ(p.c.answer().body, kBody);
        for (int k = 0; k < 70; k++) { // its tries are used up: reads earn new ones
            p.ask();
            p.answered();
        }
    }
}

TEST(FlowHold, TwoRequestsInFrontOfARead)
{
    Harness h;
    Program p(h);
    p.teach();
    for (int i = 0; i < 50; i++) {
        p.ask();
        EXPECT_EQ(kt_flow_write(p.f, GET.data(), GET.size()), static_cast<ssize_t>(GET.size()));
        while (p.c.in.rfind(kBody) == p.c.in.find(kBody) || p.c.in.find(kBody) == std::string::npos)
            p.read();
        EXPECT_EQ(p.c.answer().body, kBody);
        EXPECT_EQ(p.c.answer().body, kBody);
        EXPECT_EQ(p.c.in, "");
    }
}

/* Another thread than the writer's may sleep in the connection already. */
TEST(FlowHold, NotForAnotherThread)
{
    Harness h;
    Program p(h);
    for (int i = 0; i < 50; i++) {
        p.ask();
        std::thread([&] { p.answered(); }).join();
    }
    EXPECT_EQ(p.from_memory, 0u);
}

/* It takes an answer that was held for the writer all the same. */
TEST(FlowHold, AnotherThreadMayTakeIt)
{
    Harness h;
    Program p(h);
    p.teach();
    for (int i = 0; i < 50; i++) {
        p.ask();
        std::thread([&] { p.answered(); }).join();
        p.ask();
        p.answered();
    }
}

/* Where the program has errors of its own in the thread's queue, the loop's thread goes on. */
TEST(FlowHold, NotWithErrorsOfTheProgram)
{
    Harness h;
    Program p(h);
    p.teach();
    for (int i = 0; i < 20; i++) {
        p.ask();
        ERR_raise(ERR_LIB_USER, 7);
        EXPECT_EQ(p.begin_read(), 0u);
        EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 7);
        p.answered();
    }
}

TEST(FlowHold, TheEndOfTheConnection)
{
    Harness h;
    for (int i = 0; i < 6; i++) {
        Program p(h, i % 2 ? TLS1_2_VERSION : 0);
        p.teach();
        p.ask();
        if (i / 2 == 0) { // a close_notify: what was there comes before ours
            SSL_shutdown(p.c.ssl);
            EXPECT_EQ(p.c.rest().substr(0, 12), "HTTP/1.1 200");
            EXPECT_TRUE(p.c.orderly);
        } else if (i / 2 == 1) { // gone without a word
            close(p.c.fd);
            p.c.fd = -1;
        }
    }
}

/* The last answer of a connection is read, then its end. */
TEST(FlowHold, AnAnswerThatEndsTheConnection)
{
    Harness h;
    Program p(h);
    p.teach();
    const std::string last = "GET /v1/models HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n";
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    EXPECT_EQ(kt_flow_write(p.f, last.data(), last.size()), static_cast<ssize_t>(last.size()));
    p.answered();
    EXPECT_TRUE(p.c.ends());
    EXPECT_TRUE(p.c.orderly);
}

/* A long answer is not for one read. */
TEST(FlowHold, LongAnswersLeaveOverTheConnection)
{
    Harness h;
    const std::string text(100000, 'l');
    Program p(h);
    p.teach();
    h.script = [&](kt_exchange *x) {
        x->head(200, static_cast<int64_t>(text.size()));
        x->write(text);
        x->end();
    };
    for (int i = 0; i < 10; i++) {
        p.ask();
        p.begin_read();
        EXPECT_TRUE(p.c.answer().body == text);
        p.taken = 0; // it is behind for good: nothing comes from memory now
    }
}

TEST(FlowHold, ManyOfAllKinds)
{
    Harness h;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++)
        threads.emplace_back([&, t] {
            for (int round = 0; round < 4; round++) {
                Program p(h);
                for (int i = 0; i < 30; i++) {
                    p.ask();
                    if (t % 4 == 1) {
                        ASSERT_TRUE(readable(p.c.fd, 5000));
                    }
                    if (t % 4 == 2 && i == 20)
                        break; // and closes
                    bool two = t % 4 == 3 && i % 3 == 0;
                    if (two) {
                        EXPECT_EQ(kt_flow_write(p.f, GET.data(), GET.size()),
                                  static_cast<ssize_t>(GET.size()));
                    }
                    p.read();
                    while (p.c.in.find(kBody) == std::string::npos ||
                           (two && p.c.in.find(kBody) == p.c.in.rfind(kBody)))
                        p.read();
                    p.c.in.clear();
                }
            }
        });
    for (auto &t : threads)
        t.join();
}

} // namespace
