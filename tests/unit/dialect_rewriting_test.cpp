/* SPDX-License-Identifier: Apache-2.0 */
/* Rewriting a text changes that text only. */
#include "dialect_body.hpp"

namespace {

std::string random_text(std::mt19937 &rng)
{
    static const char *const bits[] = {
        "a", "\"", "\\", "\n",    "\x01", "\xC3\xA9", "\xF0\x9F\x98\x80", "\xE2\x82\xAC", " ", "{",
        "}", ":",  "[",  "u0041", "/",    "\x7f"};
    std::string s;
    for (unsigned n = 1 + rng() % 8; n > 0; n--)
        s += bits[rng() % 16];
    return s;
}

/* A JSON string of `s` in a random spelling. */
std::string spell(const std::string &s, std::mt19937 &rng)
{
    std::string out = "\"";
    for (size_t i = 0; i < s.size(); i++) {
        unsigned char c = static_cast<unsigned char>(s[i]);
        char hex[8];
        if (c < 0x20 || c == '"' || c == '\\' || (c < 0x80 && rng() % 4 == 0)) {
            snprintf(hex, sizeof hex, rng() % 2 ? "\\u%04x" : "\\u%04X", c);
            out += c == '"' && rng() % 2    ? "\\\""
                   : c == '\\' && rng() % 2 ? "\\\\"
                   : c == '/' && rng() % 2  ? "\\/"
                                            : hex;
        } else if (s.compare(i, 2, "\xC3\xA9") == 0 && rng() % 2) {
            out += "\\u00e9";
            i++;
        } else if (s.compare(i, 4, "\xF0\x9F\x98\x80") == 0 && rng() % 2) {
            out += "\\uD83D\\uDE00";
            i += 3;
        } else {
            out += s[i];
        }
    }
    return out + "\"";
}

struct Made {
    std::string json;
    V texts;
};

/* An answer with random texts in all kinds of places; `texts` in their order. */
Made made(std::mt19937 &rng)
{
    Made m;
    auto text = [&] {
        m.texts.push_back(random_text(rng));
        return spell(m.texts.back(), rng);
    };
    auto noise = [&] { return spell(random_text(rng), rng); };
    m.json = "{\"note\": " + text() + " ,\"n\":1.50e+3,\"choices\":[";
    for (unsigned i = 0, n = rng() % 4; i < n; i++) {
        const std::string other = random_text(rng); /* what nobody knows of a choice comes last */
        m.json += std::string(i ? ", " : "") + "{\"x\":[" + spell(other, rng) +
                  "],\"message\":{\"role\":\"assistant\",";
        switch (rng() % 3) {
        case 0:
            m.json += "\"content\":" + text();
            break;
        case 1: /* one by one: the order of operands is nobody's promise */
            m.json += "\"content\":[{\"type\":\"text\",\"text\":" + text();
            m.json += "},{\"text\":" + text();
            m.texts.push_back("z"); /* what nobody knows of a part, keys included */
            m.json += ",\"z\":" + text() + "}]";
            break;
        default:
            m.json += "\"content\":null,\"tool_calls\":[{\"id\":" + noise() +
                      ",\"function\":{\"name\":\"f\",\"arguments\":";
            m.json += text() + "}}]";
        }
        m.json += "},\"finish\":null}";
        m.texts.push_back(other);
    }
    m.json += "]\n}";
    return m;
}

} // namespace

TEST(Rewriting, AnyStringOfAnyBodyChangesThatStringOnly)
{
    std::mt19937 rng(7);
    for (int round = 0; round < 3000; round++) {
        Made m = made(rng);
        Body b(KT_EP_CHAT, m.json, true);
        ASSERT_EQ(b.r.code, KT_OK) << m.json << b.err.text;
        ASSERT_EQ(b.c.segment_count, m.texts.size());
        if (m.texts.empty())
            continue;
        size_t which = rng() % m.texts.size();
        ASSERT_EQ(std::string(b.c.segments[which].text, b.c.segments[which].len), m.texts[which]);
        /* A range of whole characters, and what comes there. */
        auto start_of = [&](size_t at) {
            while (at > 0 && (static_cast<unsigned char>(m.texts[which][at]) & 0xC0) == 0x80)
                at--;
            return at;
        };
        size_t from = start_of(rng() % m.texts[which].size()), to = m.texts[which].size();
        if (rng() % 2)
            to = std::max(from, start_of(rng() % to));
        std::string with = random_text(rng), want = m.texts[which];
        want.replace(from, to - from, with);
        kt_edits edits = {};
        kt_buf out = KT_BUF_INIT(1 << 20);
        ASSERT_EQ(kt_chat_redact(&b.c, &edits, which, from, to, with.data(), with.size()).code, KT_OK);
        ASSERT_EQ(kt_edits_apply(&edits, m.json.data(), m.json.size(), &out).code, KT_OK);
        std::string now(out.data, out.len);
        kt_buf_free(&out);
        kt_edits_free(&edits);
        /* Around the string every byte is as it was. */
        const kt_json_tok &tok = b.c.json.tok[b.c.segments[which].tok];
        size_t behind = m.json.size() - tok.end;
        ASSERT_EQ(now.substr(0, tok.start + 1), m.json.substr(0, tok.start + 1));
        ASSERT_EQ(now.substr(now.size() - behind - 1), m.json.substr(tok.end - 1));
        Body again(KT_EP_CHAT, now, true);
        ASSERT_EQ(again.r.code, KT_OK) << now;
        for (size_t i = 0; i < m.texts.size(); i++)
            ASSERT_EQ(std::string(again.c.segments[i].text, again.c.segments[i].len),
                      i == which ? want : m.texts[i]);
    }
}

TEST(Rewriting, LandsInsideJsonThatStandsInAString)
{
    std::mt19937 rng(11);
    for (int round = 0; round < 2000; round++) {
        std::string value = random_text(rng), other = random_text(rng), with = random_text(rng);
        std::string inner = "{\"a\":" + spell(value, rng) + ",\"b\":[" + spell(other, rng) + ",1]}";
        std::string outer =
            "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":" +
            spell(inner, rng) + "}}]}}]}";
        Body b(KT_EP_CHAT, outer, true);
        ASSERT_EQ(b.r.code, KT_OK);
        ASSERT_EQ(std::string(b.c.segments[0].text, b.c.segments[0].len), inner);
        EXPECT_TRUE(b.c.segments[0].json);
        /* The whole value, as it is spelt in the inner source, for an escaped one. */
        size_t from = 6, to = inner.find(",\"b\":[") - 1;
        kt_buf escaped = KT_BUF_INIT(1 << 16), out = KT_BUF_INIT(1 << 16);
        kt_edits edits = {};
        ASSERT_EQ(kt_buf_json(&escaped, with.data(), with.size()).code, KT_OK);
        to = inner.rfind(",\"b\":[") - 1;
        ASSERT_EQ(kt_chat_redact(&b.c, &edits, 0, from, to, escaped.data, escaped.len).code, KT_OK);
        ASSERT_EQ(kt_edits_apply(&edits, outer.data(), outer.size(), &out).code, KT_OK);
        std::string now(out.data, out.len);
        Body again(KT_EP_CHAT, now, true);
        ASSERT_EQ(again.r.code, KT_OK) << now;
        std::unique_ptr<cJSON, void (*)(cJSON *)> args(cJSON_Parse(again.c.segments[0].text), cJSON_Delete);
        ASSERT_NE(args, nullptr) << again.c.segments[0].text;
        EXPECT_EQ(cJSON_GetObjectItem(args.get(), "a")->valuestring, with);
        EXPECT_EQ(cJSON_GetArrayItem(cJSON_GetObjectItem(args.get(), "b"), 0)->valuestring, other);
        kt_buf_free(&escaped);
        kt_buf_free(&out);
        kt_edits_free(&edits);
    }
}
