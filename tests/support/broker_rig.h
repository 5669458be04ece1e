/* broker_rig.h - a whole broker in one thread: disk in memory, journal without threads, simulated loops, clients.
 *
 *     struct rig_config config;
 *     rig_defaults(&config);
 *     struct rig *rig = rig_new(&config);
 *     struct fault why;
 *     assert_int_equal(rig_open(rig, &why), CODE_OK);
 *     struct peer *p = peer_open(rig, 0);              on shard 0, see broker_peer.h
 *     ...
 *     rig_run(rig);                                     until nothing is left to do at this instant
 *     rig_close(rig);                                   an orderly stop; rig_abandon: as a crash leaves it
 *     rig_free(rig);
 *
 * Everything follows from config.seed: the order in which loops get their turns, when the committer gets its turn
 * between them, how streams of bytes are cut. The same rig may be opened again on the same disk.
 *
 * Time: both clocks of the disk and the simulation move together, only by rig_advance and rig_jump.
 * Thread: one.
 */
#pragma once

#include "broker/broker.h"
#include "net/sim.h"
#include "support/memfs.h"
#include "support/random.h"

enum { RIG_SHARDS_MAX = 3 };
#define RIG_ADDRESS "127.0.0.1:1883"
#define RIG_DATA "/data"

struct rig;

struct rig_config {
    uint64_t           seed;
    unsigned           shards;          /* 1 .. RIG_SHARDS_MAX, default 2 */
    struct memfs      *fs;              /* borrowed; NULL: the rig's own  */
    struct limits      limits;
    uint32_t           partitions;      /* default 2 */
    const char *const *hub_topics;      /* default { "hub/#" } */
    unsigned           hub_topic_count;
    uint64_t           segment_bytes;   /* default 64 KiB */
    uint64_t           disk_reserve, pending_bytes, keep_bytes;
    int64_t            keep_us;
    uint32_t           sys_interval_s;  /* default 0: no $SYS */
    const char        *response_topics;
    bool               no_sync;
    /* The users file, made when the rig is opened and it is not there; NULL: everybody is anonymous. The listener asks
     * `chain`; { users } when that is empty. */
    const char        *users;
    const char        *rules;  /* the same for the rules; NULL: there are none */
    bool               close_denied;
    struct settings_choices chain;
    bool               split;           /* cut the streams at random places */
    unsigned           lazy_percent;    /* how often the committer lets others go first */
    /* Called before each step of the journal and when all has come to rest: what left up to here, left before whatever
     * the journal does next. Must not send. */
    void (*look)(void *ctx, struct rig *);
    void *ctx;
    /* Around every stretch in which the node itself is at work, for tests that make its calls fail then. */
    void (*enter)(void *guard), (*leave)(void *guard);
    void *guard;
};

struct rig {
    struct rig_config config;
    struct memfs     *fs;
    struct sim       *sim;
    struct loop      *loops[RIG_SHARDS_MAX], *disk_loop;
    struct listener  *listener;
    struct journal   *journal; /* NULL: not open */
    struct broker    *broker;
    struct auth      *auth;    /* NULL: config.users is */
    struct random     dice;
    struct letter     disk;    /* the committer's turn */
    bool              disk_posted;
    unsigned          wanted[256]; /* shards of connections not yet accepted, in order */
    size_t            wanted_from, wanted_to;
    struct peer      *peers;       /* see broker_peer.h */
    bool              lasting_peers; /* rig_close and rig_abandon leave the structs of peers alone */
};

void        rig_defaults(struct rig_config *);
struct rig *rig_new(const struct rig_config *);
void        rig_free(struct rig *); /* abandons an open one */

/* On failure nothing is open. */
FG_CHECK enum code rig_open(struct rig *, struct fault *why);
/* broker_stop, the loops run out, broker_halt, journal_close. */
void rig_close(struct rig *);
/* The files stay as they are now; nothing more is written. */
void rig_abandon(struct rig *);

#define RIG_CONF "/conf"
/* Replaces a file of the folder RIG_CONF: "users", "rules". */
void      rig_write(struct rig *, const char *name, const char *text);
/* What a running node does when it sees that: all or nothing. */
enum code rig_reload(struct rig *, struct fault *why);

void    rig_run(struct rig *);
/* Loops take turns until they rest, but the journal does nothing: what waits for the disk goes on waiting. */
void    rig_run_without_disk(struct rig *);
void    rig_advance(struct rig *, int64_t us);  /* and everything that happens in that time */
void    rig_jump(struct rig *, int64_t wall_us); /* the wall clock alone */
int64_t rig_wall_us(struct rig *);

/* A connection to the listener that goes to this shard, from this address (NULL: this machine). NULL: no memory. */
struct sim_client *rig_dial(struct rig *, unsigned shard, const char *from);
