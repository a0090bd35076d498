/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The engine as a whole: adopted connections in front, a small upstream behind, config, audit, plan and fork
 * around it. */
#include "fake_server.hpp"
#include "interceptor/engine/kt_engine.h"
#include "interceptor/loop/kt_fds.h"
#include "interceptor/plan/kt_plan.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

namespace fs = std::filesystem;

inline std::string answer_json(const std::string &text)
{
    return R"({"id":"c1","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":)"
           R"({"role":"assistant","content":")" +
           text +
           R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})";
}

inline bool ok_handler(fake::Conn &c, const fake::Request &)
{
    return c.reply(200, "application/json", answer_json("hello"));
}

inline std::string chat(const std::string &content)
{
    return R"({"model":"gpt-4o","messages":[{"role":"user","content":")" + content + R"("}]})";
}

inline std::string post(const std::string &body, const char *path = "/v1/chat/completions")
{
    return std::string("POST ") + path +
           " HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer sk-of-the-program\r\n"
           "Content-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string slurp(const fs::path &p)
{
    std::ifstream f(p);
    std::stringstream s;
    s << f.rdbuf();
    return s.str();
}

struct Env {
    fs::path dir;
    kt_engine *e = nullptr;
    kt_engine_options o{};
    std::string config, state, plan;

    Env()
    {
        char t[] = "/tmp/kt-engine-test-XXXXXX";
        dir = mkdtemp(t);
        state = (dir / "state").string();
        config = (dir / "policy-config.yaml").string();
        fs::create_directory(dir / "run");
        chmod((dir / "run").c_str(), 0700);
        setenv("XDG_RUNTIME_DIR", (dir / "run").c_str(), 1);
        setenv("KT_TEST_KEY", "key-of-the-target", 1);
        o.state_dir = state.c_str();
        o.config_paths = config.c_str();
    }
    ~Env()
    {
        kt_engine_free(e);
        fs::remove_all(dir);
        EXPECT_EQ(kt_fds_count(), 0u);
    }
    /* Written so that a reader never sees half of it, and so that its identity changes. */
    void write_config(const std::string &text)
    {
        std::ofstream(config + ".new") << text;
        fs::rename(config + ".new", config);
    }
    void write_target(const std::string &base_url, const std::string &model = "mistral-large-latest")
    {
        write_config("pack: {name: t, version: 1.0.0, enabled: true}\n"
                     "policies:\n  chain: [pii-detector, audit-logger]\n"
                     "policy:\n  pii-detector: {action: redact}\n  audit-logger: {immutable: true}\n"
                     "providers:\n  targets:\n    - id: one\n      provider: mistral\n      model: " +
                     model + "\n      base_url: " + base_url +
                     "\n      secret_key_ref: {env: KT_TEST_KEY}\n      timeout_seconds: 20\n");
    }
    void start()
    {
        kt_error err{};
        ASSERT_TRUE(kt_is_ok(kt_engine_new(&o, &e, &err))) << err.text;
    }
    std::string events()
    {
        return slurp(dir / "state" / "audit" / "current.jsonl");
    }
    size_t count(const std::string &needle)
    {
        std::string all = events();
        size_t n = 0;
        for (size_t at = all.find(needle); at != std::string::npos; at = all.find(needle, at + 1))
            n++;
        return n;
    }
    bool wait(std::function<bool()> p)
    {
        for (int i = 0; i < 10000; i++) {
            if (p())
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    }
    void verify()
    {
        kt_audit_report r{};
        kt_error err{};
        ASSERT_TRUE(kt_is_ok(kt_audit_verify(state.c_str(), &r, &err))) << err.text;
        EXPECT_TRUE(r.ok) << r.file << ":" << r.line << " " << r.what;
    }
};

struct Client {
    int fd = -1;
    SSL *ssl = nullptr;

    explicit Client(kt_engine *e, const char *host = "api.openai.com", uint16_t port = 443)
    {
        int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof a;
        EXPECT_EQ(bind(l, reinterpret_cast<sockaddr *>(&a), n), 0);
        EXPECT_EQ(listen(l, 1), 0);
        getsockname(l, reinterpret_cast<sockaddr *>(&a), &n);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr *>(&a), n), 0);
        int server = accept4(l, nullptr, nullptr, SOCK_CLOEXEC);
        close(l);
        timeval tv{20, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        adopted = kt_is_ok(kt_engine_adopt(e, server, host, port));
    }
    Client(const Client &) = delete;
    ~Client()
    {
        SSL_free(ssl);
        close(fd);
    }
    bool adopted;

    bool tls(kt_engine *e, bool trust = true)
    {
        SSL_CTX *c = SSL_CTX_new(TLS_client_method());
        if (trust) {
            struct kt_span der = kt_engine_ca_der(e);
            auto *p = reinterpret_cast<const unsigned char *>(der.data);
            X509 *ca = d2i_X509(nullptr, &p, static_cast<long>(der.len));
            X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca);
            X509_free(ca);
        }
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
        ssl = SSL_new(c);
        SSL_CTX_free(c);
        SSL_set_fd(ssl, fd);
        SSL_set_tlsext_host_name(ssl, "api.openai.com");
        SSL_set1_host(ssl, "api.openai.com");
        return SSL_connect(ssl) == 1;
    }
    void send(const std::string &s)
    {
        ssize_t n = ssl ? SSL_write(ssl, s.data(), static_cast<int>(s.size()))
                        : ::send(fd, s.data(), s.size(), MSG_NOSIGNAL);
        EXPECT_EQ(n, static_cast<ssize_t>(s.size()));
    }
    std::string in;
    bool fill()
    {
        char b[16384];
        ssize_t n = ssl ? SSL_read(ssl, b, sizeof b) : recv(fd, b, sizeof b, 0);
        if (n > 0)
            in.append(b, static_cast<size_t>(n));
        return n > 0;
    }
    /* Head and body of one answer with a length, "" where the connection ended before. */
    std::string answer()
    {
        size_t at;
        while ((at = in.find("\r\n\r\n")) == std::string::npos)
            if (!fill())
                return "";
        const char *cl = strcasestr(in.c_str(), "content-length:");
        size_t whole = at + 4 + (cl ? strtoul(cl + 15, nullptr, 10) : 0);
        while (in.size() < whole)
            if (!fill())
                return "";
        std::string out = in.substr(0, whole);
        in.erase(0, whole);
        return out;
    }
    std::string call(const std::string &request)
    {
        send(request);
        return answer();
    }
};

inline bool is(const std::string &answer, int status)
{
    return answer.rfind("HTTP/1.1 " + std::to_string(status) + " ", 0) == 0;
}
