/* event_line.h - an event as GET /api/v1/events gives it, one line of JSON. Pure. */
#pragma once

#include "base/bytes.h"

#include <jansson.h>

/* What stands before the body, as an object of the caller's, or NULL where the line is no JSON object. `body` is the last member
 * (docs/api.md): its bytes are the payload's and are neither read nor written again, so that numbers C has no type for pass
 * unharmed. *body is its JSON within `line`; empty where there is none (body-base64 or an error instead). */
json_t *event_line_head(struct bytes line, struct bytes *body);
