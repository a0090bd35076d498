// SPDX-License-Identifier: Apache-2.0
#pragma once
// A mock in a thread of the test, and a client that sees the bytes.
#include "tools/mock/mock.h"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

const char *const HELLO = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
const char *const HELLO_STREAM = R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]})";

struct Json {
    cJSON *j;
    explicit Json(const std::string &s) : j(cJSON_ParseWithLength(s.data(), s.size())) {}
    Json(const Json &) = delete;
    ~Json()
    {
        cJSON_Delete(j);
    }
    // "choices.0.message.content"; nullptr where there is no such thing.
    const cJSON *at(const std::string &path) const
    {
        const cJSON *v = j;
        for (size_t i = 0; v && i <= path.size();) {
            size_t end = std::min(path.find('.', i), path.size());
            std::string part = path.substr(i, end - i);
            v = isdigit(part[0]) && cJSON_IsArray(v) ? cJSON_GetArrayItem(v, std::stoi(part))
                                                     : cJSON_GetObjectItemCaseSensitive(v, part.c_str());
            i = end + 1;
        }
        return v;
    }
    std::string text(const std::string &path) const
    {
        const cJSON *v = at(path);
        return cJSON_IsString(v) ? v->valuestring : "(none)";
    }
};

class Client {
  public:
    explicit Client(int port)
    {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in a = {};
        a.sin_family = AF_INET;
        a.sin_port = htons(static_cast<uint16_t>(port));
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        timeval limit = {20, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr *>(&a), sizeof a), 0);
    }
    ~Client()
    {
        close(fd);
    }
    Client(const Client &) = delete;

    void send(const std::string &s)
    {
        EXPECT_EQ(::send(fd, s.data(), s.size(), MSG_NOSIGNAL), static_cast<ssize_t>(s.size()));
    }

    bool more()
    {
        char b[65536];
        ssize_t n = recv(fd, b, sizeof b, 0);
        if (n > 0)
            in.append(b, static_cast<size_t>(n));
        return n > 0;
    }
    // Head and body of one answer; false where the connection ended before it was whole.
    bool answer()
    {
        size_t end;
        while ((end = in.find("\r\n\r\n")) == std::string::npos)
            if (!more())
                return false;
        head = in.substr(0, end + 4);
        in.erase(0, end + 4);
        body.clear();
        if (head.find("transfer-encoding: chunked") != std::string::npos)
            return chunks();
        size_t at = head.find("content-length: ");
        size_t want = at == std::string::npos ? SIZE_MAX : std::stoul(head.substr(at + 16));
        while (in.size() < want)
            if (!more()) {
                body = in;
                return want == SIZE_MAX;
            }
        body = in.substr(0, want);
        in.erase(0, want);
        return true;
    }
    int status() const
    {
        return std::stoi(head.substr(9, 3));
    }
    bool ended()
    {
        return !more();
    }

    int fd;
    std::string in, head, body;

  private:
    bool chunks()
    {
        for (;;) {
            size_t nl;
            while ((nl = in.find("\r\n")) == std::string::npos)
                if (!more())
                    return false;
            size_t n = std::stoul(in.substr(0, nl), nullptr, 16);
            while (in.size() < nl + 2 + n + 2)
                if (!more())
                    return false;
            body += in.substr(nl + 2, n);
            in.erase(0, nl + 2 + n + 2);
            if (n == 0)
                return true;
        }
    }
};

inline std::string post(const std::string &body, const std::string &extra = "")
{
    return "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + extra +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class Mock : public ::testing::Test {
  protected:
    void SetUp() override
    {
        signal(SIGPIPE, SIG_IGN);
        char t[] = "/tmp/kt-mock-XXXXXX";
        ASSERT_NE(mkdtemp(t), nullptr);
        dir = t;
    }
    void TearDown() override
    {
        stop();
        kt_strings_free(&o.names);
        ASSERT_EQ(system(("rm -rf " + dir).c_str()), 0);
    }
    void start()
    {
        kt_error err = {};
        ASSERT_EQ(mock_server_new(&o, &server, &err).code, KT_OK) << err.text;
        port = mock_server_port(server);
        thread = std::thread([this] { mock_server_run(server); });
    }
    void stop()
    {
        if (!server)
            return;
        mock_server_stop(server);
        thread.join();
        mock_server_free(server);
        server = nullptr;
    }
    void fault(const char *text)
    {
        kt_error err = {};
        ASSERT_EQ(mock_script_add(&o.script, text, &err).code, KT_OK) << err.text;
    }
    // One request on a connection of its own.
    int ask(const std::string &body, const std::string &extra = "")
    {
        Client c(port);
        c.send(post(body, extra));
        if (!c.answer())
            return 0;
        answer = c.body;
        head = c.head;
        return c.status();
    }
    std::vector<std::string> record() const
    {
        std::ifstream f(dir + "/record");
        std::vector<std::string> out;
        for (std::string l; std::getline(f, l);)
            out.push_back(l);
        return out;
    }

    std::string dir, answer, head;
    mock_options o = {};
    mock_server *server = nullptr;
    std::thread thread;
    int port = 0;
};

inline std::vector<std::string> events(const std::string &sse)
{
    std::vector<std::string> out;
    for (size_t at = 0; at < sse.size();) {
        EXPECT_EQ(sse.compare(at, 6, "data: "), 0);
        size_t end = sse.find("\n\n", at);
        out.push_back(sse.substr(at + 6, end - at - 6));
        at = end == std::string::npos ? sse.size() : end + 2;
    }
    return out;
}

inline std::string joined(const std::vector<std::string> &all)
{
    std::string text;
    for (const auto &e : all) {
        Json j(e);
        const cJSON *c = j.at("choices.0.delta.content");
        text += cJSON_IsString(c) ? c->valuestring : "";
    }
    return text;
}
