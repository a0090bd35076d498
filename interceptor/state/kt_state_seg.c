/* SPDX-License-Identifier: Apache-2.0 */
/* The header: what a segment must look like to be trusted. */
#include "interceptor/state/kt_state_layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 1099511628211ull;
    return h;
}

/* FNV alone leaves the upper bits of short inputs alike. */
static uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ull;
    return h ^ (h >> 33);
}

uint64_t kt_key_text(uint64_t key, const char *text)
{
    uint64_t len = text ? strlen(text) : UINT64_MAX;
    key = hash(key, &len, sizeof len);
    return mix(text ? hash(key, text, len) : key);
}

uint64_t kt_key_number(uint64_t key, uint64_t n)
{
    return mix(hash(key, &n, sizeof n));
}

uint64_t kt_seg_layout(void)
{
    static const uint64_t facts[] = {KT_SEG_VERSION,
                                     sizeof(struct kt_seg),
                                     sizeof(struct kt_tstate),
                                     sizeof(struct kt_seg_window),
                                     sizeof(struct kt_seg_sequence),
                                     offsetof(struct kt_seg, target_keys),
                                     offsetof(struct kt_seg, sequence_keys),
                                     offsetof(struct kt_seg, rate_keys),
                                     offsetof(struct kt_seg, spend_keys),
                                     offsetof(struct kt_seg, sequences),
                                     offsetof(struct kt_seg, rates),
                                     offsetof(struct kt_seg, spends),
                                     offsetof(struct kt_seg, targets),
                                     offsetof(struct kt_tstate, samples),
                                     offsetof(struct kt_seg, mark_owners),
                                     sizeof(struct kt_seg_mark),
                                     KT_SAMPLES_MAX,
                                     KT_SEG_PROBE,
                                     0x0102030405060708ull /* of the other byte order: another hash */};
    return mix(hash(KT_KEY_SEED, facts, sizeof facts));
}

void kt_seg_name(char out[64])
{
    snprintf(out, 64, "route-v%u-%08x.seg", KT_SEG_VERSION, (unsigned)(kt_seg_layout() >> 32));
}

static void read_boot(char out[48])
{
    memset(out, 0, 48);
    KT_CLEANUP(kt_cleanup_fd) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, out, 36) == 36)
        return;
    /* Without /proc: the moment of the boot, coarse enough for steps of the clock. */
    memset(out, 0, 48);
    uint64_t boot = kt_state_real_ms() - kt_state_now_ms();
    snprintf(out, 48, "t%llu", (unsigned long long)(boot / 3600000u));
}

static uint64_t header_check(const struct kt_seg_header *h)
{
    return mix(hash(KT_KEY_SEED, h, offsetof(struct kt_seg_header, check)));
}

void kt_seg_header_fill(struct kt_seg_header *h)
{
    memset(h, 0, sizeof *h);
    h->magic = KT_SEG_MAGIC;
    h->layout = kt_seg_layout();
    h->size = sizeof(struct kt_seg);
    h->version = KT_SEG_VERSION;
    h->uid = geteuid();
    h->created_ms = kt_state_real_ms();
    read_boot(h->boot);
    h->check = header_check(h);
}

enum kt_seg_verdict kt_seg_judge(const struct kt_seg_header *h)
{
    char boot[48];
    if (h->magic != KT_SEG_MAGIC || h->version != KT_SEG_VERSION || h->layout != kt_seg_layout() ||
        h->size != sizeof(struct kt_seg) || h->uid != geteuid() || h->check != header_check(h))
        return KT_SEG_BAD;
    read_boot(boot);
    return memcmp(boot, h->boot, sizeof boot) == 0 ? KT_SEG_GOOD : KT_SEG_OTHER_BOOT;
}

void kt_seg_carry_spending(struct kt_seg *to, struct kt_seg *from)
{
    for (size_t i = 0; i < KT_SEG_SPENDS; i++) {
        kt_word_set(&to->spends[i].word, kt_word_get(&from->spends[i].word));
        kt_word_set(&to->spends[i].ends_ms, kt_word_get(&from->spends[i].ends_ms));
        kt_word_set(&to->spend_keys[i], kt_word_get(&from->spend_keys[i]));
    }
}

static uint64_t clock_ms(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) != 0)
        return 1;
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

uint64_t kt_state_now_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

uint64_t kt_state_real_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}
