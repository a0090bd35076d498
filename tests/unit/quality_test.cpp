/* SPDX-License-Identifier: Apache-2.0 */
/* Each line: an assertion, an answer, whether it holds. */
#include "yaml_policy.hpp"
#include "slow.hpp"

#include <gtest/gtest.h>

using yaml_policy::Policy;
using yaml_policy::Result;

namespace {

struct Case {
    const char *assertion, *answer;
    bool holds;
};

/* clang-format off */
const Case cases[] = {
    /* texts */
    {"type: contains, value: Paris", "The capital is Paris.", true},
    {"type: contains, value: paris", "The capital is Paris.", false},
    {"type: contains, value: paris, case_sensitive: false", "The capital is PARIS.", true},
    {"type: icontains, value: paris", "The capital is PARIS.", true},
    {"type: contains, value: \"\xc3\x89T\xc3\x89\", case_sensitive: false", "un bel \xc3\xa9t\xc3\xa9", true},
    {"type: contains, value: \"\xd0\x9c\xd0\x98\xd0\xa0\", case_sensitive: false", "\xd0\xbc\xd0\xb8\xd1\x80", true},
    {"type: contains, value: \"\xc3\x89\"", "\xc3\xa9", false},
    {"type: not-contains, value: secret", "nothing here", true},
    {"type: not-contains, value: secret", "a secret", false},
    {"type: contains, value: secret, negate: true", "a secret", false},
    {"type: not-contains, value: secret, negate: true", "a secret", true},
    {"type: contains, value: abc", "", false},
    {"type: contains, value: abc", "ab", false},
    {"type: contains, value: \"12\"", "a12b", true},
    {"type: contains-any, value: [red, green]", "a green door", true},
    {"type: contains-any, value: [red, green]", "a blue door", false},
    {"type: contains-any, value: [RED, GREEN], case_sensitive: false", "a green door", true},
    {"type: contains-any, value: door", "a blue door", true},
    {"type: icontains-any, value: [RED, GREEN]", "a green door", true},
    {"type: not-contains-any, value: [red, green]", "a blue door", true},
    {"type: contains-all, value: [red, green]", "red and green", true},
    {"type: contains-all, value: [red, green]", "red and blue", false},
    {"type: contains-all, value: [red, green], threshold: 0.5", "red and blue", true},
    {"type: contains-all, value: [red, green, blue], threshold: 0.5", "red and black", false},
    {"type: starts-with, value: Dear", "Dear Ms Jones", true},
    {"type: starts-with, value: Dear", "  \n Dear Ms Jones", true},
    {"type: starts-with, value: Dear", "My Dear", false},
    {"type: starts-with, value: Dear", "De", false},
    {"type: starts-with, value: dear, case_sensitive: false", "DEAR all", true},
    {"type: ends-with, value: Regards", "text\nRegards\n", true},
    {"type: ends-with, value: Regards", "Regards, Bob", false},
    {"type: ends-with, value: Regards", "s", false},
    {"type: equals, value: \"42\"", " 42\n", true},
    {"type: equals, value: \"42\"", "42!", false},
    {"type: equals, value: yes, case_sensitive: false", "x", false},
    {"type: equals, value: \"Yes\", case_sensitive: false", "YES", true},
    {"type: equals, value: \"a\\\"b\\\\c\"", "a\"b\\c", true},
    /* expressions */
    {"type: regex, value: '\\d{3}-\\d{4}'", "call 555-1234 now", true},
    {"type: regex, value: '^\\d{3}-\\d{4}$'", "call 555-1234 now", false},
    {"type: regex, value: '^\\d{3}-\\d{4}$'", " 555-1234\n", true},
    {"type: regex, value: 'colou?r'", "the color", true},
    {"type: regex, value: 'colou?r'", "the colr", false},
    {"type: regex, value: '(?i)HELLO'", "hello", true},
    {"type: regex, value: 'HELLO', case_sensitive: false", "hello", true},
    {"type: regex, value: 'HELLO'", "hello", false},
    {"type: regex, value: '\\bcat\\b'", "concatenate", false},
    {"type: regex, value: '\\bcat\\b'", "a cat.", true},
    {"type: regex, value: '\\Bcat'", "concatenate", true},
    {"type: regex, value: 'a.c'", "a\xc3\xa9""c", true},
    {"type: regex, value: 'a.c'", "a\nc", false},
    {"type: regex, value: '[^a-z ]'", "only letters", false},
    {"type: regex, value: '[^a-z ]'", "a digit 7", true},
    {"type: regex, value: '^(a|bc)+$'", "abcabc", true},
    {"type: regex, value: '^(a|bc)+$'", "abcb", false},
    {"type: regex, value: '^(?:x{2,3}y)*$'", "xxyxxxy", true},
    {"type: regex, value: '^(?:x{2,3}y)*$'", "xyxxxxy", false},
    {"type: regex, value: '^x{2,}$'", "xxxxx", true},
    {"type: regex, value: '^a*?b$'", "aaab", true},
    {"type: regex, value: '\\u00e9'", "caf\xc3\xa9", true},
    {"type: regex, value: '[\\w.]+@[\\w.]+'", "me@example.org", true},
    {"type: regex, value: '[]x]'", "]", true},
    {"type: regex, value: 'a||b'", "", true},
    {"type: not-regex, value: '\\d'", "no digits", true},
    /* JSON */
    {"type: is-json", "{\"a\": [1, 2.5e3, null, true]}", true},
    {"type: is-json", "\n [] \n", true},
    {"type: is-json", "{a: 1}", false},
    {"type: is-json", "{\"a\": 1,}", false},
    {"type: is-json", "Here it is: {\"a\": 1}", false},
    {"type: is-json", "", false},
    {"type: is-json", "\"\\ud800\"", true},
    {"type: is-json", "\"\xff\"", false},
    {"type: is-json", "{\"a\": 1} {}", false},
    {"type: not-is-json", "plain text", true},
    {"type: is-json, value: {type: object, required: [name]}", "{\"name\": 1}", true},
    {"type: is-json, value: {type: object, required: [name]}", "{\"nam\": 1}", false},
    {"type: is-json, value: {type: object, required: [name]}", "[]", false},
    {"type: json-schema, value: {type: array, items: {type: integer}}", "[1, 2, 3.0]", true},
    {"type: json-schema, value: {type: array, items: {type: integer}}", "[1, 2.5]", false},
    {"type: json-schema, value: {type: array, minItems: 1, maxItems: 2}", "[]", false},
    {"type: json-schema, value: {type: array, minItems: 1, maxItems: 2}", "[1,2]", true},
    {"type: json-schema, value: {type: array, minItems: 1, maxItems: 2}", "[1,2,3]", false},
    {"type: json-schema, value: {properties: {age: {minimum: 0, maximum: 120}}}", "{\"age\": 120}", true},
    {"type: json-schema, value: {properties: {age: {minimum: 0, maximum: 120}}}", "{\"age\": 1.3e2}", false},
    {"type: json-schema, value: {properties: {age: {minimum: 0, maximum: 120}}}", "{\"age\": -1}", false},
    {"type: json-schema, value: {properties: {age: {minimum: 0, maximum: 120}}}", "{\"age\": \"old\"}", true},
    {"type: json-schema, value: {exclusiveMinimum: 0}", "0", false},
    {"type: json-schema, value: {exclusiveMinimum: 0}", "0.0001", true},
    {"type: json-schema, value: {exclusiveMaximum: 1}", "1.0", false},
    {"type: json-schema, value: {properties: {a: {type: string}}, additionalProperties: false}", "{\"a\": \"x\"}", true},
    {"type: json-schema, value: {properties: {a: {type: string}}, additionalProperties: false}", "{\"a\": \"x\", \"b\": 1}", false},
    {"type: json-schema, value: {additionalProperties: {type: number}}", "{\"a\": 1, \"b\": 2}", true},
    {"type: json-schema, value: {additionalProperties: {type: number}}", "{\"a\": 1, \"b\": \"2\"}", false},
    {"type: json-schema, value: {anyOf: [{type: string}, {type: \"null\"}]}", "null", true},
    {"type: json-schema, value: {anyOf: [{type: string}, {type: \"null\"}]}", "1", false},
    {"type: json-schema, value: {properties: {a: {anyOf: [{type: integer, minimum: 3}, {enum: [x]}]}}}", "{\"a\": \"x\"}", true},
    {"type: json-schema, value: {properties: {a: {anyOf: [{type: integer, minimum: 3}, {enum: [x]}]}}}", "{\"a\": 2}", false},
    {"type: json-schema, value: {oneOf: [{type: number}, {type: integer}]}", "1.5", true},
    {"type: json-schema, value: {oneOf: [{type: number}, {type: integer}]}", "1", false},
    {"type: json-schema, value: {minimum: 9007199254740993}", "9007199254740993", true},
    {"type: json-schema, value: {minimum: 9007199254740993}", "9007199254740992", false},
    {"type: json-schema, value: {maximum: 9007199254740992}", "9007199254740993", false},
    {"type: json-schema, value: {maximum: 9007199254740992}", "9007199254740992.0", true},
    {"type: json-schema, value: {exclusiveMinimum: 9007199254740992}", "9007199254740993", true},
    {"type: json-schema, value: {exclusiveMaximum: 9007199254740993}", "9007199254740993", false},
    {"type: json-schema, value: {minimum: -9007199254740993}", "-9007199254740994", false},
    {"type: json-schema, value: {minimum: -9007199254740993}", "-9007199254740993", true},
    {"type: json-schema, value: {const: 9007199254740993}", "9007199254740992", false},
    {"type: json-schema, value: {const: 9007199254740993}", "9007199254740.993e3", true},
    {"type: json-schema, value: {enum: [10000000000000000000001]}", "10000000000000000000000", false},
    {"type: json-schema, value: {maximum: 100000000000000000000}", "1e20", true},
    {"type: json-schema, value: {maximum: 100000000000000000000}", "1.0000000000000000001e20", false},
    {"type: json-schema, value: {const: 0}", "-0.0e5", true},
    {"type: json-schema, value: {minimum: 0.1}", "0.10", true},
    {"type: json-schema, value: {minimum: 0.1}", "0.0999999999999999999999", false},
    {"type: json-schema, value: {uniqueItems: true}", "[9007199254740992, 9007199254740993]", true},
    {"type: json-schema, value: {allOf: [{minimum: 1}, {maximum: 3}]}", "2", true},
    {"type: json-schema, value: {allOf: [{minimum: 1}, {maximum: 3}]}", "4", false},
    {"type: json-schema, value: {not: {type: string}}", "1", true},
    {"type: json-schema, value: {not: {type: string}}", "\"a\"", false},
    {"type: json-schema, value: {uniqueItems: true}", "[1, \"1\", {\"a\": 1}, {\"a\": 2}]", true},
    {"type: json-schema, value: {uniqueItems: true}", "[{\"a\": 1, \"b\": 2}, {\"b\": 2, \"a\": 1.0}]", false},
    {"type: json-schema, value: {uniqueItems: false}", "[1, 1]", true},
    {"type: json-schema, value: {minProperties: 1, maxProperties: 2}", "{}", false},
    {"type: json-schema, value: {minProperties: 1, maxProperties: 2}", "{\"a\": 1, \"b\": {\"c\": 1, \"d\": 2}}", true},
    {"type: json-schema, value: {minProperties: 1, maxProperties: 2}", "{\"a\": 1, \"b\": 2, \"c\": 3}", false},
    {"type: json-schema, value: {contains: {type: string, minLength: 2}}", "[1, \"a\", \"ab\"]", true},
    {"type: json-schema, value: {contains: {type: string, minLength: 2}}", "[1, \"a\"]", false},
    {"type: json-schema, value: {contains: {type: string}}", "[]", false},
    {"type: json-schema, value: {format: email}", "\"a.b@example.org\"", true},
    {"type: json-schema, value: {format: email}", "\"a.b@example\"", false},
    {"type: json-schema, value: {format: email}", "\"x a@example.org\"", false},
    {"type: json-schema, value: {format: date}", "\"2026-02-28\"", true},
    {"type: json-schema, value: {format: date}", "\"2026-13-28\"", false},
    {"type: json-schema, value: {format: date}", "\"2026-02-28 \"", false},
    {"type: json-schema, value: {format: date-time}", "\"2026-02-28T10:00:00.5Z\"", true},
    {"type: json-schema, value: {format: date-time}", "\"2026-02-28T25:00:00Z\"", false},
    {"type: json-schema, value: {format: time}", "\"10:00:00+02:00\"", true},
    {"type: json-schema, value: {format: time}", "\"10:00\"", false},
    {"type: json-schema, value: {format: ipv4}", "\"10.0.0.255\"", true},
    {"type: json-schema, value: {format: ipv4}", "\"10.0.0.256\"", false},
    {"type: json-schema, value: {format: uri}", "\"https://example.org/a?b=c\"", true},
    {"type: json-schema, value: {format: uri}", "\"example\"", false},
    {"type: json-schema, value: {format: uuid}", "\"123e4567-e89b-12d3-a456-426614174000\"", true},
    {"type: json-schema, value: {format: uuid}", "\"123e4567\"", false},
    {"type: json-schema, value: {format: uuid}", "7", true},
    {"type: json-schema, value: {format: date, pattern: '^2'}", "\"1999-01-01\"", false},
    {"type: json-schema, value: {multipleOf: 0.1}", "0.3", true},
    {"type: json-schema, value: {multipleOf: 5}", "12", false},
    {"type: json-schema, value: {enum: [red, 1, null]}", "\"red\"", true},
    {"type: json-schema, value: {enum: [red, 1, null]}", "\"r\\u0065d\"", true},
    {"type: json-schema, value: {enum: [red, 1, null]}", "1.0", true},
    {"type: json-schema, value: {enum: [red, 1, null]}", "null", true},
    {"type: json-schema, value: {enum: [red, 1, null]}", "false", false},
    {"type: json-schema, value: {const: {a: [1, 2], b: x}}", "{\"b\": \"x\", \"a\": [1, 2]}", true},
    {"type: json-schema, value: {const: {a: [1, 2], b: x}}", "{\"b\": \"x\", \"a\": [2, 1]}", false},
    {"type: json-schema, value: {const: {a: [1, 2], b: x}}", "{\"a\": [1, 2]}", false},
    {"type: json-schema, value: {type: [string, 'null']}", "null", true},
    {"type: json-schema, value: {type: [string, 'null']}", "1", false},
    {"type: json-schema, value: {type: string, minLength: 2, maxLength: 3}", "\"\xc3\xa9\xc3\xa9\xc3\xa9\"", true},
    {"type: json-schema, value: {type: string, minLength: 2, maxLength: 3}", "\"a\"", false},
    {"type: json-schema, value: {type: string, pattern: '^[A-Z]{2}$'}", "\"DE\"", true},
    {"type: json-schema, value: {type: string, pattern: '^[A-Z]{2}$'}", "\"de\"", false},
    {"type: json-schema, value: {type: boolean}", "true", true},
    {"type: json-schema, value: {type: integer}", "1e400", true},
    {"type: json-schema, value: {type: integer}", "not json", false},
    {"type: json-schema, value: {properties: {a: {properties: {b: {const: 1}}}}}", "{\"a\": {\"b\": 2}}", false},
    {"type: json-schema, value: {properties: {a: {const: 1}}}", "{\"a\": 1, \"a\": 2}", false},
    /* sizes */
    {"type: min-length, value: 3", "abc", true},
    {"type: min-length, value: 4", "  abc  ", false},
    {"type: max-length, value: 3", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", true},
    {"type: max-length, value: 2", "abc", false},
    {"type: length, value: {min: 2, max: 4}", "abc", true},
    {"type: length, value: {min: 2, max: 4}", "abcde", false},
    {"type: length, value: 0", "", true},
    {"type: min-words, value: 3", "one two  three", true},
    {"type: min-words, value: 4", "one two  three", false},
    {"type: max-words, value: 2", "one\ntwo", true},
    {"type: word-count, value: 2", "one two", true},
    {"type: word-count, value: {max: 1}", "one two", false},
    {"type: words, value: {max: 2}", "one two", true},
    {"type: words, value: {max: 1}", "one two", false},
    {"type: sentences, value: 2", "It is 3.5 metres. Really!", true},
    {"type: sentences, value: 1", "No full stop", true},
    {"type: sentences, value: 1", "Dr. Smith paid 3.50 USD, e.g. in cash.", true},
    {"type: sentences, value: 1", "Das kostet z. B. 3,50 \xe2\x82\xac bzw. 4.", true},
    {"type: sentences, value: 2", "Prof. Rossi no. 7. Poi basta.", true},
    {"type: sentences, value: 2", "It ended in 1990. Then nothing.", true},
    {"type: max-words, value: 1", "10\xc2\xa0km", false},
    {"type: max-words, value: 2", "10\xc2\xa0km", true},
    {"type: not-empty", "\xe2\x80\x8b \xe2\x80\x8b\xef\xbb\xbf", false},
    {"type: not-empty", "\xe2\x80\x8b.\xe2\x80\x8b", true},
    {"type: sentences, value: 0", "...", true},
    {"type: sentences, value: 2", "One line\n\nAnother", true},
    {"type: sentences, value: 1", "He said \"stop!\"", true},
    {"type: min-sentences, value: 3", "A! B? C.", true},
    {"type: max-sentences, value: 2", "A! B? C.", false},
    {"type: sentences, value: 2", "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xe5\x86\x8d\xe8\xa7\x81\xe3\x80\x82", true},
    {"type: not-empty", "x", true},
    {"type: not-empty", " \n\t ", false},
    /* languages */
    {"type: language, value: en", "The weather was fine and we walked along the river for most of the day.", true},
    {"type: language, value: de", "The weather was fine and we walked along the river for most of the day.", false},
    {"type: language, value: [de, fr]", "Das Wetter war gut, und wir sind den ganzen Tag am Fluss entlang gegangen.", true},
    {"type: not-language, value: de", "Das Wetter war gut, und wir sind den ganzen Tag am Fluss entlang gegangen.", false},
    {"type: language, value: en", "42", true},
    {"type: not-language, value: en", "42", true},
    /* refusals */
    {"type: refusal", "I'm sorry, but I can't help with that.", true},
    {"type: refusal", "I\xe2\x80\x99m sorry, but I can\xe2\x80\x99t assist with this request.", true},
    {"type: refusal", "Je suis d\xc3\xa9sol\xc3\xa9, mais je ne peux pas vous aider.", true},
    {"type: refusal", "Dabei kann ich Ihnen leider nicht helfen. Es tut mir leid, aber ich kann diese Anfrage nicht bearbeiten.", true},
    {"type: refusal", "Lo siento, pero no puedo ayudarte con eso.", true},
    {"type: refusal", "Mi dispiace, ma non posso aiutarti.", true},
    {"type: refusal", "I can't recommend this film enough!", false},
    {"type: not-refusal", "Of course, here are three ideas.", true},
    {"type: not-refusal", "I cannot assist with that.", false},
    {"type: not-refusal", "The function cannot help with sorting; use qsort.", true},
    {"type: not-refusal", "This library can't provide threads.", true},
    {"type: not-refusal", "Der Compiler kann das nicht wissen.", true},
    {"type: not-refusal", "Le funzioni non sono in grado di ordinare.", true},
    {"type: refusal", "We cannot provide that.", true},
    {"type: refusal", "Ich kann dir dabei nicht helfen.", true},
    {"type: refusal", "As an AI language model, I cannot do that.", true},
    /* repeats and marks */
    {"type: repetition", "the cat sat on the mat and then it left for the old barn", true},
    {"type: repetition", "I am a robot now. I am a robot now. I am a robot now. I am a robot now.", false},
    {"type: repetition, value: {max: 0.9, n: 2}", "ha ha ha ha ha ha", true},
    {"type: repetition, value: {max: 0.5, n: 2}", "ha ha ha HA ha ha", false},
    {"type: repetition, value: 0", "a b c", true},
    {"type: no-markdown", "Plain text, 3 * 4 = 12, a-b.", true},
    {"type: no-markdown", "# Title\ntext", false},
    {"type: no-markdown", "text\n- item", false},
    {"type: no-markdown", "text **bold**", false},
    {"type: no-markdown", "```\ncode\n```", false},
    {"type: no-markdown", "1. first", false},
    {"type: no-markdown", "#hashtag is fine", true},
};
/* clang-format on */

Result judge(const std::string &options, const std::string &answer)
{
    return Policy("quality-scorer", options).whole(answer, KT_PHASE_RESPONSE);
}

} // namespace

TEST(Quality, EveryCase)
{
    static_assert(sizeof cases / sizeof *cases >= 120);
    for (const Case &c : cases) {
        Policy p("quality-scorer", std::string("assertions: [{") + c.assertion + "}]");
        ASSERT_EQ(p.error(), "") << c.assertion;
        Result r = p.whole(c.answer, KT_PHASE_RESPONSE);
        EXPECT_EQ(r.verdict, c.holds ? KT_VERDICT_ALLOW : KT_VERDICT_BLOCK)
            << c.assertion << " | " << c.answer;
        std::vector<std::string> bytes;
        for (const char *b = c.answer; *b; b++)
            bytes.emplace_back(1, *b);
        Result streamed = p.run(bytes.empty() ? std::vector<std::string>{""} : bytes, KT_PHASE_RESPONSE);
        EXPECT_EQ(streamed.verdict, r.verdict) << c.assertion;
        EXPECT_EQ(streamed.labels, r.labels) << c.assertion;
        EXPECT_DOUBLE_EQ(streamed.score, r.score) << c.assertion;
        EXPECT_EQ(streamed.left, c.holds ? c.answer : "") << "nothing leaves before it is judged";
    }
}

TEST(Quality, WrongOptionsAreNamed)
{
    const struct {
        const char *options, *says;
    } wrong[] = {
        {"assertions: [{type: llm-rubric, value: be nice}]", "needs a model"},
        {"assertions: [{type: not-factuality, value: x}]", "needs a model"},
        {"assertions: [{type: context-faithfulness}]", "context-faithfulness"},
        {"assertions: [{type: containz, value: x}]", "did you mean 'contains'?"},
        {"assertions: [{type: contains}]", "value must be a text"},
        {"assertions: [{type: contains, value: ''}]", "not empty"},
        {"assertions: [{type: contains, value: {a: 1}}]", "value must be a text"},
        {"assertions: [{type: contains-any, value: []}]", "list of texts"},
        {"assertions: [{type: not-empty, value: 3}]", "takes no value"},
        {"assertions: [{type: min-length, value: -1}]", "number from 0"},
        {"assertions: [{type: length, value: {min: 5, max: 2}}]", "min <= max"},
        {"assertions: [{type: length, value: {least: 5}}]", "min <= max"},
        {"assertions: [{type: repetition, value: 2}]", "share"},
        {"assertions: [{type: repetition, value: {n: 40}}]", "share"},
        {"assertions: [{type: language, value: xx}]", "unknown language"},
        {"assertions: [{type: regex, value: '(a'}]", "missing ')'"},
        {"assertions: [{type: regex, value: 'a)'}]", "unexpected ')'"},
        {"assertions: [{type: regex, value: '[a'}]", "missing ']'"},
        {"assertions: [{type: regex, value: '*a'}]", "nothing to repeat"},
        {"assertions: [{type: regex, value: 'a{300}'}]", "repeats are"},
        {"assertions: [{type: regex, value: '(?=a)'}]", "only (?:..)"},
        {"assertions: [{type: regex, value: '(a)\\1'}]", "back-references"},
        {"assertions: [{type: regex, value: '((a{99}){99}){99}'}]", "too large"},
        {"assertions: [{type: regex, value: '(((((){200}){200}){200}){200}){200}'}]", "too large"},
        {"assertions: [{type: json-schema, value: {$ref: x}}]", "not supported"},
        {"assertions: [{type: json-schema, value: {format: ipv6}}]", "use pattern"},
        {"assertions: [{type: json-schema, value: {minProperties: x}}]", "'minProperties'"},
        {"assertions: [{type: json-schema, value: {type: strin}}]", "'type'"},
        {"assertions: [{type: json-schema, value: {required: a}}]", "'required'"},
        {"assertions: [{type: json-schema, value: {pattern: '('}}]", "regular expression"},
        {"assertions: [{type: json-schema, value: text}]", "mapping of keywords"},
        {"assertions: [{type: json-schema, value: {minLength: -2}}]", "'minLength'"},
        {"thresholds: {min_faithfulness: 0.5}", "needs a model"},
        {"thresholds: {aggregate: 0.5}", "min_aggregate"},
        {"weights: {nobody: 2}", "no enabled assertion"},
        {"assertions: [{type: not-empty, weight: 11}]", "E004"},
        {"assertions: [{value: x}]", "E005"},
    };
    for (auto &w : wrong) {
        Policy p("quality-scorer", w.options);
        EXPECT_NE(p.error().find(w.says), std::string::npos) << w.options << " -> " << p.error();
    }
}

TEST(Quality, StrategiesAndWeights)
{
    const std::string two = "assertions: [{type: contains, name: a, value: aaa, weight: 3}, {type: contains, "
                            "name: b, value: bbb}]";
    EXPECT_DOUBLE_EQ(judge(two, "aaa").score, 0.75);
    EXPECT_EQ(judge(two, "aaa").verdict, KT_VERDICT_ALLOW) << "0.75 reaches 0.7";
    EXPECT_EQ(judge(two, "aaa").labels, "b:1 ") << "a failure shows also where the whole passes";
    EXPECT_EQ(judge(two, "bbb").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge(two + ", weights: {a: 1, b: 9}", "bbb").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(judge(two + ", weights: {contains: 1}", "bbb").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge(two + ", thresholds: {min_aggregate: 0.8}", "aaa").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge(two + ", pass_policy: {strategy: all}", "aaa").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge(two + ", pass_policy: {strategy: all}", "aaabbb").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(judge(two + ", pass_policy: {strategy: any}", "bbb").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(judge(two + ", pass_policy: {strategy: any}", "x").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge(two + ", pass_policy: {strategy: min, threshold: 0.5}", "aaa").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge(two + ", pass_policy: {threshold: 0.2}", "bbb").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(judge("", "anything").verdict, KT_VERDICT_ALLOW);
}

TEST(Quality, ModesAndSeverities)
{
    const std::string pass = "{type: contains, name: good, value: x}";
    EXPECT_EQ(judge("assertions: [" + pass +
                        ", {type: contains, name: bad, value: y, severity: critical, weight: 0.1}]",
                    "x")
                  .verdict,
              KT_VERDICT_BLOCK);
    EXPECT_EQ(
        judge("assertions: [" + pass + ", {type: contains, value: y, severity: critical, mode: audit}]", "x")
            .verdict,
        KT_VERDICT_ALLOW);
    Result shadow =
        judge("assertions: [" + pass + ", {type: contains, name: bad, value: y, mode: shadow}]", "x");
    EXPECT_EQ(shadow.verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(shadow.labels, "shadow:bad:1 ");
    EXPECT_DOUBLE_EQ(shadow.score, 1);
    EXPECT_EQ(judge("assertions: [" + pass + ", {type: contains, value: y, enabled: false}]", "x").labels,
              "");
    EXPECT_EQ(judge("assertions: [" + pass +
                        ", {type: contains, value: y, severity: info}], pass_policy: {strategy: all}",
                    "x")
                  .verdict,
              KT_VERDICT_ALLOW);
    EXPECT_EQ(judge("min_output_chars: 5", "abc").labels, "min_output_chars:1 ");
    EXPECT_EQ(judge("min_output_chars: 5", "abc").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge("min_sentences: 2", "One. Two.").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(judge("min_sentences: 2", "One.").verdict, KT_VERDICT_BLOCK);
}

TEST(Quality, FailureActions)
{
    const std::string a = "assertions: [{type: not-empty}], failure_action: ";
    EXPECT_EQ(judge(a + "{action: escalate}", "").verdict, KT_VERDICT_ESCALATE);
    EXPECT_EQ(judge(a + "{action: warn}", "").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(judge(a + "{action: warn}", "").labels, "not-empty:1 quality.failed:1 ");
    EXPECT_EQ(judge(a + "{action: log}", "").labels, "not-empty:1 ");
    EXPECT_DOUBLE_EQ(judge(a + "{action: log}", "").score, 0);
    Result r = judge(a + "{action: block, message: Ask again.}", "");
    EXPECT_EQ(r.message, "Ask again.");
    EXPECT_EQ(r.reason, "quality.failed");
    EXPECT_EQ(Policy("quality-scorer", a + "{action: log}").run({"ab", "cd"}, KT_PHASE_RESPONSE).left,
              "abcd");
    Policy live("quality-scorer", "streaming_mode: realtime, assertions: [{type: contains, value: x}]");
    Result late = live.run({"ab", "cd", "ef"}, KT_PHASE_RESPONSE);
    EXPECT_EQ(late.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(late.left, "abcd");
}

TEST(Quality, EveryChoiceOnItsOwn)
{
    Policy p("quality-scorer", "assertions: [{type: contains, value: ok}]");
    EXPECT_EQ(p.many({{"ok"}, {"o", "k"}}, KT_PHASE_RESPONSE).verdict, KT_VERDICT_ALLOW);
    Result r = p.many({{"ok"}, {"o"}, {"k"}}, KT_PHASE_RESPONSE);
    EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK);
    EXPECT_DOUBLE_EQ(r.score, 0);
    Result cut = p.run({"o", "n"}, KT_PHASE_RESPONSE, true);
    EXPECT_EQ(cut.verdict, KT_VERDICT_BLOCK) << "an answer that broke off is judged as it is";
    std::vector<std::vector<std::string>> many(200, {"ok", "."});
    EXPECT_EQ(p.many(many, KT_PHASE_RESPONSE).step, KT_STEP_ERROR);
}

TEST(Quality, HostileAnswers)
{
    std::string deep(300, '['), big(slow::fewer(1 << 20), 'a'), members = "{", words;
    for (int i = 0; i < static_cast<int>(slow::fewer(50000)); i++)
        members += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":" + std::to_string(i);
    members += "}";
    while (words.size() < slow::fewer(1 << 20))
        words += "alpha beta gamma delta ";
    EXPECT_EQ(judge("assertions: [{type: is-json}]", deep + std::string(300, ']')).verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(
        judge("assertions: [{type: json-schema, value: {additionalProperties: {type: integer}}}]", members)
            .verdict,
        KT_VERDICT_ALLOW);
    EXPECT_EQ(judge("assertions: [{type: regex, value: '^(a+)+$'}]", big + "!").verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(judge("assertions: [{type: regex, value: '(a|aa|a?a?)*b'}]", big).verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(
        judge("assertions: [{type: repetition}, {type: refusal, negate: true}, {type: language, value: en}]",
              words)
            .verdict,
        KT_VERDICT_BLOCK);
    EXPECT_EQ(
        judge("assertions: [{type: sentences, value: {max: 5}}, {type: icontains, value: GAMMA}]", words)
            .verdict,
        KT_VERDICT_ALLOW);
    Result r = judge("assertions: [{type: not-empty}]", std::string((4u << 20) + 1, 'x'));
    EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(r.labels, "too_long:1 ");
    for (const char *bad : {"\xff\xfe", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xc0\x80"})
        EXPECT_EQ(judge("assertions: [{type: icontains, value: x, negate: true}, {type: regex, value: '.'}, "
                        "{type: max-length, value: 4}]",
                        bad)
                      .verdict,
                  KT_VERDICT_ALLOW)
            << bad;
    std::string nul("a\0b", 3);
    EXPECT_EQ(judge("assertions: [{type: length, value: 3}, {type: contains, value: b}]", nul).verdict,
              KT_VERDICT_ALLOW);
}
