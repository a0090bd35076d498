/* SPDX-License-Identifier: Apache-2.0 */
/* finish_reasons that are none: what real servers have in every chunk must not end a text for the policies,
 * nor make the half of an answer look whole. */
#include "exchange_filter.hpp"

#include <deque>

namespace {

using namespace fake;

class FilterFinish : public Filter {
  protected:
    static std::string word(const std::string &text, const std::string &finish)
    {
        return piece("\"content\":\"" + text + "\"", 0, finish);
    }
};

TEST_F(FilterFinish, AWordLiesAcrossChunksThatAllHaveOne)
{
    guarded();
    for (const char *finish : {"\"\"", "\"null\"", "\"stop\"", "null"}) {
        Seen s = through(kRole + word("fine words, then FORB", finish) + word("IDDEN fruit", finish) + kStop +
                         kDone);
        EXPECT_EQ(s.error, "output_blocked") << finish;
        EXPECT_EQ(s.texts["0"].find("fruit"), std::string::npos) << finish;
        EXPECT_EQ(s.texts["0"].find("FORB"), std::string::npos) << finish;
    }
    EXPECT_EQ(event_lines().size(), 4u);
}

TEST_F(FilterFinish, AnAnswerThatHasThemIsGivenWhole)
{
    guarded();
    for (const char *finish : {"\"\"", "\"null\"", "\"stop\""}) {
        Seen s =
            through(kRole + word("One, ", finish) + word("two ", finish) + word("three", "\"stop\"") + kDone);
        EXPECT_EQ(s.texts["0"], "One, two three") << finish;
        EXPECT_TRUE(s.good && s.done == 1 && s.error.empty()) << finish;
    }
    EXPECT_EQ(through(kRole + word("One", "\"stop\"") + kDone).finish, "0stop ") << "what came last is sent";
}

/* Two choices: the end of one does not wait for the other's text, and is its end. */
TEST_F(FilterFinish, AnotherChoiceMayGoOn)
{
    guarded();
    Seen s =
        through(kRole + piece("\"content\":\"one\"", 0, "\"stop\"") + piece("\"content\":\"two FORB\"", 1) +
                piece("\"content\":\"idden\"", 1, "\"stop\"") + kDone);
    EXPECT_EQ(s.texts["0"], "one");
    EXPECT_EQ(s.texts["1"], "two FORBidden");
    EXPECT_EQ(s.finish, "0stop 1stop ");
}

TEST_F(FilterFinish, ATextBehindItsEndIsNotChecked)
{
    const std::string stream =
        kRole + word("then FORB", "null") + kStop + word("IDDEN fruit", "null") + kStop + kDone;
    guarded();
    Seen s = through(stream);
    EXPECT_EQ(s.error, "unreadable_answer");
    EXPECT_EQ(s.texts["0"], "then FORB");
    EXPECT_EQ(str(event(0), "reason_code"), "unreadable_answer");
    guarded(KT_FAIL_ALLOW);
    s = through(stream);
    EXPECT_EQ(s.texts["0"], "then FORBIDDEN fruit");
    EXPECT_EQ(str(event(1), "error"), "unreadable_answer");
}

/* The target waits until the client has what it said. */
class FilterWaits : public FilterFinish {
  protected:
    /* Sends each part when the client has seen `seen` of the one before. */
    std::string parts(const std::vector<std::string> &sent, const std::vector<std::string> &seen,
                      const std::string &head = "", const std::string &path = "/v1/chat/completions",
                      std::string body = "")
    {
        std::deque<Gate> gates(sent.size());
        Server up([&](Conn &c, const Request &) {
            bool ok = c.sse_head();
            for (size_t i = 0; i < sent.size(); i++)
                ok = ok && c.chunk(sent[i]) && (i + 1 == sent.size() || gates[i].wait());
            return c.chunk_end() && ok;
        });
        std::string text = config(target("a", up.port(), "KT_TEST_KEY_A", "m"));
        if (!path.compare(0, 9, "/v1/compl"))
            text.replace(text.find("provider: mistral"), 17, "provider: openai");
        configure(text, guard());
        Client k;
        start(k, post(body.empty() ? chat("hello", ",\"stream\":true") : body, head, path));
        for (size_t i = 0; i < seen.size(); i++) {
            EXPECT_TRUE(k.wait_body(seen[i])) << "not before the next event: " << seen[i] << "\n" << k.body;
            gates[i].open();
        }
        EXPECT_TRUE(k.wait_over());
        on_loop([] {});
        return k.body;
    }
};

const char kUsed[] = ",\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6}";

std::string with_usage(std::string event)
{
    return event.insert(event.rfind('}'), kUsed);
}

TEST_F(FilterWaits, ATextDoesNotWaitForWhatItsFinishReasonWaitsFor)
{
    std::string body = parts({kRole + with_usage(word("all of it. ", "\"stop\"")), kDone}, {"all of it"});
    Seen s = read_stream(body);
    EXPECT_TRUE(s.good && s.done == 1 && s.error.empty()) << body;
    EXPECT_EQ(s.texts["0"], "all of it. ");
    EXPECT_EQ(s.finish, "0stop ");
    size_t at = body.find("\"usage\"");
    EXPECT_GT(at, body.find("\"finish_reason\":\"stop\""));
    EXPECT_EQ(at, body.rfind("\"usage\"")) << "counted once by clients that add them up";
    EXPECT_EQ(num(event(), "usage.total_tokens"), 6);
    body = parts(
        {kRole + word("one, ", "\"stop\""), word("two, ", "\"stop\""), word("three. ", "\"length\""), kDone},
        {"one, ", "two, ", "three. "});
    s = read_stream(body);
    EXPECT_EQ(s.texts["0"], "one, two, three. ");
    EXPECT_EQ(s.finish, "0length ") << "the others were none";
    EXPECT_TRUE(s.good && s.done == 1) << body;
}

TEST_F(FilterWaits, WhatIsHeldBackOfItComesInFrontOfTheFinishReason)
{
    std::string body = parts({kRole + word("fine, then FORB", "\"stop\""), kDone}, {"fine, then"});
    EXPECT_LT(body.find("FORB"), body.find("\"finish_reason\":\"stop\"")) << body;
    Seen s = read_stream(body);
    EXPECT_EQ(s.texts["0"], "fine, then FORB");
    EXPECT_TRUE(s.good && s.done == 1) << body;
}

TEST_F(FilterWaits, AValueThatLiesAcrossIsFoundAndATextBehindTheEndIsNotChecked)
{
    Seen s = read_stream(
        parts({kRole + word("fine, then FORB", "\"stop\""), word("IDDEN fruit", "\"stop\"") + kDone},
              {"fine, then"}));
    EXPECT_EQ(s.error, "output_blocked");
    EXPECT_EQ(s.texts["0"].find("FORB"), std::string::npos);
    s = read_stream(parts({kRole + word("fine, then SEC", "\"stop\""), word("RET. more ", "\"stop\""), kDone},
                          {"fine, then", "more "}));
    EXPECT_EQ(s.texts["0"], "fine, then [WORD_1]. more ");
    for (const char *between :
         {": a comment\n\n", "data: {\"choices\":[],\"usage\":{\"total_tokens\":6}}\n\n"}) {
        s = read_stream(parts({kRole + word("fine, then FORB", "\"stop\""),
                               between + word("IDDEN fruit", "null") + kStop + kDone},
                              {"fine, then"}));
        EXPECT_EQ(s.texts["0"].find("FORBIDDEN"), std::string::npos) << between;
        EXPECT_EQ(s.texts["0"].find("fruit"), std::string::npos) << between;
        EXPECT_EQ(s.error, *between == ':' ? "output_blocked" : "unreadable_answer") << between;
    }
}

TEST_F(FilterWaits, OfSeveralChoicesEachHasItsOwnEnd)
{
    const std::string both =
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b. \"},\"finish_reason\":"
        "\"length\"},{\"index\":0,\"delta\":{\"content\":\"a. \"},\"finish_reason\":null},{\"index\":2,"
        "\"delta\":{},\"finish_reason\":\"stop\"},{\"index\":3,\"delta\":{\"content\":\"d. \"},"
        "\"finish_reason\":\"stop\"}]}\n\n";
    std::string body = parts({both, word("more. ", "\"stop\""), kDone}, {"b. ", "more. "});
    Seen s = read_stream(body);
    EXPECT_EQ(s.texts["0"], "a. more. ");
    EXPECT_EQ(s.texts["1"], "b. ");
    EXPECT_EQ(s.texts["3"], "d. ");
    EXPECT_EQ(s.finish, "2stop 1length 3stop 0stop ") << body;
    EXPECT_TRUE(s.good && s.done == 1) << body;
}

TEST_F(FilterWaits, CallsOfTools)
{
    const std::string call =
        piece("\"tool_calls\":[{\"index\":0,\"id\":\"abcdefghi\",\"type\":\"function\",\"function\":"
              "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}}]",
              0, "\"tool_calls\"");
    std::string body = parts({kRole + call, kDone}, {"\"name\":\"f\""});
    EXPECT_LT(body.find("\"name\":\"f\""), body.find("\"finish_reason\":\"tool_calls\"")) << body;
    EXPECT_EQ(read_stream(body).finish, "0tool_calls ");
    EXPECT_TRUE(read_stream(body).good);
}

/* Each dialect's shape: OpenAI's old completions, and Mistral's own for a client of its own. */
TEST_F(FilterWaits, ShapesStay)
{
    std::string body =
        parts({"data: {\"id\":\"t\",\"choices\":[{\"index\":0,\"text\":\"x = 1; "
               "\",\"finish_reason\":\"stop\"}]}\n\n",
               kDone},
              {"x = 1"}, "", "/v1/completions", "{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true}");
    EXPECT_NE(body.find("\"text\":\"\",\"finish_reason\":\"stop\""), std::string::npos) << body;
    EXPECT_EQ(body.find("delta"), std::string::npos) << body;
    const std::string thought =
        piece("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm. \"}]},"
              "{\"type\":\"text\",\"text\":\"yes. \"}]",
              0, "\"model_length\"");
    body = parts({thought, kDone}, {"yes. "});
    EXPECT_NE(body.find("\"reasoning_content\":\"hm. \",\"content\":\"yes. \""), std::string::npos) << body;
    EXPECT_NE(body.find("\"finish_reason\":\"length\""), std::string::npos) << body;
    body = parts({thought, kDone}, {"yes. "}, "User-Agent: mistral-client-python/1.9.11\r\n");
    EXPECT_NE(body.find("\"type\":\"thinking\""), std::string::npos) << body;
    EXPECT_NE(body.find("\"delta\":{},\"finish_reason\":\"model_length\""), std::string::npos) << body;
}

/* The target breaks off there: what it said to be the end is one. */
TEST_F(FilterWaits, NothingFollows)
{
    Seen s = read_stream(parts({kRole + word("all of it, FORB", "\"stop\""), ""}, {"all of it"}));
    EXPECT_EQ(s.texts["0"], "all of it, FORB");
    EXPECT_TRUE(s.good && s.done == 1 && s.error.empty());
    EXPECT_EQ(s.finish, "0stop ");
}

TEST_F(FilterFinish, HalfAnAnswerIsNotWhole)
{
    configure(config(target("a", up_.port(), "KT_TEST_KEY_A", "m")));
    size_t n = 0;
    for (const char *finish : {"\"\"", "\"null\"", "null"}) {
        Seen s = through(kRole + word("half", finish));
        EXPECT_EQ(s.error, "stream_interrupted") << finish;
        EXPECT_EQ(s.done, 0) << finish;
        EXPECT_EQ(str(event(n++), "attempts.0.outcome"), "bad_body") << finish;
    }
    Seen s = through(kRole + word("half", "\"stop\"") + word(" of one", "null"));
    EXPECT_EQ(s.error, "stream_interrupted") << "it went on behind its end";
}

TEST_F(FilterFinish, ARoleWithAnEmptyReasonBindsToNoTarget)
{
    Server second(good);
    configure(config(target("a", up_.port(), "KT_TEST_KEY_A", "m") +
                     target("b", second.port(), "KT_TEST_KEY_B", "m")));
    Seen s = through(piece("\"role\":\"assistant\",\"content\":\"\"", 0, "\"\""));
    EXPECT_EQ(s.texts["0"], "fine");
    EXPECT_EQ(str(event(), "attempts.1.outcome"), "ok");
}

} // namespace
