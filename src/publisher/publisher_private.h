/* publisher_private.h - what the engine's files share. Not for others. Everything is of the publisher's loop unless it says otherwise. */
#pragma once

#include "base/table.h"
#include "broker/consumer.h"
#include "message/message.h"
#include "net/loop.h"
#include "net/tls_watch.h"
#include "publisher/format.h"
#include "publisher/kept.h"
#include "publisher/nodes_file.h"
#include "publisher/publisher.h"
#include "publisher/target.h"
#include "opcua/text.h"
#include "publisher/topic.h"
#include "uaclient/client.h"
#include "uaclient/many.h"
#include "uaclient/shape.h"
#include "uaclient/subscription.h"

#include <pthread.h>
#include <stdatomic.h>

struct pub_session;
struct pub_stream;

enum pub_target { PUB_TARGET_WANTED, PUB_TARGET_FOUND, PUB_TARGET_MISSING };

/* A node of a stream. */
struct pub_item {
    struct pub_item *next;
    struct pub_stream *stream;
    char *key;       /* the stream's and the node's JSON */
    char *text;      /* of its id, as written */
    char *name;      /* shown: configured, fetched, or the text */
    char *field;     /* DataSetFieldId, or NULL: name */
    char *path;      /* browse path, NULL: not asked for or not known */
    char *range;
    struct ua_expanded_node_id node;
    struct ua_node_id climbing; /* while its path is being found */
    struct ua_expanded_node_id start; /* of BrowsePath, which ends at `node` */
    struct target_step *steps;
    uint32_t step_count, step;
    uint8_t target;   /* enum pub_target, in this session */
    bool targeted;    /* `node` is where it has ended */
    bool stepped, registers, registered;
    bool cyclic;             /* read by a timer */
    struct pub_cycle *cycle; /* with those of the same interval */
    int64_t max_age_ms;
    struct ua_watch watch;
    uint32_t handle, number;
    bool seen, named, added, watched, wants_name, expanded, climbs;
    bool said;        /* that it is bad */
    bool overflowed;  /* said */
    bool skip_first, skip;
    uint8_t print[KEPT_KEY]; /* of what makes it what it is at the server */
    uint64_t piece;   /* the last one that it was in */
    ua_status status; /* of the item at the server */
    uint8_t type;
    bool array;
    struct buf head;  /* format_head or format_name; bad: it must be made once more */
    char *topic;      /* of its own, or NULL */
    struct buf last;  /* JSON of the last value, where it is needed again */
    struct format_value value;
    bool has_last, keep_last;
    uint8_t heartbeat; /* enum nodes_heartbeat */
    int64_t heartbeat_ms;
    struct timer beat;
    uint64_t values;
};

/* What is being filled: one body. */
struct pub_batch {
    struct buf body;
    uint32_t pieces, values;
    struct kept_place at; /* behind its last value */
    struct buf lasts;     /* kept_last of each */
};

struct pub_stream {
    struct pub_stream *next;
    struct pub_session *session;
    char *key;
    struct arena arena; /* texts */
    struct format format;
    struct ua_subscription *sub;
    struct ua_subscription_options wanted;
    struct pub_item *items, *last; /* in the order of the file */
    struct pub_item **by_handle;
    struct pub_stalled *stalled; /* in their order */
    uint32_t handles, room, count;
    bool seen, of_node, of_path;
    const char *template;
    char topic[TOPIC_MOST + 1], metadata_topic[TOPIC_MOST + 1];
    uint8_t qos;
    bool retain;
    uint32_t ttl_s;
    int64_t batch_ms, metadata_ms;
    uint32_t batch_size, key_frames;
    size_t batch_bytes;
    bool keep_alives, metadata, metadata_due;
    struct buf props, metadata_props;
    struct pub_batch batch;
    struct timer flush, meta, silent;
    struct buf piece; /* a data set that is being made */
    uint32_t piece_values;
    bool piece_open, piece_key;
    uint64_t piece_number; /* from 1 */
    uint32_t sequence;
    uint64_t message_id;
    struct kept *kept;  /* NULL: nothing of it is kept */
    struct kept_place now, piece_at, written; /* the value in hand; the last of the piece; of the last word */
    struct buf piece_lasts;
    const struct ua_change *hand;
    uint32_t complete_sub; /* whose `complete` is */
    uint64_t complete;  /* the last message of the server all values of which are in batches */
    uint64_t promised;  /* the last one that waits in the outbox to be acknowledged */
};

enum { PUB_GIVEN_UP = 32 };
struct pub_session {
    struct pub_session *next;
    struct pub_cycle *cycles;
    struct publisher *all;
    char *key;
    char *endpoint, *group, *user, *password, *policy;
    struct ua_client_options how; /* policy, mode, user */
    struct ua_client *client;
    struct ua_shapes *shapes; /* NULL: structures are their bytes */
    struct pub_stream *streams;
    char *uri;     /* the server's ApplicationUri, with the site */
    struct timer again; /* what could not be begun for want of memory */
    uint64_t shape_hash, given_up[PUB_GIVEN_UP]; /* of types: the one asked about; those the server does not tell */
    size_t given_up_count;
    bool shape_asked;
    bool seen, up, started, asking, not_none, leaving;
    bool person, said; /* signs in with a certificate; that it is not there */
    uint32_t minor;
    char trouble[200];
    struct pub_item **asked; /* whose names or paths are being read */
    size_t asked_count;
    unsigned rounds;
    struct ua_read_value_id *reads;
    struct ua_browse_description *browses;
    struct ua_browse_path *paths;
    struct ua_relative_path_element *elements;
    struct ua_node_id *ids;
    bool no_translate, no_register; /* in this session */
    _Atomic uint64_t values, nodes, good; /* any thread */
    char state[16]; /* likewise, under the lock, as `trouble` */
    size_t stream_count;
};

/* A promise to a server: acknowledged when everything up to word `after` is durable. */
struct pub_ack {
    struct pub_stream *stream; /* NULL: it is gone */
    uint32_t sub;
    uint64_t message, after;
};
enum { PUB_POST_MAX = 256 };
struct pub_outbox {
    struct consumer_word *words; /* a queue: from `first` on, `count` of them */
    uint32_t *values;            /* of each */
    size_t first, count, room;
    struct consumer_word post[PUB_POST_MAX]; /* copies of the first ones, at the broker */
    size_t posting;
    uint64_t sent;  /* words since the start that are out, or given up */
    uint64_t ordinal, bytes;
    struct pub_ack *acks; /* in order of `after` */
    size_t ack_count, ack_room;
    struct pub_ack *landing; /* in the log, waiting for the disk up to landing_seq */
    size_t landing_count, landing_room;
    uint64_t landing_seq;
    uint64_t landing_ordinal; /* words up to this one are durable then */
    struct letter posted;
    struct timer retry, look;
    bool refused;
};
/* The file of what is kept: keep.c. */
struct pub_keep {
    char *dir;         /* NULL: nothing is kept */
    struct kept_store store;
    struct buf words;  /* frames of words that are not known to be durable */
    struct buf out;    /* frames to be written */
    int file;          /* -1: none */
    uint64_t size, first_size; /* of the file; when it was made */
    bool broken;       /* the file does not have everything: it is written anew */
    bool said;
    int64_t again_us;  /* not before then */
};
struct errand;
struct publisher {
    struct publisher_config config;
    char *nodes_path, *topic;
    struct publisher_options options;
    struct telemetry *telemetry; /* NULL: the default one */
    const char *template;
    struct ua_limits limits; /* of what servers send; used with --ol */
    struct loop *loop;
    pthread_t thread;
    bool running;
    struct consumer *consumer;
    struct tls_watch *watch;
    struct nodes_file *file;
    _Atomic bool unsaved; /* a method has changed it, and it could not be written */
    struct table items, streams_by_key, sessions_by_key;
    struct pub_session *sessions; /* changed under the lock */
    struct pub_session *leaving;
    struct pub_outbox out;
    struct pub_keep keep;
    bool stopping; /* servers keep their subscriptions */
    bool held;
    struct errand *calm; /* waits until nothing is under way */
    struct timer grace;
    bool hurry;
    uint16_t writers;
    pthread_mutex_t lock; /* of what glances show */
    struct publisher_glance count, shown; /* shown: under the lock */
    pthread_mutex_t calls; /* methods, one after the other */
};

/* ---- plan.c: from the file to sessions, streams and items; only differences are touched ---- */
FG_CHECK enum code pub_apply(struct publisher *, struct nodes_file *, struct fault *why);
void pub_item_free(struct pub_item *);

/* ---- session.c ---- */
void pub_session_start(struct pub_session *);
void pub_session_free(struct pub_session *);
void pub_session_leave(struct pub_session *); /* is in no list any more; says goodbye, then frees itself */
void pub_count_streams(struct publisher *);
void pub_session_look(struct pub_session *); /* names, paths, then subscriptions, of what is new */

/* For who asks about many of its items: `asked` becomes those wanted. False: no memory. */
FG_CHECK bool pub_gather(struct pub_session *, bool (*wanted)(struct pub_item *));
void pub_forget_asked(struct pub_session *);
void pub_next_step(struct pub_session *);
void pub_session_again(struct timer *); /* of session.again */

/* ---- resolve.c: where a BrowsePath ends, and what a node is registered as. False: there is nothing to ask ---- */
FG_CHECK bool pub_ask_targets(struct pub_session *);
FG_CHECK bool pub_ask_registered(struct pub_session *);
void pub_forget_resolved(struct pub_session *);
void pub_retry_targets(struct pub_session *);
static inline bool pub_item_has_target(const struct pub_item *i)
{
    return !i->step_count || i->target == PUB_TARGET_FOUND;
}

/* ---- stream.c: values become pieces, pieces batches ---- */
extern const struct ua_subscription_events pub_stream_events;
void pub_item_ready(struct pub_item *); /* its name is known: what is constant of it is made */
void pub_stream_flush(struct pub_stream *);
void pub_stream_stop(struct pub_stream *); /* timers; what is in its batch goes out */
void pub_item_stop(struct pub_item *);
void pub_item_status(struct pub_item *, ua_status); /* the server's word about it */
void pub_stream_begin(struct pub_stream *);

void pub_stream_take(struct pub_stream *, const struct ua_changes *);

/* Values of it, from wherever. */
void pub_stream_came(struct pub_stream *, const struct ua_changes *);

/* ---- cycle.c: nodes that are read by a timer ---- */
FG_CHECK bool pub_cycle_join(struct pub_item *); /* false: no memory */
void pub_cycles_forget(struct pub_session *, const struct pub_stream *); /* of that stream; NULL: all, when the client is closed */

/* ---- stall.c ---- */
/* True: it waits, copied; the descriptions of its structures are being asked for, or it stands behind one that waits. */
bool pub_stall(struct pub_stream *, const struct ua_changes *);
void pub_unstall(struct pub_stream *, bool all); /* those that are complete, or all of them as they are */
void pub_unstall_all(struct pub_session *);

/* ---- keep.c: which subscriptions there are and what of them is in the node, over the end of the program ---- */
FG_CHECK enum code pub_keep_open(struct publisher *, struct fault *why);
void pub_keep_close(struct publisher *);
/* Its subscription was just opened: that of before, if there is one, is taken over, with those of its items. */
void pub_keep_adopt(struct pub_stream *);
void pub_keep_item(struct pub_item *); /* what it is to the server is known */
void pub_keep_items(struct pub_stream *, bool settled);
void pub_keep_value(struct pub_item *);     /* the value in hand goes into the piece that is being made */
void pub_keep_word(struct pub_stream *);    /* the newest word is that of s->batch, and is not posted yet */
void pub_keep_durable(struct publisher *, uint64_t ordinal);
void pub_keep_safe(struct pub_stream *, uint32_t sub, uint32_t sequence); /* before the server is told */
void pub_keep_forget(struct pub_stream *);  /* its subscription is deleted */
void pub_keep_tidy(struct pub_session *);   /* up: what nobody wants any more is deleted there */
void pub_keep_prune(struct publisher *);    /* the file of nodes was read */
void pub_keep_flush(struct publisher *);    /* into the file */

/* ---- outbox.c ---- */
/* One message; `values` of it are counted. The body is copied. */
void pub_post(struct pub_stream *, const char *topic, struct bytes props, struct bytes body, uint32_t values, bool retain);
/* All values of the stream's messages up to this one are in messages before here. */
void pub_promise(struct pub_stream *, uint64_t message); /* of subscription complete_sub */
void pub_ship(struct publisher *);
void pub_forget(struct publisher *, struct pub_stream *);
void pub_outbox_close(struct publisher *);

/* ---- publisher.c ---- */
FG_CHECK enum code pub_reload(struct publisher *, struct fault *why);
/* Instead of the one before; takes it, also on failure. */
FG_CHECK enum code pub_take_file(struct publisher *, struct nodes_file *, struct fault *why);
void pub_calm(struct publisher *); /* something has ended: may whoever waits for that go on? */
/* From another thread: runs it on the loop and waits. */
enum code pub_run_there(struct publisher *, enum code (*run)(struct publisher *, void *arg, struct fault *why), void *arg, struct fault *why);
void pub_show(struct publisher *); /* what has been counted, to those who look */
