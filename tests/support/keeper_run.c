#include "support/keeper_private.h"

#include "support/random.h"

#include <inttypes.h>

enum { OPEN_TRIES = 4, SETTLE_STEPS = 50 };

/* False when it cannot be opened at all. */
static bool open_somehow(struct keeper *k, const struct io *io)
{
    struct fault why = {0};
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        enum code code = keeper_open(k, io, &why);
        if (code == CODE_OK)
            return true;
        if (code != CODE_NOMEM && code != CODE_IO && code != CODE_FULL) { /* these are the world's */
            keeper_wrong(k, "the journal cannot be opened: %s: %s", code_name(code), why.text);
            return false;
        }
    }
    return false;
}

static bool reopen(struct keeper *k, struct memfs *fs, bool cleanly)
{
    if (cleanly)
        keeper_close(k);
    else
        keeper_abandon(k);
    memfs_advance(fs, 1000000);
    return open_somehow(k, memfs_io(fs));
}

/* The journal's lock is never held across a system call, so at each of them somebody else may come in
 * between. */
static void come_between(void *ctx, enum memfs_call call)
{
    struct keeper *k = ctx;
    (void)call;
    if (k->company && random_chance(&k->dice, 15))
        (void)keeper_do(k, 1 + (unsigned)random_below(&k->dice, 3), NULL);
}

static void step(struct keeper *k)
{
    k->company = true;
    keeper_step(k);
    k->company = false;
}

static void settle(struct keeper *k)
{
    k->company = random_chance(&k->dice, 50);
    keeper_settle(k, SETTLE_STEPS);
    k->company = false;
}

const char *keeper_live(struct keeper *k, struct memfs *fs, unsigned rounds)
{
    struct random r = {random_mix(k->model.seed, 1000)};
    k->dice = (struct random){random_mix(k->model.seed, 2000)};
    memfs_set_visit(fs, come_between, k);
    bool open = open_somehow(k, memfs_io(fs));
    for (unsigned i = 0; i < rounds && open && !k->wrong[0]; i++) {
        (void)keeper_do(k, 1 + (unsigned)random_below(&r, 9), NULL); /* a refusal is an answer, too */
        if (random_chance(&r, 70))
            step(k);
        if (random_chance(&r, 10))
            settle(k);
        memfs_advance(fs, (int64_t)random_below(&r, 2000000));
        if (random_chance(&r, 5))
            (void)keeper_check(k);
        if (random_chance(&r, 4))
            open = reopen(k, fs, random_chance(&r, 50));
    }
    if (open && !k->wrong[0])
        (void)keeper_check(k);
    if (random_chance(&r, 50))
        keeper_close(k);
    else
        keeper_abandon(k);
    memfs_set_visit(fs, NULL, NULL);
    return k->wrong[0] ? k->wrong : NULL;
}

static const char *open_strictly(struct keeper *k, const struct io *io, const char *when)
{
    struct fault why = {0};
    if (keeper_open(k, io, &why) != CODE_OK)
        return keeper_wrong(k, "%s the journal cannot be opened: %s: %s", when, code_name(why.code),
                            why.text);
    return keeper_check(k);
}

static const char *work_on(struct keeper *k, unsigned operations)
{
    struct fault why = {0};
    if (keeper_do(k, operations, &why) != CODE_OK)
        return keeper_wrong(k, "after the crash operation %" PRIu64 " is refused: %s", keeper_done(k) + 1,
                            why.text);
    keeper_settle(k, SETTLE_STEPS);
    if (keeper_acked(k) != keeper_done(k))
        return keeper_wrong(k, "after the crash operation %" PRIu64 " does not become durable",
                            keeper_done(k));
    return keeper_check(k);
}

static const char *verify(struct keeper *k, struct memfs *disk, struct random *r)
{
    const struct io *io = memfs_io(disk);
    const char *what = open_strictly(k, io, "after the crash");
    if (!what)
        what = work_on(k, 1 + (unsigned)random_below(r, 40));
    bool clean = random_chance(r, 50);
    if (!what && clean)
        keeper_close(k);
    else
        keeper_abandon(k);
    memfs_advance(disk, 1000000);
    bool outside = random_chance(r, 20); /* it reads every byte, which takes its time */
    if (!what && outside)
        what = keeper_check_offline(k, io);
    if (!what)
        what = open_strictly(k, io, clean ? "after a clean stop" : "after a kill");
    keeper_close(k);
    return what || !outside ? what : keeper_check_offline(k, io);
}

const char *keeper_verify(uint64_t seed, const struct keeper_options *options, struct memfs *disk,
                          struct crash_marks marks, struct crash *rec, char *text, size_t cap)
{
    struct keeper *k = keeper_new(seed, options, rec);
    keeper_recall(k, marks);
    struct random r = {random_mix(seed, marks.count)};
    const char *what = verify(k, disk, &r);
    if (what)
        snprintf(text, cap, "%s", what);
    keeper_free(k);
    return what ? text : NULL;
}
