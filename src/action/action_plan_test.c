/* What is refused, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "action/action_private.h"
#include "opcua/policy.h"
#include "opcua/services.h"
#include "support/memfs.h"

#define BASE .entry = {.name = "a"}, .on = "in/+", .timeout_s = 10, .at_least = "", .at_most = "", NO_OPCUA
#define NO_OPCUA .opcua_write = {"", "", ""}, .opcua_call = {.server = "", .object = "", .method = ""}
#define NO_PUBLISH .publish = {.topic = "", .message = ""}
#define NO_WEBHOOK .webhook = {.url = "", .body = "", .ca = ""}
#define PUBLISH(t, m) .publish = {.topic = (t), .message = (m), .qos = 1}
#define WEBHOOK(u, b) .webhook = {.url = (u), .body = (b), .ca = ""}

static struct memfs *fs;

static enum code make(struct action_plan **out, const struct settings_action *a, struct fault *why)
{
    return action_plan_new(out, a, bytes_str(a->on), NULL, memfs_io(fs), why);
}

static void refused(const struct settings_action *a, const char *want)
{
    struct fault why;
    struct action_plan *p;
    enum code c = make(&p, a, &why);
    if (c == CODE_OK)
        fail_msg("it was taken; it should be refused: %s", want);
    if (c != CODE_USAGE || why.number != 6301 || strncmp(why.text, "action a", 8) != 0 || !strstr(why.text, want))
        fail_msg("FG%d %s", why.number, why.text);
}

static struct action_plan *taken(const struct settings_action *a)
{
    struct fault why;
    struct action_plan *p;
    if (make(&p, a, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return p;
}

static void one_thing(void **state)
{
    const char *const args[] = {"true"};
    (void)state;
    refused(&(struct settings_action){BASE, NO_PUBLISH, NO_WEBHOOK}, "does nothing: `do` needs publish, webhook, program, opcua-write or opcua-call");
    refused(&(struct settings_action){BASE, PUBLISH("t", ""), WEBHOOK("http://h/", "")}, "two things, publish and webhook");
    refused(&(struct settings_action){BASE, NO_PUBLISH, WEBHOOK("http://h/", ""), .program = {args, 1}},
            "two things, webhook and program");
}

static void guards(void **state)
{
    (void)state;
    struct settings_action a = {BASE, PUBLISH("t", ""), NO_WEBHOOK};
    a.at_least = "often";
    refused(&a, "guard.at-least must be a number (1 to 1000), `in` and a time, such as `2 in 10s`, got 'often'");
    a.at_least = "";
    a.at_most = "1 in 5m";
    refused(&a, "guard.at-most must be a number (1 to 1000), `per` and a time, such as `1 per 5m`, got '1 in 5m'");
}

static void sources(void **state)
{
    static const char *const endless[] = {"$actions/a", "$actions/+", "$actions/#"}, *const fine[] = {"#", "$actions/b", "+/a"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct settings_action a = {BASE, PUBLISH("t", ""), NO_WEBHOOK};
        a.on = endless[i];
        refused(&a, "it would never end");
    }
    for (size_t i = 0; i < 3; i++) {
        struct settings_action a = {BASE, PUBLISH("${t}", ""), NO_WEBHOOK};
        a.on = fine[i];
        action_plan_free(taken(&a));
    }
}

static void topics(void **state)
{
    static const char *const wrong[] = {"a/+", "#", "a/#/b", "$SYS/x", "$jobs/a/b", "$${x}", "\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refused(&(struct settings_action){BASE, PUBLISH(wrong[i], ""), NO_WEBHOOK}, "is not a topic to publish to");
    refused(&(struct settings_action){BASE, PUBLISH("", "m"), NO_WEBHOOK}, "do.publish has a message and no topic");
    refused(&(struct settings_action){BASE, PUBLISH("a/${b", ""), NO_WEBHOOK}, "do.publish.topic has `${` at byte 3");
    refused(&(struct settings_action){BASE, PUBLISH("a", "x${}"), NO_WEBHOOK}, "do.publish.message has `${` at byte 2");
    refused(&(struct settings_action){BASE, PUBLISH("in/5", ""), NO_WEBHOOK}, "is what it reads (on): it would never end");
    action_plan_free(taken(&(struct settings_action){BASE, PUBLISH("${a}/${b}", ""), NO_WEBHOOK}));
    action_plan_free(taken(&(struct settings_action){BASE, PUBLISH("${a}", "x"), NO_WEBHOOK}));
    action_plan_free(taken(&(struct settings_action){BASE, PUBLISH("in/x/y", "x"), NO_WEBHOOK}));
}

static void bodies(void **state)
{
    (void)state;
    refused(&(struct settings_action){BASE, PUBLISH("t", "{\"a\": ${b}"), NO_WEBHOOK}, "do.publish.message begins as JSON and is none");
    refused(&(struct settings_action){BASE, NO_PUBLISH, WEBHOOK("http://h/", " {text: \"${b}\"}")}, "do.webhook.body begins as JSON");
    refused(&(struct settings_action){BASE, PUBLISH("t", "{\"a\": \"\\u00${b}41\"}"), NO_WEBHOOK}, "begins as JSON and is none");
    static const struct {
        const char *text;
        bool json;
    } fine[] = {{"", false}, {"{\"a\": ${b}, \"c\": \"${d}\"}", true}, {"[${a}]", true}, {"[alarm] ${a}", false}, {"on", false}};
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        struct action_plan *p = taken(&(struct settings_action){BASE, PUBLISH("t", fine[i].text), NO_WEBHOOK});
        assert_int_equal(p->publish.message.json, fine[i].json);
        action_plan_free(p);
    }
}

static void addresses(void **state)
{
    static const struct {
        const char *url, *host, *target;
        unsigned port;
        bool tls;
    } good[] = {
        {"http://h", "h", "/", 80, false},
        {"https://hooks.example.com/a/b?c=${d}", "hooks.example.com", "/a/b?c=${d}", 443, true},
        {"http://127.0.0.1:8080?x", "127.0.0.1", "/?x", 8080, false},
        {"https://[::1]:8443/x", "::1", "/x", 8443, true},
        {"http://[fe80::1]/", "fe80::1", "/", 80, false},
    };
    static const struct {
        const char *url, *want;
    } bad[] = {
        {"ftp://h/", "must begin with http:// or https://"},
        {"h/x", "must begin with"},
        {"http://user:geheim@h/", "must not hold a user and password"},
        {"http:///x", "has no host"},
        {"http://${host}/x", "fields of the event cannot be the host"},
        {"http://h:0/", "port"},
        {"http://h:65536/", "port"},
        {"http://h:80x/", "port"},
        {"http://h:/", "not a port"},
        {"http://h: 80/", "not a port"},
        {"http://[::1/", "has no host"},
        {"http://[::1]x/", "not a port"},
        {"http://h/a b", "has a blank or a #"},
        {"http://h/a#b", "has a blank or a #"},
        {"http://h/\r\nX: y", "has a blank or a #"},
        {"http://h/${a", "do.webhook.url has `${`"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct action_plan *p = taken(&(struct settings_action){BASE, NO_PUBLISH, WEBHOOK(good[i].url, "")});
        assert_string_equal(p->webhook.host, good[i].host);
        assert_string_equal(p->webhook.target, good[i].target);
        assert_int_equal(p->webhook.port, good[i].port);
        assert_int_equal(p->webhook.tls != NULL, good[i].tls);
        action_plan_free(p);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(&(struct settings_action){BASE, NO_PUBLISH, WEBHOOK(bad[i].url, "")}, bad[i].want);
    struct fault why;
    struct action_plan *p;
    assert_int_equal(make(&p, &(struct settings_action){BASE, NO_PUBLISH, WEBHOOK(bad[2].url, "")}, &why), CODE_USAGE);
    assert_null(strstr(why.text, "geheim"));
    refused(&(struct settings_action){BASE, NO_PUBLISH, WEBHOOK("", "body")}, "do.webhook has no url");
    struct settings_action a = {BASE, NO_PUBLISH, .webhook = {.url = "http://h/", .body = "", .ca = "/ca.pem"}};
    refused(&a, "do.webhook.ca is for https:// only");
    a.webhook.url = "https://h/";
    assert_int_not_equal(make(&p, &a, &why), CODE_OK); /* there is no such file */
    assert_non_null(strstr(why.text, "/ca.pem"));
}

static void headers(void **state)
{
    static const struct {
        struct settings_pair pair;
        const char *want;
    } bad[] = {
        {{"Two words", "x"}, "'Two words' is not a header"},
        {{"A:", "x"}, "is not a header"},
        {{"", "x"}, "is not a header"},
        {{"A\xc3\xa4", "x"}, "is not a header"},
        {{"A", "geheim\r\nB: y"}, "'A' is not a header"},
        {{"Host", "x"}, "'Host' is set by the node itself"},
        {{"content-length", "1"}, "is set by the node itself"},
        {{"Transfer-Encoding", "chunked"}, "is set by the node itself"},
        {{"Idempotency-Key", "1"}, "is set by the node itself"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct settings_action a = {BASE, NO_PUBLISH, WEBHOOK("http://h/", "")};
        a.webhook.headers = (struct settings_pairs){&bad[i].pair, 1};
        refused(&a, bad[i].want);
    }
    const struct settings_pair good[] = {{"Authorization", "Bearer a\tb \xc3\xa4"}, {"Content-Type", "text/plain"}};
    struct settings_action a = {BASE, NO_PUBLISH, WEBHOOK("http://h/", "")};
    a.webhook.headers = (struct settings_pairs){good, 2};
    struct action_plan *p = taken(&a);
    assert_string_equal(p->webhook.headers, "Authorization: Bearer a\tb \xc3\xa4\r\nContent-Type: text/plain\r\n");
    action_plan_free(p);
}

static void programs(void **state)
{
    const char *const field[] = {"/bin/${x}", "y"}, *const open[] = {"a", "${"}, *const nameless[] = {""};
    const char *many[101];
    (void)state;
    for (size_t i = 0; i < 101; i++)
        many[i] = "x";
    struct settings_action a = {BASE, NO_PUBLISH, NO_WEBHOOK, .program = {field, 2}};
    refused(&a, "the program itself cannot come from the event");
    a.program.at = open;
    refused(&a, "do.program has `${` at byte 1");
    a.program = (struct settings_texts){nameless, 1};
    refused(&a, "the program has no name");
    a.program = (struct settings_texts){many, 101};
    refused(&a, "has 101 parts, the most is 100");
    a.program.count = 100;
    action_plan_free(taken(&a));
}

/* Whatever differs, the action is another one. */
static void what_has_changed_is_seen(void **state)
{
    const struct settings_pair one[] = {{"A", "b"}}, two[] = {{"Ab", ""}};
    struct settings_action all[16];
    uint64_t marks[16];
    (void)state;
    size_t n = 0;
    for (; n < 14; n++)
        all[n] = (struct settings_action){BASE, NO_PUBLISH, WEBHOOK("http://h/", "")};
    all[1].on = "in/x";
    all[2].webhook.url = "http://h/x";
    all[3].webhook.body = "x";
    all[4].webhook.headers = (struct settings_pairs){one, 1};
    all[5].webhook.headers = (struct settings_pairs){two, 1};
    all[6].at_least = "1 in 1s";
    all[7].at_most = "1 per 1s";
    all[8].dry_run = true;
    all[9].retry = 7;
    all[10].timeout_s = 11;
    all[11] = (struct settings_action){BASE, PUBLISH("t", ""), NO_WEBHOOK};
    all[12] = (struct settings_action){BASE, PUBLISH("t", ""), NO_WEBHOOK};
    all[12].publish.qos = 2;
    all[13] = (struct settings_action){BASE, PUBLISH("t", ""), NO_WEBHOOK};
    all[13].publish.retain = true;
    for (size_t i = 0; i < n; i++) {
        struct action_plan *p = taken(&all[i]), *same = taken(&all[i]);
        marks[i] = p->mark;
        assert_true(p->mark == same->mark);
        for (size_t k = 0; k < i; k++)
            if (marks[k] == marks[i])
                fail_msg("%zu and %zu look the same", k, i);
        action_plan_free(p);
        action_plan_free(same);
    }
}

/* The settings know nothing of the stack: that both mean the same by a word is seen here. */
static void words_of_security(void **state)
{
    (void)state;
    for (size_t i = 0; i < UA_POLICY_COUNT; i++)
        assert_string_equal(settings_opcua_policies[OPCUA_NONE + i], ua_policies[i].name);
    assert_null(settings_opcua_policies[OPCUA_NONE + UA_POLICY_COUNT]);
    assert_string_equal(settings_opcua_modes[UA_MODE_NONE], "none");
    assert_string_equal(settings_opcua_modes[UA_MODE_SIGN], "sign");
    assert_string_equal(settings_opcua_modes[UA_MODE_SIGN_AND_ENCRYPT], "encrypt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thing), cmocka_unit_test(guards),    cmocka_unit_test(sources),
        cmocka_unit_test(topics),    cmocka_unit_test(bodies),    cmocka_unit_test(addresses),
        cmocka_unit_test(headers),   cmocka_unit_test(programs),  cmocka_unit_test(what_has_changed_is_seen),
        cmocka_unit_test(words_of_security),
    };
    fs = memfs_new(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    memfs_free(fs);
    return failed;
}
