/* client_user.c - who speaks: the identity token of ActivateSession [Part 4, 7.40]. */
#include "uaclient/client_private.h"

#include "opcua/rsa.h"

static enum code no_policy(const struct ua_client *c, struct fault *why)
{
    static const char *const kinds[] = {"anonymous users", "users with a password",
                                        "users with a certificate", "tokens"};
    return FAIL_FG(why, CODE_REFUSED, UA_FG_USER, "%s does not take %s on this endpoint", c->set.url,
                   kinds[c->set.user.kind]);
}

static enum code anonymous(struct arena *arena, const struct ua_user_token_policy *p,
                           struct ua_activate_session_request *r)
{
    struct ua_anonymous_identity_token token = {.policy_id = p ? p->policy_id : BYTES_NONE};
    if (!p)
        return CODE_OK; /* a null object: anonymous too */
    return ua_object_of(arena, &ua_anonymous_identity_token_type, &token, &r->user_identity_token)
               ? CODE_OK
               : CODE_NOMEM;
}

static enum code password(struct ua_client *c, struct arena *arena, const struct ua_user_token_policy *p,
                          const struct ua_policy *with, struct ua_activate_session_request *r,
                          struct fault *why)
{
    struct ua_user_name_identity_token token = {.policy_id = p->policy_id, .user_name = c->set.user.name};
    struct buf secret = {0};
    enum code code = CODE_OK;
    struct bytes word = c->set.user.password.at ? c->set.user.password : BYTES_LIT("");
    if (with->id != UA_POLICY_NONE) {
        if (!c->certificate)
            return FAIL_FG(why, CODE_REFUSED, UA_FG_USER,
                           "%s wants an encrypted password and has no certificate to encrypt it for",
                           c->set.url);
        code = ua_secret_encrypt(with, c->certificate->key, word, buf_bytes(&c->nonce), &secret, why);
        token.password = buf_bytes(&secret);
        token.encryption_algorithm = bytes_str(with->encrypt_uri);
    } else if (c->mode == UA_MODE_SIGN_AND_ENCRYPT || c->set.plain_password) {
        token.password = word;
    } else {
        return FAIL_FG(why, CODE_REFUSED, UA_FG_USER,
                       "%s would get the password readable for everybody on the way. Use a policy with "
                       "encryption, or allow it for this "
                       "endpoint",
                       c->set.url);
    }
    if (!code && !ua_object_of(arena, &ua_user_name_identity_token_type, &token, &r->user_identity_token))
        code = CODE_NOMEM;
    ua_secret_clear(&secret);
    return code;
}

static enum code certificate(struct ua_client *c, struct arena *arena, const struct ua_user_token_policy *p,
                             const struct ua_policy *with, struct ua_activate_session_request *r,
                             struct fault *why)
{
    const struct ua_application *person = c->set.user.certificate;
    struct ua_x509_identity_token token = {.policy_id = p->policy_id,
                                           .certificate_data = person->certificate->leaf};
    if (!ua_object_of(arena, &ua_x509_identity_token_type, &token, &r->user_identity_token))
        return CODE_NOMEM;
    if (with->id == UA_POLICY_NONE)
        return FAIL_FG(why, CODE_REFUSED, UA_FG_USER,
                       "%s says no policy for the signature of a user's certificate", c->set.url);
    uint8_t *sign = arena_take(arena, ua_rsa_bytes(person->key));
    struct bytes theirs = c->certificate ? c->certificate->leaf : BYTES_NONE;
    if (!sign || !ua_rsa_sign(with, person->key, theirs, buf_bytes(&c->nonce), sign))
        return CODE_NOMEM;
    r->user_token_signature.algorithm = bytes_str(with->sign_uri);
    r->user_token_signature.signature = bytes_of(sign, ua_rsa_bytes(person->key));
    return CODE_OK;
}

enum code client_user_token(struct ua_client *c, struct arena *arena, struct ua_activate_session_request *r,
                            struct fault *why)
{
    const struct ua_user_token_policy *p = client_token_policy(c, c->endpoint);
    const struct ua_policy *with = p && p->security_policy_uri.len ? ua_policy_by_uri(p->security_policy_uri)
                                                                   : c->policy;
    enum code code;
    if (!p && (c->set.user.kind != UA_USER_ANONYMOUS || c->endpoint->user_identity_tokens_count))
        return no_policy(c, why);
    if (c->set.user.kind == UA_USER_NAME)
        code = password(c, arena, p, with, r, why);
    else if (c->set.user.kind == UA_USER_CERTIFICATE)
        code = certificate(c, arena, p, with, r, why);
    else
        code = anonymous(arena, p, r);
    return code == CODE_NOMEM ? FAIL(why, CODE_NOMEM, 0, "no memory for a user's token") : code;
}
