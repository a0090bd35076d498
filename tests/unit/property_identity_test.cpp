/* SPDX-License-Identifier: Apache-2.0 */
/* A model that repeats what it got gives the program its own text back: through the whole exchange, at once
 * and streamed, whatever the text holds and whatever detectors make of its pieces. */
#include "pii_values.hpp"
#include "stream_client.hpp"

#include "policyengine/chain/kt_numbers.h"

#include <regex>

namespace {

using namespace stream_client;
using property::Random;

class Echo : public Rig {
  public:
    using Rig::Rig;
    /* What the model gets of a message. */
    std::string sent(const std::string &text)
    {
        kt_buf b = KT_BUF_INIT(16u << 20);
        stream_rig_prompt(rig(), kt_span(text.data(), text.size()));
        stream_rig_sent(rig(), &b);
        cJSON *j = cJSON_ParseWithLength(b.data ? b.data : "", b.len);
        std::string out =
            cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(j, "messages"), 0), "content")
                ->valuestring;
        cJSON_Delete(j);
        kt_buf_free(&b);
        return out;
    }
};

std::string yaml(const std::string &chain, const std::string &dlp)
{
    std::string pii = pii_values::options();
    pii.pop_back();
    return config(chain + ", audit-logger", "  pii-detector: " + pii +
                                                ", redaction: {restore: true}}\n  dlp-filter: " + dlp +
                                                "\n  audit-logger: {retention_days: 1}\n");
}

std::string spell(const std::string &s, Random &r, unsigned odd)
{
    std::string out, quoted = inside(s);
    for (size_t i = 0; i < quoted.size(); i++) {
        unsigned char c = static_cast<unsigned char>(quoted[i]);
        if (c == '\\') {
            out += quoted.substr(i, 2);
            i++;
        } else if (c < 0x80 && odd && r.chance(odd)) {
            char buf[8];
            snprintf(buf, sizeof buf, "\\u%04x", c);
            out += buf;
        } else {
            out += quoted[i];
        }
    }
    return out;
}

std::string value(Random &r)
{
    static const std::vector<std::string> others = {
        "bluebird",
        "Acme Corp",
        "EMP-12345",
        "EMP-4711",
        "AKIAIOSFODNN7EXAMPL2",
        "password: hunter2Hunter!",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "tel: 555-0199 ext. 4",
        "021000021 routing",
        "bob (at) example.org",
        "bob@example.org",
        "(415) 555-2671",
        "086095742719",
        "+49 30 901820",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"};
    return r.chance(40) ? r.pick(others)
                        : pii_values::fill(r, r.pick(r.pick(pii_values::forms()).forms)).text;
}

std::string scrap(Random &r)
{
    static const std::vector<std::string> scraps = {"Please call",
                                                    "and",
                                                    "the",
                                                    "SSN",
                                                    "card",
                                                    "phone:",
                                                    "is",
                                                    "my number is",
                                                    "account",
                                                    "IBAN",
                                                    "tel",
                                                    "Version 1.2.3.4",
                                                    "order 12345678",
                                                    "at 10:30",
                                                    "VAT",
                                                    "NHS number",
                                                    "born",
                                                    "routing number",
                                                    "-",
                                                    "(x)",
                                                    "https://a.example/b?c=1",
                                                    "foo.",
                                                    "bar@",
                                                    "1.5",
                                                    "2024-05-01",
                                                    "write",
                                                    "now",
                                                    "passport",
                                                    "Bitte rufen Sie an:",
                                                    "appelez le",
                                                    "n\xc3\xa9 le",
                                                    "llame al",
                                                    "chiamare",
                                                    "geboren am",
                                                    "[EMAIL_1]",
                                                    "[PHONE_2]",
                                                    "[email 1]",
                                                    "(EMAIL_1)",
                                                    "\\[EMAIL\\_1\\]",
                                                    "[TERM_1]",
                                                    "[",
                                                    "]",
                                                    "\\",
                                                    "\\n",
                                                    "\"",
                                                    "{",
                                                    "}",
                                                    "\\u0040",
                                                    "\\\\",
                                                    "\xf0\x9f\x98\x80",
                                                    "\xe2\x80\x8b",
                                                    "employee",
                                                    "<b>"};
    return r.pick(scraps);
}

std::string text(Random &r)
{
    static const std::vector<std::string> between = {" ", " ", " ",   ", ", ". ", "\n",
                                                     ";", "",  " - ", "\t", ": "};
    std::string out;
    for (size_t n = 1 + r.below(9); n > 0; n--)
        out += (r.chance(55) ? value(r) : scrap(r)) + r.pick(between);
    /* A number of what looks like JSON gets quotes, which stay. */
    return out[0] == '[' || out[0] == '{' ? "- " + out : out;
}

/* `text` in JSON, itself within `levels` strings of JSON. */
std::string json(Random &r, const std::string &text, unsigned levels, unsigned odd)
{
    std::string out =
        "{\"a\":\"" + spell(text, r, odd) + "\",\"b\":[\"" + spell(value(r), r, odd) + "\",true]}";
    for (; levels > 0; levels--)
        out = "{\"in\":\"" + spell(out, r, odd) + "\",\"n\":null}";
    return out;
}

/* The same, with its strings' strings spelled in one way. */
std::string plain(const std::string &source)
{
    cJSON *j = cJSON_Parse(source.c_str());
    if (!j)
        return source;
    std::string out;
    if (cJSON_IsString(j)) {
        out = plain(j->valuestring);
    } else if (cJSON_IsObject(j) || cJSON_IsArray(j)) {
        const cJSON *i;
        cJSON_ArrayForEach(i, j)
        {
            char *s = cJSON_PrintUnformatted(i);
            out += std::string(i->string ? i->string : "") + "=" + plain(s) + ";";
            cJSON_free(s);
        }
    } else {
        out = source;
    }
    cJSON_Delete(j);
    return out;
}

/* `got` is `text` but for what dlp-filter took out of it. */
bool comes_back(const std::string &text, const std::string &got)
{
    static const std::regex name("\\[(TERM|SECRET|PATTERN|CLASSIFICATION)_[0-9]+\\]");
    size_t at = 0, from = 0;
    for (std::sregex_iterator i(got.begin(), got.end(), name), none;; ++i) {
        bool last = i == none;
        size_t to = last ? got.size() : static_cast<size_t>(i->position());
        const std::string piece = got.substr(from, to - from);
        size_t found = from == 0 ? (text.compare(0, piece.size(), piece) ? std::string::npos : 0)
                       : last && text.size() >= at + piece.size() ? text.size() - piece.size()
                                                                  : text.find(piece, at);
        if (found == std::string::npos || text.compare(found, piece.size(), piece) != 0)
            return false;
        at = found + piece.size();
        if (last)
            return at == text.size();
        from = to + static_cast<size_t>(i->length());
    }
}

std::string streamed(Rig &rig, Kind kind, const std::string &text, size_t most, Random &r)
{
    Pieces p;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.size(), at + 1 + r.below(most));
        while (!starts(text, end))
            end++;
        p.push_back(text.substr(at, end - at));
        at = end;
    }
    Seen s = rig.deltas(kind, p);
    EXPECT_TRUE(s.whole) << s.body;
    return s.text;
}

template <class Same> void back(Echo &rig, const std::string &text, Kind kind, Random &r, Same same)
{
    const std::string sent = rig.sent(text), whole = rig.whole(kind, sent);
    ASSERT_TRUE(same(text, whole)) << text << "\nsent " << sent << "\ngot  " << whole;
    for (size_t most : {1, 3, 40})
        ASSERT_EQ(streamed(rig, kind, sent, most, r), whole) << text << "\nsent " << sent;
}

void each(const std::string &config, int n, const std::function<void(Echo &, Random &)> &one)
{
    kt_numbers_forget();
    Echo rig(config);
    ASSERT_TRUE(rig.good());
    Random r(property::seed() + 77);
    for (int i = 0; i < property::cases(n); i++) {
        SCOPED_TRACE("seed " + std::to_string(property::seed()) + ", case " + std::to_string(i));
        one(rig, r);
        if (testing::Test::HasFatalFailure())
            return;
    }
}

const char kDlp[] = "{blocked_terms: [bluebird, acme corp], detect_patterns: ['EMP-[0-9]{4,6}']}";
/* finds that reach over those of pii-detector */
const char kWide[] =
    "{blocked_terms: [bluebird], detect_patterns: ['(call|write) [^\\n]{1,24}', 'bird.{1,9}']}";
const char kNone[] = "{secrets: false}";

bool equal(const std::string &a, const std::string &b)
{
    return a == b;
}

TEST(PropertyIdentity, Texts)
{
    each(yaml("pii-detector", kNone), 700,
         [](Echo &e, Random &r) { back(e, text(r), Kind::Content, r, equal); });
}

TEST(PropertyIdentity, TextsWithTermsPatternsAndSecrets)
{
    each(yaml("pii-detector, dlp-filter", kDlp), 400,
         [](Echo &e, Random &r) { back(e, text(r), Kind::Content, r, comes_back); });
    each(yaml("dlp-filter, pii-detector", kDlp), 200,
         [](Echo &e, Random &r) { back(e, text(r), Kind::Content, r, comes_back); });
}

TEST(PropertyIdentity, FindsThatOverlap)
{
    each(yaml("pii-detector, dlp-filter", kWide), 300,
         [](Echo &e, Random &r) { back(e, text(r), Kind::Content, r, comes_back); });
    each(yaml("dlp-filter, pii-detector", kWide), 150,
         [](Echo &e, Random &r) { back(e, text(r), Kind::Content, r, comes_back); });
}

TEST(PropertyIdentity, OnePlaceholderStandsForFindsThatOverlap)
{
    for (const char *chain : {"pii-detector, dlp-filter", "dlp-filter, pii-detector"}) {
        kt_numbers_forget();
        Echo e(yaml(chain, kWide));
        ASSERT_TRUE(e.good());
        const std::string t = "to bob@example.org, then call bob@example.org now please", sent = e.sent(t);
        EXPECT_EQ(sent.find("bob"), std::string::npos) << sent;
        EXPECT_EQ(sent.find("call"), std::string::npos) << sent;
        EXPECT_EQ(e.whole(Kind::Content, sent), t) << sent;
        EXPECT_EQ(e.whole(Kind::Content, "about bluebird"), "about [TERM_1]") << "new words of the model";
        EXPECT_EQ(e.whole(Kind::Content, "eve@example.org").substr(0, 7), "[EMAIL_");
    }
}

TEST(PropertyIdentity, Json)
{
    each(yaml("pii-detector", kNone), 250, [](Echo &e, Random &r) {
        back(e, json(r, text(r), static_cast<unsigned>(r.below(4)), 0), Kind::Content, r, equal);
    });
    each(yaml("pii-detector, dlp-filter", kWide), 150, [](Echo &e, Random &r) {
        back(e, json(r, text(r), static_cast<unsigned>(r.below(4)), 0), Kind::Content, r, comes_back);
    });
}

TEST(PropertyIdentity, JsonWithMoreEscapesThanItNeeds)
{
    each(yaml("pii-detector", kNone), 250, [](Echo &e, Random &r) {
        back(e, json(r, text(r), static_cast<unsigned>(r.below(3)), 10), Kind::Content, r,
             [](const std::string &a, const std::string &b) { return plain(a) == plain(b); });
    });
}

/* The first member's string, out of `levels` strings around it. */
std::string taken_out(std::string source, unsigned levels)
{
    for (unsigned i = 0; i <= levels; i++) {
        cJSON *j = cJSON_Parse(source.c_str());
        const cJSON *v = j ? j->child : nullptr;
        source = cJSON_IsString(v) ? v->valuestring : "no JSON: " + source;
        cJSON_Delete(j);
    }
    return source;
}

/* Who wrote the text that the find is in must not write members of what the program acts on. */
TEST(PropertyIdentity, WhatLiesAcrossTheStructureOfJsonNeverComesBack)
{
    const std::string rest =
        "jane.doe@example.org\",\"bcc\":\"evil@evil.org\",\"n\":\"" + std::string(40, ' ') + "\"}";
    for (const char *chain : {"pii-detector, dlp-filter", "dlp-filter, pii-detector"})
        for (unsigned levels : {0u, 2u}) {
            kt_numbers_forget();
            Echo e(yaml(chain, "{secrets: false, detect_patterns: ['customer .{1,60}']}"));
            ASSERT_TRUE(e.good());
            Random r(levels);
            std::string t = "{\"who\":\"customer " + rest;
            for (unsigned i = 0; i < levels; i++)
                t = "{\"in\":\"" + inside(t) + "\"}";
            const std::string sent = e.sent(t);
            ASSERT_EQ(sent.find("evil"), std::string::npos) << sent;
            ASSERT_EQ(sent.find("jane"), std::string::npos) << sent;
            const size_t at = sent.find('[');
            const std::string name = sent.substr(at, sent.find(']') + 1 - at);
            for (Kind kind : {Kind::Arguments, Kind::Content}) {
                const std::string args = "{\"to\":\"" + name + "\",\"x\":[" + name + "]}";
                EXPECT_EQ(e.whole(kind, args), args) << sent;
                EXPECT_EQ(streamed(e, kind, args, 3, r), args) << sent;
            }
            EXPECT_EQ(e.whole(Kind::Content, sent), sent) << "repeated whole, it is no other text";
            const std::string plain = "customer " + rest, got = e.sent(plain);
            EXPECT_EQ(
                taken_out(e.whole(Kind::Arguments, "{\"to\":\"" + got.substr(0, got.find(']') + 1) + "\"}"),
                          0),
                plain.substr(0, 69))
                << "of no JSON it is a value like any other";
        }
}

/* The model puts what it got into the arguments of a tool call, or into JSON of a text. */
TEST(PropertyIdentity, TextsThatTheModelPutsIntoJson)
{
    each(yaml("pii-detector", kNone), 250, [](Echo &e, Random &r) {
        const Kind kind = r.chance(50) ? Kind::Arguments : Kind::Content;
        const unsigned levels = static_cast<unsigned>(r.below(4));
        const std::string t = text(r), args = json(r, e.sent(t), levels, 0), whole = e.whole(kind, args);
        ASSERT_EQ(taken_out(whole, levels), t) << args << "\ngot " << whole;
        ASSERT_EQ(streamed(e, kind, args, 5, r), whole) << args;
    });
}

} // namespace
