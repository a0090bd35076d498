// SPDX-License-Identifier: Apache-2.0
#pragma once
// A chat as it leaves for Mistral.
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>

#include <string>

inline std::string send(const std::string &body, const char *model = nullptr, kt_edits *policy = nullptr,
                        kt_chat *keep = nullptr)
{
    kt_chat own{};
    kt_chat *c = keep ? keep : &own;
    kt_error err{};
    const char *param;
    if (!keep) {
        EXPECT_EQ(kt_chat_parse(c, body.data(), body.size(), &err, &param).code, KT_OK)
            << err.text << " " << body;
    }
    kt_target t{};
    char name[] = "mistral";
    t.provider = name;
    kt_buf out = KT_BUF_INIT(1 << 22);
    EXPECT_EQ(kt_chat_body_for(c, &t, model, policy, &out).code, KT_OK);
    std::string s(out.data ? out.data : "", out.len);
    kt_buf_free(&out);
    kt_json j;
    EXPECT_EQ(kt_json_parse(&j, s.data(), s.size(), nullptr).code, KT_OK) << s;
    kt_json_free(&j);
    if (!keep)
        kt_chat_free(c);
    return s;
}

// A list of messages, translated.
inline std::string messages(const std::string &list)
{
    std::string s = send("{\"messages\":[" + list + "]}");
    EXPECT_EQ(s.substr(0, 13), "{\"messages\":[");
    EXPECT_EQ(s.substr(s.size() - 2), "]}");
    return s.substr(13, s.size() - 15);
}

const std::string U = "{\"role\":\"user\",\"content\":\"u\"}";
