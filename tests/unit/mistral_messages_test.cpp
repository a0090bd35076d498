// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/mistral_fixture.hpp"

namespace {

TEST(MistralMessages, FieldsAreStrippedByRole)
{
    EXPECT_EQ(messages("{\"role\":\"system\",\"content\":\"s\",\"name\":\"n\"},{\"name\":\"n\",\"role\":"
                       "\"user\",\"content\":\"u\",\"metadata\":{}}"),
              "{\"role\":\"system\",\"content\":\"s\"}," + U);
    EXPECT_EQ(messages("{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":null,\"annotations\":[],"
                       "\"audio\":null,\"function_call\":null,\"reasoning_content\":\"r\","
                       "\"tool_calls\":null,\"name\":\"n\"}," +
                       U),
              "{\"role\":\"assistant\",\"content\":\"a\"}," + U);
    EXPECT_EQ(messages("{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[]}," + U),
              "{\"role\":\"assistant\",\"content\":\"a\"}," + U);
    EXPECT_EQ(messages("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcDEF012\",\"type\":\"function\","
                       "\"index\":0,\"extra\":1,\"function\":{\"name\":\"f\",\"arguments\":\"{}\","
                       "\"x\":1}}]},{\"role\":\"tool\",\"tool_call_id\":\"abcDEF012\",\"name\":\"f\","
                       "\"content\":\"r\",\"y\":1}"),
              "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcDEF012\",\"type\":\"function\",\"index\":"
              "0,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
              "{\"role\":\"tool\",\"tool_call_id\":\"abcDEF012\",\"name\":\"f\",\"content\":\"r\"}");
    EXPECT_EQ(messages("{\"role\":\"wizard\",\"content\":\"x\",\"y\":1}"),
              "{\"role\":\"wizard\",\"content\":\"x\",\"y\":1}")
        << "Mistral's to refuse";
}

TEST(MistralMessages, DeveloperIsSystem)
{
    EXPECT_EQ(messages("{\"role\":\"developer\",\"content\":\"d\"}," + U),
              "{\"role\":\"system\",\"content\":\"d\"}," + U);
    EXPECT_EQ(messages("{\"role\":\"developer\",\"content\":\"d\"}"),
              "{\"role\":\"user\",\"content\":\"d\"}");
}

TEST(MistralMessages, OrderIsMended)
{
    const std::string S = "{\"role\":\"system\",\"content\":\"s\"}",
                      SU = "{\"role\":\"user\",\"content\":\"s\"}",
                      A = "{\"role\":\"assistant\",\"content\":\"a\"}",
                      C = "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcDEF012\",\"function\":{"
                          "\"name\":\"f\",\"arguments\":\"\"}}]}",
                      T = "{\"role\":\"tool\",\"tool_call_id\":\"abcDEF012\",\"content\":\"r\"}",
                      N = "{\"role\":\"assistant\",\"content\":\"Noted.\"}",
                      D = "{\"role\":\"developer\",\"content\":\"s\"}";
    auto join = [](std::initializer_list<std::string> l) {
        std::string s;
        for (const auto &x : l)
            s += (s.empty() ? "" : ",") + x;
        return s;
    };
    EXPECT_EQ(messages(join({S, U, A, U})), join({S, U, A, U}));
    EXPECT_EQ(messages(join({U, C, T, U})), join({U, C, T, N, U}));
    EXPECT_EQ(messages(join({U, C, T, A, U})), join({U, C, T, A, U}));
    EXPECT_EQ(messages(join({U, C, T, T})), join({U, C, T, T}));
    EXPECT_EQ(messages(join({U, A, S, U})), join({U, A, SU, U}));
    EXPECT_EQ(messages(join({U, C, T, S, A, U})), join({U, C, T, N, SU, A, U}));
    EXPECT_EQ(messages(join({U, S})), join({U, SU}));
    EXPECT_EQ(messages(join({U, D})), join({U, SU}));
    EXPECT_EQ(messages(join({D, D})), join({S, SU}));
    EXPECT_EQ(messages(S), SU) << "OpenAI answers to that; Mistral wants to be asked";
    EXPECT_EQ(messages(join({U, C, "{\"role\":\"tool\",\"tool_call_id\":\"abcDEF012\",\"content\":null}"})),
              join({U, C, "{\"role\":\"tool\",\"tool_call_id\":\"abcDEF012\",\"content\":\"\"}"}));
    EXPECT_EQ(messages(join({U, A})),
              join({U, "{\"role\":\"assistant\",\"content\":\"a\",\"prefix\":true}"}));
    EXPECT_EQ(messages(join({U, C})), join({U, C}));
    EXPECT_EQ(messages(join({U, "{\"role\":\"assistant\",\"content\":\"a\",\"prefix\":true}"})),
              join({U, "{\"role\":\"assistant\",\"content\":\"a\",\"prefix\":true}"}));
    EXPECT_EQ(messages(""), "");
}

TEST(MistralMessages, EmptyAssistantMessagesGo)
{
    for (const char *e : {"{\"role\":\"assistant\"}", "{\"role\":\"assistant\",\"content\":null}",
                          "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[]}",
                          "{\"role\":\"assistant\",\"content\":[],\"refusal\":null,\"name\":\"x\"}"}) {
        std::string E = e;
        EXPECT_EQ(messages(U + "," + E + "," + U), U + "," + U);
        EXPECT_EQ(messages(E + " ," + U), U);
        EXPECT_EQ(messages(U + "," + E), U);
        EXPECT_EQ(messages(U + "," + E + "," + E + ", " + E), U);
        EXPECT_EQ(messages(E + "," + E + "," + U + "," + E + "," + E + "," + U + "," + E), U + "," + U);
    }
    EXPECT_EQ(messages(U + ",{\"content\":null,\"role\":\"assistant\",\"refusal\":\"I will not\"}," + U),
              U + ",{\"role\":\"assistant\",\"content\":\"I will not\"}," + U);
}

TEST(MistralMessages, PartsAreTranslated)
{
    auto part = [](const std::string &p) {
        std::string s = messages("{\"role\":\"user\",\"content\":[" + p + "]}");
        return s.substr(26, s.size() - 28);
    };
    EXPECT_EQ(part("{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}}"),
              "{\"type\":\"text\",\"text\":\"x\"}");
    EXPECT_EQ(part("{\"type\":\"refusal\",\"refusal\":\"no\"}"), "{\"type\":\"text\",\"text\":\"no\"}");
    EXPECT_EQ(part("{\"type\":\"image_url\",\"image_url\":\"http://i\"}"),
              "{\"type\":\"image_url\",\"image_url\":\"http://i\"}");
    EXPECT_EQ(part("{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\",\"detail\":\"low\",\"x\":1},\"cache_"
                   "control\":{}}"),
              "{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\",\"detail\":\"low\"}}");
    EXPECT_EQ(part("{\"type\":\"input_audio\",\"input_audio\":{ \"format\":\"wav\", \"data\" : \"QUJD\" }}"),
              "{\"type\":\"input_audio\",\"input_audio\":\"QUJD\"}");
    EXPECT_EQ(part("{\"type\":\"file\",\"file\":{\"file_id\":\"id\"}}"),
              "{\"type\":\"file\",\"file_id\":\"id\"}");
    EXPECT_EQ(part("{\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:x\"},\"type\":\"file\"}"),
              "{\"document_url\":\"data:x\",\"type\":\"document_url\"}");
    EXPECT_EQ(part("{\"type\":\"thinking\",\"thinking\":[],\"x\":1}"),
              "{\"type\":\"thinking\",\"thinking\":[],\"x\":1}");
    EXPECT_EQ(part("{\"type\":\"text\"}, \"bare\", 7"), "{\"type\":\"text\"}, \"bare\", 7");
}

std::string id_of(const std::string &s, const char *key)
{
    std::string k = std::string("\"") + key + "\":\"";
    size_t at = s.find(k);
    return at == std::string::npos ? "" : s.substr(at + k.size(), s.find('"', at + k.size()) - at - k.size());
}

TEST(MistralIds, AreMappedAlikeOnBothSides)
{
    auto both = [](const std::string &id, const std::string &id2) {
        return messages("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"" + id +
                        "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
                        "{\"role\":\"tool\",\"tool_call_id\":\"" +
                        id2 + "\",\"content\":\"r\"}");
    };
    for (const char *id : {"call_abc123", "", "a", "abcdefgh", "abcdefghij", "abcdefgh-", "call_\\u00e9",
                           "\\u0000bcdefghi", "toolu_01A09q90qw90lq917835lq9"}) {
        std::string s = both(id, id), call = id_of(s, "id"), result = id_of(s, "tool_call_id");
        EXPECT_EQ(call, result) << id;
        EXPECT_EQ(call.size(), 9u) << id;
        for (char c : call)
            EXPECT_TRUE(isalnum(static_cast<unsigned char>(c))) << call;
        EXPECT_EQ(both(id, id), s) << "deterministic";
    }
    EXPECT_NE(id_of(both("call_1", "call_1"), "id"), id_of(both("call_2", "call_2"), "id"));
    EXPECT_EQ(id_of(both("Abcdefgh9", "Abcdefgh9"), "id"), "Abcdefgh9");
    std::string mixed = both("c\\u0061ll_1", "call_1");
    EXPECT_EQ(id_of(mixed, "id"), id_of(mixed, "tool_call_id")) << "ids are compared by what they say";
    std::string one = both("call_1", "call_1"), again = messages(one);
    EXPECT_EQ(one, again) << "mapped ids are valid";
}

TEST(MistralIds, LegacyCallsGetOne)
{
    std::string s =
        messages(U + ",{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\","
                     "\"arguments\":\"{}\"}},{\"role\":\"function\",\"name\":\"f\",\"content\":\"r\"}");
    std::string id = id_of(s, "tool_call_id");
    ASSERT_EQ(id.size(), 9u) << s;
    EXPECT_EQ(s, U + ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"" + id +
                     "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{"
                     "\"role\":\"tool\",\"name\":\"f\",\"content\":\"r\",\"tool_call_id\":\"" +
                     id + "\"}");
    std::string orphan =
        messages(U + ",{\"role\":\"function\",\"name\":\"f\",\"content\":\"r\",\"tool_call_id\":\"old\"}");
    id = id_of(orphan, "tool_call_id");
    EXPECT_EQ(orphan, U + ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"" + id +
                          "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{"
                          "\"role\":\"tool\",\"name\":\"f\",\"content\":\"r\",\"tool_call_id\":\"" +
                          id + "\"}");
    EXPECT_EQ(messages("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcDEF012\",\"type\":\"custom\","
                       "\"custom\":{\"name\":\"c\",\"input\":\"free\",\"x\":1}}]}"),
              "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcDEF012\",\"type\":\"function\","
              "\"function\":{\"name\":\"c\",\"arguments\":\"free\"}}]}");
}

TEST(Mistral, PolicyEditsSurviveEveryRewriting)
{
    const std::string body =
        "{\"store\":true,\"messages\":[{\"name\":\"bob\",\"role\":\"developer\",\"content\":\"SECRET\"},{"
        "\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\","
        "\"arguments\":\"{\\\"to\\\":\\\"SECRET\\\"}\"}},{\"role\":\"function\",\"name\":\"f\",\"content\":"
        "\"SECRET\"},{\"role\":\"user\",\"content\":[{\"type\":\"refusal\","
        "\"refusal\":\"SECRET\"},{\"type\":\"text\",\"text\":\"SECRET\"}]},{\"role\":\"assistant\","
        "\"content\":\"\",\"refusal\":\"SECRET\"}],\"user\":\"SECRET\"}";
    kt_chat c;
    const char *param;
    ASSERT_EQ(kt_chat_parse(&c, body.data(), body.size(), nullptr, &param).code, KT_OK);
    kt_edits e{};
    size_t found = 0;
    for (size_t i = 0; i < c.segment_count; i++) {
        std::string text(c.segments[i].text, c.segments[i].len);
        size_t at = text.find("SECRET");
        if (at == std::string::npos)
            continue;
        found++;
        EXPECT_EQ(kt_chat_redact(&c, &e, i, at, at + 6, "[X]", 3).code, KT_OK);
    }
    EXPECT_EQ(found, 7u);
    std::string s = send(body, "mistral-large-latest", &e, &c);
    EXPECT_EQ(s.find("SECRET"), std::string::npos) << s;
    size_t n = 0;
    for (size_t at = s.find("[X]"); at != std::string::npos; at = s.find("[X]", at + 1))
        n++;
    EXPECT_EQ(n, 6u) << s;
    kt_edits_free(&e);
    kt_chat_free(&c);
}

} // namespace
