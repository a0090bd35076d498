/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_config.h"
#include "policyengine/config/kt_secret_file.h"
#include "policyengine/config/kt_secret_run.h"

#include <stdlib.h>
#include <string.h>

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

kt_result kt_secret_resolve(const struct kt_target *t, char **out, struct kt_error *err)
{
    *out = NULL;
    if (t->secret_key_ref.file)
        return kt_secret_file_get(t->secret_key_ref.kept, t->secret_key_ref.file, out, err);
    if (t->secret_key_ref.command && !t->secret_key_ref.run)
        return kt_fail(err, KT_ERR_STATE, "secret_key_ref.command belongs to no config");
    if (t->secret_key_ref.command)
        return kt_secret_run_get(t->secret_key_ref.run, t->secret_key_ref.command, out, err);
    if (!t->secret_key_ref.env)
        return kt_ok();
    const char *value = getenv(t->secret_key_ref.env);
    if (!value)
        return kt_fail(err, KT_ERR_NOTFOUND, "environment variable %s is not set", t->secret_key_ref.env);
    return kt_secret_accept(value, strlen(value), "environment variable", t->secret_key_ref.env, out, err);
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
