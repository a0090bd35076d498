/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// A body as servers compress it.
#include <gtest/gtest.h>

#include <string>
#include <zlib.h>

namespace fake {

// `window`: 15 + 16 = gzip, 15 = deflate in zlib's wrapper, -15 = raw.
inline std::string packed(const std::string &text, int window)
{
    z_stream z = {};
    std::string out(compressBound(text.size()) + 64, '\0');
    EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef *>(&out[0]);
    z.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

inline std::string gzip(const std::string &text)
{
    return packed(text, 15 + 16);
}

} // namespace fake
