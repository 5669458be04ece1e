/* A job's state in its file: that it comes back, whatever happened between the file and the record that names it; what is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "job/job_private.h"
#include "journal/journal.h"
#include "message/message.h"
#include "support/broker_tests.h"

#include <errno.h>

#define SQL "SELECT COUNT(*) AS n INTO o FROM [t] GROUP BY TumblingWindow(second, 10)"

/* ---- the note ---- */

static void a_note_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (uint32_t files = 0; files <= JOB_FILES_MAX; files++) {
        uint8_t text[PLACE_NOTE_BYTES + 1] = {0};
        struct place_note in = {.generation = UINT64_MAX - 1, .mark = 0x0123456789abcdef, .ordinal = 7, .count = files}, out;
        for (uint32_t i = 0; i < files; i++) {
            in.files[i].file = i * 77;
            in.files[i].size = UINT64_MAX - i;
        }
        size_t len = place_note_put(&in, text);
        assert_true(len > 0 && len <= PLACE_NOTE_BYTES && len <= CONSUMER_NOTE);
        assert_true(place_note_get(&out, bytes_of(text, len)));
        assert_int_equal(out.generation, in.generation);
        assert_int_equal(out.mark, in.mark);
        assert_int_equal(out.ordinal, in.ordinal);
        assert_int_equal(out.count, files);
        for (uint32_t i = 0; i < files; i++) {
            assert_int_equal(out.files[i].file, in.files[i].file);
            assert_int_equal(out.files[i].size, in.files[i].size);
        }
        for (size_t n = 0; n < len; n++)
            assert_false(place_note_get(&out, bytes_of(text, n)));
        assert_false(place_note_get(&out, bytes_of(text, len + 1)));
        text[0] = 3; /* another version */
        assert_false(place_note_get(&out, bytes_of(text, len)));
    }
}

/* ---- a job without its thread ---- */

static struct jobs all_of(struct rig *rig)
{
    static char dir[] = RIG_DATA "/jobs";
    const struct io *io = memfs_io(rig->fs);
    (void)io->mkdir(io->self, dir);
    return (struct jobs){.broker = rig->broker, .journal = rig->journal, .io = io, .dir = dir};
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void new_stream(struct job *j)
{
    struct fault why;
    stream_free(j->stream);
    j->stream = NULL;
    assert_int_equal(
        stream_new(&j->stream, j->plan->query, &(struct stream_sink){j, job_sink.row, job_sink.trouble}, &why),
        CODE_OK);
}

static struct job open_job(struct jobs *all, const char *sql)
{
    struct job j = {.jobs = all};
    struct fault why;
    struct job_spec spec = {.name = "a", .file = "a.sql", .sql = bytes_str(sql)};
    query_options_default(&spec.options);
    if (job_plan_new(&j.plan, &spec, &why) != CODE_OK)
        fail_msg("%s", why.text);
    assert_int_equal(consumer_open(&j.consumer, all->broker,
                                   &(struct consumer_options){.name = "job/a", .ready = nothing}, &why),
                     CODE_OK);
    assert_int_equal(consumer_subscribe(j.consumer, &(struct consumer_filter){BYTES_LIT("t"), 1}, 1, &why), CODE_OK);
    new_stream(&j);
    return j;
}

static void let_go(struct job *j)
{
    consumer_close(j->consumer);
    stream_free(j->stream);
    job_plan_free(j->plan);
}

static void read_back(struct job *j)
{
    struct fault why;
    if (checkpoint_read(j, &why) != CODE_OK)
        fail_msg("%s", why.text);
}

static void feed_one(struct job *j)
{
    struct fault why;
    struct stream_message m = {.body = BYTES_LIT("{\"v\":1}"), .arrival = INT64_C(638000000000000000)};
    assert_int_equal(stream_feed(j->stream, &m, &why), CODE_OK);
    j->position++;
    j->since++;
}

static void write_it(struct job *j)
{
    struct fault why;
    if (checkpoint_write(j, &why) != CODE_OK)
        fail_msg("%s", why.text);
}

static uint64_t events(const struct job *j)
{
    struct stream_stats s;
    stream_stats(j->stream, &s);
    return s.events;
}

static void three_messages(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &(struct peer_connect){.client_id = "press-1"}, false);
    for (int i = 0; i < 3; i++)
        peer_published(p, "t", "{\"v\":1}", 1, false, 0);
}

static bool file_there(struct rig *rig, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof path, RIG_DATA "/jobs/%s", name);
    return memfs_exists(rig->fs, path);
}

static void a_state_comes_back_with_its_place(struct rig *rig)
{
    struct jobs all = all_of(rig);
    struct job j = open_job(&all, SQL);
    three_messages(rig);
    read_back(&j);
    feed_one(&j);
    j.ordinal = 5;
    write_it(&j);
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    for (int i = 0; i < 2; i++) {
        let_go(&j);
        rig_restart(rig, i ? ORDERLY : CRASH);
        all = all_of(rig);
        j = open_job(&all, SQL);
        read_back(&j);
        assert_int_equal(events(&j), 1);
        assert_int_equal(j.position, 1);
        assert_int_equal(j.ordinal, 5);
        assert_int_equal(consumer_waiting(j.consumer), 2);
    }
    let_go(&j);
}

/* A crash may find the record of the second checkpoint on disk or not: its file is there, or that of the first. */
static void whichever_record_is_on_disk_has_its_file(struct rig *rig)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        struct jobs all = all_of(rig);
        struct job j = open_job(&all, SQL);
        three_messages(rig);
        read_back(&j);
        uint64_t before = events(&j);
        feed_one(&j);
        write_it(&j);
        rig_advance(rig, 2 * JOURNAL_LATER_US);
        feed_one(&j);
        write_it(&j);
        checkpoint_tidy(&j);
        new_stream(&j);
        read_back(&j); /* it goes back in between */
        assert_int_equal(events(&j), before + 2);
        if (on_disk)
            rig_advance(rig, 2 * JOURNAL_LATER_US);
        let_go(&j);
        rig_abandon(rig);
        rig_must_open(rig);
        all = all_of(rig);
        j = open_job(&all, SQL);
        read_back(&j);
        assert_int_equal(events(&j), before + (on_disk ? 2 : 1));
        feed_one(&j);
        rig_advance(rig, 2 * JOURNAL_LATER_US);
        write_it(&j);
        rig_advance(rig, 2 * JOURNAL_LATER_US);
        checkpoint_tidy(&j);
        let_go(&j);
    }
}

static void count_file(void *ctx, const char *path, bool is_dir, uint64_t size)
{
    (void)size;
    *(unsigned *)ctx += !is_dir && strstr(path, "/jobs/a.") != NULL;
}

static unsigned files(struct rig *rig)
{
    unsigned n = 0;
    memfs_each(rig->fs, count_file, &n);
    return n;
}

static void files_do_not_pile_up(struct rig *rig)
{
    struct jobs all = all_of(rig);
    struct job j = open_job(&all, SQL);
    const struct io *io = all.io;
    struct fault why;
    read_back(&j);
    for (int i = 0; i < 20; i++) {
        j.since++;
        write_it(&j);
        if (i % 5 == 4) {
            new_stream(&j);
            read_back(&j);
        }
        rig_advance(rig, 2 * JOURNAL_LATER_US);
    }
    checkpoint_tidy(&j);
    assert_int_equal(files(rig), 1);
    /* What a crash has left: of a later state, half of one, of another job. */
    assert_int_equal(io_replace(io, all.dir, "a.77", BYTES_LIT("x"), &why), CODE_OK);
    assert_int_equal(io_replace(io, all.dir, "a.78.tmp", BYTES_LIT("x"), &why), CODE_OK);
    assert_int_equal(io_replace(io, all.dir, "a.sql", BYTES_LIT("x"), &why), CODE_OK);
    assert_int_equal(io_replace(io, all.dir, "ab.1", BYTES_LIT("x"), &why), CODE_OK);
    new_stream(&j);
    read_back(&j);
    assert_false(file_there(rig, "a.77"));
    assert_false(file_there(rig, "a.78.tmp"));
    assert_true(file_there(rig, "a.20"));
    checkpoint_remove(&j);
    assert_true(file_there(rig, "a.sql"));
    assert_true(file_there(rig, "ab.1"));
    assert_false(file_there(rig, "a.20"));
    let_go(&j);
}

/* A state that cannot be written is none; the one before holds. */
static void what_cannot_be_written_changes_nothing(struct rig *rig)
{
    static const enum memfs_call calls[] = {FS_OPEN, FS_PWRITE, FS_FDATASYNC, FS_RENAME, FS_SYNC_DIR};
    struct fault why;
    struct jobs all = all_of(rig);
    struct job j = open_job(&all, SQL);
    three_messages(rig);
    read_back(&j);
    feed_one(&j);
    write_it(&j);
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    feed_one(&j);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        memfs_fail(rig->fs, calls[i], 1, ENOSPC, false);
        assert_int_not_equal(checkpoint_write(&j, &why), CODE_OK);
        memfs_fail(rig->fs, calls[i], 0, 0, false);
        assert_int_equal(consumer_waiting(j.consumer), 2);
    }
    for (uint64_t n = 1;; n++) {
        mem_fail_at(n);
        enum code c = checkpoint_write(&j, &why);
        mem_fail_at(0);
        if (c == CODE_OK)
            break;
        assert_int_equal(c, CODE_NOMEM);
    }
    assert_int_equal(consumer_waiting(j.consumer), 1);
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    let_go(&j);
    rig_restart(rig, CRASH);
    all = all_of(rig);
    j = open_job(&all, SQL);
    read_back(&j);
    assert_int_equal(events(&j), 2);
    let_go(&j);
}

static struct bytes content_of(struct rig *rig, const char *path, char *text, size_t size)
{
    const struct io *io = memfs_io(rig->fs);
    int file = io->open(io->self, path, IO_READ);
    assert_true(file >= 0);
    ssize_t n = io->pread(io->self, file, text, size, 0);
    assert_true(n >= 0);
    io->close(io->self, file);
    return bytes_of(text, (size_t)n);
}

/* What a failed sync has lost is not found by the next one. */
static void a_file_that_cannot_be_synced_is_written_again(struct rig *rig)
{
    static const char path[] = RIG_DATA "/rows.jsonl";
    const struct io *io = memfs_io(rig->fs);
    struct fault why;
    char text[100];
    struct jobs all = all_of(rig);
    struct file_out out = {.file = -1};
    struct job j = open_job(&all, "SELECT v INTO [file:" RIG_DATA "/rows.jsonl] FROM t");
    j.files = &out;
    three_messages(rig);
    read_back(&j);
    for (int turn = 0; turn < 2; turn++) {
        feed_one(&j);
        files_keep(&j);
        assert_int_equal(files_write(&j, &why), CODE_OK);
        if (turn == 0) {
            memfs_fail(rig->fs, FS_FDATASYNC, 1, EIO, false);
            assert_int_not_equal(checkpoint_write(&j, &why), CODE_OK);
            assert_true(j.astray);
            assert_int_equal(io->pwrite(io->self, out.file, "\0\0\0", 3, 0), 3); /* lost */
            new_stream(&j);
            read_back(&j);
            assert_int_equal(content_of(rig, path, text, sizeof text).len, 0);
        }
    }
    write_it(&j);
    assert_true(bytes_equal(content_of(rig, path, text, sizeof text), BYTES_LIT("{\"v\":1}\n")));
    files_close(&j);
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    let_go(&j);
}

/* ---- what it does not take ---- */

/* One checkpoint of one event, on disk, and a message behind it. `ordinal` rows are in the log. */
static void prepare(struct rig *rig)
{
    struct jobs all = all_of(rig);
    struct job j = open_job(&all, SQL);
    three_messages(rig);
    read_back(&j);
    feed_one(&j);
    write_it(&j);
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    let_go(&j);
}

/* It begins anew at the same place, once and for all. */
static void begins_anew(struct rig *rig, const char *sql)
{
    for (int i = 0; i < 2; i++) {
        struct jobs all = all_of(rig);
        struct job j = open_job(&all, sql);
        read_back(&j);
        assert_int_equal(events(&j), 0);
        assert_int_equal(consumer_waiting(j.consumer), 2);
        assert_int_equal(j.position, consumer_head(j.consumer));
        rig_advance(rig, 2 * JOURNAL_LATER_US);
        if (i == 1) {
            feed_one(&j);
            write_it(&j);
            rig_advance(rig, 2 * JOURNAL_LATER_US);
        }
        let_go(&j);
    }
    struct jobs all = all_of(rig);
    struct job j = open_job(&all, sql);
    read_back(&j);
    assert_int_equal(events(&j), 1); /* and goes on */
    let_go(&j);
}

static void a_state_that_is_gone(struct rig *rig)
{
    prepare(rig);
    const struct io *io = memfs_io(rig->fs);
    assert_int_equal(io->unlink(io->self, RIG_DATA "/jobs/a.1"), 0);
    log_set_level(LOG_ERROR + 1);
    begins_anew(rig, SQL);
}

static void a_state_of_another_query(struct rig *rig)
{
    prepare(rig);
    begins_anew(rig, SQL " -- changed");
}

static void a_note_of_another_version(struct rig *rig)
{
    struct fault why;
    prepare(rig);
    struct jobs all = all_of(rig);
    struct job j = open_job(&all, SQL);
    assert_int_equal(consumer_finish(j.consumer, 0, BYTES_LIT("\2later"), NULL, &why), CODE_OK);
    let_go(&j);
    log_set_level(LOG_ERROR + 1);
    begins_anew(rig, SQL);
}

/* Every byte of the file, another way: none of it is taken for a state, none ends the process. */
static void damage_is_found(struct rig *rig)
{
    struct jobs all = all_of(rig);
    char *text;
    size_t len;
    struct fault why;
    if (rig->config.seed != 1)
        return;
    prepare(rig);
    assert_int_equal(io_load(all.io, RIG_DATA "/jobs/a.1", 1 << 20, &text, &len, &why), CODE_OK);
    log_set_level(LOG_ERROR + 1);
    for (size_t i = 0; i < 2 * len; i++) {
        uint8_t note[PLACE_NOTE_BYTES];
        struct job j = open_job(&all, SQL);
        text[i / 2] ^= i % 2 ? 0x80 : 0x01;
        size_t cut = i % 7 == 6 ? i / 2 : len;
        assert_int_equal(io_replace(all.io, all.dir, "a.1", bytes_of(text, cut), &why), CODE_OK);
        text[i / 2] ^= i % 2 ? 0x80 : 0x01;
        size_t note_len = place_note_put(&(struct place_note){.generation = 1, .mark = j.plan->mark}, note);
        assert_int_equal(consumer_finish(j.consumer, 0, bytes_of(note, note_len), NULL, &why), CODE_OK);
        read_back(&j);
        if (events(&j) != 0)
            fail_msg("byte %zu of %zu is not covered", i / 2, len);
        let_go(&j);
    }
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_is_read_as_it_was_written),
        RIG_TEST(a_state_comes_back_with_its_place, NULL),
        RIG_TEST(whichever_record_is_on_disk_has_its_file, NULL),
        RIG_TEST(files_do_not_pile_up, NULL),
        RIG_TEST(a_file_that_cannot_be_synced_is_written_again, NULL),
        RIG_TEST(what_cannot_be_written_changes_nothing, NULL),
        RIG_TEST(a_state_that_is_gone, NULL),
        RIG_TEST(a_state_of_another_query, NULL),
        RIG_TEST(a_note_of_another_version, NULL),
        RIG_TEST(damage_is_found, NULL),
    };
    return cmocka_run_group_tests_name("job/checkpoint", tests, NULL, NULL);
}
