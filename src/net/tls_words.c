/* tls_words.c - what OpenSSL says about a peer, as a sentence for a person: who, what, why, and what to do. */
#include "base/log.h"
#include "net/tls_private.h"

#include <openssl/err.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic uint64_t handshakes, failures;

void tls_count_handshake(void)
{
    atomic_fetch_add_explicit(&handshakes, 1, memory_order_relaxed);
}

void tls_count_failure(void)
{
    atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
}

void tls_stats(struct tls_stats *out)
{
    out->handshakes = atomic_load_explicit(&handshakes, memory_order_relaxed);
    out->failed = atomic_load_explicit(&failures, memory_order_relaxed);
}

/* A site for each number: a flood of one kind does not hide the others. */
void tls_log(struct tls_filter *t, const struct fault *why)
{
    static struct log_site sites[TLS_LEFT - TLS_FAILED + 1];
    if (t->told || !t->server)
        return;
    t->told = true;
    FG_ASSERT(why->number >= TLS_FAILED && why->number <= TLS_LEFT);
    log_line(&sites[why->number - TLS_FAILED], LOG_WARN, "tls", "FG%04d %s", why->number, why->text);
}

/* ---- alerts of the peer [RFC 8446 6] ---- */

static const struct said {
    int         alert, number;
    const char *text; /* follows "ADDRESS refused our handshake: " */
} alerts[] = {
    { SSL_AD_UNKNOWN_CA, TLS_NOT_TRUSTED,
      "it does not trust our certificate, whose issuer it does not know. Give it the root certificate (cafile)" },
    { SSL_AD_BAD_CERTIFICATE, TLS_NOT_TRUSTED,
      "it does not accept our certificate; often it dialled a name or address that the certificate does not have" },
    { SSL_AD_CERTIFICATE_UNKNOWN, TLS_NOT_TRUSTED,
      "it does not trust our certificate. Give it the root certificate (cafile)" },
    { SSL_AD_CERTIFICATE_EXPIRED, TLS_NOT_TRUSTED,
      "our certificate has ended or is not valid yet by its clock. Renew it, or set its clock" },
    { SSL_AD_CERTIFICATE_REVOKED, TLS_NOT_TRUSTED, "our certificate has been revoked. Renew it" },
    { SSL_AD_UNSUPPORTED_CERTIFICATE, TLS_NOT_TRUSTED,
      "our certificate is not of a kind that it accepts; its usage must allow TLS servers (clients: clients)" },
    { SSL_AD_PROTOCOL_VERSION, TLS_TOO_OLD, "it does not speak TLS 1.2 or 1.3, which is needed. Update it" },
    { SSL_AD_HANDSHAKE_FAILURE, TLS_FAILED,
      "no version, cipher or certificate suits both sides. Update it; TLS 1.2 needs ECDHE with AES-GCM or ChaCha20" },
    { SSL_AD_CERTIFICATE_REQUIRED, TLS_NO_CERTIFICATE, "it wants a certificate of ours. Name one (--cert and --key)" },
    { SSL_AD_ACCESS_DENIED, TLS_NOT_ACCEPTED, "our certificate is good, but it does not let it in" },
    { SSL_AD_UNRECOGNIZED_NAME, TLS_OTHER_NAME, "it does not serve the name that was asked for" },
    { SSL_AD_USER_CANCELLED, TLS_FAILED, "its user has cancelled it" },
};

static enum code alerted(struct tls_filter *t, int alert, struct fault *why)
{
    const char *address = conn_address(t->filter.conn);
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
        if (alerts[i].alert == alert)
            return FAIL_FG(why, CODE_REFUSED, alerts[i].number, "%s refused our handshake: %s.", address,
                           alerts[i].text);
    return FAIL_FG(why, CODE_REFUSED, TLS_FAILED, "%s ended TLS with the alert '%s' (%d).", address,
                   SSL_alert_desc_string_long(alert), alert);
}

/* ---- certificates of the peer ---- */

static enum code not_accepted(struct tls_filter *t, long result, struct fault *why)
{
    const char *address = conn_address(t->filter.conn), *text;
    bool client = t->client != NULL;
    if (t->many)
        return FAIL_FG(why, CODE_LIMIT, TLS_LIMIT,
                       "%s refused: it sent more than %d certificates. A chain has its own and those between it and the "
                       "root.",
                       address, TLS_CERTIFICATES);
    if (t->huge_key)
        return FAIL_FG(why, CODE_LIMIT, TLS_LIMIT, "%s refused: its chain has an RSA key of more than %d bits.", address,
                       TLS_RSA_BITS);
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return FAIL_FG(why, CODE_REFUSED, TLS_OTHER_NAME,
                       "%s refused: its certificate is for another name. Dial a name that it has, or have the server's "
                       "certificate name this one; --insecure skips this check.",
                       address);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        text = "has ended. Renew it, or set our clock";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        text = "is not valid yet. Set our clock, or its issuer's";
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        text = client ? "comes from an issuer that we do not trust. Name its root: --cafile FILE, of a webhook do.webhook.ca"
                      : "comes from an issuer that is not in this listener's client-ca";
        break;
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        text = "has more than 5 issuers above it, the most here";
        break;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        text = "has a key or signature that is too weak: RSA from 2,048 bits, SHA-256 are needed";
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        text = client ? "is not one of a TLS server (extended key usage)"
                      : "is not one of a TLS client (extended key usage)";
        break;
    default:
        return FAIL_FG(why, CODE_REFUSED, TLS_NOT_ACCEPTED, "%s refused: its certificate is not accepted: %s.", address,
                       X509_verify_cert_error_string(result));
    }
    return FAIL_FG(why, CODE_REFUSED, TLS_NOT_ACCEPTED, "%s refused: its certificate %s.", address, text);
}

/* ---- the rest ---- */

static const char *version_name(int version)
{
    switch (version) {
    case SSL3_VERSION:
        return "SSL 3.0";
    case TLS1_VERSION:
        return "TLS 1.0";
    case TLS1_1_VERSION:
        return "TLS 1.1";
    default:
        return "another version of TLS";
    }
}

static enum code by_reason(struct tls_filter *t, int reason, unsigned long any, struct fault *why)
{
    const char *address = conn_address(t->filter.conn), *text;
    long result = SSL_get_verify_result(t->ssl);
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return not_accepted(t, result, why);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return FAIL_FG(why, CODE_REFUSED, TLS_NO_CERTIFICATE,
                       "%s refused: it showed no certificate, and this listener wants one (client-certificate: required)."
                       " Give it one.",
                       address);
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_WRONG_SSL_VERSION:
        return FAIL_FG(why, CODE_REFUSED, TLS_TOO_OLD, "%s refused: it offers %s, TLS 1.2 or 1.3 is needed. Update it.",
                       address, version_name(t->server ? SSL_client_version(t->ssl) : SSL_version(t->ssl)));
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
        return FAIL_FG(why, CODE_REFUSED, TLS_FAILED,
                       "%s refused: it offers no cipher, curve or signature that we use. Update it; TLS 1.2 needs ECDHE "
                       "with AES-GCM or ChaCha20.",
                       address);
    case SSL_R_EXCESSIVE_MESSAGE_SIZE:
        return FAIL_FG(why, CODE_LIMIT, TLS_LIMIT, "%s refused: a message of its handshake is longer than %d KiB.",
                       address, TLS_HANDSHAKE_BYTES / 1024);
    default:
        text = ERR_reason_error_string(reason ? ERR_PACK(ERR_LIB_SSL, 0, reason) : any);
        return FAIL_FG(why, CODE_MALFORMED, TLS_FAILED, "%s refused: its TLS is not understood: %s.", address,
                       text ? text : "no reason is known");
    }
}

static enum code refused(struct tls_filter *t, enum code code, const struct fault *why)
{
    tls_count_failure();
    if (why)
        tls_log(t, why);
    return code;
}

struct tls_cause tls_find_cause(void)
{
    struct tls_cause c = { .alert = -1 };
    for (unsigned long e; (e = ERR_get_error());) {
        int reason = ERR_GET_REASON(e);
        c.memory |= reason == ERR_R_MALLOC_FAILURE;
        c.first = c.first ? c.first : e;
        c.last = e;
        if (ERR_GET_LIB(e) != ERR_LIB_SSL)
            continue;
        if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
            c.alert = reason - SSL_AD_REASON_OFFSET;
        else
            c.reason = reason;
    }
    return c;
}

enum code tls_refused(struct tls_filter *t, struct fault *why)
{
    struct tls_cause cause = tls_find_cause();
    struct fault own;
    why = why ? why : &own;
    if (cause.memory)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the TLS of %s", conn_address(t->filter.conn));
    enum code code = cause.alert >= 0 ? alerted(t, cause.alert, why) : by_reason(t, cause.reason, cause.first, why);
    return refused(t, code, why);
}

static const char *what_it_speaks(struct bytes in)
{
    static const char *const methods[] = { "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PRI * HTTP" };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (bytes_starts(in, methods[i]))
            return "it speaks plain HTTP. Dial https://";
    if (in.at[0] == 0x10)
        return "it speaks plain MQTT. Switch TLS on there (mqtts://), or let it dial the port of a listener of type mqtt";
    return "what it sent is not TLS";
}

enum code tls_not_tls(struct tls_filter *t, struct fault *why)
{
    struct fault own;
    const char *address = conn_address(t->filter.conn);
    why = why ? why : &own;
    enum code code =
        t->server ? FAIL_FG(why, CODE_PROTOCOL, TLS_NOT_TLS, "%s refused at a TLS port: %s.", address,
                            what_it_speaks(t->in))
                  : FAIL_FG(why, CODE_PROTOCOL, TLS_NOT_TLS,
                            "%s does not speak TLS on this port. Dial its TLS port, or without TLS.", address);
    return refused(t, code, why);
}

enum code tls_limit(struct tls_filter *t, const char *what, struct fault *why)
{
    struct fault own;
    why = why ? why : &own;
    enum code code = FAIL_FG(why, CODE_LIMIT, TLS_LIMIT, "%s refused: it %s.", conn_address(t->filter.conn), what);
    ERR_clear_error();
    return refused(t, code, why);
}
