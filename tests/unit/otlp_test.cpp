/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/telemetry/kt_otlp.h"
#include "tests/unit/comma_locale.hpp"

#include <cJSON.h>
#include <gtest/gtest.h>
#include <string>

namespace {

struct Span : ::testing::Test {
    kt_event e{};
    kt_seen s{};
    kt_trace_ids t{};
    cJSON *j = nullptr;
    void SetUp() override
    {
        snprintf(t.trace_id, sizeof t.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        snprintf(t.span_id, sizeof t.span_id, "00f067aa0ba902b7");
        e.path = "/v1/chat/completions";
        e.model = "gpt-4o";
        e.provider = "mistral";
        e.status = 200;
        e.verdict = "allow";
        e.cost_usd = -1;
        e.timestamp_ns = 1700000000000000001ull;
        s.event = &e;
        s.trace = &t;
        s.latency_ns = 5;
    }
    void TearDown() override
    {
        cJSON_Delete(j);
    }
    void make()
    {
        kt_buf b = KT_BUF_INIT(1u << 16);
        ASSERT_TRUE(kt_is_ok(kt_otlp_span(&b, &s)));
        j = cJSON_ParseWithLength(b.data, b.len);
        ASSERT_NE(j, nullptr) << b.data;
        kt_buf_free(&b);
    }
    std::string text(const char *name)
    {
        const cJSON *v = cJSON_GetObjectItem(j, name);
        return v && v->valuestring ? v->valuestring : "";
    }
    /* The value as it is printed; "" = absent. */
    std::string attribute(const std::string &key)
    {
        const cJSON *a;
        cJSON_ArrayForEach(a, cJSON_GetObjectItem(j, "attributes"))
        {
            if (key != cJSON_GetObjectItem(a, "key")->valuestring)
                continue;
            char *p = cJSON_PrintUnformatted(cJSON_GetObjectItem(a, "value"));
            std::string v = p;
            cJSON_free(p);
            return v;
        }
        return "";
    }
};

TEST_F(Span, HasTheNamesOfTheConventions)
{
    snprintf(t.parent_id, sizeof t.parent_id, "1111111111111111");
    e.usage.known = true;
    e.usage.prompt_tokens = 12;
    e.usage.completion_tokens = 3;
    e.stream = true;
    s.ttft_ns = 250000000;
    make();
    EXPECT_EQ(text("traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(text("parentSpanId"), "1111111111111111");
    EXPECT_EQ(text("name"), "chat gpt-4o");
    EXPECT_EQ(text("startTimeUnixNano"), "1700000000000000001");
    EXPECT_EQ(text("endTimeUnixNano"), "1700000000000000006");
    EXPECT_EQ(cJSON_GetObjectItem(j, "kind")->valueint, 3);
    EXPECT_EQ(attribute("gen_ai.provider.name"), R"({"stringValue":"mistral_ai"})");
    EXPECT_EQ(attribute("gen_ai.operation.name"), R"({"stringValue":"chat"})");
    EXPECT_EQ(attribute("gen_ai.request.stream"), R"({"boolValue":true})");
    EXPECT_EQ(attribute("gen_ai.usage.input_tokens"), R"({"intValue":"12"})");
    EXPECT_EQ(attribute("gen_ai.usage.output_tokens"), R"({"intValue":"3"})");
    EXPECT_EQ(attribute("gen_ai.response.time_to_first_chunk"), R"({"doubleValue":0.25})");
    EXPECT_EQ(attribute("error.type"), "");
    EXPECT_EQ(cJSON_GetObjectItem(cJSON_GetObjectItem(j, "status"), "code")->valueint, 0);
}

TEST_F(Span, IsJsonInALocaleWithCommas)
{
    CommaLocale comma;
    e.overhead_us = 14;
    make();
    EXPECT_EQ(attribute("kt.overhead"), R"({"doubleValue":1.4e-05})");
}

TEST_F(Span, SaysWhatWentWrong)
{
    e.status = 409;
    e.verdict = "block";
    make();
    EXPECT_EQ(attribute("error.type"), R"({"stringValue":"409"})");
    EXPECT_EQ(cJSON_GetObjectItem(cJSON_GetObjectItem(j, "status"), "code")->valueint, 2);
    EXPECT_EQ(attribute("kt.verdict"), R"({"stringValue":"block"})");
    EXPECT_EQ(text("parentSpanId"), "");
}

TEST_F(Span, StaysJsonWhateverTheClientCallsItsModel)
{
    std::string bad = "a\"\\\n\x01\xff{}]";
    e.model = bad.c_str();
    make();
    EXPECT_NE(text("name").find("a\"\\\n"), std::string::npos);
}

} // namespace
