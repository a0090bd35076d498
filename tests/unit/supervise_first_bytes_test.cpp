// SPDX-License-Identifier: Apache-2.0
#include "tools/supervise/first_bytes.h"

#include <gtest/gtest.h>

#include <string>

namespace {

std::string u16(size_t n)
{
    return {static_cast<char>(n >> 8), static_cast<char>(n)};
}

std::string hello(const std::string &extensions, bool with_extensions = true)
{
    std::string body = "\x03\x03" + std::string(32, 'r') + std::string(1, '\0') + u16(2) + "\x13\x01" +
                       std::string("\x01\0", 2);
    if (with_extensions)
        body += u16(extensions.size()) + extensions;
    return std::string("\x01\0", 2) + u16(body.size()) + body;
}

std::string record(const std::string &payload)
{
    return std::string("\x16\x03\x01") + u16(payload.size()) + payload;
}

std::string server_name(const std::string &name)
{
    std::string entry = std::string(1, '\0') + u16(name.size()) + name;
    std::string list = u16(entry.size()) + entry;
    return u16(0) + u16(list.size()) + list;
}

std::pair<first_kind, std::string> look(const std::string &bytes)
{
    char host[FIRST_HOST_MAX];
    first_kind kind = first_look(kt_span(bytes.data(), bytes.size()), host);
    return {kind, host};
}

using Pair = std::pair<first_kind, std::string>;

TEST(FirstBytes, ReadsTheServerName)
{
    EXPECT_EQ(look(record(hello(u16(43) + u16(0) + server_name("api.example.com")))),
              Pair(FIRST_TLS, "api.example.com"));
    EXPECT_EQ(look(record(hello("", false))), Pair(FIRST_TLS, ""));
    EXPECT_EQ(look(record(hello(u16(43) + u16(0)))), Pair(FIRST_TLS, ""));
}

TEST(FirstBytes, TellsAFrontFromAName)
{
    auto extension = [](int type, const std::string &body) { return u16((size_t)type) + u16(body.size()) + body; };
    const std::string inner = extension(0xfe0d, std::string(60, '\0')), name = server_name("front.example");
    EXPECT_EQ(look(record(hello(name + inner))), Pair(FIRST_FRONT, "front.example"));
    EXPECT_EQ(look(record(hello(inner + name))), Pair(FIRST_FRONT, "front.example"));
    EXPECT_EQ(look(record(hello(inner))), Pair(FIRST_FRONT, ""));
    EXPECT_EQ(look(record(hello(name + extension(0xfe0d, "\x01")))), Pair(FIRST_TLS, "front.example"));
    EXPECT_EQ(look(record(hello(name + extension(0xfe0d, "")))), Pair(FIRST_TLS, "front.example"));
}

TEST(FirstBytes, JoinsRecordsAndWaitsForAll)
{
    std::string h = hello(server_name("api.example.com")), whole;
    for (char c : h)
        whole += record(std::string(1, c));
    EXPECT_EQ(look(whole), Pair(FIRST_TLS, "api.example.com"));
    for (size_t n = 0; n < whole.size(); n++)
        EXPECT_EQ(look(whole.substr(0, n)).first, FIRST_MORE) << n;
}

TEST(FirstBytes, BrokenHellosAreUnreadable)
{
    EXPECT_EQ(look(record(hello(u16(0) + u16(200) + "x"))).first, FIRST_UNREADABLE);
    EXPECT_EQ(look(record(hello(server_name("")))).first, FIRST_UNREADABLE);
    EXPECT_EQ(look(record(hello(server_name(std::string("a\0b", 3))))).first, FIRST_UNREADABLE);
    EXPECT_EQ(look(record(hello(server_name(std::string(300, 'a'))))).first, FIRST_UNREADABLE);
    EXPECT_EQ(look(record(std::string("\x01\xff\xff\xff", 4))).first, FIRST_UNREADABLE);
    EXPECT_EQ(look(record(std::string("\x02\0\0\0", 4))).first, FIRST_UNREADABLE);
    EXPECT_EQ(look(record(std::string("\x01\0\x20\0", 4)) + "\x17\x03\x03" + u16(4) + "abcd").first,
              FIRST_UNREADABLE);
    std::string endless;
    while (endless.size() < FIRST_BYTES_MAX)
        endless += std::string("\x16\x03\x01\0\1\1", 6).substr(0, 5) +
                   (endless.empty() ? "\x01" : std::string(1, '\0'));
    EXPECT_NE(look(endless).first, FIRST_MORE);
}

TEST(FirstBytes, ReadsHttp)
{
    EXPECT_EQ(look("POST / HTTP/1.1\r\nA: b\r\nhOsT: \tapi.example.com:80 \r\n\r\n"),
              Pair(FIRST_HTTP, "api.example.com"));
    EXPECT_EQ(look("GET http://u:p@api.example.com:80/x HTTP/1.1\r\nHost: other\r\n\r\n"),
              Pair(FIRST_HTTP, "api.example.com"));
    EXPECT_EQ(look("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), Pair(FIRST_HTTP, "::1"));
    EXPECT_EQ(look("GET / HTTP/1.0\r\n\r\n"), Pair(FIRST_HTTP, ""));
    EXPECT_EQ(look("CONNECT api.example.com:443 HTTP/1.1\r\n\r\n"), Pair(FIRST_CONNECT, "api.example.com"));
    EXPECT_EQ(look("CONNECT  HTTP/1.1\r\n\r\n").first, FIRST_UNREADABLE);
}

TEST(FirstBytes, WaitsForTheEndOfTheHead)
{
    EXPECT_EQ(look("").first, FIRST_MORE);
    EXPECT_EQ(look("PO").first, FIRST_MORE);
    EXPECT_EQ(look("POST / HTTP/1.1\r\nHost: api.example.com").first, FIRST_MORE);
    EXPECT_EQ(look("POST / HTTP/1.1\r\nX: " + std::string(FIRST_BYTES_MAX, 'x')).first, FIRST_UNREADABLE);
}

TEST(FirstBytes, OthersAreOthers)
{
    EXPECT_EQ(look("SSH-2.0-x\r\n").first, FIRST_OTHER);
    EXPECT_EQ(look("PRI * HTTP/2.0\r\n\r\n").first, FIRST_OTHER);
    EXPECT_EQ(look(std::string("\x16\x02\0\0\0", 5)).first, FIRST_OTHER);
}

TEST(FirstBytes, EmptyLinesBeforeARequest)
{
    EXPECT_EQ(look("\r\n\r\nPOST / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
              Pair(FIRST_HTTP, "api.example.com"));
    EXPECT_EQ(look("\r\n").first, FIRST_MAYBE);
    EXPECT_EQ(look(std::string(FIRST_BYTES_MAX, '\n')).first, FIRST_UNREADABLE);
}

TEST(FirstBytes, MethodsOfTheirOwn)
{
    for (const char *method : {"post", "X-FOO", "QUERY"}) {
        std::string request = std::string(method) + " /x HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
        EXPECT_EQ(look(request), Pair(FIRST_HTTP, "api.example.com")) << method;
        EXPECT_EQ(look(request.substr(0, 8)).first, FIRST_MAYBE) << method;
    }
    EXPECT_EQ(look("connect api.example.com:443 HTTP/1.1\r\n\r\n"), Pair(FIRST_CONNECT, "api.example.com"));
    EXPECT_EQ(look("REGISTER sip:x SIP/2.0\r\n").first, FIRST_OTHER);
    EXPECT_EQ(look("EHLO api.example.com\r\n").first, FIRST_OTHER);
}

TEST(FirstBytes, HostsThatServersReadInDifferentWays)
{
    for (const char *lines : {"Host : api.example.com", "Host:\r\n api.example.com",
                              "Host: other\r\nHost: api.example.com", "Host\t: api.example.com"})
        EXPECT_EQ(look(std::string("POST / HTTP/1.1\r\n") + lines + "\r\n\r\n"), Pair(FIRST_UNREADABLE, ""))
            << lines;
}

TEST(FirstBytes, RecordsBeforeTheHello)
{
    std::string h = record(hello(server_name("api.example.com")));
    EXPECT_EQ(look(std::string("\x14\x03\x03\0\x01\x01", 6) + h).first, FIRST_UNREADABLE);
    EXPECT_EQ(look(std::string("\x15\x03\x01\0\x02\x01\0", 7) + h).first, FIRST_UNREADABLE);
    EXPECT_EQ(look("\x14\x03").first, FIRST_MORE);
    EXPECT_EQ(look(std::string("\x14\x03\x03\x07\x01", 5)).first, FIRST_OTHER);
}

} // namespace
