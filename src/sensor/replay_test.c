#include "sensor/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static void write_file(const char *text)
{
    (void)snprintf(path, sizeof path, "/tmp/replay_test.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

static void rows_come_in_order_with_their_text(void **state)
{
    (void)state;
    write_file("id,timestamp,\"the value\"\r\n1,2013-07-04 00:00:00,69.88\r\n2,\"2013-07-04T01:00:00+01:00\",\"-1e3\"\n\n"
               "3,1372896001.5,0.50");
    struct replay *r;
    struct replay_row row;
    struct fault why;
    assert_int_equal(replay_open(&r, &io_system, path, "timestamp", "the value", &why), CODE_OK);
    assert_int_equal(replay_next(r, &row, &why), CODE_OK);
    assert_true(row.time_us == 1372896000000000);
    assert_true(bytes_is(row.value, "69.88") && bytes_is(row.time_text, "2013-07-04 00:00:00"));
    assert_int_equal(replay_next(r, &row, &why), CODE_OK);
    assert_true(row.time_us == 1372896000000000 && bytes_is(row.value, "-1e3"));
    assert_int_equal(replay_next(r, &row, &why), CODE_OK);
    assert_true(row.time_us == 1372896001500000 && bytes_is(row.value, "0.50"));
    assert_true(row.line == 5);
    assert_int_equal(replay_next(r, &row, &why), CODE_END);
    replay_close(r);
}

static void a_long_file_is_read_to_its_end(void **state)
{
    (void)state;
    size_t cap = 1 << 20, n = 0;
    char *text = malloc(cap);
    n += (size_t)snprintf(text, cap, "t,v\n");
    for (int i = 0; i < 20000; i++)
        n += (size_t)snprintf(text + n, cap - n, "%d,%d.5\n", 1000 + i, i);
    write_file(text);
    free(text);
    struct replay *r;
    struct replay_row row;
    struct fault why;
    assert_int_equal(replay_open(&r, &io_system, path, "t", "v", &why), CODE_OK);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(replay_next(r, &row, &why), CODE_OK);
        assert_true(row.time_us == (1000 + (int64_t)i) * 1000000);
    }
    assert_int_equal(replay_next(r, &row, &why), CODE_END);
    replay_close(r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        bool        at_open;
    } cases[] = {
        { "", "is empty", true },
        { "a,b\n", "no column 'timestamp'; it has: a, b", true },
        { "timestamp,value\nnoon,1\n", ":2: 'noon' is not a time", false },
        { "timestamp,value\n2013-07-04 00:00:00,warm\n", ":2: 'warm' is not a number", false },
        { "timestamp,value\n2013-07-04 00:00:00\n", ":2: 1 columns", false },
        { "timestamp,value\n2013-07-04 00:00:00,\x1b[2J\n", "'\\x1b[2J' is not a number", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(cases[i].text);
        struct replay *r = NULL;
        struct replay_row row;
        struct fault why = { .text = "" };
        enum code c = replay_open(&r, &io_system, path, "timestamp", "value", &why);
        assert_true((c != CODE_OK) == cases[i].at_open);
        if (c == CODE_OK)
            assert_int_not_equal(replay_next(r, &row, &why), CODE_OK);
        if (!strstr(why.text, cases[i].says))
            fail_msg("case %zu says: %s", i, why.text);
        replay_close(r);
        (void)unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(rows_come_in_order_with_their_text, remove_file),
        cmocka_unit_test_teardown(a_long_file_is_read_to_its_end, remove_file),
        cmocka_unit_test_teardown(what_is_wrong_is_named, remove_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
