/* SPDX-License-Identifier: Apache-2.0 */
/* The script of faults: "status=503,retry_after=1,count=2". */
#include "tools/mock/mock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct key {
    const char *name;
    size_t offset;
    long min, max;
    bool flag; /* takes no value */
};

static const struct key keys[] = {
    {"status", offsetof(struct mock_fault, status), 300, 599, false},
    {"delay_ms", offsetof(struct mock_fault, delay_ms), 0, 3600000, false},
    {"cut", offsetof(struct mock_fault, cut), 0, MOCK_MAX_CHUNKS, false},
    {"retry_after", offsetof(struct mock_fault, retry_after), 0, 86400, false},
    {"retry_after_ms", offsetof(struct mock_fault, retry_after_ms), 0, 86400000, false},
    {"retry_date", offsetof(struct mock_fault, retry_date), 0, 86400, false},
    {"count", offsetof(struct mock_fault, count), 1, 1000000000, false},
    {"skip", offsetof(struct mock_fault, skip), 0, 1000000000, false},
    {"hang", offsetof(struct mock_fault, hang), 0, 0, true},
    {"close", offsetof(struct mock_fault, close), 0, 0, true},
    {"html", offsetof(struct mock_fault, html), 0, 0, true},
};

static kt_result set_number(struct mock_fault *f, const struct key *k, const char *text, struct kt_error *err)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < k->min || n > k->max)
        return kt_fail(err, KT_ERR_USAGE, "%s wants a number from %ld to %ld, not '%s'", k->name, k->min,
                       k->max, text);
    int value = (int)n; /* int and unsigned fields alike: the bounds fit both */
    memcpy((char *)f + k->offset, &value, sizeof value);
    return kt_ok();
}

static kt_result set_word(struct mock_fault *f, const char *word, struct kt_error *err)
{
    size_t n = strcspn(word, "=");
    for (size_t i = 0; i < KT_COUNT(keys); i++) {
        const struct key *k = &keys[i];
        if (strlen(k->name) != n || memcmp(k->name, word, n) != 0)
            continue;
        if (k->flag != (word[n] == '\0'))
            return kt_fail(err, KT_ERR_USAGE, k->flag ? "%s takes no value" : "%s needs a value", k->name);
        if (!k->flag)
            return set_number(f, k, word + n + 1, err);
        *((bool *)((char *)f + k->offset)) = true;
        return kt_ok();
    }
    return kt_fail(
        err, KT_ERR_USAGE,
        "no fault '%.*s'; there are status, delay_ms, cut, hang, close, html, retry_after, retry_after_ms, "
        "retry_date, count, skip",
        (int)n, word);
}

kt_result mock_script_add(struct mock_script *s, const char *text, struct kt_error *err)
{
    struct mock_fault f = {
        .cut = -1, .retry_after = -1, .retry_after_ms = -1, .retry_date = -1, .count = UINT_MAX};
    KT_CLEANUP(kt_cleanup_free) char *copy = strdup(text);
    char *save = NULL;
    KT_ENSURE(copy, KT_ERR_MEMORY);
    if (s->count == MOCK_MAX_FAULTS)
        return kt_fail(err, KT_ERR_LIMIT, "at most %d faults", MOCK_MAX_FAULTS);
    if (s->count > 0 && s->faults[s->count - 1].count == UINT_MAX)
        return kt_fail(err, KT_ERR_USAGE, "the fault before '%s' has no count=, so its turn never comes",
                       text);
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
        KT_GUARD(set_word(&f, word, err));
    if ((f.retry_after >= 0 || f.retry_after_ms >= 0 || f.retry_date >= 0) && f.status == 0)
        f.status = 429;
    if (!f.status && !f.delay_ms && f.cut < 0 && !f.hang && !f.close && !f.html)
        return kt_fail(err, KT_ERR_USAGE, "'%s' is no fault", text);
    s->faults[s->count++] = f;
    return kt_ok();
}

bool mock_script_next(struct mock_script *s, struct mock_fault *out)
{
    if (s->at == s->count)
        return false;
    const struct mock_fault *f = &s->faults[s->at];
    if (s->skipped < f->skip) {
        s->skipped++;
        return false;
    }
    *out = *f;
    if (f->count != UINT_MAX && ++s->met == f->count) {
        s->at++;
        s->skipped = s->met = 0;
    }
    return true;
}
