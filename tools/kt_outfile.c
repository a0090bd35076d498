/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/kt_outfile.h"

#include "tools/kt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_write(const char *path, const char *command)
{
    fprintf(stderr, "kt %s: cannot write %s: %s\n", command, path, strerror(errno));
    return KT_EXIT_USAGE;
}

/* Ends what was written to `to`, which it closes. */
static int finish(FILE *to, bool sync, int status, const char *path, const char *command)
{
    if (status == KT_EXIT_OK && (fflush(to) != 0 || ferror(to) || (sync && fsync(fileno(to)) != 0)))
        status = cannot_write(path, command);
    if (fclose(to) != 0 && status == KT_EXIT_OK)
        status = cannot_write(path, command);
    return status;
}

/* A device, a pipe or a link (/dev/stdout is one): written into. A rename would put a file in its place. */
bool kt_outfile_is_special(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int write_into(const char *path, int (*write)(void *arg, FILE *to), void *arg, const char *command)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0)
        return cannot_write(path, command);
    FILE *to = fdopen(fd, "w");
    if (!to) {
        close(fd);
        return cannot_write(path, command);
    }
    return finish(to, false, write(arg, to), path, command);
}

int kt_outfile_write(const char *path, int (*write)(void *arg, FILE *to), void *arg, const char *command)
{
    KT_CLEANUP(kt_cleanup_free) char *temp = NULL;
    if (!path || strcmp(path, "-") == 0) {
        int status = write(arg, stdout);
        return status == KT_EXIT_OK && (fflush(stdout) != 0 || ferror(stdout))
                   ? cannot_write("stdout", command)
                   : status;
    }
    if (kt_outfile_is_special(path))
        return write_into(path, write, arg, command);
    if (asprintf(&temp, "%s.part-XXXXXX", path) < 0) {
        temp = NULL;
        return cannot_write(path, command);
    }
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return cannot_write(path, command);
    FILE *to = fdopen(fd, "w");
    if (!to)
        close(fd);
    int status = to ? finish(to, true, write(arg, to), path, command) : cannot_write(path, command);
    if (status == KT_EXIT_OK && rename(temp, path) != 0)
        status = cannot_write(path, command);
    if (status != KT_EXIT_OK)
        unlink(temp);
    return status;
}
