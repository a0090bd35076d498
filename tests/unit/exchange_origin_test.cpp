/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_words.hpp"

namespace {

using namespace fake;

class Origin : public ExchangeTest {};

/* ---- what is not chat, what cannot be read ---- */

TEST_F(Origin, UnknownEndpointIsBlocked)
{
    Server origin(answer);
    origin_port = origin.port();
    configure(config(target("a", origin.port(), "KT_TEST_KEY_A")));
    Client k;
    ask(k, post("{\"input\":\"x\"}", "", "/v1/responses?k=v"));
    EXPECT_EQ(k.status, 501);
    const std::string message = str(parse(k.body), "error.message");
    EXPECT_NE(message.find("intercept.unknown_endpoints: pass"), std::string::npos) << message;
    EXPECT_EQ(message.find("k=v"), std::string::npos) << message;
    EXPECT_EQ(origin.connections(), 0u);
    EXPECT_EQ(str(event(), "verdict"), "block");
}

TEST_F(Origin, UnknownEndpointPassesUnseen)
{
    Server origin([](Conn &c, const Request &) {
        return c.reply(207, "application/x-any", "bytes", "Set-Cookie: s=1\r\n");
    });
    origin_port = origin.port();
    configure(config(target("a", 9, "KT_TEST_KEY_A"), "intercept:\n  unknown_endpoints: pass\n"));
    Client k;
    ask(k, post("{\"input\":  1}", "X-Own: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n",
                "/v1/responses?k=v"));
    EXPECT_EQ(k.status, 207);
    EXPECT_EQ(k.body, "bytes");
    EXPECT_EQ(k.headers["Set-Cookie"], "s=1") << "it is the origin's own answer";
    Request r = origin.requests().at(0);
    EXPECT_EQ(r.target, "/v1/responses?k=v");
    EXPECT_EQ(r.body, "{\"input\":  1}");
    EXPECT_EQ(r.header("authorization"), "Bearer sk-program");
    EXPECT_EQ(r.header("openai-organization"), "org-1");
    EXPECT_EQ(r.header("x-own"), "1");
    EXPECT_EQ(r.header("x-hop"), "");
    EXPECT_EQ(str(event(), "event_type"), "unseen");
    EXPECT_EQ(str(event(), "target"), "origin");
}

TEST_F(Origin, WhatWeSayOfAPathIsJson)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
    for (const char *path : {"/v1/\xff", "/v1/models/%ff"}) {
        Client k;
        ask(k, std::string("GET ") + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_NE(k.body.find("\xef\xbf\xbd"), std::string::npos) << k.body;
        EXPECT_EQ(k.body.find('\xff'), std::string::npos) << "no UTF-8";
    }
}

TEST_F(Origin, BodilessMethodsPass)
{
    Server origin([](Conn &c, const Request &r) {
        if (r.method == "HEAD")
            return c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        return r.method == "DELETE" ? c.send("HTTP/1.1 204 No Content\r\n\r\n")
                                    : c.reply(200, "text/plain", "");
    });
    origin_port = origin.port();
    configure(config("", "intercept:\n  unknown_endpoints: pass\n"));
    for (const char *method : {"GET", "HEAD", "DELETE"}) {
        Client k;
        k.head_only = *method == 'H';
        ask(k, std::string(method) + " /v1/models HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_TRUE(k.ended) << method;
        EXPECT_EQ(k.body, "");
        EXPECT_TRUE(*method != 'H' || k.length == 5) << "what a GET would get";
        EXPECT_EQ(origin.requests().back().method, method);
    }
}

TEST_F(Origin, BrokenConfigFollowsFailMode)
{
    Server origin(answer);
    origin_port = origin.port();
    break_config(KT_FAIL_BLOCK);
    Client blocked, passed;
    ask(blocked, post(chat("x")));
    EXPECT_EQ(blocked.status, 503);
    EXPECT_EQ(blocked.headers["x-should-retry"], "false");
    Json j = parse(blocked.body);
    EXPECT_EQ(str(j, "error.type"), "configuration_error");
    EXPECT_EQ(str(j, "error.code"), "policy_unavailable");
    EXPECT_NE(str(j, "error.message").find("policy.yaml:3:7"), std::string::npos);
    EXPECT_EQ(origin.connections(), 0u);
    EXPECT_EQ(str(event(0), "event_type"), "config_error");
    break_config(KT_FAIL_ALLOW);
    ask(passed, post(chat("x")));
    EXPECT_EQ(passed.status, 200);
    EXPECT_EQ(origin.requests().at(0).header("authorization"), "Bearer sk-program");
    EXPECT_EQ(str(event(1), "event_type"), "unseen");
    EXPECT_NE(str(event(1), "message").find("policy.yaml:3:7"), std::string::npos);
}

TEST_F(Origin, DisabledPackPassesEverything)
{
    Server origin(answer);
    origin_port = origin.port();
    std::string yaml = config(target("a", 9, "KT_TEST_KEY_A"));
    yaml.replace(yaml.find("enabled: true"), 13, "enabled: false");
    configure(yaml, words());
    Client k;
    ask(k, post(chat("FORBIDDEN")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(origin.requests().at(0).body, chat("FORBIDDEN"));
    EXPECT_EQ(str(event(), "reason_code"), "pack_disabled");
}

TEST_F(Origin, WebSocketIsRefusedFast)
{
    configure(config("", "intercept:\n  unknown_endpoints: pass\n"));
    Client k;
    ask(k, "GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT_EQ(k.status, 426);
    EXPECT_EQ(str(event(), "reason_code"), "websocket_not_supported");
}

/* ---- origin ---- */

TEST_F(Origin, ObserveModeChangesNothing)
{
    Server origin(answer), up(answer);
    origin_port = origin.port();
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words(), KT_MODE_OBSERVE);
    for (const char *text : {"my SECRET", "FORBIDDEN", "CRASH", "plain"}) {
        Client k;
        const std::string body = "{ \"model\" : \"gpt-4o\", \"messages\":[{\"role\":\"user\",\"content\":\"" +
                                 std::string(text) + "\"}],\"x\":1.00 }";
        ask(k, post(body));
        EXPECT_EQ(k.status, 200) << text;
        EXPECT_EQ(k.body, kAnswer);
        EXPECT_EQ(k.headers.count("x-kt-target"), 0u);
        EXPECT_EQ(origin.requests().back().body, body);
        EXPECT_EQ(origin.requests().back().header("authorization"), "Bearer sk-program");
    }
    Client broken, unknown;
    ask(broken, post("not json at all"));
    EXPECT_EQ(origin.requests().back().body, "not json at all");
    ask(unknown, post("{}", "", "/v1/responses"));
    EXPECT_EQ(origin.requests().back().target, "/v1/responses");
    EXPECT_EQ(up.connections(), 0u);
    EXPECT_EQ(str(event(0), "mode"), "observe");
    EXPECT_EQ(str(event(0), "verdict"), "allow");
    EXPECT_EQ(str(event(0), "would_verdict"), "redact");
    EXPECT_EQ(str(event(1), "would_verdict"), "block");
    EXPECT_EQ(num(event(0), "usage.total_tokens"), 5);
    EXPECT_EQ(str(event(4), "event_type"), "unseen");
    EXPECT_EQ(str(event(5), "event_type"), "unseen");
}

TEST_F(Origin, WithoutProvidersTheOriginGetsTheRedactedBody)
{
    Server origin(answer);
    origin_port = origin.port();
    configure(config(""), words());
    Client k, blocked;
    ask(k, post(chat("a SECRET", ",\"store\":true,\"big\":9007199254740993")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(origin.requests().at(0).body, chat("a [WORD_1]", ",\"store\":true,\"big\":9007199254740993"));
    EXPECT_EQ(origin.requests().at(0).header("authorization"), "Bearer sk-program");
    ask(blocked, post(chat("FORBIDDEN")));
    EXPECT_EQ(blocked.status, 409);
    EXPECT_EQ(origin.requests().size(), 1u);
}

TEST_F(Origin, WithoutProvidersAPolicyMayRefuseTheOrigin)
{
    static kt_policy strict = *words();
    strict.admits = [](const void *, void *, const kt_target *t, const char **reason) {
        *reason = "test.keeps_data";
        return t->data_policy.zero_data_retention;
    };
    static kt_policy lenient = strict;
    lenient.admits_none_warns = [](const void *) { return true; };
    Server origin(answer);
    origin_port = origin.port();
    configure(config("", "block_status: 451\n"), &strict);
    Client k, warned, watched;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 451);
    EXPECT_EQ(str(parse(k.body), "error.code"), "input_blocked");
    EXPECT_EQ(origin.connections(), 0u);
    EXPECT_EQ(str(event(), "verdict"), "block");
    EXPECT_EQ(str(event(), "reason_code"), "test.keeps_data");
    configure(config(""), &lenient);
    ask(warned, post(chat("x")));
    EXPECT_EQ(warned.status, 200);
    configure(config(""), &strict, KT_MODE_OBSERVE);
    ask(watched, post(chat("x")));
    EXPECT_EQ(watched.status, 200) << "observe mode changes nothing";
}

TEST_F(Origin, OriginsErrorsAreItsOwn)
{
    Server origin([](Conn &c, const Request &) {
        return c.reply(500, "text/html", "<h1>own</h1>", "Retry-After: 1\r\n");
    });
    origin_port = origin.port();
    configure(config(""));
    Client k, dead;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 500);
    EXPECT_EQ(k.body, "<h1>own</h1>");
    EXPECT_EQ(k.headers["Retry-After"], "1");
    EXPECT_EQ(str(event(), "attempts.0.outcome"), "server_error");
    DeadPort nobody;
    origin_port = nobody.port();
    ask(dead, post(chat("x")));
    EXPECT_EQ(dead.status, 502);
    EXPECT_EQ(str(parse(dead.body), "error.code"), "origin_unreachable");
    // The library's words are the event's business, not the client's: an address and a port.
    EXPECT_EQ(str(parse(dead.body), "error.message"),
              "ktwrap: 127.0.0.1 could not be reached (connection_error: no connection)");
    EXPECT_NE(str(event(1), "attempts.0.detail").find("Failed to connect to"), std::string::npos);
}

TEST_F(Origin, LargeOriginAnswersAreNotCollected)
{
    const size_t total = 30u << 20;
    Server origin([&](Conn &c, const Request &) {
        c.send("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: " + std::to_string(total) +
               "\r\n\r\n");
        for (size_t n = 0; n < total; n += 1 << 20)
            if (!c.send(std::string(1 << 20, 'a')))
                return false;
        return true;
    });
    origin_port = origin.port();
    configure(config("", "intercept:\n  unknown_endpoints: pass\n"));
    Client k;
    size_t at_end = 0, events = 0;
    k.at_body = [&] { // the last byte waits for the event
        std::lock_guard<std::mutex> l(k.m);
        if (k.body.size() == total)
            events = event_lines().size();
        at_end = k.body.size();
    };
    ask(k, "GET /v1/files/1/content HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(at_end, total);
    EXPECT_EQ(events, 1u);
    EXPECT_EQ(k.length, static_cast<int64_t>(total));
}

/* ---- audit ---- */

TEST_F(Origin, NoAuditLogNothingLeaves)
{
    Server up(answer);
    ctx.audit = nullptr;
    snprintf(ctx.audit_error, sizeof ctx.audit_error, "/state/audit: Read-only file system");
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words());
    for (const char *text : {"x", "ASK"}) {
        Client k;
        ask(k, post(chat(text)));
        EXPECT_EQ(k.status, 503);
        EXPECT_EQ(str(parse(k.body), "error.code"), "audit_unavailable");
        EXPECT_NE(str(parse(k.body), "error.message").find("Read-only"), std::string::npos);
    }
    EXPECT_EQ(up.connections(), 0u);
    Client blocked, allowed;
    ask(blocked, post(chat("FORBIDDEN")));
    EXPECT_EQ(blocked.status, 409) << "a block needs no audit log to be safe";
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words(), KT_MODE_ENFORCE, KT_FAIL_ALLOW);
    ask(allowed, post(chat("x")));
    EXPECT_EQ(allowed.status, 200);
}

// The log fails while the answer is on its way: a folder where the file should be stops every append, for
// root, too.
TEST_F(Origin, AuditFailsAfterTheAnswer)
{
    const std::string file = dir + "/audit/current.jsonl";
    Server up([&](Conn &c, const Request &r) {
        unlink(file.c_str());
        mkdir(file.c_str(), 0700);
        return answer(c, r);
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
    Client k, allowed;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 503);
    EXPECT_EQ(str(parse(k.body), "error.code"), "audit_unavailable");
    EXPECT_EQ(k.body.find("\"hi\""), std::string::npos) << "the answer is withheld";
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), nullptr, KT_MODE_ENFORCE, KT_FAIL_ALLOW);
    ask(allowed, post(chat("x")));
    EXPECT_EQ(allowed.status, 200);
}

TEST_F(Origin, CaptureKeepsNoMoreThanAsked)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A"), "audit:\n  capture: redacted\n"), words());
    Client k, blocked;
    ask(k, post(chat("my SECRET")));
    EXPECT_EQ(str(event(0), "capture_request"), chat("my [WORD_1]"));
    ask(blocked, post(chat("FORBIDDEN SECRET")));
    EXPECT_EQ(event_lines().at(1).find("SECRET"), std::string::npos)
        << "a blocked text is not redacted to its end";
}

} // namespace
