/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One built-in policy with its real option table defaults, run through a real chain. */
#include "policyengine/chain/kt_chain_internal.h"
#include "policyengine/config/kt_config.h"
#include "policyengine/config/kt_read.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace policy_test {

/* Fills an options struct with the defaults of its table; the tables of the built-in policies hold no strings
 * or lists. */
inline void set_option(const kt_policy *p, std::vector<char> &opts, const std::string &name,
                       const std::string &value)
{
    for (const kt_option *o = p->options; o->name; o++) {
        if (name != o->name)
            continue;
        char *at = opts.data() + o->offset;
        if (o->type == KT_OPT_BOOL) {
            bool b = value == "true";
            memcpy(at, &b, sizeof b);
        } else if (o->type == KT_OPT_INT) {
            int64_t i = atoll(value.c_str());
            memcpy(at, &i, sizeof i);
        } else if (o->type == KT_OPT_FLOAT) {
            double d = atof(value.c_str());
            memcpy(at, &d, sizeof d);
        } else if (o->type == KT_OPT_ENUM) {
            int index = 0;
            std::string values = o->values;
            for (size_t from = 0; from <= values.size(); index++) {
                size_t bar = values.find('|', from);
                if (bar == std::string::npos)
                    bar = values.size();
                if (values.substr(from, bar - from) == value)
                    break;
                from = bar + 1;
            }
            memcpy(at, &index, sizeof index);
        }
        return;
    }
    abort(); /* the test names an option that is not there */
}

struct Result {
    kt_step step = KT_STEP_DONE;
    enum kt_verdict verdict = KT_VERDICT_ALLOW;
    std::string text;   /* as it leaves */
    std::string labels; /* "email:2 phone:1 " */
    std::string reason, message;
    double score = -1;
    size_t most_held = 0;
};

/* Options as a user writes them: one YAML mapping in flow style. */
struct Yaml {
    std::string options;
};

class Policy {
  public:
    Policy(const Yaml &yaml, const char *kind)
    {
        std::string text = "pack: {name: t, version: 1.0.0}\npolicies:\n  chain: [" + std::string(kind) +
                           "]\npolicy:\n  " + kind + ": " + yaml.options + "\n";
        kt_diags diags = {};
        kt_error err = {};
        if (kt_config_parse("t.yaml", text.data(), text.size(), &config_, &diags).code != KT_OK)
            error = diags.count ? diags.items[0].message : "?";
        else if (kt_chain_new(config_, &chain_, &err).code != KT_OK)
            error = err.text;
        kt_diags_free(&diags);
    }
    explicit Policy(const char *kind, std::vector<std::pair<std::string, std::string>> options = {})
    {
        policy_ = kt_policy_find(kind);
        opts_.assign(policy_->options_size, 0);
        if (kt_read_defaults(policy_->options, opts_.data()).code != KT_OK)
            abort();
        for (auto &o : options)
            set_option(policy_, opts_, o.first, o.second);
        const void *opts = opts_.data();
        if (kt_chain_new_from(&policy_, &opts, 1, &chain_, nullptr).code != KT_OK)
            abort();
    }
    /* Takes the chain; of what it was made from, nothing. */
    explicit Policy(kt_chain *chain) : policy_(nullptr), chain_(chain) {}
    ~Policy()
    {
        kt_chain_free(chain_);
        kt_config_free(config_);
        if (policy_)
            kt_options_free(policy_->options, opts_.data());
    }
    std::string error; /* of options that were refused: then nothing can be run */
    Policy(const Policy &) = delete;
    Policy &operator=(const Policy &) = delete;

    Result whole(const std::string &text, enum kt_origin_class from = KT_FROM_USER,
                 enum kt_phase phase = KT_PHASE_REQUEST)
    {
        return run({text}, from, phase);
    }
    /* The text in windows, the way a stream brings it: what is held comes again in front of the next piece.
     */
    Result run(const std::vector<std::string> &pieces, enum kt_origin_class from = KT_FROM_USER,
               enum kt_phase phase = KT_PHASE_REQUEST)
    {
        Result out;
        kt_chain_run *r = nullptr;
        if (kt_chain_run_new(chain_, phase, false, nullptr, &r).code != KT_OK)
            abort();
        std::string held;
        size_t base = 0;
        for (size_t i = 0; i < pieces.size() && !kt_chain_run_stopped(r); i++) {
            /* an exact copy on the heap, so that a sanitizer sees every byte read too far */
            std::vector<char> window(held.begin(), held.end());
            window.insert(window.end(), pieces[i].begin(), pieces[i].end());
            window.shrink_to_fit();
            static const char none = 0;
            kt_text t{3,
                      from,
                      window.empty() ? &none : window.data(),
                      window.size(),
                      base,
                      i + 1 == pieces.size(),
                      false,
                      phase == KT_PHASE_RESPONSE};
            if (kt_chain_run_text(r, &t) != KT_STEP_DONE)
                out.step = KT_STEP_ERROR;
            size_t hold = kt_chain_run_hold_from(r, 3);
            held.assign(window.begin() + static_cast<long>(hold - base), window.end());
            release(r, std::string(window.data(), hold - base), base, out.text);
            base = hold;
            if (held.size() > out.most_held)
                out.most_held = held.size();
        }
        finish(r, out);
        kt_chain_run_free(r);
        return out;
    }

  private:
    static void release(kt_chain_run *r, const std::string &bytes, size_t base, std::string &out)
    {
        size_t n = 0, at = 0;
        const kt_redaction *red = kt_chain_run_redactions(r, &n);
        for (size_t i = 0; i < n; i++) {
            if (red[i].start < base || red[i].start >= base + bytes.size())
                continue;
            out += bytes.substr(at, red[i].start - base - at) + std::string(red[i].text, red[i].len);
            at = red[i].end - base;
        }
        out += bytes.substr(at);
    }
    static void finish(kt_chain_run *r, Result &out)
    {
        if (kt_chain_run_end(r) != KT_STEP_DONE)
            out.step = KT_STEP_ERROR;
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

    const kt_policy *policy_ = nullptr;
    std::vector<char> opts_;
    kt_config *config_ = nullptr;
    kt_chain *chain_ = nullptr;
};

} // namespace policy_test
