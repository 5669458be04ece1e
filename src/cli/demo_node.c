#include "cli/demo_node.h"

#include "base/mem.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MS = 20000, STOP_MS = 15000 };

static void nobody(void *ctx, const struct net_peer *peer)
{
    (void)ctx;
    net_peer_refuse(peer);
}

/* A free port by the usual number, or 0: any. */
static uint16_t choose_port(struct loop *loop, uint16_t usual)
{
    struct listener *l;
    char at[32];
    (void)snprintf(at, sizeof at, "127.0.0.1:%u", usual);
    if (net_listen(&l, loop, at, nobody, NULL, NULL) != CODE_OK)
        return 0;
    listener_close(l);
    return usual;
}

static enum code write_settings(struct demo_node *n, const struct io *io, uint16_t mqtt, uint16_t http,
                                const char *topics, const char *more, struct fault *why)
{
    struct buf text = {0};
    buf_printf(&text, "version: 1\nsite: demo\ndata: ");
    buf_json(&text, bytes_str(n->data));
    buf_printf(&text,
               "\nlisteners:\n  - { type: mqtt, at: [\"127.0.0.1:%u\"] }\n  - { type: http, at: "
               "[\"127.0.0.1:%u\"] }\n",
               mqtt, http);
    buf_printf(&text, "hub:\n  partitions: 4\n  topics: [");
    buf_json(&text, bytes_str(topics));
    /* A demo must run on a small disk, too. */
    buf_printf(&text, "]\njournal: { segment-bytes: 4MiB, disk-reserve: 1MiB }\n%s", more);
    enum code c = text.bad ? FAIL(why, CODE_NOMEM, 0, "no memory")
                           : io_replace(io, n->dir, "fieldgate.yaml", buf_bytes(&text), why);
    buf_clear(&text);
    return c;
}

static void become_node(const struct demo_node *n, int out)
{
    char config[300], log[300];
    (void)snprintf(config, sizeof config, "%s/fieldgate.yaml", n->dir);
    (void)snprintf(log, sizeof log, "%s/log", n->dir);
    /* Ctrl-C is the demo's: it stops us in order. If it dies, we must not stay. */
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (err < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    (void)execl("/proc/self/exe", "fieldgate", "run", "--config", config, (char *)NULL);
    _exit(127);
}

/* Reads "listening mqtt 127.0.0.1:1883" and so on up to "ready". */
static bool understand(struct demo_node *n, const char *line)
{
    unsigned port;
    if (sscanf(line, "listening mqtt 127.0.0.1:%u", &port) == 1)
        n->mqtt_port = (uint16_t)port;
    if (sscanf(line, "listening http 127.0.0.1:%u", &port) == 1)
        n->http_port = (uint16_t)port;
    return strcmp(line, "ready") == 0;
}

static enum code not_ready(const struct demo_node *n, const struct io *io, struct fault *why)
{
    char path[300], *text = NULL;
    size_t len = 0;
    (void)snprintf(path, sizeof path, "%s/log", n->dir);
    if (io_load(io, path, 1 << 20, &text, &len, NULL) != CODE_OK || len == 0)
        return FAIL(why, CODE_IO, 0, "the demo's node did not start and said nothing");
    while (len && text[len - 1] == '\n')
        text[--len] = 0;
    const char *last = strrchr(text, '\n');
    enum code c = FAIL(why, CODE_IO, 0, "the demo's node did not start: %s", last ? last + 1 : text);
    mem_free(text);
    return c;
}

static enum code wait_ready(struct demo_node *n, const struct io *io, int in, struct fault *why)
{
    char line[256];
    size_t have = 0;
    int64_t end = io->monotonic_us(io->self) + READY_MS * 1000LL;
    for (;;) {
        int left = (int)((end - io->monotonic_us(io->self)) / 1000);
        struct pollfd p = {.fd = in, .events = POLLIN};
        if (left <= 0 || poll(&p, 1, left) <= 0)
            return not_ready(n, io, why);
        char c;
        ssize_t r = read(in, &c, 1);
        if (r <= 0)
            return not_ready(n, io, why);
        if (c != '\n') {
            if (have + 1 < sizeof line)
                line[have++] = c;
            continue;
        }
        line[have] = 0;
        have = 0;
        if (understand(n, line))
            return n->mqtt_port ? CODE_OK : not_ready(n, io, why);
    }
}

enum code demo_node_make(struct demo_node *n, const char *keep_dir, struct fault *why)
{
    *n = (struct demo_node){0};
    const char *temp = getenv("TMPDIR");
    if (keep_dir) {
        (void)snprintf(n->dir, sizeof n->dir, "%s", keep_dir);
        if (mkdir(n->dir, 0700) < 0 && errno != EEXIST)
            return FAIL_SYS(why, CODE_IO, errno, "cannot make %s", n->dir);
    } else {
        (void)snprintf(n->dir, sizeof n->dir, "%.200s/fieldgate-demo-XXXXXX", temp && *temp ? temp : "/tmp");
        if (!mkdtemp(n->dir))
            return FAIL_SYS(why, CODE_IO, errno, "cannot make a folder like %s", n->dir);
    }
    (void)snprintf(n->data, sizeof n->data, "%s/data", n->dir);
    return CODE_OK;
}

/* 0 where the system shall choose. */
struct ports {
    uint16_t mqtt, http;
};

static enum code choose_ports(struct ports *ports, struct fault *why)
{
    struct loop *loop;
    enum code c = loop_open_uv(&loop, why);
    if (c != CODE_OK)
        return c;
    *ports = (struct ports){choose_port(loop, 1883), choose_port(loop, 8080)};
    loop_close(loop);
    return CODE_OK;
}

static enum code start_on(struct demo_node *n, const struct io *io, const struct ports *ports,
                          const char *topics, const char *more, struct fault *why)
{
    int ends[2];
    n->other_ports = !ports->mqtt || !ports->http;
    enum code c = write_settings(n, io, ports->mqtt, ports->http, topics, more, why);
    if (c != CODE_OK)
        return c;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return FAIL_SYS(why, CODE_IO, errno, "cannot make a pipe");
    n->pid = fork();
    if (n->pid == 0)
        become_node(n, ends[1]);
    (void)close(ends[1]);
    c = n->pid < 0 ? FAIL_SYS(why, CODE_IO, errno, "cannot start the node") : wait_ready(n, io, ends[0], why);
    (void)close(ends[0]);
    return c;
}

enum code demo_node_start(struct demo_node *n, const struct io *io, const char *topics, const char *more,
                          struct fault *why)
{
    struct ports ports, now;
    enum code c = choose_ports(&ports, why);
    if (c != CODE_OK)
        return c;
    c = start_on(n, io, &ports, topics, more, why);
    if (c == CODE_OK || n->pid <= 0 || (!ports.mqtt && !ports.http))
        return c;
    /* A port that was free when it was chosen may have been taken before the node had it: by another demo, say. */
    struct fault ignored;
    if (choose_ports(&now, &ignored) != CODE_OK || (now.mqtt == ports.mqtt && now.http == ports.http))
        return c;
    enum code ended = demo_node_halt(n, &ignored);
    (void)ended; /* badly, of course */
    return start_on(n, io, &now, topics, more, why);
}

/* Folders of ours are shallow; the limit only guards against what we did not make. */
static void remove_all(const char *path, int depth);

struct removal {
    const char *dir;
    int depth;
};

static void remove_entry(void *ctx, const char *name)
{
    const struct removal *r = ctx;
    char path[600];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", r->dir, name) < sizeof path)
        remove_all(path, r->depth);
}

static void remove_all(const char *path, int depth)
{
    struct stat st;
    if (depth > 6 || lstat(path, &st) < 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        (void)unlink(path);
        return;
    }
    struct removal r = {path, depth + 1};
    (void)io_system.list(io_system.self, path, remove_entry, &r);
    (void)rmdir(path);
}

enum code demo_node_halt(struct demo_node *n, struct fault *why)
{
    enum code c = CODE_OK;
    int status = 0;
    if (n->pid > 0) {
        (void)kill(n->pid, SIGTERM);
        int waited = 0;
        pid_t done;
        while ((done = waitpid(n->pid, &status, WNOHANG)) == 0 && waited < STOP_MS) {
            (void)poll(NULL, 0, 20);
            waited += 20;
        }
        if (done == 0) {
            (void)kill(n->pid, SIGKILL);
            (void)waitpid(n->pid, &status, 0);
            c = FAIL(why, CODE_IO, 0, "the demo's node did not stop within %d s", STOP_MS / 1000);
        } else if (done < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            c = FAIL(why, CODE_IO, 0, "the demo's node ended with status %d",
                     WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        }
        n->pid = 0;
    }
    return c;
}

enum code demo_node_stop(struct demo_node *n, bool keep, struct fault *why)
{
    enum code c = demo_node_halt(n, why);
    if (!keep && n->dir[0])
        remove_all(n->dir, 0);
    return c;
}
