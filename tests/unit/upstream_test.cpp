/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream_fixture.hpp"

namespace {

using namespace fake;

class Upstream : public UpstreamTest {};

TEST_F(Upstream, RequestAndAnswer)
{
    Server server(hello);
    Seen s;
    Ask a;
    a.url = server.url("/v1/x?y=%2F");
    a.body = "{\"a\":1}";
    a.headers = {{"Content-Type", "application/json"},
                 {"X-Empty", ""},
                 {"Host", "evil"},
                 {"Content-Length", "3"},
                 {"Transfer-Encoding", "chunked"},
                 {"Accept-Encoding", "br"}};
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_OK) << s.detail;
    EXPECT_EQ(s.status, 200);
    EXPECT_EQ(s.heads, 1);
    EXPECT_EQ(s.body, "hello");
    EXPECT_EQ(s.headers["X-One"], "1");
    Request r = server.requests().at(0);
    EXPECT_EQ(r.method, "POST");
    EXPECT_EQ(r.target, "/v1/x?y=%2F");
    EXPECT_EQ(r.body, a.body);
    EXPECT_EQ(r.header("content-type"), "application/json");
    EXPECT_EQ(r.header("host"), "127.0.0.1:" + std::to_string(server.port()));
    EXPECT_EQ(r.header("content-length"), "7");
    EXPECT_EQ(r.header("transfer-encoding"), "");
    EXPECT_EQ(r.header("expect"), "");
    EXPECT_EQ(r.header("accept"), "");
    EXPECT_NE(r.head.find("X-Empty:"), std::string::npos);
    EXPECT_NE(r.header("accept-encoding").find("gzip"), std::string::npos);
}

TEST_F(Upstream, LargeBodyWithoutExpect)
{
    Server server(hello);
    Seen s;
    Ask a;
    a.url = server.url("/");
    a.body = std::string(5 << 20, 'b');
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_OK) << s.detail;
    EXPECT_EQ(server.requests().at(0).body.size(), a.body.size());
    EXPECT_EQ(server.requests().at(0).header("expect"), "");
}

TEST_F(Upstream, OtherMethods)
{
    Server server([](Conn &c, const Request &r) {
        if (r.method == "HEAD")
            return c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        return hello(c, r);
    });
    for (const char *method : {"GET", "DELETE", "PUT", "PATCH", "HEAD", "POST"}) {
        Seen s;
        Ask a;
        a.method = method;
        a.url = server.url("/m");
        if (a.method == "PUT" || a.method == "PATCH")
            a.body = "body";
        call(a, s);
        ASSERT_TRUE(s.wait_done());
        EXPECT_EQ(s.outcome, KT_CALL_OK) << method << s.detail;
        Request r = server.requests().back();
        EXPECT_EQ(r.method, method);
        EXPECT_EQ(r.body, a.body);
        EXPECT_EQ(s.body, a.method == "HEAD" ? "" : "hello");
        EXPECT_EQ(r.header("content-type"), "") << method;
    }
}

TEST_F(Upstream, ConnectionsAreKept)
{
    Server server(hello);
    for (int i = 0; i < 8; i++) {
        Seen s;
        Ask a;
        a.url = server.url("/");
        a.body = "x";
        call(a, s);
        ASSERT_TRUE(s.wait_done());
        ASSERT_EQ(s.outcome, KT_CALL_OK);
    }
    EXPECT_EQ(server.connections(), 1u);
    size_t open = 0;
    on_loop([&] { open = kt_upstream_sockets(up); });
    EXPECT_EQ(open, 1u);
}

TEST_F(Upstream, AForkWaitsWhereANameIsLookedUp)
{
    Server server(hello);
    EXPECT_EQ(kt_upstream_fork_ns(up), 0u);
    uint64_t first = 0, begun = kt_now_mono_ns();
    for (int i = 0; i < 2; i++) {
        Seen s;
        Ask a;
        a.url = server.url("/");
        a.url.replace(a.url.find("127.0.0.1"), 9, "localhost");
        call(a, s);
        ASSERT_TRUE(s.wait_done());
        ASSERT_EQ(s.outcome, KT_CALL_OK);
        uint64_t until = kt_upstream_fork_ns(up);
        EXPECT_GT(until, begun);
        EXPECT_LE(until, kt_now_mono_ns() + 20000000); /* some ms: a slow resolver is not waited for */
        first = first ? first : until;
        EXPECT_EQ(until, first); /* the second call needs no look-up */
    }
}

// The pooled connection died meanwhile: the request goes out whole, on a new one.

TEST_F(Upstream, BodyIsNotLostOnADeadPooledConnection)
{
    std::atomic<int> n{0};
    Gate shut;
    Server server([&](Conn &c, const Request &r) {
        hello(c, r);
        c.shut();
        shut.open();
        return n++ > 0;
    });
    for (int i = 0; i < 2; i++) {
        Seen s;
        Ask a;
        a.url = server.url("/");
        a.body = std::string(100000, 'b');
        call(a, s);
        ASSERT_TRUE(s.wait_done());
        ASSERT_EQ(s.outcome, KT_CALL_OK) << s.detail;
        ASSERT_TRUE(shut.wait());
    }
    EXPECT_EQ(server.requests().size(), 2u);
    for (const Request &r : server.requests())
        EXPECT_EQ(r.body.size(), 100000u);
}

TEST_F(Upstream, PiecesComeAsTheyArrive)
{
    Gate first_seen;
    Server server([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk("one");
        bool ok = first_seen.wait();
        c.chunk(ok ? "two" : "never");
        return c.chunk_end();
    });
    Seen s;
    Ask a;
    a.url = server.url("/");
    call(a, s);
    ASSERT_TRUE(s.wait_body(3));
    first_seen.open();
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.body, "onetwo");
}

TEST_F(Upstream, RefusedPort)
{
    fake::DeadPort dead;
    Seen s;
    Ask a;
    a.url = "http://127.0.0.1:" + std::to_string(dead.port()) + "/";
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_CONNECTION);
    EXPECT_EQ(s.heads, 0);
    EXPECT_FALSE(s.detail.empty());
}

TEST_F(Upstream, RedirectsAreNotFollowed)
{
    Server server(
        [](Conn &c, const Request &) { return c.reply(302, "text/plain", "", "Location: /elsewhere\r\n"); });
    Seen s;
    Ask a;
    a.url = server.url("/");
    a.headers = {{"Authorization", "Bearer k"}};
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.status, 302);
    EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Upstream, InterimAnswersAreSwallowed)
{
    Server server([](Conn &c, const Request &r) {
        c.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        return hello(c, r);
    });
    Seen s;
    Ask a;
    a.url = server.url("/");
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.heads, 1);
    EXPECT_EQ(s.status, 200);
    EXPECT_EQ(s.headers.count("Link"), 0u);
}

std::string gzip(const std::string &text)
{
    z_stream z = {};
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string out(text.size() + 100, '\0');
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef *>(&out[0]);
    z.avail_out = static_cast<uInt>(out.size());
    deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

TEST_F(Upstream, ContentCodingsAreRemoved)
{
    const std::string text(10000, 'z');
    Server server([&](Conn &c, const Request &) {
        return c.reply(200, "text/plain", gzip(text), "Content-Encoding: gzip\r\n");
    });
    Seen s;
    Ask a;
    a.url = server.url("/");
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_OK);
    EXPECT_EQ(s.body, text);
}

TEST_F(Upstream, ProxyOfTheEnvironment)
{
    stop();
    Server proxy(hello);
    Server direct([](Conn &c, const Request &) { return c.reply(200, "text/plain", "direct"); });
    setenv("http_proxy", proxy.url().c_str(), 1);
    start();
    Seen through, past;
    Ask a;
    a.url = direct.url("/p");
    call(a, through);
    ASSERT_TRUE(through.wait_done());
    EXPECT_EQ(through.body, "hello");
    EXPECT_EQ(proxy.requests().at(0).target, direct.url("/p"));
    stop();
    // The wrapped program's NO_PROXY names our hosts; ours is the one that the user had.
    setenv("no_proxy", "nothing.example", 1);
    setenv("KT_UPSTREAM_NO_PROXY", "127.0.0.1", 1);
    start();
    call(a, past);
    ASSERT_TRUE(past.wait_done());
    EXPECT_EQ(past.body, "direct");
}

class Tls : public UpstreamTest {
  protected:
    void SetUp() override
    {
        UpstreamTest::SetUp();
        char name[] = "localhost";
        char *items[] = {name};
        kt_strings hosts = {items, 1};
        kt_error err;
        ASSERT_TRUE(kt_is_ok(kt_ca_new(&hosts, &ca, &err))) << err.text;
        ASSERT_TRUE(kt_is_ok(kt_ca_server_ctx(ca, "localhost", &ctx)));
        char pattern[] = "/tmp/ktup-XXXXXX";
        dir = mkdtemp(pattern);
        pem = dir + "/ca.pem";
        ASSERT_TRUE(kt_is_ok(kt_ca_save(ca, pem.c_str(), (dir + "/ca.key").c_str(), &err))) << err.text;
    }
    void TearDown() override
    {
        UpstreamTest::TearDown();
        kt_ca_free(ca);
        unlink(pem.c_str());
        unlink((dir + "/ca.key").c_str());
        rmdir(dir.c_str());
    }
    kt_ca *ca = nullptr;
    SSL_CTX *ctx = nullptr;
    std::string dir, pem;
};

TEST_F(Tls, UnknownCertificateIsRefused)
{
    Server server(hello, ctx);
    Seen s;
    Ask a;
    a.url = server.url("/");
    a.headers = {{"Authorization", "Bearer secret"}};
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    EXPECT_EQ(s.outcome, KT_CALL_TLS) << s.detail;
    EXPECT_TRUE(server.requests().empty()) << "not a byte of the request may leave";
}

TEST_F(Tls, CaFileOfTheTarget)
{
    Server server(hello, ctx);
    Seen good, wrong;
    Ask a;
    a.url = server.url("/");
    a.ca = pem;
    call(a, good);
    ASSERT_TRUE(good.wait_done());
    EXPECT_EQ(good.outcome, KT_CALL_OK) << good.detail;
    a.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/"; // trusted, but another name
    call(a, wrong);
    ASSERT_TRUE(wrong.wait_done());
    EXPECT_EQ(wrong.outcome, KT_CALL_TLS);
}

TEST_F(Tls, CaFileOfTheEnvironment)
{
    Server server(hello, ctx);
    Ask a;
    a.url = server.url("/");
    stop();
    setenv("SSL_CERT_FILE", pem.c_str(), 1);
    start();
    Seen good, kept_out;
    call(a, good);
    ASSERT_TRUE(good.wait_done());
    EXPECT_EQ(good.outcome, KT_CALL_OK) << good.detail;
    stop();
    setenv("KT_UPSTREAM_CA_FILE", "", 1); // SSL_CERT_FILE is ours, the user had none
    start();
    call(a, kept_out);
    ASSERT_TRUE(kept_out.wait_done());
    EXPECT_EQ(kept_out.outcome, KT_CALL_TLS);
}

TEST_F(Upstream, ManyAtOnce)
{
    Server server(hello);
    std::vector<std::unique_ptr<Seen>> all;
    Ask a;
    a.url = server.url("/");
    a.body = "b";
    for (int i = 0; i < 100; i++)
        all.push_back(std::make_unique<Seen>());
    on_loop([&] {
        for (auto &s : all)
            ASSERT_TRUE(kt_is_ok(begin(a, *s)));
    });
    for (auto &s : all) {
        ASSERT_TRUE(s->wait_done());
        EXPECT_EQ(s->outcome, KT_CALL_OK) << s->detail;
    }
}

} // namespace
