/* SPDX-License-Identifier: Apache-2.0 */
/* gnutls_threads THREADS CALLS: chat calls by threads whose sessions share one credentials object, as GnuTLS
 * allows once it is set up, and whose verify function is that object's. Prints how many failed, and how often
 * the function was asked. Without GnuTLS's headers. */
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct session *session_t;
typedef struct credentials *credentials_t;
int gnutls_init(session_t *, unsigned flags);
int gnutls_set_default_priority(session_t);
int gnutls_credentials_set(session_t, int type, void *cred);
int gnutls_server_name_set(session_t, int type, const void *name, size_t len);
void gnutls_session_set_verify_cert(session_t, const char *name, unsigned flags);
void gnutls_transport_set_int2(session_t, int, int);
int gnutls_handshake(session_t);
int gnutls_error_is_fatal(int);
ssize_t gnutls_record_send(session_t, const void *, size_t);
ssize_t gnutls_record_recv(session_t, void *, size_t);
int gnutls_bye(session_t, int how);
void gnutls_deinit(session_t);
int gnutls_certificate_allocate_credentials(credentials_t *);
int gnutls_certificate_set_x509_system_trust(credentials_t);
void gnutls_certificate_set_verify_function(credentials_t, int (*)(session_t));
int gnutls_certificate_verify_peers3(session_t, const char *name, unsigned *status);

#define HOST "api.openai.com"

static credentials_t cred;
static int calls;
static atomic_int failed, asked;

static int verify(session_t s)
{
    unsigned status = 1;
    asked++;
    return gnutls_certificate_verify_peers3(s, HOST, &status) == 0 && status == 0 ? 0 : -1;
}

static int chat(session_t s)
{
    static const char body[] =
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
    char text[4096];
    int rc;
    do
        rc = gnutls_handshake(s);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    if (rc < 0)
        return 1;
    int n =
        snprintf(text, sizeof text,
                 "POST /v1/chat/completions HTTP/1.1\r\nHost: " HOST "\r\nConnection: close\r\nContent-Type: "
                 "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 sizeof body - 1, body);
    gnutls_record_send(s, text, (size_t)n);
    ssize_t got = gnutls_record_recv(s, text, sizeof text - 1);
    gnutls_bye(s, 1);
    return got < 12 || strncmp(text, "HTTP/1.1 200", 12) != 0;
}

static int call(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    session_t s;
    if (getaddrinfo(HOST, "443", &hints, &a) != 0)
        return 1;
    int fd = socket(a->ai_family, a->ai_socktype, 0), rc = connect(fd, a->ai_addr, a->ai_addrlen) != 0;
    freeaddrinfo(a);
    if (rc == 0) {
        gnutls_init(&s, 2);
        gnutls_set_default_priority(s);
        gnutls_credentials_set(s, 1, cred);
        gnutls_server_name_set(s, 1, HOST, strlen(HOST));
        gnutls_transport_set_int2(s, fd, fd);
        rc = chat(s);
        gnutls_deinit(s);
    }
    close(fd);
    return rc;
}

static void *run(void *none)
{
    for (int i = 0; i < calls; i++)
        failed += call();
    return none;
}

int main(int argc, char **argv)
{
    pthread_t t[64];
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    calls = argc > 2 ? atoi(argv[2]) : 1;
    gnutls_certificate_allocate_credentials(&cred);
    gnutls_certificate_set_x509_system_trust(cred);
    gnutls_certificate_set_verify_function(cred, verify);
    for (int i = 0; i < threads && i < 64; i++)
        pthread_create(&t[i], NULL, run, NULL);
    for (int i = 0; i < threads && i < 64; i++)
        pthread_join(t[i], NULL);
    printf("failed %d asked %d\n", failed, asked);
    return 0;
}
