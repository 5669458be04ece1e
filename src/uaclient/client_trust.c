#include "uaclient/client_trust.h"

#include "opcua/trust.h"

#include <stdio.h>

/* Without a folder of trusted ones there is nobody to know: only what the certificate says of itself can be compared. */
static enum code without_folder(struct ua_client *c, struct fault *why)
{
    struct bytes host = c->host;
    if (!c->set.accept_any)
        return FAIL_FG(why, CODE_REFUSED, UA_FG_UNSAFE,
                       "%s shows a certificate (SHA1 %s), and nobody is trusted here", c->set.url,
                       c->certificate->hex);
    if (!c->set.any_host && !ua_certificate_names(c->certificate, host))
        return FAIL_FG(why, CODE_REFUSED, UA_TRUST_HOST, "%s shows a certificate that does not name %s",
                       c->set.url, (const char *)host.at);
    if (ua_certificate_check_uri(c->certificate, c->endpoint->server.application_uri, c->set.url, why))
        return why ? why->code : CODE_REFUSED;
    c->unsafe = true;
    return CODE_OK;
}

enum code client_believe(struct ua_client *c, struct fault *why)
{
    struct ua_trust_question q = {
        .kind = UA_PEER_SERVER,
        .who = c->set.url,
        .host = c->set.any_host ? BYTES_NONE : c->host,
        .uri = c->endpoint->server.application_uri,
        .wall_us = loop_wall_us(c->loop),
        .accept_any = false,
    };
    if (!c->set.trust) {
        enum code code = without_folder(c, why);
        if (!code && !client_told(c, UA_FG_UNSAFE))
            client_notice(c, UA_FG_UNSAFE, "%s is believed unseen (SHA1 %s)", c->set.url,
                          c->certificate->hex);
        return code;
    }
    ua_status status = ua_trust_verify(c->set.trust, c->certificate, &q, why);
    if (status && c->set.accept_any) {
        q.accept_any = true;
        status = ua_trust_verify(c->set.trust, c->certificate, &q, why);
        c->unsafe = !status;
    }
    if (status)
        return why && why->code ? why->code
                                : FAIL(why, CODE_REFUSED, 0, "%s: its certificate is not good", c->set.url);
    if (c->unsafe && !client_told(c, UA_FG_UNSAFE))
        client_notice(c, UA_FG_UNSAFE,
                      "%s is believed unseen (SHA1 %s): its certificate is not a trusted one", c->set.url,
                      c->certificate->hex);
    return CODE_OK;
}
