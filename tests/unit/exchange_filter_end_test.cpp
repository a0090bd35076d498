/* SPDX-License-Identifier: Apache-2.0 */
/* How a stream ends before its time: a block, a policy that fails, a target that breaks off, a client that
 * goes. */
#include "exchange_filter.hpp"

namespace {

using namespace fake;

class FilterEnd : public Filter {};

TEST_F(FilterEnd, ABlockInMidStreamEndsIt)
{
    guarded();
    close_ = false;
    Client k;
    through(k, kRole + piece("\"content\":\"fine words, then FORB\"") + piece("\"content\":\"IDDEN fruit\"") +
                   piece("\"content\":\"more\""));
    EXPECT_TRUE(k.ended);
    EXPECT_EQ(k.status, 200);
    EXPECT_TRUE(gone_.wait()) << "the upstream is cancelled";
    Seen s = read_stream(k.body);
    EXPECT_TRUE(s.good) << k.body;
    EXPECT_EQ(s.texts["0"], "fine words, then ");
    EXPECT_EQ(s.finish, "0content_filter ");
    EXPECT_EQ(s.error, "output_blocked");
    EXPECT_EQ(s.done, 1);
    EXPECT_EQ(k.body.find("fruit"), std::string::npos);
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "block");
    EXPECT_EQ(str(e, "reason_code"), "words.forbidden");
    EXPECT_EQ(num(e, "chunks"), 3) << "the one with the end of the word was read, not delivered";
    EXPECT_EQ(num(e, "delivered_chunks"), 2);
    EXPECT_EQ(num(e, "delivered_bytes"), 17);
    EXPECT_EQ(event_lines().size(), 1u);
}

// SDKs keep an answer for each choice: none may look as if it went on.
TEST_F(FilterEnd, ABlockEndsEveryChoiceThatHasNotFinished)
{
    guarded();
    const std::string begun =
        kRole + piece("\"content\":\"a\"", 1) + piece("\"content\":\"b\"", 2) + piece("\"content\":\"c\"", 7);
    Seen s = through(begun + piece("", 2, "\"stop\"") + piece("\"content\":\"FORBIDDEN\"", 1));
    EXPECT_TRUE(s.good);
    EXPECT_EQ(s.finish, "2stop 0content_filter 1content_filter 7content_filter ");
    EXPECT_EQ(s.error, "output_blocked");
    EXPECT_EQ(s.done, 1);
    // A finish_reason in the chunk that is not sent has not reached the client.
    s = through(begun + event_of("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"},{\"index\":2,"
                                 "\"delta\":{\"content\":\"FORBIDDEN\"},\"finish_reason\":\"stop\"}"));
    EXPECT_EQ(s.finish, "0content_filter 1content_filter 2content_filter 7content_filter ");
    // Numbers beyond those that are counted one by one.
    s = through(begun + piece("\"content\":\"d\"", 5000) + piece("\"content\":\"e\"", 1023) +
                piece("\"content\":\"FORBIDDEN\"", 5000));
    EXPECT_EQ(s.finish, "0content_filter 1content_filter 2content_filter 7content_filter "
                        "5000content_filter 1023content_filter ");
    EXPECT_EQ(event_lines().size(), 3u);
}

TEST_F(FilterEnd, ABlockInTheOlderCompletionsEndsEveryText)
{
    guarded();
    auto text = [](int choice, const std::string &what) {
        return "data: {\"id\":\"c1\",\"choices\":[{\"index\":" + std::to_string(choice) + ",\"text\":\"" +
               what + "\",\"finish_reason\":null}]}\n\n";
    };
    stream_ = text(0, "one ") + text(1, "two ") + text(0, "FORBIDDEN");
    Client k;
    ask(k, post("{\"model\":\"m\",\"prompt\":\"hi\",\"n\":2,\"stream\":true}", "", "/v1/completions"));
    Seen s = read_stream(k.body);
    EXPECT_EQ(s.finish, "0content_filter 1content_filter ") << k.body;
    EXPECT_EQ(s.error, "output_blocked");
}

// What the client got and what the event says of it, whether the stream is written anew or goes as it comes.
TEST_F(FilterEnd, TheEventCountsWhatTheClientGot)
{
    const std::string words = piece("\"content\":\"\\u00e9t\\u00e9 \\ud83d\\ude00\"") +
                              piece("\"reasoning_content\":\"hm\"") +
                              piece("\"tool_calls\":[{\"index\":0,\"id\":\"call\",\"type\":\"function\","
                                    "\"function\":{\"name\":\"look\",\"arguments\":\"{}\"}}]");
    const std::string held = piece("\"content\":\" SEC\"") + kStop;
    for (bool filtered : {true, false}) {
        if (filtered)
            guarded();
        else
            openai_target(up_);
        size_t n = event_lines().size();
        through(kRole + words + held + kDone);
        Json e = event(n);
        EXPECT_EQ(num(e, "chunks"), 6) << filtered;
        EXPECT_GE(num(e, "delivered_chunks"), 6) << "and what was held back, in a chunk of its own";
        EXPECT_EQ(num(e, "delivered_bytes"), 10 + 2 + 2 + 4) << filtered;
        EXPECT_EQ(str(e, "interruption"), "");
        through(kRole + words + held.substr(0, held.size() - kStop.size()));
        e = event(n + 1);
        EXPECT_EQ(num(e, "delivered_bytes"), 10 + 2 + 2 + (filtered ? 1 : 4)) << "without what is held back";
        EXPECT_EQ(num(e, "delivered_chunks"), 5) << filtered;
        EXPECT_EQ(str(e, "interruption"), "incomplete");
    }
}

TEST_F(FilterEnd, ABlockBeforeAnythingWasSentIsAnOrdinaryAnswer)
{
    guarded();
    Client k, tool;
    through(k, kRole + piece("\"content\":\"FORBIDDEN\"") + kStop + kDone);
    EXPECT_EQ(k.status, 409);
    EXPECT_EQ(k.headers["x-should-retry"], "false");
    EXPECT_EQ(str(parse(k.body), "error.code"), "output_blocked");
    through(tool,
            kRole +
                piece("\"tool_calls\":[{\"index\":0,\"id\":\"1\",\"function\":{\"name\":\"rm\",\"arguments\":"
                      "\"{\"}}]"));
    EXPECT_EQ(tool.status, 409);
    EXPECT_EQ(str(event(1), "reason_code"), "guard.called");
}

TEST_F(FilterEnd, PoliciesThatAskOutside)
{
    guarded();
    std::string s = kRole + piece("\"content\":\"one \"") + piece("\"content\":\"ASK SEC\"") +
                    piece("\"content\":\"RET two\"") + kStop + kDone;
    Seen k = through(s);
    EXPECT_EQ(k.texts["0"], "one ASK [WORD_1] two");
    EXPECT_TRUE(k.good && k.done == 1);
    EXPECT_EQ(k.finish, "0stop ");
    check_ = "{\"v\":\"bad\"}";
    k = through(s);
    EXPECT_EQ(k.texts["0"], "one ");
    EXPECT_EQ(k.error, "output_blocked");
    check_ = "again";
    k = through(s);
    EXPECT_EQ(k.error, "policy_failed") << "no end of it";
    EXPECT_EQ(event_lines().size(), 3u);
}

TEST_F(FilterEnd, FailuresFollowFailMode)
{
    const std::string crash =
        kRole + piece("\"content\":\"fine \"") + piece("\"content\":\"CRASH SECRET\"") + kStop + kDone;
    const std::string odd =
        kRole + piece("\"content\":\"fine \"") +
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"content\":\"SECRET\"}}]}\n\n" +
        kStop + kDone;
    guarded(KT_FAIL_BLOCK);
    Seen k = through(crash);
    EXPECT_EQ(k.texts["0"], "fine ");
    EXPECT_EQ(k.error, "policy_failed");
    k = through(odd);
    EXPECT_EQ(k.error, "unreadable_answer");
    EXPECT_EQ(k.texts["0"], "fine ");
    guarded(KT_FAIL_ALLOW);
    k = through(crash);
    EXPECT_EQ(k.texts["0"], "fine CRASH [WORD_1]") << "what the others want gone goes";
    EXPECT_EQ(str(event(2), "error"), "policy_error");
    k = through(odd);
    EXPECT_EQ(k.done, 1);
    EXPECT_EQ(str(event(3), "error"), "unreadable_answer");
}

TEST_F(FilterEnd, AnInterruptedStreamSaysSo)
{
    guarded();
    Client k;
    through(k, kRole + piece("\"content\":\"one SEC\""));
    Seen s = read_stream(k.body);
    EXPECT_EQ(s.error, "stream_interrupted") << k.body;
    EXPECT_EQ(s.texts["0"], "one ") << "what was held is not shown";
    EXPECT_EQ(str(event(), "error"), "stream_interrupted");
    Client e;
    through(e, kRole + piece("\"content\":\"one\"") +
                   "data: {\"error\":{\"message\":\"m\",\"code\":\"their_own\"}}\n\n");
    EXPECT_EQ(read_stream(e.body).error, "their_own");
}

TEST_F(FilterEnd, FallsBackUntilSomethingWasSent)
{
    Server second([](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(kRole + piece("\"content\":\"fine SECRET\"") + kStop + kDone) &&
               c.chunk_end();
    });
    stream_ = kRole + piece("\"content\":\"SEC\"");
    configure(config(target("a", up_.port(), "KT_TEST_KEY_A") + target("b", second.port(), "KT_TEST_KEY_B")),
              guard());
    Client k;
    ask(k, ask_stream());
    EXPECT_EQ(read_stream(k.body).texts["0"], "fine [WORD_1]") << "all of the first was held back";
    EXPECT_EQ(str(event(), "target"), "b");
}

TEST_F(FilterEnd, OfTheOriginToo)
{
    origin_port = up_.port();
    configure(config(""), guard());
    Client k;
    through(k,
            kRole + piece("\"content\":\"SECR\"") + piece("\"content\":\"ET for [NAME_1]\"") + kStop + kDone,
            "<Bob>");
    EXPECT_EQ(read_stream(k.body).texts["0"], "[WORD_1] for <Bob>");
    EXPECT_EQ(k.headers.count("x-kt-attempts"), 0u);
    EXPECT_EQ(str(event(), "target"), "origin");
    Client cut;
    through(cut, kRole);
    EXPECT_EQ(cut.status, 502) << "nothing was said, and nobody else is there";
    configure(config(""), guard(), KT_MODE_OBSERVE);
    Client o;
    std::string s =
        kRole + piece("\"content\":\"SECR\"") + piece("\"content\":\"ET FORBIDDEN ASK\"") + kStop + kDone;
    through(o, s);
    EXPECT_EQ(o.body, s) << "not a byte is changed";
    EXPECT_EQ(str(event(2), "would_verdict"), "block");
    EXPECT_EQ(str(event(2), "verdict"), "allow");
}

TEST_F(FilterEnd, TheClientMayGoAtAnyMoment)
{
    Gate asked, go;
    Server up([&](Conn &c, const Request &r) {
        if (r.target == "/v1/check") {
            asked.open();
            go.wait();
            return false;
        }
        return c.sse_head() && c.chunk(kRole + piece("\"content\":\"x ASK\"") + piece("\"content\":\"y\"")) &&
               c.peer_gone();
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), guard());
    Client k;
    start(k, ask_stream());
    ASSERT_TRUE(asked.wait());
    on_loop([&] { kt_exchange_client_gone(k.x); });
    go.open();
    EXPECT_EQ(str(event(), "error"), "client_gone");
    EXPECT_FALSE(k.over());
}

// Clients and we must agree about which pieces belong together, or a value leaves in two of them.
TEST_F(FilterEnd, AnIndexThatIsNoneIsNotRead)
{
    guarded();
    for (const char *index : {"\"-1\"", "\"1 \"", "\"\"", "\"1000000\"", "\"\\u0031\"", "-1", "1.0", "1e0", "1000000", "1,\"index\":0", "[1]", "true"}) {
        std::string odd = std::string("{\"index\":") + index + ",";
        Seen s =
            through(kRole + piece("\"content\":\"x\"") + event_of(odd + "\"delta\":{\"content\":\"SEC\"}}"));
        EXPECT_EQ(s.error, "unreadable_answer") << index;
        s = through(kRole + piece("\"content\":\"x\"") +
                    piece("\"tool_calls\":[" + odd + "\"function\":{\"arguments\":\"SEC\"}}]"));
        EXPECT_NE(s.error, "") << index << ": written anew, or refused";
        EXPECT_EQ(s.texts.count("0t1"), 0u);
    }
    Seen n = through(kRole + event_of("{\"index\":\"0\",\"delta\":{\"content\":\"SEC\"}}") +
                     piece("\"content\":\"RET\"") +
                     event_of("{\"index\":\"1\",\"delta\":{\"content\":\"other\"},\"finish_reason\":\"stop\"}") +
                     kStop + kDone);
    EXPECT_EQ(n.error, "") << "a plain number, if as a string: it leaves as one";
    EXPECT_EQ(n.texts["0"], "[WORD_1]");
    EXPECT_EQ(n.texts["1"], "other");
    Seen s = through(kRole + event_of("{\"index\":null,\"delta\":{\"content\":\"SEC\"}}") +
                     "data: {\"choices\":null}\n\n" + piece("\"content\":\"RET\"") + kStop + kDone);
    EXPECT_EQ(s.texts["0"], "[WORD_1]") << "as if it were left out, and an empty list";
    EXPECT_EQ(s.finish, "0stop ");
}

TEST_F(FilterEnd, TwoTextsUnderOneNumberAreNotRead)
{
    guarded();
    Client k;
    std::string stream;
    for (const char *part : {"SEC", "RET"}) {
        const std::string one = std::string("{\"index\":0,\"delta\":{\"content\":\"") + part + "\"}}";
        stream += event_of(one + ",{\"index\":0,\"delta\":{\"content\":\"-\"}}");
    }
    through(k, stream + kStop + kDone);
    EXPECT_EQ(k.body.find("SEC"), std::string::npos) << k.body;
    EXPECT_EQ(str(event(), "error"), "unreadable_answer");
}

TEST_F(FilterEnd, AChoiceWithoutAWordIsJudgedAsTheEmptyText)
{
    std::string y = config(target("a", up_.port(), "KT_TEST_KEY_A", "m"),
                           "policy:\n  quality-scorer: {assertions: [{type: not-empty}]}\n");
    configure(y.replace(y.find("chain: []"), 9, "chain: [quality-scorer]"));
    const std::string call = piece("\"tool_calls\":[{\"index\":0,\"id\":\"1\",\"function\":{\"name\":\"ls\","
                                   "\"arguments\":\"\"}}]");
    const struct {
        std::string stream;
        bool passes;
    } all[] = {
        {kRole + kStop + kDone, false},
        {piece("\"content\":\"\"") + kStop + kDone, false},
        {piece("\"content\":null") + kStop + kDone, false},
        {piece("\"reasoning_content\":\"hm\"") + kStop + kDone, false},
        {piece("\"content\":\"a\"") + kStop + piece("", 1, "\"stop\"") + kDone, false},
        {piece("\"content\":\"a\"") + kStop + kDone, true},
        {piece("\"content\":\"a\"", 0, "\"stop\"") + kDone, true},
        {call + piece("", 0, "\"tool_calls\"") + kDone, true},
        {call + piece("\"content\":\"a\"", 1, "\"stop\"") + piece("", 0, "\"tool_calls\"") + kDone, true},
    };
    size_t n = 0;
    for (auto &one : all) {
        Client k;
        through(k, one.stream);
        EXPECT_EQ(k.body.find("output_blocked") == std::string::npos, one.passes) << one.stream << k.body;
        EXPECT_EQ(str(event(n++), "verdict"), one.passes ? "allow" : "block") << one.stream;
    }
}

} // namespace
