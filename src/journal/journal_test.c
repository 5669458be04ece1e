/* Tests of journal.h: appending, replay, handles, batches, rounds of state, orderly and other ends. */
#include "journal/journal_test_rig.h"

static void what_was_appended_is_replayed_in_order(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    assert_string_equal(r->applied, "");
    assert_int_equal(rig_note(r, "one", 0), CODE_OK);
    assert_int_equal(rig_message(r, "two", 0, 1, false, NULL), CODE_OK);
    assert_int_equal(rig_note(r, "three", 0), CODE_OK);
    assert_int_equal(journal_durable(r->j), 0);
    assert_true(journal_step(r->j));
    assert_int_equal(journal_durable(r->j), 3);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:one message:two note:three ");
    assert_int_equal(journal_durable(r->j), 3);
    assert_int_equal(rig_note(r, "four", 0), CODE_OK);
    rig_settle(r);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:one message:two note:three note:four ");
    rig_free(r);
}

static void nothing_is_promised_before_it_is_synced(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    uint64_t syncs = memfs_calls(r->fs, FS_FDATASYNC);
    (void)rig_note(r, "one", 0);
    journal_lock(r->j);
    assert_int_equal(journal_appended(r->j), 1);
    journal_unlock(r->j);
    assert_int_equal(journal_durable(r->j), 0);
    assert_int_equal(r->told, 0);
    journal_step(r->j);
    assert_true(memfs_calls(r->fs, FS_FDATASYNC) > syncs);
    assert_int_equal(journal_durable(r->j), 1);
    assert_int_equal(r->told, 1);
    rig_free(r);
}

static void many_records_share_one_sync(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    rig_settle(r);
    (void)rig_note(r, "warm", 0);
    rig_settle(r);
    uint64_t syncs = memfs_calls(r->fs, FS_FDATASYNC);
    for (int i = 0; i < 100; i++)
        (void)rig_note(r, "x", 0);
    journal_step(r->j);
    assert_int_equal(journal_durable(r->j), journal_appended(r->j));
    assert_int_equal(memfs_calls(r->fs, FS_FDATASYNC), syncs + 1);
    rig_free(r);
}

static void a_group_under_load_is_one_write(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.segment_bytes = 16 << 20;
    rig_must_open(r);
    rig_settle(r);
    uint64_t writes = 0;
    for (int group = 0; group < 20; group++) {
        for (int i = 0; i < 80; i++)
            assert_int_equal(rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL), CODE_OK);
        writes = memfs_calls(r->fs, FS_PWRITE);
        assert_true(commit_group(r->j, false));
        writes = memfs_calls(r->fs, FS_PWRITE) - writes;
    }
    assert_int_equal(writes, 1); /* whatever the buffers were like when it began */
    rig_free(r);
}

/* A note that nobody waits for; whether the committer is woken for it. */
static bool wakes(struct rig *r, size_t len, bool later)
{
    char *text = calloc(1, len);
    struct record_in in = {
        .type = RIG_NOTE, .partition = JOURNAL_NO_PARTITION, .payload = bytes_of(text, len), .later = later};
    journal_lock(r->j);
    assert_int_equal(journal_append(r->j, &in, NULL, NULL), CODE_OK);
    r->notes++;
    journal_unlock(r->j);
    free(text);
    journal_kick(r->j);
    return atomic_exchange(&r->j->kicked, false);
}

static void what_nobody_waits_for_wakes_nobody_and_costs_no_sync(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    rig_settle(r);
    uint64_t before = journal_appended(r->j), syncs = memfs_calls(r->fs, FS_FDATASYNC);
    assert_false(wakes(r, 10, true));
    assert_int_equal(journal_appended(r->j), before); /* nothing to wait for */
    assert_true(wakes(r, 10, false));
    (void)wakes(r, 10, true);
    (void)wakes(r, 10, true);
    assert_true(commit_group(r->j, false));
    assert_int_equal(memfs_calls(r->fs, FS_FDATASYNC), syncs + 1);
    assert_true(journal_durable(r->j) > journal_appended(r->j)); /* they went along */
    assert_false(wakes(r, 10, true));
    atomic_store(&r->j->long_sleep, true); /* he would find it in a second only */
    assert_true(wakes(r, 10, true));
    atomic_store(&r->j->long_sleep, false);
    for (int i = 0; i < 8; i++)
        assert_false(wakes(r, 30000, true));
    assert_true(wakes(r, 30000, true)); /* that is enough for a sync */
    rig_settle(r);
    rig_kill(r);
    rig_must_open(r);
    assert_int_equal(r->notes, 15);
    rig_close(r);
    r->opt.no_sync = true; /* there a record is safe when it is written, and that is to be soon */
    rig_must_open(r);
    assert_true(wakes(r, 10, true));
    rig_free(r);
}

static void an_orderly_stop_replays_only_the_state(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    uint64_t id;
    rig_must_open(r);
    (void)rig_note(r, "one", 0);
    (void)rig_message(r, "kept", 0, JOURNAL_NO_PARTITION, true, &id);
    (void)rig_message(r, "gone", 0, JOURNAL_NO_PARTITION, true, &id);
    rig_drop(r, id);
    rig_close(r);
    assert_true(memfs_exists(r->fs, "/data/journal/clean"));
    assert_int_equal(rig_check(r, NULL).errors + rig_check(r, NULL).remarks, 0);
    rig_must_open(r);
    assert_string_equal(r->applied, "state: state: ");
    assert_int_equal(r->notes, 1);
    assert_int_equal(r->kept_count, 1);
    char text[64];
    assert_string_equal(rig_read(r, stored_id(r->kept[0]), text), "kept");
    assert_false(memfs_exists(r->fs, "/data/journal/clean"));
    rig_free(r);
}

static void a_second_process_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct journal *other;
    rig_must_open(r);
    assert_int_equal(journal_open(&other, &r->opt, &r->why), CODE_EXISTS);
    assert_non_null(strstr(r->why.text, "another process"));
    struct journal_check_result result;
    assert_int_equal(journal_check(r->opt.io, "/data", NULL, NULL, &result, &r->why), CODE_EXISTS);
    rig_free(r);
}

static void many_segments_are_replayed_without_a_gap(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.write_state = NULL;
    rig_must_open(r);
    char text[64];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "m%d", i);
        assert_int_equal(rig_message(r, text, 2000, (uint32_t)i % 4, i % 3 == 0, NULL), CODE_OK);
        if (i % 7 == 0)
            journal_step(r->j);
    }
    rig_settle(r);
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_true(stats.segments > 9);
    rig_kill(r);
    rig_must_open(r);
    assert_int_equal(r->kept_count, 100);
    assert_string_equal(rig_read(r, stored_id(r->kept[50]), text), "m150");
    uint64_t first, next;
    journal_partition_range(r->j, 2, &first, &next);
    assert_int_equal(first, 0);
    assert_int_equal(next, 75);
    rig_close(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_free(r);
}

static void a_record_longer_than_a_segment_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    assert_int_equal(rig_message(r, "big", 65536 - SEGMENT_HEAD - JOURNAL_FRAME_HEAD - 64, 0, false, NULL),
                     CODE_OK);
    assert_int_equal(rig_message(r, "too big", 65536, 0, false, NULL), CODE_LIMIT);
    assert_int_equal(rig_message(r, "after", 0, 0, false, NULL), CODE_OK);
    rig_settle(r);
    uint64_t first, next;
    journal_partition_range(r->j, 0, &first, &next);
    assert_int_equal(next, 2);
    assert_int_equal(journal_durable(r->j), 2);
    rig_free(r);
}

static void handles_live_as_long_as_their_references(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    uint64_t id;
    char text[64];
    rig_must_open(r);
    (void)rig_message(r, "hello", 0, 0, true, &id);
    assert_string_equal(rig_read(r, id, text), "hello"); /* from the write buffer */
    rig_settle(r);
    assert_string_equal(rig_read(r, id, text), "hello"); /* from disk */
    journal_lock(r->j);
    struct stored *s = rig_find(r, id);
    assert_ptr_equal(stored_hold(s), s);
    assert_int_equal(stored_id(s), id);
    assert_int_equal(stored_bytes(s), MESSAGE_HEAD + 1 + 5 + 1);
    assert_null(stored_message(s));
    struct message_parts parts = {.payload = BYTES_LIT("cached")};
    struct message *m = message_new(&parts);
    uint64_t in_use = message_bytes_in_use();
    stored_set_message(s, m);
    assert_ptr_equal(stored_message(s), m);
    stored_drop(s);
    assert_ptr_equal(stored_message(s), m);
    rig_forget(r, id);
    assert_true(message_bytes_in_use() < in_use);
    journal_unlock(r->j);
    rig_free(r);
}

static void an_expiry_goes_on_while_the_message_lies_on_disk(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    struct message_parts parts = {.expires = true, .expiry_s = 60, .wall_us = rig_wall(r), .now_us = 5};
    struct message *m = message_new(&parts), *back;
    struct record_in in = {.type = RECORD_MESSAGE,
                           .partition = JOURNAL_NO_PARTITION,
                           .wall_us = rig_wall(r),
                           .payload = m->encoded,
                           .keep = true};
    struct record_out out;
    journal_lock(r->j);
    assert_int_equal(journal_append(r->j, &in, &out, NULL), CODE_OK);
    journal_unlock(r->j);
    rig_settle(r);
    memfs_advance(r->fs, 10 * 1000000);
    assert_int_equal(journal_read(r->j, out.stored, 1000000, &back, NULL), CODE_OK);
    assert_int_equal(back->expires_us, 1000000 + 50 * 1000000);
    assert_int_equal(back->wall_us, in.wall_us);
    message_drop(back);
    message_drop(m);
    rig_free(r);
}

static void the_checksum_of_a_payload_may_come_from_outside(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    struct record_in in = {.type = RIG_NOTE,
                           .partition = JOURNAL_NO_PARTITION,
                           .meta = BYTES_LIT("m"),
                           .payload = BYTES_LIT("payload"),
                           .have_crc = true};
    in.payload_crc = 0xe3069283; /* not that of the payload */
    journal_lock(r->j);
    assert_int_equal(journal_append(r->j, &in, NULL, NULL), CODE_OK);
    journal_unlock(r->j);
    (void)rig_note(r, "next", 0);
    rig_settle(r);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:next "); /* used as given, so the record does not hold */
    assert_true(r->damage_lines > 0);
    rig_free(r);
}

/* ---- batches ---- */

static void a_batch_is_replayed_as_a_whole(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    (void)rig_note(r, "a", RECORD_MORE);
    (void)rig_note(r, "b", RECORD_MORE);
    (void)rig_note(r, "c", 0);
    rig_settle(r);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:a note:b note:c ");
    rig_free(r);
}

static void an_unfinished_batch_at_the_end_is_dropped_as_a_whole(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    (void)rig_note(r, "before", 0);
    (void)rig_note(r, "a", RECORD_MORE);
    (void)rig_note(r, "b", RECORD_MORE);
    journal_step(r->j);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:before ");
    (void)rig_note(r, "after", 0);
    rig_settle(r);
    rig_kill(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:before note:after ");
    rig_free(r);
}

static void a_batch_that_is_given_up_is_void_and_the_next_record_is_not(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    (void)rig_note(r, "a", RECORD_MORE);
    (void)rig_note(r, "b", RECORD_MORE);
    journal_lock(r->j);
    journal_give_up_batch(r->j);
    journal_unlock(r->j);
    (void)rig_note(r, "c", 0);
    (void)rig_note(r, "d", RECORD_MORE);
    assert_int_equal(rig_message(r, "too big", 65536, JOURNAL_NO_PARTITION, false, NULL), CODE_LIMIT);
    (void)rig_note(r, "e", RECORD_MORE);
    (void)rig_note(r, "f", 0);
    rig_settle(r);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(r->applied, "note:c note:e note:f ");
    assert_int_equal(r->damage_lines, 0);
    rig_close(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_free(r);
}

static void a_batch_with_a_damaged_part_is_not_applied(void **state)
{
    (void)state;
    static const struct {
        int hit;
        const char *want;
    } cases[] = {
        {0, "note:b1 note:b2 note:b3 note:c "},
        {1, "note:a note:c "}, /* the first of the batch */
        {2, "note:a note:c "},
        {3, "note:a note:c "}, /* the last one */
        {4, "note:a note:b1 note:b2 note:b3 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *r = rig_new();
        rig_must_open(r);
        (void)rig_note(r, "a", 0);
        (void)rig_note(r, "b1", RECORD_MORE);
        (void)rig_note(r, "b2", RECORD_MORE);
        (void)rig_note(r, "b3", 0);
        (void)rig_note(r, "c", 0);
        rig_settle(r); /* with a seal that says all of it is durable */
        rig_kill(r);
        bool head = i % 2;
        assert_true(memfs_flip(r->fs, "/data/journal/0000000000000001.seg",
                               SEGMENT_HEAD + (uint64_t)cases[i].hit * 72 + (head ? 20 : 64), 1));
        rig_must_open(r);
        assert_string_equal(r->applied, cases[i].want);
        assert_true(r->damage_lines > 0);
        rig_free(r);
    }
}

/* ---- rounds of state ---- */

static void segments_go_after_a_round_when_nothing_needs_them(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    uint64_t id;
    char text[64];
    rig_must_open(r);
    (void)rig_message(r, "kept", 20000, JOURNAL_NO_PARTITION, true, &id);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL), CODE_OK);
        (void)rig_note(r, "n", 0);
        journal_step(r->j);
    }
    rig_settle(r);
    assert_true(r->rounds >= 8);
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_true(stats.segments <= 5);
    assert_true(memfs_exists(
        r->fs, "/data/journal/0000000000000001.seg")); /* holds the kept one, more than a quarter */
    assert_false(memfs_exists(r->fs, "/data/journal/0000000000000002.seg"));
    rig_kill(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_must_open(r);
    assert_int_equal(r->notes, 1000);
    assert_string_equal(rig_read(r, id, text), "kept");
    rig_drop(r, id);
    rig_settle(r);
    assert_false(memfs_exists(r->fs, "/data/journal/0000000000000001.seg"));
    rig_free(r);
}

static void without_a_round_nothing_is_deleted(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->refuse_state = true;
    rig_must_open(r);
    for (int i = 0; i < 300; i++) {
        (void)rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL);
        journal_step(r->j);
        memfs_advance(r->fs, 100000);
    }
    assert_true(memfs_exists(r->fs, "/data/journal/0000000000000001.seg"));
    r->refuse_state = false;
    memfs_advance(r->fs, 2000000);
    rig_settle(r);
    assert_true(r->rounds > 0);
    assert_false(memfs_exists(r->fs, "/data/journal/0000000000000001.seg"));
    rig_free(r);
}

static void a_round_that_fails_within_a_batch_leaves_no_half_state(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    for (int i = 0; i < 80; i++) {
        (void)rig_note(r, "n", 0);
        (void)rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL);
        journal_step(r->j);
    }
    r->leave_batch = true; /* the state says so many notes, and is given up after that */
    r->notes = 999;
    memfs_advance(r->fs, 2000000);
    while (r->round_at == 0 && rig_note(r, "n", 0) == CODE_OK &&
           rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL) == CODE_OK && r->notes < 1200)
        rig_settle(r);
    (void)rig_note(r, "last", 0);
    rig_settle(r);
    uint64_t want = r->notes - 999 + 80;
    r->opt.write_state = NULL;
    rig_kill(r);
    rig_must_open(r);
    assert_int_equal(r->notes, want);
    rig_free(r);
}

static void messages_nobody_deletes_are_carried_forward(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    uint64_t ids[40];
    char text[64], want[64];
    rig_must_open(r);
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "kept %d", i);
        assert_int_equal(rig_message(r, text, 100, JOURNAL_NO_PARTITION, true, &ids[i]), CODE_OK);
        for (int k = 0; k < 30; k++)
            assert_int_equal(rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL), CODE_OK);
        rig_settle(r);
    }
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_true(stats.moved_frames >= 20);
    assert_true(stats.segments <= 5);
    for (int restart = 0; restart < 3; restart++) {
        for (int i = 0; i < 40; i++) {
            snprintf(want, sizeof want, "kept %d", i);
            assert_string_equal(rig_read(r, ids[i], text), want);
        }
        if (restart == 1)
            rig_close(r);
        else
            rig_kill(r);
        assert_int_equal(rig_check(r, NULL).errors, 0);
        rig_must_open(r);
        assert_int_equal(r->kept_count, 40);
    }
    rig_free(r);
}

/* ---- settings and formats ---- */

static void partitions_grow_and_do_not_shrink(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    assert_int_equal(journal_partitions(r->j), 4);
    rig_close(r);
    r->opt.partitions = 3;
    assert_int_equal(rig_open(r), CODE_USAGE);
    assert_non_null(strstr(r->why.text, "4 partitions"));
    r->opt.partitions = 6;
    rig_must_open(r);
    assert_int_equal(rig_message(r, "x", 0, 5, false, NULL), CODE_OK);
    rig_close(r);
    r->opt.partitions = 4;
    assert_int_equal(rig_open(r), CODE_USAGE);
    r->opt.partitions = 6;
    rig_must_open(r);
    uint64_t first, next;
    journal_partition_range(r->j, 5, &first, &next);
    assert_int_equal(next, 1);
    rig_free(r);
}

/* Replaces format.json. */
static void write_format(struct rig *r, const char *text)
{
    assert_int_equal(io_replace(r->opt.io, "/data", "format.json", bytes_str(text), NULL), CODE_OK);
}

static void a_newer_or_damaged_format_is_refused_untouched(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    rig_close(r);
    char *format, *after;
    size_t len;
    assert_int_equal(io_load(r->opt.io, "/data/format.json", 4096, &format, &len, NULL), CODE_OK);
    write_format(r, "{ \"format\": 2, \"journal\": { \"new\": true } }\n");
    uint64_t writes = memfs_calls(r->fs, FS_PWRITE);
    assert_int_equal(rig_open(r), CODE_UNSUPPORTED);
    assert_non_null(strstr(r->why.text, "format 2"));
    assert_int_equal(memfs_calls(r->fs, FS_PWRITE), writes);
    write_format(r, "{ \"format\": 1 ");
    assert_int_equal(rig_open(r), CODE_DAMAGED);
    for (size_t bit = 0; bit < len * 8; bit++) {
        format[bit / 8] = (char)(format[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(io_replace(r->opt.io, "/data", "format.json", bytes_of(format, len), NULL), CODE_OK);
        enum code code = rig_open(r);
        assert_true(code == CODE_DAMAGED || code == CODE_UNSUPPORTED);
        format[bit / 8] = (char)(format[bit / 8] ^ (1 << bit % 8));
    }
    assert_int_equal(io_replace(r->opt.io, "/data", "format.json", bytes_of(format, len), NULL), CODE_OK);
    rig_must_open(r);
    rig_close(r);
    assert_int_equal(io_load(r->opt.io, "/data/format.json", 4096, &after, &len, NULL), CODE_OK);
    assert_string_equal(format, after);
    mem_free(format);
    mem_free(after);
    assert_int_equal(r->opt.io->unlink(r->opt.io->self, "/data/format.json"), 0);
    assert_int_equal(rig_open(r), CODE_DAMAGED); /* segments without it: whose are they? */
    rig_free(r);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.segment_bytes = 65535;
    assert_int_equal(rig_open(r), CODE_USAGE);
    r->opt.segment_bytes = ((uint64_t)1 << 30) + 1;
    assert_int_equal(rig_open(r), CODE_USAGE);
    r->opt.segment_bytes = 65536;
    r->opt.partitions = PARTITIONS_MAX + 1;
    assert_int_equal(rig_open(r), CODE_USAGE);
    rig_free(r);
}

static void memory_durability_promises_at_once_and_does_not_sync(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct rig_heard h;
    uint64_t id;
    char text[64];
    r->opt.no_sync = true;
    rig_must_open(r);
    rig_settle(r);
    uint64_t syncs = memfs_calls(r->fs, FS_FDATASYNC);
    assert_int_equal(rig_message(r, "now", 0, 1, true, &id), CODE_OK);
    assert_int_equal(journal_durable(r->j), id);
    assert_string_equal(rig_partition(r, 1, 0, &h), "0:now ");
    assert_string_equal(rig_read(r, id, text), "now");
    rig_settle(r);
    assert_int_equal(memfs_calls(r->fs, FS_FDATASYNC), syncs);
    assert_int_equal(rig_message(r, "later", 0, 1, false, NULL), CODE_OK);
    assert_string_equal(rig_partition(r, 1, 0, &h), "0:now 1:later "); /* half on disk, half in the buffer */
    rig_settle(r);
    rig_kill(r);
    rig_must_open(r);
    assert_string_equal(rig_partition(r, 1, 0, &h), "0:now 1:later ");
    for (int i = 0; i < 500; i++) {
        (void)rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL);
        journal_step(r->j);
    }
    rig_settle(r);
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_true(stats.segments < 7); /* rounds and deletion go on */
    rig_close(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_must_open(r);
    assert_string_equal(rig_read(r, id, text), "now");
    rig_free(r);
}

static void busy_is_told_by_the_bytes_not_yet_written(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.pending_bytes = 10000;
    rig_must_open(r);
    assert_false(journal_busy(r->j));
    for (int i = 0; i < 12; i++)
        (void)rig_message(r, "x", 1000, JOURNAL_NO_PARTITION, false, NULL);
    assert_true(journal_busy(r->j));
    journal_step(r->j);
    assert_false(journal_busy(r->j));
    rig_free(r);
}

static void restarts_add_up_to_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    uint64_t before = 0;
    for (int i = 0; i < 40; i++) {
        rig_must_open(r);
        assert_int_equal(r->notes, i);
        (void)rig_note(r, "n", 0);
        rig_settle(r);
        if (i % 3 == 0)
            rig_close(r);
        else
            rig_kill(r);
        if (i == 10)
            before = memfs_used(r->fs);
    }
    assert_true(memfs_used(r->fs) <= before + 65536);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_free(r);
}

static void an_idle_journal_stays_small_in_memory(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.segment_bytes = 64 << 20;
    uint64_t before = mem_in_use();
    rig_must_open(r);
    rig_settle(r);
    (void)rig_note(r, "n", 0);
    rig_settle(r);
    assert_true(mem_in_use() < before + (1u << 20));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_replayed_in_order),
        cmocka_unit_test(nothing_is_promised_before_it_is_synced),
        cmocka_unit_test(many_records_share_one_sync),
        cmocka_unit_test(a_group_under_load_is_one_write),
        cmocka_unit_test(what_nobody_waits_for_wakes_nobody_and_costs_no_sync),
        cmocka_unit_test(an_orderly_stop_replays_only_the_state),
        cmocka_unit_test(a_second_process_is_refused),
        cmocka_unit_test(many_segments_are_replayed_without_a_gap),
        cmocka_unit_test(a_record_longer_than_a_segment_is_refused_and_changes_nothing),
        cmocka_unit_test(handles_live_as_long_as_their_references),
        cmocka_unit_test(an_expiry_goes_on_while_the_message_lies_on_disk),
        cmocka_unit_test(the_checksum_of_a_payload_may_come_from_outside),
        cmocka_unit_test(a_batch_is_replayed_as_a_whole),
        cmocka_unit_test(an_unfinished_batch_at_the_end_is_dropped_as_a_whole),
        cmocka_unit_test(a_batch_that_is_given_up_is_void_and_the_next_record_is_not),
        cmocka_unit_test(a_batch_with_a_damaged_part_is_not_applied),
        cmocka_unit_test(segments_go_after_a_round_when_nothing_needs_them),
        cmocka_unit_test(without_a_round_nothing_is_deleted),
        cmocka_unit_test(a_round_that_fails_within_a_batch_leaves_no_half_state),
        cmocka_unit_test(messages_nobody_deletes_are_carried_forward),
        cmocka_unit_test(partitions_grow_and_do_not_shrink),
        cmocka_unit_test(a_newer_or_damaged_format_is_refused_untouched),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(memory_durability_promises_at_once_and_does_not_sync),
        cmocka_unit_test(busy_is_told_by_the_bytes_not_yet_written),
        cmocka_unit_test(restarts_add_up_to_nothing),
        cmocka_unit_test(an_idle_journal_stays_small_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
