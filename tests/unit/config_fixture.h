/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of the config share: one load, its complaints in words, scratch files. */
#include "policyengine/config/kt_config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace kt {

struct ConfigFree {
    void operator()(kt_config *c) const
    {
        kt_config_free(c);
    }
};

/* The result of one load. */
class Loaded {
  public:
    explicit Loaded(const std::string &text)
    {
        take([&](kt_config **c) { return kt_config_parse("t.yaml", text.data(), text.size(), c, &diags_); });
    }
    explicit Loaded(const std::vector<std::string> &paths)
    {
        std::vector<const char *> p;
        for (const auto &s : paths)
            p.push_back(s.c_str());
        take([&](kt_config **c) { return kt_config_load(p.data(), p.size(), c, &diags_); });
    }
    ~Loaded()
    {
        kt_diags_free(&diags_);
    }
    Loaded(const Loaded &) = delete;
    Loaded &operator=(const Loaded &) = delete;

    const kt_config *operator->() const
    {
        return config.get();
    }
    /* "E002@3:5 policy.x" per complaint, in order. */
    std::vector<std::string> all() const
    {
        std::vector<std::string> out;
        for (size_t i = 0; i < diags_.count; i++) {
            const kt_diag &d = diags_.items[i];
            out.push_back(std::string(d.code) + "@" + std::to_string(d.line) + ":" + std::to_string(d.col) +
                          " " + (d.path ? d.path : ""));
        }
        return out;
    }
    /* The whole line of the only complaint, or a list of all. */
    std::string line() const
    {
        std::string out;
        for (size_t i = 0; i < diags_.count; i++) {
            kt_buf b = KT_BUF_INIT(1 << 20);
            EXPECT_EQ(kt_diag_format(&diags_.items[i], &b).code, KT_OK);
            out += (i ? "\n" : "") + std::string(b.data, b.len);
            kt_buf_free(&b);
        }
        return out;
    }
    size_t errors() const
    {
        return kt_diags_errors(&diags_);
    }
    std::unique_ptr<kt_config, ConfigFree> config;
    kt_code code = KT_OK;

  private:
    template <class F> void take(F load)
    {
        kt_config *c = nullptr;
        code = load(&c).code;
        config.reset(c);
        EXPECT_EQ(code == KT_OK, c != nullptr);
        EXPECT_EQ(code == KT_OK, errors() == 0) << line();
    }
    kt_diags diags_ = {};
};

using Lines = std::vector<std::string>;

/* What passes for a certificate where nobody reads it: one sequence of DER. */
inline const std::string pem = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

/* A folder that goes with the test. */
class Scratch {
  public:
    Scratch()
    {
        std::string name = (std::filesystem::temp_directory_path() / "kt-config-XXXXXX").string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        dir = name;
    }
    ~Scratch()
    {
        std::error_code ignored;
        std::filesystem::remove_all(dir, ignored);
    }
    std::string write(const std::string &name, const std::string &text) const
    {
        std::ofstream(dir / name, std::ios::binary) << text;
        return (dir / name).string();
    }
    std::filesystem::path dir;
};

/* Four lines that make any document complete; what a test adds starts on line 5. */
inline const std::string base = "pack: {name: t, version: 1.0.0}\n"
                                "policies:\n"
                                "  chain: [audit-logger]\n"
                                "policy: {audit-logger: {}}\n";
/* One target on line 7 (keys from column 7 on); what a test adds is a line 8 of it. */
inline const std::string target = base + "providers:\n"
                                         "  targets:\n"
                                         "    - id: a\n"
                                         "      provider: mistral\n"
                                         "      model: m\n";

} // namespace kt
