/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_secret_file.h"

#include "policyengine/config/kt_config.h"
#include "policyengine/config/kt_files.h"
#include "policyengine/config/kt_secret_run.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct kt_secret_file {
    pthread_mutex_t lock;
    char *key;      /* owned; NULL = not read yet */
    struct stat is; /* of the file before it was read */
};

struct kt_secret_file *kt_secret_file_new(void)
{
    struct kt_secret_file *f = calloc(1, sizeof *f);
    if (f)
        pthread_mutex_init(&f->lock, NULL);
    return f;
}

void kt_secret_file_free(struct kt_secret_file *f)
{
    if (!f)
        return;
    kt_free_secret(f->key);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static kt_result read_file(const char *path, char **out, struct kt_error *err)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf b = KT_BUF_INIT(KT_SECRET_MAX + 2);
    /* Once at its full size: growing would leave copies of the key behind in freed memory. */
    if (!kt_is_ok(kt_buf_reserve(&b, KT_SECRET_MAX + 2)))
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    kt_result r = kt_file_read(path, &b);
    if (r.code == KT_ERR_LIMIT)
        return kt_fail(err, KT_ERR_LIMIT, "file %s holds more than 16 KiB", path);
    if (!kt_is_ok(r) && (errno == EMFILE || errno == ENFILE))
        return kt_fail(err, KT_ERR_IO,
                       "the process has no file descriptor left to read file %s, raise RLIMIT_NOFILE", path);
    if (!kt_is_ok(r))
        return kt_fail(err, KT_ERR_NOTFOUND, "file %s: %s", path, strerror(errno));
    return kt_secret_accept(b.len ? b.data : "", b.len, "file", path, out, err);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim) == 0;
}

/* Lock held. */
static kt_result get(struct kt_secret_file *f, const char *path, char **out, struct kt_error *err)
{
    struct stat now = {0};              /* where it cannot be told, no later look is the same */
    bool known = stat(path, &now) == 0; /* takes no fd, of which none may be left */
    if (!known || !f->key || !is_same(&now, &f->is)) {
        kt_free_secret(f->key);
        f->key = NULL;
        KT_GUARD(read_file(path, &f->key, err));
        f->is = now;
    }
    *out = strdup(f->key);
    return *out ? kt_ok() : kt_fail(err, KT_ERR_MEMORY, "out of memory");
}

kt_result kt_secret_file_get(struct kt_secret_file *f, const char *path, char **out, struct kt_error *err)
{
    if (!f)
        return read_file(path, out, err);
    pthread_mutex_lock(&f->lock);
    kt_result r = get(f, path, out, err);
    pthread_mutex_unlock(&f->lock);
    return r;
}
