/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/child_env.h"

#include "shim/env.h"
#include "shim/self.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

void *kt_scratch_get(struct kt_scratch *s, size_t bytes)
{
    s->map = NULL;
    if (bytes <= sizeof s->fixed)
        return s->fixed;
    int saved = errno;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    errno = saved;
    if (p == MAP_FAILED)
        return NULL;
    s->map = p;
    s->map_size = bytes;
    return p;
}

void kt_scratch_done(struct kt_scratch *s)
{
    int saved = errno;
    if (s->map)
        munmap(s->map, s->map_size);
    s->map = NULL;
    errno = saved;
}

struct missing {
    size_t entries;    /* of the caller */
    uint64_t saved;    /* bit i: kt_env_saved(i) is not in the caller's */
    bool preload;      /* LD_PRELOAD does not name us */
    bool relative;     /* an entry holds a relative path of ours */
    size_t preload_at; /* index of the caller's LD_PRELOAD, entries where it has none */
};

static void look(char *const *envp, struct missing *m)
{
    memset(m, 0, sizeof *m);
    for (size_t i = 0; kt_env_saved(i); i++)
        m->saved |= 1ull << i;
    m->preload = kt_env_preloaded() && kt_self_path()[0] == '/';
    m->preload_at = SIZE_MAX;
    for (; envp && envp[m->entries]; m->entries++) {
        const char *e = envp[m->entries];
        if (e[0] == 'L' && strncmp(e, "LD_PRELOAD=", 11) == 0) {
            if (kt_preload_has_us(e + 11))
                m->preload = false;
            else if (m->preload_at == SIZE_MAX)
                m->preload_at = m->entries;
        } else if (e[0] == 'K') {
            m->relative = m->relative || kt_env_better(e);
            for (size_t i = 0; kt_env_saved(i); i++)
                if (kt_env_same_name(e, kt_env_saved(i)))
                    m->saved &= ~(1ull << i);
        }
    }
}

/* In front of the caller's own entries, which all stay. */
static void write_preload(char *out, const char *caller)
{
    const char *self = kt_self_path();
    size_t n = strlen(self);
    memcpy(out, "LD_PRELOAD=", 11);
    memcpy(out + 11, self, n + 1);
    if (*caller == '\0')
        return;
    out[11 + n] = ':';
    memcpy(out + 12 + n, caller, strlen(caller) + 1);
}

char *const *kt_child_env(struct kt_scratch *s, char *const *envp)
{
    s->map = NULL;
    struct missing m;
    look(envp, &m);
    if (!m.preload && !m.relative && m.saved == 0)
        return envp;
    const char *caller = m.preload_at == SIZE_MAX ? "" : envp[m.preload_at] + 11;
    size_t slots = m.entries + (size_t)__builtin_popcountll(m.saved) + 2;
    size_t text = m.preload ? 11 + strlen(kt_self_path()) + 1 + strlen(caller) + 1 : 0;
    char **out = kt_scratch_get(s, slots * sizeof *out + text);
    if (!out)
        return envp;
    size_t n = m.entries;
    if (n > 0)
        memcpy(out, envp, n * sizeof *out);
    for (size_t i = 0; m.relative && i < n; i++)
        if (out[i][0] == 'K' && kt_env_better(out[i]))
            out[i] = (char *)(uintptr_t)kt_env_better(out[i]);
    for (size_t i = 0; kt_env_saved(i); i++)
        if (m.saved & (1ull << i))
            out[n++] = (char *)(uintptr_t)kt_env_saved(i);
    if (m.preload) {
        char *line = (char *)(out + slots);
        write_preload(line, caller);
        out[m.preload_at == SIZE_MAX ? n++ : m.preload_at] = line;
    }
    out[n] = NULL;
    return out;
}

char **kt_collect_args(struct kt_scratch *s, const char *arg, va_list ap)
{
    size_t n = arg ? 1 : 0;
    va_list count;
    va_copy(count, ap);
    while (n > 0 && va_arg(count, const char *))
        n++;
    va_end(count);
    char **argv = kt_scratch_get(s, (n + 1) * sizeof *argv);
    if (!argv)
        return NULL;
    argv[0] = (char *)(uintptr_t)arg;
    for (size_t i = 1; i <= n; i++)
        argv[i] = va_arg(ap, char *); /* the last one is the NULL, after which execle has its envp */
    if (n == 0)
        argv[0] = NULL;
    return argv;
}
