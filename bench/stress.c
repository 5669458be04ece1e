/* stress.c - what one kind of bad client costs all others. Debian's mosquitto answers the same calls.
 *
 *   stress --port P --pid PID storm   [--rate 10000] [--seconds 20]
 *   stress --port P --pid PID readers [--readers 1000] [--owed-mib 1024] [--qos Q] [--size BYTES] [--seconds 20]
 *
 * storm: so many clients a second connect, get their CONNACK, and leave. readers: clients that subscribe and then never read,
 * with a receive buffer of 4 KiB, while a publisher sends each of them --owed-mib (spread over --seconds).
 * Meanwhile a probe, in a process of its own and with precedence over the load, sends one QoS 0 message every millisecond
 * to itself: its p50 and p99 for 5 s before, and during. Prints what the broker's memory was before, at most, and after.
 */
#include "client.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { SAMPLES = 1 << 17, QUIET_S = 5 };

static struct options {
    int    port, pid, seconds, rate, readers, qos, size;
    long   owed_mib;
} o = { .seconds = 20, .rate = 10000, .readers = 1000, .owed_mib = 1024, .size = 65536 };

/* What the probe tells: in memory that both processes see. */
static struct shared {
    _Atomic bool     stop;
    _Atomic int      phase; /* 0 before, 1 during, 2 over */
    _Atomic uint32_t count[2];
    uint32_t         us[2][SAMPLES];
} *shared;

static uint64_t now_us(void)
{
    return now_ns() / 1000u;
}

static long status_kib(const char *field)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", o.pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = atol(line + strlen(field) + 1);
    if (f)
        fclose(f);
    return kib;
}

/* ---- the probe ---- */

static void probe(void)
{
    struct sched_param first = { .sched_priority = 1 };
    uint8_t packet[64], got[64];
    int fd = open_client(o.port, "probe", true, 0);
    subscribe(fd, "probe/t", 0);
    size_t n = put_head(packet, "probe/t", 0, 0, 16);
    memset(packet + n, 0, 16);
    (void)sched_setscheduler(0, SCHED_FIFO, &first); /* without the right to it, it takes its turn */
    while (!shared->stop) {
        int phase = shared->phase;
        uint64_t begin = now_us();
        all(fd, packet, n + 16, true);
        all(fd, got, n + 16, false);
        uint64_t took = now_us() - begin;
        if (phase < 2 && shared->count[phase] < SAMPLES)
            shared->us[phase][shared->count[phase]++] = (uint32_t)took;
        if (took < 1000)
            usleep((useconds_t)(1000 - took));
    }
    _exit(0);
}

static uint32_t quantile(int phase, double q)
{
    uint32_t n = shared->count[phase];
    return n ? shared->us[phase][(uint32_t)((n - 1) * q)] : 0;
}

/* ---- a storm of connections ---- */

enum { FLYING = 4096 };
static uint64_t begun[1 << 16];
static uint64_t connected, refused, worst;

static void start_one(int epoll_fd, unsigned number)
{
    /* Many source addresses: one has too few ports. */
    struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o.port) };
    struct linger hard = { .l_onoff = 1 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    from.sin_addr.s_addr = htonl(0x7f000002u + number % 64);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
        die("connect");
    struct epoll_event e = { .events = EPOLLOUT, .data.fd = fd };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    begun[fd] = now_us();
}

/* True: it is over. */
static bool go_on(int epoll_fd, const struct epoll_event *e)
{
    static unsigned number;
    uint8_t b[64];
    char id[32];
    int fd = e->data.fd;
    if (e->events & EPOLLOUT) {
        snprintf(id, sizeof id, "storm-%u", number++);
        size_t n = put_connect(b, id, true);
        struct epoll_event next = { .events = EPOLLIN, .data.fd = fd };
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &next);
        if (send(fd, b, n, MSG_NOSIGNAL) == (ssize_t)n)
            return false;
        refused++;
    } else if (recv(fd, b, sizeof b, 0) == 4 && b[3] == 0) {
        uint64_t took = now_us() - begun[fd];
        worst = took > worst ? took : worst;
        connected++;
        (void)!send(fd, "\xe0\0", 2, MSG_NOSIGNAL);
    } else {
        refused++;
    }
    close(fd);
    return true;
}

static void storm(void)
{
    struct epoll_event e[256];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint64_t begin = now_us(), end = begin + (uint64_t)o.seconds * 1000000u, started = 0, flying = 0;
    for (uint64_t now; (now = now_us()) < end || flying;) {
        uint64_t due = now < end ? (uint64_t)((double)(now - begin) * o.rate / 1e6) : started;
        for (; started < due && flying < FLYING; started++, flying++)
            start_one(epoll_fd, (unsigned)started);
        int n = epoll_wait(epoll_fd, e, 256, 1);
        for (int i = 0; i < n; i++)
            flying -= go_on(epoll_fd, &e[i]);
        if (now > end + 5000000u)
            break;
    }
    printf("connected/s %.0f refused %llu slowest_us %llu\n", (double)connected * 1e6 / (double)(now_us() - begin),
           (unsigned long long)refused, (unsigned long long)worst);
}

/* ---- readers that do not read ---- */

static void readers(void)
{
    char id[32];
    uint8_t *packet = malloc((size_t)o.size + 64), acks[4096];
    for (int i = 0; i < o.readers; i++) {
        snprintf(id, sizeof id, "stuck-%d", i);
        subscribe(open_client(o.port, id, true, 4096), "flood", o.qos);
    }
    int fd = open_client(o.port, "flood", true, 0);
    uint64_t begin = now_us(), total = (uint64_t)o.owed_mib << 20, sent = 0, messages = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    memset(packet, 'x', (size_t)o.size + 64);
    size_t at = 0, len = 0;
    while (now_us() - begin < (uint64_t)o.seconds * 1000000u) {
        uint64_t due = (uint64_t)((double)total * (double)(now_us() - begin) / (o.seconds * 1e6));
        while (sent < due) {
            if (at == len) {
                len = put_head(packet, "flood", o.qos, (uint16_t)(messages % 65535 + 1), (size_t)o.size) + (size_t)o.size;
                at = 0;
                messages++;
            }
            ssize_t r = send(fd, packet + at, len - at, MSG_NOSIGNAL);
            if (r < 0 && errno != EAGAIN)
                die("flood");
            if (r < 0)
                break;
            at += (size_t)r;
            sent += (uint64_t)r;
        }
        while (recv(fd, acks, sizeof acks, 0) > 0)
            ;
        usleep(1000);
    }
    printf("published_mib %llu of %ld\n", (unsigned long long)(sent >> 20), o.owed_mib);
    free(packet);
}

int main(int argc, char **argv)
{
    const char *what = "";
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "0";
        if (name[0] != '-') {
            what = name;
            continue;
        }
        i++;
        if (!strcmp(name, "--port")) o.port = atoi(value);
        else if (!strcmp(name, "--pid")) o.pid = atoi(value);
        else if (!strcmp(name, "--seconds")) o.seconds = atoi(value);
        else if (!strcmp(name, "--rate")) o.rate = atoi(value);
        else if (!strcmp(name, "--readers")) o.readers = atoi(value);
        else if (!strcmp(name, "--owed-mib")) o.owed_mib = atol(value);
        else if (!strcmp(name, "--qos")) o.qos = atoi(value);
        else if (!strcmp(name, "--size")) o.size = atoi(value);
        else {
            fprintf(stderr, "stress: unknown option %s\n", name);
            return 2;
        }
    }
    bool stormy = !strcmp(what, "storm");
    if (!stormy && strcmp(what, "readers")) {
        fprintf(stderr, "usage: stress --port P --pid PID storm|readers ...\n");
        return 2;
    }
    struct rlimit files = { 60000, 60000 };
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < 60000 ? files.rlim_max : 60000;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    pid_t child = fork();
    if (child == 0)
        probe();
    sleep(QUIET_S);
    long before = status_kib("VmRSS:");
    double cpu = cpu_us(o.pid);
    shared->phase = 1;
    if (stormy)
        storm();
    else
        readers();
    shared->phase = 2;
    cpu = cpu_us(o.pid) - cpu;
    long after = status_kib("VmRSS:");
    shared->stop = true;
    usleep(100000);
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    for (int k = 0; k < 2; k++)
        qsort(shared->us[k], shared->count[k], sizeof shared->us[k][0], by_size);
    printf("rss_mib before %ld after %ld most %ld cpu_s %.2f\n", before / 1024, after / 1024, status_kib("VmHWM:") / 1024, cpu / 1e6);
    printf("probe_us before p50 %u p99 %u during p50 %u p99 %u worst %u samples %u\n", quantile(0, 0.5), quantile(0, 0.99),
           quantile(1, 0.5), quantile(1, 0.99), quantile(1, 1), shared->count[1]);
    return 0;
}
