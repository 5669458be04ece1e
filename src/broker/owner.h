/* owner.h - how much each identity has here: sessions and connections (L-SESS, L-CONNS), retained messages (L-RETAIN).
 *
 * The kind of a principal decides what is counted: a device or a module has a limit to its sessions and connections, a user or
 * a service has none of its own; everybody who has a name has one to his retained messages. Nobody in particular ("anonymous"),
 * and the node itself, are bounded by what holds for the node alone.
 *
 * Lock: the one of whatever keeps the counts.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "base/table.h"

enum owned { OWNED_SESSIONS, OWNED_CONNECTIONS, OWNED_RETAINED, OWNED_END };

struct owner {
    uint64_t count[OWNED_END];
    uint32_t len;
    uint8_t  text[]; /* as principals have it: "device:press-1" */
};
struct owners {
    struct table by_text;
};

bool owner_counted(struct bytes principal, enum owned);
/* What it has; 0 for one who is not known. */
uint64_t owner_has(const struct owners *, struct bytes principal, enum owned);
/* Found or made; one that is made has nothing yet, and goes with owner_loses or owner_forget. NULL: no memory. */
struct owner *owner_get(struct owners *, struct bytes principal);
void          owner_gains(struct owner *, enum owned);
void          owner_loses(struct owners *, struct owner *, enum owned); /* with its last thing it is forgotten */
void          owner_forget(struct owners *, struct owner *);            /* if it has nothing */
static inline struct bytes owner_text(const struct owner *o)
{
    return o ? bytes_of(o->text, o->len) : BYTES_NONE;
}
void owners_clear(struct owners *);
