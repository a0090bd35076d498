/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// Calls through a built-in policy that fails, in every place of an exchange and under every setting of what
// that means. A program includes it in one file.
#include "deny_memory.hpp"

#include "exchange_guard.hpp"
#include "exchange_sse.hpp"

namespace failing_policy {

using namespace fake;

inline const char kBoom[] = "KABOOM to be looked at by nobody";

enum Place { REQUEST, ANSWER, STREAM_FIRST, STREAM_MIDDLE, STREAM_END };
inline const char *const place_names[] = {"request", "answer", "first words", "middle", "end"};

struct Setting {
    const char *name; /* on_internal_error; "" = not written */
    int fail_mode, mode;
    bool blocks;
};
inline const Setting settings[] = {
    {"", KT_FAIL_BLOCK, KT_MODE_ENFORCE, true},          {"", KT_FAIL_ALLOW, KT_MODE_ENFORCE, false},
    {"fail_mode", KT_FAIL_BLOCK, KT_MODE_ENFORCE, true}, {"fail_mode", KT_FAIL_ALLOW, KT_MODE_ENFORCE, false},
    {"block", KT_FAIL_BLOCK, KT_MODE_ENFORCE, true},     {"block", KT_FAIL_ALLOW, KT_MODE_ENFORCE, true},
    {"allow", KT_FAIL_BLOCK, KT_MODE_ENFORCE, false},    {"allow", KT_FAIL_ALLOW, KT_MODE_ENFORCE, false},
    {"", KT_FAIL_BLOCK, KT_MODE_OBSERVE, false},         {"block", KT_FAIL_BLOCK, KT_MODE_OBSERVE, false},
    {"allow", KT_FAIL_BLOCK, KT_MODE_OBSERVE, false},
};

/* ---- a built-in policy for which memory runs out ---- */

inline const kt_policy *real;
inline bool cannot_start;
inline kt_phase phase_now;

inline bool boom(const char *data, size_t len)
{
    return memmem(data, len, kBoom, 6) != nullptr;
}

// What allocates nothing here fails all the same.
inline kt_step without_memory(const std::function<kt_step()> &slot)
{
    kt_step step;
    size_t denied;
    {
        deny_memory::Deny d(deny_memory::kAll);
        step = slot();
        denied = deny_memory::now.denied;
    }
    return denied ? step : KT_STEP_ERROR;
}

inline kt_step failing_text(const void *o, void *in, void *st, const kt_text *t, kt_sink *s)
{
    if (!boom(t->data, t->len))
        return real->text(o, in, st, t, s);
    return without_memory([&] { return real->text(o, in, st, t, s); });
}

inline kt_step failing_tool(const void *o, void *in, void *st, const kt_tool *t, kt_sink *s)
{
    if (!boom(t->name.data, t->name.len))
        return real->tool(o, in, st, t, s);
    return without_memory([&] { return real->tool(o, in, st, t, s); });
}

inline kt_step failing_end(const void *, void *, void *, kt_sink *)
{
    return phase_now == KT_PHASE_RESPONSE ? KT_STEP_ERROR : KT_STEP_DONE;
}

inline kt_result failing_open(const void *o, void *in, kt_phase phase, void **state)
{
    phase_now = phase;
    return cannot_start ? kt_err(KT_ERR_MEMORY) : real->open ? real->open(o, in, phase, state) : kt_ok();
}

inline const kt_policy *failing(const char *kind, Place where)
{
    static std::map<std::string, kt_policy> copies; /* a config frees its options by their table */
    real = kt_policy_find(kind);
    kt_policy &p = copies[std::string(kind) + place_names[where]];
    p = *real;
    p.open = failing_open;
    if (where == STREAM_END)
        p.end = failing_end;
    else if (p.text)
        p.text = failing_text;
    if (p.tool && where != STREAM_END)
        p.tool = failing_tool;
    return &p;
}

/* ---- a call through it ---- */

class FailingPolicy : public GuardTest {
  protected:
    void chain_of(const char *kind, const std::string &options, const Setting &s, const kt_policy *with,
                  const std::string &targets)
    {
        std::string own = *s.name ? std::string("on_internal_error: ") + s.name : "";
        std::string yaml = config(targets, std::string("policy:\n  ") + kind + ": {" + options +
                                               (own.empty() || options.empty() ? "" : ", ") + own + "}\n");
        yaml.replace(yaml.find("chain: []"), 9, std::string("chain: [") + kind + "]");
        configure(yaml, nullptr, s.mode, s.fail_mode);
        if (!with)
            return;
        runtime->config->chain[0].policy = with;
        kt_chain_free(runtime->chain);
        kt_error err = {};
        ASSERT_TRUE(kt_is_ok(kt_chain_new(runtime->config, &runtime->chain, &err))) << err.text;
    }
    std::string here(uint16_t port)
    {
        origin_port = port;
        return target("a", port, "KT_TEST_KEY_A");
    }
    static std::string request(Place where, const std::string &text, bool tool)
    {
        std::string more = where >= STREAM_FIRST ? ",\"stream\":true" : "";
        if (tool && where == REQUEST)
            more += ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"KABOOM\"}}]";
        return chat(where == REQUEST ? text : "hello there", more);
    }
    // The client's side of a call that was stopped.
    static void stopped(const Client &k, const char *kind, Place where, const std::string &why)
    {
        size_t event = k.body.rfind("data: {\"error\"");
        bool stream = k.status == 200 && where >= STREAM_FIRST;
        EXPECT_TRUE(stream || k.status == 503) << why << k.status << k.body;
        EXPECT_TRUE(!stream || event != std::string::npos) << why << k.body;
        Json e = parse(stream ? k.body.substr(event + 6, k.body.find('\n', event) - event - 6) : k.body);
        EXPECT_EQ(str(e, "error.type"), "policy_error") << why << k.body;
        EXPECT_EQ(str(e, "error.code"), "policy_failed") << why;
        EXPECT_EQ(str(e, "error.policy"), kind) << why;
        EXPECT_NE(str(e, "error.message").find(kind), std::string::npos) << why;
        EXPECT_EQ(k.body.find("looked at"), std::string::npos) << why << "unseen text went out";
        EXPECT_EQ(k.body.find("the tail"), std::string::npos) << why;
        EXPECT_TRUE(k.ended) << why;
    }
    void told(const char *kind, const Setting &s, const std::string &why)
    {
        Json e = event(event_lines().size() - 1);
        EXPECT_EQ(str(e, "verdict"), s.blocks ? "error" : "allow") << why;
        EXPECT_EQ(str(e, "reason_code"), "policy_error") << why;
        EXPECT_EQ(str(e, "error"), "policy_error") << why;
        bool named = false;
        const cJSON *p;
        cJSON_ArrayForEach(p, at(e.get(), "policies")) named |=
            strcmp(cJSON_GetStringValue(at(p, "kind")), kind) == 0 &&
            strcmp(cJSON_GetStringValue(at(p, "verdict")), "error") == 0;
        EXPECT_TRUE(named) << why << event_lines().back();
        EXPECT_EQ(str(e, "mode"), s.mode == KT_MODE_OBSERVE ? "observe" : "enforce");
        if (s.blocks) {
            EXPECT_NE(str(e, "message").find(kind), std::string::npos) << why;
        }
    }
    void one(const char *kind, const Setting &s, Place where, const std::string &why, bool tool = false)
    {
        Client k;
        std::string body = request(where, kBoom, tool);
        size_t before = event_lines().size(), asked = chats_.size();
        ask(k, post(body));
        ASSERT_EQ(event_lines().size(), before + 1) << why;
        told(kind, s, why);
        bool sent = chats_.size() > asked;
        EXPECT_EQ(sent, !s.blocks || where != REQUEST) << why;
        if (s.blocks) {
            stopped(k, kind, where, why);
            EXPECT_EQ(k.status, where == STREAM_MIDDLE && streams_at_once(kind) ? 200 : k.status) << why;
            EXPECT_EQ(k.status, where == STREAM_FIRST ? 503 : k.status) << why;
        } else {
            EXPECT_EQ(k.status, 200) << why << k.body;
            EXPECT_NE(k.body.find(where == REQUEST  ? "hi"
                                  : where == ANSWER ? "looked at"
                                                    : "the tail"),
                      std::string::npos)
                << why << k.body;
        }
        if (s.mode == KT_MODE_OBSERVE && sent) {
            EXPECT_EQ(chats_.at(asked), body) << why;
            EXPECT_EQ(k.body, said_) << why;
        }
    }
    // Its texts go out piece by piece, and not only when an answer is whole.
    static bool streams_at_once(const std::string &kind)
    {
        return kind == "pii-detector" || kind == "dlp-filter" || kind == "safety-filter";
    }
    bool speak(Conn &c, const Request &r)
    {
        if (r.target.find("/moderations") != std::string::npos)
            return moderate(c, r);
        chats_.push_back(r.body);
        Place where = where_;
        if (where < STREAM_FIRST) {
            said_ = completion({says(where == ANSWER ? kBoom : "hi")});
            return c.reply(200, "application/json", said_);
        }
        std::string first, rest = delta(where == STREAM_END ? " and fine" : kBoom) + delta(" the tail");
        for (int i = 0; i < 200; i++)
            first += "All is well here so far. ";
        first = kRole + (where == STREAM_FIRST ? "" : delta(first));
        rest += delta("", "\"stop\"") + kDone;
        said_ = first + rest;
        return c.sse_head() && c.chunk(first) && c.chunk(rest) && c.chunk_end();
    }
    virtual bool moderate(Conn &, const Request &)
    {
        return false;
    }
    std::atomic<Place> where_{REQUEST};
    std::string said_;               /* by the target, as it said it */
    std::vector<std::string> chats_; /* that reached it */
    Server target_{[this](Conn &c, const Request &r) { return speak(c, r); }};
};

} // namespace failing_policy
