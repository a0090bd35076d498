/* SPDX-License-Identifier: Apache-2.0 */
/* However a stream is cut, the client gets what the whole answer would have given it, and never a byte of a
 * value: every kind of personal data, in texts and in the arguments of tool calls. */
#include "pii_values.hpp"
#include "slow.hpp"
#include "stream_client.hpp"

#include "policyengine/detect/kt_pii.h"

#include <algorithm>

namespace {

using namespace stream_client;
using pii_values::Text;
using property::Random;

constexpr size_t kTexts = 200; // of every kind
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kExchanges = 50; // memory is the same in all of them
#else
constexpr size_t kExchanges = kTexts;
#endif

std::string yaml()
{
    return config("pii-detector, audit-logger", std::string("  pii-detector: ") + pii_values::options() +
                                                    "\n  audit-logger: {retention_days: 1}\n");
}

size_t texts_per_kind(size_t usual)
{
    return static_cast<size_t>(std::max(1, property::cases(static_cast<int>(usual))));
}

/* JSON source with this string: some characters are escapes, those past the BMP pairs of them. */
std::string source(const std::string &text, Random &r)
{
    std::string out = "{\"q\":\"", buf(16, '\0');
    for (size_t i = 0; i < text.size(); i++) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        if (text.compare(i, 4, "\xf0\x9f\x98\x80") == 0) {
            out += "\\ud83d\\ude00";
            i += 3;
        } else if (c < 0x80 && (c == '@' || c == '"' || c == '\\' || c < 0x20 || r.chance(15))) {
            out += buf.substr(0, static_cast<size_t>(snprintf(&buf[0], buf.size(), "\\u%04x", c)));
        } else {
            out += text[i];
        }
    }
    return out + "\"}";
}

/* The inside of a JSON string with more escapes than it needs. */
std::string escapes(const std::string &json, Random &r)
{
    std::string out;
    for (size_t i = 0; i < json.size(); i++) {
        if (json[i] == '\\') {
            out += json.substr(i, 2);
            i++;
        } else if (json[i] == '@' || (static_cast<unsigned char>(json[i]) < 0x80 && r.chance(10))) {
            char buf[8];
            snprintf(buf, sizeof buf, "\\u%04x", static_cast<unsigned char>(json[i]));
            out += buf;
        } else if (json.compare(i, 4, "\xf0\x9f\x98\x80") == 0) {
            out += "\\ud83d\\ude00";
            i += 3;
        } else {
            out += json[i];
        }
    }
    return out;
}

/* Cuts between bytes, within characters and escapes too: the windows that policies see. */
void every_window(policy_test::Policy &pii, const std::string &text, kt_origin_class from)
{
    const std::string want = pii.run({text}, from, KT_PHASE_RESPONSE).text;
    for (size_t at = 0; at <= text.size(); at += slow::stride())
        ASSERT_EQ(pii.run({text.substr(0, at), text.substr(at)}, from, KT_PHASE_RESPONSE).text, want)
            << at << ": " << text;
    for (size_t size : {1, 2, 3, 7}) {
        Pieces p;
        for (size_t at = 0; at < text.size(); at += size)
            p.push_back(text.substr(at, size));
        ASSERT_EQ(pii.run(p, from, KT_PHASE_RESPONSE).text, want) << size << ": " << text;
    }
}

/* Without \uXXXX, whose digits may look like a short value. */
std::string without_escapes(std::string s)
{
    for (size_t at = 0; (at = s.find("\\u", at)) != std::string::npos;)
        s.replace(at, std::min<size_t>(6, s.size() - at), " ");
    return s;
}

void same(const Seen &s, const std::string &want, const std::string &value, const std::string &how)
{
    ASSERT_TRUE(s.whole) << how << "\n" << s.body;
    ASSERT_EQ(s.text, want) << how;
    ASSERT_EQ(s.finish.substr(0, 4), "stop"); /* some say it twice, and so do we */
    ASSERT_EQ(without_escapes(s.body).find(value), std::string::npos) << how;
}

/* Whole deltas: every cut between characters, and pieces of four sizes. */
void through_exchange(Rig &rig, Kind kind, const std::string &text, const std::string &value)
{
    const std::string want = rig.whole(kind, text);
    for (size_t at = 0; at <= text.size(); at += slow::stride())
        if (starts(text, at))
            same(rig.deltas(kind, cut_once(text, at)), want, value,
                 "cut at " + std::to_string(at) + " of " + text);
    for (size_t size : {1, 2, 3, 7})
        same(rig.deltas(kind, cut(text, size)), want, value,
             "pieces of " + std::to_string(size) + " of " + text);
}

template <class Fn> void each_kind(size_t n, Fn fn)
{
    policy_test::Policy pii(policy_test::Yaml{pii_values::options()}, "pii-detector");
    Random r(property::seed());
    size_t kinds;
    kt_pii_kinds(&kinds);
    ASSERT_EQ(pii_values::forms().size(), kinds) << "a kind without a form";
    for (auto &form : pii_values::forms())
        for (const Text &t : pii_values::texts(pii, form, n, r)) {
            fn(pii, t, r);
            if (testing::Test::HasFatalFailure())
                return;
        }
}

TEST(StreamProperty, EveryCutOfEveryKind)
{
    each_kind(texts_per_kind(kTexts), [](policy_test::Policy &pii, const Text &t, Random &) {
        every_window(pii, t.text, KT_FROM_ASSISTANT);
    });
}

TEST(StreamProperty, EveryCutOfEveryKindInArguments)
{
    each_kind(texts_per_kind(kTexts), [](policy_test::Policy &pii, const Text &t, Random &r) {
        every_window(pii, source(t.text, r), KT_FROM_TOOL_CALL);
    });
}

TEST(StreamProperty, TheClientGetsTheSameText)
{
    Rig rig(yaml());
    ASSERT_TRUE(rig.good());
    each_kind(texts_per_kind(slow::fewer(kExchanges, 10)),
              [&](policy_test::Policy &, const Text &t, Random &) {
                  through_exchange(rig, Kind::Content, t.text, t.value);
              });
}

TEST(StreamProperty, TheClientGetsTheSameArguments)
{
    Rig rig(yaml());
    ASSERT_TRUE(rig.good());
    each_kind(texts_per_kind(slow::fewer(kExchanges, 10)),
              [&](policy_test::Policy &, const Text &t, Random &r) {
                  through_exchange(rig, Kind::Arguments, source(t.text, r), t.value);
              });
}

/* The bytes on the wire: within line ends, escapes, characters and between the events. */
TEST(StreamProperty, EveryByteOfTheTransport)
{
    Rig rig(yaml());
    ASSERT_TRUE(rig.good());
    size_t n = 0;
    each_kind(texts_per_kind(2), [&](policy_test::Policy &, const Text &t, Random &r) {
        static const std::string ends[] = {"\n", "\r\n", "\r"};
        const Kind kind = n % 2 ? Kind::Arguments : Kind::Content;
        const std::string end = ends[n++ % 3];
        const std::string text = n % 2 ? t.text : source(t.text, r);
        std::string lines = event("{\"role\":\"assistant\",\"content\":\"\"}"), wire;
        /* Some servers say in every chunk that it is the end: only what follows tells. */
        const bool said = r.chance(50), apart = !said || r.chance(50);
        for (auto &p : cut(text, 1 + r.below(text.size())))
            lines += event(delta(kind, escapes(inside(p), r)), said ? "\"stop\"" : "null");
        lines += (apart ? event("{}", "\"stop\"") : "") + "data: [DONE]\n\n";
        for (char c : lines)
            wire += c == '\n' ? end : std::string(1, c);
        const std::string want = rig.whole(kind, text);
        for (size_t at = 0; at <= wire.size(); at += slow::stride())
            same(rig.stream(kind, cut_once(wire, at)), want, t.value,
                 "byte " + std::to_string(at) + " of " + wire);
        for (size_t size : {1, 2, 3, 7}) {
            Pieces p;
            for (size_t at = 0; at < wire.size(); at += size)
                p.push_back(wire.substr(at, size));
            same(rig.stream(kind, p), want, t.value, "bytes by " + std::to_string(size) + " of " + wire);
        }
    });
}

} // namespace
