/* machine.h - connections to OPC UA servers that actions write to and call on: one for each of opcua.servers that an action names, kept
 * up while there is such an action, so that a command leaves at once. Thread: the actions' loop, but where it says otherwise. */
#pragma once

#include "base/arena.h"
#include "base/settings.h"
#include "uaclient/client.h"

struct action;
struct actions;
struct ua_pki;

/* What the settings say of a server. Texts lie in the plan's arena. */
struct machine_wish {
    const char *name, *url, *policy, *user; /* policy NULL: best; user "": none */
    int         mode;
    struct bytes password;                  /* wiped by machine_wish_clear */
    struct ua_application *person;          /* who signs in by certificate; NULL: nobody */
    bool        accept_any, any_host;
    uint64_t    mark;                       /* of all of this, and of the files */
};
/* Any thread; reads the files. CODE_USAGE: FG6301 names `what` ("action stop: do.opcua-write"). */
FG_CHECK enum code machine_wish_read(struct machine_wish *, struct arena *, const struct settings_opcua_server *, const char *what,
                                     const struct io *, struct fault *why);
void machine_wish_clear(struct machine_wish *);

struct machine;
/* The connection that there is already, or a new one. NULL: it cannot be opened, and the log says why. `pki` may be NULL only when
 * the policy is None. */
struct machine *machine_join(struct actions *, const struct machine_wish *);
void            machine_part(struct machine *); /* NULL is fine; the last one ends it */
/* Something that was asked of the server, from mem_alloc. When the connection is ended nobody answers any more: then it is freed. */
struct machine_errand {
    struct machine_errand *next, **link; /* private */
};
void machine_errand_begin(struct machine *, struct machine_errand *);
void machine_errand_end(struct machine_errand *); /* answered: the caller frees it */
/* NULL while it is not up. */
struct ua_client *machine_client(const struct machine *);
/* "press-1 is not connected: ...": why a try came to nothing. */
void machine_trouble(const struct machine *, char *out, size_t cap);
/* How often it has come up: what was learnt of the server before that may hold no longer. */
uint64_t machine_ups(const struct machine *);
