/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's chunks cost no allocation of the chain's once it has warmed up, whatever kind of text they
 * bring. */
#include "tests/unit/property_chain.hpp"
#include "tests/unit/slow.hpp"

namespace {

size_t allocations;
bool counting;

} // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING 0
#else
#define COUNTING 1
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

void *malloc(size_t n)
{
    allocations += counting;
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    allocations += counting;
    return __libc_calloc(n, size);
}
void *realloc(void *old, size_t n)
{
    allocations += counting;
    return __libc_realloc(old, n);
}
}
#endif

namespace {

const char yaml[] =
    "pack: {name: t, version: 1.0.0}\n"
    "policies: {chain: [prompt-injection, pii-detector, dlp-filter, safety-filter, audit-logger]}\n"
    "policy:\n  prompt-injection: {}\n  pii-detector: {}\n  safety-filter: {}\n  audit-logger: {}\n"
    "  dlp-filter: {blocked_terms: [Nachtfalter, bomb shelter]}\n";

/* Allocations per window of `size` bytes, behind the first `warm` of `n` windows of the text over and over.
 */
double per_window(const std::string &text, size_t size, size_t warm, size_t n)
{
    property::Chain c(yaml);
    kt_chain_run *run = nullptr;
    EXPECT_EQ(kt_chain_run_new(c.chain, KT_PHASE_RESPONSE, false, nullptr, &run).code, KT_OK);
    std::string all;
    while (all.size() < n * size)
        all += text;
    size_t base = 0;
    allocations = 0;
    for (size_t i = 1; i <= n; i++) {
        kt_text t{0, KT_FROM_ASSISTANT, all.data() + base, i * size - base, base, false, false, true};
        counting = i > warm;
        kt_step step = kt_chain_run_text(run, &t);
        counting = false;
        EXPECT_EQ(step, KT_STEP_DONE);
        base = kt_chain_run_hold_from(run, 0);
    }
    kt_chain_run_free(run);
    return static_cast<double>(allocations) / static_cast<double>(n - warm);
}

} // namespace

TEST(PropertyAllocations, NoneOnceTheChainIsWarm)
{
    if (!COUNTING || slow::machine())
        GTEST_SKIP() << "sanitizers have an allocator of their own";
    const std::pair<const char *, const char *> texts[] = {
        {"prose",
         "The committee met on a rainy morning and talked for hours about the new bridge over the river. "},
        {"German", "Der Ausschuss traf sich an einem regnerischen Morgen und sprach über die neue Brücke für "
                   "Fußgänger. "},
        {"code", "for (size_t i = 0; i < count; i++) { total += items[i].price * 1.19; } /* net */\n"},
        {"numbers", "12 4711 38.5 2024-05-06 1,234,567 17:45:01 88421 3.14159 0x7f 100 % 20 & 30 "},
        {"JSON source", "{\"a\": \"one\\ntwo \\u00e9 \\\"three\\\"\", \"b\": [1, 2, 3]} "},
    };
    EXPECT_GT(per_window(texts[0].second, 4, 0, 100), 0) << "what warms up is counted";
    for (auto &t : texts)
        for (size_t size : {1u, 4u, 23u})
            EXPECT_EQ(per_window(t.second, size, 3000, 6000), 0)
                << t.first << ", " << size << " bytes a chunk";
}
