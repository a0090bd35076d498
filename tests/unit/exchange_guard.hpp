/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// A policy of both phases for the tests of answers: names are put away and may come back, words of an answer
// redact, stop, fail or ask, tools are refused, targets excluded. It works on windows of any size.
#include "exchange_words.hpp"

#include "policyengine/chain/kt_numbers.h"

namespace fake {

inline void guard_hold(const kt_text *t, const std::string &text, kt_sink *s)
{
    // The longest end of the window that begins one of the words.
    static const char *const words[] = {"SECRET", "FORBIDDEN", "ESCALATE", "CRASH", "ASK", "<"};
    size_t hold = text.size();
    for (const std::string w : words)
        for (size_t n = 1; n < w.size() && n <= text.size(); n++)
            if (text.compare(text.size() - n, n, w, 0, n) == 0)
                hold = std::min(hold, text.size() - n);
    size_t open = text.rfind('<');
    if (open != std::string::npos && text.find('>', open) == std::string::npos)
        hold = std::min(hold, open);
    s->hold_from(s, t->base + hold);
}

inline bool guard_restores = true;

// "<name>" is a name: "[NAME_1]".
inline void guard_names(const kt_text *t, const std::string &text, kt_sink *s)
{
    for (size_t a = text.find('<'); a != std::string::npos; a = text.find('<', a + 1)) {
        size_t b = text.find('>', a);
        if (b == std::string::npos)
            return;
        std::string value = text.substr(a, b + 1 - a);
        const char *name = s->placeholder(s, "NAME", value.data(), value.size(), guard_restores);
        s->redact(s, t->base + a, t->base + b + 1, name, strlen(name), "name");
    }
}

inline kt_step guard_text(const void *opts, void *instance, void *state, const kt_text *t, kt_sink *s)
{
    const std::string text(t->data, t->len);
    if (!t->final)
        guard_hold(t, text, s);
    guard_names(t, text, s);
    return words_text(opts, instance, state, t, s);
}

inline kt_step guard_tool(const void *, void *, void *, const kt_tool *t, kt_sink *s)
{
    if (kt_span_eq(t->name, "rm"))
        s->stop(s, KT_VERDICT_BLOCK, t->role == KT_TOOL_OFFERED ? "guard.offered" : "guard.called", -1,
                "this tool is not for you");
    return KT_STEP_DONE;
}

inline bool guard_admits(const void *, void *, const kt_target *t, const char **reason)
{
    *reason = "guard.far_away";
    return strncmp(t->id, "far", 3) != 0;
}

inline const kt_policy *guard()
{
    static kt_policy p = *words();
    p.kind = "test-guard";
    p.phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE;
    p.text = guard_text;
    p.tool = guard_tool;
    p.admits = guard_admits;
    p.restores = [](const void *) { return guard_restores; };
    return &p;
}

inline std::string quoted(const std::string &text)
{
    kt_buf b = KT_BUF_INIT(1u << 20);
    std::string out;
    if (kt_is_ok(kt_buf_json(&b, text.data(), text.size())))
        out = "\"" + std::string(b.data ? b.data : "", b.len) + "\"";
    kt_buf_free(&b);
    return out;
}

// What `name` (content or the like) says, as the log probabilities of a model that speaks in one token; null
// where it says nothing.
inline std::string log_of(const std::string &inside, const std::string &name = "\"content\":\"")
{
    size_t at = inside.find(name), end = at;
    if (at == std::string::npos)
        return "null";
    for (end = at += name.size(); inside[end] != '"'; end++)
        end += inside[end] == '\\';
    return "{\"content\":[{\"token\":\"" + inside.substr(at, end - at) + "\"}]}";
}

// A whole answer with these choices, each the inside of its message.
inline std::string completion(const std::vector<std::string> &messages, const std::string &more = "")
{
    std::string s = "{\"id\":\"c1\",\"object\":\"chat.completion\",\"choices\":[";
    for (size_t i = 0; i < messages.size(); i++)
        s += std::string(i ? "," : "") + "{\"index\":" + std::to_string(i) +
             ",\"message\":{\"role\":\"assistant\"," + messages[i] +
             "},\"logprobs\":" +
             (messages[i].find("SECRET") == std::string::npos ? log_of(messages[i])
                                                              : "{\"content\":[{\"token\":\"SEC\"}]}") +
             ",\"finish_reason\":\"stop\"}";
    return s + "]" + more + ",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}";
}

inline std::string says(const std::string &text)
{
    return "\"content\":" + quoted(text);
}

// A target that answers what the test says.
class GuardTest : public ExchangeTest {
  protected:
    void SetUp() override
    {
        kt_numbers_forget();
        ExchangeTest::SetUp();
    }
    // One call through a target that answers `body`; the configuration is there already.
    void through(Client &k, const std::string &body, const std::string &request = chat("hello"),
                 const std::string &path = "/v1/chat/completions")
    {
        text_ = body;
        ask(k, post(request, "", path));
    }
    void guarded(int mode = KT_MODE_ENFORCE, int fail_mode = KT_FAIL_BLOCK, const std::string &more = "")
    {
        configure(config(target("a", up_.port(), "KT_TEST_KEY_A"), more), guard(), mode, fail_mode);
    }
    Text text_{""}, type_{"application/json"}, check_{"{\"v\":\"good\"}"};
    Server up_{[this](Conn &c, const Request &r) {
        if (r.target == "/v1/check")
            return c.reply(200, "application/json", check_);
        return c.reply(200, type_, text_, "X-Request-Id: up-1\r\n");
    }};
};

} // namespace fake
