/* consumer.h - a reader inside the node: a job's input, a reaction, what waits for the hub above.
 *
 * A consumer is a durable session without a connection: its filters are in the subscription tree, what it is owed lies in its
 * queue and in the journal, and both come back after a crash as those of a client do. It differs in three things. It is
 * owed messages of every QoS. It is read by its owner's thread instead of being sent to. And how far it has got is a record
 * of its own (consumer_finish), with a note of a few bytes in which its owner finds what belongs to that place.
 *
 * What it publishes carries numbers that count up (ordinals). The highest one in the log is remembered with the session, and
 * what comes again with a number up to that is not published a second time. So an owner that is a function of its input
 * is exactly once inside the node: after a crash it goes back to the place and state of its last consumer_finish, reads on,
 * and publishes again what it likes.
 *
 *   queue      finished | taken ... | not taken yet ... |
 *              head       ^ next    ^ the owner's        tail
 *
 * Names are not client identifiers: no client can have or end such a session.
 *
 * Threads: one owner's thread per consumer, none of the loops'; consumer_wake from any. All consumers are closed before
 * broker_halt.
 */
#pragma once

#include "broker/broker.h"

struct consumer;
struct message;

struct consumer_options {
    const char *name; /* "job/humidity": up to 200 bytes of UTF-8                                       */
    uint64_t
        max_messages;   /* what may wait; above, messages for it are refused (0x97). 0 = 1,000,000         */
    uint64_t max_bytes; /* 0 = 10 GiB                                                                     */
    uint64_t high; /* waiting messages from which publishers are not read from until it has worked off half of
                                   them; 0 = never. Only for one whose owner works                                 */
    /* There is something to take, or room for what waited. Any thread, often under a lock: signals only. */
    void (*ready)(void *ctx);
    void *ctx;
};
/* Finds it, with what waits, or makes it. CODE_EXISTS: it is open already. CODE_FULL, CODE_NOMEM, CODE_CLOSED. */
FG_CHECK enum code consumer_open(struct consumer **out, struct broker *, const struct consumer_options *,
                                 struct fault *why);
/* Another `high`: 0 for an owner that does not work just now, so that nobody waits for it. */
void consumer_set_high(struct consumer *, uint64_t high);
/* It stays, and what comes for it waits. After the last consumer_publish is done. */
void consumer_close(struct consumer *);
/* It is over, and what waits is let go. Frees like consumer_close. On failure it is closed only. */
enum code consumer_end(struct consumer *, struct fault *why);
/* The names of all there are, open or not. */
void consumer_names(struct broker *, void (*each)(void *ctx, struct bytes name, bool open), void *ctx);

/* What it reads from now on, instead of what it read before; what waits stays. The number (from 1) says with each message
 * which filters it came by. */
struct consumer_filter {
    struct bytes filter;
    uint32_t number;
};
FG_CHECK enum code consumer_subscribe(struct consumer *, const struct consumer_filter *, size_t n,
                                      struct fault *why);
/* The same for several consumers of one broker, in one step: no message is published between them. */
struct consumer_change {
    struct consumer *consumer;
    const struct consumer_filter *filters;
    size_t count;
};
FG_CHECK enum code consumer_subscribe_all(const struct consumer_change *, size_t n, struct fault *why);

/* The retained messages that the filter matches, as they are during the call; subscribing brings none. Each in `each`, with the caller's
 * loan. What cannot be read back is said in the log and left out. */
void consumer_retained(struct consumer *, struct bytes filter, void (*each)(void *ctx, struct message *), void *ctx);

struct consumer_item {
    uint64_t index;
    struct message *message; /* the caller's reference; NULL: it is lost to damage, which has been reported */
    const uint32_t *numbers; /* of the filters it came by; valid until consumer_finish passes it           */
    uint32_t number_count;
};
/* Up to `max` items from index `from` on (or from the oldest there is). *n = 0: nothing more for now. CODE_IO, CODE_NOMEM: try later. */
FG_CHECK enum code consumer_take(struct consumer *, uint64_t from, struct consumer_item *items, size_t max,
                                 size_t *n, struct fault *why);
/* The same without the messages (NULL), which costs no disk: how many. */
size_t consumer_peek(struct consumer *, uint64_t from, struct consumer_item *items, size_t max);
/* Everything below `index` is done with, and this is the note now (copied; up to CONSUMER_NOTE bytes). The record is on disk
 * when the journal's durable sequence has reached *seq (may be NULL). */
enum { CONSUMER_NOTE = 1024 };
FG_CHECK enum code consumer_finish(struct consumer *, uint64_t index, struct bytes note, uint64_t *seq,
                                   struct fault *why);
/* Only this one is done with; only these. */
FG_CHECK enum code consumer_finish_one(struct consumer *, uint64_t index, struct fault *why);
FG_CHECK enum code consumer_finish_some(struct consumer *, const uint64_t *indexes, size_t n, struct fault *why);
/* Those that are named go into the queue of another consumer, in their order, as one record: finished here, owed there, with
 * `number`. CODE_FULL: it has no room. */
FG_CHECK enum code consumer_move(struct consumer *from, const uint64_t *indexes, size_t n,
                                 struct consumer *to, uint32_t number, struct fault *why);
/* The note of the last consumer_finish, copied into out (of CONSUMER_NOTE bytes); its length. */
size_t consumer_note(struct consumer *, uint8_t *out);
uint64_t consumer_head(struct consumer *);    /* the oldest that is not done with     */
uint64_t consumer_tail(struct consumer *);    /* behind the newest: how many came since it was made */
uint64_t consumer_waiting(struct consumer *); /* messages                             */
uint64_t consumer_waiting_bytes(struct consumer *);
uint64_t consumer_published(struct consumer *); /* the highest ordinal that is in the log */

/* ---- publishing ---- */
struct consumer_word {
    struct message *message; /* the batch's reference                                                       */
    uint64_t ordinal;         /* counts up from 1; 0: it has none, and is published however often it comes */
    struct consumer *to;     /* NULL: to whoever wants its topic; or only into the queue of this one        */
    uint32_t number;         /* for `to`                                                                    */
    bool events;             /* instead of all that: only into a partition                                  */
    uint8_t result;          /* out: 0, or an MQTT reason why it was refused. 0x95: the journal never takes so large a
                                message; those behind it went on                                           */
};
/* Publishes them in their order. Blocks until they are in the log (not until they are on disk), at most for a turn or two of a loop.
 * CODE_FULL: one was refused, as were all behind it; try those again, but what is too large (0x95). CODE_CLOSED: the node stops. Never from a loop's thread. */
FG_CHECK enum code consumer_publish(struct consumer *, struct consumer_word *words, size_t n,
                                    struct fault *why);
/* Blocks until what it has published so far is on disk (durability: memory: in the log), at most wait_ms: for who answers for it. CODE_AGAIN:
 * not yet, and nobody knows; CODE_IO: the journal has failed; CODE_FULL, CODE_NOMEM, CODE_CLOSED. Never from a broker's loop. */
FG_CHECK enum code consumer_settle(struct consumer *, uint32_t wait_ms, struct fault *why);
/* The same without waiting: done() is called on a loop's thread when all have their results. `words` stay the caller's and alive
 * until then. */
FG_CHECK enum code consumer_post(struct consumer *, struct consumer_word *words, size_t n,
                                 void (*done)(void *ctx), void *ctx, struct fault *why);
