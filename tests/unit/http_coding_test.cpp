/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/http_fixture.h"

using namespace kt_test;

namespace {

TEST(Http, ExactlyFittingGzipIsNotABomb)
{
    for (size_t n : {0, 1, 100, 4096, 70000}) {
        std::string data(n, 'a');
        size_t max = n > 200 ? n : 200; /* the coded bytes are bounded as well */
        Outcome o = one(coded("gzip", gzip(data)), max);
        EXPECT_TRUE(o.complete) << n << o.text;
        EXPECT_EQ(o.body, data);
        if (n > 200) {
            EXPECT_EQ(one(coded("gzip", gzip(data)), n - 1).status, 413) << n;
        }
    }
}

TEST(Http, ZipBombIs413)
{
    std::string bomb = gzip(std::string(64 << 20, '\0'));
    ASSERT_LT(bomb.size(), 80u << 10);
    EXPECT_EQ(one(coded("gzip", bomb), 1 << 20).status, 413);
    std::string raw = deflated(std::string(16 << 20, 'x'), -15);
    EXPECT_EQ(one(coded("deflate", raw), 1 << 20).status, 413);
    /* Empty members unpack to nothing, but the bytes on the wire are counted too. */
    std::string members;
    while (members.size() < 70000)
        members += gzip("");
    std::string chunks;
    char size[32];
    for (size_t at = 0; at < members.size(); at += 1000) {
        std::string part = members.substr(at, 1000);
        snprintf(size, sizeof size, "%zx\r\n", part.size());
        chunks += size + part + "\r\n";
    }
    const std::string fields = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n";
    EXPECT_EQ(one(get(fields, chunks + "0\r\n\r\n"), 65536).status, 413);
    EXPECT_TRUE(one(get(fields, chunks + "0\r\n\r\n"), 1 << 20).complete);
}

TEST(Http, TruncatedGzipIsRefusedAtEveryLength)
{
    std::string zipped = gzip(kBody);
    for (size_t n = 1; n < zipped.size(); n++) {
        EXPECT_EQ(one(coded("gzip", zipped.substr(0, n))).status, 400) << n;
        char size[32];
        snprintf(size, sizeof size, "%zx\r\n", n);
        EXPECT_EQ(one(get("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                          size + zipped.substr(0, n) + "\r\n0\r\n\r\n"))
                      .status,
                  400)
            << n;
    }
    Outcome empty = one(get("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
    EXPECT_TRUE(empty.complete);
    EXPECT_EQ(empty.body, "");
}

TEST(Http, EveryDamagedGzipByteIsSurvived)
{
    std::string zipped = gzip(kBody);
    for (size_t at = 0; at < zipped.size(); at++)
        for (int bit = 0; bit < 8; bit++) {
            std::string bad = zipped;
            bad[at] = (char)(bad[at] ^ (1 << bit));
            Outcome o = one(coded("gzip", bad));
            /* Header bytes such as the time are no part of the check sum. */
            if (o.complete)
                EXPECT_EQ(o.body, kBody) << at;
            else
                EXPECT_EQ(o.status, 400) << at << "/" << bit;
        }
}

} // namespace
