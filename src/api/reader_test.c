/* Readers on a real journal, its disk in memory, without threads. */
#include "api/reader.h"

#include "base/mem.h"
#include "message/message.h"
#include "support/memfs.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)

struct rig {
    struct memfs   *fs;
    struct journal *journal;
};

static enum code apply(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    (void)ctx, (void)j, (void)r, (void)why;
    return CODE_OK;
}

static enum code write_state(void *ctx, struct journal *j, bool restart)
{
    (void)ctx, (void)j, (void)restart;
    return CODE_OK;
}

static void on_durable(void *ctx, uint64_t seq)
{
    (void)ctx, (void)seq;
}

static void rig_open(struct rig *rig, uint32_t partitions, uint64_t keep_bytes)
{
    struct fault why;
    if (!rig->fs)
        rig->fs = memfs_new(7);
    struct journal_options o = { .io = memfs_io(rig->fs),
                                 .data_dir = "/data",
                                 .segment_bytes = 256 * 1024,
                                 .partitions = partitions,
                                 .keep_bytes = keep_bytes,
                                 .manual = true,
                                 .apply = apply,
                                 .write_state = write_state,
                                 .on_durable = on_durable };
    if (journal_open(&rig->journal, &o, &why) != CODE_OK)
        fail_msg("%s", why.text);
}

static void rig_close(struct rig *rig)
{
    journal_close(rig->journal);
    memfs_free(rig->fs);
    *rig = (struct rig){ 0 };
}

static void sync_all(struct rig *rig)
{
    while (journal_step(rig->journal))
        ;
}

static void put_payload(struct rig *rig, uint32_t partition, int64_t wall_us, struct bytes payload)
{
    struct fault why;
    struct message_parts parts = { .topic = BYTES_LIT("t"), .source = BYTES_LIT("s"), .payload = payload };
    struct message *m = message_new(&parts);
    struct record_in in = {
        .type = RECORD_MESSAGE, .partition = partition, .wall_us = wall_us, .payload = m->encoded
    };
    struct record_out out;
    journal_lock(rig->journal);
    enum code code = journal_append(rig->journal, &in, &out, &why);
    journal_unlock(rig->journal);
    if (code != CODE_OK)
        fail_msg("%s", why.text);
    message_drop(m);
}

/* An event whose body is a number. */
static void put(struct rig *rig, uint32_t partition, int64_t wall_us, unsigned number)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", number);
    put_payload(rig, partition, wall_us, bytes_of(text, (size_t)len));
}

/* The bodies in `lines`, "1 2 3". Free it. */
static char *bodies(const struct buf *lines)
{
    struct buf out = { 0 };
    struct bytes rest = buf_bytes(lines);
    while (rest.len) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);
        assert_non_null(end);
        const uint8_t *body = memmem(rest.at, (size_t)(end - rest.at), "\"body\":", 7);
        if (buf_size(&out))
            buf_u8(&out, ' ');
        if (body)
            buf_add(&out, body + 7, (size_t)(end - body) - 8);
        else
            buf_add(&out, "-", 1);
        rest = bytes_from(rest, (size_t)(end - rest.at) + 1);
    }
    buf_u8(&out, 0);
    return (char *)out.at;
}

static struct reader_ask everything(void)
{
    return (struct reader_ask){ .partition = JOURNAL_NO_PARTITION, .from = FROM_EARLIEST };
}

static struct reader *open_reader(struct rig *rig, const struct reader_ask *ask)
{
    struct reader *r;
    struct fault why;
    if (reader_open(&r, rig->journal, ask, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return r;
}

/* Slices until the reader says something else than "more". */
static enum code run_out(struct reader *r, int64_t wall_us, struct buf *out)
{
    enum code code;
    struct fault why;
    do {
        struct buf slice = { 0 };
        code = reader_next(r, wall_us, &slice, &why);
        buf_add_bytes(out, buf_bytes(&slice));
        buf_clear(&slice);
    } while (code == CODE_OK);
    return code;
}

static void expect_now(struct reader *r, int64_t wall_us, enum code want, const char *want_bodies)
{
    struct buf out = { 0 };
    enum code code = run_out(r, wall_us, &out);
    char *got = bodies(&out);
    assert_string_equal(got, want_bodies);
    assert_int_equal(code, want);
    mem_free(got);
    buf_clear(&out);
}

static void expect(struct rig *rig, const struct reader_ask *ask, const char *want_bodies)
{
    struct reader *r = open_reader(rig, ask);
    expect_now(r, 0, CODE_END, want_bodies);
    reader_close(r);
}

/* ---- the tests ---- */

static void partitions_are_merged_by_time(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 3, 0);
    put(&rig, 0, 10, 1);
    put(&rig, 1, 30, 3);
    put(&rig, 1, 50, 5);
    put(&rig, 0, 20, 2);
    put(&rig, 2, 40, 4);
    put(&rig, 0, 50, 6); /* a tie: the lower partition first */
    sync_all(&rig);
    struct reader_ask ask = everything();
    expect(&rig, &ask, "1 2 3 4 6 5");
    ask.count = 2;
    expect(&rig, &ask, "1 2");
    ask = everything();
    ask.partition = 1;
    expect(&rig, &ask, "3 5");
    rig_close(&rig);
}

static void a_clock_that_jumped_back_does_not_reorder_a_partition(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 1, 0);
    put(&rig, 0, 100, 1);
    put(&rig, 0, 50, 2);
    put(&rig, 0, 70, 3);
    sync_all(&rig);
    struct reader_ask ask = everything();
    expect(&rig, &ask, "1 2 3");
    rig_close(&rig);
}

static void every_position_begins_where_it_says(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 2, 0);
    for (unsigned i = 0; i < 10; i++)
        put(&rig, 0, i * 10 * SECOND, i);
    put(&rig, 1, 45 * SECOND, 100);
    sync_all(&rig);
    struct reader_ask ask = everything();
    ask.from = FROM_SEQUENCE;
    ask.sequence = 7;
    expect(&rig, &ask, "7 8 9");
    ask.sequence = 100;
    expect(&rig, &ask, "");
    ask = everything();
    ask.from = FROM_TIME;
    ask.time_us = 41 * SECOND;
    expect(&rig, &ask, "100 5 6 7 8 9");
    ask.time_us = 40 * SECOND;
    ask.until_us = 60 * SECOND;
    expect(&rig, &ask, "4 100 5");
    ask = everything();
    ask.from = FROM_LATEST;
    expect(&rig, &ask, "");
    ask = everything();
    ask.until_us = 20 * SECOND;
    expect(&rig, &ask, "0 1");
    rig_close(&rig);
}

/* Seconds 0 to 9, a stretch a day ahead, and again 10 to 19: `until` says what is shown, not where a partition ends. */
static void until_hides_nothing_that_was_stored_after_the_clock_was_set_back(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 2, 0);
    char body[20000];
    memset(body, 'x', sizeof body);
    put(&rig, 0, 1 * SECOND, 1);
    put(&rig, 1, 1 * SECOND, 2);
    for (unsigned i = 0; i < 40; i++) { /* several segments */
        put_payload(&rig, 0, (86400 + i) * SECOND, bytes_of(body, sizeof body));
        sync_all(&rig);
    }
    put(&rig, 0, 10 * SECOND, 3);
    put(&rig, 0, 86400 * SECOND, 4);
    put(&rig, 0, 11 * SECOND, 5);
    put(&rig, 0, 30 * SECOND, 6);
    sync_all(&rig);
    struct reader_ask ask = everything();
    ask.until_us = 30 * SECOND;
    expect(&rig, &ask, "1 2 3 5");
    ask.until_us = 11 * SECOND;
    expect(&rig, &ask, "1 2 3");
    ask.until_us = 1;
    expect(&rig, &ask, "");
    rig_close(&rig);
}

static void a_partition_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    struct reader *r;
    struct fault why;
    rig_open(&rig, 2, 0);
    struct reader_ask ask = everything();
    ask.partition = 2;
    assert_int_equal(reader_open(&r, rig.journal, &ask, &why), CODE_NOTFOUND);
    assert_int_equal(why.number, 3101);
    assert_string_equal(why.text, "there is no partition 2: this hub has 2, 0 to 1");
    rig_close(&rig);
}

static void without_follow_it_ends_where_the_partitions_ended_at_the_start(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 2, 0);
    put(&rig, 0, 1, 1);
    put(&rig, 1, 2, 2);
    sync_all(&rig);
    struct reader_ask ask = everything();
    struct reader *r = open_reader(&rig, &ask);
    put(&rig, 0, 3, 3);
    sync_all(&rig);
    expect_now(r, 0, CODE_END, "1 2");
    reader_close(r);
    rig_close(&rig);
}

static void a_follower_sees_what_is_durable_and_nothing_else(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 2, 0);
    put(&rig, 0, 1, 1);
    sync_all(&rig);
    struct reader_ask ask = everything();
    ask.from = FROM_LATEST;
    ask.follow = true;
    struct reader *r = open_reader(&rig, &ask);
    expect_now(r, 0, CODE_AGAIN, "");
    put(&rig, 1, 2, 2);
    expect_now(r, 0, CODE_AGAIN, ""); /* appended, not yet on disk */
    sync_all(&rig);
    expect_now(r, 0, CODE_AGAIN, "2");
    put(&rig, 0, 3, 3);
    put(&rig, 1, 4, 4);
    sync_all(&rig);
    expect_now(r, 0, CODE_AGAIN, "3 4");
    reader_close(r);
    rig_close(&rig);
}

static void a_follower_ends_with_its_count_or_its_time(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 2, 0);
    struct reader_ask ask = everything();
    ask.follow = true;
    ask.count = 2;
    struct reader *counted = open_reader(&rig, &ask);
    ask.count = 0;
    ask.until_us = 100;
    struct reader *timed = open_reader(&rig, &ask), *passed = open_reader(&rig, &ask);
    put(&rig, 0, 1, 1);
    sync_all(&rig);
    expect_now(counted, 0, CODE_AGAIN, "1");
    expect_now(timed, 0, CODE_AGAIN, "1");
    put(&rig, 0, 2, 2);
    put(&rig, 0, 100, 3);
    put(&rig, 1, 100, 4);
    sync_all(&rig);
    expect_now(counted, 0, CODE_END, "2");
    expect_now(timed, 0, CODE_AGAIN, "2"); /* a clock that is ahead may be set back */
    put(&rig, 0, 50, 5);
    put(&rig, 1, 101, 6);
    sync_all(&rig);
    expect_now(timed, 99, CODE_AGAIN, "5");
    expect_now(timed, 100, CODE_END, "");
    reader_close(counted);
    reader_close(timed);
    expect_now(passed, 100, CODE_END, "1 2 5"); /* the time came, whatever the partitions have */
    reader_close(passed);
    rig_close(&rig);
}

static void a_record_beyond_every_buffer_comes_whole_and_in_its_place(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 2, 0);
    size_t len = 150 * 1000;
    char *big = malloc(len);
    memset(big, 'x', len);
    put(&rig, 0, 1, 1);
    put_payload(&rig, 0, 2, bytes_of(big, len));
    put(&rig, 0, 4, 4);
    put_payload(&rig, 1, 3, bytes_of(big, len));
    put(&rig, 1, 5, 5);
    sync_all(&rig);
    struct reader_ask ask = everything();
    struct reader *r = open_reader(&rig, &ask);
    struct buf out = { 0 };
    assert_int_equal(run_out(r, 0, &out), CODE_END);
    reader_close(r);
    char *got = bodies(&out);
    assert_int_equal(strlen(got), 2 * (len + 2) + strlen("1   4 5"));
    assert_memory_equal(got, "1 \"xxx", 6);
    assert_string_equal(got + strlen(got) - 7, "xx\" 4 5");
    mem_free(got);
    buf_clear(&out);
    free(big);
    rig_close(&rig);
}

static void a_long_history_comes_in_slices_complete_and_in_order(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    enum { PARTITIONS = 5, EVENTS = 4000 };
    rig_open(&rig, PARTITIONS, 0);
    for (unsigned i = 0; i < EVENTS; i++) {
        put(&rig, (i * 7) % PARTITIONS, i, i);
        if (i % 500 == 0)
            sync_all(&rig);
    }
    sync_all(&rig);
    struct reader_ask ask = everything();
    struct reader *r = open_reader(&rig, &ask);
    struct buf out = { 0 };
    struct fault why;
    unsigned slices = 0;
    enum code code = CODE_OK;
    while (code == CODE_OK) {
        struct buf slice = { 0 };
        code = reader_next(r, 0, &slice, &why);
        assert_true(buf_size(&slice) < READER_SLICE + 4096);
        buf_add_bytes(&out, buf_bytes(&slice));
        buf_clear(&slice);
        slices++;
    }
    assert_int_equal(code, CODE_END);
    assert_true(slices > 3);
    reader_close(r);
    char *got = bodies(&out), *at = got;
    for (unsigned i = 0; i < EVENTS; i++) {
        assert_int_equal(strtoul(at, &at, 10), i);
        assert_true(*at == (i + 1 < EVENTS ? ' ' : 0));
    }
    mem_free(got);
    buf_clear(&out);
    rig_close(&rig);
}

static void many_partitions_cost_little_memory(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    enum { PARTITIONS = 256 };
    rig_open(&rig, PARTITIONS, 0);
    char body[20000];
    memset(body, 'y', sizeof body);
    for (unsigned i = 0; i < PARTITIONS * 2; i++)
        put_payload(&rig, i % PARTITIONS, i, bytes_of(body, sizeof body));
    sync_all(&rig);
    uint64_t before = mem_in_use();
    struct reader_ask ask = everything();
    struct reader *r = open_reader(&rig, &ask);
    uint64_t most = 0, lines = 0;
    enum code code = CODE_OK;
    while (code == CODE_OK) {
        struct buf slice = { 0 };
        struct fault why;
        code = reader_next(r, 0, &slice, &why);
        for (size_t i = slice.from; i < slice.len; i++)
            lines += slice.at[i] == '\n';
        buf_clear(&slice);
        uint64_t now = mem_in_use();
        most = now > most ? now : most;
    }
    assert_int_equal(lines, PARTITIONS * 2);
    /* One record of 20 kB and the lane's table for each, and what was read ahead. */
    assert_true(most - before < (uint64_t)PARTITIONS * 80 * 1024);
    reader_close(r);
    rig_close(&rig);
}

static void what_retention_removed_is_passed_over(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 1, 512 * 1024);
    struct reader_ask ask = everything();
    ask.follow = true;
    struct reader *r = open_reader(&rig, &ask);
    put(&rig, 0, 0, 1);
    sync_all(&rig);
    expect_now(r, 0, CODE_AGAIN, "1");
    char body[20000];
    memset(body, 'z', sizeof body);
    for (unsigned i = 0; i < 100; i++) {
        put_payload(&rig, 0, i + 1, bytes_of(body, sizeof body));
        sync_all(&rig);
    }
    uint64_t first, next;
    journal_partition_range(rig.journal, 0, &first, &next);
    assert_true(first > 1);
    struct buf out = { 0 };
    assert_int_equal(run_out(r, 0, &out), CODE_AGAIN);
    uint64_t lines = 0;
    for (size_t i = out.from; i < out.len; i++)
        lines += out.at[i] == '\n';
    assert_int_equal(lines, next - first);
    buf_clear(&out);
    reader_close(r);
    rig_close(&rig);
}

static void damage_is_told_in_place_and_the_rest_follows(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 1, 0);
    put(&rig, 0, 1, 111);
    put_payload(&rig, 0, 2, BYTES_LIT("\"find me\""));
    put(&rig, 0, 3, 333);
    sync_all(&rig);
    /* The payload of the second: found by its text on the disk. */
    const struct io *io = memfs_io(rig.fs);
    int file = io->open(io->self, "/data/journal/0000000000000001.seg", IO_READ);
    static uint8_t segment[256 * 1024];
    int64_t n = io_read_all(io, file, segment, sizeof segment, 0);
    io->close(io->self, file);
    uint8_t *at = memmem(segment, (size_t)n, "find me", 7);
    assert_non_null(at);
    assert_true(memfs_flip(rig.fs, "/data/journal/0000000000000001.seg", (uint64_t)(at - segment), 1));
    struct reader_ask ask = everything();
    struct reader *r = open_reader(&rig, &ask);
    struct buf out = { 0 };
    assert_int_equal(run_out(r, 0, &out), CODE_END);
    char *got = bodies(&out);
    assert_string_equal(got, "111 - 333");
    assert_non_null(memmem(
        out.at, out.len, "{\"partition\":0,\"offset\":1,\"sequence\":1,\"error\":{\"code\":\"FG7004\"", 60));
    mem_free(got);
    buf_clear(&out);
    reader_close(r);
    rig_close(&rig);
}

static void a_failed_allocation_ends_the_reading_and_nothing_else(void **state)
{
    (void)state;
    struct rig rig = { 0 };
    rig_open(&rig, 3, 0);
    for (unsigned i = 0; i < 300; i++)
        put(&rig, i % 3, i, i);
    sync_all(&rig);
    struct reader_ask ask = everything();
    for (uint64_t n = 1;; n++) {
        struct reader *r = NULL;
        struct buf out = { 0 };
        struct fault why;
        mem_fail_at(n);
        enum code code = reader_open(&r, rig.journal, &ask, &why);
        while (code == CODE_OK) {
            code = reader_next(r, 0, &out, &why);
            buf_reset(&out);
        }
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(code, fired ? CODE_NOMEM : CODE_END);
        buf_clear(&out);
        reader_close(r);
        if (!fired)
            break;
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_are_merged_by_time),
        cmocka_unit_test(a_clock_that_jumped_back_does_not_reorder_a_partition),
        cmocka_unit_test(every_position_begins_where_it_says),
        cmocka_unit_test(until_hides_nothing_that_was_stored_after_the_clock_was_set_back),
        cmocka_unit_test(a_partition_that_is_not_there_is_named),
        cmocka_unit_test(without_follow_it_ends_where_the_partitions_ended_at_the_start),
        cmocka_unit_test(a_follower_sees_what_is_durable_and_nothing_else),
        cmocka_unit_test(a_follower_ends_with_its_count_or_its_time),
        cmocka_unit_test(a_record_beyond_every_buffer_comes_whole_and_in_its_place),
        cmocka_unit_test(a_long_history_comes_in_slices_complete_and_in_order),
        cmocka_unit_test(many_partitions_cost_little_memory),
        cmocka_unit_test(what_retention_removed_is_passed_over),
        cmocka_unit_test(damage_is_told_in_place_and_the_rest_follows),
        cmocka_unit_test(a_failed_allocation_ends_the_reading_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
