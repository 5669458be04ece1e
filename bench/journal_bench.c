/* journal_bench.c - what the journal takes and gives on this machine's disk.
 *
 *   journal_bench [FOLDER [RECORD_BYTES [THREADS [SECONDS]]]]      default: a folder in /tmp, 256 bytes, 2 threads, 2 s
 *
 * Rows: records a second with group commit (each thread waits for the disk after a window of 1,000 records); one
 * record at a time; the same without sync; reading a partition; a start after kill -9; a start after an orderly stop.
 * CPU is that of the whole process per record. */
#include "base/crc32c.h"
#include "journal/journal.h"
#include "message/message.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WINDOW = 1000, THREADS_MAX = 16 };

static const char *folder;
static size_t record_bytes = 256;
static unsigned threads = 2;
static double seconds = 2;
static struct journal *journal;
static _Atomic bool stop;
static _Atomic uint64_t appended;

static double now_s(void)
{
    return (double)io_system.monotonic_us(NULL) / 1e6;
}

static double cpu_us(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static long resident_kib(void)
{
    long pages = 0, dummy;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &dummy, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static enum code apply(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    (void)ctx;
    (void)j;
    (void)r;
    (void)why;
    return CODE_OK;
}

static enum code no_state(void *ctx, struct journal *j, bool restart)
{
    (void)ctx;
    (void)j;
    (void)restart;
    return CODE_OK;
}

static void open_journal(bool no_sync)
{
    struct journal_options o = {.io = &io_system,
                                .data_dir = folder,
                                .partitions = 4,
                                .no_sync = no_sync,
                                .apply = apply,
                                .write_state = no_state,
                                .keep_bytes = (uint64_t)1 << 30};
    struct fault why;
    if (journal_open(&journal, &o, &why) != CODE_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
}

struct writer {
    pthread_t thread;
    unsigned window;
};

static void *write_records(void *arg)
{
    struct writer *w = arg;
    uint8_t *payload = calloc(1, record_bytes);
    struct message *m = message_new(&(struct message_parts){.topic = BYTES_LIT("bench/topic"),
                                                            .payload = bytes_of(payload, record_bytes)});
    if (!m)
        exit(1);
    for (uint64_t n = 0; !atomic_load_explicit(&stop, memory_order_relaxed);) {
        struct record_out out = {0};
        for (unsigned i = 0; i < w->window; i++, n++) {
            struct record_in in = {.type = RECORD_MESSAGE,
                                   .partition = n % 4,
                                   .wall_us = (int64_t)n,
                                   .payload = m->encoded,
                                   .have_crc = true,
                                   .payload_crc = crc32c(0, m->encoded.at, m->encoded.len)};
            journal_lock(journal);
            enum code code = journal_append(journal, &in, &out, NULL);
            journal_unlock(journal);
            if (code != CODE_OK) {
                fprintf(stderr, "refused: %s\n", code_name(code));
                exit(1);
            }
        }
        journal_kick(journal);
        while (journal_durable(journal) < out.seq || journal_busy(journal))
            usleep(20);
        atomic_fetch_add(&appended, w->window);
    }
    message_drop(m);
    free(payload);
    return NULL;
}

static void run(const char *name, bool no_sync, unsigned count, unsigned window)
{
    struct writer writers[THREADS_MAX];
    open_journal(no_sync);
    atomic_store(&stop, false);
    atomic_store(&appended, 0);
    double began = now_s(), cpu = cpu_us();
    struct journal_stats before, after;
    journal_stats(journal, &before);
    for (unsigned i = 0; i < count; i++) {
        writers[i].window = window;
        pthread_create(&writers[i].thread, NULL, write_records, &writers[i]);
    }
    while (now_s() - began < seconds)
        usleep(10000);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < count; i++)
        pthread_join(writers[i].thread, NULL);
    double took = now_s() - began, n = (double)atomic_load(&appended);
    cpu = cpu_us() - cpu;
    journal_stats(journal, &after);
    printf("%-34s %9.0f records/s %8.1f MB/s %7.2f us CPU each  %6.0f records a sync, p50 %u us, max %u us\n",
           name, n / took, (double)(after.bytes_written - before.bytes_written) / took / 1e6, cpu / n,
           after.syncs > before.syncs ? n / (double)(after.syncs - before.syncs) : 0.0,
           (unsigned)after.sync_us_p50, (unsigned)after.sync_us_max);
    journal_close(journal);
}

static bool count_one(void *ctx, const struct record *r)
{
    uint64_t *sum = ctx;
    sum[0]++;
    sum[1] += r->payload.len;
    return true;
}

static void read_all(void)
{
    uint64_t sum[2] = {0};
    open_journal(false);
    double began = now_s(), cpu = cpu_us();
    for (uint32_t p = 0; p < 4; p++) {
        uint64_t first, next;
        journal_partition_range(journal, p, &first, &next);
        while (first < next && now_s() - began < 2 * seconds)
            if (journal_partition_read(journal, p, first, 1 << 20, count_one, sum, &first, NULL) != CODE_OK)
                exit(1);
    }
    double took = now_s() - began;
    printf("%-34s %9.0f records/s %8.1f MB/s %7.2f us CPU each\n", "reading partitions",
           (double)sum[0] / took, (double)sum[1] / took / 1e6, (cpu_us() - cpu) / (double)sum[0]);
    journal_abandon(journal);
}

static void start(const char *name)
{
    double began = now_s();
    open_journal(false);
    printf("%-34s %9.1f ms, %ld KiB resident\n", name, (now_s() - began) * 1e3, resident_kib());
}

int main(int argc, char **argv)
{
    char own[] = "/tmp/journal_bench_XXXXXX", command[600];
    folder = argc > 1 && argv[1][0] ? argv[1] : mkdtemp(own);
    record_bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : record_bytes;
    threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : threads;
    seconds = argc > 4 ? strtod(argv[4], NULL) : seconds;
    if (!folder || threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: %s [FOLDER [RECORD_BYTES [THREADS [SECONDS]]]]\n", argv[0]);
        return 2;
    }
    printf("%zu bytes, %u threads, %s\n", record_bytes, threads, folder);
    run("group commit", false, threads, WINDOW);
    run("one record at a time", false, 1, 1);
    run("memory durability", true, threads, WINDOW);
    read_all();
    start("start after kill -9");
    journal_close(journal);
    start("start after an orderly stop");
    journal_close(journal);
    if (argc <= 1 || !argv[1][0]) {
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        return system(command) != 0;
    }
    return 0;
}
