/* state.c - rounds of state. Durable state is a fold over the log; a round writes all of it once more, in
 * small parts between other records, so that a replay may begin where the round began and older segments can
 * go.
 *
 * A round counts when its RECORD_STATE_END is durable. Its meta names where the round began:
 *   u64 sequence · u64 segment · u32 offset · u32 zero · u64 bytes of the state records
 * Every segment header written after that carries the same, and segments are only deleted once such a header
 * is durable: two witnesses, in different sectors, before anything is given up.
 *
 * RECORD_PARTITIONS, payload: i64 age of the journal · u32 partitions · u32 zero · per partition u64 first,
 * u64 next.
 */
#include "journal/journal_private.h"

#include "base/wire.h"

enum { ROUND_MARGIN = 4096, HANDLE_BYTES = 96 };

static int64_t now_us(const struct journal *j)
{
    return j->io->monotonic_us(j->io->self);
}

static enum code append_internal(struct journal *j, uint8_t type, struct bytes meta, struct bytes payload,
                                 struct record_out *out, struct fault *why)
{
    struct record_in in = {.type = type,
                           .partition = JOURNAL_NO_PARTITION,
                           .wall_us = j->io->wall_us(j->io->self),
                           .meta = meta,
                           .payload = payload};
    return append_record(j, &in, true, out, why);
}

enum code state_append_partitions(struct journal *j, struct fault *why)
{
    struct buf out = {0};
    buf_le64(&out, (uint64_t)retention_age(j));
    buf_le32(&out, j->partition_count);
    buf_le32(&out, 0);
    for (uint32_t i = 0; i < j->partition_count; i++) {
        buf_le64(&out, j->partitions[i].first);
        buf_le64(&out, j->partitions[i].next);
    }
    enum code code = out.bad ? FAIL(why, CODE_NOMEM, 0, "no memory for the counters of the partitions")
                             : append_internal(j, RECORD_PARTITIONS, BYTES_NONE, buf_bytes(&out), NULL, why);
    buf_clear(&out);
    return code;
}

enum code state_read_partitions(struct journal *j, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->payload);
    int64_t age = (int64_t)wire_le64(&w);
    uint32_t count = wire_le32(&w);
    (void)wire_le32(&w);
    if (w.bad || wire_left(&w) != (uint64_t)count * 16)
        return FAIL(why, CODE_DAMAGED, r->segment_offset,
                    "the counters of the partitions are not as they were written");
    for (uint32_t i = 0; i < count && i < j->partition_count; i++) {
        struct partition *p = &j->partitions[i];
        uint64_t first = wire_le64(&w), next = wire_le64(&w);
        p->first = first > p->first ? first : p->first;
        if (next >= p->next) {
            p->next = next;
            p->lost_at = j->lost;
        }
    }
    j->age_base_us = age;
    j->age_wall_us = r->wall_us;
    return CODE_OK;
}

/* ---- the round ---- */

static void round_refused(struct journal *j)
{
    /* The next one needs more room than this one found. */
    if (j->round.bytes > j->last_round_bytes)
        j->last_round_bytes = j->round.bytes;
    j->round_live = j->live_total;
    j->round = (struct round){0};
    j->round_refused_us = now_us(j);
}

/* By the last round, and by the handles that came or went since. */
uint64_t state_estimate(const struct journal *j)
{
    uint64_t bytes = j->last_round_bytes;
    if (j->live_total > j->round_live)
        bytes += (j->live_total - j->round_live) * HANDLE_BYTES;
    else if (j->round_live)
        bytes = bytes / j->round_live * j->live_total;
    return bytes + bytes / 4 + ROUND_MARGIN;
}

/* Bytes of segments that wait only for the state to begin behind them. */
static uint64_t freed_by_round(const struct journal *j)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < j->segment_count; i++) {
        const struct segment *s = j->segments[i];
        bool empty = s->sealed && s != j->active && s->live_count == 0 &&
                     (s->partition_bytes == 0 || s->released);
        if (empty && (s->number >= j->witness.segment || s->dropped_seq > j->witness.seq))
            bytes += s->bytes;
    }
    return bytes;
}

/* Segments are left over when the load has ended; looked at once a second, since there may be many. */
static bool worth_it(struct journal *j)
{
    int64_t now = now_us(j);
    if (j->worth_us && now - j->worth_us < SECOND_US)
        return false;
    j->worth_us = now ? now : 1;
    uint64_t freed = freed_by_round(j);
    return freed >= 4 * j->opt.segment_bytes && freed >= 4 * state_estimate(j);
}

static bool due(struct journal *j)
{
    if (!j->opt.write_state || j->round.running || j->moving || j->batch_open)
        return false;
    if (j->round_refused_us && now_us(j) - j->round_refused_us < SECOND_US)
        return false;
    uint64_t since = j->bytes_appended - j->round_at_bytes, four = 4 * j->last_round_bytes;
    uint64_t enough = j->opt.segment_bytes > four ? j->opt.segment_bytes : four;
    if (j->stuck || j->low) /* a round costs room, so it must win some, and must not be given up half way */
        return append_room(j) >= state_estimate(j) && freed_by_round(j) > 0;
    return since >= enough || j->rolled >= 4 || worth_it(j);
}

static void begin(struct journal *j)
{
    struct record_out out;
    struct fault why;
    struct segment *s = NULL;
    if (append_internal(j, RECORD_STATE_BEGIN, BYTES_NONE, BYTES_NONE, &out, &why) == CODE_OK) {
        s = j->active;
        j->round = (struct round){
            .running = true,
            .restart = true,
            .begin = {.seq = out.seq, .segment = s->number, .offset = s->end - JOURNAL_FRAME_HEAD},
        };
        if (state_append_partitions(j, &why) == CODE_OK)
            return;
    }
    round_refused(j);
}

static void end(struct journal *j)
{
    uint8_t meta[STATE_END_META] = {0};
    struct record_out out;
    put_le64(meta, j->round.begin.seq);
    put_le64(meta + 8, j->round.begin.segment);
    put_le32(meta + 16, j->round.begin.offset);
    put_le64(meta + 24, j->round.bytes);
    if (append_internal(j, RECORD_STATE_END, bytes_of(meta, sizeof meta), BYTES_NONE, &out, NULL) !=
        CODE_OK) {
        round_refused(j);
        return;
    }
    j->round.end_seq = out.seq;
    j->last_round_bytes = j->round.bytes;
    j->round_live = j->live_total;
    j->round_at_bytes = j->bytes_appended;
    j->round_refused_us = 0;
    j->rolled = 0;
}

/* One call of the program. */
static void slice(struct journal *j)
{
    uint64_t before = j->bytes_appended;
    bool shut = j->shut;
    j->shut = false; /* the last round comes when nobody else may append any more */
    j->in_slice = true;
    enum code code = j->opt.write_state(j->opt.ctx, j, j->round.restart);
    j->in_slice = false;
    j->shut = shut;
    j->round.restart = false;
    j->round.bytes += j->bytes_appended - before;
    FG_ASSERT(!j->batch_open || (code != CODE_OK && code != CODE_MORE));
    j->batch_open = false;
    if (code == CODE_OK)
        end(j);
    else if (code != CODE_MORE)
        round_refused(j);
}

/* The end is durable: from now on headers name this round. */
static bool adopt(struct journal *j)
{
    if (!j->round.running || j->round.end_seq == 0 || j->round.end_seq > j->synced)
        return false;
    j->state = j->round.begin;
    j->round = (struct round){0};
    return true;
}

bool state_step(struct journal *j)
{
    bool did = false;
    journal_lock(j);
    if (j->round.running && j->round.end_seq == 0 && !j->batch_open) {
        slice(j);
        did = true;
    } else if (adopt(j)) {
        did = true;
    } else if (due(j)) {
        begin(j);
        did = j->round.running;
    }
    bool force = j->opt.no_sync && j->round.running && j->round.end_seq;
    journal_unlock(j);
    if (force) { /* segments are deleted on the strength of it */
        (void)commit_group(j, true);
        did = true;
    }
    return did;
}

void state_run(struct journal *j)
{
    if (!j->opt.write_state)
        return;
    journal_lock(j);
    if (!j->round.running && !j->batch_open)
        begin(j);
    while (!j->batch_open && j->round.running && j->round.end_seq == 0)
        slice(j);
    journal_unlock(j);
    while (commit_group(j, true))
        ;
    journal_lock(j);
    (void)adopt(j);
    journal_unlock(j);
}

/* The header of the newest segment, unless it is in use and not written yet, is written again and names the
 * newest state. It lies in one sector, so a power cut leaves the old or the new one. */
bool state_witness(struct journal *j)
{
    struct segment_head head;
    uint8_t bytes[SEGMENT_HEAD];
    journal_lock(j);
    struct segment *s = NULL;
    for (size_t i = j->segment_count; i-- > 0 && !s;)
        if (j->segments[i]->made)
            s = j->segments[i];
    bool wanted = j->state.seq > j->witness.seq && s && !append_pending(j, s);
    struct place state = j->state;
    if (wanted) {
        segment_head_now(j, s, &head);
        segment_pin_locked(s);
    }
    journal_unlock(j);
    if (!wanted)
        return false;
    segment_head_encode(bytes, &head, j->id);
    struct fault why;
    int file, r = 0;
    if (segment_open_pinned(j, s, &file, &why) == CODE_OK) {
        r = io_write_all(j->io, file, bytes, sizeof bytes, 0);
        if (r == 0)
            r = j->io->fdatasync(j->io->self, file);
        if (r < 0)
            commit_fail(j, "writing the header", s, 0, r);
    } else {
        r = -1;
    }
    journal_lock(j);
    if (r == 0)
        j->witness = state;
    journal_unlock(j);
    segment_unpin(j, s);
    return r == 0;
}
