/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// A body as servers compress it.
#include <gtest/gtest.h>

#include <string>
#include <zlib.h>

namespace fake {

inline std::string gzip(const std::string &text)
{
    z_stream z = {};
    std::string out(compressBound(text.size()) + 64, '\0');
    EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef *>(&out[0]);
    z.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

} // namespace fake
