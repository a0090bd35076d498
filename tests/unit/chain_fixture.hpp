/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Policies for tests: each does what its options say, and remembers what it was shown. */
#include "policyengine/chain/kt_chain_internal.h"

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace chain_test {

struct Script {
    std::function<kt_step(const kt_text *, kt_sink *)> text;
    std::function<kt_step(const kt_text *, size_t, kt_sink *)> leaving;
    std::function<kt_step(kt_sink *)> end;
    std::function<kt_step(int, struct kt_span, kt_sink *)> resume;
    std::function<kt_step(const kt_tool *, kt_sink *)> tool;
    std::vector<std::string> seen;
    int opened = 0, closed = 0;
    kt_external external{};
};

inline Script *script(const void *opts)
{
    return static_cast<Script *>(const_cast<void *>(opts));
}

inline kt_result scripted_open(const void *opts, void *, enum kt_phase, void **state)
{
    script(opts)->opened++;
    *state = script(opts);
    return kt_ok();
}

inline void scripted_close(void *state)
{
    static_cast<Script *>(state)->closed++;
}

inline kt_step scripted_text(const void *opts, void *, void *, const kt_text *t, kt_sink *s)
{
    script(opts)->seen.emplace_back(t->data, t->len);
    return script(opts)->text ? script(opts)->text(t, s) : KT_STEP_DONE;
}

inline kt_step scripted_leaving(const void *opts, void *, void *, const kt_text *t, size_t settled,
                                kt_sink *s)
{
    return script(opts)->leaving ? script(opts)->leaving(t, settled, s) : KT_STEP_DONE;
}

inline kt_step scripted_tool(const void *opts, void *, void *, const kt_tool *t, kt_sink *s)
{
    script(opts)->seen.push_back("tool:" + std::string(t->name.data, t->name.len));
    return script(opts)->tool ? script(opts)->tool(t, s) : KT_STEP_DONE;
}

inline kt_step scripted_end(const void *opts, void *, void *, kt_sink *s)
{
    return script(opts)->end ? script(opts)->end(s) : KT_STEP_DONE;
}

inline kt_step scripted_resume(const void *opts, void *, void *, int status, struct kt_span body, kt_sink *s)
{
    return script(opts)->resume(status, body, s);
}

inline kt_policy scripted(const char *kind, unsigned phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE)
{
    kt_policy p{};
    p.kind = kind;
    p.reason_code = "test.redacted";
    p.phases = phases;
    p.open = scripted_open;
    p.close = scripted_close;
    p.text = scripted_text;
    p.leaving = scripted_leaving;
    p.end = scripted_end;
    p.resume = scripted_resume;
    return p;
}

/* A chain of scripted policies "p0", "p1", ... and one run of it. */
class Chain {
  public:
    explicit Chain(size_t n)
    {
        static const char *const names[] = {"p0", "p1", "p2", "p3"};
        for (size_t i = 0; i < n; i++)
            add(scripted(names[i]));
    }
    ~Chain()
    {
        kt_chain_run_free(run_);
        kt_chain_free(chain_);
    }
    Chain(const Chain &) = delete;
    Chain &operator=(const Chain &) = delete;

    void add(const kt_policy &p)
    {
        policies_.push_back(std::make_unique<kt_policy>(p));
        scripts_.push_back(std::make_unique<Script>());
    }
    Script &operator[](size_t i)
    {
        return *scripts_[i];
    }
    kt_chain *chain()
    {
        if (!chain_) {
            std::vector<const kt_policy *> p;
            std::vector<const void *> o;
            for (size_t i = 0; i < policies_.size(); i++) {
                p.push_back(policies_[i].get());
                o.push_back(scripts_[i].get());
            }
            if (kt_chain_new_from(p.data(), o.data(), p.size(), &chain_, nullptr).code != KT_OK)
                return nullptr;
        }
        return chain_;
    }
    kt_chain_run *run(bool dry = false, enum kt_phase phase = KT_PHASE_REQUEST)
    {
        if (!run_ && kt_chain_run_new(chain(), phase, dry, nullptr, &run_).code != KT_OK)
            return nullptr;
        return run_;
    }
    kt_step text(const std::string &data, size_t base = 0, bool final = true, unsigned segment = 0,
                 enum kt_origin_class from = KT_FROM_USER)
    {
        kept_ = data; /* borrowed by the run while it is pending */
        kt_text t{segment, from, kept_.data(), kept_.size(), base, final, false, false};
        return kt_chain_run_text(run(), &t);
    }
    kt_step tool(const std::string &name, enum kt_tool_role role = KT_TOOL_OFFERED)
    {
        kept_ = name;
        kt_tool t{role, 0, kt_span(kept_.data(), kept_.size()), false};
        return kt_chain_run_tool(run(), &t);
    }
    kt_outcome outcome()
    {
        return kt_chain_run_outcome(run());
    }
    /* "0:3-7=[X] ..." */
    std::string redactions()
    {
        size_t n = 0;
        const kt_redaction *r = kt_chain_run_redactions(run(), &n);
        std::string s;
        for (size_t i = 0; i < n; i++)
            s += std::to_string(r[i].segment) + ":" + std::to_string(r[i].start) + "-" +
                 std::to_string(r[i].end) + "=" + std::string(r[i].text, r[i].len) + " ";
        return s;
    }

  private:
    std::vector<std::unique_ptr<kt_policy>> policies_;
    std::vector<std::unique_ptr<Script>> scripts_;
    kt_chain *chain_ = nullptr;
    kt_chain_run *run_ = nullptr;
    std::string kept_;
};

inline void redact(kt_sink *s, size_t start, size_t end, const char *text, const char *label = nullptr)
{
    s->redact(s, start, end, text, strlen(text), label);
}

} // namespace chain_test
