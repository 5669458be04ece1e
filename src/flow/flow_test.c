/* What settings and files declare, as plans: which jobs there are, what a file says of itself, what is refused. On a disk in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flow/flow_private.h"
#include "mqtt/topic.h"
#include "support/memfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct memfs *fs;
static const struct io *io;

static int setup(void **state)
{
    (void)state;
    fs = memfs_new(1);
    io = memfs_io(fs);
    for (const char *const *dir = (const char *const[]){"/etc", "/data", "/data/jobs", NULL}; *dir; dir++)
        (void)io->mkdir(io->self, *dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    memfs_free(fs);
    return 0;
}

static void put(const char *dir, const char *name, const char *text)
{
    struct fault why;
    if (io_replace(io, dir, name, bytes_str(text), &why) != CODE_OK)
        fail_msg("%s", why.text);
}

static const struct settings *settings_of(const char *yaml)
{
    const struct settings *s;
    struct fault why;
    struct settings_source source = {.filter_valid = topic_filter_valid};
    if (settings_parse(&s, io, &source, "f.yaml", bytes_str(yaml), NULL, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return s;
}

/* The names of its jobs, with blanks between them; "FGnnnn words" when it is refused. */
static const char *plan_with_edit(const char *yaml, const struct flow_change_of *edit)
{
    static char said[2048];
    const struct settings *s = settings_of(yaml);
    struct flow_plan *p;
    struct fault why = {0};
    size_t n = 0;
    said[0] = 0;
    if (plan_with(&p, s, io, "/data", edit, &why) != CODE_OK) {
        (void)snprintf(said, sizeof said, "FG%04d %s", why.number, why.text);
    } else {
        for (size_t i = 0; i < p->job_count; i++)
            n += (size_t)snprintf(said + n, sizeof said - n, "%s%s", i ? " " : "", job_plan_name(p->jobs[i]));
        flow_plan_free(p);
    }
    settings_free(s);
    return said;
}

static const char *plan(const char *yaml)
{
    return plan_with_edit(yaml, NULL);
}

static void has(const char *said, const char *words)
{
    if (!strstr(said, words))
        fail_msg("'%s' does not say '%s'", said, words);
}

struct told {
    char text[2048];
    size_t len;
};

static void tell(void *ctx, const struct settings_entry *entry, const struct fault *why)
{
    struct told *t = ctx;
    t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%s%d%s%s", t->len ? " " : "", why->number,
                               entry ? " " : "", entry ? entry->name : "");
}

/* The numbers of all findings, each with the entry that it is about. */
static const char *check(const char *yaml)
{
    static struct told told;
    const struct settings *s = settings_of(yaml);
    struct fault why;
    told = (struct told){.len = 0};
    assert_int_equal(flow_check(s, io, "/data", tell, &told, &why), CODE_OK);
    settings_free(s);
    return told.text;
}

#define SQL "SELECT v INTO o FROM [in/1]"

static void jobs_come_from_files_patterns_entries_and_verbs(void **state)
{
    (void)state;
    put("/etc", "b.sql", SQL);
    put("/etc", "a.sql", SQL);
    put("/etc", "ab.sql", SQL);
    put("/etc", ".hidden.sql", SQL);
    put("/etc", "a.sql.bak", SQL);
    put("/data/jobs", "made.sql", SQL);
    put("/data/jobs", "a.7", "a state");
    assert_string_equal(plan("jobs: /etc/*.sql\n"), "a ab b made");
    assert_string_equal(plan("jobs: /etc/?.sql\n"), "a b made");
    assert_string_equal(plan("jobs: [/etc/b.sql, \"/etc/a?.sql\"]\n"), "b ab made");
    assert_string_equal(plan("jobs: { x: /etc/a.sql, y: { sql: /etc/a.sql, late: 1s } }\n"), "x y made");
    assert_string_equal(plan(""), "made");
    has(plan("jobs: /etc/none.sql\n"), "/etc/none.sql");
    has(plan("jobs: /none/*.sql\n"), "/none/");
    has(plan("jobs: /e*/a.sql\n"), "FG6115 ");
    assert_string_equal(plan("jobs: /etc/z*.sql\n"), "made"); /* none yet */
}

static void everything_wrong_is_told_and_not_what_follows_from_it(void **state)
{
    (void)state;
    put("/etc", "a.sql", SQL);
    put("/etc", "wrong.sql", "SELEC v");
    put("/data/jobs", "made.sql", "SELECT FROM");
    assert_string_equal(check("jobs: { a: /etc/a.sql }\nactions: { x: { on: a.o, do: { publish: { topic: t } } } }\n"), "6101");
    assert_string_equal(check("jobs: { a: /etc/wrong.sql, b: /etc/none.sql, made: /etc/a.sql }\n"), "6101 a 6117 b 6119");
    assert_string_equal(check("jobs: { a: /etc/wrong.sql }\n"
                              "actions: { x: { on: a.o, do: { publish: { topic: t } } }, y: { on: b.o, do: {} }, z: { on: c/d, do: {} } }\n"
                              "routes: { r: FROM job(\"a/o\") INTO job(\"made/i\"), s: FROM job(\"b\") INTO $upstream }\n"),
                        "6101 a 6101 6301 y 6301 z 4101 s");
    assert_string_equal(check("jobs: [/none/*.sql, /etc/a.sql, /etc/a.sql]\n"), "6117 6119 6101");
    assert_string_equal(check("routes: { r: FROM topic(\"a/+\") INTO topic(\"a/b\"), s: FROM topic(\"b/+\") INTO topic(\"a/b\"),\n"
                              "          t: FROM topic(\"c\") INTO topic(\"d\"), u: FROM topic(\"d\") INTO topic(\"c\") }\n"),
                        "6101 4107 4107"); /* r, and t with u */
}

static void what_cannot_be_read_is_not_taken_for_missing(void **state)
{
    (void)state;
    put("/data/jobs", "made.sql", SQL);
    memfs_fail(fs, FS_STAT, 1, EACCES, false);
    memfs_fail(fs, FS_LIST, 1, EACCES, false);
    has(plan(""), "FG6117 the folder of /data/jobs/*.sql cannot be read: ");
    assert_int_equal(memfs_failed(fs, FS_STAT), 1);
    memfs_fail(fs, FS_STAT, 1, EACCES, false);
    has(plan("jobs: /etc/a.sql\n"), "FG6117 /etc/a.sql cannot be read: ");
}

static void a_name_is_taken_once(void **state)
{
    (void)state;
    put("/etc", "a.sql", SQL);
    put("/data", "a.sql", SQL);
    put("/etc", "no name.sql", SQL);
    has(plan("jobs: [/etc/a.sql, /data/a.sql]\n"), "FG6119 there are two jobs with the name a: /data/a.sql is the second");
    has(plan("jobs: [/etc/a.sql, /etc/a.sql]\n"), "FG6119 ");
    put("/data/jobs", "a.sql", SQL);
    has(plan("jobs: /etc/a.sql\n"), "fieldgate job rm a");
    has(plan("jobs: \"/etc/no name.sql\"\n"), "FG6114 'no name'");
}

static void a_hundred_jobs_and_no_more(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < JOBS_MAX; i++) {
        (void)snprintf(name, sizeof name, "job%d.sql", i);
        put("/data/jobs", name, SQL);
    }
    const struct bytes sql = BYTES_LIT(SQL);
    has(plan(""), "job99");
    has(plan_with_edit("", &(struct flow_change_of){"more", &sql}), "FG6119 more.sql would be one more than the 100");
    has(plan_with_edit("", &(struct flow_change_of){"job7", &sql}), "job7");
}

static void a_verb_is_checked_with_everything_else(void **state)
{
    (void)state;
    const struct bytes one = BYTES_LIT("SELECT v INTO [b/1] FROM [a/1]"), back = BYTES_LIT("SELECT v INTO [a/1] FROM [b/+]"),
                       bad = BYTES_LIT("SELECT");
    static const char *const watch = "actions: { a: { on: made.o, do: { publish: { topic: x } } } }\n";
    put("/data/jobs", "made.sql", SQL);
    assert_string_equal(plan_with_edit("", &(struct flow_change_of){"one", &one}), "made one");
    has(plan_with_edit("", &(struct flow_change_of){"one", &bad}), "one.sql:1:");
    assert_string_equal(plan_with_edit("", &(struct flow_change_of){"made", NULL}), "");
    has(plan_with_edit(watch, &(struct flow_change_of){"made", NULL}), "FG6301 action a: on names job 'made'");
    has(plan_with_edit(watch, &(struct flow_change_of){"made", &one}), "FG6301 action a: job made has no output 'o'");
    put("/data/jobs", "one.sql", "SELECT v INTO [b/1] FROM [a/1]");
    has(plan_with_edit("", &(struct flow_change_of){"two", &back}), "FG6139 jobs would feed each other for ever: one writes 'b/1', which two reads; two writes 'a/1', which one reads");
    assert_string_equal(plan_with_edit("", &(struct flow_change_of){"one", &back}), "made one"); /* it was the other half */
}

/* ---- what a file says of itself ---- */

static const struct query_options *options_of(const char *yaml, const char *text, struct flow_plan **p)
{
    const struct settings *s = settings_of(yaml);
    struct fault why;
    put("/etc", "a.sql", text);
    if (flow_plan_new(p, s, io, NULL, &why) != CODE_OK)
        fail_msg("%s", why.text);
    settings_free(s);
    assert_int_equal((*p)->job_count, 1);
    return job_plan_options((*p)->jobs[0]);
}

static void a_file_has_settings_of_its_own(void **state)
{
    struct flow_plan *p;
    (void)state;
    const struct query_options *o = options_of("jobs: /etc/a.sql\n",
                                               "--@ late: 20s\r\n--@ policy: drop  # why\n--@ inputs: { m: in/+ }\n--@\n"
                                               "-- more\nSELECT v INTO o FROM m\n--@ late: 1s\n", &p);
    assert_int_equal(o->late, INT64_C(200000000));
    assert_int_equal(o->policy, STREAM_DROP);
    struct bytes filter;
    assert_true(job_plan_filter(p->jobs[0], 0, &filter) && bytes_is(filter, "in/+"));
    flow_plan_free(p);
    o = options_of("jobs: /etc/a.sql\n", "--@ late: unlimited\n--@ state-bytes: 2MiB\n" SQL, &p);
    assert_int_equal(o->late, STREAM_LATE_UNLIMITED);
    assert_int_equal(o->state_bytes, 2 << 20);
    flow_plan_free(p);
}

static void an_entry_speaks_for_its_file(void **state)
{
    struct flow_plan *p;
    (void)state;
    const struct query_options *o = options_of("jobs: { a: { sql: /etc/a.sql, state-bytes: 3MiB } }\n", SQL, &p);
    assert_int_equal(o->state_bytes, 3 << 20);
    flow_plan_free(p);
    o = options_of("jobs: { a: { sql: /etc/a.sql, model: kde, warm-up: report, on-error: stop, names: lower, collation: ignore-case } }\n", SQL, &p);
    assert_int_equal(o->model, STREAM_KDE);
    assert_true(o->warm_up_report && o->stop_on_error && o->lowercase_names && o->ignore_case);
    flow_plan_free(p);
    o = options_of("jobs: { a: /etc/a.sql }\n", "--@ late: 7s\n" SQL, &p); /* says nothing but its file */
    assert_int_equal(o->late, INT64_C(70000000));
    flow_plan_free(p);
}

static void what_a_file_may_not_say(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"--@ late: soon\n" SQL, "/etc/a.sql:1:"},
        {"--@ late: 1s\n--@ lat: 1s\n" SQL, "/etc/a.sql:2:"},
        {"--@ late: 1s\n--@ late: 2s\n" SQL, "/etc/a.sql:2:"},
        {"--@ sql: other.sql\n" SQL, "sql"},
        {"--@ } }\n" SQL, "/etc/a.sql:"},
        {"--@ inputs: { m: in/+\n" SQL, "/etc/a.sql:"},
        {"--@ late: 1s\nSELECT v INTO o FORM [t]", "a.sql:2:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put("/etc", "a.sql", cases[i].text);
        has(plan("jobs: /etc/a.sql\n"), cases[i].words);
    }
    put("/etc", "a.sql", "--@ late: 1s\n" SQL);
    has(plan("jobs: { a: { sql: /etc/a.sql, late: 2s } }\n"), "FG6118 /etc/a.sql has settings of its own");
    has(plan("jobs: { a: { sql: /etc/a.sql, state-bytes: 2MiB } }\n"), "FG6118 ");
    static char large[66 * 1024];
    memset(large, ' ', sizeof large - 1);
    put("/etc", "a.sql", large);
    has(plan("jobs: /etc/a.sql\n"), "FG6116 /etc/a.sql: a query of more than 64 KiB");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(jobs_come_from_files_patterns_entries_and_verbs),
        CASE(everything_wrong_is_told_and_not_what_follows_from_it),
        CASE(what_cannot_be_read_is_not_taken_for_missing),
        CASE(a_name_is_taken_once),
        CASE(a_hundred_jobs_and_no_more),
        CASE(a_verb_is_checked_with_everything_else),
        CASE(a_file_has_settings_of_its_own),
        CASE(an_entry_speaks_for_its_file),
        CASE(what_a_file_may_not_say),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
