/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/http_fixture.h"

using namespace kt_test;

namespace {

TEST(Http, WholeRequestsParse)
{
    Outcome o = one(good_requests()[2]);
    EXPECT_EQ(o.status, 0) << o.text;
    EXPECT_EQ(o.method, "POST");
    EXPECT_EQ(o.target, "/v1");
    EXPECT_EQ(o.body, kBody);
    EXPECT_TRUE(o.keep_alive);
    EXPECT_EQ(o.length, 18);
    ASSERT_EQ(o.headers.size(), 4u);
    EXPECT_EQ(o.headers[2], std::make_pair(std::string("X-A"), std::string("b")));
    EXPECT_EQ(o.headers[3], std::make_pair(std::string("X-Empty"), std::string("")));
    for (int i : {3, 4, 7, 8, 9, 11}) {
        o = one(good_requests()[i]);
        EXPECT_EQ(o.status, 0) << i << " " << o.text;
        EXPECT_EQ(o.body, kBody) << i;
        EXPECT_EQ(o.decoded, i >= 7) << i;
    }
    EXPECT_EQ(one(good_requests()[10]).body, kBody + "more"); /* several gzip members */
}

TEST(Http, EveryCutGivesTheSame)
{
    for (const std::string &wire : good_requests()) {
        Outcome whole = one(wire);
        ASSERT_TRUE(whole.complete) << wire << ": " << whole.text;
        EXPECT_EQ(whole.used, wire.size());
        std::vector<std::string> bytes;
        for (char c : wire)
            bytes.emplace_back(1, c);
        EXPECT_TRUE(feed(bytes) == whole) << "byte by byte: " << wire;
        for (size_t cut = 0; cut <= wire.size(); cut++)
            EXPECT_TRUE(feed({wire.substr(0, cut), wire.substr(cut)}) == whole)
                << "cut at " << cut << ": " << wire;
    }
}

TEST(Http, EveryTruncationOnlyWaits)
{
    for (const std::string &wire : good_requests())
        for (size_t n = 0; n < wire.size(); n++) {
            Outcome o = one(wire.substr(0, n));
            EXPECT_FALSE(o.complete) << n << ": " << wire;
            EXPECT_EQ(o.status, 0) << n << ": " << wire << ": " << o.text;
        }
}

TEST(Http, PipelinedRequestIsLeft)
{
    std::string first = get("Content-Length: 5\r\n", "hello"), second = "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n";
    std::string both = first + second;
    Parser p = make(100);
    size_t used = 0;
    ASSERT_EQ(kt_http_feed(p.get(), both.data(), both.size(), &used), KT_HTTP_COMPLETE);
    EXPECT_EQ(used, first.size());
    EXPECT_EQ(kt_http_feed(p.get(), both.data() + used, both.size() - used, &used), KT_HTTP_COMPLETE);
    EXPECT_EQ(used, 0u) << "nothing is read on before the first one is taken";
    kt_request r;
    kt_http_take(p.get(), &r);
    EXPECT_TRUE(kt_http_idle(p.get()));
    kt_request r2;
    ASSERT_EQ(kt_http_feed(p.get(), second.data(), second.size(), &used), KT_HTTP_COMPLETE);
    kt_http_take(p.get(), &r2);
    EXPECT_EQ(str(r.target), "/v1"); /* the first one lives on its own */
    EXPECT_EQ(str(r2.target), "/2");
    kt_request_free(&r);
    kt_request_free(&r2);
}

TEST(Http, IdleMeansNoByteYet)
{
    Parser p = make(100);
    size_t used = 0;
    EXPECT_TRUE(kt_http_idle(p.get()));
    EXPECT_EQ(kt_http_feed(p.get(), "", 0, &used), KT_HTTP_MORE);
    EXPECT_TRUE(kt_http_idle(p.get()));
    EXPECT_EQ(kt_http_feed(p.get(), "\r\n", 2, &used), KT_HTTP_MORE);
    EXPECT_TRUE(kt_http_idle(p.get())) << "an empty line between requests is nothing";
    EXPECT_EQ(kt_http_feed(p.get(), "G", 1, &used), KT_HTTP_MORE);
    EXPECT_FALSE(kt_http_idle(p.get()));
    const std::string rest = "ET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n";
    EXPECT_EQ(kt_http_feed(p.get(), rest.data(), rest.size(), &used), KT_HTTP_MORE);
    EXPECT_FALSE(kt_http_idle(p.get()));
}

TEST(Http, ContinueOnceAndOnlyForABody)
{
    std::string head = get("Expect: 100-continue\r\nContent-Length: 5\r\n");
    Parser p = make(100);
    size_t used = 0;
    std::string wire = head + "hello";
    ASSERT_EQ(kt_http_feed(p.get(), wire.data(), wire.size(), &used), KT_HTTP_CONTINUE);
    EXPECT_EQ(used, head.size());
    EXPECT_EQ(kt_http_feed(p.get(), "", 0, &used), KT_HTTP_MORE);
    EXPECT_EQ(kt_http_feed(p.get(), "hel", 3, &used), KT_HTTP_MORE);
    EXPECT_EQ(kt_http_feed(p.get(), "lo", 2, &used), KT_HTTP_COMPLETE);

    EXPECT_EQ(one(get("Expect: 100-continue\r\n")).continues, 0);
    EXPECT_EQ(one(get("Expect: 100-continue\r\nContent-Length: 0\r\n")).continues, 0);
    Outcome old = one(get("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello", "POST / HTTP/1.0"));
    EXPECT_TRUE(old.complete);
    EXPECT_EQ(old.continues, 0);
    /* What is refused is refused before the client sends its body. */
    Outcome large = one(get("Expect: 100-continue\r\nContent-Length: 500\r\n"), 100);
    EXPECT_EQ(large.status, 413);
    EXPECT_EQ(large.continues, 0);
}

TEST(Http, KeepAlive)
{
    const struct {
        const char *line, *fields;
        bool keep;
    } rows[] = {
        {"GET / HTTP/1.1", "", true},
        {"GET / HTTP/1.1", "Connection: close\r\n", false},
        {"GET / HTTP/1.1", "Connection: Keep-Alive, CLOSE\r\n", false},
        {"GET / HTTP/1.1", "Connection: TE\r\nConnection: ,, close ,\r\n", false},
        {"GET / HTTP/1.1", "Connection: closed\r\n", true},
        {"GET / HTTP/1.0", "", false},
        {"GET / HTTP/1.0", "Connection: keep-alive\r\n", true},
        {"GET / HTTP/1.0", "Connection: keep-alive, close\r\n", false},
        {"GET / HTTP/1.7", "", true},
    };
    for (const auto &r : rows) {
        Outcome o = one(get(r.fields, "", r.line));
        EXPECT_TRUE(o.complete) << r.line << o.text;
        EXPECT_EQ(o.keep_alive, r.keep) << r.line << " " << r.fields;
    }
    EXPECT_TRUE(one("GET / HTTP/1.0\r\n\r\n").complete) << "HTTP/1.0 needs no Host";
}

TEST(Http, Upgrade)
{
    auto up = [](const char *fields, const char *line = "GET / HTTP/1.1") {
        return one(get(fields, "", line)).upgrade;
    };
    EXPECT_TRUE(up("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
    EXPECT_TRUE(up("Connection: upgrade\r\nUpgrade: h2c, websocket\r\n"));
    EXPECT_FALSE(up("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"))
        << "Java's client always offers it";
    EXPECT_FALSE(up("Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n")) << "Apache's client does, too";
    EXPECT_FALSE(up("Upgrade: websocket\r\n"));
    EXPECT_FALSE(up("Connection: upgrade\r\n"));
    EXPECT_FALSE(up("Connection: upgrade\r\nUpgrade: websocket\r\n", "GET / HTTP/1.0"));
}

TEST(Http, TargetsAndPaths)
{
    const char *rows[][2] = {
        {"/v1/chat?x=1", "/v1/chat?x=1"},
        {"https://api.openai.com/v1/chat?x=/", "/v1/chat?x=/"},
        {"HTTP://h:80/", "/"},
        {"http://h", "/"},
        {"http://h?x=/y", "/"},
        {"//evil/x", "//evil/x"},
    };
    for (const auto &row : rows) {
        std::string wire = get("", "", std::string("GET ") + row[0] + " HTTP/1.1");
        Parser p = make(10);
        size_t used = 0;
        ASSERT_EQ(kt_http_feed(p.get(), wire.data(), wire.size(), &used), KT_HTTP_COMPLETE) << row[0];
        kt_request r;
        kt_http_take(p.get(), &r);
        EXPECT_EQ(str(r.target), row[0]);
        EXPECT_EQ(str(kt_request_path(&r)), row[1]);
        EXPECT_EQ(str(kt_request_header(&r, "hOST")), "h");
        EXPECT_EQ(kt_request_header(&r, "Hos").data, nullptr);
        kt_request_free(&r);
    }
    EXPECT_EQ(one(get("", "", "OPTIONS * HTTP/1.1")).target, "*");
}

TEST(Http, BigBodyComesInOnePass)
{
    std::string body(24 << 20, 'b');
    std::string wire = get("Content-Length: " + std::to_string(body.size()) + "\r\n", body);
    std::vector<std::string> pieces;
    for (size_t at = 0; at < wire.size(); at += 16384)
        pieces.push_back(wire.substr(at, 16384));
    Outcome o = feed(pieces, 64 << 20);
    ASSERT_TRUE(o.complete);
    EXPECT_TRUE(o.body == body);
    /* A promise of 64 MiB alone makes nobody allocate them: the parser would be slow here, thousands of times
     * over. */
    for (int i = 0; i < 2000; i++)
        EXPECT_FALSE(one(get("Content-Length: 67108864\r\n", "x"), 64 << 20).complete);
}

TEST(Http, ReasonsOfTheErrorsWeSend)
{
    for (int status : {400, 413, 414, 415, 417, 431, 501, 503, 505, 502, 409, 200})
        EXPECT_STRNE(kt_http_reason(status), "Unknown") << status;
    EXPECT_STREQ(kt_http_reason(799), "Unknown");
}

std::string head_of(int minor, int status, std::vector<kt_header> h, int64_t length, bool keep)
{
    kt_buf b = KT_BUF_INIT(4096);
    EXPECT_TRUE(kt_is_ok(kt_http_put_head(&b, minor, status, h.data(), h.size(), length, keep)));
    std::string s(b.data, b.len);
    kt_buf_free(&b);
    return s;
}

kt_header field(const char *name, const char *value)
{
    return {{name, strlen(name)}, {value, strlen(value)}};
}

TEST(HttpAnswer, FramingIsOurs)
{
    EXPECT_EQ(head_of(1, 200, {field("X-A", "b"), field("content-length", "99"), field("Connection", "x")}, 5,
                      true),
              "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(head_of(1, 200, {}, -1, true), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(head_of(0, 200, {}, -1, true), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(head_of(0, 200, {}, 0, true),
              "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(head_of(1, 409, {}, 2, false),
              "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(head_of(1, 204, {}, 0, true), "HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(head_of(1, 100, {}, -1, false), "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST(HttpAnswer, NoResponseSplitting)
{
    kt_buf b = KT_BUF_INIT(4096);
    ASSERT_TRUE(kt_is_ok(kt_buf_puts(&b, "before")));
    for (auto h : {field("X", "a\r\nSet-Cookie: b"), field("X", "a\nb"), field("X\r\nY", "a"), field("", "a"),
                   field("a b", "c"), kt_header{{"X", 1}, {"a\0b", 3}}}) {
        EXPECT_EQ(kt_http_put_head(&b, 1, 200, &h, 1, 0, true).code, KT_ERR_SYNTAX);
        EXPECT_STREQ(b.data, "before");
    }
    EXPECT_EQ(kt_http_put_head(&b, 1, 99, nullptr, 0, 0, true).code, KT_ERR_USAGE);
    kt_buf_free(&b);
    kt_buf tight = KT_BUF_INIT(20);
    EXPECT_EQ(kt_http_put_head(&tight, 1, 200, nullptr, 0, 0, true).code, KT_ERR_LIMIT);
    EXPECT_EQ(tight.len, 0u);
    kt_buf_free(&tight);
}

} // namespace
