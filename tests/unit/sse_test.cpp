/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/sse/kt_sse.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

struct Seen {
    std::vector<std::string> data, names;
    std::vector<uint64_t> ends;
    size_t stop_at = SIZE_MAX;
};

bool collect(void *arg, const kt_sse_event *e)
{
    auto *s = static_cast<Seen *>(arg);
    s->data.emplace_back(e->data.data, e->data.len);
    s->names.emplace_back(e->name.data, e->name.len);
    s->ends.push_back(e->end);
    return s->data.size() < s->stop_at;
}

class Sse : public ::testing::Test {
  protected:
    void SetUp() override
    {
        kt_sse_init(&sse, collect, &seen);
    }
    void TearDown() override
    {
        kt_sse_free(&sse);
    }
    bool feed(const std::string &text)
    {
        return kt_is_ok(kt_sse_feed(&sse, text.data(), text.size()));
    }
    void restart()
    {
        kt_sse_free(&sse);
        seen = Seen();
        kt_sse_init(&sse, collect, &seen);
    }
    kt_sse sse;
    Seen seen;
};

using Strings = std::vector<std::string>;

TEST_F(Sse, EventsOfAllLineEnds)
{
    for (const char *nl : {"\n", "\r\n", "\r"}) {
        restart();
        std::string n = nl;
        ASSERT_TRUE(feed("data: one" + n + n + "event: x" + n + "data:two" + n + "data:  three" + n + n +
                         ": note" + n + n));
        EXPECT_EQ(seen.data, (Strings{"one", "two\n three"})) << "line end of " << n.size();
        EXPECT_EQ(seen.names, (Strings{"", "x"}));
    }
}

TEST_F(Sse, EverySplitSeesTheSame)
{
    const std::string text =
        "\xef\xbb\xbf"
        "data: a\r\n\r\n: c\r\rdata: b\ndata\n\nid: 7\ndata:x\r\n\r\nevent: e\n\ndata: tail\n\n";
    ASSERT_TRUE(feed(text));
    const Seen whole = seen;
    ASSERT_EQ(whole.data, (Strings{"a", "b\n", "x", "tail"}));
    for (size_t i = 0; i <= text.size(); i++) {
        for (size_t j = i; j <= text.size(); j++) {
            restart();
            ASSERT_TRUE(feed(text.substr(0, i)) && feed(text.substr(i, j - i)) && feed(text.substr(j)));
            ASSERT_EQ(seen.data, whole.data) << i << "," << j;
            ASSERT_EQ(kt_sse_boundary(&sse), text.size()) << i << "," << j;
        }
    }
}

TEST_F(Sse, BoundaryIsBehindTheLastBlankLine)
{
    ASSERT_TRUE(feed("data: a\n\nda"));
    EXPECT_EQ(kt_sse_boundary(&sse), 9u);
    ASSERT_TRUE(feed("ta: b\n"));
    EXPECT_EQ(kt_sse_boundary(&sse), 9u);
    ASSERT_TRUE(feed("\n"));
    EXPECT_EQ(kt_sse_boundary(&sse), 18u);
    EXPECT_EQ(seen.ends, (std::vector<uint64_t>{9, 18}));
}

TEST_F(Sse, CrLfBlankLineCutInTheMiddle)
{
    ASSERT_TRUE(feed("data: a\r\n\r"));
    ASSERT_EQ(seen.data.size(), 1u);
    EXPECT_EQ(kt_sse_boundary(&sse), 10u);
    ASSERT_TRUE(feed("\ndata: b\r\n\r\n"));
    EXPECT_EQ(seen.data, (Strings{"a", "b"}));
    EXPECT_EQ(kt_sse_boundary(&sse), 22u);
}

TEST_F(Sse, CommentsAreWholeBlocksToo)
{
    ASSERT_TRUE(feed(": keep-alive\n\n"));
    EXPECT_TRUE(seen.data.empty());
    EXPECT_EQ(kt_sse_boundary(&sse), 14u);
}

TEST_F(Sse, EventWithoutDataIsNone)
{
    ASSERT_TRUE(feed("event: ping\n\ndata\n\n"));
    EXPECT_EQ(seen.data, (Strings{""}));
    EXPECT_EQ(seen.names, (Strings{""})) << "the name of an event without data must not stick";
}

TEST_F(Sse, FieldNamesAreWhole)
{
    ASSERT_TRUE(feed("datax: no\nDATA: no\n data: no\ndata : no\n\n"));
    EXPECT_TRUE(seen.data.empty());
}

TEST_F(Sse, LongLineEndsTheReader)
{
    const std::string piece(65536, 'x');
    kt_result r = kt_sse_feed(&sse, "data: ", 6);
    size_t fed = 0;
    while (kt_is_ok(r) && fed < (16u << 20)) {
        r = kt_sse_feed(&sse, piece.data(), piece.size());
        fed += piece.size();
    }
    EXPECT_EQ(r.code, KT_ERR_LIMIT);
    EXPECT_LE(fed, (size_t)KT_SSE_MAX_LINE + piece.size());
    EXPECT_EQ(kt_sse_feed(&sse, "\n\n", 2).code, KT_ERR_STATE);
    EXPECT_TRUE(seen.data.empty());
}

TEST_F(Sse, JoinedDataIsBoundedToo)
{
    const std::string line = "data: " + std::string(60000, 'x') + "\n";
    kt_result r = kt_ok();
    for (int i = 0; i < 200 && kt_is_ok(r); i++)
        r = kt_sse_feed(&sse, line.data(), line.size());
    EXPECT_EQ(r.code, KT_ERR_LIMIT);
}

TEST_F(Sse, OneHugeFeedIsBoundedToo)
{
    const std::string text = ":" + std::string(KT_SSE_MAX_LINE + 10, 'x') + "\n\ndata: a\n\n";
    EXPECT_EQ(kt_sse_feed(&sse, text.data(), text.size()).code, KT_ERR_LIMIT);
    EXPECT_TRUE(seen.data.empty());
}

TEST_F(Sse, CallbackStops)
{
    seen.stop_at = 1;
    EXPECT_EQ(kt_sse_feed(&sse, "data: a\n\ndata: b\n\n", 18).code, KT_ERR_STATE);
    EXPECT_EQ(seen.data, (Strings{"a"}));
}

} // namespace
