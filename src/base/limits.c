#include "base/limits.h"

#include "base/values.h"

#include <stdio.h>

enum { TEXT_BYTES_MAX = 4096, PATH_BYTES_MAX = 1024 };

/* Files below /proc and /sys have no size to ask for; they are small. What was read, NUL-terminated. */
static struct bytes small_file(const struct io *io, const char *path, char out[TEXT_BYTES_MAX])
{
    int file = io->open(io->self, path, IO_READ);
    if (file < 0)
        return BYTES_NONE;
    int64_t n = io_read_all(io, file, out, TEXT_BYTES_MAX - 1, 0);
    io->close(io->self, file);
    out[n > 0 ? n : 0] = 0;
    return bytes_of(out, n > 0 ? (size_t)n : 0);
}

/* The digits at the front, or "no limit" where there are none ("max"). */
static uint64_t leading_number(const char *text)
{
    struct bytes b = bytes_str(text);
    size_t n = 0;
    uint64_t v;
    while (n < b.len && b.at[n] >= '0' && b.at[n] <= '9')
        n++;
    return value_parse_count(bytes_of(b.at, n), 0, UINT64_MAX, &v, NULL) == CODE_OK ? v : UINT64_MAX;
}

static uint64_t of_machine(const struct io *io)
{
    char text[TEXT_BYTES_MAX];
    if (!small_file(io, "/proc/meminfo", text).len)
        return UINT64_MAX;
    const char *at = strstr(text, "MemTotal:");
    if (!at)
        return UINT64_MAX;
    at += strlen("MemTotal:");
    at += strspn(at, " ");
    uint64_t kib = leading_number(at);
    return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Version 2: our group and every group above it may set a limit. */
static uint64_t of_groups(const struct io *io)
{
    char text[TEXT_BYTES_MAX], path[PATH_BYTES_MAX], said[TEXT_BYTES_MAX];
    uint64_t lowest = UINT64_MAX;
    if (small_file(io, "/sys/fs/cgroup/memory/memory.limit_in_bytes", said).len)
        lowest = leading_number(said);
    if (!small_file(io, "/proc/self/cgroup", text).len)
        return lowest;
    char *group = strstr(text, "0::/");
    if (!group || (group != text && group[-1] != '\n'))
        return lowest;
    group += strlen("0::");
    group[strcspn(group, "\n")] = 0;
    for (;;) {
        int n = snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        if (n > 0 && (size_t)n < sizeof path && small_file(io, path, said).len)
            lowest = least(lowest, leading_number(said));
        char *slash = strrchr(group, '/');
        if (!slash)
            return lowest;
        *slash = 0;
    }
}

uint64_t limits_memory(const struct io *io)
{
    uint64_t have = least(of_machine(io), of_groups(io));
    if (have == 0 || have >= UINT64_MAX / 1024)
        have = UINT64_C(1) << 30;
    return (have / 10 * 6) & ~((UINT64_C(1) << 20) - 1); /* whole MiB: a person reads it */
}
