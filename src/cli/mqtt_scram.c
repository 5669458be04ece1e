/* mqtt_scram.c - `--auth-method SCRAM-SHA-256`: the password stays here, and the broker has to show that it knows the user. */
#include "base/base64.h"
#include "cli/mqtt_target.h"
#include "identity/scram.h"
#include "identity/scram_client.h"

#include <strings.h>

enum { NONCE_RANDOM = 18 };

static bool says_it_twice(const struct mqtt_target *t)
{
    for (size_t i = 0; i < t->props.count; i++)
        if (strcasecmp(t->props.at[i].command, "CONNECT") == 0 && strncmp(t->props.at[i].name, "authentication-", 15) == 0)
            return true;
    return false;
}

enum code mqtt_target_scram(const struct verb_call *call, const struct mqtt_target *t, struct mqtt_client_settings *s,
                            struct mqtt_target_memory *m, struct fault *why)
{
    uint8_t random[NONCE_RANDOM];
    struct buf nonce = { 0 };
    if (strcmp(t->auth_method, SCRAM_SHA_256) != 0)
        return FAIL(why, CODE_USAGE, 0, "--auth-method: '%s' is not offered; " SCRAM_SHA_256 " is", t->auth_method);
    if (s->version != MQTT_5)
        return FAIL(why, CODE_USAGE, 0, "--auth-method exists only in version 5");
    if (!s->user.len || !s->password.at)
        return FAIL(why, CODE_USAGE, 0, "--auth-method " SCRAM_SHA_256 " needs -u NAME and -P PASSWORD");
    if (says_it_twice(t))
        return FAIL(why, CODE_USAGE, 0, "--auth-method and -D CONNECT authentication-...: give one of them");
    call->io->random(call->io->self, random, sizeof random);
    base64_put(&nonce, bytes_of(random, sizeof random));
    enum code code = nonce.bad ? FAIL(why, CODE_NOMEM, 0, "no memory")
                               : scram_client_new(&m->scram, s->user, s->password, buf_bytes(&nonce), why);
    buf_clear(&nonce);
    if (code != CODE_OK)
        return code;
    s->user = s->password = BYTES_NONE; /* CONNECT carries neither */
    s->auth_method = BYTES_LIT(SCRAM_SHA_256);
    s->auth_data = scram_client_first(m->scram);
    return CODE_OK;
}

enum code mqtt_target_auth(struct mqtt_target_memory *m, const struct mqtt_disconnect *in, struct buf *data, struct fault *why)
{
    if (!m->scram || in->reason != MQTT_CONTINUE_AUTH)
        return FAIL(why, CODE_PROTOCOL, 0, "the broker sent AUTH, though nothing is to be authenticated");
    return scram_client_answer(m->scram, in->props.auth_data, data, why);
}

enum code mqtt_target_proven(const struct mqtt_target_memory *m, const struct mqtt_connack *ack, struct fault *why)
{
    return m->scram ? scram_client_proven(m->scram, ack->props.auth_data, why) : CODE_OK;
}
