/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over kept inputs where libFuzzer is not at hand: files, or all files of folders. */
#include "tests/fuzz/kt_fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static unsigned replayed;

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        if (f)
            fclose(f);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size ? size : 1); /* exact, so that a read past the end is seen */
    int bad = !data || fread(data, 1, size, f) != size;
    fclose(f);
    if (!bad) {
        LLVMFuzzerTestOneInput(data, size);
        replayed++;
    }
    free(data);
    return bad;
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return replay_file(path);
    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        return 1;
    }
    int bad = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char file[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        bad |= replay_file(file);
    }
    closedir(dir);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    printf("%u inputs\n", replayed);
    return bad || replayed == 0;
}
