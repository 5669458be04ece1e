/* Joins, UNION, APPLY, analytic functions, time policies, lanes, anomaly functions, limits, saving. */
#include "stream/stream_test_rig.h"

#include <math.h>

static void a_join_pairs_rows_within_its_bounds(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT a.v AS x, b.v AS y FROM a TIMESTAMP BY t JOIN b TIMESTAMP BY t ON a.k = b.k AND "
                                   "DATEDIFF(second, a, b) BETWEEN 0 AND 5 AND b.v <> 'never'"),
                     CODE_OK);
    (void)rig_event(&r, 0, 1, ",\"k\":1,\"v\":\"a1\"");
    (void)rig_event(&r, 0, 2, ",\"k\":null,\"v\":\"a2\"");
    (void)rig_event(&r, 0, 20, ",\"k\":1,\"v\":\"a3\"");
    (void)rig_event(&r, 1, 0.9, ",\"k\":1,\"v\":\"before\"");
    (void)rig_event(&r, 1, 1, ",\"k\":1,\"v\":\"same\"");
    (void)rig_event(&r, 1, 2, ",\"k\":null,\"v\":\"null\"");
    (void)rig_event(&r, 1, 3, ",\"k\":1,\"v\":\"never\"");
    (void)rig_event(&r, 1, 4, ",\"k\":1,\"v\":7"); /* cannot be compared: no match */
    (void)rig_event(&r, 1, 6.9999999, ",\"k\":1.0,\"v\":\"last\"");
    (void)rig_event(&r, 1, 7, ",\"k\":1,\"v\":\"late\"");
    rig_expect(&r, "{\"x\":\"a1\",\"y\":\"same\"}\n{\"x\":\"a1\",\"y\":\"last\"}\n");
    rig_end(&r);
}

static void a_left_join_gives_the_lonely_row_at_its_last_chance(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT a.v AS x, b.v AS y, System.Timestamp() AS w FROM a TIMESTAMP BY t LEFT JOIN b TIMESTAMP BY t ON "
                                   "a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 2"),
                     CODE_OK);
    (void)rig_event(&r, 0, 1, ",\"k\":1,\"v\":1");
    (void)rig_event(&r, 0, 1.5, ",\"k\":2,\"v\":2");
    (void)rig_event(&r, 1, 3, ",\"k\":2,\"v\":7");
    rig_expect(&r, "{\"x\":2,\"y\":7,\"w\":\"2024-01-01T00:00:03.0000000Z\"}\n"
                   "{\"x\":1,\"y\":null,\"w\":\"2024-01-01T00:00:03.9999999Z\"}\n");
    rig_end(&r);
}

static void reference_data_is_looked_up_and_swapped(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT i.id AS id, r.name AS name FROM input i LEFT JOIN ref r ON i.id = r.id"), CODE_OK);
    assert_int_equal(stream_reference(r.stream, 0, STREAM_CSV, BYTES_LIT("id,name\n1,press\n1,\"a \"\"b\"\"\"\n2,oven\n"), &r.why), CODE_OK);
    (void)rig_feed_at(&r, 0, "{\"id\":1}", 0);
    (void)rig_feed_at(&r, 0, "{\"id\":3}", 1);
    assert_int_equal(stream_reference(r.stream, 0, STREAM_JSON, BYTES_LIT("{\"id\":3,\"name\":\"saw\"}\n{\"id\":4}\n"), &r.why), CODE_OK);
    assert_int_equal(stream_reference(r.stream, 0, STREAM_JSON, BYTES_LIT("[{\"id\":3},7]"), &r.why), CODE_MALFORMED);
    (void)rig_feed_at(&r, 0, "{\"id\":3}", 2);
    rig_expect(&r, "{\"id\":1,\"name\":\"press\"}\n{\"id\":1,\"name\":\"a \\\"b\\\"\"}\n{\"id\":3,\"name\":null}\n{\"id\":3,\"name\":\"saw\"}\n");
    rig_end(&r);
}

static void a_union_flows_in_the_order_of_time(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "WITH u AS (SELECT 'a' AS s, v FROM a TIMESTAMP BY t UNION SELECT 'b' AS s, v FROM b TIMESTAMP BY t) "
                                   "SELECT s, v FROM u"),
                     CODE_OK);
    (void)rig_event(&r, 0, 5, ",\"v\":1");
    (void)rig_event(&r, 0, 7, ",\"v\":2");
    (void)rig_event(&r, 1, 1, ",\"v\":3");
    (void)rig_event(&r, 1, 5, ",\"v\":4");
    (void)rig_event(&r, 1, 6, ",\"v\":5");
    rig_expect(&r, "{\"s\":\"b\",\"v\":3}\n{\"s\":\"a\",\"v\":1}\n{\"s\":\"b\",\"v\":4}\n{\"s\":\"b\",\"v\":5}\n{\"s\":\"a\",\"v\":2}\n");
    rig_end(&r);
}

static void apply_gives_a_row_for_each_element(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT i.n, e.ArrayIndex, e.ArrayValue, p.PropertyName FROM input i OUTER APPLY GetArrayElements(i.l) AS e "
                                   "CROSS APPLY GetRecordProperties(i.r) AS p"),
                     CODE_OK);
    (void)rig_feed_at(&r, 0, "{\"n\":1,\"l\":[7,\"x\"],\"r\":{\"a\":1}}", 0);
    (void)rig_feed_at(&r, 0, "{\"n\":2,\"l\":[],\"r\":{\"b\":1,\"c\":2}}", 0);
    (void)rig_feed_at(&r, 0, "{\"n\":3,\"l\":[1]}", 0);
    rig_expect(&r, "{\"n\":1,\"ArrayIndex\":0,\"ArrayValue\":7,\"PropertyName\":\"a\"}\n{\"n\":1,\"ArrayIndex\":1,\"ArrayValue\":\"x\","
                   "\"PropertyName\":\"a\"}\n{\"n\":2,\"ArrayIndex\":null,\"ArrayValue\":null,\"PropertyName\":\"b\"}\n{\"n\":2,"
                   "\"ArrayIndex\":null,\"ArrayValue\":null,\"PropertyName\":\"c\"}\n");
    rig_end(&r);
}

static void analytic_functions_see_rows_that_where_removes(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT v, LAG(v, 2, -1) OVER (PARTITION BY k LIMIT DURATION(second, 10)) AS l, LAST(v) OVER (LIMIT "
                                   "DURATION(second, 3) WHEN v > 4) AS m, ISFIRST(second, 5) AS f FROM input TIMESTAMP BY t WHERE v <> 2"),
                     CODE_OK);
    (void)rig_event(&r, 0, 1, ",\"k\":1,\"v\":5");
    (void)rig_event(&r, 0, 2, ",\"k\":1,\"v\":2");
    (void)rig_event(&r, 0, 4, ",\"k\":1,\"v\":3");
    (void)rig_event(&r, 0, 5, ",\"k\":2,\"v\":4");
    (void)rig_event(&r, 0, 6, ",\"k\":1,\"v\":9");
    (void)rig_event(&r, 0, 16.0000001, ",\"k\":1,\"v\":1");
    rig_expect(&r, "{\"v\":5,\"l\":-1,\"m\":5,\"f\":1}\n{\"v\":3,\"l\":5,\"m\":5,\"f\":0}\n{\"v\":4,\"l\":-1,\"m\":null,\"f\":0}\n"
                   "{\"v\":9,\"l\":2,\"m\":9,\"f\":1}\n{\"v\":1,\"l\":-1,\"m\":null,\"f\":1}\n");
    rig_end(&r);
}

static void late_and_disordered_events_follow_the_policy(void **state)
{
    (void)state;
    for (int drop = 0; drop < 2; drop++) {
        struct rig r;
        struct stream_stats stats;
        rig_begin(&r);
        r.options.late = 15 * RIG_SECOND;
        r.options.out_of_order = 5 * RIG_SECOND;
        r.options.policy = drop ? STREAM_DROP : STREAM_ADJUST;
        assert_int_equal(rig_query(&r, "SELECT n, DATEPART(minute, System.Timestamp()) * 60 + DATEPART(second, System.Timestamp()) AS w FROM "
                                       "input TIMESTAMP BY t"),
                         CODE_OK);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2024-01-01T00:10:00Z\",\"n\":1}", 640);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2024-01-01T00:10:30Z\",\"n\":2}", 641);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2024-01-01T00:10:42Z\",\"n\":3}", 642);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2024-01-01T00:10:38Z\",\"n\":4}", 643);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2024-01-01T00:10:35Z\",\"n\":5}", 645);
        (void)rig_feed_at(&r, 0, "{\"t\":\"2024-01-01T00:20:00Z\",\"n\":6}", 646);
        (void)rig_feed_at(&r, 0, "{\"t\":7,\"n\":7}", 647);
        rig_expect(&r, drop ? "{\"n\":2,\"w\":630}\n{\"n\":4,\"w\":638}\n{\"n\":3,\"w\":642}\n"
                            : "{\"n\":1,\"w\":625}\n{\"n\":2,\"w\":630}\n{\"n\":5,\"w\":637}\n{\"n\":4,\"w\":638}\n{\"n\":3,\"w\":642}\n");
        stream_stats(r.stream, &stats);
        assert_int_equal(stats.late, 1);
        assert_int_equal(stats.out_of_order, 1);
        assert_int_equal(stats.early, 1);
        assert_int_equal(stats.no_timestamp, 1);
        rig_end(&r);
    }
}

static void the_clock_closes_windows_while_nothing_comes(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 5)"), CODE_OK);
    (void)rig_event(&r, 0, 1, "");
    assert_int_equal(stream_clock(r.stream, RIG_START + 10 * RIG_SECOND, &r.why), CODE_OK);
    assert_int_equal(buf_size(&r.rows), 0); /* 10 - 5 s of lateness: an event at 5 may still come */
    assert_int_equal(stream_clock(r.stream, RIG_START + 10 * RIG_SECOND + 1, &r.why), CODE_OK);
    assert_string_equal(rig_text(&r.rows), "{\"c\":1}\n");
    rig_end(&r);
}

static void rows_are(struct rig *r, const char *rows)
{
    assert_string_equal(rig_text(&r->rows), rows);
    buf_reset(&r->rows);
}

/* A clock that was an hour ahead, and is set right: nobody waits for the hour. A few minutes are waited for. */
static void a_clock_that_is_set_back_ends_what_is_open(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "SELECT COUNT(*) AS c FROM input GROUP BY Tumbling(second, 5)",
        "SELECT COUNT(*) AS c FROM input TIMESTAMP BY t OVER k GROUP BY k, Tumbling(second, 5)",
    };
    for (int told = 0; told < 2; told++)
        for (size_t q = 0; q < 2; q++) {
            struct rig r;
            struct stream_stats stats;
            rig_begin(&r);
            assert_int_equal(rig_query(&r, queries[q]), CODE_OK);
            assert_int_equal(rig_feed_at(&r, 0, "{\"k\":1,\"t\":\"2024-01-01T01:00:01Z\"}", 3601), CODE_OK);
            assert_int_equal(rig_feed_at(&r, 0, "{\"k\":1,\"t\":\"2024-01-01T01:00:02Z\"}", 3602 - 290), CODE_OK);
            assert_int_equal(buf_size(&r.rows), 0);
            if (told) {
                assert_false(stream_set_back(r.stream, RIG_START + 3400 * RIG_SECOND));
                assert_true(stream_set_back(r.stream, RIG_START));
                assert_int_equal(stream_clock(r.stream, RIG_START, &r.why), CODE_OK);
                rows_are(&r, "{\"c\":2}\n");
                assert_false(stream_set_back(r.stream, RIG_START));
            }
            for (int second = 1; second < 4; second++) {
                char text[60];
                (void)snprintf(text, sizeof text, "{\"k\":1,\"t\":\"2024-01-01T00:00:%02dZ\"}", second);
                assert_int_equal(rig_feed_at(&r, 0, text, second), CODE_OK);
            }
            rows_are(&r, told ? "" : "{\"c\":2}\n");
            const char *first = strstr(rig_text(&r.troubles), "ClockSetBack\n");
            assert_non_null(first);
            assert_null(strstr(first + 1, "ClockSetBack"));
            stream_stats(r.stream, &stats);
            assert_true(stats.groups <= 2 && stats.waiting == 0);
            assert_int_equal(stream_clock(r.stream, RIG_START + 20 * RIG_SECOND, &r.why), CODE_OK);
            rows_are(&r, "{\"c\":3}\n");
            stream_stats(r.stream, &stats);
            assert_int_equal(stats.groups, q); /* the lane of its key */
            rig_end(&r);
        }
}

/* Recordings that are replayed keep their times, whatever the clock does. */
static void a_stream_that_follows_no_clock_is_not_turned_back(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    r.options.late = STREAM_LATE_UNLIMITED;
    assert_int_equal(rig_query(&r, "SELECT COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 5)"), CODE_OK);
    assert_int_equal(rig_feed_at(&r, 0, "{\"t\":\"2023-01-01T00:00:01Z\"}", 36000), CODE_OK);
    assert_int_equal(rig_feed_at(&r, 0, "{\"t\":\"2023-01-01T00:00:02Z\"}", 0), CODE_OK);
    assert_false(stream_set_back(r.stream, RIG_START));
    assert_int_equal(stream_clock(r.stream, RIG_START, &r.why), CODE_OK);
    rig_expect(&r, "{\"c\":2}\n");
    rig_end(&r);
}

static void rows_wait_for_every_partition(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT v FROM input TIMESTAMP BY t"), CODE_OK);
    assert_int_equal(stream_partitions(r.stream, 0, 2), CODE_OK);
    for (uint32_t i = 0; i < 4; i++) {
        static const char *const bodies[] = { "{\"t\":\"2024-01-01T00:00:05Z\",\"v\":5}", "{\"t\":\"2024-01-01T00:00:09Z\",\"v\":9}",
                                              "{\"t\":\"2024-01-01T00:00:01Z\",\"v\":1}", "{\"t\":\"2024-01-01T00:00:07Z\",\"v\":7}" };
        struct stream_message m = { .body = bytes_str(bodies[i]), .punctual = true, .partition = i / 2 };
        assert_int_equal(stream_feed(r.stream, &m, &r.why), CODE_OK);
        assert_int_equal(buf_size(&r.rows) > 0, i >= 2);
    }
    assert_int_equal(buf_size(&r.rows), strlen("{\"v\":1}\n{\"v\":5}\n{\"v\":7}\n"));
    rig_expect(&r, "{\"v\":1}\n{\"v\":5}\n{\"v\":7}\n{\"v\":9}\n");
    rig_end(&r);
}

static void each_key_of_over_has_its_own_time(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT id, COUNT(*) AS c FROM input TIMESTAMP BY t OVER id GROUP BY id, Tumbling(second, 5)"), CODE_OK);
    (void)rig_event(&r, 0, 1, ",\"id\":1");
    (void)rig_event(&r, 0, 100, ",\"id\":1");
    (void)rig_event(&r, 0, 3, ",\"id\":2");
    (void)rig_event(&r, 0, 4, ",\"id\":2");
    (void)rig_event(&r, 0, 6, "");
    rig_expect(&r, "{\"id\":1,\"c\":1}\n{\"id\":1,\"c\":1}\n{\"id\":2,\"c\":2}\n");
    assert_string_equal(rig_text(&r.troubles), "InputEventTimestampByOverValueNotFound\n");
    rig_end(&r);
}

static bool count_model(void *ctx, const struct stream_model_info *info)
{
    uint32_t *n = ctx;
    ++*n;
    return info->seen > 0;
}

static void anomalies_have_a_model_for_each_key(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    assert_int_equal(rig_query(&r, "SELECT k, v FROM input TIMESTAMP BY t WHERE GetRecordPropertyValue(AnomalyDetection_SpikeAndDip(v, 95, 60, "
                                   "'spikes') OVER (PARTITION BY k LIMIT DURATION(minute, 10)), 'IsAnomaly') = 1"),
                     CODE_OK);
    for (uint32_t i = 0; i < 200; i++) {
        char rest[64];
        (void)snprintf(rest, sizeof rest, ",\"k\":\"%c\",\"v\":%g", 'a' + (int)(i & 1), i == 180 ? 90.0 : 18 + sin(i) * 0.2);
        assert_int_equal(rig_event(&r, 0, i, rest), CODE_OK);
    }
    uint32_t models = 0;
    stream_models(r.stream, count_model, &models);
    assert_int_equal(models, 2);
    assert_false(stream_forget(r.stream, BYTES_LIT("\"c\"")));
    assert_true(stream_forget(r.stream, BYTES_LIT("\"a\"")));
    rig_expect(&r, "{\"k\":\"a\",\"v\":90}\n");
    rig_end(&r);
}

static void anomaly_arguments_are_checked_where_they_stand(void **state)
{
    (void)state;
    static const struct {
        const char *call, *says;
    } cases[] = {
        { "AnomalyDetection_SpikeAndDip(v, 0.8, 60, 'spikes')", "confidence is a percentage from 1 to 100, got 0.8. Did you mean 80?" },
        { "AnomalyDetection_SpikeAndDip(v, 101, 60, 'spikes')", "from 1 to 100, got 101" },
        { "AnomalyDetection_SpikeAndDip(v, w, 60, 'spikes')", "constant percentage" },
        { "AnomalyDetection_SpikeAndDip(v, 95, 0, 'spikes')", "history" },
        { "AnomalyDetection_SpikeAndDip(v, 95, 60, 'peaks')", "'spikesanddips', got 'peaks'" },
        { "AnomalyDetection_ChangePoint(*, 95, 60)", "one number, not `*`" },
        { "AnomalyDetection_ChangePoint(LAG(v) OVER (LIMIT DURATION(second, 1)), 95, 60)", "inside of another analytic function" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig r;
        char query[300];
        rig_begin(&r);
        (void)snprintf(query, sizeof query, "SELECT %s OVER (LIMIT DURATION(second, 60)) AS s FROM input", cases[i].call);
        assert_int_equal(rig_query(&r, query), CODE_USAGE);
        if (!strstr(r.why.text, cases[i].says))
            fail_msg("%s", r.why.text);
        assert_true(r.why.at >> 16 == 1 && (r.why.at & 65535) >= 8);
        rig_end(&r);
    }
}

static void a_full_state_takes_nothing_more(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r);
    r.options.groups = 3;
    assert_int_equal(rig_query(&r, "SELECT k, COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY k, Tumbling(second, 5)"), CODE_OK);
    assert_int_equal(rig_event(&r, 0, 1, ",\"k\":1"), CODE_OK);
    assert_int_equal(rig_event(&r, 0, 1, ",\"k\":2"), CODE_OK);
    assert_int_equal(rig_event(&r, 0, 1, ",\"k\":3"), CODE_OK);
    assert_int_equal(rig_event(&r, 0, 2, ",\"k\":1"), CODE_LIMIT);
    assert_non_null(strstr(r.why.text, "3 groups"));
    assert_int_equal(stream_clock(r.stream, RIG_START + 11 * RIG_SECOND, &r.why), CODE_OK);
    assert_int_equal(rig_event(&r, 0, 12, ",\"k\":1"), CODE_OK);
    rig_expect(&r, "{\"k\":1,\"c\":1}\n{\"k\":2,\"c\":1}\n{\"k\":3,\"c\":1}\n{\"k\":1,\"c\":1}\n");
    rig_end(&r);
}

static void a_state_belongs_to_its_query(void **state)
{
    (void)state;
    struct rig a, b;
    struct buf saved = { 0 };
    rig_begin(&a);
    rig_begin(&b);
    assert_int_equal(rig_query(&a, "SELECT COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 5)"), CODE_OK);
    assert_int_equal(rig_query(&b, "SELECT COUNT(*) AS d FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 5)"), CODE_OK);
    assert_int_equal(rig_event(&a, 0, 1, ""), CODE_OK);
    assert_int_equal(stream_save(a.stream, &saved), CODE_OK);
    assert_int_equal(stream_load(b.stream, buf_bytes(&saved), &b.why), CODE_UNSUPPORTED);
    for (size_t n = 0; n < buf_size(&saved); n++) {
        struct rig c;
        rig_begin(&c);
        assert_int_equal(rig_query(&c, "SELECT COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 5)"), CODE_OK);
        assert_int_not_equal(stream_load(c.stream, bytes_of(saved.at, n), &c.why), CODE_OK);
        rig_end(&c);
    }
    buf_clear(&saved);
    rig_end(&a);
    rig_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_pairs_rows_within_its_bounds),
        cmocka_unit_test(a_left_join_gives_the_lonely_row_at_its_last_chance),
        cmocka_unit_test(reference_data_is_looked_up_and_swapped),
        cmocka_unit_test(a_union_flows_in_the_order_of_time),
        cmocka_unit_test(apply_gives_a_row_for_each_element),
        cmocka_unit_test(analytic_functions_see_rows_that_where_removes),
        cmocka_unit_test(late_and_disordered_events_follow_the_policy),
        cmocka_unit_test(the_clock_closes_windows_while_nothing_comes),
        cmocka_unit_test(a_clock_that_is_set_back_ends_what_is_open),
        cmocka_unit_test(a_stream_that_follows_no_clock_is_not_turned_back),
        cmocka_unit_test(rows_wait_for_every_partition),
        cmocka_unit_test(each_key_of_over_has_its_own_time),
        cmocka_unit_test(anomalies_have_a_model_for_each_key),
        cmocka_unit_test(anomaly_arguments_are_checked_where_they_stand),
        cmocka_unit_test(a_full_state_takes_nothing_more),
        cmocka_unit_test(a_state_belongs_to_its_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
