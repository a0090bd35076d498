/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings of answers: however they are cut, the caller sees plain bytes or hears of an error. */
#include "gzip.hpp"
#include "upstream_fixture.hpp"

namespace {

using namespace fake;

class Coding : public UpstreamTest {
  protected:
    // One answer in these pieces.
    void get(Seen &s, const std::string &coding, const std::vector<std::string> &pieces)
    {
        Server server([&](Conn &c, const Request &) {
            bool ok =
                c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: " + coding +
                       "\r\nTransfer-Encoding: chunked\r\n\r\n");
            for (size_t i = 0; ok && i < pieces.size(); i++)
                ok = pieces[i].empty() || c.chunk(pieces[i]);
            return ok && c.chunk_end();
        });
        Ask a;
        a.url = server.url("/");
        call(a, s);
        ASSERT_TRUE(s.wait_done());
    }
    void expect(const std::string &coding, const std::vector<std::string> &pieces, const std::string &want)
    {
        Seen s;
        get(s, coding, pieces);
        EXPECT_EQ(s.outcome, KT_CALL_OK) << s.detail;
        EXPECT_EQ(s.body, want) << coding;
    }
};

const std::string kHello = "data: hello\n\n";

TEST_F(Coding, GzipOfAnyNumberOfMembersHoweverItIsCut)
{
    const std::string text(10000, 'z');
    expect("gzip", {gzip(text)}, text);
    expect("X-Gzip", {gzip(text)}, text);
    const std::string two = gzip("one ") + gzip("two");
    for (size_t cut = 0; cut <= two.size(); cut++)
        expect("gzip", {two.substr(0, cut), two.substr(cut)}, "one two");
    std::string many, want;
    for (int i = 0; i < 300; i++) {
        many += gzip(std::to_string(i) + " ");
        want += std::to_string(i) + " ";
    }
    expect("gzip", {many}, want);
}

TEST_F(Coding, WhatFollowsTheLastMemberIsPadding)
{
    for (const std::string &behind : {std::string(1, '\0'), std::string(70000, '\0'), std::string("garbage")})
        expect("gzip", {gzip("text") + behind, behind}, "text");
}

TEST_F(Coding, DamagedGzipIsAnError)
{
    std::string bad = gzip("some text that is long enough");
    bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 0x55);
    for (const std::string &packed : {bad, gzip("fine") + bad, gzip("fine") + "\x1f\x8bgarbage"}) {
        Seen s;
        get(s, "gzip", {packed});
        EXPECT_EQ(s.outcome, KT_CALL_CONNECTION);
        EXPECT_EQ(s.detail, "the gzip data of the answer are damaged");
    }
}

// Chunked and well ended, but what it holds is not.
TEST_F(Coding, DataThatEndInTheMiddleAreAnError)
{
    struct Form {
        const char *coding;
        int window;
    };
    for (Form f : {Form{"gzip", 15 + 16}, Form{"deflate", 15}, Form{"deflate", -15}}) {
        const std::string whole = packed("some words", f.window);
        for (size_t n = 1; n < whole.size(); n++) {
            Seen s;
            get(s, f.coding, {whole.substr(0, n)});
            EXPECT_EQ(s.outcome, KT_CALL_CONNECTION) << f.coding << " " << n;
            EXPECT_EQ(s.detail, std::string("the ") + f.coding + " data of the answer end in the middle");
        }
        expect(f.coding, {whole}, "some words");
        expect(f.coding, {""}, "");
        expect(f.coding, {whole, "behind it"}, "some words");
    }
    Seen s;
    get(s, "gzip", {gzip("one "), gzip("two").substr(0, 9)});
    EXPECT_EQ(s.outcome, KT_CALL_CONNECTION) << "of the second member";
    EXPECT_EQ(s.body, "one ");
    std::string bad = packed("some text that is long enough", 15);
    bad[4] = static_cast<char>(bad[4] ^ 0x55);
    Seen d;
    get(d, "deflate", {bad});
    EXPECT_EQ(d.detail, "the deflate data of the answer are damaged");
}

TEST_F(Coding, OthersAreLibcurls)
{
    auto bytes = [](std::initializer_list<unsigned char> b) { return std::string(b.begin(), b.end()); };
    expect("br", {bytes({0x0b, 0x06, 0x80}) + kHello + bytes({0x03})}, kHello);
    expect(
        "zstd",
        {bytes({0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x69, 0, 0}) + kHello + bytes({0xc8, 0xc9, 0x3e, 0xeb})},
        kHello);
    const std::string raw =
        bytes({0x4b, 0x49, 0x2c, 0x49, 0xb4, 0x52, 0xc8, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 0xe2, 0x02, 0x00});
    expect("deflate", {raw}, kHello);
    expect("deflate", {bytes({0x78, 0x9c}) + raw + bytes({0x1f, 0xea, 0x04, 0x1d})}, kHello);
    expect("identity", {kHello}, kHello);
    Seen s;
    get(s, "compress", {kHello});
    EXPECT_EQ(s.outcome, KT_CALL_CONNECTION) << "a coding that nobody knows is no text";
    EXPECT_EQ(s.body, "");
}

TEST_F(Coding, APauseInTheMiddleLosesNothing)
{
    std::string many, want;
    for (int i = 0; i < 400; i++) {
        std::string part(5000, static_cast<char>('a' + i % 26));
        many += gzip(part);
        want += part;
    }
    Server server([&](Conn &c, const Request &) {
        return c.reply(200, "text/plain", many, "Content-Encoding: gzip\r\n");
    });
    Seen s;
    s.at_data = [&](Seen &seen) {
        auto resume = [](void *arg) {
            if (static_cast<Seen *>(arg)->call)
                kt_call_resume(static_cast<Seen *>(arg)->call);
        };
        kt_call_pause(seen.call);
        EXPECT_TRUE(kt_is_ok(kt_loop_post(loop, resume, &seen)));
    };
    Ask a;
    a.url = server.url("/");
    call(a, s);
    ASSERT_TRUE(s.wait_done());
    on_loop([] {}); // the last of these jobs is through
    EXPECT_EQ(s.outcome, KT_CALL_OK);
    EXPECT_TRUE(s.body == want) << s.body.size() << " of " << want.size();
}

} // namespace
