/* SPDX-License-Identifier: Apache-2.0 */
/* Which model goes to which endpoint of a target, by its name. */
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>

#include <string>

namespace {

struct Named {
    kt_target t{};
    std::string provider, model;
    Named(std::string p, std::string m) : provider(std::move(p)), model(std::move(m))
    {
        t.provider = provider.data();
        t.model = model.data();
    }
};

std::string at(const char *provider, const char *model, kt_endpoint e, const char *requested)
{
    Named n(provider, model);
    const char *m = kt_model_at(&n.t, e, requested);
    return m ? m : "(as requested)";
}

TEST(ModelNames, AChatModelIsForChatsOnly)
{
    for (const char *model :
         {"mistral-large-latest", "ministral-8b-latest", "magistral-small-2509", "open-mixtral-8x22b",
          "pixtral-12b", "devstral-small", "ft:open-mistral-7b:abc"}) {
        EXPECT_EQ(at("mistral", model, KT_EP_CHAT, "gpt-4o"), model);
        EXPECT_EQ(at("mistral", model, KT_EP_EMBEDDINGS, "text-embedding-3-small"), "mistral-embed") << model;
        EXPECT_EQ(at("mistral", model, KT_EP_MODERATIONS, "omni-moderation-latest"),
                  "mistral-moderation-latest");
        EXPECT_EQ(at("mistral", model, KT_EP_FIM, "gpt-4o"), "codestral-latest") << model;
        EXPECT_EQ(at("mistral", model, KT_EP_COMPLETIONS, nullptr), "codestral-latest") << model;
    }
}

TEST(ModelNames, WhatIsTheProvidersOwnIsKept)
{
    EXPECT_EQ(at("mistral", "mistral-large-latest", KT_EP_EMBEDDINGS, "codestral-embed"), "codestral-embed");
    EXPECT_EQ(at("mistral", "mistral-large-latest", KT_EP_EMBEDDINGS, "mistral-embed-2312"),
              "mistral-embed-2312");
    EXPECT_EQ(at("mistral", "mistral-large-latest", KT_EP_MODERATIONS, "mistral-moderation-2411"),
              "mistral-moderation-2411");
    EXPECT_EQ(at("mistral", "mistral-large-latest", KT_EP_FIM, "codestral-2405"), "codestral-2405");
    EXPECT_EQ(at("mistral", "mistral-embed", KT_EP_CHAT, "mistral-small-latest"), "mistral-small-latest");
    EXPECT_EQ(at("mistral", "mistral-large-latest", KT_EP_EMBEDDINGS, "codestral-latest"), "mistral-embed")
        << "its own, and no embedding model";
}

TEST(ModelNames, ATargetsOwnModelThatFitsIsNeverChanged)
{
    EXPECT_EQ(at("mistral", "codestral-embed", KT_EP_EMBEDDINGS, "text-embedding-3-small"),
              "codestral-embed");
    EXPECT_EQ(at("mistral", "codestral-2508", KT_EP_FIM, "codestral-2405"), "codestral-2508");
    EXPECT_EQ(at("mistral", "codestral-2508", KT_EP_CHAT, "gpt-4o"), "codestral-2508");
    EXPECT_EQ(at("mistral", "codestral-2508", KT_EP_EMBEDDINGS, "x"), "mistral-embed");
    EXPECT_EQ(at("mistral", "codestral-embed", KT_EP_FIM, "x"), "codestral-latest");
    EXPECT_EQ(at("mistral", "mistral-ocr-latest", KT_EP_CHAT, "x"), "mistral-ocr-latest")
        << "nothing better is known";
}

TEST(ModelNames, OfOtherNamesNothingIsKnown)
{
    for (kt_endpoint e : {KT_EP_CHAT, KT_EP_EMBEDDINGS, KT_EP_MODERATIONS, KT_EP_FIM, KT_EP_COMPLETIONS}) {
        EXPECT_EQ(at("mistral", "my-own", e, "mistral-embed"), "my-own");
        EXPECT_EQ(at("openai", "bge-m3", e, "text-embedding-3-small"), "bge-m3");
        EXPECT_EQ(at("openai", "gpt-oss-20b", e, "x"), "gpt-oss-20b");
        EXPECT_EQ(at("groq", "gpt-4o", e, "x"), "gpt-4o") << "a provider without a list";
    }
}

TEST(ModelNames, OpenAIsToo)
{
    EXPECT_EQ(at("openai", "gpt-4o", KT_EP_EMBEDDINGS, "mistral-embed"), "text-embedding-3-small");
    EXPECT_EQ(at("openai", "gpt-4o", KT_EP_EMBEDDINGS, "text-embedding-ada-002"), "text-embedding-ada-002");
    EXPECT_EQ(at("openai", "gpt-5-mini", KT_EP_MODERATIONS, "mistral-moderation-latest"),
              "omni-moderation-latest");
    EXPECT_EQ(at("openai", "gpt-4o-mini", KT_EP_COMPLETIONS, "x"), "gpt-3.5-turbo-instruct");
    EXPECT_EQ(at("openai", "text-embedding-3-large", KT_EP_EMBEDDINGS, "text-embedding-3-small"),
              "text-embedding-3-large");
}

} // namespace
