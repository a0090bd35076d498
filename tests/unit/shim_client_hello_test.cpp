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
    char host[KT_HELLO_HOST_MAX] = "";
    return kt_client_hello_name(copy.get(), bytes.size(), host) ? host : "-";
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

TEST(ClientHello, EveryCutAndEveryChangedByteIsSurvived)
{
    const std::string whole = hello(extension(16, "h2") + server_name("api.openai.com"));
    for (size_t n = 0; n < whole.size(); n++)
        EXPECT_EQ(name_in(whole.substr(0, n)), "-") << n;
    for (size_t i = 0; i < whole.size(); i++)
        for (int v : {0, 1, 127, 128, 254, 255}) {
            std::string changed = whole;
            changed[i] = (char)v;
            EXPECT_LT(name_in(changed).size(), (size_t)KT_HELLO_HOST_MAX);
        }
}

} // namespace
