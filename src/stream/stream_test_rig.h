/* A query over lines of events, for tests: what comes out as one text, "output: row" a line where there are several outputs. */
#pragma once

#include "base/mem.h"
#include "stream/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig {
    struct query_options options;
    struct query        *query;
    struct stream       *stream;
    struct buf           rows, troubles;
    struct fault         why;
    enum code            code;
};

#define RIG_SECOND INT64_C(10000000)
#define RIG_START (DATETIME_UNIX + INT64_C(1704067200) * RIG_SECOND) /* 2024-01-01 */

static inline void rig_row(void *ctx, const struct stream_row *row)
{
    struct rig *r = ctx;
    if (query_outputs(r->query) > 1)
        buf_printf(&r->rows, "%.*s: ", BYTES_FMT(query_output(r->query, row->output)));
    buf_add_bytes(&r->rows, row->json);
    buf_u8(&r->rows, '\n');
}

static inline void rig_trouble(void *ctx, const char *name, const char *sentence)
{
    struct rig *r = ctx;
    (void)sentence;
    buf_printf(&r->troubles, "%s\n", name);
}

static inline bool rig_is_reference(void *ctx, struct bytes name)
{
    (void)ctx;
    return bytes_starts(name, "ref");
}

static inline void rig_begin(struct rig *r)
{
    *r = (struct rig){ 0 };
    query_options_default(&r->options);
    r->options.is_reference = rig_is_reference;
}

/* CODE_OK, or r->why has the refusal. */
static inline enum code rig_query(struct rig *r, const char *text)
{
    const struct stream_sink sink = { r, rig_row, rig_trouble };
    r->code = query_compile(&r->query, bytes_str(text), &r->options, &r->why);
    if (r->code == CODE_OK)
        r->code = stream_new(&r->stream, r->query, &sink, &r->why);
    return r->code;
}

static inline enum code rig_feed_at(struct rig *r, uint32_t input, const char *body, int64_t arrival_s)
{
    struct stream_message m = { .input = input, .body = bytes_str(body), .arrival = RIG_START + arrival_s * RIG_SECOND };
    return r->code = stream_feed(r->stream, &m, &r->why);
}

/* `{"t":"...:07Z",...}` from seconds and the rest of the object ("" or ",\"v\":1"). The event arrives at its own time. */
static inline enum code rig_event(struct rig *r, uint32_t input, double second, const char *rest)
{
    char text[DATETIME_TEXT + 1], body[512];
    datetime_text(RIG_START + (int64_t)(second * (double)RIG_SECOND), text);
    (void)snprintf(body, sizeof body, "{\"t\":\"%s\"%s}", text, rest);
    struct stream_message m = { .input = input, .body = bytes_str(body), .arrival = RIG_START, .punctual = true };
    return r->code = stream_feed(r->stream, &m, &r->why);
}

static inline const char *rig_text(struct buf *b)
{
    buf_u8(b, 0);
    return (const char *)b->at + b->from;
}

/* Ends the input and compares all rows. */
static inline void rig_expect(struct rig *r, const char *rows)
{
    assert_int_equal(r->code, CODE_OK);
    assert_int_equal(stream_end(r->stream, &r->why), CODE_OK);
    assert_string_equal(rig_text(&r->rows), rows);
}

static inline void rig_end(struct rig *r)
{
    stream_free(r->stream);
    query_free(r->query);
    buf_clear(&r->rows);
    buf_clear(&r->troubles);
}
