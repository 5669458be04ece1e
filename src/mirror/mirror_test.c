/* The mirror on a broker with loops and a journal of its own threads, on a disk in memory: bounds, changes, what is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "mirror/mirror_private.h"
#include "opcua/status.h"
#include "support/memfs.h"

#include <stdio.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

struct stage {
    struct memfs *fs;
    struct loop *loop;
    pthread_t thread;
    struct broker *broker;
    struct journal *journal;
    struct consumer *feeder;
    struct mirror *mirror;
};

static void must(enum code c, const struct fault *why)
{
    if (c != CODE_OK)
        fail_msg("%s: %s", code_name(c), why->text);
}

static const struct limits limits = {
    .packet_bytes = 1 << 20, .connect_bytes = 64 * 1024, .connect_s = 10, .connections = 1000, .connections_per_address = LIMIT_NONE_32,
    .connect_rate = LIMIT_NONE_32, .auth_failures = 10, .half_open = 100, .receive_maximum = 64, .queued_bytes = 64 << 20,
    .queued_messages = 10000, .on_full = ON_FULL_DROP_NEWEST, .refuse_s = 30, .unsent_bytes = 8 << 20, .unsent_s = 60,
    .memory_bytes = (uint64_t)1 << 32, .topic_bytes = 1024, .topic_levels = 32, .subscriptions = 1000, .filters_per_packet = 100,
    .shared_groups = 100, .fan_out = 100000, .topic_aliases = 64, .retained_messages = 1000, .retained_per_identity = 1000,
    .connections_per_identity = 10, .sessions_per_identity = 10, .retained_bytes = 64 << 20, .user_properties = 64,
    .property_bytes = 16384, .session_expiry_s = 30 * 86400, .sessions = 100000, .keep_alive_s = 1200 };

static void *run_loop(void *l)
{
    loop_run(l);
    return NULL;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void begin(struct stage *s)
{
    struct fault why;
    const struct io *io = memfs_io(s->fs);
    must(loop_open_uv(&s->loop, &why), &why);
    struct broker_config config = { .limits = limits, .io = io, .loops = &s->loop, .loop_count = 1, .version = "test" };
    must(broker_new(&s->broker, &config, &why), &why);
    struct journal_options o = { .io = io, .data_dir = "/data", .segment_bytes = 1 << 20, .disk_reserve = 256 * 1024, .ctx = s->broker,
                                 .apply = broker_apply, .write_state = broker_write_state, .on_durable = broker_on_durable };
    must(journal_open(&s->journal, &o, &why), &why);
    must(broker_start(s->broker, s->journal, &why), &why);
    assert_int_equal(pthread_create(&s->thread, NULL, run_loop, s->loop), 0);
    must(consumer_open(&s->feeder, s->broker, &(struct consumer_options){ .name = "feeder", .ready = nothing }, &why), &why);
    struct mirror_config m = { .broker = s->broker, .io = io, .version = "test", .data_dir = "/data" };
    must(mirror_new(&s->mirror, &m, &why), &why);
}

static void end(struct stage *s)
{
    mirror_stop(s->mirror);
    mirror_free(s->mirror);
    consumer_close(s->feeder);
    broker_stop(s->broker);
    loop_stop(s->loop);
    (void)pthread_join(s->thread, NULL);
    broker_halt(s->broker);
    loop_close(s->loop);
    journal_close(s->journal);
    broker_free(s->broker);
}

static int open_stage(void **state)
{
    struct stage *s = mem_zalloc(1, sizeof *s);
    log_set_level(LOG_ERROR);
    s->fs = memfs_new(1);
    (void)memfs_io(s->fs)->mkdir(memfs_io(s->fs)->self, "/data");
    begin(s);
    *state = s;
    return 0;
}

static int close_stage(void **state)
{
    struct stage *s = *state;
    end(s);
    memfs_free(s->fs);
    mem_free(s);
    return 0;
}

/* ---- settings, messages, values ---- */

static const struct settings *settings(const char *opcua)
{
    struct fault why;
    const struct settings *s;
    char text[2048];
    static const char *const home[] = { "HOME=/h", NULL };
    (void)snprintf(text, sizeof text, "opcua:\n%s", opcua);
    must(settings_parse(&s, &io_system, &(struct settings_source){ .environment = home }, "f.yaml", bytes_str(text), NULL, &why), &why);
    return s;
}

static enum code change(struct stage *s, const char *opcua)
{
    struct fault why;
    const struct settings *new = settings(opcua);
    enum code c = mirror_change(s->mirror, new, NULL, &why);
    settings_free(new);
    return c;
}

#define SERVER "  server: { at: \"127.0.0.1:0\" }\n  variables:\n"

static void feed(struct stage *s, const char *topic, const char *payload, bool retain)
{
    struct fault why;
    const struct io *io = memfs_io(s->fs);
    struct message *m = message_new(&(struct message_parts){ .qos = 1, .retain = retain, .wall_us = io->wall_us(io->self), .topic = bytes_str(topic),
                                                             .principal = bytes_str("test"), .payload = bytes_str(payload) });
    struct consumer_word w = { .message = m };
    must(consumer_publish(s->feeder, &w, 1, &why), &why);
    message_drop(m);
}

static struct mirror_counters counted(struct stage *s, uint64_t messages)
{
    struct mirror_glance g;
    for (int ms = 0; ms < PATIENCE_MS; ms += 2) {
        assert_true(mirror_glance(s->mirror, &g));
        if (g.count.messages >= messages)
            break;
        (void)usleep(2000);
    }
    assert_int_equal(g.count.messages, messages);
    assert_int_equal(g.count.messages, g.count.used + g.count.left_out);
    assert_int_equal(g.count.values, g.count.good + g.count.bad);
    return g.count;
}

struct reading {
    struct letter letter;
    struct mirror *m;
    const char *id;
    double value;
    ua_status status;
    bool there;
    _Atomic bool done;
};

static void open_reading(struct letter *l, struct loop *here)
{
    struct reading *r = (struct reading *)(void *)l;
    struct ua_node *n = ua_find(r->m->space, &(struct ua_node_id){ .ns = r->m->ns, .kind = UA_ID_STRING, .text = bytes_str(r->id) });
    struct ua_variable *v = ua_as_variable(n);
    (void)here;
    r->there = n != NULL;
    r->status = v ? v->value.status : UA_BAD_NODE_ID_UNKNOWN;
    if (v && !ua_value_number(&v->value, &r->value))
        r->value = -1;
    atomic_store(&r->done, true);
}

static void look(struct stage *s, struct reading *r, const char *id)
{
    *r = (struct reading){ .letter = { .open = open_reading }, .m = s->mirror, .id = id };
    loop_post(s->mirror->loop, &r->letter);
    for (int ms = 0; !atomic_load(&r->done) && ms < PATIENCE_MS; ms++)
        (void)usleep(1000);
    assert_true(atomic_load(&r->done));
}

static bool there_is(struct stage *s, const char *id)
{
    struct reading r;
    look(s, &r, id);
    return r.there;
}

static double value_of(struct stage *s, const char *id, ua_status status)
{
    struct reading r;
    look(s, &r, id);
    assert_string_equal(ua_status_name(r.status), ua_status_name(status));
    return r.value;
}

static void waits_for_it(void *ctx, struct bytes name, bool open)
{
    (void)open;
    *(bool *)ctx = *(bool *)ctx || bytes_is(name, "opcua/mirror");
}

static bool something_waits(struct stage *s)
{
    bool found = false;
    consumer_names(s->broker, waits_for_it, &found);
    return found;
}

/* ---- tests ---- */

static void every_message_is_counted_once(void **state)
{
    struct stage *s = *state;
    assert_int_equal(change(s, SERVER "    A: { topic: t, field: a }\n    B: { topic: t, field: b, type: Byte }\n    C: { topic: p }\n"), CODE_OK);
    feed(s, "t", "{\"a\":1.5,\"b\":300}", false);
    feed(s, "t", "{\"a\":2.5}{\"a\":3.5,\"b\":3}", false);
    feed(s, "p", "7", false);
    feed(s, "p", "", false);
    struct mirror_counters c = counted(s, 4);
    assert_int_equal(c.values, 8);
    assert_int_equal(c.bad, 3);
    assert_int_equal(c.variables, 3);
    assert_true(value_of(s, "A", UA_GOOD) == 3.5);
    assert_true(value_of(s, "B", UA_GOOD) == 3);
    (void)value_of(s, "C", UA_BAD_NO_DATA);
}

static void there_are_never_more_than_the_most(void **state)
{
    struct stage *s = *state;
    char topic[32];
    assert_int_equal(change(s, SERVER "    A: { topic: t/+ }\n"), CODE_OK);
    for (int i = 0; i < MIRROR_VARIABLES_MAX + 50; i++) {
        (void)snprintf(topic, sizeof topic, "t/%d", i);
        feed(s, topic, "1", false);
    }
    struct mirror_counters c = counted(s, MIRROR_VARIABLES_MAX + 50);
    assert_int_equal(c.variables, MIRROR_VARIABLES_MAX);
    assert_int_equal(c.left_out, 50);
    assert_int_equal(c.variables_refused, 50);
    assert_int_equal(change(s, SERVER "    A: { topic: u/+ }\n"), CODE_OK);
    feed(s, "u/1", "5", false);
    c = counted(s, MIRROR_VARIABLES_MAX + 51);
    assert_int_equal(c.variables, 1);
    assert_true(value_of(s, "1/A", UA_GOOD) == 5);
    (void)value_of(s, "7/A", UA_BAD_NODE_ID_UNKNOWN);
}

static void a_change_touches_what_is_different(void **state)
{
    struct stage *s = *state;
    assert_int_equal(change(s, SERVER "    A: { topic: a }\n    B: { topic: a, folder: F/G }\n    C: { topic: a }\n    P: { topic: p/+ }\n"), CODE_OK);
    feed(s, "a", "1", false);
    feed(s, "p/x", "2", false);
    (void)counted(s, 2);
    struct loop *loop = s->mirror->loop;
    assert_true(there_is(s, "F/G/") && there_is(s, "F/") && there_is(s, "B"));
    assert_int_equal(change(s, SERVER "    A: { topic: a }\n    C: { topic: a, type: Int32 }\n    P: { topic: p/+ }\n    Q: { topic: p/+, folder: \"q{2}\" }\n"), CODE_OK);
    assert_ptr_equal(s->mirror->loop, loop);
    assert_true(value_of(s, "A", UA_GOOD) == 1);
    (void)value_of(s, "C", UA_BAD_WAITING_FOR_INITIAL_DATA);
    assert_false(there_is(s, "F/G/") || there_is(s, "F/") || there_is(s, "B"));
    assert_true(value_of(s, "x/P", UA_GOOD) == 2);
    (void)value_of(s, "qx/Q", UA_BAD_WAITING_FOR_INITIAL_DATA);
    feed(s, "p/x", "3", false);
    assert_int_equal(counted(s, 3).variables, 4);
    assert_true(value_of(s, "x/P", UA_GOOD) == 3);
    assert_true(value_of(s, "qx/Q", UA_GOOD) == 3);
}

static void two_entries_that_are_one_node_are_told(void **state)
{
    struct stage *s = *state;
    assert_int_equal(change(s, SERVER "    P: { topic: p/+, node: \"s=x{2}\" }\n    Q: { topic: q, node: s=xy }\n"), CODE_OK);
    feed(s, "p/y", "1", false);
    struct mirror_counters c = counted(s, 1);
    assert_int_equal(c.variables_refused, 1);
    assert_int_equal(c.left_out, 1);
    assert_int_equal(c.variables, 1);
}

static void retained_messages_are_first_and_never_last(void **state)
{
    struct stage *s = *state;
    feed(s, "r/1", "1", true);
    feed(s, "r/2", "2", true);
    assert_int_equal(change(s, SERVER "    R: { topic: r/+ }\n"), CODE_OK);
    assert_true(value_of(s, "1/R", UA_GOOD) == 1);
    feed(s, "r/2", "22", false);
    (void)counted(s, 1);
    assert_int_equal(change(s, SERVER "    R: { topic: r/+ }\n    S: { topic: r/2 }\n"), CODE_OK);
    assert_true(value_of(s, "2/R", UA_GOOD) == 22);
    assert_true(value_of(s, "S", UA_GOOD) == 2);
    /* What waits is newer than what is retained. */
    mirror_stop(s->mirror);
    feed(s, "r/2", "222", false);
    assert_int_equal(change(s, SERVER "    R: { topic: r/+ }\n"), CODE_OK);
    assert_true(value_of(s, "2/R", UA_GOOD) == 222);
    assert_true(value_of(s, "1/R", UA_GOOD) == 1);
}

static void nothing_waits_for_a_server_that_is_not(void **state)
{
    struct stage *s = *state;
    assert_int_equal(change(s, SERVER "    A: { topic: a }\n"), CODE_OK);
    assert_true(something_waits(s));
    end(s);
    begin(s);
    assert_true(something_waits(s));
    assert_int_equal(change(s, "  topic: x\n"), CODE_OK);
    assert_false(something_waits(s));
    assert_int_equal(change(s, SERVER "    A: { topic: a }\n"), CODE_OK);
    assert_int_equal(change(s, "  topic: x\n"), CODE_OK);
    assert_false(something_waits(s));
    /* An address that is taken. */
    struct loop *other;
    struct listener *l;
    struct fault why;
    char taken[160];
    must(loop_open_uv(&other, &why), &why);
    must(net_listen(&l, other, "127.0.0.1:0", NULL, NULL, &why), &why);
    (void)snprintf(taken, sizeof taken, "  server: { at: \"127.0.0.1:%u\" }\n  variables:\n    A: { topic: a }\n", listener_port(l));
    assert_int_equal(change(s, taken), CODE_EXISTS);
    assert_false(something_waits(s));
    struct mirror_glance g;
    assert_false(mirror_glance(s->mirror, &g));
    loop_close(other);
    assert_int_equal(change(s, SERVER "    A: { topic: a }\n"), CODE_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
    const struct CMUnitTest tests[] = {
        TEST(every_message_is_counted_once), TEST(there_are_never_more_than_the_most), TEST(a_change_touches_what_is_different),
        TEST(two_entries_that_are_one_node_are_told), TEST(retained_messages_are_first_and_never_last), TEST(nothing_waits_for_a_server_that_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
