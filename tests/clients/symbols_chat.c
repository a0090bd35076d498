/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One chat call over TLS by a program that links no OpenSSL and takes its functions by hand, as .NET does.
 * symbols_chat WAY:
 *   default   dlsym(RTLD_DEFAULT), the library opened RTLD_GLOBAL
 *   handle    dlsym(handle), the library opened RTLD_LOCAL
 *   deepbind  the same, opened RTLD_DEEPBIND
 *   version   dlvsym(handle)
 *   walk      reads the library's symbol table itself: no hook can see that
 *   linked    none of these: built with -DLINKED and an OpenSSL inside of the program, which nobody else sees
 * `first` as a second argument: the name is resolved before the library is there. Prints {"status": N}. With
 * KT_TEST_AT_ONCE = N: one plain call, one streamed, N at once by threads; prints what the other clients do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
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

#ifdef LINKED
extern char TLS_client_method[], SSL_CTX_new[], SSL_CTX_set_verify[], SSL_CTX_set_default_verify_paths[],
    SSL_new[], SSL_set1_host[], SSL_ctrl[], SSL_set_fd[], SSL_connect[], SSL_write[], SSL_read_ex[],
    SSL_free[];
#define INSIDE(name)                                                                                         \
    {                                                                                                        \
#name, name                                                                                          \
    }
static const struct {
    const char *name;
    void *fn;
} inside[] = {INSIDE(TLS_client_method),
              INSIDE(SSL_CTX_new),
              INSIDE(SSL_CTX_set_verify),
              INSIDE(SSL_CTX_set_default_verify_paths),
              INSIDE(SSL_new),
              INSIDE(SSL_set1_host),
              INSIDE(SSL_ctrl),
              INSIDE(SSL_set_fd),
              INSIDE(SSL_connect),
              INSIDE(SSL_write),
              INSIDE(SSL_read_ex),
              INSIDE(SSL_free)};

static void *linked(const char *name)
{
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        if (strcmp(inside[i].name, name) == 0)
            return inside[i].fn;
    return NULL;
}
#else
static void *linked(const char *name)
{
    (void)name;
    return NULL;
}
#endif

static void *symbol(const char *name)
{
    void *fn;
    dlerror();
    if (strcmp(way, "linked") == 0)
        return linked(name);
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

static int post(char *out, size_t size, const char *more, bool stream)
{
    const char *prompt = getenv("KT_TEST_PROMPT"), *key = getenv("OPENAI_API_KEY");
    char body[2048];
    int n = snprintf(body, sizeof body,
                     "{\"model\":\"gpt-4o\",\"stream\":%s,\"max_completion_tokens\":64,\"messages\":[{"
                     "\"role\":\"user\",\"content\":\"%s%s\"}]}",
                     stream ? "true" : "false", prompt ? prompt : "Mail alice.jones@example.org", more);
    return snprintf(
        out, size,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer %s\r\n"
        "Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
        key ? key : "sk-program-key-0001", n, body);
}

static void fail(const char *what, int rc)
{
    fprintf(stderr, "%s %d\n", what, rc);
    exit(1);
}

static void *handshake(int fd)
{
    void *method = ((void *(*)(void))symbol("TLS_client_method"))();
    void *ctx = ((void *(*)(void *))symbol("SSL_CTX_new"))(method);
    ((void (*)(void *, int, void *))symbol("SSL_CTX_set_verify"))(ctx, 1, NULL);
    ((int (*)(void *))symbol("SSL_CTX_set_default_verify_paths"))(ctx);
    void *ssl = ((void *(*)(void *))symbol("SSL_new"))(ctx);
    ((int (*)(void *, const char *))symbol("SSL_set1_host"))(ssl, "api.openai.com");
    ((long (*)(void *, int, long, void *))symbol("SSL_ctrl"))(ssl, 55, 0, (void *)"api.openai.com"); /* SNI */
    ((int (*)(void *, int))symbol("SSL_set_fd"))(ssl, fd);
    int rc = ((int (*)(void *))symbol("SSL_connect"))(ssl);
    if (rc != 1)
        fail("SSL_connect", rc);
    return ssl;
}

/* One call on a connection of its own; the whole answer into `text`. */
static void call(int fd, const char *more, bool stream, char *text, size_t size)
{
    void *ssl = handshake(fd);
    int n = post(text, size, more, stream);
    int rc = ((int (*)(void *, const void *, int))symbol("SSL_write"))(ssl, text, n);
    if (rc != n)
        fail("SSL_write", rc);
    int (*read_some)(void *, void *, size_t, size_t *) =
        (int (*)(void *, void *, size_t, size_t *))symbol("SSL_read_ex");
    size_t got, all = 0;
    while (all < size - 1 && read_some(ssl, text + all, size - 1 - all, &got) == 1)
        all += got;
    text[all] = '\0';
    ((void (*)(void *))symbol("SSL_free"))(ssl);
    close(fd);
}

static int status_of(const char *text)
{
    return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

static void *one_of_many(void *arg)
{
    char text[4096];
    call(dial(), ", at once", false, text, sizeof text);
    *(int *)arg = status_of(text);
    return NULL;
}

static void matrix(int n)
{
    char text[16384], *at = text;
    int status[64];
    pthread_t thread[64];
    call(dial(), "", false, text, sizeof text);
    const char *body = strstr(text, "\r\n\r\n");
    printf("{\"plain\":{\"status\":%d,\"body\":%s}", status_of(text), body ? body + 4 : "null");
    call(dial(), "", true, text, sizeof text);
    printf(",\"stream\":{\"status\":%d,\"done\":%s,\"text\":\"", status_of(text),
           strstr(text, "data: [DONE]") ? "true" : "false");
    while ((at = strstr(at, "\"content\"")) && (at = strchr(at + 9, '"'))) {
        size_t len = strcspn(++at, "\"");
        printf("%.*s", (int)len, at);
        at += len;
    }
    for (int i = 0; i < n && i < 64; i++)
        pthread_create(&thread[i], NULL, one_of_many, &status[i]);
    for (int i = 0; i < n && i < 64; i++) {
        pthread_join(thread[i], NULL);
        printf("%s%d", i ? "," : "\"},\"at_once\":[", status[i]);
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    const char *many = getenv("KT_TEST_AT_ONCE");
    char text[4096];
    way = argc > 1 ? argv[1] : "handle";
    int fd = argc > 2 ? dial() : -1;
    if (strcmp(way, "linked") != 0)
        open_library();
    if (many) {
        matrix(atoi(many));
        return 0;
    }
    call(fd < 0 ? dial() : fd, "", false, text, sizeof text);
    printf("{\"status\": %d}\n", status_of(text));
    return 0;
}
