/* The publisher's engine on a broker with a journal in memory, and a server of ours in another process: without memory at any moment,
 * over cut connections, and in front of a node that takes nothing. What goes wrong is counted, everything else arrives once and in order.
 * FLOOD_STEP_MS=10 FLOOD_SECONDS=10 measure what the last test asserts.
 * timeout: 240 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "broker/consumer.h"
#include "message/message.h"
#include "publisher/jtree.h"
#include "publisher/publisher.h"
#include "support/memfs.h"
#include "ua_machine_child.h"

#include <stdlib.h>
#include <time.h>

enum { LOOPS = 2, COUNTERS = 1000, PATIENCE_MS = 60000 };

struct seen {
    int64_t last;
    uint64_t count, gaps; /* values that did not follow the last one */
};

struct stage {
    struct machine_child machine;
    struct memfs *fs;
    struct io io;
    struct loop *loops[LOOPS];
    pthread_t threads[LOOPS];
    struct broker *broker;
    struct journal *journal;
    struct consumer *reader;
    struct publisher *publisher;
    struct seen seen[COUNTERS];
    uint64_t twice;
};

static void must(enum code code, const struct fault *why)
{
    machine_must(code, why);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t wall(void *self)
{
    (void)self;
    return io_system.wall_us(io_system.self);
}

static int64_t monotonic(void *self)
{
    (void)self;
    return io_system.monotonic_us(io_system.self);
}

static void nobody(void *ctx)
{
    (void)ctx;
}

/* ---- the node ---- */

static const struct limits limits = {
    .packet_bytes = 1 << 20, .connect_bytes = 64 * 1024, .connect_s = 10, .connections = 1000,
    .connections_per_address = LIMIT_NONE_32, .connect_rate = LIMIT_NONE_32, .auth_failures = 10, .half_open = 100,
    .receive_maximum = 64, .queued_bytes = 64 << 20, .queued_messages = 10000, .on_full = ON_FULL_DROP_NEWEST,
    .refuse_s = 30, .unsent_bytes = 8 << 20, .unsent_s = 60, .memory_bytes = (uint64_t)1 << 32, .topic_bytes = 1024,
    .topic_levels = 32, .subscriptions = 1000, .filters_per_packet = 100, .shared_groups = 100, .fan_out = 100000,
    .topic_aliases = 64, .retained_messages = 1000, .retained_per_identity = 2, .connections_per_identity = 10,
    .sessions_per_identity = 10, .retained_bytes = 64 << 20, .user_properties = 64, .property_bytes = 16384,
    .session_expiry_s = 30 * 86400, .sessions = 100000, .keep_alive_s = 1200};

/* `most`: messages that wait for the reader; above, the node refuses. */
static void begin(struct stage *s, unsigned counters, int64_t step_ms, uint64_t most)
{
    struct fault why;
    *s = (struct stage){ .fs = memfs_new(1) };
    machine_fork(&s->machine, counters, step_ms);
    s->io = *memfs_io(s->fs);
    s->io.wall_us = wall;
    s->io.monotonic_us = monotonic;
    (void)s->io.mkdir(s->io.self, "/data");
    for (int i = 0; i < LOOPS; i++)
        must(loop_open_uv(&s->loops[i], &why), &why);
    struct broker_config config = { .limits = limits, .io = &s->io, .loops = s->loops, .loop_count = LOOPS, .version = "test" };
    must(broker_new(&s->broker, &config, &why), &why);
    struct journal_options o = { .io = &s->io, .data_dir = "/data", .segment_bytes = 1 << 20, .disk_reserve = 256 * 1024,
                                 .ctx = s->broker, .apply = broker_apply, .write_state = broker_write_state, .on_durable = broker_on_durable };
    must(journal_open(&s->journal, &o, &why), &why);
    must(broker_start(s->broker, s->journal, &why), &why);
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&s->threads[i], NULL, machine_loop, s->loops[i]), 0);
    struct consumer_options read = { .name = "reader", .ready = nobody, .max_messages = most };
    must(consumer_open(&s->reader, s->broker, &read, &why), &why);
    must(consumer_subscribe(s->reader, &(struct consumer_filter){ BYTES_LIT("ua/#"), 1 }, 1, &why), &why);
}

static void end(struct stage *s)
{
    publisher_close(s->publisher);
    consumer_close(s->reader);
    broker_stop(s->broker);
    for (int i = 0; i < LOOPS; i++)
        loop_stop(s->loops[i]);
    for (int i = 0; i < LOOPS; i++)
        (void)pthread_join(s->threads[i], NULL);
    broker_halt(s->broker);
    for (int i = 0; i < LOOPS; i++)
        loop_close(s->loops[i]);
    journal_close(s->journal);
    broker_free(s->broker);
    memfs_free(s->fs);
    machine_reap(&s->machine);
}

/* ---- the publisher ---- */

static void write_nodes(struct stage *s, uint16_t port, unsigned counters, unsigned queue)
{
    struct buf b = { 0 };
    struct fault why;
    for (int e = 0; e < 2; e++) { /* samples; and the first few as data sets, with all that hangs on those */
        buf_printf(&b, "%s{\"EndpointUrl\":\"opc.tcp://127.0.0.1:%u\",\"UseSecurity\":false,\"DataSetWriterGroup\":\"%s\","
                       "\"DataSetPublishingInterval\":100,%s\"OpcNodes\":[",
                   e ? "," : "[", port, e ? "sets" : "samples",
                   e ? "\"MessagingMode\":\"PubSub\",\"MetaDataUpdateTime\":50,\"DataSetKeyFrameCount\":3,\"DataSetExtensionFields\":{\"a\":1}," : "\"MessagingMode\":\"Samples\",");
        for (unsigned i = 0; i < (e ? 2 : counters); i++)
            buf_printf(&b, "%s{\"Id\":\"ns=1;s=c%u\",\"OpcSamplingInterval\":0,\"QueueSize\":%u}", i ? "," : "", i, queue);
        buf_printf(&b, "]}");
    }
    buf_printf(&b, "]");
    assert_false(b.bad);
    must(io_replace(&s->io, "/data", "nodes.json", buf_bytes(&b), &why), &why);
    buf_clear(&b);
}

static enum code open_publisher(struct stage *s, struct fault *why)
{
    struct publisher_config c = { .broker = s->broker, .journal = s->journal, .io = &s->io, .version = "1.0.0", .site = "here",
                                  .nodes_path = "/data/nodes.json", .options = "--bi=50", .topic = "ua/{WriterGroup}" };
    s->publisher = NULL;
    return publisher_open(&s->publisher, &c, why);
}

static struct publisher_glance look(struct stage *s)
{
    struct publisher_glance g;
    publisher_glance(s->publisher, &g);
    assert_int_equal(g.received + g.repeated, g.sent + g.waiting + g.suppressed + g.skipped + g.replaced + g.too_large);
    return g;
}

/* ---- what arrives ---- */

static void count_samples(struct stage *s, const struct message *m)
{
    const char *at = (const char *)m->payload.at, *over = at + m->payload.len;
    while ((at = memmem(at, (size_t)(over - at), "ns=1;s=c", 8))) {
        char *rest;
        unsigned counter = (unsigned)strtoul(at + 8, &rest, 10);
        const char *value = memmem(rest, (size_t)(over - rest), "\"Value\":{\"Value\":", 17);
        const char *next = memmem(rest, (size_t)(over - rest), "ns=1;s=c", 8), *name = memmem(rest, (size_t)(over - rest), "\"DisplayName\":\"ns=1;s=c", 23);
        if (name && next == name + 15) /* its own once more */
            next = memmem(next + 8, (size_t)(over - next - 8), "ns=1;s=c", 8);
        if (!value || (next && next < value) || counter >= COUNTERS)
            fail_msg("%.*s", (int)m->payload.len, (const char *)m->payload.at);
        int64_t n = strtoll(value + 17 + (value[17] == '"'), &rest, 10);
        struct seen *c = &s->seen[counter];
        s->twice += c->count && n <= c->last;
        c->gaps += c->count && n > c->last + 1;
        c->last = n;
        c->count++;
        at = rest;
    }
}

static void check(struct stage *s, const struct message *m)
{
    struct arena arena;
    struct jtree *tree;
    struct fault why;
    arena_init(&arena, NULL, 0, 64 << 20);
    if (jtree_parse(&tree, &arena, m->payload, &why) != CODE_OK)
        fail_msg("%.*s: %s: %.*s", BYTES_FMT(m->topic), why.text, (int)m->payload.len, (const char *)m->payload.at);
    arena_clear(&arena);
    if (bytes_is(m->topic, "ua/samples"))
        count_samples(s, m);
}

static void take(struct stage *s)
{
    struct consumer_item items[64];
    struct fault why;
    for (size_t n = 1; n;) {
        if (consumer_take(s->reader, consumer_head(s->reader), items, 64, &n, &why) != CODE_OK)
            return; /* no memory: another time */
        for (size_t i = 0; i < n; i++) {
            check(s, items[i].message);
            message_drop(items[i].message);
        }
        if (n && consumer_finish(s->reader, items[n - 1].index + 1, BYTES_NONE, NULL, &why) != CODE_OK)
            fail_msg("%s", why.text);
    }
}

/* Until all that the machine has emitted is here. */
static void settle(struct stage *s, unsigned counters, int64_t want)
{
    int64_t until = now_ms() + PATIENCE_MS;
    for (unsigned i = 0; i < counters;) {
        take(s);
        while (i < counters && s->seen[i].last == want)
            i++;
        if (now_ms() > until) {
            struct publisher_glance g = look(s);
            fail_msg("c%u: %lld was the last of %lld; %llu received, %llu wait, %llu times refused, %s; %llu wait for the reader", i, (long long)s->seen[i].last,
                     (long long)want, (unsigned long long)g.received, (unsigned long long)g.waiting, (unsigned long long)g.refused,
                     g.held ? "held" : "not held", (unsigned long long)consumer_waiting(s->reader));
        }
        (void)usleep(2000);
    }
}

/* ---- the tests ---- */

static struct stage s;

static void without_memory_it_does_not_open_or_does_without(void **state)
{
    unsigned opened = 0, refused = 0; /* what begins on the loop does without, and tries again */
    (void)state;
    begin(&s, 1, 0, 0);
    write_nodes(&s, 1, 3, 10); /* nobody is there: it ends at once */
    for (uint64_t n = 1;; n++) {
        struct fault why;
        mem_fail_at(n);
        enum code c = open_publisher(&s, &why);
        bool fired = mem_fail_fired();
        if (c == CODE_OK)
            publisher_close(s.publisher);
        else
            assert_int_equal(c, CODE_NOMEM);
        mem_fail_at(0);
        s.publisher = NULL;
        *(c == CODE_OK ? &opened : &refused) += 1;
        if (!fired || n > 2000)
            break;
    }
    print_message("refused %u times, opened %u times\n", refused, opened);
    assert_true(refused > 5 && opened > 20);
    end(&s);
}

static void call(struct stage *st, const char *method, const char *request)
{
    struct buf out = { 0 };
    int status = publisher_call(st->publisher, bytes_str(method), bytes_str(request), &out);
    assert_true(status >= 200 && status <= 500);
    buf_clear(&out);
}

static void without_memory_for_a_moment_it_counts_what_it_cannot_keep(void **state)
{
    char request[256];
    struct fault why;
    uint64_t fired = 0, gaps = 0;
    (void)state;
    begin(&s, 4, 5, 0);
    write_nodes(&s, s.machine.port, 4, 1000);
    must(open_publisher(&s, &why), &why);
    while (look(&s).nodes_good < 6)
        (void)usleep(2000);
    (void)machine_tell(&s.machine, 'g');
    for (unsigned n = 0; n < 400; n++) {
        mem_fail_at(1 + n * 7 % (n < 200 ? 31 : 5));
        if (n % 10 == 9) {
            (void)snprintf(request, sizeof request, "{\"EndpointUrl\":\"opc.tcp://127.0.0.1:%u\",\"DataSetWriterGroup\":\"more\",\"UseSecurity\":false,\"OpcNodes\":[{\"Id\":\"ns=1;s=%s\"}]}",
                           s.machine.port, n % 40 < 20 ? "fixed" : "target");
            call(&s, n % 20 == 9 ? "PublishNodes" : "UnpublishNodes", request);
            call(&s, "GetDiagnosticInfo", "");
        }
        if (n % 50 == 49)
            (void)machine_tell(&s.machine, 'c');
        (void)usleep(10000);
        fired += mem_fail_fired() != 0;
        mem_fail_at(0);
        take(&s);
        (void)look(&s);
    }
    int64_t all = machine_tell(&s.machine, 'p');
    settle(&s, 4, all);
    struct publisher_glance g = look(&s);
    for (unsigned i = 0; i < 4; i++)
        gaps += s.seen[i].gaps;
    print_message("%llu failures; %llu values of c0 to %lld, %llu gaps, %llu twice; %llu could not be kept, %llu messages lost\n",
                  (unsigned long long)fired, (unsigned long long)s.seen[0].count, (long long)all, (unsigned long long)gaps,
                  (unsigned long long)s.twice, (unsigned long long)g.too_large, (unsigned long long)g.lost);
    assert_int_equal(s.twice, 0);
    assert_true(fired > 20 && s.seen[0].count > 50 && (!gaps || g.too_large || g.lost));
    end(&s);
}

static void cut_connections_lose_nothing_and_repeat_nothing(void **state)
{
    struct fault why;
    (void)state;
    begin(&s, 4, 5, 0);
    write_nodes(&s, s.machine.port, 4, 1000);
    must(open_publisher(&s, &why), &why);
    while (look(&s).nodes_good < 6)
        (void)usleep(2000);
    (void)machine_tell(&s.machine, 'g');
    for (unsigned n = 0; n < 8; n++) {
        (void)usleep(250000 + n * 13000);
        (void)machine_tell(&s.machine, 'c');
        take(&s);
    }
    settle(&s, 4, machine_tell(&s.machine, 'p'));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(s.seen[i].gaps, 0);
    assert_int_equal(s.twice, 0);
    struct publisher_glance g = look(&s);
    assert_int_equal(g.overflows + g.lost + g.too_large, 0);
    assert_true(s.seen[0].count > 100);
    end(&s);
}

static uint64_t resident(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %llu", &pages), 1);
    (void)fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int64_t figure(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

static void flood(unsigned queue, int64_t step_ms, int64_t seconds, bool overflows)
{
    struct fault why;
    uint64_t gaps = 0;
    begin(&s, COUNTERS, step_ms, 16);
    write_nodes(&s, s.machine.port, COUNTERS, queue);
    must(open_publisher(&s, &why), &why);
    while (look(&s).nodes_good < COUNTERS + 2)
        (void)usleep(5000);
    (void)machine_tell(&s.machine, 'g');
    int64_t until = now_ms() + PATIENCE_MS;
    while (!look(&s).held && now_ms() < until)
        (void)usleep(2000);
    assert_true(look(&s).held);
    (void)usleep(500000);
    struct publisher_glance first = look(&s);
    uint64_t used = mem_in_use(), pages = resident();
    (void)usleep((unsigned)seconds * 1000000);
    struct publisher_glance last = look(&s);
    print_message("held for %lld s: %llu then %llu values wait here; heap %.1f then %.1f MB, resident %.1f then %.1f MB; the machine is at %lld\n",
                  (long long)seconds, (unsigned long long)first.waiting, (unsigned long long)last.waiting, (double)used / 1e6,
                  (double)mem_in_use() / 1e6, (double)pages / 1e6, (double)resident() / 1e6, (long long)machine_tell(&s.machine, ' '));
    assert_int_equal(first.waiting, last.waiting); /* the rest waits at the server */
    assert_true(mem_in_use() < used + (2 << 20));
    settle(&s, COUNTERS, machine_tell(&s.machine, 'p'));
    for (unsigned i = 0; i < COUNTERS; i++)
        gaps += s.seen[i].gaps;
    last = look(&s);
    print_message("then: %llu values received, %llu gaps, %llu overflows\n", (unsigned long long)last.received, (unsigned long long)gaps,
                  (unsigned long long)last.overflows);
    assert_false(last.held);
    assert_int_equal(s.twice, 0);
    assert_int_equal(last.lost + last.too_large, 0);
    /* Each gap is one that the server told of; two nodes more are in data sets. */
    assert_true(last.overflows >= gaps && last.overflows <= gaps + 2 * (gaps / COUNTERS + 1));
    assert_true(overflows ? gaps > 0 : last.overflows == 0);
    end(&s);
}

static void values_wait_at_the_server_while_the_node_is_full(void **state)
{
    (void)state;
    flood(1000, figure("FLOOD_STEP_MS", 50), figure("FLOOD_SECONDS", 3), false);
}

static void what_the_servers_queue_could_not_keep_is_counted(void **state)
{
    (void)state;
    flood(10, figure("FLOOD_STEP_MS", 50), figure("FLOOD_SECONDS", 3), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_it_does_not_open_or_does_without),
        cmocka_unit_test(without_memory_for_a_moment_it_counts_what_it_cannot_keep),
        cmocka_unit_test(cut_connections_lose_nothing_and_repeat_nothing),
        cmocka_unit_test(values_wait_at_the_server_while_the_node_is_full),
        cmocka_unit_test(what_the_servers_queue_could_not_keep_is_counted),
    };
    if (getenv("ONLY"))
        cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
