/* What a job reads and writes, and each thing for which it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "job/job_private.h"

#include <stdio.h>
#include <string.h>

static struct job_spec spec_of(const char *sql)
{
    struct job_spec s = {.name = "a", .file = "a.sql", .sql = bytes_str(sql)};
    query_options_default(&s.options);
    return s;
}

static struct job_plan *plan(const struct job_spec *s)
{
    struct job_plan *p = NULL;
    struct fault why;
    if (job_plan_new(&p, s, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return p;
}

static void refused(const struct job_spec *s, int number, const char *words)
{
    struct job_plan *p;
    struct fault why;
    enum code c = job_plan_new(&p, s, &why);
    if (c == CODE_OK)
        fail_msg("taken: %.*s", BYTES_FMT(s->sql));
    if (why.number != number || !strstr(why.text, words))
        fail_msg("FG%04d %s, and not FG%04d %s", why.number, why.text, number, words);
}

static void source_is(const struct job_plan *p, uint32_t input, const char *want)
{
    struct buf b = {0};
    job_plan_source(p, input, &b);
    assert_int_equal(buf_size(&b), strlen(want));
    if (*want)
        assert_memory_equal(buf_bytes(&b).at, want, strlen(want));
    buf_clear(&b);
}

static void target_is(const struct job_plan *p, uint32_t output, const char *want)
{
    struct bytes t = job_plan_target(p, output);
    assert_int_equal(t.len, strlen(want));
    assert_memory_equal(t.at, want, t.len);
}

static void names_become_topics(void **state)
{
    (void)state;
    static const char *const hub[] = {"hub/a", "hub/b/#"};
    struct job_pair in[] = {{"machines", "factory/+/t"}}, out[] = {{"hot", "alarms/hot"}};
    struct job_spec s = spec_of("SELECT v INTO hot FROM machines\nSELECT v INTO [a/b] FROM [x/#]\nSELECT v INTO c FROM events\n"
                                "SELECT v FROM other\nSELECT v INTO p FROM opcua");
    s.inputs = in;
    s.input_count = 1;
    s.outputs = out;
    s.output_count = 1;
    s.events = hub;
    s.event_count = 2;
    struct job_plan *p = plan(&s);
    assert_int_equal(query_inputs(job_plan_query(p)), 5);
    source_is(p, 0, "factory/+/t");
    source_is(p, 1, "x/#");
    source_is(p, 2, "hub/a, hub/b/#");
    source_is(p, 3, "");
    source_is(p, 4, "opcua/#"); /* of the publisher */
    target_is(p, 0, "alarms/hot");
    target_is(p, 1, "a/b");
    target_is(p, 2, "$jobs/a/c");
    target_is(p, 3, "$jobs/a/output");
    assert_int_equal(job_input_number(p, BYTES_LIT("machines")), 0);
    assert_int_not_equal(job_input_number(p, BYTES_LIT("other")), 0);
    assert_int_equal(job_input_number(p, BYTES_LIT("none")), 0);
    assert_true(bytes_is(job_plan_reads(p, BYTES_LIT("factory/7/t")), "factory/+/t"));
    assert_true(bytes_is(job_plan_reads(p, BYTES_LIT("hub/b/c")), "hub/b/#"));
    assert_int_equal(job_plan_reads(p, BYTES_LIT("other")).len, 0);
    job_plan_free(p);
    job_plan_free(NULL);
}

static void names(void **state)
{
    char longest[JOB_NAME_MAX + 2];
    struct job_spec s = spec_of("SELECT v INTO o FROM [t/1]");
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[JOB_NAME_MAX] = 0;
    assert_true(job_name_ok(longest));
    longest[JOB_NAME_MAX] = 'x';
    longest[JOB_NAME_MAX + 1] = 0;
    static const char *const bad[] = {"", "-a", "_a", "a.b", "a/b", "a b", "\xc3\xa4", "a+", "..", "a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        s.name = bad[i];
        refused(&s, 6114, "cannot be the name of a job");
    }
    s.name = longest;
    refused(&s, 6114, "up to 64");
}

static void what_is_refused(void **state)
{
    (void)state;
    struct job_spec s = spec_of("SELECT v INTO o FROM [a/#/b]");
    refused(&s, 6110, "'a/#/b' is not a topic filter");
    s = spec_of("SELECT v INTO o FROM [$share/g/a/b]");
    refused(&s, 6110, "shared subscription");
    s = spec_of("SELECT v INTO o FROM events");
    refused(&s, 6111, "hub.topics is empty");
    struct job_pair unused[] = {{"machines", "m/#"}}, bad_filter[] = {{"x", "m/#/"}}, bad_topic[] = {{"o", "m/#"}},
                    below[] = {{"o", "$SYS/x"}};
    s = spec_of("SELECT v INTO o FROM x");
    s.inputs = unused;
    s.input_count = 1;
    refused(&s, 6112, "names machines, which no FROM");
    s.inputs = bad_filter;
    refused(&s, 6110, "not a topic filter");
    s.input_count = 0;
    s.outputs = bad_topic;
    s.output_count = 1;
    refused(&s, 6113, "'m/#' is not a topic to publish to");
    s.outputs = below;
    refused(&s, 6113, "not below $");
    s = spec_of("SELECT v INTO [$jobs/b/c] FROM x");
    refused(&s, 6113, "not below $");
    s = spec_of("SELECT v INTO [o+] FROM x");
    refused(&s, 6113, "cannot be an output");
    s = spec_of("SELECT v INTO o FROM");
    refused(&s, 6101, "a.sql:1:");
}

static void too_many_inputs(void **state)
{
    char text[4096] = "";
    size_t n = 0;
    (void)state;
    for (int i = 0; i < JOB_INPUTS_MAX + 1; i++) {
        struct job_spec s = spec_of(text);
        if (i)
            job_plan_free(plan(&s));
        n += (size_t)snprintf(text + n, sizeof text - n, "SELECT v INTO o%d FROM [t/%d]\n", i, i);
    }
    struct job_spec s = spec_of(text);
    refused(&s, 6110, "more than 32 topics");
}

static void what_it_writes_it_does_not_read(void **state)
{
    (void)state;
    struct job_spec s = spec_of("SELECT v INTO [a/b] FROM [a/#]");
    refused(&s, 6138, "'a/b', which 'a/#' matches");
    s = spec_of("SELECT v INTO o FROM [$jobs/a/o]");
    refused(&s, 6138, "'$jobs/a/o'");
    s = spec_of("SELECT v INTO o FROM [$jobs/+/o]");
    refused(&s, 6138, "'$jobs/a/o'");
    s = spec_of("SELECT v INTO o FROM [#]"); /* which has nothing below $ */
    job_plan_free(plan(&s));
    s = spec_of("SELECT v INTO o FROM [$jobs/b/o]");
    job_plan_free(plan(&s));
    static const char *const hub[] = {"hub/#"};
    s = spec_of("SELECT v INTO [hub/x] FROM events");
    s.events = hub;
    s.event_count = 1;
    refused(&s, 6138, "'hub/x', which 'hub/#' matches");
}

/* What its state depends on, and nothing else. */
static void the_mark_changes_with_what_counts(void **state)
{
    (void)state;
    struct job_pair in[] = {{"x", "m/#"}}, other_in[] = {{"x", "n/#"}}, out[] = {{"o", "p"}};
    struct job_spec s[8];
    uint64_t marks[8];
    for (int i = 0; i < 8; i++) {
        s[i] = spec_of(i == 1 ? "SELECT w INTO o FROM x" : "SELECT v INTO o FROM x");
        s[i].inputs = i == 2 ? other_in : in;
        s[i].input_count = 1;
    }
    s[3].outputs = out;
    s[3].output_count = 1;
    s[4].options.late++;
    s[5].options.policy = STREAM_DROP;
    s[6].options.state_bytes = 1 << 20;
    s[7].file = "elsewhere.sql";
    for (int i = 0; i < 8; i++) {
        struct job_plan *p = plan(&s[i]);
        marks[i] = p->mark;
        job_plan_free(p);
        if (i >= 6)
            assert_int_equal(marks[i], marks[0]);
        for (int k = 0; k < i && i < 6; k++)
            assert_int_not_equal(marks[i], marks[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_topics),          cmocka_unit_test(names),
        cmocka_unit_test(what_is_refused),              cmocka_unit_test(too_many_inputs),
        cmocka_unit_test(what_it_writes_it_does_not_read), cmocka_unit_test(the_mark_changes_with_what_counts),
    };
    return cmocka_run_group_tests_name("job/plan", tests, NULL, NULL);
}
