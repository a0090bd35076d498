/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/loop/kt_fds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

std::vector<std::pair<int, int>> protections;

TEST(Fds, AreMovedHighProtectedAndForgotten)
{
    size_t before = kt_fds_count();
    protections.clear();
    kt_fds_set_protector([](int fd, int on) { protections.emplace_back(fd, on); });
    int raw = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_GE(raw, 0);
    int fd = kt_own_fd(raw);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    ASSERT_GE(fd, rl.rlim_cur < 3072 ? static_cast<int>(rl.rlim_cur / 4 * 3) : 1536);
    EXPECT_EQ(fcntl(raw, F_GETFD), -1);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(kt_fds_count(), before + 1);
    kt_disown_close(fd);
    EXPECT_EQ(fcntl(fd, F_GETFD), -1);
    EXPECT_EQ(kt_fds_count(), before);
    kt_fds_set_protector(nullptr);
    ASSERT_EQ(protections.size(), 3u);
    EXPECT_EQ(protections[0], std::make_pair(raw, 0));
    EXPECT_EQ(protections[1], std::make_pair(fd, 1));
    EXPECT_EQ(protections[2], std::make_pair(fd, 0));
    errno = 77;
    EXPECT_EQ(kt_own_fd(-1), -1);
    kt_disown_close(-1);
    EXPECT_EQ(errno, 77);
}

TEST(Fds, OfALibraryGoUpOnlyWhileThatIsAskedFor)
{
    size_t before = kt_fds_count();
    int low = dup(0);
    EXPECT_EQ(kt_fds_raise(low), low);
    kt_fds_raise_theirs(true);
    int high = kt_fds_raise(low);
    kt_fds_raise_theirs(false);
    EXPECT_GT(high, low);
    EXPECT_EQ(fcntl(low, F_GETFD), -1);
    EXPECT_EQ(fcntl(high, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(kt_fds_count(), before) << "nobody would tell when it is closed";
    close(high);
}

TEST(Fds, KeepTheLowNumberWhereNoHighOneIsFree)
{
    struct rlimit old, low;
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = 32;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    std::vector<int> fds;
    for (int fd = kt_own_fd(dup(0)); fd >= 0; fd = kt_own_fd(dup(0)))
        fds.push_back(fd);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_GT(fds.size(), 16u); /* more than the upper part alone */
    std::sort(fds.begin(), fds.end());
    EXPECT_EQ(std::unique(fds.begin(), fds.end()), fds.end());
    EXPECT_LT(fds.front(), 16);
    for (int fd : fds) {
        EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        kt_disown_close(fd);
    }
}

} // namespace
