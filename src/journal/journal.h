/* journal.h - everything durable of a node, in one append-only, checksummed, segmented log.
 *
 * The rule the whole node stands on: durable state is a fold over records. Whoever changes durable state
 * appends the record and applies the change under one hold of the journal's lock, so that memory is always
 * exactly what a replay of the log up to that record would give. Nothing is acknowledged before
 * journal_durable() has reached the record.
 *
 *   DATA/LOCK, DATA/format.json             one process; format number, journal id, features
 *   DATA/journal/0000000000000001.seg ...   segments, preallocated, each: header, frames, zeroes
 *   DATA/journal/0000000000000001.idx       per sealed segment: positions per partition (rebuilt if missing)
 *   DATA/journal/clean                      after an orderly stop only: where the log ends, where its state begins
 *
 * Frame, 8-byte aligned, little-endian, 64 bytes and the body (padded with zeroes to 8):
 *    0 u8 version (1) · u8 type · u16 flags · u32 CRC-32C of the place (u64 segment, u32 offset) and the header
 *                               (this field zero): a sector in the wrong place is not a frame
 *    8 u64 journal id            a foreign or older frame is not ours
 *   16 u64 sequence              gapless over the whole log, from 1
 *   24 u64 synced                highest sequence known durable when this frame was written
 *   32 i64 wall time, us
 *   40 u32 stream                partition + 1, or 0
 *   44 u32 body length           meta and payload together
 *   48 u64 stream sequence       the partition's own counter, from 0
 *   56 u32 CRC-32C of the body  payload first, then meta: the payload's part can be computed before
 *   60 u32 meta length           the first part of the body
 *
 * `synced` tells a torn tail from damage: a missing or broken frame at or below the highest `synced` seen
 * anywhere was durable once, so it is damage and reported; above it, it was never acknowledged, and the log
 * ends there (what lies behind is cleared and synced before anything new is written).
 *
 * Threads: one committer thread (or none with `manual`); every function says what lock it needs. "Locked"
 * means inside journal_lock/journal_unlock. The lock is held for memory operations only, never across a
 * system call.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "base/io.h"

#include "journal/check.h"

struct journal;
struct stored;
struct message;

enum { JOURNAL_FRAME_HEAD = 64, JOURNAL_NO_PARTITION = 0xffffffff };

/* Record types. 1..15 are known to the journal, 16..255 belong to the program. */
enum {
    RECORD_MESSAGE = 1,   /* payload: an encoded message; may be in a partition, may be kept by handles   */
    RECORD_MOVED = 2,     /* a message carried forward by compaction; its meta names the origin           */
    RECORD_PARTITIONS = 3,/* counters of all partitions                                                   */
    RECORD_SEAL = 4,      /* orderly stop, and after a commit when idle: only its `synced` matters        */
    RECORD_STATE_BEGIN = 5, RECORD_STATE_END = 6, /* a round of state records                             */
    RECORD_PROGRAM = 16
};
/* Flags */
enum { RECORD_MORE = 1 /* belongs together with the next frame: replayed both or neither */ };

/* A record as it is handed to the program on replay and to readers. Views are valid during the call. */
struct record {
    uint8_t      type;
    uint16_t     flags;
    uint64_t     seq;
    int64_t      wall_us;
    uint32_t     partition;     /* JOURNAL_NO_PARTITION: none */
    uint64_t     partition_seq;
    struct bytes meta, payload;
    uint32_t     segment_offset; /* where the frame starts */
    uint64_t     segment;
};

struct journal_stats {
    uint64_t appended_seq, durable_seq, syncs, bytes_written, segments, disk_bytes, free_bytes;
    uint64_t damaged_frames, torn_frames, moved_frames, refused_full;
    uint64_t sync_us_p50, sync_us_max;
    bool     failed, full, verifying;
};

struct journal_options {
    const struct io *io;
    const char      *data_dir;        /* made if missing                                             */
    uint64_t         segment_bytes;   /* 64 KiB .. 1 GiB, default 64 MiB                             */
    uint64_t         disk_reserve;    /* below this much free space message records are refused      */
    uint64_t         pending_bytes;   /* unwritten bytes above which journal_busy() is true; default 8 MiB */
    uint32_t         sync_wait_us;    /* how long a commit waits for company, 0 = not at all         */
    uint32_t         partitions;      /* may only grow; fewer than on disk is CODE_USAGE             */
    int64_t          keep_us;         /* age of partition records, 0 = for ever; they go by whole segments */
    uint64_t         keep_bytes;      /* size of partition records, 0 = unlimited; likewise                */
    bool             manual;          /* no threads: the caller runs journal_step (simulation)       */
    bool             no_sync;         /* durability: memory. Written, not synced, durable at once    */
    void            *ctx;
    /* Replay: every program record and message from the point where the state begins, in order. On
     * journal_open's thread, locked. Failure stops the opening. */
    enum code (*apply)(void *ctx, struct journal *, const struct record *, struct fault *why);
    /* A round of state: append records (journal_append) that rebuild, each on its own, a part of the state,
     * and return CODE_MORE, or CODE_OK when the round is complete. No batch may be left open then; on any
     * other code one is given up. Committer's thread, locked; keep one call under about 1 ms. `restart` is
     * true on the first call of a round. CODE_FULL may be returned on: the round is tried again later. */
    enum code (*write_state)(void *ctx, struct journal *, bool restart);
    /* The durable sequence moved, or the journal failed / became full / recovered (look at the stats).
     * Committer's thread, not locked. Must not block: post letters. */
    void (*on_durable)(void *ctx, uint64_t durable_seq);
};

/* Opens, locks, verifies the tail, replays. CODE_EXISTS: another process has it. CODE_UNSUPPORTED: newer
 * format. */
FG_CHECK enum code journal_open(struct journal **out, const struct journal_options *, struct fault *why);
/* Writes and syncs what is appended, a round of state, the seal and `clean`. Handles must not be used
 * afterwards. */
void journal_close(struct journal *);
/* As a crash would leave it: closes files, writes nothing (tests). */
void journal_abandon(struct journal *);

/* How old the journal is: the time it was open, and the time between as far as the wall clock tells it plausibly. It never
 * goes back while it is open, and hardly by a crash. What has to outlast a restart is measured by it. Any thread. */
int64_t journal_age_us(const struct journal *);

/* Other bounds for the partitions, from now on. */
void journal_set_keep(struct journal *, int64_t keep_us, uint64_t keep_bytes);

void journal_lock(struct journal *);
void journal_unlock(struct journal *);

struct record_in {
    uint8_t      type;
    uint16_t     flags;
    uint32_t     partition;  /* JOURNAL_NO_PARTITION, or: gets the partition's next sequence */
    int64_t      wall_us;
    struct bytes meta, payload;
    uint32_t     payload_crc;      /* crc32c(0, payload), computed outside the lock; used if have_crc   */
    bool         have_crc;
    bool         keep;             /* give back a handle (one reference)                        */
    bool         later;            /* nobody waits for it: it is written and synced along with the next record that somebody
                                      waits for, or after JOURNAL_LATER_US. Memory durability writes it as any other */
};
#define JOURNAL_LATER_US 20000
struct record_out {
    uint64_t       seq, partition_seq;
    struct stored *stored; /* if keep */
};
/* Locked. Copies into the write buffer and counts up. CODE_FULL: no room on disk (message records are refused
 * before the last reserve; program records may use it); CODE_CLOSED: failed or closing; CODE_NOMEM;
 * CODE_LIMIT: longer than a segment holds. After a failure nothing has changed, but that an open batch is
 * given up. `wall_us` orders nothing. */
FG_CHECK enum code journal_append(struct journal *, const struct record_in *, struct record_out *,
                                  struct fault *why);
/* Locked. What was appended of an unfinished batch (RECORD_MORE) is void: a replay skips it, and the next
 * record does not belong to it. Its partition records stay in their partitions. */
void journal_give_up_batch(struct journal *);
/* Any thread, after a batch of appends: the committer has work. */
void journal_kick(struct journal *);
/* manual: writes and syncs what is appended, runs upkeep. Returns true if it did something. */
bool journal_step(struct journal *);

uint64_t journal_appended(const struct journal *); /* locked; the last record anybody may wait for: no seal, not `later` */
uint64_t journal_durable(const struct journal *);  /* any thread */
bool     journal_failed(const struct journal *);   /* any thread: nothing is durable any more, ever     */
bool     journal_full(const struct journal *);     /* any thread: message records are refused for now   */
bool     journal_busy(const struct journal *);     /* any thread: pause publishers until on_durable     */
void     journal_stats(struct journal *, struct journal_stats *); /* any thread */

/* ---- handles on message records: a segment goes when no handle refers into it, no kept partition record lies in it, the
 * state no longer begins in it or before, and the state was written after the last handle into it was let go
 * (its records would name it). Locked, unless said otherwise. ---- */
struct stored *stored_hold(struct stored *);
void           stored_drop(struct stored *);         /* may drop the cached message, too */
uint64_t       stored_id(const struct stored *);     /* the sequence it was first written with; for life */
uint32_t       stored_bytes(const struct stored *);  /* of the frame's body */
/* The message in memory, or NULL when only the disk has it. Guarded by the lock; the handle owns one
 * reference. */
struct message *stored_message(const struct stored *);
void            stored_set_message(struct stored *, struct message *); /* takes the reference */
/* For state records: where it lies now. */
void           stored_where(const struct stored *, uint64_t *segment, uint32_t *offset,
                            uint32_t *frame_bytes);
/* During replay: a handle on the record being applied (one reference; the same handle for the same id). */
struct stored *journal_keep(struct journal *, const struct record *);
/* During replay: a handle on what a state record names. CODE_DAMAGED when there is no such frame. */
FG_CHECK enum code journal_keep_at(struct journal *, uint64_t id, uint64_t segment, uint32_t offset,
                                   uint32_t frame_bytes, struct stored **out, struct fault *why);
/* Not locked: the caller's reference keeps it. Reads the frame from disk (or the write buffer), verifies it
 * and gives a new message. CODE_DAMAGED names file and offset. now_us: loop time, for the expiry; how old the message is is
 * known whatever the wall clock did (journal_age_us). */
FG_CHECK enum code journal_read(struct journal *, struct stored *, int64_t now_us, struct message **out, struct fault *why);

/* ---- partitions. Any thread, not locked. Only durable records are seen. ---- */
uint32_t journal_partitions(const struct journal *);
/* [first, next): next is the sequence the next durable record will have at least. */
void journal_partition_range(struct journal *, uint32_t partition, uint64_t *first, uint64_t *next);
/* The first kept record with wall time >= wall_us (records are stamped by the clock of their time: after a
 * clock jump the first one in sequence order is meant); `next` if there is none. */
FG_CHECK enum code journal_partition_find_time(struct journal *, uint32_t partition, int64_t wall_us,
                                               uint64_t *seq, struct fault *why);
/* `seq`: a record that is not before wall_us. Where behind it one may lie that is, as after a clock was set back: at once behind
 * it, or after whole segments without any; `next` if nowhere. Looks at memory only. */
uint64_t journal_partition_find_before(struct journal *, uint32_t partition, uint64_t seq, int64_t wall_us);
/* Calls each() for records from `seq` on, in order, until it returns false, the end, or about max_bytes.
 * *next_seq is where to go on. Damaged records are skipped after each() was told once for each run of them,
 * by a record of type 0 whose partition_seq is the first of them, and each is counted once. CODE_IO, CODE_NOMEM:
 * nothing could be read from there on this time; only if nothing was handed out before. */
FG_CHECK enum code journal_partition_read(struct journal *, uint32_t partition, uint64_t seq,
                                          size_t max_bytes, bool (*each)(void *ctx, const struct record *),
                                          void *ctx, uint64_t *next_seq, struct fault *why);
