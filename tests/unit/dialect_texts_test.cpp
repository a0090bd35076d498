/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at beside messages: tools, plain-text endpoints, answers. */
#include "dialect_body.hpp"

TEST(Texts, OfferedToolsAndSchemas)
{
    Body b(KT_EP_CHAT,
           R"({"messages":[{"role":"user","content":"u"}],
"tools":[{"type":"function","function":{"name":"a\u0062","description":"d1","parameters":{"type":"object","properties":
{"name":{"type":"string","description":"d2","enum":["e1",{"x":"e2"}],"default":"e3"},"description":{"type":"string"}}}}},
{"type":"custom","custom":{"name":"free","description":"d3","format":{"definition":"d4"}}},{"type":"web_search"},{"name":"flat"},7],
"functions":[{"name":"old","description":"d5"}],
"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d6"}}})");
    ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
    EXPECT_EQ(b.texts(), (V{"0offer:d1", "0offer:d2", "0offer:e1", "0offer:x", "0offer:e2", "0offer:e3",
                            "0offer:d3", "0offer:d4", "0offer:d5", "0system:d6", "0user:u"}));
    EXPECT_EQ(b.tools(),
              (V{"offers 0 ab", "offers 0 free", "offers 0 web_search", "offers 0 flat", "offers 0 old"}));
}

TEST(Texts, EveryHolderOfAToolsNameCounts)
{
    auto names = [](const std::string &more) {
        Body b(KT_EP_CHAT, R"({"messages":[{"role":"user","content":"u"}],)" + more + "}");
        EXPECT_EQ(b.r.code, KT_OK) << b.err.text << more;
        return b.tools();
    };
    EXPECT_EQ(names(R"("tools":[{"type":"function","function":{"name":"good"},"name":"evil"}])"),
              (V{"offers 0 good", "offers 0 evil"}));
    EXPECT_EQ(names(R"("tools":[{"function":{"name":"good"},"custom":{"name":"evil"}}])"),
              (V{"offers 0 good", "offers 0 evil"}));
    EXPECT_EQ(names(R"("tools":[{"type":"web_search","function":{"name":"good"}}])"),
              (V{"offers 0 good", "offers 0 web_search"}));
    EXPECT_EQ(names(R"("tools":[{"type":"web_search_2025","name":"search"}])"),
              (V{"offers 0 search", "offers 0 web_search_2025"}));
    EXPECT_EQ(names(R"("tools":[{"type":"code_interpreter","name":"search"}])"),
              (V{"offers 0 search", "offers 0 code_interpreter"}));
    EXPECT_EQ(names(R"("tools":[{"type":"web_search","name":"search","function":{"name":"search"}}])"),
              (V{"offers 0 search", "offers 0 search", "offers 0 web_search"}));
    EXPECT_EQ(names(R"("tools":[{"type":"function","name":"a"},{"type":"custom","name":"b"}])"),
              (V{"offers 0 a", "offers 0 b"}));
    EXPECT_EQ(names(R"("tool_choice":{"type":"tool","name":"a"})"), V{"offers 0 a"});
    EXPECT_EQ(names(R"("tool_choice":{"allowed_tools":{"tools":[{"name":"a"}]},"tools":[{"name":"b"}]})"),
              (V{"offers 0 a", "offers 0 b"}));
    EXPECT_EQ(names(R"("tools":null,"functions":[],"tool_choice":"auto","web_search_options":null)"), V{});
}

TEST(Texts, ToolsThatCouldBeReadInTwoWaysAreRefused)
{
    for (
        const char *more : {
            R"("web_search_options":{},"web_search_options":null)",
            R"("tool_choice":{"type":"function","function":{"name":"evil"}},"tool_choice":"auto")",
            R"("function_call":{"name":"evil"},"function_call":"auto")",
            R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"tools":[{"name":"evil"}],"tools":[]}})",
            R"("tool_choice":{"tools":[{"name":"evil"}],"tools":[]})",
            R"("tool_choice":{"function":{"name":"evil"},"function":{"name":"good"}})",
            R"("tool_choice":{"function":{"name":"evil","name":"good"}})",
            R"("tool_choice":[{"function":{"name":"evil"}}])",
            R"("tools":{"type":"function","function":{"name":"evil"}})",
            R"("tools":[[{"type":"function","function":{"name":"evil"}}]])",
            R"("tools":["evil"])",
            R"("functions":{"name":"evil"})",
        }) {
        Body b(KT_EP_CHAT, std::string(R"({"messages":[{"role":"user","content":"u"}],)") + more + "}");
        EXPECT_EQ(b.r.code, KT_ERR_USAGE) << more;
        EXPECT_NE(std::string(b.err.text), "") << more;
    }
}

TEST(Texts, ToolsThatOtherMembersName)
{
    Body b(KT_EP_CHAT, R"({"messages":[{"role":"user","content":"u"}],
"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"ch\u006fsen"}},
"function_call":{"name":"older"},"web_search_options":{"search_context_size":"low"}})");
    ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
    EXPECT_EQ(b.tools(), (V{"offers 0 f", "offers 0 chosen", "offers 0 older", "offers 0 web_search"}));
    Body among(KT_EP_CHAT, R"({"messages":[{"role":"user","content":"u"}],"web_search_options":null,
"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"g"}}]}}})");
    ASSERT_EQ(among.r.code, KT_OK) << among.err.text;
    EXPECT_EQ(among.tools(), (V{"offers 0 g"}));
    Body word(KT_EP_CHAT,
              R"({"messages":[{"role":"user","content":"u"}],"tool_choice":"auto","function_call":"none"})");
    EXPECT_EQ(word.tools(), V{});
}

TEST(Texts, NamesAndWordsOfSchemas)
{
    Body b(KT_EP_CHAT,
           R"({"messages":[],"tools":[{"type":"function","x-owner":"o","function":{"name":"f","strict":true,
"parameters":{"type":"object","$comment":"c","title":"t","required":["ann","b"],"properties":{"ann":{"type":["string","odd"],
"examples":["e"],"pattern":"^x","title":"t2","$ref":"#/$defs/d"},"b":{"deep":["l"],"items":{"anyOf":[{"const":"k"}]}}}}}}]})");
    ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
    EXPECT_EQ(b.texts(true), (V{"0name:x-owner", "0label:o", "0name:f", "0offer:c", "0offer:t", "0name:ann",
                                "0name:b", "0name:ann", "0name:odd", "0offer:e", "0name:^x", "0offer:t2",
                                "0name:#/$defs/d", "0name:b", "0name:deep", "0label:l", "0offer:k"}));
}

TEST(Texts, WhatMessagesCarryBesideTheirText)
{
    std::string bytes(400, 'A');
    Body b(
        KT_EP_CHAT,
        R"({"messages":[{"role":"user","name":"bob","context":"c1","tags":["t1",{"k1":"t2"}],"metadata":{"m":"v","text":"u1"},
"content":[{"type":"text","text":"u2","cache_control":{"type":"ephemeral","ttl":"5m"}},
{"type":"image_url","image_url":{"url":"https://host.example/p?mail=a@b.c","detail":"high"}},
{"type":"image_url","image_url":"https://ann@host.example/"},{"type":"image_url","image_url":{"url":"https://host.example"}},
{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},{"type":"image_url","image_url":{"url":"data:text/plain,a@b.c"}},
{"type":"file","file":{"filename":"f1","file_data":"data:application/pdf;base64,)" +
            bytes + R"(","file_id":"file-1"}},
{"type":"input_audio","input_audio":{"data":")" +
            bytes + R"(","format":"wav"}},{"type":"own","data":"d1","name":"n1"}]},
{"role":"assistant","annotations":[{"url_citation":{"title":"a1","url":"http://x.example/q"}}],"tool_calls":[{"id":"call_1","index":0,"extra":"x1",
"function":{"name":"f2","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","name":"f2","content":"r"}]})");
    ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
    EXPECT_EQ(b.texts(true), (V{"0user:bob",
                                "0label:context",
                                "0label:c1",
                                "0label:tags",
                                "0label:t1",
                                "0label:k1",
                                "0label:t2",
                                "0label:m",
                                "0label:v",
                                "0user:u1",
                                "0user:u2",
                                "0label:ttl",
                                "0label:5m",
                                "0name:/p?mail=a@b.c",
                                "0label:high",
                                "0name:https://ann@host.example/",
                                "0name:data:text/plain,a@b.c",
                                "0user:f1",
                                "0name:file-1",
                                "0label:wav",
                                "0name:own",
                                "0label:d1",
                                "0label:n1",
                                "0assistant:a1",
                                "0label:/q",
                                "0name:call_1",
                                "0label:index",
                                "0label:extra",
                                "0label:x1",
                                "0name:f2",
                                "0call*:{}",
                                "0name:call_1",
                                "0name:f2",
                                "0tool:r"}));
    Body answer(KT_EP_CHAT,
                R"({"choices":[{"message":{"role":"assistant","content":"a","x":"y","tool_calls":[{"id":"i",
"function":{"name":"f","arguments":"{}"}}]}}]})",
                true);
    EXPECT_EQ(answer.texts(true), (V{"0assistant:a", "0reasoning:y", "0call*:{}"}))
        << "of an answer what the model may have said";
}

// What a client may read of an answer is looked at, under whatever name: as the model's words where it stands
// in the message itself or under a name of texts, else as a label; no ids and no words of the protocol.
TEST(Texts, WhatNobodyKnowsOfAnAnswer)
{
    Body b(KT_EP_CHAT,
           R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m/x-1","service_tier":"auto",
"system_fingerprint":"fp_1","obfuscation":"aB3","provider":"Some Host","note":"top","usage":{"u":"v"},"error":null,
"citations":["https://a.example/?q=ann@b.example"],"search_results":[{"title":"t1","text":"s1"}],"choices":[
{"index":0,"finish_reason":"stop","native_finish_reason":"STOP","stop_reason":"ann@b.example","logprobs":{"content":[{"token":"c"}]},
"seen":{"by":"whom","text":"what"},"message":{"role":"assistant","id":"msg_1","content":[{"type":"text","text":{"value":"c1","annotations":
[{"type":"file_citation","text":"c2","url":"https://x.example/y"}]}}],"refusal":"r","reasoning":"h","thoughts":["h1",{"text":"h2"}],"tool_plan":"p",
"mood":"fine","audio":{"id":"a","data":"QUJD","transcript":"said"},"annotations":[{"type":"url_citation","url_citation":{"title":"t2","url":"https://z"}}],
"context":{"intent":"i1"}}}]})",
           true);
    ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
    EXPECT_EQ(b.texts(true), (V{"0label:Some Host", "0label:top", "0label:https://a.example/?q=ann@b.example",
                                "0label:t1", "0label:s1", "0assistant:c1", "0assistant:c2", "0assistant:r",
                                "0reasoning:h", "0reasoning:h1", "0reasoning:h2", "0reasoning:p",

                                "0reasoning:fine", "0assistant:said", "0reasoning:t2", "0label:i1",
                                "0label:ann@b.example", "0label:whom", "0label:what"}));
    EXPECT_EQ(b.c.silent, 0u);
}

TEST(Texts, APartOfAnAddressIsRewrittenInItsPlace)
{
    Body b(KT_EP_CHAT, R"({"messages":[{"role":"assistant","url":"http:\/\/h.example\/\u0061@b.c?x"}]})");
    ASSERT_EQ(b.texts(true), (V{"0label:/a@b.c?x"}));
    kt_edits e{};
    ASSERT_EQ(kt_chat_redact(&b.c, &e, 0, 1, 6, "[EMAIL_1]", 9).code, KT_OK);
    kt_buf out = KT_BUF_INIT(1 << 16);
    ASSERT_EQ(kt_chat_body_for(&b.c, nullptr, nullptr, &e, &out).code, KT_OK);
    EXPECT_EQ(std::string(out.data, out.len),
              R"({"messages":[{"role":"assistant","url":"http:\/\/h.example\/[EMAIL_1]?x"}]})");
    kt_buf_free(&out);
    kt_edits_free(&e);
}

TEST(Texts, CallsInTheHistory)
{
    Body b(KT_EP_CHAT, R"({"messages":[{"role":"assistant","reasoning":"why","content":null,"tool_calls":[
{"type":"function","function":{"name":"ls","arguments":"{\"p\":1}"}},{"type":"custom","custom":{"name":"sh","input":"free"}}]},
{"role":"tool","name":"ls","content":"r"},{"role":"assistant","function_call":{"name":"old","arguments":{"k":"v"}}}]})");
    ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
    EXPECT_EQ(b.texts(),
              (V{"0reasoning:why", "0call*:{\"p\":1}", "0call:free", "0tool:r", "0call:k", "0call:v"}));
    EXPECT_EQ(b.tools(), (V{"calls 0 ls", "calls 0 sh", "calls 0 old"}));
}

TEST(Texts, TitlesOfCitations)
{
    Body b(KT_EP_CHAT, R"({"messages":[{"role":"assistant","content":"c","annotations":[
{"type":"url_citation","url_citation":{"title":"of bob","url":"http://x/"}}]}]})");
    ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
    EXPECT_EQ(b.texts(), (V{"0assistant:c", "0assistant:of bob"}));
}

TEST(Texts, PlainTextEndpoints)
{
    Body c(KT_EP_COMPLETIONS, R"({"prompt":["a","b"],"suffix":"s","stream":true})");
    EXPECT_EQ(c.texts(), (V{"0user:a", "0user:b", "0user:s"}));
    EXPECT_TRUE(c.c.stream);
    Body f(KT_EP_FIM, R"({"model":"codestral","prompt":"a","suffix":null})");
    EXPECT_EQ(f.texts(), V{"0user:a"});
    EXPECT_STREQ(f.c.model, "codestral");
    Body e(KT_EP_EMBEDDINGS, R"({"input":"x"})");
    EXPECT_EQ(e.texts(), V{"0user:x"});
    EXPECT_FALSE(e.c.token_ids);
    Body m(KT_EP_MODERATIONS, R"({"input":[{"type":"text","text":"t"},{"type":"image_url"},"bare"]})");
    EXPECT_EQ(m.texts(), (V{"0user:t", "0user:bare"}));
    for (const char *ids : {"[1]", "[[1]]", "[\"a\",2]", "[[],[3]]"}) {
        Body t(KT_EP_EMBEDDINGS, std::string("{\"input\":") + ids + "}");
        EXPECT_TRUE(t.c.token_ids) << ids;
    }
    const struct {
        kt_endpoint e;
        const char *body;
    } wrong[] = {
        {KT_EP_COMPLETIONS, "{}"},
        {KT_EP_COMPLETIONS, "{\"prompt\":{}}"},
        {KT_EP_COMPLETIONS, "{\"prompt\":\"a\",\"messages\":[]}"},
        {KT_EP_COMPLETIONS, "{\"prompt\":\"a\",\"prompt\":\"b\"}"},
        {KT_EP_FIM, "{\"prompt\":\"a\",\"suffix\":\"b\",\"suffix\":\"c\"}"},
        {KT_EP_FIM, "{\"prompt\":\"a\",\"suffix\":7}"},
        {KT_EP_EMBEDDINGS, "{\"input\":null}"},
        {KT_EP_EMBEDDINGS, "{\"input\":1}"},
        {KT_EP_CHAT, "{\"messages\":[],\"tools\":[],\"tools\":[]}"},
        {KT_EP_CHAT,
         "{\"messages\":[],\"tools\":[{\"function\":{\"description\":\"a\",\"description\":\"b\"}}]}"},
    };
    for (const auto &w : wrong) {
        Body b(w.e, w.body);
        EXPECT_EQ(b.r.code, KT_ERR_USAGE) << w.body;
        EXPECT_NE(b.err.text[0], '\0');
    }
}

TEST(Texts, Answers)
{
    Body a(KT_EP_CHAT, R"({"choices":[{"message":{"content":"a","reasoning_content":"r","refusal":"f",
"audio":{"transcript":"heard"}}},{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"text":"p"}],
"tool_calls":[{"function":{"name":"ls","arguments":"{}"}}]}},{"text":"old"},{"delta":{"content":"d"}}]})",
           true);
    ASSERT_EQ(a.r.code, KT_OK) << a.err.text;
    EXPECT_EQ(a.texts(), (V{"0assistant:a", "0reasoning:r", "0assistant:f", "0assistant:heard",
                            "1reasoning:t", "1assistant:p", "1call*:{}", "2assistant:old", "3assistant:d"}));
    EXPECT_EQ(a.tools(), V{"calls 1 ls"});
    Body names(KT_EP_CHAT, R"({"choices":[{"message":{"tool_calls":[
{"type":"custom","function":{"name":"good"},"custom":{"name":"evil"}},{"function":{"name":"a"},"name":"b"},
{"function":{"name":"same"},"custom":{"name":"same"},"name":"same"},{"function":"x","name":"own"}]}}]})",
               true);
    ASSERT_EQ(names.r.code, KT_OK) << names.err.text;
    EXPECT_EQ(names.tools(),
              (V{"calls 0 good", "calls 0 evil", "calls 0 a", "calls 0 b", "calls 0 same", "calls 0 own"}));
    Body e(KT_EP_EMBEDDINGS, "{\"data\":[]}", true);
    EXPECT_EQ(e.r.code, KT_OK);
    for (const char *odd :
         {"", "[]", "{}", "{\"choices\":null}", "{\"choices\":[\"text\"]}", "{\"choices\":[],\"choices\":[]}",
          "{\"choices\":[{\"text\":\"a\",\"text\":\"b\"}]}"}) {
        Body o(KT_EP_CHAT, odd, true);
        EXPECT_NE(o.r.code, KT_OK) << odd;
        EXPECT_EQ(o.c.segments, nullptr);
    }
    std::string many = "{\"choices\":[";
    for (unsigned i = 0; i <= KT_ANSWER_MAX_CHOICES; i++)
        many += i ? ",{}" : "{}";
    Body m(KT_EP_CHAT, many + "]}", true);
    EXPECT_EQ(m.r.code, KT_ERR_LIMIT);
}

TEST(Texts, MistralsOtherEndpoints)
{
    char name[] = "mistral";
    kt_target t{};
    t.provider = name;
    const struct {
        kt_endpoint e;
        const char *body, *want;
    } rows[] = {
        {KT_EP_COMPLETIONS,
         R"({"model":"m","prompt":["a"],"suffix":null,"n":2,"echo":true,"best_of":1,"logprobs":1,"user":"u","seed":3,"temperature":2,"max_tokens":9})",
         R"({"model":"x","prompt":"a","random_seed":3,"temperature":1.5,"max_tokens":9})"},
        {KT_EP_FIM, R"({"model":"m","prompt":"a","min_tokens":1,"stop":null,"unknown":1})",
         R"({"model":"x","prompt":"a","min_tokens":1})"},
        {KT_EP_EMBEDDINGS, R"({"input":["a"],"dimensions":8,"user":"u","encoding_format":"float"})",
         R"({"input":["a"],"output_dimension":8,"encoding_format":"float","model":"x"})"},
        {KT_EP_MODERATIONS, R"({"model":"m","input":"a","extra":1})", R"({"model":"x","input":"a"})"},
    };
    for (const auto &row : rows) {
        Body b(row.e, row.body);
        ASSERT_EQ(b.r.code, KT_OK) << b.err.text;
        kt_buf out = KT_BUF_INIT(1 << 16);
        ASSERT_EQ(kt_chat_body_for(&b.c, &t, "x", nullptr, &out).code, KT_OK);
        EXPECT_EQ(std::string(out.data, out.len), row.want);
        kt_buf_free(&out);
    }
}

/* ---- rewriting ---- */
