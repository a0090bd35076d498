// SPDX-License-Identifier: Apache-2.0
// Translation to Mistral never alters the text of any message: random conversations of everything that
// OpenAI's schema allows.
#include "tests/unit/mistral_fixture.hpp"
#include "tests/unit/property_fixture.hpp"

#include "tools/mock/mock.h"

#include <cjson/cJSON.h>

namespace {

using property::json_string;
using property::Random;

const std::string BRIDGE =
    "\"Noted.\""; // between a tool's result and the user; see gateways' order rules in mistral_messages.c

// The texts of a conversation as they stand in the JSON, escapes and all, by a walk of our own over the
// tokens.
struct Texts {
    kt_json j{};
    std::vector<std::string> all;

    explicit Texts(const std::string &body)
    {
        EXPECT_EQ(kt_json_parse(&j, body.data(), body.size(), nullptr).code, KT_OK) << body;
        uint32_t messages = kt_json_member(&j, 0, "messages", nullptr);
        for (uint32_t m = messages + 1; m < j.tok[messages].next; m = j.tok[m].next) {
            content(kt_json_member(&j, m, "content", nullptr));
            take(kt_json_member(&j, m, "refusal", nullptr));
            uint32_t calls = kt_json_member(&j, m, "tool_calls", nullptr);
            if (calls && j.tok[calls].type == KT_JSON_ARRAY)
                for (uint32_t c = calls + 1; c < j.tok[calls].next; c = j.tok[c].next)
                    call(kt_json_member(&j, c, "function", nullptr));
            call(kt_json_member(&j, m, "function_call", nullptr));
        }
    }
    ~Texts()
    {
        kt_json_free(&j);
    }
    Texts(const Texts &) = delete;

    std::string raw(uint32_t tok) const
    {
        struct kt_span s = kt_json_raw(&j, tok);
        return {s.data, s.len};
    }
    void take(uint32_t tok)
    {
        if (tok && j.tok[tok].type == KT_JSON_STRING && raw(tok) != "\"\"" && raw(tok) != BRIDGE)
            all.push_back(raw(tok));
    }
    void content(uint32_t tok)
    {
        take(tok);
        if (tok && j.tok[tok].type == KT_JSON_ARRAY)
            for (uint32_t p = tok + 1; p < j.tok[tok].next; p = j.tok[p].next) {
                take(kt_json_member(&j, p, "text", nullptr));
                take(kt_json_member(&j, p, "refusal", nullptr));
            }
    }
    void call(uint32_t function)
    {
        if (!function || j.tok[function].type != KT_JSON_OBJECT)
            return;
        take(kt_json_member(&j, function, "name", nullptr));
        take(kt_json_member(&j, function, "arguments", nullptr));
    }
};

struct Conversation {
    Random &r;
    std::vector<std::string> open; // ids of calls without a result
    int calls = 0;

    std::string some(size_t max)
    {
        std::string s = json_string(r, max);
        return s == "\"\"" || s == BRIDGE ? "\"x\"" : s;
    }
    std::string key(const char *name, const std::string &value)
    {
        return property::space(r) + "\"" + name + "\"" + property::space(r) + ":" + property::space(r) +
               value;
    }
    std::string parts(bool refusals)
    {
        std::string s = "[";
        for (size_t n = 1 + r.below(3), i = 0; i < n; i++) {
            bool refusal = refusals && r.chance(30);
            s += (i ? "," : "") + std::string("{") + key("type", refusal ? "\"refusal\"" : "\"text\"") + "," +
                 key(refusal ? "refusal" : "text", some(30)) + "}";
        }
        return s + "]";
    }
    std::string tool_calls()
    {
        std::string s = "[";
        for (size_t n = 1 + r.below(3), i = 0; i < n; i++) {
            open.push_back("\"call_" + std::to_string(calls++) + "\"");
            s += (i ? "," : "") + std::string("{") + key("id", open.back()) + ",\"type\":\"function\"," +
                 key("function", "{" + key("name", "\"f\"") + "," + key("arguments", some(30)) + "}") + "}";
        }
        return s + "]";
    }
    std::string extras()
    {
        std::string s;
        for (const char *field : {"annotations", "metadata", "audio", "x_unknown"})
            if (r.chance(10))
                s += "," + key(field, property::json(r, 2));
        return s;
    }
    std::string message()
    {
        if (!open.empty()) {
            std::string id = open.front();
            open.erase(open.begin());
            return "{" + key("role", "\"tool\"") + "," + key("tool_call_id", id) + "," +
                   key("content", r.chance(70) ? some(30) : parts(false)) + "}";
        }
        size_t kind = r.below(10);
        if (kind < 2)
            return "{" + key("role", kind ? "\"system\"" : "\"developer\"") + "," +
                   key("content", r.chance(70) ? some(30) : parts(false)) + extras() + "}";
        if (kind < 6)
            return "{" + key("content", r.chance(70) ? some(30) : parts(false)) + "," +
                   key("role", "\"user\"") + (r.chance(20) ? ",\"name\":\"alice\"" : "") + extras() + "}";
        if (kind < 8)
            return "{" + key("role", "\"assistant\"") + "," +
                   key("content", r.chance(50) ? "null" : some(20)) + "," + key("tool_calls", tool_calls()) +
                   extras() + "}";
        if (kind == 8)
            return "{" + key("role", "\"assistant\"") + "," + key("content", "null") + "," +
                   key("refusal", some(20)) + "}";
        return "{" + key("role", "\"assistant\"") + "," +
               key("content", r.chance(60) ? some(30) : parts(true)) + ",\"refusal\":null" + extras() + "}";
    }
    std::string body()
    {
        std::string s = "{\"model\":\"gpt-4o\",\"messages\":[";
        for (size_t n = 1 + r.below(12), i = 0; i < n || !open.empty(); i++)
            s += (i ? "," : "") + message();
        return s + ",{\"role\":\"user\",\"content\":" + some(30) + "}]}";
    }
};

TEST(PropertyTranslate, TextsAreNeverAltered)
{
    Random r(property::seed());
    for (int i = 0; i < property::cases(3000); i++) {
        Conversation c{r, {}, 0};
        std::string body = c.body(), sent = send(body, "mistral-large-latest");
        Texts before(body), after(sent);
        ASSERT_EQ(after.all, before.all) << "case " << i << ", KT_SEED=" << property::seed() << "\n"
                                         << body << "\n"
                                         << sent;
    }
}

// Nor does any of them meet Mistral's 422 or its rules about order and ids, as the strict mock knows them.
TEST(PropertyTranslate, NothingIsRefused)
{
    Random r(property::seed() + 1);
    int checked = 0;
    for (int i = 0; i < property::cases(3000); i++) {
        Conversation c{r, {}, 0};
        std::string body = c.body(), sent = send(body, "mistral-large-latest");
        cJSON *j = cJSON_ParseWithLength(sent.data(), sent.size());
        if (!j)
            continue; // lone surrogates: this parser's limit
        if (sent.find("\"\\u0000") != std::string::npos) {
            cJSON_Delete(j);
            continue; // the mock has C strings: such a one is empty to it
        }
        checked++;
        kt_buf refusal = KT_BUF_INIT(1 << 20);
        EXPECT_EQ(mock_check_mistral(j, &refusal), 0) << refusal.data << "\n" << sent;
        kt_buf_free(&refusal);
        cJSON_Delete(j);
        if (HasFailure())
            return;
    }
    EXPECT_GT(checked, property::cases(3000) / 20);
}

} // namespace
