/* SPDX-License-Identifier: Apache-2.0 */
// The same value keeps its placeholder through a conversation: generated ones of up to twelve turns, with
// five values, whole and streamed answers, several choices, arguments of tools, restore on and off, and
// clients that drop what is oldest. What the target got and what the client got are compared with what was
// said.
#include "exchange_guard.hpp"
#include "exchange_sse.hpp"

#include "policyengine/chain/kt_conversation.h"

#include <random>
#include <regex>

using namespace fake;

namespace {

using Labels = std::map<std::string, std::string>; // value -> label

const char kValue[] = "<v[0-9]>", kEither[] = "(<v[0-9]>|\\[NAME_[0-9]+\\])";

std::string escaped(const std::string &s)
{
    return std::regex_replace(s, std::regex("[.^$|()\\[\\]{}*+?\\\\]"), "\\$&");
}

// Values of `plain` as they came out in `seen`; labels of `plain` may come back as values.
std::vector<std::pair<std::string, std::string>> aligned(const std::string &plain, const std::string &seen)
{
    std::vector<std::pair<std::string, std::string>> out;
    std::string pattern;
    std::vector<std::string> said;
    std::regex either(kEither);
    size_t at = 0;
    for (std::sregex_iterator i(plain.begin(), plain.end(), either), end; i != end; ++i) {
        pattern += escaped(plain.substr(at, static_cast<size_t>(i->position()) - at)) + kEither;
        said.push_back(i->str());
        at = static_cast<size_t>(i->position() + i->length());
    }
    pattern += escaped(plain.substr(at));
    std::smatch m;
    EXPECT_TRUE(std::regex_match(seen, m, std::regex(pattern))) << plain << "\n" << seen;
    for (size_t i = 0; i < said.size() && i + 1 < m.size(); i++)
        out.emplace_back(said[i], m[i + 1].str());
    return out;
}

class Conversation : public ExchangeTest {
  protected:
    struct Turn {
        bool stream, tool;
        std::vector<std::string> choices; // texts, or arguments where there is a tool
    };
    void SetUp() override
    {
        kt_numbers_forget();
        ExchangeTest::SetUp();
        configure(config(target("a", up_.port(), "KT_TEST_KEY_A")), guard(), KT_MODE_ENFORCE, KT_FAIL_BLOCK);
    }
    void TearDown() override
    {
        guard_restores = true;
        ExchangeTest::TearDown();
    }
    unsigned pick(unsigned n)
    {
        return static_cast<unsigned>(rng_() % n);
    }
    // Words, values and (where the model speaks) labels that it was told.
    std::string words(const std::vector<std::string> &labels)
    {
        std::string s;
        for (unsigned i = 0, n = 1 + pick(4); i < n; i++) {
            unsigned k = pick(labels.empty() ? 2 : 3);
            s += k == 0   ? "word" + std::to_string(pick(40)) + " "
                 : k == 1 ? "<v" + std::to_string(pick(5)) + "> "
                          : labels[pick(static_cast<unsigned>(labels.size()))] + " ";
        }
        return s + ".";
    }
    static std::string args_of(const std::string &text)
    {
        return "{\"to\":" + fake::quoted(text) + "}";
    }
    std::string whole(const Turn &t)
    {
        std::vector<std::string> all;
        for (const auto &c : t.choices)
            all.push_back(t.tool ? "\"content\":null,\"tool_calls\":[{\"id\":\"abcdefghi\",\"type\":"
                                   "\"function\",\"function\":"
                                   "{\"name\":\"mail\",\"arguments\":" +
                                       fake::quoted(args_of(c)) + "}}]"
                                 : says(c));
        return completion(all);
    }
    // In pieces of a few bytes, the choices by turns.
    std::string stream(const Turn &t)
    {
        std::string out;
        auto event = [&](size_t choice, const std::string &delta, const char *finish) {
            out += "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":" +
                   std::to_string(choice) + ",\"delta\":{" + delta + "},\"finish_reason\":" + finish +
                   "}]}\n\n";
        };
        std::vector<size_t> at(t.choices.size(), 0);
        for (bool more = true; more;) {
            more = false;
            for (size_t c = 0; c < t.choices.size(); c++) {
                std::string text = t.tool ? args_of(t.choices[c]) : t.choices[c];
                if (at[c] >= text.size())
                    continue;
                size_t n = 1 + pick(7);
                std::string piece = fake::quoted(text.substr(at[c], n));
                const char *head = at[c] ? "" : "\"id\":\"abcdefghi\",\"type\":\"function\",";
                event(c,
                      t.tool ? "\"tool_calls\":[{\"index\":0," + std::string(head) + "\"function\":{" +
                                   (at[c] ? "" : "\"name\":\"mail\",") + "\"arguments\":" + piece + "}}]"
                             : "\"content\":" + piece,
                      "null");
                at[c] += n;
                more = true;
            }
        }
        for (size_t c = 0; c < t.choices.size(); c++)
            event(c, "", "\"stop\"");
        return out + "data: [DONE]\n\n";
    }
    // What the client made of the answer, by choice.
    std::vector<std::string> received(const Turn &t, const std::string &body)
    {
        std::vector<std::string> out(t.choices.size());
        auto add = [&](const cJSON *choice, const char *inside) {
            auto n = static_cast<size_t>(cJSON_GetObjectItem(choice, "index")->valuedouble);
            const cJSON *m = cJSON_GetObjectItem(choice, inside),
                        *calls = cJSON_GetObjectItem(m, "tool_calls");
            const cJSON *f = cJSON_GetObjectItem(cJSON_GetArrayItem(calls, 0), "function");
            const char *s = cJSON_GetStringValue(t.tool ? cJSON_GetObjectItem(f, "arguments")
                                                        : cJSON_GetObjectItem(m, "content"));
            out.at(n) += s ? s : "";
        };
        const cJSON *c;
        if (!t.stream) {
            Json j = parse(body);
            cJSON_ArrayForEach(c, cJSON_GetObjectItem(j.get(), "choices")) add(c, "message");
        }
        for (size_t at = 0; t.stream && (at = body.find("data: {", at)) != std::string::npos; at += 6) {
            Json j = parse(body.substr(at + 6, body.find("\n\n", at) - at - 6));
            cJSON_ArrayForEach(c, cJSON_GetObjectItem(j.get(), "choices")) add(c, "delta");
        }
        for (auto &s : out)
            if (t.tool) {
                Json j = parse(s);
                s = str(j, "to");
            }
        return out;
    }
    void learn(Labels &known, const std::string &value, const std::string &label)
    {
        if (value[0] != '<' || label[0] != '[')
            return;
        auto [at, fresh] = known.emplace(value, label);
        EXPECT_EQ(at->second, label) << value << " had another name before";
        for (const auto &[v, l] : known)
            EXPECT_TRUE(v == value || l != label) << v << " and " << value << " share " << label;
    }
    // The messages as the target got them: every value of the history has its name.
    void check_request(Labels &known, const std::vector<std::string> &texts, const std::string &body)
    {
        Json j = parse(body);
        const cJSON *list = cJSON_GetObjectItem(j.get(), "messages"), *m;
        std::vector<std::string> seen;
        cJSON_ArrayForEach(m, list)
        {
            const cJSON *f =
                cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(m, "tool_calls"), 0), "function");
            const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(m, "content"));
            const char *a = cJSON_GetStringValue(cJSON_GetObjectItem(f, "arguments"));
            Json inner = parse(a ? a : "{}");
            if (s && std::string(s) == "Noted.") // Mistral wants it between a tool and its user
                continue;
            seen.push_back(a ? str(inner, "to") : s ? s : "");
        }
        ASSERT_EQ(seen.size(), texts.size()) << body;
        for (size_t i = 0; i < seen.size(); i++)
            for (const auto &[value, label] : aligned(texts[i], seen[i])) {
                EXPECT_NE(label[0], '<') << "a value left";
                learn(known, value, label);
            }
    }
    void converse(bool restore, bool drops);
    std::string trace_;
    std::mt19937 rng_{20261130};
    Text text_{""}, type_{"application/json"}, last_{""};
    Server up_{[this](Conn &c, const Request &r) {
        last_ = r.body;
        if (std::string(type_).find("json") != std::string::npos)
            return c.reply(200, type_, text_, "");
        c.sse_head();
        c.chunk(text_);
        return c.chunk_end();
    }};
};

// More of them where somebody asks: KT_ROUNDS=500.
int rounds()
{
    const char *n = getenv("KT_ROUNDS");
    return n ? atoi(n) : 10;
}

std::string role(const char *who, const std::string &content, const std::string &more = "")
{
    return std::string("{\"role\":\"") + who + "\",\"content\":" + content + more + "}";
}

void Conversation::converse(bool restore, bool drops)
{
    guard_restores = restore;
    Labels known;
    std::vector<std::string> messages, texts; // as sent; their texts
    trace_.clear();
    std::string opening = "conversation " + std::to_string(rng_()) + " ";
    for (unsigned turn = 0, turns = 2 + pick(11); turn < turns && !HasFailure(); turn++) {
        texts.push_back((turn ? "" : opening) + words({}));
        messages.push_back(role("user", fake::quoted(texts.back())));
        while (drops && (messages.size() > 7 || messages[0].find("\"user\"") ==
                                                    std::string::npos)) { // a client with a window of its own
            messages.erase(messages.begin());
            texts.erase(texts.begin());
        }
        std::vector<std::string> labels;
        for (const auto &[v, l] : known)
            labels.push_back(l);
        Turn t = {pick(2) == 1, pick(3) == 0, {}};
        for (unsigned i = 0, n = 1 + pick(3); i < n; i++)
            t.choices.push_back(words(labels));
        std::string body =
            "{\"model\":\"m\",\"n\":" + std::to_string(t.choices.size()) +
            (t.stream ? ",\"stream\":true" : "") +
            ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"mail\"}}],\"messages\":[";
        for (size_t i = 0; i < messages.size(); i++)
            body += (i ? "," : "") + messages[i];
        text_ = t.stream ? stream(t) : whole(t);
        type_ = t.stream ? "text/event-stream" : "application/json";
        Client k;
        ask(k, post(body + "]}"));
        trace_ += "-> " + std::string(last_).substr(0, 3000) + "\n<- " + (t.stream ? "stream " : "whole ");
        for (const auto &c : t.choices)
            trace_ += c + " | ";
        trace_ += "\n";
        SCOPED_TRACE(trace_);
        ASSERT_EQ(k.status, 200) << k.body;
        check_request(known, texts, last_);
        std::vector<std::string> got = received(t, k.body);
        for (size_t i = 0; i < got.size(); i++)
            for (const auto &[value, label] : aligned(t.choices[i], got[i]))
                if (i == 0)
                    learn(known, value, label);
        texts.push_back(got[0]); // the program goes on with the first
        messages.push_back(
            t.tool
                ? role("assistant", "null",
                       ",\"tool_calls\":[{\"id\":\"abcdefghi\",\"type\":\"function\",\"function\":{\"name\":"
                       "\"mail\",\"arguments\":" +
                           fake::quoted(args_of(got[0])) + "}}]")
                : role("assistant", fake::quoted(got[0])));
        if (t.tool) {
            texts.push_back("sent to " + words({}));
            messages.push_back(role("tool", fake::quoted(texts.back()), ",\"tool_call_id\":\"abcdefghi\""));
        }
    }
}

TEST_F(Conversation, ValuesKeepTheirNames)
{
    for (int i = 0; i < rounds() && !HasFailure(); i++)
        converse(i % 2 == 0, false);
}

TEST_F(Conversation, ValuesKeepTheirNamesWhenOldMessagesGo)
{
    for (int i = 0; i < rounds() && !HasFailure(); i++)
        converse(i % 2 == 0, true);
}

// Numbers begin at one in every conversation, whatever others said before in the process.
TEST_F(Conversation, NoConversationSeesAnothersNumbers)
{
    text_ = completion({says("ok")});
    for (const char *order : {"<v1> <v2> <v3>", "<v3> <v1>", "<v2>", "hello <v4> <v2> <v2> <v3>"}) {
        Client k;
        ask(k, post(chat(order)));
        std::string want = order;
        unsigned n = 0;
        for (std::smatch m; std::regex_search(want, m, std::regex(kValue));) {
            std::string v = m.str(), label = "[NAME_" + std::to_string(++n) + "]";
            for (size_t at; (at = want.find(v)) != std::string::npos;)
                want.replace(at, v.size(), label);
        }
        EXPECT_NE(std::string(last_).find(want), std::string::npos) << std::string(last_) << "\n" << want;
    }
}

// Two answers to the same words gave one label to two values: it stands for neither of them any more.
TEST_F(Conversation, ALabelOfTwoAnswersIsNobodys)
{
    const std::string hello = role("user", "\"to <v0>\"");
    auto call = [&](const std::string &messages, const std::string &answer) {
        text_ = completion({says(answer)});
        Client k;
        ask(k, post("{\"model\":\"m\",\"messages\":[" + messages + "]}"));
        return k.body;
    };
    EXPECT_NE(call(hello, "or <v1>").find("or [NAME_2]"), std::string::npos);
    const std::string next =
        hello + "," + role("assistant", "\"or [NAME_2]\"") + "," + role("user", "\"yes, <v1>\"");
    call(next, "ok");
    EXPECT_NE(std::string(last_).find("yes, [NAME_2]"), std::string::npos) << std::string(last_);
    EXPECT_NE(call(hello, "or <v2>").find("or [NAME_2]"), std::string::npos);
    call(next, "ok");
    EXPECT_NE(std::string(last_).find("yes, [NAME_3]"), std::string::npos) << std::string(last_);
}

// What stood further back in somebody's conversation, and begins the next one's.
class Callers : public Conversation {
  protected:
    std::string say(uint64_t caller, bool shared, const std::string &messages, const std::string &more = "")
    {
        text_ = completion({says("ok")});
        Client k;
        kt_request r = read_request(post("{\"model\":\"m\",\"messages\":[" + messages + "]}", more));
        kt_exchange_origin origin = {origin_host.c_str(), origin_port, false, "gateway", false, nullptr};
        EXPECT_TRUE(kt_is_ok(kt_exchange_new(&ctx, &r, &origin, &k.x)));
        if (shared)
            kt_exchange_caller(k.x, caller);
        kt_exchange_prepare(k.x);
        kt_reply_sink sink = k.sink();
        on_loop([&] { kt_exchange_start(k.x, &sink); });
        EXPECT_TRUE(k.wait_over());
        on_loop([] {});
        return last_;
    }
    const std::string middle_ = role("user", "\"Please summarise this complaint.\"") + "," +
                                role("assistant", "\"Which one of them?\"") + "," +
                                role("user", "\"the last one\"");
    const std::string whole_ =
        role("user", "\"<v1> <v2> <v3>\"") + "," + role("assistant", "\"Hello.\"") + "," + middle_;
    const std::string rest_ =
        middle_ + "," + role("assistant", "\"Yes.\"") + "," + role("user", "\"it is <v3>\"");
};

TEST_F(Callers, NobodySeesAnothersConversation)
{
    say(1, true, whole_);
    EXPECT_NE(say(1, true, rest_).find("it is [NAME_3]"), std::string::npos) << "his own goes on";
    EXPECT_NE(say(2, true, rest_).find("it is [NAME_1]"), std::string::npos);
    EXPECT_NE(say(1, true, rest_, "X-User-Id: bob\r\n").find("it is [NAME_1]"), std::string::npos);
    EXPECT_NE(say(1, true, role("system", "\"Be kind.\"") + "," + rest_).find("it is [NAME_1]"),
              std::string::npos);
}

TEST_F(Callers, WithoutAnIdentityNothingIsKept)
{
    say(0, true, whole_);
    EXPECT_NE(say(0, true, rest_).find("it is [NAME_1]"), std::string::npos);
    say(0, true, whole_, "X-User-Id: bob\r\n");
    EXPECT_NE(say(0, true, rest_, "X-User-Id: bob\r\n").find("it is [NAME_3]"), std::string::npos);
    say(0, false, whole_);
    EXPECT_NE(say(0, false, rest_).find("it is [NAME_3]"), std::string::npos) << "one program";
}

TEST_F(Callers, OneMessageIsNoConversation)
{
    const std::string said = role("user", "\"Please summarise the following complaint for me.\"");
    say(1, true, role("user", "\"<v1> <v2> <v3>\"") + "," + said);
    EXPECT_NE(say(1, true, said + "," + role("user", "\"it is <v3>\"")).find("it is [NAME_1]"),
              std::string::npos);
}

TEST_F(Callers, WhereTheTableIsBusyNothingIsKept)
{
    uint64_t digest = 1;
    ASSERT_TRUE(kt_numbers_busy(true));
    EXPECT_FALSE(kt_numbers_digest("x", 1, &digest));
    struct kt_conversation c = {};
    kt_conversation_begin(&c, 0);
    kt_conversation_add(&c, KT_FROM_USER, "hello", 5);
    kt_numbers_busy(false);
    kt_conversation_end(&c);
    EXPECT_TRUE(c.failed);
    c.answering = true;
    kt_conversation_note(&c, "NAME", "v", 1, 1);
    EXPECT_FALSE(kt_numbers_used());
}

TEST_F(Callers, OneRequestKeepsABoundedNumberOfValues)
{
    struct kt_conversation c = {};
    kt_conversation_begin(&c, 0);
    kt_conversation_add(&c, KT_FROM_USER, "hello", 5);
    kt_conversation_end(&c);
    for (unsigned i = 1; i <= 20000; i++)
        kt_conversation_note(&c, "NAME", reinterpret_cast<const char *>(&i), sizeof i, i);
    const unsigned in = KT_CONVERSATION_VALUES, out = in + 1;
    EXPECT_EQ(kt_numbers_get(c.id, "NAME", reinterpret_cast<const char *>(&in), sizeof in), in);
    EXPECT_EQ(kt_numbers_get(c.id, "NAME", reinterpret_cast<const char *>(&out), sizeof out), 0u);
}

} // namespace
