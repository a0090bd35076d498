/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// What the exchange tests share: a policy that does what the text says, and an upstream that answers.
#include "exchange_fixture.hpp"

namespace fake {

// A policy whose behaviour the text of a test chooses.
struct WordsState {
    kt_external external;
};

inline kt_result words_open(const void *, void *, kt_phase, void **state)
{
    auto *s = static_cast<WordsState *>(calloc(1, sizeof(WordsState)));
    s->external.body.max = 4096;
    *state = s;
    return kt_ok();
}

inline void words_close(void *state)
{
    auto *s = static_cast<WordsState *>(state);
    kt_buf_free(&s->external.body);
    free(s);
}

inline kt_step words_text(const void *, void *, void *state, const kt_text *t, kt_sink *s)
{
    const std::string text(t->data, t->len);
    for (size_t i = text.find("SECRET"); i != std::string::npos; i = text.find("SECRET", i + 1))
        s->redact(s, t->base + i, t->base + i + 6, "[WORD_1]", 8, "word");
    if (text.find("FORBIDDEN") != std::string::npos)
        s->stop(s, KT_VERDICT_BLOCK, "words.forbidden", 0.9, "a forbidden word was found");
    if (text.find("ESCALATE") != std::string::npos)
        s->stop(s, KT_VERDICT_ESCALATE, "words.escalate", -1, "somebody must look at this");
    if (text.find("CRASH") != std::string::npos)
        return KT_STEP_ERROR;
    if (text.find("ASK") == std::string::npos)
        return KT_STEP_DONE;
    auto *st = static_cast<WordsState *>(state);
    st->external.url_path = "/check";
    st->external.target = text.find("ASK-NOBODY") != std::string::npos ? "nobody" : nullptr;
    kt_buf_clear(&st->external.body);
    if (!kt_is_ok(kt_buf_puts(&st->external.body, "{\"input\":\"x\"}")))
        return KT_STEP_ERROR;
    s->external = &st->external;
    return KT_STEP_PENDING;
}

inline kt_step words_resume(const void *, void *, void *state, int status, struct kt_span body, kt_sink *s)
{
    const std::string text(body.data, body.len);
    if (status == 200 && text.find("again") != std::string::npos) {
        s->external = &static_cast<WordsState *>(state)->external;
        return KT_STEP_PENDING;
    }
    if (status != 200)
        s->stop(s, KT_VERDICT_BLOCK, "words.unchecked", -1, "the check could not be made");
    else if (text.find("bad") != std::string::npos)
        s->stop(s, KT_VERDICT_BLOCK, "words.checked", -1, "the check says no");
    return KT_STEP_DONE;
}

inline const kt_option no_options[] = {{}};

inline const kt_policy *words()
{
    static kt_policy p;
    p.kind = "test-words";
    p.help = "for tests";
    p.reason_code = "words.redacted";
    p.phases = KT_PHASE_REQUEST;
    p.options = no_options;
    p.options_size = 1;
    p.open = words_open;
    p.close = words_close;
    p.text = words_text;
    p.resume = words_resume;
    return &p;
}

inline bool answer(Conn &c, const Request &)
{
    return c.reply(200, "application/json", kAnswer,
                   "X-Request-Id: up-1\r\nSet-Cookie: s=1\r\nAlt-Svc: h3=\":443\"\r\n");
}

} // namespace fake
