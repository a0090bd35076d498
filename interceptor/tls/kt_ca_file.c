/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tls/kt_ca_object.h"

#include "policyengine/base/kt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE (256 << 10)
#define USUAL_FILE 4000u /* bytes; what is larger leaves pieces of itself where the buffer grew from */

static int create(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd >= 0 && fchmod(fd, mode) != 0) { /* whatever the umask is */
        close(fd);
        unlink(path);
        return -1;
    }
    return fd;
}

/* Unlinks what it created where it cannot be written in full. */
static kt_result save_one(const char *path, mode_t mode, const struct kt_ca *ca, bool key,
                          struct kt_error *err)
{
    int fd = create(path, mode);
    if (fd < 0)
        return kt_fail(err, KT_ERR_IO, "cannot create %.300s: %s", path, strerror(errno));
    BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE); /* straight to the file: no copy of the key is left in a buffer */
    bool fine = bio && (key ? PEM_write_bio_PKCS8PrivateKey(bio, ca->key, NULL, NULL, 0, NULL, NULL)
                            : PEM_write_bio_X509(bio, ca->cert)) == 1;
    int why = errno;
    BIO_free(bio);
    fine = close(fd) == 0 && fine;
    if (fine)
        return kt_ok();
    unlink(path);
    return kt_fail(err, KT_ERR_IO, "cannot write %.300s: %s", path, why ? strerror(why) : "short write");
}

kt_result kt_ca_save(const struct kt_ca *ca, const char *cert_pem, const char *key_pem, struct kt_error *err)
{
    __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark();
    KT_GUARD(save_one(key_pem, 0600, ca, true, err));
    kt_result r = save_one(cert_pem, 0644, ca, false, err);
    if (!kt_is_ok(r))
        unlink(key_pem);
    return r;
}

/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
static int open_checked(const char *path, bool secret, struct kt_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        (void)kt_fail(err, KT_ERR_IO, "cannot open %.300s: %s", path, strerror(errno));
        return -1;
    }
    const char *why = NULL;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
        why = "not a small regular file";
    else if (secret && st.st_uid != geteuid())
        why = "it belongs to somebody else";
    else if (secret && (st.st_mode & 077) != 0)
        why = "others may read it; run chmod 600 on it";
    if (!why)
        return fd;
    close(fd);
    (void)kt_fail(err, KT_ERR_IO, "%.300s is refused: %s", path, why);
    return -1;
}

/* A key with a passphrase is not ours: never ask the terminal for one. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

/* In one piece: a BIO over the file would read it byte by byte, a thousand times through the program's hooks.
 */
static BIO *read_pem(int fd, struct kt_buf *text)
{
    bool read = kt_is_ok(kt_buf_reserve(text, USUAL_FILE)) && kt_is_ok(kt_read_to_end(fd, text));
    return read ? BIO_new_mem_buf(kt_buf_span(text).data, (int)text->len) : NULL;
}

kt_result kt_ca_load(const char *cert_pem, const char *key_pem, struct kt_ca **out, struct kt_error *err)
{
    __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark();
    KT_CLEANUP(kt_cleanup_fd) int cert_fd = open_checked(cert_pem, false, err);
    KT_ENSURE(cert_fd >= 0, KT_ERR_IO);
    KT_CLEANUP(kt_cleanup_fd) int key_fd = open_checked(key_pem, true, err);
    KT_ENSURE(key_fd >= 0, KT_ERR_IO);
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf cert_text = KT_BUF_INIT(MAX_FILE);
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf key_text = KT_BUF_INIT(MAX_FILE);
    BIO *cert_bio = read_pem(cert_fd, &cert_text), *key_bio = read_pem(key_fd, &key_text);
    X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, no_passphrase, NULL) : NULL;
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(cert_bio);
    BIO_free(key_bio);
    if (cert && key && X509_check_private_key(cert, key) == 1 && X509_check_ca(cert) == 1)
        return kt_ca_adopt(cert, key, out, err);
    X509_free(cert);
    EVP_PKEY_free(key);
    return kt_fail(err, KT_ERR_CRYPTO, "%.200s and %.200s are not a CA certificate and its key", cert_pem,
                   key_pem);
}
