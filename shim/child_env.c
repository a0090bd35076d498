/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/child_env.h"

#include "shim/env.h"
#include "shim/self.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

void *kt_scratch_map(struct kt_scratch *s, size_t bytes)
{
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

static void look(char *const *envp, struct kt_missing *m)
{
    memset(m, 0, sizeof *m);
    for (size_t i = 0; kt_env_saved(i); i++)
        m->saved |= 1ull << i;
    m->preload = kt_env_preloaded();
    m->preload_at = SIZE_MAX;
    for (; envp && envp[m->entries]; m->entries++) {
        const char *e = envp[m->entries];
        if (e[0] == 'L' && strncmp(e, "LD_PRELOAD=", 11) == 0) {
            if (kt_preload_has_us(e + 11, true))
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
    if (m->preload) /* last, because the first to ask for the path needs much of the stack */
        m->preload = kt_self_path()[0] == '/';
}

/* In front of the caller's own entries, which stay, but one of ours by a relative path: that is of the folder
 * that the program was started in. */
static void write_preload(char *out, const char *caller)
{
    const char *self = kt_self_path();
    size_t n = strlen(self);
    memcpy(out, "LD_PRELOAD=", 11);
    memcpy(out + 11, self, n + 1);
    out += 11 + n;
    while (*caller) {
        size_t len = strcspn(caller, ": ");
        if (len > 0 && !kt_preload_is_us(caller, len)) {
            *out++ = ':';
            memcpy(out, caller, len);
            out += len;
        }
        caller += len;
        caller += strspn(caller, ": ");
    }
    *out = '\0';
}

static const char *callers_preload(const struct kt_missing *m, char *const *envp)
{
    return m->preload_at == SIZE_MAX ? "" : envp[m->preload_at] + 11;
}

static size_t slots_of(const struct kt_missing *m)
{
    return m->entries + (size_t)__builtin_popcountll(m->saved) + 2;
}

size_t kt_child_env_need(struct kt_missing *m, char *const *envp)
{
    look(envp, m);
    if (!m->preload && !m->relative && m->saved == 0)
        return 0;
    size_t text = m->preload ? 11 + strlen(kt_self_path()) + 1 + strlen(callers_preload(m, envp)) + 1 : 0;
    return slots_of(m) * sizeof *envp + text;
}

char *const *kt_child_env(const struct kt_missing *m, char *const *envp, void *room)
{
    char **out = room;
    if (!out)
        return envp;
    size_t n = m->entries;
    if (n > 0)
        memcpy(out, envp, n * sizeof *out);
    for (size_t i = 0; m->relative && i < n; i++)
        if (out[i][0] == 'K' && kt_env_better(out[i]))
            out[i] = (char *)(uintptr_t)kt_env_better(out[i]);
    for (size_t i = 0; kt_env_saved(i); i++)
        if (m->saved & (1ull << i))
            out[n++] = (char *)(uintptr_t)kt_env_saved(i);
    if (m->preload) {
        char *line = (char *)(out + slots_of(m));
        write_preload(line, callers_preload(m, envp));
        out[m->preload_at == SIZE_MAX ? n++ : m->preload_at] = line;
    }
    out[n] = NULL;
    return out;
}
