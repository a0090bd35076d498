/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and CAs of engines. */
#include "engine_fixture.hpp"

namespace {

TEST(Engine, OnePlanAndOneCaForManyMakers)
{
    Env v;
    v.write_target("http://127.0.0.1:1");
    constexpr int N = 6;
    std::vector<std::string> paths(N), ders(N);
    std::vector<std::thread> ts;
    for (int i = 0; i < N; i++) {
        ts.emplace_back([&, i] {
            kt_engine *e = nullptr;
            kt_error err{};
            char path[4096];
            ASSERT_TRUE(kt_is_ok(kt_engine_new(&v.o, &e, &err))) << err.text;
            ASSERT_TRUE(kt_is_ok(kt_engine_make_plan(e, path, sizeof path, &err))) << err.text;
            struct kt_span der = kt_engine_ca_der(e);
            paths[static_cast<size_t>(i)] = path;
            ders[static_cast<size_t>(i)].assign(der.data, der.len);
            kt_engine_free(e);
        });
    }
    for (auto &t : ts)
        t.join();
    for (int i = 0; i < N; i++) {
        EXPECT_EQ(paths[static_cast<size_t>(i)], paths[0]);
        EXPECT_EQ(ders[static_cast<size_t>(i)], ders[0]);
    }
    v.start(); /* a later process finds the same without making it */
    struct kt_span der = kt_engine_ca_der(v.e);
    EXPECT_EQ(std::string(der.data, der.len), ders[0]);
    kt_engine_free(v.e);
    v.e = nullptr;
    std::string other = v.dir / "other"; /* KT_PLAN wins over another state dir */
    v.o.state_dir = other.c_str();
    v.o.plan = paths[0].c_str();
    v.start();
    der = kt_engine_ca_der(v.e);
    EXPECT_EQ(std::string(der.data, der.len), ders[0]);
    char small[8];
    kt_error err{};
    EXPECT_EQ(kt_engine_make_plan(v.e, small, sizeof small, &err).code, KT_ERR_LIMIT);
}

TEST(Engine, WithoutAPlanTheCaIsInMemory)
{
    Env v;
    v.write_target("http://127.0.0.1:1");
    v.start();
    struct kt_span a = kt_engine_ca_der(v.e), b = kt_engine_ca_der(v.e);
    EXPECT_GT(a.len, 100u);
    EXPECT_EQ(a.data, b.data);
    EXPECT_TRUE(fs::is_empty(v.dir / "run")); /* no key on disk */
}

} // namespace
