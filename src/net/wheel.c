#include "net/wheel.h"

enum { TICK_US = WHEEL_TICK_MS * 1000, BITS = 6 };
#define REACH ((int64_t)1 << (BITS * WHEEL_LEVELS - 1))

static void unlink_timer(struct timer *t)
{
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->next = t->prev = NULL;
}

static void append(struct timer *head, struct timer *t)
{
    t->prev = head->prev;
    t->next = head;
    head->prev->next = t;
    head->prev = t;
}

/* Moves everything in `from` behind `to`, an empty head. */
static void take_all(struct timer *from, struct timer *to)
{
    to->next = to->prev = to;
    if (from->next == from)
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    from->next = from->prev = from;
}

void wheel_init(struct wheel *w, int64_t now_us)
{
    w->tick = now_us / TICK_US;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        w->used[level] = 0;
        for (int i = 0; i < WHEEL_SLOTS; i++)
            w->slots[level][i].next = w->slots[level][i].prev = &w->slots[level][i];
    }
}

/* `t` goes to the slot of its due tick, seen from the present tick. One farther away than the wheel
 * reaches waits in the last slot and is placed again from there. */
static void place(struct wheel *w, struct timer *t)
{
    int64_t due = t->due_ms / WHEEL_TICK_MS;
    if (due - w->tick > REACH)
        due = w->tick + REACH;
    uint64_t differs = (uint64_t)(due ^ w->tick);
    int level = differs ? (63 - __builtin_clzll(differs)) / BITS : 0;
    if (level >= WHEEL_LEVELS)
        level = WHEEL_LEVELS - 1; /* the top digit wraps around */
    unsigned slot = (unsigned)(due >> (BITS * level)) & (WHEEL_SLOTS - 1);
    w->used[level] |= (uint64_t)1 << slot;
    append(&w->slots[level][slot], t);
}

void wheel_start(struct wheel *w, struct timer *t, int64_t now_us, int64_t delay_ms)
{
    if (t->next)
        unlink_timer(t);
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms > INT64_MAX / 4000)
        delay_ms = INT64_MAX / 4000;
    int64_t due = (now_us + delay_ms * 1000 + TICK_US - 1) / TICK_US;
    if (due <= w->tick)
        due = w->tick + 1;
    t->due_ms = due * WHEEL_TICK_MS;
    place(w, t);
}

void wheel_stop(struct timer *t)
{
    if (t->next)
        unlink_timer(t);
}

/* The first tick after w->tick at which a slot that may hold something comes up, or INT64_MAX. */
static int64_t next_tick(const struct wheel *w)
{
    int64_t best = INT64_MAX;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        unsigned here = (unsigned)(w->tick >> (BITS * level)) & (WHEEL_SLOTS - 1);
        uint64_t bits = w->used[level];
        while (bits) {
            /* Rotated so that bit 0 is the slot after the present one. */
            unsigned shift = (here + 1) & (WHEEL_SLOTS - 1);
            uint64_t turned = shift ? (bits >> shift) | (bits << (WHEEL_SLOTS - shift)) : bits;
            unsigned ahead = (unsigned)__builtin_ctzll(turned) + 1;
            unsigned slot = (here + ahead) & (WHEEL_SLOTS - 1);
            const struct timer *head = &w->slots[level][slot];
            if (head->next != head) {
                int64_t at = ((w->tick >> (BITS * level)) + ahead) << (BITS * level);
                if (at < best)
                    best = at;
                break;
            }
            bits &= ~((uint64_t)1 << slot); /* stopped meanwhile */
        }
    }
    return best;
}

int64_t wheel_next_us(const struct wheel *w)
{
    int64_t tick = next_tick(w);
    return tick == INT64_MAX ? INT64_MAX : tick * TICK_US;
}

/* Slots of higher levels that begin at this tick come down, the highest first. */
static void come_down(struct wheel *w)
{
    for (int level = WHEEL_LEVELS - 1; level > 0; level--) {
        if (w->tick & (((int64_t)1 << (BITS * level)) - 1))
            continue;
        unsigned slot = (unsigned)(w->tick >> (BITS * level)) & (WHEEL_SLOTS - 1);
        if (!(w->used[level] & (uint64_t)1 << slot))
            continue;
        w->used[level] &= ~((uint64_t)1 << slot);
        struct timer moved;
        take_all(&w->slots[level][slot], &moved);
        while (moved.next != &moved) {
            struct timer *t = moved.next;
            unlink_timer(t);
            place(w, t); /* one of exactly this tick lands in the slot that is fired next */
        }
    }
}

void wheel_fire(struct wheel *w, int64_t now_us)
{
    int64_t now = now_us / TICK_US;
    struct timer due;
    due.next = due.prev = &due;
    while (w->tick < now) {
        int64_t tick = next_tick(w);
        w->tick = tick > now ? now : tick;
        if (tick > now)
            break;
        come_down(w);
        unsigned slot = (unsigned)w->tick & (WHEEL_SLOTS - 1);
        w->used[0] &= ~((uint64_t)1 << slot);
        struct timer batch;
        take_all(&w->slots[0][slot], &batch);
        while (batch.next != &batch) {
            struct timer *t = batch.next;
            unlink_timer(t);
            append(&due, t);
        }
    }
    /* Handlers may stop any other timer, also one that stands in `due`. */
    while (due.next != &due) {
        struct timer *t = due.next;
        unlink_timer(t);
        t->fire(t);
    }
}
