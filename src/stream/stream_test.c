#include "stream/stream_test_rig.h"

static void a_filter_passes_what_is_true_and_names_the_columns(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT id, s.v AS v, v + 1 FROM input WHERE v > 10"), CODE_OK);
    (void)rig_feed_at(&r, 0, "{\"id\":\"a\",\"v\":11,\"s\":{\"v\":[1,{\"x\":null}]}}", 0);
    (void)rig_feed_at(&r, 0, "{\"id\":\"b\",\"v\":10}", 1);
    (void)rig_feed_at(&r, 0, "{\"id\":\"c\"}", 2);
    (void)rig_feed_at(&r, 0, "{\"id\":\"d\",\"v\":12.5}", 3);
    rig_expect(&r, "{\"id\":\"a\",\"v\":[1,{\"x\":null}],\"Col3\":12}\n{\"id\":\"d\",\"v\":null,\"Col3\":13.5}\n");
    rig_end(&r);
}

static void a_broken_message_is_dropped_whole_and_counted(void **state)
{
    (void)state;
    struct rig r;
    struct stream_stats stats;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT v FROM input"), CODE_OK);
    (void)rig_feed_at(&r, 0, "[{\"v\":1},{\"v\":2}]{\"v\":3}\n{\"v\":4}", 0);
    (void)rig_feed_at(&r, 0, "[{\"v\":5},{\"v\":6]", 1);
    (void)rig_feed_at(&r, 0, "", 2);
    (void)rig_feed_at(&r, 0, "{\"v\":7}", 3);
    rig_expect(&r, "{\"v\":1}\n{\"v\":2}\n{\"v\":3}\n{\"v\":4}\n{\"v\":7}\n");
    stream_stats(r.stream, &stats);
    assert_int_equal(stats.malformed, 2);
    assert_int_equal(stats.events, 5);
    assert_string_equal(rig_text(&r.troubles), "InputDeserializationError\nInputDeserializationError\n");
    rig_end(&r);
}

static void a_wrong_type_drops_the_event_or_stops(void **state)
{
    (void)state;
    struct rig r;
    for (int stop = 0; stop < 2; stop++) {
        rig_begin(&r);
        r.options.stop_on_error = stop;
        assert_int_equal(rig_query(&r, "SELECT v + 1 AS w FROM input"), CODE_OK);
        assert_int_equal(rig_feed_at(&r, 0, "{\"v\":\"x\"}", 0), stop ? CODE_MALFORMED : CODE_OK);
        if (!stop) {
            (void)rig_feed_at(&r, 0, "{\"v\":1}", 0);
            rig_expect(&r, "{\"w\":2}\n");
        }
        rig_end(&r);
    }
}

static void refusals_name_place_and_the_nearest_right_thing(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        uint32_t    line, column;
        int         number;
        const char *says;
    } cases[] = {
        { "SELEC v FROM input", 1, 1, 6101, "expected WITH, CREATE TABLE or SELECT, found SELEC. Did you mean SELECT?" },
        { "SELECT v FRM input", 1, 10, 6101, "expected FROM, found FRM. Did you mean FROM?" },
        { "SELECT v FORM", 1, 10, 6101, "expected FROM, found FORM. Did you mean FROM?" },
        { "SELECT v INTO o FORM input", 1, 17, 6101, "expected FROM, found FORM. Did you mean FROM?" },
        { "SELECT v ITNO o FROM input", 1, 10, 6101, "found ITNO. Did you mean INTO?" },
        { "SELECT v\nFROM input\n  WERE v > 1", 3, 3, 6101, "expected SELECT or the end, found WERE. Did you mean WHERE?" },
        { "SELECT v FROM input a WERE v > 1", 1, 23, 6101, "found WERE. Did you mean WHERE?" },
        { "SELECT v FROM input WHERE v > 1 GROPU BY v", 1, 33, 6101, "found GROPU. Did you mean GROUP?" },
        { "SELECT v FROM input WHERE v LKE 'a'", 1, 29, 6101, "found LKE. Did you mean LIKE?" },
        { "SELECT v FROM input a b c", 1, 23, 6101, "found b" },
        { "SELECT COUNT(*) FROM input GROUP BY TumblingWindow(10, second)", 1, 52, 6104,
          "TumblingWindow takes the unit first. Did you mean TumblingWindow(second, 10)?" },
        { "SELECT COUNT(*) FROM input GROUP BY HoppingWindow(10, ss, 5)", 1, 51, 6104, "Did you mean HoppingWindow(ss, 10, 5)?" },
        { "SELECT COUNT(*) FROM input GROUP BY TumblngWindow(second, 10)", 1, 37, 6101, "did you mean TumblingWindow?" },
        { "SELECT COUNT(*) FROM input GROUP BY Tumbling(secnd, 10)", 1, 46, 6104, "Did you mean second?" },
        { "SELECT AVGG(v) FROM input GROUP BY Tumbling(second, 10)", 1, 8, 6101, "unknown function AVGG; did you mean AVG?" },
        { "SELECT LAGG(v) OVER (LIMIT DURATION(second, 5)) FROM input", 1, 8, 6101, "unknown function LAGG; did you mean LAG?" },
        { "WITH scored AS (SELECT value FROM input)\nSELECT valeu FROM scored", 2, 8, 6102, "no column valeu. Did you mean value?" },
        { "SELECT a.v FROM a JOIN b ON a.k = b.k", 1, 26, 6103, "needs bounds of time" },
        { "SELECT v FROM a JOIN b ON a.k = b.k AND DATEDIFF(second,a,b) = 0", 1, 8, 6102, "write a.v or b.v" },
        { "SELECT COUNT(*) FROM input", 1, 8, 6103, "needs a window" },
        { "SELECT v FROM input GROUP BY Tumbling(second,1)", 1, 8, 6103, "neither in GROUP BY nor inside of an aggregate" },
        { "SELECT v FROM input ORDER BY v", 1, 21, 6103, "ORDER BY is not in the language" },
        { "SELECT FIRST(v) FROM input", 1, 8, 6105, "use TopOne()" },
        { "SELECT v FROM refs", 1, 15, 6103, "reference data" },
        { "SELECT v, w AS v FROM input", 1, 16, 6102, "two columns are called v" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig r;
        rig_begin(&r);
        r.options.file = "x.sql";
        assert_int_equal(rig_query(&r, cases[i].query), CODE_USAGE);
        assert_int_equal(r.why.at >> 16, cases[i].line);
        assert_int_equal(r.why.at & 65535, cases[i].column);
        assert_int_equal(r.why.number, cases[i].number);
        if (!strstr(r.why.text, cases[i].says))
            fail_msg("'%s' does not say '%s'", r.why.text, cases[i].says);
        assert_true(bytes_starts(bytes_str(r.why.text), "x.sql:"));
        rig_end(&r);
    }
}

static void columns_are_found_through_the_star_of_steps(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "WITH a AS (SELECT *, v * 2 AS w FROM input), b AS (SELECT * FROM a WHERE w > 2) "
                                   "SELECT s.x, w, * FROM b"),
                     CODE_OK);
    (void)rig_feed_at(&r, 0, "{\"v\":1}", 0);
    (void)rig_feed_at(&r, 0, "{\"v\":2,\"s\":{\"x\":\"y\"},\"w\":9}", 1);
    rig_expect(&r, "{\"x\":\"y\",\"w\":9,\"v\":2,\"s\":{\"x\":\"y\"}}\n");
    rig_end(&r);
}

/* Of a time nothing else comes by, stream_due says the first that brings something out; nothing is due for what only looks back. */
static void what_is_due_comes_by_the_clock_then_and_not_before(void **state)
{
    (void)state;
    static const struct { const char *query; int due_s; } cases[] = {
        { "SELECT COUNT(*) AS c FROM input GROUP BY TumblingWindow(second, 10)", 10 },
        { "SELECT COUNT(*) AS c FROM input GROUP BY HoppingWindow(second, 10, 3)", 3 },
        { "SELECT COUNT(*) AS c FROM input GROUP BY SlidingWindow(second, 10)", 1 },
        { "SELECT COUNT(*) AS c FROM input GROUP BY SessionWindow(second, 5, 10)", 6 },
        { "SELECT COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)", 12 },
        { "SELECT COUNT(*) AS c FROM input TIMESTAMP BY t OVER k GROUP BY k, TumblingWindow(second, 10)", 12 },
        { "WITH a AS (SELECT COUNT(*) AS c FROM input GROUP BY TumblingWindow(second, 4)) SELECT SUM(c) AS s FROM a GROUP BY TumblingWindow(second, 10)", 4 },
        { "SELECT a.t FROM input a LEFT JOIN input b ON a.t = b.x AND DATEDIFF(second, a, b) BETWEEN 0 AND 9", 0 },
        { "SELECT a.t FROM input a JOIN input b ON a.t = b.x AND DATEDIFF(second, a, b) BETWEEN 0 AND 9", 0 }, /* waits to meet */
        { "SELECT LAG(t) OVER (LIMIT DURATION(second, 10)) AS l FROM input", -1 },
        { "SELECT t FROM input", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        rig_begin(&r);
        r.options.late = 2 * RIG_SECOND;
        assert_int_equal(rig_query(&r, cases[i].query), CODE_OK);
        assert_true(stream_due(r.stream) == INT64_MAX);
        assert_int_equal(rig_feed_at(&r, 0, "{\"t\":\"2024-01-01T00:00:01Z\",\"k\":1}", 1), CODE_OK);
        int64_t due = stream_due(r.stream);
        if (cases[i].due_s > 0)
            assert_int_equal((due - RIG_START - 1) / RIG_SECOND, cases[i].due_s);
        int told = 0;
        for (; (due = stream_due(r.stream)) != INT64_MAX; told++) { /* may be too early, but not for ever */
            assert_true(told < 40);
            size_t before = r.rows.len;
            assert_int_equal(stream_clock(r.stream, due - 1, &r.why), CODE_OK);
            assert_int_equal(r.rows.len, before);
            assert_int_equal(stream_clock(r.stream, due, &r.why), CODE_OK);
            if (stream_due(r.stream) == due)
                assert_int_equal(stream_clock(r.stream, due + RIG_SECOND, &r.why), CODE_OK);
        }
        assert_int_equal(told > 0, cases[i].due_s >= 0);
        size_t rows = r.rows.len;
        assert_int_equal(stream_clock(r.stream, RIG_START + 100 * RIG_SECOND, &r.why), CODE_OK);
        assert_int_equal(r.rows.len, rows); /* all had come */
        rig_end(&r);
    }
}

/* The event of 2023 of the year 2024: set to its arrival less `late`, unless that is unlimited. */
static void with_unlimited_lateness_old_events_keep_their_time_and_the_clock_says_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = { "{\"w\":\"2023-12-12T00:00:10.0000000Z\",\"c\":1}\n{\"w\":\"2024-01-01T00:00:20.0000000Z\",\"c\":1}\n",
                                        "{\"w\":\"2023-01-01T00:00:10.0000000Z\",\"c\":1}\n{\"w\":\"2023-01-01T00:00:20.0000000Z\",\"c\":1}\n" };
    for (int unlimited = 0; unlimited < 2; unlimited++) {
        struct rig r;
        rig_begin(&r);
        r.options.late = unlimited ? STREAM_LATE_UNLIMITED : 20 * 86400 * RIG_SECOND;
        assert_int_equal(rig_query(&r, "SELECT System.Timestamp() AS w, COUNT(*) AS c FROM input TIMESTAMP BY t "
                                       "GROUP BY TumblingWindow(second, 10)"),
                         CODE_OK);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2023-01-01T00:00:05Z\"}", 1);
        assert_int_equal(stream_due(r.stream) != INT64_MAX, !unlimited);
        assert_int_equal(stream_clock(r.stream, RIG_START + 20 * 86400 * RIG_SECOND + 15 * RIG_SECOND, &r.why), CODE_OK);
        assert_int_equal(buf_size(&r.rows) > 0, !unlimited);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2023-01-01T00:00:15Z\"}", 20 * 86400 + 16);
        rig_expect(&r, rows[unlimited]);
        struct stream_stats stats;
        stream_stats(r.stream, &stats);
        assert_int_equal(stats.late, unlimited ? 0 : 2);
        rig_end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_passes_what_is_true_and_names_the_columns),
        cmocka_unit_test(a_broken_message_is_dropped_whole_and_counted),
        cmocka_unit_test(a_wrong_type_drops_the_event_or_stops),
        cmocka_unit_test(refusals_name_place_and_the_nearest_right_thing),
        cmocka_unit_test(columns_are_found_through_the_star_of_steps),
        cmocka_unit_test(what_is_due_comes_by_the_clock_then_and_not_before),
        cmocka_unit_test(with_unlimited_lateness_old_events_keep_their_time_and_the_clock_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
