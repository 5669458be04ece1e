/* bytes.h - a view of bytes somebody else owns. A plain value: pass it, do not free it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *at;  /* may be NULL when len is 0 */
    size_t         len;
};

#define BYTES_NONE ((struct bytes){ NULL, 0 })
#define BYTES_LIT(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })
/* For printf's %.*s: BYTES_FMT(view). Only for text already checked or escaped. */
#define BYTES_FMT(b) (int)(b).len, (const char *)(b).at

static inline struct bytes bytes_of(const void *at, size_t len)
{
    return (struct bytes){ at, len };
}

static inline struct bytes bytes_str(const char *s)
{
    return (struct bytes){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool bytes_is(struct bytes a, const char *s)
{
    return bytes_equal(a, bytes_str(s));
}

static inline bool bytes_starts(struct bytes a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && memcmp(a.at, prefix, n) == 0;
}

/* The part from `from` on; from must not exceed len. */
static inline struct bytes bytes_from(struct bytes a, size_t from)
{
    return (struct bytes){ from ? a.at + from : a.at, a.len - from };
}

/* Well-formed UTF-8 without surrogates; with `allow_nul` false, U+0000 is refused too
 * (MQTT 1.5.4). Pure, linear. */
bool utf8_valid(struct bytes text, bool allow_nul);

/* Whether this character steers what shows it, or how it is read: controls of a terminal (C0, DEL, C1), line ends, and what
 * turns the direction of writing round. `at`: `step` bytes of valid UTF-8. */
bool utf8_steers(const uint8_t *at, size_t step);

/* Writes `b` into out (always NUL-terminated, at most cap-1 bytes, cut with "..") with control
 * characters, quotes, backslashes and invalid UTF-8 as \xHH: what a peer said, fit for one log
 * line. Returns out. */
char *bytes_escape(struct bytes b, char *out, size_t cap);
/* The same for people, where nothing reads it back: quotes and backslashes stay as they are. */
char *bytes_plain(struct bytes b, char *out, size_t cap);
