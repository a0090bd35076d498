/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Chains of real policies, and what a run over windows of any size says. */
#include "policyengine/chain/kt_chain.h"
#include "policyengine/config/kt_config.h"
#include "tests/unit/property_fixture.hpp"

#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

namespace property {

struct Chain {
    kt_config *config = nullptr;
    kt_chain *chain = nullptr;
    explicit Chain(const std::string &yaml)
    {
        kt_diags diags = {};
        kt_error err{};
        EXPECT_EQ(kt_config_parse("test", yaml.data(), yaml.size(), &config, &diags).code, KT_OK) << yaml;
        for (size_t i = 0; i < diags.count; i++)
            if (diags.items[i].severity == KT_SEV_ERROR)
                ADD_FAILURE() << diags.items[i].message;
        kt_diags_free(&diags);
        if (config) {
            EXPECT_EQ(kt_chain_new(config, &chain, &err).code, KT_OK) << err.text;
        }
    }
    ~Chain()
    {
        kt_chain_free(chain);
        kt_config_free(config);
    }
    Chain(const Chain &) = delete;
    Chain &operator=(const Chain &) = delete;
};

/* Settings that make a policy act. */
inline std::string block_of(const std::string &kind)
{
    if (kind == "dlp-filter")
        return "{secrets: true, blocked_terms: [Project Zanzibar, tidewater]}";
    return "{}";
}

inline std::string yaml_of(const std::string &kind)
{
    return "pack: {name: t, version: 1.0.0, enabled: true}\npolicies: {chain: [" + kind + "]}\npolicy:\n  " +
           kind + ": " + block_of(kind) + "\n";
}

inline std::string default_yaml()
{
    std::ifstream f(KT_SOURCE_DIR "/configs/policy-config.yaml");
    std::stringstream s;
    s << f.rdbuf();
    EXPECT_GT(s.str().size(), 100u);
    return s.str();
}

/* What a run says. */
struct Said {
    kt_verdict verdict = KT_VERDICT_ALLOW;
    std::string reason, policy, text, labels;
    bool error = false;
    bool stopped() const
    {
        return verdict >= KT_VERDICT_ESCALATE;
    }
};

inline void finish(kt_chain_run *run, Said &said)
{
    kt_outcome o = kt_chain_run_outcome(run);
    said.verdict = o.verdict;
    said.reason = o.reason_code;
    said.policy = o.policy ? o.policy : "";
    said.error |= o.internal_error;
    for (size_t i = 0; i < o.policy_count; i++) {
        said.labels += std::string(o.policies[i].kind) + " " + std::to_string(o.policies[i].matches);
        for (unsigned k = 0; k < o.policies[i].labels_used; k++)
            said.labels += std::string(" ") + o.policies[i].labels[k] + ":" +
                           std::to_string(o.policies[i].label_count[k]);
        said.labels += "\n";
    }
}

/* Everything in front of `to` that was not written yet, with its redactions. */
inline void release(kt_chain_run *run, const std::string &text, size_t &written, size_t to, std::string &out)
{
    size_t n = 0;
    const kt_redaction *red = kt_chain_run_redactions(run, &n);
    for (size_t i = 0; i < n; i++) {
        if (red[i].start < written || red[i].end > to)
            continue;
        out += text.substr(written, red[i].start - written) + std::string(red[i].text, red[i].len);
        written = red[i].end;
    }
    out += text.substr(written, to - written);
    written = to;
}

/* `piece` gets what each window sets free, as it is written. */
template <class Next>
Said windows(const Chain &c, kt_phase phase, kt_origin_class from, const std::string &text, Next next,
             const std::function<void(const std::string &)> &piece = {})
{
    Said said;
    kt_chain_run *run = nullptr;
    if (kt_chain_run_new(c.chain, phase, false, nullptr, &run).code != KT_OK)
        return said;
    size_t base = 0, end = 0, written = 0;
    do {
        end = std::min(text.size(), end + next());
        /* an exact copy, so that a sanitizer sees every byte read too far */
        std::unique_ptr<char[]> exact(new char[end - base + 1]);
        std::copy(text.begin() + static_cast<long>(base), text.begin() + static_cast<long>(end), exact.get());
        kt_text t{0, from, exact.get(), end - base, base, end == text.size(), false, true};
        kt_step step = kt_chain_run_text(run, &t);
        while (step == KT_STEP_PENDING)
            step = kt_chain_run_resume(run, 0, kt_span("", 0));
        said.error |= step == KT_STEP_ERROR;
        if (kt_chain_run_stopped(run))
            break;
        size_t hold = kt_chain_run_hold_from(run, 0);
        EXPECT_GE(hold, base);
        EXPECT_LE(hold, end);
        size_t before = said.text.size();
        release(run, text, written, hold, said.text);
        if (piece)
            piece(said.text.substr(before));
        base = hold;
    } while (end < text.size());
    if (!kt_chain_run_stopped(run)) {
        EXPECT_EQ(written, text.size());
    }
    kt_step step = kt_chain_run_end(run);
    while (step == KT_STEP_PENDING)
        step = kt_chain_run_resume(run, 0, kt_span("", 0));
    said.error |= step == KT_STEP_ERROR;
    finish(run, said);
    kt_chain_run_free(run);
    return said;
}

} // namespace property
