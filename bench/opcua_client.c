/* opcua_client.c - our OPC UA client as the benchmark needs it.
 *
 *   opcua_client watch URL [--items 1000] [--publish-ms 10] [--seconds 5] [--policy None] [--mode 1] [--pid N] [--data DIR]
 *   opcua_client read  URL [--items 1000] [--batch 1000] [--seconds 5]
 *
 * `watch` asks for sampling 0 and a queue of 100, begins to count after a second, and checks that each counter is one higher than
 * the one before: what is missing is `lost`. `read` has one request under way. One line: values a second, processor time per value in
 * microseconds, of this process and of the server's (--pid), values lost, memory in KiB (resident, and what of it is
 * this process's own), requests. It believes any certificate.
 */
#include "opcua_bench.h"

#include "opcua/ids.h"
#include "uaclient/many.h"
#include "uaclient/subscription.h"

static struct ua_client *client;
static struct ua_subscription *sub;
static struct ua_read_value_id ids[ITEMS_MAX];
static int64_t last[ITEMS_MAX];
static uint64_t got, lost, requests;
static double cpu_then, peer_then;
static int64_t then_us;
static struct timer start, stop;
static bool leaving;

static void node_id(int i, struct ua_node_id *out)
{
    static char names[ITEMS_MAX][8];
    (void)snprintf(names[i], sizeof names[i], "c%d", i);
    *out = (struct ua_node_id){ .ns = 2, .kind = UA_ID_STRING, .text = bytes_str(names[i]) };
}

static void on_changes(void *ctx, struct ua_subscription *s, const struct ua_changes *c)
{
    (void)ctx, (void)s;
    for (size_t i = 0; i < c->count; i++) {
        uint32_t h = c->at[i].handle;
        int64_t v = c->at[i].value.value.i64;
        if (last[h] && v > last[h] + 1)
            lost += (uint64_t)(v - last[h] - 1);
        last[h] = v;
    }
    got += c->count;
}

/* utime and stime of the server, in the kernel's steps of 10 ms. */
static double peer_us(void)
{
    char path[64], text[1024];
    unsigned long user = 0, sys = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", o.pid);
    if (!o.pid || !io_read_text(&io_system, path, text, sizeof text))
        return 0;
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        return 0;
    return (double)(user + sys) * 10000;
}

static void on_stop(struct timer *t)
{
    (void)t;
    double seconds = (double)(loop_now_us(loop) - then_us) / 1e6;
    (void)printf("rate %.0f cpu %.3f peer %.3f lost %" PRIu64 " rss %ld private %ld requests %" PRIu64 "\n", (double)got / seconds,
                 got ? (cpu_us() - cpu_then) / (double)got : 0, got ? (peer_us() - peer_then) / (double)got : 0, lost, kib_of("/proc/self/status", "VmRSS:"),
                 kib_of("/proc/self/smaps_rollup", "Private_Dirty:"), requests);
    ua_client_leave(client); /* so that the server does not keep the subscription for the next run */
    leaving = true;
}

static void on_start(struct timer *t)
{
    (void)t;
    got = lost = requests = 0;
    cpu_then = cpu_us();
    peer_then = peer_us();
    then_us = loop_now_us(loop);
    timer_start(loop, &stop, o.seconds * 1000, on_stop);
}

static void watch(void)
{
    static const struct ua_subscription_events events = { .on_changes = on_changes };
    struct ua_subscription_options so = { .publishing_ms = o.publish_ms, .times = UA_TIMES_SOURCE };
    struct ua_watch *items = mem_zalloc((size_t)o.items, sizeof *items);
    must(ua_subscription_open(&sub, client, &so, &events, NULL, &why), "subscription");
    for (int i = 0; i < o.items; i++) {
        items[i] = (struct ua_watch){ .handle = (uint32_t)i, .queue = 100, .mode = UA_MONITOR_REPORTING };
        node_id(i, &items[i].node.id);
    }
    must(ua_subscription_add(sub, items, (size_t)o.items, NULL, &why), "items");
    mem_free(items);
    timer_start(loop, &start, 1000, on_start);
}

static void ask_read(void);
static void on_read(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    const struct ua_read_response *r = response;
    (void)ctx, (void)arena;
    if (leaving)
        return;
    if (!r) {
        (void)fprintf(stderr, "read: 0x%08X\n", status);
        exit(1);
    }
    for (uint32_t i = 0; i < r->results_count; i++)
        got += r->results[i].value.type == UA_INT64;
    requests++;
    ask_read();
}

static void ask_read(void)
{
    static int from;
    struct ua_read_request r = { .timestamps_to_return = UA_TIMES_SOURCE, .nodes_to_read = ids + from,
                                 .nodes_to_read_count = (uint32_t)o.batch };
    from = from + 2 * o.batch > o.items ? 0 : from + o.batch;
    must(ua_client_ask(client, &ua_read_request_type, &r, &ua_read_response_type, 0, on_read, NULL, &why), "read");
}

static const char *mode;
static void on_up(void *ctx, struct ua_client *c, bool same)
{
    (void)ctx, (void)c, (void)same;
    if (!strcmp(mode, "watch")) {
        watch();
        return;
    }
    for (int i = 0; i < o.items; i++) {
        node_id(i, &ids[i].node_id);
        ids[i].attribute_id = UA_ATTR_VALUE;
    }
    ask_read();
    timer_start(loop, &start, 500, on_start);
}

static void on_down(void *ctx, struct ua_client *c, const struct fault *f, int64_t retry_ms)
{
    (void)ctx, (void)c, (void)retry_ms;
    if (leaving) {
        loop_stop(loop);
        return;
    }
    (void)fprintf(stderr, "down: %s\n", f ? f->text : "");
    exit(1);
}

static void connect_it(void)
{
    static const struct ua_client_events events = { .on_up = on_up, .on_down = on_down };
    struct ua_client_options c = { .url = o.url, .policy = o.policy, .mode = (enum ua_message_security_mode)o.mode,
                                   .own = pki ? ua_pki_own(pki) : NULL, .trust = pki ? ua_pki_trust(pki) : NULL, .accept_any = true, .any_host = true };
    must(ua_client_open(&client, loop, &c, &events, NULL, &why), "client");
    loop_run(loop);
}

int main(int argc, char **argv)
{
    if (argc < 3 || ((mode = argv[1]), strcmp(mode, "watch") && strcmp(mode, "read")))
        return 2;
    o.url = argv[2];
    begin(argc, argv, 3);
    if (strcmp(o.policy, "None") != 0)
        certify();
    connect_it();
    return 0;
}
