/* profile.h - what is usual at this hour of the day and at this hour of the week, by event time in UTC.
 *
 * An hour's mean enters its slots when the hour is over, so that a value is never compared with itself. The first days
 * and weeks weigh alike, later ones fade: 16 days, 8 weeks. The week is kept as differences from the day, with 8 bits of
 * precision, and only once a second day has begun. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "detect/detect.h"

struct buf;
struct wire;

struct week;

struct profile {
    double       day[24];       /* relative to ref */
    double       ref;           /* the first value */
    double       sum;           /* of the hour that is running, relative to ref */
    int64_t      hour;          /* since the epoch; valid when started */
    struct week *week;          /* ours; NULL at first */
    uint32_t     n;             /* values in sum */
    uint8_t      days[24];      /* that have entered the slot, at most 16 */
    bool         started;
};

void   profile_clear(struct profile *);
size_t profile_bytes(const struct profile *);
size_t profile_bytes_max(void);

/* Closes the hour that is over by `ticks`; before anything else is asked or learned at that time. false without memory,
 * then nothing has happened. */
bool profile_turn(struct profile *, int64_t ticks);
/* Learns a value of the hour that profile_turn began. */
void profile_add(struct profile *, double value);
/* What is usual now; false when this hour has not been seen before. */
bool profile_of_day(const struct profile *, double *usual);
bool profile_of_week(const struct profile *, double *usual);

/* Every hour of the day has been seen. */
bool profile_has_day(const struct profile *);

void profile_save(const struct profile *, struct buf *out);
enum code profile_load(struct profile *, struct wire *, struct fault *why);
