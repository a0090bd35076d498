/* SPDX-License-Identifier: Apache-2.0 */
/* A process that can write no event, nor count it where others see (it gave up its rights, then became
 * another program): under `kt wrap` the supervisor writes one for it. */
#include "interceptor/engine/kt_engine_private.h"

#include "interceptor/abi/kt_connect_mark.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void kt_engine_tell_supervisor(void)
{
    static _Atomic(pid_t) told; /* once a process */
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(KT_LOST_PORT)};
    char marked[sizeof nobody + KT_CONNECT_MARK_LEN];
    int saved = errno;
    if (atomic_exchange(&told, getpid()) == getpid())
        return;
    nobody.sin_addr.s_addr = htonl(KT_LOST_ADDR);
    memcpy(marked, &nobody, sizeof nobody);
    memcpy(marked + sizeof nobody, KT_CONNECT_MARK, KT_CONNECT_MARK_LEN);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)connect(fd, (const struct sockaddr *)marked, sizeof marked);
        close(fd);
    }
    errno = saved;
}
