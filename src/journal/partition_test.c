/* Tests of partitions: reading, finding by time, retention, lost index files, damage. */
#include "journal/journal_test_rig.h"

#define HOUR (INT64_C(3600) * 1000000)

/* n messages of `len` bytes "m<k>", a second apart, in partition k % 4, k from `from` on. */
static void fill(struct rig *r, int from, int n, size_t len)
{
    char text[32];
    for (int k = from; k < from + n; k++) {
        snprintf(text, sizeof text, "m%d", k);
        if (rig_message(r, text, len, (uint32_t)k % 4, false, NULL) != CODE_OK)
            fail_msg("%s", r->why.text);
        memfs_advance(r->fs, 1000000);
        if (k % 5 == 0)
            journal_step(r->j);
    }
    rig_settle(r);
}

static uint64_t first_of(struct rig *r, uint32_t partition)
{
    uint64_t first, next;
    journal_partition_range(r->j, partition, &first, &next);
    return first;
}

static uint64_t next_of(struct rig *r, uint32_t partition)
{
    uint64_t first, next;
    journal_partition_range(r->j, partition, &first, &next);
    return next;
}

/* "m3" is at 0, "m7" at 1 and so on: all of partition 3 from `from` to `next`. */
static void assert_complete(struct rig *r, uint64_t from)
{
    for (uint32_t p = 0; p < 4; p++) {
        char want[64];
        struct rig_heard h;
        for (uint64_t at = from; at < next_of(r, p);) {
            uint64_t next;
            h = (struct rig_heard){.most = 50};
            assert_int_equal(journal_partition_read(r->j, p, at, 20000, rig_listen, &h, &next, &r->why),
                             CODE_OK);
            assert_true(next > at && next <= at + 50);
            const char *text = h.text;
            for (; at < next; at++) {
                size_t n = (size_t)snprintf(want, sizeof want, "%d:m%d ", (int)at, (int)(at * 4 + p));
                assert_memory_equal(text, want, n);
                text += n;
            }
            assert_string_equal(text, "");
        }
    }
}

static void records_are_seen_when_they_are_durable_and_not_before(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h;
    rig_must_open(r);
    (void)rig_message(r, "a", 0, 2, false, NULL);
    assert_string_equal(rig_partition(r, 2, 0, &h), "");
    assert_int_equal(next_of(r, 2), 0);
    journal_step(r->j);
    assert_string_equal(rig_partition(r, 2, 0, &h), "0:a ");
    (void)rig_message(r, "b", 0, 2, false, NULL);
    assert_string_equal(rig_partition(r, 2, 0, &h), "0:a ");
    journal_step(r->j);
    assert_string_equal(rig_partition(r, 2, 1, &h), "1:b ");
    assert_string_equal(rig_partition(r, 2, 2, &h), "");
    assert_string_equal(rig_partition(r, 2, 99, &h), "");
    assert_string_equal(rig_partition(r, 1, 0, &h), "");
    rig_free(r);
}

static void reading_goes_across_segments_and_stops_when_told(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    fill(r, 0, 700, 500);
    assert_complete(r, 0);
    struct rig_heard h = {.most = 3};
    uint64_t next;
    assert_int_equal(journal_partition_read(r->j, 1, 10, 1u << 30, rig_listen, &h, &next, NULL), CODE_OK);
    assert_string_equal(h.text, "10:m41 11:m45 12:m49 ");
    assert_int_equal(next, 13);
    h = (struct rig_heard){.most = 100};
    assert_int_equal(journal_partition_read(r->j, 1, 10, 0, rig_listen, &h, &next, NULL), CODE_OK);
    assert_string_equal(h.text, "10:m41 "); /* always at least one */
    rig_free(r);
}

static void partitions_are_the_same_after_any_restart(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    fill(r, 0, 400, 500);
    for (int i = 0; i < 4; i++) {
        if (i % 2)
            rig_close(r);
        else
            rig_kill(r);
        assert_int_equal(rig_check(r, NULL).errors, 0);
        rig_must_open(r);
        assert_int_equal(next_of(r, 0), 100 + i * 10);
        assert_complete(r, 0);
        fill(r, 400 + i * 40, 40, 500);
    }
    rig_free(r);
}

static void lost_or_damaged_index_files_cost_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    fill(r, 0, 700, 500);
    assert_true(memfs_exists(r->fs, "/data/journal/0000000000000002.idx"));
    rig_close(r);
    const struct io *io = r->opt.io;
    assert_int_equal(io->unlink(io->self, "/data/journal/0000000000000001.idx"), 0);
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000002.idx", 70, 4));  /* the table   */
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000003.idx", 400, 4)); /* the offsets */
    int file = io->open(io->self, "/data/journal/0000000000000004.idx", IO_WRITE);
    assert_int_equal(io->truncate(io->self, file, 100), 0);
    io->close(io->self, file);
    assert_true(rig_check(r, NULL).remarks >= 3);
    rig_must_open(r);
    assert_complete(r, 0);
    rig_settle(r);
    rig_close(r);
    struct rig_findings f = rig_check(r, NULL);
    assert_int_equal(f.errors, 0);
    assert_int_equal(f.remarks, 0); /* made again */
    rig_must_open(r);
    assert_complete(r, 0);
    rig_free(r);
}

/* ---- time ---- */

static uint64_t find(struct rig *r, uint32_t partition, int64_t wall_us)
{
    uint64_t seq = 12345;
    assert_int_equal(journal_partition_find_time(r->j, partition, wall_us, &seq, &r->why), CODE_OK);
    return seq;
}

static void a_record_is_found_by_its_time(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    int64_t began = rig_wall(r);
    fill(r, 0, 3000, 200); /* partition 2 has m2, m6 ...: seconds 2, 6 ... */
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(find(r, 2, 0), 0);
        assert_int_equal(find(r, 2, began + 2 * 1000000), 0);
        assert_int_equal(find(r, 2, began + 2 * 1000000 + 1), 1);
        for (int64_t k = 0; k < 750; k += 7)
            assert_int_equal(find(r, 2, began + (4 * k + 2) * 1000000), k);
        assert_int_equal(find(r, 2, began + 2998 * INT64_C(1000000)), 749);
        assert_int_equal(find(r, 2, began + 2998 * INT64_C(1000000) + 1), 750);
        assert_int_equal(find(r, 2, INT64_MAX), 750);
        assert_int_equal(find(r, 2, INT64_MIN), 0);
        rig_close(r);
        rig_must_open(r);
    }
    rig_free(r);
}

static void a_clock_that_jumps_hides_and_blocks_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    int64_t began = rig_wall(r);
    fill(r, 0, 40, 200);                      /* seconds 0..39                         */
    memfs_set_wall(r->fs, began + 24 * HOUR); /* a jump ahead, a day                   */
    fill(r, 40, 40, 200);
    memfs_set_wall(r->fs, began + 50 * 1000000); /* and back                            */
    fill(r, 80, 40, 200);                        /* seconds 50..89                        */
    assert_int_equal(find(r, 0, began + 20 * INT64_C(1000000)), 5);
    /* Of what is not before second 60 the first in order of sequence is the one of the day ahead. */
    assert_int_equal(find(r, 0, began + 60 * INT64_C(1000000)), 10);
    assert_int_equal(find(r, 0, began + 24 * HOUR + 20 * 1000000), 15);
    assert_int_equal(find(r, 0, began + 25 * HOUR), 30);
    assert_complete(r, 0);
    rig_kill(r);
    rig_must_open(r);
    assert_int_equal(find(r, 0, began + 60 * INT64_C(1000000)), 10);
    assert_complete(r, 0);
    rig_free(r);
}

static void what_a_clock_that_was_ahead_left_behind_it_is_found_by_whole_segments(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    int64_t began = rig_wall(r);
    fill(r, 0, 400, 500); /* partition 0: 0 to 99; a segment holds about 25 of them */
    memfs_set_wall(r->fs, began + 24 * HOUR);
    fill(r, 400, 400, 500); /* 100 to 199 */
    memfs_set_wall(r->fs, began + 400 * INT64_C(1000000));
    fill(r, 800, 400, 500); /* 200 to 299, as if nothing had been */
    for (int restart = 0; restart < 2; restart++) {
        uint64_t at = 100, steps = 0;
        for (; at < 200; steps++)
            at = journal_partition_find_before(r->j, 0, at, began + HOUR);
        assert_int_equal(at, 200);
        assert_true(steps < 80); /* the segments where the clock jumped have to be looked through */
        assert_int_equal(journal_partition_find_before(r->j, 0, 150, began + 24 * HOUR), at);
        assert_int_equal(journal_partition_find_before(r->j, 0, 150, began + 400 * INT64_C(1000000)), 300);
        assert_int_equal(journal_partition_find_before(r->j, 0, 299, INT64_MAX), 300);
        rig_kill(r);
        rig_must_open(r);
    }
    rig_free(r);
}

/* ---- retention ---- */

/* Lets retention run at the moment when a reader has let one segment go and has not taken the next. */
struct between {
    struct io io;
    struct rig *rig;
    bool armed;
    uint64_t heard, lost;
};

static struct between between;

static void close_and_expire(void *self, int file)
{
    struct rig *r = between.rig;
    memfs_io(r->fs)->close(self, file);
    if (!between.armed || between.heard < 300) /* the first ones stay open */
        return;
    between.armed = false;
    rig_settle(r);
    between.armed = first_of(r, 0) <=
                    between.heard; /* that was an index file, and the segment still in use */
}

static bool count_heard(void *ctx, const struct record *rec)
{
    (void)ctx;
    between.heard++;
    between.lost += rec->type == 0;
    return true;
}

static void what_retention_gives_up_before_a_reader_is_not_told_as_lost(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    between = (struct between){.io = *memfs_io(r->fs), .rig = r};
    between.io.close = close_and_expire;
    r->opt.io = &between.io;
    r->opt.keep_us = 2 * HOUR;
    rig_must_open(r);
    fill(r, 0, 3000, 1000); /* 50 minutes; more segments than there are open files */
    rig_settle(r);
    memfs_advance(r->fs, HOUR - HOUR / 3);
    rig_settle(r);
    assert_int_equal(first_of(r, 0), 0);
    memfs_advance(r->fs, HOUR);
    between.armed = true;
    uint64_t next;
    assert_int_equal(journal_partition_read(r->j, 0, 0, SIZE_MAX, count_heard, NULL, &next, NULL), CODE_OK);
    assert_false(between.armed);
    assert_int_equal(next, 750);
    assert_true(between.heard < 700); /* it did give up some */
    assert_int_equal(between.lost, 0);
    rig_free(r);
}

static void old_records_go_and_the_counters_stay(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.keep_us = HOUR;
    rig_must_open(r);
    fill(r, 0, 600, 1000); /* ten minutes */
    assert_int_equal(first_of(r, 1), 0);
    memfs_advance(r->fs, HOUR - 10 * 60 * INT64_C(1000000) + 30 * 1000000);
    rig_settle(r);
    assert_int_equal(first_of(r, 1), 0); /* the first segment was closed a minute after its first record */
    memfs_advance(r->fs, 90 * 1000000);
    rig_settle(r);
    uint64_t first = first_of(r, 1);
    assert_true(first > 10 && first < 60);
    assert_complete(r, first + 1);
    memfs_advance(r->fs, 3 * HOUR);
    rig_settle(r); /* also the segment that was not full */
    memfs_advance(r->fs, 3 * HOUR);
    rig_settle(r);
    for (uint32_t p = 0; p < 4; p++) {
        assert_int_equal(first_of(r, p), 150);
        assert_int_equal(next_of(r, p), 150);
    }
    for (int i = 0; i < 3; i++) {
        if (i % 2)
            rig_close(r);
        else
            rig_kill(r);
        assert_int_equal(rig_check(r, NULL).errors, 0);
        rig_must_open(r);
        assert_int_equal(first_of(r, 2), 150 + i);
        assert_int_equal(next_of(r, 2), 150 + i);
        assert_int_equal(rig_message(r, "again", 0, 2, false, NULL), CODE_OK);
        rig_settle(r);
        struct rig_heard h;
        char want[32];
        snprintf(want, sizeof want, "%d:again ", 150 + i);
        assert_string_equal(rig_partition(r, 2, 0, &h), want);
        memfs_advance(r->fs, 2 * HOUR);
        rig_settle(r);
        memfs_advance(r->fs, 2 * HOUR);
        rig_settle(r);
    }
    rig_free(r);
}

static void a_clock_set_ahead_or_back_deletes_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.keep_us = HOUR;
    rig_must_open(r);
    fill(r, 0, 400, 1000);
    int64_t now = rig_wall(r);
    memfs_set_wall(r->fs, now + 100000 * HOUR); /* eleven years */
    rig_settle(r);
    (void)rig_message(r, "m400", 0, 0, false, NULL);
    rig_settle(r);
    assert_int_equal(first_of(r, 1), 0);
    rig_close(r);
    rig_must_open(r);
    rig_settle(r);
    assert_int_equal(first_of(r, 1), 0);
    memfs_set_wall(r->fs, now - 100000 * HOUR);
    rig_kill(r);
    rig_must_open(r);
    rig_settle(r);
    assert_int_equal(first_of(r, 1), 0);
    rig_free(r);
}

static void time_without_power_counts(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.keep_us = HOUR;
    rig_must_open(r);
    fill(r, 0, 400, 1000);
    rig_close(r);
    memfs_advance(r->fs, 5 * HOUR);
    rig_must_open(r);
    rig_settle(r);
    assert_true(first_of(r, 1) > 0);
    rig_free(r);
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.keep_bytes = 300000;
    rig_must_open(r);
    fill(r, 0, 1000, 1000);
    uint64_t first = first_of(r, 1);
    assert_true(first > 150 && first < 200); /* of 250, about 75 are kept */
    assert_complete(r, first + 1);
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_true(stats.segments < 11);
    rig_kill(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_must_open(r);
    assert_int_equal(first_of(r, 1), first);
    assert_complete(r, first + 1);
    rig_free(r);
}

static void released_records_leave_kept_messages_alone(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    uint64_t id;
    char text[64];
    r->opt.keep_bytes = 200000;
    rig_must_open(r);
    assert_int_equal(rig_message(r, "kept", 0, 3, true, &id), CODE_OK);
    fill(r, 0, 1000, 1000);
    assert_string_equal(rig_read(r, id, text), "kept");
    assert_true(first_of(r, 3) > 0);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(rig_read(r, id, text), "kept");
    rig_free(r);
}

/* ---- damage ---- */

static void a_damaged_record_is_told_and_skipped(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h;
    rig_must_open(r);
    fill(r, 0, 40, 100);
    /* m16 is the fifth of partition 0: frames have 64 + 120 (16 + 1 + 100, padded) bytes. */
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000001.seg", SEGMENT_HEAD + 16 * 184 + 100, 1));
    assert_string_equal(rig_partition(r, 0, 3, &h), "3:m12 4:lost 5:m20 6:m24 7:m28 8:m32 9:m36 ");
    assert_int_equal(r->damage_lines, 1);
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_int_equal(stats.damaged_frames, 1);
    rig_kill(r);
    for (int i = 0; i < 2; i++) {
        rig_must_open(r); /* the same when it is the recovery that meets it */
        assert_string_equal(rig_partition(r, 0, 3, &h), "3:m12 4:lost 5:m20 6:m24 7:m28 8:m32 9:m36 ");
        assert_int_equal(next_of(r, 0), 10);
        rig_close(r);
    }
    assert_int_equal(rig_check(r, NULL).errors, 1);
    rig_free(r);
}

static uint64_t damaged(struct rig *r)
{
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    return stats.damaged_frames;
}

static void a_damaged_record_is_counted_once_whoever_meets_it(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h;
    rig_must_open(r);
    fill(r, 0, 400, 1000);
    rig_close(r);
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000002.seg", 5000, 1));         /* a body */
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000003.seg", SEGMENT_HEAD, 1)); /* a header */
    rig_must_open(r);
    assert_int_equal(damaged(r), 0);
    for (int i = 0; i < 3; i++)
        for (uint32_t p = 0; p < 4; p++)
            (void)rig_partition(r, p, 0, &h);
    assert_int_equal(damaged(r), 2);
    rig_settle(r); /* the segments are verified */
    assert_int_equal(damaged(r), 2);
    assert_int_equal(r->damage_lines, 2);
    rig_free(r);
}

static void a_read_error_is_no_damage_and_may_pass(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h = {.most = 400};
    uint64_t next, found;
    rig_must_open(r);
    fill(r, 0, 40, 100);
    memfs_fail(r->fs, FS_PREAD, 1, 5, true);
    assert_int_equal(journal_partition_read(r->j, 0, 3, 10000, rig_listen, &h, &next, &r->why), CODE_IO);
    assert_int_equal(r->why.sys_errno, 5);
    assert_int_equal(r->why.number, 7005);
    assert_int_equal(next, 3);
    assert_int_equal(h.count, 0);
    assert_int_equal(journal_partition_find_time(r->j, 0, 0, &found, &r->why), CODE_IO);
    memfs_fail(r->fs, FS_PREAD, 0, 0, false);
    assert_string_equal(rig_partition(r, 0, 3, &h), "3:m12 4:m16 5:m20 6:m24 7:m28 8:m32 9:m36 ");
    assert_int_equal(journal_partition_find_time(r->j, 0, 0, &found, &r->why), CODE_OK);
    assert_int_equal(damaged(r), 0);
    assert_int_equal(r->damage_lines, 0);
    rig_free(r);
}

static void what_comes_before_a_read_error_is_handed_out(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h;
    uint64_t at = 0, next;
    unsigned refused = 0, stopped = 0;
    rig_must_open(r);
    fill(r, 0, 400, 1000);
    for (uint64_t n = 1; at < next_of(r, 0); n = n % 9 + 1) {
        memfs_fail(r->fs, FS_PREAD, n, 5, true);
        h = (struct rig_heard){.most = 400};
        enum code code = journal_partition_read(r->j, 0, at, 1u << 30, rig_listen, &h, &next, &r->why);
        memfs_fail(r->fs, FS_PREAD, 0, 0, false);
        assert_int_equal(next, at + h.count); /* nothing twice, nothing left out */
        assert_int_equal(code, h.count ? CODE_OK : CODE_IO);
        refused += code == CODE_IO;
        stopped += code == CODE_OK;
        at = next;
    }
    assert_true(refused > 1 && stopped > 1);
    assert_int_equal(damaged(r), 0);
    rig_free(r);
}

static void a_lost_segment_file_is_told_as_a_whole(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h;
    rig_must_open(r);
    fill(r, 0, 400, 1000); /* seven segments or so */
    rig_close(r);
    const struct io *io = r->opt.io;
    assert_int_equal(io->unlink(io->self, "/data/journal/0000000000000003.seg"), 0);
    assert_true(rig_check(r, NULL).errors > 0 || rig_check(r, NULL).remarks > 0);
    rig_must_open(r);
    assert_int_equal(next_of(r, 0), 100);
    const char *text = rig_partition(r, 0, 0, &h);
    const char *lost = strstr(text, "lost");
    assert_non_null(lost);
    assert_null(strstr(lost + 1, "lost"));
    assert_non_null(strstr(text, "99:m396"));
    rig_free(r);
}

/* A sequence that was given out is not given again, also when the record that had it is gone. */
static void sequences_do_not_repeat_after_damage_at_the_end(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h;
    rig_must_open(r);
    fill(r, 0, 8, 100); /* two in each partition, and the seal */
    rig_kill(r);
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000001.seg", SEGMENT_HEAD + 7 * 184 + 20,
                           1)); /* m7's header */
    rig_must_open(r);
    assert_true(next_of(r, 3) >= 2);
    assert_int_equal(rig_message(r, "new", 0, 3, false, NULL), CODE_OK);
    rig_settle(r);
    assert_string_equal(rig_partition(r, 3, 0, &h), "0:m3 1:lost 2:new ");
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(rig_partition(r, 3, 0, &h), "0:m3 1:lost 2:new ");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_seen_when_they_are_durable_and_not_before),
        cmocka_unit_test(reading_goes_across_segments_and_stops_when_told),
        cmocka_unit_test(partitions_are_the_same_after_any_restart),
        cmocka_unit_test(lost_or_damaged_index_files_cost_nothing),
        cmocka_unit_test(a_record_is_found_by_its_time),
        cmocka_unit_test(a_clock_that_jumps_hides_and_blocks_nothing),
        cmocka_unit_test(what_a_clock_that_was_ahead_left_behind_it_is_found_by_whole_segments),
        cmocka_unit_test(what_retention_gives_up_before_a_reader_is_not_told_as_lost),
        cmocka_unit_test(old_records_go_and_the_counters_stay),
        cmocka_unit_test(a_clock_set_ahead_or_back_deletes_nothing),
        cmocka_unit_test(time_without_power_counts),
        cmocka_unit_test(the_oldest_go_when_there_are_too_many),
        cmocka_unit_test(released_records_leave_kept_messages_alone),
        cmocka_unit_test(a_damaged_record_is_told_and_skipped),
        cmocka_unit_test(a_damaged_record_is_counted_once_whoever_meets_it),
        cmocka_unit_test(a_read_error_is_no_damage_and_may_pass),
        cmocka_unit_test(what_comes_before_a_read_error_is_handed_out),
        cmocka_unit_test(a_lost_segment_file_is_told_as_a_whole),
        cmocka_unit_test(sequences_do_not_repeat_after_damage_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
