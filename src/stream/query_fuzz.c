/* The bytes up to a zero are a query, the lines behind it events. Whatever they are: no crash, refusals have a place in the text, and a run
 * that is saved and loaded half-way gives the same rows as one that is not. */
#include "stream/stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECOND INT64_C(10000000)

static bool is_reference(void *ctx, struct bytes name)
{
    (void)ctx;
    return bytes_starts(name, "ref");
}

static void on_row(void *ctx, const struct stream_row *row)
{
    struct buf *out = ctx;
    if (buf_size(out) > 1 << 20)
        return;
    buf_u8(out, (uint8_t)row->output);
    buf_add_bytes(out, row->json);
    buf_u8(out, '\n');
}

static void on_trouble(void *ctx, const char *name, const char *sentence)
{
    (void)ctx;
    FG_ASSERT(name && sentence[0]);
}

static struct stream *begin(const struct query *q, struct buf *rows)
{
    static const char reference[] = "[{\"k\":1,\"v\":\"a\"},{\"k\":\"a\",\"v\":2},{\"k\":1,\"v\":null}]";
    const struct stream_sink sink = { rows, on_row, on_trouble };
    struct stream *s;
    struct fault why;
    if (stream_new(&s, q, &sink, &why) != CODE_OK)
        abort();
    for (uint32_t i = 0; i < query_references(q); i++)
        if (stream_reference(s, i, STREAM_JSON, BYTES_LIT(reference), &why) != CODE_OK)
            abort();
    return s;
}

static struct stream *swap(const struct query *q, struct stream *s, struct buf *rows)
{
    struct buf state = { 0 };
    struct fault why;
    struct stream *fresh = begin(q, rows);
    if (stream_save(s, &state) != CODE_OK || stream_load(fresh, buf_bytes(&state), &why) != CODE_OK)
        abort();
    buf_clear(&state);
    stream_free(s);
    return fresh;
}

static void play(const struct query *q, struct bytes events, bool resume, struct buf *rows)
{
    struct stream *s = begin(q, rows);
    struct fault why;
    uint32_t inputs = query_inputs(q);
    int64_t now = DATETIME_UNIX + INT64_C(1704067200) * SECOND;
    for (uint32_t n = 0; events.len && inputs && n < 200; n++) {
        const uint8_t *end = memchr(events.at, '\n', events.len);
        size_t len = end ? (size_t)(end - events.at) : events.len;
        struct stream_message m = { .input = n % inputs, .body = bytes_of(events.at, len), .arrival = now, .punctual = n % 5 != 0 };
        enum code code = stream_feed(s, &m, &why);
        if (code == CODE_MALFORMED)
            break;
        FG_ASSERT(code == CODE_OK || code == CODE_NOMEM || code == CODE_LIMIT);
        if (code != CODE_OK)
            break;
        now += SECOND / 3;
        if (n % 7 == 6 && stream_clock(s, now, &why) != CODE_OK)
            break;
        if (resume && n % 3 == 1)
            s = swap(q, s, rows);
        events = bytes_from(events, end ? len + 1 : len);
    }
    enum code code = stream_end(s, &why);
    FG_ASSERT(code == CODE_OK || code == CODE_MALFORMED || code == CODE_NOMEM);
    stream_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct query_options o;
    struct query *q;
    struct fault why;
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t n = zero ? (size_t)(zero - data) : size;
    query_options_default(&o);
    o.is_reference = is_reference;
    o.out_of_order = size & 1 ? 2 * SECOND : 0;
    o.policy = size & 2 ? STREAM_DROP : STREAM_ADJUST;
    o.ignore_case = size & 4;
    o.lowercase_names = size & 8;
    o.model = size & 16 ? STREAM_KDE : STREAM_FIELDGATE;
    if (!utf8_valid(bytes_of(data, n), true))
        return 0;
    enum code code = query_compile(&q, bytes_of(data, n), &o, &why);
    FG_ASSERT(code == CODE_OK || code == CODE_USAGE || code == CODE_LIMIT || code == CODE_UNSUPPORTED || code == CODE_NOMEM);
    FG_ASSERT(code != CODE_USAGE || (why.at >> 16 && why.number && why.text[0]));
    if (code != CODE_OK)
        return 0;
    struct buf plain = { 0 }, resumed = { 0 }, text = { 0 };
    query_explain(q, &text);
    struct bytes events = zero ? bytes_of(zero + 1, size - n - 1) : BYTES_NONE;
    play(q, events, false, &plain);
    play(q, events, true, &resumed);
    FG_ASSERT(bytes_equal(buf_bytes(&plain), buf_bytes(&resumed)));
    buf_clear(&plain);
    buf_clear(&resumed);
    buf_clear(&text);
    query_free(q);
    return 0;
}
