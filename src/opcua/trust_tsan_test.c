/* Several threads ask one store while somebody changes it. */
#include "opcua/opcua_test_certs.h"
#include "opcua/status.h"
#include "opcua/trust.h"
#include "support/memfs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { ASKERS = 3, ROUNDS = 60 };

static struct ua_trust *trust;
static struct ua_certificate *peer;

static void *ask(void *arg)
{
    unsigned *wrong = arg;
    struct fault why;
    const struct ua_trust_question q = {
        .kind = UA_PEER_CLIENT, .who = "peer", .wall_us = NOW_S * INT64_C(1000000)};
    for (int i = 0; i < ROUNDS; i++) {
        ua_status status = ua_trust_verify(trust, peer, &q, &why);
        *wrong += status != UA_GOOD && status != UA_BAD_CERTIFICATE_UNTRUSTED;
    }
    return NULL;
}

static void a_store_may_be_asked_by_all(void **state)
{
    struct memfs *fs = memfs_new(1);
    struct made m = make((struct made_wish){0});
    pthread_t threads[ASKERS];
    unsigned wrong[ASKERS] = {0};
    struct fault why;
    (void)state;
    peer = made_read(&m);
    assert_int_equal(ua_trust_open(&trust, memfs_io(fs), "/pki", &why), CODE_OK);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &wrong[i]), 0);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(ua_trust_add(trust, UA_PLACE_TRUSTED, peer->der, NULL, &why), CODE_OK);
        assert_int_equal(ua_trust_reject(trust, BYTES_LIT("peer"), NULL, &why), CODE_OK);
    }
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
    ua_trust_close(trust);
    ua_certificate_drop(peer);
    made_free(&m);
    memfs_free(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_store_may_be_asked_by_all)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    made_keys_free();
    return failed;
}
