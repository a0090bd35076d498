/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Feeds requests cut in pieces, and writes down what came out. */
#include "interceptor/http/kt_http.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace kt_test {

struct Outcome {
    int status = 0; /* 0 = complete */
    std::string method, target, body, text;
    std::vector<std::pair<std::string, std::string>> headers;
    bool keep_alive = false, chunked = false, upgrade = false, expect = false, decoded = false;
    int minor = -1, continues = 0;
    int64_t length = 0;
    size_t used = 0;
    bool complete = false;
    bool operator==(const Outcome &o) const
    {
        return status == o.status && method == o.method && target == o.target && body == o.body &&
               text == o.text && headers == o.headers && keep_alive == o.keep_alive && chunked == o.chunked &&
               upgrade == o.upgrade && expect == o.expect && decoded == o.decoded && minor == o.minor &&
               continues == o.continues && length == o.length && used == o.used && complete == o.complete;
    }
};

inline std::string str(struct kt_span s)
{
    return s.data ? std::string(s.data, s.len) : std::string();
}

using Parser = std::unique_ptr<kt_http_parser, decltype(&kt_http_parser_free)>;

inline Parser make(size_t max_body)
{
    kt_http_parser *p = nullptr;
    EXPECT_TRUE(kt_is_ok(kt_http_parser_new(max_body, &p)));
    return Parser(p, kt_http_parser_free);
}

inline void record(Outcome &o, kt_http_parser *p)
{
    kt_request r;
    kt_http_take(p, &r);
    o.complete = true;
    o.method = str(r.method);
    o.target = str(r.target);
    o.body = r.body.data ? std::string(r.body.data, r.body.len) : "";
    for (size_t i = 0; i < r.header_count; i++)
        o.headers.emplace_back(str(r.headers[i].name), str(r.headers[i].value));
    o.keep_alive = r.keep_alive;
    o.chunked = r.chunked;
    o.upgrade = r.upgrade;
    o.expect = r.expect_continue;
    o.decoded = r.decoded;
    o.minor = r.minor;
    o.length = r.content_length;
    kt_request_free(&r);
}

/* Feeds `pieces`, in which one buffer was cut; ends at the first request or error. */
inline Outcome feed(const std::vector<std::string> &pieces, size_t max_body = 1 << 20)
{
    Outcome o;
    Parser p = make(max_body);
    for (const std::string &whole : pieces) {
        /* An exact heap copy: ASan sees a read past the piece. */
        std::unique_ptr<char[]> copy(new char[whole.size() ? whole.size() : 1]);
        memcpy(copy.get(), whole.data(), whole.size());
        size_t at = 0;
        do {
            size_t used = 0;
            kt_http_state s = kt_http_feed(p.get(), copy.get() + at, whole.size() - at, &used);
            at += used;
            o.used += used;
            if (s == KT_HTTP_CONTINUE) {
                o.continues++;
                continue;
            }
            if (s == KT_HTTP_COMPLETE) {
                record(o, p.get());
                return o;
            }
            if (s == KT_HTTP_ERROR) {
                const char *text = nullptr;
                o.status = kt_http_error(p.get(), &text);
                o.text = text;
                o.used = 0; /* where in a piece the fault is noticed is of no meaning */
                return o;
            }
            if (s == KT_HTTP_MORE && at != whole.size())
                ADD_FAILURE() << "MORE left bytes";
        } while (at < whole.size());
    }
    return o;
}

inline Outcome one(const std::string &wire, size_t max_body = 1 << 20)
{
    return feed({wire}, max_body);
}

inline std::string get(const std::string &fields, const std::string &body = "",
                       const std::string &line = "POST /v1 HTTP/1.1")
{
    return line + "\r\nHost: h\r\n" + fields + "\r\n" + body;
}

inline std::string deflated(const std::string &data, int window, int level = 6)
{
    z_stream z = {};
    EXPECT_EQ(deflateInit2(&z, level, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&z, data.size()) + 64, '\0');
    z.next_in = (Bytef *)data.data();
    z.avail_in = (uInt)data.size();
    z.next_out = (Bytef *)out.data();
    z.avail_out = (uInt)out.size();
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

inline std::string gzip(const std::string &data)
{
    return deflated(data, 15 + 16);
}

inline std::string coded(const std::string &coding, const std::string &body)
{
    return get("Content-Encoding: " + coding + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
               body);
}

const std::string kBody = "{\"model\":\"gpt-4o\"}";

/* Complete requests of every shape; each must come out the same however it is cut. */
inline std::vector<std::string> good_requests()
{
    std::string zipped = gzip(kBody);
    return {
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        get("Content-Length: 18\r\nX-A:\t b \t\r\nX-Empty:\r\n", kBody),
        get("Transfer-Encoding: chunked\r\n",
            "8\r\n{\"model\"\r\na;ext=\"v\";y\r\n:\"gpt-4o\"}\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\n"),
        get("Transfer-Encoding: CHUNKED\r\n", "000012 ;x\r\n" + kBody + "\r\n00;last\r\n\r\n"),
        get("Expect: 100-Continue\r\nContent-Length: 18\r\n", kBody),
        get("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "12\r\n" + kBody + "\r\n0\r\n\r\n"),
        coded("gzip", zipped),
        coded("deflate", deflated(kBody, 15)),
        coded("deflate", deflated(kBody, -15)),
        coded("x-gzip", zipped + gzip("more") + gzip("")),
        get(
            "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            "3\r\n" + zipped.substr(0, 3) + "\r\n" + "14\r\n" + zipped.substr(3, 20) + "\r\n" +
                [&] {
                    char n[32];
                    snprintf(n, sizeof n, "%zx\r\n", zipped.size() - 23);
                    return std::string(n);
                }() +
                zipped.substr(23) + "\r\n0\r\n\r\n"),
        get("Connection: Upgrade\r\nUpgrade: websocket\r\n", "", "GET /v1/realtime HTTP/1.1"),
        get("Connection: keep-alive\r\nContent-Length: 0\r\n", "", "POST /v1 HTTP/1.0"),
    };
}

} // namespace kt_test
