/* consumer_retained.c - retained messages for readers inside the node: they ask, a little at a time under the lock. */
#include "base/log.h"
#include "broker/consumer.h"
#include "broker/private.h"

enum { BATCH = 64, STEPS = 4096 };

struct found {
    struct stored  *stored;  /* one reference */
    struct message *message; /* one reference, or NULL: only the disk has it */
};

/* J. */
static size_t find(struct broker *b, struct retained_search *search, struct found *list)
{
    size_t n = 0;
    unsigned steps = STEPS;
    uint8_t qos;
    for (struct stored *st; n < BATCH && steps && (st = retained_found(&b->retained, search, &steps, &qos));) {
        struct message *m = stored_message(st);
        list[n++] = (struct found){ stored_hold(st), m ? message_hold(m) : NULL };
    }
    return n;
}

static void give(struct broker *b, struct found *f, void (*each)(void *ctx, struct message *), void *ctx)
{
    const struct io *io = b->config.io;
    struct fault why;
    int64_t now = io->monotonic_us(io->self);
    if (!f->message && journal_read(b->journal, f->stored, now, &f->message, &why) != CODE_OK) {
        log_error("broker", "FG7011 a retained message could not be read back: %s", why.text);
        f->message = NULL;
        return;
    }
    if (!f->message->expires_us || f->message->expires_us > now)
        each(ctx, f->message);
}

void consumer_retained(struct consumer *c, struct bytes filter, void (*each)(void *ctx, struct message *), void *ctx)
{
    struct broker *b = consumer_broker(c);
    struct retained_search search;
    struct found list[BATCH];
    retained_search(&search, filter);
    while (!search.over) {
        journal_lock(b->journal);
        size_t n = find(b, &search, list);
        journal_unlock(b->journal);
        for (size_t i = 0; i < n; i++)
            give(b, &list[i], each, ctx);
        journal_lock(b->journal);
        for (size_t i = 0; i < n; i++)
            stored_drop(list[i].stored);
        journal_unlock(b->journal);
        for (size_t i = 0; i < n; i++)
            message_drop(list[i].message);
    }
    journal_lock(b->journal);
    retained_search_end(&b->retained, &search);
    journal_unlock(b->journal);
}
