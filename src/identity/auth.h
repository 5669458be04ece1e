/* auth.h - who is it? The authenticators that each listener (door) asks, the files behind them, and their reload.
 *
 *   auth_new - auth_check ... - auth_prepare, auth_commit ... - auth_free (when no loop runs any more)
 *
 * A door asks its authenticators in the order written; the first that the shown credentials are meant for decides:
 *   certificate   a verified client certificate: its name is the user, the users file may give him roles
 *   users         a user name with its password. An unknown name costs as much time as a wrong password
 *   anonymous     anybody; at a door that has `users` too, only who gives no name: a wrong password never becomes anonymous
 * Nobody left to ask: not authorised.
 *
 * Passwords are checked on the pool (net/pool.h), never on a loop; one found right counts for a minute without a further
 * check (verified.h); failures are counted (failures.h).
 *
 * Thread: auth_check on any loop's thread; prepare and commit on one thread at a time; the counters any.
 */
#pragma once

#include "base/settings.h"
#include "identity/access.h"
#include "net/loop.h"
#include "net/tls.h"

struct auth;

struct auth_door {
    struct settings_choices        chain; /* enum settings_auth */
    enum settings_certificate_user certificate_user;
};

/* A door that is no listener's: `users` and nobody else. Any loop of the process may ask there, also one that a reload does not visit. */
enum { AUTH_DOOR_USERS = UINT16_MAX };

struct auth_config { /* copied */
    const struct io        *io;
    const struct auth_door *doors; /* by number */
    size_t                  door_count;
    const char             *users_path;
    const char             *rules_path;     /* NULL: there are none */
    const char             *secret_dir;     /* where a secret is kept that outlives the process; NULL: nowhere */
    bool                    users_optional; /* nobody named the file: not being there is the same as being empty */
    uint32_t                failures_per_minute;
};

/* CODE_DAMAGED, CODE_NOTFOUND, CODE_IO: a file is not in order (FG1020 users, FG1022 rules, with the place); CODE_NOMEM. */
FG_CHECK enum code auth_new(struct auth **out, const struct auth_config *, struct fault *why);
void               auth_free(struct auth *); /* NULL is fine */
struct access     *auth_access(struct auth *); /* one reference to what holds now */

/* Is there a door that asks this authenticator? Those of listeners that a reload closed count too. On a loop's thread. */
bool auth_has_door(const struct auth *, enum settings_auth);

/* Would this door still ask the authenticator that let him in? On a loop's thread. */
bool auth_door_takes(const struct auth *, uint16_t door, const struct principal *);

enum auth_verdict {
    AUTH_GRANTED,
    AUTH_WRONG,      /* user name or password; which, nobody is told */
    AUTH_NOT_ALLOWED,/* nothing shown that this door takes */
    AUTH_BANNED,     /* too many failures just now */
    AUTH_BUSY        /* too many checks wait, or no memory: try again */
};
struct auth_answer {
    enum auth_verdict verdict;
    struct principal *principal; /* GRANTED: one reference, the receiver's */
    const char       *because;   /* not GRANTED: fit for the peer's eyes */
    int64_t           wait_us;   /* BANNED: for how long still           */
};

/* What a peer shows. Views need to live during the call only. */
struct auth_ask {
    uint16_t     door;
    bool         loopback, has_user, has_password;
    const char  *address;
    struct bytes user, password;
    const struct tls_peer *certificate; /* verified; NULL: none was shown */
};
/* Either the answer at once (true), or later, on this loop, exactly once (false). */
typedef void (*auth_done)(void *ctx, const struct auth_answer *);
bool auth_check(struct auth *, struct loop *, const struct auth_ask *, struct auth_answer *now, auth_done later, void *ctx);

/* ---- SCRAM-SHA-256, at doors that have `users`: an exchange of messages, answered at once ---- */
bool auth_offers(const struct auth *, uint16_t door, struct bytes method);
struct auth_exchange;
struct auth_exchange *auth_exchange_new(struct auth *, bool loopback, const char *address); /* NULL: no memory */
/* One message from the peer. True: `reply` goes to him, and his next message is awaited. False: it is over, `answer` says how;
 * when granted, `reply` is the proof that we know him too. */
bool auth_exchange_step(struct auth_exchange *, struct bytes data, int64_t now_us, struct buf *reply, struct auth_answer *answer);
void auth_exchange_free(struct auth_exchange *); /* NULL is fine */

/* ---- reload: all or nothing, in two steps ---- */
/* Other authenticators for the doors: a number that was given once keeps its meaning or gets a new one, none is forgotten.
 * auth_change_doors gives back the former ones: free them when every loop has had a turn since. */
struct auth_doors;
FG_CHECK enum code auth_doors_new(struct auth_doors **out, const struct auth_door *, size_t count, struct fault *why);
struct auth_doors *auth_change_doors(struct auth *, struct auth_doors *);
void               auth_doors_free(struct auth_doors *); /* NULL is fine */
struct auth_change;
/* Reads the files anew. On failure nothing has changed and the sentence says where. May block: not on a loop. */
FG_CHECK enum code auth_prepare(struct auth *, struct auth_change **out, struct fault *why);
/* From now on auth_access gives the new state; the caller tells the shards (broker_access_changed). Cannot fail. */
void               auth_commit(struct auth *, struct auth_change *);
void               auth_discard(struct auth_change *); /* NULL is fine */
/* For who watches the files, one look after the other. When they hold other bytes than those that were last committed, and did at
 * the look before, this is auth_prepare: who is writing them just now is not read in the middle, where a file can look whole.
 * Otherwise CODE_OK and NULL; *soon: they have just changed, look again in a second. May block: not on a loop. */
FG_CHECK enum code auth_look(struct auth *, struct auth_change **out, bool *soon, struct fault *why);
/* Something else was committed since the change was prepared: it may be older than what holds. */
bool               auth_overtaken(struct auth *, const struct auth_change *);

struct auth_stats {
    uint64_t checked;  /* passwords hashed                     */
    uint64_t remembered; /* answered from the verifier's memory */
    uint64_t failed, banned, busy;
    uint64_t users, rules; /* now */
};
void auth_stats(struct auth *, struct auth_stats *);
