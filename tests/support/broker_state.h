/* broker_state.h - the durable state of a broker as text, so that two can be compared and a person sees where they
 * differ: sessions, their filters, packet identifiers, queues; retained messages; wills.
 *
 * What is volatile is left out or made equal: whether an entry was sent on the present connection, for one; and the bytes
 * of a queue, which are those of frames, and a frame that was carried forward has another size.
 * Thread: the rig's.
 */
#pragma once

#include "support/broker_rig.h"

/* One line per thing, sorted. The caller frees it (libc). */
char *state_text(struct broker *);
/* Of the running rig at rest, against what a replay of its disk gives. NULL: the same. Else one line of difference
 * (static, until the next call). */
const char *state_compare(struct rig *);
