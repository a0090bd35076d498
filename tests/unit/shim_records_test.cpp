/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS records tell from outside. Lengths are those of OpenSSL's handshakes. */
#include <gtest/gtest.h>

#include <string>

extern "C" {
#include "shim/tls_records.h"
}

namespace {

std::string record(int type, size_t len)
{
    return std::string({(char)type, 3, 3, (char)(len >> 8), (char)(len & 255)}) + std::string(len, '\x17');
}

struct Records : ::testing::Test {
    kt_tls_records r{};
    size_t step = 1 << 20;

    void feed(bool out, const std::string &bytes)
    {
        for (size_t i = 0; i < bytes.size(); i += step)
            kt_tls_records_feed(&r, out, bytes.data() + i, std::min(step, bytes.size() - i));
    }
    void handshake13()
    {
        feed(true, record(22, 300));
        feed(false, record(22, 90) + record(20, 1) + record(23, 27) + record(23, 800) + record(23, 53));
        feed(true, record(20, 1) + record(23, 69));
        feed(false, record(23, 234) + record(23, 234)); // session tickets
    }
};

TEST_F(Records, HandshakeTicketsAndFarewellAreNoConversation)
{
    handshake13();
    feed(true, record(23, 22) + record(23, 19));
    EXPECT_FALSE(kt_tls_records_spoke(&r));
    EXPECT_FALSE(kt_tls_records_answered(&r));
}

TEST_F(Records, ConversationIsNoticedHoweverItIsCut)
{
    for (size_t cut : {1, 2, 3, 4, 5, 7, 1000000}) {
        r = {};
        step = cut;
        handshake13();
        feed(true, record(23, 200));
        EXPECT_TRUE(kt_tls_records_spoke(&r)) << cut;
        EXPECT_FALSE(kt_tls_records_answered(&r)) << cut;
        feed(false, record(23, 120));
        EXPECT_TRUE(kt_tls_records_answered(&r)) << cut;
    }
}

TEST_F(Records, Tls12SaysSoWithItsFirstRecord)
{
    feed(true, record(22, 300));
    feed(false, record(22, 2000));
    feed(true, record(22, 70) + record(20, 1) + record(22, 40));
    feed(false, record(20, 1) + record(22, 40));
    EXPECT_FALSE(kt_tls_records_spoke(&r));
    feed(true, record(23, 180));
    EXPECT_TRUE(kt_tls_records_spoke(&r));
}

TEST_F(Records, EmptyRecordsAndGarbageAreSurvived)
{
    feed(true, record(23, 0) + record(0, 0) + std::string(70000, '\xff'));
    feed(false, std::string(70000, '\0'));
    EXPECT_FALSE(kt_tls_records_answered(&r));
}

} // namespace
