/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose certificate the program takes: that of a host to which it has spoken over TLS. Clients open more
 * connections than they use (Node does behind each stream that it breaks off) and close them without a word,
 * as one with a pinned certificate closes its only one.
 */
#include "interceptor/flow/kt_flow_private.h"

#include <stdlib.h>
#include <string.h>

static bool spoke(const struct kt_flow *f, const char *host)
{
    return f->tls && atomic_load(&f->spoken) && strcmp(f->host, host) == 0;
}

static bool noted(const struct kt_flows *fs, const char *host)
{
    for (size_t i = 0; i < KT_FLOW_TRUSTED; i++)
        if (fs->trusted[i] && strcmp(fs->trusted[i], host) == 0)
            return true;
    return false;
}

bool kt_flow_is_trusted(const struct kt_flow *f)
{
    if (f->fs->o.many)
        return false;
    for (const struct kt_flow *other = f->fs->first; other; other = other->next)
        if (spoke(other, f->host))
            return true;
    return noted(f->fs, f->host);
}

void kt_flow_trust_note(const struct kt_flow *f)
{
    struct kt_flows *fs = f->fs;
    if (fs->o.door || fs->o.many || fs->closing || !spoke(f, f->host) || noted(fs, f->host))
        return;
    char **to = &fs->trusted[fs->trusted_next++ % KT_FLOW_TRUSTED];
    free(*to);
    *to = strdup(f->host); /* none: a report too many at worst */
}

void kt_flow_trust_free(struct kt_flows *fs)
{
    for (size_t i = 0; i < KT_FLOW_TRUSTED; i++)
        free(fs->trusted[i]);
}
