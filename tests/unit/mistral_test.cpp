// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/mistral_fixture.hpp"

#include <clocale>
#include <string>

namespace {

// Top-level fields around a fixed conversation.
std::string top(const std::string &fields)
{
    std::string m = "\"messages\":[{\"role\":\"user\",\"content\":\"u\"}]";
    std::string s = send("{" + m + (fields.empty() ? "" : ",") + fields + "}");
    EXPECT_EQ(s.substr(0, m.size() + 1), "{" + m);
    s = s.substr(m.size() + 1);
    s.pop_back();
    return s.empty() ? s : s.substr(1);
}

const std::string TOOLS =
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]";

std::string with_tools(const std::string &fields)
{
    std::string s = top(TOOLS + "," + fields);
    EXPECT_EQ(s.substr(0, TOOLS.size()), TOOLS);
    return s.size() > TOOLS.size() ? s.substr(TOOLS.size() + 1) : "";
}

TEST(MistralTop, WhatMistralKnowsStaysByteForByte)
{
    for (const char *f : {"",
                          "\"model\":\"m\"",
                          "\"temperature\": 0.70",
                          "\"temperature\":1.5",
                          "\"temperature\":null",
                          "\"top_p\":1",
                          "\"max_tokens\":5",
                          "\"max_tokens\":null",
                          "\"stream\":true",
                          "\"stop\":[\"a\"]",
                          "\"random_seed\":9007199254740993",
                          "\"metadata\":{\"a\":{\"b\":null}}",
                          "\"response_format\":{\"type\":\"json_object\"}",
                          "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
                          "\"schema\":{\"strict\":null},\"strict\":true}}",
                          "\"presence_penalty\":-2.0",
                          "\"frequency_penalty\":1e0",
                          "\"n\":2",
                          "\"n\":null",
                          "\"prediction\":{\"type\":\"content\",\"content\":\"x\"}",
                          "\"prompt_mode\":\"reasoning\"",
                          "\"guardrails\":[]",
                          "\"prompt_cache_key\":\"k\"",
                          "\"safe_prompt\":true"})
        EXPECT_EQ(top(f), f);
    std::string body = " { \"messages\" : [ {\"content\":\"\\u00e9\" , \"role\":\"user\"} ] , "
                       "\"random_seed\" : 9007199254740993 }\n";
    EXPECT_EQ(send(body), body);
}

TEST(MistralTop, WhatItDoesNotKnowGoes)
{
    for (const char *f : {"\"audio\":{}",
                          "\"logit_bias\":{}",
                          "\"logprobs\":true",
                          "\"modalities\":[\"text\"]",
                          "\"moderation\":{}",
                          "\"prompt_cache_options\":{}",
                          "\"prompt_cache_retention\":\"24h\"",
                          "\"safety_identifier\":\"s\"",
                          "\"service_tier\":\"auto\"",
                          "\"store\":true",
                          "\"stream_options\":{\"include_usage\":true}",
                          "\"top_logprobs\":2",
                          "\"user\":\"u\"",
                          "\"verbosity\":\"low\"",
                          "\"web_search_options\":{}",
                          "\"extra_body_key\":[[1]]",
                          "\"\":1",
                          "\"top_p\":null",
                          "\"stop\":null",
                          "\"stream\":null",
                          "\"presence_penalty\":null",
                          "\"frequency_penalty\":null",
                          "\"response_format\":null",
                          "\"tool_choice\":null",
                          "\"parallel_tool_calls\":null",
                          "\"reasoning_effort\":null",
                          "\"prediction\":null",
                          "\"tools\":[]",
                          "\"tools\":null",
                          "\"functions\":[]",
                          "\"function_call\":\"auto\"",
                          "\"tools\":[],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true",
                          "\"parallel_tool_calls\":false",
                          "\"seed\":-1",
                          "\"seed\":null",
                          "\"random_seed\":-5",
                          "\"max_completion_tokens\":null",
                          "\"reasoning_effort\":\"high\"",
                          "\"prediction\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":"
                          "\"x\"},{\"type\":\"text\",\"text\":"
                          "\"y\"}]}",
                          "\"a\":1,\"b\":2,\"c\":3"})
        EXPECT_EQ(top(f), "") << f;
    EXPECT_EQ(top("\"a\":1,\"n\":2,\"b\":3,\"safe_prompt\":true,\"c\":{}"), "\"n\":2,\"safe_prompt\":true");
    EXPECT_EQ(send("{\"user\":\"x\",\"messages\":[" + U + "]}"), "{\"messages\":[" + U + "]}");
}

TEST(MistralTop, RenamesAndClamps)
{
    EXPECT_EQ(top("\"max_completion_tokens\":7"), "\"max_tokens\":7");
    EXPECT_EQ(top("\"max_tokens\":5,\"max_completion_tokens\":7"), "\"max_tokens\":7");
    EXPECT_EQ(top("\"max_completion_tokens\":7,\"max_tokens\":5"), "\"max_tokens\":7");
    EXPECT_EQ(top("\"max_completion_tokens\":null,\"max_tokens\":5"), "\"max_tokens\":5");
    EXPECT_EQ(top("\"max_completion_tokens\":7,\"max_tokens\":null"), "\"max_tokens\":7");
    EXPECT_EQ(top("\"seed\":9007199254740993"), "\"random_seed\":9007199254740993");
    EXPECT_EQ(top("\"seed\":1,\"random_seed\":2"), "\"random_seed\":2");
    EXPECT_EQ(top("\"seed\":1,\"random_seed\":null"), "\"random_seed\":1");
    EXPECT_EQ(top("\"temperature\":2"), "\"temperature\":1.5");
    EXPECT_EQ(top("\"temperature\":1.50001"), "\"temperature\":1.5");
    EXPECT_EQ(top("\"temperature\":15e-1"), "\"temperature\":15e-1");
    EXPECT_EQ(top("\"temperature\":0.2E1"), "\"temperature\":1.5");
    EXPECT_EQ(top("\"temperature\":1e999999999"), "\"temperature\":1.5");
    EXPECT_EQ(top("\"temperature\":1e-999999999"), "\"temperature\":1e-999999999");
    EXPECT_EQ(top("\"temperature\":-1"), "\"temperature\":-1")
        << "an error of the client is the provider's to report";
    std::string longest = "\"temperature\":0." + std::string(1000, '9');
    EXPECT_EQ(top(longest), longest);
    EXPECT_EQ(
        top("\"response_format\":{\"type\":\"json_schema\",\"x\":1,\"json_schema\":{\"name\":\"n\","
            "\"strict\":null,\"description\":null,\"y\":2}}"),
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{}}}");
    EXPECT_EQ(
        top("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":null,\"name\":\"n\"}"
            "}"),
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{},\"name\":\"n\"}}");
    EXPECT_EQ(top("\"prediction\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}"),
              "\"prediction\":{\"type\":\"content\",\"content\":\"x\"}");
    EXPECT_EQ(top("\"n\":1,\"n\":2,\"n\":3"), "\"n\":3")
        << "of doubles the last one counts, as with most readers";
}

TEST(MistralTop, TopPAndTemperature)
{
    EXPECT_EQ(top("\"temperature\":0,\"top_p\":0.9"), "\"temperature\":0") << "Mistral refuses the two together";
    EXPECT_EQ(top("\"top_p\":0.9,\"temperature\":0.0"), "\"temperature\":0.0");
    EXPECT_EQ(top("\"temperature\":0,\"top_p\":null"), "\"temperature\":0");
    for (const char *f : {"\"temperature\":0.1,\"top_p\":0.9", "\"temperature\":null,\"top_p\":0.9", "\"top_p\":0.5"})
        EXPECT_EQ(top(f), f);
    EXPECT_EQ(top("\"top_p\":0"), "\"top_p\":0.01") << "it takes only more than 0";
    EXPECT_EQ(top("\"top_p\":0e5"), "\"top_p\":0.01");
}

TEST(MistralTop, NumbersDoNotDependOnTheLocale)
{
    // Not every machine has it; where it is, "1,5" would be its spelling and strtod would read 1 out of
    // "1.9".
    const char *set = setlocale(LC_NUMERIC, "de_DE.UTF-8");
    EXPECT_EQ(top("\"temperature\":1.9"), "\"temperature\":1.5") << (set ? set : "C");
    setlocale(LC_NUMERIC, "C");
}

TEST(MistralTop, ReasoningEffortDependsOnTheModelThatIsSent)
{
    auto effort = [](const char *model, const char *value) {
        std::string head = "{\"model\":\"o3\",\"messages\":[" + U + "]";
        std::string s = send(head + ",\"reasoning_effort\":" + value + "}", model);
        size_t at = s.find("\"reasoning_effort\":");
        return at == std::string::npos ? std::string() : s.substr(at + 19, s.size() - at - 20);
    };
    for (const char *m : {"mistral-small-latest", "mistral-small-2603", "mistral-medium-latest",
                          "mistral-medium-3.5", "magistral-small-2507"}) {
        for (const char *v : {"\"minimal\"", "\"low\"", "\"medium\"", "\"high\"", "\"xhigh\""})
            EXPECT_EQ(effort(m, v), "\"high\"") << m;
        EXPECT_EQ(effort(m, "\"none\""), "\"none\"");
        EXPECT_EQ(effort(m, "\"later\""), "");
        EXPECT_EQ(effort(m, "null"), "");
    }
    for (const char *m :
         {"mistral-large-latest", "codestral-latest", "magistral-medium-2507", "mistral-small-2501", "o3"})
        EXPECT_EQ(effort(m, "\"high\""), "") << m;
}

TEST(MistralTools, AreBroughtIntoShape)
{
    auto tools = [](const char *t) { return top(std::string("\"tools\":") + t); };
    const std::string empty = "\"parameters\":{\"type\":\"object\",\"properties\":{}}";
    EXPECT_EQ(tools("[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"),
              "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"," + empty + "}}]");
    EXPECT_EQ(tools("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":null,\"strict\":"
                    "null,\"description\":null}}]"),
              "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"," + empty + "}}]");
    EXPECT_EQ(tools("[{\"type\":\"function\",\"function\":{\"strict\":null}}]"),
              "\"tools\":[{\"type\":\"function\",\"function\":{" + empty + "}}]");
    EXPECT_EQ(
        tools("[{\"type\":\"custom\",\"custom\":{}},{\"type\":\"function\",\"cache_control\":{},\"function\":"
              "{\"name\":\"f\",\"parameters\":{\"strict\":null},\"x\":1}},"
              "{\"type\":\"web_search\"}]"),
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"strict\":null}}}]");
    EXPECT_EQ(tools("[{\"type\":\"custom\",\"custom\":{}}],\"tool_choice\":\"required\",\"parallel_tool_"
                    "calls\":true"),
              "");
    EXPECT_EQ(tools("7"), "\"tools\":7");
}

TEST(MistralTools, SchemasDoNotNameThemselves)
{
    auto schema = [](const std::string &s) {
        std::string head = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":";
        std::string all = top(head + s + "}}]");
        return all.substr(head.size(), all.size() - head.size() - 3);
    };
    EXPECT_EQ(schema("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"$id\":\"x\",\"type\":\"object\","
                     "\"properties\":{},\"additionalProperties\":false}"),
              "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    EXPECT_EQ(schema("{\"properties\":{\"$id\":{\"type\":\"string\",\"$id\":\"y\"},\"a\":{\"anyOf\":[{\"$schema\":"
                     "\"z\"},true],\"default\":{\"$id\":1},\"enum\":[{\"$id\":2}]}},\"$defs\":{\"$schema\":{\"items\":"
                     "{\"$id\":\"i\",\"not\":{\"$id\":\"n\"}}}},\"required\":[\"$id\"],\"dependencies\":{\"a\":[\"$id\"]}}"),
              "{\"properties\":{\"$id\":{\"type\":\"string\"},\"a\":{\"anyOf\":[{},true],\"default\":{\"$id\":1},"
              "\"enum\":[{\"$id\":2}]}},\"$defs\":{\"$schema\":{\"items\":{\"not\":{}}}},\"required\":[\"$id\"],"
              "\"dependencies\":{\"a\":[\"$id\"]}}")
        << "what is named so, and what is data, stays";
    EXPECT_EQ(top("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"$schema\":"
                  "\"x\",\"type\":\"object\"}}}"),
              "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}");
    std::string deep = "{\"$id\":1}";
    for (int i = 0; i < 200; i++)
        deep = "{\"not\":" + deep + "}";
    EXPECT_EQ(schema(deep).find("$id"), std::string::npos);
}

TEST(MistralTools, ChoiceIsTranslated)
{
    EXPECT_EQ(with_tools("\"tool_choice\":\"auto\""), "\"tool_choice\":\"auto\"");
    EXPECT_EQ(with_tools("\"tool_choice\":\"none\",\"parallel_tool_calls\":false"),
              "\"tool_choice\":\"none\",\"parallel_tool_calls\":false");
    EXPECT_EQ(with_tools("\"tool_choice\":\"required\""), "\"tool_choice\":\"any\"");
    EXPECT_EQ(with_tools("\"tool_choice\":null"), "");
    EXPECT_EQ(
        with_tools("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\",\"x\":1},\"y\":2}"),
        "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}");
    EXPECT_EQ(with_tools("\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}"),
              "\"tool_choice\":\"any\"");
    EXPECT_EQ(with_tools("\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
                         "\"required\",\"tools\":[]}}"),
              "\"tool_choice\":\"any\"");
    EXPECT_EQ(with_tools("\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\","
                         "\"tools\":[]}}"),
              "\"tool_choice\":\"auto\"");
}

TEST(MistralTools, LegacyFunctionsBecomeTools)
{
    EXPECT_EQ(top("\"functions\":[{\"name\":\"f\",\"parameters\":{\"a\":1}}, "
                  "{\"name\":\"g\"}],\"function_call\":\"auto\""),
              "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"a\":1}}}, "
              "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":"
              "{\"type\":\"object\",\"properties\":{}}}}],\"tool_choice\":\"auto\"");
    EXPECT_EQ(top("\"functions\":[{\"name\":\"f\",\"parameters\":{}}],\"function_call\":{\"name\":\"f\"}"),
              TOOLS + ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}");
    EXPECT_EQ(
        with_tools("\"functions\":[{\"name\":\"g\"}],\"tool_choice\":\"none\",\"function_call\":\"auto\""),
        "\"tool_choice\":\"none\"");
    EXPECT_EQ(top("\"functions\":[{\"name\":\"f\",\"parameters\":{}}],\"tools\":[],\"function_call\":7"),
              TOOLS);
    EXPECT_EQ(send("{\"functions\":[{\"name\":\"f\",\"parameters\":{}}],\"messages\":[" + U +
                       "],\"function_call\":{\"name\":\"f\"}}",
                   "x"),
              "{" + TOOLS + ",\"messages\":[" + U +
                  "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"model\":\"x\"}");
}

TEST(Mistral, TranslationIsItsOwnFixPoint)
{
    for (const char *fields :
         {"\"seed\":1,\"max_completion_tokens\":2,\"user\":\"x\",\"temperature\":2",
          "\"functions\":[{\"name\":\"f\"}],\"function_call\":{\"name\":\"f\"}",
          "\"tools\":[{\"type\":\"custom\"},{\"function\":{\"name\":\"g\"}}],\"tool_choice\":\"required\""}) {
        std::string one = send("{\"messages\":[{\"role\":\"function\",\"name\":\"f\",\"content\":\"r\"},{"
                               "\"role\":\"developer\",\"content\":\"d\"},"
                               "{\"role\":\"assistant\",\"content\":\"a\"}]," +
                               std::string(fields) + "}");
        EXPECT_EQ(send(one), one);
    }
}

TEST(Mistral, BodiesFullOfOneKeyAreNotQuadratic)
{
    // No clock: quadratic would be 10^11 comparisons.
    std::string body = "{\"messages\":[" + U + "]";
    for (int i = 0; i < 300000; i++)
        body += ",\"seed\":1";
    EXPECT_EQ(send(body + "}"), "{\"messages\":[" + U + "],\"random_seed\":1}");
    std::string tool =
        "{\"messages\":[" + U + "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"";
    for (int i = 0; i < 300000; i++)
        tool += ",\"parameters\":{}";
    EXPECT_EQ(send(tool + "}}]}"), "{\"messages\":[" + U + "]," + TOOLS + "}");
}

} // namespace
