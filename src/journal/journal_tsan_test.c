/* Tests of the journal with its threads, on the real file system: appenders, readers, the committer, rounds,
 * deletion and compaction at once. Worth most under ThreadSanitizer; in any build it compares what was read
 * with what was written. */
#include "base/crc32c.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/journal_private.h"
#include "message/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    APPENDERS = 4,
    READERS = 2,
    RECORDS = 4000,
    WINDOW = 64,
    NOTE = 16,
    HELD = 17,
    DROPPED = 18,
    HELD_MAX = 100000
};

struct storm {
    struct journal *j;
    char dir[64];
    bool no_sync;
    /* Durable state: which messages are held; by their ids. */
    struct stored *held[HELD_MAX];
    size_t held_count, round_at;
    uint64_t notes;
    _Atomic int running;
    _Atomic uint64_t durable_calls, read_back, partition_records;
};

static enum code write_state(void *ctx, struct journal *j, bool restart)
{
    struct storm *s = ctx;
    if (restart)
        s->round_at = 0;
    for (int i = 0; i < 50 && s->round_at < s->held_count; i++, s->round_at++) {
        uint8_t meta[24];
        uint64_t segment;
        uint32_t offset, bytes;
        stored_where(s->held[s->round_at], &segment, &offset, &bytes);
        put_le64(meta, stored_id(s->held[s->round_at]));
        put_le64(meta + 8, segment);
        put_le32(meta + 16, offset);
        put_le32(meta + 20, bytes);
        struct record_in in = {
            .type = HELD, .partition = JOURNAL_NO_PARTITION, .meta = bytes_of(meta, sizeof meta)};
        enum code code = journal_append(j, &in, NULL, NULL);
        if (code != CODE_OK)
            return code;
    }
    if (s->round_at < s->held_count)
        return CODE_MORE;
    uint8_t sum[8];
    put_le64(sum, s->notes);
    struct record_in in = {.type = NOTE, .partition = JOURNAL_NO_PARTITION, .meta = bytes_of(sum, 8)};
    return journal_append(j, &in, NULL, NULL);
}

static void forget(struct storm *s, uint64_t id)
{
    for (size_t i = 0; i < s->held_count; i++) {
        if (stored_id(s->held[i]) != id)
            continue;
        stored_drop(s->held[i]);
        memmove(&s->held[i], &s->held[i + 1], (--s->held_count - i) * sizeof *s->held);
        s->round_at -= i < s->round_at;
        return;
    }
}

static enum code apply(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    struct storm *s = ctx;
    struct stored *h = NULL;
    if (r->type == RECORD_MESSAGE && r->meta.len)
        h = journal_keep(j, r);
    if (r->type == HELD) {
        enum code code = journal_keep_at(j, get_le64(r->meta.at), get_le64(r->meta.at + 8),
                                         get_le32(r->meta.at + 16), get_le32(r->meta.at + 20), &h, why);
        if (code != CODE_OK)
            return code;
        for (size_t i = 0; i < s->held_count; i++) {
            if (s->held[i] != h)
                continue;
            stored_drop(h);
            h = NULL;
            break;
        }
    }
    if (h)
        s->held[s->held_count++] = h;
    if (r->type == DROPPED)
        forget(s, get_le64(r->meta.at));
    if (r->type == NOTE)
        s->notes = r->meta.len ? get_le64(r->meta.at) : s->notes + 1;
    return CODE_OK;
}

static void on_durable(void *ctx, uint64_t durable)
{
    struct storm *s = ctx;
    (void)durable;
    atomic_fetch_add(&s->durable_calls, 1);
}

static void open_journal(struct storm *s)
{
    struct journal_options o = {.io = &io_system,
                                .data_dir = s->dir,
                                .segment_bytes = 128 * 1024,
                                .partitions = 3,
                                .keep_bytes = 500000,
                                .ctx = s,
                                .apply = apply,
                                .write_state = write_state,
                                .on_durable = on_durable,
                                .no_sync = s->no_sync};
    struct fault why;
    s->held_count = 0;
    s->notes = 0;
    if (journal_open(&s->j, &o, &why) != CODE_OK)
        fail_msg("%s", why.text);
}

struct work {
    struct storm *storm;
    unsigned who;
    unsigned seed;
    uint64_t kept; /* still held at the end */
    uint64_t notes;
    pthread_t thread;
};

static struct message *make(unsigned who, unsigned n)
{
    char text[300];
    int len = snprintf(text, sizeof text, "%u/%u/%0*d", who, n, (int)(n % 200) + 1, 7);
    return message_new(
        &(struct message_parts){.topic = BYTES_LIT("t"), .payload = bytes_of(text, (size_t)len)});
}

/* Appends, lets go again, reads some back, waits for the disk now and then. */
static void *append_many(void *arg)
{
    struct work *w = arg;
    struct storm *s = w->storm;
    struct stored *window[WINDOW] = {0};
    for (unsigned n = 0; n < RECORDS; n++) {
        struct message *m = make(w->who, n);
        uint8_t mark = 1;
        bool keep = n % 3 == 0, forever = n % 500 == 0;
        struct record_in in = {.type = RECORD_MESSAGE,
                               .partition = n % 4 < 3 ? n % 4 : JOURNAL_NO_PARTITION,
                               .wall_us = n,
                               .meta = bytes_of(&mark, keep),
                               .payload = m->encoded,
                               .have_crc = true,
                               .keep = keep,
                               .payload_crc = crc32c(0, m->encoded.at, m->encoded.len)};
        struct record_out out = {0};
        journal_lock(s->j);
        FG_ASSERT(journal_append(s->j, &in, &out, NULL) == CODE_OK);
        struct stored *old = NULL;
        if (keep) {
            FG_ASSERT(s->held_count < HELD_MAX);
            s->held[s->held_count++] = out.stored;
            stored_set_message(out.stored, message_hold(m));
            old = forever ? NULL : window[n / 3 % WINDOW];
            window[n / 3 % WINDOW] = forever ? window[n / 3 % WINDOW] : out.stored;
        }
        if (old) {
            uint8_t meta[8];
            put_le64(meta, stored_id(old));
            struct record_in drop = {
                .type = DROPPED, .partition = JOURNAL_NO_PARTITION, .meta = bytes_of(meta, 8), .later = true};
            FG_ASSERT(journal_append(s->j, &drop, NULL, NULL) == CODE_OK);
            forget(s, stored_id(old));
        }
        if (n % 10 == 0) {
            struct record_in note = {.type = NOTE, .partition = JOURNAL_NO_PARTITION};
            FG_ASSERT(journal_append(s->j, &note, NULL, NULL) == CODE_OK);
            s->notes++;
            w->notes++;
        }
        struct stored *reading = n % 7 == 0 && keep ? stored_hold(out.stored) : NULL;
        journal_unlock(s->j);
        journal_kick(s->j);
        if (reading) {
            struct message *back;
            struct fault why;
            FG_ASSERT(journal_read(s->j, reading, 0, &back, &why) == CODE_OK);
            FG_ASSERT(bytes_equal(back->encoded, m->encoded));
            message_drop(back);
            journal_lock(s->j);
            stored_drop(reading);
            journal_unlock(s->j);
            atomic_fetch_add(&s->read_back, 1);
        }
        message_drop(m);
        while (journal_busy(s->j) || (n % 256 == 0 && journal_durable(s->j) < out.seq))
            usleep(200);
    }
    atomic_fetch_sub(&s->running, 1);
    return NULL;
}

struct listening {
    struct storm *storm;
    uint64_t next;
};

static bool listen_one(void *ctx, const struct record *r)
{
    struct listening *l = ctx;
    FG_ASSERT(r->type == RECORD_MESSAGE);
    FG_ASSERT(r->partition_seq >= l->next); /* retention may have been quicker */
    l->next = r->partition_seq + 1;
    struct message m;
    FG_ASSERT(message_view(&m, r->payload, 0, NULL) == CODE_OK);
    atomic_fetch_add(&l->storm->partition_records, 1);
    return true;
}

static void *read_many(void *arg)
{
    struct work *w = arg;
    struct storm *s = w->storm;
    struct listening l[3] = {{s, 0}, {s, 0}, {s, 0}};
    for (bool last = false; !last;) {
        last = atomic_load(&s->running) == 0; /* once more: nobody knows who got how much of the processor */
        for (uint32_t p = 0; p < 3; p++) {
            uint64_t first, next, seq;
            journal_partition_range(s->j, p, &first, &next);
            FG_ASSERT(first <= next);
            l[p].next = l[p].next > first ? l[p].next : first;
            FG_ASSERT(journal_partition_read(s->j, p, l[p].next, 30000, listen_one, &l[p], &l[p].next,
                                             NULL) == CODE_OK);
            struct fault why;
            if (journal_partition_find_time(s->j, p, 1000, &seq, &why) != CODE_OK) {
                fprintf(stderr, "%s\n", why.text);
                abort();
            }
            struct journal_stats stats;
            journal_stats(s->j, &stats);
            FG_ASSERT(!stats.failed && stats.damaged_frames == 0);
        }
        usleep(500);
    }
    return NULL;
}

/* Nobody waits for the committer where memory is durable; it tells all the same, in its own time. */
static void hear_of_it(struct storm *s)
{
    for (int i = 0; i < 20000 && atomic_load(&s->durable_calls) == 0; i++)
        usleep(1000);
    assert_true(atomic_load(&s->durable_calls) > 0);
}

static void remove_all(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void storm(bool no_sync)
{
    struct storm *s = calloc(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/journal_threads_XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->no_sync = no_sync;
    open_journal(s);
    struct work appenders[APPENDERS] = {0}, readers[READERS] = {0};
    atomic_store(&s->running, APPENDERS);
    for (unsigned i = 0; i < APPENDERS; i++) {
        appenders[i] = (struct work){.storm = s, .who = i};
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_many, &appenders[i]), 0);
    }
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct work){.storm = s, .who = i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_many, &readers[i]), 0);
    }
    uint64_t notes = 0;
    for (unsigned i = 0; i < APPENDERS; i++) {
        pthread_join(appenders[i].thread, NULL);
        notes += appenders[i].notes;
    }
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i].thread, NULL);
    hear_of_it(s);
    assert_true(atomic_load(&s->read_back) > 100);
    assert_true(atomic_load(&s->partition_records) > 1000);
    assert_int_equal(s->notes, notes);
    struct journal_stats stats;
    for (int i = 0; i < 100; i++) { /* what is not needed goes, in its own time */
        journal_stats(s->j, &stats);
        if (stats.segments < 20)
            break;
        journal_kick(s->j);
        usleep(50000);
    }
    assert_true(stats.segments < 20);
    size_t held = s->held_count;
    uint64_t next[3], first;
    for (uint32_t p = 0; p < 3; p++)
        journal_partition_range(s->j, p, &first, &next[p]);
    journal_close(s->j);
    for (int restart = 0; restart < 2; restart++) {
        open_journal(s);
        assert_int_equal(s->held_count, held);
        assert_int_equal(s->notes, notes);
        for (uint32_t p = 0; p < 3; p++) {
            uint64_t now;
            journal_partition_range(s->j, p, &first, &now);
            assert_true(now >= next[p]);
        }
        for (size_t i = 0; i < s->held_count; i++) {
            struct message *m;
            assert_int_equal(journal_read(s->j, s->held[i], 0, &m, NULL), CODE_OK);
            message_drop(m);
        }
        if (restart)
            journal_close(s->j);
        else
            journal_abandon(s->j);
    }
    struct journal_check_result result;
    assert_int_equal(journal_check(&io_system, s->dir, NULL, NULL, &result, NULL), CODE_OK);
    assert_int_equal(result.damaged, 0);
    remove_all(s->dir);
    free(s);
}

static void appenders_and_readers_do_not_disturb_each_other(void **state)
{
    (void)state;
    storm(false);
}

static void the_same_with_memory_durability(void **state)
{
    (void)state;
    storm(true);
}

/* Nobody waits for such a record, and nobody kicks for it: it is on disk soon all the same, also when the committer had
 * gone to sleep for long. */
static void what_may_come_later_comes_of_itself(void **state)
{
    (void)state;
    struct storm *s = calloc(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/journal_threads_XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    open_journal(s);
    for (int i = 0; i < 3; i++) {
        struct record_in note = {.type = NOTE, .partition = JOURNAL_NO_PARTITION, .later = true};
        struct record_out out;
        journal_lock(s->j);
        assert_int_equal(journal_append(s->j, &note, &out, NULL), CODE_OK);
        s->notes++;
        journal_unlock(s->j);
        journal_kick(s->j);
        int tries = 20000;
        for (; tries && journal_durable(s->j) < out.seq; tries--)
            usleep(1000);
        assert_true(tries > 0);
        for (bool sleeps = false; i == 1 && !sleeps; usleep(1000)) /* sealed, and quiet */
            sleeps = atomic_load(&s->j->long_sleep);
    }
    journal_abandon(s->j);
    open_journal(s);
    assert_int_equal(s->notes, 3);
    journal_close(s->j);
    remove_all(s->dir);
    free(s);
}

static void opening_and_closing_with_threads_works_at_any_moment(void **state)
{
    (void)state;
    struct storm *s = calloc(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/journal_threads_XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    for (int i = 0; i < 30; i++) {
        open_journal(s);
        assert_int_equal(s->notes, i);
        struct record_in note = {.type = NOTE, .partition = JOURNAL_NO_PARTITION};
        journal_lock(s->j);
        assert_int_equal(journal_append(s->j, &note, NULL, NULL), CODE_OK);
        s->notes++;
        uint64_t seq = journal_appended(s->j);
        journal_unlock(s->j);
        journal_kick(s->j);
        if (i % 3 == 0) {
            while (journal_durable(s->j) < seq)
                usleep(100);
            journal_abandon(s->j);
        } else {
            journal_close(s->j);
        }
    }
    remove_all(s->dir);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appenders_and_readers_do_not_disturb_each_other),
        cmocka_unit_test(the_same_with_memory_durability),
        cmocka_unit_test(what_may_come_later_comes_of_itself),
        cmocka_unit_test(opening_and_closing_with_threads_works_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
