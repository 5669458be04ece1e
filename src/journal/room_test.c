/* Tests of what the world does to a journal: a full disk, failed and short calls, no memory. */
#include "journal/journal_test_rig.h"

#include "support/oom.h"
#include "support/random.h"

#include <errno.h>

enum { SEGMENT = 65536 };

/* The oldest kept message. */
static enum code try_drop(struct rig *r)
{
    uint8_t meta[8];
    put_le64(meta, stored_id(r->kept[0]));
    struct record_in in = {.type = RIG_DROP, .partition = JOURNAL_NO_PARTITION, .meta = bytes_of(meta, 8)};
    journal_lock(r->j);
    enum code code = journal_append(r->j, &in, NULL, NULL);
    if (code == CODE_OK)
        rig_forget(r, stored_id(r->kept[0]));
    journal_unlock(r->j);
    return code;
}

/* Messages of 1,000 bytes, dropped after `window` more, until one is refused or `most` are in. */
static int fill(struct rig *r, int most, int window)
{
    int n = 0;
    for (; n < most; n++) {
        if (rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, true, NULL) != CODE_OK)
            break;
        if (n >= window && try_drop(r) != CODE_OK)
            break;
        if (n % 8 == 0)
            (void)journal_step(r->j);
    }
    return n;
}

static void pause_a_second(struct rig *r)
{
    memfs_advance(r->fs, 1100000);
    rig_settle(r);
}

static void a_full_disk_refuses_messages_and_takes_the_programs_records(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    memfs_set_room(r->fs, 8 * SEGMENT);
    rig_must_open(r);
    int n = fill(r, 3000, 3000); /* nothing is dropped: no segment can go */
    assert_true(n > 250 && n < 520);
    assert_int_equal(r->why.code, CODE_FULL);
    assert_true(journal_full(r->j));
    rig_settle(r);
    assert_int_equal(journal_durable(r->j), journal_appended(r->j));
    uint64_t told = r->told;
    for (int i = 0; i < 50; i++)
        assert_int_equal(rig_note(r, "n", 0), CODE_OK);
    rig_settle(r);
    assert_true(r->told > told);
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_true(stats.full);
    assert_true(stats.refused_full >= 1);
    /* Reading goes on. */
    char text[64];
    assert_string_equal(rig_read(r, stored_id(r->kept[0]), text), "x");
    /* Letting messages go frees segments, and the journal recovers by itself. */
    for (int waits = 0; r->kept_count;) {
        if (try_drop(r) == CODE_OK)
            continue;
        pause_a_second(r); /* the last room is kept for a round of state, which wins more */
        assert_true(waits++ < 10);
    }
    for (int i = 0; i < 10 && journal_full(r->j); i++)
        pause_a_second(r);
    assert_false(journal_full(r->j));
    assert_true(fill(r, 100, 50) == 100);
    rig_settle(r);
    assert_int_equal(journal_durable(r->j), journal_appended(r->j));
    rig_kill(r);
    memfs_set_room(r->fs, UINT64_MAX);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_must_open(r);
    assert_int_equal(r->kept_count, 50);
    assert_int_equal(r->notes, 50);
    rig_free(r);
}

static void room_made_by_others_is_noticed_within_a_second(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    memfs_set_room(r->fs, 6 * SEGMENT);
    rig_must_open(r);
    (void)fill(r, 3000, 3000);
    assert_true(journal_full(r->j));
    memfs_set_room(r->fs, 20 * SEGMENT);
    pause_a_second(r);
    assert_false(journal_full(r->j));
    assert_int_equal(rig_message(r, "x", 1000, 0, false, NULL), CODE_OK);
    rig_free(r);
}

static void the_reserve_is_left_to_others(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.disk_reserve = 10 * SEGMENT;
    memfs_set_room(r->fs, 20 * SEGMENT);
    rig_must_open(r);
    (void)fill(r, 3000, 3000);
    assert_true(journal_full(r->j));
    assert_true(r->opt.io->free_bytes(r->opt.io->self, "/data") >= 8 * SEGMENT);
    /* Somebody else fills the disk while there is room in our segments. */
    memfs_set_room(r->fs, 40 * SEGMENT);
    pause_a_second(r);
    assert_false(journal_full(r->j));
    memfs_set_room(r->fs, 9 * SEGMENT);
    pause_a_second(r);
    assert_true(journal_full(r->j));
    assert_int_equal(rig_message(r, "x", 10, 0, false, NULL), CODE_FULL);
    assert_int_equal(rig_note(r, "n", 0), CODE_OK);
    memfs_set_room(r->fs, 40 * SEGMENT);
    pause_a_second(r);
    assert_int_equal(rig_message(r, "x", 10, 0, false, NULL), CODE_OK);
    rig_free(r);
}

/* Disk sizes one after the other: at none of them is anything lost, stuck for ever, or wrong. */
static void any_size_of_disk_is_survived(void **state)
{
    (void)state;
    for (uint64_t room = 3 * SEGMENT; room < 12 * SEGMENT; room += 20000) {
        struct rig *r = rig_new();
        memfs_set_room(r->fs, room);
        rig_must_open(r);
        for (int i = 0; i < 30; i++) {
            (void)fill(r, 40, i % 4 ? 10 : 1000);
            if (r->kept_count > 100)
                while (r->kept_count > 20 && try_drop(r) == CODE_OK)
                    continue;
            pause_a_second(r);
        }
        memfs_set_room(r->fs, UINT64_MAX);
        pause_a_second(r);
        pause_a_second(r);
        assert_false(journal_full(r->j));
        assert_int_equal(journal_durable(r->j), journal_appended(r->j));
        size_t kept = r->kept_count;
        rig_kill(r);
        assert_int_equal(rig_check(r, NULL).errors, 0);
        rig_must_open(r);
        assert_int_equal(r->kept_count, kept);
        rig_free(r);
    }
}

static void what_was_accepted_for_a_segment_that_cannot_be_made_waits(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    rig_settle(r);
    memfs_set_room(r->fs, 0); /* the journal does not know yet */
    int n = 0;
    while (n < 200 && rig_message(r, "x", 1000, 0, false, NULL) == CODE_OK)
        n++;
    assert_int_equal(n, 200);
    pause_a_second(r);
    uint64_t durable = journal_durable(r->j);
    assert_true(durable > 50 && durable < 200);
    assert_int_equal(rig_message(r, "x", 1000, 0, false, NULL), CODE_FULL);
    uint64_t first, next;
    journal_partition_range(r->j, 0, &first, &next);
    assert_true(next <= durable);
    memfs_set_room(r->fs, UINT64_MAX);
    pause_a_second(r);
    assert_int_equal(journal_durable(r->j), journal_appended(r->j));
    journal_partition_range(r->j, 0, &first, &next);
    assert_int_equal(next, 200);
    rig_free(r);
}

/* ---- failing calls ---- */

static void after_a_failed_sync_nothing_is_promised_any_more(void **state)
{
    (void)state;
    static const enum memfs_call calls[] = {FS_FDATASYNC, FS_PWRITE};
    for (int which = 0; which < 2; which++) {
        struct rig *r = rig_new();
        rig_must_open(r);
        (void)rig_note(r, "before", 0);
        rig_settle(r);
        memfs_fail(r->fs, calls[which], 1, EIO, false); /* only once: the next would succeed */
        (void)rig_note(r, "after", 0);
        uint64_t durable = journal_durable(r->j), told = r->told;
        (void)journal_step(r->j);
        assert_true(journal_failed(r->j));
        assert_true(r->told > told);
        assert_int_equal(journal_durable(r->j), durable);
        assert_int_equal(rig_note(r, "more", 0), CODE_CLOSED);
        for (int i = 0; i < 5; i++) {
            pause_a_second(r);
            assert_int_equal(journal_durable(r->j), durable);
        }
        rig_close(r);
        assert_false(memfs_exists(r->fs, "/data/journal/clean"));
        rig_must_open(r);
        assert_memory_equal(r->applied, "note:before ", 12);
        rig_free(r);
    }
}

static void a_start_proves_again_what_a_failed_sync_left_in_memory(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    rig_settle(r);
    memfs_fail(r->fs, FS_FDATASYNC, 1, EIO, false);
    (void)rig_note(r, "unsure", 0);
    (void)journal_step(r->j);
    rig_kill(r);
    uint64_t writes = memfs_calls(r->fs, FS_PWRITE), syncs = memfs_calls(r->fs, FS_FDATASYNC);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:unsure ");
    assert_true(memfs_calls(r->fs, FS_PWRITE) > writes); /* written again, and only then counted as durable */
    assert_true(memfs_calls(r->fs, FS_FDATASYNC) > syncs);
    rig_free(r);
}

static void short_reads_and_writes_change_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    char text[64];
    uint64_t id;
    memfs_short(r->fs, 70);
    rig_must_open(r);
    (void)fill(r, 200, 20);
    (void)rig_message(r, "kept", 5000, 2, true, &id);
    rig_settle(r);
    rig_kill(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_must_open(r);
    assert_string_equal(rig_read(r, id, text), "kept");
    assert_int_equal(r->kept_count, 21);
    rig_free(r);
}

/* Every call of a start fails once: it succeeds or says why, and the next one finds everything. */
static void a_start_survives_any_failing_call(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    (void)fill(r, 200, 20);
    rig_settle(r);
    (void)rig_note(r, "last", 0);
    (void)journal_step(r->j);
    rig_kill(r);
    struct memfs *disk = r->fs;
    unsigned refused = 0;
    for (uint64_t n = 1;; n++) {
        r->fs = memfs_copy(disk);
        r->opt.io = memfs_io(r->fs);
        memfs_fail(r->fs, FS_ANY, n, n % 2 ? EIO : ENOSPC, false);
        enum code code = rig_open(r);
        bool fired = memfs_failed(r->fs, FS_ANY) > 0;
        memfs_fail(r->fs, FS_ANY, 0, 0, false);
        refused += code != CODE_OK;
        assert_true(code == CODE_OK || code == CODE_IO || code == CODE_FULL);
        assert_true(code == CODE_OK || r->why.text[0]);
        rig_kill(r);
        rig_must_open(r);
        assert_int_equal(r->kept_count, 20);
        assert_int_equal(r->notes, 1);
        rig_kill(r);
        assert_int_equal(rig_check(r, NULL).errors, 0);
        memfs_free(r->fs);
        if (!fired)
            break;
    }
    assert_true(refused > 10);
    r->fs = disk;
    r->opt.io = memfs_io(disk);
    rig_free(r);
}

/* Every call of a working journal fails once, for ever or not: what was durable before stays. */
static void work_survives_any_failing_call(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct rig *r = rig_new();
        rig_must_open(r);
        memfs_fail(r->fs, FS_ANY, n, n % 3 == 0 ? ENOSPC : n % 3 == 1 ? EIO : EMFILE, n % 2 == 0);
        uint64_t durable = 0, sent = 0;
        for (int i = 0; i < 60; i++) {
            sent += rig_note(r, "n", 0) == CODE_OK;
            (void)rig_message(r, "x", 3000, (uint32_t)i % 4, false, NULL);
            (void)journal_step(r->j);
            if (journal_durable(r->j) == journal_appended(r->j))
                durable = sent;
        }
        bool fired = memfs_failed(r->fs, FS_ANY) > 0;
        memfs_fail(r->fs, FS_ANY, 0, 0, false);
        if (n % 5 == 0)
            rig_close(r);
        else
            rig_kill(r);
        rig_must_open(r);
        assert_true(r->notes >= durable && r->notes <= sent);
        rig_kill(r);
        assert_int_equal(rig_check(r, NULL).errors, 0);
        rig_free(r);
        if (!fired)
            break;
    }
}

/* ---- no memory ---- */

static const char *life_without_memory(void *ctx)
{
    (void)ctx;
    struct rig *r = rig_new();
    rig_must_open(r);
    for (int i = 0; i < 50; i++)
        (void)rig_note(r, "n", 0);
    uint64_t id, sent = 50;
    if (rig_message(r, "kept", 3000, 0, true, &id) != CODE_OK)
        return "set-up";
    rig_settle(r);
    rig_kill(r);
    struct message *small = message_new(&(struct message_parts){.payload = BYTES_LIT("small")});
    oom_arm();
    enum code code = rig_open(r);
    if (code == CODE_OK) {
        for (int i = 0; i < 40; i++) {
            sent += rig_note(r, "n", 0) == CODE_OK;
            struct record_in in = {.type = RECORD_MESSAGE, .partition = 1, .payload = small->encoded};
            journal_lock(r->j);
            (void)!journal_append(r->j, &in, NULL, NULL);
            journal_unlock(r->j);
            (void)journal_step(r->j);
        }
        struct message *m = NULL;
        struct rig_heard h = {.most = 10};
        uint64_t next, seq;
        (void)!journal_read(r->j, r->kept[0], 0, &m, NULL);
        message_drop(m);
        (void)!journal_partition_read(r->j, 0, 0, 1000, rig_listen, &h, &next, NULL);
        (void)!journal_partition_find_time(r->j, 0, 5, &seq, NULL);
        rig_close(r);
    } else if (code != CODE_NOMEM) {
        return "a start without memory says something else";
    }
    struct journal_check_result result;
    (void)!journal_check(r->opt.io, "/data", NULL, NULL, &result, NULL);
    oom_disarm();
    message_drop(small);
    r->opt.apply = rig_apply;
    const char *wrong = NULL;
    rig_must_open(r);
    if (r->notes != sent)
        wrong = "notes are missing";
    char text[64];
    if (r->kept_count != 1 || strcmp(rig_read(r, id, text), "kept") != 0)
        wrong = "the kept message is missing";
    rig_kill(r);
    if (!wrong && rig_check(r, NULL).errors)
        wrong = "check finds damage";
    rig_free(r);
    return wrong;
}

static void no_allocation_is_needed_for_what_was_promised(void **state)
{
    (void)state;
    struct oom_result result;
    if (!oom_each("journal", life_without_memory, NULL, &result))
        fail_msg("allocation %d: %s", (int)result.first_broken, result.first);
    assert_true(result.refused > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_refuses_messages_and_takes_the_programs_records),
        cmocka_unit_test(room_made_by_others_is_noticed_within_a_second),
        cmocka_unit_test(the_reserve_is_left_to_others),
        cmocka_unit_test(any_size_of_disk_is_survived),
        cmocka_unit_test(what_was_accepted_for_a_segment_that_cannot_be_made_waits),
        cmocka_unit_test(after_a_failed_sync_nothing_is_promised_any_more),
        cmocka_unit_test(a_start_proves_again_what_a_failed_sync_left_in_memory),
        cmocka_unit_test(short_reads_and_writes_change_nothing),
        cmocka_unit_test(a_start_survives_any_failing_call),
        cmocka_unit_test(work_survives_any_failing_call),
        cmocka_unit_test(no_allocation_is_needed_for_what_was_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
