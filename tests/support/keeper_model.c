#include "support/keeper_model.h"

#include "support/random.h"

#include <stdlib.h>

#define FIRST_WALL_US INT64_C(1767225600000000)

static void *grown(void *array, size_t each, size_t count, size_t *cap)
{
    if (count < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 64;
    array = realloc(array, each * *cap);
    if (!array)
        abort();
    return array;
}

static void numbers_add(struct numbers *n, uint64_t number)
{
    n->at = grown(n->at, sizeof *n->at, n->count, &n->cap);
    n->at[n->count++] = number;
}

static void numbers_remove(struct numbers *n, uint64_t number)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->at[i] == number) {
            memmove(&n->at[i], &n->at[i + 1], (--n->count - i) * sizeof *n->at);
            return;
        }
}

bool numbers_has(const struct numbers *n, uint64_t number)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->at[i] == number)
            return true;
    return false;
}

void model_free(struct model *m)
{
    free(m->kept.at);
    for (unsigned p = 0; p < KEEPER_PARTITIONS; p++)
        free(m->partitions[p].at);
    free(m->row);
}

void model_branch(struct model *m, uint64_t from, uint64_t epoch)
{
    while (m->branch_count > 0 && m->branches[m->branch_count - 1].from >= from)
        m->branch_count--;
    FG_ASSERT(m->branch_count < BRANCHES_MAX);
    m->branches[m->branch_count++] = (struct branch){from, epoch};
    if (m->known > from)
        m->known = from;
    if (m->done > from)
        model_go(m, from);
}

static uint64_t epoch_of(const struct model *m, uint64_t number)
{
    for (size_t i = m->branch_count; i > 0; i--)
        if (number > m->branches[i - 1].from)
            return m->branches[i - 1].epoch;
    return 0;
}

static uint32_t some_length(struct random *r, uint32_t max)
{
    if (random_chance(r, 70))
        return (uint32_t)random_below(r, 200);
    return (uint32_t)random_below(r, random_chance(r, 80) ? max : 10 * max);
}

/* From the seed, the number and the state in front of it. */
static struct keeper_op make_op(const struct model *m)
{
    struct keeper_op op = {.number = m->done + 1, .partition = JOURNAL_NO_PARTITION};
    op.epoch = epoch_of(m, op.number);
    op.wall_us = FIRST_WALL_US + (int64_t)op.number * 1000;
    struct random r = {random_mix(random_mix(m->seed, op.epoch), op.number)};
    op.more = !m->opt.no_batches && !m->open_batch && random_chance(&r, 8);
    unsigned drop = m->kept.count > m->opt.kept_max ? 60 : m->kept.count > 0 ? 20 : 0;
    if (random_chance(&r, drop)) {
        op.kind = DO_DROP;
        op.target = m->kept.at[random_below(&r, m->kept.count)];
    } else if (random_chance(&r, 20)) {
        op.kind = DO_ADD;
    } else {
        op.kind = DO_MESSAGE;
        op.keep = random_chance(&r, 50);
        if (random_chance(&r, m->opt.partitioned)) {
            op.partition = (uint32_t)random_below(&r, KEEPER_PARTITIONS);
            op.partition_seq = m->partitions[op.partition].count;
        }
        op.payload_len = some_length(&r, m->opt.payload_max);
    }
    return op;
}

static void apply(struct model *m, const struct keeper_op *op)
{
    m->done = op->number;
    m->open_batch = op->more;
    switch (op->kind) {
    case DO_MESSAGE:
        if (op->keep)
            numbers_add(&m->kept, op->number);
        if (op->partition != JOURNAL_NO_PARTITION)
            numbers_add(&m->partitions[op->partition], op->number);
        break;
    case DO_DROP: numbers_remove(&m->kept, op->target); break;
    case DO_ADD: m->counter += op->number; break;
    }
}

const struct keeper_op *model_op(struct model *m, uint64_t n)
{
    FG_ASSERT(n > 0 && n <= m->known + 1);
    if (n > m->known) {
        if (m->done != n - 1)
            model_go(m, n - 1);
        m->row = grown(m->row, sizeof *m->row, n, &m->row_cap);
        m->row[n] = make_op(m);
        m->known = n;
    }
    return &m->row[n];
}

void model_go(struct model *m, uint64_t n)
{
    if (n < m->done) {
        m->done = m->counter = m->kept.count = 0;
        m->open_batch = false;
        for (unsigned p = 0; p < KEEPER_PARTITIONS; p++)
            m->partitions[p].count = 0;
    }
    while (m->done < n)
        apply(m, model_op(m, m->done + 1));
}

static uint64_t word_of(const struct model *m, const struct keeper_op *op)
{
    return random_mix(random_mix(m->seed, op->epoch + 77), op->number);
}

void model_payload(const struct model *m, const struct keeper_op *op, uint8_t *to)
{
    uint64_t word = word_of(m, op);
    for (uint32_t i = 0; i < op->payload_len; i += sizeof word, word++)
        memcpy(to + i, &word, op->payload_len - i < sizeof word ? op->payload_len - i : sizeof word);
}

bool model_payload_is(const struct model *m, const struct keeper_op *op, struct bytes have)
{
    uint64_t word = word_of(m, op);
    if (have.len != op->payload_len)
        return false;
    for (uint32_t i = 0; i < op->payload_len; i += sizeof word, word++)
        if (memcmp(have.at + i, &word, have.len - i < sizeof word ? have.len - i : sizeof word) != 0)
            return false;
    return true;
}
