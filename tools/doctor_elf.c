/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/doctor.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_BYTES (1u << 30)
#define MAX_LIBRARIES 256

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

struct image {
    const char *data;
    size_t len;
};

struct walk { /* libraries that were looked at or wait for it */
    char *names[MAX_LIBRARIES];
    size_t count;
};

static void unmap(struct image *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->len);
}

static bool map(const char *path, struct image *m)
{
    struct stat st;
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > MAX_BYTES)
        return false;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return false;
    *m = (struct image){p, (size_t)st.st_size};
    return true;
}

static bool inside(const struct image *m, uint64_t at, uint64_t len)
{
    return at <= m->len && len <= m->len - at;
}

static bool has(const struct image *m, const char *text)
{
    return memmem(m->data, m->len, text, strlen(text)) != NULL;
}

/* The i-th program header; NULL past the last or outside of the file. */
static bool header(const struct image *m, unsigned i, Elf64_Phdr *out)
{
    Elf64_Ehdr eh;
    memcpy(&eh, m->data, sizeof eh);
    uint64_t at = eh.e_phoff + (uint64_t)i * sizeof *out;
    if (i >= eh.e_phnum || eh.e_phoff > m->len || !inside(m, at, sizeof *out))
        return false;
    memcpy(out, m->data + at, sizeof *out);
    return true;
}

static bool find_header(const struct image *m, uint32_t type, Elf64_Phdr *out)
{
    for (unsigned i = 0; header(m, i, out); i++)
        if (out->p_type == type && inside(m, out->p_offset, out->p_filesz))
            return true;
    return false;
}

static uint64_t file_offset(const struct image *m, uint64_t address)
{
    Elf64_Phdr p;
    for (unsigned i = 0; header(m, i, &p); i++)
        if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz)
            return address - p.p_vaddr + p.p_offset;
    return UINT64_MAX;
}

static void add_library(struct walk *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->names[i], name) == 0)
            return;
    if (w->count < MAX_LIBRARIES && (w->names[w->count] = strdup(name)))
        w->count++;
}

/* Adds what DT_NEEDED names. */
static void needed(const struct image *m, struct walk *w)
{
    Elf64_Phdr dyn;
    Elf64_Dyn d;
    uint64_t strings = UINT64_MAX;
    if (!find_header(m, PT_DYNAMIC, &dyn))
        return;
    for (uint64_t at = 0; at + sizeof d <= dyn.p_filesz; at += sizeof d) {
        memcpy(&d, m->data + dyn.p_offset + at, sizeof d);
        if (d.d_tag == DT_STRTAB)
            strings = file_offset(m, d.d_un.d_ptr);
    }
    for (uint64_t at = 0; strings < m->len && at + sizeof d <= dyn.p_filesz; at += sizeof d) {
        memcpy(&d, m->data + dyn.p_offset + at, sizeof d);
        if (d.d_tag != DT_NEEDED || d.d_un.d_val >= m->len - strings)
            continue;
        const char *name = m->data + strings + d.d_un.d_val;
        if (memchr(name, '\0', m->len - strings - d.d_un.d_val))
            add_library(w, name);
    }
}

static void note_library(const char *name, struct doctor_elf *out)
{
    out->openssl_shared = out->openssl_shared || strncmp(name, "libssl.so", 9) == 0;
    out->gnutls = out->gnutls || strncmp(name, "libgnutls.so", 12) == 0;
    out->nss = out->nss || strncmp(name, "libssl3.so", 10) == 0 || strncmp(name, "libnss3.so", 10) == 0;
}

/* Where the loader would mostly find it; beside the program for those that bring their own. */
static bool map_library(const char *name, const char *program, struct image *m)
{
    static const char *const places[] = {"/lib/x86_64-linux-gnu",
                                         "/usr/lib/x86_64-linux-gnu",
                                         "/lib/aarch64-linux-gnu",
                                         "/usr/lib/aarch64-linux-gnu",
                                         "/lib64",
                                         "/usr/lib64",
                                         "/usr/local/lib",
                                         "/lib",
                                         "/usr/lib"};
    char path[PATH_MAX];
    const char *slash = strrchr(program, '/');
    for (size_t i = 0; i < KT_COUNT(places); i++) {
        snprintf(path, sizeof path, "%s/%s", places[i], name);
        if (map(path, m))
            return true;
    }
    snprintf(path, sizeof path, "%.*s/%s", slash ? (int)(slash - program) : 1, slash ? program : ".", name);
    return map(path, m);
}

static bool is_elf64(const struct image *m)
{
    return m->len >= sizeof(Elf64_Ehdr) && memcmp(m->data, ELFMAG, SELFMAG) == 0 &&
           m->data[EI_CLASS] == ELFCLASS64;
}

static void walk_libraries(const struct image *program, const char *path, struct doctor_elf *out)
{
    struct walk w = {.count = 0};
    needed(program, &w);
    for (size_t i = 0; i < w.count; i++) {
        KT_CLEANUP(unmap) struct image m = {NULL, 0};
        note_library(w.names[i], out);
        if (map_library(w.names[i], path, &m) && is_elf64(&m))
            needed(&m, &w);
    }
    for (size_t i = 0; i < w.count; i++)
        free(w.names[i]);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void read_script(const struct image *m, struct doctor_elf *out)
{
    const char *nl = memchr(m->data, '\n', m->len);
    const char *p = m->data + 2, *end = nl ? nl : m->data + m->len;
    while (p < end && blank(*p))
        p++;
    const char *stop = p;
    while (stop < end && !blank(*stop))
        stop++;
    if (stop - p < PATH_MAX)
        snprintf(out->interpreter, sizeof out->interpreter, "%.*s", (int)(stop - p), p);
    if (end - stop < (ptrdiff_t)sizeof out->argument)
        snprintf(out->argument, sizeof out->argument, "%.*s", (int)(end - stop), stop);
}

bool doctor_read_elf(const char *path, struct doctor_elf *out)
{
    struct stat st;
    Elf64_Ehdr eh;
    Elf64_Phdr interp;
    memset(out, 0, sizeof *out);
    KT_CLEANUP(unmap) struct image m = {NULL, 0};
    errno = 0;
    if (!map(path, &m))
        return false; /* errno is 0: nothing in it, or no file */
    out->setuid = (stat(path, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID))) ||
                  getxattr(path, "security.capability", NULL, 0) > 0;
    if (m.len > 2 && memcmp(m.data, "#!", 2) == 0)
        read_script(&m, out);
    if (m.len < sizeof eh || memcmp(m.data, ELFMAG, SELFMAG) != 0)
        return true;
    memcpy(&eh, m.data, sizeof eh);
    out->elf = true;
    out->foreign = !is_elf64(&m) || eh.e_machine != MACHINE;
    if (out->foreign)
        return true;
    out->dynamic = find_header(&m, PT_INTERP, &interp);
    out->musl = out->dynamic && memmem(m.data + interp.p_offset, interp.p_filesz, "ld-musl", 7) != NULL;
    out->go = has(&m, "\xff Go buildinf:");
    out->cert_file = has(&m, "SSL_CERT_FILE");
    out->node_certs = has(&m, "NODE_EXTRA_CA_CERTS");
    out->resolver_own = has(&m, "ares_getaddrinfo");
    if (out->dynamic)
        walk_libraries(&m, path, out);
    out->openssl_own = !out->go && !out->openssl_shared && (has(&m, "SSL_write") || has(&m, "BoringSSL"));
    return true;
}
