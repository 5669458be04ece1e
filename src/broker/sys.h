/* sys.h - $SYS: the broker about itself, as messages under Mosquitto's names, so that dashboards made for it work.
 *
 * Values are computed when they are asked for: a new subscription gets those of now, marked as retained, and every
 * `sys-interval` seconds the ones that have changed are published with QoS 0. Nothing of this is stored. Clients may not
 * publish under $SYS.
 *
 * Thread: sys_second on shard 0's loop, the others on any shard's.
 */
#pragma once

#include "base/bytes.h"

#include <stdatomic.h>

struct broker;
struct broker_stats;
struct client;
struct shard;

enum { SYS_LOADS = 8, SYS_VALUES = 64 };

struct sys {
    int64_t         started_us;
    int64_t         next_us;                  /* when values are published again */
    int64_t         counted_us;               /* when the loads were last brought up to date */
    uint64_t        counted[SYS_LOADS];       /* the counters then */
    _Atomic uint64_t loads[SYS_LOADS][3];     /* per minute, over 1, 5 and 15 minutes, times 1000 */
    _Atomic uint64_t heap_max;
    uint32_t        said[SYS_VALUES];         /* checksum of each value when it was last published */
};

/* Is this a topic that only the broker speaks to? */
bool sys_topic(struct bytes topic);
/* $SYS, $jobs, $actions: what the node itself says. No client may. */
bool own_topic(struct bytes topic);
void sys_start(struct shard *);
void sys_second(struct shard *);
/* What matches this new subscription. False: memory is out. */
bool sys_greet(struct client *, struct bytes filter, uint32_t id);
