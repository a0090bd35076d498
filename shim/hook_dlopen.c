/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlopen: RTLD_DEEPBIND is taken away, because what is opened with it does not see our hooks. The real dlopen
 * reads its return address to find the caller's RUNPATH, so this hook may leave no frame: it is an assembler
 * stub that jumps. dlclose: what was learnt about callers is forgotten.
 */
#include "shim/caller.h"
#include "shim/guard.h"
#include "shim/real.h"

#include <dlfcn.h>
#include <stdint.h>

/* Two words, so that both come back in registers. */
struct kt_jump {
    void *target;
    uintptr_t flags;
};

/* Called from the stub only. */
__attribute__((used, visibility("hidden"))) struct kt_jump kt_dlopen_jump(int flags);

struct kt_jump kt_dlopen_jump(int flags)
{
    struct kt_jump j = {(void *)KT_REAL(dlopen),
                        (uintptr_t)(unsigned)(kt_bypass() ? flags : flags & ~RTLD_DEEPBIND)};
    return j;
}

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".globl dlopen\n"
        ".type dlopen, @function\n"
        "dlopen:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "pushq %rdi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "movl %esi, %edi\n"
        "call kt_dlopen_jump\n"
        "popq %rdi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "movl %edx, %esi\n"
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size dlopen, .-dlopen\n"
        ".popsection\n");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
        ".globl dlopen\n"
        ".type dlopen, %function\n"
        "dlopen:\n"
        ".cfi_startproc\n"
        "hint #34\n" /* bti c */
        "stp x29, x30, [sp, #-32]!\n"
        ".cfi_def_cfa_offset 32\n"
        ".cfi_offset 29, -32\n"
        ".cfi_offset 30, -24\n"
        "str x0, [sp, #16]\n"
        "mov w0, w1\n"
        "bl kt_dlopen_jump\n"
        "mov x16, x0\n"
        "ldr x0, [sp, #16]\n"
        "ldp x29, x30, [sp], #32\n"
        ".cfi_restore 29\n"
        ".cfi_restore 30\n"
        ".cfi_def_cfa_offset 0\n"
        "br x16\n"
        ".cfi_endproc\n"
        ".size dlopen, .-dlopen\n"
        ".popsection\n");
#else
#error "the dlopen stub knows x86_64 and aarch64"
#endif

KT_HOOK int dlclose(void *handle)
{
    kt_caller_forget();
    int rc = KT_REAL(dlclose)(handle);
    kt_caller_forget();
    return rc;
}
