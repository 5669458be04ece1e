/* journal_private.h - the journal from inside. Only files of this folder include it.
 *
 * Who touches what:
 *   lock       everything in struct journal and struct segment that has no other word beside it
 *   committer  the one thread that writes to segments once the journal is open: the committer's, or the caller of
 *              journal_step, or of journal_close after the threads have ended. During journal_open its caller.
 *   atomic     any thread
 */
#pragma once

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#include "journal/frame.h"
#include "journal/idmap.h"
#include "journal/scan.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define JOURNAL_AREA "journal"
#define SEGMENT_BYTES_MIN ((uint64_t)64 << 10)
#define SEGMENT_BYTES_MAX ((uint64_t)1 << 30)
#define SEGMENT_BYTES_DEFAULT ((uint64_t)64 << 20)
#define PENDING_BYTES_DEFAULT ((uint64_t)8 << 20)
#define SECOND_US INT64_C(1000000)

enum { PATH_MAX_OWN = 4096, SEGMENT_NAME = 24, PARTITIONS_MAX = 4096 };
enum { SYNC_SAMPLES = 64, OPEN_FILES_MAX = 16 };

/* Where the records of one partition lie in one segment. */
struct span {
    uint32_t  partition;
    uint32_t  count;    /* sequences first .. first + count, some of them perhaps damaged */
    uint32_t  cap;      /* room in offsets                                                */
    bool      sorted;   /* times never go back                                            */
    uint64_t  first;
    int64_t   min_us, max_us;
    uint32_t *offsets;  /* one per sequence, 0 = damaged; NULL = in the .idx file         */
};

struct segment {
    struct journal *journal;
    uint64_t number;
    uint64_t first_seq, last_seq; /* of its frames; 0 = none                                         */
    uint64_t synced_floor;        /* for its header: what was durable when it was planned            */
    uint32_t bytes;               /* of the file, as its header says                                 */
    uint32_t size;                /* of them there are: fewer when the file was cut                  */
    uint32_t end;                 /* where the next frame goes, or would                             */
    int      file;                /* -1 = not open                                                   */
    uint32_t pins;                /* readers; a pinned segment is neither closed nor deleted         */
    bool     made;                /* the file is there, allocated and durable                        */
    bool     sealed;              /* nothing is appended any more                                    */
    bool     released;            /* its partition records are given up                              */
    bool     has_index;           /* the .idx file is there                                          */
    bool     index_refused;       /* it could not be written; tried again later                      */
    bool     surveyed;            /* read from end to end since the start                            */
    bool     unreadable;          /* a message in it is damaged: not compacted                       */
    bool     unsynced;            /* committer: written to, not synced, pinned, in journal->unsynced */
    struct segment *next_unsynced;
    bool     head_fine;           /* recovery: `head` was read from the file                         */
    struct segment_head head;     /* of one begun since the start: its two clocks only               */
    uint64_t release_seq;         /* the counters that say so                                        */
    int64_t  age_us;              /* the journal's age when it was sealed (retention.c)              */
    int64_t  opened_age_us;       /* and when its first partition record came                        */

    struct stored *live;          /* handles on its frames                                           */
    uint64_t dropped_seq;         /* where the log ended when the last of them was let go            */
    uint32_t live_count;
    uint64_t live_bytes;

    struct span *spans;           /* ordered by partition                                            */
    uint32_t span_count, span_cap;
    uint64_t partition_bytes;     /* frames of partition records                                     */
};

/* Frames on their way to one segment. */
struct chunk {
    struct chunk   *next;
    struct segment *segment;
    uint64_t        last_seq;
    uint32_t        offset, len, cap;
    uint8_t         data[];
};

struct partition {
    uint64_t first, next;     /* next: of the next record appended               */
    uint64_t group_next;      /* as of the group that is being written           */
    uint64_t durable_next;    /* what readers may see                            */
    uint64_t lost_at;         /* recovery: journal->lost when it was last heard of */
};

/* Offsets of one partition in one sealed segment, loaded from its .idx. Counted under the lock. */
struct loaded {
    struct loaded *next; /* most recently used first */
    uint64_t       segment;
    uint32_t       partition, count, refs;
    uint32_t       offsets[];
};

struct stored {
    struct segment *segment;
    struct stored  *next, *prev; /* in segment->live */
    struct message *message;
    uint64_t        id;
    uint32_t        offset, body_len, refs;
};

struct round { /* a round of state, committer */
    bool         running, restart;
    struct place begin;
    uint64_t     end_seq;    /* of its RECORD_STATE_END, 0 = not yet      */
    uint64_t     bytes;
};

struct journal {
    struct journal_options opt;
    const struct io *io;
    char            *data_dir, *dir;
    uint64_t         id;
    int              lock_file;

    pthread_mutex_t  lock;
    pthread_mutex_t  kick_lock; /* guards `closing` and the sleep */
    pthread_cond_t   kick_cond;
    bool             closing;
    _Atomic bool     kicked;
    pthread_t        committer, verifier;
    bool             has_committer, has_verifier, opened;
    _Atomic bool     stop_verify;

    /* The log's end. */
    uint64_t         appended;     /* last sequence given                                          */
    uint64_t         wanted;       /* last one that is not a seal                                  */
    uint64_t         urgent;       /* last one that somebody may wait for                          */
    uint64_t         seal_seq;     /* last seal                                                    */
    uint64_t         synced;       /* covered by a sync that succeeded                             */
    _Atomic uint64_t durable;      /* what we promise                                              */
    _Atomic bool     failed, full;
    bool             shut;         /* appends only from the journal itself                         */
    bool             batch_open;   /* the last frame said RECORD_MORE                              */
    uint64_t         bytes_appended;

    /* Segments by number. Behind `active` come those that are ready or planned. */
    struct segment **segments;
    size_t           segment_count, segment_cap;
    struct segment  *active;
    uint32_t         files_open;
    bool             index_due;    /* a sealed segment may be without its .idx file */
    _Atomic bool     index_busy;   /* a reader makes one again                      */

    /* Frames not yet written: appended to `pending`; the committer takes the list over into `writing`. */
    struct chunk    *pending, *pending_last, *writing, *spare;
    size_t           spare_bytes;
    uint32_t         chunk_hint;
    _Atomic uint64_t pending_bytes;
    _Atomic bool     asked;        /* set with the lock: something urgent is in `pending`          */
    _Atomic bool     long_sleep;   /* set with the lock: the committer looks again in a second     */
    uint64_t         group_seq;    /* last of `writing` as a whole */
    struct segment  *unsynced;     /* committer: written to and not synced */

    /* Room on disk. */
    bool             low;          /* free space is under disk_reserve              */
    bool             stuck;        /* the next segment could not be made            */
    int64_t          stuck_us;     /* committer: when that was tried, monotonic     */
    int64_t          measured_us;  /* committer: when free_bytes was                */
    uint64_t         free_bytes;

    struct partition *partitions;
    uint32_t          partition_count;
    struct loaded    *loaded;
    size_t            loaded_bytes;

    /* State: where the last complete round begins, and what a header on disk says of it. */
    struct place     state, witness;
    struct round     round;
    uint64_t         round_at_bytes, last_round_bytes;
    uint64_t         live_total, round_live; /* handles, now and at the last round    */
    bool             in_slice;               /* write_state is appending              */
    int64_t          round_refused_us, worth_us;

    /* The journal's age: time it was running, and plausible time in between. */
    int64_t          age_base_us, age_mono_us, age_wall_us;
    int64_t          watched_wall_us, apart_us; /* clock.c: when it last looked; the age at which the clocks were apart */
    uint32_t         rolled;         /* segments closed before they were full since the last round */
    bool             moving;

    /* Recovery only. */
    struct idmap    *map;        /* message id -> where it lies now, and its handle       */
    uint64_t         lost;       /* frames lost so far in the walk                       */
    bool             replaying;

    /* Verification in the background. */
    struct scan      verify_scan;
    uint64_t         verify_segment; /* the last one taken               */
    uint64_t         verify_until;   /* the one that was active at first */
    struct segment  *verify_open;
    uint64_t         verify_expect;
    _Atomic bool     verifying;

    struct idmap     damaged;    /* places that were counted (damage.c); only the ids are used */

    /* Figures. */
    _Atomic uint64_t syncs, bytes_written, damaged_frames, torn_frames, moved_frames, refused_full;
    uint32_t         sync_us[SYNC_SAMPLES];
    uint32_t         sync_count, sync_us_max;
    bool             notify;     /* committer: tell the program although the durable sequence stood still */
};

static inline const char *journal_path(const struct journal *j, char out[PATH_MAX_OWN], const char *name)
{
    (void)snprintf(out, PATH_MAX_OWN, "%s/%s", j->dir, name);
    return out;
}

/* ---- format.c: LOCK, format.json, clean ---- */
struct format {
    uint64_t journal;
    uint32_t partitions;
    uint32_t generations;
};
struct clean {
    bool         valid;
    struct place last;  /* seq of the last frame, segment and offset of the log's end */
    struct place state;
};
FG_CHECK enum code format_make_dirs(const struct io *, const char *data_dir, struct fault *why);
FG_CHECK enum code format_lock(const struct io *, const char *data_dir, int *file, struct fault *why);
/* CODE_NOTFOUND: there is none. */
FG_CHECK enum code format_load(const struct io *, const char *data_dir, struct format *out,
                               struct fault *why);
FG_CHECK enum code format_create(const struct io *, const char *data_dir, uint32_t partitions,
                                 struct format *out,
                                 struct fault *why);
FG_CHECK enum code format_grow(const struct io *, const char *data_dir, uint32_t partitions, struct format *,
                               struct fault *why);
void clean_load(const struct io *, const char *dir, uint64_t journal, struct clean *out);
FG_CHECK enum code clean_store(const struct io *, const char *dir, uint64_t journal, const struct clean *,
                               struct fault *why);

/* ---- segment.c ---- */
void segment_name(uint64_t number, const char *ending, char out[SEGMENT_NAME]);
/* "0000000000000012.seg" -> 0x12; 0 if it is not such a name. */
uint64_t        segment_number(const char *name, const char *ending);
struct segment *segment_find(const struct journal *, uint64_t number);
/* Behind `s` in the list, or NULL. */
struct segment *segment_after(const struct journal *, const struct segment *s);
/* A struct in the list, without a file. NULL: no memory. */
struct segment *segment_add(struct journal *, uint64_t number, uint32_t bytes);
void            segment_forget(struct journal *, struct segment *); /* closed and freed, too */
/* Committer. Makes the file: allocated, header, synced, directory synced. CODE_FULL, CODE_IO. */
FG_CHECK enum code segment_make(struct journal *, struct segment *, struct fault *why);
void            segment_head_now(const struct journal *, const struct segment *, struct segment_head *out);
/* Not locked. The file, open until segment_unpin; CODE_IO, CODE_NOTFOUND. segment_pin_locked first. */
FG_CHECK enum code segment_open_pinned(struct journal *, struct segment *, int *file, struct fault *why);
void            segment_pin_locked(struct segment *);
void            segment_unpin(struct journal *, struct segment *);

/* ---- append.c, locked ---- */
/* As journal_append; `internal` records pass a journal that is shut and may use the room kept for the
 * program. */
FG_CHECK enum code append_record(struct journal *, const struct record_in *, bool internal,
                                 struct record_out *,
                                 struct fault *why);
uint64_t append_room(const struct journal *);         /* bytes left in segments that are made */
/* Who may use how much of the last room: messages leave some to the program's other records, and these leave
 * what a round of state needs, by which room is won back. */
enum claim { CLAIM_MESSAGE, CLAIM_PROGRAM, CLAIM_JOURNAL };
uint64_t append_reserve(const struct journal *, enum claim);
void     append_recycle(struct journal *, struct chunk *);
/* Copies [offset, offset + n) of the segment if it is still in memory. */
bool     append_peek(const struct journal *, uint64_t segment, uint32_t offset, void *to, size_t n);
/* Some frames of this segment are not written yet. */
bool     append_pending(const struct journal *, const struct segment *);

/* ---- committer.c, committer ---- */
/* Writes and (unless no_sync and not `force`) syncs what is appended. True if it did something. */
bool commit_group(struct journal *, bool force);
bool commit_start(struct journal *, struct fault *why);
void commit_stop(struct journal *);
void commit_fail(struct journal *, const char *what, const struct segment *, uint64_t offset, int err);

/* ---- upkeep.c, committer ---- */
bool upkeep_step(struct journal *, bool idle);
/* Makes the file of a segment, unless that failed less than a second ago. */
bool upkeep_make(struct journal *, struct segment *);
/* Space was given back: try again at once. */
void upkeep_room_came(struct journal *);

/* ---- index.c ---- */
/* Locked. Room for one more record of this partition, so that index_add cannot fail. */
FG_CHECK enum code index_reserve(struct segment *, uint32_t partition, uint64_t seq, struct fault *why);
void         index_add(struct segment *, uint32_t partition, uint64_t seq, uint32_t offset, int64_t wall_us);
struct span *index_span(const struct segment *, uint32_t partition);
void         index_drop(struct segment *); /* frees the spans */
/* Not locked: the segment is sealed or nobody else knows it yet. */
FG_CHECK enum code index_store(struct journal *, struct segment *, struct fault *why);
/* Spans without offsets, and the segment's summary. CODE_NOTFOUND, CODE_DAMAGED, CODE_IO, CODE_NOMEM. */
FG_CHECK enum code index_load(struct journal *, struct segment *, struct fault *why);
/* Not locked. The offsets of one partition, counted; from the .idx, or from the segment itself. */
FG_CHECK enum code index_offsets(struct journal *, struct segment *, uint32_t partition, struct loaded **out,
                                 struct fault *why);
void         index_give_back(struct journal *, struct loaded *);
void         index_forget(struct journal *, uint64_t segment); /* locked: out of the cache */
void         index_clear(struct journal *);
/* Reads the whole segment into fresh spans with offsets. */
FG_CHECK enum code index_rebuild(struct journal *, struct segment *, struct fault *why);
/* Both say the same of what lies where; offsets are compared where both have them. */
bool         index_same(const struct segment *, const struct segment *);
/* As index_load, with the offsets. */
FG_CHECK enum code index_load_whole(struct journal *, struct segment *, struct fault *why);

/* ---- handle.c, locked ---- */
/* From where it lay, if anywhere, to this frame. */
void handle_move_locked(struct stored *, struct segment *to, uint32_t offset, uint32_t body_len);
/* Frees all handles on this segment: nobody uses them any more. */
void handle_clear(struct segment *);

/* ---- survey.c: what the segments say, decided before anything is changed ---- */
struct gap { /* a place where frames are missing, or bytes that should not be there */
    struct place at;       /* seq: the first frame missing                             */
    struct place batch;    /* the batch that was open before it, seq 0 = none          */
    uint64_t     missing;  /* how many; 0 = none, or nobody knows (nothing behind it)  */
    bool         last;     /* there is no frame behind it                              */
    bool         dirty;    /* bytes that are not zero and not a frame                  */
    bool         jump;     /* segments are missing there: deleted, if the state begins behind it */
    const char  *what;
};
struct seq_range {
    uint64_t from, to;
};
struct moved {
    uint64_t seq, id, segment;
    uint32_t offset, body_len;
};
struct round_seen {
    struct place begin;
    uint64_t     end_seq, bytes;
    bool         whole; /* nothing is missing between begin and end */
};
struct survey {
    struct clean clean;
    struct place start;          /* the state by the best header, or by `clean`; seq 0 = the beginning of the log */
    bool         start_lost;     /* that segment is not there */
    uint64_t     first_segment;  /* where the reading began */
    uint64_t     synced;         /* highest sequence known to have been durable */
    struct gap        *gaps;
    size_t             gap_count, gap_cap;
    struct seq_range  *broken;   /* batches with a part missing: not applied */
    size_t             broken_count, broken_cap;
    struct moved      *moved;
    size_t             moved_count, moved_cap;
    struct round_seen *rounds;
    size_t             round_count, round_cap;

    /* The decision. */
    bool         empty;          /* there is no journal yet */
    struct place end;            /* of the log: seq of the last frame, and where the next one goes */
    uint64_t     next_seq;       /* end.seq + 1, or more: a sequence that was durable is not used again */
    bool         damaged_end;    /* durable frames are missing there: the log goes on in a new segment */
    uint64_t     batch_from;     /* frames from here to the end are of a batch whose rest was lost; 0 = none */
    bool         tail_clean;     /* nothing but zeroes behind the end */
    struct place state;          /* where the replay begins; seq 0 = with the first frame there is */
    uint64_t     state_bytes;
    uint64_t     damaged, torn;
};
FG_CHECK enum code survey_run(struct journal *, struct survey *, struct fault *why);
void survey_clear(struct survey *);

/* ---- recover.c, locked ---- */
FG_CHECK enum code recover_open(struct journal *, struct fault *why);
struct replayed { /* what the replay met on the way to the end */
    struct place unproven; /* the first frame above survey.synced, seq 0 = none    */
    uint64_t     last;     /* sequence of the last frame, 0 = none                 */
    bool         open;     /* which says that its batch goes on                    */
};
/* repair.c: what the survey decided becomes so on disk. Can be interrupted and done again at any point. */
FG_CHECK enum code repair_run(struct journal *, const struct survey *, const struct replayed *,
                              struct fault *why);

/* ---- state.c, committer ---- */
bool state_step(struct journal *);
/* Locked. About how many bytes a round would take now. */
uint64_t state_estimate(const struct journal *);
/* A whole round, for journal_close. */
void state_run(struct journal *);
bool state_witness(struct journal *);
/* Locked. RECORD_PARTITIONS. */
FG_CHECK enum code state_append_partitions(struct journal *, struct fault *why);
FG_CHECK enum code state_read_partitions(struct journal *, const struct record *, struct fault *why);

/* ---- retention.c, committer ---- */
int64_t retention_age(const struct journal *);
void    retention_start(struct journal *); /* after recovery */
bool    retention_step(struct journal *);

/* ---- clock.c. Locked, but for clock_step ---- */
/* The journal's age when a record of this segment came that was stamped so. */
int64_t clock_born(const struct journal *, const struct segment *, int64_t wall_us);
/* A record comes that is stamped so: the active segment is closed if the wall clock has jumped. */
void clock_watch(struct journal *, int64_t wall_us);
bool clock_step(struct journal *); /* committer: the same when no record comes, and its trace on disk */

/* ---- compact.c, committer ---- */
bool compact_step(struct journal *);

/* ---- damage.c ---- */
/* Not locked. True: nobody has met it since the start, so it is counted now and to be logged. */
bool damage_note(struct journal *, uint64_t segment, uint64_t offset);

/* ---- verify.c ---- */
bool verify_step(struct journal *); /* one slice; false: nothing left */
bool verify_start(struct journal *, struct fault *why);
void verify_stop(struct journal *);
