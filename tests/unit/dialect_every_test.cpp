/* SPDX-License-Identifier: Apache-2.0 */
/* No string of a request leaves unseen, and none is seen twice. What cannot be replaced blocks. */
#include "configured_policy.hpp"
#include "property_fixture.hpp"

#include "interceptor/dialect/kt_dialect.h"

#include <map>

namespace {

using policy_test::Result;
using property::Random;

const std::vector<std::string> keys = {
    "content",     "text",       "name",        "title",       "context",   "metadata",   "tools",
    "function",    "id",         "description", "url",         "image_url", "enum",       "properties",
    "arguments",   "tool_calls", "file",        "filename",    "required",  "parameters", "default",
    "annotations", "thinking",   "x",           "input",       "data",      "prompt",     "custom",
    "schema",      "examples",   "refusal",     "tool_call_id"};

/* Every string of it holds an '@'; keys do where they are nobody's. */
std::string value(Random &r, int depth, int &n)
{
    size_t kind = depth > 0 ? r.below(5) : 0;
    if (kind <= 1)
        return "\"m" + std::to_string(n++) + "@x\"";
    std::string s = kind == 2 ? "[" : "{";
    std::map<std::string, bool> used;
    for (size_t i = 0, members = r.below(5); i < members; i++) {
        if (kind > 2) {
            std::string key = r.chance(25) ? "k" + std::to_string(n++) + "@y" : r.pick(keys);
            if (used[key])
                continue;
            used[key] = true;
            s += (s.size() > 1 ? ",\"" : "\"") + key + "\":";
        } else if (i) {
            s += ",";
        }
        s += value(r, depth - 1, n);
    }
    return s + (kind == 2 ? "]" : "}");
}

std::string member(Random &r, const char *key, int &n)
{
    return std::string(",\"") + key + "\":" + value(r, 4, n);
}

std::string request(Random &r, kt_endpoint e)
{
    static const std::vector<std::string> roles = {"system", "user", "assistant", "tool", "developer"};
    int n = 0;
    std::string s = "{\"model\":\"m\"";
    if (e == KT_EP_CHAT) {
        s += ",\"messages\":[";
        for (size_t i = 0, messages = 1 + r.below(3); i < messages; i++)
            s += (i ? ",{\"role\":\"" : "{\"role\":\"") + r.pick(roles) + "\"" + member(r, "content_", n) +
                 member(r, "tool_calls", n) + member(r, "image_url", n) + member(r, "name", n) + "}";
        s += "]";
    } else {
        s += (e == KT_EP_EMBEDDINGS ? ",\"input\":[" : ",\"prompt\":[") + value(r, 4, n) + "]";
    }
    for (const char *key : {"tools", "response_format", "prediction", "stream_options", "logit_bias", "z@z"})
        s += member(r, key, n);
    return s + "}";
}

} // namespace

TEST(EveryString, IsSeenOnce)
{
    Random r(property::seed() + 9);
    int read = 0;
    const int cases = property::cases(3000);
    for (int i = 0; i < cases; i++) {
        static const std::vector<kt_endpoint> endpoints = {KT_EP_CHAT, KT_EP_CHAT, KT_EP_CHAT, KT_EP_FIM,
                                                           KT_EP_EMBEDDINGS};
        kt_endpoint e = r.pick(endpoints);
        std::string text = request(r, e);
        kt_chat c{};
        kt_error err{};
        const char *param = nullptr;
        if (kt_request_parse(&c, e, text.data(), text.size(), &err, &param).code != KT_OK)
            continue; /* `stream_options` may hold what it must not */
        read++;
        std::map<uint32_t, int> seen;
        for (size_t s = 0; s < c.segment_count; s++)
            seen[c.segments[s].tok]++;
        for (uint32_t t = 0; t < c.json.count; t++) {
            if (c.json.tok[t].type != KT_JSON_STRING)
                continue;
            struct kt_span raw = kt_json_raw(&c.json, t);
            bool ours = memchr(raw.data, '@', raw.len);
            EXPECT_TRUE(ours ? seen[t] == 1 : seen[t] <= 1)
                << std::string(raw.data, raw.len) << " seen " << seen[t] << " times in " << text;
        }
        kt_chat_free(&c);
        if (HasFailure())
            break;
    }
    EXPECT_GT(read, cases / 6);
}

TEST(EveryString, WhatCannotBeReplacedBlocks)
{
    policy_test::Policy pii("pii-detector"), dlp("dlp-filter");
    Result r = pii.whole("lookup_ann@example.org", KT_FROM_NAME);
    EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(r.reason, "pii.detected");
    EXPECT_EQ(r.labels, "email:1 ");
    EXPECT_EQ(r.message.find("ann"), std::string::npos);
    EXPECT_EQ(pii.whole("lookup_ann@example.org", KT_FROM_LABEL).verdict, KT_VERDICT_REDACT);
    r = dlp.whole("/p?password=hunter2Hunter2x", KT_FROM_NAME);
    EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(r.reason, "dlp.detected");
}

namespace {

std::string filled(Random &r, const std::string &form)
{
    static const std::string digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::string s;
    for (char c : form)
        s += c == '9'   ? digits[r.below(10)]
             : c == 'f' ? digits[r.below(16)]
             : c == 'z' ? digits[r.below(36)]
             : c == 'Z' ? digits[r.below(62)]
                        : c;
    return s;
}

} // namespace

TEST(EveryString, IdsAreNoFinds)
{
    const std::string h8 = "ffffffff", h32 = h8 + h8 + h8 + h8, z8 = "ZZZZZZZZ";
    const std::vector<std::string> forms = {"cALL_" + z8 + z8 + z8,
                                            "tool-" + h32,
                                            "ToOlU_01" + z8 + z8 + "ZZZZZZ",
                                            "ZZZZZZZZZ",
                                            "cALL_zzzzzzzz",
                                            h8 + "-ffff-ffff-ffff-" + h8 + "ffff",
                                            "msg_" + h32 + h8 + h8,
                                            h32,
                                            "17" + std::string(8, '9'),
                                            "17" + std::string(11, '9'),
                                            "999999999",
                                            "/photos/9999999999/img.jpg?w=999&h=99",
                                            "run-" + h8 + "-9",
                                            "/id/999/999/9",
                                            "/2023/07/19/IMG_20230719_999999.jpg",
                                            "/media/" + z8 + "ZZ?as=jpg"};
    policy_test::Policy pii("pii-detector"), dlp("dlp-filter");
    Random r(property::seed() + 10);
    int cases = property::cases(400);
    for (const std::string &form : forms)
        for (int i = 0; i < cases; i++) {
            std::string id = filled(r, form);
            ASSERT_EQ(pii.whole(id, KT_FROM_NAME).verdict, KT_VERDICT_ALLOW) << id;
            ASSERT_EQ(dlp.whole(id, KT_FROM_NAME).verdict, KT_VERDICT_ALLOW) << id;
        }
}
