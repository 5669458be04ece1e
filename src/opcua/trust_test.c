/* Whom we believe, and what is said to those we do not. timeout: 300 */
#include "opcua/opcua_test_store.h"
#include "support/oom.h"

#include <errno.h>

static void put(enum ua_trust_place place, const struct made *m)
{
    struct ua_certificate *c = made_read(m);
    if (ua_trust_add(trust, place, c->der, NULL, &why) != CODE_OK)
        fail_msg("%s", why.text);
    ua_certificate_drop(c);
}

static void put_crl(enum ua_trust_place place, const struct made *ca, enum made_key key,
                    const struct made *revoked, int64_t from_s, int64_t to_s)
{
    struct bytes der = made_crl(ca, made_key(key), revoked, from_s, to_s);
    assert_int_equal(ua_trust_add_crl(trust, place, der, NULL, &why), CODE_OK);
    free((void *)(uintptr_t)der.at);
}

static void judged(const struct made *m, ua_status status, int number)
{
    judged_as(made_read(m), server_question(), status, number);
}

static unsigned in_folder[UA_PLACES];

static void count_entry(void *ctx, const struct ua_trust_entry *e)
{
    (void)ctx;
    in_folder[e->place]++;
}

static void expect_counts(unsigned trusted, unsigned issuers, unsigned rejected)
{
    memset(in_folder, 0, sizeof in_folder);
    assert_int_equal(ua_trust_list(trust, count_entry, NULL, &why), CODE_OK);
    assert_int_equal(in_folder[UA_PLACE_TRUSTED], trusted);
    assert_int_equal(in_folder[UA_PLACE_ISSUERS], issuers);
    assert_int_equal(in_folder[UA_PLACE_REJECTED], rejected);
}

/* ---- those who signed themselves ---- */

static void who_is_not_known_waits_until_somebody_says_yes(void **state)
{
    char name[UA_SUBJECT_CHARS];
    struct made m = make((struct made_wish){.name = "press/1 \"A\""});
    struct ua_certificate *c = made_read(&m);
    (void)state;
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    assert_non_null(strstr(why.text, "fieldgate opcua trust"));
    assert_non_null(strstr(why.text, c->hex));
    expect_counts(0, 0, 1);
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    expect_counts(0, 0, 1);
    assert_int_equal(ua_trust_accept(trust, bytes_of(c->hex, 10), name, &why), CODE_OK);
    assert_string_equal(name, c->name);
    expect_counts(1, 0, 0);
    judged(&m, UA_GOOD, 0);
    assert_int_equal(ua_trust_reject(trust, bytes_str(c->name), name, &why), CODE_OK);
    expect_counts(0, 0, 1);
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    assert_int_equal(ua_trust_remove(trust, bytes_str(c->hex), name, &why), CODE_OK);
    expect_counts(0, 0, 0);
    ua_certificate_drop(c);
    made_free(&m);
}

static void file_names_are_of_letters_that_any_system_takes(void **state)
{
    static const char *const names[][2] = {
        {"press 1", "press 1 ["}, {"../../etc/passwd", "_._.._etc_passwd ["},
        {".hidden", "_hidden ["}, {"a/b\\c:d*e", "a_b_x5cc_d_e ["},
        {"-rf", "_rf ["},         {"\xc3\xa4-1", "__-1 ["}};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct made m = make((struct made_wish){.name = names[i][0]});
        struct ua_certificate *c = made_read(&m);
        char path[200], file[120];
        struct io_stat st;
        put(UA_PLACE_REJECTED, &m);
        (void)snprintf(file, sizeof file, "%s%s].der", names[i][1], c->hex);
        (void)snprintf(path, sizeof path, "/pki/rejected/certs/%s", file);
        assert_int_equal(memfs_io(fs)->stat(memfs_io(fs)->self, path, &st), 0);
        assert_int_equal(ua_trust_remove(trust, bytes_str(c->hex), NULL, &why), CODE_OK);
        expect_counts(0, 0, 0);
        ua_certificate_drop(c);
        made_free(&m);
    }
}

/* fieldgate sensor and fieldgate opcua on one machine have one certificate. */
static void ourselves_we_believe(void **state)
{
    (void)state;
    struct made m = make((struct made_wish){0}), other = make((struct made_wish){0});
    struct ua_certificate *c = made_read(&m);
    ua_trust_own(trust, c);
    ua_certificate_drop(c);
    judged(&m, 0, 0);
    judged(&other, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    ua_trust_own(trust, NULL);
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    made_free(&m);
    made_free(&other);
}

static void each_fault_has_its_status(void **state)
{
    static const struct {
        struct made_wish w;
        ua_status status;
        int number;
    } cases[] = {
        {{0}, 0, 0},
        {{.key = KEY_SMALL}, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_TRUST_WEAK},
        {{.key = KEY_CURVE}, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_TRUST_WEAK},
        {{.from_s = -100, .to_s = -1}, UA_BAD_CERTIFICATE_TIME_INVALID, UA_TRUST_DATES},
        {{.from_s = 1, .to_s = 100}, UA_BAD_CERTIFICATE_TIME_INVALID, UA_TRUST_DATES},
        {{.sans = "URI:urn:peer,DNS:other.lan,IP:10.0.4.21"},
         UA_BAD_CERTIFICATE_HOST_NAME_INVALID,
         UA_TRUST_HOST},
        {{.sans = "URI:urn:other,DNS:peer.lan"}, UA_BAD_CERTIFICATE_URI_INVALID, UA_TRUST_URI},
        {{.sans = "DNS:peer.lan"}, UA_BAD_CERTIFICATE_URI_INVALID, UA_TRUST_URI},
        {{.sans = "URI:urn:peer,URI:urn:other,DNS:peer.lan"}, UA_BAD_CERTIFICATE_URI_INVALID, UA_TRUST_URI},
        {{.sans = "URI:urn:peer,URI:urn:peer,DNS:peer.lan"}, UA_BAD_CERTIFICATE_URI_INVALID, UA_TRUST_URI},
        {{.sans = ""}, UA_BAD_CERTIFICATE_HOST_NAME_INVALID, UA_TRUST_HOST},
        {{.usage = "keyEncipherment,dataEncipherment"}, UA_BAD_CERTIFICATE_USE_NOT_ALLOWED, UA_TRUST_USE},
        {{.usage = "digitalSignature"}, UA_BAD_CERTIFICATE_USE_NOT_ALLOWED, UA_TRUST_USE},
        {{.usage = ""}, 0, 0},
        {{.more = "clientAuth"}, UA_BAD_CERTIFICATE_USE_NOT_ALLOWED, UA_TRUST_USE},
        {{.more = "serverAuth"}, 0, 0},
        {{.more = ""}, 0, 0},
        {{.ca = true,
          .usage = "digitalSignature,keyEncipherment,keyCertSign",
          .sans = "URI:urn:peer,DNS:peer.lan"},
         0,
         0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m = make(cases[i].w);
        put(UA_PLACE_TRUSTED, &m);
        judged(&m, cases[i].status, cases[i].number);
        made_free(&m);
    }
    struct made m = make((struct made_wish){.md = EVP_sha1()});
    put(UA_PLACE_TRUSTED, &m);
    judged(&m, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_TRUST_WEAK);
    made_free(&m);
}

static void clients_and_users_are_asked_other_things(void **state)
{
    struct made m = make((struct made_wish){.more = "clientAuth", .sans = "URI:urn:peer"});
    struct made s = make((struct made_wish){.more = "serverAuth"});
    struct made u = make(
        (struct made_wish){.more = "emailProtection", .usage = "digitalSignature", .sans = ""});
    struct ua_trust_question q = server_question();
    (void)state;
    put(UA_PLACE_TRUSTED, &m);
    put(UA_PLACE_TRUSTED, &s);
    put(UA_PLACE_TRUSTED, &u);
    q.kind = UA_PEER_CLIENT; /* no host is asked */
    judged_as(made_read(&m), q, UA_GOOD, 0);
    judged_as(made_read(&s), q, UA_BAD_CERTIFICATE_USE_NOT_ALLOWED, UA_TRUST_USE);
    judged_as(made_read(&u), q, UA_BAD_CERTIFICATE_URI_INVALID, UA_TRUST_URI);
    q.uri = BYTES_NONE; /* not known yet */
    judged_as(made_read(&m), q, UA_GOOD, 0);
    q.kind = UA_PEER_USER;
    judged_as(made_read(&u), q, UA_GOOD, 0);
    q = server_question();
    q.host = BYTES_LIT("PEER.lan");
    judged_as(made_read(&s), q, UA_GOOD, 0);
    q.host = BYTES_LIT("10.0.4.20");
    judged_as(made_read(&s), q, UA_GOOD, 0);
    q.host = BYTES_LIT("10.0.4.2");
    judged_as(made_read(&s), q, UA_BAD_CERTIFICATE_HOST_NAME_INVALID, UA_TRUST_HOST);
    q.host = BYTES_NONE; /* not compared */
    judged_as(made_read(&s), q, UA_GOOD, 0);
    made_free(&m);
    made_free(&s);
    made_free(&u);
}

static void a_damaged_signature_is_no_signature(void **state)
{
    struct made m = make((struct made_wish){0});
    struct ua_certificate *c = made_read(&m), *bad;
    uint8_t copy[4096];
    (void)state;
    put(UA_PLACE_TRUSTED, &m);
    memcpy(copy, c->der.at, c->der.len);
    copy[c->der.len - 1] ^= 1;
    assert_int_equal(ua_certificate_read(&bad, bytes_of(copy, c->der.len), &why), CODE_OK);
    judged_as(bad, server_question(), UA_BAD_CERTIFICATE_INVALID, UA_TRUST_INVALID);
    assert_int_equal(ua_certificate_read(&bad, bytes_of(copy, c->der.len), &why), CODE_OK);
    struct ua_trust_question q = server_question();
    q.accept_any = true;
    judged_as(bad, q, UA_BAD_CERTIFICATE_INVALID, UA_TRUST_INVALID);
    expect_counts(1, 0, 0); /* nothing that could be trusted by mistake */
    ua_certificate_drop(c);
    made_free(&m);
}

/* ---- anybody ---- */

static void accept_any_is_not_accept_everything(void **state)
{
    struct ua_trust_question q = server_question();
    struct made good = make((struct made_wish){0}), small = make((struct made_wish){.key = KEY_SMALL});
    struct made old = make((struct made_wish){.from_s = -100, .to_s = -1}),
                foreign = make((struct made_wish){.sans = "URI:urn:x,DNS:peer.lan"});
    struct made root = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "root"});
    struct made leaf = make((struct made_wish){.issuer = &root});
    (void)state;
    q.accept_any = true;
    judged_as(made_read(&good), q, UA_GOOD, 0);
    judged_as(made_read(&leaf), q, UA_GOOD, 0); /* its issuer is not even known */
    judged_as(made_read(&small), q, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_TRUST_WEAK);
    judged_as(made_read(&old), q, UA_BAD_CERTIFICATE_TIME_INVALID, UA_TRUST_DATES);
    judged_as(made_read(&foreign), q, UA_BAD_CERTIFICATE_URI_INVALID, UA_TRUST_URI);
    expect_counts(0, 0, 0);
    put(UA_PLACE_ISSUERS, &root);
    judged_as(made_read(&leaf), q, UA_GOOD, 0); /* no list, and none is needed */
    put_crl(UA_PLACE_ISSUERS, &root, KEY_ROOT, &leaf, -100, 100);
    judged_as(made_read(&leaf), q, UA_BAD_CERTIFICATE_REVOKED, UA_TRUST_REVOKED);
    made_free(&good);
    made_free(&small);
    made_free(&old);
    made_free(&foreign);
    made_free(&root);
    made_free(&leaf);
}

/* ---- chains ---- */

static void a_trusted_ca_vouches_for_its_own(void **state)
{
    struct made root = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "root"});
    struct made sub = make((struct made_wish){.key = KEY_SUB, .ca = true, .name = "sub", .issuer = &root});
    struct made leaf = make((struct made_wish){.issuer = &sub});
    (void)state;
    judged(&leaf, UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE, UA_TRUST_CHAIN);
    expect_counts(0, 0, 1);
    put(UA_PLACE_TRUSTED, &root);
    judged(&leaf, UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE, UA_TRUST_CHAIN); /* `sub` is still missing */
    const struct made *chain[] = {&leaf, &sub};
    judged_as(made_chain(chain, 2), server_question(), UA_BAD_CERTIFICATE_REVOCATION_UNKNOWN,
              UA_TRUST_REVOCATION);
    put(UA_PLACE_ISSUERS, &sub);
    judged(&leaf, UA_BAD_CERTIFICATE_REVOCATION_UNKNOWN, UA_TRUST_REVOCATION);
    put_crl(UA_PLACE_ISSUERS, &sub, KEY_SUB, NULL, -100, 100);
    judged(&leaf, UA_BAD_CERTIFICATE_ISSUER_REVOCATION_UNKNOWN, UA_TRUST_REVOCATION);
    put_crl(UA_PLACE_TRUSTED, &root, KEY_ROOT, NULL, -100, 100);
    judged(&leaf, UA_GOOD, 0);
    put_crl(UA_PLACE_ISSUERS, &sub, KEY_SUB, &leaf, -100, 100);
    judged(&leaf, UA_BAD_CERTIFICATE_REVOKED, UA_TRUST_REVOKED);
    put_crl(UA_PLACE_ISSUERS, &sub, KEY_SUB, &leaf, -100, -50); /* what was revoked stays so */
    judged(&leaf, UA_BAD_CERTIFICATE_REVOKED, UA_TRUST_REVOKED);
    put_crl(UA_PLACE_ISSUERS, &sub, KEY_SUB, NULL, -100, -50);
    judged(&leaf, UA_BAD_CERTIFICATE_REVOCATION_UNKNOWN, UA_TRUST_REVOCATION);
    put_crl(UA_PLACE_ISSUERS, &sub, KEY_OTHER, NULL, -100, 100); /* somebody else's list under its name */
    judged(&leaf, UA_BAD_CERTIFICATE_REVOCATION_UNKNOWN, UA_TRUST_REVOCATION);
    struct ua_trust_question q = server_question();
    q.any_revocation = true;
    judged_as(made_read(&leaf), q, UA_GOOD, 0);
    put_crl(UA_PLACE_ISSUERS, &sub, KEY_SUB, NULL, -100, 100);
    put_crl(UA_PLACE_TRUSTED, &root, KEY_ROOT, &sub, -100, 100);
    judged_as(made_read(&leaf), q, UA_BAD_CERTIFICATE_ISSUER_REVOKED, UA_TRUST_REVOKED);
    made_free(&leaf);
    made_free(&sub);
    made_free(&root);
}

static void a_known_issuer_is_not_a_trusted_one(void **state)
{
    struct made root = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "root"});
    struct made leaf = make((struct made_wish){.issuer = &root}),
                other = make((struct made_wish){.key = KEY_OTHER, .issuer = &root});
    struct ua_trust_question q = server_question();
    (void)state;
    q.any_revocation = true;
    put(UA_PLACE_ISSUERS, &root);
    judged_as(made_read(&leaf), q, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    put(UA_PLACE_TRUSTED, &leaf);
    judged_as(made_read(&leaf), q, UA_GOOD, 0);
    judged_as(made_read(&other), q, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    made_free(&root);
    made_free(&leaf);
    made_free(&other);
}

static void issuers_are_looked_at_as_well(void **state)
{
    static const struct {
        struct made_wish w;
        ua_status status;
        int number;
    } cases[] = {
        {{.ca = true, .from_s = -100, .to_s = -1}, UA_BAD_CERTIFICATE_ISSUER_TIME_INVALID, UA_TRUST_DATES},
        {{.ca = true, .from_s = 1, .to_s = 100}, UA_BAD_CERTIFICATE_ISSUER_TIME_INVALID, UA_TRUST_DATES},
        {{.ca = true, .usage = "digitalSignature"}, UA_BAD_CERTIFICATE_ISSUER_USE_NOT_ALLOWED, UA_TRUST_USE},
        {{.ca = false, .usage = "keyCertSign"}, UA_BAD_CERTIFICATE_ISSUER_USE_NOT_ALLOWED, UA_TRUST_USE},
        {{.ca = true}, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_wish w = cases[i].w;
        w.key = KEY_ROOT;
        w.name = i % 2 ? "root a" : "root b";
        struct made root = make(w);
        struct made leaf = make((struct made_wish){.issuer = &root});
        struct ua_trust_question q = server_question();
        struct ua_certificate *c = made_read(&root);
        q.any_revocation = true;
        put(UA_PLACE_TRUSTED, &root);
        judged_as(made_read(&leaf), q, cases[i].status, cases[i].number);
        assert_int_equal(ua_trust_remove(trust, bytes_str(c->hex), NULL, &why), CODE_OK);
        ua_certificate_drop(c);
        made_free(&leaf);
        made_free(&root);
    }
}

static void somebody_elses_key_under_a_trusted_name(void **state)
{
    struct made root = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "root"});
    struct made fake = make((struct made_wish){.key = KEY_OTHER, .ca = true, .name = "root"});
    struct made leaf = make((struct made_wish){.issuer = &fake});
    const struct made *chain[] = {&leaf, &fake};
    struct ua_trust_question q = server_question();
    (void)state;
    q.any_revocation = true;
    put(UA_PLACE_TRUSTED, &root);
    judged_as(made_read(&leaf), q, UA_BAD_CERTIFICATE_INVALID, UA_TRUST_INVALID);
    judged_as(made_chain(chain, 2), q, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    made_free(&leaf);
    made_free(&fake);
    made_free(&root);
}

/* Two CAs that have signed each other: the way to the trusted one is found, and the search ends. */
static void cross_signed_and_looped_chains(void **state)
{
    struct made a = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "a"});
    struct made b = make((struct made_wish){.key = KEY_SUB, .ca = true, .name = "b"});
    struct made a_by_b = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "a", .issuer = &b});
    struct made b_by_a = make((struct made_wish){.key = KEY_SUB, .ca = true, .name = "b", .issuer = &a});
    struct made leaf = make((struct made_wish){.issuer = &a});
    const struct made *loop[] = {&leaf, &a_by_b, &b_by_a};
    struct ua_trust_question q = server_question();
    (void)state;
    q.any_revocation = true;
    judged_as(made_chain(loop, 3), q, UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE, UA_TRUST_CHAIN);
    put(UA_PLACE_ISSUERS, &a);
    judged_as(made_chain(loop, 3), q, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    put(UA_PLACE_TRUSTED, &b);
    judged_as(made_chain(loop, 3), q, UA_GOOD, 0);
    judged_as(made_chain(loop, 1), q, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    made_free(&a);
    made_free(&b);
    made_free(&a_by_b);
    made_free(&b_by_a);
    made_free(&leaf);
}

static void chains_that_are_too_long(void **state)
{
    enum { LONG = 9 };
    struct made all[LONG];
    const struct made *chain[LONG];
    struct ua_trust_question q = server_question();
    (void)state;
    for (int i = 0; i < LONG; i++) { /* all[0] is the root */
        char name[16];
        (void)snprintf(name, sizeof name, "ca %d", i);
        all[i] = make((struct made_wish){.key = i == LONG - 1 ? KEY_LEAF
                                                : i % 2       ? KEY_SUB
                                                              : KEY_ROOT,
                                         .ca = i < LONG - 1,
                                         .name = i == LONG - 1 ? "peer" : name,
                                         .issuer = i ? &all[i - 1] : NULL});
        chain[LONG - 1 - i] = &all[i];
    }
    q.any_revocation = true;
    put(UA_PLACE_TRUSTED, &all[0]);
    judged_as(made_chain(chain, LONG), q, UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE, UA_TRUST_CHAIN);
    assert_non_null(strstr(why.text, "more than 5"));
    struct made leaf = make((struct made_wish){.issuer = &all[4]}); /* five above it */
    const struct made *five[] = {&leaf, &all[4], &all[3], &all[2], &all[1]};
    judged_as(made_chain(five, 5), q, UA_GOOD, 0);
    made_free(&leaf);
    for (int i = 0; i < LONG; i++)
        made_free(&all[i]);
}

/* Many CAs of one name: not more signatures are computed than there is a limit for. */
static void a_store_full_of_the_same_name_ends(void **state)
{
    struct made leaf, root = make((struct made_wish){.key = KEY_OTHER, .ca = true, .name = "root"});
    (void)state;
    for (int i = 0; i < 60; i++) {
        struct made m = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "root"});
        put(UA_PLACE_ISSUERS, &m);
        made_free(&m);
    }
    leaf = make((struct made_wish){.issuer = &root});
    judged(&leaf, UA_BAD_CERTIFICATE_INVALID, UA_TRUST_INVALID);
    made_free(&leaf);
    made_free(&root);
}

/* ---- the folder ---- */

static void what_people_put_there_counts_at_once(void **state)
{
    struct made m = make((struct made_wish){0});
    BIO *bio = BIO_new(BIO_s_mem());
    (void)state;
    peers_must(PEM_write_bio_X509(bio, m.x) == 1);
    struct bytes pem = peers_copy(bio);
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    assert_int_equal(io_replace(&io, "/pki/trusted/certs", "by hand.pem", pem, &why), CODE_OK);
    judged(&m, UA_GOOD, 0);
    memfs_advance(fs, 1000000);
    memset((void *)(uintptr_t)pem.at, 'x', pem.len); /* as long as before */
    assert_int_equal(io_replace(&io, "/pki/trusted/certs", "by hand.pem", pem, &why), CODE_OK);
    unsigned before = lines;
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    assert_int_equal(lines, before + 1); /* said once */
    expect_counts(1, 0, 1);
    assert_int_equal(ua_trust_remove(trust, BYTES_LIT("by hand.pem"), NULL, &why), CODE_OK);
    expect_counts(0, 0, 1);
    free((void *)(uintptr_t)pem.at);
    made_free(&m);
}

static void the_inbox_has_an_end(void **state)
{
    struct made m = {0};
    char first[6][2 * UA_THUMBPRINT_BYTES + 1];
    (void)state;
    for (int i = 0; i < UA_INBOX_FILES + 5; i++) {
        made_free(&m);
        m = make((struct made_wish){0});
        if (i < 6) {
            struct ua_certificate *c = made_read(&m);
            memcpy(first[i], c->hex, sizeof first[i]);
            ua_certificate_drop(c);
        }
        memfs_advance(fs, 1000000);
        judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    }
    expect_counts(0, 0, UA_INBOX_FILES);
    struct ua_certificate *c = made_read(&m); /* the newest is there, and those that came first have gone */
    assert_int_equal(ua_trust_accept(trust, bytes_str(c->hex), NULL, &why), CODE_OK);
    ua_certificate_drop(c);
    for (int i = 0; i < 6; i++)
        assert_int_equal(ua_trust_accept(trust, bytes_str(first[i]), NULL, &why),
                         i < 5 ? CODE_NOTFOUND : CODE_OK);
    made_free(&m);
}

static void a_chain_waits_with_its_issuers(void **state)
{
    struct made root = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "root"});
    struct made leaf = make((struct made_wish){.issuer = &root});
    const struct made *chain[] = {&leaf, &root};
    struct ua_trust_question q = server_question();
    (void)state;
    q.any_revocation = true;
    judged_as(made_chain(chain, 2), q, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    expect_counts(0, 0, 1);
    assert_int_equal(ua_trust_accept(trust, BYTES_LIT("peer"), NULL, &why), CODE_OK);
    expect_counts(1, 1, 0);
    judged_as(made_read(&leaf), q, UA_GOOD, 0);
    made_free(&leaf);
    made_free(&root);
}

static void names_that_mean_none_or_several(void **state)
{
    struct made a = make((struct made_wish){0}), b = make((struct made_wish){0});
    (void)state;
    put(UA_PLACE_REJECTED, &a);
    put(UA_PLACE_REJECTED, &b);
    assert_int_equal(ua_trust_accept(trust, BYTES_LIT("peer"), NULL, &why), CODE_USAGE);
    assert_int_equal(ua_trust_accept(trust, BYTES_LIT("press"), NULL, &why), CODE_NOTFOUND);
    assert_int_equal(ua_trust_accept(trust, BYTES_LIT(""), NULL, &why), CODE_NOTFOUND);
    assert_int_equal(ua_trust_accept(trust, BYTES_LIT("ABC"), NULL, &why),
                     CODE_NOTFOUND); /* three digits are too few */
    expect_counts(0, 0, 2);
    struct ua_certificate *c = made_read(&a);
    char text[64] = "";
    for (int i = 0; i < 4; i++)
        (void)snprintf(text + 3 * i, 4, "%c%c:", c->hex[2 * i] | 0x20, c->hex[2 * i + 1] | 0x20);
    assert_int_equal(ua_trust_accept(trust, bytes_str(text), NULL, &why), CODE_OK);
    expect_counts(1, 0, 1);
    ua_certificate_drop(c);
    made_free(&a);
    made_free(&b);
}

static void what_is_no_certificate_is_not_taken(void **state)
{
    (void)state;
    assert_int_equal(ua_trust_add(trust, UA_PLACE_TRUSTED, BYTES_LIT("hello"), NULL, &why), CODE_MALFORMED);
    assert_int_equal(ua_trust_add(trust, UA_PLACE_TRUSTED, BYTES_NONE, NULL, &why), CODE_MALFORMED);
    assert_int_equal(ua_trust_add(trust, UA_PLACE_TRUSTED, BYTES_LIT("0\x82\x10"), NULL, &why),
                     CODE_MALFORMED);
    assert_int_equal(ua_trust_add_crl(trust, UA_PLACE_TRUSTED, BYTES_LIT("hello"), NULL, &why),
                     CODE_MALFORMED);
    expect_counts(0, 0, 0);
}

static void a_full_disk_trusts_nobody(void **state)
{
    struct made m = make((struct made_wish){0});
    (void)state;
    memfs_fail(fs, FS_PWRITE, 1, ENOSPC, true);
    judged(&m, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN);
    assert_int_equal(lines, 1);
    memfs_fail(fs, FS_PWRITE, 0, 0, false);
    memfs_fail(fs, FS_LIST, 1, EIO, true);
    judged(&m, UA_BAD_RESOURCE_UNAVAILABLE, 0);
    memfs_fail(fs, FS_LIST, 0, 0, false);
    made_free(&m);
}

static const char *verifies_without_memory(void *ctx)
{
    struct ua_trust *t;
    struct ua_certificate *c = ctx;
    struct ua_trust_question q = server_question();
    const char *broken = NULL;
    oom_arm();
    if (ua_trust_open(&t, memfs_io(fs), "/pki", &why) == CODE_OK) {
        for (int i = 0; i < 2; i++) { /* what failed once is read again */
            ua_status status = ua_trust_verify(t, c, &q, &why);
            if (status && status != UA_BAD_OUT_OF_MEMORY)
                broken = ua_status_name(status);
        }
        oom_disarm();
        if (ua_trust_verify(t, c, &q, &why))
            broken = "not trusted afterwards";
        ua_trust_close(t);
    }
    oom_disarm();
    return broken;
}

static void without_memory_nobody_is_mistaken_for_another(void **state)
{
    struct oom_result r;
    struct made m = make((struct made_wish){0});
    struct ua_certificate *c = made_read(&m);
    (void)state;
    put(UA_PLACE_TRUSTED, &m);
    if (!oom_each("trust", verifies_without_memory, c, &r))
        fail_msg("%s", r.first);
    assert_true(r.refused > 10);
    ua_certificate_drop(c);
    made_free(&m);
}

static int free_keys(void **state)
{
    (void)state;
    made_keys_free();
    return 0;
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(who_is_not_known_waits_until_somebody_says_yes),
        WITH_STORE(file_names_are_of_letters_that_any_system_takes),
        WITH_STORE(ourselves_we_believe),
        WITH_STORE(each_fault_has_its_status),
        WITH_STORE(clients_and_users_are_asked_other_things),
        WITH_STORE(a_damaged_signature_is_no_signature),
        WITH_STORE(accept_any_is_not_accept_everything),
        WITH_STORE(a_trusted_ca_vouches_for_its_own),
        WITH_STORE(a_known_issuer_is_not_a_trusted_one),
        WITH_STORE(issuers_are_looked_at_as_well),
        WITH_STORE(somebody_elses_key_under_a_trusted_name),
        WITH_STORE(cross_signed_and_looped_chains),
        WITH_STORE(chains_that_are_too_long),
        WITH_STORE(a_store_full_of_the_same_name_ends),
        WITH_STORE(what_people_put_there_counts_at_once),
        WITH_STORE(the_inbox_has_an_end),
        WITH_STORE(a_chain_waits_with_its_issuers),
        WITH_STORE(names_that_mean_none_or_several),
        WITH_STORE(what_is_no_certificate_is_not_taken),
        WITH_STORE(a_full_disk_trusts_nobody),
        WITH_STORE(without_memory_nobody_is_mistaken_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, free_keys);
}
