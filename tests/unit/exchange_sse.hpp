/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// Pieces of event streams and a fixture for tests of streamed answers.
#include "exchange_fixture.hpp"

namespace fake {

inline std::string delta(const std::string &text, const std::string &finish = "null",
                         const std::string &usage = "")
{
    return "data: "
           "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{"
           "\"index\":0,\"delta\":{" +
           (text.empty() ? "" : "\"content\":\"" + text + "\"") + "},\"finish_reason\":" + finish + "}]" +
           usage + "}\n\n";
}
inline const std::string kRole =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
    "\"finish_reason\":null}]}\n\n";
inline const std::string kUsage =
    ",\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6}";
inline const std::string kDone = "data: [DONE]\n\n";

class StreamTest : public ExchangeTest {
  protected:
    static std::string ask_stream(const std::string &more = "")
    {
        return post(chat("hello", ",\"stream\":true" + more));
    }
    void one_target(Server &up)
    {
        configure(config(target("a", up.port(), "KT_TEST_KEY_A", "m")));
    }
    // A provider whose answers need no translation.
    void openai_target(Server &up)
    {
        std::string text = config(target("a", up.port(), "KT_TEST_KEY_A", "m"));
        text.replace(text.find("provider: mistral"), 17, "provider: openai");
        configure(text);
    }
    void two_targets(uint16_t a, uint16_t b, const std::string &more = "")
    {
        configure(config(target("a", a, "KT_TEST_KEY_A", "", more) + target("b", b, "KT_TEST_KEY_B")));
    }
};

inline bool good(Conn &c, const Request &)
{
    return c.sse_head() && c.chunk(kRole + delta("fine") + delta("", "\"stop\"", kUsage) + kDone) &&
           c.chunk_end();
}

} // namespace fake
