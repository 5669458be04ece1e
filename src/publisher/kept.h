/* kept.h - what the publisher knows of its servers' subscriptions beyond its own end: which they are, the items' numbers, and behind
 * which value of the server each message of the outbox is. A file of records, folded by the same code when it is written and read.
 *
 * A record of a message (KEPT_WORD) is in the file before the message is in the node's log, with the message's ordinal. Whether it
 * counts is decided when the file is read, by the highest ordinal in the log: so file and log never disagree, whenever we are killed.
 *
 *   file    "FGUAPUB1", then frames                     frame   u32 length, u32 CRC-32C, record
 *   STREAM  stream, key, session                        ITEMS   stream, sub, settled, times, n items
 *   WORD    stream, ordinal, place, n last values       SAFE    stream, sub, sequence
 *   DROP    stream                                      (all little endian; the first byte is the kind)
 *
 * Pure; one thread. */
#pragma once

#include "base/bytes.h"
#include "base/buf.h"

enum { KEPT_KEY = 16, KEPT_PLACES = 1 << 20, KEPT_RECORD_MAX = 64 << 20 };
enum kept_kind { KEPT_STREAM = 1, KEPT_ITEMS, KEPT_WORD, KEPT_SAFE, KEPT_DROP };
#define KEPT_MAGIC "FGUAPUB1"

/* Behind value `index` of message `sequence` of the server's subscription `sub`. */
struct kept_place {
    uint32_t sub, sequence, index; /* index UINT32_MAX: behind all of it */
    int64_t published;             /* server's time of the message */
};
struct kept_item {
    uint32_t number; /* of the client; 0: nothing is known of this place */
    uint32_t id, queue;
    double sampling_ms;
    uint8_t key[KEPT_KEY];
    bool there; /* in the last ITEMS */
    int64_t last;
    uint64_t print;
};
struct kept {
    struct kept *next;
    uint32_t stream;
    uint8_t key[KEPT_KEY], session[KEPT_KEY];
    uint32_t sub; /* 0: none */
    bool settled; /* the items are as on the server */
    double publishing_ms;
    uint32_t keep_alive_count, lifetime_count;
    struct kept_place place;
    struct kept_item *items; /* by place: the low 20 bits of the number */
    uint32_t room;
};
struct kept_store {
    struct kept *first;
    uint32_t streams; /* the highest number */
    bool bad;         /* no memory: something is missing in it */
};

/* One record. False: it is none. */
bool kept_apply(struct kept_store *, struct bytes record);
/* The whole file; words above `published` do not count. Returns how many bytes were good: the rest is torn or damaged. */
size_t kept_read(struct kept_store *, struct bytes file, uint64_t published);
/* The shortest file that says the same. */
void kept_write(const struct kept_store *, struct buf *out);
void kept_clear(struct kept_store *);
void kept_remove(struct kept_store *, struct kept *);
struct kept *kept_find(const struct kept_store *, uint32_t stream);
struct kept *kept_by_key(const struct kept_store *, const uint8_t key[KEPT_KEY]);

/* ---- records; each adds a frame ---- */
/* Returns where the frame begins; kept_end closes it. */
size_t kept_begin(struct buf *, enum kept_kind, uint32_t stream);
void kept_end(struct buf *, size_t at);
void kept_stream(struct buf *, uint32_t stream, const uint8_t key[KEPT_KEY], const uint8_t session[KEPT_KEY]);
/* Then kept_item for each, then kept_end. */
size_t kept_items(struct buf *, const struct kept *);
void kept_item(struct buf *, const struct kept_item *);
/* `lasts`: kept_last for each. */
void kept_word(struct buf *, uint32_t stream, uint64_t ordinal, const struct kept_place *, struct bytes lasts);
void kept_last(struct buf *, uint32_t number, int64_t last, uint64_t print);
void kept_safe(struct buf *, uint32_t stream, uint32_t sub, uint32_t sequence);
void kept_drop(struct buf *, uint32_t stream);
/* The record in the frame at the front, and the length of the frame in *whole; empty: torn or damaged. */
struct bytes kept_frame(struct bytes from, size_t *whole);
/* Of a WORD; 0: of another. */
uint64_t kept_ordinal(struct bytes record);
