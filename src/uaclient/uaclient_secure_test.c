/* The client over protected channels, against a server that the test plays: which endpoint, whose certificate, which user; and a
 * server, or somebody in between, that is not what it says. */
#include "uaclient/uaclient_test_stage.h"

#include "opcua/opcua_test_peers.h"
#include "opcua/rsa.h"
#include "opcua/trust.h"

static struct ua_application *client, *server, *other, *person;

/* What the server of the present test does. */
static struct play {
    unsigned
        endpoints; /* bits: 1 None, 2 Basic256Sha256 Sign, 4 Aes128 SignAndEncrypt, 8 Aes256 SignAndEncrypt */
    unsigned later; /* the same in CreateSession; 0: none */
    void (*retell)(struct ua_endpoint_description *); /* changes the last one of them there; NULL: nothing */
    const char *url;
    const char *uri; /* of the application; NULL: the one in its certificate */
    struct ua_application *shows, *signs,
        *in_session; /* certificate in discovery; key of the signature; certificate in CreateSession */
    bool short_nonce, plain_policy;
    uint8_t nonce[32];
    int activations;
    bool signature_good;
    int user; /* enum ua_user_token of the last token */
    char name[32], password[64];
    bool person_good;
} play;

static const struct ua_policy *policy_of(unsigned bit)
{
    return &ua_policies[bit == 0   ? UA_POLICY_NONE
                        : bit == 1 ? UA_POLICY_BASIC256SHA256
                        : bit == 2 ? UA_POLICY_AES128_SHA256_RSAOAEP
                                   : UA_POLICY_AES256_SHA256_RSAPSS];
}

static uint32_t list_endpoints(unsigned bits, struct ua_endpoint_description *list,
                               struct ua_user_token_policy tokens[3])
{
    uint32_t n = 0;
    tokens[0] = (struct ua_user_token_policy){.policy_id = BYTES_LIT("anonymous")};
    tokens[1] = (struct ua_user_token_policy){
        .policy_id = BYTES_LIT("name"),
        .token_type = UA_USER_NAME,
        .security_policy_uri = play.plain_policy ? BYTES_NONE : bytes_str(policy_of(1)->uri)};
    tokens[2] = (struct ua_user_token_policy){.policy_id = BYTES_LIT("certificate"),
                                              .token_type = UA_USER_CERTIFICATE,
                                              .security_policy_uri = bytes_str(policy_of(1)->uri)};
    for (unsigned i = 0; i < 4; i++) {
        if (!(bits >> i & 1))
            continue;
        list[n++] = (struct ua_endpoint_description){
            .endpoint_url = bytes_str(play.url),
            .server.application_uri = bytes_str(play.uri ? play.uri : "urn:server"),
            .server_certificate = play.shows->certificate->leaf,
            .security_mode = i == 0   ? UA_MODE_NONE
                             : i == 1 ? UA_MODE_SIGN
                                      : UA_MODE_SIGN_AND_ENCRYPT,
            .security_policy_uri = bytes_str(policy_of(i)->uri),
            .user_identity_tokens = tokens,
            .user_identity_tokens_count = 3,
            .transport_profile_uri = BYTES_LIT(
                "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary")};
    }
    return n;
}

static void serve_found(struct stage *st, uint32_t id)
{
    struct ua_endpoint_description list[4];
    struct ua_user_token_policy tokens[3];
    struct ua_get_endpoints_response r = {.endpoints = list,
                                          .endpoints_count = list_endpoints(play.endpoints, list, tokens)};
    respond(st, id, &ua_get_endpoints_response_type, &r);
}

static void serve_create(struct stage *st, uint32_t id, const struct ua_create_session_request *q)
{
    static uint8_t sign[UA_RSA_BYTES_MAX];
    struct ua_endpoint_description list[4];
    struct ua_user_token_policy tokens[3];
    const struct ua_policy *p = ua_channel_policy(st->channel);
    st->session = ++st->sessions;
    memset(play.nonce, (int)st->sessions, sizeof play.nonce);
    struct ua_create_session_response r = {
        .session_id = UA_NS0(1),
        .authentication_token = {.ns = 1, .number = st->session},
        .revised_session_timeout = 60000,
        .server_nonce = bytes_of(play.nonce, play.short_nonce ? 8 : 32),
        .server_certificate = play.in_session->certificate->leaf,
        .server_endpoints = list,
        .server_endpoints_count = list_endpoints(play.later ? play.later : play.endpoints, list, tokens)};
    if (play.retell)
        play.retell(&list[r.server_endpoints_count - 1]);
    if (p->id != UA_POLICY_NONE) {
        assert_true(ua_rsa_sign(p, play.signs->key, q->client_certificate, q->client_nonce, sign));
        r.server_signature = (struct ua_signature_data){bytes_str(p->sign_uri),
                                                        bytes_of(sign, ua_rsa_bytes(play.signs->key))};
        assert_true(bytes_equal(q->client_certificate, client->certificate->leaf));
    }
    assert_true(q->client_nonce.len >= 32);
    respond(st, id, &ua_create_session_response_type, &r);
}

static void note_user(const struct ua_activate_session_request *q)
{
    struct ua_user_name_identity_token name = {0};
    struct ua_x509_identity_token cert = {0};
    struct arena arena;
    struct buf secret = {0};
    arena_init(&arena, NULL, 0, 1 << 16);
    struct ua_reader like = ua_reader_of(BYTES_NONE, &arena, NULL);
    struct bytes nonce = bytes_of(play.nonce, 32);
    play.user = UA_USER_ANONYMOUS;
    if (ua_object_read(&like, &q->user_identity_token, &ua_user_name_identity_token_type, &name)) {
        play.user = UA_USER_NAME;
        (void)snprintf(play.name, sizeof play.name, "%.*s", BYTES_FMT(name.user_name));
        if (!name.encryption_algorithm.len)
            (void)snprintf(play.password, sizeof play.password, "plain %.*s", BYTES_FMT(name.password));
        else if (ua_secret_decrypt(policy_of(1), server->key, name.password, nonce, &secret, NULL) == CODE_OK)
            (void)snprintf(play.password, sizeof play.password, "%.*s", BYTES_FMT(buf_bytes(&secret)));
        ua_secret_clear(&secret);
    } else if (ua_object_read(&like, &q->user_identity_token, &ua_x509_identity_token_type, &cert)) {
        play.user = UA_USER_CERTIFICATE;
        play.person_good = bytes_equal(cert.certificate_data, person->certificate->leaf) &&
                           ua_rsa_verify(policy_of(1), person->certificate->key, server->certificate->leaf,
                                         nonce, q->user_token_signature.signature);
    }
    arena_clear(&arena);
}

static void serve_activate(struct stage *st, uint32_t id, const struct ua_activate_session_request *q)
{
    const struct ua_policy *p = ua_channel_policy(st->channel);
    struct bytes nonce = bytes_of(play.nonce, 32);
    play.activations++;
    play.signature_good = p->id == UA_POLICY_NONE ||
                          ua_rsa_verify(p, client->certificate->key, server->certificate->leaf, nonce,
                                        q->client_signature.signature);
    note_user(q);
    play.nonce[0] += 100; /* each activation has a new one */
    struct ua_activate_session_response r = {.server_nonce = nonce};
    respond(st, id, &ua_activate_session_response_type, &r);
}

static bool serve_session_of(struct stage *st, uint32_t id, uint32_t encoding, const void *request)
{
    const struct ua_request_header *h = request;
    if (encoding == ua_get_endpoints_request_type.encoding)
        serve_found(st, id);
    else if (encoding == ua_create_session_request_type.encoding)
        serve_create(st, id, request);
    else if (encoding == ua_activate_session_request_type.encoding &&
             h->authentication_token.number == st->session)
        serve_activate(st, id, request);
    else
        return false;
    return true;
}

static struct ua_client_options begin(struct stage *st)
{
    struct ua_client_options o = plain_options();
    o.io = &io_system;
    o.own = client;
    o.accept_any = true;
    o.reconnect = false;
    stage_set(st);
    st->own = server;
    st->offers = peers_offer_all;
    st->verify = peers_believe_all;
    st->hook = serve_session_of;
    play = (struct play){.endpoints = 15, .url = URL, .shows = server, .signs = server, .in_session = server};
    return o;
}

static void ends(struct stage *st, const struct ua_client_options *o, const char *want, const char *text)
{
    stage_open(st, o);
    sim_advance(st->sim, SECOND / 10);
    told(st, want);
    if (text && !strstr(st->why.text, text))
        fail_msg("says: %s", st->why.text);
    stage_close(st);
}

static void test_the_best_and_each(void **state)
{
    static const struct {
        const char *policy;
        int mode;
        unsigned endpoints;
        const char *gets;
        int gets_mode;
    } cases[] = {
        {NULL, 0, 15, "Aes256_Sha256_RsaPss", 3},
        {NULL, 0, 7, "Aes128_Sha256_RsaOaep", 3},
        {NULL, UA_MODE_SIGN, 15, "Basic256Sha256", 2},
        {"basic256sha256", 0, 15, "Basic256Sha256", 2},
        {"None", 0, 15, "None", 1},
        {NULL, 0, 1, "None", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ua_client_look l;
        struct stage st;
        struct ua_client_options o = begin(&st);
        o.policy = cases[i].policy;
        o.mode = (enum ua_message_security_mode)cases[i].mode;
        play.endpoints = cases[i].endpoints;
        stage_open(&st, &o);
        sim_advance(st.sim, SECOND / 10);
        ua_client_look(st.client, &l);
        assert_int_equal(l.state, UA_CLIENT_UP);
        assert_string_equal(l.policy, cases[i].gets);
        assert_int_equal(l.mode, cases[i].gets_mode);
        assert_true(play.signature_good);
        assert_int_equal(l.lacks & 1u << UA_LACK_ENDPOINTS, 0);
        told(&st, strcmp(cases[i].gets, "None") ? "notice(5204) up " : "up ");
        stage_close(&st);
    }
}

static void test_nothing_fits(void **state)
{
    struct stage st;
    struct ua_client_options o = begin(&st);
    (void)state;
    o.policy = "Aes256_Sha256_RsaPss";
    play.endpoints = 3;
    ends(&st, &o, "down(5205 end) ", "It offers: None, Basic256Sha256 for anonymous users");
}

static void test_users(void **state)
{
    struct stage st;
    struct ua_client_options o = begin(&st);
    (void)state;
    o.user = (struct ua_client_user){
        .kind = UA_USER_NAME, .name = BYTES_LIT("ada"), .password = BYTES_LIT("secret")};
    ends(&st, &o, "notice(5204) up ", NULL);
    assert_string_equal(play.name, "ada");
    assert_string_equal(play.password, "secret");

    o = begin(&st); /* encrypted also where nothing else is */
    o.policy = "None";
    o.user = (struct ua_client_user){
        .kind = UA_USER_NAME, .name = BYTES_LIT("ada"), .password = BYTES_LIT("secret")};
    ends(&st, &o, "notice(5204) up ", NULL);
    assert_string_equal(play.password, "secret");

    o = begin(&st); /* and not at all where it would be readable */
    play.plain_policy = true;
    o.policy = "None";
    o.user = (struct ua_client_user){
        .kind = UA_USER_NAME, .name = BYTES_LIT("ada"), .password = BYTES_LIT("secret")};
    ends(&st, &o, "notice(5204) down(5206 end) ", "readable");
    assert_int_equal(play.activations, 0);

    o = begin(&st); /* unless that is wanted */
    play.plain_policy = true;
    o.policy = "None";
    o.plain_password = true;
    o.user = (struct ua_client_user){
        .kind = UA_USER_NAME, .name = BYTES_LIT("ada"), .password = BYTES_LIT("secret")};
    ends(&st, &o, "notice(5204) up ", NULL);
    assert_string_equal(play.password, "plain secret");

    o = begin(&st);
    o.user = (struct ua_client_user){.kind = UA_USER_CERTIFICATE, .certificate = person};
    ends(&st, &o, "notice(5204) up ", NULL);
    assert_int_equal(play.user, UA_USER_CERTIFICATE);
    assert_true(play.person_good);
}

static void test_whom_it_does_not_believe(void **state)
{
    struct stage st;
    struct ua_client_options o = begin(&st);
    (void)state;
    o.accept_any = false;
    ends(&st, &o, "down(5204 end) ", "nobody is trusted here");

    o = begin(&st);
    play.uri = "urn:somebody:else";
    ends(&st, &o, "down(5224 end) ", NULL);

    o = begin(&st); /* the certificate names 127.0.0.1 only */
    o.url = "opc.tcp://localhost:4840";
    ends(&st, &o, "down(5223 end) ", "localhost");

    o = begin(&st);
    o.url = "opc.tcp://localhost:4840";
    o.any_host = true;
    ends(&st, &o, "notice(5204) notice(5202) up ", NULL);
}

static void test_swapped(void **state)
{
    struct stage st;
    struct ua_client_options o = begin(&st);
    (void)state;
    play.in_session = other;
    ends(&st, &o, "notice(5204) down(5207 end) ", "another certificate");

    o = begin(&st);
    play.in_session = other;
    o.policy = "None";
    ends(&st, &o, "down(5207 end) ", "another certificate");

    o = begin(&st); /* its certificate, not its key */
    play.signs = other;
    ends(&st, &o, "notice(5204) down(5207 end) ", "cannot prove");

    o = begin(&st);
    play.short_nonce = true;
    ends(&st, &o, "notice(5204) down(5213 end) ", "nonce");

    o = begin(&st); /* discovery was told less than there is */
    play.endpoints = 3;
    play.later = 15;
    ends(&st, &o, "notice(5204) down(5207 end) ", "weakens");

    o = begin(&st); /* other endpoints, but no better ones: noted */
    play.endpoints = 12;
    play.later = 8;
    stage_open(&st, &o);
    sim_advance(st.sim, SECOND / 10);
    told(&st, "notice(5204) up ");
    stage_close(&st);
}

static ua_status distrust(void *ctx, struct ua_certificate *c, struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
    return UA_BAD_CERTIFICATE_UNTRUSTED;
}

static void test_a_server_that_does_not_trust_us(void **state)
{
    struct stage st;
    struct ua_client_options o = begin(&st);
    (void)state;
    st.verify = distrust;
    ends(&st, &o, "notice(5204) down(5203 end) ",
         "does not trust us yet (BadSecurityChecksFailed). Accept our certificate on the server (SHA1 ");
}

/* A server with a new certificate since its restart: the old one is refused once, then it is found anew. */
static void test_a_new_certificate(void **state)
{
    struct stage st;
    struct ua_client_options o = begin(&st);
    (void)state;
    o.reconnect = true;
    stage_open(&st, &o);
    sim_advance(st.sim, 2 * SECOND);
    told(&st, "notice(5204) up ");
    st.own = play.shows = play.signs = play.in_session = other;
    st.session = 0;
    cut(&st);
    sim_advance(st.sim, 5 * SECOND);
    buf_u8(&st.log, 0);
    assert_non_null(strstr((const char *)st.log.at, "up "));
    stage_close(&st);
}

static void test_renewed_and_taken_up_again(void **state)
{
    struct ua_client_look l;
    struct stage st;
    struct ua_client_options o = begin(&st);
    (void)state;
    o.reconnect = true;
    o.channel_ms = 20000;
    stage_open(&st, &o);
    for (unsigned i = 0; i < 40; i++)
        sim_advance(st.sim, 5 * SECOND);
    told(&st, "notice(5204) up ");
    ua_client_look(st.client, &l);
    assert_in_range(l.renewals, 10, 16); /* 200 s, one each 15 s */
    cut(&st);
    sim_advance(st.sim, SECOND);
    told(&st, "down(5201) up+ ");
    assert_int_equal(play.activations, 2);
    assert_true(play.signature_good); /* over the last nonce */
    assert_int_equal(st.sessions, 1);
    stage_close(&st);
}

static void minimal(struct ua_endpoint_description *e)
{
    e->server_certificate = BYTES_NONE;
    e->endpoint_url = BYTES_LIT("opc.tcp://inside.example:1/other");
}
static void another_level(struct ua_endpoint_description *e) { e->security_level++; }
static void another_server(struct ua_endpoint_description *e) { e->server.application_uri = BYTES_LIT("urn:else"); }
static void another_transport(struct ua_endpoint_description *e) { e->transport_profile_uri = BYTES_NONE; }
static void fewer_tokens(struct ua_endpoint_description *e) { e->user_identity_tokens_count--; }
static void another_token(struct ua_endpoint_description *e)
{
    static struct ua_user_token_policy changed[3];
    memcpy(changed, e->user_identity_tokens, sizeof changed);
    changed[1].security_policy_uri = BYTES_NONE;
    e->user_identity_tokens = changed;
}

/* [Part 4, 5.6.2]: only these fields are compared; the rest may be left out. */
static void test_what_is_compared_of_endpoints(void **state)
{
    static const struct {
        void (*retell)(struct ua_endpoint_description *);
        bool lacks;
    } cases[] = {{minimal, false},          {another_level, true}, {another_server, true},
                 {another_transport, true}, {fewer_tokens, true},  {another_token, true}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ua_client_look l;
        struct stage st;
        struct ua_client_options o = begin(&st);
        play.retell = cases[i].retell;
        stage_open(&st, &o);
        sim_advance(st.sim, SECOND / 10);
        ua_client_look(st.client, &l);
        assert_int_equal(l.state, UA_CLIENT_UP);
        assert_int_equal((l.lacks & 1u << UA_LACK_ENDPOINTS) != 0, cases[i].lacks);
        stage_close(&st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_and_each),
        cmocka_unit_test(test_what_is_compared_of_endpoints),
        cmocka_unit_test(test_nothing_fits),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_whom_it_does_not_believe),
        cmocka_unit_test(test_swapped),
        cmocka_unit_test(test_a_server_that_does_not_trust_us),
        cmocka_unit_test(test_a_new_certificate),
        cmocka_unit_test(test_renewed_and_taken_up_again),
    };
    client = peers_make("client", "URI:urn:client", 2048);
    server = peers_make("server", "URI:urn:server,IP:127.0.0.1", 2048);
    other = peers_make("other", "URI:urn:server,IP:127.0.0.1", 2048);
    person = peers_make("ada", "URI:urn:person", 2048);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ua_application_drop(client);
    ua_application_drop(server);
    ua_application_drop(other);
    ua_application_drop(person);
    return failed;
}
