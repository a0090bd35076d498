/* SPDX-License-Identifier: Apache-2.0 */
/* Every place of a delta where a model's words may stand, and what every detector finds: however it is cut,
 * nothing of a value comes out, in the log probabilities neither, and what was put away comes back. */
#include "stream_client.hpp"

#include <functional>

namespace {

using namespace stream_client;

struct Place {
    const char *name, *open, *close;
    std::vector<std::string> paths; // where a client reads it
    bool json;
};

const std::vector<Place> &places()
{
    static const std::vector<Place> all = {
        {"content", "\"content\":\"", "\"", {"content"}, false},
        {"refusal", "\"refusal\":\"", "\"", {"refusal"}, false},
        {"reasoning_content", "\"reasoning_content\":\"", "\"", {"reasoning_content"}, false},
        {"reasoning", "\"reasoning\":\"", "\"", {"reasoning"}, false},
        {"reasoning_details",
         "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"index\":0,\"text\":\"",
         "\"}]",
         {"reasoning_details.0.text"},
         false},
        {"list of texts",
         "\"content\":[{\"type\":\"text\",\"text\":\"",
         "\"}]",
         {"content.0.text", "content"},
         false},
        {"list of thoughts",
         "\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"",
         "\"}]}]",
         {"content.0.thinking.0.text"},
         false},
        {"arguments",
         "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"",
         "\"}}]",
         {"tool_calls.0.function.arguments"},
         true},
        {"second call",
         "\"tool_calls\":[{\"index\":3,\"function\":{\"arguments\":\"",
         "\"}}]",
         {"tool_calls.0.function.arguments"},
         true},
        {"custom input",
         "\"tool_calls\":[{\"index\":0,\"type\":\"custom\",\"custom\":{\"input\":\"",
         "\"}}]",
         {"tool_calls.0.custom.input"},
         false},
        {"function_call", "\"function_call\":{\"arguments\":\"", "\"}", {"function_call.arguments"}, true},
        {"text in an object",
         "\"content\":[{\"type\":\"text\",\"text\":{\"value\":\"",
         "\"}}]",
         {"content.0.text.value"},
         false},
        {"a name of texts", "\"tool_plan\":\"", "\"", {"tool_plan"}, false},
        {"one below another", "\"thoughts\":[{\"index\":0,\"text\":\"", "\"}]", {"thoughts.0.text"}, false},
        {"a name that nobody knows", "\"musing\":\"", "\"", {"musing"}, false},
        {"transcript", "\"audio\":{\"id\":\"a\",\"transcript\":\"", "\"}", {"audio.transcript"}, false},
    };
    return all;
}

const char kYaml[] = "pack: {name: t, version: 1.0.0, enabled: true}\n"
                     "policies: {chain: [pii-detector, dlp-filter, audit-logger]}\n"
                     "policy:\n  pii-detector: {redaction: {restore: true}}\n"
                     "  dlp-filter: {secrets: true, blocked_terms: [tidewater], detect_patterns: "
                     "['EMP-[0-9]{5}'], action: redact}\n"
                     "  audit-logger: {retention_days: 1}\n"
                     "providers:\n  targets:\n    - {id: a, provider: openai, model: m, base_url: "
                     "http://127.0.0.1:9/v1, secret_key_ref: {env: KT_TEST_KEY}}\n";

const struct {
    const char *text, *want, *value;
} kFinds[] = {
    {"ask jane@example.org now", "ask [EMAIL_2] now", "jane@example.org"},
    {"card 4111 1111 1111 1111.", "card [CARD_1].", "4111 1111 1111 1111"},
    {"key AKIA"
     "ZQ3TLN7XW5PB2DHC ok",
     "key [SECRET_1] ok", "ZQ3TLN7XW5PB2DHC"},
    {"the tidewater report", "the [TERM_1] report", "tidewater"},
    {"badge EMP-40213 is it", "badge [PATTERN_1] is it", "EMP-40213"},
    {"to [EMAIL_1], **[email 1]**.", "to zoe@example.com, **zoe@example.com**.", "EMAIL"},
    {"nothing at all", "nothing at all", "#"},
};

// "a.0.b" below the choice's delta; "" where there is no such string.
std::string read(const cJSON *at, const std::string &path)
{
    for (size_t from = 0; at && from <= path.size();) {
        size_t dot = std::min(path.find('.', from), path.size());
        const std::string key = path.substr(from, dot - from);
        at = isdigit(static_cast<unsigned char>(key[0]))
                 ? cJSON_GetArrayItem(cJSON_IsArray(at) ? at : nullptr, std::stoi(key))
                 : cJSON_GetObjectItemCaseSensitive(at, key.c_str());
        from = dot + 1;
    }
    return cJSON_IsString(at) ? at->valuestring : "";
}

struct Got {
    std::string text, tokens;
    bool good = true;
};

Got read_all(const std::string &body, const Place &p)
{
    Got g;
    size_t at = 0;
    for (size_t end; (end = body.find("\n\n", at)) != std::string::npos; at = end + 2) {
        if (body.compare(at, 12, "data: [DONE]") == 0)
            continue;
        cJSON *j = cJSON_ParseWithLength(body.data() + at + 6, end - at - 6), *token;
        const cJSON *c = cJSON_GetArrayItem(cJSON_GetObjectItem(j, "choices"), 0);
        g.good = g.good && c && !cJSON_GetObjectItem(j, "error");
        for (auto &path : p.paths)
            g.text += read(cJSON_GetObjectItem(c, "delta"), path);
        for (const char *name : {"content", "refusal"})
            cJSON_ArrayForEach(token, cJSON_GetObjectItem(cJSON_GetObjectItem(c, "logprobs"), name))
                g.tokens += read(token, "token");
        cJSON_Delete(j);
    }
    g.good = g.good && at == body.size() && body.size() > 14 &&
             body.compare(body.size() - 14, 14, "data: [DONE]\n\n") == 0;
    return g;
}

std::string chunk(const Place &p, const std::string &piece)
{
    const std::string text = inside(piece),
                      log = p.open == std::string("\"refusal\":\"") ? "refusal" : "content";
    return "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{" + (p.open + text) + p.close +
           "},\"logprobs\":{\"" + log + "\":[{\"token\":\"" + text + "\"}]},\"finish_reason\":null}]}\n\n";
}

void check(Rig &rig, const Place &p, const Pieces &pieces, const std::string &want, const std::string &value)
{
    std::string s = event("{\"role\":\"assistant\",\"content\":\"\"}");
    for (auto &piece : pieces)
        s += chunk(p, piece);
    Seen seen = rig.stream(Kind::Content, {s + event("{}", "\"stop\"") + "data: [DONE]\n\n"});
    Got got = read_all(seen.body, p);
    std::string how = std::string(p.name) + ":";
    for (auto &piece : pieces)
        how += " <" + piece + ">";
    ASSERT_TRUE(got.good) << how << "\n" << seen.body;
    ASSERT_EQ(got.text, want) << how << "\n" << seen.body;
    ASSERT_EQ(seen.body.find(value), std::string::npos) << how << "\n" << seen.body;
    ASSERT_EQ(got.tokens.find(value), std::string::npos) << how << "\n" << seen.body;
}

void every_cut(const std::function<void(const Pieces &)> &fn, const std::string &text)
{
    for (size_t at = 0; at <= text.size() && !testing::Test::HasFatalFailure(); at++)
        fn(cut_once(text, at));
    for (size_t size : {1, 2, 3, 7})
        if (!testing::Test::HasFatalFailure())
            fn(cut(text, size));
}

TEST(StreamPlaces, NothingOfAnyFindLeavesAnyPlace)
{
    Rig rig(kYaml);
    ASSERT_TRUE(rig.good());
    rig.prompt("write to zoe@example.com");
    for (auto &p : places())
        for (auto &f : kFinds) {
            const std::string text = p.json ? "{\"q\":\"" + std::string(f.text) + "\"}" : f.text;
            const std::string want = p.json ? "{\"q\":\"" + std::string(f.want) + "\"}" : f.want;
            every_cut([&](const Pieces &pieces) { check(rig, p, pieces, want, f.value); }, text);
            if (HasFatalFailure())
                return;
        }
}

// Strings that nobody knows, beside the texts: each is looked at for itself, in its chunk, and no word of it
// waits for the next one.
TEST(StreamPlaces, WhatStandsBesideTheTextsIsLookedAtInItsChunk)
{
    Rig rig(kYaml);
    ASSERT_TRUE(rig.good());
    rig.prompt("x");
    const std::string beside =
        R"("provider":"Some Host","note":"ask jane@example.org or Joe","list":["jane@example.org"])";
    auto choice = [](unsigned n, const std::string &word) {
        return "{\"index\":" + std::to_string(n) +
               ",\"seen\":{\"by\":\"jane@example.org\"},\"delta\":{\"content\":\"" + word +
               " \",\"context\":{\"intent\":\"to jane@example.org and Joe\"}},\"finish_reason\":null}";
    };
    std::string s;
    for (unsigned i = 0; i < 3; i++)
        s += "data: {\"id\":\"c\"," + beside + ",\"choices\":[" + choice(0, "one") + "," + choice(1, "two") +
             "]}\n\n";
    s += "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"},"
         "{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
         "data: {\"id\":\"c\"," +
         beside +
         ",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":6,\"total_tokens\":7}}\n\n";
    Seen seen = rig.stream(Kind::Content, {s + "data: [DONE]\n\n"});
    auto count = [&](const std::string &what) {
        size_t n = 0;
        for (size_t at = 0; (at = seen.body.find(what, at)) != std::string::npos; at++)
            n++;
        return n;
    };
    EXPECT_EQ(count("jane"), 0u) << seen.body;
    EXPECT_EQ(count("\"provider\":\"Some Host\",\"note\":\"ask [EMAIL_1] or Joe\",\"list\":[\"[EMAIL_1]\"]"),
              4u)
        << seen.body;
    EXPECT_EQ(count("\"seen\":{\"by\":\"[EMAIL_1]\"}"), 6u) << seen.body;
    EXPECT_EQ(count("\"context\":{\"intent\":\"to [EMAIL_1] and Joe\"}"), 6u) << seen.body;
    EXPECT_EQ(count("one") + count("two"), 6u) << seen.body;
    EXPECT_EQ(count("data: [DONE]\n\n"), 1u) << seen.body;
}

} // namespace
