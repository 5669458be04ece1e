/* lane.c - a queue of $upstream: what waits for the hub above with one priority, and for how long.
 *
 * How old an entry is must not hang on the wall clock, nor cost a look at the message, which may be on disk. So now and then it is
 * written down how far the queue had got and how old the journal was (a mark): what lies before a mark is at least as old as
 * the mark. An entry lives a little longer than it must, by the distance of two marks, and never shorter. The marks are the note
 * of the queue's reader:
 *
 *     u8 1 · u32 least time to live, seconds · (u64 index · i64 age of the journal, us) ...
 */
#include "route/router_private.h"

#include "base/log.h"
#include "base/wire.h"

#include <inttypes.h>
#include <stdio.h>

enum { PEEK = 512, PARTS = 32 /* marks in a time to live */, EXPIRE_AT_ONCE = 20000 };
#define SECOND_US INT64_C(1000000)
#define TELL_US   (60 * SECOND_US)
_Static_assert(5 + MARKS_MAX * 16 <= CONSUMER_NOTE, "a note has room for the marks");

uint32_t lane_of(uint32_t priority)
{
    return priority == ROUTE_NO_PRIORITY ? LANES - 1 : priority;
}

uint32_t lane_priority(uint32_t lane)
{
    return lane == LANES - 1 ? ROUTE_NO_PRIORITY : lane;
}

/* ---- the note ---- */

static void read_note(struct lane *l)
{
    uint8_t text[CONSUMER_NOTE];
    struct wire w = wire_of(bytes_of(text, consumer_note(l->queue, text)));
    l->mark_count = 0;
    if (wire_u8(&w) != 1)
        return;
    l->least_ttl_s = wire_le32(&w);
    int64_t now = journal_age_us(l->router->o.journal);
    while (!w.bad && wire_left(&w) >= 16 && l->mark_count < MARKS_MAX) {
        struct mark *m = &l->marks[l->mark_count++];
        m->index = wire_le64(&w);
        m->age_us = (int64_t)wire_le64(&w);
        m->age_us = m->age_us < now ? m->age_us
                                    : now; /* a crash may have set the journal's age back a little */
    }
}

/* Everything below `index` is let go of. */
static enum code write_note(struct lane *l, uint64_t index, struct fault *why)
{
    struct buf note = {0};
    buf_u8(&note, 1);
    buf_le32(&note, l->least_ttl_s);
    for (uint32_t i = 0; i < l->mark_count; i++) {
        buf_le64(&note, l->marks[i].index);
        buf_le64(&note, (uint64_t)l->marks[i].age_us);
    }
    enum code c = note.bad ? FAIL(why, CODE_NOMEM, 0, "no memory for a note")
                           : consumer_finish(l->queue, index, buf_bytes(&note), NULL, why);
    buf_clear(&note);
    return c;
}

enum code lane_open(struct lane *l, struct fault *why)
{
    char name[64];
    if (l->queue)
        return CODE_OK;
    (void)snprintf(name, sizeof name, "route/$upstream/%" PRIu32, l->priority);
    struct consumer_options o = {.name = name, .ready = router_wake, .ctx = l->router};
    enum code c = consumer_open(&l->queue, l->router->o.broker, &o, why);
    if (c == CODE_OK)
        read_note(l);
    return c;
}

void lane_ttl(struct lane *l, uint64_t ttl_s)
{
    if (ttl_s && (!l->least_ttl_s || ttl_s < l->least_ttl_s))
        l->least_ttl_s = (uint32_t)ttl_s;
}

void lane_close(struct lane *l)
{
    consumer_close(l->queue);
    l->queue = NULL;
}

/* ---- marks ---- */

static int64_t mark_distance(const struct lane *l)
{
    int64_t part = l->least_ttl_s * SECOND_US / PARTS;
    return part > SECOND_US ? part : SECOND_US;
}

/* Every second one of the older half goes: what lay before it then counts as younger. */
static void thin_out(struct lane *l)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->mark_count; i++)
        if (i % 2 == 1 || i >= l->mark_count / 2)
            l->marks[n++] = l->marks[i];
    l->mark_count = n;
}

static bool add_mark(struct lane *l, int64_t age)
{
    const struct mark *last = l->mark_count ? &l->marks[l->mark_count - 1] : NULL;
    uint64_t tail = consumer_tail(l->queue), head = consumer_head(l->queue);
    uint32_t gone = 0;
    while (gone < l->mark_count && l->marks[gone].index <= head)
        gone++;
    if (tail == head || (last && last->index >= tail) || (last && age - last->age_us < mark_distance(l)))
        return false;
    memmove(l->marks, l->marks + gone, (l->mark_count - gone) * sizeof l->marks[0]);
    l->mark_count -= gone;
    if (l->mark_count == MARKS_MAX)
        thin_out(l);
    l->marks[l->mark_count++] = (struct mark){tail, age};
    return true;
}

/* At least how long the entry has been there, in us; `*at`: the mark it lies before, from which the search goes on. */
static int64_t age_of(const struct lane *l, uint64_t index, int64_t now, uint32_t *at)
{
    while (*at < l->mark_count && l->marks[*at].index <= index)
        ++*at;
    return *at < l->mark_count ? now - l->marks[*at].age_us : -1;
}

/* ---- expiry ---- */

struct sweep {
    uint64_t run; /* everything below has expired or is done with */
    uint64_t some[PEEK];
    size_t count;
    uint64_t expired;
    bool running; /* no entry that stays was seen yet */
};

/* One look at entries from `from` on. False: the rest is too young. */
static bool look(struct lane *l, uint64_t *from, int64_t now, uint32_t *mark, struct sweep *s)
{
    struct consumer_item items[PEEK];
    size_t n = consumer_peek(l->queue, *from, items, PEEK);
    for (size_t i = 0; i < n; i++) {
        int64_t age = age_of(l, items[i].index, now, mark);
        uint32_t ttl = items[i].number_count ? items[i].numbers[0] : 0;
        if (age < l->least_ttl_s * SECOND_US)
            return false;
        bool over = ttl && age >= ttl * SECOND_US;
        s->expired += over;
        s->running = s->running && over;
        if (s->running)
            s->run = items[i].index + 1;
        else if (over)
            s->some[s->count++] = items[i].index;
        *from = items[i].index + 1;
    }
    return n == PEEK;
}

static void tell(struct lane *l)
{
    int64_t now = l->router->o.io->monotonic_us(l->router->o.io->self);
    if (!l->untold || (l->told_us && now - l->told_us < TELL_US))
        return;
    log_warn("route",
             "FG4112 %" PRIu64 " messages have waited in $upstream (priority %" PRIu32
             ") for longer than the time to live of"
             " their routes and are gone",
             l->untold, l->priority);
    l->untold = 0;
    l->told_us = now;
}

void lane_sweep(struct lane *l)
{
    struct fault why;
    if (!l->queue)
        return;
    tell(l);
    int64_t now = journal_age_us(l->router->o.journal);
    if (!l->least_ttl_s || now - l->looked_age_us < SECOND_US)
        return;
    l->looked_age_us = now;
    bool marked = add_mark(l, now), more = true;
    enum code c = CODE_OK;
    uint64_t from = consumer_head(l->queue), done = 0;
    uint32_t mark = 0;
    struct sweep s = {.run = from, .running = true};
    while (more && c == CODE_OK && done < EXPIRE_AT_ONCE) {
        s.count = 0;
        s.expired = 0;
        more = look(l, &from, now, &mark, &s);
        if (s.count)
            c = consumer_finish_some(l->queue, s.some, s.count, &why);
        done += c == CODE_OK ? s.expired : 0;
    }
    if (c == CODE_OK && (marked || s.run > consumer_head(l->queue)))
        c = write_note(l, s.run, &why);
    if (c != CODE_OK)
        log_warn(
            "route",
            "FG4113 $upstream: what has waited for too long could not be let go of: %s; it is tried again",
            why.text);
    l->expired += done;
    l->untold += done;
    tell(l);
}
