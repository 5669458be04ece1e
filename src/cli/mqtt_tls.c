/* mqtt_tls.c - mosquitto's flags for certificates, as the verbs that are MQTT clients have them. */
#include "cli/mqtt_target.h"

bool mqtt_target_wants_tls(const struct mqtt_target *t)
{
    return t->cafile || t->capath || t->cert || t->key;
}

enum code mqtt_target_tls(const struct verb_call *call, const struct mqtt_target *t, struct mqtt_client_settings *s,
                          struct mqtt_target_memory *m, struct fault *why)
{
    struct tls_client_options o = {
        .ca_file = t->cafile, .ca_path = t->capath, .chain = t->cert, .key = t->key, .any_name = t->insecure
    };
    bool wanted = mqtt_target_wants_tls(t);
    /* A CA is named: that is what it is for. A URL says itself what it is, and must agree. */
    if (wanted && s->scheme == MQTT_TCP && !t->url && !strstr(t->host, "://"))
        s->scheme = MQTT_TLS;
    bool tls = s->scheme == MQTT_TLS || s->scheme == MQTT_WSS;
    if (wanted && !tls)
        return FAIL(why, CODE_USAGE, 0, "%s:// is without TLS, but certificates are given; write mqtts:// or wss://",
                    mqtt_scheme_name(s->scheme));
    if (t->insecure && !tls)
        return FAIL(why, CODE_USAGE, 0, "--insecure is about TLS; name the CA (--cafile FILE) or write -h mqtts://HOST");
    if (!tls)
        return CODE_OK;
    if (t->insecure)
        verb_warn(call, "--insecure: whoever has a certificate of the same CA can pretend to be the broker");
    enum code c = tls_client_load(&m->tls, call->io, &o, why);
    s->tls = m->tls;
    return c;
}
