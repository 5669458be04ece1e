/* Child processes on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
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

static void what_was_said_last_is_heard(void **state)
{
    (void)state;
    const char *const quick[] = { "/bin/sh", "-c", "head -c 4000 /dev/zero | tr '\\0' x", NULL };
    for (int i = 0; i < 50; i++) { /* its end and its output come in any order */
        struct seen s = run(quick, "", 20000, NULL);
        assert_int_equal(s.end.code, 0);
        assert_int_equal(strlen(s.said), 4000);
    }
}

static void who_has_left_the_group_is_not_waited_for(void **state)
{
    (void)state;
    const char *const leaves[] = { "/bin/sh", "-c", "setsid sleep 3 & echo gone", NULL };
    struct seen s = run(leaves, "", 20000, NULL);
    assert_int_equal(s.end.code, 0);
    assert_false(s.end.late);
    assert_string_equal(s.said, "gone\n");
}

/* Nothing of ours is open in it, nothing is blocked or ignored, and it leads a session of its own. */
static void it_gets_nothing_of_ours(void **state)
{
    (void)state;
    sigset_t all, before;
    int secret = open("/etc/passwd", O_RDONLY); /* as who starts us may forget one */
    struct loop *other;
    struct listener *listener;
    struct fault why;
    (void)sigemptyset(&all);
    for (int i = 0; i < 5; i++)
        (void)sigaddset(&all, (int[]){ SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR2 }[i]);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &all, &before), 0); /* as threads of the node do */
    assert_int_equal(loop_open_uv(&other, &why), CODE_OK);
    assert_int_equal(net_listen(&listener, other, "127.0.0.1:0", NULL, NULL, &why), CODE_OK);
    const char *const files[] = { "ls", "/proc/self/fd", NULL };
    struct seen s = run(files, "", 20000, NULL);
    assert_string_equal(s.said, "0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
    /* 32 and 33 are the C library's own: posix_spawn, as make uses it, hands them on ignored, and sigaction refuses to
       touch them. Each program's library sets them when it needs them. */
    const char *const signals[] = { "/bin/sh", "-c", "echo $(sed -n 's/^SigBlk:\t//p;s/^SigIgn:\t//p' /proc/self/status)", NULL };
    unsigned long long blocked = 1, ignored = 1;
    s = run(signals, "", 20000, NULL);
    assert_int_equal(sscanf(s.said, "%llx %llx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & ~0x180000000ULL, 0);
    const char *const group[] = { "/bin/sh", "-c", "set -- $(cat /proc/self/stat); echo $(($5 - $6)) $7", NULL };
    s = run(group, "", 20000, NULL);
    assert_string_equal(s.said, "0 0\n"); /* its group is its session, without a terminal */
    loop_close(other);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    (void)close(secret);
}

static void its_environment_is_ours_behind_what_is_wanted(void **state)
{
    (void)state;
    const char *const print[] = { "/bin/sh", "-c", "echo $FG_ONE $FG_TWO $(pwd)", NULL }, *const wanted[] = { "FG_ONE=wanted", NULL };
    char here[200], want[300];
    assert_non_null(getcwd(here, sizeof here));
    (void)snprintf(want, sizeof want, "wanted ours %s\n", here);
    assert_int_equal(setenv("FG_ONE", "ours", 1) | setenv("FG_TWO", "ours", 1), 0);
    struct seen s = run(print, "", 20000, wanted);
    assert_string_equal(s.said, want);
}

static void many_at_once_leave_nothing(void **state)
{
    (void)state;
    struct fault why;
    struct loop *l;
    struct process *p[20];
    const char *const slow[] = { "sleep", "100", NULL }, *const none[] = { "fg-no-such-program", NULL };
    assert_int_equal(loop_open_uv(&l, &why), CODE_OK);
    for (int i = 0; i < 20; i++) {
        struct process_options o = { .args = slow, .timeout_ms = 100000 }, bad = { .args = none, .timeout_ms = 1000 };
        assert_int_equal(process_start(&p[i], l, &o, NULL, NULL, &why), CODE_OK);
        assert_int_equal(process_start(&p[i], l, &bad, NULL, NULL, &why), CODE_NOTFOUND);
        if (i % 2)
            process_cancel(p[i]); /* NULL is never called */
    }
    for (int i = 0; i < 20; i += 2)
        process_cancel(p[i]);
    loop_close(l);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, not even a dead one */
    assert_int_equal(errno, ECHILD);
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

/* SIGCHLD reaches nobody: the loop waits for its programs itself. Were it to wait for the signal, SIGALRM would end this test. */
static void the_loops_end_needs_no_signal(void **state)
{
    (void)state;
    struct seen s = { 0 };
    struct fault why;
    struct process *p, *cancelled;
    sigset_t child, before;
    const char *const slow[] = { "sleep", "100", NULL };
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &child, &before), 0);
    assert_int_equal(loop_open_uv(&s.loop, &why), CODE_OK);
    struct process_options o = { .args = slow, .timeout_ms = 100000 };
    assert_int_equal(process_start(&p, s.loop, &o, on_end, &s, &why), CODE_OK);
    assert_int_equal(process_start(&cancelled, s.loop, &o, NULL, NULL, &why), CODE_OK);
    process_cancel(cancelled);
    (void)alarm(30);
    loop_close(s.loop);
    (void)alarm(0);
    assert_true(s.ended);
    assert_int_equal(s.end.signal, 9);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* both are reaped */
    assert_int_equal(errno, ECHILD);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the node does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_fed_and_heard),
        cmocka_unit_test(what_is_too_much_is_read_and_forgotten),
        cmocka_unit_test(who_is_late_is_killed_with_all_it_started),
        cmocka_unit_test(what_was_said_last_is_heard),
        cmocka_unit_test(who_has_left_the_group_is_not_waited_for),
        cmocka_unit_test(it_gets_nothing_of_ours),
        cmocka_unit_test(its_environment_is_ours_behind_what_is_wanted),
        cmocka_unit_test(many_at_once_leave_nothing),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(the_loops_end_is_theirs),
        cmocka_unit_test(the_loops_end_needs_no_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
