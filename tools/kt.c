/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_suggest.h"
#include "policyengine/detect/kt_pattern_cache.h"
#include "tools/kt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KT_COMMAND(name) extern const struct kt_command name;
#include "tools/commands.def"
#undef KT_COMMAND

static const struct kt_command *const commands[] = {
#define KT_COMMAND(name) &name,
#include "tools/commands.def"
#undef KT_COMMAND
};

bool kt_is_help(const char *arg)
{
    return strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0;
}

int kt_usage_error(const struct kt_command *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "kt %s: ", c->name);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\nTry 'kt %s --help'.\n", c->name);
    va_end(ap);
    return KT_EXIT_USAGE;
}

static void print_help(FILE *to)
{
    fputs("usage: kt <command> [options]\n\n"
          "Policies and routing inside unmodified programs that call an LLM.\n\ncommands:\n",
          to);
    for (size_t i = 0; i < KT_COUNT(commands); i++)
        fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "\n'kt <command> --help' explains a command. 'kt --version' prints the version.\n\n"
        "environment:\n"
        "  KT_POLICY_CONFIG  colon-separated policy-config.yaml files, later ones layered on top\n"
        "  KT_STATE_DIR      audit log, plans and kt.log (default $XDG_STATE_HOME/kt or ~/.local/state/kt)\n"
        "  KT_TRACE          component,...[:file|:fd:N], by itself $KT_STATE_DIR/kt.trace; components: shim "
        "flow tls http policy route "
        "upstream audit\n"
        "                    engine all; switches: no-handoff\n\n"
        "exit status: 0 ok, 1 policy failure, 2 usage or config error; 'kt wrap' passes on the program's "
        "own.\n",
        to);
}

/* A disk that was full under our stdout is not a success. */
static int printed(const char *name, int status)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || status != KT_EXIT_OK)
        return status;
    fprintf(stderr, "%s%s: cannot write stdout: %s\n", name ? "kt " : "kt", name ? name : "",
            strerror(errno));
    return KT_EXIT_USAGE;
}

/* Wherever it stands among a command's words: who asks has lost the thread, and nothing else should happen.
 */
static bool wants_help(const struct kt_command *c, int argc, char **argv)
{
    int end = c->own_help && argc > 3 ? 3 : argc;
    for (int i = 2; i < end && strcmp(argv[i], "--") != 0; i++)
        if (kt_is_help(argv[i]))
            return true;
    return false;
}

static int no_command(const char *name)
{
    struct kt_suggest s;
    char near[96];
    kt_suggest_begin(&s, name);
    for (size_t i = 0; i < KT_COUNT(commands); i++)
        kt_suggest_try(&s, commands[i]->name, strlen(commands[i]->name));
    const char *meant = kt_suggest_text(&s, near);
    fprintf(stderr, "kt: no command '%s'%s%s\nTry 'kt --help'.\n", name, meant ? ", " : "",
            meant ? meant : "");
    return KT_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    kt_pattern_cache_open(NULL, true); /* compiling patterns is no news here */
    if (argc < 2) {
        print_help(stderr);
        return KT_EXIT_USAGE;
    }
    if (kt_is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return printed(NULL, KT_EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("kt " KT_VERSION);
        return printed(NULL, KT_EXIT_OK);
    }
    for (size_t i = 0; i < KT_COUNT(commands); i++)
        if (strcmp(argv[1], commands[i]->name) == 0) {
            if (wants_help(commands[i], argc, argv)) {
                fputs(commands[i]->usage, stdout);
                return printed(commands[i]->name, KT_EXIT_OK);
            }
            return printed(commands[i]->name, commands[i]->run(argc - 1, argv + 1));
        }
    return no_command(argv[1]);
}
