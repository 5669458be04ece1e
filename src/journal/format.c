/* format.c - what says whose data this is and how to read it: LOCK, format.json, and the mark of an orderly
 * stop. */
#include "journal/journal_private.h"

#include "base/crc32c.h"
#include "base/hash.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { FORMAT = 1, FORMAT_BYTES_MAX = 64 * 1024, CLEAN_BYTES_MAX = 1024 };
#define CRC_KEY "  \"crc32c\": \""

/* ---- folders and the lock ---- */

static bool exists(const struct io *io, const char *path, bool as_dir)
{
    struct io_stat st;
    return io->stat(io->self, path, &st) == 0 && st.is_dir == as_dir;
}

/* The folder is there, and durably so: whoever made it may have been killed before it could sync its entry. A
 * parent that we may not read was not made by us. */
static enum code make_dir(const struct io *io, const char *path, struct fault *why)
{
    bool there = exists(io, path, true);
    int r = there ? 0 : io->mkdir(io->self, path);
    if (r < 0)
        return FAIL_SYS(why, r == -ENOSPC || r == -EDQUOT ? CODE_FULL : CODE_IO, -r,
                        "cannot make the folder %s", path);
    char parent[PATH_MAX_OWN];
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        (void)snprintf(parent, sizeof parent, ".");
    else if (slash == parent)
        slash[1] = 0;
    else
        *slash = 0;
    r = io->sync_dir(io->self, parent);
    if (r < 0 && !(there && (r == -EACCES || r == -EPERM || r == -EINVAL || r == -EROFS)))
        return FAIL_SYS(why, CODE_IO, -r, "cannot sync the folder %s", parent);
    return CODE_OK;
}

enum code format_make_dirs(const struct io *io, const char *data_dir, struct fault *why)
{
    char path[PATH_MAX_OWN];
    int n = snprintf(path, sizeof path, "%s/journal", data_dir);
    /* Names of files are added to this later. */
    if (n < 0 || (size_t)n + 64 > sizeof path || data_dir[0] == 0)
        return FAIL(why, CODE_USAGE, 0, "'%s' cannot be the path of a data folder", data_dir);
    char format[PATH_MAX_OWN];
    (void)snprintf(format, sizeof format, "%.*s/format.json", (int)(sizeof format - 16), data_dir);
    if (exists(io, format, false) && exists(io, path, true))
        return CODE_OK; /* written after all of this was durable */
    for (char *at = path + 1; *at; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = 0;
        enum code code = make_dir(io, path, why);
        *at = '/';
        if (code != CODE_OK)
            return code;
    }
    return make_dir(io, path, why);
}

enum code format_lock(const struct io *io, const char *data_dir, int *file, struct fault *why)
{
    char path[PATH_MAX_OWN];
    (void)snprintf(path, sizeof path, "%s/LOCK", data_dir);
    *file = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    if (*file < 0)
        return FAIL_SYS(why, CODE_IO, -*file, "cannot open %s", path);
    int r = io->lock(io->self, *file);
    if (r == 0)
        return CODE_OK;
    io->close(io->self, *file);
    *file = -1;
    if (r == -EAGAIN)
        return FAIL(why, CODE_EXISTS, 0, "another process uses %s", data_dir);
    return FAIL_SYS(why, CODE_IO, -r, "cannot lock %s", path);
}

/* ---- format.json ---- */

static enum code write_format(const struct io *io, const char *data_dir, const char *node,
                              const struct format *f, const uint32_t *counts, struct fault *why)
{
    struct buf out = {0};
    buf_printf(&out, "{\n  \"format\": %d,\n  \"journal\": \"%016" PRIx64 "\",\n  \"node\": \"%s\",\n",
               FORMAT, f->journal, node);
    buf_printf(&out, "  \"partition_hash\": \"%s\",\n  \"partitions\": [", HASH_PARTITION_NAME);
    for (uint32_t i = 0; i < f->generations; i++)
        buf_printf(&out, "%s{ \"generation\": %u, \"count\": %u }", i ? ", " : "", i + 1, counts[i]);
    buf_printf(&out, "],\n  \"compatible\": [],\n  \"incompatible\": [],\n");
    if (!out.bad)
        buf_printf(&out, CRC_KEY "%08x\"\n}\n", crc32c(0, out.at, out.len));
    enum code code = out.bad ? FAIL(why, CODE_NOMEM, 0, "no memory to write format.json")
                             : io_replace(io, data_dir, "format.json", buf_bytes(&out), why);
    buf_clear(&out);
    return code;
}

enum code format_create(const struct io *io, const char *data_dir, uint32_t partitions, struct format *out,
                        struct fault *why)
{
    uint8_t random[16];
    char node[33];
    *out = (struct format){.partitions = partitions, .generations = 1};
    while (out->journal == 0)
        io->random(io->self, &out->journal, sizeof out->journal);
    io->random(io->self, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        (void)snprintf(node + 2 * i, 3, "%02x", random[i]);
    return write_format(io, data_dir, node, out, &partitions, why);
}

/* The checksum line is the last; it covers all before it. */
static bool crc_holds(const char *text, size_t len, bool *present)
{
    const char *at = memmem(text, len, CRC_KEY, sizeof CRC_KEY - 1);
    *present = at != NULL;
    if (!at)
        return false;
    char want[32];
    int n = snprintf(want, sizeof want, CRC_KEY "%08x\"\n}\n", crc32c(0, text, (size_t)(at - text)));
    return (size_t)n == len - (size_t)(at - text) && memcmp(at, want, (size_t)n) == 0;
}

static enum code read_fields(const json_t *root, const char *path, struct format *out, struct fault *why)
{
    const char *id = json_string_value(json_object_get(root, "journal"));
    const char *hash = json_string_value(json_object_get(root, "partition_hash"));
    const json_t *list = json_object_get(root, "partitions"),
                 *features = json_object_get(root, "incompatible");
    if (json_array_size(features) > 0)
        return FAIL(
            why, CODE_UNSUPPORTED, 0, "%s needs the feature '%.60s', which this version does not know", path,
            json_string_value(json_array_get(features, 0)) ? json_string_value(json_array_get(features, 0))
                                                           : "?");
    if (!hash || strcmp(hash, HASH_PARTITION_NAME) != 0)
        return FAIL(why, CODE_UNSUPPORTED, 0, "%s distributes partitions by '%.40s', this version knows '%s'",
                    path, hash ? hash : "", HASH_PARTITION_NAME);
    size_t count = json_array_size(list);
    json_int_t partitions = json_integer_value(
        json_object_get(json_array_get(list, count ? count - 1 : 0), "count"));
    char *end = NULL;
    out->journal = id ? strtoull(id, &end, 16) : 0;
    if (!id || *end || out->journal == 0 || count == 0 || partitions < 0 || partitions > PARTITIONS_MAX)
        return FAIL(why, CODE_DAMAGED, 0, "%s is not as it was written", path);
    out->partitions = (uint32_t)partitions;
    out->generations = (uint32_t)count;
    return CODE_OK;
}

static enum code parse_format(const char *text, size_t len, const char *path, json_t **root,
                              struct format *out, struct fault *why)
{
    json_error_t error;
    *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    bool present, holds = crc_holds(text, len, &present);
    json_int_t number = json_integer_value(json_object_get(*root, "format"));
    if (*root && number > FORMAT && (holds || !present))
        return FAIL(why, CODE_UNSUPPORTED, 0,
                    "%s says format %lld, this version reads up to %d: the folder belongs to a newer "
                    "Fieldgate and was not "
                    "touched",
                    path, (long long)number, FORMAT);
    if (!*root || !holds || number != FORMAT)
        return FAIL(why, CODE_DAMAGED, 0, "%s is damaged: its checksum does not hold", path);
    return read_fields(*root, path, out, why);
}

static enum code load_root(const struct io *io, const char *data_dir, json_t **root, struct format *out,
                           struct fault *why)
{
    char path[PATH_MAX_OWN], *text;
    size_t len;
    *root = NULL;
    (void)snprintf(path, sizeof path, "%s/format.json", data_dir);
    enum code code = io_load(io, path, FORMAT_BYTES_MAX, &text, &len, why);
    if (code != CODE_OK)
        return code;
    code = parse_format(text, len, path, root, out, why);
    mem_free(text);
    return code;
}

enum code format_load(const struct io *io, const char *data_dir, struct format *out, struct fault *why)
{
    json_t *root;
    enum code code = load_root(io, data_dir, &root, out, why);
    json_decref(root);
    return code;
}

enum code format_grow(const struct io *io, const char *data_dir, uint32_t partitions, struct format *f,
                      struct fault *why)
{
    json_t *root;
    enum code code = load_root(io, data_dir, &root, f, why);
    uint32_t *counts = code == CODE_OK ? mem_alloc((f->generations + 1) * sizeof *counts) : NULL;
    if (code == CODE_OK && !counts)
        code = FAIL(why, CODE_NOMEM, 0, "no memory to write format.json");
    if (code == CODE_OK) {
        const json_t *list = json_object_get(root, "partitions");
        const char *node = json_string_value(json_object_get(root, "node"));
        for (uint32_t i = 0; i < f->generations; i++)
            counts[i] = (uint32_t)json_integer_value(json_object_get(json_array_get(list, i), "count"));
        counts[f->generations++] = partitions;
        f->partitions = partitions;
        code = write_format(io, data_dir, node ? node : "", f, counts, why);
    }
    mem_free(counts);
    json_decref(root);
    return code;
}

/* ---- clean ---- */

static void print_clean(struct buf *out, uint64_t journal, const struct clean *c)
{
    buf_printf(out, "fieldgate journal %016" PRIx64 " was closed in order\n", journal);
    buf_printf(out, "last %016" PRIx64 " %016" PRIx64 " %08x\n", c->last.seq, c->last.segment,
               c->last.offset);
    buf_printf(out, "state %016" PRIx64 " %016" PRIx64 " %08x\n", c->state.seq, c->state.segment,
               c->state.offset);
    if (!out->bad)
        buf_printf(out, "crc32c %08x\n", crc32c(0, out->at, out->len));
}

enum code clean_store(const struct io *io, const char *dir, uint64_t journal, const struct clean *c,
                      struct fault *why)
{
    struct buf out = {0};
    print_clean(&out, journal, c);
    enum code code = out.bad ? FAIL(why, CODE_NOMEM, 0, "no memory to write %s/clean", dir)
                             : io_replace(io, dir, "clean", buf_bytes(&out), why);
    buf_clear(&out);
    return code;
}

void clean_load(const struct io *io, const char *dir, uint64_t journal, struct clean *out)
{
    char path[PATH_MAX_OWN], *text;
    size_t len;
    uint64_t id = 0;
    *out = (struct clean){0};
    (void)snprintf(path, sizeof path, "%s/clean", dir);
    if (io_load(io, path, CLEAN_BYTES_MAX, &text, &len, NULL) != CODE_OK)
        return;
    int n = sscanf(text,
                   "fieldgate journal %" SCNx64 " was closed in order last %" SCNx64 " %" SCNx64 " %" SCNx32
                   " state %" SCNx64 " %" SCNx64 " %" SCNx32,
                   &id, &out->last.seq, &out->last.segment, &out->last.offset, &out->state.seq,
                   &out->state.segment, &out->state.offset);
    struct buf again = {0};
    print_clean(&again, journal, out);
    /* Valid is only what we would have written, byte by byte. */
    out->valid = n == 7 && id == journal && !again.bad && bytes_equal(buf_bytes(&again), bytes_of(text, len));
    if (!out->valid)
        *out = (struct clean){0};
    buf_clear(&again);
    mem_free(text);
}
