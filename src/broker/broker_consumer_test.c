/* Readers inside the node through the whole broker: what they are owed, how far they are, what they publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/consumer.h"
#include "journal/journal.h"
#include "message/message.h"
#include "support/broker_tests.h"

static const struct peer_connect machine = {.client_id = "press-1"};
static const struct peer_connect watch = {.client_id = "watch", .expiry_s = 3600};

static unsigned signals;

static void ready(void *ctx)
{
    (void)ctx;
    signals++;
}

static struct consumer *open_with(struct rig *rig, const struct consumer_options *o)
{
    struct fault why;
    struct consumer *c = NULL;
    if (consumer_open(&c, rig->broker, o, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return c;
}

static struct consumer *open_job(struct rig *rig)
{
    return open_with(rig, &(struct consumer_options){.name = "job/humidity", .ready = ready});
}

static void reads(struct consumer *c, const char *filter, uint32_t number)
{
    struct fault why;
    struct consumer_filter f = {bytes_str(filter), number};
    assert_int_equal(consumer_subscribe(c, &f, 1, &why), CODE_OK);
}

static size_t take(struct consumer *c, uint64_t from, struct consumer_item *items, size_t max)
{
    struct fault why;
    size_t n;
    assert_int_equal(consumer_take(c, from, items, max, &n, &why), CODE_OK);
    return n;
}

/* Takes everything from `from` on: it is these payloads, separated by blanks. The index behind the last. */
static uint64_t expect(struct consumer *c, uint64_t from, const char *payloads)
{
    struct consumer_item items[64];
    char text[1024] = "";
    size_t n = take(c, from, items, 64), at = 0;
    for (size_t i = 0; i < n; i++) {
        struct bytes p = items[i].message->payload;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", i ? " " : "", BYTES_FMT(p));
        from = items[i].index + 1;
        message_drop(items[i].message);
    }
    assert_string_equal(text, payloads);
    return from;
}

static void finish(struct rig *rig, struct consumer *c, uint64_t index, const char *note)
{
    struct fault why;
    uint64_t seq = 0;
    assert_int_equal(consumer_finish(c, index, bytes_str(note), &seq, &why), CODE_OK);
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    assert_true(journal_durable(rig->journal) >= seq);
}

static void note_is(struct consumer *c, const char *note)
{
    uint8_t text[CONSUMER_NOTE];
    size_t n = consumer_note(c, text);
    assert_int_equal(n, strlen(note));
    assert_memory_equal(text, note, n);
}

static void it_is_owed_every_qos_in_order(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    reads(c, "factory/+/t", 3);
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &machine, false);
    signals = 0;
    peer_publish(p, "factory/1/t", "zero", 0, false);
    peer_published(p, "factory/1/t", "one", 1, false, 0);
    peer_published(p, "factory/2/t", "two", 2, false, 0);
    peer_publish(p, "elsewhere", "no", 0, false);
    peer_publish(p, "factory/2/t", "last", 0, false);
    rig_run(rig);
    assert_true(signals > 0);
    struct consumer_item item;
    assert_int_equal(take(c, 0, &item, 1), 1);
    assert_int_equal(item.number_count, 1);
    assert_int_equal(item.numbers[0], 3);
    message_drop(item.message);
    uint64_t next = expect(c, 0, "zero one two last");
    assert_int_equal(expect(c, next, ""), next);
    assert_int_equal(consumer_waiting(c), 4);
    finish(rig, c, next, "");
    assert_int_equal(consumer_waiting(c), 0);
    reads(c, "bare", 0); /* without a number */
    peer_publish(p, "bare", "x", 0, false);
    rig_run(rig);
    (void)expect(c, 0, "x");
    assert_int_equal(stats_of(rig).sessions, 1); /* the machine's */
    consumer_close(c);
}

static void place_and_note_survive(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    reads(c, "t/#", 1);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "t/1", "a", 1, false, 0);
    peer_published(p, "t/1", "b", 1, false, 0);
    uint64_t next = expect(c, 0, "a b");
    finish(rig, c, next - 1, "state of a");
    for (int i = 0; i < 4; i++) {
        consumer_close(c);
        rig_restart(rig, i % 2 ? ORDERLY : CRASH);
        c = open_job(rig);
        note_is(c, "state of a");
        assert_int_equal(consumer_head(c), next - 1);
        (void)expect(c, 0, "b");
    }
    p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "t/1", "c", 1, false, 0);
    next = expect(c, 0, "b c");
    consumer_close(c);
    p = peer_connected(rig, 0, &machine, false); /* takes over */
    peer_published(p, "t/1", "d", 1, false, 0);  /* nobody reads: it waits */
    rig_restart(rig, CRASH);
    c = open_job(rig);
    (void)expect(c, 0, "b c d");
    consumer_close(c);
}

static void filters_are_replaced(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    struct fault why;
    reads(c, "a", 1);
    struct consumer_filter two[] = {{bytes_str("b"), 1}, {bytes_str("+"), 2}};
    assert_int_equal(consumer_subscribe(c, two, 2, &why), CODE_OK);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_publish(p, "a", "a", 0, false);
    peer_published(p, "b", "b", 1, false, 0);
    struct consumer_item items[3];
    assert_int_equal(take(c, 0, items, 3), 2);
    assert_int_equal(items[0].number_count, 1);
    assert_int_equal(items[0].numbers[0], 2);
    assert_int_equal(items[1].number_count, 2);
    message_drop(items[0].message);
    message_drop(items[1].message);
    assert_int_equal(consumer_subscribe(c, NULL, 0, &why), CODE_OK);
    peer_published(p, "b", "nobody", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    consumer_close(c);
    rig_restart(rig, CRASH);
    p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "b", "nobody", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
}

/* ---- publishing ---- */

static struct message *word(const char *topic, const char *payload)
{
    struct message *m = message_new(&(struct message_parts){.qos = 1,
                                                            .topic = bytes_str(topic),
                                                            .payload = bytes_str(payload),
                                                            .principal = bytes_str("node"),
                                                            .source = bytes_str("humidity")});
    assert_non_null(m);
    return m;
}

static void is_done(void *ctx)
{
    (*(int *)ctx)++;
}

static uint8_t publish(struct rig *rig, struct consumer *c, uint64_t ordinal, const char *payload,
                       struct consumer *to)
{
    struct fault why;
    int done = 0;
    struct consumer_word w = {
        .message = word("out", payload), .ordinal = ordinal, .to = to, .number = to ? 9 : 0};
    assert_int_equal(consumer_post(c, &w, 1, is_done, &done, &why), CODE_OK);
    rig_run(rig);
    assert_int_equal(done, 1);
    message_drop(w.message);
    return w.result;
}

static void what_is_in_the_log_is_not_published_again(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &watch, false);
    peer_subscribed(p, "out", 1);
    assert_int_equal(publish(rig, c, 1, "first", NULL), 0);
    assert_int_equal(publish(rig, c, 2, "second", NULL), 0);
    peer_accepts(p, peer_expect_publish(p, "out", "first", 1));
    peer_accepts(p, peer_expect_publish(p, "out", "second", 1));
    assert_int_equal(publish(rig, c, 2, "second", NULL), 0);
    peer_expect_nothing(p);
    for (int i = 0; i < 4; i++) {
        consumer_close(c);
        rig_restart(rig, i % 2 ? ORDERLY : CRASH);
        c = open_job(rig);
        assert_int_equal(consumer_published(c), 2);
        p = peer_connected(rig, 0, &watch, true);
        assert_int_equal(publish(rig, c, 1, "first", NULL), 0);
        peer_expect_nothing(p);
    }
    assert_int_equal(publish(rig, c, 3, "third", NULL), 0);
    peer_accepts(p, peer_expect_publish(p, "out", "third", 1));
    consumer_close(c);
}

static void a_word_to_one_reader_is_his_alone(struct rig *rig)
{
    struct consumer *c = open_job(rig),
                    *other = open_with(rig, &(struct consumer_options){.name = "up", .ready = ready});
    reads(c, "#", 1);
    struct peer *p = peer_connected(rig, 0, &watch, false);
    peer_subscribed(p, "#", 1);
    assert_int_equal(publish(rig, c, 1, "hidden", other), 0);
    peer_expect_nothing(p);
    assert_int_equal(consumer_waiting(c), 0);
    struct consumer_item item;
    assert_int_equal(take(other, 0, &item, 1), 1);
    assert_int_equal(item.numbers[0], 9);
    message_drop(item.message);
    consumer_close(c);
    consumer_close(other);
    rig_restart(rig, CRASH);
    other = open_with(rig, &(struct consumer_options){.name = "up", .ready = ready});
    (void)expect(other, 0, "hidden");
    struct fault why;
    assert_int_equal(consumer_end(other, &why), CODE_OK);
    rig_run(rig);
    other = open_with(rig, &(struct consumer_options){.name = "up", .ready = ready});
    (void)expect(other, 0, "");
    consumer_close(other);
}

static void moved_entries_are_owed_there_alone(struct rig *rig)
{
    struct consumer *c = open_job(rig),
                    *up = open_with(rig, &(struct consumer_options){.name = "up", .ready = ready});
    struct consumer_item items[4];
    struct fault why;
    reads(c, "#", 1);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_publish(p, "t", "0", 0, false);
    peer_published(p, "t", "1", 1, false, 0);
    peer_published(p, "t", "2", 1, false, 0);
    assert_int_equal(take(c, 0, items, 4), 3);
    uint64_t some[] = {items[0].index, items[2].index}, rest = items[1].index;
    for (int i = 0; i < 3; i++)
        message_drop(items[i].message);
    assert_int_equal(consumer_move(c, some, 2, up, 4, &why), CODE_OK);
    assert_int_equal(consumer_waiting(up), 2);
    (void)expect(c, 0, "1");
    assert_int_equal(consumer_finish_one(c, rest, &why), CODE_OK);
    (void)expect(c, 0, "");
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    consumer_close(c);
    consumer_close(up);
    rig_restart(rig, CRASH);
    c = open_job(rig);
    up = open_with(rig, &(struct consumer_options){.name = "up", .ready = ready});
    (void)expect(c, 0, "");
    (void)expect(up, 0, "0 2");
    consumer_close(c);
    consumer_close(up);
}

static void filters_of_several_change_in_one_step(struct rig *rig)
{
    struct consumer *a = open_job(rig),
                    *b = open_with(rig, &(struct consumer_options){.name = "up", .ready = ready});
    struct fault why;
    struct consumer_filter f[] = {{bytes_str("t"), 5}, {bytes_str("u"), 0}};
    struct consumer_change to_a[] = {{a, f, 2}, {b, NULL, 0}}, to_b[] = {{a, f + 1, 1}, {b, f, 1}};
    struct peer *p = peer_connected(rig, 0, &machine, false);
    assert_int_equal(consumer_subscribe_all(to_a, 2, &why), CODE_OK);
    peer_published(p, "t", "1", 1, false, 0);
    assert_int_equal(consumer_subscribe_all(to_b, 2, &why), CODE_OK);
    peer_published(p, "t", "2", 1, false, 0);
    peer_published(p, "u", "3", 1, false, 0);
    assert_int_equal(consumer_tail(a), 2);
    consumer_close(a);
    consumer_close(b);
    rig_restart(rig, CRASH);
    a = open_job(rig);
    b = open_with(rig, &(struct consumer_options){.name = "up", .ready = ready});
    (void)expect(a, 0, "1 3");
    (void)expect(b, 0, "2");
    assert_int_equal(consumer_subscribe_all(NULL, 0, &why), CODE_OK);
    consumer_close(a);
    consumer_close(b);
}

static void a_look_without_messages_and_several_that_are_done(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    struct consumer_item items[8];
    struct fault why;
    reads(c, "t", 7);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    for (int i = 0; i < 5; i++)
        peer_published(p, "t", (const char *[]){"0", "1", "2", "3", "4"}[i], 1, false, 0);
    assert_int_equal(consumer_peek(c, 0, items, 8), 5);
    assert_null(items[1].message);
    assert_int_equal(items[1].number_count, 1);
    assert_int_equal(items[1].numbers[0], 7);
    uint64_t some[] = {items[1].index, items[3].index};
    assert_int_equal(consumer_finish_some(c, some, 2, &why), CODE_OK);
    assert_int_equal(consumer_peek(c, some[0], items, 8), 2);
    assert_int_equal(consumer_peek(c, 0, items, 2), 2);
    (void)expect(c, 0, "0 2 4");
    rig_advance(rig, 2 * JOURNAL_LATER_US);
    consumer_close(c);
    rig_restart(rig, CRASH);
    c = open_job(rig);
    (void)expect(c, 0, "0 2 4");
    consumer_close(c);
}

static uint8_t store(struct rig *rig, struct consumer *c, uint64_t ordinal)
{
    struct fault why;
    int done = 0;
    struct consumer_word w = {.message = word("t", "event"), .ordinal = ordinal, .events = true};
    assert_int_equal(consumer_post(c, &w, 1, is_done, &done, &why), CODE_OK);
    rig_run(rig);
    assert_int_equal(done, 1);
    message_drop(w.message);
    return w.result;
}

static uint64_t in_partitions(struct rig *rig)
{
    uint64_t n = 0, first, next;
    for (uint32_t i = 0; i < journal_partitions(rig->journal); i++) {
        journal_partition_range(rig->journal, i, &first, &next);
        n += next - first;
    }
    return n;
}

static void a_word_for_a_partition_goes_nowhere_else_and_once(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    struct peer *p = peer_connected(rig, 0, &watch, false);
    peer_subscribed(p, "#", 1);
    assert_int_equal(store(rig, c, 1), 0);
    assert_int_equal(store(rig, c, 1), 0);
    assert_int_equal(store(rig, c, 2), 0);
    peer_expect_nothing(p);
    assert_int_equal(in_partitions(rig), 2);
    consumer_close(c);
    rig_restart(rig, CRASH);
    c = open_job(rig);
    assert_int_equal(store(rig, c, 2), 0);
    assert_int_equal(in_partitions(rig), 2);
    consumer_close(c);
}

/* What it reads it reads again after a crash: no time and no sweep may take a message from between two checkpoints. */
static void what_expires_while_it_waits_is_read_all_the_same(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    reads(c, "t", 1);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    struct peer_publish soon = {
        .topic = BYTES_LIT("t"), .payload = BYTES_LIT("soon"), .props = BYTES_LIT("\x02\0\0\0\1")}; /* in a second */
    struct peer *five = peer_connected(rig, 0, &(struct peer_connect){.client_id = "v5"}, false);
    peer_publish_full(five, &soon);
    rig_run(rig);
    peer_published(p, "t", "stays", 1, false, 0);
    for (int i = 0; i < 3; i++) {
        (void)expect(c, 0, "soon stays");
        rig_advance(rig, 5000000);
        consumer_close(c);
        rig_restart(rig, i % 2 ? ORDERLY : CRASH);
        c = open_job(rig);
    }
    (void)expect(c, 0, "soon stays");
    consumer_close(c);
}

/* A job reads what happens, not what was. */
static void it_is_not_sent_what_is_retained(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_publish(p, "t", "was", 0, true);
    rig_run(rig);
    reads(c, "t", 1);
    rig_run(rig);
    (void)expect(c, 0, "");
    peer_publish(p, "t", "is", 0, true);
    rig_run(rig);
    (void)expect(c, 0, "is");
    consumer_close(c);
}

struct heard {
    char text[4096];
    size_t len;
};

static void hears(void *ctx, struct message *m)
{
    struct heard *h = ctx;
    h->len += (size_t)snprintf(h->text + h->len, sizeof h->text - h->len, "%.*s=%.*s ", BYTES_FMT(m->topic), BYTES_FMT(m->payload));
}

static void what_is_retained_is_given_when_asked_for(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    struct heard h = { .len = 0 };
    char topic[16];
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "a/1", "x", 1, true, 0);
    peer_published(p, "b/1", "y", 1, true, 0);
    consumer_retained(c, BYTES_LIT("a/+"), hears, &h);
    assert_string_equal(h.text, "a/1=x ");
    h.len = 0;
    consumer_retained(c, BYTES_LIT("none/#"), hears, &h);
    assert_int_equal(h.len, 0);
    for (int i = 0; i < 150; i++) { /* more than one batch */
        (void)snprintf(topic, sizeof topic, "m/%d", i);
        peer_published(p, topic, "v", 1, true, 0);
    }
    consumer_close(c);
    rig_restart(rig, CRASH); /* from now on only the disk has them */
    c = open_job(rig);
    h.len = 0;
    consumer_retained(c, BYTES_LIT("m/#"), hears, &h);
    size_t n = 0;
    for (const char *at = h.text; (at = strstr(at, "=v ")); at++)
        n++;
    assert_int_equal(n, 150);
    (void)expect(c, 0, "");
    consumer_close(c);
}

/* ---- limits ---- */

static void what_the_journal_never_takes_holds_up_nobody(struct rig *rig)
{
    static char large[80 * 1024]; /* more than a segment of the rig */
    struct consumer *c = open_job(rig);
    struct peer *p = peer_connected(rig, 0, &watch, false);
    struct fault why;
    int done = 0;
    peer_subscribed(p, "out", 1);
    memset(large, 'x', sizeof large - 1);
    struct consumer_word words[] = {{.message = word("out", "before"), .ordinal = 1},
                                    {.message = word("out", large), .ordinal = 2},
                                    {.message = word("out", "behind"), .ordinal = 3}};
    for (int again = 0; again < 2; again++) {
        assert_int_equal(consumer_post(c, words, 3, is_done, &done, &why), CODE_OK);
        rig_run(rig);
        assert_int_equal(done, again + 1);
        assert_int_equal(words[0].result, 0);
        assert_int_equal(words[1].result, again ? 0 : MQTT_PACKET_TOO_LARGE); /* those behind it have passed its number */
        assert_int_equal(words[2].result, 0);
    }
    peer_accepts(p, peer_expect_publish(p, "out", "before", 1));
    peer_accepts(p, peer_expect_publish(p, "out", "behind", 1));
    peer_expect_nothing(p);
    assert_int_equal(consumer_published(c), 3);
    for (int i = 0; i < 3; i++)
        message_drop(words[i].message);
    consumer_close(c);
}


static void a_full_reader_refuses_and_loses_nothing(struct rig *rig)
{
    struct consumer_options o = {.name = "up", .ready = ready, .max_messages = 2};
    struct consumer *c = open_with(rig, &o);
    reads(c, "t", 1);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "t", "1", 1, false, 0);
    peer_published(p, "t", "2", 1, false, 0);
    peer_published(p, "t", "3", 1, false, MQTT_QUOTA_EXCEEDED);
    uint64_t next = expect(c, 0, "1 2");
    struct consumer *job = open_job(rig);
    assert_int_equal(publish(rig, job, 1, "x", c), MQTT_QUOTA_EXCEEDED);
    assert_int_equal(consumer_published(job), 0);
    finish(rig, c, next, "");
    assert_int_equal(publish(rig, job, 1, "x", c), 0);
    peer_published(p, "t", "4", 1, false, 0);
    (void)expect(c, 0, "x 4");
    consumer_close(job);
    consumer_close(c);
}

static void publishers_wait_for_a_reader_that_is_behind(struct rig *rig)
{
    struct consumer_options o = {.name = "job/x", .ready = ready, .high = 4};
    struct consumer *c = open_with(rig, &o);
    reads(c, "t", 1);
    struct peer *p = peer_connected(rig, 0, &machine, false), *q = peer_connected(rig, 0, &watch, false);
    for (int i = 0; i < 5; i++)
        peer_published(p, "t", "x", 1, false, 0);
    uint16_t pid = peer_publish(p, "t", "y", 1, false);
    rig_run(rig);
    (void)peer_publish(p, "t", "z", 1, false);
    rig_run(rig);
    uint64_t waiting = consumer_waiting(c);
    assert_true(waiting <= 6); /* the one that tips it over is taken yet */
    peer_published(q, "other", "z", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS); /* nobody else waits */
    finish(rig, c, consumer_head(c) + waiting, "");
    rig_run(rig);
    (void)pid;
    (void)peer_expect(p, MQTT_PUBACK);
    (void)peer_expect(p, MQTT_PUBACK);
    consumer_close(c);
}

static void no_client_has_its_name(struct rig *rig)
{
    struct consumer *c = open_job(rig);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &(struct peer_connect){.client_id = "job/humidity", .clean_start = true});
    assert_false(peer_expect(p, MQTT_CONNACK)->session_present);
    reads(c, "t", 1);
    peer_published(p, "t", "x", 1, false, 0);
    (void)expect(c, 0, "x");
    struct fault why;
    struct consumer *again;
    assert_int_equal(
        consumer_open(&again, rig->broker, &(struct consumer_options){.name = "job/humidity"}, &why),
        CODE_EXISTS);
    consumer_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(it_is_owed_every_qos_in_order, NULL),
        RIG_TEST(place_and_note_survive, NULL),
        RIG_TEST(filters_are_replaced, NULL),
        RIG_TEST(what_is_in_the_log_is_not_published_again, NULL),
        RIG_TEST(a_word_to_one_reader_is_his_alone, NULL),
        RIG_TEST(moved_entries_are_owed_there_alone, NULL),
        RIG_TEST(filters_of_several_change_in_one_step, NULL),
        RIG_TEST(a_look_without_messages_and_several_that_are_done, NULL),
        RIG_TEST(a_word_for_a_partition_goes_nowhere_else_and_once, NULL),
        RIG_TEST(a_full_reader_refuses_and_loses_nothing, NULL),
        RIG_TEST(what_the_journal_never_takes_holds_up_nobody, NULL),
        RIG_TEST(what_expires_while_it_waits_is_read_all_the_same, NULL),
        RIG_TEST(it_is_not_sent_what_is_retained, NULL),
        RIG_TEST(what_is_retained_is_given_when_asked_for, NULL),
        RIG_TEST(publishers_wait_for_a_reader_that_is_behind, NULL),
        RIG_TEST(no_client_has_its_name, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
