/* The authenticator on a simulated loop: the chain of a door, passwords on the pool, guesses, reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "identity/auth_private.h"
#include "identity/identity_test_users.h"
#include "net/pool.h"
#include "net/sim.h"
#include "support/memfs.h"

#include <stdio.h>

#define SECONDS(n) ((n) * INT64_C(1000000))
enum { DOOR_USERS, DOOR_ANYBODY, DOOR_BOTH, DOOR_USERS_FIRST, DOOR_NOBODY, DOORS };

struct fixture {
    struct memfs *fs;
    struct sim   *sim;
    struct loop  *loop;
    struct auth  *auth;
    unsigned      answers;
    bool          storm; /* answers are counted, nobody wants the principals */
    struct auth_answer last;
};

static void write_users(struct fixture *f, const char *alice)
{
    const struct io *io = memfs_io(f->fs);
    struct buf text = { 0 };
    struct fault why;
    if (alice)
        test_user(&text, "alice", alice, "admin", false);
    test_user(&text, "bob", "bobs", NULL, false);
    test_user(&text, "carol", NULL, "monitor", false);
    assert_int_equal(io_replace(io, "/", "users", buf_bytes(&text), &why), CODE_OK);
    buf_clear(&text);
}

static enum code open_auth(struct fixture *f, struct fault *why)
{
    static const struct auth_door doors[DOORS] = {
        [DOOR_USERS] = { .chain = { { AUTH_USERS }, 1 } },
        [DOOR_ANYBODY] = { .chain = { { AUTH_ANONYMOUS }, 1 } },
        [DOOR_BOTH] = { .chain = { { AUTH_ANONYMOUS, AUTH_USERS }, 2 } },
        [DOOR_USERS_FIRST] = { .chain = { { AUTH_USERS, AUTH_ANONYMOUS }, 2 } },
    };
    struct auth_config config = { .io = memfs_io(f->fs), .doors = doors, .door_count = DOORS, .users_path = "/users",
                                  .failures_per_minute = 10 };
    return auth_new(&f->auth, &config, why);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct fault why;
    log_set_level(LOG_ERROR);
    f->fs = memfs_new(1);
    assert_int_equal(sim_open(&f->sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&f->loop, f->sim, &why), CODE_OK);
    write_users(f, "secret");
    assert_int_equal(open_auth(f, &why), CODE_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    loop_close(f->loop);
    sim_close(f->sim);
    auth_free(f->auth);
    memfs_free(f->fs);
    free(f);
    return 0;
}

static void answered(void *ctx, const struct auth_answer *answer)
{
    struct fixture *f = ctx;
    f->answers++;
    if (f->storm)
        principal_drop(answer->principal);
    f->last = *answer;
}

/* True: the answer came at once. */
static bool begin(struct fixture *f, uint16_t door, const char *address, const char *user, const char *password)
{
    struct auth_ask ask = { .door = door, .address = address ? address : "127.0.0.1:5", .loopback = !address, .has_user = user,
                            .has_password = password, .user = bytes_str(user), .password = bytes_str(password) };
    struct auth_answer now;
    f->answers = 0;
    if (!auth_check(f->auth, f->loop, &ask, &now, answered, f)) {
        assert_int_equal(f->answers, 0); /* never from inside */
        return false;
    }
    answered(f, &now);
    return true;
}

static enum auth_verdict check_from(struct fixture *f, uint16_t door, const char *address, const char *user,
                                    const char *password)
{
    (void)begin(f, door, address, user, password);
    (void)sim_step(f->sim);
    assert_int_equal(f->answers, 1);
    assert_true((f->last.verdict == AUTH_GRANTED) == (f->last.principal != NULL));
    return f->last.verdict;
}

static enum auth_verdict check(struct fixture *f, uint16_t door, const char *user, const char *password)
{
    enum auth_verdict v = check_from(f, door, NULL, user, password);
    principal_drop(f->last.principal);
    return v;
}

static bool is_granted_as(struct fixture *f, uint16_t door, const char *user, const char *password, const char *text)
{
    bool same = check_from(f, door, NULL, user, password) == AUTH_GRANTED && bytes_is(f->last.principal->text, text);
    principal_drop(f->last.principal);
    return same;
}

static struct auth_stats stats(struct fixture *f)
{
    struct auth_stats s;
    auth_stats(f->auth, &s);
    return s;
}

static void time_passes(struct fixture *f, int64_t us)
{
    memfs_advance(f->fs, us);
    sim_advance(f->sim, us);
}

/* ---- the chain ---- */

static void a_door_asks_who_it_was_told_to_ask(void **state)
{
    struct fixture *f = *state;
    assert_true(is_granted_as(f, DOOR_USERS, "alice", "secret", "user:alice"));
    assert_int_equal(check(f, DOOR_USERS, "alice", "wrong"), AUTH_WRONG);
    assert_int_equal(check(f, DOOR_USERS, "alice", NULL), AUTH_WRONG);
    assert_int_equal(check(f, DOOR_USERS, "mallory", "secret"), AUTH_WRONG);
    assert_int_equal(check(f, DOOR_USERS, "carol", ""), AUTH_WRONG); /* she has no password */
    assert_int_equal(check(f, DOOR_USERS, "", ""), AUTH_WRONG);
    assert_int_equal(check(f, DOOR_USERS, NULL, NULL), AUTH_NOT_ALLOWED);
    assert_true(is_granted_as(f, DOOR_ANYBODY, NULL, NULL, "anonymous"));
    assert_true(is_granted_as(f, DOOR_ANYBODY, "alice", "wrong", "anonymous")); /* a name that nobody checked is none */
    assert_int_equal(check(f, DOOR_NOBODY, "alice", "secret"), AUTH_NOT_ALLOWED);
    assert_int_equal(check(f, DOORS, "alice", "secret"), AUTH_NOT_ALLOWED); /* a door that is not there */
}

static void a_wrong_password_never_becomes_anonymous(void **state)
{
    struct fixture *f = *state;
    for (uint16_t door = DOOR_BOTH; door <= DOOR_USERS_FIRST; door++) {
        assert_true(is_granted_as(f, door, "alice", "secret", "user:alice"));
        assert_true(is_granted_as(f, door, NULL, NULL, "anonymous"));
        assert_int_equal(check(f, door, "alice", "wrong"), AUTH_WRONG);
        assert_int_equal(check(f, door, "mallory", "x"), AUTH_WRONG);
        assert_int_equal(check(f, door, "", NULL), AUTH_WRONG);
    }
}

static void a_principal_says_how_he_signed_in_and_the_file_his_roles(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(check_from(f, DOOR_USERS, NULL, "alice", "secret"), AUTH_GRANTED);
    const struct principal *p = f->last.principal;
    assert_int_equal(p->kind, PRINCIPAL_USER);
    assert_int_equal(p->proof, PROOF_PASSWORD);
    struct access *a = auth_access(f->auth);
    struct subject s = access_subject(a, p->text, BYTES_LIT("c"));
    assert_int_equal(s.role_count, 1);
    assert_true(bytes_is(s.roles[0], "admin"));
    assert_true(bytes_is(s.user, "alice") && bytes_is(s.client, "c") && !s.anonymous);
    s = access_subject(a, BYTES_LIT("device:alice"), BYTES_LIT("c"));
    assert_int_equal(s.role_count, 0); /* a device of that name is another one */
    assert_true(access_subject(a, BYTES_LIT("anonymous"), BYTES_LIT("c")).anonymous);
    access_drop(a);
    assert_true(bytes_is(p->id, "alice"));
    assert_true(p->loopback);
    principal_drop(f->last.principal);
}

static void a_principals_text_tells_its_kind(void **state)
{
    (void)state;
    enum principal_kind kind;
    struct bytes id;
    assert_true(principal_parse(BYTES_LIT("user:a:b"), &kind, &id) && kind == PRINCIPAL_USER && bytes_is(id, "a:b"));
    assert_true(principal_parse(BYTES_LIT("device:d"), &kind, &id) && kind == PRINCIPAL_DEVICE && bytes_is(id, "d"));
    assert_true(principal_parse(BYTES_LIT("anonymous"), &kind, &id) && kind == PRINCIPAL_ANONYMOUS && id.len == 0);
    assert_false(principal_parse(BYTES_LIT("anonymous:"), &kind, &id));
    assert_false(principal_parse(BYTES_LIT("alice"), &kind, &id));
    assert_false(principal_parse(BYTES_NONE, &kind, &id));
}

/* ---- the pool and the memory ---- */

static void a_right_password_counts_for_a_minute(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(check(f, DOOR_USERS, "alice", "secret"), AUTH_GRANTED);
    for (int i = 0; i < 5; i++)
        assert_int_equal(check(f, DOOR_USERS, "alice", "secret"), AUTH_GRANTED);
    assert_int_equal(stats(f).checked, 1);
    assert_int_equal(stats(f).remembered, 5);
    assert_int_equal(check(f, DOOR_USERS, "alice", "secres"), AUTH_WRONG); /* only the right one */
    assert_int_equal(check(f, DOOR_USERS, "bob", "secret"), AUTH_WRONG);   /* and only for its user */
    assert_int_equal(stats(f).checked, 3);
    time_passes(f, SECONDS(61));
    assert_int_equal(check(f, DOOR_USERS, "alice", "secret"), AUTH_GRANTED);
    assert_int_equal(stats(f).checked, 4);
}

static void an_unknown_name_costs_a_hash_too(void **state)
{
    struct fixture *f = *state;
    sim_pool_hold(f->sim, true);
    assert_false(begin(f, DOOR_USERS, NULL, "mallory", "x"));
    assert_int_equal(pool_jobs(), 1);
    sim_pool_hold(f->sim, false);
    (void)sim_step(f->sim);
    assert_int_equal(f->last.verdict, AUTH_WRONG);
    assert_int_equal(stats(f).checked, 1);
    /* At the cost of the users in the file, not of the default. */
    struct access *a = auth_access(f->auth);
    assert_int_equal(a->users->cost.ln, SCRYPT_LN_MIN);
    access_drop(a);
}

static void a_storm_of_one_user_is_hashed_once(void **state)
{
    struct fixture *f = *state;
    sim_pool_hold(f->sim, true);
    for (int i = 0; i < 100; i++)
        assert_false(begin(f, DOOR_USERS, NULL, "alice", "secret"));
    f->answers = 0;
    f->storm = true;
    sim_pool_hold(f->sim, false);
    (void)sim_step(f->sim);
    assert_int_equal(f->answers, 100);
    assert_int_equal(stats(f).checked, 1);
    assert_int_equal(stats(f).remembered, 99);
    assert_int_equal(f->last.verdict, AUTH_GRANTED);
}

static void too_many_at_once_are_told_to_come_again(void **state)
{
    struct fixture *f = *state;
    char password[16];
    sim_pool_hold(f->sim, true);
    for (int i = 0; i < POOL_JOBS_MAX; i++) {
        (void)snprintf(password, sizeof password, "wrong%d", i);
        assert_false(begin(f, DOOR_USERS, NULL, "alice", password));
    }
    assert_true(begin(f, DOOR_USERS, NULL, "alice", "secret"));
    assert_int_equal(f->last.verdict, AUTH_BUSY);
    assert_int_equal(stats(f).busy, 1);
    sim_pool_hold(f->sim, false);
    (void)sim_step(f->sim);
    assert_int_equal(check(f, DOOR_USERS, "alice", "secret"), AUTH_GRANTED);
}

/* ---- guesses (L-RATE) ---- */

static enum auth_verdict guess(struct fixture *f, const char *address, const char *user, const char *password)
{
    enum auth_verdict v = check_from(f, DOOR_USERS, address, user, password);
    principal_drop(f->last.principal);
    return v;
}

static void who_guesses_is_made_to_wait(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(guess(f, "10.0.0.1:5", "alice", "guess"), AUTH_WRONG);
    assert_int_equal(guess(f, "10.0.0.1:6", "alice", "secret"), AUTH_BANNED); /* another port is the same address */
    assert_int_equal(guess(f, "10.0.0.2:5", "alice", "secret"), AUTH_GRANTED); /* and nobody else is locked out */
    assert_int_equal(guess(f, "10.0.0.1:5", "bob", "bobs"), AUTH_GRANTED);
    uint64_t checked = stats(f).checked;
    for (int i = 0; i < 50; i++)
        assert_int_equal(guess(f, "10.0.0.1:5", "alice", "guess"), AUTH_BANNED);
    assert_int_equal(stats(f).checked, checked); /* a ban costs nothing */
    assert_int_equal(stats(f).banned, 51);
    int64_t wait = 1;
    for (int i = 0; i < 9; i++) { /* 1, 2, 4 .. 60, 60 */
        time_passes(f, SECONDS(wait) - 10000);
        assert_int_equal(guess(f, "10.0.0.1:5", "alice", "guess"), AUTH_BANNED);
        time_passes(f, 20000);
        assert_int_equal(guess(f, "10.0.0.1:5", "alice", "guess"), AUTH_WRONG);
        wait = wait * 2 < 60 ? wait * 2 : 60;
    }
    time_passes(f, SECONDS(61));
    assert_int_equal(guess(f, "10.0.0.1:5", "alice", "secret"), AUTH_GRANTED); /* a success forgets */
    for (int i = 0; i < 9; i++)
        assert_int_equal(guess(f, "10.0.0.1:5", "alice", "guess"), AUTH_WRONG);
    assert_int_equal(guess(f, "10.0.0.1:5", "alice", "secret"), AUTH_GRANTED);
}

static void guesses_sent_all_at_once_are_counted_too(void **state)
{
    struct fixture *f = *state;
    char password[16];
    sim_pool_hold(f->sim, true);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(password, sizeof password, "guess%d", i);
        assert_false(begin(f, DOOR_USERS, "10.0.0.1:5", "alice", password));
    }
    sim_pool_hold(f->sim, false);
    (void)sim_step(f->sim);
    assert_int_equal(f->last.verdict, AUTH_BANNED);
    assert_true(f->last.wait_us > 0);
    assert_int_equal(stats(f).checked, 10);
    assert_int_equal(stats(f).failed, 10);
    assert_int_equal(stats(f).banned, 50);
}

static void trying_many_names_is_guessing_too(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "name%d", i);
        assert_int_equal(guess(f, "[2001:db8::1]:5", name, "x"), AUTH_WRONG);
    }
    assert_int_equal(guess(f, "[2001:db8::1]:6", "alice", "secret"), AUTH_BANNED);
    assert_int_equal(guess(f, "[2001:db8::2]:6", "alice", "secret"), AUTH_GRANTED);
}

static void this_machine_is_exempt(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 150; i++)
        assert_int_equal(check(f, DOOR_USERS, "alice", "guess"), AUTH_WRONG);
    assert_int_equal(check(f, DOOR_USERS, "alice", "secret"), AUTH_GRANTED);
}

static void a_slow_guesser_is_not_banned_and_memory_is_bounded(void **state)
{
    (void)state;
    struct failures fails;
    failures_init(&fails, 10);
    struct bytes a = BYTES_LIT("10.0.0.1"), name = BYTES_LIT("n");
    for (int i = 0; i < 100; i++) /* nine a minute */
        failures_add(&fails, a, name, SECONDS(7 * i));
    assert_int_equal(failures_wait_us(&fails, a, name, SECONDS(700)), 0);
    for (uint32_t i = 0; i < FAILURES_MAX * 2; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        failures_add(&fails, bytes_str(address), name, SECONDS(1000));
    }
    assert_true(fails.entries.count <= FAILURES_MAX);
    for (int i = 0; i < 20; i++) /* those that are old make room */
        failures_add(&fails, BYTES_LIT("192.0.2.1"), name, SECONDS(2000));
    assert_true(failures_wait_us(&fails, BYTES_LIT("192.0.2.1"), name, SECONDS(2000)) > 0);
    failures_clear(&fails);
}

/* ---- reload ---- */

static enum code reload(struct fixture *f, struct fault *why)
{
    struct auth_change *change;
    enum code c = auth_prepare(f->auth, &change, why);
    if (c == CODE_OK)
        auth_commit(f->auth, change);
    return c;
}

/* Two looks, as a node makes them. */
static bool changed(struct fixture *f)
{
    struct auth_change *change = NULL;
    struct fault why;
    bool soon;
    assert_int_equal(auth_look(f->auth, &change, &soon, &why), CODE_OK);
    assert_null(change);
    if (!soon)
        return false;
    assert_int_equal(auth_look(f->auth, &change, &soon, &why), CODE_OK);
    assert_non_null(change);
    assert_false(soon);
    auth_discard(change);
    return true;
}

/* Half a file can look like a whole one: no users at all, a rule before its `deny: true`. */
static void a_file_that_is_being_written_is_not_read(void **state)
{
    struct fixture *f = *state;
    const struct io *io = memfs_io(f->fs);
    struct auth_change *change;
    struct fault why;
    bool soon;
    static const char *const grows[] = { "", "user:bob::none\n", "user:bob::none\nuser:carol::none\n" };
    for (size_t i = 0; i < sizeof grows / sizeof grows[0]; i++) {
        assert_int_equal(io_replace(io, "/", "users", bytes_str(grows[i]), &why), CODE_OK);
        assert_int_equal(auth_look(f->auth, &change, &soon, &why), CODE_OK);
        assert_null(change);
        assert_true(soon);
    }
    assert_int_equal(auth_look(f->auth, &change, &soon, &why), CODE_OK);
    assert_non_null(change);
    assert_int_equal(change->access->users->count, 2);
    assert_false(auth_overtaken(f->auth, change));
    write_users(f, "newer");
    assert_int_equal(reload(f, &why), CODE_OK);
    assert_true(auth_overtaken(f->auth, change)); /* somebody else was faster, and has read what is newer */
    auth_discard(change);
    /* What is not in order is told at each look, and changes nothing. */
    assert_int_equal(io_replace(io, "/", "users", BYTES_LIT("user:bob::non\n"), &why), CODE_OK);
    assert_int_equal(auth_look(f->auth, &change, &soon, &why), CODE_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(auth_look(f->auth, &change, &soon, &why), CODE_DAMAGED);
    assert_int_equal(check(f, DOOR_USERS, "alice", "newer"), AUTH_GRANTED);
}

static void a_reload_takes_everything_or_nothing(void **state)
{
    struct fixture *f = *state;
    const struct io *io = memfs_io(f->fs);
    struct fault why;
    assert_false(changed(f));
    assert_int_equal(check(f, DOOR_USERS, "alice", "secret"), AUTH_GRANTED); /* remembered now, for that record */
    write_users(f, "changed");
    assert_true(changed(f));
    assert_int_equal(reload(f, &why), CODE_OK);
    assert_false(changed(f));
    assert_int_equal(check(f, DOOR_USERS, "alice", "secret"), AUTH_WRONG);
    assert_int_equal(check(f, DOOR_USERS, "alice", "changed"), AUTH_GRANTED);
    /* CVE-2018-12551: half a file changes nothing. */
    assert_int_equal(io_replace(io, "/", "users", BYTES_LIT("user:bob::none\nuser:ali"), &why), CODE_OK);
    assert_int_equal(reload(f, &why), CODE_DAMAGED);
    assert_non_null(strstr(why.text, "/users:2: the last line has no end"));
    assert_int_equal(check(f, DOOR_USERS, "alice", "changed"), AUTH_GRANTED);
    assert_int_equal(io->unlink(io->self, "/users"), 0);
    assert_int_equal(reload(f, &why), CODE_NOTFOUND);
    assert_int_equal(check(f, DOOR_USERS, "alice", "changed"), AUTH_GRANTED);
    struct auth_change *change;
    write_users(f, NULL);
    assert_int_equal(auth_prepare(f->auth, &change, &why), CODE_OK);
    auth_discard(change);
    assert_int_equal(check(f, DOOR_USERS, "alice", "changed"), AUTH_GRANTED);
    /* CVE-2018-12550: an empty one lets nobody in. */
    assert_int_equal(io_replace(io, "/", "users", BYTES_NONE, &why), CODE_OK);
    assert_int_equal(reload(f, &why), CODE_OK);
    assert_int_equal(check(f, DOOR_USERS, "alice", "changed"), AUTH_WRONG); /* although remembered */
    assert_int_equal(check(f, DOOR_USERS, "bob", "bobs"), AUTH_WRONG);
    assert_int_equal(check(f, DOOR_USERS, NULL, NULL), AUTH_NOT_ALLOWED);
}

static void a_damaged_or_missing_file_stops_the_start(void **state)
{
    struct fixture *f = *state;
    const struct io *io = memfs_io(f->fs);
    struct fault why;
    auth_free(f->auth);
    f->auth = NULL;
    assert_int_equal(io_replace(io, "/", "users", BYTES_LIT("user:bob::non\n"), &why), CODE_OK);
    assert_int_equal(open_auth(f, &why), CODE_DAMAGED);
    assert_int_equal(why.number, 1020);
    assert_non_null(strstr(why.text, "/users:1:"));
    assert_int_equal(io->unlink(io->self, "/users"), 0);
    assert_int_equal(open_auth(f, &why), CODE_NOTFOUND);
    assert_null(f->auth);
}

static void a_user_removed_while_his_password_is_checked_stays_out(void **state)
{
    struct fixture *f = *state;
    struct fault why;
    for (int changed = 0; changed < 2; changed++) {
        write_users(f, "secret");
        assert_int_equal(reload(f, &why), CODE_OK);
        time_passes(f, SECONDS(61)); /* nothing is remembered */
        sim_pool_hold(f->sim, true);
        assert_false(begin(f, DOOR_USERS, NULL, "alice", "secret"));
        write_users(f, changed ? "other" : NULL);
        assert_int_equal(reload(f, &why), CODE_OK);
        sim_pool_hold(f->sim, false);
        (void)sim_step(f->sim);
        assert_int_equal(f->answers, 1);
        assert_int_equal(f->last.verdict, AUTH_WRONG);
    }
}

static void proofs_are_good_as_long_as_their_record_is(void **state)
{
    struct fixture *f = *state;
    struct fault why;
    assert_int_equal(check_from(f, DOOR_USERS, NULL, "alice", "secret"), AUTH_GRANTED);
    struct principal *alice = f->last.principal;
    assert_int_equal(check_from(f, DOOR_ANYBODY, NULL, NULL, NULL), AUTH_GRANTED);
    struct principal *nobody = f->last.principal;
    static const struct { const char *password; bool good; } steps[] = { { "secret", true }, { "other", false }, { "secret", true },
                                                                        { NULL, false } };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        write_users(f, steps[i].password);
        assert_int_equal(reload(f, &why), CODE_OK);
        struct access *a = auth_access(f->auth);
        assert_int_equal(access_still(a, alice), steps[i].good);
        assert_true(access_still(a, nobody));
        access_drop(a);
    }
    principal_drop(alice);
    principal_drop(nobody);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_door_asks_who_it_was_told_to_ask),
        TEST(a_wrong_password_never_becomes_anonymous),
        TEST(a_principal_says_how_he_signed_in_and_the_file_his_roles),
        cmocka_unit_test(a_principals_text_tells_its_kind),
        TEST(a_right_password_counts_for_a_minute),
        TEST(an_unknown_name_costs_a_hash_too),
        TEST(a_storm_of_one_user_is_hashed_once),
        TEST(too_many_at_once_are_told_to_come_again),
        TEST(who_guesses_is_made_to_wait),
        TEST(guesses_sent_all_at_once_are_counted_too),
        TEST(trying_many_names_is_guessing_too),
        TEST(this_machine_is_exempt),
        cmocka_unit_test(a_slow_guesser_is_not_banned_and_memory_is_bounded),
        TEST(a_file_that_is_being_written_is_not_read),
        TEST(a_reload_takes_everything_or_nothing),
        TEST(a_damaged_or_missing_file_stops_the_start),
        TEST(a_user_removed_while_his_password_is_checked_stays_out),
        TEST(proofs_are_good_as_long_as_their_record_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
