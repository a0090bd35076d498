/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/http_fixture.h"

using namespace kt_test;

namespace {

/* Requests that must be refused, with the status that says why. */
struct Bad {
    const char *what;
    std::string wire;
    int status;
};

std::vector<Bad> bad_requests()
{
    auto cl = [](const char *v) { return get(std::string("Content-Length: ") + v + "\r\n", "hello"); };
    auto te = [](const std::string &v, const std::string &body = "5\r\nhello\r\n0\r\n\r\n") {
        return get("Transfer-Encoding: " + v + "\r\n", body);
    };
    auto chunk = [&](const std::string &body) { return te("chunked", body); };
    auto line = [](const std::string &l) { return l + "\r\nHost: h\r\n\r\n"; };
    return {
        {"CL and TE", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET"), 400},
        {"TE and CL", get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\nGET"), 400},
        {"two different lengths", get("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), 400},
        {"two equal lengths", get("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400},
        {"length list", cl("5, 5"), 400},
        {"signed length", cl("+5"), 400},
        {"negative length", cl("-5"), 400},
        {"hex length", cl("0x5"), 400},
        {"length with space", cl("5 5"), 400},
        {"empty length", cl(""), 400},
        {"length in words", cl("five"), 400},
        {"huge length", cl("9223372036854775808"), 413},
        {"wrapping length", cl("18446744073709551621"), 413},
        {"length over the limit", cl("1048577"), 413},
        {"TE twice", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        {"TE identity", te("identity"), 501},
        {"TE gzip, chunked", te("gzip, chunked"), 501},
        {"TE chunked, identity", te("chunked, identity"), 501},
        {"TE chunked, chunked", te("chunked, chunked"), 501},
        {"TE xchunked", te("xchunked"), 501},
        {"TE quoted", te("\"chunked\""), 501},
        {"TE vertical tab",
         te("\x0b"
            "chunked"),
         400},
        {"TE empty", te(""), 501},
        {"TE in 1.0", get("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "POST / HTTP/1.0"), 400},
        {"space before colon", get("Content-Length : 5\r\n", "hello"), 400},
        {"tab before colon", get("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400},
        {"obs-fold", get("X-A: b\r\n c\r\n"), 400},
        {"fold of the first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
        {"folded TE", get("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400},
        {"bare LF in a field", get("X-A: b\nContent-Length: 5\r\n", "hello"), 400},
        {"bare LF request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
        {"bare LF empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400},
        {"bare CR in a field", get("X-A: b\rContent-Length: 5\r\n"), 400},
        {"CR CR LF", get("X-A: b\r\r\n"), 400},
        {"NUL in a value", get(std::string("X-A: b\0c\r\n", 10)), 400},
        {"NUL in a name", get(std::string("X\0A: b\r\n", 8)), 400},
        {"DEL in a value", get("X-A: \x7f\r\n"), 400},
        {"no colon", get("Just text\r\n"), 400},
        {"empty name", get(": x\r\n"), 400},
        {"name with a high byte", get("X-\xc3\xa9: x\r\n"), 400},
        {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
        {"two Hosts", get("Host: other\r\n"), 400},
        {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"Host with user info", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"four words", line("GET / x HTTP/1.1"), 400},
        {"two spaces", line("GET  / HTTP/1.1"), 400},
        {"tab", line("GET\t/ HTTP/1.1"), 400},
        {"trailing space", line("GET / HTTP/1.1 "), 400},
        {"HTTP/0.9", line("GET /"), 400},
        {"lower case version", line("GET / http/1.1"), 400},
        {"HTTP/2", line("GET / HTTP/2.0"), 505},
        {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"HTTP/11", line("GET / HTTP/11.1"), 400},
        {"relative target", line("GET v1/chat HTTP/1.1"), 400},
        {"star for GET", line("GET * HTTP/1.1"), 400},
        {"fragment", line("GET /a#b HTTP/1.1"), 400},
        {"control in target", line("GET /a\x01 HTTP/1.1"), 400},
        {"empty absolute form", line("GET https:// HTTP/1.1"), 400},
        {"other scheme", line("GET ftp://h/ HTTP/1.1"), 400},
        {"CONNECT", line("CONNECT h:443 HTTP/1.1"), 501},
        {"method with a colon", line("GE:T / HTTP/1.1"), 400},
        {"TLS record", std::string("\x16\x03\x01\x02\x00", 5), 400},
        {"five blank lines", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"unknown expectation", get("Expect: 200-ok\r\nContent-Length: 5\r\n", "hello"), 417},
        {"brotli", coded("br", "hello"), 415},
        {"gzip twice", coded("gzip, gzip", gzip(gzip("x"))), 415},
        {"two coding fields",
         get("Content-Encoding: gzip\r\nContent-Encoding: deflate\r\nContent-Length: 1\r\n", "x"), 415},
        {"not gzip at all", coded("gzip", "hello"), 400},
        {"garbage behind gzip", coded("gzip", gzip(kBody) + "x!"), 400},
        {"garbage behind zlib", coded("deflate", deflated(kBody, 15) + "x"), 400},
        {"one byte of deflate", coded("deflate", "x"), 400},
        {"chunk: no size", chunk("\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: sign", chunk("+5\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: 0x", chunk("0x5\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: leading space", chunk(" 5\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: space before CRLF", chunk("5 \r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: overflow to 5", chunk("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: 16 digits", chunk("0000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: 15 digits", chunk("fffffffffffffff\r\n"), 413},
        {"chunk: too large", chunk("100001\r\nhello"), 413},
        {"chunk: bare LF behind size", chunk("5\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: LF in extension", chunk("5;a\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: CR in extension", chunk("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: data too long", chunk("5\r\nhello!\r\n0\r\n\r\n"), 400},
        {"chunk: bare LF behind data", chunk("5\r\nhello\n0\r\n\r\n"), 400},
        {"chunk: bare LF at the end", chunk("0\r\n\n"), 400},
        {"chunk: LF in trailer", chunk("0\r\nX: y\n\r\n"), 400},
        {"chunk: folded trailer", chunk("0\r\nX: y\r\n z\r\n\r\n"), 400},
        {"chunk: NUL in trailer", chunk(std::string("0\r\nX\0: y\r\n\r\n", 12)), 400},
        {"chunk: extension flood",
         chunk("5;" + std::string(KT_HTTP_MAX_CHUNK_EXT, 'a') + "\r\nhello\r\n0\r\n\r\n"), 400},
        {"chunk: trailer flood", chunk("0\r\nX: " + std::string(KT_HTTP_MAX_TRAILER, 'a') + "\r\n\r\n"), 431},
        {"target too long", "GET /" + std::string(KT_HTTP_MAX_TARGET, 'a'), 414},
        {"endless line", std::string(KT_HTTP_MAX_TARGET + 1, 'a'), 414},
        {"one long field", get("X-A: " + std::string(KT_HTTP_MAX_HEAD, 'a')), 431},
    };
}

TEST(Http, RefusesWhatReadersDisagreeAbout)
{
    for (const Bad &b : bad_requests()) {
        Outcome o = one(b.wire);
        EXPECT_EQ(o.status, b.status) << b.what << ": " << o.text;
        EXPECT_FALSE(o.complete) << b.what;
        EXPECT_NE(o.text, "") << b.what;
    }
}

TEST(Http, RefusesTheSameHoweverItIsCut)
{
    for (const Bad &b : bad_requests()) {
        Outcome whole = one(b.wire);
        std::vector<std::string> bytes;
        for (char c : b.wire)
            bytes.emplace_back(1, c);
        Outcome o = feed(bytes);
        EXPECT_EQ(o.status, whole.status) << b.what;
        EXPECT_EQ(o.text, whole.text) << b.what;
    }
}

TEST(Http, AnErrorLasts)
{
    Parser p = make(100);
    size_t used = 0;
    EXPECT_EQ(kt_http_feed(p.get(), "\x16", 1, &used), KT_HTTP_ERROR);
    const std::string fine = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    EXPECT_EQ(kt_http_feed(p.get(), fine.data(), fine.size(), &used), KT_HTTP_ERROR);
    EXPECT_EQ(used, 0u);
    EXPECT_EQ(kt_http_error(p.get(), nullptr), 400);
    kt_request r;
    kt_http_take(p.get(), &r);
    EXPECT_EQ(r.head.data, nullptr);
    kt_request_free(&r);
}

TEST(Http, LimitsAreExact)
{
    std::string fields;
    for (int i = 0; i < KT_HTTP_MAX_FIELDS - 1; i++) /* Host is the first one */
        fields += "X: y\r\n";
    EXPECT_EQ(one(get(fields)).headers.size(), (size_t)KT_HTTP_MAX_FIELDS);
    EXPECT_EQ(one(get(fields + "X: y\r\n")).status, 431);

    size_t rest = KT_HTTP_MAX_HEAD - get("X: \r\n").size();
    EXPECT_TRUE(one(get("X: " + std::string(rest, 'a') + "\r\n")).complete);
    EXPECT_EQ(one(get("X: " + std::string(rest + 1, 'a') + "\r\n")).status, 431);

    size_t target = KT_HTTP_MAX_TARGET - strlen("GET / HTTP/1.1\r\n");
    EXPECT_TRUE(one(get("", "", "GET /" + std::string(target, 'a') + " HTTP/1.1")).complete);
    EXPECT_EQ(one(get("", "", "GET /" + std::string(target + 1, 'a') + " HTTP/1.1")).status, 414);

    EXPECT_TRUE(one(get("Content-Length: 5\r\n", "hello"), 5).complete);
    EXPECT_EQ(one(get("Content-Length: 6\r\n", "hello!"), 5).status, 413);
    const std::string te = "Transfer-Encoding: chunked\r\n";
    EXPECT_EQ(one(get(te, "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), 5).body, "hello");
    EXPECT_EQ(one(get(te, "3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n"), 5).status, 413);
    EXPECT_TRUE(one(get("Content-Length: 0\r\n"), 0).complete);
}

} // namespace
