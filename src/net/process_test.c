/* Child processes on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "net/process.h"
#include "net/sim.h"

struct seen {
    struct loop *loop;
    bool         ended;
    struct process_end end;
    char         said[PROCESS_SAID_MAX + 1];
};

static void on_end(void *ctx, const struct process_end *end)
{
    struct seen *s = ctx;
    assert_false(s->ended);
    s->ended = true;
    s->end = *end;
    memcpy(s->said, end->said.at, end->said.len);
    s->said[end->said.len] = 0;
    loop_stop(s->loop);
}

static struct seen run(const char *const *args, const char *input, int64_t timeout_ms, const char *const *environment)
{
    struct seen s = { 0 };
    struct fault why;
    struct process *p;
    struct process_options o = { .args = args, .environment = environment, .input = bytes_str(input), .timeout_ms = timeout_ms };
    assert_int_equal(loop_open_uv(&s.loop, &why), CODE_OK);
    if (process_start(&p, s.loop, &o, on_end, &s, &why) != CODE_OK)
        fail_msg("%s", why.text);
    loop_run(s.loop);
    loop_close(s.loop);
    assert_true(s.ended);
    return s;
}

static void it_is_fed_and_heard(void **state)
{
    (void)state;
    const char *const cat[] = { "cat", NULL };
    struct seen s = run(cat, "hello", 10000, NULL);
    assert_int_equal(s.end.code, 0);
    assert_string_equal(s.said, "hello");
    const char *const fails[] = { "/bin/sh", "-c", "echo no >&2; echo $WHO; exit 3", NULL }, *const who[] = { "WHO=me", NULL };
    s = run(fails, "", 10000, who);
    assert_int_equal(s.end.code, 3);
    assert_string_equal(s.said, "no\nme\n");
}

static void what_is_too_much_is_read_and_forgotten(void **state)
{
    (void)state;
    const char *const much[] = { "/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 4", NULL };
    struct seen s = run(much, "", 20000, NULL);
    assert_int_equal(s.end.code, 4);
    assert_int_equal(strlen(s.said), PROCESS_SAID_MAX);
    const char *const deaf[] = { "/bin/true", NULL }; /* it does not read */
    char *input = mem_zalloc(1, 1 << 20);
    memset(input, 'x', (1 << 20) - 1);
    s = run(deaf, input, 20000, NULL);
    assert_int_equal(s.end.code, 0);
    mem_free(input);
}

static void who_is_late_is_killed_with_all_it_started(void **state)
{
    (void)state;
    const char *const slow[] = { "/bin/sh", "-c", "echo begun; sleep 100 & sleep 100", NULL };
    struct seen s = run(slow, "", 200, NULL);
    assert_true(s.end.late);
    assert_int_equal(s.end.signal, 9);
    assert_string_equal(s.said, "begun\n");
    const char *const leaves[] = { "/bin/sh", "-c", "sleep 100 & exit 5", NULL }; /* holds our pipe open */
    s = run(leaves, "", 20000, NULL);
    assert_int_equal(s.end.code, 5);
}

static void what_is_not_there_is_said(void **state)
{
    (void)state;
    struct seen s = { 0 };
    struct fault why;
    struct process *p;
    const char *const none[] = { "/no/such/program", NULL };
    assert_int_equal(loop_open_uv(&s.loop, &why), CODE_OK);
    struct process_options o = { .args = none, .timeout_ms = 1000 };
    assert_int_equal(process_start(&p, s.loop, &o, on_end, &s, &why), CODE_NOTFOUND);
    assert_non_null(strstr(why.text, "/no/such/program"));
    loop_close(s.loop);
    assert_false(s.ended);
}

static void the_loops_end_is_theirs(void **state)
{
    (void)state;
    struct seen s = { 0 };
    struct fault why;
    struct process *p;
    const char *const slow[] = { "sleep", "100", NULL };
    assert_int_equal(loop_open_uv(&s.loop, &why), CODE_OK);
    struct process_options o = { .args = slow, .timeout_ms = 100000 };
    assert_int_equal(process_start(&p, s.loop, &o, on_end, &s, &why), CODE_OK);
    loop_close(s.loop);
    assert_true(s.ended);
    assert_int_equal(s.end.signal, 9);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the node does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_fed_and_heard),
        cmocka_unit_test(what_is_too_much_is_read_and_forgotten),
        cmocka_unit_test(who_is_late_is_killed_with_all_it_started),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(the_loops_end_is_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
