/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One chat call over TLS by a program that links no OpenSSL and takes its functions by hand, as .NET does.
 * symbols_chat WAY:
 *   default   dlsym(RTLD_DEFAULT), the library opened RTLD_GLOBAL
 *   handle    dlsym(handle), the library opened RTLD_LOCAL
 *   deepbind  the same, opened RTLD_DEEPBIND
 *   version   dlvsym(handle)
 *   walk      reads the library's symbol table itself: no hook can see that
 * `first` as a second argument: the name is resolved before the library is there. Prints {"status": N}.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *way;
static void *lib;

static void *walk(const char *name)
{
    struct link_map *map = NULL;
    const ElfW(Sym) *s = NULL;
    const char *strings = NULL;
    dlinfo(lib, RTLD_DI_LINKMAP, &map);
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            s = (const ElfW(Sym) *)d->d_un.d_ptr;
        else if (d->d_tag == DT_STRTAB)
            strings = (const char *)d->d_un.d_ptr;
    }
    while (strcmp(strings + s->st_name, name) != 0 || s->st_shndx == SHN_UNDEF)
        s++;
    return (void *)(map->l_addr + s->st_value);
}

static void *symbol(const char *name)
{
    void *fn;
    dlerror();
    if (strcmp(way, "walk") == 0)
        fn = walk(name);
    else if (strcmp(way, "version") == 0)
        fn = dlvsym(lib, name, "OPENSSL_3.0.0");
    else
        fn = dlsym(strcmp(way, "default") == 0 ? RTLD_DEFAULT : lib, name);
    const char *error = dlerror();
    if (!fn || error) {
        fprintf(stderr, "%s: %s\n", name, error ? error : "missing");
        exit(1);
    }
    return fn;
}

static void open_library(void)
{
    int flags = RTLD_NOW | (strcmp(way, "default") == 0 ? RTLD_GLOBAL : RTLD_LOCAL);
    lib = dlopen("libssl.so.3", flags | (strcmp(way, "deepbind") == 0 ? RTLD_DEEPBIND : 0));
    if (!lib) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
}

static int dial(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    int rc = getaddrinfo("api.openai.com", "443", &hints, &a);
    int fd = rc == 0 ? socket(a->ai_family, a->ai_socktype, a->ai_protocol) : -1;
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        perror("connect");
        exit(1);
    }
    freeaddrinfo(a);
    return fd;
}

static int post(char *out, size_t size)
{
    const char *prompt = getenv("KT_TEST_PROMPT"), *key = getenv("OPENAI_API_KEY");
    char body[2048];
    int n = snprintf(body, sizeof body,
                     "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
                     prompt ? prompt : "Mail alice.jones@example.org");
    return snprintf(
        out, size,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer %s\r\n"
        "Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
        key ? key : "sk-program-key-0001", n, body);
}

int main(int argc, char **argv)
{
    way = argc > 1 ? argv[1] : "handle";
    int fd = -1;
    if (argc > 2)
        fd = dial();
    open_library();
    if (fd < 0)
        fd = dial();
    void *method = ((void *(*)(void))symbol("TLS_client_method"))();
    void *ctx = ((void *(*)(void *))symbol("SSL_CTX_new"))(method);
    ((void (*)(void *, int, void *))symbol("SSL_CTX_set_verify"))(ctx, 1, NULL);
    ((int (*)(void *))symbol("SSL_CTX_set_default_verify_paths"))(ctx);
    void *ssl = ((void *(*)(void *))symbol("SSL_new"))(ctx);
    ((int (*)(void *, const char *))symbol("SSL_set1_host"))(ssl, "api.openai.com");
    ((long (*)(void *, int, long, void *))symbol("SSL_ctrl"))(ssl, 55, 0, (void *)"api.openai.com"); /* SNI */
    ((int (*)(void *, int))symbol("SSL_set_fd"))(ssl, fd);
    int rc = ((int (*)(void *))symbol("SSL_connect"))(ssl);
    if (rc != 1) {
        fprintf(stderr, "SSL_connect %d\n", rc);
        return 1;
    }
    char text[4096];
    int n = post(text, sizeof text);
    rc = ((int (*)(void *, const void *, int))symbol("SSL_write"))(ssl, text, n);
    if (rc != n) {
        fprintf(stderr, "SSL_write %d of %d\n", rc, n);
        return 1;
    }
    int (*read_some)(void *, void *, size_t, size_t *) =
        (int (*)(void *, void *, size_t, size_t *))symbol("SSL_read_ex");
    size_t got, all = 0;
    while (all < sizeof text - 1 && read_some(ssl, text + all, sizeof text - 1 - all, &got) == 1)
        all += got;
    text[all] = '\0';
    ((void (*)(void *))symbol("SSL_free"))(ssl);
    close(fd);
    printf("{\"status\": %d}\n", strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0);
    return 0;
}
