/* A few thousand crash states of the whole broker, and that the judge sees a broker that is broken on purpose. Very many
 * more: crashsim, make torture.
 * timeout: 300 */
#include "support/broker_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void every_promise_is_kept_in_every_crash_state(void **state)
{
    (void)state;
    struct broker_judge *b = broker_judge_new(JUDGE_BREAK_NOTHING);
    struct judge j = broker_judge_on(b);
    j.states = 3000;
    j.states_per_log = 400;
    j.again_percent = 5;
    judge_from_environment(&j);
    struct verdict v;
    if (!judge_run(&j, &v))
        fail_msg("%s", v.first);
    broker_judge_free(b);
}

static void a_broken_broker_is_seen(void **state)
{
    (void)state;
    for (int what = JUDGE_BREAK_NOTHING + 1; what < JUDGE_BREAKS; what++) {
        struct broker_judge *b = broker_judge_new((enum judge_break)what);
        struct judge j = broker_judge_on(b);
        j.name = judge_break_name((enum judge_break)what);
        j.quiet = true;
        j.states = 20000;
        struct verdict v;
        if (judge_run(&j, &v))
            fail_msg("nobody noticed: %s", j.name);
        print_message("%s: %s\n", j.name, v.first);
        broker_judge_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promise_is_kept_in_every_crash_state),
        cmocka_unit_test(a_broken_broker_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
