/* A storm: events from three threads, actions of every kind that come, change and go, programs that outlive their time, a web server
 * that answers as it likes, figures asked for all the time, and the end in the middle of it. Made for TSan and ASan; in any build
 * what was published was published once and in order.
 * timeout: 240 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "action/action_test_stage.h"
#include "support/random.h"

#include <signal.h>

enum { FEEDERS = 3, ROUNDS = 30, ROUND_US = 60 * 1000 };

struct storm {
    struct stage stage;
    struct server server;
    _Atomic bool over;
    _Atomic unsigned feeders;
};

struct feeder {
    struct storm *storm;
    struct consumer *from;
    unsigned number;
};

static void *feed_on(void *ctx)
{
    struct feeder *f = ctx;
    struct fault why;
    for (unsigned n = 0; !f->storm->over; n++) {
        char topic[32], event[64];
        (void)snprintf(topic, sizeof topic, "in/%u", f->number);
        (void)snprintf(event, sizeof event, "{\"id\":\"f%u\",\"n\":%u}", f->number, n);
        struct message *m = message_new(&(struct message_parts){.qos = 1,
                                                                .wall_us = stage_wall(NULL),
                                                                .topic = bytes_str(topic),
                                                                .principal = bytes_str("test"),
                                                                .payload = bytes_str(event)});
        struct consumer_word w = {.message = m};
        (void)(consumer_publish(f->from, &w, 1, &why) == CODE_OK);
        message_drop(m);
        (void)usleep(3000);
    }
    return NULL;
}

static void *look_on(void *ctx)
{
    struct storm *st = ctx;
    while (!st->over) {
        (void)glance(&st->stage, "steady");
        (void)usleep(500);
    }
    return NULL;
}

/* "steady" is always there and never changes; the others are thrown in and out. */
static void throw(struct storm *st, struct random *dice, const char *url)
{
    static const char *const quick[] = {"true"}, *const slow[] = {"sh", "-c", "sleep 5; cat"}, *const loud[] = {"yes", "${id}"};
    static const char *const *const programs[] = {quick, slow, loud};
    static const size_t counts[] = {1, 3, 2};
    size_t kind = random_below(dice, 3), n = 1;
    struct settings_action list[5] = {{ACTION("steady"), .publish = {.topic = "out/${id}", .message = "${n}", .qos = 1}, NO_WEBHOOK}};
    if (random_chance(dice, 70))
        list[n++] = (struct settings_action){
            ACTION("hook"), NO_PUBLISH, .webhook = {.url = url, .body = "", .ca = ""}, .retry = (uint32_t)random_below(dice, 3)};
    if (random_chance(dice, 70))
        list[n++] = (struct settings_action){
            ACTION("run"), NO_PUBLISH, NO_WEBHOOK, .program = {programs[kind], counts[kind]}, .retry = 1};
    if (random_chance(dice, 50))
        list[n++] = (struct settings_action){ACTION("more"), .publish = {.topic = "away/${id}", .message = "", .qos = 2}, NO_WEBHOOK};
    for (size_t i = 1; i < n; i++) {
        list[i].timeout_s = 1;
        list[i].at_most = random_chance(dice, 50) ? "3 per 1s" : "";
    }
    st->server.status = (unsigned[]){200, 503, 0, 404}[random_below(dice, 4)];
    apply(&st->stage, list, n);
}

static void check(struct stage *s)
{
    int64_t last[FEEDERS] = {-1, -1, -1};
    struct consumer_item items[64];
    struct fault why;
    size_t n = 1;
    for (uint64_t from = consumer_head(s->watch); n;) {
        must(consumer_take(s->watch, from, items, 64, &n, &why), &why);
        for (size_t i = 0; i < n; i++) {
            struct message *m = items[i].message;
            if (bytes_starts(m->topic, "out/f")) {
                unsigned who = m->topic.at[5] - '0';
                int64_t number = strtol((const char *)m->payload.at, NULL, 10);
                assert_true(who < FEEDERS);
                assert_int_equal(number, last[who] + 1);
                last[who] = number;
            }
            from = items[i].index + 1;
            message_drop(m);
        }
    }
    for (int i = 0; i < FEEDERS; i++)
        assert_true(last[i] > 10);
}

static void storm(void **state)
{
    static struct storm st;
    struct feeder feeders[FEEDERS];
    pthread_t threads[FEEDERS + 1];
    struct random dice = {42};
    char url[64], name[16];
    (void)state;
    stage_open(&st.stage);
    server_open(&st.server, 200);
    server_begin(&st.server);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", listener_port(st.server.listener));
    throw(&st, &dice, url);
    for (unsigned i = 0; i < FEEDERS; i++) {
        (void)snprintf(name, sizeof name, "feeder%u", i);
        feeders[i] = (struct feeder){&st, stage_consumer(&st.stage, name), i};
        assert_int_equal(pthread_create(&threads[i], NULL, feed_on, &feeders[i]), 0);
    }
    assert_int_equal(pthread_create(&threads[FEEDERS], NULL, look_on, &st), 0);
    for (int i = 0; i < ROUNDS; i++) {
        throw(&st, &dice, url);
        (void)usleep(ROUND_US);
    }
    st.over = true;
    for (int i = 0; i <= FEEDERS; i++)
        (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < FEEDERS; i++)
        consumer_close(feeders[i].from);
    (void)settled(&st.stage, "steady");
    check(&st.stage);
    stage_close(&st.stage); /* with what the others have under way */
    server_close(&st.server);
}

/* Begun, fed and ended at once, again and again. */
static void the_end_comes_at_any_time(void **state)
{
    const char *const slow[] = {"sleep", "5"};
    struct random dice = {7};
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct stage s;
        stage_open(&s);
        struct settings_action list[] = {
            {ACTION("steady"), .publish = {.topic = "out/${id}", .message = "${n}", .qos = 1}, NO_WEBHOOK},
            {ACTION("hook"), NO_PUBLISH, .webhook = {.url = "http://localhost:1/", .body = "", .ca = ""}, .retry = 5},
            {ACTION("run"), NO_PUBLISH, NO_WEBHOOK, .program = {slow, 2}},
        };
        apply(&s, list, i % 5 ? 2 : 3);
        for (int k = 0; k < 5; k++)
            feed(&s, "{\"id\":\"x\",\"n\":1}");
        (void)usleep((unsigned)random_below(&dice, 20000));
        stage_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(storm), cmocka_unit_test(the_end_comes_at_any_time)};
    (void)signal(SIGPIPE, SIG_IGN); /* as the node does */
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
