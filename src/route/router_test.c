/* The router through a whole broker: order, once for each sink, sinks that are full, routes that change, crashes at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/consumer.h"
#include "message/message.h"
#include "journal/journal.h"
#include "route/route_test_known.h"
#include "route/router.h"
#include "support/broker_tests.h"

#include <stdlib.h>

static const struct peer_connect machine = {.client_id = "press-1"};
static const struct peer_connect watch = {.client_id = "watch", .expiry_s = 3600};

static struct consumer *job; /* the queue of job humidity; NULL: it does not run */

static struct consumer *job_queue(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "humidity") == 0 ? job : NULL;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static struct consumer *open_queue(struct rig *rig, const char *name, uint64_t max_messages)
{
    struct consumer *c;
    struct fault why;
    struct consumer_options o = {.name = name, .max_messages = max_messages, .ready = nothing};
    if (consumer_open(&c, rig->broker, &o, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return c;
}

static struct router *open_router(struct rig *rig)
{
    struct router *r = NULL;
    struct fault why;
    struct router_options o = {.broker = rig->broker,
                               .journal = rig->journal,
                               .io = memfs_io(rig->fs),
                               .job_queue = job_queue,
                               .manual = true};
    assert_int_equal(router_open(&r, &o, &why), CODE_OK);
    return r;
}

/* Routes r0, r1, ... up to NULL: a text that begins with "N " has priority N, with "N/T " also a time to live. */
static void apply(struct router *r, const char *const *texts)
{
    struct route_text said[8];
    char names[8][4];
    size_t n = 0;
    struct route_table *t;
    struct fault why;
    for (; texts[n]; n++) {
        char *at = (char *)(uintptr_t)texts[n];
        (void)snprintf(names[n], sizeof names[n], "r%zu", n);
        said[n] = (struct route_text){
            .name = names[n], .priority = ROUTE_NO_PRIORITY, .file = "f", .line = 1, .column = 1};
        if (*at >= '0' && *at <= '9')
            said[n].priority = (uint32_t)strtoul(at, &at, 10);
        if (*at == '/')
            said[n].ttl_s = strtoul(at + 1, &at, 10);
        said[n].text = at;
    }
    if (route_table_new(&t, said, n, &test_known, &why) != CODE_OK || router_apply(r, t, &why) != CODE_OK)
        fail_msg("%s", why.text);
}

#define ROUTES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void settle(struct rig *rig, struct router *r)
{
    for (int quiet = 0; quiet < 3;) {
        quiet = router_step(r) ? 0 : quiet + 1;
        rig_run(rig);
    }
}

static void texts_of(struct consumer *c, char *text, size_t cap, uint32_t number)
{
    struct consumer_item items[64];
    struct fault why;
    size_t n, at = 0;
    text[0] = 0;
    assert_int_equal(consumer_take(c, 0, items, 64, &n, &why), CODE_OK);
    for (size_t i = 0; i < n; i++) {
        struct bytes p = items[i].message->payload;
        at += (size_t)snprintf(text + at, cap - at, "%s%.*s", i ? " " : "", BYTES_FMT(p));
        if (number)
            assert_int_equal(items[i].numbers[0], number);
        message_drop(items[i].message);
    }
}

static void holds(struct consumer *c, const char *payloads, uint32_t number)
{
    char text[1024];
    texts_of(c, text, sizeof text, number);
    assert_string_equal(text, payloads);
}

struct seen {
    struct route_status routes[8];
    struct upstream_status lanes[16];
    char blocked[240];
    size_t route_count, lane_count;
};

static void see_route(void *ctx, const struct route_status *s)
{
    struct seen *seen = ctx;
    if (s->blocked[0])
        (void)snprintf(seen->blocked, sizeof seen->blocked, "%s", s->blocked);
    seen->routes[seen->route_count++] = *s;
}

static void see_lane(void *ctx, const struct upstream_status *s)
{
    struct seen *seen = ctx;
    seen->lanes[seen->lane_count++] = *s;
}

static struct seen status(struct router *r)
{
    struct seen seen = {.route_count = 0};
    router_status(r, see_route, see_lane, &seen);
    return seen;
}

/* A queue of $upstream, while no router has it open. */
static void upstream_holds(struct rig *rig, const char *priority, const char *payloads)
{
    char name[64];
    (void)snprintf(name, sizeof name, "route/$upstream/%s", priority);
    struct consumer *c = open_queue(rig, name, 0);
    holds(c, payloads, 0);
    consumer_close(c);
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

/* ---- each kind of sink ---- */

static void one_plain_route_into_upstream_needs_no_router(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO $upstream"));
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &machine, false);
    peer_publish(p, "f/1", "a", 0, false);
    peer_published(p, "f/2", "b", 1, false, 0);
    peer_publish(p, "elsewhere", "no", 0, false);
    rig_run(rig);
    struct seen s = status(r);
    assert_int_equal(s.lane_count, 1);
    assert_int_equal(s.lanes[0].priority, ROUTE_NO_PRIORITY);
    assert_int_equal(s.lanes[0].messages, 2);
    assert_true(s.lanes[0].bytes > 0 && s.lanes[0].oldest_us > 0);
    assert_int_equal(s.routes[0].matched, 2);
    for (int i = 0; i < 3; i++) {
        router_close(r);
        upstream_holds(rig, "2000000000", "a b");
        rig_restart(rig, i % 2 ? ORDERLY : CRASH);
        r = open_router(rig);
        apply(r, ROUTES("FROM topic(\"f/#\") INTO $upstream"));
        assert_int_equal(status(r).lanes[0].messages, 2);
        assert_int_equal(status(r).routes[0].matched, 0); /* since the start */
    }
    router_close(r);
}

static void conditions_and_priorities_into_upstream(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO $upstream",
                    "0 FROM topic(\"f/+\") WHERE $body.t > 20 INTO $upstream",
                    "5 FROM topic(\"f/1\") INTO $upstream"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "f/1", "{\"t\":21}", 1, false, 0);
    peer_published(p, "f/1", "{\"t\":1}", 1, false, 0);
    peer_published(p, "f/2", "{\"t\":2}", 1, false, 0);
    peer_published(p, "f/2", "nonsense", 1, false, 0);
    peer_published(p, "f/2", "{\"t\":22}", 1, false, 0);
    settle(rig, r);
    struct seen s = status(r);
    assert_int_equal(s.lane_count, 3);
    assert_int_equal(s.lanes[0].priority, 0);
    assert_int_equal(s.routes[0].matched, 2);
    assert_int_equal(s.routes[1].matched, 2);
    assert_int_equal(s.routes[1].not_matched, 3);
    assert_int_equal(s.routes[1].errors, 1);
    assert_int_equal(s.routes[1].not_json, 1);
    assert_int_equal(s.routes[2].matched, 1);
    assert_int_equal(s.routes[0].waiting, 0);
    router_close(r);
    upstream_holds(rig, "0", "{\"t\":21} {\"t\":22}");
    upstream_holds(rig, "5", "{\"t\":1}");
    upstream_holds(rig, "2000000000", "{\"t\":2} nonsense");
}

static void to_a_topic_in_order_and_once(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"f/#\") WHERE NOT starts_with($topic, 'f/no') INTO topic(\"out\")",
                    "FROM topic(\"f/1\") INTO topic(\"out\")"));
    struct peer *w = peer_connected(rig, 0, &watch, false),
                *p = peer_connected(rig, shard_of(rig, 1), &machine, false);
    peer_subscribed(w, "out", 1);
    char payload[16];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(payload, sizeof payload, "%d", i);
        if (i % 5 == 0)
            peer_publish(p, "f/1", payload, 0, false);
        else
            peer_published(p, i % 7 ? "f/1" : "f/no", payload, 1, false, 0);
    }
    settle(rig, r);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(payload, sizeof payload, "%d", i);
        if (i % 5 == 0 || i % 7)
            peer_accepts(w, peer_expect_publish(w, "out", payload, 1));
    }
    peer_expect_nothing(w);
    router_close(r);
}

static void what_a_message_carries_goes_along(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO topic(\"out\")"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    struct buf props = {0};
    static const uint8_t user[] = {MQTT_PROP_USER,           0, 1, 'k', 0,  1, 'v',
                                   MQTT_PROP_MESSAGE_EXPIRY, 0, 0, 0,   100};
    buf_add(&props, user, sizeof user);
    (void)peer_publish_full(p, &(struct peer_publish){.topic = BYTES_LIT("f/1"),
                                                      .payload = BYTES_LIT("state"),
                                                      .props = buf_bytes(&props),
                                                      .qos = 1,
                                                      .retain = true});
    buf_clear(&props);
    settle(rig, r);
    rig_advance(rig, 30 * 1000000);
    struct peer *w = peer_connected(rig, 0, &(struct peer_connect){.client_id = "w", .clean_start = true},
                                    false);
    peer_subscribed(w, "out", 1);
    struct packet *m = peer_expect_publish(w, "out", "state", 1);
    size_t cursor = 0;
    struct bytes key, value;
    assert_true(m->retain);
    assert_true(mqtt_user_prop(&m->props, &cursor, &key, &value) && bytes_is(key, "k") &&
                bytes_is(value, "v"));
    assert_in_range(m->props.message_expiry_s, 60, 71);
    peer_accepts(w, m);
    router_close(r);
}

static void with_rules(struct rig_config *c)
{
    c->users = "# nobody signs in here\n";
    c->chain = (struct settings_choices){{AUTH_ANONYMOUS}, 1};
    c->rules = "version: 1\nrules:\n  - { publish: \"f/#\" }\n  - { subscribe: \"out\", read: \"out\" }\n";
}

/* Who may write to the source need not have the right to write to the sink: the node publishes there. */
static void what_it_publishes_is_the_nodes_own(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO topic(\"out\")"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "out", "no", 1, true, MQTT_NOT_AUTHORIZED);
    peer_published(p, "f/1", "state", 1, true, 0);
    settle(rig, r);
    struct peer *w = peer_connected(rig, 0, &(struct peer_connect){.client_id = "w", .clean_start = true},
                                    false);
    peer_subscribed(w, "out", 0);
    (void)peer_expect_publish(w, "out", "state", 0);
    router_close(r);
}

static void into_a_job_with_the_number_of_its_input(struct rig *rig)
{
    struct router *r = open_router(rig);
    job = NULL;
    apply(r, ROUTES("FROM topic(\"f/#\") INTO job(\"humidity/rows\")",
                    "FROM topic(\"f/2\") INTO BrokeredEndpoint(\"/modules/humidity/inputs/more\")"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "f/1", "a", 1, false, 0);
    settle(rig, r);
    assert_string_equal(status(r).blocked, "job humidity does not run");
    assert_int_equal(status(r).routes[0].waiting, 1);
    job = open_queue(rig, "job/humidity", 0);
    rig_advance(rig, 600 * 1000);
    settle(rig, r);
    assert_string_equal(status(r).blocked, "");
    assert_int_equal(status(r).routes[0].matched, 1); /* tried twice, counted once */
    peer_published(p, "f/1", "b", 1, false, 0);
    settle(rig, r);
    holds(job, "a b", 7);
    peer_published(p, "f/2", "c", 1, false, 0);
    settle(rig, r);
    holds(job, "a b c c", 0); /* two inputs are two sinks */
    router_close(r);
    consumer_close(job);
}

static void into_partitions_and_not_twice(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"#\") WHERE $topic != 'no' AND NOT is_defined($body.skip) INTO events"));
    struct peer *p = peer_connected(rig, 0, &machine, false),
                *w = peer_connected(rig, 0, &(struct peer_connect){.client_id = "w", .clean_start = true},
                                    false);
    peer_published(p, "f/1", "a", 1, true, 0);
    peer_published(p, "f/1", "{\"skip\":1}", 1, true, 0); /* newer than what the router has yet to store */
    peer_published(p, "hub/1", "b", 1, false, 0);         /* is in a partition by itself */
    peer_published(p, "no", "c", 1, false, 0);
    settle(rig, r);
    assert_int_equal(in_partitions(rig), 2);
    assert_int_equal(status(r).routes[0].matched, 2);
    peer_subscribed(w, "f/1", 0);
    (void)peer_expect_publish(w, "f/1", "{\"skip\":1}", 0);
    router_close(r);
}

/* ---- full sinks ---- */

static void a_full_sink_blocks_no_other_and_loses_nothing(struct rig *rig)
{
    struct router *r = open_router(rig);
    job = open_queue(rig, "job/humidity", 2);
    apply(r, ROUTES("FROM topic(\"f/+\") WHERE $topic != 'f/no' INTO job(\"humidity/rows\")",
                    "0 FROM topic(\"f/1\") INTO $upstream"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    for (int i = 0; i < 5; i++) {
        peer_published(p, "f/1", (const char *[]){"0", "1", "2", "3", "4"}[i], 1, false, 0);
        if (i % 2 == 0)
            peer_published(p, "f/no", "x", 1, false, 0);
    }
    settle(rig, r);
    assert_string_equal(status(r).blocked, "the queue behind a route is full");
    assert_int_equal(status(r).routes[0].waiting, 5);
    assert_int_equal(status(r).lanes[0].messages, 5);
    struct fault why;
    holds(job, "0 1", 7);
    assert_int_equal(consumer_finish(job, consumer_head(job) + 2, BYTES_NONE, NULL, &why), CODE_OK);
    settle(rig, r);
    assert_int_equal(status(r).routes[0].waiting, 5); /* it is tried twice a second */
    rig_advance(rig, 600 * 1000);
    settle(rig, r);
    holds(job, "2 3", 7);
    router_close(r);
    consumer_close(job);
    rig_restart(rig, CRASH);
    job = open_queue(rig, "job/humidity", 0);
    r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"f/+\") WHERE $topic != 'f/no' INTO job(\"humidity/rows\")",
                    "0 FROM topic(\"f/1\") INTO $upstream"));
    settle(rig, r);
    holds(job, "2 3 4", 7);
    assert_int_equal(status(r).routes[0].matched, 1);
    router_close(r);
    consumer_close(job);
}

static void a_topic_that_is_refused_is_tried_again(struct rig *rig)
{
    struct router *r = open_router(rig);
    struct consumer *out = open_queue(rig, "out", 2);
    struct consumer_filter f = {BYTES_LIT("out"), 1};
    struct fault why;
    assert_int_equal(consumer_subscribe(out, &f, 1, &why), CODE_OK);
    apply(r, ROUTES("FROM topic(\"f/1\") INTO topic(\"out\")"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    for (int i = 0; i < 5; i++)
        peer_published(p, "f/1", (const char *[]){"0", "1", "2", "3", "4"}[i], 1, false, 0);
    settle(rig, r);
    assert_string_equal(status(r).blocked, "the node takes no more: Quota exceeded");
    assert_int_equal(status(r).routes[0].waiting, 3);
    for (int i = 0; i < 3; i++) {
        holds(out, (const char *[]){"0 1", "2 3", "4"}[i], 1);
        assert_int_equal(consumer_finish(out, consumer_tail(out), BYTES_NONE, NULL, &why), CODE_OK);
        rig_advance(rig, 600 * 1000);
        settle(rig, r);
    }
    assert_string_equal(status(r).blocked, "");
    assert_int_equal(status(r).routes[0].matched, 5);
    router_close(r);
    consumer_close(out);
}

/* ---- routes change ---- */

static void what_came_before_a_change_is_not_lost(struct rig *rig)
{
    struct router *r = open_router(rig);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO $upstream"));
    peer_published(p, "f/1", "direct", 1, false, 0);
    apply(r, ROUTES("FROM topic(\"f/#\") WHERE $topic != 'x' INTO $upstream"));
    peer_published(p, "f/1", "routed", 1, false, 0);
    settle(rig, r);
    assert_int_equal(status(r).routes[0].matched, 1);
    apply(r, ROUTES("FROM topic(\"g/#\") INTO $upstream")); /* stays with the router: it has the queue */
    peer_published(p, "f/1", "nobody", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    peer_published(p, "g/1", "again", 1, false, 0);
    settle(rig, r);
    apply(r, ROUTES("FROM topic(\"g/#\") INTO topic(\"out\")"));
    assert_int_equal(status(r).lane_count, 1); /* what waits stays, whatever the routes say */
    assert_int_equal(status(r).lanes[0].messages, 3);
    apply(r, ROUTES("FROM topic(\"g/#\") INTO $upstream"));
    peer_published(p, "g/1", "direct again", 1, false, 0);
    assert_int_equal(status(r).lanes[0].messages, 4); /* without a step of the router */
    router_close(r);
    upstream_holds(rig, "2000000000", "direct routed again direct again");
    rig_restart(rig, CRASH);
    r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"other\") INTO topic(\"out\")"));
    assert_int_equal(status(r).lanes[0].messages, 4);
    router_close(r);
}

static void a_sink_without_routes_ends(struct rig *rig)
{
    struct router *r = open_router(rig);
    job = NULL;
    struct peer *p = peer_connected(rig, 0, &machine, false);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO job(\"humidity/rows\")"));
    peer_published(p, "f/1", "x", 1, false, 0);
    settle(rig, r);
    router_close(r);
    rig_restart(rig, ORDERLY);
    r = open_router(rig);
    apply(r, ROUTES("FROM topic(\"other\") INTO topic(\"out\")"));
    p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "f/1", "x", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    apply(r, (const char *const[]){NULL});
    peer_published(p, "other", "x", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    assert_int_equal(status(r).route_count, 0);
    router_close(r);
}

static void counts_go_on_where_a_route_stays(struct rig *rig)
{
    struct router *r = open_router(rig);
    struct peer *p = peer_connected(rig, 0, &machine, false);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO topic(\"out\")", "FROM topic(\"d/#\") INTO $upstream"));
    peer_published(p, "f/1", "x", 1, false, 0);
    peer_published(p, "d/1", "x", 1, false, 0);
    settle(rig, r);
    apply(r, ROUTES("FROM topic(\"f/#\") INTO topic(\"out\")", "FROM topic(\"d/#\") INTO $upstream",
                    "0 FROM topic(\"d/2\") INTO $upstream"));
    peer_published(p, "f/1", "y", 1, false, 0);
    peer_published(p, "d/1", "y", 1, false, 0);
    settle(rig, r);
    assert_int_equal(status(r).routes[0].matched, 2);
    assert_int_equal(status(r).routes[1].matched, 2);
    apply(r, ROUTES("FROM topic(\"f/+\") INTO topic(\"out\")"));
    assert_int_equal(status(r).routes[0].matched, 0);
    router_close(r);
}

/* ---- time to live ---- */

static uint64_t upstream_messages(struct router *r)
{
    struct seen s = status(r);
    return s.lane_count ? s.lanes[0].messages : 0;
}

static void after(struct rig *rig, struct router *r, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        rig_advance(rig, 1000000);
        (void)router_step(r);
    }
}

static void what_waits_too_long_goes(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("9/60 FROM topic(\"f/#\") INTO $upstream"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_published(p, "f/1", "a", 1, false, 0);
    after(rig, r, 30);
    peer_published(p, "f/1", "b", 1, false, 0);
    rig_jump(rig, 365 * INT64_C(86400000000)); /* the wall clock does not count */
    after(rig, r, 25);
    assert_int_equal(upstream_messages(r), 2);
    after(rig, r, 10);
    assert_int_equal(upstream_messages(r), 1);
    assert_int_equal(status(r).lanes[0].expired, 1);
    router_close(r);
    rig_restart(rig, CRASH);
    r = open_router(rig);
    apply(r, ROUTES("9/60 FROM topic(\"f/#\") INTO $upstream"));
    (void)router_step(r);
    assert_int_equal(upstream_messages(r), 1);
    after(rig, r, 62); /* a crash may set the journal's age back a little */
    assert_int_equal(upstream_messages(r), 0);
    router_close(r);
}

static void each_message_has_the_time_of_its_route(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r, ROUTES("9/10 FROM topic(\"short\") INTO $upstream", "9/100 FROM topic(\"long\") INTO $upstream",
                    "9 FROM topic(\"ever\") INTO $upstream"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    static const char *const topics[] = {"ever", "short", "long", "short", "ever"};
    for (int i = 0; i < 5; i++)
        peer_published(p, topics[i], topics[i], 1, false, 0);
    settle(rig, r);
    after(rig, r, 8);
    assert_int_equal(upstream_messages(r), 5);
    after(rig, r, 8);
    assert_int_equal(upstream_messages(r), 3);
    apply(r, ROUTES("9 FROM topic(\"other\") INTO $upstream")); /* what waits keeps its time */
    router_close(r);
    rig_restart(rig, ORDERLY);
    r = open_router(rig);
    apply(r, ROUTES("9 FROM topic(\"other\") INTO $upstream"));
    after(rig, r, 100);
    assert_int_equal(upstream_messages(r), 2);
    router_close(r);
    upstream_holds(rig, "9", "ever ever");
}

static void many_marks_are_thinned_out(struct rig *rig)
{
    struct router *r = open_router(rig);
    apply(r,
          ROUTES("9/2 FROM topic(\"short\") INTO $upstream", "9/1000 FROM topic(\"long\") INTO $upstream"));
    struct peer *p = peer_connected(rig, 0, &machine, false);
    for (int i = 0; i < 200; i++) {
        peer_published(p, i % 2 ? "short" : "long", "x", 1, false, 0);
        settle(rig, r);
        after(rig, r, 1);
    }
    assert_in_range(upstream_messages(r), 100, 103);
    after(rig, r, 700);
    assert_in_range(upstream_messages(r), 100, 100);
    after(rig, r, 450);
    assert_int_equal(upstream_messages(r), 0);
    router_close(r);
}

/* ---- crashes ---- */

/* Messages go four ways while the node is killed again and again, after steps of the router that are done, half done, in the log or not:
 * in the end each sink has each message once, in order. */
static const char *const four_ways[] = {"FROM topic(\"f/#\") WHERE length($topic) = 3 INTO topic(\"out\")",
                                        "FROM topic(\"f/#\") INTO job(\"humidity/rows\")",
                                        "3 FROM topic(\"f/#\") WHERE $body.n % 2 = 0 INTO $upstream",
                                        "4 FROM topic(\"f/#\") INTO $upstream",
                                        "FROM topic(\"f/#\") INTO events",
                                        NULL};
enum { TOLD = 60 };

static void some_work(struct rig *rig, struct router *r)
{
    for (uint64_t n = random_below(&rig->dice, 4); n-- > 0;) {
        (void)router_step(r);
        if (random_below(&rig->dice, 2))
            rig_run_without_disk(rig);
        else
            rig_run(rig);
    }
}

static struct router *start(struct rig *rig)
{
    job = open_queue(rig, "job/humidity", 0);
    struct router *r = open_router(rig);
    apply(r, four_ways);
    return r;
}

static void crash(struct rig *rig, struct router **r)
{
    rig_run_without_disk(rig); /* what is on its way gets its result, which is then forgotten */
    router_close(*r);
    consumer_close(job);
    rig_restart(rig, CRASH);
    *r = start(rig);
}

static void has_numbers(struct consumer *c, int from, int by)
{
    struct consumer_item items[TOLD + 8];
    struct fault why;
    size_t n;
    char text[32];
    assert_int_equal(consumer_take(c, 0, items, TOLD + 8, &n, &why), CODE_OK);
    int next = from;
    for (size_t i = 0; i < n; i++, next += by) {
        (void)snprintf(text, sizeof text, "{\"n\":%d}", next);
        if (!bytes_is(items[i].message->payload, text))
            fail_msg("%.*s instead of %s", BYTES_FMT(items[i].message->payload), text);
        message_drop(items[i].message);
    }
    assert_int_equal(next, TOLD + from);
}

static void killed_at_any_moment(struct rig *rig)
{
    struct router *r = start(rig);
    struct consumer *out = open_queue(rig, "out", 0);
    struct consumer_filter f = {BYTES_LIT("out"), 1};
    struct fault why;
    assert_int_equal(consumer_subscribe(out, &f, 1, &why), CODE_OK);
    rig_run(rig);
    char text[32];
    for (int i = 0; i < TOLD;) {
        struct peer *p = peer_connected(rig, 0, &machine, false);
        for (uint64_t n = 1 + random_below(&rig->dice, 6); n-- > 0 && i < TOLD; i++) {
            (void)snprintf(text, sizeof text, "{\"n\":%d}", i);
            peer_published(p, "f/1", text, 1, false, 0); /* acknowledged: on disk */
        }
        some_work(rig, r);
        consumer_close(out);
        crash(rig, &r);
        out = open_queue(rig, "out", 0);
        some_work(rig, r);
    }
    settle(rig, r);
    has_numbers(out, 0, 1);
    has_numbers(job, 0, 1);
    assert_int_equal(in_partitions(rig), TOLD);
    router_close(r);
    struct consumer *even = open_queue(rig, "route/$upstream/3", 0),
                    *odd = open_queue(rig, "route/$upstream/4", 0);
    has_numbers(even, 0, 2);
    has_numbers(odd, 1, 2);
    consumer_close(even);
    consumer_close(odd);
    consumer_close(out);
    consumer_close(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(one_plain_route_into_upstream_needs_no_router, NULL),
        RIG_TEST(conditions_and_priorities_into_upstream, NULL),
        RIG_TEST(to_a_topic_in_order_and_once, NULL),
        RIG_TEST(what_a_message_carries_goes_along, NULL),
        RIG_TEST(what_it_publishes_is_the_nodes_own, with_rules),
        RIG_TEST(into_a_job_with_the_number_of_its_input, NULL),
        RIG_TEST(into_partitions_and_not_twice, NULL),
        RIG_TEST(a_full_sink_blocks_no_other_and_loses_nothing, NULL),
        RIG_TEST(a_topic_that_is_refused_is_tried_again, NULL),
        RIG_TEST(what_came_before_a_change_is_not_lost, NULL),
        RIG_TEST(a_sink_without_routes_ends, NULL),
        RIG_TEST(counts_go_on_where_a_route_stays, NULL),
        RIG_TEST(what_waits_too_long_goes, NULL),
        RIG_TEST(each_message_has_the_time_of_its_route, NULL),
        RIG_TEST(many_marks_are_thinned_out, NULL),
        RIG_TEST(killed_at_any_moment, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
