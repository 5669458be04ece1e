/* seat.h - where the node's publisher is found: it may come, go and be replaced while others ask it.
 *
 * Thread: enter and leave from any; put from one at a time. */
#pragma once

#include "publisher/publisher.h"

struct publisher_seat;

FG_CHECK enum code publisher_seat_new(struct publisher_seat **out, struct fault *why);
void               publisher_seat_free(struct publisher_seat *); /* NULL is fine; it is empty */
/* The publisher stays while one is in. NULL: there is none just now, and nothing is to be left. Never waits long. */
struct publisher  *publisher_enter(struct publisher_seat *);
void               publisher_leave(struct publisher_seat *);
/* The one who sat there, when nobody is in any more. */
struct publisher  *publisher_put(struct publisher_seat *, struct publisher *);
