/* clock.c - how long ago a record came, whatever happened to the wall clock.
 *
 * Records carry the wall clock of their time; what matters of a message is its age. A segment's header pairs the wall clock
 * with the journal's age (retention.c) at its first record; from there the stamps of its records tell their ages, because the
 * segment is closed when the clocks are found apart: the next record, and that pair with it, begins the next one.
 *
 * A stamp that cannot be, older than the journal or younger than the end of its segment, counts as that end: a message is
 * rather kept too long than lost. So does one of a segment whose header is damaged.
 */
#include "journal/journal_private.h"

#define APART_US  SECOND_US        /* less is what the loops' own clocks differ, and no matter for what counts in seconds */
#define CALM_US   (60 * SECOND_US) /* a clock that jumps to and fro does not use up the disk */

int64_t journal_age_us(const struct journal *j)
{
    return retention_age(j);
}

int64_t clock_born(const struct journal *j, const struct segment *s, int64_t wall_us)
{
    int64_t born = s->head.age_us + (wall_us - s->head.wall_us), end = s->sealed ? s->age_us : retention_age(j);
    return s->head.wall_us && born >= 0 && born <= end + APART_US ? born : end;
}

/* The active segment has a pair that holds no more. */
static bool apart(const struct journal *j)
{
    const struct segment *s = j->active;
    if (s->sealed || !s->first_seq || j->stuck || j->batch_open)
        return false;
    int64_t age = retention_age(j);
    int64_t off = j->io->wall_us(j->io->self) - s->head.wall_us - (age - s->head.age_us);
    return (off > APART_US || off < -APART_US) && (!j->apart_us || age - j->apart_us > CALM_US);
}

static void close_segment(struct journal *j)
{
    j->active->sealed = true;
    j->active->age_us = j->apart_us = retention_age(j);
    j->rolled++;
    j->index_due = true;
}

void clock_watch(struct journal *j, int64_t wall_us)
{
    if (wall_us - j->watched_wall_us < APART_US && j->watched_wall_us - wall_us < APART_US)
        return; /* as a moment ago */
    j->watched_wall_us = wall_us;
    if (apart(j))
        close_segment(j);
}

bool clock_step(struct journal *j)
{
    journal_lock(j);
    bool did = apart(j);
    if (did) {
        close_segment(j);
        did = state_append_partitions(j, NULL) == CODE_OK;
    }
    journal_unlock(j);
    return did;
}
