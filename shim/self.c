/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/self.h"

#include "shim/real.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char self_path[PATH_MAX];
static atomic_int state; /* 0 not asked, 1 known */

/* "55d0-55d2 r-xp 00000000 fe:00 1234   /path": copies the path where the range holds `addr`. */
static int path_of_line(const char *line, uintptr_t addr, char *out)
{
    char *end;
    uintptr_t from = strtoul(line, &end, 16);
    if (*end != '-')
        return 0;
    uintptr_t to = strtoul(end + 1, &end, 16);
    const char *path = strchr(end, '/');
    if (addr < from || addr >= to || !path || strlen(path) >= PATH_MAX)
        return 0;
    memcpy(out, path, strlen(path) + 1);
    return 1;
}

static int path_from_maps(uintptr_t addr, char *out)
{
    char buf[PATH_MAX + 256];
    size_t used = 0;
    int found = 0;
    /* Of this thread: the first one may have left. */
    int fd = open("/proc/thread-self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    for (;;) {
        ssize_t n = read(fd, buf + used, sizeof buf - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
        buf[used] = '\0';
        char *line = buf, *nl;
        while (!found && (nl = strchr(line, '\n'))) {
            *nl = '\0';
            found = path_of_line(line, addr, out);
            line = nl + 1;
        }
        if (found)
            break;
        used -= (size_t)(line - buf);
        memmove(buf, line, used);
        if (used == sizeof buf - 1) /* no line of ours is this long */
            used = 0;
    }
    KT_REAL(close)(fd);
    return found;
}

const char *kt_self_path(void)
{
    if (atomic_load_explicit(&state, memory_order_acquire) == 1)
        return self_path;
    int saved = errno;
    char path[PATH_MAX];
    /* Two threads may get here at once; both write the same bytes. */
    if (path_from_maps((uintptr_t)&self_path, path) || path_from_maps((uintptr_t)&kt_self_path, path))
        memcpy(self_path, path, strlen(path) + 1);
    atomic_store_explicit(&state, 1, memory_order_release);
    errno = saved;
    return self_path;
}
