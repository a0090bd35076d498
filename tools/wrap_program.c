/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_env.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_IMAGE_BYTES (512u << 20)

struct image {
    const unsigned char *data;
    size_t len;
};

static void unmap(struct image *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->len);
}

static struct image map_file(const char *path)
{
    struct image m = {NULL, 0};
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr) ||
        (uint64_t)st.st_size > MAX_IMAGE_BYTES)
        return m;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return m;
    m.data = p;
    m.len = (size_t)st.st_size;
    return m;
}

static bool in_image(const struct image *m, uint64_t off, uint64_t len)
{
    return off <= m->len && len <= m->len - off;
}

/* The section with this type, or NULL. Section headers may be stripped; then nothing is known. */
static const Elf64_Shdr *section(const struct image *m, uint32_t type)
{
    const Elf64_Ehdr *eh = (const void *)m->data;
    if (!in_image(m, eh->e_shoff, (uint64_t)eh->e_shnum * sizeof(Elf64_Shdr)) || eh->e_shoff % 8 != 0)
        return NULL;
    const Elf64_Shdr *sh = (const void *)(m->data + eh->e_shoff);
    for (unsigned i = 0; i < eh->e_shnum; i++)
        if (sh[i].sh_type == type && in_image(m, sh[i].sh_offset, sh[i].sh_size))
            return &sh[i];
    return NULL;
}

/* True where a DT_NEEDED name starts with one of the libraries that bring a shared libssl. */
static bool needs_shared_openssl(const struct image *m)
{
    const Elf64_Ehdr *eh = (const void *)m->data;
    const Elf64_Shdr *dyn = section(m, SHT_DYNAMIC);
    if (!dyn || dyn->sh_link >= eh->e_shnum || dyn->sh_offset % 8 != 0)
        return false;
    const Elf64_Shdr *str = (const Elf64_Shdr *)(const void *)(m->data + eh->e_shoff) + dyn->sh_link;
    if (!in_image(m, str->sh_offset, str->sh_size))
        return false;
    const Elf64_Dyn *d = (const void *)(m->data + dyn->sh_offset);
    for (size_t i = 0; i < dyn->sh_size / sizeof *d && d[i].d_tag != DT_NULL; i++) {
        if (d[i].d_tag != DT_NEEDED || d[i].d_un.d_val >= str->sh_size)
            continue;
        const char *name = (const char *)m->data + str->sh_offset + d[i].d_un.d_val;
        if (strncmp(name, "libssl", 6) == 0 || strncmp(name, "libcurl", 7) == 0)
            return true;
    }
    return false;
}

enum kt_program_trust kt_program_trust(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    if (strcmp(base, "java") == 0)
        return KT_TRUST_JAVA;
    /* Interpreters load libssl later; Node and Deno have variables of their own, which add instead of
     * replace. */
    static const char *const skip[] = {"python", "ruby", "perl", "php", "node", "deno", "bun"};
    for (size_t i = 0; i < KT_COUNT(skip); i++)
        if (strncmp(base, skip[i], strlen(skip[i])) == 0)
            return KT_TRUST_SHARED_OPENSSL;
    KT_CLEANUP(unmap) struct image m = map_file(path);
    if (!m.data || memcmp(m.data, ELFMAG, SELFMAG) != 0 || m.data[EI_CLASS] != ELFCLASS64)
        return KT_TRUST_SHARED_OPENSSL;
    /* An image that holds this name reads it itself: a static OpenSSL, Go's crypto/x509, rustls-native-certs.
     */
    if (memmem(m.data, m.len, "SSL_CERT_FILE", 13) && !needs_shared_openssl(&m))
        return KT_TRUST_OWN_STACK;
    return KT_TRUST_SHARED_OPENSSL;
}

bool kt_program_gives_rights(const char *path)
{
    struct stat st;
    return (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_ISUID | S_ISGID))) ||
           getxattr(path, "security.capability", NULL, 0) > 0;
}
