/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlsym and dlvsym: who takes the functions of a TLS library by hand (.NET, ctypes, plugins) gets our hooks,
 * where a library has such a function. The real ones read their return address for RTLD_NEXT and
 * RTLD_DEFAULT, so these hooks leave no frame: stubs that ask kt_*_jump what to do and jump.
 */
#include "shim/by_handle.h"
#include "shim/caller.h"
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/tls_libraries.h"
#include "shim/via.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>

/* Where the stub jumps, and the first argument that it takes there. Two words: both come back in registers.
 */
struct kt_symbol_jump {
    void *target;
    void *first;
};

/* Called from the stubs only. */
__attribute__((used, visibility("hidden"))) struct kt_symbol_jump
kt_dlsym_jump(void *handle, const char *name, const void *caller);
__attribute__((used, visibility("hidden"))) struct kt_symbol_jump
kt_dlvsym_jump(void *handle, const char *name, const char *version, const void *caller);

static void *itself(void *fn)
{
    return fn;
}

static bool is_of_program(const void *address)
{
    Dl_info info;
    struct link_map *map = NULL;
    return dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) && map && map->l_name[0] == '\0';
}

/* What a search in the global order finds besides us; libkt.so comes first in it. */
static void *behind_us(const char *name, const char *version, const void *caller)
{
    void *fn = version ? KT_REAL(dlvsym)(RTLD_NEXT, name, version) : kt_real_dlsym(RTLD_NEXT, name);
    return fn ? fn : kt_symbol_near(caller, name);
}

static void *ask(void *handle, const char *name, const char *version)
{
    return version ? KT_REAL(dlvsym)(handle, name, version) : kt_real_dlsym(handle, name);
}

/* libc has no such function: asked of it, the real dlsym says no in its own words. A handle of dlopen,
 * because what was loaded at start has nothing to search before that. */
static void *without_any(void)
{
    static _Atomic(void *) libc;
    void *handle = atomic_load(&libc);
    Dl_info info;
    if (!handle && dladdr((const void *)KT_REAL(dlvsym), &info)) {
        handle = KT_REAL(dlopen)(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
        atomic_store(&libc, handle);
    }
    return handle;
}

/* Not RTLD_DEFAULT, which finds our hook by itself, nor RTLD_NEXT: who asks so stands behind us. */
static struct kt_symbol_jump of_libc(struct kt_symbol_jump j, const char *name, const char *version)
{
    void *handle = j.first, *hook = NULL;
    if (handle != RTLD_DEFAULT && handle != RTLD_NEXT)
        hook = kt_by_handle_hook(name);
    if (!hook)
        return j;
    int saved = errno;
    void *fn = ask(handle, name, version);
    if (fn && kt_by_handle_is_behind(name, fn)) {
        dlerror();
        j = (struct kt_symbol_jump){(void *)itself, hook};
    }
    errno = saved;
    return j;
}

static struct kt_symbol_jump jump(void *real, void *handle, const char *name, const char *version,
                                  const void *caller)
{
    struct kt_symbol_jump j = {real, handle};
    if (!name || kt_bypass())
        return j;
    int id = kt_via_id(name);
    if (id < 0)
        return of_libc(j, name, version);
    if (handle == RTLD_NEXT && !is_of_program(caller))
        return j; /* a library that asks for the next one was itself called through our hook */
    int saved = errno;
    void *fn = ask(handle == RTLD_NEXT ? RTLD_DEFAULT : handle, name, version);
    if (fn && kt_is_hook(fn)) {
        fn = behind_us(name, version, caller);
        void *nobody = fn ? NULL : without_any();
        j.first = nobody ? nobody : j.first;
    }
    if (fn && !is_of_program(fn)) { /* its own copy calls itself: nothing to stand in front of */
        void *thunk = kt_via_address(id, fn);
        kt_tls_libraries_asked();
        dlerror(); /* ours, if any; the program's own would be gone after a success as well */
        j = (struct kt_symbol_jump){(void *)itself, thunk ? thunk : fn};
    }
    errno = saved;
    return j;
}

struct kt_symbol_jump kt_dlsym_jump(void *handle, const char *name, const void *caller)
{
    return jump((void *)KT_REAL(dlsym), handle, name, NULL, caller);
}

struct kt_symbol_jump kt_dlvsym_jump(void *handle, const char *name, const char *version, const void *caller)
{
    return jump((void *)KT_REAL(dlvsym), handle, name, version, caller);
}

#if defined(__x86_64__)
/* `caller`: the register of the argument that the return address becomes. */
#define STUB(name, caller)                                                                                   \
    ".globl " #name "\n"                                                                                     \
    ".type " #name ", @function\n" #name ":\n"                                                               \
    ".cfi_startproc\n"                                                                                       \
    "endbr64\n"                                                                                              \
    "pushq %rdx\n"                                                                                           \
    ".cfi_adjust_cfa_offset 8\n"                                                                             \
    "pushq %rsi\n"                                                                                           \
    ".cfi_adjust_cfa_offset 8\n"                                                                             \
    "subq $8, %rsp\n"                                                                                        \
    ".cfi_adjust_cfa_offset 8\n"                                                                             \
    "movq 24(%rsp), %" caller "\n"                                                                           \
    "call kt_" #name "_jump\n"                                                                               \
    "movq %rdx, %rdi\n"                                                                                      \
    "addq $8, %rsp\n"                                                                                        \
    ".cfi_adjust_cfa_offset -8\n"                                                                            \
    "popq %rsi\n"                                                                                            \
    ".cfi_adjust_cfa_offset -8\n"                                                                            \
    "popq %rdx\n"                                                                                            \
    ".cfi_adjust_cfa_offset -8\n"                                                                            \
    "jmp *%rax\n"                                                                                            \
    ".cfi_endproc\n"                                                                                         \
    ".size " #name ", .-" #name "\n"
__asm__(".pushsection .text\n" STUB(dlsym, "rdx") STUB(dlvsym, "rcx") ".popsection\n");
#elif defined(__aarch64__)
#define STUB(name, caller)                                                                                   \
    ".globl " #name "\n"                                                                                     \
    ".type " #name ", %function\n" #name ":\n"                                                               \
    ".cfi_startproc\n"                                                                                       \
    "hint #34\n"                                                                                             \
    "stp x29, x30, [sp, #-32]!\n"                                                                            \
    ".cfi_def_cfa_offset 32\n"                                                                               \
    ".cfi_offset 29, -32\n"                                                                                  \
    ".cfi_offset 30, -24\n"                                                                                  \
    "stp x1, x2, [sp, #16]\n"                                                                                \
    "mov " caller ", x30\n"                                                                                  \
    "bl kt_" #name "_jump\n"                                                                                 \
    "mov x16, x0\n"                                                                                          \
    "mov x0, x1\n"                                                                                           \
    "ldp x1, x2, [sp, #16]\n"                                                                                \
    "ldp x29, x30, [sp], #32\n"                                                                              \
    ".cfi_restore 29\n"                                                                                      \
    ".cfi_restore 30\n"                                                                                      \
    ".cfi_def_cfa_offset 0\n"                                                                                \
    "br x16\n"                                                                                               \
    ".cfi_endproc\n"                                                                                         \
    ".size " #name ", .-" #name "\n"
__asm__(".pushsection .text\n" STUB(dlsym, "x2") STUB(dlvsym, "x3") ".popsection\n");
#else
#error "the dlsym stubs know x86_64 and aarch64"
#endif
