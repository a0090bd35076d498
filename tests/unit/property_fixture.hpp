/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Random texts and random JSON for property tests. KT_SEED repeats a run, KT_CASES changes how many there
 * are. */
#include "slow.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace property {

inline uint64_t seed()
{
    const char *s = getenv("KT_SEED");
    return s ? strtoull(s, nullptr, 10) : 20261121;
}

inline int cases(int usual)
{
    const char *s = getenv("KT_CASES");
    if (s)
        return atoi(s);
    /* What looks at memory takes its time, and finds what it finds in fewer cases. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    usual = (usual + 3) / 4;
#endif
    return static_cast<int>(slow::fewer(static_cast<size_t>(usual), 20));
}

class Random {
  public:
    explicit Random(uint64_t s) : engine_(s) {}
    /* 0 .. n-1 */
    size_t below(size_t n)
    {
        return n ? static_cast<size_t>(engine_() % n) : 0;
    }
    bool chance(unsigned percent)
    {
        return below(100) < percent;
    }
    template <class T> const T &pick(const std::vector<T> &list)
    {
        return list[below(list.size())];
    }

  private:
    std::mt19937_64 engine_;
};

inline void put_utf8(std::string &out, uint32_t c)
{
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xC0 | c >> 6);
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xE0 | c >> 12);
        out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | c >> 18);
        out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
        out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    }
}

/* A character that is not a surrogate: mostly what texts are made of, sometimes what breaks escaping. */
inline uint32_t character(Random &r)
{
    static const std::vector<uint32_t> nasty = {
        0,      1,      '\n',   '\t',   '"',    '\\',   '/',    0x7F,   0x80,    0xE9,    0x7FF,    0x800,
        0x2028, 0xD7FF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFF, 0x200B, 0x202E, 0x1F600, 0x10000, 0x10FFFF, 'u'};
    if (r.chance(30))
        return r.pick(nasty);
    if (r.chance(20))
        return static_cast<uint32_t>(0xA0 + r.below(0x500));
    return static_cast<uint32_t>(' ' + r.below(95));
}

inline std::string text(Random &r, size_t max_characters)
{
    std::string s;
    for (size_t n = r.below(max_characters + 1); n > 0; n--)
        put_utf8(s, character(r));
    return s;
}

/* A JSON string in quotes: each character raw, as a short escape or as \uXXXX, whichever is allowed and comes
 * up; sometimes a lone surrogate. */
inline std::string json_string(Random &r, size_t max_characters)
{
    std::string s = "\"";
    char hex[16];
    for (size_t n = r.below(max_characters + 1); n > 0; n--) {
        uint32_t c = character(r);
        if (r.chance(2)) {
            snprintf(hex, sizeof hex, r.chance(50) ? "\\u%04x" : "\\u%04X",
                     static_cast<unsigned>(0xD800 + r.below(0x800)));
            s += hex;
            continue;
        }
        static const std::string plain = "\b\f\n\r\t\"\\/", letters = "bfnrt\"\\/";
        size_t at = c < 0x80 && c ? plain.find(static_cast<char>(c)) : std::string::npos;
        bool must = c < 0x20 || c == '"' || c == '\\';
        if (at != std::string::npos && r.chance(50)) {
            s += '\\';
            s += letters[at];
        } else if (must || r.chance(15)) {
            if (c >= 0x10000)
                snprintf(hex, sizeof hex, "\\u%04x\\u%04x",
                         static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)),
                         static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
            else
                snprintf(hex, sizeof hex, "\\u%04x", static_cast<unsigned>(c));
            s += hex;
        } else {
            put_utf8(s, c);
        }
    }
    return s + "\"";
}

inline std::string space(Random &r)
{
    static const std::vector<std::string> spaces = {"", "", "", "", " ", "\n", "\t", "\r\n", "   "};
    return r.pick(spaces);
}

inline std::string json_scalar(Random &r)
{
    static const std::vector<std::string> scalars = {
        "0", "-0", "1e400", "-12.5e-3", "12345678901234567890", "true", "null", "false", "0.10", "1E+2"};
    return r.chance(65) ? json_string(r, 24) : r.pick(scalars);
}

/* Any JSON value. */
inline std::string json(Random &r, int depth)
{
    if (depth == 0 || r.chance(20))
        return json_scalar(r);
    bool object = r.chance(60);
    std::string s = object ? "{" : "[";
    size_t n = r.below(6);
    for (size_t i = 0; i < n; i++) {
        s += (i ? "," : "") + space(r);
        if (object)
            s += json_string(r, 8) + space(r) + ":" + space(r);
        s += json(r, depth - 1) + space(r);
    }
    return s + (n ? "" : space(r)) + (object ? "}" : "]");
}

} // namespace property
