// SPDX-License-Identifier: Apache-2.0
// What the mock refuses, and in whose words.
#include "tests/unit/mock_fixture.h"
#include <map>

namespace {

class MockCheck : public Mock {};

struct Case {
    const char *body;
    int status;
    const char *has;
};

TEST_F(MockCheck, EveryFieldThatMistralDoesNotKnowIsNamed)
{
    start();
    for (const char *name : {"audio",
                             "function_call",
                             "functions",
                             "logit_bias",
                             "logprobs",
                             "max_completion_tokens",
                             "modalities",
                             "moderation",
                             "prompt_cache_options",
                             "prompt_cache_retention",
                             "safety_identifier",
                             "seed",
                             "service_tier",
                             "store",
                             "stream_options",
                             "top_logprobs",
                             "user",
                             "verbosity",
                             "web_search_options",
                             "anything"}) {
        std::string body = std::string(R"({"model":"m",")") + name +
                           R"(":null,"messages":[{"role":"user","content":"hi"}]})";
        ASSERT_EQ(ask(body), 422) << name;
        EXPECT_EQ(
            answer,
            std::string(
                R"({"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body",")") +
                name +
                R"("],"msg":"Extra inputs are not permitted","input":null}]},"type":"invalid_request_error",)" +
                R"("param":null,"code":null,"raw_status_code":422})");
    }
}

TEST_F(MockCheck, MistralsStrictness)
{
#define MSG R"("messages":[{"role":"user","content":"hi"}])"
#define CALL(id)                                                                                             \
    R"({"role":"assistant","content":"","tool_calls":[{"id":")" id                                           \
    R"(","type":"function","function":{"name":"f","arguments":"{}"}}]})"
    const Case cases[] = {
        {R"({"model":"m","temperature":1.5,"top_p":1,"max_tokens":5,"stop":["a"],"random_seed":1,"n":1,"tool_choice":"any",)" MSG
         "}",
         200, ""},
        {R"({"model":"m","temperature":null,"max_tokens":null,"tools":null,)" MSG "}", 200, ""},
        {R"({"model":"m","temperature":1.6,)" MSG "}", 422, "less_than_equal"},
        {R"({"model":"m","top_p":null,)" MSG "}", 422, "top_p"},
        {R"({"model":"m","random_seed":-1,)" MSG "}", 422, "greater_than_equal"},
        {R"({"model":"m","stream":null,)" MSG "}", 422, "bool_type"},
        {R"({"model":"m","stop":null,)" MSG "}", 422, "stop"},
        {R"({"model":"m","stop":[1],)" MSG "}", 422, "stop"},
        {R"({"model":"m","reasoning_effort":"low",)" MSG "}", 422, "literal_error"},
        {R"({"model":"m","temperature":0,"top_p":0.9,)" MSG "}", 400, "greedy"},
        {R"({"model":"m","temperature":0,"top_p":1,)" MSG "}", 200, ""},
        {R"({"model":"m","top_p":0,)" MSG "}", 400, "top_p"},
        {R"({"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"$schema":"x"}}}],)" MSG
         "}",
         400, "JSON schema"},
        {R"({"model":"m","tools":[],)" MSG "}", 422, "too_short"},
        {R"({"model":"m","tools":[{"type":"custom","custom":{}}],)" MSG "}", 422, "custom"},
        {R"({"model":"m","tools":[{"type":"function","function":{"name":"f"}}],)" MSG "}", 422,
         R"(["body","tools",0,"function","parameters"])"},
        {R"({"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{},"strict":null}}],)" MSG
         "}",
         422, "strict"},
        {R"({"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{}}}],)" MSG "}",
         200, ""},
        {R"({"model":"m","tool_choice":{"type":"allowed_tools"},)" MSG "}", 422, "tool_choice"},
        {R"({"model":"m","tool_choice":{"type":"function","function":{"name":"f"}},)" MSG "}", 200, ""},
        {R"({"model":"m","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{},"strict":true}},)" MSG
         "}",
         200, ""},
        {R"({"model":"m","prediction":{"type":"content","content":[]},)" MSG "}", 422, "prediction"},
        {R"({)" MSG "}", 422, R"("missing","loc":["body","model"])"},
        {R"({"model":"m"})", 422, R"("missing","loc":["body","messages"])"},
        {R"([])", 422, "model_attributes_type"},
        {R"({"model":"m","messages":[{"role":"developer","content":"hi"}]})", 422, "union_tag_invalid"},
        {R"({"model":"m","messages":[{"role":"user","content":"hi","name":"bob"}]})", 422,
         R"(["body","messages",0,"user","name"])"},
        {R"({"model":"m","messages":[{"role":"user","content":null}]})", 422, "content"},
        {R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{}}]}]})",
         422, "cache_control"},
        {R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":"u"}]}]})",
         200, ""},
        {R"({"model":"m","messages":[{"role":"system","content":[{"type":"image_url","image_url":"u"}]},{"role":"user","content":"a"}]})",
         422, "union_tag_invalid"},
        {R"({"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]})",
         422, "string_type"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","refusal":null},{"role":"user","content":"c"}]})",
         422, "refusal"},
        {R"({"model":"m","messages":[]})", 400, "3230"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})",
         400, "invalid_request_message_order"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","prefix":true}]})",
         200, ""},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":""},{"role":"user","content":"b"}]})",
         400, "Assistant message"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},)" CALL(
             "abcDEF123") R"(,{"role":"tool","content":"x","tool_call_id":"abcDEF123"}]})",
         200, ""},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},)" CALL(
             "call_abc") R"(,{"role":"tool","content":"x","tool_call_id":"abcDEF123"}]})",
         400, "3280"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},)" CALL(
             "abcDEF123") R"(,{"role":"tool","content":"x","tool_call_id":"abcDEF12"}]})",
         400, "invalid_function_call"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},)" CALL(
             "abcDEF123") R"(,{"role":"tool","content":"x","tool_call_id":"abcDEF123"},{"role":"user","content":"b"}]})",
         400, "'user' after role 'tool'"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"tool","content":"x","tool_call_id":"abcDEF123"}]})",
         400, "'tool' after role 'user'"},
        {R"({"model":"m",)", 422, "json_invalid"},
        {R"()", 422, "json_invalid"},
        {R"({"model":"m",)" MSG "} x", 422, "json_invalid"},
        {R"({"model":"m",)" MSG "} \n", 200, ""},
    };
    start();
    for (const auto &c : cases) {
        EXPECT_EQ(ask(c.body), c.status) << c.body << "\n" << answer;
        EXPECT_NE(answer.find(c.has), std::string::npos) << c.body << "\n" << answer;
        EXPECT_NE(Json(answer).j, nullptr);
    }
}

TEST_F(MockCheck, VectorsComeAsTheyAreAskedFor)
{
    start();
    for (const auto &[format, vector] :
         std::map<std::string, std::string>{{"", "[0.25,-0.5]"},
                                            {",\"encoding_format\":\"float\"", "[0.25,-0.5]"},
                                            {",\"encoding_format\":\"base64\"", "\"AACAPgAAAL8=\""}}) {
        Client k(port);
        std::string request = post("{\"model\":\"mistral-embed\",\"input\":\"x\"" + format + "}");
        request.replace(request.find("/v1/chat/completions"), 20, "/v1/embeddings");
        k.send(request);
        ASSERT_TRUE(k.answer());
        EXPECT_NE(k.body.find("\"embedding\":" + vector), std::string::npos) << k.body;
        EXPECT_NE(k.body.find("\"model\":\"mistral-embed\""), std::string::npos) << k.body;
    }
}

TEST_F(MockCheck, AModelThatIsNotForTheEndpoint)
{
    const struct {
        const char *path, *model;
        int status;
    } cases[] = {
        {"/v1/chat/completions", "mistral-embed", 400},
        {"/v1/chat/completions", "mistral-moderation-latest", 400},
        {"/v1/chat/completions", "codestral-latest", 200},
        {"/v1/embeddings", "mistral-large-latest", 400},
        {"/v1/embeddings", "text-embedding-3-small", 400},
        {"/v1/embeddings", "mistral-embed", 200},
        {"/v1/embeddings", "my-own", 200},
        {"/v1/moderations", "mistral-small-latest", 400},
        {"/v1/moderations", "omni-moderation-latest", 400},
        {"/v1/moderations", "mistral-moderation-2411", 200},
        {"/v1/fim/completions", "mistral-large-latest", 400},
        {"/v1/fim/completions", "codestral-embed", 400},
        {"/v1/fim/completions", "codestral-2501", 200},
    };
    start();
    for (const auto &c : cases) {
        const std::string path = c.path,
                          body = std::string("{\"model\":\"") + c.model + "\"," +
                                 (path == "/v1/chat/completions"
                                      ? "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
                                  : path == "/v1/fim/completions" ? "\"prompt\":\"x\"}"
                                                                  : "\"input\":\"x\"}");
        Client k(port);
        std::string request = post(body);
        request.replace(request.find("/v1/chat/completions"), 20, path);
        k.send(request);
        ASSERT_TRUE(k.answer());
        EXPECT_EQ(k.status(), c.status) << path << " " << c.model << "\n" << k.body;
        if (c.status == 400) {
            EXPECT_EQ(Json(k.body).text("message"), std::string("Invalid model: ") + c.model);
        }
    }
}

TEST_F(MockCheck, DeepAndHugeBodiesDoNotHurt)
{
    start();
    EXPECT_EQ(ask(std::string(100000, '[')), 422);
    EXPECT_EQ(ask(R"({"model":"m","messages":)" + std::string(900, '[') + std::string(900, ']') + "}"), 422);
    std::string big =
        R"({"model":"m","messages":[{"role":"user","content":")" + std::string(8u << 20, 'x') + "\"}]}";
    EXPECT_EQ(ask(big), 200);
}

TEST_F(MockCheck, KeyIsAsked)
{
    o.require_key = "k-1";
    start();
    EXPECT_EQ(ask(HELLO), 401);
    EXPECT_EQ(answer, "{\"detail\":\"Unauthorized\"}");
    EXPECT_EQ(ask(HELLO, "Authorization: Bearer k-2\r\n"), 401);
    EXPECT_EQ(ask(HELLO, "Authorization: Bearer k-11\r\n"), 401);
    EXPECT_EQ(ask(HELLO, "Authorization: k-1\r\n"), 401);
    EXPECT_EQ(ask(HELLO, "Authorization: Bearer k-1\r\n"), 200);
}

} // namespace
