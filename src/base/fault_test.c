#include "base/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_fault_has_code_place_and_sentence(void **state)
{
    (void)state;
    struct fault why = { .sys_errno = 7, .mqtt_reason = 9 };
    assert_int_equal(FAIL(&why, CODE_LIMIT, 12, "%s has %d", "it", 3), CODE_LIMIT);
    assert_int_equal(why.code, CODE_LIMIT);
    assert_int_equal(why.number, 0);
    assert_int_equal(why.sys_errno, 0);
    assert_int_equal(why.mqtt_reason, 0);
    assert_int_equal(why.at, 12);
    assert_string_equal(why.text, "it has 3");
    assert_non_null(strstr(why.where, "fault_test.c:"));
    assert_int_equal(FAIL_FG(&why, CODE_USAGE, 1012, "x"), CODE_USAGE);
    assert_int_equal(why.number, 1012);
    assert_int_equal(FAIL(NULL, CODE_IO, 0, "nobody listens"), CODE_IO);
    assert_int_equal(FAIL_SYS(NULL, CODE_IO, EIO, "nobody listens"), CODE_IO);
}

static void the_kernels_word_follows_ours(void **state)
{
    (void)state;
    struct fault why;
    assert_int_equal(FAIL_SYS(&why, CODE_IO, ENOSPC, "cannot write %s", "/d/f"), CODE_IO);
    assert_string_equal(why.text, "cannot write /d/f: No space left on device");
    assert_int_equal(why.sys_errno, ENOSPC);
}

static void a_long_sentence_is_cut_and_ended(void **state)
{
    (void)state;
    struct fault why;
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_int_equal(FAIL(&why, CODE_IO, 0, "%s", text), CODE_IO);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
    assert_int_equal(FAIL_SYS(&why, CODE_IO, EIO, "%s", text), CODE_IO);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
    text[sizeof why.text - 5] = 0;
    assert_int_equal(FAIL_SYS(&why, CODE_IO, EIO, "%s", text), CODE_IO);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(code_name(CODE_OK), "OK");
    assert_string_equal(code_name(CODE_NOTFOUND), "NOTFOUND");
    assert_string_equal(code_name(CODE_UNSUPPORTED), "UNSUPPORTED");
    assert_string_equal(code_name((enum code)(CODE_UNSUPPORTED + 1)), "?");
    for (int i = CODE_OK; i <= CODE_UNSUPPORTED; i++)
        assert_string_not_equal(code_name((enum code)i), "?");
}

/* Also in release: recovery from a stop is tested, going on with broken state is not. */
static void a_broken_promise_of_our_own_stops_the_process(void **state)
{
    (void)state;
    FG_ASSERT(1 + 1 == 2);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        FG_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_has_code_place_and_sentence),
        cmocka_unit_test(the_kernels_word_follows_ours),
        cmocka_unit_test(a_long_sentence_is_cut_and_ended),
        cmocka_unit_test(every_code_has_a_name),
        cmocka_unit_test(a_broken_promise_of_our_own_stops_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
