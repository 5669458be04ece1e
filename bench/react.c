/* react.c - from a machine's publish to the anomaly that a job in the node puts out: milliseconds end to end, at a steady rate.
 *
 *   react --port P --pid PID [--rate 10000] [--seconds 5] [--pubs 10] [--devices 100] [--every 97] [--warm 2]
 *
 * Publishers send telemetry of their devices at QoS 1; every so many events (--every) the value jumps (a device that jumps
 * every second is no surprise for long: late jumps are not all found). A subscriber has
 * the job's output, also at QoS 1, and takes the time of each event from it. The clock starts when the event was due,
 * so that a generator or a node that falls behind is not forgiven. Prints one line: messages/s, planted, found, found though not planted,
 * p50, p99 and the slowest in microseconds, and the node's processor time per message.
 */
#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

enum { PUBS_MAX = 64, BUFFER = 1 << 18, SAMPLES = 1 << 20 };

struct peer {
    int      fd;
    uint8_t  in[BUFFER], out[BUFFER];
    size_t   in_len, out_len;
    uint16_t id;
    uint64_t acked;
};

static struct options {
    int port, pid, rate, seconds, pubs, devices, every, warm;
} o = { .port = 1883, .rate = 10000, .seconds = 5, .pubs = 10, .devices = 100, .every = 97, .warm = 2 };

static struct peer *peers; /* publishers, then the subscriber */
static uint32_t samples[SAMPLES];
static uint64_t sample_count, found, wrong, planted, sent, first_counted;

static void flush(struct peer *p)
{
    ssize_t n = p->out_len ? write(p->fd, p->out, p->out_len) : 0;
    if (n < 0 && errno != EAGAIN)
        die("write");
    if (n <= 0)
        return;
    memmove(p->out, p->out + n, p->out_len - (size_t)n);
    p->out_len -= (size_t)n;
}

static void put(struct peer *p, const void *bytes, size_t n)
{
    if (p->out_len + n > BUFFER) {
        errno = ENOBUFS;
        die("the node is too slow for this rate");
    }
    memcpy(p->out + p->out_len, bytes, n);
    p->out_len += n;
}

/* ---- the machines ---- */

static double noise(void)
{
    static uint64_t seed = 7;
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(seed >> 33) / 2147483648.0;
    }
    return sum - 3;
}

static void publish(uint64_t due)
{
    int device = (int)(sent % (uint64_t)o.devices);
    struct peer *p = &peers[device % o.pubs];
    bool jump = sent > first_counted && sent % (uint64_t)o.every == 0;
    uint8_t head[128];
    char body[256], topic[64];
    int n = snprintf(body, sizeof body,
                     "{\"deviceId\":\"press-%03d\",\"temperature\":%.2f,\"humidity\":40.1,\"pressure\":1013.25,\"running\":true,\"mode\":\"automatic\","
                     "\"vibration\":[0.134,0.232,0.150],\"n\":%llu,\"sent\":%llu}",
                     device, 20 + noise() + (jump ? 60 : 0), (unsigned long long)sent, (unsigned long long)due);
    snprintf(topic, sizeof topic, "factory/line1/press-%03d/telemetry", device);
    p->id = p->id == 65535 ? 1 : p->id + 1;
    put(p, head, put_head(head, topic, 1, p->id, (size_t)n));
    put(p, body, (size_t)n);
    planted += jump;
    sent++;
}

/* ---- what comes back ---- */

static void take_anomaly(const uint8_t *payload, size_t len, uint64_t now)
{
    char text[1024], *n, *when;
    len = len < sizeof text ? len : sizeof text - 1;
    memcpy(text, payload, len);
    text[len] = 0;
    n = strstr(text, "\"n\":");
    when = strstr(text, "\"sent\":");
    if (!n || !when)
        die("an anomaly without its number");
    uint64_t number = strtoull(n + 4, NULL, 10);
    if (number <= first_counted)
        return;
    number % (uint64_t)o.every ? wrong++ : found++;
    samples[sample_count++ % SAMPLES] = (uint32_t)((now - strtoull(when + 7, NULL, 10)) / 1000);
}

static void handle(struct peer *p, const uint8_t *at, size_t head, size_t len, uint64_t now)
{
    if (at[0] >> 4 == 4)
        p->acked++;
    if (at[0] >> 4 != 3)
        return;
    const uint8_t *body = at + head;
    size_t topic = (size_t)body[0] << 8 | body[1], qos = at[0] >> 1 & 3, skip = 2 + topic + (qos ? 2 : 0);
    take_anomaly(body + skip, len - skip, now);
    if (qos)
        put(p, (uint8_t[]){ 0x40, 2, body[2 + topic], body[3 + topic] }, 4);
}

static void receive(struct peer *p)
{
    ssize_t r = read(p->fd, p->in + p->in_len, BUFFER - p->in_len);
    uint64_t now = now_ns();
    if (r == 0 || (r < 0 && errno != EAGAIN))
        die("connection lost");
    p->in_len += r > 0 ? (size_t)r : 0;
    size_t at = 0;
    while (p->in_len - at >= 2) {
        size_t len = p->in[at + 1] & 0x7f, head = 2;
        if (p->in[at + 1] & 0x80) { /* as long as two bytes can say: ours are not longer */
            if (p->in_len - at < 3)
                break;
            len |= (size_t)p->in[at + 2] << 7;
            head = 3;
        }
        if (p->in_len - at < head + len)
            break;
        handle(p, p->in + at, head, len, now);
        at += head + len;
    }
    memmove(p->in, p->in + at, p->in_len - at);
    p->in_len -= at;
}

/* ---- running ---- */

static void pump(uint64_t wait_ns)
{
    struct timespec wait = { (time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u) };
    struct pollfd f[PUBS_MAX + 1];
    for (int i = 0; i <= o.pubs; i++)
        f[i] = (struct pollfd){ .fd = peers[i].fd, .events = (short)(POLLIN | (peers[i].out_len ? POLLOUT : 0)) };
    if (ppoll(f, (nfds_t)o.pubs + 1, &wait, NULL) < 0)
        die("poll");
    for (int i = 0; i <= o.pubs; i++) {
        if (f[i].revents & (POLLIN | POLLHUP | POLLERR))
            receive(&peers[i]);
        flush(&peers[i]);
    }
}

static void run(uint64_t start, uint64_t until)
{
    uint64_t gap = 1000000000u / (uint64_t)o.rate;
    while (sent < until) {
        uint64_t now = now_ns(), due = start + sent * gap;
        for (; sent < until && due <= now; due = start + sent * gap)
            publish(due);
        for (int i = 0; i < o.pubs; i++)
            flush(&peers[i]);
        now = now_ns();
        pump(due > now ? due - now : 0);
    }
}

static void open_peers(void)
{
    peers = calloc((size_t)o.pubs + 1, sizeof *peers);
    for (int i = 0; i <= o.pubs; i++) {
        char id[32];
        snprintf(id, sizeof id, "react-%d", i);
        peers[i].fd = open_client(o.port, id, true, 0);
        if (i == o.pubs)
            subscribe(peers[i].fd, "anomalies/#", 1);
        fcntl(peers[i].fd, F_SETFL, O_NONBLOCK);
    }
}

static void parse_options(int argc, char **argv)
{
    static const struct {
        const char *name;
        int        *to;
    } known[] = { { "--port", &o.port }, { "--pid", &o.pid },         { "--rate", &o.rate },   { "--seconds", &o.seconds },
                  { "--pubs", &o.pubs }, { "--devices", &o.devices }, { "--every", &o.every }, { "--warm", &o.warm } };
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(known[k].name, argv[i]) != 0)
            k++;
        if (k == sizeof known / sizeof known[0] || i + 1 == argc || (*known[k].to = atoi(argv[i + 1])) < 1) {
            fprintf(stderr, "react: what is %s?\n", argv[i]);
            exit(2);
        }
    }
    if (o.pubs > PUBS_MAX) {
        fprintf(stderr, "react: at most %d publishers\n", PUBS_MAX);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul); /* waking 50 us late would be measured */
    open_peers();
    uint64_t start = now_ns(), all = (uint64_t)o.rate * (uint64_t)(o.warm + o.seconds);
    first_counted = (uint64_t)o.rate * (uint64_t)o.warm;
    run(start, first_counted);
    double cpu = cpu_us(o.pid);
    run(start, all);
    double took = (double)(now_ns() - start) / 1e9;
    cpu = cpu_us(o.pid) - cpu;
    for (uint64_t calm = now_ns() + 2000000000u; now_ns() < calm && found < planted;)
        pump(10000000);
    uint64_t n = sample_count < SAMPLES ? sample_count : SAMPLES;
    qsort(samples, n, sizeof samples[0], by_size);
    printf("messages/s %.0f planted %llu found %llu others %llu p50_us %u p99_us %u max_us %u cpu_us/message %.3f\n", (double)all / took,
           (unsigned long long)planted, (unsigned long long)found, (unsigned long long)wrong, n ? samples[n / 2] : 0,
           n ? samples[n * 99 / 100] : 0, n ? samples[n - 1] : 0, cpu / (double)(all - first_counted));
    return 0;
}
