/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that say what they say, or a part of it, by BIO_write on a BIO over the SSL; and those that are
 * referred to more than once. */
#define _GNU_SOURCE
#include "odd_ssl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* One call by the BIO of `s`, whose handshake is over. */
static int by_bio(SSL *s, int close)
{
    size_t len, got = 0;
    char *all = request(10, &len);
    BIO *b = BIO_new(BIO_f_ssl());
    BIO_set_ssl(b, s, close);
    int rc = BIO_write(b, all, (int)len) == (int)len ? 0 : -2;
    answer[0] = '\0';
    for (int n; rc == 0 && !whole(got); got += n > 0 ? (size_t)n : 0)
        if ((n = BIO_read(b, answer + got, (int)(sizeof answer - 1 - got))) <= 0)
            rc = -3;
    BIO_free(b);
    free(all);
    return rc ? rc : status();
}

static int alone(void)
{
    SSL *s = dial_ssl();
    int rc = SSL_connect(s) == 1 ? by_bio(s, BIO_NOCLOSE) : -1;
    done(s);
    return rc;
}

/* Another session with the host says what it says by SSL_write. */
static int beside(void)
{
    SSL *s = dial_ssl();
    int rc = SSL_connect(s) == 1 && plain() == 200 ? by_bio(s, BIO_NOCLOSE) : -1;
    done(s);
    return rc;
}

/* It itself did so before. */
static int behind(void)
{
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20) == 200 ? by_bio(s, BIO_NOCLOSE) : -1;
    done(s);
    return rc;
}

/* And nothing is called by the SSL's own name from then on. */
static int freed_by_bio(void)
{
    SSL *s = dial_ssl();
    int fd = SSL_get_fd(s), rc = exchange(s, NULL, 10, 1 << 20) == 200 ? by_bio(s, BIO_CLOSE) : -1;
    close(fd);
    return rc;
}

static int left_open(void)
{
    SSL *s = dial_ssl();
    return exchange(s, NULL, 10, 1 << 20) == 200 ? by_bio(s, BIO_NOCLOSE) : -1;
}

/* One of two references goes, and the session lives on. */
static int referred(void)
{
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20);
    SSL_up_ref(s);
    SSL_free(s);
    if (rc == 200)
        rc = exchange(s, NULL, 10, 1 << 20);
    BIO *b = BIO_new(BIO_f_ssl()); /* libssl itself frees the last one */
    int fd = SSL_get_fd(s);
    BIO_set_ssl(b, s, BIO_CLOSE);
    BIO_free(b);
    close(fd);
    return rc;
}

/* A thread with little stack goes on with a session, and there is no memory for another thread's. */
static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu", &pages) != 1)
        exit(3);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static pthread_barrier_t at_once;
static char cramped_answer[8192];

static void *go_on(void *arg)
{
    size_t len, got = 0;
    char *all = request(10, &len);
    SSL *s = arg;
    pthread_barrier_wait(&at_once);
    pthread_barrier_wait(&at_once);
    int n = SSL_write(s, all, (int)len);
    while (n > 0 && !strstr(cramped_answer, "\"usage\"") &&
           (n = SSL_read(s, cramped_answer + got, (int)(sizeof cramped_answer - 1 - got))) > 0)
        got += (size_t)n;
    free(all);
    return NULL;
}

static int cramped(void)
{
    struct rlimit was, now;
    pthread_attr_t little;
    pthread_t t;
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20);
    pthread_attr_init(&little);
    pthread_attr_setstacksize(&little, 96 << 10);
    pthread_barrier_init(&at_once, NULL, 2);
    pthread_create(&t, &little, go_on, s);
    pthread_barrier_wait(&at_once);
    getrlimit(RLIMIT_AS, &was);
    now = was;
    now.rlim_cur = address_space() + (400 << 10);
    setrlimit(RLIMIT_AS, &now);
    pthread_barrier_wait(&at_once);
    pthread_join(t, NULL);
    setrlimit(RLIMIT_AS, &was);
    int second = 0;
    sscanf(cramped_answer, "HTTP/1.1 %d", &second);
    done(s);
    return rc == 200 ? second : -1;
}

const struct step odd_pasts[] = {
    {"bio-alone", alone},    {"bio-beside", beside}, {"bio-behind", behind}, {"bio-freed", freed_by_bio},
    {"bio-open", left_open}, {"referred", referred}, {"cramped", cramped},   {NULL, NULL},
};
