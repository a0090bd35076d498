/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS end of a flow. */
#include "flow_client.hpp"

namespace {

TEST(FlowTls, LeafBySniAndByOriginWithoutOne)
{
    Harness h;
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        struct {
            const char *sni, *want;
        } cases[] = {{"other.test", "other.test"}, {"a.wild.test", "a.wild.test"}, {nullptr, "api.test"}};
        for (auto &t : cases) {
            Client c(h, "api.test");
            ASSERT_EQ(c.tls(h, t.sni, true, version), 1) << ERR_reason_error_string(ERR_peek_error());
            EXPECT_EQ(c.peer_name(), t.want);
            const unsigned char *alpn;
            unsigned n;
            SSL_get0_alpn_selected(c.ssl, &alpn, &n);
            EXPECT_EQ(std::string(reinterpret_cast<const char *>(alpn), n), "http/1.1");
            ASSERT_TRUE(c.send(post("secret")));
            EXPECT_EQ(c.answer().body, "secret");
            ASSERT_TRUE(c.send(post("again")));
            EXPECT_EQ(c.answer().body, "again");
        }
    }
    EXPECT_TRUE(h.reports().empty());
}

TEST(FlowTls, OneByteRecordsAndBigBodies)
{
    Harness h;
    Client c(h);
    ASSERT_EQ(c.tls(h, "api.test"), 1);
    for (char b : post("tiny"))
        ASSERT_TRUE(c.send(std::string(1, b)));
    EXPECT_EQ(c.answer().body, "tiny");
    std::string big(8u << 20, 'b');
    big[5000000] = 'c';
    std::thread sender([&] { EXPECT_TRUE(c.send(post(big))); });
    sender.join();
    Answer a = c.answer();
    EXPECT_TRUE(a.body == big);
}

TEST(FlowTls, ClientsWithoutNoDelayDoNotWaitForADelayedAck)
{
    Harness h;
    using Clock = std::chrono::steady_clock;
    auto best = Clock::duration::max(); /* a delayed ACK costs every one of them 40 ms */
    for (int i = 0; i < 30; i++) {
        Client c(h);
        int off = 0;
        setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
        ASSERT_EQ(c.tls(h, "api.test"), 1);
        auto begin = Clock::now();
        ASSERT_TRUE(c.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"));
        ASSERT_TRUE(c.send("body"));
        ASSERT_EQ(c.answer().body, "body");
        best = std::min(best, Clock::now() - begin);
    }
    EXPECT_LT(best, std::chrono::milliseconds(30));
}

TEST(FlowTls, ACloseNotifyCancelsTheCallAndIsAnswered)
{
    for (bool answering : {false, true}) {
        Harness h;
        std::atomic<kt_exchange *> held{nullptr};
        h.script = [&](kt_exchange *x) {
            if (answering) {
                x->head(200, -1);
                x->write("data");
            }
            held = x;
        };
        Client c(h);
        ASSERT_EQ(c.tls(h, "api.test"), 1);
        ASSERT_TRUE(c.send(post("half")));
        ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
        SSL_shutdown(c.ssl); /* no FIN: the client waits for our close_notify, as asyncio does */
        EXPECT_TRUE(h.wait([&] { return h.gone == 1; })) << answering;
        char rest[256];
        while (SSL_read(c.ssl, rest, sizeof rest) > 0)
            ;
        EXPECT_TRUE(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN) << answering;
        EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    }
}

TEST(FlowTls, AClientThatRefusesTheLeafIsReported)
{
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Harness h;
        {
            Client c(h, "api.test");
            EXPECT_LE(c.tls(h, "api.test", false, version), 0);
        }
        EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
        ASSERT_EQ(h.reports().size(), 1u);
        EXPECT_EQ(h.reports()[0].type, "client_distrusts");
        EXPECT_EQ(h.reports()[0].host, "api.test");
        EXPECT_NE(h.reports()[0].message.find("unknown_ca"), std::string::npos) << h.reports()[0].message;
    }
}

TEST(FlowTls, AClientThatLeavesInsideTheHandshakeIsReported)
{
    Harness h;
    {
        Client c(h, "api.test");
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        c.ssl = SSL_new(ctx);
        SSL_CTX_free(ctx);
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        SSL_set_bio(c.ssl, in, out);
        SSL_connect(c.ssl); /* makes a ClientHello */
        char *hello;
        long n = BIO_get_mem_data(out, &hello);
        ASSERT_EQ(::send(c.fd, hello, static_cast<size_t>(n), 0), n);
        char b;
        ASSERT_EQ(recv(c.fd, &b, 1, 0), 1);
    }
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    ASSERT_EQ(h.reports().size(), 1u);
    EXPECT_EQ(h.reports()[0].type, "client_distrusts");
    { /* not TLS at all behind the first byte: closed, no claim about trust */
        Client c(h, "api.test");
        ASSERT_EQ(::send(c.fd, "\x16\x03\x01\x00\x02garbage", 12, 0), 12);
        char b[100];
        while (recv(c.fd, b, sizeof b, 0) > 0) {
        }
    }
    EXPECT_EQ(h.reports().size(), 1u);
}

TEST(FlowTls, AClientThatLeavesWithoutARequestIsReportedOnce)
{
    Harness h; /* a pin is checked behind the handshake */
    for (int i = 0; i < 2; i++) {
        Client c(h, "api.test");
        ASSERT_EQ(c.tls(h, "api.test"), 1);
        if (i == 1) {
            ASSERT_TRUE(c.send(GET));
            ASSERT_EQ(c.answer().status, 200);
        }
        SSL_shutdown(c.ssl);
        close(c.fd);
        c.fd = -1;
        EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    }
    ASSERT_EQ(h.reports().size(), 1u);
    EXPECT_EQ(h.reports()[0].type, "client_distrusts");
}

/* Node does so behind each stream that it breaks off. Its trust is that of one program, and of one host. */
TEST(FlowTls, ASpareConnectionOfAProgramThatTrustsUsIsNoDistrust)
{
    for (bool many : {false, true}) {
        Harness h(nullptr, many);
        auto first = std::make_unique<Client>(h, "api.test");
        ASSERT_EQ(first->tls(h, "api.test"), 1);
        ASSERT_TRUE(first->send(GET));
        ASSERT_EQ(first->answer().status, 200);
        auto spare = [&](const char *host) {
            {
                Client c(h, host);
                ASSERT_EQ(c.tls(h, host), 1);
            }
            EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == (first ? 1u : 0u); }));
        };
        spare("api.test"); /* beside the first */
        first.reset();
        EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
        spare("api.test"); /* behind it */
        EXPECT_EQ(h.reports().size(), many ? 2u : 0u);
        spare("other.test");
        EXPECT_EQ(h.reports().size(), many ? 3u : 1u);
        {
            Client c(h, "api.test"); /* with a reason it is one, whoever spoke before */
            EXPECT_LE(c.tls(h, "api.test", false), 0);
        }
        EXPECT_TRUE(h.wait([&] { return h.reports().size() == (many ? 4u : 2u); }));
    }
}

TEST(FlowTls, IdleFlowsAreSmall)
{
    Harness h;
    constexpr int N = 100;
    std::vector<std::unique_ptr<Client>> cs;
    size_t before = 0;
    for (int i = 0; i < N + 10; i++) {
        if (i == 10) /* the first ones pay for what all share */
            before = mallinfo2().uordblks;
        cs.push_back(std::make_unique<Client>(h));
        ASSERT_EQ(cs.back()->tls(h, "api.test"), 1);
        ASSERT_TRUE(cs.back()->send(post("x")));
        ASSERT_EQ(cs.back()->answer().status, 200);
        SSL_free(cs.back()->ssl); /* the client's own memory does not count; its fd stays open */
        cs.back()->ssl = nullptr;
    }
    size_t each = (mallinfo2().uordblks - before) / N;
    RecordProperty("bytes_per_idle_flow", static_cast<int>(each));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_GT(each, 1000u); /* it measures something */
#endif
    EXPECT_LT(each, 32768u);
}

} // namespace
