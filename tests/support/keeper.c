#include "support/keeper_private.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "message/message.h"
#include "support/random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

/* Record types, and what lies in them. All numbers little-endian.
 *   message      meta: u64 number, u8 keep      payload: the message, topic "keep/NUMBER"
 *   DROPPED      meta: u64 number               payload: u64 of what
 *   ADDED        meta: u64 number
 *   HELD         state; meta: u64 number, u64 id, u64 segment, u32 offset, u32 frame bytes
 *   COUNTED      state; meta: u64 number of the last operation, u64 counter */
enum { DROPPED = RECORD_PROGRAM, ADDED, HELD, COUNTED };
enum { STATE_SLICE = 5 }; /* state records in one call: rounds are mixed with operations */

const char *keeper_wrong(struct keeper *k, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (!k->wrong[0])
        vsnprintf(k->wrong, sizeof k->wrong, fmt, args);
    va_end(args);
    return k->wrong;
}

/* All that runs this has the bytes in this order. */
static uint64_t get64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static void put64(uint8_t *at, uint64_t v)
{
    memcpy(at, &v, sizeof v);
}

static void put32(uint8_t *at, uint32_t v)
{
    memcpy(at, &v, sizeof v);
}

static void room_for(struct keeper *k, uint64_t number)
{
    if (number < k->cap)
        return;
    size_t cap = k->cap ? k->cap : 512;
    while (cap <= number)
        cap *= 2;
    k->held = realloc(k->held, cap * sizeof *k->held);
    k->seqs = realloc(k->seqs, cap * sizeof *k->seqs);
    if (!k->held || !k->seqs)
        abort();
    memset(k->held + k->cap, 0, (cap - k->cap) * sizeof *k->held);
    memset(k->seqs + k->cap, 0, (cap - k->cap) * sizeof *k->seqs);
    k->cap = cap;
}

static void forget_memory(struct keeper *k)
{
    if (k->cap > 0) {
        memset(k->held, 0, k->cap * sizeof *k->held);
        memset(k->seqs, 0, k->cap * sizeof *k->seqs);
    }
    k->counter = k->last = 0;
}

struct keeper *keeper_new(uint64_t seed, const struct keeper_options *options, struct crash *rec)
{
    struct keeper *k = calloc(1, sizeof *k);
    if (!k)
        abort();
    if (options)
        k->opt = *options;
    k->opt.dir = k->opt.dir ? k->opt.dir : "/data";
    k->opt.segment_bytes = k->opt.segment_bytes ? k->opt.segment_bytes : 64 << 10;
    k->opt.payload_max = k->opt.payload_max ? k->opt.payload_max : 3000;
    k->opt.kept_max = k->opt.kept_max ? k->opt.kept_max : 30;
    k->opt.partitioned = k->opt.partitioned ? k->opt.partitioned : 60;
    k->model.seed = seed;
    k->model.opt = k->opt;
    k->rec = rec;
    room_for(k, 0);
    return k;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    keeper_abandon(k);
    model_free(&k->model);
    free(k->held);
    free(k->seqs);
    free(k);
}

/* ---- acknowledgements ---- */

static void became_durable(struct keeper *k, uint64_t durable_seq)
{
    uint64_t n = k->last;
    while (n > k->acked && (k->seqs[n] == 0 || k->seqs[n] > durable_seq))
        n--;
    if (n <= k->acked)
        return;
    k->acked = n;
    crash_mark(k->rec, KEEPER_ACKED, n);
}

static void on_durable(void *ctx, uint64_t durable_seq)
{
    struct keeper *k = ctx;
    if (!k->replaying)
        became_durable(k, durable_seq);
}

void keeper_recall(struct keeper *k, struct crash_marks marks)
{
    for (size_t i = 0; i < marks.count; i++) {
        uint64_t value = marks.mark[i].value;
        switch (marks.mark[i].kind) {
        case KEEPER_SENT: k->sent = value; break;
        case KEEPER_ACKED: k->acked = value > k->acked ? value : k->acked; break;
        case KEEPER_BRANCH:
            k->epochs = value >> 32;
            k->sent = (uint32_t)value;
            model_branch(&k->model, k->sent, k->epochs);
            break;
        default: break;
        }
    }
    model_go(&k->model, k->sent);
}

/* ---- replay ---- */

/* An operation is the one that was sent under its number, and comes right behind the one before. */
static const struct keeper_op *replayed(struct keeper *k, const struct record *r)
{
    if (r->meta.len < 8) {
        keeper_wrong(k, "record %" PRIu64 " of type %u has a meta part of %zu bytes", r->seq, r->type,
                     r->meta.len);
        return NULL;
    }
    uint64_t n = get64(r->meta.at);
    if (n == 0 || n > k->sent) {
        keeper_wrong(k, "operation %" PRIu64 " is replayed, %" PRIu64 " were sent", n, k->sent);
        return NULL;
    }
    if (k->last != 0 && n != k->last + 1) {
        keeper_wrong(k, "operation %" PRIu64 " is replayed behind %" PRIu64, n, k->last);
        return NULL;
    }
    return model_op(&k->model, n);
}

bool keeper_message_is(const struct keeper *k, const struct keeper_op *op, const struct message *m)
{
    char topic[40];
    snprintf(topic, sizeof topic, "keep/%" PRIu64, op->number);
    return bytes_is(m->topic, topic) && m->qos == op->number % 3 &&
           model_payload_is(&k->model, op, m->payload);
}

static bool record_is(struct keeper *k, const struct keeper_op *op, const struct record *r)
{
    struct message m;
    if (op->kind == DO_DROP)
        return r->type == DROPPED && r->payload.len == 8 && get64(r->payload.at) == op->target;
    if (op->kind == DO_ADD)
        return r->type == ADDED && r->payload.len == 0;
    return r->type == RECORD_MESSAGE && r->meta.len == 9 && r->meta.at[8] == op->keep &&
           r->partition == op->partition &&
           (op->partition == JOURNAL_NO_PARTITION || r->partition_seq == op->partition_seq) &&
           r->wall_us == op->wall_us && message_view(&m, r->payload, r->wall_us, NULL) == CODE_OK &&
           keeper_message_is(k, op, &m);
}

static enum code replay_op(struct keeper *k, struct journal *j, const struct record *r, struct fault *why)
{
    const struct keeper_op *op = replayed(k, r);
    if (!op)
        return FAIL(why, CODE_DAMAGED, 0, "%s", k->wrong);
    if (!record_is(k, op, r))
        return FAIL(why, CODE_DAMAGED, 0, "%s",
                    keeper_wrong(k, "operation %" PRIu64 " is not the one that was sent", op->number));
    if (op->kind == DO_MESSAGE && op->keep) {
        FG_ASSERT(!k->held[op->number]);
        k->held[op->number] = journal_keep(j, r);
        if (!k->held[op->number])
            return FAIL(why, CODE_NOMEM, 0, "no memory for a handle");
    }
    if (op->kind == DO_DROP && k->held[op->target]) {
        stored_drop(k->held[op->target]);
        k->held[op->target] = NULL;
    }
    if (op->kind == DO_ADD)
        k->counter += op->number;
    k->last = op->number;
    k->seqs[op->number] = r->seq;
    return CODE_OK;
}

static enum code replay_held(struct keeper *k, struct journal *j, const struct record *r, struct fault *why)
{
    if (r->meta.len != 32)
        return FAIL(why, CODE_DAMAGED, 0, "%s", keeper_wrong(k, "a state record of %zu bytes", r->meta.len));
    uint64_t n = get64(r->meta.at);
    if (n == 0 || n > k->sent)
        return FAIL(why, CODE_DAMAGED, 0, "%s",
                    keeper_wrong(k, "state names operation %" PRIu64 ", never sent", n));
    if (k->held[n]) /* replayed itself, too: it was new when the round was written */
        return CODE_OK;
    enum code code = journal_keep_at(j, get64(r->meta.at + 8), get64(r->meta.at + 16), get32(r->meta.at + 24),
                                     get32(r->meta.at + 28), &k->held[n], why);
    if (code == CODE_DAMAGED || code == CODE_NOTFOUND)
        keeper_wrong(k, "message %" PRIu64 " of the state cannot be kept: %s", n, why ? why->text : "");
    return code;
}

static enum code replay_counted(struct keeper *k, const struct record *r, struct fault *why)
{
    if (r->meta.len != 16)
        return FAIL(why, CODE_DAMAGED, 0, "%s", keeper_wrong(k, "a state record of %zu bytes", r->meta.len));
    uint64_t last = get64(r->meta.at);
    if (last > k->sent || (k->last != 0 && last != k->last))
        return FAIL(why, CODE_DAMAGED, 0, "%s",
                    keeper_wrong(k, "state was written at operation %" PRIu64 ", replay is at %" PRIu64, last,
                                 k->last));
    k->last = last;
    k->counter = get64(r->meta.at + 8);
    if (k->seqs[last] == 0)
        k->seqs[last] = r->seq; /* not behind it, at any rate */
    return CODE_OK;
}

static enum code replay(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    struct keeper *k = ctx;
    switch (r->type) {
    case RECORD_MESSAGE:
    case DROPPED:
    case ADDED: return replay_op(k, j, r, why);
    case HELD: return replay_held(k, j, r, why);
    case COUNTED: return replay_counted(k, r, why);
    default:
        return FAIL(why, CODE_DAMAGED, 0, "%s", keeper_wrong(k, "a record of type %u is replayed", r->type));
    }
}

/* ---- rounds of state ---- */

static enum code write_held(struct keeper *k, struct journal *j, uint64_t n)
{
    uint8_t meta[32];
    uint64_t segment;
    uint32_t offset, frame;
    stored_where(k->held[n], &segment, &offset, &frame);
    put64(meta, n);
    put64(meta + 8, stored_id(k->held[n]));
    put64(meta + 16, segment);
    put32(meta + 24, offset);
    put32(meta + 28, frame);
    struct record_in in = {
        .type = HELD, .partition = JOURNAL_NO_PARTITION, .meta = bytes_of(meta, sizeof meta)};
    struct record_out out;
    return journal_append(j, &in, &out, NULL);
}

static enum code write_counted(struct keeper *k, struct journal *j)
{
    uint8_t meta[16];
    put64(meta, k->last);
    put64(meta + 8, k->counter);
    struct record_in in = {
        .type = COUNTED, .partition = JOURNAL_NO_PARTITION, .meta = bytes_of(meta, sizeof meta)};
    struct record_out out;
    return journal_append(j, &in, &out, NULL);
}

static enum code write_state(void *ctx, struct journal *j, bool restart)
{
    struct keeper *k = ctx;
    if (restart)
        k->state_from = 1;
    unsigned written = 0;
    for (; k->state_from <= k->last; k->state_from++) {
        if (!k->held[k->state_from])
            continue;
        if (written++ == STATE_SLICE)
            return CODE_MORE;
        enum code code = write_held(k, j, k->state_from);
        if (code != CODE_OK)
            return code;
    }
    return write_counted(k, j);
}

/* ---- life ---- */

enum code keeper_open(struct keeper *k, const struct io *io, struct fault *why)
{
    struct journal_options options = {.io = io,
                                      .data_dir = k->opt.dir,
                                      .segment_bytes = k->opt.segment_bytes,
                                      .disk_reserve = k->opt.disk_reserve,
                                      .partitions = KEEPER_PARTITIONS,
                                      .keep_bytes = k->opt.keep_bytes,
                                      .manual = true,
                                      .ctx = k,
                                      .apply = replay,
                                      .write_state = write_state,
                                      .on_durable = on_durable};
    k->io = io;
    forget_memory(k);
    room_for(k, k->sent + 1);
    k->replaying = true;
    enum code code = journal_open(&k->journal, &options, why);
    k->replaying = false;
    if (code != CODE_OK) {
        k->journal = NULL;
        return code;
    }
    if (k->last < k->sent) { /* lost for good: their numbers go to others */
        k->sent = k->last;
        model_branch(&k->model, k->last, ++k->epochs);
        crash_mark(k->rec, KEEPER_BRANCH, k->last | k->epochs << 32);
    }
    model_go(&k->model, k->last);
    became_durable(k, journal_durable(k->journal));
    return CODE_OK;
}

static void count_moved(struct keeper *k)
{
    struct journal_stats stats;
    journal_stats(k->journal, &stats);
    k->moved += stats.moved_frames;
}

void keeper_close(struct keeper *k)
{
    if (!k->journal)
        return;
    count_moved(k);
    journal_close(k->journal);
    k->journal = NULL;
}

void keeper_abandon(struct keeper *k)
{
    if (!k->journal)
        return;
    count_moved(k);
    journal_abandon(k->journal);
    k->journal = NULL;
}

/* ---- operations ---- */

static enum code append_message(struct keeper *k, const struct keeper_op *op, struct record_out *out,
                                struct fault *why)
{
    char topic[40];
    uint8_t meta[9];
    snprintf(topic, sizeof topic, "keep/%" PRIu64, op->number);
    put64(meta, op->number);
    meta[8] = op->keep;
    uint8_t *payload = malloc(op->payload_len + 1);
    if (!payload)
        abort();
    model_payload(&k->model, op, payload);
    struct message *m = message_new(&(struct message_parts){.qos = (uint8_t)(op->number % 3),
                                                            .wall_us = op->wall_us,
                                                            .topic = bytes_str(topic),
                                                            .principal = BYTES_LIT("user/keeper"),
                                                            .source = BYTES_LIT("keeper"),
                                                            .payload = bytes_of(payload, op->payload_len)});
    free(payload);
    if (!m)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a message");
    struct record_in in = {.type = RECORD_MESSAGE,
                           .flags = op->more ? RECORD_MORE : 0,
                           .partition = op->partition,
                           .wall_us = op->wall_us,
                           .meta = bytes_of(meta, sizeof meta),
                           .payload = m->encoded,
                           .keep = op->keep};
    if (op->number % 2 == 0) {
        in.have_crc = true;
        in.payload_crc = crc32c(0, m->encoded.at, m->encoded.len);
    }
    enum code code = journal_append(k->journal, &in, out, why);
    if (code == CODE_OK && op->keep && op->number % 4 < 2)
        stored_set_message(out->stored, m); /* some are in memory, the others on disk only */
    else
        message_drop(m);
    return code;
}

static enum code append_other(struct keeper *k, const struct keeper_op *op, struct record_out *out,
                              struct fault *why)
{
    uint8_t meta[8], payload[8];
    put64(meta, op->number);
    put64(payload, op->target);
    struct record_in in = {.type = op->kind == DO_DROP ? DROPPED : ADDED,
                           .flags = op->more ? RECORD_MORE : 0,
                           .partition = JOURNAL_NO_PARTITION,
                           .wall_us = op->wall_us,
                           .meta = bytes_of(meta, sizeof meta)};
    if (op->kind == DO_DROP)
        in.payload = bytes_of(payload, sizeof payload);
    return journal_append(k->journal, &in, out, why);
}

/* Locked. The record, and the change of memory that it stands for. */
static enum code do_one(struct keeper *k, struct fault *why)
{
    struct keeper_op op = *model_op(&k->model, k->last + 1);
    struct record_out out = {0};
    room_for(k, op.number + 1);
    enum code code = op.kind == DO_MESSAGE ? append_message(k, &op, &out, why)
                                           : append_other(k, &op, &out, why);
    if (code != CODE_OK)
        return code;
    if (op.kind == DO_DROP) {
        stored_drop(k->held[op.target]);
        k->held[op.target] = NULL;
    } else if (op.kind == DO_ADD) {
        k->counter += op.number;
    }
    if (op.keep)
        k->held[op.number] = out.stored;
    if (op.partition != JOURNAL_NO_PARTITION && out.partition_seq != op.partition_seq)
        keeper_wrong(k, "operation %" PRIu64 " got sequence %" PRIu64 " in partition %u instead of %" PRIu64,
                     op.number, out.partition_seq, op.partition, op.partition_seq);
    k->seqs[op.number] = out.seq;
    k->last = k->sent = op.number;
    model_go(&k->model, op.number);
    crash_mark(k->rec, KEEPER_SENT, op.number);
    if (k->opt.too_early && !op.more)
        crash_mark(k->rec, KEEPER_ACKED, op.number);
    return CODE_OK;
}

enum code keeper_do(struct keeper *k, unsigned n, struct fault *why)
{
    enum {
        TRIES = 3
    }; /* an allocation that failed once; what is begun is finished under the same hold of the lock */
    enum code code = CODE_OK;
    unsigned tries = 0;
    journal_lock(k->journal);
    for (unsigned i = 0; i < n || k->model.open_batch; i++) {
        code = do_one(k, why);
        if (code == CODE_OK)
            tries = 0;
        else if (!k->model.open_batch || ++tries == TRIES)
            break;
    }
    journal_unlock(k->journal);
    journal_kick(k->journal);
    return code;
}

bool keeper_step(struct keeper *k)
{
    bool failed = journal_failed(k->journal);
    uint64_t durable = journal_durable(k->journal);
    bool did = journal_step(k->journal);
    if (failed && (!journal_failed(k->journal) || journal_durable(k->journal) != durable))
        keeper_wrong(k, "the journal had failed at record %" PRIu64 " and went on to %" PRIu64, durable,
                     journal_durable(k->journal));
    became_durable(k, journal_durable(k->journal));
    return did;
}

void keeper_settle(struct keeper *k, unsigned most)
{
    while (most-- > 0 && keeper_step(k))
        ;
}

struct journal *keeper_journal(struct keeper *k)
{
    return k->journal;
}

uint64_t keeper_done(const struct keeper *k)
{
    return k->last;
}

uint64_t keeper_acked(const struct keeper *k)
{
    return k->acked;
}

uint64_t keeper_sent(const struct keeper *k)
{
    return k->sent;
}

uint64_t keeper_moved(const struct keeper *k)
{
    return k->moved;
}
