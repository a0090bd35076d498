/* SPDX-License-Identifier: Apache-2.0 */
/* What a client must see of a stream, written down by hand; and how long it waits for it. '|' ends a chunk.
 */
#include "stream_client.hpp"

#include <algorithm>

namespace {

using namespace stream_client;

struct Golden {
    const char *chunks, *want;
};

const Golden kTexts[] = {
    {"Write to jane@exam|ple.org today.", "Write to [EMAIL_1] today."},
    {"Write to ja|ne|@|example|.|org.", "Write to [EMAIL_1]."},
    {"j|a|n|e|@|e|x|a|m|p|l|e|.|o|r|g", "[EMAIL_1]"},
    {"jane@example.org", "[EMAIL_1]"},
    {"jane@example.|org and joe@example.|org and jane@|example.org", "[EMAIL_1] and [EMAIL_2] and [EMAIL_1]"},
    {"jane@example| is no address", "jane@example is no address"},
    {"at @|home", "at @home"},
    {"a@b|", "a@b"},
    {"<jane@example.org|>", "<[EMAIL_1]>"},
    {"mailto:jane@|example.org?subject=x", "mailto:[EMAIL_1]?subject=x"},
    {"n\xc3\xa9|e: jane@example.org \xe2\x9c\x93", "n\xc3\xa9"
                                                   "e: [EMAIL_1] \xe2\x9c\x93"},
    {"\xf0\x9f\x98\x80|jane@example.org|\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80[EMAIL_1]\xf0\x9f\x98\x80"},
    {"j\xc3\xbc|rgen@b\xc3\xbc"
     "cher.|example",
     "[EMAIL_1]"},
    {"card 4111 11|11 1111 1111 ok", "card [CARD_1] ok"},
    {"card 4|1|1|1|1|1|1|1|1|1|1|1|1|1|1|1 ok", "card [CARD_1] ok"},
    {"card 4111-1111-|1111-1111.", "card [CARD_1]."},
    {"card 4111 1111 1111 111|2 ok", "card 4111 1111 1111 1112 ok"},
    {"card 378282246310005| ok", "card [CARD_1] ok"},
    {"SSN 536-2|2-8761.", "SSN [SSN_1]."},
    {"S|S|N 536|-|22|-|8761", "SSN [SSN_1]"},
    {"SSN 000-12|-3456", "SSN 000-12-3456"},
    {"IBAN DE66 3704 0044 05|32 0131 23.", "IBAN [IBAN_1]."},
    {"DE66370400440532013123|", "[IBAN_1]"},
    {"NL91ABNA04|17164300, thanks", "[IBAN_1], thanks"},
    {"DE66370400440532013124| is none", "DE66370400440532013124 is none"},
    {"call +1 415 555 26|71 now", "call [PHONE_1] now"},
    {"(212) 555|-0187", "[PHONE_1]"},
    {"+44 20 79|46 0123, ok", "[PHONE_1], ok"},
    {"host 203.0.113|.42 is up", "host [IP_1] is up"},
    {"2001:db8:|:7334 is up", "[IP_1] is up"},
    {"version 1.2|.3 is out", "version 1.2.3 is out"},
    {"mac 00:1a:2b|:3c:4d:5e up", "mac [MAC_1] up"},
    {"VIN 1HGCM826|90A004352", "VIN [VIN_1]"},
    {"NHS number 943 4|76 5919", "NHS number [NHS_1]"},
    {"NI number: AB 12 3|4 56 C.", "NI number: [NINO_1]."},
    {"DNI 1234567|8Z", "DNI [DNI_NIE_1]"},
    {"Steuer-ID: 6592|9704899", "Steuer-ID: [STEUER_ID_1]"},
    {"NIR 1 85 05 78 0|06 084 91", "NIR [NIR_1]"},
    {"Codice fiscale RSSMRA85M0|1H501Q", "Codice fiscale [CODICE_FISCALE_1]"},
    {"born on 12/|03/1981", "born on [DOB_1]"},
    {"ABA: 0210|00021", "ABA: [ABA_1]"},
    {"VAT DE13669|5976", "VAT [VAT_1]"},
    {"send to 1E8eQAevZveijpEz|jVX2gnt3nUeZRswZYk.", "send to [BTC_1]."},
    {"PESEL 850304|12348", "PESEL [NATIONAL_ID_1]"},
    {"jane@example.org, 4111 1111 1111 1111|, 203.0.113.42", "[EMAIL_1], [CARD_1], [IP_1]"},
    {"1|2|3|4|5| ducks", "12345 ducks"},
    {"|||nothing| at |all||", "nothing at all"},
    {"", ""},
};

/* JSON source: what a program reads out of it counts. */
const Golden kArguments[] = {
    {"{\"to\":\"jane@exam|ple.org\"}", "{\"to\":\"[EMAIL_1]\"}"},
    {"{\"to\":\"jane\\u00|40example.org\"}", "{\"to\":\"[EMAIL_1]\"}"},
    {"{\"to\":\"jane\\|u0040example.org\"}", "{\"to\":\"[EMAIL_1]\"}"},
    {"{\"to\":\"jane\\u0040exampl\\u006|5.org\"}", "{\"to\":\"[EMAIL_1]\"}"},
    {"{|\"|t|o|\"|:|\"|j|a|n|e|@|example.org|\"|}", "{\"to\":\"[EMAIL_1]\"}"},
    {"{\"a\":[\"jane@example.org\",|\"joe@example.org\"]}", "{\"a\":[\"[EMAIL_1]\",\"[EMAIL_2]\"]}"},
    {"{\"n\":\"\\ud83d|\\ude00 jane@example.org\"}", "{\"n\":\"\\ud83d\\ude00 [EMAIL_1]\"}"},
    {"{\"n\":\"jane@example.org\\ud83d\\u|de00\"}", "{\"n\":\"[EMAIL_1]\\ud83d\\ude00\"}"},
    {"{\"card\":\"4111 1111| 1111 1111\"}", "{\"card\":\"[CARD_1]\"}"},
    {"{\"ip\":\"203.0|.113.42\",\"n\":1}", "{\"ip\":\"[IP_1]\",\"n\":1}"},
    {"{\"a\":\"x\\n|jane@example.org\\n\"}", "{\"a\":\"x\\n[EMAIL_1]\\n\"}"},
    {"{\"q\":\"say \\\"jane@example.|org\\\"\"}", "{\"q\":\"say \\\"[EMAIL_1]\\\"\"}"},
    {"{\"q\":\"no|thing\"}", "{\"q\":\"nothing\"}"},
    {"{\"q\":\"SSN 536-22|-8761\"}", "{\"q\":\"SSN [SSN_1]\"}"},
    {"{}", "{}"},
};

Pieces split(const std::string &chunks)
{
    Pieces out;
    for (size_t at = 0; at <= chunks.size();) {
        size_t bar = std::min(chunks.find('|', at), chunks.size());
        out.push_back(chunks.substr(at, bar - at));
        at = bar + 1;
    }
    return out;
}

void check(Rig &rig, Kind kind, const Golden &g)
{
    const Pieces pieces = split(g.chunks);
    Seen s = rig.deltas(kind, pieces);
    EXPECT_TRUE(s.whole) << s.body;
    EXPECT_EQ(s.text, g.want) << g.chunks;
    std::string bytes = body(kind, pieces);
    Pieces single;
    for (char c : bytes)
        single.emplace_back(1, c);
    EXPECT_EQ(rig.stream(kind, single).text, g.want) << g.chunks << ", byte by byte";
}

/* As the provider writes them, escapes included: what is in a string of its JSON. */
const Golden kEscapes[] = {
    {"a\\ud83d|\\ude00b", "a\xf0\x9f\x98\x80"
                          "b"},
    {"\\uD83D|\\uDE00", "\xf0\x9f\x98\x80"},
    {"jane@example.org\\ud83d|\\ude00 joe@example.org", "[EMAIL_1]\xf0\x9f\x98\x80 [EMAIL_2]"},
    {"x \\ud83d|\\ude00jane@|example.org", "x \xf0\x9f\x98\x80[EMAIL_1]"},
    {"\\ud83d|\\ude00\\ud83d|\\ude00 ok", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 ok"},
    {"\\ud83d||\\ude00 ok", "\xf0\x9f\x98\x80 ok"},
    {"card 4111 1111 1111 1111\\ud83d|\\ude00", "card [CARD_1]\xf0\x9f\x98\x80"},
    {"jane@example.org \\ud83d|x", "[EMAIL_1] \xef\xbf\xbdx"},
    {"jane@example.org \\ud83d", "[EMAIL_1] \xef\xbf\xbd"},
    {"jane@example.org \\\\ud83d|\\\\ude00", "[EMAIL_1] \\ud83d\\ude00"},
    {"jane\\u0040exam|ple.org", "[EMAIL_1]"},
};

TEST(StreamGolden, CharactersInTwoHalves)
{
    Rig rig(
        config("pii-detector, audit-logger", "  pii-detector: {}\n  audit-logger: {retention_days: 1}\n"));
    ASSERT_TRUE(rig.good());
    for (Kind kind : {Kind::Content, Kind::Arguments})
        for (auto &g : kEscapes) {
            const bool source = kind == Kind::Arguments;
            Pieces pieces = split(g.chunks);
            if (source) {
                pieces.insert(pieces.begin(), "{\\\"q\\\":\\\"");
                pieces.emplace_back("\\\"}");
            }
            std::string bytes = event("{\"role\":\"assistant\",\"content\":\"\"}");
            for (auto &p : pieces)
                bytes += event(delta(kind, p));
            bytes += event("{}", "\"stop\"") + "data: [DONE]\n\n";
            Seen s = rig.stream(kind, {bytes});
            EXPECT_TRUE(s.whole) << s.body;
            EXPECT_EQ(s.text, source ? "{\"q\":\"" + std::string(g.want) + "\"}" : g.want) << g.chunks;
        }
}

TEST(StreamGolden, Texts)
{
    Rig rig(
        config("pii-detector, audit-logger", "  pii-detector: {}\n  audit-logger: {retention_days: 1}\n"));
    ASSERT_TRUE(rig.good());
    for (auto &g : kTexts)
        check(rig, Kind::Content, g);
    for (auto &g : kArguments)
        check(rig, Kind::Arguments, g);
    EXPECT_GE(std::size(kTexts) + std::size(kArguments), 60u);
}

/* ---- how much is held back ---- */

const char kProse[] =
    "The harbour wakes before the town does. Gulls argue over the first crates while the fishermen, who have "
    "been out since "
    "midnight, rinse their boots and talk about the weather as if it were a relative. By eight o'clock the "
    "caf\xc3\xa9 on the "
    "corner has sold most of its bread, and the woman behind the counter knows without asking who takes "
    "sugar. In 1987 the "
    "quay was rebuilt at a cost of 2.4 million; the old stones, about 300 of them, became a garden wall. "
    "Nobody agrees on "
    "whether that was wise.\n\n"
    "If you walk on, past the ropes and the blue sheds, the path climbs for 12 minutes and then ends at a "
    "gate. Behind it lie "
    "three fields, a pond, and the house where the teacher lived. She kept bees, wrote letters to "
    "newspapers, and once, on a "
    "dare, swam the whole bay. Her pupils remember her rules: read aloud, look things up, and never trust a "
    "graph without "
    "units. \"A number alone,\" she would say, \"is only a rumour.\"\n\n"
    "Heute steht das Haus leer. Die Gemeinde \xc3\xbc"
    "berlegt, ob man daraus eine kleine Bibliothek machen sollte; andere "
    "w\xc3\xbcnschen sich eine Werkstatt f\xc3\xbcr Boote. Bis zum Herbst soll entschieden werden. L'hiver, "
    "la mer est grise "
    "et le vent parle toute la nuit, mais au printemps les enfants reviennent et tout recommence. Pour "
    "l'instant, on attend.\n"
    "1. Ask the council.\n2. Count the boats (there were 17 last year).\n3. Decide before 15:30 on Friday.\n";

std::string everything()
{
    return config("prompt-injection, pii-detector, dlp-filter, safety-filter, audit-logger",
                  "  prompt-injection: {}\n  pii-detector: {}\n  dlp-filter: {secrets: true, blocked_terms: "
                  "[Project Zanzibar]}\n"
                  "  safety-filter: {mode: strict, action: block}\n  audit-logger: {retention_days: 1}\n");
}

/* One event per feed, as tokens come: words, or a few letters. */
std::vector<size_t> held_of(Rig &rig, const std::string &text, size_t size, std::string *seen)
{
    std::vector<size_t> held;
    Pieces wire;
    for (auto &p : cut(text, size))
        wire.push_back(event(delta(Kind::Content, inside(p))));
    wire.push_back(event("{}", "\"stop\"") + "data: [DONE]\n\n");
    auto note = [](void *to, size_t n) { static_cast<std::vector<size_t> *>(to)->push_back(n); };
    *seen = rig.stream(Kind::Content, wire, note, &held).text;
    held.pop_back(); // behind the end nothing is held
    return held;
}

TEST(StreamHold, OrdinaryProseWaitsForAFewBytes)
{
    Rig rig(everything());
    ASSERT_TRUE(rig.good());
    for (size_t size : {1, 4, 7, 20}) {
        std::string seen;
        std::vector<size_t> held = held_of(rig, kProse, size, &seen);
        EXPECT_EQ(seen, kProse);
        std::sort(held.begin(), held.end());
        size_t p50 = held[held.size() / 2], p99 = held[held.size() * 99 / 100];
        printf("pieces of %zu bytes: held back p50 %zu, p99 %zu, most %zu bytes of %zu chunks\n", size, p50,
               p99, held.back(), held.size());
        EXPECT_LE(p99, 64u);
        EXPECT_LE(p50, 16u);
    }
}

void flows(const char *name, const std::string &yaml, const Pieces &words, size_t most)
{
    Rig rig(yaml);
    ASSERT_TRUE(rig.good()) << name;
    Pieces wire;
    std::vector<size_t> held;
    for (auto &p : words)
        wire.push_back(event(delta(Kind::Content, p)));
    wire.push_back(event("{}", "\"stop\"") + "data: [DONE]\n\n");
    auto note = [](void *to, size_t n) { static_cast<std::vector<size_t> *>(to)->push_back(n); };
    Seen s = rig.stream(Kind::Content, wire, note, &held);
    EXPECT_TRUE(s.whole) << name;
    for (size_t i = 0; i < held.size(); i++)
        EXPECT_LE(held[i], most) << name << ", behind chunk " << i;
}

/* A word under way is a candidate (an address may begin so), and so are three or six letters (an Italian
 * number begins "RSS MRA"): a text has none where whole longer words have come. dlp-filter waits for what
 * stands behind the blank of a term, and behind a word that may be the name of a secret. */
TEST(StreamHold, TextWithoutACandidateFlowsAtOnce)
{
    const Pieces words = {"These ", "quick ", "brown ",  "foxes ", "crossed ", "over ",
                          "a ",     "lazy ",  "hound, ", "then ",  "slept. "};
    flows("checks of answers",
          config("pii-detector, safety-filter",
                 "  pii-detector: {}\n  safety-filter: {mode: strict, action: block}\n"),
          words, 0);
    flows("everything", everything(), words, 8);
    const Pieces tokens = {"These", " quick", " brown", " foxes", " crossed", " over",
                           " a",    " lazy",  " hound", ",",      " then",    "."};
    flows("the word under way", everything(), tokens, 8);
}

} // namespace
