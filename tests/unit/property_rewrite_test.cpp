/* SPDX-License-Identifier: Apache-2.0 */
/* Rewriting any string of any JSON body changes that string, and not one byte more. */
#include "interceptor/dialect/kt_dialect.h"
#include "tests/unit/property_fixture.hpp"

#include <map>

namespace {

using property::Random;

/* A decoder of our own, in characters: not the one that is tested. */
std::vector<std::string> decode(const std::string &raw)
{
    std::vector<std::string> out;
    auto unit = [&](size_t at) {
        return static_cast<uint32_t>(strtoul(raw.substr(at + 2, 4).c_str(), nullptr, 16));
    };
    for (size_t i = 1; i + 1 < raw.size();) {
        std::string one;
        if (raw[i] != '\\') {
            size_t n = 1;
            while ((raw[i + n] & 0xC0) == 0x80)
                n++;
            one = raw.substr(i, n);
            i += n;
        } else if (raw[i + 1] != 'u') {
            static const std::string letters = "bfnrt\"\\/", plain = "\b\f\n\r\t\"\\/";
            one = plain[letters.find(raw[i + 1])];
            i += 2;
        } else {
            uint32_t c = unit(i);
            i += 6;
            bool high = c >= 0xD800 && c < 0xDC00;
            if (high && raw[i] == '\\' && raw[i + 1] == 'u' && unit(i) >= 0xDC00 && unit(i) < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (unit(i) - 0xDC00);
                i += 6;
            } else if (c >= 0xD800 && c < 0xE000) {
                c = 0xFFFD;
            }
            property::put_utf8(one, c);
        }
        out.push_back(one);
    }
    return out;
}

std::string joined(const std::vector<std::string> &characters, size_t from = 0, size_t to = SIZE_MAX)
{
    std::string s;
    for (size_t i = from; i < std::min(to, characters.size()); i++)
        s += characters[i];
    return s;
}

struct Json {
    kt_json j{};
    explicit Json(const std::string &text)
    {
        kt_error err{};
        EXPECT_EQ(kt_json_parse(&j, text.data(), text.size(), &err).code, KT_OK) << err.text << "\n" << text;
    }
    ~Json()
    {
        kt_json_free(&j);
    }
    Json(const Json &) = delete;
    Json &operator=(const Json &) = delete;
    std::string raw(uint32_t tok) const
    {
        struct kt_span s = kt_json_raw(&j, tok);
        return std::string(s.data, s.len);
    }
    std::vector<uint32_t> strings() const
    {
        std::vector<uint32_t> out;
        for (uint32_t i = 0; i < j.count; i++)
            if (j.tok[i].type == KT_JSON_STRING)
                out.push_back(i);
        return out;
    }
};

struct Edits {
    kt_edits e{};
    ~Edits()
    {
        kt_edits_free(&e);
    }
    std::string apply(const std::string &text)
    {
        kt_buf out = KT_BUF_INIT(64u << 20);
        EXPECT_EQ(kt_edits_apply(&e, text.data(), text.size(), &out).code, KT_OK);
        std::string s(out.data ? out.data : "", out.len);
        kt_buf_free(&out);
        return s;
    }
};

/* Ascending, non-overlapping ranges of characters with their replacements, applied to the list and to the
 * edits alike. */
std::string rewrite(Random &r, Edits &edits, const Json &doc, uint32_t tok)
{
    std::vector<std::string> was = decode(doc.raw(tok));
    std::string expected;
    size_t done = 0, bytes = 0;
    for (size_t ranges = 1 + r.below(3); ranges > 0 && done <= was.size(); ranges--) {
        size_t from = done + r.below(was.size() - done + 1), to = from + r.below(was.size() - from + 1);
        if (from == to && done > 0) /* two insertions at one place have an order of their own */
            break;
        std::string with = property::text(r, 12);
        expected += joined(was, done, from) + with;
        size_t start = bytes + joined(was, done, from).size(), end = start + joined(was, from, to).size();
        EXPECT_EQ(kt_edits_in_string(&edits.e, &doc.j, tok, start, end, with.data(), with.size()).code,
                  KT_OK);
        bytes = end;
        done = to;
    }
    return expected + joined(was, done);
}

TEST(PropertyRewrite, OneStringChangesAndNothingElse)
{
    Random r(property::seed());
    for (int i = 0; i < property::cases(2500); i++) {
        SCOPED_TRACE("seed " + std::to_string(property::seed()) + ", case " + std::to_string(i));
        std::string text = property::space(r) + property::json(r, 5) + property::space(r);
        Json doc(text);
        std::vector<uint32_t> strings = doc.strings();
        if (strings.empty())
            continue;
        uint32_t tok = r.pick(strings);
        Edits edits;
        std::string expected = rewrite(r, edits, doc, tok), out = edits.apply(text);
        size_t start = doc.j.tok[tok].start, behind = text.size() - doc.j.tok[tok].end;
        ASSERT_GE(out.size(), start + behind + 2) << text;
        ASSERT_EQ(out.substr(0, start), text.substr(0, start)) << text;
        ASSERT_EQ(out.substr(out.size() - behind), text.substr(text.size() - behind)) << text << "\n" << out;
        Json after(out);
        ASSERT_EQ(after.j.count, doc.j.count);
        ASSERT_EQ(joined(decode(after.raw(tok))), expected) << text << "\n" << out;
    }
}

TEST(PropertyRewrite, SeveralStringsOfOneBody)
{
    Random r(property::seed() + 1);
    for (int i = 0; i < property::cases(800); i++) {
        SCOPED_TRACE("seed " + std::to_string(property::seed()) + ", case " + std::to_string(i));
        std::string text = property::json(r, 5);
        Json doc(text);
        Edits edits;
        std::map<uint32_t, std::string> expected;
        for (uint32_t tok : doc.strings())
            if (r.chance(40))
                expected[tok] = rewrite(r, edits, doc, tok);
        std::string out = edits.apply(text);
        Json after(out);
        ASSERT_EQ(after.j.count, doc.j.count) << text << "\n" << out;
        for (uint32_t t = 0; t < doc.j.count; t++) {
            ASSERT_EQ(after.j.tok[t].type, doc.j.tok[t].type);
            if (expected.count(t)) {
                ASSERT_EQ(joined(decode(after.raw(t))), expected[t]) << text << "\n" << out;
            } else if (doc.j.tok[t].type != KT_JSON_OBJECT && doc.j.tok[t].type != KT_JSON_ARRAY) {
                ASSERT_EQ(after.raw(t), doc.raw(t)) << text << "\n" << out;
            }
        }
        /* what is between the tokens */
        std::string before_rest, after_rest;
        size_t a = 0, b = 0;
        for (uint32_t tok : doc.strings()) {
            before_rest += text.substr(a, doc.j.tok[tok].start - a) + "\1";
            after_rest += out.substr(b, after.j.tok[tok].start - b) + "\1";
            a = doc.j.tok[tok].end;
            b = after.j.tok[tok].end;
        }
        ASSERT_EQ(before_rest + text.substr(a), after_rest + out.substr(b));
    }
}

TEST(PropertyRewrite, RangesThatCutCharactersStillLeaveTheRestAlone)
{
    Random r(property::seed() + 2);
    for (int i = 0; i < property::cases(1500); i++) {
        SCOPED_TRACE("seed " + std::to_string(property::seed()) + ", case " + std::to_string(i));
        std::string text = "[" + property::json_string(r, 12) + "," + property::json_string(r, 20) + ",7]";
        Json doc(text);
        std::vector<std::string> was = decode(doc.raw(2));
        size_t len = joined(was).size();
        if (len == 0)
            continue;
        size_t start = r.below(len), end = start + 1 + r.below(len - start);
        Edits edits;
        ASSERT_EQ(kt_edits_in_string(&edits.e, &doc.j, 2, start, end, "X", 1).code, KT_OK);
        std::string out = edits.apply(text);
        Json after(out);
        ASSERT_EQ(after.j.count, doc.j.count);
        ASSERT_EQ(after.raw(1), doc.raw(1));
        /* every character that lies outside of the range is still there, in order, around the replacement */
        std::string before, behind;
        for (size_t k = 0, at = 0; k < was.size(); at += was[k++].size()) {
            if (at + was[k].size() <= start)
                before += was[k];
            else if (at >= end)
                behind += was[k];
        }
        ASSERT_EQ(joined(decode(after.raw(2))), before + "X" + behind)
            << text << " [" << start << "," << end << ")";
    }
}

/* ---- a chat body ---- */

std::string part(Random &r)
{
    return "{\"type\":\"text\"," + property::space(r) + "\"text\":" + property::json_string(r, 20) + "}";
}

std::string message(Random &r)
{
    static const std::vector<std::string> roles = {"system", "user", "assistant", "tool", "developer"};
    std::string m = "{\"role\":\"" + r.pick(roles) + "\"," + property::space(r) + "\"content\":";
    if (r.chance(30))
        m += "[" + part(r) + "," + part(r) + "]";
    else
        m += property::json_string(r, 40);
    if (r.chance(30))
        m += ",\"x_other\":" + property::json(r, 2);
    return m + "}";
}

TEST(PropertyRewrite, AChatBodyChangesInItsTextsOnly)
{
    Random r(property::seed() + 3);
    for (int i = 0; i < property::cases(800); i++) {
        SCOPED_TRACE("seed " + std::to_string(property::seed()) + ", case " + std::to_string(i));
        std::string text = "{\"model\":\"m\",\"x_extra\":" + property::json(r, 3) + ",\"messages\":[" +
                           message(r) + "," + property::space(r) + message(r) +
                           "],\"x_seed\":" + property::json(r, 2) + "}";
        kt_chat c;
        kt_error err{};
        const char *param = nullptr;
        ASSERT_EQ(kt_chat_parse(&c, text.data(), text.size(), &err, &param).code, KT_OK) << err.text << text;
        if (c.segment_count == 0) {
            kt_chat_free(&c);
            continue;
        }
        size_t segment = r.below(c.segment_count), len = c.segments[segment].len;
        size_t tok = c.segments[segment].tok, start = c.json.tok[tok].start, end = c.json.tok[tok].end;
        Edits edits;
        size_t from = r.below(len + 1);
        EXPECT_EQ(kt_chat_redact(&c, &edits.e, segment, from, len, "[EMAIL_1]", 9).code, KT_OK);
        kt_buf out = KT_BUF_INIT(1u << 20);
        EXPECT_EQ(kt_chat_body_for(&c, nullptr, nullptr, &edits.e, &out).code, KT_OK);
        std::string s(out.data, out.len);
        kt_buf_free(&out);
        kt_chat_free(&c);
        ASSERT_EQ(s.substr(0, start), text.substr(0, start));
        ASSERT_EQ(s.substr(s.size() - (text.size() - end)), text.substr(end));
        ASSERT_NE(s.find("[EMAIL_1]\""), std::string::npos) << text << "\n" << s;
    }
}

} // namespace
