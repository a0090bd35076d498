// SPDX-License-Identifier: Apache-2.0
// `kt mock` over real sockets: shapes, framing, records, limits, TLS.
#include "tests/unit/mock_fixture.h"

namespace {

class MockServer : public Mock {};

TEST_F(MockServer, AnswersInMistralsShape)
{
    start();
    ASSERT_EQ(ask(HELLO), 200);
    Json j(answer);
    EXPECT_EQ(j.text("object"), "chat.completion");
    EXPECT_EQ(j.text("model"), "m");
    EXPECT_EQ(j.text("choices.0.message.role"), "assistant");
    EXPECT_EQ(j.text("choices.0.message.content"), "Hello from kt mock. You asked m with 1 message.");
    EXPECT_EQ(j.text("choices.0.finish_reason"), "stop");
    EXPECT_EQ(j.at("usage.total_tokens")->valueint,
              j.at("usage.prompt_tokens")->valueint + j.at("usage.completion_tokens")->valueint);
    EXPECT_EQ(j.at("system_fingerprint"), nullptr);
}

TEST_F(MockServer, StreamsInMistralsShape)
{
    start();
    ASSERT_EQ(ask(HELLO_STREAM), 200);
    EXPECT_NE(head.find("content-type: text/event-stream"), std::string::npos);
    auto e = events(answer);
    ASSERT_EQ(e.size(), 1u + 5 + 1 + 1);
    Json first(e[0]), last(e[6]);
    EXPECT_EQ(first.text("choices.0.delta.role"), "assistant");
    EXPECT_EQ(first.text("choices.0.delta.content"), "");
    EXPECT_EQ(last.text("choices.0.finish_reason"), "stop");
    EXPECT_NE(last.at("usage.total_tokens"), nullptr);
    EXPECT_EQ(e[7], "[DONE]");
    for (size_t i = 0; i < 6; i++)
        EXPECT_EQ(Json(e[i]).at("usage"), nullptr);
    EXPECT_EQ(joined(e), "Hello from kt mock. You asked m with 1 message.");
}

TEST_F(MockServer, StreamsInOpenAisShape)
{
    o.dialect = MOCK_OPENAI;
    start();
    ASSERT_EQ(
        ask(R"({"model":"gpt-4o","stream":true,"user":"u","stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]})"),
        200);
    auto e = events(answer);
    ASSERT_EQ(e.size(), 1u + 5 + 1 + 1 + 1);
    EXPECT_TRUE(cJSON_IsNull(Json(e[0]).at("usage")));
    EXPECT_EQ(Json(e[6]).text("choices.0.finish_reason"), "stop");
    EXPECT_EQ(cJSON_GetArraySize(Json(e[7]).at("choices")), 0);
    EXPECT_NE(Json(e[7]).at("usage.total_tokens"), nullptr);
    ASSERT_EQ(ask(R"({"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]})"), 200);
    EXPECT_EQ(events(answer).size(), 1u + 5 + 1 + 1);
    EXPECT_EQ(ask(R"({"messages":[]})"), 400);
    EXPECT_EQ(Json(answer).text("error.type"), "invalid_request_error");
}

TEST_F(MockServer, ChunksAreWholeCharactersAndAsManyAsAsked)
{
    o.text = "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"\\\n";
    for (unsigned n : {1u, 2u, 4u, 6u}) {
        o.chunks = n;
        start();
        ASSERT_EQ(ask(HELLO_STREAM), 200);
        auto e = events(answer);
        EXPECT_EQ(e.size(), n + 3u);
        EXPECT_EQ(joined(e), o.text);
        stop();
    }
    o.chunks = 1000;
    start();
    ASSERT_EQ(ask(HELLO_STREAM), 200);
    auto e = events(answer);
    EXPECT_EQ(e.size(), 1003u);
    EXPECT_EQ(joined(e).find(std::string(o.text) + " " + o.text), 0u);
    ASSERT_EQ(ask(HELLO), 200);
    EXPECT_EQ(Json(answer).text("choices.0.message.content"), o.text);
}

TEST_F(MockServer, OtherEndpoints)
{
    start();
    Client c(port);
    for (const char *line : {"GET /v1/models", "HEAD /v1/models", "GET http://x/v1/models?a=1"}) {
        c.send(std::string(line) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        if (line[0] == 'H') {
            while (c.in.find("\r\n\r\n") == std::string::npos)
                ASSERT_TRUE(c.more());
            EXPECT_EQ(c.in.substr(c.in.find("\r\n\r\n") + 4), "");
            c.in.clear();
            continue;
        }
        ASSERT_TRUE(c.answer());
        EXPECT_EQ(c.status(), 200);
        EXPECT_EQ(Json(c.body).text("data.0.id"), "mistral-large-latest");
    }
    c.send("GET /v1/other HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(c.answer());
    EXPECT_EQ(c.status(), 404);
    EXPECT_NE(Json(c.body).j, nullptr);
    ASSERT_TRUE(c.answer()); // pipelined, on the same connection
    EXPECT_EQ(c.status(), 405);
}

TEST_F(MockServer, ChunkedBodiesContinueAndHttp10)
{
    start();
    Client c(port);
    std::string body = HELLO;
    c.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: "
           "100-continue\r\n\r\n");
    while (c.in.find("100 Continue\r\n\r\n") == std::string::npos)
        ASSERT_TRUE(c.more());
    c.in.clear();
    for (char ch : body)
        c.send(std::string("1\r\n") + ch + "\r\n");
    c.send("0\r\n\r\n");
    ASSERT_TRUE(c.answer());
    EXPECT_EQ(c.status(), 200);
    Client old(port);
    std::string stream = HELLO_STREAM;
    old.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " + std::to_string(stream.size()) +
             "\r\n\r\n" + stream);
    ASSERT_TRUE(old.answer());
    EXPECT_EQ(old.head.find("transfer-encoding"), std::string::npos);
    EXPECT_EQ(events(old.body).back(), "[DONE]");
}

TEST_F(MockServer, NonsenseIsRefusedAndEnds)
{
    start();
    Client c(port);
    c.send("NONSENSE\r\n\r\n" + std::string(20000, 'x'));
    ASSERT_TRUE(c.answer());
    EXPECT_EQ(c.status(), 400);
    EXPECT_TRUE(c.ended());
}

TEST_F(MockServer, RecordIsThereBeforeTheAnswerAndAlwaysJson)
{
    std::string path = dir + "/record";
    o.record = path.c_str();
    fault("close,count=1");
    start();
    EXPECT_EQ(ask(HELLO, "X-Twice: a\r\nx-twice: b\r\n"), 0);
    ASSERT_EQ(record().size(), 1u);
    Json j(record()[0]);
    EXPECT_EQ(j.text("method"), "POST");
    EXPECT_EQ(j.text("path"), "/v1/chat/completions");
    EXPECT_EQ(j.text("headers.x-twice"), "a, b");
    EXPECT_EQ(j.text("body"), HELLO);
    EXPECT_TRUE(cJSON_IsFalse(j.at("tls")));
    std::string nasty;
    for (int i = 0; i < 256; i++)
        nasty += static_cast<char>(i);
    EXPECT_EQ(ask(nasty), 422);
    ASSERT_EQ(record().size(), 2u);
    EXPECT_NE(Json(record()[1]).j, nullptr);
    Client c(port);
    c.send(post(HELLO) + post(HELLO));
    ASSERT_TRUE(c.answer() && c.answer());
    ASSERT_EQ(record().size(), 4u);
    EXPECT_EQ(Json(record()[2]).at("connection")->valueint, Json(record()[3]).at("connection")->valueint);
}

TEST_F(MockServer, MoreClientsThanThreads)
{
    start();
    {
        std::vector<std::unique_ptr<Client>> idle;
        for (int i = 0; i < MOCK_MAX_CONNECTIONS; i++)
            idle.push_back(std::make_unique<Client>(port));
        idle[0]->send(post(HELLO));
        ASSERT_TRUE(idle[0]->answer());
        Client late(port);
        late.send(post(HELLO));
        pollfd p = {late.fd, POLLIN, 0};
        EXPECT_EQ(poll(&p, 1, 200), 0); // waits for its turn
        idle.erase(idle.begin() + 7);
        ASSERT_TRUE(late.answer());
        EXPECT_EQ(late.status(), 200);
    }
    for (int i = 0; i < 600; i++)
        ASSERT_EQ(ask(HELLO), 200);
}

TEST_F(MockServer, ExitAfter)
{
    o.exit_after = 2;
    start();
    EXPECT_EQ(ask(HELLO), 200);
    EXPECT_EQ(ask(HELLO), 200);
    thread.join(); // by itself
    thread = std::thread([] {});
}

TEST_F(MockServer, ListenErrorsSayWhat)
{
    mock_server *s = nullptr;
    for (const char *bad : {"", "127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:notaport", "[::1]"}) {
        kt_error err = {};
        o.listen = bad;
        EXPECT_NE(mock_server_new(&o, &s, &err).code, KT_OK) << bad;
        EXPECT_NE(err.text[0], '\0') << bad;
    }
    o.listen = nullptr;
    start();
    std::string taken = "127.0.0.1:" + std::to_string(port);
    mock_options second = {};
    second.listen = taken.c_str();
    kt_error err = {};
    EXPECT_EQ(mock_server_new(&second, &s, &err).code, KT_ERR_IO);
    EXPECT_NE(std::string(err.text).find("Address already in use"), std::string::npos) << err.text;
}

TEST_F(MockServer, TlsIsTrustedByItsFileForItsNamesOnly)
{
    std::string ca = dir + "/ca.pem";
    o.tls = true;
    o.ca_out = ca.c_str();
    ASSERT_EQ(kt_strings_add(&o.names, "api.example.test").code, KT_OK);
    start();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    ASSERT_EQ(SSL_CTX_load_verify_locations(ctx, ca.c_str(), nullptr), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
    const struct {
        const char *sni, *name;
        bool good;
    } cases[] = {{nullptr, "127.0.0.1", true},
                 {"localhost", "localhost", true},
                 {"api.example.test", "api.example.test", true},
                 {"other.test", "other.test", false},
                 {nullptr, "other.test", false}};
    for (const auto &k : cases) {
        Client c(port);
        SSL *ssl = SSL_new(ctx);
        if (k.sni)
            SSL_set_tlsext_host_name(ssl, k.sni);
        X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
        if (isdigit(k.name[0]))
            X509_VERIFY_PARAM_set1_ip_asc(param, k.name);
        else
            X509_VERIFY_PARAM_set1_host(param, k.name, 0);
        SSL_set_fd(ssl, c.fd);
        bool ok = SSL_connect(ssl) == 1;
        EXPECT_EQ(ok, k.good) << k.name;
        if (ok) {
            std::string req = post(HELLO, "Connection: close\r\n"), in;
            SSL_write(ssl, req.data(), static_cast<int>(req.size()));
            char b[8192];
            for (int n; (n = SSL_read(ssl, b, sizeof b)) > 0;)
                in.append(b, static_cast<size_t>(n));
            EXPECT_EQ(in.compare(0, 12, "HTTP/1.1 200"), 0) << in;
            EXPECT_EQ(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN); // an end with its farewell, not a cut
        }
        SSL_free(ssl);
        ERR_clear_error();
    }
    SSL_CTX_free(ctx);
}

} // namespace
