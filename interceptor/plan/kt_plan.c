/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/plan/kt_plan.h"
#include "interceptor/abi/kt_plan_key.h"
#include "interceptor/plan/kt_plan_clean.h"
#include "interceptor/plan/kt_plan_file.h"
#include "interceptor/plan/kt_plan_text.h"
#include "interceptor/plan/kt_plan_trust.h"
#include "interceptor/tls/kt_ca.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A process that starts with a plan of its last minute still has this long with its CA. */
#define SPARE_SECONDS (24 * 3600)
/* Room that stays for the names that wildcards collect. */
#define ROOM_FOR_NAMES 8192

static void cleanup_ca(struct kt_ca **ca)
{
    kt_ca_free(*ca);
}

static kt_result read_current(const char *path, struct kt_buf *text)
{
    KT_GUARD(kt_plan_file_read(path, true, text));
    return kt_plan_check(kt_buf_span(text), time(NULL));
}

kt_result kt_plan_read_ca(const char *plan_path, char *ca_pem, size_t size)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_PLAN_MAX_BYTES);
    KT_GUARD(read_current(plan_path, &text));
    struct kt_span ca = kt_plan_word(kt_buf_span(&text), "ca");
    KT_ENSURE(ca.len > 0 && ca.data[0] == '/', KT_ERR_SYNTAX);
    return kt_path_format(ca_pem, size, "%.*s", (int)ca.len, ca.data);
}

static kt_result fill_ca_paths(struct kt_plan_made *m)
{
    KT_GUARD(kt_path_format(m->ca_pem, sizeof m->ca_pem, "%s/ca.pem", m->ca_dir));
    KT_GUARD(kt_path_format(m->ca_key, sizeof m->ca_key, "%s/ca.key", m->ca_dir));
    KT_GUARD(kt_path_format(m->bundle_pem, sizeof m->bundle_pem, "%s/bundle.pem", m->ca_dir));
    KT_GUARD(kt_path_format(m->extra_pem, sizeof m->extra_pem, "%s/extra.pem", m->ca_dir));
    return kt_path_format(m->truststore_p12, sizeof m->truststore_p12, "%s/truststore.p12", m->ca_dir);
}

/* Fills `m` from the shared plan where that is current and its files are all there. */
static kt_result use_existing(struct kt_plan_made *m)
{
    KT_GUARD(kt_plan_read_ca(m->path, m->ca_dir, sizeof m->ca_dir));
    char *slash = strrchr(m->ca_dir, '/');
    KT_ENSURE(slash && slash > m->ca_dir, KT_ERR_SYNTAX);
    *slash = '\0';
    KT_GUARD(fill_ca_paths(m));
    KT_ENSURE(access(m->ca_pem, R_OK) == 0 && access(m->ca_key, R_OK) == 0 &&
                  access(m->bundle_pem, R_OK) == 0 && access(m->extra_pem, R_OK) == 0,
              KT_ERR_NOTFOUND);
    return kt_ok();
}

/* What goes into a new plan. */
struct recipe {
    const struct kt_config *config; /* NULL = broken */
    struct kt_strings hosts;        /* borrowed items */
    const char *mode, *fail_mode;
    const char *plan_dir, *name; /* of the plan file */
    bool shared;
};

static kt_result choose(const char *given, const char *from_config, const char *const words[2],
                        const char *variable, const char **out, struct kt_error *err)
{
    *out = given && *given ? given : from_config;
    if (strcmp(*out, words[0]) == 0 || strcmp(*out, words[1]) == 0)
        return kt_ok();
    return kt_fail(err, KT_ERR_USAGE, "%s is '%.40s'; it must be %s or %s", variable, *out, words[0],
                   words[1]);
}

static kt_result settle(struct recipe *r, const struct kt_config *config, const char *mode,
                        const char *fail_mode, struct kt_error *err)
{
    static const char *const modes[2] = {"enforce", "observe"}, *const fails[2] = {"block", "allow"};
    r->config = config;
    if (config) {
        r->hosts = config->intercept.hosts;
    } else {
        while (kt_default_hosts[r->hosts.count])
            r->hosts.count++;
        r->hosts.items = (char **)(uintptr_t)kt_default_hosts; /* only read */
    }
    KT_GUARD(choose(mode, modes[config && config->mode == KT_MODE_OBSERVE], modes, "KT_MODE", &r->mode, err));
    return choose(fail_mode, fails[config && config->fail_mode == KT_FAIL_ALLOW], fails, "KT_FAIL_MODE",
                  &r->fail_mode, err);
}

/* The roots of `from` (NULL = none) and the CA. */
static kt_result write_trust(const struct kt_plan_made *m, const char *name, const char *from,
                             const struct kt_ca *ca, struct kt_error *err)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf pem = KT_BUF_INIT(KT_TRUST_MAX_BYTES + 65536);
    KT_GUARD(kt_trust_append_file(from, &pem));
    KT_GUARD(kt_ca_pem(ca, &pem));
    return kt_file_write(m->ca_dir, name, kt_buf_span(&pem), 0644, false, err);
}

static kt_result write_plan(const struct recipe *r, const struct kt_plan_made *m, const struct kt_ca *ca,
                            struct kt_error *err)
{
    bool chosen = false;
    struct kt_plan_facts facts = {.mode = r->mode,
                                  .fail_mode = r->fail_mode,
                                  .expires = kt_ca_expires(ca) - SPARE_SECONDS,
                                  .made = m,
                                  .hosts = &r->hosts,
                                  .exclude = r->config ? &r->config->intercept.exclude : NULL,
                                  .roots_from = kt_trust_roots(&chosen),
                                  .extra_from = kt_trust_extra()};
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_PLAN_MAX_BYTES - ROOM_FOR_NAMES);
    KT_GUARD(kt_plan_print(&facts, &text, err));
    return kt_file_write(r->plan_dir, r->name, kt_buf_span(&text), 0600, r->shared, err);
}

/* Roots that cannot be put into a store cost Java programs their trust, not everybody the plan. */
static kt_result write_truststore(struct kt_plan_made *m, struct kt_error *err)
{
    kt_result r = kt_plan_make_truststore(m, err);
    if (kt_is_ok(r) || r.code == KT_ERR_IO)
        return r;
    kt_warn("no truststore for Java programs: %s", kt_code_name(r.code));
    m->truststore_p12[0] = '\0';
    return kt_ok();
}

/* The plan file comes last: who sees it finds everything that it names, but for the truststore of a shared
 * plan: ten milliseconds that the first call in a process need not wait for. */
static kt_result write_files(const struct recipe *r, struct kt_plan_made *m, struct kt_error *err)
{
    bool chosen = false;
    KT_CLEANUP(cleanup_ca) struct kt_ca *ca = NULL;
    KT_GUARD(kt_ca_new(&r->hosts, &ca, err));
    KT_GUARD(kt_ca_save(ca, m->ca_pem, m->ca_key, err));
    KT_GUARD(write_trust(m, "extra.pem", kt_trust_extra(), ca, err));
    KT_GUARD(write_trust(m, "bundle.pem", kt_trust_roots(&chosen), ca, err));
    if (!r->shared)
        KT_GUARD(write_truststore(m, err));
    return write_plan(r, m, ca, err);
}

static kt_result make_new(const struct recipe *r, const char *runtime_dir, struct kt_plan_made *m,
                          struct kt_error *err)
{
    uint64_t random = 0;
    kt_plan_clean(r->plan_dir, runtime_dir);
    KT_GUARD(kt_random(&random, sizeof random));
    KT_GUARD(kt_path_format(m->ca_dir, sizeof m->ca_dir, "%s/ca-%016llx", runtime_dir,
                            (unsigned long long)random));
    KT_GUARD(fill_ca_paths(m));
    if (mkdir(m->ca_dir, 0700) != 0)
        return kt_fail(err, KT_ERR_IO, "cannot create %.300s: %s", m->ca_dir, strerror(errno));
    chmod(m->ca_dir, 0700);
    kt_result made = write_files(r, m, err);
    if (!kt_is_ok(made))
        kt_plan_remove_ca_dir(m->ca_dir);
    return made;
}

/* One maker at a time, and who waited takes what the other one made. */
static kt_result make_in(struct recipe *r, const char *plan_dir, const char *runtime_dir,
                         struct kt_plan_made *m, struct kt_error *err)
{
    r->plan_dir = plan_dir;
    KT_GUARD(kt_path_format(m->path, sizeof m->path, "%s/%s", plan_dir, r->name));
    if (!r->shared)
        return make_new(r, runtime_dir, m, err);
    if (kt_is_ok(use_existing(m)))
        return kt_ok();
    KT_CLEANUP(kt_file_unlock) int lock = kt_file_lock(plan_dir);
    if (lock >= 0 && kt_is_ok(use_existing(m)))
        return kt_ok();
    return make_new(r, runtime_dir, m, err);
}

static kt_result make_somewhere(struct recipe *r, const struct kt_paths *paths, struct kt_plan_made *m,
                                struct kt_error *err)
{
    char dir[4096];
    KT_GUARD(kt_path_format(dir, sizeof dir, "%s/plan", paths->state_dir));
    if (kt_is_ok(kt_make_private_dir(dir, err)) && access(dir, W_OK | X_OK) == 0) {
        kt_result done = make_in(r, dir, paths->runtime_dir, m, err);
        if (done.code != KT_ERR_IO) /* a full disk, say: the runtime folder mostly is another one */
            return done;
    }
    return make_in(r, paths->runtime_dir, paths->runtime_dir, m, err);
}

kt_result kt_plan_make(const struct kt_config *config, const char *config_paths, const char *mode,
                       const char *fail_mode, const struct kt_paths *paths, bool unique,
                       struct kt_plan_made *out, struct kt_error *err)
{
    struct recipe r = {.shared = !unique};
    char key[17], name[64];
    uint64_t random = 0;
    memset(out, 0, sizeof *out);
    KT_GUARD(settle(&r, config, mode, fail_mode, err));
    KT_GUARD(kt_random(&random, sizeof random));
    kt_plan_key(config_paths, mode, fail_mode, key);
    if (unique)
        snprintf(name, sizeof name, "%s-%016llx", key, (unsigned long long)random);
    else
        snprintf(name, sizeof name, "%s", key);
    r.name = name;
    KT_GUARD(kt_make_private_dir(paths->runtime_dir, err));
    kt_result made = make_somewhere(&r, paths, out, err);
    if (!kt_is_ok(made))
        memset(out, 0, sizeof *out); /* so that kt_plan_remove of it touches nothing */
    return made;
}

kt_result kt_plan_make_truststore(const struct kt_plan_made *made, struct kt_error *err)
{
    if (access(made->truststore_p12, R_OK) == 0)
        return kt_ok();
    KT_CLEANUP(kt_buf_free) struct kt_buf pem = KT_BUF_INIT(KT_TRUST_MAX_BYTES + 65536);
    KT_CLEANUP(kt_buf_free) struct kt_buf p12 = KT_BUF_INIT(KT_TRUST_MAX_BYTES * 2);
    if (!kt_is_ok(kt_plan_file_read(made->bundle_pem, true, &pem)))
        return kt_fail(err, KT_ERR_IO, "cannot read %.300s", made->bundle_pem);
    kt_result r = kt_trust_pkcs12(kt_buf_span(&pem), &p12);
    if (!kt_is_ok(r))
        return kt_fail(err, r.code, "cannot make a Java truststore: %s", kt_code_name(r.code));
    return kt_file_write(made->ca_dir, "truststore.p12", kt_buf_span(&p12), 0644, false, err);
}

void kt_plan_remove(const struct kt_plan_made *made)
{
    if (made->path[0])
        unlink(made->path);
    if (made->ca_dir[0])
        kt_plan_remove_ca_dir(made->ca_dir);
}
