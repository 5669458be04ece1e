#include "cli/verb.h"

#include "base/mem.h"
#include "cli/config.h"
#include "cli/verbs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])

/* ---- verbs of the test's own ---- */

struct send {
    const char *topic;
    uint32_t    count;
    bool        retain;
};

static const struct flag send_flags[] = {
    { 't', "topic", FLAG_TEXT, FLAG_FIELD(struct send, topic), .value = "TOPIC", .help = "where to",
      .required = true },
    { 'C', "count", FLAG_COUNT, FLAG_FIELD(struct send, count), .value = "N", .help = "how often",
      .def = "1" },
    { 0, "a-flag-with-a-very-long-name-indeed", FLAG_SWITCH, FLAG_FIELD(struct send, retain),
      .help = "long" },
    { 0, "secret", FLAG_SWITCH, FLAG_FIELD(struct send, retain), .help = "hidden", .hidden = true },
    FLAGS_END,
};

static int run_send(struct verb_call *call)
{
    struct send *s = call->values;
    (void)fprintf(call->out, "%s x%u", s->topic, s->count);
    for (size_t i = 0; i < call->options->args.count; i++)
        (void)fprintf(call->out, " %s", call->options->args.at[i]);
    (void)fputc('\n', call->out);
    return STATUS_WARNINGS;
}

static const struct verb verb_send = {
    .name = "send",
    .group = "messages",
    .summary = "send something",
    .detail = "A word more.",
    .examples = { "fieldgate send -t a", "fieldgate send -t a -C 3", "fieldgate send -t a x y" },
    .args = "[FROM [TO]]",
    .args_max = 2,
    .flags = send_flags,
    .values_size = sizeof(struct send),
    .run = run_send,
};

static enum code failing = CODE_IO;
static int       numbered;

static int run_fail(struct verb_call *call)
{
    struct fault why = { .code = failing, .number = numbered };
    (void)snprintf(why.text, sizeof why.text, "the sentence");
    return verb_fail(call, &why);
}

static const struct verb verb_fails = {
    .name = "fail", .group = "run", .summary = "fail", .examples = { "fieldgate fail x" }, .args = "WHAT",
    .args_min = 1, .args_max = 1, .run = run_fail,
};

static const struct verb verb_hidden = { .name = "hidden", .summary = "not listed", .run = run_fail };

static const struct verb *const verbs[] = { &verb_send, &verb_fails, &verb_hidden, &verb_config,
                                            &verb_help, &verb_version, NULL };

/* ---- running one ---- */

static char  *out_text, *err_text;
static size_t out_len, err_len;
static const char *const home[] = { "HOME=/h/ann", "FIELDGATE_CONFIG=/nowhere/f.yaml", NULL };
static const char *const *environment = home;

static int run(const char *line)
{
    static char words[512];
    const char *argv[32] = { "fieldgate" };
    int argc = 1;
    free(out_text);
    free(err_text);
    FILE *out = open_memstream(&out_text, &out_len), *err = open_memstream(&err_text, &err_len);
    (void)snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    int status = verb_main(verbs, &io_system, argc, argv, environment, out, err);
    (void)fclose(out);
    (void)fclose(err);
    return status;
}

static void a_verb_runs_with_its_flags_and_arguments(void **state)
{
    (void)state;
    assert_int_equal(run("send -t a/b one two"), STATUS_WARNINGS);
    assert_string_equal(out_text, "a/b x1 one two\n");
    assert_string_equal(err_text, "");
    assert_int_equal(run("send one -C 3 --topic=x"), STATUS_WARNINGS);
    assert_string_equal(out_text, "x x3 one\n");
}

static void wrong_usage_is_two_and_says_where_help_is(void **state)
{
    (void)state;
    static const struct {
        const char *line, *said;
    } table[] = {
        { "", "Exit status: 0 done" },
        { "sned", "fieldgate: there is no verb 'sned'. Did you mean 'send'?\nAll verbs: fieldgate --help\n" },
        { "frobnicate", "fieldgate: there is no verb 'frobnicate'.\nAll verbs: fieldgate --help\n" },
        { "hiddne", "there is no verb 'hiddne'.\n" },
        { "-t a", "fieldgate: a verb comes first, got '-t'\nHow to use it: fieldgate --help\n" },
        { "send",
          "fieldgate send: -t, --topic TOPIC is missing: where to\nHow to use it: fieldgate send --help\n" },
        { "send -t a --cuont 3", "unknown flag --cuont. Did you mean --count?" },
        { "send -t a 1 2 3", "fieldgate send: takes [FROM [TO]], got also '3'" },
        { "fail", "fieldgate fail: needs WHAT" },
        { "version x", "fieldgate version: takes no arguments, got 'x'" },
        { "config", "fieldgate config: needs a verb\nHow to use it: fieldgate config --help\n" },
        { "config shwo", "fieldgate config: there is no verb 'shwo'. Did you mean 'show'?\n" },
        { "config show --set loops", "--set needs KEY=VALUE, such as log.level=debug, got 'loops'" },
        { "help nothing", "there is no verb or topic 'nothing'" },
        { "help m2n", "Did you mean 'm2m'?" },
        { "help config nothing", "there is no verb or topic 'nothing'" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int status = run(table[i].line);
        if (status != STATUS_USAGE || !strstr(err_text, table[i].said))
            print_error("%s: %d, %s\n", table[i].line, status, err_text);
        assert_int_equal(status, STATUS_USAGE);
        assert_non_null(strstr(err_text, table[i].said));
        assert_string_equal(out_text, "");
    }
}

static void failures_have_their_status_and_sentence(void **state)
{
    (void)state;
    static const struct {
        enum code   code;
        int         number, status;
        const char *said;
    } table[] = {
        { CODE_IO, 0, STATUS_FAILED, "fieldgate fail: the sentence\n" },
        { CODE_IO, 1004, STATUS_FAILED, "FG1004 the sentence\n" },
        { CODE_USAGE, 1012, STATUS_USAGE, "FG1012 the sentence\n" },
        { CODE_CLOSED, 0, STATUS_NOT_RUNNING, "fieldgate fail: the sentence\n" },
        { CODE_NOMEM, 0, STATUS_FAILED, "fieldgate fail: the sentence\n" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        failing = table[i].code;
        numbered = table[i].number;
        assert_int_equal(run("fail now"), table[i].status);
        assert_string_equal(err_text, table[i].said);
    }
}

static void help_shows_examples_before_flags(void **state)
{
    (void)state;
    static const char page[] = "fieldgate send - send something\n"
                               "\n"
                               "  fieldgate send -t a\n"
                               "  fieldgate send -t a -C 3\n"
                               "  fieldgate send -t a x y\n"
                               "\n"
                               "Usage: fieldgate send [FLAGS] [FROM [TO]]\n"
                               "\n"
                               "Flags:\n"
                               "  -t, --topic TOPIC  where to\n"
                               "  -C, --count N      how often (default 1)\n"
                               "      --a-flag-with-a-very-long-name-indeed\n"
                               "                     long\n"
                               "      --help         this page\n"
                               "\n"
                               "A word more.\n";
    assert_int_equal(run("send --help"), STATUS_DONE);
    assert_string_equal(out_text, page);
    assert_int_equal(run("send -h"), STATUS_DONE);
    assert_string_equal(out_text, page);
    assert_int_equal(run("help send"), STATUS_DONE);
    assert_string_equal(out_text, page);
    assert_int_equal(run("config --help"), STATUS_DONE);
    assert_non_null(strstr(out_text, "Verbs:\n  check "));
    assert_null(strstr(out_text, "doc"));
    assert_int_equal(run("help config show"), STATUS_DONE);
    assert_non_null(strstr(out_text, "Usage: fieldgate config show [FLAGS]\n"));
    assert_int_equal(run("help m2m"), STATUS_DONE);
    assert_non_null(strstr(out_text, "fieldgate events"));
}

static void the_overview_lists_what_is_there(void **state)
{
    (void)state;
    static const char *const lines[] = { "--help", "-h", "help" };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_int_equal(run(lines[i]), STATUS_DONE);
        assert_non_null(strstr(out_text, "\nmessages\n  send              send something\n"));
        assert_non_null(strstr(out_text, "\ncare\n  config check      "));
        assert_non_null(strstr(out_text, "\n  config show       "));
        assert_null(strstr(out_text, "hidden"));
        assert_null(strstr(out_text, "demo"));
    }
}

static void the_version_is_one_line(void **state)
{
    (void)state;
    assert_int_equal(run("version"), STATUS_DONE);
    assert_string_equal(out_text, "fieldgate " FG_VERSION "\n");
    assert_int_equal(run("--version"), STATUS_DONE);
    assert_string_equal(out_text, "fieldgate " FG_VERSION "\n");
    assert_int_equal(run("version -o jsonl"), STATUS_DONE);
    assert_string_equal(out_text, "{\"name\":\"fieldgate\",\"version\":\"" FG_VERSION "\"}\n");
}

/* ---- config ---- */

static char file[] = "/tmp/verb_test.XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int check(const char *format)
{
    char line[128];
    (void)snprintf(line, sizeof line, "config check %s%s", file, format);
    return run(line);
}

static void config_check_names_every_error(void **state)
{
    (void)state;
    char want[512];
    write_file("site: a\n");
    assert_int_equal(check(""), STATUS_DONE);
    (void)snprintf(want, sizeof want, "%s: valid\n", file);
    assert_string_equal(out_text, want);
    write_file("stie: a\nloops: x\n");
    assert_int_equal(check(""), STATUS_FAILED);
    (void)snprintf(want, sizeof want,
                   "FG1012 %s:1:1: unknown key 'stie'. Did you mean 'site'?\n"
                   "FG1013 %s:2:8: loops must be a whole number from 0 to 256, got 'x'. Its default is 0\n"
                   "%s: 2 errors, nothing would start or change\n",
                   file, file, file);
    assert_string_equal(out_text, want);
    assert_int_equal(check(" -o jsonl"), STATUS_FAILED);
    assert_non_null(strstr(out_text, "{\"level\":\"error\",\"code\":\"FG1012\",\"where\":\""));
    assert_non_null(strstr(out_text, ",\"line\":2,\"column\":8,\"text\":\"loops must be"));
    write_file("hub: { topics: [a#] }\n");
    assert_int_equal(check(""), STATUS_FAILED);
    assert_non_null(strstr(out_text, ":1:17: hub.topics[0]: 'a#' is not an MQTT topic filter"));
}

static void config_check_says_four_for_warnings(void **state)
{
    (void)state;
    static const char *const odd[] = { "FIELDGATE_SIET=x", NULL };
    write_file("site: a\n");
    environment = odd;
    assert_int_equal(check(""), STATUS_WARNINGS);
    environment = home;
    assert_non_null(strstr(out_text, "FG1012 environment FIELDGATE_SIET: no setting has this name"));
    assert_non_null(strstr(out_text, "Did you mean FIELDGATE_SITE?"));
    assert_non_null(strstr(out_text, "valid, 1 warning\n"));
}

static void config_show_prints_values_with_their_origin(void **state)
{
    (void)state;
    char line[256], want[256];
    write_file("site: plant-a\nhub: { keep: 1d }\n");
    (void)snprintf(line, sizeof line, "config show --config %s --data /d --set hub.keep=2d --set loops=2",
                   file);
    assert_int_equal(run(line), STATUS_DONE);
    (void)snprintf(
        want, sizeof want,
        "KEY\tVALUE\tFROM\nsite\tplant-a\t%s:1\ndata\t/d\t--data\nloops\t2\t--set\nhub.keep\t2d\t--set\n",
        file);
    assert_string_equal(out_text, want);
    (void)snprintf(line, sizeof line, "config show --effective --config %s -o jsonl", file);
    assert_int_equal(run(line), STATUS_DONE);
    (void)snprintf(want, sizeof want, "{\"key\":\"hub.keep\",\"value\":86400,\"from\":\"%s:2\"}\n", file);
    assert_non_null(strstr(out_text, want));
    assert_non_null(strstr(out_text, "{\"key\":\"durability\",\"value\":\"disk\",\"from\":\"default\"}\n"));
    assert_non_null(strstr(out_text, "{\"key\":\"hub.keep-size\",\"value\":null,\"from\":\"default\"}\n"));
}

static void settings_in_error_end_a_verb_with_all_of_them(void **state)
{
    (void)state;
    assert_int_equal(run("config show"), STATUS_USAGE);
    assert_non_null(strstr(err_text, "FG1010 /nowhere/f.yaml: cannot read /nowhere/f.yaml: No such file"));
    assert_string_equal(out_text, "");
    write_file("a: 1\nb: 2\n");
    char line[128];
    (void)snprintf(line, sizeof line, "config show --config %s", file);
    assert_int_equal(run(line), STATUS_USAGE);
    assert_non_null(strstr(err_text, ":1:1: unknown key 'a'"));
    assert_non_null(strstr(err_text, ":2:1: unknown key 'b'"));
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    char line[128];
    write_file("site: plant-a\nhub: { topics: [a, b] }\n");
    (void)snprintf(line, sizeof line, "config show --effective --config %s --set loops=2", file);
    for (uint64_t n = 1;; n++) {
        mem_fail_at(n);
        int status = run(line);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(status, fired ? STATUS_FAILED : STATUS_DONE);
        assert_true(err_len > 0 || !fired);
        if (!fired)
            break;
        assert_true(n < 10000);
    }
}

/* ---- the output ---- */

static void what_cannot_be_written_is_a_failure(void **state)
{
    (void)state;
    static const char *const argv[] = { "fieldgate", "version" };
    free(err_text);
    FILE *full = fopen("/dev/full", "w"), *err = open_memstream(&err_text, &err_len);
    assert_non_null(full);
    assert_int_equal(verb_main(verbs, &io_system, 2, argv, home, full, err), STATUS_FAILED);
    (void)fclose(full);
    (void)fclose(err);
    assert_string_equal(err_text,
                        "fieldgate version: not everything could be written: No space left on device\n");
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file);
    return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    free(out_text);
    free(err_text);
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verb_runs_with_its_flags_and_arguments),
        cmocka_unit_test(wrong_usage_is_two_and_says_where_help_is),
        cmocka_unit_test(failures_have_their_status_and_sentence),
        cmocka_unit_test(help_shows_examples_before_flags),
        cmocka_unit_test(the_overview_lists_what_is_there),
        cmocka_unit_test(the_version_is_one_line),
        cmocka_unit_test(config_check_names_every_error),
        cmocka_unit_test(config_check_says_four_for_warnings),
        cmocka_unit_test(config_show_prints_values_with_their_origin),
        cmocka_unit_test(settings_in_error_end_a_verb_with_all_of_them),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(what_cannot_be_written_is_a_failure),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
