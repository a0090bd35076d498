/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_config.h"
#include "policyengine/config/kt_secret_file.h"
#include "policyengine/config/kt_secret_run.h"

#include "policyengine/base/kt_environ.h"
#include "policyengine/base/kt_io.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRONMENT_MAX (8u << 20) /* bytes; the kernel takes 6 MiB */

kt_result kt_secret_accept(const char *value, size_t len, const char *kind, const char *where, char **out,
                           struct kt_error *err)
{
    while (len && strchr(" \t\r\n", value[len - 1]))
        len--;
    while (len && strchr(" \t\r\n", *value)) {
        value++;
        len--;
    }
    if (len && memchr(value, '\0', len))
        return kt_fail(err, KT_ERR_USAGE, "%s %s holds a NUL byte", kind, where);
    if (len == 0)
        return kt_fail(err, KT_ERR_NOTFOUND, "%s %s holds no key", kind, where);
    if (len > KT_SECRET_MAX)
        return kt_fail(err, KT_ERR_LIMIT, "%s %s holds more than 16 KiB", kind, where);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return kt_fail(err, KT_ERR_USAGE, "%s %s holds more than one line or a control character", kind,
                           where);
    *out = strndup(value, len);
    return *out ? kt_ok() : kt_fail(err, KT_ERR_MEMORY, "out of memory");
}

/* As the kernel gave it to the program, where that has not written over it: a program that clears its
 * environment meant its children, not the policy that it runs under. NULL: not there. Borrowed from `all`. */
static const char *from_start(const char *name, struct kt_buf *all)
{
    size_t len = strlen(name);
    int fd = kt_off_std(open("/proc/thread-self/environ", O_RDONLY | O_CLOEXEC));
    bool read = fd >= 0 && kt_is_ok(kt_read_to_end(fd, all));
    if (fd >= 0)
        close(fd);
    for (size_t at = 0; read && at < all->len; at += strlen(all->data + at) + 1)
        if (strncmp(all->data + at, name, len) == 0 && all->data[at + len] == '=')
            return all->data + at + len + 1;
    return NULL;
}

static void cleanup_secret(char **p)
{
    if (*p)
        kt_wipe(*p, strlen(*p));
    free(*p);
}

static kt_result from_environment(const char *name, char **out, struct kt_error *err)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf all = KT_BUF_INIT(ENVIRONMENT_MAX);
    KT_CLEANUP(cleanup_secret) char *now = NULL;
    if (!kt_is_ok(kt_environ_copy(name, &now)))
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    const char *value = now;
    if (!value)
        value = from_start(name, &all);
    if (!value)
        return kt_fail(err, KT_ERR_NOTFOUND, "environment variable %s is not set", name);
    return kt_secret_accept(value, strlen(value), "environment variable", name, out, err);
}

kt_result kt_secret_resolve(const struct kt_target *t, char **out, struct kt_error *err)
{
    *out = NULL;
    if (t->secret_key_ref.file)
        return kt_secret_file_get(t->secret_key_ref.kept, t->secret_key_ref.file, out, err);
    if (t->secret_key_ref.command && !t->secret_key_ref.run)
        return kt_fail(err, KT_ERR_STATE, "secret_key_ref.command belongs to no config");
    if (t->secret_key_ref.command)
        return kt_secret_run_get(t->secret_key_ref.run, t->secret_key_ref.command, out, err);
    return t->secret_key_ref.env ? from_environment(t->secret_key_ref.env, out, err) : kt_ok();
}

bool kt_secrets_pending(const struct kt_config *c)
{
    bool pending = false;
    for (size_t i = 0; i < c->providers.target_count; i++) { /* all of them: they run side by side */
        const struct kt_secret_ref *s = &c->providers.targets[i].secret_key_ref;
        if (s->command && s->run && kt_secret_run_step(s->run, s->command))
            pending = true;
    }
    return pending;
}
