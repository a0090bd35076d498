/* SPDX-License-Identifier: Apache-2.0 */
/* Redacting and restoring is the identity, whatever the text holds and however the answer arrives. */
#include "policyengine/chain/kt_restore.h"
#include "tests/unit/chain_fixture.hpp"
#include "tests/unit/property_fixture.hpp"

namespace {

using property::Random;

struct Range {
    size_t start, end;
    std::string kind;
};

/* Texts that look like what the restorer looks for, around and inside of values. */
std::string piece(Random &r)
{
    static const std::vector<std::string> tricky = {
        "[EMAIL_1]",       "[EMAIL_",     "EMAIL_1]",  "[email 1]", "[",   "]",    "[[",
        "\\[EMAIL\\_1\\]", "(EMAIL_2)",   "[PHONE_1]", "[EMAIL_2",  "_1]", "1]",   "{",
        "[EMAIL1]",        "[ EMAIL-3 ]", "[X_1]",     "\\",        "\"",  "\\\"", "\\u005b"};
    return r.chance(40) ? r.pick(tricky) : property::text(r, 8);
}

struct Case {
    std::string text, redacted;
    std::vector<Range> ranges;
};

Case make(Random &r)
{
    static const std::vector<std::string> kinds = {"EMAIL", "PHONE", "X"};
    Case c;
    std::vector<std::string> values;
    for (size_t n = 1 + r.below(12); n > 0; n--) {
        c.text += piece(r);
        if (r.chance(40))
            continue;
        std::string value =
            !values.empty() && r.chance(40) ? r.pick(values) : piece(r) + property::text(r, 6);
        if (value.empty())
            continue;
        values.push_back(value);
        c.ranges.push_back({c.text.size(), c.text.size() + value.size(), r.pick(kinds)});
        c.text += value;
    }
    return c;
}

/* The text as a policy redacts it, through a chain. */
void redact(Case &c, kt_placeholders *names)
{
    kt_policy p = chain_test::scripted("p0");
    chain_test::Script script;
    script.text = [&](const kt_text *t, kt_sink *s) {
        for (const Range &range : c.ranges) {
            const char *name =
                s->placeholder(s, range.kind.c_str(), t->data + range.start, range.end - range.start, true);
            EXPECT_NE(name, nullptr);
            s->redact(s, range.start, range.end, name, strlen(name), "x");
        }
        return KT_STEP_DONE;
    };
    const kt_policy *policies[] = {&p};
    const void *opts[] = {&script};
    kt_chain *chain = nullptr;
    kt_chain_run *run = nullptr;
    ASSERT_EQ(kt_chain_new_from(policies, opts, 1, &chain, nullptr).code, KT_OK);
    ASSERT_EQ(kt_chain_run_new(chain, KT_PHASE_REQUEST, false, names, &run).code, KT_OK);
    kt_text t{0, KT_FROM_USER, c.text.data(), c.text.size(), 0, true, false, false};
    EXPECT_EQ(kt_chain_run_text(run, &t), KT_STEP_DONE);
    size_t n = 0, at = 0;
    const kt_redaction *red = kt_chain_run_redactions(run, &n);
    for (size_t i = 0; i < n; i++) {
        c.redacted += c.text.substr(at, red[i].start - at) + std::string(red[i].text, red[i].len);
        at = red[i].end;
    }
    c.redacted += c.text.substr(at);
    kt_chain_run_free(run);
    kt_chain_free(chain);
}

struct Out {
    std::string text;
    const std::string *from;
    size_t written = 0;
};

kt_result on_value(void *arg, size_t start, size_t end, struct kt_span with)
{
    Out *o = static_cast<Out *>(arg);
    o->text += o->from->substr(o->written, start - o->written) + std::string(with.data, with.len);
    o->written = end;
    return kt_ok();
}

/* In windows of at most `window` bytes; 0 = whole. */
std::string restore(kt_placeholders *names, const std::string &text, size_t window, Random &r)
{
    kt_restorer *restorer = nullptr;
    EXPECT_EQ(kt_restorer_new(names, &restorer).code, KT_OK);
    if (!restorer)
        return text;
    kt_restore_text state{};
    Out out{"", &text};
    size_t base = 0;
    for (size_t end = 0; end < text.size() || end == 0;) {
        end = window ? std::min(text.size(), end + 1 + r.below(window)) : text.size();
        size_t hold = 0;
        EXPECT_EQ(kt_restorer_scan(restorer, &state, text.data() + base, end - base, base, end == text.size(),
                                   on_value, &out, &hold)
                      .code,
                  KT_OK);
        base = hold;
        if (end == text.size())
            break;
    }
    kt_restorer_free(restorer);
    return out.text + text.substr(out.written);
}

struct Avoid {
    kt_placeholders *names;
    const std::string *text;
};

TEST(PropertyRestore, RedactThenRestoreIsTheIdentity)
{
    Random r(property::seed() + 10);
    size_t changed = 0;
    for (int i = 0; i < property::cases(4000); i++) {
        SCOPED_TRACE("seed " + std::to_string(property::seed()) + ", case " + std::to_string(i));
        Case c = make(r);
        kt_placeholders *names = kt_placeholders_new();
        Avoid avoid{names, &c.text};
        kt_placeholders_on_restore(
            names,
            [](void *arg) {
                Avoid *a = static_cast<Avoid *>(arg);
                kt_placeholders_avoid(a->names, a->text->data(), a->text->size());
            },
            &avoid);
        redact(c, names);
        changed += c.redacted != c.text;
        ASSERT_EQ(restore(names, c.redacted, 0, r), c.text) << "whole: " << c.redacted;
        ASSERT_EQ(restore(names, c.redacted, 1, r), c.text) << "byte by byte: " << c.redacted;
        ASSERT_EQ(restore(names, c.redacted, 9, r), c.text) << "in pieces: " << c.redacted;
        kt_placeholders_free(names);
    }
    EXPECT_GT(changed * 4, static_cast<size_t>(property::cases(4000))) << "else this test tests nothing";
}

} // namespace
