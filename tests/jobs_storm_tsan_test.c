/* Jobs of a whole node with real threads: four of them under load, while reloads begin, change and end some, verbs make and remove
 * others, and status, models and metrics are asked all the time; then the node stops in the middle, and starts again on what it has.
 * Made for TSan; under ASan it looks for memory used after its end.
 * STORM_SECONDS=6
 * timeout: 120 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "mqtt/topic.h"
#include "node/node.h"

#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PUBLISHERS = 2, ASKERS = 3 };

static struct storm {
    char home[64], data[80];
    const struct settings *settings;
    struct node *node;
    pthread_t thread;
    uint16_t port;
    _Atomic unsigned rereads, made, published, answers[4]; /* of 2xx, 4xx, 5xx, none */
    _Atomic bool over;
} s;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void put_file(const char *name, const char *text)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", s.home, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* ---- what is declared: another thing at each reading ---- */

static enum code reread(void *ctx, const struct settings **out, struct settings_report *report, struct fault *why)
{
    struct settings_source source = { .filter_valid = topic_filter_valid };
    struct buf text = { 0 };
    unsigned n = atomic_fetch_add(&s.rereads, 1);
    (void)ctx;
    buf_printf(&text, "data: %s\nloops: 3\nlog: { level: error }\nlisteners:\n  - { type: mqtt, at: [\"127.0.0.1:0\"] }\n"
               "hub: { partitions: 2, topics: [\"x/#\"] }\njournal: { segment-bytes: 4MiB, disk-reserve: 0 }\njobs:\n", s.data);
    buf_printf(&text, "  steady: %s/steady.sql\n", s.home);
    if (n % 3)
        buf_printf(&text, "  coming: %s/steady.sql\n", s.home);
    buf_printf(&text, "  changing: { sql: %s/%s.sql, state-bytes: %uMiB }\n", s.home, n % 4 < 2 ? "one" : "other", 100 + n % 2);
    buf_printf(&text, "  last: { sql: %s/last.sql, references: { names: %s/names.csv }%s }\n", s.home, s.home, n % 5 == 4 ? ", nonsense: 1" : "");
    enum code code = settings_parse(out, &io_system, &source, "test.yaml", buf_bytes(&text), report, why);
    buf_clear(&text);
    return code;
}

static void put_files(void)
{
    put_file("steady.sql", "SELECT machine, COUNT(*) AS n FROM [x/+] GROUP BY machine, TumblingWindow(second, 1)");
    put_file("one.sql", "WITH a AS (SELECT machine, AnomalyDetection_SpikeAndDip(v, 95, 60, 'spikesanddips') OVER (PARTITION BY machine LIMIT"
             " DURATION(minute, 5)) AS r FROM [x/+])\nSELECT machine, r INTO found FROM a");
    put_file("other.sql", "SELECT machine, LAG(v) OVER (PARTITION BY machine LIMIT DURATION(hour, 1)) AS b INTO [y/b] FROM [x/1]");
    put_file("last.sql", "SELECT a.n, names.name INTO [z/last] FROM [$jobs/steady/output] a JOIN names ON a.machine = names.machine");
    put_file("names.csv", "machine,name\np1,press\np2,pump\n");
}

/* ---- the node ---- */

static void note_listener(void *ctx, const char *type, const char *address)
{
    (void)ctx, (void)type;
    s.port = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

static void *run_node(void *node)
{
    struct fault why;
    if (node_run(node, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return NULL;
}

static void start_node(void)
{
    struct fault why;
    struct node_options o = { .io = &io_system, .version = "test", .reread = reread };
    atomic_store(&s.rereads, 1);
    if (reread(NULL, &s.settings, NULL, &why) != CODE_OK)
        fail_msg("%s", why.text);
    o.settings = s.settings;
    log_set_level(LOG_ERROR);
    if (node_open(&s.node, &o, &why) != CODE_OK)
        fail_msg("%s", why.text);
    node_each_listener(s.node, note_listener, NULL);
    assert_int_equal(pthread_create(&s.thread, NULL, run_node, s.node), 0);
}

static void stop_node(void)
{
    node_stop(s.node);
    (void)pthread_join(s.thread, NULL);
    node_close(s.node);
    settings_free(s.settings);
}

/* ---- publishers: MQTT 3.1.1, QoS 0 and 1; answers are read and thrown away ---- */

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(s.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 2 };
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static size_t put_publish(uint8_t *at, unsigned n)
{
    char body[64];
    int len = snprintf(body, sizeof body, "{\"machine\":\"p%u\",\"v\":%u}", n % 3, n % 50 ? n % 7 : 1000);
    unsigned qos = n % 2;
    size_t i = 0;
    at[i++] = (uint8_t)(0x30 | qos << 1);
    at[i++] = (uint8_t)(2 + 3 + qos * 2 + (unsigned)len);
    at[i++] = 0, at[i++] = 3, at[i++] = 'x', at[i++] = '/', at[i++] = (uint8_t)('0' + n % 3);
    if (qos)
        at[i++] = (uint8_t)(n >> 8 | 0x80), at[i++] = (uint8_t)n;
    memcpy(at + i, body, (size_t)len);
    return i + (size_t)len;
}

static void *publish(void *ctx)
{
    uint8_t batch[4096], answers[4096];
    unsigned n = 0;
    while (!atomic_load(&s.over)) {
        uint8_t hello[] = { 0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 2, 'p', (uint8_t)('0' + (char)(intptr_t)ctx) };
        int fd = dial();
        bool up = fd >= 0 && send(fd, hello, sizeof hello, MSG_NOSIGNAL) > 0 && recv(fd, answers, 4, MSG_WAITALL) == 4;
        while (up && !atomic_load(&s.over)) {
            size_t len = 0;
            for (int i = 0; i < 40; i++, n++)
                len += put_publish(batch + len, n);
            up = send(fd, batch, len, MSG_NOSIGNAL) == (ssize_t)len;
            (void)recv(fd, answers, 20 * 4, MSG_WAITALL * up);
            atomic_fetch_add(&s.published, 40 * up);
        }
        if (fd >= 0)
            (void)close(fd);
    }
    return NULL;
}

/* ---- askers: the API over the control socket ---- */

static void ask(const char *method, const char *target, const char *body)
{
    char text[8192];
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct timeval patience = { .tv_sec = 20 };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/api.sock", s.data);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int len = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", method, target,
                       strlen(body), body);
    unsigned kind = 3;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && send(fd, text, (size_t)len, MSG_NOSIGNAL) == len &&
        recv(fd, text, 12, MSG_WAITALL) == 12) {
        kind = text[9] == '2' ? 0 : text[9] == '4' ? 1 : 2;
        while (recv(fd, text, sizeof text, 0) > 0)
            continue;
    }
    atomic_fetch_add(&s.answers[kind], 1);
    (void)close(fd);
}

static void *ask_all(void *ctx)
{
    static const char *const looks[] = { "/api/v1/jobs", "/api/v1/status", "/metrics", "/api/v1/jobs/models?name=changing",
                                         "/api/v1/jobs/explain?name=steady" };
    for (unsigned n = (unsigned)(intptr_t)ctx; !atomic_load(&s.over); n++) {
        switch (n % 6) {
        case 0: ask("POST", "/api/v1/reload", ""); break;
        case 1: ask("POST", n % 2 ? "/api/v1/jobs?name=made" : "/api/v1/jobs?name=made2",
                    n % 4 < 2 ? "SELECT v INTO o FROM [x/2]" : "SELECT v + 1 AS v INTO o FROM [x/#]"); break;
        case 2: ask("POST", n % 2 ? "/api/v1/jobs/remove?name=made" : "/api/v1/jobs/remove?name=made2", ""); break;
        case 3: ask("POST", "/api/v1/jobs/models?name=changing", ""); break;
        case 4: put_file("names.csv", n % 4 < 2 ? "machine,name\np1,press\n" : "machine,name\np1,press\np2,pump\np0,oven\n"); break;
        default: ask("GET", looks[n / 6 % 5], ""); break;
        }
    }
    return NULL;
}

static void jobs_bear_everything_at_once(void **state)
{
    pthread_t publishers[PUBLISHERS], askers[ASKERS];
    const char *seconds = getenv("STORM_SECONDS");
    (void)state;
    (void)snprintf(s.home, sizeof s.home, "%s/fg-jobs-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(s.home));
    (void)snprintf(s.data, sizeof s.data, "%s/data", s.home);
    put_files();
    for (int round = 0; round < 2; round++) {
        start_node();
        atomic_store(&s.over, false);
        for (intptr_t i = 0; i < PUBLISHERS; i++)
            assert_int_equal(pthread_create(&publishers[i], NULL, publish, (void *)i), 0);
        for (intptr_t i = 0; i < ASKERS; i++)
            assert_int_equal(pthread_create(&askers[i], NULL, ask_all, (void *)(i * 2)), 0);
        (void)sleep((unsigned)atoi(seconds ? seconds : "6") / 2);
        stop_node(); /* while all go on */
        atomic_store(&s.over, true);
        for (int i = 0; i < PUBLISHERS; i++)
            (void)pthread_join(publishers[i], NULL);
        for (int i = 0; i < ASKERS; i++)
            (void)pthread_join(askers[i], NULL);
    }
    print_message("%u published, answers: %u good, %u refused, %u failed, %u none\n", s.published, s.answers[0], s.answers[1], s.answers[2],
                  s.answers[3]);
    assert_true(s.published > 0);
    assert_true(s.answers[0] > 20);
    assert_true(s.answers[0] > s.answers[2]);
    (void)nftw(s.home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(jobs_bear_everything_at_once) };
    return cmocka_run_group_tests_name("jobs_storm", tests, NULL, NULL);
}
