#include "api/reader.h"

#include "api/event.h"
#include "base/mem.h"

/* Larger records wait on disk until it is their turn, so that a thousand partitions of them need no memory.
 * */
enum { BIG_RECORD = 32 * 1024, LANE_BYTES_MIN = 4 * 1024, LANE_BYTES_MAX = 64 * 1024, LANE_LINES = 256 };

struct line {
    int64_t  wall_us;
    uint32_t bytes; /* 0: a big record, still on disk */
};

struct lane {
    uint32_t    partition;
    uint64_t    big;     /* sequence of the big record that is the only line  */
    uint64_t    ahead;   /* the next to read                                  */
    uint64_t    stop;
    bool        idle;    /* nothing was there at the last look                */
    bool        ended;   /* nothing more will be shown                        */
    struct buf  text;
    uint32_t    first, count;
    struct line lines[LANE_LINES];
};

struct reader {
    struct journal   *journal;
    struct reader_ask ask;
    uint64_t          left; /* of ask.count */
    size_t            lane_bytes;
    uint32_t          lane_count;
    struct lane       lanes[];
};

/* ---- opening ---- */

static enum code lane_start(struct reader *r, struct lane *l, struct fault *why)
{
    uint64_t first, next;
    journal_partition_range(r->journal, l->partition, &first, &next);
    l->stop = r->ask.follow ? UINT64_MAX : next;
    l->ahead = r->ask.from == FROM_EARLIEST ? first : r->ask.from == FROM_LATEST ? next : r->ask.sequence;
    if (r->ask.from == FROM_TIME)
        return journal_partition_find_time(r->journal, l->partition, r->ask.time_us, &l->ahead, why);
    if (l->ahead < first)
        l->ahead = first;
    return CODE_OK;
}

enum code reader_open(struct reader **out, struct journal *j, const struct reader_ask *ask, struct fault *why)
{
    uint32_t all = journal_partitions(j), count = ask->partition == JOURNAL_NO_PARTITION ? all : 1;
    if (count == 1 && ask->partition != JOURNAL_NO_PARTITION && ask->partition >= all)
        return FAIL_FG(why, CODE_NOTFOUND, 3101, "there is no partition %u: this hub has %u, 0 to %u",
                       ask->partition, all, all - 1);
    struct reader *r = mem_zalloc(1, sizeof *r + count * sizeof r->lanes[0]);
    if (!r)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read %u partitions", count);
    r->journal = j;
    r->ask = *ask;
    r->left = ask->count ? ask->count : UINT64_MAX;
    r->lane_count = count;
    r->lane_bytes = READER_AHEAD / count;
    if (r->lane_bytes > LANE_BYTES_MAX)
        r->lane_bytes = LANE_BYTES_MAX;
    if (r->lane_bytes < LANE_BYTES_MIN)
        r->lane_bytes = LANE_BYTES_MIN;
    for (uint32_t i = 0; i < count; i++) {
        r->lanes[i].partition = ask->partition == JOURNAL_NO_PARTITION ? i : ask->partition;
        enum code code = lane_start(r, &r->lanes[i], why);
        if (code != CODE_OK) {
            reader_close(r);
            return code;
        }
    }
    *out = r;
    return CODE_OK;
}

void reader_close(struct reader *r)
{
    for (uint32_t i = 0; r && i < r->lane_count; i++)
        buf_clear(&r->lanes[i].text);
    mem_free(r);
}

/* ---- reading ahead ---- */

struct filling {
    struct reader *reader;
    struct lane   *lane;
    struct buf    *direct; /* render this one record here, however large */
    size_t         bytes;  /* of payloads taken                         */
    bool           placed; /* lane->ahead is where to go on already     */
    bool           asked;  /* the journal was asked what lies behind the first late record */
};

static bool refuse(struct filling *f, const struct record *record)
{
    f->placed = true;
    f->lane->ahead = record->partition_seq;
    return false;
}

/* A record of `until` or later: a clock that was ahead and was set back left earlier ones behind it. True: look at the next one. */
static bool pass_over(struct filling *f, const struct record *record)
{
    f->bytes += record->payload.len;
    if (f->asked)
        return true;
    const struct reader *r = f->reader;
    f->asked = true;
    f->lane->ahead = journal_partition_find_before(r->journal, f->lane->partition, record->partition_seq, r->ask.until_us);
    f->placed = f->lane->ahead != record->partition_seq + 1;
    return !f->placed;
}

/* False: not this one, or this one and no more. */
static bool take(void *ctx, const struct record *record)
{
    struct filling *f = ctx;
    struct lane *l = f->lane;
    if (record->partition_seq >= l->stop)
        return refuse(f, record);
    /* A damaged record has no time of its own. */
    int64_t wall_us = record->type ? record->wall_us : l->count ? l->lines[l->count - 1].wall_us : 0;
    if (f->reader->ask.until_us && record->type && wall_us >= f->reader->ask.until_us)
        return pass_over(f, record);
    struct line *line = &l->lines[l->count];
    if (record->payload.len > BIG_RECORD) {
        if (l->count)
            return refuse(f, record);
        line->bytes = 0;
        l->big = record->partition_seq;
    } else {
        size_t before = buf_size(&l->text);
        event_line(&l->text, l->partition, record);
        if (l->text.bad)
            return false;
        line->bytes = (uint32_t)(buf_size(&l->text) - before);
    }
    line->wall_us = wall_us;
    l->count++;
    f->bytes += record->payload.len;
    return line->bytes && l->count < LANE_LINES && buf_size(&l->text) < f->reader->lane_bytes;
}

static bool lane_is_through(struct lane *l, uint64_t next)
{
    l->ended = l->ahead >= l->stop;
    l->idle = l->ahead >= next;
    return l->ended || l->idle;
}

/* Reads ahead into an empty lane; afterwards it has lines, or is idle, or has ended. CODE_AGAIN: it was at
 * work and is none of these yet. */
static enum code lane_fill(struct reader *r, struct lane *l, size_t *work, struct fault *why)
{
    uint64_t first, next, from, go_on;
    journal_partition_range(r->journal, l->partition, &first, &next);
    if (l->ahead < first) /* what was kept is kept no longer */
        l->ahead = first;
    if (lane_is_through(l, next))
        return CODE_OK;
    struct filling f = { .reader = r, .lane = l };
    go_on = from = l->ahead;
    enum code code = journal_partition_read(r->journal, l->partition, from, r->lane_bytes, take, &f,
                                            &go_on, why);
    if (l->text.bad)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read partition %u", l->partition);
    if (code != CODE_OK && code != CODE_END)
        return code;
    *work += f.bytes;
    if (!f.placed && go_on > l->ahead)
        l->ahead = go_on;
    if (l->count || lane_is_through(l, next))
        return CODE_OK;
    l->idle = l->ahead == from;
    return l->idle ? CODE_OK : CODE_AGAIN; /* a stretch was passed over without a line */
}

static bool take_direct(void *ctx, const struct record *record)
{
    struct filling *f = ctx;
    if (record->partition_seq == f->lane->big) /* else it is kept no longer */
        event_line(f->direct, f->lane->partition, record);
    return false;
}

/* ---- giving out ---- */

static enum code lane_emit(struct reader *r, struct lane *l, struct buf *out, struct fault *why)
{
    const struct line *line = &l->lines[l->first];
    if (line->bytes) {
        buf_add(out, l->text.at + l->text.from, line->bytes);
        buf_take(&l->text, line->bytes);
    } else {
        struct filling f = { .reader = r, .lane = l, .direct = out };
        uint64_t go_on;
        enum code code = journal_partition_read(r->journal, l->partition, l->big, 1, take_direct, &f, &go_on,
                                                why);
        if (code != CODE_OK && code != CODE_END)
            return code;
    }
    if (out->bad)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read partition %u", l->partition);
    l->first++;
    if (l->first == l->count)
        l->first = l->count = 0;
    return CODE_OK;
}

/* The lane whose first line is the earliest, after every lane that can be filled was filled; NULL with
 * CODE_OK: none has one. CODE_AGAIN: the work of this slice is done before all were filled. */
static enum code choose(struct reader *r, struct lane **best, size_t *work, struct fault *why)
{
    *best = NULL;
    for (uint32_t i = 0; i < r->lane_count; i++) {
        struct lane *l = &r->lanes[i];
        if (!l->count && !l->idle && !l->ended) {
            if (*work >= READER_SLICE)
                return CODE_AGAIN;
            enum code code = lane_fill(r, l, work, why);
            if (code != CODE_OK)
                return code;
        }
        if (l->count && (!*best || l->lines[l->first].wall_us < (*best)->lines[(*best)->first].wall_us))
            *best = l;
    }
    return CODE_OK;
}

enum code reader_next(struct reader *r, int64_t wall_us, struct buf *out, struct fault *why)
{
    size_t work = 0;
    for (uint32_t i = 0; i < r->lane_count; i++)
        r->lanes[i].idle = false;
    while (buf_size(out) < READER_SLICE) {
        struct lane *best;
        enum code code = choose(r, &best, &work, why);
        if (code == CODE_AGAIN)
            return CODE_OK;
        if (code != CODE_OK)
            return code;
        if (!best)
            return !r->ask.follow || (r->ask.until_us && wall_us >= r->ask.until_us) ? CODE_END : CODE_AGAIN;
        code = lane_emit(r, best, out, why);
        if (code != CODE_OK)
            return code;
        if (--r->left == 0)
            return CODE_END;
    }
    return CODE_OK;
}
