/* job_private.h - what the files of this folder share. Not for others. */
#pragma once

#include "broker/consumer.h"
#include "job/job.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    JOB_HIGH =
        200000 /* messages that wait, those read since the last checkpoint included, before publishers wait */
};
enum { JOB_FILES_MAX = 32 };
enum { CLOCK_NUMBER = 0xffffffff /* the message that says how late it is */, TROUBLES_MAX = 16 };

/* One way by which messages reach an input: a filter of the broker, or what a route says. The number is made of the text, so that
 * what waits for a job is understood by its next version. */
struct way {
    uint32_t number, input;
    struct bytes filter; /* empty: a route's */
};
struct job_plan {
    struct arena arena;
    const char *name, *file;
    struct bytes sql;
    struct query *query;
    struct query_options options;
    struct way *ways;
    size_t way_count;
    struct bytes *targets;        /* by output */
    const char **reference_files; /* by reference of the query */
    const char **files;           /* by output: the file it is appended to, or NULL: a topic */
    uint64_t mark; /* of text and options: what a checkpoint must match, and when a job has changed */
};

/* How far a checkpoint has got: the note of the job's place. */
struct place_note {
    uint64_t generation; /* of the state's file; 0: there is none */
    uint64_t mark;
    uint64_t ordinal; /* the last one given to a row */
    uint32_t count;   /* of the files it writes */
    struct {
        uint64_t file; /* hash of path and inode: the next version of the job may have other outputs */
        uint64_t size; /* how far it is written */
    } files[JOB_FILES_MAX];
};
enum { PLACE_NOTE_BYTES = 26 + JOB_FILES_MAX * 16 };
size_t place_note_put(const struct place_note *, uint8_t out[PLACE_NOTE_BYTES]); /* its length */
bool place_note_get(struct place_note *, struct bytes); /* false: it is none of ours */

struct jobs {
    struct broker *broker;
    struct journal *journal;
    const struct io *io;
    char *dir;            /* DATA/jobs */
    pthread_mutex_t lock; /* of the list; held while jobs are started and stopped */
    struct job *first;
};

/* A file that rows are appended to, a line each. What was written behind the last checkpoint is cut off when the job goes on from
 * there: it is made again. */
struct file_out {
    const char *path; /* NULL: this output is a topic */
    int file;         /* -1: not open */
    uint64_t size;    /* what is in it */
    uint64_t inode;
    struct buf rows;  /* of this batch */
    size_t mark;      /* how much of `rows` is of whole messages */
    bool unsynced;
};

struct reference_seen {
    uint64_t size, inode;
    int64_t mtime_ns;
    bool loaded, told;
};

struct job {
    struct job *next;
    struct jobs *jobs;
    struct job_plan *plan;
    struct consumer *consumer;
    struct stream *stream;
    pthread_t thread;
    bool started;

    /* Of the stream and all below; held while a batch is worked on. Taken by job_lock: who comes to look gets his turn also
     * from a job that never rests. */
    pthread_mutex_t lock, turnstile;
    uint64_t position;    /* the queue index to read next */
    int64_t reached_us;   /* when what it read last came, by the wall clock; 0: nothing yet */
    uint64_t ordinal;
    struct consumer_word *words; /* rows of this batch, not yet published */
    size_t word_count, word_cap;
    struct file_out *files; /* by output */
    bool nomem;  /* a row could not be kept */
    bool astray; /* the stream's state is that of no place: back to the checkpoint, before anything else */
    int64_t warned_us; /* when it was last said that there is no checkpoint */
    bool settle; /* the state was changed by something that is no message: no other before a checkpoint has it */
    struct reference_seen *references;
    enum job_state state;
    struct fault why; /* of the state */
    uint64_t since;   /* messages since the last checkpoint */
    uint64_t generation, old_generation,
        old_until; /* the state's file; the one before, and the record after which it can go */
    uint64_t checkpoints, checkpoint_bytes;
    int64_t checkpoint_us, checkpoint_cost_us;
    int64_t clock_us; /* when it was last told the time */
    struct {
        const char *name;
        uint64_t count;
        int64_t told_us;
    } troubles[TROUBLES_MAX];

    struct { /* for jobs_glance */
        _Atomic int state;
        _Atomic uint64_t lag, events, rows, dropped, state_bytes;
    } shown;

    pthread_mutex_t sleep_lock; /* of what wakes the thread */
    pthread_cond_t wake;
    bool due, stop;
};

/* ---- checkpoint.c: the state's file ---- */
/* Saves the stream, says in the journal that everything read so far is done with. */
FG_CHECK enum code checkpoint_write(struct job *, struct fault *why);
/* Into the fresh stream, if the place has a state that fits; else the job begins anew and says why. */
FG_CHECK enum code checkpoint_read(struct job *, struct fault *why);
void checkpoint_tidy(
    struct job *); /* the file of the state before goes when the record of this one is on disk */
void checkpoint_remove(struct job *); /* all of them */

/* ---- file_out.c ---- */
/* A row for the file of this output. False: no memory. */
bool files_add(struct job *, uint32_t output, struct bytes json);
void files_keep(struct job *);   /* what was added is of a whole message */
void files_forget(struct job *); /* what was added since then is not */
FG_CHECK enum code files_write(struct job *, struct fault *why); /* what was kept */
FG_CHECK enum code files_sync(struct job *, struct place_note *, struct fault *why);
/* Opens them; as long as the note says, or (NULL) as they are. */
FG_CHECK enum code files_open(struct job *, const struct place_note *, struct fault *why);
void files_close(struct job *);

/* ---- run.c ---- */
void job_lock(struct job *);
void job_unlock(struct job *);
void job_pause(struct job *, int ms); /* so long; nothing ends it before */
uint64_t job_lag(struct job *); /* messages that wait to be read */
void *job_run(void *job);
void job_wake(void *job);
extern const struct stream_sink job_sink; /* ctx is the job */
