/* event_filter.h - an EventFilter (Part 4, 7.22.3) as a server keeps it, and what it is asked about. Not for others.
 *
 *   event.c   which fields are selected, and their encoding     event_where.c   whether an event passes the where clause
 */
#pragma once

#include "uaserver/event.h"
#include "uaserver/subscription.h"

/* The properties of BaseEventType. */
enum uas_event_field {
    FIELD_NULL, /* one that our events do not have */
    FIELD_EVENT_ID,
    FIELD_EVENT_TYPE,
    FIELD_SOURCE_NODE,
    FIELD_SOURCE_NAME,
    FIELD_TIME,
    FIELD_RECEIVE_TIME,
    FIELD_MESSAGE,
    FIELD_SEVERITY
};
/* An event with what the server adds. */
struct uas_event {
    uint8_t  id[16];
    struct ua_node_id type, source;
    struct bytes source_name;
    struct ua_localized_text message;
    ua_time  time, receive_time;
    uint16_t severity;
};
struct uas_event_filter {
    uint8_t  selected[UAS_SELECT_MAX]; /* enum uas_event_field */
    uint32_t count;
    struct arena memory;               /* of the where clause */
    const struct ua_content_filter *where; /* NULL: everything passes */
};

/* A view of the event. */
void uas_event_variant(const struct uas_event *, uint8_t field, struct ua_variant *out);
/* The field that an operand names; statuses of a select clause. */
ua_status uas_event_operand(struct ua_space *, const struct ua_simple_attribute_operand *, uint8_t *field);
/* Whether it can be evaluated; `out` gets a status for each element, in the arena. */
ua_status uas_where_check(struct ua_space *, const struct ua_content_filter *, struct arena *, struct ua_content_filter_result *out);
bool      uas_where_passes(struct ua_space *, const struct ua_content_filter *, const struct uas_event *);
