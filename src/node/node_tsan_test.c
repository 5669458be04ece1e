/* Whole nodes on this machine, also under the thread sanitizer: real sockets on loopback, real files in a
 * folder that goes afterwards. */
#include "node/node.h"

#include "base/mem.h"
#include "mqtt/topic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char                   home[64], data[80];
    const struct settings *settings;
    struct node           *node;
    pthread_t              thread;
    char                   mqtt[64], http[64]; /* the first of each type */
    uint16_t               mqtt_port, http_port;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->home, sizeof f->home, "/tmp/fg-node-XXXXXX");
    if (!f || !mkdtemp(f->home))
        return -1;
    (void)snprintf(f->data, sizeof f->data, "%s/data", f->home);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    settings_free(f->settings);
    (void)nftw(f->home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* `more` is added to a file with data and two listeners on ports that the system chooses. */
static void load(struct fixture *f, const char *data, const char *listeners, const char *more)
{
    char text[2048];
    struct fault why;
    struct settings_source source = { .filter_valid = topic_filter_valid };
    settings_free(f->settings);
    (void)snprintf(text, sizeof text, "data: %s\nlisteners:\n%s\n%s\n", data,
                   listeners ? listeners : "  - { type: mqtt, at: [\"127.0.0.1:0\", \"[::1]:0\"] }\n"
                                           "  - { type: http, at: [\"127.0.0.1:0\"] }",
                   more ? more : "");
    if (settings_parse(&f->settings, &io_system, &source, "test.yaml", bytes_str(text), NULL, &why) !=
        CODE_OK)
        fail_msg("%s", why.text);
}

static enum code open_node(struct fixture *f, struct fault *why)
{
    struct node_options options = { .settings = f->settings, .io = &io_system, .version = "test" };
    f->node = NULL;
    return node_open(&f->node, &options, why);
}

static void note_listener(void *ctx, const char *type, const char *address)
{
    struct fixture *f = ctx;
    char *to = strcmp(type, "mqtt") == 0 ? f->mqtt : f->http;
    if (!to[0])
        (void)snprintf(to, sizeof f->mqtt, "%s", address);
}

static void *run_node(void *ctx)
{
    struct fault why;
    if (node_run(ctx, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return NULL;
}

static uint16_t port_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static void start(struct fixture *f)
{
    struct fault why;
    if (open_node(f, &why) != CODE_OK)
        fail_msg("%s", why.text);
    f->mqtt[0] = f->http[0] = 0;
    node_each_listener(f->node, note_listener, f);
    f->mqtt_port = port_of(f->mqtt);
    f->http_port = port_of(f->http);
    assert_int_equal(pthread_create(&f->thread, NULL, run_node, f->node), 0);
}

static void stop(struct fixture *f)
{
    node_stop(f->node);
    (void)pthread_join(f->thread, NULL);
    node_close(f->node);
    f->node = NULL;
}

static void refused(struct fixture *f, int number, const char *want)
{
    struct fault why;
    enum code code = open_node(f, &why);
    if (code == CODE_OK) {
        node_close(f->node);
        fail_msg("it started: %s", want);
    }
    if (why.number != number || !strstr(why.text, want))
        fail_msg("FG%d %s", why.number, why.text);
}

/* ---- talking to it ---- */

static int dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 10 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? fd : (close(fd), -1);
}

static void expect_bytes(int fd, const void *want, size_t n)
{
    uint8_t got[256];
    size_t have = 0;
    while (have < n) {
        ssize_t r = recv(fd, got + have, n - have, 0);
        if (r <= 0)
            fail_msg("%zu of %zu bytes came", have, n);
        have += (size_t)r;
    }
    assert_memory_equal(got, want, n);
}

/* MQTT 3.1.1, keep alive 60 s. `clean` false: the session stays. */
static int connected(uint16_t port, const char *id, bool clean, bool present)
{
    uint8_t packet[64] = {
        0x10, (uint8_t)(12 + strlen(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, clean ? 2 : 0, 0, 60,
        0,    (uint8_t)strlen(id)
    };
    memcpy(packet + 14, id, strlen(id));
    uint8_t connack[] = { 0x20, 2, present, 0 };
    int fd = dial(port);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, packet, 14 + strlen(id), MSG_NOSIGNAL), 14 + strlen(id));
    expect_bytes(fd, connack, sizeof connack);
    return fd;
}

/* QoS 1, until its PUBACK. */
static void publish(int fd, uint8_t pid)
{
    const uint8_t packet[] = { 0x32, 8, 0, 3, 't', '/', '1', 0, pid, 'x' }, puback[] = { 0x40, 2, 0, pid };
    assert_int_equal(send(fd, packet, sizeof packet, MSG_NOSIGNAL), sizeof packet);
    expect_bytes(fd, puback, sizeof puback);
}

static void subscribe(int fd)
{
    const uint8_t packet[] = { 0x82, 8, 0, 1, 0, 3, 't', '/', '#', 1 }, suback[] = { 0x90, 3, 0, 1, 1 };
    assert_int_equal(send(fd, packet, sizeof packet, MSG_NOSIGNAL), sizeof packet);
    expect_bytes(fd, suback, sizeof suback);
}

static void expect_end(int fd)
{
    char rest[256];
    ssize_t r;
    do
        r = recv(fd, rest, sizeof rest, 0);
    while (r > 0);
    assert_int_equal(r, 0);
}

static void get(int fd, const char *target, const char *want)
{
    char text[16384];
    size_t have = 0;
    int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target);
    assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
    for (ssize_t r; have < sizeof text - 1 && (r = recv(fd, text + have, sizeof text - 1 - have, 0)) > 0;)
        have += (size_t)r;
    text[have] = 0;
    if (!strstr(text, want))
        fail_msg("%s: %s", target, text);
    (void)close(fd);
}

static int dial_control(const struct fixture *f)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.80s/api.sock", f->data);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* ---- the tests ---- */

static void it_serves_and_stops_and_starts_again_with_what_it_had(void **state)
{
    struct fixture *f = *state;
    load(f, f->data, NULL, NULL);
    start(f);
    assert_int_equal(strncmp(f->mqtt, "127.0.0.1:", 10), 0);
    int away = connected(f->mqtt_port, "sub", false, false),
        pub = connected(f->mqtt_port, "pub", true, false);
    subscribe(away);
    (void)close(away);
    for (uint8_t i = 1; i <= 10; i++)
        publish(pub, i);
    get(dial(f->http_port), "/health", "{\"status\":\"ok\"}");
    get(dial_control(f), "/api/v1/status", "\"acknowledged\":10,");
    stop(f);
    expect_end(pub);
    (void)close(pub);
    start(f);
    int back = connected(f->mqtt_port, "sub", false, true);
    const uint8_t first[] = { 0x32, 8, 0, 3, 't', '/', '1' };
    expect_bytes(back, first, sizeof first);
    (void)close(back);
    stop(f);
}

static void its_folder_is_its_own_and_clean_after_a_stop(void **state)
{
    struct fixture *f = *state;
    char deep[100], path[128];
    struct stat st;
    (void)snprintf(deep, sizeof deep, "%s/a/b/data/", f->home);
    load(f, deep, NULL, NULL);
    start(f);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    (void)snprintf(path, sizeof path, "%sapi.sock", deep);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    stop(f);
    assert_int_equal(stat(path, &st), -1);
    (void)snprintf(path, sizeof path, "%spid", deep);
    assert_int_equal(stat(path, &st), -1);
}

static void a_taken_address_is_named_with_its_owner_and_nothing_starts(void **state)
{
    struct fixture *f = *state;
    char listeners[128], want[128];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    (void)snprintf(listeners, sizeof listeners, "  - { type: mqtt, at: [\"127.0.0.1:0\", \"127.0.0.1:%u\"] }",
                   ntohs(a.sin_port));
    load(f, f->data, listeners, NULL);
    (void)snprintf(want, sizeof want, "127.0.0.1:%u is taken by ", ntohs(a.sin_port));
    refused(f, 1002, want);
    (void)snprintf(want, sizeof want, "(pid %ld). Stop it, or set listeners[0].at.", (long)getpid());
    refused(f, 1002, want);
    (void)close(fd);
    start(f); /* nothing of the failed start is in the way */
    stop(f);
}

static void a_folder_in_use_is_named_with_its_owner(void **state)
{
    struct fixture *f = *state, other = { 0 };
    char want[160];
    load(f, f->data, NULL, NULL);
    start(f);
    load(&other, f->data, NULL, NULL);
    (void)snprintf(want, sizeof want, "%s is in use by another node (pid %ld)", f->data, (long)getpid());
    refused(&other, 1005, want);
    int fd = connected(f->mqtt_port, "still-here", true, false); /* and the first one goes on */
    (void)close(fd);
    get(dial_control(f), "/health", "ok");
    stop(f);
    settings_free(other.settings);
}

static void a_folder_that_cannot_be_is_refused_with_the_way_out(void **state)
{
    struct fixture *f = *state;
    char path[256];
    load(f, "/proc/fieldgate", NULL, NULL);
    refused(f, 1004, "cannot write /proc/fieldgate");
    (void)snprintf(path, sizeof path, "%s/%0100d", f->home, 0);
    load(f, path, NULL, NULL);
    refused(f, 1003, "bytes, at most 98 are possible");
    (void)snprintf(path, sizeof path, "%s/file", f->home);
    (void)fclose(fopen(path, "w"));
    load(f, path, NULL, NULL);
    refused(f, 1004, "Not a directory");
}

static void fewer_partitions_than_before_are_refused(void **state)
{
    struct fixture *f = *state;
    load(f, f->data, NULL, "hub: { partitions: 4 }");
    start(f);
    stop(f);
    load(f, f->data, NULL, "hub: { partitions: 3 }");
    refused(f, 1007, "partitions");
    load(f, f->data, NULL, "hub: { partitions: 5 }");
    start(f);
    stop(f);
}

static void memory_durability_is_said(void **state)
{
    struct fixture *f = *state;
    load(f, f->data, NULL, "durability: memory");
    start(f);
    int fd = connected(f->mqtt_port, "pub", true, false);
    publish(fd, 1);
    (void)close(fd);
    get(dial_control(f), "/api/v1/status", "\"durability\":\"memory\"");
    stop(f);
}

static void a_stop_before_the_run_ends_it_at_once(void **state)
{
    struct fixture *f = *state;
    struct fault why;
    load(f, f->data, NULL, "loops: 3");
    assert_int_equal(open_node(f, &why), CODE_OK);
    node_stop(f->node);
    node_stop(f->node);
    assert_int_equal(node_run(f->node, &why), CODE_OK);
    node_close(f->node);
}

static void a_signal_stops_it(void **state)
{
    struct fixture *f = *state;
    struct fault why;
    load(f, f->data, NULL, NULL);
    struct node_options options = {
        .settings = f->settings, .io = &io_system, .version = "test", .signals = true
    };
    assert_int_equal(node_open(&f->node, &options, &why), CODE_OK);
    assert_int_equal(pthread_create(&f->thread, NULL, run_node, f->node), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    (void)pthread_join(f->thread, NULL);
    node_close(f->node);
}

static void many_loops_share_the_clients(void **state)
{
    struct fixture *f = *state;
    enum { CLIENTS = 24 };
    int fds[CLIENTS];
    load(f, f->data, NULL, "loops: 4");
    start(f);
    for (int i = 0; i < CLIENTS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%d", i);
        fds[i] = connected(f->mqtt_port, id, true, false);
    }
    for (int i = 0; i < CLIENTS; i++)
        publish(fds[i], 1);
    get(dial_control(f), "/api/v1/status", "\"clients\":24,");
    stop(f);
    for (int i = 0; i < CLIENTS; i++) {
        expect_end(fds[i]);
        (void)close(fds[i]);
    }
}

/* ---- reload ---- */

static _Atomic unsigned rereads;

static enum code reread(void *ctx, const struct settings **out, struct settings_report *report, struct fault *why)
{
    const struct fixture *f = ctx;
    struct settings_source source = { .filter_valid = topic_filter_valid };
    unsigned n = atomic_fetch_add(&rereads, 1);
    char text[512];
    (void)snprintf(text, sizeof text,
                   "data: %s\nlisteners:\n  - { type: mqtt, at: [\"127.0.0.1:0\"%s] }\n  - { type: http, at: [\"127.0.0.1:0\"] }\n"
                   "limits: { receive-maximum: %u, queued-messages: %u }\nhub: { topics: [\"%s\"], keep: %ud }\n%s",
                   f->data, n % 3 == 1 ? ", \"[::1]:0\"" : "", 10 + n % 50, 1000 + n, n % 2 ? "t/#" : "u/#", 1 + n % 5,
                   n % 7 == 6 ? "nonsense: true\n" : "");
    return settings_parse(out, &io_system, &source, "test.yaml", bytes_str(text), report, why);
}

static void *reload_often(void *node)
{
    for (int i = 0; i < 150; i++) {
        node_reload(node);
        (void)usleep(2000);
    }
    return NULL;
}

/* Under the thread sanitizer: nobody looks at what a reload has freed, and no message is lost over it. */
static void it_reloads_while_it_works(void **state)
{
    struct fixture *f = *state;
    struct node_options options = { .io = &io_system, .version = "test", .reread = reread, .reread_ctx = f };
    struct fault why;
    pthread_t reloader;
    enum { CLIENTS = 6, EACH = 200 };
    int fd[CLIENTS];
    atomic_store(&rereads, 0);
    load(f, f->data, "  - { type: mqtt, at: [\"127.0.0.1:0\"] }\n  - { type: http, at: [\"127.0.0.1:0\"] }", "loops: 3");
    options.settings = f->settings;
    assert_int_equal(node_open(&f->node, &options, &why), CODE_OK);
    f->mqtt[0] = f->http[0] = 0;
    node_each_listener(f->node, note_listener, f);
    f->mqtt_port = port_of(f->mqtt);
    f->http_port = port_of(f->http);
    assert_int_equal(pthread_create(&f->thread, NULL, run_node, f->node), 0);
    for (int i = 0; i < CLIENTS; i++) {
        char id[8] = { 'c', (char)('0' + i) };
        fd[i] = connected(f->mqtt_port, id, true, false);
    }
    assert_int_equal(pthread_create(&reloader, NULL, reload_often, f->node), 0);
    for (int n = 0; n < EACH; n++)
        for (int i = 0; i < CLIENTS; i++)
            publish(fd[i], (uint8_t)(1 + n % 255));
    (void)pthread_join(reloader, NULL);
    get(dial(f->http_port), "/health", "{\"status\":\"ok\"}");
    get(dial_control(f), "/api/v1/status", "\"acknowledged\":1200,");
    assert_true(atomic_load(&rereads) > 10);
    node_reload(f->node); /* one may be under way when it stops */
    stop(f);
    for (int i = 0; i < CLIENTS; i++) {
        expect_end(fd[i]);
        (void)close(fd[i]);
    }
}

/* How often `what` came, until it came `most` times. */
static unsigned count_of(int fd, const char *what, unsigned most)
{
    static uint8_t got[1 << 16];
    size_t have = 0, n = strlen(what);
    unsigned count = 0;
    for (ssize_t r; count < most && have < sizeof got && (r = recv(fd, got + have, sizeof got - have, 0)) > 0;) {
        have += (size_t)r;
        count = 0;
        for (size_t i = 0; i + n <= have; i++)
            count += memcmp(got + i, what, n) == 0;
    }
    return count;
}

static void *look_at_it(void *ctx)
{
    const struct fixture *f = ctx;
    for (int i = 0; i < 20; i++) {
        get(dial_control(f), "/metrics", "fieldgate_info");
        get(dial_control(f), "/api/v1/routes", "\"upstream\":[");
    }
    return NULL;
}

static void routes_carry_messages_while_others_look(void **state)
{
    struct fixture *f = *state;
    pthread_t looks;
    load(f, f->data, NULL,
         "loops: 3\nroutes:\n"
         "  a: FROM topic(\"t/1\") WHERE NOT is_defined($body.x) INTO topic(\"t/2\")\n"
         "  b: FROM topic(\"t/1\") INTO events\n"
         "  c: FROM topic(\"t/+\") INTO $upstream\n");
    for (int life = 0; life < 2; life++) {
        start(f);
        for (int i = 0; i < 200; i++) { /* routes are begun when the node runs */
            char text[4096];
            int fd = dial_control(f);
            static const char ask[] = "GET /api/v1/routes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            assert_int_equal(send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL), sizeof ask - 1);
            size_t have = 0;
            for (ssize_t r; (r = recv(fd, text + have, sizeof text - 1 - have, 0)) > 0;)
                have += (size_t)r;
            text[have] = 0;
            (void)close(fd);
            if (strstr(text, "\"name\":\"c\""))
                break;
            (void)usleep(20000);
        }
        assert_int_equal(pthread_create(&looks, NULL, look_at_it, f), 0);
        int sub = connected(f->mqtt_port, "sub", true, false), pub = connected(f->mqtt_port, "pub", true, false);
        subscribe(sub);
        for (uint8_t i = 1; i <= 100; i++)
            publish(pub, i);
        assert_int_equal(count_of(sub, "t/2", 100), 100);
        (void)pthread_join(looks, NULL);
        (void)close(sub);
        stop(f); /* the router stops before the loops do */
        (void)close(pub);
    }
    start(f);
    get(dial_control(f), "/api/v1/status", "\"stored-ever\":200,");
    stop(f);
}

static void without_memory_it_does_not_start_and_leaves_nothing_open(void **state)
{
    struct fixture *f = *state;
    load(f, f->data, NULL,
         "loops: 2\njournal: { segment-bytes: 2MiB }\n"
         "routes: { a: FROM topic(\"t/1\") WHERE $body.x > 1 INTO $upstream }");
    start(f); /* once, so that files are there */
    stop(f);
    for (uint64_t n = 1;; n++) {
        struct fault why;
        mem_fail_at(n);
        enum code code = open_node(f, &why);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        if (code == CODE_OK)
            node_close(f->node); /* what failed could be done without, or nothing failed */
        if (!fired)
            break;
    }
    start(f);
    stop(f);
}

int main(void)
{
    /* Threads of the pool outlive the node that began them, also one that does not take signals: none of them is to get one. */
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_serves_and_stops_and_starts_again_with_what_it_had),
        TEST(its_folder_is_its_own_and_clean_after_a_stop),
        TEST(a_taken_address_is_named_with_its_owner_and_nothing_starts),
        TEST(a_folder_in_use_is_named_with_its_owner),
        TEST(a_folder_that_cannot_be_is_refused_with_the_way_out),
        TEST(fewer_partitions_than_before_are_refused),
        TEST(memory_durability_is_said),
        TEST(a_stop_before_the_run_ends_it_at_once),
        TEST(a_signal_stops_it),
        TEST(many_loops_share_the_clients),
        TEST(it_reloads_while_it_works),
        TEST(routes_carry_messages_while_others_look),
        TEST(without_memory_it_does_not_start_and_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
