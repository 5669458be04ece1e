/* log.h - lines for a person.
 *
 *   2026-11-22T06:00:04.123Z warn  mqtt  FG2001 press-1 at 127.0.0.1:50112 refused: ...
 *
 * Any thread; one write per line to standard error. Text from a peer is passed through bytes_escape by
 * the caller; secrets never reach this file. The text is cut after 1,023 bytes. A line that repeats (same
 * place in the code) more than ten times in 60 s is counted, and the count is printed with the first line
 * after that.
 */
#pragma once

#include "base/fault.h"

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
/* LOG_JSON: {"time":"...","level":"warn","area":"mqtt","text":"FG2001 press-1 ..."}, one object a line. */
enum log_format { LOG_TEXT, LOG_JSON };

/* One per call site, static: the burst counter lives here. */
struct log_site {
    _Atomic int64_t  window_us;
    _Atomic uint32_t count;
};

void log_line(struct log_site *site, enum log_level level, const char *area, const char *fmt, ...)
    FG_PRINTF(4, 5);
/* The threshold of every area that has none of its own (default LOG_INFO). */
void           log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* The parts of the program that may have a threshold of their own: what stands as `area` in a line. */
#define LOG_AREAS(X) X(action) X(api) X(broker) X(identity) X(job) X(journal) X(mqtt) X(net) X(node) X(opcua) X(route) X(tls)
enum {
#define LOG_AREA(name) LOG_AREA_##name,
    LOG_AREAS(LOG_AREA)
#undef LOG_AREA
    LOG_AREA_COUNT,
    LOG_AS_ALL = LOG_DEBUG + 1 /* no threshold of its own */
};
extern const char *const log_area_names[LOG_AREA_COUNT + 1]; /* NULL at the end */
void log_set_area_level(int area, int level); /* an enum log_level, or LOG_AS_ALL */
int  log_get_area_level(int area);
bool log_wants(enum log_level level, const char *area);
enum log_level log_loudest(void); /* no area says more than this: costs one load */
extern const char *const log_level_names[LOG_DEBUG + 2]; /* NULL at the end */
/* Of every line (default LOG_TEXT). */
void           log_set_format(enum log_format format);
int            log_level_parse(const char *word, enum log_level *out); /* 1 if known */
/* Lines go here instead of standard error; NULL sets it back. For tests; set before threads start. */
void log_set_sink(void (*sink)(void *ctx, const char *line), void *ctx);

#define LOG_AT(level, area, ...)                                                                             \
    do {                                                                                                     \
        static struct log_site fg_site;                                                                      \
        if ((level) <= log_loudest() && log_wants((level), (area)))                                          \
            log_line(&fg_site, (level), (area), __VA_ARGS__);                                                \
    } while (0)
#define log_error(area, ...) LOG_AT(LOG_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...) LOG_AT(LOG_WARN, area, __VA_ARGS__)
#define log_info(area, ...) LOG_AT(LOG_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) LOG_AT(LOG_DEBUG, area, __VA_ARGS__)
