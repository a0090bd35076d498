/* SPDX-License-Identifier: Apache-2.0 */
/* Engines and fork. */
#include "engine_fixture.hpp"
#include "interceptor/tls/kt_tls_rehearsal.h"

#include <mutex>
#include <shared_mutex>

namespace {

#ifndef __SANITIZE_THREAD__ /* does not let a child of threads start one */

int in_child(std::function<int()> f)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(f());
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

TEST(EngineFork, TheChildStartsAfreshAndTheParentGoesOn)
{
    fake::Server up(ok_handler);
    Env v;
    v.write_target(up.url("/v1"));
    v.start();
    Client c(v.e);
    ASSERT_TRUE(c.tls(v.e));
    ASSERT_TRUE(is(c.call(post(chat("parent"))), 200));
    uint8_t random[32];
    SSL_get_client_random(c.ssl, random, 32);
    kt_flow *f = kt_engine_flow_by_random(v.e, random);
    ASSERT_NE(f, nullptr);
    EXPECT_TRUE(kt_engine_fork_prepare(v.e));
    int status = in_child([&] {
        kt_engine_fork_child(v.e);
        if (kt_fds_count() != 0 || kt_engine_flow_count(v.e) != 0)
            return 1;
        if (kt_engine_flow_by_random(v.e, random))
            return 2;
        errno = 0;
        if (kt_engine_flow_write(v.e, f, "x", 1) != -1 || errno != EPIPE)
            return 3;
        kt_flow_release(f);
        Client own(v.e);
        if (!own.tls(v.e))
            return 4;
        if (!is(own.call(post(chat("child"))), 200))
            return 5;
        EXPECT_TRUE(kt_engine_fork_prepare(v.e)); /* and its own children, too */
        int deeper = in_child([&] {
            kt_engine_fork_child(v.e);
            Client third(v.e);
            return third.tls(v.e) && is(third.call(post(chat("grandchild"))), 200) ? 0 : 1;
        });
        kt_engine_fork_parent(v.e);
        if (deeper)
            return 6;
        if (!is(own.call(post(chat("child again"))), 200))
            return 7;
        return kt_engine_stop(v.e, 5000) ? 0 : 8;
    });
    kt_engine_fork_parent(v.e);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(is(c.call(post(chat("parent again"))), 200)); /* nobody sent a close_notify on it */
    kt_flow_release(f);
    EXPECT_EQ(up.requests().size(), 5u);
    EXPECT_EQ(v.count("\"event_type\":\"decision\""), 5u);
    v.verify();
}

/* OpenSSL's locks know nothing of forks: a child of a thread that forks while another one is inside of them
 * can never use it. That is so without us, too; here the clients stay out of it while the test forks, and the
 * engine is as busy as it likes. */
class Turnstile {
  public:
    template <class F> auto inside(F f)
    {
        {
            std::lock_guard<std::mutex> one_by_one(entry_);
        }
        std::shared_lock<std::shared_mutex> in(room_);
        return f();
    }
    template <class F> auto alone(F f)
    {
        std::lock_guard<std::mutex> no_more(entry_);
        std::unique_lock<std::shared_mutex> empty(room_);
        return f();
    }

  private:
    std::mutex entry_;
    std::shared_mutex room_;
};

TEST(EngineFork, TheRehearsalIsAWholeHandshake)
{
    ERR_clear_error();
    EXPECT_TRUE(kt_tls_rehearsal());
    EXPECT_EQ(ERR_peek_error(), 0u);
    /* Without the algorithms of the default provider there is none. */
    int alone = in_child([] {
        EVP_set_default_properties(nullptr, "provider=none");
        return kt_tls_rehearsal() ? 1 : 0;
    });
    EXPECT_EQ(alone, 0);
}

TEST(EngineFork, UnderLoad)
{
    Turnstile openssl;
    fake::Server up(ok_handler);
    Env v;
    v.write_target(up.url("/v1"));
    v.start();
    std::atomic<bool> end{false};
    std::atomic<int> calls{0}, failed{0};
    std::vector<std::thread> ts;
    for (int i = 0; i < 3; i++) {
        ts.emplace_back([&] {
            while (!end) {
                auto c = std::make_unique<Client>(v.e);
                uint8_t random[32];
                if (!openssl.inside([&] { return c->tls(v.e); })) {
                    failed++;
                    continue;
                }
                SSL_get_client_random(c->ssl, random, 32);
                kt_flow *f = kt_engine_flow_by_random(v.e, random);
                for (int n = 0; n < 3; n++) {
                    std::string r = post(chat("a@b.example"));
                    kt_engine_flow_write(v.e, f, r.data(), r.size());
                    failed += !is(openssl.inside([&] { return c->answer(); }), 200);
                    calls++;
                }
                kt_flow_release(f);
                openssl.inside([&] { c.reset(); });
            }
        });
    }
    for (int i = 0; i < 25; i++) {
        ASSERT_TRUE(v.wait([&] { return calls > i * 3; }));
        int status = openssl.alone([&] {
            EXPECT_TRUE(kt_engine_fork_prepare(v.e));
            int got = in_child([&] {
                kt_engine_fork_child(v.e);
                if (kt_fds_count() != 0)
                    return 1;
#ifdef __SANITIZE_ADDRESS__ /* its allocator's locks may be held by a thread that is not in the child */
                return 0;
#endif
                if (i % 5)
                    return 0;
                /* No lock is left taken. */
                kt_engine_report(v.e, KT_ABI_UNSEEN, "api.openai.com", "from a child");
                Client c(v.e);
                return c.tls(v.e) && is(c.call(post(chat("child"))), 200) ? 0 : 2;
            });
            kt_engine_fork_parent(v.e);
            return got;
        });
        EXPECT_EQ(status, 0);
    }
    end = true;
    for (auto &t : ts)
        t.join();
    EXPECT_EQ(failed, 0);
    EXPECT_GT(calls, 50);
    v.verify();
}

#endif

} // namespace
