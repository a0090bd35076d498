/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_files.h"

#include "policyengine/base/kt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

kt_result kt_file_read(const char *path, struct kt_buf *out)
{
    KT_CLEANUP(kt_cleanup_fd) int fd = kt_off_std(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    KT_ENSURE(fd >= 0, KT_ERR_IO);
    struct stat st;
    KT_ENSURE(fstat(fd, &st) == 0, KT_ERR_IO);
    if (!S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return kt_err(KT_ERR_IO);
    }
    return kt_read_to_end(fd, out);
}

char *kt_file_beside(const char *beside, const char *path)
{
    const char *slash = beside ? strrchr(beside, '/') : NULL;
    size_t folder = slash ? (size_t)(slash - beside) + 1 : 0;
    char *out = NULL;
    if (path[0] == '/')
        return strdup(path);
    KT_CLEANUP(kt_cleanup_free) char *cwd = folder && beside[0] == '/' ? NULL : getcwd(NULL, 0);
    int n =
        asprintf(&out, "%s%s%.*s%s", cwd ? cwd : "", cwd ? "/" : "", (int)folder, beside ? beside : "", path);
    return n < 0 ? NULL : out;
}
