/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile configs cost a bounded amount of work and memory. Clocks are no measure on a busy machine, so the
 * work itself is counted: every allocation of this process (ours, libyaml's, the C library's) and every
 * string comparison, through symbols that this program defines in front of the C library's.
 */
#include "policyengine/config/kt_yaml.h"
#include "tests/unit/config_fixture.h"

#include <malloc.h>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING 0
#else
#define COUNTING 1
#endif

namespace {

struct Cost {
    size_t allocations, live, peak, comparisons;
};
Cost cost;
bool counting;

[[maybe_unused]] void took(void *p)
{
    if (!counting || !p)
        return;
    cost.allocations++;
    cost.live += malloc_usable_size(p);
    cost.peak = cost.live > cost.peak ? cost.live : cost.peak;
}

[[maybe_unused]] void gave(void *p)
{
    if (counting && p)
        cost.live -= malloc_usable_size(p);
}

} // namespace

#if COUNTING
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

void *malloc(size_t n)
{
    void *p = __libc_malloc(n);
    took(p);
    return p;
}
void *calloc(size_t n, size_t size)
{
    void *p = __libc_calloc(n, size);
    took(p);
    return p;
}
void *realloc(void *old, size_t n)
{
    gave(old);
    void *p = __libc_realloc(old, n);
    took(p ? p : old);
    return p;
}
void free(void *p)
{
    gave(p);
    __libc_free(p);
}
int strcmp(const char *a, const char *b)
{
    cost.comparisons += counting;
    for (; *a && *a == *b; a++, b++)
        ;
    return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}
}
#endif

namespace {

/* One load of `text` as a file's content; its complaints are dropped. */
Cost of(const std::string &text, kt_code *code = nullptr)
{
    static const bool warm = kt::Loaded(kt::target).code == KT_OK; /* what libraries set up once */
    EXPECT_TRUE(warm);
    kt_diags diags = {};
    kt_config *config = nullptr;
    cost = {};
    counting = true;
    kt_code got = kt_config_parse("t.yaml", text.data(), text.size(), &config, &diags).code;
    kt_config_free(config);
    kt_diags_free(&diags);
    counting = false;
    EXPECT_EQ(cost.live, 0u) << "everything is given back";
    if (code)
        *code = got;
    return cost;
}

std::string repeat(const std::string &s, size_t n)
{
    std::string out;
    for (size_t i = 0; i < n; i++)
        out += s;
    return out;
}

std::string numbered(const char *before, size_t n, const char *after)
{
    std::string out;
    for (size_t i = 0; i < n; i++)
        out += before + std::to_string(i) + after;
    return out;
}

std::string laughs(int levels, int width)
{
    std::string text = "a0: &a0 [" + repeat("x,", (size_t)width) + "]\n";
    for (int i = 1; i < levels; i++)
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" +
                repeat("*a" + std::to_string(i - 1) + ",", (size_t)width) + "]\n";
    return text;
}

constexpr size_t kMiB = 1 << 20;

/* Everything that a file of at most 1 MiB can be: 20000 nodes of some 150 bytes, the text twice, and libyaml.
 */
constexpr size_t kMostPeak = 8 * kMiB;
constexpr size_t kMostAllocations = 200000;
constexpr size_t kMostComparisons = 1000000;

struct Attack {
    const char *name;
    std::string text;
};

std::vector<Attack> attacks()
{
    std::string filler(kMiB - 100, 'x');
    return {
        {"billion laughs", laughs(30, 10)},
        {"wide laughs", laughs(3, 3000)},
        {"quadratic laughs", "a: &a [" + repeat("x,", 5000) + "]\nb: [" + repeat("*a,", 5000) + "]\n"},
        {"alias loop", "a: &a [*a]\n"},
        {"alias loop over two", "a: &a [*b]\nb: &b [*a]\n"},
        {"alias loop in a key", "&a {*a : x}: y\n"},
        {"merge loop", "a: &a\n  <<: *a\n"},
        {"anchors", "a:\n" + numbered("- &x", 100000, " y\n")},
        {"one anchor again and again", "a:\n" + repeat("- &x y\n- *x\n", 50000)},
        {"deep lists", "a: " + std::string(kMiB - 10, '[')},
        {"deep maps", "a: " + repeat("{a: ", 200000)},
        {"deep by indentation", repeat("- ", 400000)},
        {"question marks", repeat("? ", 400000)},
        {"colons", repeat(": ", 400000)},
        {"directives", numbered("%TAG !a", 50000, "! x\n")},
        {"many keys", numbered("k", 90000, ": 1\n")},
        {"10000 keys with one beginning", numbered(std::string(90, 'k').c_str(), 9999, ":\n")},
        {"one key again and again", repeat("k: 1\n", 150000)},
        {"documents", repeat("---\n", 250000)},
        {"one long word", "a: " + filler},
        {"one long key", filler + ": a\n"},
        {"one long quoted text", "a: \"" + repeat("\\n", kMiB / 2 - 10) + "\"\n"},
        {"one long folded text", "a: >\n" + repeat("  x\n\n", kMiB / 6)},
        {"comments", repeat("#\n", kMiB / 2)},
        {"empty lines", std::string(kMiB, '\n')},
        {"spaces", std::string(kMiB, ' ')},
        {"tabs", "a:" + std::string(kMiB - 10, '\t')},
        {"NUL bytes", std::string(kMiB, '\0')},
        {"NUL in the middle", kt::base + std::string(1, '\0') + filler},
        {"invalid UTF-8", kt::base + "#" + std::string(kMiB / 2, '\xff')},
        {"errors", kt::base + numbered("unknown_", 40000, ": 1\n")},
        {"errors in a chain",
         "pack: {name: t, version: 1.0.0}\npolicies:\n  chain:\n" + repeat("    - pii-detectr\n", 15000)},
        {"errors in targets", kt::base + "providers:\n  targets:\n" + repeat("    - {provider: x}\n", 5000)},
        {"model map", kt::base + "model_map:\n" + numbered("  m", 6000, ": n\n")},
        {"10 MB", std::string(10000000, 'x')},
        {"10 MB of keys", numbered("k", 900000, ": 1\n")},
    };
}

TEST(Limits, EveryAttackIsRefusedAtABoundedCost)
{
    for (const Attack &a : attacks()) {
        kt_code code = KT_OK;
        Cost c = of(a.text, &code);
        EXPECT_EQ(code, KT_ERR_USAGE) << a.name;
        if (!COUNTING)
            continue;
        EXPECT_LE(c.peak, kMostPeak) << a.name;
        EXPECT_LE(c.allocations, kMostAllocations) << a.name;
        EXPECT_LE(c.comparisons, kMostComparisons) << a.name;
    }
}

/* Twice the keys are about twice the comparisons, not four times. */
TEST(Limits, KeysCostNoSquare)
{
    if (!COUNTING)
        GTEST_SKIP() << "a sanitizer owns the symbols";
    auto keys = [](size_t n) { return kt::base + "agents:\n" + numbered("  key_", n, ": 1\n"); };
    size_t small = of(keys(4000)).comparisons, large = of(keys(8000)).comparisons;
    EXPECT_GT(small, 4000u) << "the counter counts";
    EXPECT_LT(large, 3 * small);
}

/* The whole file is never read where it is too large. */
TEST(Limits, AFileOfTenMegabytesIsNotRead)
{
    kt::Scratch s;
    std::string path = s.write("big.yaml", std::string(10000000, '#'));
    const char *paths[] = {path.c_str()};
    kt_diags diags = {};
    kt_config *config = nullptr;
    cost = {};
    counting = true;
    kt_code code = kt_config_load(paths, 1, &config, &diags).code;
    counting = false;
    EXPECT_EQ(code, KT_ERR_USAGE);
    ASSERT_EQ(diags.count, 1u);
    EXPECT_STREQ(diags.items[0].code, "E006");
    EXPECT_STREQ(diags.items[0].message, "larger than 1 MiB");
    kt_diags_free(&diags);
    EXPECT_LE(cost.peak, 3 * kMiB);
}

TEST(Limits, ManyLayersCostNoSquareEither)
{
    if (!COUNTING)
        GTEST_SKIP() << "a sanitizer owns the symbols";
    kt::Scratch s;
    auto layers = [&](size_t n) {
        std::vector<std::string> files = {s.write("base.yaml", kt::base)};
        for (size_t i = 0; i < n; i++)
            files.push_back(
                s.write("l" + std::to_string(i) + ".yaml",
                        "agents:\n" + numbered(("  k" + std::to_string(i) + "_").c_str(), 2000, ": 1\n")));
        std::vector<const char *> paths;
        for (const auto &f : files)
            paths.push_back(f.c_str());
        kt_diags diags = {};
        kt_config *config = nullptr;
        cost = {};
        counting = true;
        EXPECT_EQ(kt_config_load(paths.data(), paths.size(), &config, &diags).code, KT_OK);
        counting = false;
        kt_config_free(config);
        kt_diags_free(&diags);
        return cost.comparisons;
    };
    size_t few = layers(5);
    EXPECT_LT(layers(10), 3 * few);
}

} // namespace
