/* SPDX-License-Identifier: Apache-2.0 */
/* Diverted sockets, own fds, the loopback listener. */
extern "C" {
#include "shim/fdtab.h"
#include "shim/loopback.h"
#include "shim/own_fd.h"
}

#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {
struct kt_diverted diverted(const char *origin, uint16_t port = 443)
{
    struct kt_diverted d;
    memset(&d, 0, sizeof d);
    d.origin = origin;
    d.port = port;
    return d;
}

int tcp(int family = AF_INET, int flags = 0)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}
} // namespace

TEST(ShimFdtab, an_entry_belongs_to_the_socket_not_to_the_number)
{
    struct kt_diverted d = diverted("a.example"), out;
    int fd = tcp();
    ASSERT_TRUE(kt_fdtab_add(fd, &d));
    EXPECT_TRUE(kt_fdtab_find(fd, &out));
    EXPECT_STREQ(out.origin, "a.example");
    int twin = dup(fd);
    close(fd);
    EXPECT_TRUE(kt_fdtab_find(twin, &out));
    int again = tcp(); /* takes the old number */
    EXPECT_EQ(again, fd);
    EXPECT_FALSE(kt_fdtab_find(again, &out));
    EXPECT_TRUE(kt_fdtab_has_origin("a.example"));
    close(twin);
    EXPECT_FALSE(kt_fdtab_has_origin("a.example"));
    close(again);
}

TEST(ShimFdtab, files_and_nothing_are_never_in_it)
{
    struct kt_diverted d = diverted("a.example"), out;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_FALSE(kt_fdtab_add(file, &d));
    EXPECT_FALSE(kt_fdtab_find(file, &out));
    EXPECT_FALSE(kt_fdtab_add(-1, &d));
    EXPECT_FALSE(kt_fdtab_find(-1, &out));
    errno = 77;
    kt_fdtab_find(-1, &out);
    EXPECT_EQ(errno, 77);
    close(file);
}

TEST(ShimFdtab, thousands_come_and_go_and_the_living_stay)
{
    std::vector<int> held;
    struct kt_diverted keep = diverted("kept.example"), pass = diverted("passing.example"), out;
    for (int i = 0; i < 200; i++) {
        held.push_back(tcp());
        ASSERT_TRUE(kt_fdtab_add(held.back(), &keep));
    }
    for (int i = 0; i < 40000; i++) { /* more than the table has places */
        int fd = tcp();
        ASSERT_TRUE(kt_fdtab_add(fd, &pass)) << i;
        close(fd);
    }
    for (int fd : held) {
        EXPECT_TRUE(kt_fdtab_find(fd, &out));
        EXPECT_STREQ(out.origin, "kept.example");
        close(fd);
    }
}

TEST(ShimFdtab, threads)
{
    std::vector<std::thread> t;
    for (int i = 0; i < 4; i++)
        t.emplace_back([] {
            for (int n = 0; n < 2000; n++) {
                struct kt_diverted d = diverted("t.example", (uint16_t)n), out;
                int fd = tcp();
                ASSERT_TRUE(kt_fdtab_add(fd, &d));
                ASSERT_TRUE(kt_fdtab_find(fd, &out));
                ASSERT_EQ(out.port, (uint16_t)n);
                if (n % 2)
                    kt_fdtab_forget(fd);
                close(fd);
            }
        });
    for (auto &x : t)
        x.join();
}

TEST(ShimOwnFd, marks_and_finds)
{
    EXPECT_EQ(kt_shim_own_fd_next(0), -1);
    for (int fd : {0, 63, 64, 1000, KT_OWN_FD_MAX - 1})
        kt_shim_own_fd(fd, 1);
    kt_shim_own_fd(1000, 1); /* twice is once */
    EXPECT_EQ(kt_shim_own_fd_next(0), 0);
    EXPECT_EQ(kt_shim_own_fd_next(1), 63);
    EXPECT_EQ(kt_shim_own_fd_next(64), 64);
    EXPECT_EQ(kt_shim_own_fd_next(65), 1000);
    EXPECT_EQ(kt_shim_own_fd_next(1001), KT_OWN_FD_MAX - 1);
    EXPECT_EQ(kt_shim_own_fd_next(KT_OWN_FD_MAX), -1);
    EXPECT_EQ(kt_shim_own_fd_next(~0u), -1);
    EXPECT_TRUE(kt_fd_is_own(64));
    EXPECT_FALSE(kt_fd_is_own(65));
    for (int fd : {-1, KT_OWN_FD_MAX, INT32_MAX, INT32_MIN}) {
        kt_shim_own_fd(fd, 1);
        EXPECT_FALSE(kt_fd_is_own(fd));
    }
    kt_shim_own_fd(1000, 0);
    EXPECT_FALSE(kt_fd_is_own(1000));
    kt_shim_own_fd_forget_all();
    EXPECT_EQ(kt_shim_own_fd_next(0), -1);
}

TEST(ShimOwnFd, raised_fds_are_high_cloexec_and_marked)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int high = kt_shim_own_fd_raise(fd);
    EXPECT_GT(high, fd);
    EXPECT_TRUE(fcntl(high, F_GETFD) & FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFD), -1) << "the low number is free again";
    EXPECT_TRUE(kt_fd_is_own(high));
    kt_shim_own_fd_forget_all();
    close(high);
    struct rlimit old, low;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 64;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    high = kt_shim_own_fd_raise(open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_GE(high, 48);
    EXPECT_LT(high, 64);
    setrlimit(RLIMIT_NOFILE, &old);
    kt_shim_own_fd_forget_all();
    close(high);
}

TEST(ShimLoopback, a_stranger_that_is_first_is_sent_away)
{
    struct kt_loopback l;
    int app = tcp(), stranger = tcp(), third = tcp();
    ASSERT_EQ(kt_loopback_open(app, &l), 0);
    ASSERT_EQ(connect(stranger, &l.addr.sa, l.len), 0);
    ASSERT_EQ(connect(third, &l.addr.sa, l.len), 0);
    ASSERT_EQ(connect(app, &l.addr.sa, l.len), 0);
    int end = kt_loopback_accept(&l, app, 2000);
    ASSERT_GE(end, 0);
    EXPECT_TRUE(fcntl(end, F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(fcntl(end, F_GETFL) & O_NONBLOCK);
    kt_loopback_close(&l);
    char c = 'x';
    EXPECT_EQ(write(end, &c, 1), 1);
    EXPECT_EQ(read(app, &c, 1), 1);
    EXPECT_LE(read(stranger, &c, 1), 0);
    int late = tcp();
    EXPECT_EQ(connect(late, &l.addr.sa, l.len), -1) << "no port stays open";
    for (int fd : {app, stranger, third, end, late})
        close(fd);
}

TEST(ShimLoopback, nobody_comes)
{
    struct kt_loopback l;
    int app = tcp();
    ASSERT_EQ(kt_loopback_open(app, &l), 0);
    EXPECT_EQ(kt_loopback_accept(&l, app, 50), -1);
    kt_loopback_close(&l);
    EXPECT_EQ(kt_loopback_open(-1, &l), -1);
    close(app);
}

TEST(ShimLoopback, ipv6_sockets)
{
    int app = tcp(AF_INET6);
    if (app < 0)
        GTEST_SKIP() << "no IPv6 here";
    struct kt_loopback l;
    ASSERT_EQ(kt_loopback_open(app, &l), 0);
    EXPECT_TRUE(IN6_IS_ADDR_V4MAPPED(&l.addr.in6.sin6_addr));
    ASSERT_EQ(connect(app, &l.addr.sa, l.len), 0);
    int end = kt_loopback_accept(&l, app, 2000);
    EXPECT_GE(end, 0);
    kt_loopback_close(&l);
    close(end);
    close(app);
    int only = tcp(AF_INET6), on = 1;
    ASSERT_EQ(setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0);
    if (kt_loopback_open(only, &l) != 0)
        GTEST_SKIP() << "no ::1 here";
    EXPECT_TRUE(IN6_IS_ADDR_LOOPBACK(&l.addr.in6.sin6_addr));
    ASSERT_EQ(connect(only, &l.addr.sa, l.len), 0);
    end = kt_loopback_accept(&l, only, 2000);
    EXPECT_GE(end, 0);
    kt_loopback_close(&l);
    close(end);
    close(only);
}

TEST(ShimLoopback, a_socket_that_is_bound_keeps_its_address)
{
    struct kt_loopback l;
    int app = tcp();
    struct sockaddr_in here = {};
    here.sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.3", &here.sin_addr);
    ASSERT_EQ(bind(app, (struct sockaddr *)&here, sizeof here), 0);
    ASSERT_EQ(kt_loopback_open(app, &l), 0);
    ASSERT_EQ(connect(app, &l.addr.sa, l.len), 0);
    int end = kt_loopback_accept(&l, app, 2000);
    EXPECT_GE(end, 0);
    kt_loopback_close(&l);
    close(end);
    close(app);
}
