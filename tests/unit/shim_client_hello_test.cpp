/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a ClientHello means. */
#include <gtest/gtest.h>

#include <memory>
#include <string>

extern "C" {
#include "shim/client_hello.h"
}

namespace {

std::string number(size_t v, int bytes)
{
    std::string out;
    while (bytes--)
        out += (char)(v >> (8 * bytes) & 255);
    return out;
}

std::string counted(const std::string &s, int bytes)
{
    return number(s.size(), bytes) + s;
}

std::string extension(int type, const std::string &body)
{
    return number((size_t)type, 2) + counted(body, 2);
}

std::string server_name(const std::string &host, int type = 0)
{
    return extension(0, counted(number((size_t)type, 1) + counted(host, 2), 2));
}

std::string hello(const std::string &extensions)
{
    std::string body = "\x03\x03" + std::string(32, 'r') + counted(std::string(32, 's'), 1) +
                       counted("\x13\x01\x13\x02", 2) + counted(std::string(1, '\0'), 1) +
                       counted(extensions, 2);
    return "\x16\x03\x01" + counted("\x01" + counted(body, 3), 2);
}

std::string name_in(const std::string &bytes)
{
    // Of just that size, so that a read behind its end is seen by the sanitizers.
    std::unique_ptr<char[]> copy(new char[bytes.size()]);
    bytes.copy(copy.get(), bytes.size());
    kt_client_hello h;
    kt_client_hello_read(copy.get(), bytes.size(), &h);
    return h.host[0] ? h.host : "-";
}

TEST(ClientHello, TheNameStandsAnywhereAmongTheExtensions)
{
    const std::string other = extension(0x0a0a, "") + extension(16, std::string(300, 'a'));
    EXPECT_EQ(name_in(hello(server_name("api.openai.com"))), "api.openai.com");
    EXPECT_EQ(name_in(hello(other + server_name("api.openai.com") + other)), "api.openai.com");
    EXPECT_EQ(name_in(hello(other)), "-");
    EXPECT_EQ(name_in(hello("")), "-");
}

TEST(ClientHello, WhatIsNoNameIsNone)
{
    EXPECT_EQ(name_in(hello(server_name(""))), "-");
    EXPECT_EQ(name_in(hello(server_name("api.openai.com", 1))), "-");
    EXPECT_EQ(name_in(hello(server_name(std::string("api\0.com", 8)))), "-");
    EXPECT_EQ(name_in(hello(server_name(std::string(255, 'a')))), std::string(255, 'a'));
    EXPECT_EQ(name_in(hello(server_name(std::string(256, 'a')))), "-");
    EXPECT_EQ(name_in("GET / HTTP/1.1\r\n\r\n"), "-");
    EXPECT_EQ(name_in(""), "-");
    std::string server = hello(server_name("api.openai.com"));
    server[5] = 2; // a ServerHello
    EXPECT_EQ(name_in(server), "-");
}

kt_client_hello read(const std::string &bytes, kt_hello kind)
{
    kt_client_hello h;
    std::unique_ptr<char[]> copy(new char[bytes.size()]);
    bytes.copy(copy.get(), bytes.size());
    EXPECT_EQ(kt_client_hello_read(copy.get(), bytes.size(), &h), kind) << bytes.size();
    return h;
}

TEST(ClientHello, ABeginningIsToldFromAnotherProtocol)
{
    const std::string whole =
        hello(extension(16, "h2") + server_name("api.openai.com") + extension(0xff01, "\x01"));
    for (size_t n = 0; n < whole.size(); n++) {
        kt_client_hello h = read(whole.substr(0, n), KT_HELLO_MORE);
        EXPECT_EQ(h.has_random, n >= 43) << n;
    }
    kt_client_hello h = read(whole, KT_HELLO_WHOLE);
    EXPECT_EQ(std::string((char *)h.random, 32), std::string(32, 'r'));
    read("\x16\x03\x01 no handshake", KT_HELLO_NONE);
    read("\x16\x02", KT_HELLO_NONE);
    read(std::string("\x16\x03\x01\0\0", 5), KT_HELLO_NONE); // an empty record
    read("\x17", KT_HELLO_NONE);
}

TEST(ClientHello, OneInManyRecordsIsOne)
{
    const std::string whole = hello(server_name("api.openai.com") + extension(16, std::string(300, 'a')));
    for (size_t size : {1, 2, 3, 7, 40, 4000}) {
        std::string cut;
        for (size_t i = 5; i < whole.size(); i += size)
            cut += "\x16\x03\x01" + counted(whole.substr(i, size), 2);
        EXPECT_STREQ(read(cut, KT_HELLO_WHOLE).host, "api.openai.com") << size;
        EXPECT_STREQ(read(cut.substr(0, cut.size() - 1), KT_HELLO_MORE).host, "api.openai.com") << size;
    }
}

TEST(ClientHello, OneThatIsEncryptedSaysSo)
{
    const std::string front = server_name("front.example");
    EXPECT_FALSE(read(hello(front), KT_HELLO_WHOLE).encrypted);
    for (const std::string &all : {front + extension(0xfe0d, std::string(200, '\0')),
                                   extension(0xfe0d, std::string(1, '\0')) + front}) {
        EXPECT_TRUE(read(hello(all), KT_HELLO_WHOLE).encrypted);
        EXPECT_STREQ(read(hello(all), KT_HELLO_WHOLE).host, "front.example");
    }
    EXPECT_FALSE(read(hello(front + extension(0xfe0d, "\x01")), KT_HELLO_WHOLE).encrypted)
        << "what stands inside";
    EXPECT_FALSE(read(hello(front + extension(0xfe0d, "")), KT_HELLO_WHOLE).encrypted);
}

TEST(ClientHello, EveryCutAndEveryChangedByteIsSurvived)
{
    const std::string whole = hello(extension(16, "h2") + server_name("api.openai.com"));
    for (size_t n = 0; n < whole.size(); n++)
        EXPECT_EQ(name_in(whole.substr(0, n)), "-") << n; // the name stands last
    for (size_t i = 0; i < whole.size(); i++)
        for (int v : {0, 1, 127, 128, 254, 255}) {
            std::string changed = whole;
            changed[i] = (char)v;
            EXPECT_LT(name_in(changed).size(), (size_t)KT_HELLO_HOST_MAX);
        }
}

} // namespace
