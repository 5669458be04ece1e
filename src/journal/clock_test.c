/* Tests of how long ago a record came: the wall clock jumps, the age of a message does not. */
#include "journal/journal_test_rig.h"

#define S INT64_C(1000000)
#define HOUR (3600 * S)
#define YEAR (INT64_C(365) * 24 * HOUR)

enum { EXPIRY_S = 1000000 };

/* A kept message whose age can be asked for. */
static uint64_t message(struct rig *r)
{
    struct message_parts parts = {.qos = 1,
                                  .topic = BYTES_LIT("t"),
                                  .expires = true,
                                  .expiry_s = EXPIRY_S,
                                  .wall_us = rig_wall(r),
                                  .now_us = 1};
    struct message *m = message_new(&parts);
    uint8_t mark = 1;
    struct record_in in = {.type = RECORD_MESSAGE,
                           .partition = JOURNAL_NO_PARTITION,
                           .wall_us = rig_wall(r),
                           .payload = m->encoded,
                           .keep = true,
                           .meta = bytes_of(&mark, 1)};
    struct record_out out;
    journal_lock(r->j);
    assert_int_equal(journal_append(r->j, &in, &out, &r->why), CODE_OK);
    r->kept[r->kept_count++] = out.stored;
    journal_unlock(r->j);
    message_drop(m);
    return out.seq;
}

/* In seconds, by what is left of its life. */
static int64_t age_of(struct rig *r, uint64_t id)
{
    struct message *m;
    int64_t now = 2 * EXPIRY_S * S;
    assert_int_equal(journal_read(r->j, rig_find(r, id), now, &m, &r->why), CODE_OK);
    int64_t left = m->expires_us - now;
    message_drop(m);
    return (EXPIRY_S * S - left + S / 2) / S;
}

static void jump(struct rig *r, int64_t by_us)
{
    memfs_set_wall(r->fs, rig_wall(r) + by_us);
}

static const int64_t jumps[] = {HOUR, -HOUR, 3 * YEAR, -3 * YEAR, -INT64_C(1789999000000000), INT64_C(1789999000000000), 30 * S};
enum { JUMPS = sizeof jumps / sizeof jumps[0] };

/* A message, a jump, a message, two minutes, a message, ... */
static void a_jump_makes_no_message_older_or_younger(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    uint64_t ids[3 * JUMPS];
    int n = 0;
    rig_must_open(r);
    for (int i = 0; i < JUMPS; i++) {
        ids[n++] = message(r);
        jump(r, jumps[i]);
        ids[n++] = message(r);
        memfs_advance(r->fs, 60 * S);
        rig_settle(r);
        ids[n++] = message(r);
        memfs_advance(r->fs, 60 * S);
        rig_settle(r);
    }
    for (int restart = 0; restart < 3; restart++) {
        for (int i = 0; i < n; i++) {
            int64_t want = 120 * (JUMPS - i / 3) - (i % 3 == 2 ? 60 : 0);
            assert_in_range(age_of(r, ids[i]) + 2, want + 1, want + 3);
        }
        if (restart)
            rig_kill(r);
        else
            rig_close(r);
        rig_must_open(r);
    }
    rig_free(r);
}

/* The clock is set while nothing happens: at the next start that is not taken for time without power. */
static void a_jump_in_the_quiet_is_known_after_a_crash(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    uint64_t id = message(r);
    rig_settle(r);
    jump(r, HOUR);
    memfs_advance(r->fs, 10 * S);
    rig_settle(r);
    rig_kill(r);
    memfs_advance(r->fs, 50 * S);
    rig_must_open(r);
    assert_in_range(age_of(r, id), 59, 61);
    rig_free(r);
}

static void it_is_as_old_when_it_was_carried_forward(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    uint64_t id = message(r);
    memfs_advance(r->fs, 100 * S);
    jump(r, -HOUR);
    for (int i = 0; i < 1200; i++) {
        assert_int_equal(rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL), CODE_OK);
        if (i % 30 == 0)
            rig_settle(r);
        if (i % 300 == 299)
            jump(r, i % 600 == 299 ? HOUR : -HOUR);
        memfs_advance(r->fs, S / 10);
    }
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_true(stats.moved_frames > 1);
    assert_in_range(age_of(r, id), 219, 221);
    memfs_advance(r->fs, 60 * S);
    rig_settle(r); /* the last jump is on disk */
    rig_kill(r);
    rig_must_open(r);
    assert_in_range(age_of(r, id), 279, 281);
    rig_free(r);
}

/* What a clock that is set every second costs is a segment a minute. */
static void a_clock_that_is_set_to_and_fro_takes_no_disk(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct journal_stats before, after;
    rig_must_open(r);
    (void)rig_note(r, "n", 0);
    rig_settle(r);
    journal_stats(r->j, &before);
    uint64_t first = r->j->active->number;
    for (int i = 0; i < 300; i++) {
        jump(r, i % 2 ? 5 * S : -5 * S);
        (void)rig_note(r, "n", 0);
        rig_settle(r);
        memfs_advance(r->fs, S);
    }
    journal_stats(r->j, &after);
    assert_in_range(r->j->active->number - first, 2, 6);
    assert_true(after.segments <= before.segments + 4);
    rig_free(r);
}

/* The room that is left belongs to those who win some back. */
static void a_jump_closes_nothing_on_a_full_disk(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    (void)rig_note(r, "n", 0);
    rig_settle(r);
    r->j->stuck = true;
    jump(r, HOUR);
    (void)rig_note(r, "n", 0);
    assert_false(r->j->active->sealed);
    r->j->stuck = false;
    jump(r, HOUR);
    (void)rig_note(r, "n", RECORD_MORE); /* begins a batch, in the next segment */
    uint64_t at = r->j->active->number;
    memfs_advance(r->fs, 100 * S);
    jump(r, HOUR);
    (void)rig_note(r, "n", 0); /* and ends it there */
    assert_int_equal(r->j->active->number, at);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jump_makes_no_message_older_or_younger),
        cmocka_unit_test(a_jump_in_the_quiet_is_known_after_a_crash),
        cmocka_unit_test(it_is_as_old_when_it_was_carried_forward),
        cmocka_unit_test(a_clock_that_is_set_to_and_fro_takes_no_disk),
        cmocka_unit_test(a_jump_closes_nothing_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
