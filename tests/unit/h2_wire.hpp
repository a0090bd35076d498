/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// Writes HTTP/2 as a client and a server would: frames by hand, header blocks by nghttp2's deflater.
#include <cstdint>
#include <nghttp2/nghttp2.h>
#include <string>
#include <utility>
#include <vector>

namespace h2 {

enum Type {
    kData = 0,
    kHeaders = 1,
    kPriority = 2,
    kReset = 3,
    kSettings = 4,
    kPush = 5,
    kPing = 6,
    kGoaway = 7,
    kContinuation = 9
};
enum Flag { kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8, kHasPriority = 32 };

const char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string be32(uint32_t n)
{
    return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
            static_cast<char>(n)};
}

inline std::string frame(int type, int flags, uint32_t stream, const std::string &payload)
{
    std::string out = be32(static_cast<uint32_t>(payload.size())).substr(1);
    out += static_cast<char>(type);
    out += static_cast<char>(flags);
    return out + be32(stream) + payload;
}

inline std::string settings(uint16_t id, uint32_t value)
{
    return frame(kSettings, 0, 0,
                 std::string{static_cast<char>(id >> 8), static_cast<char>(id)} + be32(value));
}

inline std::string ack()
{
    return frame(kSettings, kAck, 0, "");
}

// One side's HPACK.
class Side {
  public:
    explicit Side(size_t table = 4096)
    {
        if (nghttp2_hd_deflate_new(&d_, table) != 0)
            abort();
    }
    ~Side()
    {
        nghttp2_hd_deflate_del(d_);
    }
    Side(const Side &) = delete;
    Side &operator=(const Side &) = delete;

    void table(size_t size)
    {
        nghttp2_hd_deflate_change_table_size(d_, size);
    }
    std::string block(const Fields &fields)
    {
        std::vector<nghttp2_nv> nv;
        for (const auto &f : fields)
            nv.push_back({reinterpret_cast<uint8_t *>(const_cast<char *>(f.first.data())),
                          reinterpret_cast<uint8_t *>(const_cast<char *>(f.second.data())), f.first.size(),
                          f.second.size(), 0});
        std::string out(nghttp2_hd_deflate_bound(d_, nv.data(), nv.size()), '\0');
        ssize_t n =
            nghttp2_hd_deflate_hd(d_, reinterpret_cast<uint8_t *>(&out[0]), out.size(), nv.data(), nv.size());
        if (n < 0)
            abort();
        out.resize(static_cast<size_t>(n));
        return out;
    }
    std::string headers(uint32_t stream, const Fields &fields, bool end = false)
    {
        return frame(kHeaders, kEndHeaders | (end ? kEndStream : 0), stream, block(fields));
    }

  private:
    nghttp2_hd_deflater *d_ = nullptr;
};

inline Fields post(const std::string &path = "/v1/chat/completions")
{
    return {{":method", "POST"},
            {":scheme", "https"},
            {":authority", "api.openai.com"},
            {":path", path},
            {"authorization", "Bearer sk-program"},
            {"content-type", "application/json"}};
}

inline std::string data(uint32_t stream, const std::string &bytes, bool end = false)
{
    return frame(kData, end ? kEndStream : 0, stream, bytes);
}

} // namespace h2
