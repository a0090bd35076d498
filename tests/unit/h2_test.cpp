/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tap/kt_h2.h"

#include "h2_wire.hpp"

#include <gtest/gtest.h>
#include <set>

namespace {

// What the walker reports, as text.
struct Reader {
    kt_h2 *h = nullptr;
    std::string log;
    std::set<uint32_t> closed_to; // streams that `may` refuses

    Reader()
    {
        kt_h2_handler on = {};
        on.arg = this;
        on.may = [](void *arg, kt_h2_dir, uint32_t stream) { return of(arg)->closed_to.count(stream) == 0; };
        on.field = [](void *arg, kt_h2_dir dir, uint32_t stream, struct kt_span name, struct kt_span value) {
            of(arg)->put(dir, stream,
                         std::string(name.data, name.len) + "=" + std::string(value.data, value.len));
        };
        on.fields_end = [](void *arg, kt_h2_dir dir, uint32_t stream, bool cut) {
            of(arg)->put(dir, stream, cut ? "cut" : "fields");
        };
        on.data = [](void *arg, kt_h2_dir dir, uint32_t stream, const char *data, size_t len) {
            std::string prefix = head(dir, stream) + "data ", &l = of(arg)->log;
            size_t line = l.rfind('\n', l.size() - 2);
            line = line == std::string::npos ? 0 : line + 1;
            if (l.compare(line, prefix.size(), prefix) == 0) // pieces of one run are one
                l.insert(l.size() - 1, data, len);
            else
                l += prefix + std::string(data, len) + "\n";
        };
        on.end_stream = [](void *arg, kt_h2_dir dir, uint32_t stream) { of(arg)->put(dir, stream, "end"); };
        on.reset = [](void *arg, kt_h2_dir dir, uint32_t stream) { of(arg)->put(dir, stream, "reset"); };
        on.goaway = [](void *arg, kt_h2_dir dir, uint32_t last) { of(arg)->put(dir, last, "goaway"); };
        if (!kt_is_ok(kt_h2_new(&on, &h)))
            abort();
    }
    ~Reader()
    {
        kt_h2_free(h);
    }
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;

    static Reader *of(void *arg)
    {
        return static_cast<Reader *>(arg);
    }
    static std::string head(kt_h2_dir dir, uint32_t stream)
    {
        return (dir == KT_H2_CLIENT ? "c" : "s") + std::to_string(stream) + " ";
    }
    void put(kt_h2_dir dir, uint32_t stream, const std::string &what)
    {
        log += head(dir, stream) + what + "\n";
    }
    kt_h2_state feed(kt_h2_dir dir, const std::string &bytes, size_t piece = SIZE_MAX)
    {
        kt_h2_state s = KT_H2_MORE;
        for (size_t at = 0; at < bytes.size() && s == KT_H2_MORE; at += piece) {
            size_t used = 0;
            std::string exact = bytes.substr(at, piece);
            s = kt_h2_feed(h, dir, exact.data(), exact.size(), &used);
            if (s == KT_H2_MORE) {
                EXPECT_EQ(used, exact.size());
            }
            if (piece == SIZE_MAX)
                break;
        }
        return s;
    }
};

std::string call_bytes(h2::Side &c)
{
    std::string block = c.block(h2::post());
    std::string padded =
        std::string(1, '\x05') + h2::be32(3) + "\x10" + block.substr(0, 9) + std::string(5, '\0');
    return h2::kPreface + h2::settings(1, 4096) + h2::frame(h2::kPing, 0, 0, "12345678") +
           h2::frame(h2::kPriority, 0, 9, "abcde") +
           h2::frame(h2::kHeaders, h2::kPadded | h2::kHasPriority, 1, padded) +
           h2::frame(h2::kContinuation, 0, 1, "") +
           h2::frame(h2::kContinuation, h2::kEndHeaders, 1, block.substr(9)) +
           h2::frame(h2::kData, h2::kPadded, 1, std::string(1, '\x03') + "hello" + std::string(3, '\0')) +
           h2::frame(h2::kData, h2::kPadded | h2::kEndStream, 1, std::string(1, '\0'));
}

const char kCallLog[] =
    "c1 :method=POST\nc1 :scheme=https\nc1 :authority=api.openai.com\nc1 :path=/v1/chat/completions\n"
    "c1 authorization=Bearer sk-program\nc1 content-type=application/json\nc1 fields\nc1 data hello\nc1 "
    "end\n";

TEST(H2, ReadsFramesHoweverTheyAreCut)
{
    h2::Side c;
    const std::string bytes = call_bytes(c);
    for (size_t piece = 1; piece <= bytes.size(); piece++) {
        Reader r;
        ASSERT_EQ(r.feed(KT_H2_CLIENT, bytes, piece), KT_H2_MORE) << piece << ": " << kt_h2_error(r.h);
        ASSERT_EQ(r.log, kCallLog) << piece;
    }
}

TEST(H2, KeepsInterleavedStreamsApart)
{
    h2::Side c, s;
    Reader r;
    r.feed(KT_H2_CLIENT, h2::kPreface + c.headers(1, {{":method", "POST"}}) +
                             c.headers(3, {{":method", "PUT"}}) + h2::data(3, "b") + h2::data(1, "a", true) +
                             h2::data(3, "", true));
    r.feed(KT_H2_SERVER, s.headers(3, {{":status", "200"}}) + s.headers(1, {{":status", "204"}}, true) +
                             h2::data(3, "x") + s.headers(3, {{"trailer", "t"}}, true));
    EXPECT_EQ(r.log,
              "c1 :method=POST\nc1 fields\nc3 :method=PUT\nc3 fields\nc3 data b\nc1 data a\nc1 end\nc3 end\n"
              "s3 :status=200\ns3 fields\ns1 :status=204\ns1 fields\ns1 end\ns3 data x\ns3 trailer=t\ns3 "
              "fields\ns3 end\n");
}

TEST(H2, TellsResetsAndFarewells)
{
    h2::Side c;
    Reader r;
    r.feed(KT_H2_CLIENT,
           h2::kPreface + c.headers(5, {{"a", "b"}}) + h2::frame(h2::kReset, 0, 5, h2::be32(8)));
    r.feed(KT_H2_SERVER, h2::frame(h2::kGoaway, 0, 0, h2::be32(0x80000003u) + h2::be32(0) + "bye"));
    EXPECT_EQ(r.log, "c5 a=b\nc5 fields\nc5 reset\ns3 goaway\n");
}

TEST(H2, ReadsOnBehindAPush)
{
    h2::Side s;
    Reader r;
    const std::string promised =
        h2::be32(2) + s.block({{":path", "/pushed"}, {"x-new", "entry of the table"}});
    ASSERT_EQ(r.feed(KT_H2_SERVER, h2::frame(h2::kPush, h2::kEndHeaders, 1, promised) +
                                       s.headers(1, {{"x-new", "entry of the table"}})),
              KT_H2_MORE);
    EXPECT_EQ(r.log, "s1 x-new=entry of the table\ns1 fields\n");
}

TEST(H2, ChangesATableWhenTheOtherSideHasSaidSo)
{
    h2::Side c;
    Reader r;
    const h2::Fields f = {{"x-some", "value that is kept"}};
    ASSERT_EQ(r.feed(KT_H2_CLIENT, h2::kPreface + c.headers(1, f)), KT_H2_MORE);
    ASSERT_EQ(r.feed(KT_H2_SERVER, h2::settings(1, 0)), KT_H2_MORE);
    ASSERT_EQ(r.feed(KT_H2_CLIENT, c.headers(3, f)), KT_H2_MORE) << "not acknowledged yet";
    c.table(0);
    ASSERT_EQ(r.feed(KT_H2_CLIENT, h2::ack() + c.headers(5, f)), KT_H2_MORE);
    EXPECT_NE(r.log.find("c5 x-some=value that is kept"), std::string::npos);
    ASSERT_EQ(r.feed(KT_H2_SERVER, h2::settings(1, 65536)), KT_H2_MORE);
    c.table(65536);
    ASSERT_EQ(r.feed(KT_H2_CLIENT, h2::ack() + c.headers(7, f)), KT_H2_MORE);
    ASSERT_EQ(r.feed(KT_H2_CLIENT, c.headers(9, f)), KT_H2_MORE);
    EXPECT_NE(r.log.find("c9 x-some=value that is kept"), std::string::npos);
}

TEST(H2, StallsInFrontOfAFrame)
{
    const size_t whole = 64;
    for (size_t piece = 1; piece <= whole; piece++) {
        Reader a;
        h2::Side other;
        const std::string again = other.headers(1, {{":status", "200"}}) + h2::data(1, "x", true);
        a.closed_to = {1};
        std::string rest = again;
        for (int round = 0; round < 3; round++) {
            size_t at = 0;
            while (at < rest.size()) {
                size_t used = 0;
                kt_h2_state state =
                    kt_h2_feed(a.h, KT_H2_SERVER, rest.data() + at, std::min(piece, rest.size() - at), &used);
                at += used;
                if (state == KT_H2_STALL)
                    break;
            }
            rest.erase(0, at);
            if (round < 2) {
                EXPECT_EQ(a.log, "") << piece;
            }
            if (round == 1)
                a.closed_to.clear();
        }
        size_t used = 0;
        ASSERT_EQ(kt_h2_feed(a.h, KT_H2_SERVER, rest.data(), rest.size(), &used), KT_H2_MORE);
        ASSERT_EQ(a.log, "s1 :status=200\ns1 fields\ns1 data x\ns1 end\n") << piece;
    }
}

struct Bad {
    const char *what;
    std::string bytes;
};

TEST(H2, RefusesWhatIsNoHttp2)
{
    h2::Side c;
    const std::string block = c.block({{"a", "b"}});
    const std::vector<Bad> all = {
        {"no preface", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"data without a stream", h2::kPreface + h2::data(0, "x")},
        {"headers without a stream", h2::kPreface + h2::frame(h2::kHeaders, h2::kEndHeaders, 0, block)},
        {"continuation of nothing", h2::kPreface + h2::frame(h2::kContinuation, h2::kEndHeaders, 1, block)},
        {"interrupted block", h2::kPreface + h2::frame(h2::kHeaders, 0, 1, block) + h2::data(1, "x")},
        {"block of another stream", h2::kPreface + h2::frame(h2::kHeaders, 0, 1, "") +
                                        h2::frame(h2::kContinuation, h2::kEndHeaders, 3, block)},
        {"too much padding",
         h2::kPreface + h2::frame(h2::kData, h2::kPadded, 1, std::string(1, '\x05') + "abc")},
        {"too much padding of a block", h2::kPreface + h2::frame(h2::kHeaders, h2::kPadded | h2::kEndHeaders,
                                                                 1, std::string(1, '\x7f') + "abc")},
        {"padding without its length",
         h2::kPreface + h2::frame(h2::kHeaders, h2::kPadded | h2::kEndHeaders, 1, "")},
        {"no room for the priority",
         h2::kPreface + h2::frame(h2::kHeaders, h2::kHasPriority | h2::kEndHeaders, 1, "abc")},
        {"damaged block",
         h2::kPreface + h2::frame(h2::kHeaders, h2::kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff")},
        {"torn block",
         h2::kPreface + h2::frame(h2::kHeaders, h2::kEndHeaders, 1, std::string("\x40\x0a", 2) + "abc")},
        {"index beyond the table", h2::kPreface + h2::frame(h2::kHeaders, h2::kEndHeaders, 1, "\xfe")},
        {"huge table", h2::kPreface + h2::settings(1, 0xffffffffu)},
        {"huge block", h2::kPreface + std::string("\xff\xff\xff\x01\x04\0\0\0\x01", 9)},
    };
    for (const Bad &b : all)
        for (size_t piece : {SIZE_MAX, size_t{1}}) {
            Reader r;
            EXPECT_EQ(r.feed(KT_H2_CLIENT, b.bytes, piece), KT_H2_BAD) << b.what;
            EXPECT_NE(kt_h2_error(r.h), nullptr) << b.what;
            EXPECT_EQ(r.feed(KT_H2_CLIENT, h2::data(1, "x")), KT_H2_BAD) << b.what << ": it stays so";
        }
}

TEST(H2, BoundsABlockInManyFrames)
{
    Reader r;
    std::string bytes = h2::kPreface + h2::frame(h2::kHeaders, 0, 1, "");
    for (int i = 0; i < 40; i++)
        bytes += h2::frame(h2::kContinuation, 0, 1, std::string(16384, '\x82'));
    EXPECT_EQ(r.feed(KT_H2_CLIENT, bytes), KT_H2_BAD);
    EXPECT_STREQ(kt_h2_error(r.h), "a header block is too large");
}

// One large entry of the table, named by one byte each time: megabytes of fields out of a few kilobytes.
TEST(H2, DoesNotReportABombAndReadsOn)
{
    h2::Side c;
    Reader r;
    const std::string big(3000, 'v');
    ASSERT_EQ(r.feed(KT_H2_CLIENT, h2::kPreface + c.headers(1, {{"x", big}})), KT_H2_MORE);
    r.log.clear();
    ASSERT_EQ(r.feed(KT_H2_CLIENT, h2::frame(h2::kHeaders, h2::kEndHeaders, 3, std::string(16000, '\xbe'))),
              KT_H2_MORE);
    EXPECT_LT(r.log.size(), size_t{2} * KT_H2_MAX_FIELDS_BYTES);
    EXPECT_NE(r.log.find("c3 cut"), std::string::npos);
    ASSERT_EQ(r.feed(KT_H2_CLIENT, c.headers(5, {{"x", big}})), KT_H2_MORE);
    EXPECT_NE(r.log.find("c5 fields"), std::string::npos);
}

} // namespace
