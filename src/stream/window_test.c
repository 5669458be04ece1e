/* Windows and aggregates: every border, every kind. Expected rows are derived from the rules: an interval is (start, end]. */
#include "stream/stream_test_rig.h"

#include "stream/window.h"

/* Events at these seconds (and a value), one query, these rows. */
struct event {
    double      second;
    const char *rest;
};

static void expect(const char *query, const struct event *events, size_t count, const char *rows)
{
    struct rig r;
    rig_begin(&r);
    if (rig_query(&r, query) != CODE_OK)
        fail_msg("%s", r.why.text);
    for (size_t i = 0; i < count; i++)
        (void)rig_event(&r, 0, events[i].second, events[i].rest);
    rig_expect(&r, rows);
    rig_end(&r);
}
#define EXPECT(query, rows, ...)                                                    \
    do {                                                                            \
        static const struct event events[] = { __VA_ARGS__ };                       \
        expect(query, events, sizeof events / sizeof events[0], rows);              \
    } while (0)

/* SELECT DATEPART(second) of the end and what else. */
#define END "DATEPART(minute, System.Timestamp()) * 60 + DATEPART(second, System.Timestamp()) AS w"

static void borders_are_computed_from_the_first_year_on(void **state)
{
    (void)state;
    assert_int_equal(border_end(10, 5, 0), 10);
    assert_int_equal(border_end(11, 5, 0), 15);
    assert_int_equal(border_end(10, 5, -1), 14);
    assert_int_equal(border_end(9, 5, -1), 9);
    assert_int_equal(border_end(-3, 5, 0), 0);
    assert_int_equal(border_end(-5, 5, 0), -5);
    assert_int_equal(border_begin(10, 5, 0), 10);
    assert_int_equal(border_begin(14, 5, 0), 10);
    assert_int_equal(border_begin(-1, 5, 0), -5);
    assert_int_equal(border_begin(3, 5, 4), -1);
}

static void a_tumbling_window_takes_its_end_and_not_its_start(void **state)
{
    (void)state;
    EXPECT("SELECT " END ", COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 5)",
           "{\"w\":0,\"c\":1}\n{\"w\":5,\"c\":2}\n{\"w\":10,\"c\":1}\n{\"w\":30,\"c\":1}\n", { 0, "" }, { 0.0000001, "" }, { 5, "" },
           { 5.0000001, "" }, { 30, "" });
    EXPECT("SELECT " END ", COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Tumbling(Duration(second, 5), Offset(second, -1))",
           "{\"w\":4,\"c\":2}\n{\"w\":9,\"c\":2}\n", { 0, "" }, { 4, "" }, { 5, "" }, { 9, "" });
}

static void hopping_windows_overlap_or_leave_gaps(void **state)
{
    (void)state;
    EXPECT("SELECT " END ", COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Hopping(second, 10, 5)",
           "{\"w\":5,\"c\":2}\n{\"w\":10,\"c\":3}\n{\"w\":15,\"c\":1}\n", { 1, "" }, { 5, "" }, { 6, "" });
    /* 7 is no multiple of 3: (2,9], (5,12], (8,15] */
    EXPECT("SELECT " END ", SUM(v) AS s FROM input TIMESTAMP BY t GROUP BY Hopping(second, 7, 3)",
           "{\"w\":3,\"s\":1}\n{\"w\":6,\"s\":3}\n{\"w\":9,\"s\":6}\n{\"w\":12,\"s\":4}\n{\"w\":15,\"s\":1}\n", { 2, ",\"v\":1" }, { 5, ",\"v\":2" },
           { 8, ",\"v\":3" }, { 9, ",\"v\":1" });
    /* A hop over the size: events between the windows are in none. */
    EXPECT("SELECT " END ", COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Hopping(second, 5, 10)", "{\"w\":10,\"c\":2}\n", { 5, "" },
           { 5.5, "" }, { 10, "" }, { 12, "" });
}

static void a_sliding_window_gives_a_row_where_it_changes_and_is_not_empty(void **state)
{
    (void)state;
    EXPECT("SELECT " END ", COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Sliding(second, 5)",
           "{\"w\":34,\"c\":1}\n{\"w\":38,\"c\":2}\n{\"w\":39,\"c\":1}\n{\"w\":42,\"c\":2}\n{\"w\":43,\"c\":1}\n", { 34, "" }, { 38, "" },
           { 42, "" });
    EXPECT("SELECT k, " END ", MAX(v) AS hi FROM input TIMESTAMP BY t GROUP BY k, Sliding(second, 5)",
           "{\"k\":\"a\",\"w\":0,\"hi\":9}\n{\"k\":\"b\",\"w\":2,\"hi\":1}\n{\"k\":\"a\",\"w\":4,\"hi\":9}\n{\"k\":\"a\",\"w\":5,\"hi\":3}\n",
           { 0, ",\"k\":\"a\",\"v\":9" }, { 2, ",\"k\":\"b\",\"v\":1" }, { 4, ",\"k\":\"a\",\"v\":3" });
}

static void a_session_ends_in_silence_or_at_a_mark(void **state)
{
    (void)state;
    EXPECT("SELECT " END ", COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Session(second, 5, 60)",
           "{\"w\":13,\"c\":3}\n{\"w\":18,\"c\":1}\n", { 1, "" }, { 3, "" }, { 8, "" }, { 13.5, "" });
    EXPECT("SELECT " END ", COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Session(second, 5, 10)",
           "{\"w\":20,\"c\":5}\n{\"w\":30,\"c\":3}\n{\"w\":38,\"c\":1}\n", { 1, "" }, { 5, "" }, { 9, "" }, { 13, "" }, { 17, "" }, { 21, "" },
           { 25, "" }, { 29, "" }, { 33, "" });
    EXPECT("SELECT k, COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY k, Session(second, 2, 60) OVER (PARTITION BY k)",
           "{\"k\":1,\"c\":2}\n{\"k\":2,\"c\":1}\n", { 1, ",\"k\":1" }, { 2, ",\"k\":2" }, { 2, ",\"k\":1" });
}

static void several_windows_and_a_snapshot(void **state)
{
    (void)state;
    EXPECT("SELECT System.Window().Id AS i, COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Windows(Window('5', Tumbling(second, 5)), "
           "Window('10', Tumbling(second, 10)))",
           "{\"i\":\"5\",\"c\":1}\n{\"i\":\"5\",\"c\":1}\n{\"i\":\"10\",\"c\":2}\n", { 1, "" }, { 6, "" });
    EXPECT("SELECT COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY System.Timestamp()", "{\"c\":2}\n{\"c\":1}\n", { 1, "" }, { 1, "" },
           { 1.0000001, "" });
}

static void aggregates_leave_null_out(void **state)
{
    (void)state;
    EXPECT("SELECT COUNT(*) AS n, COUNT(v) AS c, SUM(v) AS s, AVG(v) AS a, MIN(v) AS lo, MAX(v) AS hi, VAR(v) AS x, VARP(v) AS y FROM input "
           "TIMESTAMP BY t GROUP BY Tumbling(second, 10)",
           "{\"n\":3,\"c\":2,\"s\":5,\"a\":2.5,\"lo\":1,\"hi\":4,\"x\":4.5,\"y\":2.25}\n"
           "{\"n\":1,\"c\":0,\"s\":null,\"a\":null,\"lo\":null,\"hi\":null,\"x\":null,\"y\":null}\n"
           "{\"n\":1,\"c\":1,\"s\":7,\"a\":7.0,\"lo\":7,\"hi\":7,\"x\":null,\"y\":0.0}\n",
           { 1, ",\"v\":1" }, { 2, ",\"v\":null" }, { 3, ",\"v\":4" }, { 11, "" }, { 21, ",\"v\":7" });
}

static void sums_are_exact_and_never_silently_float(void **state)
{
    (void)state;
    EXPECT("SELECT SUM(v) AS s FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 10)",
           "{\"s\":9223372036854775807}\n{\"s\":0.30000000000000004}\n", { 1, ",\"v\":9223372036854775807" },
           { 2, ",\"v\":1" }, { 3, ",\"v\":-1" }, { 11, ",\"v\":9223372036854775807" }, { 12, ",\"v\":1" }, { 21, ",\"v\":0.1" },
           { 22, ",\"v\":0.2" });
}

static void lists_tops_and_percentiles(void **state)
{
    (void)state;
    static const struct event events[] = { { 1, ",\"v\":3" }, { 2, ",\"v\":1" }, { 3, ",\"v\":2" }, { 4, ",\"v\":2.0" }, { 5, "" } };
    expect("SELECT COLLECT(v) AS l, COUNT(DISTINCT v) AS d, PERCENTILE_CONT(0.5) OVER (ORDER BY v) AS m, PERCENTILE_DISC(0.5) OVER (ORDER BY v "
           "DESC) AS n FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 10)",
           events, 5, "{\"l\":[3,1,2,2.0,null],\"d\":3,\"m\":2.0,\"n\":2.0}\n");
    expect("SELECT CollectTop(2) OVER (ORDER BY v DESC) AS top FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 10)", events, 3,
           "{\"top\":[{\"rank\":1,\"value\":{\"t\":\"2024-01-01T00:00:01.0000000Z\",\"v\":3}},{\"rank\":2,\"value\":{\"t\":"
           "\"2024-01-01T00:00:03.0000000Z\",\"v\":2}}]}\n");
}

/* A moving window is merged from panes; each of its results is what the window alone would give. */
static void a_moving_window_gives_what_a_still_one_would(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (uint32_t round = 0; round < 40; round++) {
        struct rig moving, still;
        rig_begin(&moving);
        rig_begin(&still);
        assert_int_equal(rig_query(&moving, "SELECT System.Timestamp() AS w, COUNT(*) AS c, SUM(v) AS s, MIN(v) AS lo, MAX(s) AS hi, TopOne() "
                                            "OVER (ORDER BY v, s DESC) AS o FROM input TIMESTAMP BY t GROUP BY Hopping(second, 8, 2)"),
                         CODE_OK);
        assert_int_equal(rig_query(&still, "SELECT System.Timestamp() AS w, COUNT(*) AS c, SUM(v) AS s, MIN(v) AS lo, MAX(s) AS hi, TopOne() OVER "
                                           "(ORDER BY v, s DESC) AS o FROM input TIMESTAMP BY t GROUP BY Windows(Tumbling(second, 8), "
                                           "Tumbling(Duration(second, 8), Offset(second, 2)), Tumbling(Duration(second, 8), Offset(second, 4)), "
                                           "Tumbling(Duration(second, 8), Offset(second, 6)))"),
                         CODE_OK);
        double t = 0;
        for (uint32_t i = 0; i < 60; i++) {
            char rest[80];
            seed = seed * 1103515245 + 12345;
            t += (double)(seed >> 16 & 7) / 2;
            (void)snprintf(rest, sizeof rest, ",\"v\":%u,\"s\":\"%c\"", seed >> 20 & 15, 'a' + (int)(seed >> 24 & 7));
            assert_int_equal(rig_event(&moving, 0, t, rest), CODE_OK);
            assert_int_equal(rig_event(&still, 0, t, rest), CODE_OK);
        }
        assert_int_equal(stream_end(still.stream, &still.why), CODE_OK);
        rig_expect(&moving, rig_text(&still.rows));
        rig_end(&moving);
        rig_end(&still);
    }
}

static void having_sees_aggregates_and_names_of_columns(void **state)
{
    (void)state;
    EXPECT("SELECT k, COUNT(*) AS [Count] FROM input TIMESTAMP BY t GROUP BY k, Tumbling(second, 10) HAVING [Count] >= 2 AND MAX(v) < 9",
           "{\"k\":1,\"Count\":2}\n", { 1, ",\"k\":1,\"v\":1" }, { 2, ",\"k\":2,\"v\":1" }, { 3, ",\"k\":1,\"v\":8" }, { 4, ",\"k\":3,\"v\":9" },
           { 4, ",\"k\":3,\"v\":9" });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(borders_are_computed_from_the_first_year_on),
        cmocka_unit_test(a_tumbling_window_takes_its_end_and_not_its_start),
        cmocka_unit_test(hopping_windows_overlap_or_leave_gaps),
        cmocka_unit_test(a_sliding_window_gives_a_row_where_it_changes_and_is_not_empty),
        cmocka_unit_test(a_session_ends_in_silence_or_at_a_mark),
        cmocka_unit_test(several_windows_and_a_snapshot),
        cmocka_unit_test(aggregates_leave_null_out),
        cmocka_unit_test(sums_are_exact_and_never_silently_float),
        cmocka_unit_test(lists_tops_and_percentiles),
        cmocka_unit_test(a_moving_window_gives_what_a_still_one_would),
        cmocka_unit_test(having_sees_aggregates_and_names_of_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
