/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_config.h"
#include "policyengine/config/kt_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SECRET = 16 * 1024 };

/* Copies the key without the white space around it (files end in a newline) once it is fit for a header. */
static kt_result accept(const char *value, size_t len, const char *kind, const char *where, char **out,
                        struct kt_error *err)
{
    while (len && strchr(" \t\r\n", value[len - 1]))
        len--;
    while (len && strchr(" \t\r\n", *value)) {
        value++;
        len--;
    }
    if (len == 0)
        return kt_fail(err, KT_ERR_NOTFOUND, "%s %s holds no key", kind, where);
    if (len > MAX_SECRET)
        return kt_fail(err, KT_ERR_LIMIT, "%s %s holds more than 16 KiB", kind, where);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return kt_fail(err, KT_ERR_USAGE, "%s %s holds more than one line or a control character", kind,
                           where);
    *out = strndup(value, len);
    return *out ? kt_ok() : kt_fail(err, KT_ERR_MEMORY, "out of memory");
}

static kt_result from_file(const char *path, char **out, struct kt_error *err)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf b = KT_BUF_INIT(MAX_SECRET + 2);
    /* Once at its full size: growing would leave copies of the key behind in freed memory. */
    if (!kt_is_ok(kt_buf_reserve(&b, MAX_SECRET + 2)))
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    kt_result r = kt_file_read(path, &b);
    if (r.code == KT_ERR_LIMIT)
        return kt_fail(err, KT_ERR_LIMIT, "file %s holds more than 16 KiB", path);
    if (!kt_is_ok(r))
        return kt_fail(err, KT_ERR_NOTFOUND, "file %s: %s", path, strerror(errno));
    if (b.len && memchr(b.data, '\0', b.len))
        return kt_fail(err, KT_ERR_USAGE, "file %s holds a NUL byte", path);
    return accept(b.len ? b.data : "", b.len, "file", path, out, err);
}

kt_result kt_secret_resolve(const struct kt_target *t, char **out, struct kt_error *err)
{
    *out = NULL;
    if (t->secret_key_ref.file)
        return from_file(t->secret_key_ref.file, out, err);
    if (!t->secret_key_ref.env)
        return kt_ok();
    const char *value = getenv(t->secret_key_ref.env);
    if (!value)
        return kt_fail(err, KT_ERR_NOTFOUND, "environment variable %s is not set", t->secret_key_ref.env);
    return accept(value, strlen(value), "environment variable", t->secret_key_ref.env, out, err);
}
