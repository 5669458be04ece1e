#include "cli/options.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])
#define NOW INT64_C(1795350896000000)

enum colour { RED, GREEN, BLUE };

struct values {
    const char            *host, *message;
    struct texts           topics, filters;
    uint32_t               port, qos;
    uint64_t               count, bytes, for_us, wait_us;
    double                 speed;
    int64_t                since;
    bool                   retain, lines, quiet;
    enum colour            colour;
    struct flag_properties properties;
};

static const char *const colours[] = { "red", "green", "blue", NULL };

/* As mosquitto's users know them: -h is the host, so only --help asks for help. */
static const struct flag all[] = {
    { 'h', "host", FLAG_TEXT, FLAG_FIELD(struct values, host), .value = "HOST", .help = "the broker",
      .def = "127.0.0.1" },
    { 'p', "port", FLAG_COUNT, FLAG_FIELD(struct values, port), .min = 1, .max = 65535, .def = "1883",
      .help = "port" },
    { 't', "topic", FLAG_TEXTS, FLAG_FIELD(struct values, topics), .value = "TOPIC", .help = "the topic" },
    { 0, "filter", FLAG_TEXTS, FLAG_FIELD(struct values, filters), .help = "filter", .def = "#" },
    { 'm', "message", FLAG_TEXT, FLAG_FIELD(struct values, message), .help = "the message" },
    { 'q', "qos", FLAG_COUNT, FLAG_FIELD(struct values, qos), .max = 2, .help = "0, 1 or 2" },
    { 'C', "count", FLAG_COUNT, FLAG_FIELD(struct values, count), .help = "end after so many" },
    { 'W', "wait", FLAG_SECONDS, FLAG_FIELD(struct values, wait_us), .help = "give up after so long" },
    { 0, "for", FLAG_DURATION, FLAG_FIELD(struct values, for_us), .min = 1000000, .max = 3600000000,
      .help = "how long" },
    { 0, "bytes", FLAG_SIZE, FLAG_FIELD(struct values, bytes), .max = 1 << 20, .help = "size" },
    { 0, "speed", FLAG_DECIMAL, FLAG_FIELD(struct values, speed), .def = "1.5", .help = "speed" },
    { 0, "since", FLAG_TIME, FLAG_FIELD(struct values, since), .help = "from when" },
    { 'r', "retain", FLAG_SWITCH, FLAG_FIELD(struct values, retain), .help = "retain" },
    { 'l', "lines", FLAG_SWITCH, FLAG_FIELD(struct values, lines), .help = "lines" },
    { 0, "quiet", FLAG_SWITCH, FLAG_FIELD(struct values, quiet), .help = "quiet" },
    { 0, "colour", FLAG_CHOICE, FLAG_FIELD(struct values, colour), .words = colours, .def = "green",
      .help = "colour" },
    { 'D', "property", FLAG_PROPERTY, FLAG_FIELD(struct values, properties), .help = "property" },
    { 0, "old-name", FLAG_TEXT, FLAG_FIELD(struct values, message), .help = "hidden", .hidden = true },
    FLAGS_END,
};

static struct values  values;
static struct options options;
static struct fault   why;

/* Splits at blanks; a word's own blanks are written as _. */
static enum code parse_table(const struct flag *table, const char *line)
{
    static char words[1024];
    static const char *argv[64];
    int argc = 0;
    (void)snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
    values = (struct values){ 0 };
    why = (struct fault){ 0 };
    return options_parse(&options, table, &values, argc, argv, NOW, &why);
}

static enum code parse(const char *line)
{
    return parse_table(all, line);
}

static void good(const char *line)
{
    enum code c = parse(line);
    if (c != CODE_OK)
        print_error("%s: %s\n", line, why.text);
    assert_int_equal(c, CODE_OK);
}

static void without_flags_the_defaults_hold(void **state)
{
    (void)state;
    good("");
    assert_string_equal(values.host, "127.0.0.1");
    assert_int_equal(values.port, 1883);
    assert_int_equal(values.qos, 0);
    assert_null(values.message);
    assert_int_equal(values.topics.count, 0);
    assert_int_equal(values.filters.count, 1);
    assert_string_equal(values.filters.at[0], "#");
    assert_int_equal(values.colour, GREEN);
    assert_true(values.speed > 1.4 && values.speed < 1.6);
    assert_false(values.retain);
    assert_false(options_given(&options, "port"));
    options_clear(&options);
}

static void every_spelling_of_a_flag_means_the_same(void **state)
{
    (void)state;
    static const char *const lines[] = { "-t a/b -p 1884 -r",
                                         "--topic a/b --port 1884 --retain",
                                         "--topic=a/b --port=1884 --retain",
                                         "-ta/b -p1884 -r",
                                         "-rp 1884 -t a/b",
                                         "-rp1884 -ta/b" };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        good(lines[i]);
        assert_int_equal(values.topics.count, 1);
        assert_string_equal(values.topics.at[0], "a/b");
        assert_int_equal(values.port, 1884);
        assert_true(values.retain);
        assert_true(options_given(&options, "port"));
        assert_true(options_given(&options, "topic"));
        assert_false(options_given(&options, "qos"));
        assert_int_equal(options.args.count, 0);
        options_clear(&options);
    }
}

static void mosquittos_fingers_work(void **state)
{
    (void)state;
    good("-h gw1 -p 1883 -t factory/line1 -m 21.4 -q 1 -r -C 5 -W 3");
    assert_string_equal(values.host, "gw1");
    assert_string_equal(values.message, "21.4");
    assert_int_equal(values.qos, 1);
    assert_int_equal(values.count, 5);
    assert_int_equal(values.wait_us, 3000000);
    assert_false(options.help);
    options_clear(&options);
    good("-W 1m30s -t a -t b -t c");
    assert_int_equal(values.wait_us, 90000000);
    assert_int_equal(values.topics.count, 3);
    assert_string_equal(values.topics.at[2], "c");
    options_clear(&options);
}

static void properties_take_three_words_or_four(void **state)
{
    (void)state;
    good(
        "-D PUBLISH user-property colour red -t a -D publish content-type text/plain -D connect"
        " user-property -t -m");
    assert_int_equal(values.properties.count, 3);
    assert_string_equal(values.properties.at[0].command, "PUBLISH");
    assert_string_equal(values.properties.at[0].name, "user-property");
    assert_string_equal(values.properties.at[0].key, "colour");
    assert_string_equal(values.properties.at[0].value, "red");
    assert_null(values.properties.at[1].key);
    assert_string_equal(values.properties.at[1].value, "text/plain");
    assert_string_equal(values.properties.at[2].key, "-t"); /* words behind -D are its own */
    assert_string_equal(values.properties.at[2].value, "-m");
    assert_int_equal(values.topics.count, 1);
    options_clear(&options);
}

static void values_may_look_like_flags_and_arguments_like_values(void **state)
{
    (void)state;
    good("-m -r one - -t --port two -- -p --help");
    assert_string_equal(values.message, "-r");
    assert_string_equal(values.topics.at[0], "--port");
    assert_false(values.retain);
    assert_int_equal(values.port, 1883);
    assert_int_equal(options.args.count, 5);
    static const char *const want[] = { "one", "-", "two", "-p", "--help" };
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(options.args.at[i], want[i]);
    options_clear(&options);
    good("--message=");
    assert_string_equal(values.message, "");
    options_clear(&options);
    good("-m ''");
    assert_string_equal(values.message, "");
    options_clear(&options);
}

/* `opcua write URL NODE -1`: nobody thinks of "--" there. */
static void negative_numbers_are_arguments(void **state)
{
    (void)state;
    good("a -1 -0.5 -r -.5e3 -q 1 -12");
    static const char *const want[] = { "a", "-1", "-0.5", "-.5e3", "-12" };
    assert_int_equal(options.args.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(options.args.at[i], want[i]);
    assert_true(values.retain);
    assert_int_equal(values.qos, 1);
    options_clear(&options);
    static const struct flag digits[] = {
        { '1', "one", FLAG_SWITCH, FLAG_FIELD(struct values, quiet), .help = "one" }, FLAGS_END
    };
    assert_int_equal(parse_table(digits, "-1 -2"), CODE_OK);
    assert_true(values.quiet);
    assert_int_equal(options.args.count, 1);
    options_clear(&options);
    static const char *const flags[] = { "-x", "-", "-.", "-x1", "-.x", "--1" };
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        assert_int_equal(parse_table(digits, flags[i]), i == 1 ? CODE_OK : CODE_USAGE);
        options_clear(&options);
    }
}

static void units_are_understood(void **state)
{
    (void)state;
    good("--for 2m30s --bytes 64KiB --since 10m --speed 0.5 --colour blue");
    assert_int_equal(values.for_us, 150000000);
    assert_int_equal(values.bytes, 65536);
    assert_int_equal(values.since, NOW - 600000000);
    assert_true(values.speed > 0.4 && values.speed < 0.6);
    assert_int_equal(values.colour, BLUE);
    options_clear(&options);
}

static void what_is_wrong_is_said_with_the_right_form(void **state)
{
    (void)state;
    static const struct {
        const char *line, *said;
    } table[] = {
        { "--retian", "unknown flag --retian. Did you mean --retain?" },
        { "--top a", "unknown flag --top. Did you mean --topic?" },
        { "--hepl", "unknown flag --hepl. Did you mean --help?" },
        { "--enroll=yes", "unknown flag --enroll" },
        { "--old-nam x", "unknown flag --old-nam" },
        { "-x", "unknown flag -x" },
        { "-rx", "unknown flag -x" },
        { "-t", "-t, --topic needs a value: TOPIC" },
        { "--for", "--for needs a value: VALUE" },
        { "--retain=yes", "-r, --retain takes no value, got 'yes'" },
        { "-p 0", "-p, --port must be a whole number from 1 to 65535, got '0'" },
        { "-p 65536", "from 1 to 65535, got '65536'" },
        { "-p x", "got 'x'" },
        { "-q 3", "-q, --qos must be a whole number from 0 to 2, got '3'" },
        { "-C 18446744073709551616", "from 0 to 18446744073709551615" },
        { "--for 10", "--for must be a duration" },
        { "--for 1ms", "--for must be from 1s to 1h, got '1ms'" },
        { "--for 2h", "--for must be from 1s to 1h, got '2h'" },
        { "--bytes 2MiB", "--bytes must be from 0 to 1MiB, got '2MiB'" },
        { "--bytes much", "--bytes must be a size" },
        { "-W soon", "-W, --wait must be a duration" },
        { "--speed fast", "--speed must be a decimal number" },
        { "--since whenever", "--since must be a time" },
        { "--since tomorrow", "today 06:00" },
        { "--colour pink", "--colour must be red, green or blue, got 'pink'" },
        { "-D PUBLISH content-type", "-D, --property must be COMMAND PROPERTY VALUE" },
        { "-D PUBLISH user-property name", "user-property NAME VALUE" },
        { "-p 1 -p 2", "-p, --port stands twice on the command line; keep one" },
        { "-m a --message b", "-m, --message stands twice" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        enum code c = parse(table[i].line);
        if (c != CODE_USAGE || !strstr(why.text, table[i].said))
            print_error("%s: '%s', wanted '%s'\n", table[i].line, why.text, table[i].said);
        assert_int_equal(c, CODE_USAGE);
        assert_non_null(strstr(why.text, table[i].said));
        options_clear(&options);
    }
}

static void a_list_that_is_said_replaces_its_default(void **state)
{
    (void)state;
    good("--filter a --filter b");
    assert_int_equal(values.filters.count, 2);
    assert_string_equal(values.filters.at[0], "a");
    options_clear(&options);
}

static void help_wins_over_whatever_else_is_wrong(void **state)
{
    (void)state;
    good("--nonsense --port x --help");
    assert_true(options.help);
    options_clear(&options);
    good("-- --help");
    assert_false(options.help);
    options_clear(&options);
    /* Without an own -h it asks for help too. */
    static const struct flag few[] = {
        { 'q', "quiet", FLAG_SWITCH, FLAG_FIELD(struct values, quiet), .help = "q" }, FLAGS_END
    };
    assert_int_equal(parse_table(few, "-qh"), CODE_OK);
    assert_true(options.help);
    options_clear(&options);
    assert_int_equal(parse_table(NULL, "-h"), CODE_OK);
    assert_true(options.help);
    options_clear(&options);
    assert_int_equal(parse_table(NULL, "-x"), CODE_USAGE);
    options_clear(&options);
    assert_int_equal(parse_table(NULL, "a b"), CODE_OK);
    assert_int_equal(options.args.count, 2);
    options_clear(&options);
}

static void a_required_flag_must_stand_there(void **state)
{
    (void)state;
    static const struct flag must[] = {
        { 't', "topic", FLAG_TEXTS, FLAG_FIELD(struct values, topics), .value = "TOPIC", .help = "the topic",
          .required = true },
        FLAGS_END,
    };
    assert_int_equal(parse_table(must, ""), CODE_USAGE);
    assert_string_equal(why.text, "-t, --topic TOPIC is missing: the topic");
    options_clear(&options);
    assert_int_equal(parse_table(must, "-t a"), CODE_OK);
    options_clear(&options);
    assert_int_equal(parse_table(must, "--help"), CODE_OK);
    options_clear(&options);
}

static void arguments_have_a_limit(void **state)
{
    (void)state;
    static const char *argv[OPTIONS_ARGS_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(argv); i++)
        argv[i] = "x";
    assert_int_equal(options_parse(&options, NULL, NULL, OPTIONS_ARGS_MAX, argv, NOW, &why), CODE_OK);
    options_clear(&options);
    assert_int_equal(options_parse(&options, NULL, NULL, OPTIONS_ARGS_MAX + 1, argv, NOW, &why), CODE_USAGE);
    options_clear(&options);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        mem_fail_at(n);
        enum code c = parse("-t a -t b -D PUBLISH content-type x arg --filter f");
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(c, fired ? CODE_NOMEM : CODE_OK);
        options_clear(&options);
        if (!fired)
            break;
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_flags_the_defaults_hold),
        cmocka_unit_test(every_spelling_of_a_flag_means_the_same),
        cmocka_unit_test(mosquittos_fingers_work),
        cmocka_unit_test(properties_take_three_words_or_four),
        cmocka_unit_test(values_may_look_like_flags_and_arguments_like_values),
        cmocka_unit_test(negative_numbers_are_arguments),
        cmocka_unit_test(units_are_understood),
        cmocka_unit_test(what_is_wrong_is_said_with_the_right_form),
        cmocka_unit_test(a_list_that_is_said_replaces_its_default),
        cmocka_unit_test(help_wins_over_whatever_else_is_wrong),
        cmocka_unit_test(a_required_flag_must_stand_there),
        cmocka_unit_test(arguments_have_a_limit),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
