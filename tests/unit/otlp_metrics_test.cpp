/* SPDX-License-Identifier: Apache-2.0 */
// Histograms for a collector: sums, bounds, and models that a client made up.
#include "interceptor/telemetry/kt_otlp_metrics.h"
#include "tests/unit/comma_locale.hpp"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace {

struct Numbers : ::testing::Test {
    void SetUp() override
    {
        ASSERT_EQ(kt_otlp_metrics_new(&m).code, KT_OK);
    }
    void TearDown() override
    {
        kt_otlp_metrics_free(m);
    }
    void add(const std::string &model, double ms, const char *error = nullptr)
    {
        kt_event e = {};
        e.path = "/v1/chat/completions";
        e.provider = "mistral";
        e.model = model.c_str();
        e.status = 200;
        e.error = error;
        e.usage.known = !error;
        e.usage.prompt_tokens = 5;
        kt_seen seen = {};
        seen.event = &e;
        seen.latency_ns = static_cast<uint64_t>(ms * 1e6);
        kt_otlp_metrics_add(m, &seen);
    }
    // The points of a metric.
    const cJSON *points(const char *name)
    {
        kt_buf out = KT_BUF_INIT(1u << 20);
        EXPECT_EQ(kt_otlp_metrics_write(m, "a \"service\"", &out).code, KT_OK);
        body = std::string(out.data, out.len);
        kt_buf_free(&out);
        cJSON_Delete(json);
        json = cJSON_Parse(body.c_str());
        EXPECT_NE(json, nullptr) << body;
        const cJSON *r = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "resourceMetrics"), 0), *metric;
        const cJSON *scope = cJSON_GetArrayItem(cJSON_GetObjectItem(r, "scopeMetrics"), 0);
        cJSON_ArrayForEach(metric, cJSON_GetObjectItem(scope, "metrics"))
        {
            if (strcmp(cJSON_GetObjectItem(metric, "name")->valuestring, name) == 0)
                return cJSON_GetObjectItem(cJSON_GetObjectItem(metric, "histogram"), "dataPoints");
        }
        return nullptr;
    }
    ~Numbers() override
    {
        cJSON_Delete(json);
    }
    static std::string text(const cJSON *point, const char *member)
    {
        const cJSON *j = cJSON_GetObjectItem(point, member);
        return cJSON_IsString(j) ? j->valuestring : "";
    }
    kt_otlp_metrics *m = nullptr;
    cJSON *json = nullptr;
    std::string body;
};

TEST_F(Numbers, FallIntoTheirBuckets)
{
    for (double ms : {1.0, 10.0, 10.1, 100000.0})
        add("m", ms);
    const cJSON *all = points("gen_ai.client.operation.duration");
    ASSERT_EQ(cJSON_GetArraySize(all), 1);
    const cJSON *p = cJSON_GetArrayItem(all, 0), *buckets = cJSON_GetObjectItem(p, "bucketCounts");
    EXPECT_EQ(text(p, "count"), "4");
    EXPECT_NEAR(cJSON_GetObjectItem(p, "sum")->valuedouble, 100.0211, 1e-6);
    EXPECT_STREQ(cJSON_GetArrayItem(buckets, 0)->valuestring, "2"); // a bound belongs to its bucket
    EXPECT_STREQ(cJSON_GetArrayItem(buckets, 1)->valuestring, "1");
    EXPECT_STREQ(cJSON_GetArrayItem(buckets, 14)->valuestring, "1");
}

TEST_F(Numbers, AreJsonInALocaleWithCommas)
{
    CommaLocale comma;
    add("m", 10.5);
    const cJSON *p = cJSON_GetArrayItem(points("gen_ai.client.operation.duration"), 0);
    EXPECT_NE(body.find("\"sum\":0.0105,"), std::string::npos) << body;
    EXPECT_NE(p, nullptr);
}

TEST_F(Numbers, AreForgottenOnceWritten)
{
    add("m", 1);
    EXPECT_EQ(cJSON_GetArraySize(points("gen_ai.client.operation.duration")), 1);
    EXPECT_EQ(cJSON_GetArraySize(points("gen_ai.client.operation.duration")), 0);
    add("m", 1);
    EXPECT_EQ(text(cJSON_GetArrayItem(points("gen_ai.client.operation.duration"), 0), "count"), "1");
}

TEST_F(Numbers, OfATokenCarryNoError)
{
    add("m", 1);
    add("m", 1, "timeout");
    EXPECT_EQ(cJSON_GetArraySize(points("gen_ai.client.operation.duration")), 2);
    add("m", 1);
    add("m", 1, "timeout");
    EXPECT_EQ(cJSON_GetArraySize(points("gen_ai.client.token.usage")), 2); // input and output
    EXPECT_NE(body.find("error.type"), std::string::npos);
}

TEST_F(Numbers, OfModelsWithoutEndStayBounded)
{
    for (int i = 0; i < 1000; i++)
        add("model \"" + std::to_string(i) + std::string(300, 'x'), 1);
    const cJSON *all = points("gen_ai.client.operation.duration"), *p;
    ASSERT_EQ(cJSON_GetArraySize(all), KT_OTLP_SERIES);
    int sum = 0;
    cJSON_ArrayForEach(p, all) sum += std::stoi(text(p, "count"));
    EXPECT_EQ(sum, 1000);
    EXPECT_NE(body.find("otel.metric.overflow"), std::string::npos);
    EXPECT_LT(body.size(), 300u << 10);
}

} // namespace
