/* journal_test_rig.h - a small program on the journal, for this folder's tests: it keeps messages until it is
 * told to drop them, writes them down in rounds of state, and gets them back by replay. On a file system in
 * memory.
 */
#pragma once

#include "base/log.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/journal_private.h"
#include "message/message.h"
#include "support/memfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { RIG_NOTE = 16, RIG_DROP, RIG_KEPT, RIG_SUM, RIG_KEEP_MAX = 4000, RIG_TEXT = 4096 };

struct rig {
    struct memfs *fs;
    struct journal_options opt;
    struct journal *j;
    struct fault why;
    /* Durable state. */
    struct stored *kept[RIG_KEEP_MAX];
    size_t kept_count;
    uint64_t notes; /* how many there ever were */
    /* What was heard. */
    char applied[RIG_TEXT]; /* "note:a message:b " in the order of replay */
    uint64_t rounds, told;
    size_t round_at;
    bool refuse_state, leave_batch;
    uint64_t damage_lines;
};

static struct rig *rig_hears; /* log lines that tell of damage are counted for this one */

__attribute__((unused)) static void rig_hear(void *ctx, const char *line)
{
    (void)ctx;
    if (rig_hears && strstr(line, "damaged"))
        rig_hears->damage_lines++;
    if (getenv("RIG_LOG"))
        fputs(line, stderr);
}

__attribute__((unused)) static struct stored *rig_find(const struct rig *r, uint64_t id)
{
    for (size_t i = 0; i < r->kept_count; i++)
        if (stored_id(r->kept[i]) == id)
            return r->kept[i];
    return NULL;
}

static void rig_forget(struct rig *r, uint64_t id)
{
    for (size_t i = 0; i < r->kept_count; i++) {
        if (stored_id(r->kept[i]) != id)
            continue;
        stored_drop(r->kept[i]);
        memmove(&r->kept[i], &r->kept[i + 1], (--r->kept_count - i) * sizeof *r->kept);
        r->round_at -= i < r->round_at; /* a round that is under way skips nobody */
        return;
    }
}

static enum code rig_apply(void *ctx, struct journal *j, const struct record *rec, struct fault *why)
{
    struct rig *r = ctx;
    size_t n = strlen(r->applied);
    struct message m;
    uint64_t id = rec->meta.len >= 8 ? get_le64(rec->meta.at) : 0;
    struct bytes text = rec->payload;
    if (rec->type == RECORD_MESSAGE) {
        if (message_view(&m, rec->payload, rec->wall_us, why) != CODE_OK)
            return CODE_DAMAGED;
        text = m.payload;
    }
    if (n + 40 < sizeof r->applied)
        snprintf(r->applied + n, sizeof r->applied - n, "%s:%.*s ",
                 rec->type == RECORD_MESSAGE ? "message"
                 : rec->type == RIG_NOTE     ? "note"
                 : rec->type == RIG_DROP     ? "drop"
                                             : "state",
                 (int)(text.len < 20 ? text.len : 20), text.at ? (const char *)text.at : "");
    struct stored *s = NULL;
    if (rec->type == RECORD_MESSAGE && rec->meta.len) {
        s = journal_keep(j, rec);
        if (!s)
            return FAIL(why, CODE_NOMEM, 0, "keep");
    } else if (rec->type == RIG_KEPT) {
        enum code code = journal_keep_at(j, id, get_le64(rec->meta.at + 8), get_le32(rec->meta.at + 16),
                                         get_le32(rec->meta.at + 20), &s, why);
        if (code != CODE_OK)
            return code;
        if (rig_find(r, id)) {
            stored_drop(s);
            s = NULL;
        }
    } else if (rec->type == RIG_DROP) {
        rig_forget(r, id);
    } else if (rec->type == RIG_NOTE) {
        r->notes++;
    } else if (rec->type == RIG_SUM) {
        r->notes = id;
    }
    if (s)
        r->kept[r->kept_count++] = s;
    return CODE_OK;
}

/* A few handles a call. */
static enum code rig_write_state(void *ctx, struct journal *j, bool restart)
{
    struct rig *r = ctx;
    uint8_t meta[24];
    struct record_in in = {.partition = JOURNAL_NO_PARTITION};
    if (restart)
        r->round_at = 0;
    if (r->refuse_state)
        return CODE_FULL;
    if (restart) {
        put_le64(meta, r->notes);
        in.type = RIG_SUM;
        in.meta = bytes_of(meta, 8);
        in.flags = r->leave_batch ? RECORD_MORE : 0;
        enum code code = journal_append(j, &in, NULL, NULL);
        if (code != CODE_OK || r->leave_batch)
            return code != CODE_OK ? code : CODE_NOMEM;
    }
    for (unsigned i = 0; i < 3 && r->round_at < r->kept_count; i++, r->round_at++) {
        struct stored *s = r->kept[r->round_at];
        uint64_t segment;
        uint32_t offset, bytes;
        stored_where(s, &segment, &offset, &bytes);
        put_le64(meta, stored_id(s));
        put_le64(meta + 8, segment);
        put_le32(meta + 16, offset);
        put_le32(meta + 20, bytes);
        in.type = RIG_KEPT;
        in.meta = bytes_of(meta, sizeof meta);
        enum code code = journal_append(j, &in, NULL, NULL);
        if (code != CODE_OK)
            return code;
    }
    if (r->round_at < r->kept_count)
        return CODE_MORE;
    r->rounds++;
    return CODE_OK;
}

static void rig_on_durable(void *ctx, uint64_t durable)
{
    (void)durable;
    ((struct rig *)ctx)->told++;
}

__attribute__((unused)) static struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);
    r->fs = memfs_new(1);
    memfs_set_wall(r->fs, INT64_C(1790000000000000));
    r->opt = (struct journal_options){.io = memfs_io(r->fs),
                                      .data_dir = "/data",
                                      .segment_bytes = 65536,
                                      .partitions = 4,
                                      .manual = true,
                                      .ctx = r,
                                      .apply = rig_apply,
                                      .write_state = rig_write_state,
                                      .on_durable = rig_on_durable};
    rig_hears = r;
    log_set_sink(rig_hear, NULL);
    return r;
}

__attribute__((unused)) static enum code rig_open(struct rig *r)
{
    r->applied[0] = 0;
    r->notes = 0;
    r->kept_count = 0;
    enum code code = journal_open(&r->j, &r->opt, &r->why);
    if (code != CODE_OK)
        r->j = NULL;
    return code;
}

__attribute__((unused)) static void rig_must_open(struct rig *r)
{
    if (rig_open(r) != CODE_OK)
        fail_msg("cannot open: %s", r->why.text);
}

__attribute__((unused)) static void rig_close(struct rig *r)
{
    journal_close(r->j);
    r->j = NULL;
    r->kept_count = 0;
}

/* kill -9 */
__attribute__((unused)) static void rig_kill(struct rig *r)
{
    if (r->j)
        journal_abandon(r->j);
    r->j = NULL;
    r->kept_count = 0;
}

__attribute__((unused)) static void rig_free(struct rig *r)
{
    rig_kill(r);
    rig_hears = NULL;
    log_set_sink(NULL, NULL);
    memfs_free(r->fs);
    free(r);
}

/* Steps until there is nothing left to do. */
__attribute__((unused)) static void rig_settle(struct rig *r)
{
    for (unsigned i = 0; journal_step(r->j); i++)
        assert_true(i < 100000);
}

static int64_t rig_wall(const struct rig *r)
{
    return r->opt.io->wall_us(r->opt.io->self);
}

__attribute__((unused)) static enum code rig_note(struct rig *r, const char *text, uint16_t flags)
{
    struct record_in in = {.type = RIG_NOTE,
                           .flags = flags,
                           .partition = JOURNAL_NO_PARTITION,
                           .wall_us = rig_wall(r),
                           .payload = bytes_str(text)};
    journal_lock(r->j);
    enum code code = journal_append(r->j, &in, NULL, &r->why);
    if (code == CODE_OK)
        r->notes++;
    journal_unlock(r->j);
    return code;
}

/* A message of `len` bytes that begin with `text`; kept, or in a partition, or both. *id: its sequence. */
__attribute__((unused)) static enum code rig_message(struct rig *r, const char *text, size_t len,
                                                     uint32_t partition, bool keep, uint64_t *id)
{
    size_t n = strlen(text);
    uint8_t *payload = calloc(1, len > n ? len : n + 1);
    memcpy(payload, text, n);
    struct message_parts parts = {.qos = 1,
                                  .topic = BYTES_LIT("t"),
                                  .payload = bytes_of(payload, len > n ? len : n),
                                  .wall_us = rig_wall(r)};
    struct message *m = message_new(&parts);
    free(payload);
    uint8_t mark = 1;
    struct record_in in = {.type = RECORD_MESSAGE,
                           .partition = partition,
                           .wall_us = rig_wall(r),
                           .payload = m->encoded,
                           .keep = keep,
                           .meta = bytes_of(&mark, keep)};
    struct record_out out = {0};
    journal_lock(r->j);
    enum code code = journal_append(r->j, &in, &out, &r->why);
    if (code == CODE_OK && keep)
        r->kept[r->kept_count++] = out.stored;
    journal_unlock(r->j);
    message_drop(m);
    if (id)
        *id = out.seq;
    return code;
}

__attribute__((unused)) static void rig_drop(struct rig *r, uint64_t id)
{
    uint8_t meta[8];
    put_le64(meta, id);
    struct record_in in = {.type = RIG_DROP,
                           .partition = JOURNAL_NO_PARTITION,
                           .wall_us = rig_wall(r),
                           .meta = bytes_of(meta, 8)};
    journal_lock(r->j);
    enum code code = journal_append(r->j, &in, NULL, &r->why);
    if (code == CODE_OK)
        rig_forget(r, id);
    journal_unlock(r->j);
    assert_int_equal(code, CODE_OK);
}

/* What the kept message says, or the name of the code. */
__attribute__((unused)) static const char *rig_read(struct rig *r, uint64_t id, char out[64])
{
    struct stored *s = rig_find(r, id);
    struct message *m;
    if (!s)
        return "not kept";
    enum code code = journal_read(r->j, s, 1000, &m, &r->why);
    if (code != CODE_OK)
        return code_name(code);
    snprintf(out, 64, "%.*s",
             (int)strnlen((const char *)m->payload.at, m->payload.len < 60 ? m->payload.len : 60),
             (const char *)m->payload.at);
    message_drop(m);
    return out;
}

struct rig_heard {
    char text[RIG_TEXT];
    size_t most;
    size_t count;
};

static bool rig_listen(void *ctx, const struct record *rec)
{
    struct rig_heard *h = ctx;
    size_t n = strlen(h->text);
    struct message m;
    if (rec->type == 0)
        snprintf(h->text + n, sizeof h->text - n, "%d:lost ", (int)rec->partition_seq);
    else if (message_view(&m, rec->payload, rec->wall_us, NULL) == CODE_OK)
        snprintf(h->text + n, sizeof h->text - n, "%d:%.*s ", (int)rec->partition_seq,
                 (int)strnlen((const char *)m.payload.at, m.payload.len < 30 ? m.payload.len : 30),
                 (const char *)m.payload.at);
    return ++h->count < h->most;
}

/* "0:a 1:b " and where to go on. */
__attribute__((unused)) static const char *rig_partition(struct rig *r, uint32_t partition, uint64_t from,
                                                         struct rig_heard *h)
{
    uint64_t next;
    *h = (struct rig_heard){.most = 400};
    if (journal_partition_read(r->j, partition, from, 1u << 30, rig_listen, h, &next, &r->why) != CODE_OK)
        fail_msg("cannot read: %s", r->why.text);
    return h->text;
}

struct rig_findings {
    char first[300];
    uint64_t errors, remarks;
};

static void rig_finding(void *ctx, const struct journal_finding *f)
{
    struct rig_findings *all = ctx;
    if (f->error && all->errors++ == 0)
        snprintf(all->first, sizeof all->first, "%s at %d: %s", f->file, (int)f->offset, f->text);
    all->remarks += !f->error;
}

/* journal_check on the closed journal. */
__attribute__((unused)) static struct rig_findings rig_check(struct rig *r,
                                                             struct journal_check_result *result)
{
    struct rig_findings all = {.first = ""};
    struct journal_check_result own;
    if (journal_check(r->opt.io, "/data", rig_finding, &all, result ? result : &own, &r->why) != CODE_OK)
        fail_msg("cannot check: %s", r->why.text);
    return all;
}
