/* load.c - an MQTT 3.1.1 load generator for `make bench`: one thread, epoll, large reads and writes, so that it is not the
 * bottleneck on its core.
 *
 *   load --port P --pid PID [--pubs N] [--subs N] [--pairs N] [--qos Q] [--size BYTES] [--seconds T] [--window W]
 *        [--persistent] [--rate R]
 *
 * Publishers send to topic "bench/t"; each subscriber gets everything. With --pairs each publisher has a topic and a
 * subscriber of its own. The window bounds what is on its way end to end, per publisher, so that the broker is measured and
 * not its queues; with --rate so many messages a second are sent instead, whatever is on its way. Prints one line:
 * messages/s published and delivered, the broker's CPU microseconds per delivered message (user + system, from
 * /proc/PID/stat), end-to-end p50 and p99, lost, and how much of its core the generator itself used (per cent).
 */
#include "client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { BUFFER = 1 << 18, SAMPLES = 1 << 20 };

struct peer {
    int      fd;
    bool     subscriber, blocked;
    uint8_t *in, *out;
    size_t   in_len, out_from, out_len;
    uint64_t sent, acked, received;
    uint16_t next_id;
    int      number; /* with --pairs: of its topic */
};

static struct options {
    int    port, pid, pubs, subs, qos, size, window, seconds;
    double rate;
    bool   persistent, pairs;
} o = { .port = 1883, .pubs = 1, .subs = 1, .size = 256, .window = 500, .seconds = 2 };

static int      epoll_fd;
static struct peer *peers;
static uint64_t delivered, published, sample_count;
static uint32_t samples[SAMPLES];
static uint8_t *packet;
static size_t   packet_len, payload_at, id_at, number_at;

static double own_us(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* ---- set-up ---- */

/* Of one length for all. */
static const char *topic_of(int number, char text[16])
{
    snprintf(text, 16, o.pairs ? "bench/%05d" : "bench/t", number);
    return text;
}

static void open_peer(struct peer *p, int number, bool subscriber)
{
    char id[32], topic[16];
    snprintf(id, sizeof id, "%s-%d", subscriber ? "load-sub" : "load-pub", number);
    p->fd = open_client(o.port, id, !(subscriber && o.persistent), 4 << 20);
    p->subscriber = subscriber;
    p->in = malloc(BUFFER);
    p->out = malloc(BUFFER);
    p->next_id = 1;
    p->number = o.pairs ? number : 0;
    if (subscriber)
        subscribe(p->fd, topic_of(p->number, topic), o.qos);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fd, &e);
}

static void make_packet(void)
{
    char text[16];
    const char *topic = topic_of(0, text);
    packet = malloc((size_t)o.size + 64);
    payload_at = put_head(packet, topic, o.qos, 0, (size_t)o.size);
    id_at = payload_at - (o.qos ? 2 : 0);
    number_at = id_at - strlen(topic);
    memset(packet + payload_at, 'x', (size_t)o.size);
    packet_len = payload_at + (size_t)o.size;
}

/* ---- running ---- */

static void flush(struct peer *p)
{
    while (p->out_from < p->out_len) {
        ssize_t r = write(p->fd, p->out + p->out_from, p->out_len - p->out_from);
        if (r < 0 && errno == EAGAIN) {
            if (!p->blocked) {
                struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = p };
                epoll_ctl(epoll_fd, EPOLL_CTL_MOD, p->fd, &e);
                p->blocked = true;
            }
            return;
        }
        if (r <= 0)
            die("write");
        p->out_from += (size_t)r;
    }
    p->out_from = p->out_len = 0;
    if (p->blocked) {
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, p->fd, &e);
        p->blocked = false;
    }
}

static void put(struct peer *p, const void *bytes, size_t n)
{
    if (p->out_len + n > BUFFER) {
        memmove(p->out, p->out + p->out_from, p->out_len - p->out_from);
        p->out_len -= p->out_from;
        p->out_from = 0;
        if (p->out_len + n > BUFFER) {
            errno = ENOBUFS;
            die("output");
        }
    }
    memcpy(p->out + p->out_len, bytes, n);
    p->out_len += n;
}

static void put_ack(struct peer *p, uint8_t type, const uint8_t *id)
{
    uint8_t a[4] = { type, 2, id[0], id[1] };
    put(p, a, 4);
}

static void take_sample(const uint8_t *payload, size_t len, uint64_t now)
{
    uint64_t then;
    if (len < 8)
        return;
    memcpy(&then, payload, 8);
    samples[sample_count++ % SAMPLES] = (uint32_t)((now - then) / 1000);
}

static void handle(struct peer *p, const uint8_t *at, size_t head, size_t len, uint64_t now)
{
    const uint8_t *body = at + head;
    switch (at[0] >> 4) {
    case 3: {
        size_t topic = (size_t)body[0] << 8 | body[1], qos = at[0] >> 1 & 3, skip = 2 + topic + (qos ? 2 : 0);
        p->received++;
        delivered++;
        take_sample(body + skip, len - skip, now);
        if (qos)
            put_ack(p, qos == 1 ? 0x40 : 0x50, body + 2 + topic);
        break;
    }
    case 4:
    case 7:
        p->acked++;
        break;
    case 5:
        put_ack(p, 0x62, body);
        break;
    case 6:
        put_ack(p, 0x70, body);
        break;
    default:
        break;
    }
}

static void parse(struct peer *p, uint64_t now)
{
    size_t at = 0;
    while (p->in_len - at >= 2) {
        size_t len = 0, head = 1;
        unsigned shift = 0;
        for (;; head++, shift += 7) {
            if (at + head >= p->in_len)
                goto more;
            len |= (size_t)(p->in[at + head] & 0x7f) << shift;
            if (!(p->in[at + head] & 0x80))
                break;
        }
        head++;
        if (p->in_len - at < head + len)
            break;
        handle(p, p->in + at, head, len, now);
        at += head + len;
    }
more:
    memmove(p->in, p->in + at, p->in_len - at);
    p->in_len -= at;
}

static void receive(struct peer *p)
{
    ssize_t r = read(p->fd, p->in + p->in_len, BUFFER - p->in_len);
    if (r == 0 || (r < 0 && errno != EAGAIN))
        die("connection lost");
    if (r <= 0)
        return;
    p->in_len += (size_t)r;
    parse(p, now_ns());
    flush(p);
}

static uint64_t slowest(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < o.subs; i++)
        if (peers[i].received < least)
            least = peers[i].received;
    return least;
}

static void publish(struct peer *p, uint64_t budget)
{
    uint64_t stamp = now_ns();
    char topic[16];
    if (o.pairs)
        memcpy(packet + number_at, topic_of(p->number, topic), strlen(topic));
    while (budget-- && !p->blocked && p->out_len + packet_len <= BUFFER && (!o.qos || p->sent - p->acked < 60000)) {
        memcpy(packet + payload_at, &stamp, o.size >= 8 ? 8 : (size_t)o.size);
        if (o.qos) {
            packet[id_at] = (uint8_t)(p->next_id >> 8);
            packet[id_at + 1] = (uint8_t)p->next_id;
            p->next_id = p->next_id == 65535 ? 1 : p->next_id + 1;
        }
        put(p, packet, packet_len);
        p->sent++;
        published++;
    }
    flush(p);
}

static void publish_all(uint64_t start, bool running)
{
    if (!running)
        return;
    uint64_t window = (uint64_t)o.window * (uint64_t)o.pubs;
    uint64_t got = o.pairs ? delivered : o.subs ? slowest() : 0;
    uint64_t room = published - got < window ? window - (published - got) : 0;
    if (o.rate > 0) {
        uint64_t due = (uint64_t)((double)(now_ns() - start) / 1e9 * o.rate);
        room = due > published ? due - published : 0;
    }
    for (int i = 0; i < o.pubs && room; i++) {
        struct peer *p = &peers[o.subs + (int)((published + (uint64_t)i) % (uint64_t)o.pubs)];
        uint64_t share = room / (uint64_t)(o.pubs - i) + (room % (uint64_t)(o.pubs - i) ? 1 : 0), before = p->sent;
        if (o.qos && p->sent - p->acked + share > (uint64_t)o.window)
            share = p->sent - p->acked < (uint64_t)o.window ? (uint64_t)o.window - (p->sent - p->acked) : 0;
        publish(p, share);
        room -= p->sent - before;
    }
}

static void parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--persistent")) {
            o.persistent = true;
            continue;
        }
        i++;
        if (!strcmp(name, "--port")) o.port = atoi(value);
        else if (!strcmp(name, "--pid")) o.pid = atoi(value);
        else if (!strcmp(name, "--pubs")) o.pubs = atoi(value);
        else if (!strcmp(name, "--subs")) o.subs = atoi(value);
        else if (!strcmp(name, "--pairs")) o.pairs = true, o.pubs = o.subs = atoi(value);
        else if (!strcmp(name, "--qos")) o.qos = atoi(value);
        else if (!strcmp(name, "--size")) o.size = atoi(value);
        else if (!strcmp(name, "--window")) o.window = atoi(value);
        else if (!strcmp(name, "--seconds")) o.seconds = atoi(value);
        else if (!strcmp(name, "--rate")) o.rate = atof(value);
        else {
            fprintf(stderr, "load: unknown option %s\n", name);
            exit(2);
        }
    }
}

static void pump(uint64_t start, bool running, int wait_ms)
{
    struct epoll_event e[64];
    int n = epoll_wait(epoll_fd, e, 64, wait_ms);
    for (int i = 0; i < n; i++) {
        if (e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(e[i].data.ptr);
        if (e[i].events & EPOLLOUT)
            flush(e[i].data.ptr);
    }
    publish_all(start, running);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(0);
    peers = calloc((size_t)(o.pubs + o.subs), sizeof *peers);
    make_packet();
    for (int i = 0; i < o.subs; i++)
        open_peer(&peers[i], i, true);
    for (int i = 0; i < o.pubs; i++)
        open_peer(&peers[o.subs + i], i, false);
    uint64_t start = now_ns(), warm = start + 300000000u;
    publish_all(start, true);
    while (now_ns() < warm)
        pump(start, true, 1);
    double cpu = cpu_us(o.pid), own = own_us();
    uint64_t from = now_ns(), d0 = delivered, p0 = published;
    sample_count = 0;
    while (now_ns() < from + (uint64_t)o.seconds * 1000000000u)
        pump(start, true, 1);
    double seconds = (double)(now_ns() - from) / 1e9;
    uint64_t d = delivered - d0, pub = published - p0;
    cpu = cpu_us(o.pid) - cpu;
    own = own_us() - own;
    uint64_t calm = now_ns() + 3000000000u, want = published * (uint64_t)(o.pairs ? 1 : o.subs);
    while (now_ns() < calm && delivered < want)
        pump(start, false, 10);
    uint64_t n = sample_count < SAMPLES ? sample_count : SAMPLES;
    qsort(samples, n, sizeof samples[0], by_size);
    uint64_t per = o.subs ? d : pub;
    printf("published/s %.0f delivered/s %.0f cpu_us/message %.3f p50_us %u p99_us %u lost %llu generator %.0f\n", (double)pub / seconds,
           (double)d / seconds, per ? cpu / (double)per : 0, n ? samples[n / 2] : 0, n ? samples[n * 99 / 100] : 0,
           (unsigned long long)(want - delivered), own / seconds / 1e4);
    return 0;
}
