/* A saved state with bytes changed: the first byte chooses the query, the second how; then come places with new bytes (u16, u8), or a whole
 * state behind a good head. It is refused or taken, and what was taken runs on. */
#include "stream/stream.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECOND INT64_C(10000000)
#define START (DATETIME_UNIX + INT64_C(1704067200) * SECOND)

static const char *const queries[] = {
    "SELECT k, COUNT(*) c, SUM(v) s, AVG(v) a, MIN(v) lo, MAX(s) hi, VAR(v) x, COUNT(DISTINCT s) d FROM input TIMESTAMP BY t GROUP BY k, "
    "Tumbling(second, 5)",
    "SELECT k, COUNT(*) c, SUM(v) s, MIN(v) lo, STDEV(v) x, COUNT(DISTINCT s) d, COLLECT(v) l FROM input TIMESTAMP BY t GROUP BY k, "
    "Hopping(second, 7, 3)",
    "SELECT k, COUNT(*) c, MAX(s) hi, TopOne() OVER (ORDER BY v DESC, s) o, CollectTop(2) OVER (ORDER BY s) l, PERCENTILE_CONT(0.3) OVER "
    "(ORDER BY v) p FROM input TIMESTAMP BY t GROUP BY k, Sliding(second, 4)",
    "SELECT k, COUNT(*) c, AVG(v) a FROM input TIMESTAMP BY t GROUP BY k, Session(second, 2, 9) OVER (PARTITION BY s)",
    "SELECT a.v, b.v AS w FROM input a TIMESTAMP BY t LEFT JOIN input b TIMESTAMP BY t ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN -1 "
    "AND 3 UNION SELECT v, s FROM input TIMESTAMP BY t",
    "SELECT v, LAG(v, 2, s) OVER (PARTITION BY k LIMIT DURATION(second, 9)) l, LAST(*) OVER (LIMIT DURATION(second, 5) WHEN v > 1) m, "
    "ISFIRST(second, 3) OVER (PARTITION BY k) f FROM input TIMESTAMP BY t",
    "SELECT k, COUNT(*) c FROM input TIMESTAMP BY t OVER k GROUP BY k, Windows(Tumbling(second, 3), Sliding(second, 2), Hopping(second, 4, 2))",
    "SELECT AnomalyDetection_SpikeAndDip(v, 90, 8, 'spikes') OVER (PARTITION BY k LIMIT DURATION(second, 9)) a, "
    "AnomalyDetection_ChangePoint(v, 90, 8) OVER (LIMIT DURATION(second, 9)) b FROM input TIMESTAMP BY t",
    "SELECT i.v, r.v AS w FROM input i TIMESTAMP BY t LEFT JOIN refs r ON i.k = r.k",
};
enum { QUERIES = sizeof queries / sizeof queries[0] };

static bool is_reference(void *ctx, struct bytes name)
{
    (void)ctx;
    return bytes_is(name, "refs");
}

static void on_row(void *ctx, const struct stream_row *row)
{
    (void)ctx;
    FG_ASSERT(row->json.len >= 2 && row->json.at[0] == '{');
}

static struct stream *begin(const struct query *q)
{
    const struct stream_sink sink = { NULL, on_row, NULL };
    struct stream *s;
    struct fault why;
    if (stream_new(&s, q, &sink, &why) != CODE_OK)
        abort();
    return s;
}

static void feed(struct stream *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char text[DATETIME_TEXT + 1], body[200];
        struct fault why;
        datetime_text(START + (int64_t)(i * 7 % 40 + i / 2) * SECOND / 2, text);
        int n = snprintf(body, sizeof body, "{\"t\":\"%s\",\"k\":%s,\"v\":%u%s,\"s\":\"s%u\"}", text, i % 3 ? "\"a\"" : "1", i % 5,
                         i % 2 ? ".5" : "", i % 4);
        struct stream_message m = { .body = bytes_of(body, (size_t)n), .arrival = START, .punctual = true };
        enum code code = stream_feed(s, &m, &why);
        if (code != CODE_OK)
            return;
    }
}

static struct query *compiled[QUERIES];
static struct buf states[QUERIES];

static void prepare(void)
{
    for (uint32_t i = 0; i < QUERIES; i++) {
        struct query_options o;
        struct fault why;
        query_options_default(&o);
        o.is_reference = is_reference;
        o.out_of_order = 3 * SECOND;
        if (query_compile(&compiled[i], bytes_str(queries[i]), &o, &why) != CODE_OK)
            abort();
        struct stream *s = begin(compiled[i]);
        for (uint32_t r = 0; r < query_references(compiled[i]); r++)
            if (stream_reference(s, r, STREAM_CSV, BYTES_LIT("k,v\na,1\n1,2\n"), &why) != CODE_OK)
                abort();
        feed(s, 0, 30);
        if (stream_save(s, &states[i]) != CODE_OK)
            abort();
        stream_free(s);
    }
}

static void change(struct buf *state, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 3 <= size; i += 3) {
        size_t at = ((size_t)data[i] << 8 | data[i + 1]) % buf_size(state);
        state->at[state->from + at] ^= data[i + 2];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!compiled[0])
        prepare();
    if (size < 2)
        return 0;
    uint32_t i = data[0] % QUERIES;
    struct buf state = { 0 };
    struct fault why;
    buf_add_bytes(&state, data[1] & 1 ? bytes_of(states[i].at, 16) : buf_bytes(&states[i]));
    if (data[1] & 1)
        buf_add(&state, data + 2, size - 2);
    else
        change(&state, data + 2, size - 2);
    if (data[1] & 2 && data[1] >> 2)
        state.len -= (size_t)(data[1] >> 2) % buf_size(&state);
    struct stream *s = begin(compiled[i]);
    enum code code = stream_load(s, buf_bytes(&state), &why);
    FG_ASSERT(code == CODE_OK || code == CODE_DAMAGED || code == CODE_UNSUPPORTED || code == CODE_NOMEM);
    if (code == CODE_OK) {
        struct buf again = { 0 };
        FG_ASSERT(stream_save(s, &again) == CODE_OK);
        buf_clear(&again);
        feed(s, 30, 45);
        (void)!stream_end(s, &why);
    }
    stream_free(s);
    buf_clear(&state);
    return 0;
}
