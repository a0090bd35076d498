/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/doctor.h"
#include "tools/wrap_env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool find(const char *cmd, char out[PATH_MAX])
{
    const char *path = getenv("PATH");
    snprintf(out, PATH_MAX, "%s", cmd);
    if (strchr(cmd, '/') || !path)
        return access(out, F_OK) == 0;
    while (*path) {
        size_t n = strcspn(path, ":");
        snprintf(out, PATH_MAX, "%.*s/%s", (int)n, path, cmd);
        if (n > 0 && access(out, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    errno = ENOENT;
    return false;
}

static void say_stack(struct doctor *d, const struct doctor_elf *e)
{
    if (e->java)
        doctor_add(
            d, "program", DOCTOR_NOTE,
            "TLS: Java's own. By bare LD_PRELOAD it distrusts us, as it reads its trust before there is "
            "a plan, and calls fail (event client_distrusts). Use kt wrap");
    if (e->go)
        doctor_add(d, "program", DOCTOR_OK, "TLS: Go's own; it reads SSL_CERT_FILE or the system's roots");
    if (e->openssl_shared)
        doctor_add(d, "program", DOCTOR_OK, "TLS: shared OpenSSL (libssl)");
    if (e->gnutls)
        doctor_add(d, "program", DOCTOR_OK, "TLS: GnuTLS");
    if (e->nss)
        doctor_add(d, "program", DOCTOR_NOTE,
                   "TLS: NSS has no trust variable: it refuses our certificate (event client_distrusts)");
    if (e->openssl_own)
        doctor_add(d, "program", DOCTOR_NOTE, "TLS: an OpenSSL or BoringSSL of its own; trust comes from %s",
                   e->node_certs  ? "NODE_EXTRA_CA_CERTS"
                   : e->cert_file ? "SSL_CERT_FILE"
                                  : "the program's own options or variables");
    if (!e->go && !e->openssl_shared && !e->gnutls && !e->nss && !e->openssl_own && !e->java)
        doctor_add(d, "program", DOCTOR_NOTE, "TLS: none found in the file%s%s",
                   e->dynamic ? " and its libraries; it may load one later" : "",
                   e->cert_file ? "; something in it reads SSL_CERT_FILE" : "");
}

/* Trust that only kt wrap can give. */
static void say_bare_preload(struct doctor *d, const struct doctor_elf *e)
{
    const char *own = getenv("NODE_EXTRA_CA_CERTS");
    if (e->node_certs && own && *own)
        doctor_add(
            d, "program", DOCTOR_NOTE,
            "NODE_EXTRA_CA_CERTS is set: by bare LD_PRELOAD it keeps our CA away and calls fail (event "
            "client_distrusts). Use kt wrap, which adds to it");
}

static void say_what_goes_past(struct doctor *d, const struct doctor_elf *e, const char *path)
{
    static const char *const clients[] = {"docker", "podman", "nerdctl", "buildctl"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (e->resolver_own)
        doctor_add(d, "program", DOCTOR_NOTE,
                   "has a resolver of its own (c-ares): a host that it finds that way is noticed at the TLS "
                   "handshake "
                   "(event unseen, as fail_mode says); kt wrap --strict captures it");
    for (size_t i = 0; i < KT_COUNT(clients); i++)
        if (strcmp(name, clients[i]) == 0)
            doctor_add(d, "program", DOCTOR_NOTE,
                       "a client of a container daemon: what its containers call is not seen (event unseen). "
                       "Run kt wrap "
                       "inside of them, or give them kt gateway");
}

/* True where the shim can work in it. */
static bool shim_works(struct doctor *d, const struct doctor_elf *e)
{
    if (e->musl)
        doctor_add(d, "program", DOCTOR_BAD,
                   "linked with musl's loader, which cannot load libkt.so: the program will not start. Use a "
                   "glibc or a static build");
    else if (e->setuid)
        doctor_add(
            d, "program", DOCTOR_BAD,
            "setuid, setgid or with file capabilities: it ignores the preload, and the filter keeps it "
            "from gaining rights (--no-supervise lets it, unseen). Wrap what runs inside of it");
    else if (e->foreign)
        doctor_add(d, "program", DOCTOR_BAD,
                   "of another word size or machine: not captured. kt wrap --strict refuses its connects");
    return e->dynamic && !e->musl && !e->setuid && !e->foreign;
}

static void say_lanes(struct doctor *d, const struct doctor_elf *e, bool supervised)
{
    bool shim = shim_works(d, e);
    if (d->wildcards && (!shim || e->go) && !e->setuid && !e->foreign && !e->musl)
        doctor_add(d, "program", DOCTOR_NOTE,
                   "it asks no resolver of libc: a name that only a wildcard of intercept.hosts covers, and "
                   "/etc/hosts has not, goes past us. Name the hosts, or use kt wrap --strict");
    if (e->setuid || e->foreign || e->musl)
        return;
    if (shim && e->openssl_shared)
        doctor_add(d, "lane", DOCTOR_OK, "enforce: handoff, divert; observe: tap");
    else if (shim && e->gnutls)
        doctor_add(d, "lane", DOCTOR_OK, "enforce: divert; observe: tap");
    else if (shim && !e->go && !e->openssl_own && !e->nss && !e->java)
        doctor_add(
            d, "lane", DOCTOR_OK,
            "as the TLS library that it loads: OpenSSL handoff or tap, GnuTLS divert or tap, others divert");
    else if (shim && !e->go)
        doctor_add(d, "lane", DOCTOR_OK, "enforce and observe: divert");
    else if (supervised)
        doctor_add(d, "lane", DOCTOR_OK,
                   "enforce and observe: supervise, under kt wrap only (not by bare LD_PRELOAD)");
    else
        doctor_add(d, "lane", DOCTOR_BAD,
                   "%s: only the supervise lane could see it, and this machine has none. Point its base URL "
                   "at kt gateway",
                   e->go ? "Go makes its system calls itself" : "a static program");
}

/* ---- scripts ---- */

static bool takes_a_value(const char *option)
{
    static const char *const all[] = {"-u", "-C", "--unset", "--chdir"};
    for (size_t i = 0; i < KT_COUNT(all); i++)
        if (strcmp(option, all[i]) == 0)
            return true;
    return false;
}

/* What `env ARGUMENT` runs: its first word that is no option and no NAME=VALUE. Cuts `argument`; NULL = none.
 */
static const char *command_of_env(char *argument)
{
    char *rest = NULL;
    for (char *w = strtok_r(argument, " \t\r", &rest); w; w = strtok_r(NULL, " \t\r", &rest)) {
        if (strncmp(w, "--split-string=", 15) == 0)
            w += 15;
        else if (strncmp(w, "-S", 2) == 0)
            w += 2;
        if (takes_a_value(w))
            strtok_r(NULL, " \t\r", &rest);
        else if (*w && *w != '-' && !strchr(w, '='))
            return w;
    }
    return NULL;
}

static bool is_env(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, "env") == 0;
}

enum { MAX_SCRIPTS = 5 }; /* as the kernel has it: a script for a script for ... */

/* Follows the first lines of scripts to the program that runs. False where there is none; that has been said.
 */
static bool find_image(struct doctor *d, const char *cmd, char path[PATH_MAX], struct doctor_elf *e)
{
    if (!find(cmd, path) || !doctor_read_elf(path, e)) {
        doctor_add(d, "program", DOCTOR_BAD, "%.200s: %s", cmd,
                   errno ? strerror(errno) : "empty, or not a file");
        return false;
    }
    for (int i = 0; i < MAX_SCRIPTS && e->interpreter[0]; i++) {
        char next[PATH_MAX];
        const char *by = is_env(e->interpreter) ? command_of_env(e->argument) : NULL;
        bool found = true;
        if (by)
            found = find(by, next);
        else
            snprintf(next, sizeof next, "%s", e->interpreter);
        doctor_add(d, "program", DOCTOR_OK, "%.200s is a script for %.200s", path, found ? next : by);
        if (!found || !doctor_read_elf(next, e)) {
            doctor_add(d, "program", DOCTOR_BAD, "%.200s: %s", found ? next : by,
                       errno ? strerror(errno) : "empty, or not a file");
            return false;
        }
        snprintf(path, PATH_MAX, "%s", next);
    }
    return true;
}

void doctor_program(struct doctor *d, const char *cmd, bool supervised)
{
    char path[PATH_MAX];
    struct doctor_elf e;
    if (!find_image(d, cmd, path, &e))
        return;
    if (!e.elf) {
        doctor_add(d, "program", DOCTOR_BAD, "%.200s is no program that can be looked into", path);
        return;
    }
    doctor_add(d, "program", DOCTOR_OK, "%.200s: %s%s", path,
               e.dynamic   ? "dynamic"
               : e.foreign ? "foreign"
                           : "static",
               e.go ? ", Go" : "");
    e.java = kt_program_trust(path) == KT_TRUST_JAVA;
    if (!e.foreign)
        say_stack(d, &e);
    say_bare_preload(d, &e);
    say_lanes(d, &e, supervised);
    say_what_goes_past(d, &e, path);
}
