/* node_data.c - the data directory: there, ours, and nobody else's. */
#include "node/node_private.h"

#include "base/mem.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

enum code data_absolute(const char *data, char out[DATA_PATH_MAX], struct fault *why)
{
    char here[DATA_PATH_MAX] = "";
    if (data[0] != '/' && !getcwd(here, sizeof here))
        return FAIL_SYS(why, CODE_IO, errno, "cannot tell the current directory, from which %s starts", data);
    int len = snprintf(out, DATA_PATH_MAX, "%s%s%s", here, here[0] ? "/" : "", data);
    if (len < 0 || len >= DATA_PATH_MAX)
        return FAIL_FG(why, CODE_LIMIT, 1003, "the path of the data directory is longer than %d bytes",
                       DATA_PATH_MAX - 1);
    while (len > 1 && out[len - 1] == '/')
        out[--len] = 0;
    return CODE_OK;
}

static enum code not_writable(struct node *n, int err, struct fault *why)
{
    struct passwd *who = getpwuid(geteuid());
    struct fault inner;
    char name[64];
    (void)snprintf(name, sizeof name, "%s", who ? who->pw_name : "");
    if (!who)
        (void)snprintf(name, sizeof name, "%u", (unsigned)geteuid());
    (void)FAIL_SYS(&inner, CODE_IO, err, "cannot write %s", n->data_dir);
    if (err == EACCES || err == EPERM)
        return FAIL_FG(why, CODE_IO, 1004, "%s; we run as %s. sudo chown -R %s: %s", inner.text, name, name,
                       n->data_dir);
    return FAIL_FG(why, CODE_IO, 1004, "%s. Choose another data directory: --data DIR", inner.text);
}

enum code data_prepare(struct node *n, struct fault *why)
{
    const struct io *io = n->options.io;
    char path[DATA_PATH_MAX + 8], socket_path[NODE_SOCKET_MAX];
    enum code code = data_absolute(n->options.settings->data, n->data_dir, why);
    if (code == CODE_OK)
        code = node_socket(n->data_dir, socket_path, why);
    if (code != CODE_OK)
        return code;
    int r = io_make_path(io, n->data_dir);
    if (r < 0)
        return not_writable(n, -r, why);
    /* The file that the journal locks: if we may not write it, say so in our own words. */
    (void)snprintf(path, sizeof path, "%s/LOCK", n->data_dir);
    int file = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    if (file < 0)
        return not_writable(n, -file, why);
    io->close(io->self, file);
    return CODE_OK;
}

/* DATA/pid says who holds the lock, for the sentence that the next one who wants it gets. */
static void note_pid(struct node *n)
{
    const struct io *io = n->options.io;
    char path[DATA_PATH_MAX + 8], text[24];
    (void)snprintf(path, sizeof path, "%s/pid", n->data_dir);
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    int file = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    if (file < 0)
        return; /* it only makes a later sentence better */
    if (io->truncate(io->self, file, 0) == 0)
        (void)io_write_all(io, file, text, (size_t)len, 0);
    io->close(io->self, file);
}

static enum code in_use(struct node *n, struct fault *why)
{
    char path[DATA_PATH_MAX + 8], holder[48] = "another process", *text = NULL;
    size_t len;
    (void)snprintf(path, sizeof path, "%s/pid", n->data_dir);
    if (io_load(n->options.io, path, 32, &text, &len, NULL) == CODE_OK && len > 1 &&
        strspn(text, "0123456789\n") == len)
        (void)snprintf(holder, sizeof holder, "another node (pid %.*s)", (int)strcspn(text, "\n"), text);
    mem_free(text);
    return FAIL_FG(why, CODE_EXISTS, 1005,
                   "%s is in use by %s. Stop it, or choose another data directory: --data DIR", n->data_dir,
                   holder);
}

enum code data_open_journal(struct node *n, struct journal_options *o, struct fault *why)
{
    struct fault inner;
    o->io = n->options.io;
    o->data_dir = n->data_dir;
    enum code code = journal_open(&n->journal, o, &inner);
    switch (code) {
    case CODE_OK:
        note_pid(n);
        return CODE_OK;
    case CODE_EXISTS:
        return in_use(n, why);
    case CODE_UNSUPPORTED:
        return FAIL_FG(why, code, 1006, "%s", inner.text);
    case CODE_USAGE:
        return FAIL_FG(why, code, 1007, "%s", inner.text);
    default:
        *why = inner;
        return code;
    }
}

void data_end(struct node *n)
{
    char path[DATA_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/pid", n->data_dir);
    (void)n->options.io->unlink(n->options.io->self, path);
}
