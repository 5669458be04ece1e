/* sim_world.h - the structs of the simulated back end. Private to src/net/sim*.c.
 *
 *   sim_client ── end ═══ end ── sim_conn (struct conn)        in: what the other end has sent, unread
 *   sim_conn   ── end ═══ end ── sim_conn
 */
#pragma once

#include "net/backend.h"
#include "net/sim.h"

struct sim_end {
    struct sim      *sim;
    struct sim_end  *other;  /* NULL: closed and freed */
    struct sim_conn *conn;   /* NULL: a client's, or not yet taken from the listener */
    struct buf       in;
    size_t           window; /* how much may stand in `in` */
    bool             ended;  /* nothing more will come     */
    bool             reset;
    uint32_t         uid;
    int              handle; /* among sim->peers, or -1 */
    struct sim_end  *next_waiting;
    char             from[64];
};

struct sim_conn {
    struct conn      core; /* first */
    struct sim_end  *end;
    char            *dialling; /* the address, owned; until the next turn */
    bool             queued;   /* on loop->ready */
    struct sim_conn *next_ready;
};

struct sim_listener {
    struct listener      core; /* first */
    struct sim_listener *next;
    struct sim_end      *waiting, **waiting_end;
    bool                 local;
};

struct sim_loop {
    struct loop      core; /* first */
    struct sim      *sim;
    struct sim_loop *next;
    struct sim_conn *ready, **ready_end; /* something may have happened to them */
    bool             halted;
};

struct sim_job {
    struct letter    letter; /* first */
    struct loop     *loop;
    struct pool_job *job;
    struct sim_job  *next;   /* of the held ones */
};

struct sim {
    struct net_world     world; /* first */
    uint64_t             random;
    int64_t              now_us, wall_offset_us;
    bool                 split;
    uint16_t             next_port, next_client_port;
    struct sim_loop     *loops;
    struct sim_listener *listeners;
    struct sim_client   *clients;
    struct sim_end     **peers; /* by handle */
    int                  peers_cap;
    uint8_t             *lent;
    bool                 pool_held;
    struct sim_job      *held_jobs, **held_end;
};

static inline struct sim_loop *sim_loop_of(const struct loop *l)
{
    return (struct sim_loop *)(void *)(uintptr_t)l;
}

uint64_t sim_draw(struct sim *s);

/* sim_conn.c */
struct sim_listener *sim_find_listener(struct sim *s, const char *address);
/* Connects `near`, an end without another, to a listener; false: refused, or memory is out. */
bool      sim_end_connect(struct sim_end *near, const char *address);
bool      sim_end_as_peer(struct sim_end *e, bool local, struct net_peer *out);
void      sim_end_close(struct sim_end *e, bool reset); /* frees it */
void      sim_end_tell(struct sim_end *e);              /* something changed for whoever holds it */
void      sim_refuse(struct net_world *w, int handle);
void      sim_forget_peers(struct sim *s);
enum code sim_conn_release(struct conn *c, struct net_peer *out, struct fault *why);
enum code sim_conn_attach(struct conn *c, const struct net_peer *peer, struct fault *why);
enum code sim_conn_dial(struct conn *c, const char *host, uint16_t port, struct fault *why);
int64_t   sim_conn_recv(struct conn *c, void *to, size_t n);
int64_t   sim_conn_send(struct conn *c, const struct iovec *v, int count);
void      sim_conn_watch(struct conn *c);
void      sim_conn_detach(struct conn *c);
void      sim_conn_event(struct sim_conn *c);
