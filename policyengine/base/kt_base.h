/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The few words that every file of ktwrap uses: the typed result, must-check, cleanup attributes.
 *
 * Ownership words in all headers: "new" = the caller owns what is returned, "borrowed" = valid as long as
 * the object it came from, "takes" = the callee owns the argument from now on, also on failure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KT_MUST __attribute__((warn_unused_result))
#define KT_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define KT_CLEANUP(fn) __attribute__((cleanup(fn)))
#define KT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Categories first: callers branch on these; humans read kt_error.text. */
enum kt_code {
    KT_OK = 0,
    KT_ERR_MEMORY,   /* allocation failed */
    KT_ERR_LIMIT,    /* a hard maximum was reached; nothing was changed */
    KT_ERR_IO,       /* the operating system refused; errno says why */
    KT_ERR_SYNTAX,   /* foreign bytes do not follow their grammar */
    KT_ERR_USAGE,    /* the user's input (option, config) is wrong */
    KT_ERR_NOTFOUND, /* what was asked for does not exist */
    KT_ERR_STATE,    /* the call does not fit the object's state */
    KT_ERR_CRYPTO,   /* OpenSSL refused */
    KT_ERR_INTERNAL  /* a bug of ours; follows fail_mode */
};

/* One field on purpose: an unchecked or an int result does not compile where a kt_result is asked for. */
typedef struct kt_result {
    enum kt_code code;
} kt_result;

static inline kt_result kt_ok(void)
{
    kt_result r = {KT_OK};
    return r;
}

static inline kt_result kt_err(enum kt_code code)
{
    kt_result r = {code};
    return r;
}

static inline KT_MUST bool kt_is_ok(kt_result r)
{
    return r.code == KT_OK;
}

/* Leaves the function with the failed result of `expr`; locals clean up through KT_CLEANUP. */
#define KT_GUARD(expr)                                                                                       \
    do {                                                                                                     \
        kt_result kt_guard_r_ = (expr);                                                                      \
        if (kt_guard_r_.code != KT_OK)                                                                       \
            return kt_guard_r_;                                                                              \
    } while (0)

/* Leaves the function with `code` unless `cond` holds. */
#define KT_ENSURE(cond, code_)                                                                               \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            return kt_err(code_);                                                                            \
    } while (0)

const char *kt_code_name(enum kt_code code);

/* A cause in words for the user: what, where, how to fix. Never holds a secret. */
struct kt_error {
    enum kt_code code;
    char text[512];
};

/* Fills `err` (may be NULL) and returns the result for `code`. Cut at sizeof text. */
kt_result kt_fail(struct kt_error *err, enum kt_code code, const char *fmt, ...) KT_PRINTF(3, 4);

/* A borrowed range of bytes; not NUL-terminated. */
struct kt_span {
    const char *data;
    size_t len;
};

/* C++ (the unit tests) sees a function that hides a constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
static inline struct kt_span kt_span(const char *data, size_t len)
{
    struct kt_span s = {data, len};
    return s;
}
#pragma GCC diagnostic pop

bool kt_span_eq(struct kt_span s, const char *text);
/* ASCII case-insensitive. */
bool kt_span_ieq(struct kt_span s, const char *text);

/* memset that the compiler may not drop. */
void kt_wipe(void *p, size_t n);
/* Wipes a NUL-terminated heap string, then frees it. NULL is fine. */
void kt_free_secret(char *s);

/* Cleanup helpers: KT_CLEANUP(kt_cleanup_free) char *s = ...; */
void kt_cleanup_free(void *pointer_to_pointer);
void kt_cleanup_fd(const int *fd);
/* Hands ownership on: returns *p and clears it, so that the cleanup attribute has nothing to free. */
#define KT_TAKE(p)                                                                                           \
    __extension__({                                                                                          \
        __typeof__(p) kt_take_ = (p);                                                                        \
        (p) = NULL;                                                                                          \
        kt_take_;                                                                                            \
    })

/* Nanoseconds; monotonic for durations, realtime for timestamps. */
uint64_t kt_now_mono_ns(void);
uint64_t kt_now_real_ns(void);
/* RFC 3339 UTC with nanoseconds, e.g. 2026-01-02T03:04:05.000000006Z; `out` holds 31 bytes or more. Takes no
 * lock of the C library: fit for a child forked at any moment. */
void kt_rfc3339(uint64_t real_ns, char *out);

#define KT_SHA256_HEX 65 /* 64 digits and the NUL */
/* Fetches the digest once, so that a later kt_sha256_hex takes no lock of OpenSSL: for what must work in a
 * fork child. */
void kt_sha256_prepare(void);
kt_result kt_sha256_hex(const void *data, size_t len, char out[KT_SHA256_HEX]) KT_MUST;
/* Cryptographic random bytes (getrandom). */
kt_result kt_random(void *out, size_t len) KT_MUST;

#ifdef __cplusplus
}
#endif
