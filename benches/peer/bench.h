/* What the receivers of both kinds share: arguments, clocks, input. */
#ifndef BENCH_H
#define BENCH_H
#define _GNU_SOURCE
#include <aqueduct/aqueduct.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

static inline void check(aq_status s, const char *what)
{
    if (s < 0) {
        fprintf(stderr, "%s: %s: %s\n", what, aq_status_string(s), aq_last_error());
        exit(1);
    }
}
#define CHECK(call) check((call), #call)

static int n_args;
static char **args;

static inline const char *text(const char *key, const char *absent)
{
    size_t n = strlen(key);
    for (int i = 1; i < n_args; i++)
        if (strncmp(args[i], key, n) == 0 && args[i][n] == '=')
            return args[i] + n + 1;
    if (!absent) {
        fprintf(stderr, "%s: %s=... is missing\n", args[0], key);
        exit(2);
    }
    return absent;
}

static inline size_t number(const char *key, const char *absent) { return strtoull(text(key, absent), NULL, 0); }

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct cpu { double user, sys; };
static inline struct cpu cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct cpu){ (double)r.ru_utime.tv_sec + 1e-6 * (double)r.ru_utime.tv_usec, (double)r.ru_stime.tv_sec + 1e-6 * (double)r.ru_stime.tv_usec };
}

/* CPU seconds of the library's workers, which all have its name. */
static inline double workers_cpu(void)
{
    double seconds = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        char path[320], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (f == NULL || fgets(name, sizeof name, f) == NULL || strncmp(name, "aqueduct", 8) != 0) {
            if (f != NULL)
                fclose(f);
            continue;
        }
        fclose(f);
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", e->d_name);
        unsigned long long ns = 0;
        f = fopen(path, "r");
        if (f != NULL) {
            if (fscanf(f, "%llu", &ns) == 1)
                seconds += 1e-9 * (double)ns;
            fclose(f);
        }
    }
    closedir(tasks);
    return seconds;
}

static inline void *load(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) { perror(path); exit(1); }
    *size = (size_t)st.st_size;
    uint8_t *p = mmap(NULL, (*size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) { perror("mmap"); exit(1); }
    madvise(p, *size, MADV_HUGEPAGE);
    for (size_t at = 0; at < *size;) {
        ssize_t n = read(fd, p + at, *size - at);
        if (n <= 0) { perror(path); exit(1); }
        at += (size_t)n;
    }
    close(fd);
    return p;
}
#endif
