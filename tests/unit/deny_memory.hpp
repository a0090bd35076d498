/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Allocations of the calling thread fail while a Deny lives: all of them, or the one with a given number.
 * Through symbols that this program defines in front of the C library's; a program includes it in one file.
 * Where a sanitizer has these symbols itself nothing is denied.
 */
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KT_TEST_DENIES 0
#else
#define KT_TEST_DENIES 1
#endif

namespace deny_memory {

constexpr size_t kAll = SIZE_MAX, kNone = SIZE_MAX - 1;
struct Now {
    size_t which, asked, denied;
};
inline thread_local Now now = {kNone, 0, 0};

struct Deny {
    explicit Deny(size_t which)
    {
        now = {which, 0, 0};
    }
    ~Deny()
    {
        now.which = kNone;
    }
    Deny(const Deny &) = delete;
    Deny &operator=(const Deny &) = delete;
};

inline bool denied()
{
    if (now.which == kNone)
        return false;
    size_t number = now.asked++;
    bool no = now.which == kAll || now.which == number;
    now.denied += no;
    return no;
}

} // namespace deny_memory

#if KT_TEST_DENIES
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

void *malloc(size_t n) noexcept
{
    return deny_memory::denied() ? nullptr : __libc_malloc(n);
}
void *calloc(size_t n, size_t size) noexcept
{
    return deny_memory::denied() ? nullptr : __libc_calloc(n, size);
}
void *realloc(void *old, size_t n) noexcept
{
    return deny_memory::denied() ? nullptr : __libc_realloc(old, n);
}
}
#endif
