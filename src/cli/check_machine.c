#include "cli/check_machine.h"

#include "base/mem.h"
#include "base/values.h"
#include "cli/api_client.h"
#include "net/loop.h"
#include "net/tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SYNCS = 21, PROBE_BYTES = 4096, SLOW_SYNC_US = 20000, SOON_DAYS = 30 };

struct checking {
    const struct verb_call    *call;
    const struct config_flags *flags;
    const struct settings     *settings;
    void (*each)(void *ctx, const struct check_line *);
    void                      *ctx;
    const char                *group;
    bool                       running; /* a node answers on these settings' data directory */
};

static void tell(struct checking *c, enum output_mark mark, const char *detail, const char *advice,
                 const char *what, ...) FG_PRINTF(5, 6);

static void tell(struct checking *c, enum output_mark mark, const char *detail, const char *advice,
                 const char *what, ...)
{
    struct check_line l = { .group = c->group, .mark = mark };
    va_list ap;
    va_start(ap, what);
    (void)vsnprintf(l.what, sizeof l.what, what, ap);
    va_end(ap);
    (void)snprintf(l.detail, sizeof l.detail, "%s", detail ? detail : "");
    (void)snprintf(l.advice, sizeof l.advice, "%s", advice ? advice : "");
    c->each(c->ctx, &l);
}

/* ---- settings ---- */

static void tell_notes(struct checking *c, const struct settings_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct settings_note *n = &report->notes[i];
        tell(c, n->warning ? MARK_WARN : MARK_BAD, n->where, n->text, "FG%d", n->number);
    }
}

static void check_settings(struct checking *c)
{
    struct settings_report *report = mem_zalloc(1, sizeof *report);
    const char *file = NULL;
    struct fault why;
    c->group = "Configuration";
    if (!report) {
        tell(c, MARK_BAD, NULL, NULL, "no memory for the settings");
        return;
    }
    enum code code = config_read(c->call, c->flags, &c->settings, &file, report, &why);
    if (code == CODE_OK)
        tell(c, MARK_OK, file, NULL, "%s",
             file ? "the settings file is valid" : "there is no settings file: the defaults hold");
    else if (!report->errors)
        tell(c, MARK_BAD, file, NULL, "%s", why.text);
    tell_notes(c, report);
    mem_free(report);
}

static void check_openness(struct checking *c)
{
    const struct settings *s = c->settings;
    for (size_t i = 0; i < s->listener_count; i++) {
        const struct settings_listener *l = &s->listeners[i];
        char key[32];
        (void)snprintf(key, sizeof key, "listeners[%zu]", i);
        if (!settings_is_mqtt(l) || !memchr(l->auth.at, AUTH_ANONYMOUS, l->auth.count))
            continue;
        bool outside = false;
        for (size_t k = 0; k < l->at_count; k++)
            outside |= !l->at[k].loopback;
        if (outside)
            tell(c, MARK_WARN, key,
                 settings_is_tls(l)
                     ? "Nobody signs in. Let only machines that you trust reach it, or listen on loopback."
                     : "Nothing is encrypted and nobody signs in. Let only machines that you trust reach it, or "
                       "listen on loopback.",
                 "%s accepts anyone who reaches it", l->at[0].text);
        else
            tell(c, MARK_WARN, key,
                 "Other users of this machine can publish and subscribe. Let nobody log in who may not.",
                 "%u accepts anyone on this machine", l->at[0].port);
    }
}

/* ---- certificates ---- */

static void check_days(struct checking *c, const struct settings_listener *l, const char *key, int64_t ends_s)
{
    int64_t days = (ends_s - c->call->io->wall_us(c->call->io->self) / 1000000) / 86400;
    if (days < 0)
        tell(c, MARK_BAD, key, "Clients refuse it. Renew it; the running node takes the new file by itself.",
             "the certificate in %s has ended", l->chain);
    else if (days < SOON_DAYS)
        tell(c, MARK_WARN, key, "Renew it; the running node takes the new file by itself.",
             "the certificate in %s ends in %lld days", l->chain, (long long)days);
    else
        tell(c, MARK_OK, key, NULL, "certificate in %s, %lld days left", l->chain, (long long)days);
}

static void check_certificates(struct checking *c)
{
    for (size_t i = 0; i < c->settings->listener_count; i++) {
        const struct settings_listener *l = &c->settings->listeners[i];
        struct tls_server_options o = {
            .chain = l->chain, .key = l->key, .client_ca = l->client_ca,
            .ask = l->client_certificate == CLIENT_CERTIFICATE_NONE ? TLS_ASK_NONE : TLS_ASK_REQUIRED
        };
        struct tls_server *s;
        struct fault why;
        char key[32];
        c->group = "Certificates";
        (void)snprintf(key, sizeof key, "listeners[%zu]", i);
        if (!settings_is_tls(l))
            continue;
        if (tls_server_load(&s, c->call->io, &o, &why) != CODE_OK) {
            tell(c, MARK_BAD, key, why.text, "the certificate cannot be used (FG%d)", why.number);
            continue;
        }
        check_days(c, l, key, tls_server_not_after_s(s));
        tls_server_drop(s);
    }
}

/* ---- the node and its addresses ---- */

static void check_node(struct checking *c)
{
    struct api_client client;
    struct buf body = { 0 };
    struct fault why;
    c->group = "Node";
    if (api_client_at(c->settings->data, &client, &why) != CODE_OK) {
        tell(c, MARK_BAD, "data", NULL, "%s", why.text);
        return;
    }
    enum code code = api_client_get(&client, "/health", &body, &why);
    buf_clear(&body);
    c->running = code == CODE_OK || (code == CODE_REFUSED && why.number != 8004);
    if (code == CODE_OK)
        tell(c, MARK_OK, client.data_dir, NULL, "the node runs and is well");
    else if (c->running)
        tell(c, MARK_BAD, client.data_dir, why.text, "the node runs and refuses new messages");
    else if (code == CODE_CLOSED)
        tell(c, MARK_NOT_TRIED, client.data_dir, NULL, "no node runs here");
    else
        tell(c, MARK_BAD, client.data_dir, why.text, "the node cannot be asked");
}

static void refuse_peer(void *ctx, const struct net_peer *peer)
{
    (void)ctx;
    net_peer_refuse(peer);
}

static void check_addresses(struct checking *c)
{
    struct loop *loop;
    struct fault why;
    if (c->running)
        return; /* they are taken by the node itself */
    if (loop_open_uv(&loop, &why) != CODE_OK) {
        tell(c, MARK_BAD, NULL, NULL, "%s", why.text);
        return;
    }
    for (size_t i = 0; i < c->settings->listener_count; i++)
        for (size_t k = 0; k < c->settings->listeners[i].at_count; k++) {
            char key[48];
            struct listener *l;
            const char *at = c->settings->listeners[i].at[k].text;
            (void)snprintf(key, sizeof key, "listeners[%zu].at", i);
            if (net_listen(&l, loop, at, refuse_peer, NULL, &why) != CODE_OK) {
                tell(c, MARK_BAD, key, why.text, "%s cannot be listened on", at);
                continue;
            }
            listener_close(l);
            tell(c, MARK_OK, key, NULL, "%s is free", at);
        }
    loop_close(loop);
}

static void check_files(struct checking *c)
{
    struct rlimit files;
    char have[VALUE_TEXT_MAX], want[VALUE_TEXT_MAX], detail[96];
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    (void)value_print_count(c->settings->limits.connections, want);
    (void)snprintf(detail, sizeof detail, "%s open files allowed", value_print_count(files.rlim_max, have));
    if (files.rlim_max == RLIM_INFINITY || files.rlim_max >= (rlim_t)c->settings->limits.connections + 100)
        tell(c, MARK_OK, detail, NULL, "%s connections are possible", want);
    else
        tell(c, MARK_WARN, detail,
             "Above that nobody can connect. Raise LimitNOFILE (systemd), or lower limits.connections.",
             "limits.connections asks for %s", want);
}

/* ---- the disk ---- */

/* The type of the file system that `path` lies on: the longest mount point in front of it. */
static void file_system_of(const struct io *io, const char *path, char out[32])
{
    char *text = mem_zalloc(1, 256 * 1024);
    size_t best = 0;
    (void)snprintf(out, 32, "?");
    int file = text ? io->open(io->self, "/proc/self/mountinfo", IO_READ) : -1;
    if (file >= 0) {
        (void)io_read_all(io, file, text, 256 * 1024 - 1, 0);
        io->close(io->self, file);
    }
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n'), point[512], type[32];
        if (end)
            *end = 0;
        char *dash = strstr(line, " - ");
        if (dash && sscanf(line, "%*s %*s %*s %*s %511s", point) == 1 && sscanf(dash, " - %31s", type) == 1) {
            size_t len = strlen(point);
            bool inside = strncmp(path, point, len) == 0 &&
                          (path[len] == '/' || !path[len] || point[len - 1] == '/');
            if (inside && len >= best) {
                best = len;
                memcpy(out, type, sizeof type);
            }
        }
        line = end ? end + 1 : NULL;
    }
    mem_free(text);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median time of a write with its sync; < 0: -errno. */
static int64_t sync_time(const struct io *io, const char *path)
{
    static const uint8_t block[PROBE_BYTES];
    int64_t took[SYNCS], r = 0;
    int file = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    if (file < 0)
        return file;
    r = io->allocate(io->self, file, (uint64_t)SYNCS * PROBE_BYTES);
    if (r == 0)
        r = io->fdatasync(io->self, file);
    for (int i = 0; i < SYNCS && r == 0; i++) {
        int64_t before = io->monotonic_us(io->self);
        r = io_write_all(io, file, block, sizeof block, (uint64_t)i * PROBE_BYTES);
        if (r == 0)
            r = io->fdatasync(io->self, file);
        took[i] = io->monotonic_us(io->self) - before;
    }
    io->close(io->self, file);
    (void)io->unlink(io->self, path);
    if (r < 0)
        return r;
    qsort(took, SYNCS, sizeof took[0], by_size);
    return took[SYNCS / 2];
}

static void check_sync(struct checking *c, const char *dir)
{
    char path[1100], type[32], detail[96];
    (void)snprintf(path, sizeof path, "%s/check.tmp", dir);
    int64_t us = sync_time(c->call->io, path);
    file_system_of(c->call->io, dir, type);
    if (us < 0) {
        struct fault why;
        (void)FAIL_SYS(&why, CODE_IO, (int)-us, "cannot write %s", dir);
        tell(c, MARK_BAD, type, why.text, "the data directory cannot be written");
        return;
    }
    (void)snprintf(detail, sizeof detail, "fsync %.1f ms median, %s", (double)us / 1000, type);
    if (strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0)
        tell(c, MARK_WARN, detail,
             "What is acknowledged is gone when the machine restarts. Choose a data directory on a disk.",
             "the data directory lies in memory");
    else if (us > SLOW_SYNC_US)
        tell(c, MARK_WARN, detail,
             "Every acknowledgement waits so long. A disk with a protected cache would be faster.",
             "the disk is slow to keep what it is given");
    else
        tell(c, MARK_OK, detail, NULL, "the disk takes what it is to keep");
}

static void check_room(struct checking *c, const char *dir)
{
    char room[VALUE_TEXT_MAX], limit[VALUE_TEXT_MAX], detail[128];
    int64_t left = c->call->io->free_bytes(c->call->io->self, dir);
    uint64_t reserve = c->settings->journal.reserve_bytes;
    if (left < 0)
        return; /* told by check_sync */
    (void)snprintf(detail, sizeof detail, "%s free, limit %s", value_print_size_about((uint64_t)left, room),
                   value_print_size_about(reserve, limit));
    if ((uint64_t)left < reserve)
        tell(c, MARK_BAD, detail,
             "New messages are refused. Free space, or lower hub.keep or journal.disk-reserve.",
             "there is no room on the disk");
    else if ((uint64_t)left < 2 * reserve)
        tell(c, MARK_WARN, detail, "Below the limit new messages are refused. Free space, or lower hub.keep.",
             "there is little room on the disk");
    else
        tell(c, MARK_OK, detail, NULL, "there is room on the disk");
}

/* The data directory, or the nearest folder above that is there. */
static void nearest_folder(const struct io *io, char *path)
{
    struct io_stat st;
    while (io->stat(io->self, path, &st) < 0 && strrchr(path, '/') > path)
        *strrchr(path, '/') = 0;
}

static void check_disk(struct checking *c)
{
    char dir[NODE_SOCKET_MAX];
    c->group = "Storage";
    if (node_socket(c->settings->data, dir, NULL) != CODE_OK)
        return; /* told by check_node */
    *strrchr(dir, '/') = 0;
    nearest_folder(c->call->io, dir);
    check_sync(c, dir);
    check_room(c, dir);
    if (c->settings->durability == DURABILITY_MEMORY)
        tell(c, MARK_WARN, "durability",
             "An acknowledged message may be lost in a crash. Set durability: disk to change that.",
             "durability is memory");
}

void check_machine(const struct verb_call *call, const struct config_flags *flags,
                   void (*each)(void *, const struct check_line *), void *ctx)
{
    struct checking c = { .call = call, .flags = flags, .each = each, .ctx = ctx };
    check_settings(&c);
    if (!c.settings)
        return;
    check_openness(&c);
    check_certificates(&c);
    check_node(&c);
    check_addresses(&c);
    check_files(&c);
    check_disk(&c);
    settings_free(c.settings);
}
