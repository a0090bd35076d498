/* SPDX-License-Identifier: Apache-2.0 */
/* The response phase over streams: nothing leaks at a cut, nothing is lost, and a block ends the stream. */
#include "exchange_guard.hpp"
#include "exchange_sse.hpp"

namespace {

using namespace fake;

std::string event_of(const std::string &choices, const std::string &more = "")
{
    return "data: "
           "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[" +
           choices + "]" + more + "}\n\n";
}

// One chunk of one choice; `inside` is the inside of its delta.
std::string piece(const std::string &inside, unsigned choice = 0, const std::string &finish = "null")
{
    return event_of("{\"index\":" + std::to_string(choice) + ",\"delta\":{" + inside +
                    "},\"logprobs\":{\"content\":[{\"token\":\"S\"}]},\"finish_reason\":" + finish + "}");
}

// What a client makes of a stream: its texts by choice and kind, and how it ended.
struct Seen {
    std::map<std::string, std::string> texts;
    std::string finish, error;
    int done = 0, events = 0;
    bool good = true;
};

void add(Seen &s, const std::string &key, const cJSON *v)
{
    if (cJSON_IsString(v))
        s.texts[key] += v->valuestring;
}

void read_choice(Seen &s, const cJSON *c)
{
    std::string n = std::to_string(static_cast<int>(cJSON_GetObjectItem(c, "index")->valuedouble));
    const cJSON *d = cJSON_GetObjectItem(c, "delta"), *t;
    add(s, n, cJSON_GetObjectItem(c, "text"));
    add(s, n, cJSON_GetObjectItem(d, "content"));
    add(s, n + "r", cJSON_GetObjectItem(d, "reasoning_content"));
    add(s, n + "f", cJSON_GetObjectItem(d, "refusal"));
    cJSON_ArrayForEach(t, cJSON_GetObjectItem(d, "tool_calls"))
        add(s, n + "t" + std::to_string(static_cast<int>(cJSON_GetObjectItem(t, "index")->valuedouble)),
            cJSON_GetObjectItem(cJSON_GetObjectItem(t, "function"), "arguments"));
    const cJSON *f = cJSON_GetObjectItem(c, "finish_reason");
    if (cJSON_IsString(f))
        s.finish += n + f->valuestring + " ";
}

Seen read_stream(const std::string &body)
{
    Seen s;
    for (size_t at = 0; at < body.size();) {
        size_t end = body.find("\n\n", at);
        if (end == std::string::npos || body.compare(at, 6, "data: ") != 0) {
            s.good = false;
            break;
        }
        std::string data = body.substr(at + 6, end - at - 6);
        at = end + 2;
        s.events++;
        if (data == "[DONE]") {
            s.done++;
            continue;
        }
        Json j = parse(data);
        s.good = s.good && j && !s.done;
        s.error += str(j, "error.code");
        const cJSON *c;
        cJSON_ArrayForEach(c, cJSON_GetObjectItem(j.get(), "choices")) read_choice(s, c);
    }
    return s;
}

class Filter : public StreamTest {
  protected:
    void SetUp() override
    {
        kt_numbers_forget();
        ExchangeTest::SetUp();
    }
    void guarded(int fail_mode = KT_FAIL_BLOCK)
    {
        configure(config(target("a", up_.port(), "KT_TEST_KEY_A", "m")), guard(), KT_MODE_ENFORCE, fail_mode);
    }
    Seen through(const std::string &stream, const std::string &prompt = "hello")
    {
        Client k;
        through(k, stream, prompt);
        EXPECT_TRUE(k.ended);
        return read_stream(k.body);
    }
    void through(Client &k, const std::string &stream, const std::string &prompt = "hello")
    {
        stream_ = stream;
        ask(k, post(chat(prompt, ",\"stream\":true")));
    }
    std::string stream_, check_ = "{\"v\":\"good\"}";
    std::atomic<bool> close_{true};
    Gate gone_;
    Server up_{[this](Conn &c, const Request &r) {
        if (r.target == "/v1/check")
            return c.reply(200, "application/json", check_);
        c.sse_head();
        c.chunk(stream_);
        if (!close_) {
            if (c.peer_gone())
                gone_.open();
            return false;
        }
        return c.chunk_end();
    }};
};

const std::string kStop = piece("", 0, "\"stop\"");

TEST_F(Filter, TheSameTextHoweverItIsCut)
{
    guarded();
    const std::string text = "a SECRET and [NAME_1], **[name 1]** SECRE <Zoe> [NAME";
    const std::string want = "a [WORD_1] and <Bob>, **<Bob>** SECRE [NAME_2] [NAME";
    for (size_t a = 0; a <= text.size(); a += 1) {
        std::string s = kRole + piece("\"content\":" + quoted(text.substr(0, a))) +
                        piece("\"content\":" + quoted(text.substr(a))) + kStop + kDone;
        Seen k = through(s, "<Bob>");
        ASSERT_EQ(k.texts["0"], want) << a;
        ASSERT_TRUE(k.good && k.done == 1 && k.finish == "0stop ") << a;
    }
    for (size_t n : {1, 2, 3, 7}) {
        std::string s = kRole;
        for (size_t at = 0; at < text.size(); at += n)
            s += piece("\"content\":" + quoted(text.substr(at, n)));
        Seen k = through(s + kStop + kDone, "<Bob>");
        ASSERT_EQ(k.texts["0"], want) << n;
    }
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "redact");
    EXPECT_EQ(str(e, "policies.1.phase"), "response");
    EXPECT_EQ(num(e, "policies.1.matches"), 2);
}

TEST_F(Filter, NoRawByteOfAValueAndNoLogProbabilityOfIt)
{
    guarded();
    Client k;
    through(k, piece("\"content\":\"my SEC\"") + piece("\"content\":\"RET\"") + piece("\"content\":\" ok\"") +
                   kStop + kDone);
    for (const char *raw : {"SEC", "RET"})
        EXPECT_EQ(k.body.find(raw), std::string::npos) << k.body;
    size_t logs = 0;
    for (size_t i = 0; (i = k.body.find("\"token\"", i)) != std::string::npos; i++)
        logs++;
    EXPECT_EQ(logs, 2u) << "of the untouched chunks only\n" << k.body;
}

TEST_F(Filter, EveryTextHasAWindowOfItsOwn)
{
    guarded();
    auto args = [](const std::string &s, int i) {
        return "\"tool_calls\":[{\"index\":" + std::to_string(i) +
               ",\"function\":{\"arguments\":" + quoted(s) + "}}]";
    };
    std::string s = piece("\"content\":\"SEC\"") + piece("\"content\":\"SEC\"", 1) +
                    piece("\"reasoning_content\":\"SEC\"") + piece("\"refusal\":\"SEC\"") +
                    piece(args("{\"a\":\"SEC", 0)) + piece(args("{\"b\":\"[NAM", 1)) +
                    piece("\"content\":\"RET\"") + piece("\"content\":\"OND\"", 1) +
                    piece("\"reasoning_content\":\"RET\"") + piece("\"refusal\":\"RET\"") +
                    piece(args("RET\"}", 0)) + piece(args("E_1]\",\"c\":[NAME_1]}", 1)) +
                    piece("\"content\":\"x SE\"") + piece("\"content\":\"y SE\"", 1) +
                    piece("", 1, "\"stop\"") + piece("\"content\":\"CRET\"", 0, "\"tool_calls\"") + kDone;
    Seen k = through(s, "<B\\\"ob>");
    EXPECT_EQ(k.texts["0"], "[WORD_1]x [WORD_1]");
    EXPECT_EQ(k.texts["1"], "SECONDy SE") << "what was held comes before the finish";
    EXPECT_EQ(k.texts["0r"], "[WORD_1]");
    EXPECT_EQ(k.texts["0f"], "[WORD_1]");
    EXPECT_EQ(k.texts["0t0"], "{\"a\":\"[WORD_1]\"}");
    EXPECT_EQ(k.texts["0t1"], "{\"b\":\"<B\\\"ob>\",\"c\":\"<B\\\"ob>\"}");
    EXPECT_EQ(k.finish, "1stop 0tool_calls ");
    EXPECT_TRUE(k.good);
}

TEST_F(Filter, TextsOfOtherProvidersStayInTheirPlaces)
{
    guarded();
    Client k;
    std::string stream;
    for (const char *part : {"xSE", "CRETy ", "SECR", "ETz SEC"}) {
        const std::string t = part;
        stream += piece("\"content\":\"" + t + "\",\"reasoning\":\"" + t +
                        "\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"index\":0,\"text\":\"" + t +
                        "\"}],\"audio\":{\"transcript\":\"" + t + "\"}");
    }
    through(k, stream + kStop + kDone);
    std::map<std::string, std::string> seen;
    for (size_t at = 0; (at = k.body.find("data: {", at)) != std::string::npos; at += 6) {
        Json j = parse(k.body.substr(at + 6, k.body.find("\n\n", at) - at - 6));
        for (const char *path :
             {"content", "reasoning", "reasoning_content", "reasoning_details.0.text", "audio.transcript"})
            seen[path] += str(j, (std::string("choices.0.delta.") + path).c_str());
    }
    const std::string all = seen["content"];
    EXPECT_EQ(all.find("SECRET"), std::string::npos);
    EXPECT_EQ(all.substr(all.size() - 3), "SEC") << all;
    EXPECT_EQ(seen["reasoning"], all);
    EXPECT_EQ(seen["reasoning_details.0.text"], all);
    EXPECT_EQ(seen["audio.transcript"], all);
    EXPECT_EQ(seen["reasoning_content"], "");
}

TEST_F(Filter, WhatIsHeldComesAtTheEndOfAnyKind)
{
    guarded();
    Seen k = through(piece("\"content\":\"a SEC\"", 0, "\"length\"") + kDone);
    EXPECT_EQ(k.texts["0"], "a SEC");
    k = through(piece("\"content\":\"x\"", 1, "\"stop\"") + piece("\"content\":\"a SEC\"") + kDone);
    EXPECT_EQ(k.texts["0"], "a SEC") << "no finish_reason of its own";
    k = through(piece("\"content\":\"b SEC\"") + kStop);
    EXPECT_EQ(k.texts["0"], "b SEC") << "no [DONE]";
    EXPECT_EQ(k.done, 0);
    k = through(
        event_of(
            "{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
            "\"text\":\"SECRET\"}]},{\"type\":\"text\",\"text\":\"SECRET\"}]},\"finish_reason\":\"stop\"}") +
        kDone);
    EXPECT_TRUE(k.good);
    EXPECT_EQ(str(event(3), "verdict"), "redact");
    EXPECT_EQ(num(event(3), "policies.1.matches"), 2);
}

TEST_F(Filter, TextWithoutACandidateFlowsAtOnce)
{
    Gate go;
    Server up([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk(kRole + piece("\"content\":\"at once\""));
        bool ok = go.wait();
        c.chunk(kStop + kDone);
        return c.chunk_end() && ok;
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), guard());
    Client k;
    start(k, ask_stream());
    EXPECT_TRUE(k.wait_body("at once"));
    go.open();
    EXPECT_TRUE(k.wait_over());
    on_loop([] {});
}

TEST_F(Filter, ABlockInMidStreamEndsIt)
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
    EXPECT_EQ(event_lines().size(), 1u);
}

TEST_F(Filter, ABlockBeforeAnythingWasSentIsAnOrdinaryAnswer)
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

TEST_F(Filter, PoliciesThatAskOutside)
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

TEST_F(Filter, FailuresFollowFailMode)
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

TEST_F(Filter, AnInterruptedStreamSaysSo)
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

TEST_F(Filter, FallsBackUntilSomethingWasSent)
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

TEST_F(Filter, OfTheOriginToo)
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

TEST_F(Filter, TextCompletionsKeepTheirShape)
{
    guarded();
    Client k;
    stream_ = piece("\"content\":\"SECR\"") + piece("\"content\":\"ET ok SE\"") + kStop + kDone;
    ask(k, post("{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true}", "", "/v1/completions"));
    Seen s = read_stream(k.body);
    EXPECT_TRUE(s.good);
    EXPECT_EQ(s.texts["0"], "[WORD_1] ok SE");
    EXPECT_EQ(k.body.find("delta"), std::string::npos);
    EXPECT_EQ(up_.requests().at(0).target, "/v1/fim/completions");
}

TEST_F(Filter, UsageAndLineEndsOfEveryKind)
{
    guarded();
    Client k;
    stream_ =
        "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"SECRET\"}}]}\n\n: note\r\n\r\n" +
        delta("", "\"stop\"", kUsage) + kDone;
    ask(k, ask_stream(",\"stream_options\":{\"include_usage\":true}"));
    Seen s = read_stream(k.body);
    EXPECT_TRUE(s.good) << k.body;
    EXPECT_EQ(s.texts["0"], "[WORD_1]");
    EXPECT_NE(k.body.find("\"choices\":[],\"usage\""), std::string::npos);
    EXPECT_EQ(num(event(), "usage.total_tokens"), 6);
}

TEST_F(Filter, TheClientMayGoAtAnyMoment)
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

} // namespace
