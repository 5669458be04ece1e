/* client_trust.h - whether a server's certificate is to be believed. Private to the client. */
#pragma once

#include "uaclient/client_private.h"

/* Looks at client->certificate: trusted, of the application that the endpoint names, and for the host that was dialled. Refused:
 * FG5204 with what to do. Sets client->unsafe when it is believed unseen. */
FG_CHECK enum code client_believe(struct ua_client *, struct fault *why);
