/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/engine/kt_runtimes.h"

#include "interceptor/abi/kt_plan_format.h"
#include "policyengine/base/kt_log.h"
#include "policyengine/chain/kt_chain_check.h"
#include "policyengine/detect/kt_pattern_later.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BROKEN_MAX 2048

struct kt_runtimes {
    struct kt_strings paths;
    char *mode, *fail_mode; /* owned; NULL = the config decides */
    uint64_t check_ns;
    void (*trouble)(void *owner, const char *text);
    void *owner;
    pthread_mutex_t lock; /* current */
    struct kt_runtime *current;
    pthread_mutex_t reload; /* stamp; the one thread that looks at the files */
    uint64_t stamp;
    bool waits; /* the changed config's own patterns are being compiled */
    bool told;  /* of a changed mode */
    atomic_uint_fast64_t next_check;
};

/* Changes whenever one of the files does. */
static uint64_t stamp_of(const struct kt_strings *paths)
{
    uint64_t h = KT_FNV_SEED;
    for (size_t i = 0; i < paths->count; i++) {
        struct stat st;
        memset(&st, 0, sizeof st);
        if (stat(paths->items[i], &st) != 0)
            memset(&st, 0, sizeof st);
        const uint64_t facts[] = {st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                                  (uint64_t)st.st_mtim.tv_nsec};
        h = kt_fnv1a(h, facts, sizeof facts);
    }
    return h;
}

/* Takes the words of an override. KT_ERR_USAGE for any other word. */
static kt_result override(const char *value, const char *const words[2], const char *variable, int *out,
                          struct kt_error *err)
{
    if (!value || !*value)
        return kt_ok();
    for (int i = 0; i < 2; i++) {
        if (strcmp(value, words[i]) == 0) {
            *out = i;
            return kt_ok();
        }
    }
    return kt_fail(err, KT_ERR_USAGE, "%s is '%.40s'; it must be %s or %s", variable, value, words[0],
                   words[1]);
}

static kt_result settle_modes(const struct kt_runtimes *rs, struct kt_runtime *r, struct kt_error *err)
{
    static const char *const modes[2] = {"enforce", "observe"}, *const fails[2] = {"block", "allow"};
    r->mode = r->config ? r->config->mode : KT_MODE_ENFORCE;
    r->fail_mode = r->config ? r->config->fail_mode : KT_FAIL_BLOCK;
    kt_result fail = override(rs->fail_mode, fails, "KT_FAIL_MODE", &r->fail_mode, err);
    KT_GUARD(override(rs->mode, modes, "KT_MODE", &r->mode, err));
    return fail;
}

static void cleanup_diags(struct kt_diags *d)
{
    kt_diags_free(d);
}

/* new text: the first error as `kt policy lint` prints it, and how many there are: one line has to do. NULL
 * where there is none, or no memory. */
static char *describe(const struct kt_diags *d)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(BROKEN_MAX);
    size_t errors = kt_diags_errors(d), i = 0;
    while (i < d->count && d->items[i].severity != KT_SEV_ERROR)
        i++;
    if (i == d->count || !kt_is_ok(kt_diag_format(&d->items[i], &line)))
        return NULL;
    if (errors > 1 && !kt_is_ok(kt_buf_printf(&line, " (and %zu more: kt policy lint)", errors - 1)))
        return NULL;
    return kt_buf_take(&line);
}

static kt_result load_config(const struct kt_runtimes *rs, struct kt_runtime *r, struct kt_diags *diags,
                             struct kt_error *err)
{
    if (rs->paths.count == 0)
        return kt_config_default(&r->config);
    kt_result loaded =
        kt_config_load((const char *const *)rs->paths.items, rs->paths.count, &r->config, diags);
    if (loaded.code != KT_OK)
        kt_fail(err, loaded.code, "%s: cannot be loaded (%s)", rs->paths.items[0], kt_code_name(loaded.code));
    return loaded;
}

/* A policy that says no to its options is asked once more, for the place where they stand. */
static kt_result make_chain(struct kt_runtime *r, struct kt_diags *diags, struct kt_error *err)
{
    kt_result made = kt_chain_new(r->config, &r->chain, err);
    if (made.code == KT_ERR_USAGE)
        KT_GUARD(kt_chain_check_files(r->config, false, diags));
    return made;
}

static kt_result fill(const struct kt_runtimes *rs, struct kt_runtime *r, struct kt_diags *diags,
                      struct kt_error *err)
{
    kt_result loaded = load_config(rs, r, diags, err);
    /* Also where the config is broken: an override by the environment still says what that means. */
    kt_result modes = settle_modes(rs, r, loaded.code == KT_OK ? err : NULL);
    KT_GUARD(loaded);
    KT_GUARD(modes);
    return make_chain(r, diags, err);
}

/* new; NULL only where there is no memory. */
static struct kt_runtime *load(const struct kt_runtimes *rs)
{
    struct kt_error err = {KT_OK, ""};
    KT_CLEANUP(cleanup_diags) struct kt_diags diags = {NULL, 0, 0};
    struct kt_runtime *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->refs = 1;
    kt_result loaded = fill(rs, r, &diags, &err);
    if (loaded.code == KT_OK)
        return r;
    r->broken = describe(&diags);
    kt_config_free(r->config);
    r->config = NULL;
    if (!r->broken)
        r->broken = strdup(err.text[0] ? err.text : kt_code_name(loaded.code));
    if (!r->broken) {
        kt_runtime_unref(r);
        return NULL;
    }
    return r;
}

static char *copy_of(const char *s)
{
    return s && *s ? strdup(s) : NULL;
}

kt_result kt_runtimes_new(const struct kt_runtimes_options *o, struct kt_runtimes **out)
{
    struct kt_runtimes *rs = calloc(1, sizeof *rs);
    KT_ENSURE(rs, KT_ERR_MEMORY);
    pthread_mutex_init(&rs->lock, NULL);
    pthread_mutex_init(&rs->reload, NULL);
    rs->check_ns = o->check_ns;
    rs->trouble = o->trouble;
    rs->owner = o->owner;
    rs->mode = copy_of(o->mode);
    rs->fail_mode = copy_of(o->fail_mode);
    atomic_init(&rs->next_check, kt_now_mono_ns() + o->check_ns);
    kt_result r = kt_config_split_paths(o->config_paths ? o->config_paths : "", &rs->paths);
    if (r.code == KT_OK) {
        rs->stamp = stamp_of(&rs->paths);
        rs->current = load(rs);
        r = rs->current ? kt_ok() : kt_err(KT_ERR_MEMORY);
    }
    if (r.code != KT_OK) {
        kt_runtimes_free(rs);
        return r;
    }
    *out = rs;
    if (rs->current->broken)
        rs->trouble(rs->owner, rs->current->broken);
    return kt_ok();
}

void kt_runtimes_free(struct kt_runtimes *rs)
{
    if (!rs)
        return;
    kt_runtime_unref(rs->current);
    kt_strings_free(&rs->paths);
    free(rs->mode);
    free(rs->fail_mode);
    pthread_mutex_destroy(&rs->lock);
    pthread_mutex_destroy(&rs->reload);
    free(rs);
}

struct kt_runtime *kt_runtimes_peek(struct kt_runtimes *rs)
{
    pthread_mutex_lock(&rs->lock);
    struct kt_runtime *r = kt_runtime_ref(rs->current);
    pthread_mutex_unlock(&rs->lock);
    return r;
}

/* The shim and the supervisor act by the plan of the start: that is said once. */
static void tell_of_modes(struct kt_runtimes *rs, const struct kt_runtime *old,
                          const struct kt_runtime *fresh)
{
    if (rs->told || (old->mode == fresh->mode && old->fail_mode == fresh->fail_mode))
        return;
    rs->told = true;
    kt_warn(
        "the config has changed mode or fail_mode while the program runs: now mode %s, fail_mode %s; until "
        "the program starts again calls are captured as at its start, and what the engine has no part in "
        "(no engine, no free address, a connection that was not captured) follows the fail_mode of then",
        fresh->mode == KT_MODE_OBSERVE ? "observe" : "enforce",
        fresh->fail_mode == KT_FAIL_ALLOW ? "allow" : "block");
}

/* `fresh` is taken. A broken one replaces only a broken one: a typo must not take the policy away. */
static void install(struct kt_runtimes *rs, struct kt_runtime *fresh)
{
    struct kt_runtime *old = fresh;
    pthread_mutex_lock(&rs->lock);
    if (!fresh->broken || rs->current->broken) {
        tell_of_modes(rs, rs->current, fresh);
        old = rs->current;
        rs->current = fresh;
    }
    pthread_mutex_unlock(&rs->lock);
    kt_runtime_unref(old);
}

/* As load, but for the patterns: whoever looks may be the thread that serves all calls, and compiling can
 * take seconds. NULL also where they are not there yet; the old runtime goes on, and the next look tries
 * again. */
static struct kt_runtime *load_anew(struct kt_runtimes *rs)
{
    bool waited = rs->waits;
    kt_pattern_later_begin();
    struct kt_runtime *fresh = load(rs);
    rs->waits = kt_pattern_later_end();
    if (!rs->waits)
        return fresh;
    if (!waited)
        kt_warn(
            "the config has changed and has patterns that nobody has compiled yet: a thread of this program "
            "does it, and calls go by the earlier config until it is done");
    kt_runtime_unref(fresh);
    return NULL;
}

/* new text, NULL without memory. Only who looks replaces `current`. */
static char *say_broken(const struct kt_runtimes *rs, const struct kt_runtime *fresh)
{
    char *text = NULL;
    const char *then = rs->current->broken ? "" : "; calls go on by the earlier config";
    return asprintf(&text, "%s%s", fresh->broken, then) < 0 ? NULL : text;
}

/* The stamp is taken before the files are read: a change in between is seen the next time. */
void kt_runtimes_look(struct kt_runtimes *rs, bool force)
{
    char *why = NULL;
    pthread_mutex_lock(&rs->reload);
    uint64_t stamp = stamp_of(&rs->paths);
    bool due = force || stamp != rs->stamp || (rs->waits && !kt_pattern_later_busy());
    struct kt_runtime *fresh = due ? load_anew(rs) : NULL;
    if (fresh || (due && rs->waits))
        rs->stamp = stamp;
    if (fresh) {
        why = fresh->broken ? say_broken(rs, fresh) : NULL;
        KT_TRACE(ENGINE, "the policy config changed%s%s", why ? ", but is broken: " : "", why ? why : "");
        install(rs, fresh);
    }
    pthread_mutex_unlock(&rs->reload);
    if (why)
        rs->trouble(rs->owner, why);
    free(why);
}

struct kt_runtime *kt_runtimes_get(struct kt_runtimes *rs)
{
    uint64_t now = kt_now_mono_ns(), due = atomic_load_explicit(&rs->next_check, memory_order_relaxed);
    if (rs->paths.count > 0 && now >= due &&
        atomic_compare_exchange_strong(&rs->next_check, &due, now + rs->check_ns))
        kt_runtimes_look(rs, false);
    return kt_runtimes_peek(rs);
}
