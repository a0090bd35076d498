/* SPDX-License-Identifier: Apache-2.0 */
/* finish_reasons that are none: what real servers have in every chunk must not end a text for the policies,
 * nor make the half of an answer look whole. */
#include "exchange_filter.hpp"

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
