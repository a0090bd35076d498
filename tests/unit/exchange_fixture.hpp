/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// A real loop, a real upstream, a real audit log and a fake client side for one exchange at a time or many.
#include "interceptor/exchange/kt_exchange.h"
#include "interceptor/loop/kt_fds.h"
#include "interceptor/upstream/kt_upstream.h"

#include "fake_server.hpp"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <future>
#include <sys/stat.h>

namespace fake {

struct JsonFree {
    void operator()(cJSON *j) const
    {
        cJSON_Delete(j);
    }
};
using Json = std::unique_ptr<cJSON, JsonFree>;

inline Json parse(const std::string &text)
{
    return Json(cJSON_ParseWithLength(text.data(), text.size()));
}

// "a.b.0.c"; "" where there is no such string.
inline const cJSON *at(const cJSON *j, const std::string &path)
{
    for (size_t from = 0; j && from <= path.size();) {
        size_t dot = std::min(path.find('.', from), path.size());
        const std::string key = path.substr(from, dot - from);
        j = isdigit(static_cast<unsigned char>(key[0])) ? cJSON_GetArrayItem(j, std::stoi(key))
                                                        : cJSON_GetObjectItemCaseSensitive(j, key.c_str());
        from = dot + 1;
    }
    return j;
}
inline std::string str(const Json &j, const std::string &path)
{
    const cJSON *v = at(j.get(), path);
    return cJSON_IsString(v) ? v->valuestring : "";
}
inline double num(const Json &j, const std::string &path)
{
    const cJSON *v = at(j.get(), path);
    return cJSON_IsNumber(v) ? v->valuedouble : -1;
}

// The client's side of one exchange.
struct Client {
    std::mutex m;
    std::condition_variable c;
    int status = 0;
    int64_t length = -2;
    bool head_only = false; // it asks by HEAD
    std::map<std::string, std::string> headers;
    std::string body;
    std::atomic<bool> ended{false}, aborted{false};
    size_t events_at_end = 0;
    std::atomic<size_t> backlog{0};
    std::function<void()> at_body, at_end; // on the loop thread
    kt_exchange *x = nullptr;

    bool over() const
    {
        return ended || aborted;
    }
    bool wait(const std::function<bool()> &ready)
    {
        std::unique_lock<std::mutex> l(m);
        return c.wait_for(l, kPatience, ready);
    }
    bool wait_over()
    {
        return wait([this] { return over(); });
    }
    bool wait_body(const std::string &part)
    {
        return wait([&] { return body.find(part) != std::string::npos; });
    }
    std::string text()
    {
        std::lock_guard<std::mutex> l(m);
        return body;
    }
    static Client *of(void *flow)
    {
        return static_cast<Client *>(flow);
    }
    kt_reply_sink sink()
    {
        kt_reply_sink s = {};
        s.flow = this;
        s.head = [](void *flow, int code, const kt_header *h, size_t n, int64_t size) {
            Client *k = of(flow);
            std::lock_guard<std::mutex> l(k->m);
            EXPECT_EQ(k->status, 0) << "two heads";
            k->status = code;
            k->length = size;
            for (size_t i = 0; i < n; i++)
                k->headers[std::string(h[i].name.data, h[i].name.len)] =
                    std::string(h[i].value.data, h[i].value.len);
            k->c.notify_all();
        };
        s.body = [](void *flow, const char *data, size_t len) {
            Client *k = of(flow);
            {
                std::lock_guard<std::mutex> l(k->m);
                EXPECT_NE(k->status, 0) << "a body without a head";
                EXPECT_FALSE(k->over()) << "a body behind the end";
                k->body.append(data, len);
                k->c.notify_all();
            }
            if (k->at_body)
                k->at_body();
        };
        s.end = [](void *flow) {
            Client *k = of(flow);
            if (k->at_end)
                k->at_end();
            std::lock_guard<std::mutex> l(k->m);
            EXPECT_FALSE(k->over()) << "two ends";
            EXPECT_NE(k->status, 0) << "an end without a head";
            if (k->length >= 0 && !k->head_only) {
                EXPECT_EQ(static_cast<size_t>(k->length), k->body.size());
            }
            k->ended = true;
            k->c.notify_all();
        };
        s.abort = [](void *flow) {
            Client *k = of(flow);
            std::lock_guard<std::mutex> l(k->m);
            EXPECT_FALSE(k->over()) << "two ends";
            k->aborted = true;
            k->c.notify_all();
        };
        s.backlog = [](void *flow) { return of(flow)->backlog.load(); };
        return s;
    }
};

inline kt_runtime *current_runtime(void *owner)
{
    return kt_runtime_ref(*static_cast<kt_runtime **>(owner));
}

class ExchangeTest : public ::testing::Test {
  protected:
    void SetUp() override
    {
        for (const char *name :
             {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
              "SSL_CERT_FILE", "KT_UPSTREAM_CA_FILE", "KT_UPSTREAM_NO_PROXY", "KT_TEST_MISSING"})
            unsetenv(name);
        setenv("KT_TEST_KEY_A", "sk-target-a", 1);
        setenv("KT_TEST_KEY_B", "sk-target-b", 1);
        char pattern[] = "/tmp/ktx-XXXXXX";
        dir = mkdtemp(pattern);
        kt_error err = {};
        ASSERT_TRUE(kt_is_ok(kt_loop_new(&ctx.loop)));
        ASSERT_TRUE(kt_is_ok(kt_upstream_new(ctx.loop, &ctx.upstream)));
        ASSERT_TRUE(kt_is_ok(kt_audit_open(dir.c_str(), 0, &audit, &err))) << err.text;
        ctx.audit = audit;
        ctx.runtime = current_runtime;
        ctx.owner = &runtime;
        ASSERT_TRUE(kt_is_ok(kt_loop_start(ctx.loop, nullptr)));
    }
    void TearDown() override
    {
        on_loop([this] { kt_upstream_free(ctx.upstream); });
        ASSERT_TRUE(kt_loop_stop(ctx.loop, 10000));
        kt_loop_free(ctx.loop);
        kt_audit_free(audit);
        if (runtime) {
            EXPECT_EQ(runtime->refs, 1u) << "an exchange is still there";
        }
        kt_runtime_unref(runtime);
        EXPECT_EQ(kt_fds_count(), 0u);
        if (system(("chmod -R u+w " + dir + "; rm -rf " + dir).c_str()) != 0)
            ADD_FAILURE() << dir;
    }
    void on_loop(std::function<void()> fn)
    {
        std::promise<void> done;
        struct Job {
            std::function<void()> fn;
            std::promise<void> *done;
        } job = {std::move(fn), &done};
        auto run = [](void *arg) {
            auto *j = static_cast<Job *>(arg);
            j->fn();
            j->done->set_value();
        };
        ASSERT_TRUE(kt_is_ok(kt_loop_post(ctx.loop, run, &job)));
        ASSERT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
    }
    // Builds a runtime out of YAML; `with` may put a test's own policy into the chain.
    void configure(const std::string &yaml, const kt_policy *with = nullptr, int mode = KT_MODE_ENFORCE,
                   int fail_mode = KT_FAIL_BLOCK)
    {
        kt_runtime_unref(runtime);
        runtime = static_cast<kt_runtime *>(calloc(1, sizeof *runtime));
        runtime->refs = 1;
        runtime->mode = mode;
        runtime->fail_mode = fail_mode;
        kt_diags diags = {};
        kt_result r = kt_config_parse("test.yaml", yaml.data(), yaml.size(), &runtime->config, &diags);
        for (size_t i = 0; i < diags.count; i++)
            if (diags.items[i].severity == KT_SEV_ERROR)
                ADD_FAILURE() << diags.items[i].path << ": " << diags.items[i].message;
        kt_diags_free(&diags);
        ASSERT_TRUE(kt_is_ok(r));
        if (with) {
            ASSERT_EQ(runtime->config->chain_count, 0u);
            free(runtime->config->chain);
            runtime->config->chain = static_cast<kt_chain_entry *>(calloc(1, sizeof(kt_chain_entry)));
            runtime->config->chain[0].policy = with;
            runtime->config->chain[0].opts = calloc(1, with->options_size ? with->options_size : 1);
            runtime->config->chain_count = 1;
        }
        kt_error err = {};
        ASSERT_TRUE(kt_is_ok(kt_chain_new(runtime->config, &runtime->chain, &err))) << err.text;
    }
    void break_config(int fail_mode)
    {
        kt_runtime_unref(runtime);
        runtime = static_cast<kt_runtime *>(calloc(1, sizeof *runtime));
        runtime->refs = 1;
        runtime->fail_mode = fail_mode;
        runtime->broken = strdup("policy.yaml:3:7: error[E002] mdoe: unknown key (did you mean mode?)");
    }
    static kt_request read_request(const std::string &raw)
    {
        kt_request r = {};
        kt_http_parser *p = nullptr;
        if (!kt_is_ok(kt_http_parser_new(64u << 20, &p)))
            abort();
        size_t used = 0;
        EXPECT_EQ(kt_http_feed(p, raw.data(), raw.size(), &used), KT_HTTP_COMPLETE) << raw.substr(0, 200);
        kt_http_take(p, &r);
        kt_http_parser_free(p);
        return r;
    }
    static std::string post(const std::string &body, const std::string &extra = "",
                            const std::string &path = "/v1/chat/completions")
    {
        return "POST " + path +
               " HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer "
               "sk-program\r\nOpenAI-Organization: org-1\r\n" +
               "Cookie: c=1\r\nContent-Type: application/json\r\n" + extra +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    void start(Client &k, const std::string &raw)
    {
        kt_request r = read_request(raw);
        kt_exchange_origin origin = {origin_host.c_str(), origin_port, false, "divert", false, nullptr};
        ASSERT_TRUE(kt_is_ok(kt_exchange_new(&ctx, &r, &origin, &k.x)));
        kt_exchange_prepare(k.x);
        kt_reply_sink sink = k.sink();
        on_loop([&] { kt_exchange_start(k.x, &sink); });
    }
    void ask(Client &k, const std::string &raw)
    {
        start(k, raw);
        ASSERT_TRUE(k.wait_over());
        on_loop([] {}); // the exchange has left the loop's callbacks
    }
    std::vector<std::string> event_lines() const
    {
        std::vector<std::string> out;
        std::ifstream in(dir + "/audit/current.jsonl");
        for (std::string line; std::getline(in, line);)
            out.push_back(line);
        return out;
    }
    Json event(size_t i = 0) const
    {
        auto all = event_lines();
        return i < all.size() ? parse(all[i]) : nullptr;
    }
    std::string dir;
    kt_engine_ctx ctx = {};
    kt_audit *audit = nullptr;
    kt_runtime *runtime = nullptr;
    std::string origin_host = "127.0.0.1";
    uint16_t origin_port = 9;
};

inline std::string target(const std::string &id, uint16_t port, const std::string &key_env,
                          const std::string &model = "", const std::string &more = "")
{
    return "    - id: " + id +
           "\n      provider: mistral\n      model: " + (model.empty() ? id + "-model" : model) +
           "\n      base_url: http://127.0.0.1:" + std::to_string(port) +
           "/v1\n      secret_key_ref:\n        env: " + key_env + "\n" + more;
}

inline std::string config(const std::string &targets, const std::string &more = "")
{
    return "pack:\n  name: test\n  version: 1.2.3\n  enabled: true\npolicies:\n  chain: []\n" + more +
           (targets.empty() ? "" : "providers:\n  strategy: ordered\n  targets:\n" + targets);
}

const char kAnswer[] =
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
    "\"assistant\","
    "\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,"
    "\"total_tokens\":5}}";

inline std::string chat(const std::string &text, const std::string &more = "")
{
    return "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"" + text + "\"}]" + more +
           "}";
}

} // namespace fake
