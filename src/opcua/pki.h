/* pki.h - who we are and whom we believe, both in one folder: DATA/opcua/pki (trust.h, own.h).
 *
 * The certificate is made at the first start, for this host: its name, localhost and its addresses. Its application URI is
 * urn:HOST:fieldgate, and stays what it was then when the host is called otherwise later: servers know us by it.
 *
 * Thread: open and close from any; several may be open on one folder. What it hands out lives until ua_pki_close (the application is
 * counted, and may be held).
 */
#pragma once

#include "opcua/own.h"
#include "opcua/trust.h"

struct ua_pki;

/* `data`: the data directory; "opcua/pki" in it is made. `made` (may be NULL): there was no certificate, or not for long any more. */
FG_CHECK enum code ua_pki_open(struct ua_pki **out, const struct io *, const char *data, bool *made, struct fault *why);
void                   ua_pki_close(struct ua_pki *); /* NULL is fine */
struct ua_application *ua_pki_own(const struct ua_pki *);
struct ua_trust       *ua_pki_trust(const struct ua_pki *);
const char            *ua_pki_uri(const struct ua_pki *); /* ours */
