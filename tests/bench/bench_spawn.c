/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What preloading costs a process that makes no LLM call: bench_spawn LIBKT ROUNDS PROGRAM [ARGS]. Starts the
 * program ROUNDS times without and with LD_PRELOAD in turn; prints medians of wall time (us) and of peak RSS
 * (KiB).
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int once(char **argv, double *us, double *kib)
{
    pid_t pid;
    int status;
    struct rusage ru;
    double start = now_us();
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 || wait4(pid, &status, 0, &ru) != pid ||
        status != 0)
        return -1;
    *us = now_us() - start;
    *kib = (double)ru.ru_maxrss;
    return 0;
}

int main(int argc, char **argv)
{
    long rounds = argc > 3 ? strtol(argv[2], NULL, 10) : 0;
    if (rounds < 1)
        return 2;
    double *samples = calloc((size_t)rounds * 4, sizeof *samples);
    if (!samples)
        return 1;
    double *us[2] = {samples, samples + rounds}, *kib[2] = {samples + 2 * rounds, samples + 3 * rounds};
    for (long i = 0; i < rounds; i++)
        for (int with = 0; with < 2; with++) {
            if (with)
                setenv("LD_PRELOAD", argv[1], 1);
            else
                unsetenv("LD_PRELOAD");
            if (once(argv + 3, &us[with][i], &kib[with][i]) != 0) {
                fprintf(stderr, "bench_spawn: %s failed\n", argv[3]);
                return 1;
            }
        }
    for (int with = 0; with < 2; with++) {
        qsort(us[with], (size_t)rounds, sizeof(double), by_value);
        qsort(kib[with], (size_t)rounds, sizeof(double), by_value);
    }
    printf("{\"without_us\": %.1f, \"with_us\": %.1f, \"without_kib\": %.0f, \"with_kib\": %.0f}\n",
           us[0][rounds / 2], us[1][rounds / 2], kib[0][rounds / 2], kib[1][rounds / 2]);
    free(samples);
    return 0;
}
