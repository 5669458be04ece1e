#include "api/api_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t process_cpu_us(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0)
        return 0;
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void count_entry(void *ctx, const char *name)
{
    (void)name;
    ++*(uint64_t *)ctx;
}

static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

void process_look(const struct io *io, struct process_usage *out)
{
    char text[4096];
    struct rlimit files;
    *out = (struct process_usage){ .cpu_us = process_cpu_us() };
    if (io_read_text(io, "/proc/self/status", text, sizeof text)) {
        out->rss_bytes = field(text, "\nVmRSS:") * 1024;
        out->threads = field(text, "\nThreads:");
    }
    (void)io->list(io->self, "/proc/self/fd", count_entry, &out->files);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        out->files_max = files.rlim_cur;
}
