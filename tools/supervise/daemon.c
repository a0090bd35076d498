/* SPDX-License-Identifier: Apache-2.0 */
/* Container daemons: what they start for a client of this tree is no child of it, and nothing of ours is in
 * it. */
#include "tools/supervise/private.h"

#include <string.h>
#include <sys/un.h>

static const char *const sockets[] = {"docker.sock", "podman.sock", "containerd.sock", "crio.sock",
                                      "buildkitd.sock"};

static bool leads_to_daemon(const struct target_dest *d)
{
    struct sockaddr_un un;
    char path[sizeof un.sun_path + 1] = "";
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (d->len <= head || d->len > sizeof un || d->addr.sa.sa_family != AF_UNIX)
        return false;
    memcpy(path, d->addr.room + head, d->len - head);
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; slash && i < KT_COUNT(sockets); i++)
        if (strcmp(slash + 1, sockets[i]) == 0)
            return true;
    return false;
}

void daemon_notice(struct kt_supervise *s, pid_t tid, const struct target_dest *d)
{
    if (!leads_to_daemon(d))
        return;
    pthread_mutex_lock(&s->lock);
    bool told = s->daemon_told;
    s->daemon_told = true;
    pthread_mutex_unlock(&s->lock);
    if (!told)
        supervise_report_of(s, tid, true, NULL,
                            "a client of a container daemon: what its containers call is not seen "
                            "(run kt wrap inside of them, or give "
                            "them kt gateway)");
}
