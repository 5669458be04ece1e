/* sql.c - what one core does with streaming SQL: messages from memory, one by one as a job's thread takes them from the broker, each
 * checked to its end. Processor time of this thread. bench/run.sh compares it with Node and sqlite over the same file (bench/sql.sh).
 *
 *   sql make FILE [EVENTS]          telemetry as JSON lines: about 190 bytes, 9 fields, one of them an array; 100 devices, 10 ms apart
 *   sql run FILE NAME [MODEL]       filter | tumbling | spikes: prints "events/s N rows N"
 *   sql memory KEYS HISTORY MODEL   prints "KiB N": what a model for each key takes, as the process grew
 */
#include "base/mem.h"
#include "stream/stream.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { DEVICES = 100, PAD = 64 };

static const struct {
    const char *name, *text;
} queries[] = {
    { "filter", "SELECT deviceId, temperature INTO hot FROM telemetry WHERE temperature > 28 AND humidity < 43.5" },
    { "tumbling", "SELECT deviceId, System.Timestamp() AS time, AVG(temperature) AS average INTO averages FROM telemetry TIMESTAMP BY ts "
                  "GROUP BY deviceId, TumblingWindow(second, 10)" },
    { "spikes", "WITH scored AS (SELECT deviceId, temperature, AnomalyDetection_SpikeAndDip(CAST(temperature AS float), 99.9, 600, 'spikesanddips') "
                "OVER (PARTITION BY deviceId LIMIT DURATION(day, 1)) AS s FROM telemetry) "
                "SELECT deviceId, temperature, s INTO found FROM scored WHERE CAST(GetRecordPropertyValue(s, 'IsAnomaly') AS bigint) = 1" },
};

static void die(const char *what)
{
    fprintf(stderr, "sql: %s\n", what);
    exit(1);
}

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void make(const char *path, unsigned events)
{
    FILE *f = fopen(path, "w");
    uint64_t seed = 42;
    if (!f)
        die("cannot write the file");
    for (unsigned i = 0; i < events; i++) {
        uint32_t a = next(&seed), b = next(&seed), ms = i * 10;
        fprintf(f,
                "{\"deviceId\":\"press-%02u\",\"ts\":\"2024-01-01T%02u:%02u:%02u.%03uZ\",\"seq\":%u,\"temperature\":%.2f,\"humidity\":%.1f,"
                "\"pressure\":%.3f,\"running\":%s,\"mode\":\"automatic\",\"vibration\":[%.3f,%.3f,%.3f]}\n",
                a % DEVICES, ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000, i + 100000, 15 + b % 2000 / 100.0 + (i % 9973 == 9972 ? 40 : 0),
                30 + b / 2000 % 300 / 10.0, 1000 + a % 30000 / 1000.0, a & 1 ? "true" : "false", a % 700 / 1000.0, a % 311 / 1000.0,
                a % 977 / 1000.0);
    }
    fclose(f);
}

/* ---- running ---- */

static void on_row(void *ctx, const struct stream_row *row)
{
    uint64_t *bytes = ctx;
    *bytes += row->json.len;
}

static struct query *compile(const char *text, const char *model)
{
    struct query_options o;
    struct query *q;
    struct fault why;
    query_options_default(&o);
    o.late = STREAM_LATE_UNLIMITED;
    o.model = model && strcmp(model, "kde") == 0 ? STREAM_KDE : STREAM_FIELDGATE;
    if (query_compile(&q, bytes_str(text), &o, &why) != CODE_OK)
        die(why.text);
    return q;
}

static struct stream *begin(const struct query *q, uint64_t *bytes)
{
    struct stream *s;
    struct fault why;
    if (stream_new(&s, q, &(struct stream_sink){ bytes, on_row, NULL }, &why) != CODE_OK)
        die(why.text);
    return s;
}

static char *load(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        die("cannot read the file");
    *len = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(1, *len + PAD);
    if (!text || fread(text, 1, *len, f) != *len)
        die("cannot read the file");
    fclose(f);
    return text;
}

#define AFTER_ALL (DATETIME_UNIX + INT64_C(1735689600) * 10000000) /* 2025-01-01: no event is early */

static void feed(struct stream *s, struct bytes body, int64_t arrival)
{
    struct fault why;
    struct stream_message m = { .body = body, .padded = true, .arrival = arrival };
    if (stream_feed(s, &m, &why) != CODE_OK)
        die(why.text);
}

static void run(const char *path, const char *name, const char *model)
{
    size_t len, k = 0;
    const char *text = load(path, &len), *end = text + len;
    while (k < sizeof queries / sizeof queries[0] && strcmp(queries[k].name, name) != 0)
        k++;
    if (k == sizeof queries / sizeof queries[0])
        die("no such query");
    uint64_t bytes = 0, n = 0;
    struct query *q = compile(queries[k].text, model);
    struct stream *s = begin(q, &bytes);
    struct stream_stats stats;
    struct fault why;
    double from = cpu_s();
    for (const char *at = text, *stop; at < end; at = stop + 1, n++) {
        stop = memchr(at, '\n', (size_t)(end - at));
        feed(s, bytes_of(at, (size_t)(stop - at)), AFTER_ALL + (int64_t)n * 100000);
    }
    if (stream_end(s, &why) != CODE_OK)
        die(why.text);
    double took = cpu_s() - from;
    stream_stats(s, &stats);
    if (stats.events != n || stats.wrong_type || stats.late || stats.early)
        die("events were dropped");
    printf("events/s %.0f rows %llu bytes %llu\n", (double)n / took, (unsigned long long)stats.rows, (unsigned long long)bytes);
    stream_free(s);
    query_free(q);
}

/* ---- memory ---- */

static size_t used(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void memory(unsigned keys, unsigned history, const char *model)
{
    char text[400], body[128 + PAD] = "";
    uint64_t bytes = 0, seed = 1;
    (void)snprintf(text, sizeof text,
                   "SELECT id, AnomalyDetection_SpikeAndDip(CAST(v AS float), 99.9, %u, 'spikesanddips') OVER (PARTITION BY id LIMIT "
                   "DURATION(day, 7)) AS s INTO o FROM telemetry",
                   history);
    struct query *q = compile(text, model);
    struct stream *s = begin(q, &bytes);
    struct stream_stats stats;
    size_t before = used();
    for (unsigned i = 0; i < 2 * history; i++)
        for (unsigned k = 0; k < keys; k++) {
            int n = snprintf(body, sizeof body - PAD, "{\"id\":\"device-%05u\",\"v\":%.3f}", k, 20 + next(&seed) % 1000 / 500.0);
            feed(s, bytes_of(body, (size_t)n), AFTER_ALL + (int64_t)i * 10000000);
        }
    stream_stats(s, &stats);
    printf("KiB %zu counted %llu models %llu\n", (used() - before) / 1024, (unsigned long long)stats.state_bytes / 1024,
           (unsigned long long)stats.models);
    stream_free(s);
    query_free(q);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "make") == 0)
        make(argv[2], argc > 3 ? (unsigned)atoi(argv[3]) : 200000);
    else if (argc >= 4 && strcmp(argv[1], "run") == 0)
        run(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
    else if (argc == 5 && strcmp(argv[1], "memory") == 0)
        memory((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), argv[4]);
    else
        die("make FILE [EVENTS] | run FILE QUERY [MODEL] | memory KEYS HISTORY MODEL");
    return 0;
}
