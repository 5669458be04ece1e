/* Sessions over a simulated network: made, activated, moved, forgotten; each refusal with its own status. */
#include "uaserver/server_test_client.h"

#include <math.h>
#include <stdio.h>

static struct ua_application *server_app, *client_app, *other_app;

/* ---- users ---- */

static struct {
    bool hold;
    struct ua_user_ask *held[8];
    unsigned count, held_count;
} users;

static ua_status judge(const struct ua_user_ask *a, struct ua_server_user *user)
{
    *user = (struct ua_server_user){ .kind = (uint8_t)a->kind, .may_write = true, .may_call = true };
    (void)snprintf(user->name, sizeof user->name, "%s", "anonymous");
    if (a->kind == UA_USER_NAME)
        (void)snprintf(user->name, sizeof user->name, "%.*s", BYTES_FMT(a->name));
    if (a->kind == UA_USER_CERTIFICATE)
        (void)snprintf(user->name, sizeof user->name, "%.127s", a->certificate->name);
    if (a->kind == UA_USER_NAME && !bytes_is(a->password, "secret"))
        return UA_BAD_USER_ACCESS_DENIED;
    return a->kind == UA_USER_CERTIFICATE && !strcmp(user->name, "other") ? UA_BAD_IDENTITY_TOKEN_REJECTED : UA_GOOD;
}

static void on_ask(void *ctx, struct ua_user_ask *a)
{
    (void)ctx;
    users.count++;
    if (users.hold) {
        users.held[users.held_count++] = a;
        return;
    }
    struct ua_server_user user;
    ua_status status = judge(a, &user);
    ua_user_answer(a, status, &user);
}

static void let_go(void)
{
    for (unsigned i = 0; i < users.held_count; i++) {
        struct ua_server_user user;
        ua_status status = judge(users.held[i], &user);
        ua_user_answer(users.held[i], status, &user);
    }
    users.held_count = 0;
    users.hold = false;
}

/* ---- the stage ---- */

static struct world world;
static uint64_t before_all;

static ua_status believe(void *ctx, struct ua_certificate *c, struct fault *why)
{
    (void)ctx;
    if (strcmp(c->name, "stranger") != 0)
        return UA_GOOD;
    (void)FAIL(why, CODE_REFUSED, 0, "nobody knows it");
    return UA_BAD_CERTIFICATE_UNTRUSTED;
}

static void open_with(struct ua_server_limits limits)
{
    users.hold = false;
    users.count = users.held_count = 0;
    before_all = mem_in_use();
    world = (struct world){ .options = {
                                .own = server_app,
                                .anonymous = true,
                                .user_names = true,
                                .certificates = true,
                                .users = { on_ask, NULL },
                                .verify = believe,
                                .limits = limits,
                            } };
    for (int i = 1; i < UA_POLICY_COUNT; i++)
        world.options.offers[i] = 1 << UA_MODE_SIGN | 1 << UA_MODE_SIGN_AND_ENCRYPT;
    world_open(&world);
}

static int open_world(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 });
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    world_close(&world);
    let_go();
    assert_true(mem_in_use() <= before_all + 64 * 1024); /* OpenSSL keeps some */
    return 0;
}

static struct ua_extension_object token(const struct ua_struct *type, const void *t)
{
    struct ua_extension_object o;
    assert_true(ua_object_of(&world.arena, type, t, &o));
    return o;
}

static const struct ua_policy *user_policy(const struct client *c)
{
    return uas_user_policy(ua_channel_policy(c->channel));
}

static struct bytes policy_id(const struct client *c, enum ua_user_token kind)
{
    char *id = arena_take(&world.arena, 64);
    assert_non_null(id);
    uas_policy_id(id, kind, user_policy(c));
    return bytes_str(id);
}

static struct ua_user_name_identity_token name_token(struct client *c, const char *name, const char *password)
{
    struct buf cipher = { 0 };
    struct fault why;
    assert_int_equal(ua_secret_encrypt(user_policy(c), server_app->certificate->key, bytes_str(password), bytes_of(c->nonce, 32),
                                       &cipher, &why), CODE_OK);
    uint8_t *copy = arena_take(&world.arena, buf_size(&cipher));
    assert_non_null(copy);
    memcpy(copy, buf_bytes(&cipher).at, buf_size(&cipher));
    struct ua_user_name_identity_token t = {
        .policy_id = policy_id(c, UA_USER_NAME),
        .user_name = bytes_str(name),
        .password = bytes_of(copy, buf_size(&cipher)),
        .encryption_algorithm = bytes_str(user_policy(c)->encrypt_uri),
    };
    buf_clear(&cipher);
    return t;
}

static ua_status log_in(struct client *c, struct ua_application *own, const char *name, const char *password)
{
    const struct ua_user_name_identity_token t = name_token(c, name, password);
    return client_activate(c, own, token(&ua_user_name_identity_token_type, &t));
}

static const struct ua_extension_object nobody;

static ua_status try_read(struct client *c)
{
    struct ua_data_value v;
    return client_read(c, UA_NS0(UA_ID_OBJECTS_FOLDER), UA_ATTR_NODE_CLASS, &v);
}

static void begin_secure(struct client *c, enum ua_policy_id policy, int mode, struct ua_application *own)
{
    struct ua_create_session_response a;
    assert_true(client_open(c, &world, policy, mode, own));
    assert_int_equal(client_create(c, own, &a), UA_GOOD);
}

/* ---- what goes well ---- */

static void an_anonymous_client_reads(void **state)
{
    (void)state;
    struct client c;
    client_begin(&c, &world);
    assert_int_equal(try_read(&c), UA_GOOD);
    client_close(&c);
}

static void every_policy_and_mode_with_each_kind_of_user(void **state)
{
    (void)state;
    for (int policy = 0; policy < UA_POLICY_COUNT; policy++)
        for (int mode = policy ? UA_MODE_SIGN : UA_MODE_NONE; mode <= (policy ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE); mode++) {
            struct client c;
            struct ua_create_session_response a;
            struct ua_application *own = policy ? client_app : NULL;
            assert_true(client_open(&c, &world, (enum ua_policy_id)policy, mode, own));
            assert_int_equal(client_create(&c, own, &a), UA_GOOD);
            assert_true(bytes_equal(a.server_certificate, server_app->certificate->der));
            assert_int_equal(a.server_endpoints_count, 7);
            if (policy) {
                static const uint8_t nonce[32] = "0123456789abcdef0123456789abcde";
                assert_true(bytes_is(a.server_signature.algorithm, ua_policies[policy].sign_uri));
                assert_true(ua_rsa_verify(&ua_policies[policy], server_app->certificate->key, client_app->certificate->leaf,
                                          bytes_of(nonce, 32), a.server_signature.signature));
            }
            uint8_t first[32];
            memcpy(first, c.nonce, 32);
            assert_int_equal(client_activate(&c, own, nobody), UA_GOOD);
            assert_memory_not_equal(first, c.nonce, 32);
            assert_int_equal(try_read(&c), UA_GOOD);
            assert_int_equal(log_in(&c, own, "ann", "secret"), UA_GOOD); /* another user, the same channel */
            assert_string_equal(world.server->sessions->user.name, "ann");
            const struct ua_x509_identity_token x = { policy_id(&c, UA_USER_CERTIFICATE), client_app->certificate->der };
            struct ua_activate_session_request q = client_activate_request(&c, own, token(&ua_x509_identity_token_type, &x));
            q.user_token_signature = client_sign(&c, user_policy(&c), client_app->key, server_app->certificate->leaf,
                                                 bytes_of(c.nonce, 32));
            (void)client_send(&c, &ua_activate_session_request_type, &q);
            assert_int_equal(client_activate_answer(&c), UA_GOOD);
            assert_int_equal(world.server->sessions->user.kind, UA_USER_CERTIFICATE);
            assert_int_equal(try_read(&c), UA_GOOD);
            struct ua_close_session_request bye = { .delete_subscriptions = true };
            struct ua_close_session_response gone;
            assert_int_equal(CLIENT_ASK(&c, close_session, &bye, &gone), UA_GOOD);
            assert_int_equal(try_read(&c), UA_BAD_SESSION_ID_INVALID);
            assert_int_equal(world.server->session_count, 0);
            client_close(&c);
        }
}

/* ---- CreateSession is refused ---- */

static ua_status create_with(struct client *c, void (*spoil)(struct ua_create_session_request *))
{
    struct ua_create_session_request q = client_create_request(c, client_app);
    struct ua_create_session_response a;
    spoil(&q);
    return CLIENT_ASK(c, create_session, &q, &a);
}
static void foreign_uri(struct ua_create_session_request *q) { q->client_description.application_uri = BYTES_LIT("urn:x"); }
static void foreign_certificate(struct ua_create_session_request *q) { q->client_certificate = other_app->certificate->der; }
static void no_certificate(struct ua_create_session_request *q) { q->client_certificate = BYTES_NONE; }
static void short_nonce(struct ua_create_session_request *q) { q->client_nonce.len = 31; }
static void long_nonce(struct ua_create_session_request *q)
{
    static const uint8_t many[129];
    q->client_nonce = bytes_of(many, sizeof many);
}
static void foreign_server(struct ua_create_session_request *q) { q->server_uri = BYTES_LIT("urn:elsewhere"); }
static void own_server(struct ua_create_session_request *q) { q->server_uri = BYTES_LIT("urn:gw1:server"); }

static void who_is_not_what_he_says_gets_no_session(void **state)
{
    (void)state;
    struct client c;
    assert_true(client_open(&c, &world, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app));
    assert_int_equal(create_with(&c, foreign_uri), UA_BAD_CERTIFICATE_URI_INVALID);
    assert_int_equal(create_with(&c, foreign_certificate), UA_BAD_CERTIFICATE_INVALID);
    assert_int_equal(create_with(&c, no_certificate), UA_BAD_CERTIFICATE_INVALID);
    assert_int_equal(create_with(&c, short_nonce), UA_BAD_NONCE_INVALID);
    assert_int_equal(create_with(&c, long_nonce), UA_BAD_NONCE_INVALID);
    assert_int_equal(create_with(&c, foreign_server), UA_BAD_SERVER_URI_INVALID);
    assert_int_equal(world.server->session_count, 0);
    assert_int_equal(create_with(&c, own_server), UA_GOOD);
    client_close(&c);
}

static void an_untrusted_certificate_gets_no_channel(void **state)
{
    (void)state;
    struct ua_application *stranger = peers_make("stranger", "URI:urn:stranger", 2048);
    struct client c;
    assert_false(client_open(&c, &world, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, stranger));
    assert_int_equal(c.status, UA_BAD_SECURITY_CHECKS_FAILED);
    client_close(&c);
    ua_application_drop(stranger);
}

static void there_is_an_end_to_sessions(void **state)
{
    (void)state;
    close_world(state);
    open_with((struct ua_server_limits){ .sessions = 3 });
    struct client c;
    struct ua_create_session_response a;
    client_begin(&c, &world);
    struct ua_node_id first = c.token;
    uint8_t keep[64];
    memcpy(keep, c.token_bytes, sizeof keep);
    for (int i = 0; i < 2; i++)
        assert_int_equal(client_create(&c, NULL, &a), UA_GOOD);
    assert_int_equal(client_create(&c, NULL, &a), UA_BAD_TOO_MANY_SESSIONS);
    sim_advance(world.sim, 10 * 1000000); /* who has not activated his makes room then */
    assert_int_equal(client_create(&c, NULL, &a), UA_GOOD);
    assert_int_equal(world.server->session_count, 3);
    c.token = first;
    c.token.text.at = keep;
    assert_int_equal(try_read(&c), UA_GOOD);
    client_close(&c);
}

static void a_timeout_is_revised(void **state)
{
    (void)state;
    static const double asked[] = { 0, -5, 1, 60000, 1e12, (double)NAN, (double)INFINITY };
    static const double given[] = { 10000, 10000, 10000, 60000, 3600000, 10000, 3600000 };
    struct client c;
    assert_true(client_open(&c, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct ua_create_session_request q = client_create_request(&c, NULL);
        struct ua_create_session_response a;
        q.requested_session_timeout = asked[i];
        assert_int_equal(CLIENT_ASK(&c, create_session, &q, &a), UA_GOOD);
        assert_true(a.revised_session_timeout == given[i]);
    }
    client_close(&c);
}

/* ---- ActivateSession is refused ---- */

static void a_signature_counts_once(void **state)
{
    (void)state;
    struct client c;
    begin_secure(&c, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app);
    struct ua_activate_session_request q = client_activate_request(&c, client_app, nobody), bad = q;
    uint8_t *wrong = arena_take(&world.arena, q.client_signature.signature.len);
    memcpy(wrong, q.client_signature.signature.at, q.client_signature.signature.len);
    wrong[7] ^= 1;
    bad.client_signature.signature.at = wrong;
    (void)client_send(&c, &ua_activate_session_request_type, &bad);
    assert_int_equal(client_activate_answer(&c), UA_BAD_APPLICATION_SIGNATURE_INVALID);
    bad = q;
    bad.client_signature.algorithm = BYTES_LIT("http://www.w3.org/2000/09/xmldsig#rsa-sha1");
    (void)client_send(&c, &ua_activate_session_request_type, &bad);
    assert_int_equal(client_activate_answer(&c), UA_BAD_APPLICATION_SIGNATURE_INVALID);
    bad.client_signature = (struct ua_signature_data){ 0 };
    (void)client_send(&c, &ua_activate_session_request_type, &bad);
    assert_int_equal(client_activate_answer(&c), UA_BAD_APPLICATION_SIGNATURE_INVALID);
    (void)client_send(&c, &ua_activate_session_request_type, &q);
    assert_int_equal(client_activate_answer(&c), UA_GOOD);
    (void)client_send(&c, &ua_activate_session_request_type, &q); /* the same again: over the old nonce */
    assert_int_equal(client_activate_answer(&c), UA_BAD_APPLICATION_SIGNATURE_INVALID);
    assert_int_equal(try_read(&c), UA_GOOD); /* the session is none the worse */
    client_close(&c);
}

static ua_status activate_name(struct client *c, const struct ua_user_name_identity_token *t)
{
    return client_activate(c, NULL, token(&ua_user_name_identity_token_type, t));
}

static void wrong_names_and_passwords(void **state)
{
    (void)state;
    struct client c;
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    struct ua_user_name_identity_token good = name_token(&c, "ann", "secret"), t = good;
    t.policy_id = BYTES_LIT("username_none");
    assert_int_equal(activate_name(&c, &t), UA_BAD_IDENTITY_TOKEN_INVALID);
    t = good;
    t.encryption_algorithm = BYTES_NONE; /* in the clear */
    t.password = BYTES_LIT("secret");
    assert_int_equal(activate_name(&c, &t), UA_BAD_IDENTITY_TOKEN_INVALID);
    t = good;
    t.user_name = BYTES_NONE;
    assert_int_equal(activate_name(&c, &t), UA_BAD_IDENTITY_TOKEN_INVALID);
    t = good;
    t.password.len--;
    assert_int_equal(activate_name(&c, &t), UA_BAD_IDENTITY_TOKEN_INVALID);
    assert_int_equal(users.count, 0);
    assert_int_equal(log_in(&c, NULL, "ann", "wrong"), UA_BAD_USER_ACCESS_DENIED);
    sim_advance(world.sim, 20 * 1000000);
    assert_int_equal(activate_name(&c, &good), UA_GOOD);
    sim_advance(world.sim, 20 * 1000000);
    assert_int_equal(activate_name(&c, &good), UA_BAD_IDENTITY_TOKEN_INVALID); /* a replay: the nonce in it is old */
    client_close(&c);
}

static void wrong_certificates_of_users(void **state)
{
    (void)state;
    struct client c;
    begin_secure(&c, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT, client_app);
    const struct ua_x509_identity_token x = { policy_id(&c, UA_USER_CERTIFICATE), other_app->certificate->der };
    struct ua_activate_session_request q = client_activate_request(&c, client_app, token(&ua_x509_identity_token_type, &x));
    (void)client_send(&c, &ua_activate_session_request_type, &q);
    assert_int_equal(client_activate_answer(&c), UA_BAD_USER_SIGNATURE_INVALID);
    /* Somebody else's key. */
    q.user_token_signature = client_sign(&c, user_policy(&c), client_app->key, server_app->certificate->leaf,
                                         bytes_of(c.nonce, 32));
    (void)client_send(&c, &ua_activate_session_request_type, &q);
    assert_int_equal(client_activate_answer(&c), UA_BAD_USER_SIGNATURE_INVALID);
    assert_int_equal(users.count, 0);
    const struct ua_x509_identity_token none = { policy_id(&c, UA_USER_CERTIFICATE), BYTES_LIT("no certificate") };
    q = client_activate_request(&c, client_app, token(&ua_x509_identity_token_type, &none));
    (void)client_send(&c, &ua_activate_session_request_type, &q);
    assert_int_equal(client_activate_answer(&c), UA_BAD_IDENTITY_TOKEN_INVALID);
    /* Its own: the program knows it and does not want it. */
    sim_advance(world.sim, 20 * 1000000);
    q = client_activate_request(&c, client_app, token(&ua_x509_identity_token_type, &x));
    q.user_token_signature = client_sign(&c, user_policy(&c), other_app->key, server_app->certificate->leaf, bytes_of(c.nonce, 32));
    (void)client_send(&c, &ua_activate_session_request_type, &q);
    assert_int_equal(client_activate_answer(&c), UA_BAD_IDENTITY_TOKEN_REJECTED);
    assert_int_equal(users.count, 1);
    client_close(&c);
}

static void other_kinds_of_tokens(void **state)
{
    (void)state;
    world.server->options.anonymous = false;
    world.server->options.certificates = false;
    world.server->options.user_names = false;
    struct client c;
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    assert_int_equal(client_activate(&c, NULL, nobody), UA_BAD_IDENTITY_TOKEN_REJECTED);
    const struct ua_issued_identity_token issued = { BYTES_LIT("issued"), BYTES_LIT("x"), BYTES_NONE };
    assert_int_equal(client_activate(&c, NULL, token(&ua_issued_identity_token_type, &issued)), UA_BAD_IDENTITY_TOKEN_REJECTED);
    const struct ua_range range = { 1, 2 };
    assert_int_equal(client_activate(&c, NULL, token(&ua_range_type, &range)), UA_BAD_IDENTITY_TOKEN_INVALID);
    assert_int_equal(log_in(&c, NULL, "ann", "secret"), UA_BAD_IDENTITY_TOKEN_REJECTED);
    const struct ua_x509_identity_token x = { policy_id(&c, UA_USER_CERTIFICATE), other_app->certificate->der };
    assert_int_equal(client_activate(&c, NULL, token(&ua_x509_identity_token_type, &x)), UA_BAD_IDENTITY_TOKEN_REJECTED);
    world.server->options.anonymous = true;
    const struct ua_anonymous_identity_token a = { BYTES_LIT("somebody") };
    assert_int_equal(client_activate(&c, NULL, token(&ua_anonymous_identity_token_type, &a)), UA_BAD_IDENTITY_TOKEN_INVALID);
    const struct ua_anonymous_identity_token b = { BYTES_LIT("anonymous") };
    assert_int_equal(client_activate(&c, NULL, token(&ua_anonymous_identity_token_type, &b)), UA_GOOD);
    client_close(&c);
}

static void failures_take_longer_each_time(void **state)
{
    (void)state;
    struct client c, far;
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    static const int64_t wait_ms[] = { 0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
    int64_t failed_us = 0;
    for (size_t i = 0; i < sizeof wait_ms / sizeof *wait_ms; i++) {
        unsigned before = users.count;
        ua_status status = log_in(&c, NULL, "ann", "guess");
        if (wait_ms[i])
            assert_int_equal(status, UA_BAD_TIMEOUT);
        while (users.count == before)
            sim_advance(world.sim, 10 * 1000);
        int64_t waited_ms = (sim_now_us(world.sim) - failed_us) / 1000;
        if (wait_ms[i]) {
            assert_true(waited_ms >= wait_ms[i] && waited_ms <= wait_ms[i] + 40);
            status = client_activate_answer(&c);
        }
        assert_int_equal(status, UA_BAD_USER_ACCESS_DENIED);
        assert_int_equal(users.count, before + 1);
        failed_us = sim_now_us(world.sim);
    }
    /* Nobody else has to wait; and anonymous ones, who try nothing, neither. */
    world.from = "10.9.8.7:1000";
    begin_secure(&far, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    assert_int_equal(log_in(&far, NULL, "ann", "secret"), UA_GOOD);
    client_close(&far);
    assert_int_equal(client_activate(&c, NULL, nobody), UA_GOOD);
    /* But to be nobody for a moment does not make the next guess any cheaper. */
    unsigned before = users.count;
    assert_int_equal(log_in(&c, NULL, "ann", "guess"), UA_BAD_TIMEOUT);
    assert_int_equal(users.count, before);
    sim_advance(world.sim, 11 * 1000000);
    assert_int_equal(client_activate_answer(&c), UA_BAD_USER_ACCESS_DENIED);
    client_close(&c);
}

/* ---- who comes first, and from where ---- */

static ua_status large(struct client *c, uint32_t bytes)
{
    uint8_t *filling = arena_zero(&world.arena, 60000);
    struct bytes *names = arena_zero(&world.arena, 64 * sizeof *names);
    uint32_t n = 0;
    assert_true(filling && names);
    for (; bytes > 60000; bytes -= 60000)
        names[n++] = bytes_of(memset(filling, 'x', 60000), 60000);
    struct ua_get_endpoints_request q = {.locale_ids = names, .locale_ids_count = n};
    struct ua_get_endpoints_response a;
    return CLIENT_ASK(c, get_endpoints, &q, &a);
}

/* A stranger's half message is not kept until it has two megabytes. */
static void large_messages_are_for_those_who_have_a_session(void **state)
{
    (void)state;
    struct client c;
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    assert_int_equal(large(&c, 130000), UA_GOOD);
    assert_int_equal(client_activate(&c, NULL, nobody), UA_GOOD);
    assert_int_equal(large(&c, 1900000), UA_GOOD);
    client_close(&c);
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    assert_int_equal(large(&c, 400000), UA_BAD_CONNECTION_CLOSED);
    client_close(&c);
}


static void the_first_service_is_activate_session(void **state)
{
    (void)state;
    struct client c;
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    assert_int_equal(try_read(&c), UA_BAD_SESSION_NOT_ACTIVATED);
    assert_int_equal(world.server->session_count, 0);
    assert_int_equal(client_activate(&c, NULL, nobody), UA_BAD_SESSION_ID_INVALID);
    c.token = UA_NS0(17);
    assert_int_equal(try_read(&c), UA_BAD_SESSION_ID_INVALID);
    client_close(&c);
}

static void a_session_belongs_to_its_channel(void **state)
{
    (void)state;
    struct client c, thief;
    client_begin(&c, &world);
    client_begin(&thief, &world);
    thief.token = c.token;
    assert_int_equal(try_read(&thief), UA_BAD_SECURE_CHANNEL_ID_INVALID);
    assert_int_equal(try_read(&c), UA_GOOD);
    client_close(&thief);
    /* One that is not active yet cannot move. */
    struct ua_create_session_response a;
    struct client d, e;
    assert_true(client_open(&d, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    assert_int_equal(client_create(&d, NULL, &a), UA_GOOD);
    assert_true(client_open(&e, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    e.token = d.token;
    assert_int_equal(client_activate(&e, NULL, nobody), UA_BAD_SECURE_CHANNEL_ID_INVALID);
    unsigned sessions = world.server->session_count;
    client_close(&d); /* ... and goes with it */
    assert_int_equal(world.server->session_count, sessions - 1);
    client_close(&e);
    client_close(&c);
}

static void a_session_moves_to_a_channel_of_the_same_kind(void **state)
{
    (void)state;
    struct client a, b;
    begin_secure(&a, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app);
    assert_int_equal(log_in(&a, client_app, "ann", "secret"), UA_GOOD);
    static const struct {
        enum ua_policy_id policy;
        int  mode;
        bool other;
        const char *user;
        ua_status status;
    } tries[] = {
        { UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT, false, "ann", UA_BAD_SECURITY_CHECKS_FAILED },
        { UA_POLICY_AES128_SHA256_RSAOAEP, UA_MODE_SIGN, false, "ann", UA_BAD_SECURITY_CHECKS_FAILED },
        { UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, true, "ann", UA_BAD_SECURITY_CHECKS_FAILED },
        { UA_POLICY_NONE, UA_MODE_NONE, false, "ann", UA_BAD_SECURITY_CHECKS_FAILED },
        { UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, false, "bob", UA_BAD_IDENTITY_TOKEN_REJECTED },
        { UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, false, "ann", UA_GOOD },
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct ua_application *own = tries[i].other ? other_app : tries[i].policy ? client_app : NULL;
        assert_true(client_open(&b, &world, tries[i].policy, tries[i].mode, own));
        memcpy(b.nonce, a.nonce, sizeof b.nonce);
        b.token = a.token;
        assert_int_equal(log_in(&b, own, tries[i].user, "secret"), tries[i].status);
        if (tries[i].status == UA_GOOD)
            break;
        assert_int_equal(try_read(&a), UA_GOOD);
        client_close(&b);
        sim_advance(world.sim, 1000000);
    }
    assert_int_equal(try_read(&b), UA_GOOD);
    assert_int_equal(try_read(&a), UA_BAD_SECURE_CHANNEL_ID_INVALID);
    /* Its connection breaks; the session waits for another one. */
    client_close(&b);
    assert_null(world.server->sessions->link);
    struct client d;
    assert_true(client_open(&d, &world, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app));
    d.token = a.token;
    memcpy(d.nonce, b.nonce, sizeof d.nonce);
    assert_int_equal(try_read(&d), UA_BAD_SECURE_CHANNEL_ID_INVALID);
    assert_int_equal(log_in(&d, client_app, "ann", "secret"), UA_GOOD);
    assert_int_equal(try_read(&d), UA_GOOD);
    client_close(&d);
    client_close(&a);
}

static ua_status show(struct client *c, const struct ua_application *user)
{
    const struct ua_x509_identity_token x = { policy_id(c, UA_USER_CERTIFICATE), user->certificate->der };
    struct ua_activate_session_request q = client_activate_request(c, client_app, token(&ua_x509_identity_token_type, &x));
    q.user_token_signature = client_sign(c, user_policy(c), user->key, server_app->certificate->leaf, bytes_of(c->nonce, 32));
    (void)client_send(c, &ua_activate_session_request_type, &q);
    return client_activate_answer(c);
}

/* Two certificates that say one name are two users. */
static void a_session_is_not_taken_by_a_namesake(void **state)
{
    (void)state;
    struct ua_application *ann = peers_make("ann", "URI:urn:ann", 2048), *namesake = peers_make("ann", "URI:urn:ann", 2048);
    struct client a, b;
    begin_secure(&a, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app);
    assert_int_equal(show(&a, ann), UA_GOOD);
    assert_true(client_open(&b, &world, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app));
    memcpy(b.nonce, a.nonce, sizeof b.nonce);
    b.token = a.token;
    assert_int_equal(show(&b, namesake), UA_BAD_IDENTITY_TOKEN_REJECTED);
    assert_int_equal(try_read(&a), UA_GOOD);
    assert_int_equal(show(&b, ann), UA_GOOD);
    assert_int_equal(try_read(&b), UA_GOOD);
    /* What a subscription is taken by is the same. */
    struct ua_server_user one = world.server->sessions->user, two = one;
    assert_true(uas_same_user(&one, &two));
    two.thumbprint[19] ^= 1;
    assert_false(uas_same_user(&one, &two));
    client_close(&a);
    client_close(&b);
    ua_application_drop(ann);
    ua_application_drop(namesake);
}

static void a_silent_session_ends(void **state)
{
    (void)state;
    struct client c;
    client_begin(&c, &world); /* 60 s */
    for (int i = 0; i < 5; i++) {
        sim_advance(world.sim, 50 * 1000000);
        assert_int_equal(try_read(&c), UA_GOOD);
    }
    sim_advance(world.sim, 59 * 1000000);
    assert_int_equal(world.server->session_count, 1);
    sim_advance(world.sim, 2 * 1000000);
    assert_int_equal(world.server->session_count, 0);
    assert_int_equal(try_read(&c), UA_BAD_SESSION_ID_INVALID);
    client_close(&c);
}

/* ---- channels are renewed, or end ---- */

static void a_session_lives_through_renewals(void **state)
{
    (void)state;
    for (int policy = 0; policy < UA_POLICY_COUNT; policy += 3) {
        struct client c;
        struct ua_application *own = policy ? client_app : NULL;
        world.lifetime_ms = 20000;
        begin_secure(&c, (enum ua_policy_id)policy, policy ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE, own);
        assert_int_equal(client_activate(&c, own, nobody), UA_GOOD);
        for (int i = 0; i < 40; i++) { /* 200 s */
            sim_advance(world.sim, 5 * 1000000);
            client_tick(&c);
            assert_int_equal(try_read(&c), UA_GOOD);
        }
        assert_true(ua_channel_renewals(c.channel) >= 10);
        client_close(&c);
    }
}

static void a_channel_that_is_not_renewed_ends(void **state)
{
    (void)state;
    struct client c;
    world.lifetime_ms = 20000;
    client_begin(&c, &world);
    sim_advance(world.sim, 20 * 1000000); /* a quarter longer it is taken */
    assert_int_equal(try_read(&c), UA_GOOD);
    sim_advance(world.sim, 6 * 1000000);
    assert_int_equal(world.server->link_count, 0);
    assert_int_equal(world.server->session_count, 1); /* it may be taken to another channel, for as long as it lives */
    sim_advance(world.sim, 60 * 1000000);
    assert_int_equal(world.server->session_count, 0);
    client_close(&c);
}

/* ---- users that take their time ---- */

static void an_answer_about_a_user_may_come_later(void **state)
{
    (void)state;
    struct client c;
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    users.hold = true;
    assert_int_equal(log_in(&c, NULL, "ann", "secret"), UA_BAD_TIMEOUT);
    assert_int_equal(try_read(&c), UA_BAD_SESSION_NOT_ACTIVATED);
    assert_int_equal(world.server->session_count, 1); /* it is not held against it */
    assert_int_equal(client_activate(&c, NULL, nobody), UA_BAD_INVALID_STATE);
    let_go();
    assert_int_equal(client_activate_answer(&c), UA_GOOD);
    assert_int_equal(try_read(&c), UA_GOOD);
    client_close(&c);
}

static void who_leaves_meanwhile_is_no_trouble(void **state)
{
    (void)state;
    struct client c, d;
    begin_secure(&c, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    users.hold = true;
    assert_int_equal(log_in(&c, NULL, "ann", "secret"), UA_BAD_TIMEOUT);
    client_close(&c);
    assert_int_equal(world.server->session_count, 0);
    begin_secure(&d, UA_POLICY_NONE, UA_MODE_NONE, NULL);
    assert_int_equal(log_in(&d, NULL, "ann", "secret"), UA_BAD_TIMEOUT);
    struct ua_close_session_request bye = { 0 };
    struct ua_close_session_response gone;
    (void)client_send(&d, &ua_close_session_request_type, &bye);
    assert_int_equal(client_answer(&d, &ua_close_session_response_type, &gone), UA_BAD_SESSION_CLOSED); /* the login */
    assert_int_equal(client_answer(&d, &ua_close_session_response_type, &gone), UA_GOOD);
    let_go();
    assert_int_equal(client_activate_answer(&d), UA_BAD_TIMEOUT);
    /* The last one is still being asked about when the server ends. */
    users.hold = true;
    struct ua_create_session_response a;
    assert_int_equal(client_create(&d, NULL, &a), UA_GOOD);
    assert_int_equal(log_in(&d, NULL, "ann", "secret"), UA_BAD_TIMEOUT);
    assert_int_equal(users.held_count, 1);
    client_close(&d);
}

/* ---- memory ---- */

static ua_status whole_life(struct client *c)
{
    struct ua_create_session_response a;
    ua_status status = client_create(c, NULL, &a);
    if (status == UA_GOOD)
        status = client_activate(c, NULL, nobody);
    if (status == UA_GOOD)
        status = try_read(c);
    return status;
}

static void without_memory_a_request_fails_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct client c;
        assert_true(client_open(&c, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
        /* The client's own allocations are not to fail: what it sends is made before. */
        struct ua_create_session_request q = client_create_request(&c, NULL);
        struct ua_create_session_response a;
        struct buf out = { 0 };
        struct ua_sending sending;
        ua_channel_begin(c.channel, &out, &sending);
        ua_write_message(&out, &ua_create_session_request_type, &q);
        assert_int_equal(ua_channel_end(c.channel, &out, &sending, 7), UA_GOOD);
        sim_send(c.sim, buf_bytes(&out));
        buf_clear(&out);
        mem_fail_at(n);
        (void)sim_step(world.sim);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        ua_status status = client_answer(&c, &ua_create_session_response_type, &a);
        if (!fired)
            assert_int_equal(status, UA_GOOD);
        else if (status != UA_GOOD)
            assert_true(status == UA_BAD_OUT_OF_MEMORY || status == UA_BAD_CONNECTION_CLOSED);
        client_close(&c);
        assert_int_equal(world.server->session_count, 0);
        struct client d;
        assert_true(client_open(&d, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
        assert_int_equal(whole_life(&d), UA_GOOD);
        client_close(&d);
        world.server->sessions ? uas_session_close(world.server->sessions, true) : (void)0;
        if (!fired)
            break;
    }
}

static void without_memory_nobody_is_let_in(void **state)
{
    (void)state;
    struct client c;
    begin_secure(&c, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app);
    for (uint64_t n = 1;; n++) {
        const struct ua_user_name_identity_token t = name_token(&c, "ann", "secret");
        struct ua_activate_session_request q = client_activate_request(&c, client_app,
                                                                       token(&ua_user_name_identity_token_type, &t));
        struct buf out = { 0 };
        struct ua_sending sending;
        q.header.authentication_token = c.token;
        ua_channel_begin(c.channel, &out, &sending);
        ua_write_message(&out, &ua_activate_session_request_type, &q);
        assert_int_equal(ua_channel_end(c.channel, &out, &sending, 7), UA_GOOD);
        sim_send(c.sim, buf_bytes(&out));
        buf_clear(&out);
        mem_fail_at(n);
        (void)sim_step(world.sim);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        ua_status status = client_activate_answer(&c);
        if (status == UA_BAD_CONNECTION_CLOSED) {
            client_close(&c);
            begin_secure(&c, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, client_app);
            continue;
        }
        /* A body that cannot be read is no token: the reader does not say why. */
        assert_true(status == UA_GOOD || (fired && (status == UA_BAD_OUT_OF_MEMORY || status == UA_BAD_IDENTITY_TOKEN_INVALID)));
        if (!fired)
            break;
    }
    assert_int_equal(try_read(&c), UA_GOOD);
    client_close(&c);
}

static int make_peers(void **state)
{
    (void)state;
    server_app = peers_make("server", "URI:urn:gw1:server,DNS:gw1", 2048);
    client_app = peers_make("client", "URI:urn:client,DNS:client", 2048);
    other_app = peers_make("other", "URI:urn:other,DNS:other", 2048);
    return 0;
}

static int drop_peers(void **state)
{
    (void)state;
    ua_application_drop(server_app);
    ua_application_drop(client_app);
    ua_application_drop(other_app);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_anonymous_client_reads),
        TEST(every_policy_and_mode_with_each_kind_of_user),
        TEST(who_is_not_what_he_says_gets_no_session),
        TEST(an_untrusted_certificate_gets_no_channel),
        TEST(there_is_an_end_to_sessions),
        TEST(a_timeout_is_revised),
        TEST(a_signature_counts_once),
        TEST(wrong_names_and_passwords),
        TEST(wrong_certificates_of_users),
        TEST(other_kinds_of_tokens),
        TEST(failures_take_longer_each_time),
        TEST(large_messages_are_for_those_who_have_a_session),
        TEST(the_first_service_is_activate_session),
        TEST(a_session_belongs_to_its_channel),
        TEST(a_session_moves_to_a_channel_of_the_same_kind),
        TEST(a_session_is_not_taken_by_a_namesake),
        TEST(a_silent_session_ends),
        TEST(a_session_lives_through_renewals),
        TEST(a_channel_that_is_not_renewed_ends),
        TEST(an_answer_about_a_user_may_come_later),
        TEST(who_leaves_meanwhile_is_no_trouble),
        TEST(without_memory_a_request_fails_and_nothing_else),
        TEST(without_memory_nobody_is_let_in),
    };
    return cmocka_run_group_tests(tests, make_peers, drop_peers);
}
