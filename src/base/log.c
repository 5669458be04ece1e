#include "base/log.h"

#include "base/io.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 10, WINDOW_US = 60 * 1000000, LINE_MAX_BYTES = 1024 };

static _Atomic int threshold = LOG_INFO;
static void (*sink_fn)(void *, const char *);
static void *sink_ctx;

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

static const char *const level_names[] = { "error", "warn", "info", "debug" };

int log_level_parse(const char *word, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (strcmp(word, level_names[i]) == 0) {
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
    return (int)n + snprintf(out + n, cap - n, ".%03dZ ", (int)(wall / 1000 % 1000));
}

void log_line(struct log_site *site, enum log_level level, const char *area, const char *fmt, ...)
{
    int64_t more = level == LOG_DEBUG ? 0 : admitted(site, io_system.monotonic_us(io_system.self));
    if (more < 0)
        return;
    char line[LINE_MAX_BYTES];
    int n = stamp(line, sizeof line);
    n += snprintf(line + n, sizeof line - (size_t)n, "%-5s %-8s ", level_names[level], area);
    va_list ap;
    va_start(ap, fmt);
    int said = vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    n = said < 0 ? n : n + said;
    if ((size_t)n > sizeof line - 64)
        n = (int)sizeof line - 64;
    if (more > 0)
        n += snprintf(line + n, sizeof line - (size_t)n, " (... %lld more in 60 s)", (long long)more);
    line[n] = 0;
    if (sink_fn) {
        sink_fn(sink_ctx, line);
        return;
    }
    line[n++] = '\n';
    ssize_t r = write(STDERR_FILENO, line, (size_t)n);
    (void)r; /* nothing is left to tell it to */
}
