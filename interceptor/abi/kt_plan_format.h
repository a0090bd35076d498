/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* clang-format off: a table.
 *
 * The plan file: what the shim reads instead of YAML. Flat text, one `word value...` per line, at most 64
 * KiB; unknown words are skipped, so that an older shim can read a newer plan.
 *
 *   ktplan 1
 *   mode enforce|observe
 *   fail_mode block|allow
 *   expires 1800000000             seconds since the epoch; not current after it
 *   ca .../ca-1f3c/ca.pem          PEM certificate; ca.key beside it (0600)
 *   bundle .../ca-1f3c/bundle.pem  OS roots and the CA, for stacks whose variable replaces
 *   extra .../ca-1f3c/extra.pem    the CA and the user's own NODE_EXTRA_CA_CERTS, for variables that add
 *   truststore .../truststore.p12  the bundle for Java (password "changeit"); may not exist yet
 *   roots_from /etc/ssl/certs/ca-certificates.crt
 *                                  whose roots the bundle holds; a program whose SSL_CERT_FILE names another
 *                                  file must not get this bundle
 *   extra_from /home/u/corp.pem    whose certificates `extra` holds; no such line: the CA alone
 *   exclude api.internal.example   name or *.suffix that is never intercepted
 *   host 127.183.0.1 api.openai.com
 *   host 127.183.0.2 10.1.2.3      an IP literal
 *   wild *.openai.azure.com        names that match get an address when first looked up
 *   name 127.183.128.1 x.openai.azure.com
 *                                  appended under flock(LOCK_EX) of the plan file itself
 *
 * Addresses: hosts 127.183.0.1 ... 127.183.127.254 in file order, wildcard names from 127.183.128.1 up. A
 * wildcard's `*.` stands for one or more labels.
 *
 * Which plan: $KT_PLAN where set and readable (kt wrap sets it, so that a whole tree shares one plan and one
 * CA); else $KT_STATE_DIR/plan/<key>, key = 16 hex digits of FNV-1a 64 over, for every path of
 * KT_POLICY_CONFIG in order, the path's bytes and then st_dev, st_ino, st_size, st_mtim.tv_sec,
 * st_mtim.tv_nsec as 8-byte little-endian values (all 0 where stat fails), followed by the bytes of KT_MODE,
 * a NUL, the bytes of KT_FAIL_MODE, a NUL. KT_STATE_DIR defaults to $XDG_STATE_HOME/kt, then
 * $HOME/.local/state/kt, then /tmp/kt-<uid>. Where $KT_STATE_DIR/plan cannot be written, the folder is the
 * per-user runtime folder: $XDG_RUNTIME_DIR/ktwrap, else /tmp/ktwrap-<uid> (0700, owned by the user, or
 * refused). A plan whose `ca` file is gone or that has expired is not current.
 */
/* clang-format on */
#define KT_PLAN_MAGIC "ktplan 1"
#define KT_PLAN_MAX_BYTES 65536
#define KT_PLAN_MAX_HOSTS 1024
#define KT_SYNTH_NET 0x7fb70000u /* 127.183.0.0/16, host byte order */
#define KT_SYNTH_MASK 0xffff0000u
#define KT_SYNTH_WILD 0x7fb78000u /* from here on: names added for wildcards */

#include <stdint.h>
#include <string.h>

#define KT_FNV_SEED 14695981039346656037ull
static inline uint64_t kt_fnv1a(uint64_t h, const void *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 1099511628211ull;
    return h;
}
