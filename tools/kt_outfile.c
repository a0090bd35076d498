/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/kt_outfile.h"

#include "tools/kt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cannot_write(const char *path, const char *command)
{
    fprintf(stderr, "kt %s: cannot write %s: %s\n", command, path, strerror(errno));
    return KT_EXIT_USAGE;
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
    int status = to ? write(arg, to) : cannot_write(path, command);
    if (status == KT_EXIT_OK && (fflush(to) != 0 || ferror(to) || fsync(fd) != 0))
        status = cannot_write(path, command);
    if (to && fclose(to) != 0 && status == KT_EXIT_OK)
        status = cannot_write(path, command);
    if (status == KT_EXIT_OK && rename(temp, path) != 0)
        status = cannot_write(path, command);
    if (status != KT_EXIT_OK)
        unlink(temp);
    return status;
}
