/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// Valgrind takes thirty times as long, and finds what it finds in fewer cases and shorter texts.
#include <cstddef>
#include <cstdlib>

namespace slow {

inline bool machine()
{
    return getenv("KT_UNDER_VALGRIND") != nullptr;
}

inline size_t fewer(size_t usual, size_t by = 16)
{
    return machine() ? (usual + by - 1) / by : usual;
}

/* From one place to cut a text to the next; odd, so that it meets each place of a repeated unit. */
inline size_t stride()
{
    return machine() ? 7 : 1;
}

} // namespace slow
