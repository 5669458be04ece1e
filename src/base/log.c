#include "base/log.h"

#include "base/bytes.h"
#include "base/io.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 10, WINDOW_US = 60 * 1000000, LINE_MAX_BYTES = 1024 };

static _Atomic int threshold = LOG_INFO, loudest = LOG_INFO;
static _Atomic int own[LOG_AREA_COUNT]; /* a level and 1; 0: none of its own */
static _Atomic int format_of = LOG_TEXT;
static void (*sink_fn)(void *, const char *);
static void *sink_ctx;

const char *const log_area_names[LOG_AREA_COUNT + 1] = {
#define LOG_AREA(name) #name,
    LOG_AREAS(LOG_AREA)
#undef LOG_AREA
};

static void find_loudest(void)
{
    int most = atomic_load(&threshold);
    for (int i = 0; i < LOG_AREA_COUNT; i++)
        if (atomic_load(&own[i]) - 1 > most)
            most = atomic_load(&own[i]) - 1;
    atomic_store(&loudest, most);
}

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
    find_loudest();
}

void log_set_area_level(int area, int level)
{
    FG_ASSERT(area >= 0 && area < LOG_AREA_COUNT);
    atomic_store(&own[area], level > LOG_DEBUG ? 0 : level + 1);
    find_loudest();
}

int log_get_area_level(int area)
{
    int level = atomic_load(&own[area]);
    return level ? level - 1 : LOG_AS_ALL;
}

enum log_level log_loudest(void)
{
    return (enum log_level)atomic_load_explicit(&loudest, memory_order_relaxed);
}

bool log_wants(enum log_level level, const char *area)
{
    int most = 0;
    for (int i = 0; i < LOG_AREA_COUNT && !most; i++)
        if (strcmp(area, log_area_names[i]) == 0)
            most = atomic_load_explicit(&own[i], memory_order_relaxed);
    return (int)level < (most ? most : atomic_load_explicit(&threshold, memory_order_relaxed) + 1);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_set_format(enum log_format format)
{
    atomic_store(&format_of, (int)format);
}

const char *const log_level_names[] = { "error", "warn", "info", "debug", NULL };

int log_level_parse(const char *word, enum log_level *out)
{
    for (size_t i = 0; log_level_names[i]; i++)
        if (strcmp(word, log_level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 1;
        }
    return 0;
}

void log_set_sink(void (*sink)(void *, const char *), void *ctx)
{
    sink_fn = sink;
    sink_ctx = ctx;
}

/* How many lines were swallowed since the last one shown, or -1: swallow this one too. */
static int64_t admitted(struct log_site *site, int64_t now)
{
    int64_t start = atomic_load(&site->window_us);
    if (start == 0 || now - start > WINDOW_US) {
        if (atomic_compare_exchange_strong(&site->window_us, &start, now)) {
            uint32_t n = atomic_exchange(&site->count, 1);
            return n > BURST ? (int64_t)n - BURST : 0;
        }
    }
    return atomic_fetch_add(&site->count, 1) < BURST ? 0 : -1;
}

static int stamp(char *out, size_t cap)
{
    int64_t wall = io_system.wall_us(io_system.self);
    time_t seconds = (time_t)(wall / 1000000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        return 0;
    size_t n = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    return (int)n + snprintf(out + n, cap - n, ".%03dZ", (int)(wall / 1000 % 1000));
}

/* A JSON string without its quotes, cut where it no longer fits. Not buf_json: a log line needs no heap. */
static int json_text(char *out, size_t cap, const char *text)
{
    size_t n = 0;
    struct bytes rest = bytes_str(text);
    while (rest.len && n + 7 < cap) {
        uint8_t c = rest.at[0];
        size_t step = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (step > rest.len || !utf8_valid(bytes_of(rest.at, step), true)) {
            n += (size_t)snprintf(out + n, cap - n, "\\ufffd");
            step = 1;
        } else if (c < 0x20 || c == 0x7f || (c == 0xc2 && rest.at[1] < 0xa0)) {
            n += (size_t)snprintf(out + n, cap - n, "\\u%04x", rest.at[step - 1]);
        } else {
            if (c == '"' || c == '\\')
                out[n++] = '\\';
            memcpy(out + n, rest.at, step);
            n += step;
        }
        rest = bytes_from(rest, step);
    }
    out[n] = 0;
    return (int)n;
}

/* `more` lines were swallowed before this one. Both return the length, at most cap - 1. */
static int put_text(char *line, size_t cap, enum log_level level, const char *area, const char *said,
                    int64_t more)
{
    char counted[64] = "";
    if (more > 0)
        (void)snprintf(counted, sizeof counted, " (... %lld more in 60 s)", (long long)more);
    int n = stamp(line, cap);
    n += snprintf(line + n, cap - (size_t)n, " %-5s %-8s %s%s", log_level_names[level], area, said, counted);
    return (size_t)n < cap ? n : (int)cap - 1;
}

static int put_json(char *line, size_t cap, enum log_level level, const char *area, const char *said,
                    int64_t more)
{
    int n = snprintf(line, cap, "{\"time\":\"");
    n += stamp(line + n, cap - (size_t)n);
    n += snprintf(line + n, cap - (size_t)n, "\",\"level\":\"%s\",\"area\":\"%s\",", log_level_names[level],
                  area);
    if (more > 0)
        n += snprintf(line + n, cap - (size_t)n, "\"repeats\":%lld,", (long long)more);
    n += snprintf(line + n, cap - (size_t)n, "\"text\":\"");
    n += json_text(line + n, cap - (size_t)n - 2, said);
    return n + snprintf(line + n, cap - (size_t)n, "\"}");
}

void log_line(struct log_site *site, enum log_level level, const char *area, const char *fmt, ...)
{
    int64_t more = level == LOG_DEBUG ? 0 : admitted(site, io_system.monotonic_us(io_system.self));
    if (more < 0)
        return;
    char said[LINE_MAX_BYTES], line[LINE_MAX_BYTES * 2];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(said, sizeof said, fmt, ap);
    va_end(ap);
    /* One byte is kept for the line feed. */
    bool json = atomic_load_explicit(&format_of, memory_order_relaxed) == LOG_JSON;
    int n = (json ? put_json : put_text)(line, sizeof line - 1, level, area, said, more);
    if (sink_fn) {
        sink_fn(sink_ctx, line);
        return;
    }
    line[n++] = '\n';
    ssize_t r = write(STDERR_FILENO, line, (size_t)n);
    (void)r; /* nothing is left to tell it to */
}
