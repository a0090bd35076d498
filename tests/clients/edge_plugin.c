/* SPDX-License-Identifier: Apache-2.0 */
/* A library with a worker: its constructor waits until the worker has tried a connection, its destructor
 * until it has let go of its TLS session. The loader's lock is held meanwhile. */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_t worker;
static sem_t ready, end;

static void *work(void *none)
{
    const struct sockaddr_in nowhere = {
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    connect(fd, (const struct sockaddr *)&nowhere, sizeof nowhere);
    close(fd);
    sem_post(&ready);
    while (sem_wait(&end) != 0)
        ;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return none;
}

__attribute__((constructor)) static void begin(void)
{
    sem_init(&ready, 0, 0);
    sem_init(&end, 0, 0);
    pthread_create(&worker, NULL, work, NULL);
    while (sem_wait(&ready) != 0)
        ;
}

__attribute__((destructor)) static void finish(void)
{
    sem_post(&end);
    pthread_join(worker, NULL);
}
