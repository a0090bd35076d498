/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHellos that leave by several calls, of which some fail or are taken in part. */
#include <gtest/gtest.h>

#include <string>
#include <sys/socket.h>
#include <unistd.h>

extern "C" {
#include "shim/hello_parts.h"
}

namespace {

std::string hello(const std::string &host)
{
    auto number = [](size_t v, int bytes) {
        std::string out;
        while (bytes--)
            out += (char)(v >> (8 * bytes) & 255);
        return out;
    };
    std::string name = number(host.size() + 3, 2) + std::string(1, '\0') + number(host.size(), 2) + host;
    std::string ext = number(0, 2) + number(name.size(), 2) + name;
    std::string body = "\x03\x03" + std::string(32, 'r') + std::string(1, '\0') + number(2, 2) + "\x13\x01" +
                       number(1, 1) + std::string(1, '\0') + number(ext.size(), 2) + ext;
    std::string message = "\x01" + number(body.size(), 3) + body;
    return "\x16\x03\x01" + number(message.size(), 2) + message;
}

struct Parts : ::testing::Test {
    int fd[2];
    kt_client_hello h{};

    void SetUp() override
    {
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    }
    void TearDown() override
    {
        kt_hello_parts_drop(fd[0]);
        EXPECT_FALSE(kt_hello_parts_any());
        close(fd[0]);
        close(fd[1]);
    }
    kt_hello say(const std::string &text)
    {
        iovec one = {(void *)text.data(), text.size()};
        return kt_hello_parts_read(fd[0], &one, 1, &h);
    }
};

TEST_F(Parts, WhatFailedOrWasTakenInPartIsSaidAgain)
{
    const std::string all = hello("api.openai.com");
    EXPECT_EQ(say(all.substr(0, 20)), KT_HELLO_MORE);
    kt_hello_parts_said(fd[0], -1); // EAGAIN
    EXPECT_FALSE(kt_hello_parts_has(fd[0]));
    EXPECT_EQ(say(all.substr(0, 20)), KT_HELLO_MORE);
    kt_hello_parts_said(fd[0], 7);
    EXPECT_TRUE(kt_hello_parts_has(fd[0]));
    EXPECT_EQ(say(all.substr(7, 50)), KT_HELLO_MORE);
    kt_hello_parts_said(fd[0], 50);
    EXPECT_EQ(say(all.substr(57)), KT_HELLO_WHOLE);
    EXPECT_STREQ(h.host, "api.openai.com");
}

TEST_F(Parts, AnotherNumberOfTheSameSocketGoesOn)
{
    const std::string all = hello("api.openai.com");
    say(all.substr(0, 5));
    kt_hello_parts_said(fd[0], 5);
    int twin = dup(fd[0]);
    iovec rest = {(void *)(all.data() + 5), all.size() - 5};
    EXPECT_EQ(kt_hello_parts_read(twin, &rest, 1, &h), KT_HELLO_WHOLE);
    EXPECT_STREQ(h.host, "api.openai.com");
    close(twin);
}

TEST_F(Parts, OneThatNeverEndsIsGivenUp)
{
    kt_hello last = say(std::string("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc", 9));
    for (int i = 0; i < 200 && last == KT_HELLO_MORE; i++) {
        kt_hello_parts_said(fd[0], 100);
        last = say(std::string(100, '\0'));
    }
    EXPECT_NE(last, KT_HELLO_MORE);
    EXPECT_FALSE(kt_hello_parts_has(fd[0]));
}

TEST_F(Parts, WhatIsNoSocketIsNotKept)
{
    int p[2];
    ASSERT_EQ(pipe(p), 0);
    iovec one = {(void *)"\x16\x03", 2};
    errno = 5;
    kt_hello_parts_read(p[1], &one, 1, &h);
    EXPECT_EQ(errno, 5);
    EXPECT_FALSE(kt_hello_parts_any());
    close(p[0]);
    close(p[1]);
}

} // namespace
