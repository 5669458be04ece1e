/* retained_sweep.c - a retained message whose time is over is no longer there (3.3.1.3): it must not take the place of another
 * (L-RETAIN), nor be carried forward on disk for ever.
 *
 * Shard 0 goes round all of them, some in each second. Who has no expiry interval is looked at once.
 */
#include "broker/private.h"

/* Of each second: what is passed, which is short under the lock, and what is read from disk to see whether it expires. */
enum { LOOKS = 1024, READS = 64 };

/* NULL: it cannot be read now; the next round asks again. The lock is let go meanwhile. */
static struct message *read_unlocked(struct shard *shard, struct stored *st)
{
    struct journal *j = shard->broker->journal;
    struct message *m = NULL;
    struct fault why;
    journal_unlock(j);
    if (journal_read(j, st, loop_now_us(shard->loop), &m, &why) != CODE_OK)
        m = NULL; /* who asks for it hears of it */
    journal_lock(j);
    return m;
}

static void judge(struct shard *shard, struct stored *st, struct bytes topic, const struct message *m)
{
    struct broker *b = shard->broker;
    if (m->expires_us == 0)
        retained_lasts(&b->retained, st);
    else if (m->expires_us <= loop_now_us(shard->loop) && retained_get(&b->retained, topic, NULL) == st &&
             fold_retained_over(b, topic, NULL) == CODE_OK) /* without room for the record it stays */
        COUNT(shard, retained_expired, 1);
}

void retained_second(struct shard *shard)
{
    struct broker *b = shard->broker;
    unsigned looks = LOOKS, reads = READS;
    struct buf topic = { 0 };
    struct stored *st;
    journal_lock(b->journal);
    while (reads && (st = retained_sweep(&b->retained, &topic, &looks)) && !topic.bad) {
        struct message *m = stored_message(st) ? message_hold(stored_message(st)) : NULL;
        stored_hold(st);
        if (!m) {
            reads--;
            m = read_unlocked(shard, st);
        }
        if (m)
            judge(shard, st, buf_bytes(&topic), m);
        message_drop(m);
        stored_drop(st);
    }
    journal_unlock(b->journal);
    journal_kick(b->journal);
    buf_clear(&topic);
}
