// SPDX-License-Identifier: Apache-2.0
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

enum kt_endpoint endpoint(const char *method, const std::string &target)
{
    return kt_endpoint_of(kt_span(method, strlen(method)), kt_span(target.data(), target.size()));
}

TEST(Endpoint, KnowsChatInEveryDisguise)
{
    for (const char *t : {"/v1/chat/completions",
                          "/chat/completions",
                          "/v1/chat/completions?api-version=1&x=/models",
                          "https://api.openai.com/v1/chat/completions",
                          "http://h:8080/chat/completions#f",
                          "/openai/deployments/d/chat/completions?api-version=2024-02-01",
                          "/v1/chat/completions/",
                          "/v1//chat///completions",
                          "/v1/chat/./completions",
                          "/v1/x/../chat/completions",
                          "/v1/chat%2fcompletions",
                          "/v1/chat%2Fcompletions",
                          "/v1/%63hat/completions",
                          "/v1/Chat/Completions",
                          "/v1/chat\\completions",
                          "/v1/chat/completions/x/..",
                          "chat/completions",
                          "/../../v1/chat/completions",
                          "/v1/chat/completions/%2e",
                          "/v1/chat/completions%20%09",
                          "v1/chat/completions"})
        EXPECT_EQ(endpoint("POST", t), t[0] == 'c' ? KT_EP_UNKNOWN : KT_EP_CHAT) << t;
    EXPECT_EQ(endpoint("POST", (std::string(3000, '/') + "v1/chat/completions").c_str()), KT_EP_CHAT);
}

TEST(Endpoint, KnowsTheOnesThatTakePlainText)
{
    const struct {
        const char *target;
        kt_endpoint want;
    } rows[] = {
        {"/v1/completions", KT_EP_COMPLETIONS},
        {"/completions", KT_EP_COMPLETIONS},
        {"//v1//Completions/?x=1", KT_EP_COMPLETIONS},
        {"/v1beta/completions", KT_EP_COMPLETIONS},
        {"/openai/deployments/my-model/completions?api-version=1", KT_EP_COMPLETIONS},
        {"/v1/engines/davinci/completions", KT_EP_COMPLETIONS},
        {"/v1/fim/completions", KT_EP_FIM},
        {"/v1/fim%2fcompletions", KT_EP_FIM},
        {"/v1/embeddings", KT_EP_EMBEDDINGS},
        {"/v1/engines/ada/embeddings", KT_EP_EMBEDDINGS},
        {"/v1/moderations", KT_EP_MODERATIONS},
        {"/verse/completions", KT_EP_UNKNOWN},
        {"/v/completions", KT_EP_UNKNOWN},
    };
    for (const auto &row : rows)
        EXPECT_EQ(endpoint("POST", row.target), row.want) << row.target;
    EXPECT_STREQ(kt_endpoint_path(KT_EP_COMPLETIONS), "/completions");
    EXPECT_STREQ(kt_endpoint_path(KT_EP_EMBEDDINGS), "/embeddings");
    char mistral[] = "mistral", other[] = "openai";
    kt_target t{};
    t.provider = mistral;
    EXPECT_STREQ(kt_endpoint_path_at(KT_EP_COMPLETIONS, &t), "/fim/completions");
    EXPECT_STREQ(kt_endpoint_path_at(KT_EP_FIM, &t), "/fim/completions");
    EXPECT_STREQ(kt_endpoint_path_at(KT_EP_CHAT, &t), "/chat/completions");
    t.provider = other;
    EXPECT_STREQ(kt_endpoint_path_at(KT_EP_COMPLETIONS, &t), "/completions");
}

TEST(Endpoint, Models)
{
    char id[KT_MODEL_ID_MAX + 1];
    for (const char *t : {"/v1/models", "/models", "/v1/models/", "//v1/./Models?limit=3",
                          "https://api.openai.com/v1/models"}) {
        EXPECT_EQ(endpoint("GET", t), KT_EP_MODELS) << t;
        EXPECT_FALSE(kt_endpoint_model(kt_span(t, strlen(t)), id)) << t;
    }
    const struct {
        const char *target, *id;
    } rows[] = {{"/v1/models/gpt-4o", "gpt-4o"},
                {"/v1/models/org%2Fname", "org/name"},
                {"/v1/models/org/models/x?y", "org/models/x"},
                {"/models/%22%0a", "\"\n"}};
    for (const auto &row : rows) {
        EXPECT_EQ(endpoint("GET", row.target), KT_EP_MODELS) << row.target;
        ASSERT_TRUE(kt_endpoint_model(kt_span(row.target, strlen(row.target)), id)) << row.target;
        EXPECT_STREQ(id, row.id);
    }
    for (const std::string &t : {std::string("/v1/models/a%00b"), "/v1/models/" + std::string(256, 'a')})
        EXPECT_FALSE(kt_endpoint_model(kt_span(t.data(), t.size()), id));
}

TEST(Endpoint, EverythingElseIsUnknown)
{
    EXPECT_EQ(endpoint("GET", "/v1/chat/completions"), KT_EP_UNKNOWN);
    for (const char *t : {"/v1/chat/models", "/models.json", "/v1/modelsx", "/v1/tuned/models/a", "/v1", "/"})
        EXPECT_EQ(endpoint("GET", t), KT_EP_UNKNOWN) << t;
    EXPECT_EQ(endpoint("DELETE", "/v1/models/a"), KT_EP_UNKNOWN);
    EXPECT_EQ(endpoint("post", "/v1/chat/completions"), KT_EP_UNKNOWN);
    for (const char *t : {"",
                          "/",
                          "*",
                          "/v1/models",
                          "/v1/chat",
                          "/v1/agents/completions",
                          "/v1/chat/moderations",
                          "/v1/audio/embeddings",
                          "/completionsx",
                          "/v1/x/completions",
                          "/v1/chat/completions/abc",
                          "/v1/chat/completionsx",
                          "/v1/xchat/completions",
                          "/v1/models?x=/chat/completions",
                          "https://api.openai.com",
                          "http://",
                          "://",
                          "/v1/chat/completions/../x",
                          "%",
                          "/%2",
                          "/v1/chat/completions%00",
                          "api.openai.com:443",
                          "/v1/chat/completions/messages"})
        EXPECT_EQ(endpoint("POST", t), KT_EP_UNKNOWN) << t;
    EXPECT_EQ(endpoint("POST", "/" + std::string(5000, 'a') + "/chat/completions"), KT_EP_UNKNOWN);
    EXPECT_STREQ(kt_endpoint_path(KT_EP_CHAT), "/chat/completions");
    EXPECT_STREQ(kt_endpoint_path(KT_EP_UNKNOWN), "");
}

struct Chat {
    std::string body;
    kt_chat c{};
    kt_error err{};
    const char *param = "unset";
    kt_result r;
    explicit Chat(std::string b) : body(std::move(b))
    {
        r = kt_chat_parse(&c, body.data(), body.size(), &err, &param);
    }
    ~Chat()
    {
        kt_chat_free(&c);
    }
    Chat(const Chat &) = delete;
    Chat &operator=(const Chat &) = delete;

    /* `all`: labels and names, too. */
    std::vector<std::string> texts(bool all = false) const
    {
        static const char *const names[] = {"system",    "user",  "assistant", "tool", "call",
                                            "reasoning", "offer", "label",     "name"};
        std::vector<std::string> v;
        for (size_t i = 0; i < c.segment_count; i++)
            if (all || c.segments[i].from < KT_FROM_LABEL)
                v.push_back(std::string(names[c.segments[i].from]) + ":" +
                            std::string(c.segments[i].text, c.segments[i].len));
        return v;
    }
    std::string body_for(const char *provider, const char *model, kt_edits *edits = nullptr) const
    {
        kt_target t{};
        std::string name = provider ? provider : "";
        t.provider = provider ? name.data() : nullptr;
        kt_buf out = KT_BUF_INIT(1 << 20);
        EXPECT_EQ(kt_chat_body_for(&c, &t, model, edits, &out).code, KT_OK);
        std::string s(out.data ? out.data : "", out.len);
        kt_buf_free(&out);
        return s;
    }
};

using V = std::vector<std::string>;

std::string with_messages(const std::string &m)
{
    return "{\"model\":\"m\",\"messages\":[" + m + "]}";
}

TEST(Chat, ReadsWhatGoesAlongWithTheRequest)
{
    Chat c("{\"model\":\"m\",\"user\":\"ann@example.org\",\"stop\":[\"END\",\"\\u0042YE\"],\"messages\":[{"
           "\"role\":"
           "\"user\",\"content\":\"hi\"}],\"metadata\":{\"who\":\"bob\",\"deep\":{\"list\":[\"x\",1,null]}},"
           "\"safety_identifier\":\"s1\",\"prompt_cache_key\":\"k\"}");
    ASSERT_EQ(c.r.code, KT_OK) << c.err.text;
    EXPECT_EQ(c.texts(true), (V{"user:hi", "label:ann@example.org", "label:END", "label:BYE", "label:who",
                                "label:bob", "label:deep", "label:list", "label:x", "label:s1", "label:k"}));
    Chat foreign("{\"model\":\"m\",\"documents\":[{\"text\":\"ann@example.org\"}],\"messages\":[],\"logit_"
                 "bias\":{\"1\":2},\"prompt\":\"p\",\"a@b.c\":1}");
    EXPECT_EQ(foreign.texts(true),
              (V{"label:documents", "label:ann@example.org", "label:1", "label:p", "label:a@b.c"}));
    for (const char *odd : {"null", "7", "[]", "{}", "true", "\"\""}) {
        Chat other(std::string("{\"model\":\"m\",\"messages\":[],\"user\":") + odd + "}");
        EXPECT_EQ(other.r.code, KT_OK) << odd;
        EXPECT_EQ(other.c.segment_count, 0u) << odd;
    }
    for (const char *name : {"user", "safety_identifier", "prompt_cache_key", "metadata", "stop"}) {
        std::string member = std::string("\"") + name + "\":\"a\"";
        Chat twice("{\"messages\":[]," + member + "," + member + "}");
        EXPECT_EQ(twice.r.code, KT_ERR_USAGE) << name;
        EXPECT_STREQ(twice.param, name);
    }
}

/* To servers in Go "Messages" is a second list of them. */
TEST(Chat, KeysThatDifferInCaseOnlyAreRefused)
{
    for (const char *body :
         {R"({"messages":[],"Messages":[]})", R"({"messages":[],"TOOLS":[]})",
          R"({"messages":[],"\u0054ools":[]})", R"({"messages":[{"role":"user","Content":"x"}]})",
          R"({"messages":[{"role":"user","content":"x","tool_Calls":[]}]})"}) {
        Chat c(body);
        EXPECT_EQ(c.r.code, KT_ERR_USAGE) << body;
        EXPECT_NE(std::string(c.err.text).find("in case only"), std::string::npos) << c.err.text;
    }
    Chat other(R"({"messages":[],"X-Custom":1,"topK":2,"metadata":{"Messages":"a"}})");
    EXPECT_EQ(other.r.code, KT_OK) << other.err.text;
}

TEST(Chat, ReadsTheTopLevel)
{
    Chat c("{\"model\":\"gpt-4\\u006f\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
           "\"messages\":[]}");
    ASSERT_EQ(c.r.code, KT_OK) << c.err.text;
    EXPECT_STREQ(c.c.model, "gpt-4o");
    EXPECT_TRUE(c.c.stream);
    EXPECT_TRUE(c.c.include_usage);
    EXPECT_EQ(c.c.segment_count, 0u);
    EXPECT_EQ(c.param, nullptr);

    Chat d("{\"messages\":[],\"stream\":null,\"stream_options\":null,\"model\":null}");
    ASSERT_EQ(d.r.code, KT_OK);
    EXPECT_EQ(d.c.model, nullptr);
    EXPECT_NE(d.c.model_tok, 0u);
    EXPECT_FALSE(d.c.stream);
    Chat e("{\"messages\":[],\"stream\":false,\"stream_options\":{\"include_usage\":false}}");
    EXPECT_FALSE(e.c.stream || e.c.include_usage);
}

TEST(Chat, FindsEveryText)
{
    Chat c(with_messages(
        "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"content\":\"d\"},{\"role\":"
        "\"user\",\"content\":\"u\\n\\u00e9\",\"name\":\"bob\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"p1\"},{\"type\":\"image_url\",\"image_"
        "url\":{\"url\":\"data:x\"}},{\"text\":\"p2\",\"type\":\"text\"}]},"
        "{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":\"no\",\"tool_calls\":[{\"id\":\"i\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"q\\\":1}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"i\",\"content\":\"t\",\"name\":\"f\"},{\"content\":[{\"type\":"
        "\"text\",\"text\":\"tp\"}],\"role\":\"tool\"},"
        "{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"old\"}},{"
        "\"role\":\"function\",\"name\":\"f\",\"content\":\"fr\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"rp\"}]}"));
    ASSERT_EQ(c.r.code, KT_OK) << c.err.text;
    EXPECT_EQ(c.texts(), (V{"system:s", "system:d", "user:u\n\xc3\xa9", "user:bob", "user:p1", "user:p2",
                            "assistant:a", "assistant:no", "call:{\"q\":1}", "tool:t", "tool:tp", "call:old",
                            "tool:fr", "assistant:rp"}));
}

TEST(Chat, FindsTextsInUnusualPlaces)
{
    Chat c(with_messages("{\"role\":\"user\",\"content\":[\"bare\",[\"nested\"],{\"type\":\"new_thing\","
                         "\"text\":\"unknown type\"}]},"
                         "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":[{"
                         "\"type\":\"text\",\"text\":\"deep\"}]}],\"reasoning_content\":\"rc\"},"
                         "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":[{\"type\":"
                         "\"text\",\"text\":\"inner\"}]}]},"
                         "{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":{\"to\":\"x@"
                         "y\",\"l\":[\"z\",{\"k\":1}],\"text\":\"w\"}}},"
                         "{\"type\":\"custom\",\"custom\":{\"name\":\"n\",\"input\":\"free\"}}]},"
                         "{\"content\":\"no role\"},{\"role\":\"wizard\",\"content\":\"odd "
                         "role\"},{\"role\":7,\"content\":\"bad role\"}"));
    ASSERT_EQ(c.r.code, KT_OK) << c.err.text;
    EXPECT_EQ(c.texts(), (V{"user:bare", "user:nested", "user:unknown type", "reasoning:deep", "reasoning:rc",
                            "user:inner", "call:to", "call:x@y", "call:l", "call:z", "call:k", "call:text",
                            "call:w", "call:free", "user:no role", "user:odd role", "user:bad role"}));

    Chat p("{\"prediction\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"file\"}]},"
           "\"messages\":[{\"role\":\"user\",\"content\":\"u\"}]}");
    EXPECT_EQ(p.texts(), (V{"user:u", "assistant:file"}));
}

TEST(Chat, EscapedKeysAndRolesAreNoHidingPlace)
{
    Chat c("{\"m\\u0065ssages\":[{\"r\\u006fle\":\"t\\u006fol\",\"c\\u006fntent\":\"x\\u0000y\"}]}");
    ASSERT_EQ(c.r.code, KT_OK);
    EXPECT_EQ(c.texts(), (V{std::string("tool:x\0y", 8)}));
}

TEST(Chat, RefusesDuplicates)
{
    struct {
        const char *body, *param;
    } cases[] = {
        {"{\"messages\":[],\"messages\":[]}", "messages"},
        {"{\"messages\":[],\"m\\u0065ssages\":[]}", "messages"},
        {"{\"model\":\"a\",\"model\":\"a\",\"messages\":[]}", "model"},
        {"{\"stream\":true,\"messages\":[],\"stream\":false}", "stream"},
        {"{\"messages\":[],\"stream_options\":{\"include_usage\":true,\"include_usage\":true}}",
         "include_usage"},
        {"{\"messages\":[{\"role\":\"user\",\"role\":\"user\",\"content\":\"x\"}]}", "messages"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"content\":\"y\"}]}", "messages"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"c\\u006fntent\":[]}]}", "messages"},
        {"{\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"x\",\"text\":\"y\"}]}]}", "messages"},
        {"{\"messages\":[{\"content\":[{\"type\":\"text\",\"type\":\"x\",\"text\":\"y\"}]}]}", "messages"},
        {"{\"messages\":[{\"tool_calls\":[],\"tool_calls\":[]}]}", "messages"},
        {"{\"messages\":[{\"tool_calls\":[{\"function\":{\"arguments\":\"\",\"arguments\":\"\"}}]}]}",
         "messages"},
        {"{\"messages\":[{\"tool_calls\":[{\"function\":{},\"function\":{}}]}]}", "messages"},
        {"{\"messages\":[{\"function_call\":{},\"function_call\":{}}]}", "messages"},
        {"{\"messages\":[],\"prediction\":{\"content\":\"\",\"content\":\"\"}}", "prediction"},
    };
    for (const auto &c : cases) {
        Chat d(c.body);
        EXPECT_EQ(d.r.code, KT_ERR_USAGE) << c.body;
        EXPECT_STREQ(d.param, c.param) << c.body;
        EXPECT_STRNE(d.err.text, "");
        EXPECT_EQ(d.c.segments, nullptr);
    }
    EXPECT_EQ(Chat("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\",\"content\":"
                   "\"x\"}],\"x\":1,\"x\":2}")
                  .r.code,
              KT_OK)
        << "the same key in two messages, or one that nobody reads";
}

TEST(Chat, RefusesWrongShapes)
{
    struct {
        const char *body;
        kt_code code;
        const char *param;
    } cases[] = {{"", KT_ERR_SYNTAX, nullptr},
                 {"{", KT_ERR_SYNTAX, nullptr},
                 {"[]", KT_ERR_USAGE, nullptr},
                 {"\"messages\"", KT_ERR_USAGE, nullptr},
                 {"{}", KT_ERR_USAGE, "messages"},
                 {"{\"messages\":{}}", KT_ERR_USAGE, "messages"},
                 {"{\"messages\":\"hi\"}", KT_ERR_USAGE, "messages"},
                 {"{\"messages\":[\"hi\"]}", KT_ERR_USAGE, "messages"},
                 {"{\"messages\":[{\"content\":{\"text\":\"x\"}}]}", KT_ERR_USAGE, "messages"},
                 {"{\"messages\":[{\"content\":1}]}", KT_ERR_USAGE, "messages"},
                 {"{\"messages\":[],\"model\":1}", KT_ERR_USAGE, "model"},
                 {"{\"messages\":[],\"model\":\"a\\u0000b\"}", KT_ERR_USAGE, "model"},
                 {"{\"messages\":[],\"stream\":\"true\"}", KT_ERR_USAGE, "stream"},
                 {"{\"messages\":[],\"stream\":1}", KT_ERR_USAGE, "stream"}};
    for (const auto &c : cases) {
        Chat d(c.body);
        EXPECT_EQ(d.r.code, c.code) << c.body;
        EXPECT_STREQ(d.param ? d.param : "", c.param ? c.param : "") << c.body;
        EXPECT_STRNE(d.err.text, "") << c.body;
    }
    EXPECT_EQ(Chat("{\"messages\":[],\"model\":\"" + std::string(600, 'm') + "\"}").r.code, KT_ERR_USAGE);
    kt_chat plain;
    EXPECT_EQ(kt_chat_parse(&plain, "x", 1, nullptr, nullptr).code, KT_ERR_SYNTAX);
}

TEST(Chat, ErrorTextsNeverQuoteTheBody)
{
    for (const char *b : {"{\"messages\":[{\"content\":{\"secret\":1}}]}", "{secret",
                          "{\"model\":[\"secret\"],\"messages\":[]}", "\"secret\" secret"})
        EXPECT_EQ(std::string(Chat(b).err.text).find("secret"), std::string::npos) << b;
}

TEST(Chat, TruncationAtEveryByteIsAnError)
{
    std::string b =
        with_messages("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\\ud83d\\ude00\"}]}");
    ASSERT_EQ(Chat(b).r.code, KT_OK);
    for (size_t n = 0; n < b.size(); n++)
        EXPECT_EQ(Chat(b.substr(0, n)).r.code, KT_ERR_SYNTAX) << n;
}

TEST(Chat, TheNumberOfTextsIsCapped)
{
    std::string many;
    for (size_t i = 0; i < KT_CHAT_MAX_SEGMENTS; i++)
        many += "\"x\",";
    EXPECT_EQ(Chat(with_messages("{\"content\":[" + many + "\"\"]}")).r.code, KT_OK);
    Chat over(with_messages("{\"content\":[" + many + "\"x\"]}"));
    EXPECT_EQ(over.r.code, KT_ERR_LIMIT);
    EXPECT_STRNE(over.err.text, "");
}

TEST(Chat, DeepContentIsWalkedWithoutTheStack)
{
    std::string open(KT_JSON_MAX_DEPTH - 3, '['), close(KT_JSON_MAX_DEPTH - 3, ']');
    Chat c(with_messages("{\"content\":" + open + "\"deep\"" + close + "}"));
    EXPECT_EQ(c.r.code, KT_OK);
    EXPECT_EQ(c.texts(), (V{"user:deep"}));
}

const char *const odd =
    "{ \"model\" : \"gpt-4o\" ,\n \"x\":12345678901234567890123.10e0, \"messages\":[ "
    "{\"role\":\"user\",\"content\":\"mail \\u0061@b.c\\n\"} ], \"z\":{\"\\u00e9\":null,\"é\":[1 ,2]} }\n";

TEST(Body, NothingToChangeIsTheSameBytes)
{
    Chat c(odd);
    EXPECT_EQ(c.body_for("openai", nullptr), odd);
    EXPECT_EQ(c.body_for("somebody", nullptr), odd);
    EXPECT_EQ(c.body_for(nullptr, "gpt-4o"), odd);
}

TEST(Body, RedactionAndModelTouchNothingElse)
{
    Chat c(odd);
    kt_edits e{};
    ASSERT_EQ(kt_chat_redact(&c.c, &e, 0, 5, 10, "[EMAIL_1]", 9).code, KT_OK);
    EXPECT_EQ(kt_chat_redact(&c.c, &e, c.c.segment_count, 0, 0, "", 0).code, KT_ERR_STATE);
    EXPECT_EQ(kt_chat_redact(&c.c, &e, 0, 5, 99, "", 0).code, KT_ERR_STATE);
    std::string expect = odd;
    expect.replace(expect.find("\\u0061@b.c"), 10, "[EMAIL_1]");
    expect.replace(expect.find("gpt-4o"), 6, "my \\\"model\\\"");
    EXPECT_EQ(c.body_for("openai", "my \"model\"", &e), expect);
    EXPECT_EQ(c.body_for("openai", "my \"model\"", &e), expect) << "the policy's edits serve every attempt";
    kt_edits_free(&e);
}

TEST(Body, TheModelIsAddedWhereThereIsNone)
{
    EXPECT_EQ(Chat("{\"messages\":[]}").body_for("openai", "m"), "{\"messages\":[],\"model\":\"m\"}");
    EXPECT_EQ(Chat("{\"model\":null,\"messages\":[]}").body_for("openai", "m"),
              "{\"model\":\"m\",\"messages\":[]}");
}

TEST(Providers, TableIsComplete)
{
    size_t n;
    const kt_provider *const *p = kt_providers(&n);
    ASSERT_GE(n, 2u);
    for (size_t i = 0; i < n; i++) {
        EXPECT_EQ(kt_provider_find(p[i]->name), p[i]) << "names are unique";
        EXPECT_NE(p[i]->help, nullptr);
    }
    EXPECT_STREQ(kt_provider_find("mistral")->base_url, "https://api.mistral.ai/v1");
    EXPECT_STREQ(kt_provider_find("openai")->key_env, "OPENAI_API_KEY");
    EXPECT_EQ(kt_provider_find("nobody"), nullptr);
    EXPECT_EQ(kt_provider_find(nullptr), nullptr);
}

} // namespace
