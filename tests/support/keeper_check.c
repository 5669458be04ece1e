#include "support/keeper_private.h"

#include "message/message.h"
#include "support/random.h"

#include <inttypes.h>

/* ---- memory ---- */

static void check_bounds(struct keeper *k)
{
    if (k->last < k->acked)
        keeper_wrong(k, "operation %" PRIu64 " was acknowledged, %" PRIu64 " are there", k->acked, k->last);
    if (k->model.open_batch)
        keeper_wrong(k, "operation %" PRIu64 " is there without the one it belongs to", k->last);
    if (k->counter != k->model.counter)
        keeper_wrong(k, "the counter is %" PRIu64 " after operation %" PRIu64 " instead of %" PRIu64,
                     k->counter, k->last, k->model.counter);
}

static void check_message(struct keeper *k, uint64_t n)
{
    struct fault why = {0};
    const struct keeper_op *op = model_op(&k->model, n);
    journal_lock(k->journal);
    const struct message *cached = stored_message(k->held[n]);
    if (cached && !keeper_message_is(k, op, cached))
        keeper_wrong(k, "message %" PRIu64 " in memory is not the one that was sent", n);
    journal_unlock(k->journal);
    struct message *m = NULL;
    enum code code = journal_read(k->journal, k->held[n], 1, &m, &why);
    if (code != CODE_OK) {
        if (code != k->opt.forgiven)
            keeper_wrong(k, "message %" PRIu64 " cannot be read: %s", n, why.text);
        return;
    }
    if (!keeper_message_is(k, op, m))
        keeper_wrong(k, "message %" PRIu64 " is not the one that was sent", n);
    message_drop(m);
}

static void check_kept(struct keeper *k)
{
    size_t held = 0;
    for (uint64_t n = 1; n <= k->last; n++)
        held += k->held[n] != NULL;
    for (size_t i = 0; i < k->model.kept.count; i++) {
        uint64_t n = k->model.kept.at[i];
        if (!k->held[n])
            keeper_wrong(k, "message %" PRIu64 " is kept no longer", n);
        else
            check_message(k, n);
    }
    if (held != k->model.kept.count)
        keeper_wrong(k, "%zu messages are kept instead of %zu", held, k->model.kept.count);
}

/* ---- partitions ---- */

struct reading {
    struct keeper *k;
    uint32_t partition;
    const struct numbers *want;
    uint64_t next;
};

static bool read_one(void *ctx, const struct record *r)
{
    struct reading *g = ctx;
    struct message m;
    if (r->type == 0 && g->k->opt.forgiven == CODE_IO &&
        r->partition_seq == g->next) { /* cannot be read now */
        g->next++;
        return true;
    }
    if (r->type == 0 || r->partition_seq != g->next || g->next >= g->want->count) {
        keeper_wrong(g->k, "partition %u: %s %" PRIu64 " where %" PRIu64 " of %zu was expected", g->partition,
                     r->type == 0 ? "damaged record" : "record", r->partition_seq, g->next, g->want->count);
        return false;
    }
    const struct keeper_op *op = model_op(&g->k->model, g->want->at[g->next]);
    if (r->partition != g->partition || r->wall_us != op->wall_us ||
        message_view(&m, r->payload, r->wall_us, NULL) != CODE_OK || !keeper_message_is(g->k, op, &m))
        keeper_wrong(g->k, "partition %u: record %" PRIu64 " is not what was sent", g->partition, g->next);
    g->next++;
    return true;
}

static void check_find(struct keeper *k, uint32_t p, const struct numbers *want, uint64_t first,
                       uint64_t next)
{
    struct fault why = {0};
    struct random r = {random_mix(k->model.seed, k->last + p)};
    uint64_t seq = first + random_below(&r, next - first), found = UINT64_MAX;
    int64_t wall_us = model_op(&k->model, want->at[seq])->wall_us;
    enum code code = journal_partition_find_time(k->journal, p, wall_us, &found, &why);
    if (code != CODE_OK && code == k->opt.forgiven)
        return;
    if (code != CODE_OK)
        keeper_wrong(k, "partition %u: no record is found by its time: %s", p, why.text);
    else if (found != seq && k->opt.forgiven != CODE_IO) /* what cannot be read is stepped over */
        keeper_wrong(k, "partition %u: by the time of %" PRIu64 " %" PRIu64 " is found", p, seq, found);
}

static void check_partition(struct keeper *k, uint32_t p)
{
    const struct numbers *want = &k->model.partitions[p];
    uint64_t first, next, acked = 0;
    for (size_t i = 0; i < want->count; i++)
        acked += want->at[i] <= k->acked;
    journal_partition_range(k->journal, p, &first, &next);
    if (next > want->count || next < acked)
        keeper_wrong(k, "partition %u ends at %" PRIu64 "; %" PRIu64 " were acknowledged, %zu sent", p, next,
                     acked, want->count);
    if (first > next || (first > 0 && k->opt.keep_bytes == 0))
        keeper_wrong(k, "partition %u begins at %" PRIu64 " and ends at %" PRIu64, p, first, next);
    struct reading g = {k, p, want, first};
    while (!k->wrong[0] && g.next < next) {
        struct fault why = {0};
        uint64_t before = g.next, on = 0;
        enum code code = journal_partition_read(k->journal, p, g.next, 1 << 20, read_one, &g, &on, &why);
        if (code != CODE_OK && code == k->opt.forgiven)
            return;
        if (code != CODE_OK)
            keeper_wrong(k, "partition %u cannot be read from %" PRIu64 ": %s", p, before, why.text);
        else if (on != g.next || g.next == before)
            keeper_wrong(k, "partition %u: after %" PRIu64 " comes %" PRIu64 ", told is %" PRIu64, p, before,
                         g.next, on);
    }
    if (!k->wrong[0] && next > first)
        check_find(k, p, want, first, next);
}

/* Retention by size gives up whole segments, and only when what is left is about as large as it may be. */
static void check_retention(struct keeper *k)
{
    uint64_t left = 0, slack = 2 * k->opt.segment_bytes;
    bool given_up = false;
    for (uint32_t p = 0; p < KEEPER_PARTITIONS; p++) {
        uint64_t first, next;
        journal_partition_range(k->journal, p, &first, &next);
        given_up |= first > 0;
        for (uint64_t s = first; s < k->model.partitions[p].count; s++)
            left += model_op(&k->model, k->model.partitions[p].at[s])->payload_len + JOURNAL_FRAME_HEAD;
    }
    if (given_up && left + slack < k->opt.keep_bytes)
        keeper_wrong(k, "%" PRIu64 " bytes of partition records are left, %" PRIu64 " should be kept", left,
                     k->opt.keep_bytes);
}

const char *keeper_check(struct keeper *k)
{
    struct journal_stats stats;
    check_bounds(k);
    if (!k->wrong[0])
        check_kept(k);
    for (uint32_t p = 0; p < KEEPER_PARTITIONS && !k->wrong[0]; p++)
        check_partition(k, p);
    if (!k->wrong[0])
        check_retention(k);
    journal_stats(k->journal, &stats);
    if (stats.damaged_frames > 0 && k->opt.forgiven != CODE_IO)
        keeper_wrong(k, "%" PRIu64 " frames are said to be damaged", stats.damaged_frames);
    return k->wrong[0] ? k->wrong : NULL;
}

static void finding(void *ctx, const struct journal_finding *f)
{
    struct keeper *k = ctx;
    if (f->error)
        keeper_wrong(k, "check: %s at %" PRIu64 ": %s", f->file, f->offset, f->text);
}

const char *keeper_check_offline(struct keeper *k, const struct io *io)
{
    struct fault why = {0};
    struct journal_check_result result;
    if (journal_check(io, k->opt.dir, finding, k, &result, &why) != CODE_OK)
        keeper_wrong(k, "check: %s", why.text);
    return k->wrong[0] ? k->wrong : NULL;
}
