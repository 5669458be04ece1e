/* A reader that reads, publishes with ordinals and says how far it is, in every state that a crash may leave: nothing that was
 * acknowledged is lost to it, and what it has to say is said once and in order, whatever of it was on disk.
 *
 *   peer --in--> job: a sum, one row or two for each message, checkpoints with notes --out--> watch
 *
 * The truth is in the node itself: two readers that never finish anything keep all that came in and all that went out.
 * timeout: 240 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "broker/consumer.h"
#include "journal/journal.h"
#include "message/message.h"
#include "support/broker_tests.h"
#include "support/crash.h"

#include <stdlib.h>

enum { MESSAGES = 90, PAD = 1500, ACKNOWLEDGED = 1, TAKE = 5 };

struct world {
    struct rig *rig;
    struct consumer *job, *came, *went;
    uint64_t sum, ordinal, position, since;
    uint64_t finish_every;
    bool forget_ordinals; /* broken on purpose */
};

static void nothing(void *ctx)
{
    (void)ctx;
}

static struct consumer *reader(struct rig *rig, const char *name, const char *filter)
{
    struct consumer *c;
    struct fault why;
    if (consumer_open(&c, rig->broker, &(struct consumer_options){ .name = name, .ready = nothing }, &why) != CODE_OK ||
        consumer_subscribe(c, &(struct consumer_filter){ bytes_str(filter), 1 }, 1, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return c;
}

static void begin(struct world *w, struct rig *rig)
{
    uint8_t note[CONSUMER_NOTE];
    *w = (struct world){ .rig = rig, .finish_every = w->finish_every, .forget_ordinals = w->forget_ordinals };
    w->went = reader(rig, "test/went", "out"); /* first: what is owed to one is owed to all that were there */
    w->came = reader(rig, "test/came", "in");
    w->job = reader(rig, "job/sum", "in");
    struct wire at = wire_of(bytes_of(note, consumer_note(w->job, note)));
    if (wire_left(&at)) {
        w->sum = wire_le64(&at);
        w->ordinal = wire_le64(&at);
    }
    w->position = consumer_head(w->job);
}

static void end(struct world *w)
{
    consumer_close(w->job);
    consumer_close(w->came);
    consumer_close(w->went);
}

static uint64_t number_of(const struct message *m)
{
    return strtoull((const char *)m->payload.at, NULL, 10); /* a blank is behind it */
}

/* ---- the job ---- */

/* The rows of one message: its number and the sum; every third has another one. */
static size_t rows_of(uint64_t n, uint64_t *sum, char rows[2][48])
{
    *sum += n;
    (void)snprintf(rows[0], 48, "%llu:%llu", (unsigned long long)n, (unsigned long long)*sum);
    (void)snprintf(rows[1], 48, "%llu again", (unsigned long long)n);
    return n % 3 ? 1 : 2;
}

static void say(struct world *w, const char *row)
{
    struct fault why;
    struct consumer_word word = { .ordinal = w->forget_ordinals ? 0 : ++w->ordinal };
    word.message = message_new(&(struct message_parts){ .qos = 1, .topic = BYTES_LIT("out"), .payload = bytes_str(row),
                                                        .principal = BYTES_LIT("node"), .source = BYTES_LIT("sum") });
    assert_non_null(word.message);
    assert_int_equal(consumer_post(w->job, &word, 1, nothing, NULL, &why), CODE_OK);
    rig_run(w->rig);
    assert_int_equal(word.result, 0);
    message_drop(word.message);
}

static void checkpoint(struct world *w)
{
    struct buf note = { 0 };
    struct fault why;
    buf_le64(&note, w->sum);
    buf_le64(&note, w->ordinal);
    assert_int_equal(consumer_finish(w->job, w->position, buf_bytes(&note), NULL, &why), CODE_OK);
    buf_clear(&note);
    w->since = 0;
}

static bool work(struct world *w)
{
    struct consumer_item items[TAKE];
    struct fault why;
    size_t n;
    assert_int_equal(consumer_take(w->job, w->position, items, TAKE, &n, &why), CODE_OK);
    for (size_t i = 0; i < n; i++) {
        char rows[2][48];
        assert_non_null(items[i].message);
        size_t count = rows_of(number_of(items[i].message), &w->sum, rows);
        message_drop(items[i].message);
        for (size_t k = 0; k < count; k++)
            say(w, rows[k]);
        w->position = items[i].index + 1;
        if (++w->since == w->finish_every)
            checkpoint(w);
    }
    return n > 0;
}

/* ---- what happens ---- */

static struct rig *open_rig(struct memfs *fs, uint64_t seed)
{
    struct rig_config config;
    rig_defaults(&config);
    config.seed = seed;
    config.shards = 1 + (unsigned)(seed % 3);
    config.fs = fs;
    config.lazy_percent = seed % 2 ? 60 : 5;
    struct rig *rig = rig_new(&config);
    rig_must_open(rig);
    return rig;
}

/* A life of the node, recorded. */
static struct crash *live(struct memfs *fs, uint64_t seed, struct world *w)
{
    struct rig *rig = open_rig(fs, seed);
    static char pad[PAD];
    memset(pad, 'x', sizeof pad - 1);
    begin(w, rig);
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    struct crash *rec = crash_begin(fs);
    struct peer *p = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "press-1" }, false);
    for (unsigned i = 1; i <= MESSAGES; i++) {
        char body[PAD + 32];
        (void)snprintf(body, sizeof body, "%u %s", i, pad);
        peer_published(p, "in", body, 1, false, 0);
        crash_mark(rec, ACKNOWLEDGED, i);
        if (i % 4 == seed % 4)
            while (work(w))
                continue;
        if (i % 7 == 0)
            rig_advance(rig, JOURNAL_LATER_US);
        if (i == MESSAGES / 2) { /* once in an orderly way */
            end(w);
            rig_restart(rig, ORDERLY);
            begin(w, rig);
            p = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "press-1" }, false);
        }
    }
    while (work(w))
        continue;
    crash_end(rec);
    end(w);
    rig_free(rig);
    return rec;
}

/* ---- the judge ---- */

/* All that it holds, from the first on. The numbers, or the texts. */
static size_t all_of(struct consumer *c, uint64_t *numbers, char (*texts)[48], size_t cap)
{
    struct consumer_item items[64];
    struct fault why;
    uint64_t from = 0;
    size_t n, count = 0;
    while (consumer_take(c, from, items, 64, &n, &why) == CODE_OK && n) {
        for (size_t i = 0; i < n; i++, count++) {
            assert_true(count < cap);
            assert_non_null(items[i].message);
            if (numbers)
                numbers[count] = number_of(items[i].message);
            else
                (void)snprintf(texts[count], 48, "%.*s", BYTES_FMT(items[i].message->payload));
            from = items[i].index + 1;
            message_drop(items[i].message);
        }
    }
    return count;
}

static const char *judge(struct world *w, const struct crash_marks *marks)
{
    static uint64_t in[2 * MESSAGES];
    static char out[4 * MESSAGES][48];
    static char said[160];
    size_t ins = all_of(w->came, in, NULL, 2 * MESSAGES), outs = all_of(w->went, NULL, out, 4 * MESSAGES), at = 0;
    uint64_t sum = 0;
    for (size_t m = 0; m < marks->count; m++) {
        bool there = false;
        for (size_t i = 0; i < ins; i++)
            there = there || in[i] == marks->mark[m].value;
        if (!there) {
            (void)snprintf(said, sizeof said, "%llu was acknowledged and is lost", (unsigned long long)marks->mark[m].value);
            return said;
        }
    }
    for (size_t i = 0; i < ins; i++) {
        char rows[2][48];
        size_t count = rows_of(in[i], &sum, rows);
        for (size_t k = 0; k < count; k++, at++)
            if (at >= outs || strcmp(out[at], rows[k]) != 0) {
                (void)snprintf(said, sizeof said, "row %zu is %s, not %s", at, at < outs ? out[at] : "missing", rows[k]);
                return said;
            }
    }
    if (at == outs)
        return NULL;
    (void)snprintf(said, sizeof said, "%zu rows, not %zu", outs, at);
    return said;
}

/* One state: the node starts, the job goes on, and all is as if nothing had happened. A second crash in the middle now and then. */
static const char *look(struct crash *rec, uint64_t prefix, uint64_t variant, struct world *w)
{
    struct memfs *fs = memfs_new(variant);
    struct crash_marks marks = crash_marks_before(rec, prefix);
    crash_state_build(rec, prefix, variant, fs);
    memfs_set_wall(fs, crash_wall_us(rec, prefix));
    struct rig *rig = open_rig(fs, variant + prefix);
    begin(w, rig);
    if (variant % 3 == 0) {
        (void)work(w);
        end(w);
        rig_restart(rig, variant % 2 ? CRASH : ORDERLY);
        begin(w, rig);
    }
    while (work(w))
        continue;
    const char *wrong = judge(w, &marks);
    end(w);
    if (!wrong)
        rig_must_agree(rig);
    rig_free(rig);
    memfs_free(fs);
    return wrong;
}

static const char *try_states(struct world *w, uint64_t seeds, uint64_t states)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct memfs *fs = memfs_new(seed);
        w->finish_every = 2 + seed * 3 % 11;
        struct crash *rec = live(fs, seed, w);
        struct random dice = { random_mix(seed, 1) };
        const char *wrong = NULL;
        for (uint64_t i = 0; !wrong && i < states; i++) {
            uint64_t prefix = random_below(&dice, crash_length(rec) + 1);
            uint64_t variant = i % 4 ? CRASH_RANDOM + i : random_below(&dice, CRASH_RANDOM);
            wrong = look(rec, prefix, variant, w);
            if (wrong && !w->forget_ordinals) {
                crash_print(rec, prefix, stderr);
                print_message("seed %llu, prefix %llu, variant %llu\n", (unsigned long long)seed, (unsigned long long)prefix,
                              (unsigned long long)variant);
            }
        }
        crash_free(rec);
        memfs_free(fs);
        if (wrong)
            return wrong;
    }
    return NULL;
}

static void nothing_is_lost_and_nothing_said_twice(void **state)
{
    const char *states = getenv("CRASH_STATES");
    struct world w = { 0 };
    (void)state;
    log_set_level(LOG_ERROR);
    const char *wrong = try_states(&w, 6, states ? strtoull(states, NULL, 10) : 60);
    if (wrong)
        fail_msg("%s", wrong);
}

static void without_ordinals_it_would_be_seen(void **state)
{
    struct world w = { .forget_ordinals = true };
    (void)state;
    log_set_level(LOG_ERROR);
    const char *wrong = try_states(&w, 6, 60);
    assert_non_null(wrong);
    print_message("%s\n", wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_nothing_said_twice),
        cmocka_unit_test(without_ordinals_it_would_be_seen),
    };
    return cmocka_run_group_tests_name("reader_crash", tests, NULL, NULL);
}
