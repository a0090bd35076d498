/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_io.h"
#include "policyengine/detect/kt_pattern_image.h"

#include <errno.h>
#include <fcntl.h>
#include <hs/hs_common.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "ktpatterns 1\n"
#define COMPILED_AS "block som=leftmost utf8 baseline"

struct head {
    char magic[16];
    char key[KT_SHA256_HEX];  /* the file's name: it was not renamed */
    char body[KT_SHA256_HEX]; /* of the database */
    uint32_t width;
    uint64_t len;
};

kt_result kt_pattern_key(char *const *expressions, size_t n, char out[KT_SHA256_HEX])
{
    KT_CLEANUP(kt_buf_free)
    struct kt_buf all = KT_BUF_INIT(KT_PATTERNS_MAX * (KT_PATTERN_BYTES + 32u) + 256u);
    KT_GUARD(kt_buf_printf(&all, "%s%s\n%s\n%zu\n", MAGIC, hs_version(), COMPILED_AS, sizeof(void *)));
    for (size_t i = 0; i < n; i++)
        KT_GUARD(kt_buf_printf(&all, "%zu:%s\n", strlen(expressions[i]), expressions[i]));
    return kt_sha256_hex(all.data, all.len, out);
}

/* Ours, and nobody else may write it. */
static bool trusted(int fd, size_t *size)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) ||
        st.st_size < 0)
        return false;
    *size = (size_t)st.st_size;
    return *size > sizeof(struct head) && *size <= KT_PATTERN_IMAGE + sizeof(struct head);
}

static bool head_fits(const struct head *h, const char *key, size_t size)
{
    return memcmp(h->magic, MAGIC, sizeof MAGIC) == 0 && memcmp(h->key, key, KT_SHA256_HEX) == 0 &&
           h->len == size - sizeof *h && h->width >= 1 && h->width <= KT_PATTERN_WIDTH;
}

bool kt_pattern_load(const char *folder, const char *key, struct kt_pattern_image *out)
{
    char path[PATH_MAX], digest[KT_SHA256_HEX];
    struct head h;
    size_t size = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, key) >= sizeof path)
        return false;
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || !trusted(fd, &size) || !kt_is_ok(kt_read_exact(fd, &h, sizeof h)) ||
        !head_fits(&h, key, size))
        return false;
    out->bytes = (struct kt_buf)KT_BUF_INIT(KT_PATTERN_IMAGE);
    if (kt_buf_reserve(&out->bytes, h.len).code == KT_OK &&
        kt_is_ok(kt_read_exact(fd, out->bytes.data, h.len)) &&
        kt_sha256_hex(out->bytes.data, h.len, digest).code == KT_OK &&
        memcmp(digest, h.body, KT_SHA256_HEX) == 0) {
        out->bytes.len = h.len;
        out->width = h.width;
        return true;
    }
    kt_buf_free(&out->bytes);
    return false;
}

bool kt_pattern_store(const char *folder, const char *key, const struct kt_pattern_image *image)
{
    char path[PATH_MAX], temp[PATH_MAX];
    struct head h = {.magic = MAGIC, .width = image->width, .len = image->bytes.len};
    uint64_t unique = 0;
    memcpy(h.key, key, KT_SHA256_HEX);
    if (kt_random(&unique, sizeof unique).code != KT_OK ||
        kt_sha256_hex(image->bytes.data, image->bytes.len, h.body).code != KT_OK)
        return false;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return false;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, key) >= sizeof path ||
        (size_t)snprintf(temp, sizeof temp, "%s/.%016llx", folder, (unsigned long long)unique) >= sizeof temp)
        return false;
    KT_CLEANUP(kt_cleanup_fd) int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    if (kt_is_ok(kt_write_all(fd, &h, sizeof h)) &&
        kt_is_ok(kt_write_all(fd, image->bytes.data, image->bytes.len)) && fsync(fd) == 0 &&
        rename(temp, path) == 0)
        return true;
    int why = errno;
    unlink(temp);
    errno = why;
    return false;
}
