/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A request or an answer, and what is looked at of it. */
#include "interceptor/dialect/kt_dialect.h"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

using V = std::vector<std::string>;

struct Body {
    std::string text;
    kt_chat c{};
    kt_error err{};
    const char *param = nullptr;
    kt_result r;
    Body(kt_endpoint e, std::string t, bool answer = false) : text(std::move(t))
    {
        r = answer ? kt_answer_parse(&c, e, text.data(), text.size(), &err)
                   : kt_request_parse(&c, e, text.data(), text.size(), &err, &param);
    }
    ~Body()
    {
        kt_chat_free(&c);
    }
    Body(const Body &) = delete;
    Body &operator=(const Body &) = delete;
    /* `all`: labels and names, too. */
    V texts(bool all = false) const
    {
        static const char *const names[] = {"system",    "user",  "assistant", "tool", "call",
                                            "reasoning", "offer", "label",     "name"};
        V v;
        for (size_t i = 0; i < c.segment_count; i++) {
            const kt_segment &s = c.segments[i];
            if (!all && s.from >= KT_FROM_LABEL)
                continue;
            v.push_back(std::to_string(s.choice) + names[s.from] + (s.json ? "*:" : ":") +
                        std::string(s.text, s.len));
        }
        return v;
    }
    V tools() const
    {
        V v;
        for (size_t i = 0; i < c.tool_count; i++)
            v.push_back((c.tools[i].role == KT_TOOL_OFFERED ? "offers " : "calls ") +
                        std::to_string(c.tools[i].choice) + " " +
                        std::string(c.tools[i].name, c.tools[i].len));
        return v;
    }
};

} // namespace
