/* Every state and every lack has its words. */
#include "uaclient/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= UA_CLIENT_ENDED; i++)
        assert_non_null(ua_client_state_name((enum ua_client_state)i));
    for (unsigned i = 0; i < UA_LACK_COUNT; i++) {
        assert_true(strlen(ua_lack_texts[i].what) > 5);
        assert_true(strlen(ua_lack_texts[i].instead) > 5);
    }
    assert_true(UA_LACK_COUNT <= 32); /* ua_client_look.lacks */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
