#include "api/ask.h"

#include "base/suggest.h"
#include "base/values.h"
#include "net/http.h"

#include <stdio.h>

enum { VALUE_BYTES_MAX = 128 };

static bool all_digits(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.at[i] < '0' || b.at[i] > '9')
            return false;
    return b.len > 0;
}

static enum code parse_time(struct bytes text, int64_t wall_us, int64_t *out, struct fault *why)
{
    uint64_t us;
    if (!all_digits(text))
        return value_parse_time(text, wall_us, out, why);
    enum code code = value_parse_count(text, 0, INT64_MAX, &us, why);
    if (code == CODE_OK)
        *out = (int64_t)us;
    return code;
}

static enum code parse_from(struct bytes v, int64_t wall_us, struct reader_ask *ask, struct fault *why)
{
    if (bytes_is(v, "earliest") || bytes_is(v, "latest")) {
        ask->from = v.at[0] == 'e' ? FROM_EARLIEST : FROM_LATEST;
        return CODE_OK;
    }
    if (bytes_starts(v, "time:")) {
        ask->from = FROM_TIME;
        return parse_time(bytes_from(v, 5), wall_us, &ask->time_us, why);
    }
    size_t name = bytes_starts(v, "sequence:") ? 9 : bytes_starts(v, "offset:") ? 7 : 0;
    if (!name)
        return FAIL(why, CODE_USAGE, 0, "a position is earliest, latest, sequence:N, offset:N or time:T");
    ask->from = FROM_SEQUENCE;
    return value_parse_count(bytes_from(v, name), 0, UINT64_MAX - 1, &ask->sequence, why);
}

static enum code parse_partition(struct bytes v, int64_t wall_us, struct reader_ask *ask, struct fault *why)
{
    uint64_t n;
    (void)wall_us;
    enum code code = value_parse_count(v, 0, UINT32_MAX - 1, &n, why);
    if (code == CODE_OK)
        ask->partition = (uint32_t)n;
    return code;
}

static enum code parse_until(struct bytes v, int64_t wall_us, struct reader_ask *ask, struct fault *why)
{
    enum code code = parse_time(v, wall_us, &ask->until_us, why);
    if (code == CODE_OK && ask->until_us <= 0)
        ask->until_us = 1; /* 0 would mean never */
    return code;
}

static enum code parse_count(struct bytes v, int64_t wall_us, struct reader_ask *ask, struct fault *why)
{
    (void)wall_us;
    return value_parse_count(v, 1, UINT64_MAX, &ask->count, why);
}

static enum code parse_follow(struct bytes v, int64_t wall_us, struct reader_ask *ask, struct fault *why)
{
    (void)wall_us;
    return value_parse_switch(v, &ask->follow, why);
}

static const struct key {
    const char *name;
    enum code (*parse)(struct bytes value, int64_t wall_us, struct reader_ask *, struct fault *);
} keys[] = {
    { "partition", parse_partition }, { "from", parse_from },     { "until", parse_until },
    { "count", parse_count },         { "follow", parse_follow },
};

static enum code unknown(struct bytes name, struct fault *why)
{
    struct suggest near = { 0 };
    char said[64];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        suggest_offer(&near, name, keys[i].name);
    return FAIL_FG(why, CODE_USAGE, 8003, "there is no parameter '%s'%s%s%s",
                   bytes_escape(name, said, sizeof said), near.best ? ". Did you mean '" : "",
                   near.best ? near.best : "", near.best ? "'?" : "");
}

static enum code one(struct bytes query, struct bytes name, int64_t wall_us, struct reader_ask *ask,
                     struct fault *why)
{
    char value[VALUE_BYTES_MAX];
    struct fault inner;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!bytes_is(name, keys[i].name))
            continue;
        if (!http_query(query, keys[i].name, value, sizeof value))
            return FAIL_FG(why, CODE_USAGE, 8003,
                           "the value of '%s' is longer than %d bytes or not properly encoded", keys[i].name,
                           VALUE_BYTES_MAX - 1);
        if (keys[i].parse(bytes_str(value), wall_us, ask, &inner) != CODE_OK)
            return FAIL_FG(why, CODE_USAGE, 8003, "%s: %s", keys[i].name, inner.text);
        return CODE_OK;
    }
    return unknown(name, why);
}

enum code ask_parse(struct bytes query, int64_t wall_us, struct reader_ask *out, struct fault *why)
{
    *out = (struct reader_ask){ .partition = JOURNAL_NO_PARTITION, .from = FROM_LATEST };
    for (size_t at = 0; at < query.len;) {
        struct bytes rest = bytes_from(query, at);
        const uint8_t *end = memchr(rest.at, '&', rest.len);
        struct bytes pair = bytes_of(rest.at, end ? (size_t)(end - rest.at) : rest.len);
        const uint8_t *equals = pair.len ? memchr(pair.at, '=', pair.len) : NULL;
        struct bytes name = bytes_of(pair.at, equals ? (size_t)(equals - pair.at) : pair.len);
        if (pair.len) {
            enum code code = one(query, name, wall_us, out, why);
            if (code != CODE_OK)
                return code;
        }
        at += pair.len + 1;
    }
    return CODE_OK;
}
