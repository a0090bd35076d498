/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One policy with the options that a config file would give it, in a chain of its own. */
#include "policyengine/chain/kt_chain.h"
#include "policyengine/config/kt_config.h"

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace yaml_policy {

struct Answer {
    int status;
    std::string body;
};

struct Result {
    kt_step step = KT_STEP_DONE;
    enum kt_verdict verdict = KT_VERDICT_ALLOW;
    std::string labels; /* "a:1 b:2 " */
    std::string reason, message, error;
    std::string left; /* what was released before the chain stopped */
    double score = -1;
    std::vector<std::string> asked; /* bodies of outside checks */
    std::string asked_path, asked_target;
};

/* `policies:` and `policy:` of a config, where one policy is not enough. */
struct Chain {
    std::string text;
};

class Policy {
  public:
    /* `options`: YAML in flow style, "mode: strict, block_if: [x]". */
    Policy(const std::string &kind, const std::string &options)
        : Policy(Chain{"policies: {chain: [" + kind + "]}\npolicy:\n  " + kind + ": {" + options + "}\n"})
    {
    }
    explicit Policy(const Chain &chain)
    {
        std::string text = "pack: {name: t, version: 1.0.0}\n" + chain.text +
                           "providers: {targets: [{id: other, provider: mistral, model: m}]}\n";
        kt_diags diags = {};
        if (kt_config_parse("t.yaml", text.data(), text.size(), &config_, &diags).code == KT_OK) {
            kt_error err = {};
            if (kt_chain_new(config_, &chain_, &err).code != KT_OK)
                error_ = err.text[0] ? err.text : "failed";
        } else {
            for (size_t i = 0; i < diags.count; i++)
                error_ += std::string(diags.items[i].code) + " " + diags.items[i].message + "; ";
        }
        kt_diags_free(&diags);
    }
    ~Policy()
    {
        kt_chain_free(chain_);
        kt_config_free(config_);
    }
    Policy(const Policy &) = delete;
    Policy &operator=(const Policy &) = delete;

    /* Of init or of the loader; "" = fine. */
    const std::string &error() const
    {
        return error_;
    }
    std::function<Answer(const std::string &body)> outside;
    bool dry = false;
    bool streamed = true; /* of the response phase: what is not held leaves behind each window */

    Result whole(const std::string &text, enum kt_phase phase = KT_PHASE_REQUEST)
    {
        return run({text}, phase);
    }
    Result run(const std::vector<std::string> &pieces, enum kt_phase phase, bool cut_off = false)
    {
        return many({pieces}, phase, cut_off);
    }
    /* Several segments (choices), one after the other. */
    Result many(const std::vector<std::vector<std::string>> &segments, enum kt_phase phase,
                bool cut_off = false)
    {
        Result out;
        if (!chain_) {
            out.error = error_;
            return out;
        }
        kt_chain_run *r = nullptr;
        if (kt_chain_run_new(chain_, phase, dry, nullptr, &r).code != KT_OK)
            abort();
        for (unsigned s = 0; s < segments.size(); s++)
            feed(r, s, segments[s], phase, cut_off, out);
        if (!kt_chain_run_stopped(r))
            settle(r, kt_chain_run_end(r), out);
        finish(r, out);
        kt_chain_run_free(r);
        return out;
    }

  private:
    void feed(kt_chain_run *r, unsigned segment, const std::vector<std::string> &pieces, enum kt_phase phase,
              bool cut_off, Result &out)
    {
        std::string held;
        size_t base = 0;
        for (size_t i = 0; i < pieces.size() && !kt_chain_run_stopped(r); i++) {
            std::string joined = held + pieces[i];
            std::vector<char> window(joined.begin(),
                                     joined.end()); /* exact: a sanitizer sees what is read behind */
            window.shrink_to_fit();
            static const char none = 0;
            kt_text t{segment,
                      phase == KT_PHASE_REQUEST ? KT_FROM_USER : KT_FROM_ASSISTANT,
                      window.empty() ? &none : window.data(),
                      window.size(),
                      base,
                      i + 1 == pieces.size() && !cut_off,
                      false,
                      phase == KT_PHASE_RESPONSE && streamed};
            settle(r, kt_chain_run_text(r, &t), out);
            if (kt_chain_run_stopped(r))
                break;
            size_t hold = kt_chain_run_hold_from(r, segment);
            out.left += joined.substr(0, hold - base);
            held = joined.substr(hold - base);
            base = hold;
        }
    }
    void settle(kt_chain_run *r, kt_step step, Result &out)
    {
        while (step == KT_STEP_PENDING) {
            const kt_external *e = kt_chain_run_external(r);
            std::string body(e->body.data, e->body.len);
            out.asked.push_back(body);
            out.asked_path = e->url_path;
            out.asked_target = e->target ? e->target : "";
            Answer a = outside ? outside(body) : Answer{0, ""};
            step = kt_chain_run_resume(r, a.status, kt_span(a.body.data(), a.body.size()));
        }
        if (step == KT_STEP_ERROR)
            out.step = KT_STEP_ERROR;
    }
    static void finish(kt_chain_run *r, Result &out)
    {
        kt_outcome o = kt_chain_run_outcome(r);
        out.verdict = o.verdict;
        out.reason = o.reason_code;
        out.message = o.message ? o.message : "";
        if (o.policy_count == 0)
            return;
        out.score = o.policies[0].score;
        for (unsigned i = 0; i < o.policies[0].labels_used; i++)
            out.labels += std::string(o.policies[0].labels[i]) + ":" +
                          std::to_string(o.policies[0].label_count[i]) + " ";
    }

    kt_config *config_ = nullptr;
    kt_chain *chain_ = nullptr;
    std::string error_;
};

} // namespace yaml_policy
