/* trust_verify.c - the judgement, one question after the other. */
#include "opcua/rsa.h"
#include "opcua/trust_private.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

struct judge {
    struct ua_trust *trust;
    const struct ua_certificate *c;
    const struct ua_trust_question *q;
    struct trust_chain chain;
    struct fault *why;
};

static ua_status refuse(struct judge *j, ua_status status, int number, const char *fmt, ...) FG_PRINTF(4, 5);
static ua_status refuse(struct judge *j, ua_status status, int number, const char *fmt, ...)
{
    char text[sizeof j->why->text];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)FAIL_FG(j->why, CODE_REFUSED, number, "%s: %s", j->q->who ? j->q->who : "the peer", text);
    return status;
}

/* ---- structure, signatures, strength ---- */

static ua_status structure(struct judge *j)
{
    if (!j->c->key || j->c->bits == 0 || X509_get_extension_flags(j->c->x[0]) & EXFLAG_INVALID)
        return refuse(j, UA_BAD_CERTIFICATE_INVALID, UA_TRUST_INVALID,
                      "its certificate \"%.60s\" is damaged: %s cannot be read. It needs a new one",
                      j->c->name, j->c->key ? "its extensions" : "its key");
    return UA_GOOD;
}

static ua_status signatures(struct judge *j)
{
    const struct trust_chain *h = &j->chain;
    if (h->forged && !h->complete)
        return refuse(
            j, UA_BAD_CERTIFICATE_INVALID, UA_TRUST_INVALID,
            "its certificate \"%.60s\" was not signed by the issuer it names, \"%.60s\". It needs a new one",
            j->c->name, j->c->issuer);
    return UA_GOOD;
}

static ua_status strength(struct judge *j)
{
    const struct ua_certificate *c = j->c;
    char words[64];
    if (!ua_rsa_fits(c->key))
        return refuse(j, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_TRUST_WEAK,
                      "its certificate \"%.60s\" has %s, RSA of %d to %d is needed. It needs a new one",
                      c->name, ua_rsa_words(c->key, words), UA_RSA_BITS_MIN, UA_RSA_BITS_MAX);
    if (!c->hash_strong)
        return refuse(j, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_TRUST_WEAK,
                      "its certificate \"%.60s\" is signed with %.20s, SHA-256 is needed. It needs a new one",
                      c->name, c->hash);
    return UA_GOOD;
}

static ua_status strength_above(struct judge *j)
{
    for (size_t i = 1; i < j->chain.count; i++) {
        int md = NID_undef;
        bool root = i + 1 == j->chain.count && j->chain.complete; /* its own signature proves nothing */
        (void)X509_get_signature_info(j->chain.x[i], &md, NULL, NULL, NULL);
        if (!root && md != NID_sha256 && md != NID_sha384 && md != NID_sha512)
            return refuse(j, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_TRUST_WEAK,
                          "an issuer of its certificate \"%.60s\" is signed with %.20s, SHA-256 is needed",
                          j->c->name, md == NID_undef ? "an unknown hash" : OBJ_nid2sn(md));
    }
    return UA_GOOD;
}

/* ---- known ---- */

static ua_status known(struct judge *j)
{
    const struct ua_certificate *c = j->c;
    bool ours = j->trust->own && ua_certificate_equal(c, j->trust->own);
    if (ours || j->q->accept_any || (j->chain.complete && j->chain.trusted))
        return UA_GOOD;
    trust_to_inbox(j->trust, c);
    if (j->chain.deep && !j->chain.complete)
        return refuse(j, UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE, UA_TRUST_CHAIN,
                      "its certificate \"%.60s\" has more than %d issuers above it", c->name,
                      UA_TRUST_ISSUERS_DEEP);
    if (!j->chain.complete)
        return refuse(j, UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE, UA_TRUST_CHAIN,
                      "the issuer of its certificate \"%.50s\", \"%.50s\", is not here. fieldgate opcua "
                      "trust add --issuer FILE",
                      c->name, c->issuer);
    return refuse(j, UA_BAD_CERTIFICATE_UNTRUSTED, UA_TRUST_UNKNOWN,
                  "its certificate \"%.60s\" is not trusted; it waits here. To trust it: fieldgate opcua "
                  "trust accept %.10s  (SHA1 %s)",
                  c->name, c->hex, c->hex);
}

/* ---- dates ---- */

static void date(int64_t s, char out[32])
{
    time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%MZ", &tm) == 0)
        (void)snprintf(out, 32, "%lld s", (long long)s);
}

/* -1: not valid yet, 1: no more. */
static int dates_of(const X509 *x, int64_t now_s)
{
    time_t now = (time_t)now_s;
    int from = X509_cmp_time(X509_get0_notBefore(x), &now), to = X509_cmp_time(X509_get0_notAfter(x), &now);
    return from > 0 ? -1 : to < 0 || from == 0 || to == 0 ? 1 : 0;
}

static ua_status dates(struct judge *j)
{
    int64_t now_s = j->q->wall_us / 1000000;
    char when[32], now[32];
    date(now_s, now);
    if (now_s < j->c->from_s || now_s > j->c->to_s) {
        bool early = now_s < j->c->from_s;
        date(early ? j->c->from_s : j->c->to_s, when);
        return refuse(j, UA_BAD_CERTIFICATE_TIME_INVALID, UA_TRUST_DATES,
                      "its certificate \"%.50s\" %s %s, it is %s here. %s", j->c->name,
                      early ? "is not valid before" : "ended", when, now,
                      early ? "Is a clock wrong?" : "Renew it there, or set the clock");
    }
    for (size_t i = 1; i < j->chain.count; i++) {
        int d = dates_of(j->chain.x[i], now_s);
        if (d)
            return refuse(j, UA_BAD_CERTIFICATE_ISSUER_TIME_INVALID, UA_TRUST_DATES,
                          "an issuer of its certificate \"%.50s\" %s; it is %s here. Renew the issuer's, or "
                          "set the clock",
                          j->c->name, d < 0 ? "is not valid yet" : "has ended", now);
    }
    return UA_GOOD;
}

/* ---- names ---- */

static ua_status host(struct judge *j)
{
    char names[80], asked[60];
    if (j->q->kind != UA_PEER_SERVER || j->q->host.len == 0 || ua_certificate_names(j->c, j->q->host))
        return UA_GOOD;
    return refuse(
        j, UA_BAD_CERTIFICATE_HOST_NAME_INVALID, UA_TRUST_HOST,
        "its certificate is for %s, not for %s. Dial one of these, or do not compare names for this server",
        ua_certificate_hosts(j->c, names, sizeof names), bytes_escape(j->q->host, asked, sizeof asked));
}

ua_status ua_certificate_check_uri(const struct ua_certificate *c, struct bytes uri, const char *who,
                                   struct fault *why)
{
    char own[80], said[80];
    if (c->uri && bytes_is(uri, c->uri))
        return UA_GOOD;
    (void)FAIL_FG(why, CODE_REFUSED, UA_TRUST_URI,
                  "%s: it calls itself %s, its certificate is for %s. One of the two must be changed",
                  who ? who : "the peer", bytes_escape(uri, said, sizeof said),
                  c->uri         ? bytes_escape(bytes_str(c->uri), own, sizeof own)
                  : c->uri_count ? "several applications"
                                 : "no application (no URI)");
    return UA_BAD_CERTIFICATE_URI_INVALID;
}

static ua_status uri(struct judge *j)
{
    if (j->q->kind == UA_PEER_USER || j->q->uri.len == 0)
        return UA_GOOD;
    return ua_certificate_check_uri(j->c, j->q->uri, j->q->who, j->why);
}

/* ---- use ---- */

static const char *wrong_use(const struct judge *j)
{
    X509 *x = j->c->x[0];
    uint32_t use = X509_get_key_usage(x), more = X509_get_extended_key_usage(x); /* all bits: not there */
    uint32_t needed = j->q->kind == UA_PEER_SERVER ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
    if (!(use & KU_DIGITAL_SIGNATURE))
        return "signing (digitalSignature)";
    if (j->q->kind == UA_PEER_USER)
        return NULL;
    if (!(use & (KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT)))
        return "encrypting (keyEncipherment, dataEncipherment)";
    if (!(more & (needed | XKU_ANYEKU)))
        return j->q->kind == UA_PEER_SERVER ? "servers (serverAuth)" : "clients (clientAuth)";
    return NULL;
}

static ua_status use(struct judge *j)
{
    const char *wrong = wrong_use(j);
    if (wrong)
        return refuse(j, UA_BAD_CERTIFICATE_USE_NOT_ALLOWED, UA_TRUST_USE,
                      "its certificate \"%.60s\" is not for %s. It needs a new one", j->c->name, wrong);
    for (size_t i = 1; i < j->chain.count; i++)
        if (X509_check_ca(j->chain.x[i]) < 1 || !(X509_get_key_usage(j->chain.x[i]) & KU_KEY_CERT_SIGN))
            return refuse(
                j, UA_BAD_CERTIFICATE_ISSUER_USE_NOT_ALLOWED, UA_TRUST_USE,
                "the issuer of its certificate \"%.60s\" may not issue certificates (CA, keyCertSign)",
                j->c->name);
    return UA_GOOD;
}

/* ---- revocation ---- */

enum revoked { NOT_REVOKED, REVOKED, NOBODY_KNOWS };

static enum revoked in_list(X509_CRL *crl, X509 *x, X509 *issuer, int64_t now_s)
{
    time_t now = (time_t)now_s;
    X509_REVOKED *entry;
    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0 ||
        X509_CRL_verify(crl, X509_get0_pubkey(issuer)) != 1)
        return NOBODY_KNOWS;
    int found = X509_CRL_get0_by_cert(crl, &entry, x);
    if (found == 1)
        return REVOKED; /* also by a list that has ended: nothing is taken back */
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
    bool fresh = X509_cmp_time(X509_CRL_get0_lastUpdate(crl), &now) < 0 &&
                 (!next || X509_cmp_time(next, &now) > 0);
    return fresh ? NOT_REVOKED : NOBODY_KNOWS;
}

static enum revoked revoked(struct judge *j, X509 *x, X509 *issuer)
{
    enum revoked best = NOBODY_KNOWS;
    for (enum trust_folder_id id = FOLDER_TRUSTED_CRL; id <= FOLDER_ISSUERS_CRL; id++) {
        const struct trust_folder *f = &j->trust->folders[id];
        for (size_t i = 0; i < f->count; i++) {
            enum revoked r = f->files[i].crl ? in_list(f->files[i].crl, x, issuer, j->q->wall_us / 1000000)
                                             : NOBODY_KNOWS;
            if (r == REVOKED)
                return r;
            best = r == NOT_REVOKED ? r : best;
        }
    }
    return best;
}

static ua_status revocation(struct judge *j)
{
    bool lax = j->q->any_revocation || j->q->accept_any;
    for (size_t i = 0; i + 1 < j->chain.count; i++) {
        enum revoked r = revoked(j, j->chain.x[i], j->chain.x[i + 1]);
        if (r == REVOKED)
            return refuse(j, i ? UA_BAD_CERTIFICATE_ISSUER_REVOKED : UA_BAD_CERTIFICATE_REVOKED,
                          UA_TRUST_REVOKED,
                          "%s certificate \"%.60s\" was revoked by who issued it. It needs a new one",
                          i ? "the issuer of its" : "its", j->c->name);
        if (r == NOBODY_KNOWS && !lax)
            return refuse(
                j, i ? UA_BAD_CERTIFICATE_ISSUER_REVOCATION_UNKNOWN : UA_BAD_CERTIFICATE_REVOCATION_UNKNOWN,
                UA_TRUST_REVOCATION,
                "no present list says whether %s certificate \"%.40s\" was revoked by \"%.40s\". fieldgate "
                "opcua trust add FILE",
                i ? "the issuer of its" : "its", j->c->name, j->c->issuer);
    }
    return UA_GOOD;
}

/* ---- all of it ---- */

static ua_status judge(struct judge *j)
{
    static ua_status (*const questions[])(struct judge *) = {strength_above, known, dates, host, uri, use,
                                                             revocation};
    ua_status status = structure(j);
    if (!status)
        status = strength(j); /* before anything is computed with it */
    if (status)
        return status;
    trust_find_chain(j->trust, j->c, &j->chain);
    status = signatures(j);
    for (size_t i = 0; !status && i < sizeof questions / sizeof *questions; i++)
        status = questions[i](j);
    ERR_clear_error();
    return status;
}

ua_status ua_trust_verify(struct ua_trust *t, const struct ua_certificate *c,
                          const struct ua_trust_question *q, struct fault *why)
{
    static const enum trust_folder_id needed[] = {FOLDER_TRUSTED, FOLDER_ISSUERS, FOLDER_TRUSTED_CRL,
                                                  FOLDER_ISSUERS_CRL};
    struct fault own;
    struct judge j = {.trust = t, .c = c, .q = q, .why = why ? why : &own};
    ua_status status = UA_GOOD;
    (void)pthread_mutex_lock(&t->lock);
    for (size_t i = 0; !status && i < sizeof needed / sizeof *needed; i++) {
        enum code code = trust_look(t, needed[i], j.why);
        status = code == CODE_OK      ? UA_GOOD
                 : code == CODE_NOMEM ? UA_BAD_OUT_OF_MEMORY
                                      : UA_BAD_RESOURCE_UNAVAILABLE;
    }
    if (!status)
        status = judge(&j);
    (void)pthread_mutex_unlock(&t->lock);
    return status;
}
