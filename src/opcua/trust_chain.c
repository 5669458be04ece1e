/* trust_chain.c - from a certificate to a root, by way of what is in the store and what the peer has sent along.
 *
 * CAs may have signed each other, and a peer may send what it likes: each certificate stands in a way once, a way is at most
 * CHAIN_DEEP long, and there are at most CHECKS_MAX signatures to compute for one peer.
 */
#include "opcua/rsa.h"
#include "opcua/trust_private.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

enum { CHECKS_MAX = 48 };

struct search {
    struct ua_trust *trust;
    const struct ua_certificate *peer;
    struct trust_chain now, *best;
    unsigned checks;
};

static bool in_trusted(struct search *s, X509 *x)
{
    const struct trust_folder *f = &s->trust->folders[FOLDER_TRUSTED];
    for (size_t i = 0; i < f->count; i++)
        if (f->files[i].certificate && X509_cmp(f->files[i].certificate->x[0], x) == 0)
            return true;
    return false;
}

static bool signed_by(struct search *s, X509 *x, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    if (!key || !ua_rsa_fits(key) || s->checks >= CHECKS_MAX)
        return false;
    s->checks++;
    bool good = X509_verify(x, key) == 1;
    ERR_clear_error();
    return good;
}

/* Keeps the better of two ways: a trusted one, then a complete one, then the longer one. */
static void keep(struct search *s)
{
    struct trust_chain *b = s->best;
    s->now.trusted = false;
    for (size_t i = 0; i < s->now.count; i++)
        s->now.trusted |= in_trusted(s, s->now.x[i]);
    bool better = s->now.complete != b->complete ? s->now.complete
                  : s->now.trusted != b->trusted ? s->now.trusted
                                                 : s->now.count > b->count;
    bool forged = b->forged, deep = b->deep;
    if (better)
        *b = s->now;
    b->forged = forged;
    b->deep = deep;
}

static bool climb(struct search *s);

/* False: go on looking. */
static bool try_issuer(struct search *s, X509 *issuer)
{
    X509 *x = s->now.x[s->now.count - 1];
    int fits = X509_check_issued(issuer, x);
    if (fits != X509_V_OK && fits != X509_V_ERR_KEYUSAGE_NO_CERTSIGN)
        return false;
    for (size_t i = 0; i < s->now.count; i++)
        if (X509_cmp(s->now.x[i], issuer) == 0)
            return false;
    if (s->now.count == CHAIN_DEEP) {
        s->best->deep = true;
        return false;
    }
    if (!signed_by(s, x, issuer)) {
        s->best->forged = true;
        return false;
    }
    s->now.x[s->now.count++] = issuer;
    bool done = climb(s);
    s->now.count--;
    return done;
}

static bool try_folder(struct search *s, enum trust_folder_id id)
{
    const struct trust_folder *f = &s->trust->folders[id];
    for (size_t i = 0; i < f->count; i++) {
        const struct ua_certificate *c = f->files[i].certificate;
        for (size_t k = 0; c && k < c->count; k++)
            if (try_issuer(s, c->x[k]))
                return true;
    }
    return false;
}

/* From the last one on. True: a way was found that nothing could be better than. */
static bool climb(struct search *s)
{
    X509 *x = s->now.x[s->now.count - 1];
    s->now.complete = false;
    if (X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0) {
        s->now.complete = signed_by(s, x, x);
        s->best->forged |= !s->now.complete;
    }
    keep(s);
    if (s->now.complete)
        return s->now.trusted;
    if (try_folder(s, FOLDER_TRUSTED) || try_folder(s, FOLDER_ISSUERS))
        return true;
    for (size_t i = 1; i < s->peer->count; i++)
        if (try_issuer(s, s->peer->x[i]))
            return true;
    return false;
}

void trust_find_chain(struct ua_trust *t, const struct ua_certificate *c, struct trust_chain *out)
{
    struct search s = {.trust = t, .peer = c, .best = out};
    *out = (struct trust_chain){0};
    s.now.x[0] = c->x[0];
    s.now.count = 1;
    (void)climb(&s);
    if (out->complete)
        out->forged = false; /* another one of that name has */
}
