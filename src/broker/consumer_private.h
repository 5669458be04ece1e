/* consumer_private.h - what the turn, the fold and the queues tell readers inside the node (consumer.h). J: private.h. */
#pragma once

#include "broker/consumer.h"
#include "broker/session.h"

struct op;

/* ---- consumer.c ---- */
struct broker *consumer_broker(const struct consumer *);
void consumer_came(struct session *); /* J: something was put into its queue */
void consumer_went(struct session *); /* J: something is done with; afterwards, unlocked: share_settle */
bool consumer_full(const struct session *, size_t bytes); /* J */
void consumers_tell(struct broker *); /* not locked: those for whom something came */
/* Of an operation with a batch. */
void            consumer_word_done(const struct op *);
uint8_t         consumer_word_refused(const struct op *); /* one before it was: the reason, or 0 */
void            consumer_word_refuse(const struct op *, uint8_t reason);
struct session *consumer_word_from(const struct op *, uint64_t *ordinal);
