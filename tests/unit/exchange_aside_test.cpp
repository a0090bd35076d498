/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a stream that are neither an answer nor an error: nothing of them is lost, and nothing leaks in
 * them. */
#include "exchange_filter.hpp"

namespace {

using namespace fake;

class Aside : public Filter {
  protected:
    std::string all_of(const std::string &events, const std::string &prompt = "hello")
    {
        Client k;
        through(k, piece("\"content\":\"a\"") + events + kStop + kDone, prompt);
        EXPECT_TRUE(k.ended) << k.body;
        return k.body;
    }
    // What the client gets of these events between two pieces of an answer.
    std::string of(const std::string &events, const std::string &prompt = "hello")
    {
        const std::string body = all_of(events, prompt);
        size_t from = body.find("\n\n") + 2, to = body.find(kStop);
        EXPECT_NE(to, std::string::npos) << body;
        return to == std::string::npos ? body : body.substr(from, to - from);
    }
};

TEST_F(Aside, WhatHoldsNoTextPassesUnchanged)
{
    guarded();
    for (const std::string &s : {
             std::string("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
             std::string("data: {}\n\n"),
             std::string("data: {\"usage\": {\"prompt_tokens\":1e0}, \"x\":[1,null,true]}\n\n"),
             std::string("event: response.created\ndata: "
                         "{\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n"),
             std::string("data: {\"provider\":\"openai/x\",\"note\":\"this is fine\",\"cost\":0.1}\n\n"),
         })
        EXPECT_EQ(of(s), s);
}

TEST_F(Aside, AStringIsLookedAtAsAWhole)
{
    guarded();
    EXPECT_EQ(
        of("data: {\"note\":\"a SECRET here\",\"list\":[\"SEC\",\"RET\",{\"b\":\"[NAME_1]\"}]}\n\n", "<Bob>"),
        "data: {\"note\":\"a [WORD_1] here\",\"list\":[\"SEC\",\"RET\",{\"b\":\"<Bob>\"}]}\n\n");
    EXPECT_EQ(of("data: {\"id\":\"a SECRET\",\"type\":\"SECRET!\"}\n\n"),
              "data: {\"id\":\"a [WORD_1]\",\"type\":\"[WORD_1]!\"}\n\n")
        << "no id has a blank";
    Json e = event(1);
    EXPECT_EQ(str(e, "verdict"), "redact");
}

TEST_F(Aside, ATextInPiecesIsHeldBackAcrossEvents)
{
    guarded();
    auto one = [](const std::string &text, int item = 0) {
        return "event: d\ndata: {\"type\":\"x.delta\",\"index\":" + std::to_string(item) +
               ",\"delta\":{\"text\":\"" + text + "\"}}\n\n";
    };
    EXPECT_EQ(of(one("a SEC") + one("RET b SEC")), one("a ") + one("[WORD_1] b "))
        << "the rest is behind the end of the choice";
    Client k;
    through(k, one("SEC") + piece("\"content\":\"SEC\"") + one("SEC", 1) + one("RET", 1) + one("OND SE") +
                   piece("\"content\":\"RET\"") + kStop + kDone);
    EXPECT_EQ(k.body.find("SECRET"), std::string::npos);
    std::string joined[2];
    for (size_t at = 0; (at = k.body.find("event: d\n", at)) != std::string::npos; at++) {
        size_t data = at + 15;
        Json j = parse(k.body.substr(data, k.body.find("\n\n", data) - data));
        ASSERT_TRUE(j) << k.body;
        EXPECT_EQ(str(j, "type"), "x.delta");
        joined[static_cast<int>(num(j, "index"))] += str(j, "delta.text");
    }
    EXPECT_EQ(joined[0], "SECOND SE") << k.body;
    EXPECT_EQ(joined[1], "[WORD_1]") << k.body;
}

TEST_F(Aside, AForbiddenWordStopsTheStream)
{
    guarded();
    for (const char *s : {"data: {\"note\":\"FORBIDDEN\"}\n\n",
                          "data: {\"delta\":\"FORB\"}\n\ndata: {\"delta\":\"IDDEN\"}\n\n"}) {
        Seen k = through(piece("\"content\":\"a\"") + s + piece("\"content\":\"b\"") + kStop + kDone);
        EXPECT_EQ(k.texts["0"], "a");
        EXPECT_EQ(k.finish, "0content_filter ");
        EXPECT_EQ(k.error, "output_blocked");
    }
}

TEST_F(Aside, OneThatWaitsForACheckKeepsItsPlace)
{
    guarded();
    const std::string s = "event: e\ndata: {\"note\":\"ASK\"}\n\n", p = "event: ping\ndata: {}\n\n";
    EXPECT_EQ(of(s + p + s + p), s + p + s + p);
    check_ = "{\"v\":\"bad\"}";
    Seen k = through(piece("\"content\":\"a\"") + s + kStop + kDone);
    EXPECT_EQ(k.error, "output_blocked");
}

TEST_F(Aside, ManyOfThemNeedNoRoom)
{
    guarded();
    std::string s;
    for (int i = 0; i < 3000; i++)
        s += "data: {\"note\":\"nothing\"}\n\n";
    EXPECT_EQ(of(s), s);
}

// Piece `text` of the text that `more` and its index tell.
std::string part(const std::string &text, size_t item, const std::string &more = "")
{
    return "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\"," + more +
           "\"index\":" + std::to_string(item) + ",\"delta\":" + quoted(text) + "}\n\n";
}

TEST_F(Aside, ALongNameIsNoReasonToStop)
{
    guarded();
    for (size_t n : {53u, 160u, 500u, 3000u}) {
        const std::string id = "\"item_id\":\"msg_" + std::string(n, '0') + "\",\"output_index\":0,";
        EXPECT_EQ(of(part("a SEC", 0, id) + part("RET b", 0, id)),
                  part("a ", 0, id) + part("[WORD_1] b", 0, id));
    }
    const std::string deep = std::string(60, '['), end = std::string(60, ']');
    auto below = [&](const std::string &s) { return "data: {\"text\":" + deep + quoted(s) + end + "}\n\n"; };
    EXPECT_EQ(of(below("a SEC") + below("RET")), below("a ") + below("[WORD_1]"));
}

TEST_F(Aside, WhatIsNamedEndlesslyIsLookedAtPieceByPiece)
{
    guarded();
    const std::string key = std::string(9000, 'k');
    auto below = [&](const std::string &s) {
        return "data: {\"text\":{\"" + key + "\":" + quoted(s) + "}}\n\n";
    };
    EXPECT_EQ(of(below("a SEC") + below("SECRET") + below("[NAME_1]"), "<Bob>"),
              below("a SEC") + below("[WORD_1]") + below("<Bob>"));
}

// What a client that puts the texts of each index together has.
std::map<int, std::string> joined(const std::string &body)
{
    std::map<int, std::string> out;
    for (size_t at = 0; (at = body.find("data: {\"type\"", at)) != std::string::npos; at++) {
        Json j = parse(body.substr(at + 6, body.find("\n\n", at) - at - 6));
        EXPECT_TRUE(j);
        out[static_cast<int>(num(j, "index"))] += str(j, "delta");
    }
    return out;
}

TEST_F(Aside, AnyNumberOfTextsMayBegin)
{
    const std::string policies = "chain: [pii-detector, dlp-filter, safety-filter, language-validator]";
    std::string text = config(target("a", up_.port(), "KT_TEST_KEY_A", "m"));
    text.replace(text.find("chain: []"), 9, policies);
    configure(text);
    std::string s;
    for (size_t i = 0; i < 5000; i++)
        s += part("step " + std::to_string(i) + " of jane", i);
    s += part("ask jane.roe@exam", 5000) + part("ple.org", 5000);
    std::map<int, std::string> got = joined(all_of(s));
    for (int i = 0; i < 5000; i++)
        ASSERT_EQ(got[i], "step " + std::to_string(i) + " of jane");
    EXPECT_EQ(got[5000], "ask [EMAIL_1]");
}

TEST_F(Aside, TheOneThatWasSilentForLongestEndsFirst)
{
    guarded();
    std::string s = part("first SEC", 0) + part("second SEC", 1);
    for (size_t i = 2; i < 32; i++)
        s += part("x", i);
    std::string out = all_of(s + part("RET", 0) + part("y", 32) + part("RET", 0));
    EXPECT_EQ(joined(out)[0], "first [WORD_1]RET") << out;
    EXPECT_EQ(joined(out)[1], "second SEC") << out;
    EXPECT_LT(out.find("\"SEC\""), out.find("\"index\":32")) << "what it held comes at once\n" << out;
}

TEST_F(Aside, MoreThanThatInOneEventAreLookedAtOneByOne)
{
    guarded();
    std::string in, want;
    for (int i = 0; i < 100; i++) {
        in += std::string(i ? "," : "") + "{\"index\":" + std::to_string(i) + ",\"text\":\"SECRET x\"}";
        want += std::string(i ? "," : "") + "{\"index\":" + std::to_string(i) + ",\"text\":\"[WORD_1] x\"}";
    }
    EXPECT_EQ(of("data: {\"parts\":[" + in + "]}\n\n"), "data: {\"parts\":[" + want + "]}\n\n");
}

TEST_F(Aside, OneThatLeavesWhileAPolicyAsksKeepsItsPlace)
{
    guarded();
    std::string s;
    for (size_t i = 0; i < 80; i++)
        s += part("a SEC", i);
    s += part("ASK", 80);
    for (size_t i = 81; i < 160; i++)
        s += part("AS", i);
    std::map<int, std::string> got = joined(all_of(s));
    for (int i = 0; i < 160; i++)
        EXPECT_EQ(got[i], i < 80 ? "a SEC" : i == 80 ? "ASK" : "AS") << i;
}

TEST_F(Aside, InFrontOfTheFirstContentItBindsToNoTarget)
{
    Server bad([](Conn &c, const Request &) {
        c.sse_head();
        c.chunk("event: ping\ndata: {\"type\":\"ping\"}\n\ndata: {\"note\":\"wait\"}\n\n");
        return false;
    });
    stream_ = piece("\"content\":\"b\"") + kStop + kDone;
    configure(config(target("bad", bad.port(), "KT_TEST_KEY_A") + target("b", up_.port(), "KT_TEST_KEY_B")),
              guard());
    Client k;
    ask(k, ask_stream());
    EXPECT_EQ(k.body, std::string(stream_));
    EXPECT_EQ(str(event(), "target"), "b");
}

TEST_F(Aside, InObserveModeItIsLookedAtAndNothingElse)
{
    configure(config(""), guard(), KT_MODE_OBSERVE);
    origin_port = up_.port();
    const std::string ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
                      note = "data: {\"note\":\"a SECRET\"}\n\n";
    for (const std::string &s : {ping, ping + note}) {
        Client k;
        const std::string all = piece("\"content\":\"a\"") + s + kStop + kDone;
        through(k, all);
        EXPECT_EQ(k.body, all);
    }
    EXPECT_EQ(str(event(0), "error"), "");
    EXPECT_EQ(str(event(0), "verdict"), "allow");
    EXPECT_EQ(str(event(1), "error"), "");
    EXPECT_EQ(str(event(1), "would_verdict"), "redact");
}

TEST_F(Aside, TheTargetsKeyIsNoPartOfIt)
{
    guarded();
    std::string s = of("data: {\"note\":\"key sk-target-a\"}\n\n");
    EXPECT_EQ(s.find("sk-target-a"), std::string::npos) << s;
}

} // namespace
