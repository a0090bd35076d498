/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator as jemalloc and tcmalloc are one, built as a library to be preloaded: it ends the process
 * where it is given a block of another one's, and libc's does so with a block of ours. Nothing is ever
 * reused. With FORK_HANDLERS it has a lock, and holds it while the process forks. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define MAGIC 0x6b74616c6c6f6375ull

struct head {
    uint64_t magic;
    size_t size;
};

static char pool[256u << 20]; /* pages that are never touched cost nothing */
static size_t used;

#ifdef FORK_HANDLERS
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void hold(void)
{
    pthread_mutex_lock(&lock);
}

static void let_go(void)
{
    pthread_mutex_unlock(&lock);
}

static void pass(void)
{
    static int known;
    if (!__atomic_exchange_n(&known, 1, __ATOMIC_RELAXED))
        pthread_atfork(hold, let_go, let_go);
    hold();
    let_go();
}
#else
static void pass(void) {}
#endif

void *memalign(size_t align, size_t n)
{
    pass();
    align = align < 16 ? 16 : align;
    size_t at =
        __atomic_fetch_add(&used, (n + sizeof(struct head) + 2 * align) & ~(size_t)15, __ATOMIC_RELAXED);
    if (n > sizeof pool / 4 || at > sizeof pool / 2)
        return NULL;
    uintptr_t p = ((uintptr_t)pool + at + sizeof(struct head) + align - 1) & ~(align - 1);
    struct head *h = (struct head *)p - 1;
    h->magic = MAGIC;
    h->size = n;
    return (void *)p;
}

void *malloc(size_t n)
{
    return memalign(16, n);
}

void free(void *p)
{
    const struct head *h = (const struct head *)p - 1;
    if (!p)
        return;
    pass();
    if ((const char *)h < pool || (const char *)h >= pool + sizeof pool || h->magic != MAGIC) {
        static const char text[] = "free: not mine\n";
        (void)!write(2, text, sizeof text - 1);
        _exit(99);
    }
}

void *calloc(size_t a, size_t b)
{
    void *p = a && b > SIZE_MAX / a ? NULL : malloc(a * b);
    return p ? memset(p, 0, a * b) : NULL;
}

void *realloc(void *p, size_t n)
{
    void *q = malloc(n);
    size_t old = p ? ((struct head *)p - 1)->size : 0;
    if (q && p)
        memcpy(q, p, old < n ? old : n);
    return q;
}

int posix_memalign(void **out, size_t align, size_t n)
{
    *out = memalign(align, n);
    return *out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

size_t malloc_usable_size(void *p)
{
    return p ? ((struct head *)p - 1)->size : 0;
}
