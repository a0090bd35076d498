/* SPDX-License-Identifier: Apache-2.0 */
/* The thunks of via.h, in the order of its ids. They touch no register that carries an argument. */
#include "shim/via.h"

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)
#define KT_SSL_FN(name) "kt_via_of " #name "\n"
#define KT_GNUTLS_FN(id, name) "kt_via_of " #name "\n"

__asm__(
    ".pushsection .text\n"
    ".set kt_via_n, 0\n"
    ".macro kt_via_of hook\n"
    ".rept " NUMBER(KT_VIA_LIBS) "\n"
                                 ".set kt_via_n, kt_via_n + 1\n"
                                 ".balign " NUMBER(
                                     KT_VIA_SIZE) "\n"
#if defined(__x86_64__)
                                                  "endbr64\n"
                                                  "movq kt_via@gottpoff(%rip), %r11\n"
                                                  "movl $kt_via_n, %fs:(%r11)\n"
                                                  "jmp \\hook\n"
#elif defined(__aarch64__)
                                                  "hint #34\n" /* bti c */
                                                  "adrp x16, :gottprel:kt_via\n"
                                                  "ldr x16, [x16, #:gottprel_lo12:kt_via]\n"
                                                  "mrs x17, tpidr_el0\n"
                                                  "add x16, x16, x17\n"
                                                  "mov w17, #kt_via_n\n"
                                                  "str w17, [x16]\n"
                                                  "b \\hook\n"
#else
#error "the thunks know x86_64 and aarch64"
#endif
                                                  ".endr\n"
                                                  ".endm\n"
                                                  ".balign " NUMBER(
                                                      KT_VIA_SIZE) "\n"
                                                                   ".hidden kt_via_thunks\n"
                                                                   ".globl kt_via_thunks\n"
                                                                   ".type kt_via_thunks, %object\n"
                                                                   "kt_via_thunks:\n" KT_SSL_HOOKS(KT_SSL_FN)
                                                                       KT_GNUTLS_HOOKS(
                                                                           KT_GNUTLS_FN) ".purgem kt_via_of\n"
                                                                                         ".popsection\n");
