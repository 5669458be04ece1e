/* event.h - one record of a partition as a line of JSON, as /api/v1/events gives it and `events -o jsonl`
 * prints it.
 *
 *   {"partition":2,"offset":4403,"sequence":4403,"enqueued":"2026-11-22T11:01:13.204117Z","principal":"",
 *    "source":"press-7","topic":"factory/line1/press-7","qos":1,"retain":false,"expiry":60,
 *    "properties":{"content-type":"application/json","user":[["unit","celsius"]]},
 *    "body":{"temperature":21.9}}
 *
 * `expiry` (seconds, as published) and each member of `properties` are there only when the message has them.
 * The last member is the payload: `body` is the payload itself where that is JSON (an object, array, number,
 * true, false or null), else the payload as a string where it is text, else there is `body-base64`. So a
 * string in `body` is always the payload's own text. What cannot be read from the disk any more is told in
 * its place:
 *
 *   {"partition":2,"offset":4404,"sequence":4404,"error":{"code":"FG7004","message":"..."}}
 *
 * Pure, any thread.
 */
#pragma once

#include "base/buf.h"
#include "journal/journal.h"

/* RFC 3339, UTC, microseconds. */
enum { EVENT_TIME_MAX = 40 };
char *event_time(int64_t wall_us, char out[EVENT_TIME_MAX]);

/* Appends the line with its line feed. out->bad tells of missing memory. */
void event_line(struct buf *out, uint32_t partition, const struct record *);
