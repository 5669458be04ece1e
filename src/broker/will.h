/* will.h - a client's last message, from its CONNECT until it is published or withdrawn. J, C and the locks: private.h. */
#pragma once

#include "message/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct shard;

/* A will lives in the journal from CONNECT until it is published or withdrawn, whatever kind its session is. */
struct will {
    uint64_t        id;         /* C */
    uint64_t        session_id; /* C */
    uint32_t        delay_s;    /* C */
    struct message *message;    /* C */
    int64_t         due_us;     /* registry: 0 = its connection lives */
    bool            withdrawn;  /* registry: must not be published; only its record is still missing */
    struct will    *prev, *next;/* J */
};
void         will_link(struct broker *, struct will *);   /* J */
struct will *will_by_id(struct broker *, uint64_t id); /* J */
void         will_unlink(struct broker *, struct will *); /* J; frees */
/* Registry held, J: clears the will, now or as soon as the log has room. *seq (may be NULL): the record, if there is one. */
void will_withdraw(struct broker *, struct will *, int64_t now, uint64_t *seq);

/* ---- will.c ---- */
/* Publishes a will outside a client's flow, if it is still there. No lock held. */
void shard_publish_will(struct shard *, uint64_t will_id);
/* Several, in the order in which they were made: of two of one client the later one must not overtake. Sorts `ids`. */
void shard_publish_wills(struct shard *, uint64_t *ids, size_t n);
