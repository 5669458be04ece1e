/* Actions that write and call over OPC UA, with a server of ours in a thread: what is learnt of types, which statuses are worth another try,
 * connections that come and go, tries that are broken off, and moments without memory.
 * timeout: 240 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "action/action_test_stage.h"
#include "ua_machine_child.h"

static struct stage st;
static struct ua_machine machine;
static char url[64];
static struct settings_opcua_server servers[1];

#define COMMA ,
#define OPCUA(label, seconds) .entry = { .name = (label) }, .on = "in/#", .timeout_s = (seconds), .at_least = "", .at_most = "", NO_PUBLISH, NO_WEBHOOK
#define WRITE(n, v) .opcua_write = { "press", (n), (v) }, .opcua_call = { .server = "", .object = "", .method = "" }
#define CALL(m, list) .opcua_write = { "", "", "" }, .opcua_call = { .server = "press", .object = "i=85", .method = (m), .arguments = list }

static void at(uint16_t port)
{
    (void)snprintf(url, sizeof url, "opc.tcp://127.0.0.1:%u", port);
    servers[0] = (struct settings_opcua_server){ .entry = { .name = "press" }, .url = url, .security = OPCUA_NONE, .user = "", .password = "",
                                                 .certificate = "", .key = "" };
}

static void put(const struct settings_action *list, size_t n)
{
    struct action_plan *plans[8];
    const struct action_servers known = { servers, 1 };
    struct fault why;
    for (size_t i = 0; i < n; i++)
        must(action_plan_new(&plans[i], &list[i], bytes_str(list[i].on), &known, &st.io, &why), &why);
    must(actions_apply(st.actions, plans, n, &why), &why);
}

static void put_one(const struct settings_action *a)
{
    put(a, 1);
}

static int setup(void **state)
{
    (void)state;
    machine = (struct ua_machine){ .counters = 1 };
    machine_listen(&machine);
    machine_begin(&machine);
    at(machine.port);
    stage_open(&st);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close(&st);
    machine_end(&machine);
    ua_pki_close(machine.pki);
    return 0;
}

/* Waits until so many events are over, one way or the other. */
static struct action_glance over(const char *name, uint64_t events)
{
    struct action_glance g = glance(&st, name);
    for (int waited = 0; waited < STAGE_PATIENCE_MS && g.done + g.failed < events; waited += 2) {
        nap();
        g = glance(&st, name);
    }
    assert_int_equal(g.done + g.failed, events);
    return g;
}

static void until(_Atomic uint64_t *counter, uint64_t most)
{
    for (int waited = 0; waited < STAGE_PATIENCE_MS && atomic_load(counter) < most; waited += 2)
        nap();
    assert_true(atomic_load(counter) >= most);
}

/* ---- types and statuses ---- */

static void a_text_becomes_what_the_variable_is(void **state)
{
    (void)state;
    put_one(&(struct settings_action){ OPCUA("a", 2), WRITE("ns=1;s=target", "${n}"), .retry = 3 });
    feed(&st, "{\"n\":42}");
    assert_int_equal(over("a", 1).done, 1);
    assert_int_equal(machine.written, 42);
    feed(&st, "{\"n\":\"much\"}"); /* no number: another try would not help */
    struct action_glance g = over("a", 2);
    assert_int_equal(g.failed, 1);
    assert_int_equal(g.retries, 0);
    assert_int_equal(machine.writes, 1);
    feed(&st, "{\"n\":43}");
    assert_int_equal(over("a", 3).done, 2);
    assert_int_equal(machine.written, 43);
}

static void arguments_become_what_the_method_takes(void **state)
{
    const char *const one[] = { "${n}" }, *const two[] = { "${n}", "2" };
    (void)state;
    const struct settings_action list[] = { { OPCUA("one", 2), CALL("ns=1;s=go", (struct settings_texts){ one COMMA 1 }) },
                                            { OPCUA("two", 2), CALL("ns=1;s=go", (struct settings_texts){ two COMMA 2 }), .retry = 3 },
                                            { OPCUA("none", 2), CALL("ns=1;s=nothing", (struct settings_texts){ one COMMA 1 }), .retry = 3 } };
    put(list, 3);
    feed(&st, "{\"n\":7}");
    assert_int_equal(over("one", 1).done, 1);
    assert_int_equal(machine.written, 7);
    struct action_glance g = over("two", 1);
    assert_int_equal(g.failed, 1);
    assert_int_equal(g.retries, 0);
    g = over("none", 1);
    assert_int_equal(g.failed, 1);
    assert_int_equal(g.retries, 0);
    assert_int_equal(machine.calls, 1);
}

static void what_will_not_be_otherwise_is_not_tried_again(void **state)
{
    static const ua_status hopeless[] = { UA_BAD_OUT_OF_RANGE, UA_BAD_USER_ACCESS_DENIED, UA_BAD_TYPE_MISMATCH, UA_BAD_NOT_WRITABLE };
    (void)state;
    const struct settings_action list[] = { { OPCUA("a", 2), WRITE("ns=1;s=target", "1"), .retry = 1 },
                                            { OPCUA("fixed", 2), WRITE("ns=1;s=fixed", "1"), .retry = 1 },
                                            { OPCUA("nothing", 2), WRITE("ns=1;s=nothing", "1"), .retry = 1 } };
    put(list, 3);
    for (size_t i = 0; i < ARRAY_COUNT(hopeless); i++) {
        machine.says = hopeless[i];
        feed(&st, "{}");
        struct action_glance g = over("a", i + 1);
        assert_int_equal(g.failed, i + 1);
        assert_int_equal(g.retries, 0);
    }
    assert_int_equal(over("fixed", 4).retries, 0);
    assert_int_equal(over("nothing", 4).retries, 0);
    machine.says = UA_BAD_TOO_MANY_OPERATIONS; /* that may pass */
    feed(&st, "{}");
    struct action_glance g = over("a", 5);
    assert_int_equal(g.failed, 5);
    assert_int_equal(g.retries, 1);
}

/* ---- connections ---- */

static void an_event_waits_for_the_connection(void **state)
{
    (void)state;
    put_one(&(struct settings_action){ OPCUA("a", 5), WRITE("ns=1;s=target", "${n}"), .retry = 2 });
    feed(&st, "{\"n\":1}");
    assert_int_equal(over("a", 1).done, 1);
    machine_do(&machine, machine_lower);
    feed(&st, "{\"n\":2}");
    feed(&st, "{\"n\":3}");
    (void)usleep(300000);
    assert_int_equal(machine.written, 1);
    machine_do(&machine, machine_raise);
    assert_int_equal(over("a", 3).done, 3);
    assert_int_equal(machine.written, 3);
    for (int i = 0; i < 5; i++) { /* cut right behind or in front of a command */
        machine_do(&machine, machine_cut);
        feed(&st, "{\"n\":4}");
        machine_do(&machine, machine_cut);
    }
    assert_int_equal(over("a", 8).done, 8);
}

static void two_actions_have_one_connection(void **state)
{
    (void)state;
    struct settings_action list[] = { { OPCUA("a", 2), WRITE("ns=1;s=target", "1") }, { OPCUA("b", 2), WRITE("ns=1;s=target", "2") } };
    put(list, 2);
    feed(&st, "{}");
    assert_int_equal(over("a", 1).done + over("b", 1).done, 2);
    unsigned accepted = machine.accepted;
    put(list, 1); /* one of them goes, the connection stays */
    feed(&st, "{}");
    assert_int_equal(over("a", 2).done, 2);
    assert_int_equal(machine.accepted, accepted);
    put(list, 2);
    feed(&st, "{}");
    assert_int_equal(over("b", 1).done, 1);
    assert_int_equal(machine.accepted, accepted);
}

/* ---- broken off ---- */

static void an_answer_that_does_not_come_in_time_ends_the_try(void **state)
{
    (void)state;
    put_one(&(struct settings_action){ OPCUA("a", 1), WRITE("ns=1;s=target", "${n}") });
    feed(&st, "{\"n\":1}");
    assert_int_equal(over("a", 1).done, 1);
    machine.stuck = true;
    feed(&st, "{\"n\":2}");
    assert_int_equal(over("a", 2).failed, 1);
    machine.stuck = false; /* the answer comes now, and nobody waits for it */
    feed(&st, "{\"n\":3}");
    assert_int_equal(over("a", 3).done, 2);
    assert_int_equal(machine.written, 3);
}

static void an_action_goes_while_its_request_is_out(void **state)
{
    (void)state;
    const struct settings_action a = { OPCUA("a", 60), WRITE("ns=1;s=target", "${n}") };
    const struct settings_action list[] = { a, { OPCUA("b", 60), WRITE("ns=1;s=target", "9") } };
    put(list, 2);
    feed(&st, "{\"n\":1}");
    assert_int_equal(over("a", 1).done + over("b", 1).done, 2);
    machine.stuck = true;
    feed(&st, "{\"n\":2}");
    until(&machine.writes, 3);
    put(&list[1], 1); /* after ACTION_GRACE_MS; the connection stays, for the other one */
    machine.stuck = false;
    assert_int_equal(over("b", 2).done, 2);
    machine.stuck = true;
    feed(&st, "{\"n\":3}");
    until(&machine.writes, 5);
    put(NULL, 0); /* and with it the connection */
    machine.stuck = false;
    put_one(&a);
    feed(&st, "{\"n\":4}");
    assert_int_equal(over("a", 1).done, 1);
}

/* ---- who signs in ---- */

static void password(const char *text)
{
    struct fault why;
    must(io_replace(&st.io, "/data", "password", bytes_str(text), &why), &why);
}

static void a_plan_that_changes_only_the_password_signs_in_anew(void **state)
{
    char dir[] = "/tmp/fg-uaaction-XXXXXX", gone[64];
    struct fault why;
    (void)state;
    machine_do(&machine, machine_lower);
    assert_non_null(mkdtemp(dir));
    must(ua_pki_open(&machine.pki, &io_system, dir, NULL, &why), &why);
    (void)snprintf(gone, sizeof gone, "rm -r %s", dir);
    assert_int_equal(system(gone), 0);
    machine.password = "one";
    machine_do(&machine, machine_raise);
    servers[0].security = OPCUA_BASIC256SHA256;
    servers[0].accept_any = servers[0].any_host = true;
    servers[0].user = "operator";
    servers[0].password = "/data/password";
    password("one\n");
    const struct settings_action a = { OPCUA("a", 10), WRITE("ns=1;s=target", "${n}") };
    put_one(&a);
    feed(&st, "{\"n\":1}");
    assert_int_equal(over("a", 1).done, 1);
    unsigned accepted = machine.accepted;
    put_one(&a); /* as it was */
    feed(&st, "{\"n\":2}");
    assert_int_equal(over("a", 2).done, 2);
    assert_int_equal(machine.accepted, accepted);
    password("two\n");
    machine.password = "two";
    put_one(&a);
    feed(&st, "{\"n\":3}");
    assert_int_equal(over("a", 1).done, 1); /* the figures are of the new one */
    assert_int_equal(machine.written, 3);
    assert_true(machine.accepted > accepted);
    servers[0].user = servers[0].password = "";
}

/* ---- no memory ---- */

static void a_moment_without_memory_is_no_end(void **state)
{
    struct machine_child child;
    uint64_t fired = 0;
    (void)state;
    machine_fork(&child, 1, 0);
    at(child.port);
    stage_open(&st);
    const char *const one[] = { "${n}" };
    const struct settings_action list[] = { { OPCUA("write", 1), WRITE("ns=1;s=target", "${n}") },
                                            { OPCUA("call", 1), CALL("ns=1;s=go", (struct settings_texts){ one COMMA 1 }) } };
    for (unsigned n = 0; n < 150; n++) {
        struct action_plan *plans[2] = { NULL, NULL };
        const struct action_servers known = { servers, 1 };
        struct fault why;
        bool planned = true;
        if (n % 3 == 0) {
            put(NULL, 0);
            mem_fail_at(1 + n);
            for (size_t i = 0; i < 2; i++)
                planned = planned && action_plan_new(&plans[i], &list[i], bytes_str(list[i].on), &known, &st.io, &why) == CODE_OK;
            if (planned)
                (void)(actions_apply(st.actions, plans, 2, &why) == CODE_OK); /* takes them, also on failure */
            else
                action_plan_free(plans[0]);
        } else {
            mem_fail_at(1 + n * 5 % 67);
        }
        (void)feed_ok(&st, "in/1", "{\"n\":5}");
        (void)usleep(10000);
        fired += mem_fail_fired() != 0;
        mem_fail_at(0);
    }
    put(NULL, 0);
    put(list, 2);
    feed(&st, "{\"n\":77}");
    assert_int_equal(over("write", 1).done, 1);
    assert_int_equal(over("call", 1).done, 1);
    assert_int_equal(machine_tell(&child, 'w'), 77);
    print_message("%llu failures\n", (unsigned long long)fired);
    assert_true(fired > 50);
    stage_close(&st);
    machine_reap(&child);
}

/* No memory when it begins, and there is some when it is needed. */
static void what_could_not_begin_begins_with_the_next_event(void **state)
{
    (void)state;
    unsigned tried = 0;
    for (uint64_t n = 1; n < 400; n++) {
        const struct settings_action a = { OPCUA("a", 2), WRITE("ns=1;s=target", "${n}"), .retry = 0 };
        const struct action_servers known = { servers, 1 };
        struct action_plan *p;
        struct fault why;
        must(action_plan_new(&p, &a, bytes_str(a.on), &known, &st.io, &why), &why);
        mem_fail_at(n);
        enum code c = actions_apply(st.actions, &p, 1, &why);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        if (c == CODE_OK) {
            feed(&st, "{\"n\":1}");
            assert_int_equal(over("a", 1).done, 1);
        }
        put(NULL, 0);
        tried++;
        if (!fired)
            break;
    }
    assert_true(tried > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moment_without_memory_is_no_end), /* before there are threads */
        TEST(a_text_becomes_what_the_variable_is),
        TEST(arguments_become_what_the_method_takes),
        TEST(what_will_not_be_otherwise_is_not_tried_again),
        TEST(an_event_waits_for_the_connection),
        TEST(two_actions_have_one_connection),
        TEST(an_answer_that_does_not_come_in_time_ends_the_try),
        TEST(an_action_goes_while_its_request_is_out),
        TEST(a_plan_that_changes_only_the_password_signs_in_anew),
        TEST(what_could_not_begin_begins_with_the_next_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
