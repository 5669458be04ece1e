/* timeout: 300
 * Each allocation of some queries refused in turn: compiling, running, saving and loading fail with CODE_NOMEM and leak nothing. */
#include "stream/stream_test_rig.h"

static const char *const queries[] = {
    "WITH s AS (SELECT k, v, LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 9)) AS p FROM input TIMESTAMP BY t) SELECT k, COUNT(*) AS c, "
    "SUM(v) AS s, MAX(p) AS m, COUNT(DISTINCT v) AS d, COLLECT(v) AS l FROM s GROUP BY k, Windows(Hopping(second, 4, 2), Sliding(second, 2), "
    "Session(second, 1, 5), Tumbling(second, 3))",
    "SELECT a.v, b.v AS w, r.name FROM input a TIMESTAMP BY t LEFT JOIN input b TIMESTAMP BY t ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN "
    "0 AND 2 LEFT JOIN ref r ON a.k = r.k UNION SELECT v, k, s FROM input TIMESTAMP BY t",
    "SELECT k, AnomalyDetection_SpikeAndDip(v, 95, 8, 'spikes') OVER (PARTITION BY k LIMIT DURATION(second, 9)) AS s FROM input TIMESTAMP BY t "
    "OVER k",
};

static enum code play(struct rig *r, const char *query)
{
    enum code code = rig_query(r, query);
    if (code == CODE_OK && query_references(r->query))
        code = stream_reference(r->stream, 0, STREAM_CSV, BYTES_LIT("k,name\n1,x\n\"a\",y\n"), &r->why);
    for (uint32_t i = 0; i < 12 && code == CODE_OK; i++) {
        char rest[80];
        (void)snprintf(rest, sizeof rest, ",\"k\":%s,\"v\":%u,\"s\":[{\"x\":\"some text\"}]", i & 1 ? "1" : "\"a\"", i % 5);
        code = rig_event(r, 0, i, rest);
        for (uint32_t n = 1; n < query_inputs(r->query) && code == CODE_OK; n++)
            code = rig_event(r, n, i, rest);
    }
    struct buf saved = { 0 };
    struct stream *again = NULL;
    const struct stream_sink sink = { r, rig_row, rig_trouble };
    if (code == CODE_OK)
        code = stream_save(r->stream, &saved);
    if (code == CODE_OK)
        code = stream_new(&again, r->query, &sink, &r->why);
    if (code == CODE_OK)
        code = stream_load(again, buf_bytes(&saved), &r->why);
    if (code == CODE_OK)
        code = stream_end(again, &r->why);
    stream_free(again);
    buf_clear(&saved);
    return code;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        uint64_t n = 1;
        for (;; n++) {
            struct rig r;
            rig_begin(&r);
            mem_fail_at(n);
            enum code code = play(&r, queries[q]);
            bool fired = mem_fail_fired();
            mem_fail_at(0);
            if (!fired && code != CODE_OK)
                fail_msg("%s", r.why.text);
            /* The sink's own buffers, and rows of which a part could not be evaluated, do not end a run. */
            if (code != CODE_OK)
                assert_int_equal(code, CODE_NOMEM);
            rig_end(&r);
            if (!fired)
                break;
        }
        assert_true(n > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation_may_fail) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
