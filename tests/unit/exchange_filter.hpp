/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// Streams through the response phase, and what a client makes of them.
#include "exchange_guard.hpp"
#include "exchange_sse.hpp"

namespace fake {

inline std::string event_of(const std::string &choices, const std::string &more = "")
{
    return "data: "
           "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[" +
           choices + "]" + more + "}\n\n";
}

// One chunk of one choice; `inside` is the inside of its delta.
inline std::string piece(const std::string &inside, unsigned choice = 0, const std::string &finish = "null")
{
    return event_of("{\"index\":" + std::to_string(choice) + ",\"delta\":{" + inside +
                    "},\"logprobs\":" + log_of(inside) + ",\"finish_reason\":" + finish + "}");
}

// What a client makes of a stream: its texts by choice and kind, and how it ended.
struct Seen {
    std::map<std::string, std::string> texts;
    std::string finish, error;
    int done = 0, events = 0;
    bool good = true;
};

inline void add(Seen &s, const std::string &key, const cJSON *v)
{
    if (cJSON_IsString(v))
        s.texts[key] += v->valuestring;
}

inline void read_choice(Seen &s, const cJSON *c)
{
    std::string n = std::to_string(static_cast<int>(cJSON_GetObjectItem(c, "index")->valuedouble));
    const cJSON *d = cJSON_GetObjectItem(c, "delta"), *t;
    add(s, n, cJSON_GetObjectItem(c, "text"));
    add(s, n, cJSON_GetObjectItem(d, "content"));
    add(s, n + "r", cJSON_GetObjectItem(d, "reasoning_content"));
    add(s, n + "f", cJSON_GetObjectItem(d, "refusal"));
    cJSON_ArrayForEach(t, cJSON_GetObjectItem(d, "tool_calls"))
        add(s, n + "t" + std::to_string(static_cast<int>(cJSON_GetObjectItem(t, "index")->valuedouble)),
            cJSON_GetObjectItem(cJSON_GetObjectItem(t, "function"), "arguments"));
    const cJSON *f = cJSON_GetObjectItem(c, "finish_reason");
    if (cJSON_IsString(f))
        s.finish += n + f->valuestring + " ";
}

inline Seen read_stream(const std::string &body)
{
    Seen s;
    for (size_t at = 0; at < body.size();) {
        size_t end = body.find("\n\n", at);
        if (end == std::string::npos || body.compare(at, 6, "data: ") != 0) {
            s.good = false;
            break;
        }
        std::string data = body.substr(at + 6, end - at - 6);
        at = end + 2;
        s.events++;
        if (data == "[DONE]") {
            s.done++;
            continue;
        }
        Json j = parse(data);
        s.good = s.good && j && !s.done;
        s.error += str(j, "error.code");
        const cJSON *c;
        cJSON_ArrayForEach(c, cJSON_GetObjectItem(j.get(), "choices")) read_choice(s, c);
    }
    return s;
}

class Filter : public StreamTest {
  protected:
    void SetUp() override
    {
        kt_numbers_forget();
        ExchangeTest::SetUp();
    }
    void guarded(int fail_mode = KT_FAIL_BLOCK)
    {
        configure(config(target("a", up_.port(), "KT_TEST_KEY_A", "m")), guard(), KT_MODE_ENFORCE, fail_mode);
    }
    Seen through(const std::string &stream, const std::string &prompt = "hello")
    {
        Client k;
        through(k, stream, prompt);
        EXPECT_TRUE(k.ended);
        return read_stream(k.body);
    }
    void through(Client &k, const std::string &stream, const std::string &prompt = "hello")
    {
        stream_ = stream;
        ask(k, post(chat(prompt, ",\"stream\":true")));
    }
    Text stream_{""}, check_{"{\"v\":\"good\"}"};
    std::atomic<bool> close_{true};
    Gate gone_;
    Server up_{[this](Conn &c, const Request &r) {
        if (r.target == "/v1/check")
            return c.reply(200, "application/json", check_);
        c.sse_head();
        c.chunk(stream_);
        if (!close_) {
            if (c.peer_gone())
                gone_.open();
            return false;
        }
        return c.chunk_end();
    }};
};

inline const std::string kStop = piece("", 0, "\"stop\"");

} // namespace fake
