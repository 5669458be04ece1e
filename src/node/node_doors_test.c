/* node_doors_test.c - a connection's number means the same listener over every reload. */
#include "node/node_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MOST = 4 };

/* Settings with a listener for each text: "a b" listens on a and on b. */
struct made {
    struct settings          settings;
    struct settings_listener listeners[MOST];
    struct settings_address  at[MOST][2];
};

static void make(struct made *m, const char *const *texts, enum settings_auth auth)
{
    *m = (struct made){ 0 };
    for (size_t i = 0; texts[i]; i++) {
        m->at[i][0].text = texts[i];
        m->listeners[i] = (struct settings_listener){ .auth = { { (uint8_t)auth }, 1 }, .at = m->at[i], .at_count = 1 };
        m->settings.listener_count++;
    }
    m->settings.listeners = m->listeners;
}

static void step(struct doors *d, struct made *m, const struct made *before, const char *const *texts, enum settings_auth auth)
{
    struct doors next;
    struct fault why;
    make(m, texts, auth);
    assert_int_equal(doors_make(&m->settings, before ? &before->settings : NULL, before ? d : NULL, &next, &why), CODE_OK);
    if (before)
        doors_clear(d);
    *d = next;
}

static void numbers_stay_with_their_addresses(void **state)
{
    (void)state;
    struct doors d;
    struct made one, two, three;
    step(&d, &one, NULL, (const char *const[]){ "a", "b", NULL }, AUTH_ANONYMOUS);
    assert_int_equal(d.count, 2);
    assert_int_equal(d.of[0], 0);
    assert_int_equal(d.of[1], 1);
    /* b moves to the front and asks for users, a goes, c comes */
    step(&d, &two, &one, (const char *const[]){ "b", "c", NULL }, AUTH_USERS);
    assert_int_equal(d.count, 3);
    assert_int_equal(d.of[0], 1);
    assert_int_equal(d.of[1], 2);
    assert_null(d.at[0]);
    assert_ptr_equal(d.at[1], &two.listeners[0]);
    assert_int_equal(d.auth[0].chain.at[0], AUTH_ANONYMOUS); /* who came through a keeps its rule */
    assert_int_equal(d.auth[1].chain.at[0], AUTH_USERS);
    /* a comes back: it is another one */
    step(&d, &three, &two, (const char *const[]){ "a", "b", NULL }, AUTH_ANONYMOUS);
    assert_int_equal(d.count, 4);
    assert_int_equal(d.of[0], 3);
    assert_int_equal(d.of[1], 1);
    assert_null(d.at[0]);
    assert_null(d.at[2]);
    doors_clear(&d);
}

static void one_that_was_split_leaves_its_number_to_the_first(void **state)
{
    (void)state;
    struct doors d, next;
    struct made one, two;
    make(&one, (const char *const[]){ "a", NULL }, AUTH_ANONYMOUS);
    one.at[0][1].text = "b";
    one.listeners[0].at_count = 2;
    assert_int_equal(doors_make(&one.settings, NULL, NULL, &d, NULL), CODE_OK);
    make(&two, (const char *const[]){ "b", "a", NULL }, AUTH_ANONYMOUS);
    assert_int_equal(doors_make(&two.settings, &one.settings, &d, &next, NULL), CODE_OK);
    assert_int_equal(next.of[0], 0);
    assert_int_equal(next.of[1], 1);
    doors_clear(&d);
    doors_clear(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay_with_their_addresses),
        cmocka_unit_test(one_that_was_split_leaves_its_number_to_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
