/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "interceptor/loop/kt_loop.h"

#include <gtest/gtest.h>

constexpr uint64_t MS = 1000000;

struct Loop {
    kt_loop *l = nullptr;
    Loop()
    {
        EXPECT_TRUE(kt_is_ok(kt_loop_new(&l)));
    }
    ~Loop()
    {
        kt_loop_free(l);
    }
};
