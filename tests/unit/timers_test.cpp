/* SPDX-License-Identifier: Apache-2.0 */
#include "loop_fixture.hpp"

#include <algorithm>
#include <random>
#include <vector>

namespace {

TEST(Timers, FireInOrderOfDueTimeAndThenOfArming)
{
    Loop loop;
    std::vector<int> fired;
    struct T {
        kt_timer t{};
        std::vector<int> *out;
        int id;
    };
    std::vector<std::unique_ptr<T>> ts;
    std::mt19937 rnd(7);
    uint64_t base = kt_now_mono_ns();
    std::vector<std::pair<uint64_t, int>> want;
    for (int i = 0; i < 500; i++) {
        auto t = std::make_unique<T>();
        t->out = &fired;
        t->id = i;
        t->t.arg = t.get();
        t->t.fn = [](void *a) { static_cast<T *>(a)->out->push_back(static_cast<T *>(a)->id); };
        uint64_t due = base + 1 + rnd() % 40; /* many equal ones */
        kt_loop_timer_set(loop.l, &t->t, due);
        want.emplace_back(due, i);
        ts.push_back(std::move(t));
    }
    for (int i = 0; i < 500; i += 3) { /* moved: behind all that are armed for the same time */
        want[i] = {0, -1};
        uint64_t due = base + 1 + rnd() % 40;
        kt_loop_timer_set(loop.l, &ts[i]->t, due);
        want.emplace_back(due, i);
    }
    for (int i = 1; i < 500; i += 7) {
        if (i % 3 == 0)
            continue;
        kt_loop_timer_set(loop.l, &ts[i]->t, 0);
        want[i] = {0, -1};
    }
    want.erase(std::remove(want.begin(), want.end(), std::make_pair(uint64_t{0}, -1)), want.end());
    std::stable_sort(want.begin(), want.end(), [](auto &a, auto &b) { return a.first < b.first; });
    kt_timer stop{};
    stop.fn = [](void *a) { kt_loop_quit(static_cast<kt_loop *>(a)); };
    stop.arg = loop.l;
    kt_loop_timer_set(loop.l, &stop, base + 100);
    kt_loop_run(loop.l);
    ASSERT_EQ(fired.size(), want.size());
    for (size_t i = 0; i < want.size(); i++)
        EXPECT_EQ(fired[i], want[i].second) << i;
}

TEST(Timers, MayRemoveOthersAndFreeTheirOwnerAndRearmThemselves)
{
    Loop loop;
    struct S {
        kt_loop *l;
        kt_timer *victim;
        kt_timer self{};
        int runs = 0;
    } s{loop.l, new kt_timer{}};
    s.victim->fn = [](void *) { FAIL() << "a removed timer fired"; };
    uint64_t now = kt_now_mono_ns();
    s.self.arg = &s;
    s.self.fn = [](void *a) {
        auto *p = static_cast<S *>(a);
        if (p->victim) {
            kt_loop_timer_set(p->l, p->victim, 0);
            delete p->victim;
            p->victim = nullptr;
        }
        if (++p->runs == 5)
            kt_loop_quit(p->l);
        else
            kt_loop_timer_set(p->l, &p->self, 1); /* far in the past: runs again, once per turn */
    };
    kt_loop_timer_set(loop.l, &s.self, now - 10);
    kt_loop_timer_set(loop.l, s.victim, now - 5);
    kt_loop_run(loop.l);
    EXPECT_EQ(s.runs, 5);
    EXPECT_EQ(s.self.due_ns, 0u);
}

TEST(Timers, NeverFireEarly)
{
    Loop loop;
    struct S {
        kt_loop *l;
        uint64_t due, at;
    } s{loop.l, kt_now_mono_ns() + 7 * MS + 1, 0};
    kt_timer t{};
    t.arg = &s;
    t.fn = [](void *a) {
        static_cast<S *>(a)->at = kt_now_mono_ns();
        kt_loop_quit(static_cast<S *>(a)->l);
    };
    kt_loop_timer_set(loop.l, &t, s.due);
    kt_loop_run(loop.l);
    EXPECT_GE(s.at, s.due);
}

} // namespace
