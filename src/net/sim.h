/* sim.h - the simulated back end of loop.h: loops, a network and a clock inside one thread, all from one
 * seed.
 *
 * The test owns a `struct sim`; loops opened on it look like any other. Nothing moves unless the test
 * calls sim_step or sim_advance. A client end is driven by the test: it connects to a listener's address,
 * gives bytes, takes bytes, closes, or stops reading. Segmentation of bytes is drawn from the seed when
 * asked for.
 *
 * Loops of one simulation reach each other with conn_dial as well: names are compared as text, except that
 * "localhost" is 127.0.0.1 and a listener on 0.0.0.0 or [::] hears its port on every name. A loop that
 * loop_stop was called for gets no further turn once its output is flushed, as with loop_run; loop_run
 * itself lets the time pass for the whole simulation until then.
 *
 * Opening and closing a simulation with a loop takes a few microseconds. Order: loop_close for every loop,
 * then sim_close, which also frees clients that are left.
 *
 * Thread: one.
 */
#pragma once

#include "net/loop.h"

struct sim;
struct sim_client;

FG_CHECK enum code sim_open(struct sim **out, uint64_t seed);
void sim_close(struct sim *);
FG_CHECK enum code loop_open_sim(struct loop **out, struct sim *, struct fault *why);

/* Runs turns of all loops (order drawn from the seed) until nothing is left to do at this instant. Returns
 * turns run. */
unsigned sim_step(struct sim *);
/* Lets the virtual time pass, firing timers in order, stepping at each. */
void    sim_advance(struct sim *, int64_t us);
int64_t sim_now_us(const struct sim *);
void    sim_set_wall(struct sim *, int64_t wall_us);      /* a clock jump */
void    sim_split_bytes(struct sim *, bool on);           /* cut the stream at random places, both ways */

/* Jobs of pool.h given from now on wait (true), or all that wait are worked off in later turns (false). */
void    sim_pool_hold(struct sim *, bool on);

/* NULL if nobody listens there or memory is out. */
struct sim_client *sim_connect(struct sim *, const char *address);
/* As sim_connect, from this address (NULL: one on 127.0.0.1) and, for unix sockets, as this user. */
struct sim_client *sim_connect_from(struct sim *, const char *address, const char *from, uint32_t uid);
void sim_send(struct sim_client *, struct bytes);
/* What has arrived and was not taken yet; sim_take drops n bytes of it. */
struct bytes sim_received(const struct sim_client *);
void sim_take(struct sim_client *, size_t n);
/* Accepts only so many unread bytes; SIZE_MAX: no stall. */
void sim_stall(struct sim_client *, size_t window);
bool sim_closed(const struct sim_client *);               /* the other side closed */
void sim_hang_up(struct sim_client *, bool reset);        /* close our side */
void sim_free(struct sim_client *);                       /* hangs up if need be */
