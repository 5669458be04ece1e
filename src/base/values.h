/* values.h - numbers with units, as people write and read them: 10m, 64MiB, 2026-11-22T06:00:00Z.
 *
 * Parsers take the whole text (no blanks around it), allocate nothing, and on failure leave *out alone and
 * say in `why` (CODE_USAGE) what a right value looks like, as the end of a sentence: "a size is a number
 * with a unit, such as 64MiB, got '64 M'". Printers write NUL-terminated text into the caller's array and
 * return it. Local time is the process's time zone. Any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

#define VALUE_TEXT_MAX 48
#define VALUE_US_PER_S INT64_C(1000000)

/* Digits only, from min to max. */
FG_CHECK enum code value_parse_count(struct bytes text, uint64_t min, uint64_t max, uint64_t *out,
                                     struct fault *why);
/* "512", "512B", "64KiB", "64MiB", "1GiB", "2TiB" by 1,024; "64kB", "20MB", "20GB", "2TB" by 1,000. */
FG_CHECK enum code value_parse_size(struct bytes text, uint64_t *bytes, struct fault *why);
/* "500us", "20ms", "30s", "10m", "2h30m", "7d", "4w", larger unit first; a bare "0". */
FG_CHECK enum code value_parse_duration(struct bytes text, uint64_t *us, struct fault *why);
/* "21.4", "-3", "1e3": finite decimal. */
FG_CHECK enum code value_parse_decimal(struct bytes text, double *out, struct fault *why);
/* on, off, true, false, yes, no. */
FG_CHECK enum code value_parse_switch(struct bytes text, bool *out, struct fault *why);
/* A moment, in us since 1970: RFC 3339 (the T may be a blank; without an offset it is local time; the time
 * or its seconds may be missing), "now", "today", "today 06:00", "yesterday 22:15", "06:00" (today), or how
 * long ago: "1m", "2h30m", "1m ago". `now_us` is the wall clock. */
FG_CHECK enum code value_parse_time(struct bytes text, int64_t now_us, int64_t *us, struct fault *why);

/* Exact, parses back to the same: "64MiB", "20GB", "1000". */
char *value_print_size(uint64_t bytes, char out[VALUE_TEXT_MAX]);
/* Exact, parses back to the same: "7d", "2h30m", "500us", "0s". */
char *value_print_duration(uint64_t us, char out[VALUE_TEXT_MAX]);
/* For people, three digits: "31 MiB", "1.2 GiB", "512 B". */
char *value_print_size_about(uint64_t bytes, char out[VALUE_TEXT_MAX]);
/* For people, two units: "2 h 14 m", "0.9 ms", "6 d 23 h". */
char *value_print_duration_about(uint64_t us, char out[VALUE_TEXT_MAX]);
/* For people, grouped by blanks: "18 404 211". */
char *value_print_count(uint64_t n, char out[VALUE_TEXT_MAX]);
/* RFC 3339 in local time with its offset, milliseconds: "2026-11-22T06:00:00.123+01:00". */
char *value_print_time(int64_t us, char out[VALUE_TEXT_MAX]);
/* The same in UTC: "2026-11-22T05:00:00.123Z". */
char *value_print_time_utc(int64_t us, char out[VALUE_TEXT_MAX]);
/* For people, local: "2026-11-22 06:00:04". */
char *value_print_time_about(int64_t us, char out[VALUE_TEXT_MAX]);
/* For people, local, time of day with milliseconds: "12:01:13.204". */
char *value_print_clock(int64_t us, char out[VALUE_TEXT_MAX]);
