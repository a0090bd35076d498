/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// Event streams for the rig, and what a client makes of those that come out.
#include "tests/harness/stream_rig.h"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace stream_client {

using Pieces = std::vector<std::string>;

inline std::string config(const std::string &chain, const std::string &policies)
{
    return "pack: {name: t, version: 1.0.0, enabled: true}\npolicies: {chain: [" + chain + "]}\npolicy:\n" +
           policies +
           "providers:\n  targets:\n    - {id: a, provider: openai, model: m, base_url: "
           "http://127.0.0.1:9/v1, secret_key_ref: {env: KT_TEST_KEY}}\n";
}

/* The inside of a JSON string. */
inline std::string inside(const std::string &text)
{
    kt_buf b = KT_BUF_INIT(16u << 20);
    std::string out;
    if (kt_is_ok(kt_buf_json(&b, text.data(), text.size())))
        out.assign(b.data ? b.data : "", b.len);
    kt_buf_free(&b);
    return out;
}

enum class Kind { Content, Arguments };

/* `text` is the inside of a JSON string already. */
inline std::string delta(Kind kind, const std::string &text)
{
    return kind == Kind::Content
               ? "{\"content\":\"" + text + "\"}"
               : "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"" + text + "\"}}]}";
}

inline std::string event(const std::string &delta, const std::string &finish = "null")
{
    return "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":" + delta +
           ",\"finish_reason\":" + finish + "}]}\n\n";
}

inline std::string body(Kind kind, const Pieces &pieces)
{
    std::string s = event("{\"role\":\"assistant\",\"content\":\"\"}");
    for (auto &p : pieces)
        s += event(delta(kind, inside(p)));
    return s + event("{}", "\"stop\"") + "data: [DONE]\n\n";
}

/* True where a character starts, or the text ends. */
inline bool starts(const std::string &text, size_t at)
{
    return at >= text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

/* No piece begins within a character: what is in a delta is valid UTF-8. */
inline Pieces cut(const std::string &text, size_t size)
{
    Pieces out;
    for (size_t at = 0; at < text.size();) {
        size_t end = at + size;
        while (end < text.size() && !starts(text, end))
            end++;
        out.push_back(text.substr(at, end - at));
        at = std::min(end, text.size());
    }
    return out;
}

inline Pieces cut_once(const std::string &text, size_t at)
{
    return {text.substr(0, at), text.substr(at)};
}

struct Seen {
    std::string text, body, finish;
    size_t held_max = 0;
    bool whole = false; // it ended, with [DONE] and no error
};

inline void add(std::string &to, const cJSON *v)
{
    if (cJSON_IsString(v))
        to += v->valuestring;
}

inline void read_choice(Seen &s, Kind kind, const cJSON *c, const char *where)
{
    const cJSON *d = cJSON_GetObjectItem(c, where);
    const cJSON *calls = cJSON_GetObjectItem(d, "tool_calls");
    if (kind == Kind::Content)
        add(s.text, cJSON_GetObjectItem(d, "content"));
    else
        add(s.text,
            cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetArrayItem(calls, 0), "function"), "arguments"));
    add(s.finish, cJSON_GetObjectItem(c, "finish_reason"));
}

class Rig {
  public:
    explicit Rig(const std::string &yaml) : rig_(stream_rig_new(yaml.c_str())) {}
    ~Rig()
    {
        if (rig_)
            stream_rig_free(rig_);
    }
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;
    bool good() const
    {
        return rig_ != nullptr;
    }
    /* The bytes of the stream come in these pieces. */
    Seen stream(Kind kind, const Pieces &bytes, void (*after)(void *, size_t) = nullptr, void *arg = nullptr)
    {
        std::vector<struct kt_span> spans;
        for (auto &b : bytes)
            spans.push_back(kt_span(b.data(), b.size()));
        stream_rig_reply r = {};
        r.after = after;
        r.arg = arg;
        stream_rig_run(rig_, spans.data(), spans.size(), &r);
        return read(kind, r);
    }
    Seen deltas(Kind kind, const Pieces &pieces)
    {
        return stream(kind, {body(kind, pieces)});
    }
    std::string whole(Kind kind, const std::string &text)
    {
        std::string message = delta(kind, inside(text)),
                    json = "{\"choices\":[{\"index\":0,\"message\":" + message +
                           ",\"finish_reason\":\"stop\"}]}";
        stream_rig_reply r = {};
        stream_rig_whole(rig_, kt_span(json.data(), json.size()), &r);
        EXPECT_EQ(r.status, 200);
        Seen s;
        cJSON *j = cJSON_ParseWithLength(r.body.data ? r.body.data : "", r.body.len);
        read_choice(s, kind, cJSON_GetArrayItem(cJSON_GetObjectItem(j, "choices"), 0), "message");
        cJSON_Delete(j);
        kt_buf_free(&r.body);
        return s.text;
    }

  protected:
    stream_rig *rig()
    {
        return rig_;
    }

  private:
    static Seen read(Kind kind, stream_rig_reply &r)
    {
        Seen s;
        s.body.assign(r.body.data ? r.body.data : "", r.body.len);
        s.held_max = r.held_max;
        kt_buf_free(&r.body);
        bool done = false, good = r.ended;
        for (size_t at = 0; at < s.body.size();) {
            size_t end = s.body.find("\n\n", at);
            if (end == std::string::npos || s.body.compare(at, 6, "data: ") != 0) {
                good = false;
                break;
            }
            if (s.body.compare(at + 6, end - at - 6, "[DONE]") == 0) {
                done = true;
            } else {
                cJSON *j = cJSON_ParseWithLength(s.body.data() + at + 6, end - at - 6);
                good = good && j && !done && !cJSON_GetObjectItem(j, "error");
                const cJSON *c;
                cJSON_ArrayForEach(c, cJSON_GetObjectItem(j, "choices")) read_choice(s, kind, c, "delta");
                cJSON_Delete(j);
            }
            at = end + 2;
        }
        s.whole = good && done;
        return s;
    }
    stream_rig *rig_;
};

} // namespace stream_client
