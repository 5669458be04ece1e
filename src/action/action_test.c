/* Actions on a whole broker: each kind, templates, guard, tries, crashes.
 * timeout: 240 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "action/action_test_stage.h"
#include "support/certs.h"

#include <signal.h>
#include <sys/stat.h>

static const struct settings_action copy_action = {
    ACTION("copy"), .publish = {.topic = "out/${id}", .message = "{\"n\": ${n}}", .qos = 1}, NO_WEBHOOK};

static char log_text[1 << 16];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep_log(void *ctx, const char *line)
{
    (void)ctx;
    pthread_mutex_lock(&log_lock);
    size_t n = strlen(log_text);
    (void)snprintf(log_text + n, sizeof log_text - n, "%s\n", line);
    pthread_mutex_unlock(&log_lock);
}

static bool logged(const char *what)
{
    pthread_mutex_lock(&log_lock);
    bool is = strstr(log_text, what) != NULL;
    pthread_mutex_unlock(&log_lock);
    return is;
}

static void json_field(const char *json, const char *key, char *out, size_t cap)
{
    char name[64];
    (void)snprintf(name, sizeof name, "\"%s\":", key);
    const char *at = strstr(json, name);
    if (!at)
        fail_msg("%s has no %s", json, key);
    at += strlen(name);
    size_t n = *at == '"' ? strcspn(at + 1, "\"") : strcspn(at, ",}");
    (void)snprintf(out, cap, "%.*s", (int)n, at + (*at == '"'));
}

static void report_is(struct stage *s, const char *action, const char *result, const char *said)
{
    char topic[64], got[4096], text[512];
    (void)snprintf(topic, sizeof topic, "$actions/%s", action);
    watch_one(s, topic, got, sizeof got);
    json_field(got, "result", text, sizeof text);
    assert_string_equal(text, result);
    json_field(got, "said", text, sizeof text);
    if (!strstr(text, said))
        fail_msg("'%s' is not in '%s'", said, text);
}

/* ---- publish ---- */

static void events_are_published_in_their_order(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s);
    apply(&s, &copy_action, 1);
    for (int i = 0; i < 100; i++) {
        char event[64];
        (void)snprintf(event, sizeof event, "{\"id\":\"a/%d\",\"n\":%d}", i % 3, i);
        feed(&s, event);
    }
    for (int i = 0; i < 100; i++) {
        char want[64];
        (void)snprintf(want, sizeof want, "out/a_%d {\"n\": %d}", i % 3, i);
        expect(&s, "out/", want);
    }
    struct action_glance g = settled(&s, "copy");
    assert_int_equal(g.done, 100);
    assert_int_equal(g.failed + g.retries + g.held_back + g.dry, 0);
    stage_close(&s);
}

static void the_event_itself_goes_on(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s);
    apply(&s, &(struct settings_action){ACTION("same"), .publish = {.topic = "out/x", .message = "", .qos = 0}, NO_WEBHOOK}, 1);
    feed(&s, "not JSON at all \xff");
    expect(&s, "out/", "out/x not JSON at all \xff");
    stage_close(&s);
}

static void what_makes_no_topic_is_given_up(void **state)
{
    struct stage s;
    (void)state;
    const struct settings_action list[] = {
        {ACTION("free"), .publish = {.topic = "${to}", .message = "m", .qos = 1}, NO_WEBHOOK},
        {ACTION("echo"), .publish = {.topic = "in/${to}", .message = "m", .qos = 1}, NO_WEBHOOK},
    };
    stage_open(&s);
    apply(&s, list, 2);
    feed(&s, "{\"to\":\"$SYS\"}");
    report_is(&s, "free", "failed", "not a topic");
    feed(&s, "{\"to\":\"\"}");
    report_is(&s, "free", "failed", "not a topic");
    feed(&s, "no JSON");
    report_is(&s, "free", "failed", "");
    feed(&s, "{\"to\":\"out\"}");
    report_is(&s, "free", "good", "");
    (void)settled(&s, "echo");
    assert_int_equal(glance(&s, "echo").failed, 4); /* what it reads itself it does not write */
    assert_int_equal(glance(&s, "echo").done, 0);
    stage_close(&s);
}

/* ---- crashes ---- */

static void a_publish_happens_once(void **state)
{
    struct stage s;
    (void)state;
    unsigned sent = 0;
    stage_open(&s);
    apply(&s, &copy_action, 1);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 40; i++) {
            char event[64];
            (void)snprintf(event, sizeof event, "{\"id\":\"x\",\"n\":%u}", sent++);
            feed(&s, event);
        }
        /* On disk are all events up to some of these; which ones the action got to is anybody's guess. */
        stage_crash(&s);
        apply(&s, &copy_action, 1);
    }
    feed(&s, "{\"id\":\"x\",\"n\":\"last\"}");
    (void)settled(&s, "copy");
    unsigned last = 0, all = 0;
    for (unsigned i = 0; i < sent; i++) {
        char payload[64];
        (void)snprintf(payload, sizeof payload, "{\"n\": %u}", i);
        unsigned n = count(&s, "out/x", payload);
        if (n > 1)
            fail_msg("%s was published %u times", payload, n);
        all += n;
        last = n ? i : last;
    }
    assert_int_equal(count(&s, "out/x", "{\"n\": \"last\"}"), 1);
    assert_int_equal(count(&s, "$actions/copy", ""), all + 1); /* one word for each of them */
    assert_true(all > 0 && last > 0);
    stage_close(&s);
}

static struct settings_action guarded(const char *at_least, const char *at_most)
{
    struct settings_action a = copy_action;
    a.at_least = at_least;
    a.at_most = at_most;
    return a;
}

static void a_guard_decides_the_same_after_a_crash(void **state)
{
    struct stage s;
    (void)state;
    struct settings_action a = guarded("2 in 10m", "2 per 10m");
    stage_open(&s);
    apply(&s, &a, 1);
    static const unsigned want_held[] = {1, 1, 1, 2, 3}, want_done[] = {0, 1, 2, 2, 2};
    unsigned held = 0, done = 0;
    for (int i = 0; i < 5; i++) {
        feed(&s, "{\"id\":\"x\",\"n\":1}");
        struct action_glance g = settled(&s, "copy");
        assert_int_equal(held + g.held_back, want_held[i]);
        assert_int_equal(done + g.done, want_done[i]);
        held += (unsigned)g.held_back;
        done += (unsigned)g.done;
        if (i % 2)
            stage_restart(&s);
        else {
            (void)usleep(100 * 1000); /* until it is on disk */
            stage_crash(&s);
        }
        apply(&s, &a, 1);
    }
    atomic_fetch_add(&stage_offset_us, INT64_C(3600000000));
    feed(&s, "{\"id\":\"x\",\"n\":1}"); /* the only one within ten minutes */
    feed(&s, "{\"id\":\"x\",\"n\":1}");
    struct action_glance g = settled(&s, "copy");
    assert_int_equal(g.held_back, 1);
    assert_int_equal(g.done, 1);
    stage_close(&s);
}

static void many_held_back_have_one_line(void **state)
{
    struct stage s;
    char got[4096], text[64];
    (void)state;
    struct settings_action a = guarded("", "1 per 10m");
    stage_open(&s);
    apply(&s, &a, 1);
    for (int i = 0; i < 200; i++)
        feed(&s, "{\"id\":\"x\",\"n\":1}");
    struct action_glance g = settled(&s, "copy");
    assert_int_equal(g.done, 1);
    assert_int_equal(g.held_back, 199);
    assert_int_equal(count(&s, "$actions/copy", ""), 2);
    atomic_fetch_add(&stage_offset_us, INT64_C(3600000000));
    feed(&s, "{\"id\":\"x\",\"n\":1}");
    report_is(&s, "copy", "good", "");
    report_is(&s, "copy", "held back", "guard.at-most");
    watch_one(&s, "$actions/copy", got, sizeof got);
    json_field(got, "held-back", text, sizeof text);
    assert_string_equal(text, "198");
    stage_close(&s);
}

static void a_dry_run_does_nothing_and_says_so(void **state)
{
    struct stage s;
    (void)state;
    struct settings_action a = copy_action;
    a.dry_run = true;
    stage_open(&s);
    apply(&s, &a, 1);
    feed(&s, "{\"id\":\"x\",\"n\":1}");
    report_is(&s, "copy", "dry run", "");
    assert_int_equal(settled(&s, "copy").dry, 1);
    assert_int_equal(count(&s, "out/", ""), 0);
    stage_close(&s);
}

static void a_full_disk_makes_it_wait(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s);
    struct settings_action a = guarded("", "");
    a.retry = 0;
    feed(&s, "{\"id\":\"x\",\"n\":0}"); /* nobody reads yet */
    apply(&s, &a, 1);
    log_text[0] = 0;
    memfs_set_room(s.fs, 0);
    int fed = 0;
    static char big[8000];
    memset(big, 'x', sizeof big - 1);
    while (fed < 5000 && feed_ok(&s, "other", big))
        fed++;
    while (fed < 50000 && feed_ok(&s, "in/1", "{\"id\":\"x\",\"n\":7}"))
        fed++;
    assert_true(fed < 50000);
    memfs_set_room(s.fs, UINT64_MAX);
    struct action_glance g = settled(&s, "copy");
    assert_int_equal(g.failed, 0);
    assert_int_equal(count(&s, "out/x", "{\"n\": 7}"), g.done);
    stage_close(&s);
}

/* ---- webhook ---- */

static struct settings_action hook(const struct server *w, char url[128], const char *path)
{
    (void)snprintf(url, 128, "http://127.0.0.1:%u%s", listener_port(w->listener), path);
    return (struct settings_action){ACTION("hook"), NO_PUBLISH, .webhook = {.url = url, .body = "", .ca = ""}, .retry = 3};
}

static void a_webhook_is_posted(void **state)
{
    static const struct settings_pair headers[] = {{"Authorization", "Bearer geheim"}, {"X-More", "1"}};
    struct stage s;
    struct server w;
    char url[128], request[8192], key[160];
    (void)state;
    stage_open(&s);
    server_open(&w, 204);
    server_begin(&w);
    log_text[0] = 0;
    struct settings_action a = hook(&w, url, "/verborgen/${id}?key=${id}");
    a.webhook.body = "{\"text\": \"machine ${id} said ${said}\", \"n\": ${n}}";
    a.webhook.headers = (struct settings_pairs){headers, 2};
    apply(&s, &a, 1);
    feed(&s, "{\"id\":\"a b/\xc3\xa4&x=1\",\"said\":\"\\\"no\\\"\",\"n\":null}");
    report_is(&s, "hook", "good", "status 204");
    server_last(&w, request, sizeof request);
    assert_true(strncmp(request, "POST /verborgen/a%20b%2F%C3%A4%26x%3D1?key=a%20b%2F%C3%A4%26x%3D1 HTTP/1.1\r\n", 60) == 0);
    assert_non_null(strstr(request, "\r\nAuthorization: Bearer geheim\r\nX-More: 1\r\nIdempotency-Key: hook-0-"));
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(request, "\r\n\r\n{\"text\": \"machine a b/\xc3\xa4&x=1 said \\\"no\\\"\", \"n\": null}"));
    (void)snprintf(key, sizeof key, "POST http://127.0.0.1:%u", listener_port(w.listener));
    assert_true(logged(key));
    assert_false(logged("geheim"));
    assert_false(logged("verborgen"));
    server_close(&w);
    stage_close(&s);
}

static void a_failed_try_is_repeated_and_a_hopeless_one_is_not(void **state)
{
    struct stage s;
    struct server w;
    char url[128];
    (void)state;
    stage_open(&s);
    server_open(&w, 503);
    server_begin(&w);
    w.then_good = 1;
    struct settings_action a = hook(&w, url, "");
    apply(&s, &a, 1);
    feed(&s, "{}");
    report_is(&s, "hook", "good", "status 200");
    assert_int_equal(w.requests, 2);
    assert_int_equal(glance(&s, "hook").retries, 1);
    w.then_good = 0;
    w.status = 404;
    feed(&s, "{}");
    report_is(&s, "hook", "failed", "status 404");
    w.status = 301;
    feed(&s, "{}");
    report_is(&s, "hook", "failed", "redirects are not followed");
    assert_int_equal(w.requests, 4);
    w.status = 429;
    a.retry = 0;
    apply(&s, &a, 1);
    feed(&s, "{}");
    report_is(&s, "hook", "failed", "status 429");
    assert_int_equal(settled(&s, "hook").failed, 1); /* counted since it changed */
    server_close(&w);
    stage_close(&s);
}

static void who_does_not_answer_is_given_up(void **state)
{
    struct stage s;
    struct server w;
    char url[128];
    (void)state;
    stage_open(&s);
    server_open(&w, 0);
    server_begin(&w);
    struct settings_action a = hook(&w, url, "/");
    a.retry = 0;
    a.timeout_s = 1;
    apply(&s, &a, 1);
    feed(&s, "{}");
    report_is(&s, "hook", "failed", "no answer in time");
    server_close(&w);
    feed(&s, "{}");
    report_is(&s, "hook", "failed", "127.0.0.1");
    stage_close(&s);
}

static void the_same_key_after_a_crash(void **state)
{
    struct stage s;
    struct server w;
    char url[128], first[8192], second[8192];
    (void)state;
    stage_open(&s);
    server_open(&w, 0);
    server_begin(&w);
    struct settings_action a = hook(&w, url, "/");
    apply(&s, &a, 1);
    feed(&s, "{\"n\":1}");
    for (int i = 0; i < 5000 && !w.requests; i++)
        nap();
    server_last(&w, first, sizeof first);
    (void)usleep(100 * 1000);
    stage_crash(&s); /* it was under way */
    w.status = 200;
    apply(&s, &a, 1);
    report_is(&s, "hook", "good", "status 200");
    server_last(&w, second, sizeof second);
    assert_string_equal(first, second);
    /* Gone and declared again: another event is another event. */
    apply(&s, NULL, 0);
    apply(&s, &a, 1);
    feed(&s, "{\"n\":1}");
    report_is(&s, "hook", "good", "status 200");
    server_last(&w, second, sizeof second);
    assert_string_not_equal(first, second);
    server_close(&w);
    stage_close(&s);
}

static const struct io *disk; /* what certs.h writes is on the real one */

static void a_certificate_is_verified(void **state)
{
    struct stage s;
    struct server w;
    struct fault why;
    struct tls_server *tls;
    struct action_plan *p;
    char url[128];
    (void)state;
    (void)certs_begin();
    struct cert root = cert_make(&(struct cert_wish){.name = "Root", .ca = true});
    struct cert own = cert_make(&(struct cert_wish){.issuer = &root, .name = "web", .sans = "IP:127.0.0.1"});
    struct cert other = cert_make(&(struct cert_wish){.issuer = &root, .name = "web", .sans = "IP:127.0.0.2"});
    const char *ca = certs_chain("root.pem", (const struct cert *[]){&root}, 1);
    struct tls_server_options o = {.chain = certs_chain("own.pem", (const struct cert *[]){&own}, 1),
                                   .key = certs_key("own.key", &own)};
    disk = &io_system;
    stage_open(&s);
    server_open(&w, 200);
    must(tls_server_load(&tls, disk, &o, &why), &why);
    listener_set_tls(w.listener, tls);
    server_begin(&w);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", listener_port(w.listener));
    struct settings_action a = {ACTION("hook"), NO_PUBLISH, .webhook = {.url = url, .body = "", .ca = ""}};
    apply(&s, &a, 1);
    feed(&s, "{}");
    report_is(&s, "hook", "failed", "FG21"); /* the system's store does not know it */
    assert_int_equal(w.requests, 0);
    a.webhook.ca = ca;
    must(action_plan_new(&p, &a, bytes_str(a.on), NULL, disk, &why), &why);
    must(actions_apply(s.actions, &p, 1, &why), &why);
    feed(&s, "{}");
    report_is(&s, "hook", "good", "status 200");
    server_close(&w);
    tls_server_drop(tls);
    /* The same issuer, another name. */
    o.chain = certs_chain("other.pem", (const struct cert *[]){&other}, 1);
    o.key = certs_key("other.key", &other);
    server_open(&w, 200);
    must(tls_server_load(&tls, disk, &o, &why), &why);
    listener_set_tls(w.listener, tls);
    server_begin(&w);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", listener_port(w.listener));
    must(action_plan_new(&p, &a, bytes_str(a.on), NULL, disk, &why), &why);
    must(actions_apply(s.actions, &p, 1, &why), &why);
    feed(&s, "{}");
    report_is(&s, "hook", "failed", "FG2103"); /* for another name */
    assert_int_equal(w.requests, 0);
    server_close(&w);
    tls_server_drop(tls);
    stage_close(&s);
    cert_free(&other);
    cert_free(&own);
    cert_free(&root);
    certs_end();
}

/* ---- program ---- */

static struct settings_action program(const char *const *args, size_t n)
{
    return (struct settings_action){ACTION("run"), NO_PUBLISH, NO_WEBHOOK, .program = {.at = args, .count = n}};
}

static void a_program_gets_the_event(void **state)
{
    const char *const args[] = {"/bin/sh", "-c", "read line; echo \"$1 $FIELDGATE_ACTION $line\"; echo more; exit $2",
                                "sh", "${id}; rm -r /", "${code}"};
    struct stage s;
    (void)state;
    stage_open(&s);
    struct settings_action a = program(args, ARRAY_COUNT(args));
    apply(&s, &a, 1);
    feed(&s, "{\"id\":\"$(id) x\",\"code\":0}");
    report_is(&s, "run", "good", "status 0: $(id) x; rm -r / run {");
    feed(&s, "{\"id\":\"x\",\"code\":3}");
    report_is(&s, "run", "failed", "status 3: x");
    feed(&s, "{\"id\":\"\\u0000\",\"code\":0}");
    report_is(&s, "run", "failed", "U+0000");
    const char *const none[] = {"/no/such/program"}, *const slow[] = {"sleep", "100"};
    a = program(none, 1);
    apply(&s, &a, 1);
    feed(&s, "{}");
    report_is(&s, "run", "failed", "/no/such/program");
    a = program(slow, 2);
    a.timeout_s = 1;
    apply(&s, &a, 1);
    feed(&s, "{}");
    report_is(&s, "run", "failed", "not done in time");
    stage_close(&s);
}

/* ---- changes ---- */

static void what_is_under_way_may_end(void **state)
{
    const char *const args[] = {"sh", "-c", "sleep 0.5; echo done"};
    struct stage s;
    (void)state;
    stage_open(&s);
    struct settings_action a = program(args, 3);
    apply(&s, &a, 1);
    feed(&s, "{\"n\":1}");
    feed(&s, "{\"n\":2}");
    (void)usleep(100 * 1000);
    stage_restart(&s);
    report_is(&s, "run", "good", "done");
    assert_int_equal(count(&s, "$actions/", ""), 1); /* the second one waits */
    apply(&s, &a, 1);
    assert_int_equal(settled(&s, "run").done, 1);
    stage_close(&s);
}

static void what_takes_longer_is_broken_off_and_comes_again(void **state)
{
    const char *const args[] = {"sleep", "100"}, *const quick[] = {"true"};
    struct stage s;
    (void)state;
    stage_open(&s);
    struct settings_action a = program(args, 2);
    a.timeout_s = 60;
    apply(&s, &a, 1);
    feed(&s, "{\"n\":1}");
    (void)usleep(100 * 1000);
    a = program(quick, 1);
    apply(&s, &a, 1);
    report_is(&s, "run", "good", "status 0");
    assert_int_equal(settled(&s, "run").done, 1);
    stage_close(&s);
}

static void what_is_not_declared_any_more_ends(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s);
    struct settings_action two[] = {copy_action, {ACTION("other"), .publish = {.topic = "out/other", .message = "", .qos = 1}, NO_WEBHOOK}};
    apply(&s, two, 2);
    apply(&s, &two[1], 1);
    feed(&s, "{\"id\":\"x\",\"n\":1}");
    expect(&s, "out/", "out/other {\"id\":\"x\",\"n\":1}");
    apply(&s, two, 2);
    assert_int_equal(glance(&s, "copy").waiting, 0);
    assert_int_equal(settled(&s, "copy").done, 0);
    /* Nor is what an earlier run left. */
    stage_restart(&s);
    feed(&s, "{\"id\":\"x\",\"n\":2}"); /* waits for both */
    apply(&s, &two[1], 1);
    apply(&s, two, 2);
    assert_int_equal(settled(&s, "copy").done, 0);
    assert_int_equal(settled(&s, "other").done, 1);
    stage_close(&s);
}

static void each_change_is_one(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s);
    struct settings_action three[] = {
        {ACTION("a"), .publish = {.topic = "out/a", .message = "old", .qos = 1}, NO_WEBHOOK},
        {ACTION("b"), .publish = {.topic = "out/b", .message = "old", .qos = 1}, NO_WEBHOOK},
        {ACTION("c"), .publish = {.topic = "out/c", .message = "old", .qos = 1}, NO_WEBHOOK},
    };
    apply(&s, three, 3);
    three[0].publish.message = three[1].publish.message = "new";
    apply(&s, three, 3);
    feed(&s, "{}");
    (void)settled(&s, "a");
    (void)settled(&s, "b");
    (void)settled(&s, "c");
    assert_int_equal(count(&s, "out/a", "new"), 1);
    assert_int_equal(count(&s, "out/b", "new"), 1);
    assert_int_equal(count(&s, "out/c", "old"), 1);
    assert_int_equal(count(&s, "out/", ""), 3);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_webhook_is_posted), /* first: the log counts what repeats */
        cmocka_unit_test(events_are_published_in_their_order),
        cmocka_unit_test(the_event_itself_goes_on),
        cmocka_unit_test(what_makes_no_topic_is_given_up),
        cmocka_unit_test(a_publish_happens_once),
        cmocka_unit_test(a_guard_decides_the_same_after_a_crash),
        cmocka_unit_test(many_held_back_have_one_line),
        cmocka_unit_test(a_dry_run_does_nothing_and_says_so),
        cmocka_unit_test(a_full_disk_makes_it_wait),
        cmocka_unit_test(a_failed_try_is_repeated_and_a_hopeless_one_is_not),
        cmocka_unit_test(who_does_not_answer_is_given_up),
        cmocka_unit_test(the_same_key_after_a_crash),
        cmocka_unit_test(a_certificate_is_verified),
        cmocka_unit_test(a_program_gets_the_event),
        cmocka_unit_test(what_is_under_way_may_end),
        cmocka_unit_test(what_takes_longer_is_broken_off_and_comes_again),
        cmocka_unit_test(what_is_not_declared_any_more_ends),
        cmocka_unit_test(each_change_is_one),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as the node does */
    log_set_sink(keep_log, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
