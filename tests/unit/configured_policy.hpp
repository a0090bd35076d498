/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One policy with options as a user writes them: configured("dlp-filter", "{action: block}"). */
#include "policy_fixture.hpp"

#include "policyengine/config/kt_config.h"

#include <memory>

namespace policy_test {

class Configured {
  public:
    Configured(const std::string &kind, const std::string &options)
    {
        std::string text = "pack: {name: t, version: 1.0.0, enabled: true}\npolicies:\n  chain: [" + kind +
                           "]\npolicy:\n  " + kind + ": " + options + "\n";
        kt_diags diags{};
        if (!kt_is_ok(kt_config_parse("test.yaml", text.data(), text.size(), &config_, &diags)))
            for (size_t i = 0; i < diags.count; i++)
                error_ += std::string(diags.items[i].code) + " " + diags.items[i].message + "\n";
        kt_diags_free(&diags);
        kt_error err{};
        if (config_ && !kt_is_ok(kt_chain_new(config_, &chain_, &err)))
            error_ = err.text;
        if (chain_)
            policy_ = std::make_unique<Policy>(chain_);
    }
    ~Configured()
    {
        policy_.reset();
        kt_config_free(config_);
    }
    Configured(const Configured &) = delete;
    Configured &operator=(const Configured &) = delete;

    Policy *operator->()
    {
        if (!policy_)
            abort(); /* the test's options are wrong: see error() */
        return policy_.get();
    }
    kt_chain *chain()
    {
        return chain_;
    }
    /* Why there is no policy; empty where there is one. */
    const std::string &error() const
    {
        return error_;
    }

  private:
    kt_config *config_ = nullptr;
    kt_chain *chain_ = nullptr;
    std::string error_;
    std::unique_ptr<Policy> policy_;
};

} // namespace policy_test
