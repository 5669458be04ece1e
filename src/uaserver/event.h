/* event.h - events: what clients get that watch the Server object, or the object an event comes from. */
#pragma once

#include "uaserver/space.h"

struct ua_server;

struct ua_server_event { /* what is zero is left out */
    uint32_t type;               /* of namespace 0; 0: BaseEventType */
    const struct ua_node *source; /* NULL: the Server object */
    struct bytes source_name;    /* null: the source's name */
    struct bytes message;
    ua_time  time;               /* 0: this moment */
    uint16_t severity;           /* 1 to 1000; 0: 100 */
};
/* Queues it for those who listen; one that there is no memory for is lost. A full queue loses one, and gets an
 * EventQueueOverflowEventType to say so. */
void ua_server_emit(struct ua_server *, const struct ua_server_event *);
