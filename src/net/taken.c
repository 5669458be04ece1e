/* taken.c - who listens on a port: /proc/net/tcp names the socket's inode, /proc/PID/fd the process that
 * holds it. */
#include "base/io.h"
#include "base/mem.h"
#include "net/uv_loop.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TABLE_BYTES_MAX = 4 * 1024 * 1024, STATE_LISTEN = 0x0a };

/* A file of /proc says that it has no size, so io_load does not help. */
static char *read_table(const char *path)
{
    const struct io *io = &io_system;
    int file = io->open(io->self, path, IO_READ);
    if (file < 0)
        return NULL;
    struct buf b = { .max = TABLE_BYTES_MAX };
    int64_t n = 1;
    while (n > 0 && buf_room(&b, 4096)) {
        n = io->pread(io->self, file, b.at + b.len, 4095, b.len);
        if (n > 0)
            b.len += (size_t)n;
    }
    io->close(io->self, file);
    buf_u8(&b, 0);
    if (b.bad)
        buf_clear(&b);
    return (char *)b.at;
}

/* The inode of the listening socket with this port and, as far as they can collide, this address; 0: none. */
static unsigned long find_inode(const char *table_path, uint16_t port)
{
    char *table = read_table(table_path);
    unsigned long found = 0;
    for (char *line = table; line && *line && !found;) {
        unsigned at, state;
        unsigned long inode;
        char *end = strchr(line, '\n');
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &at,
                   &state, &inode) == 3 &&
            at == port && state == STATE_LISTEN)
            found = inode;
        line = end ? end + 1 : NULL;
    }
    mem_free(table);
    return found;
}

struct search {
    char socket[40]; /* "socket:[1234]" */
    char folder[64]; /* "/proc/812/fd"  */
    long pid;
    bool here;
};

static void look_at_file(void *ctx, const char *name)
{
    struct search *s = ctx;
    char path[400], target[64];
    (void)snprintf(path, sizeof path, "%s/%s", s->folder, name);
    ssize_t n = s->here ? -1 : readlink(path, target, sizeof target - 1);
    if (n < 0)
        return;
    target[n] = 0;
    s->here = strcmp(target, s->socket) == 0;
}

static void look_at_process(void *ctx, const char *name)
{
    struct search *s = ctx;
    long pid = strtol(name, NULL, 10);
    if (s->pid || pid <= 0)
        return;
    (void)snprintf(s->folder, sizeof s->folder, "/proc/%ld/fd", pid);
    s->here = false;
    (void)io_system.list(io_system.self, s->folder, look_at_file, s);
    if (s->here)
        s->pid = pid;
}

bool taken_by(const struct sockaddr_storage *at, char *out, size_t cap)
{
    struct search s = { .pid = 0 };
    bool six = at->ss_family == AF_INET6;
    uint16_t port = ntohs(six ? ((const struct sockaddr_in6 *)(const void *)at)->sin6_port
                              : ((const struct sockaddr_in *)(const void *)at)->sin_port);
    /* A socket for all of IPv6 may hold an IPv4 port as well. */
    unsigned long inode = find_inode(six ? "/proc/net/tcp6" : "/proc/net/tcp", port);
    if (!inode)
        inode = find_inode("/proc/net/tcp6", port);
    if (!inode)
        return false;
    (void)snprintf(s.socket, sizeof s.socket, "socket:[%lu]", inode);
    (void)io_system.list(io_system.self, "/proc", look_at_process, &s);
    if (!s.pid)
        return false;
    char path[64], name[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", s.pid);
    char *comm = read_table(path);
    (void)bytes_escape(bytes_of(comm, comm ? strcspn(comm, "\n") : 0), name, sizeof name);
    (void)snprintf(out, cap, "%s (pid %ld)", comm ? name : "a program", s.pid);
    mem_free(comm);
    return true;
}
