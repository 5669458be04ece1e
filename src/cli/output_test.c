#include "cli/output.h"

#include "base/mem.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

static const struct column columns[] = {
    { "OWNER", "owner", COLUMN_TEXT },
    { "LAG", "lag", COLUMN_NUMBER },
    { "LAST EVENT", "last-event", COLUMN_TEXT },
};

static char  *text;
static size_t len;

static void two_rows(struct output *o)
{
    output_text(o, BYTES_LIT("reader-a"));
    output_count(o, 0);
    output_printf(o, "%.1f s ago", 0.2);
    output_text(o, BYTES_LIT("b"));
    output_count(o, 12345);
    output_none(o);
}

static const char *printed(enum output_format format, void (*rows)(struct output *))
{
    struct output o;
    free(text);
    FILE *to = open_memstream(&text, &len);
    output_open(&o, to, format, "consumers", columns, 3);
    rows(&o);
    assert_int_equal(output_close(&o), 0);
    assert_int_equal(fclose(to), 0);
    return text;
}

static void a_table_that_is_no_terminal_has_tabs(void **state)
{
    (void)state;
    assert_string_equal(printed(OUTPUT_TABLE, two_rows),
                        "OWNER\tLAG\tLAST EVENT\nreader-a\t0\t0.2 s ago\nb\t12345\t-\n");
}

static void json_is_one_versioned_object(void **state)
{
    (void)state;
    assert_string_equal(printed(OUTPUT_JSON, two_rows),
                        "{\"version\":1,\"consumers\":[\n"
                        "{\"owner\":\"reader-a\",\"lag\":0,\"last-event\":\"0.2 s ago\"},\n"
                        "{\"owner\":\"b\",\"lag\":12345,\"last-event\":null}\n]}\n");
}

static void jsonl_is_an_object_a_line(void **state)
{
    (void)state;
    assert_string_equal(printed(OUTPUT_JSONL, two_rows),
                        "{\"owner\":\"reader-a\",\"lag\":0,\"last-event\":\"0.2 s ago\"}\n"
                        "{\"owner\":\"b\",\"lag\":12345,\"last-event\":null}\n");
}

static void csv_follows_rfc_4180(void **state)
{
    (void)state;
    assert_string_equal(printed(OUTPUT_CSV, two_rows),
                        "owner,lag,last-event\r\nreader-a,0,0.2 s ago\r\nb,12345,\r\n");
}

static void no_rows(struct output *o)
{
    (void)o;
}

static void without_rows_the_shape_stays(void **state)
{
    (void)state;
    assert_string_equal(printed(OUTPUT_TABLE, no_rows), "OWNER\tLAG\tLAST EVENT\n");
    assert_string_equal(printed(OUTPUT_JSON, no_rows), "{\"version\":1,\"consumers\":[]}\n");
    assert_string_equal(printed(OUTPUT_JSONL, no_rows), "");
    assert_string_equal(printed(OUTPUT_CSV, no_rows), "owner,lag,last-event\r\n");
}

static void hostile_rows(struct output *o)
{
    output_text(o, BYTES_LIT("a\tb\n\x1b[31m\"\\\xff\xc2\x9b,"));
    output_decimal(o, 1.0 / 3, 3);
    output_either(o, BYTES_LIT("7d"), BYTES_LIT("604800"));
    output_text(o, BYTES_NONE);
    output_decimal(o, NAN, 1);
    output_decimal(o, 1e300, 1);
}

static void text_from_peers_steers_nothing(void **state)
{
    (void)state;
    assert_string_equal(printed(OUTPUT_TABLE, hostile_rows),
                        "OWNER\tLAG\tLAST EVENT\n"
                        "a\\x09b\\x0a\\x1b[31m\"\\\\xff\\xc2\\x9b,\t0.333\t7d\n\t-\t1.0e+300\n");
    assert_string_equal(
        printed(OUTPUT_JSONL, hostile_rows),
        "{\"owner\":\"a\\u0009b\\u000a\\u001b[31m\\\"\\\\\xef\xbf\xbd\\u009b,\",\"lag\":0.333,"
        "\"last-event\":604800}\n{\"owner\":\"\",\"lag\":null,\"last-event\":1.0e+300}\n");
    assert_string_equal(
        printed(OUTPUT_CSV, hostile_rows),
        "owner,lag,last-event\r\n\"a\tb\n\x1b[31m\"\"\\\xff\xc2\x9b,\",0.333,7d\r\n,,1.0e+300\r\n");
}

/* ---- on a terminal ---- */

static int  terminal, screen;
static char shown[1 << 16];

static FILE *open_terminal(void)
{
    terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    screen = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(screen >= 0);
    struct termios raw;
    assert_int_equal(tcgetattr(screen, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(screen, TCSANOW, &raw), 0);
    return fdopen(screen, "w");
}

static const char *read_terminal(FILE *to)
{
    size_t n = 0;
    assert_int_equal(fflush(to), 0);
    assert_int_equal(fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
    for (ssize_t r; n < sizeof shown - 1 && (r = read(terminal, shown + n, sizeof shown - 1 - n)) > 0;)
        n += (size_t)r;
    shown[n] = 0;
    assert_int_equal(fclose(to), 0);
    assert_int_equal(close(terminal), 0);
    return shown;
}

static void a_table_on_a_terminal_is_aligned(void **state)
{
    (void)state;
    struct output o;
    FILE *to = open_terminal();
    output_open(&o, to, OUTPUT_TABLE, "consumers", columns, 3);
    assert_true(o.aligned);
    two_rows(&o);
    output_text(&o, BYTES_LIT("\xc3\xbc")); /* one column wide, two bytes */
    output_count(&o, 7);
    output_text(&o, BYTES_LIT("x"));
    assert_int_equal(output_close(&o), 0);
    assert_string_equal(read_terminal(to), "OWNER       LAG  LAST EVENT\n"
                                           "reader-a      0  0.2 s ago\n"
                                           "b         12345  -\n"
                                           "\xc3\xbc             7  x\n");
}

static void an_endless_table_is_shown_in_pieces(void **state)
{
    (void)state;
    static const struct column one[] = { { "N", "n", COLUMN_NUMBER } };
    struct output o;
    FILE *to = open_terminal();
    output_open(&o, to, OUTPUT_TABLE, "n", one, 1);
    for (uint64_t i = 0; i < 499; i++)
        output_count(&o, i % 10);
    assert_int_equal(o.held_rows, 499);
    output_count(&o, 1000);
    assert_int_equal(o.held_rows, 0);
    output_count(&o, 1);
    assert_int_equal(output_close(&o), 0);
    const char *all = read_terminal(to);
    assert_memory_equal(all, "   N\n   0\n   1\n", 15);
    assert_non_null(strstr(all, "\n1000\n   1\n"));
    assert_null(strstr(all + 5, "N"));
}

static void without_rows_a_terminal_shows_the_titles(void **state)
{
    (void)state;
    struct output o;
    FILE *to = open_terminal();
    output_open(&o, to, OUTPUT_TABLE, "consumers", columns, 3);
    assert_int_equal(output_close(&o), 0);
    assert_string_equal(read_terminal(to), "OWNER  LAG  LAST EVENT\n");
}

static void colour_is_for_terminals_that_want_it(void **state)
{
    (void)state;
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    FILE *file = tmpfile(), *to = open_terminal();
    assert_false(output_colour(file));
    assert_true(output_colour(to));
    output_mark(to, MARK_BAD);
    setenv("NO_COLOR", "1", 1);
    assert_false(output_colour(to));
    output_mark(to, MARK_OK);
    setenv("NO_COLOR", "", 1);
    assert_true(output_colour(to));
    setenv("TERM", "dumb", 1);
    assert_false(output_colour(to));
    unsetenv("TERM");
    assert_false(output_colour(to));
    output_mark(to, MARK_WARN);
    assert_string_equal(read_terminal(to), "\x1b[31mxx\x1b[0mok!!");
    assert_int_equal(fclose(file), 0);
}

/* ---- failures ---- */

static void what_cannot_be_written_is_told(void **state)
{
    (void)state;
    struct output o;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    assert_int_equal(dup2(null, STDERR_FILENO), STDERR_FILENO);
    output_open(&o, full, OUTPUT_JSONL, "consumers", columns, 3);
    two_rows(&o);
    int lost = output_close(&o);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    (void)close(kept);
    (void)close(null);
    assert_int_equal(lost, 1);
    (void)fclose(full);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (int format = OUTPUT_TABLE; format <= OUTPUT_CSV; format++)
        for (uint64_t n = 1;; n++) {
            struct output o;
            int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
            FILE *to = open_memstream(&text, &len);
            output_open(&o, to, (enum output_format)format, "consumers", columns, 3);
            o.aligned = format == OUTPUT_TABLE && n % 2;
            (void)dup2(null, STDERR_FILENO);
            mem_fail_at(n);
            two_rows(&o);
            int lost = output_close(&o);
            bool fired = mem_fail_fired();
            mem_fail_at(0);
            (void)dup2(kept, STDERR_FILENO);
            (void)close(kept);
            (void)close(null);
            assert_int_equal(lost, fired);
            assert_int_equal(fclose(to), 0);
            free(text);
            text = NULL;
            if (!fired && n > 2)
                break;
            assert_true(n < 100);
        }
}

static int forget(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_is_no_terminal_has_tabs),
        cmocka_unit_test(json_is_one_versioned_object),
        cmocka_unit_test(jsonl_is_an_object_a_line),
        cmocka_unit_test(csv_follows_rfc_4180),
        cmocka_unit_test(without_rows_the_shape_stays),
        cmocka_unit_test_teardown(text_from_peers_steers_nothing, forget),
        cmocka_unit_test(a_table_on_a_terminal_is_aligned),
        cmocka_unit_test(an_endless_table_is_shown_in_pieces),
        cmocka_unit_test(without_rows_a_terminal_shows_the_titles),
        cmocka_unit_test(colour_is_for_terminals_that_want_it),
        cmocka_unit_test(what_cannot_be_written_is_told),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
