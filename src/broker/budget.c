#include "broker/budget.h"

#include "base/limits_use.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/private.h"

#include <inttypes.h>

enum {
    EACH = 8,               /* this part of what is free of a share is for one of those who have a part in it */
    TURN = 16,              /* this part of the memory is what all loops write in a turn                      */
    QUEUES = 3,             /* into this many                                                                 */
    QUEUES_OF = 4,          /* of this many parts of the memory a queue may double: the heap keeps what it had before */
    SPARE = 8,              /* this part is kept free for what is under way when publishers are stopped       */
    WEIGH_US = 100000       /* not more often: it takes the heap's locks                                      */
};

static uint64_t memory_of(const struct broker *b)
{
    return limits_of(b)->memory_bytes;
}

static uint64_t share_of(const struct shard *shard, enum budget_share part)
{
    return memory_of(shard->broker) / part / shard->broker->config.loop_count;
}

static uint64_t used_by(const struct shard *shard)
{
    return loop_backlog(shard->loop) + (message_bytes_in_use() + queue_bytes_in_use()) / shard->broker->config.loop_count;
}

bool budget_spent(const struct shard *shard, enum budget_share part, uint64_t holds)
{
    uint64_t share = share_of(shard, part), used = used_by(shard);
    return used >= share || holds > (share - used) / EACH;
}

static uint64_t counted(const struct broker *b)
{
    uint64_t all = message_bytes_in_use() + queue_bytes_in_use();
    for (unsigned i = 0; i < b->shard_count; i++)
        all += atomic_load_explicit(&b->shards[i].budget.output, memory_order_relaxed);
    return all;
}

static uint64_t estimate(const struct broker *b)
{
    return counted(b) + atomic_load_explicit(&b->budget.uncounted, memory_order_relaxed);
}

bool budget_has_for_queue(const struct shard *shard, uint64_t bytes)
{
    struct broker *b = shard->broker;
    uint64_t use = estimate(b), most = memory_of(b) / QUEUES_OF * QUEUES;
    if (use + bytes <= most)
        return true;
    limits_refused(LIMIT_MEMORY_BYTES);
    if (!atomic_exchange(&b->budget.told, true))
        log_warn("broker", "FG2051 messages are refused: the node uses %" PRIu64 " bytes of memory, and a session's queue needs %" PRIu64
                 " more; queues grow up to %" PRIu64 ", three quarters of limits.memory-bytes", use, bytes, most);
    return false;
}

static uint64_t weigh(struct broker *b, int64_t now_us)
{
    uint64_t in_use = mem_in_use(), known = counted(b), rest = in_use > known ? in_use - known : 0;
    atomic_store_explicit(&b->budget.uncounted, rest, memory_order_relaxed);
    atomic_store_explicit(&b->budget.weighed_us, now_us, memory_order_relaxed);
    return known + rest;
}

/* Only ever stops publishers: budget_second lets them go on, so that the log has one line a second at most. */
void budget_look(struct shard *shard)
{
    struct broker *b = shard->broker;
    uint64_t limit = memory_of(b);
    int64_t now = loop_now_us(shard->loop);
    atomic_store_explicit(&shard->budget.output, loop_backlog(shard->loop), memory_order_relaxed);
    shard->budget.taken = 0;
    if (atomic_load_explicit(&b->admit.over_memory, memory_order_relaxed))
        return;
    uint64_t use = estimate(b);
    if (use <= limit / 4 * 3)
        return;
    if (now - atomic_load_explicit(&b->budget.weighed_us, memory_order_relaxed) >= WEIGH_US)
        use = weigh(b, now);
    if (use > limit - limit / SPARE)
        admit_weigh(&b->admit, limits_of(b), use, limit / SPARE);
}

void budget_turn_ends(struct shard *shard)
{
    shard->budget.lent = 0;
    shard->budget.turn_max = memory_of(shard->broker) / TURN / shard->broker->config.loop_count;
    shard->budget.scarce = used_by(shard) > share_of(shard, BUDGET_WAITING) / 2;
    budget_look(shard);
}

void budget_second(struct shard *shard)
{
    struct broker *b = shard->broker;
    uint64_t use = weigh(b, loop_now_us(shard->loop)), spare = memory_of(b) / SPARE;
    atomic_store(&b->budget.told, false);
    bool over = atomic_load_explicit(&b->admit.over_memory, memory_order_relaxed);
    admit_weigh(&b->admit, limits_of(b), use, over ? spare + spare / 4 : spare); /* or they would stop and go every second */
}
