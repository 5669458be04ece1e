/* action.h - what is done when a job has found something: publish, post to a web address, run a program, write to a machine or call
 * one of its methods over OPC UA.
 *
 *   $jobs/JOB/OUTPUT, or a topic ──► queue of the action (broker/consumer.h) ──► guard ──► try, again, again ──► audit
 *
 * The events of an action are worked off one after the other, in their order. An event is done with when the action has succeeded or
 * given up; a crash before that brings it again: a publish happens once all the same (its ordinal follows from the event's place), an
 * address and a program get the event's identifier, so that they can tell (Idempotency-Key, FIELDGATE_EVENT).
 *
 * Guard: at-least ("2 in 10s": only from the second event within ten seconds on), at-most ("1 per 5m"), dry-run. Times are those
 * at which the events were put out, and what the guard remembers is recorded with each event that is done with (consumer_finish's
 * note): after a crash the same is decided again.
 *
 * Audit: one line for each event in the log, in DATA/audit/actions.jsonl (numbered, so that a line that is missing shows), and as
 * a message of $actions/NAME.
 *
 * Threads: actions_open, actions_apply, actions_close from any one thread at a time, but no loop's: they wait for loops. All actions
 * are worked off on one loop of their own. actions_glance from any thread, also a loop's. The kinds are a table (action_kinds).
 */
#pragma once

#include "base/settings.h"
#include "broker/broker.h"

struct actions;
struct action_plan;

enum { ACTIONS_MAX = 200 };
/* Checked; copies what it keeps. `topic`: what events it reads (the caller knows which topic JOB.OUTPUT is); borrowed,
 * as are the servers. CODE_USAGE: FG6301 names the action, what, and the fix. Files that are named are read. */
struct action_servers { /* settings.opcua.servers */
    const struct settings_opcua_server *at;
    size_t                              count;
};
FG_CHECK enum code action_plan_new(struct action_plan **out, const struct settings_action *,
                                   struct bytes topic, const struct action_servers *, const struct io *, struct fault *why);
void action_plan_free(struct action_plan *); /* NULL is fine */

FG_CHECK enum code actions_open(struct actions **out, struct broker *, const struct io *,
                                const char *data_dir, struct fault *why);
/* Exactly these from now on. Unchanged ones are not touched. Those that change or end finish what is under way if it takes no more than
 * ACTION_GRACE_MS; a changed one goes on with what waits, what waits for an ended one is let go. Takes the plans, also on failure. */
enum { ACTION_GRACE_MS = 3000 };
FG_CHECK enum code actions_apply(struct actions *, struct action_plan **plans, size_t n, struct fault *why);
/* Begins nothing any more, and waits up to ACTION_GRACE_MS for what is under way. What is broken off then comes again after the next
 * start. NULL is fine. */
void actions_close(struct actions *);

struct action_glance {
    const char *name;
    uint64_t waiting;                      /* events, with the one under way */
    uint64_t done, failed, held_back, dry; /* since the start: succeeded; given up; by a guard; dry runs */
    uint64_t retries;
    int64_t last_us; /* from the last event to the end of its action, 0 = none */
};
void actions_glance(struct actions *, void (*each)(void *ctx, const struct action_glance *), void *ctx);
