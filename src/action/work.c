/* work.c - the events of one action: takes them, asks the guard, tries, tries again, says what came of it. On the actions' loop. */
#include "action/action_private.h"

#include "base/log.h"
#include "expr/json.h"
#include "message/message.h"

#include <inttypes.h>
#include <stdio.h>

enum { ARENA_BYTES_MAX = 64 << 20, RETRY_FIRST_MS = 1000, RETRY_LAST_MS = 60000, LATER_MS = 1000, BATCH = 32 };

/* ---- the end of an event ---- */

static void let_go(struct action *a)
{
    message_drop(a->now.message);
    arena_clear(&a->now.arena);
    a->now = (struct attempt){0};
}

void action_break_off(struct action *a)
{
    timer_stop(a->all->loop, &a->timer);
    if (a->under_way) {
        a->under_way = false;
        a->plan->kind->cancel(a);
    }
    if (a->now.open)
        let_go(a);
}

/* For whoever wants to know, once: after a crash the ordinal says whether it was said already. */
static void pass_on(struct action *a, struct bytes json)
{
    char topic[128];
    const struct io *io = a->all->io;
    struct fault why;
    (void)snprintf(topic, sizeof topic, "$actions/%s", a->plan->name);
    struct message *m = message_new(&(struct message_parts){.qos = 1,
                                                            .text = true,
                                                            .wall_us = io->wall_us(io->self),
                                                            .now_us = io->monotonic_us(io->self),
                                                            .topic = bytes_str(topic),
                                                            .principal = bytes_str("node"),
                                                            .source = bytes_str(a->plan->name),
                                                            .payload = json});
    struct consumer_word w = {.message = m, .ordinal = 2 * a->now.index + 2};
    enum code c = m ? consumer_publish(a->consumer, &w, 1, &why) : FAIL(&why, CODE_NOMEM, 0, "no memory");
    if (c != CODE_OK)
        log_warn("action", "FG6315 what action %s did is in the audit, and not on %s: %s", a->plan->name, topic,
                 why.text);
    message_drop(m);
}

static void account(struct action *a, const char *result, const char *said)
{
    struct buf what = {.max = FILL_BYTES_MAX}, json = {0};
    const struct io *io = a->all->io;
    a->plan->kind->describe(a->plan, &a->now, &what);
    buf_u8(&what, 0);
    int64_t took = io->monotonic_us(io->self) - a->now.begun_us,
            after = io->wall_us(io->self) - a->now.message->wall_us;
    struct audit_line line = {.action = a->plan->name,
                              .event = a->now.id,
                              .what = what.bad ? a->plan->kind->name : (const char *)what.at,
                              .result = result,
                              .said = said,
                              .took_us = took > 0 ? took : 0,
                              .after_us = after > 0 ? after : 0,
                              .tries = a->now.tries,
                              .held_back = a->held_since,
                              .message = a->now.message->payload};
    audit_write(a->all->audit, &line, &json);
    atomic_store(&a->last_us, line.after_us);
    if (!json.bad)
        pass_on(a, buf_bytes(&json));
    buf_clear(&what);
    buf_clear(&json);
}

void action_record(struct action *a)
{
    struct fault why;
    uint8_t note[GUARD_NOTE];
    _Static_assert((int)GUARD_NOTE == (int)CONSUMER_NOTE, "what the guard remembers is a note");
    if (!a->unrecorded)
        return;
    size_t n = guard_write(&a->seen, &a->done, note);
    if (consumer_finish(a->consumer, a->unrecorded, bytes_of(note, n), NULL, &why) == CODE_OK)
        a->unrecorded = 0;
    else
        log_warn("action",
                 "FG6312 action %s: that it was done could not be recorded: %s. Should the node end before it can be,"
                 " it happens again",
                 a->plan->name, why.text);
}

bool action_load_guard(struct action *a)
{
    uint8_t note[CONSUMER_NOTE];
    const struct action_plan *p = a->plan;
    if (guard_init(&a->seen, &p->at_least) != CODE_OK || guard_init(&a->done, &p->at_most) != CODE_OK)
        return false;
    size_t n = consumer_note(a->consumer, note);
    if (!guard_read(bytes_of(note, n), &p->at_least, &a->seen, &p->at_most, &a->done))
        log_warn("action", "FG6316 action %s: what its guard remembered cannot be read; it begins anew", p->name);
    return true;
}

static void finish(struct action *a, _Atomic uint64_t *counter, const char *result, const char *said)
{
    atomic_fetch_add(counter, 1);
    account(a, result, said);
    a->held_since = 0;
    a->unrecorded = a->now.index + 1;
    action_record(a);
    let_go(a);
}

/* There may be thousands of them: the first one is said, the others are counted in what is said next. That they are done with is
 * recorded with the next one or when all have been looked at; a guard that does not know of them after a crash decides the same. */
static void hold_back(struct action *a, const char *by)
{
    atomic_fetch_add(&a->held_back, 1);
    if (!a->held_run)
        account(a, "held back", by);
    else
        a->held_since++;
    a->held_run = true;
    a->unrecorded = a->now.index + 1;
    let_go(a);
}

/* ---- tries ---- */

static void begin_try(struct action *a)
{
    a->now.tries++;
    a->under_way = true;
    a->plan->kind->begin(a);
}

static void try_again(struct timer *t)
{
    struct action *a = (struct action *)(void *)((char *)t - offsetof(struct action, timer));
    if (!a->leaving)
        begin_try(a);
}

void action_try_now(struct action *a)
{
    if (!a->now.open || a->under_way || a->leaving || !timer_running(&a->timer))
        return;
    timer_stop(a->all->loop, &a->timer);
    begin_try(a);
}

static void wait_and_try(struct action *a, uint32_t how_often)
{
    int64_t ms = how_often < 7 ? (int64_t)RETRY_FIRST_MS << (how_often - 1) : RETRY_LAST_MS;
    timer_start(a->all->loop, &a->timer, ms < RETRY_LAST_MS ? ms : RETRY_LAST_MS, try_again);
}

static void again(struct action *a, const char *said)
{
    atomic_fetch_add(&a->retries, 1);
    log_warn("action", "FG6313 action %s: try %" PRIu32 " of %" PRIu32 " failed: %s", a->plan->name, a->now.tries,
             a->plan->retry + 1, said);
    a->now.pauses = 0;
    wait_and_try(a, a->now.tries);
}

static void pause_it(struct action *a, const char *said)
{
    if (a->now.pauses++ == 0)
        log_warn("action", "FG6317 action %s waits: %s. It goes on when there is room again", a->plan->name, said);
    a->now.tries--;
    wait_and_try(a, a->now.pauses);
}

void action_tried(struct action *a, enum action_result result, const char *said)
{
    a->under_way = false;
    if (result == ACTION_GOOD)
        finish(a, &a->good, "good", said);
    else if (result == ACTION_LATER)
        pause_it(a, said);
    else if (result == ACTION_HOPELESS || a->now.tries > a->plan->retry)
        finish(a, &a->failed, "failed", said);
    else
        again(a, said);
    if (!a->now.open)
        action_ring(a); /* there may be more; from the loop, so that nothing recurses */
    actions_tried(a);
}

/* ---- an event ---- */

/* Its fields, if somebody wants them. */
static enum code read_event(struct action *a, struct fault *why)
{
    a->now.event = value_null();
    return a->plan->needs_event ? json_value(a->now.message->payload, &a->now.arena, &a->now.event, why) : CODE_OK;
}

static void begin(struct action *a, const struct consumer_item *item)
{
    struct fault why;
    const struct io *io = a->all->io;
    struct action_plan *p = a->plan;
    a->now = (struct attempt){
        .index = item->index, .message = item->message, .open = true, .begun_us = io->monotonic_us(io->self)};
    arena_init(&a->now.arena, NULL, 0, ARENA_BYTES_MAX);
    (void)snprintf(a->now.id, sizeof a->now.id, "%s-%" PRIu64 "-%" PRIx64, p->name, item->index,
                   (uint64_t)item->message->wall_us);
    enum code c = read_event(a, &why);
    enum guard_verdict v =
        guard_ask(&p->at_least, &a->seen, &p->at_most, &a->done, item->message->wall_us / 1000);
    if (v != GUARD_GO) {
        hold_back(a, v == GUARD_TOO_FEW ? "guard.at-least" : "guard.at-most");
        return;
    }
    a->held_run = false;
    if (c != CODE_OK)
        finish(a, &a->failed, "failed", why.text);
    else if (p->dry_run)
        finish(a, &a->dry, "dry run", "");
    else
        begin_try(a);
}

static void later(struct timer *t)
{
    action_go_on((struct action *)(void *)((char *)t - offsetof(struct action, timer)));
}

void action_go_on(struct action *a)
{
    for (int i = 0; i < BATCH; i++) {
        struct consumer_item item;
        struct fault why;
        size_t n;
        if (a->now.open || a->leaving || timer_running(&a->timer))
            return;
        atomic_store(&a->due, false);
        enum code c = consumer_take(a->consumer, a->position, &item, 1, &n, &why);
        if (c != CODE_OK) {
            log_warn("action", "FG6314 action %s: its next event cannot be read: %s", a->plan->name, why.text);
            timer_start(a->all->loop, &a->timer, LATER_MS, later);
            return;
        }
        if (n == 0) {
            action_record(a);
            return;
        }
        a->position = item.index + 1;
        if (item.message)
            begin(a, &item);
        else
            a->unrecorded = item.index + 1; /* lost to damage, which has been reported */
    }
    if (!a->now.open)
        action_record(a);
    action_ring(a); /* the others, too */
}

void action_ring(struct action *a)
{
    atomic_store(&a->due, true);
    if (!atomic_exchange(&a->all->rung, true))
        loop_post(a->all->loop, &a->all->bell);
}
