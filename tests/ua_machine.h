/* ua_machine.h - an OPC UA server of ours in a thread of its own, for tests: counters c0, c1 ... that go up by one in each step, a
 * variable `target` that is written to, and a method `go`. Its connections can be cut, it can restart on the same port, stand
 * still and go away. Any thread may order that; each order is done when the function returns. Test code, after cmocka.h.
 */
#pragma once

#include "base/log.h"
#include "net/loop.h"
#include "opcua/pki.h"
#include "uaserver/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MACHINE_COUNTERS = 1000, MACHINE_PEERS = 64 };

struct ua_machine {
    struct ua_pki     *pki; /* NULL: it offers no security */
    const char        *password; /* NULL: anonymous */
    struct loop       *loop;
    pthread_t          thread;
    struct listener   *listener;
    struct ua_server  *server; /* NULL: it is away */
    uint16_t           port;
    unsigned           counters;
    int64_t            step_ms; /* 0: it stands still */
    struct timer       step;
    struct ua_variable *of[MACHINE_COUNTERS];
    int                peers[MACHINE_PEERS]; /* duplicates of their sockets */
    unsigned           peer_count;
    _Atomic ua_status  says; /* to writes and calls */
    _Atomic int64_t    emitted; /* what all counters have */
    _Atomic uint64_t   writes, calls, cuts, lives;
    _Atomic unsigned   accepted; /* connections */
    _Atomic bool       stuck;    /* it takes a write and does nothing any more, until this is false */
    _Atomic int64_t    written; /* the last value of target */
};

static inline void machine_must(enum code c, const struct fault *why)
{
    if (c != CODE_OK)
        fail_msg("%s: %s", code_name(c), why->text);
}

/* ---- orders ---- */

struct machine_order {
    struct letter letter;
    struct ua_machine *m;
    void (*run)(struct ua_machine *);
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static inline void machine_open_order(struct letter *letter, struct loop *here)
{
    struct machine_order *o = (struct machine_order *)letter;
    (void)here;
    o->run(o->m);
    pthread_mutex_lock(&o->lock);
    o->done = true;
    (void)pthread_cond_signal(&o->cond);
    pthread_mutex_unlock(&o->lock);
}

static inline void machine_do(struct ua_machine *m, void (*run)(struct ua_machine *))
{
    struct machine_order o = {
        .letter = { .open = machine_open_order }, .m = m, .run = run, .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER
    };
    loop_post(m->loop, &o.letter);
    pthread_mutex_lock(&o.lock);
    while (!o.done)
        (void)pthread_cond_wait(&o.cond, &o.lock);
    pthread_mutex_unlock(&o.lock);
    (void)pthread_cond_destroy(&o.cond);
    (void)pthread_mutex_destroy(&o.lock);
}

/* ---- what it has ---- */

static inline void machine_user(void *ctx, struct ua_user_ask *ask)
{
    const struct ua_machine *m = ctx;
    struct ua_server_user user = { .name = "test", .kind = (uint8_t)ask->kind, .may_write = true, .may_call = true };
    bool good = !m->password || (ask->kind == UA_USER_NAME && bytes_is(ask->password, m->password));
    ua_user_answer(ask, good ? UA_GOOD : UA_BAD_USER_ACCESS_DENIED, &user);
}

static inline ua_status machine_believes(void *ctx, struct ua_certificate *peer, struct fault *why)
{
    (void)ctx, (void)peer, (void)why;
    return UA_GOOD;
}

static inline ua_status machine_write(void *ctx, struct ua_variable *v, const struct ua_server_user *who, const struct ua_data_value *value)
{
    struct ua_machine *m = ctx;
    (void)v, (void)who;
    atomic_fetch_add(&m->writes, 1);
    while (atomic_load(&m->stuck))
        (void)usleep(1000);
    if (m->says == UA_GOOD)
        atomic_store(&m->written, value->value.i64);
    return m->says;
}

static inline ua_status machine_call(void *ctx, struct ua_call *call)
{
    struct ua_machine *m = ctx;
    atomic_fetch_add(&m->calls, 1);
    if (m->says == UA_GOOD)
        atomic_store(&m->written, call->inputs[0].i64);
    return m->says;
}

static inline struct ua_node *machine_add(struct ua_machine *m, struct ua_new *what, const char *name)
{
    struct ua_space *space = ua_server_space(m->server);
    struct ua_node *n;
    struct fault why;
    what->id = (struct ua_node_id){ .ns = 1, .kind = UA_ID_STRING, .text = bytes_str(name) };
    what->parent = ua_find0(space, UA_ID_OBJECTS_FOLDER);
    what->browse_name = (struct ua_qualified_name){ 1, bytes_str(name) };
    machine_must(ua_add(space, what, &n, &why), &why);
    return n;
}

static inline void machine_fill(struct ua_machine *m)
{
    static const struct ua_variable_ops ops = { .write = machine_write };
    static const struct ua_argument input = { .name = BYTES_LIT("n"), .data_type = UA_NS0(UA_INT64), .value_rank = -1 };
    struct ua_variant v = { .type = UA_INT64, .i64 = atomic_load(&m->emitted) };
    char name[16];
    for (unsigned i = 0; i < m->counters; i++) {
        (void)snprintf(name, sizeof name, "c%u", i);
        m->of[i] = ua_as_variable(machine_add(m, &(struct ua_new){ .data_type = UA_NS0(UA_INT64), .access = UA_ACCESS_READ, .value = &v }, name));
    }
    (void)machine_add(m, &(struct ua_new){ .data_type = UA_NS0(UA_INT64), .access = UA_ACCESS_READ | UA_ACCESS_WRITE, .value = &v, .ops = &ops, .ctx = m },
                      "target");
    (void)machine_add(m, &(struct ua_new){ .data_type = UA_NS0(UA_INT64), .access = UA_ACCESS_READ, .value = &v }, "fixed");
    (void)machine_add(m, &(struct ua_new){ .node_class = UA_CLASS_METHOD, .reference = UA_ID_HAS_COMPONENT, .inputs = &input, .input_count = 1, .call = machine_call, .ctx = m }, "go");
}

static inline void machine_on_step(struct timer *t)
{
    struct ua_machine *m = (struct ua_machine *)(void *)((char *)t - offsetof(struct ua_machine, step));
    if (m->step_ms)
        timer_start(m->loop, t, m->step_ms, machine_on_step);
    if (!m->server || !m->step_ms)
        return;
    int64_t n = atomic_fetch_add(&m->emitted, 1) + 1;
    for (unsigned i = 0; i < m->counters; i++)
        assert_true(ua_set_value(ua_server_space(m->server), m->of[i],
                                 &(struct ua_data_value){ .has = UA_HAS_VALUE, .value = { .type = UA_INT64, .i64 = n } }));
}

/* ---- what is done to it ---- */

static inline void machine_raise(struct ua_machine *m)
{
    struct fault why;
    struct ua_server_options o = { .loop = m->loop, .io = &io_system, .application_uri = m->pki ? ua_pki_uri(m->pki) : "urn:test:machine",
                                   .application_name = "machine", .product_uri = "urn:test", .product_name = "machine",
                                   .manufacturer = "test", .version = "1", .build = "1", .own = m->pki ? ua_pki_own(m->pki) : NULL,
                                   .anonymous = !m->password, .user_names = m->password, .users = { machine_user, m }, .verify = machine_believes };
    if (m->pki)
        o.offers[UA_POLICY_BASIC256SHA256] = 1 << UA_MODE_SIGN_AND_ENCRYPT;
    else
        o.offers[UA_POLICY_NONE] = 1 << UA_MODE_NONE;
    machine_must(ua_server_open(&m->server, &o, &why), &why);
    machine_fill(m);
    atomic_fetch_add(&m->lives, 1);
}

static inline void machine_accept(void *ctx, const struct net_peer *peer)
{
    struct ua_machine *m = ctx;
    atomic_fetch_add(&m->accepted, 1);
    int fd = m->peer_count < MACHINE_PEERS ? dup(peer->handle) : -1;
    if (fd >= 0)
        m->peers[m->peer_count++] = fd;
    if (m->server)
        ua_server_accept(m->server, peer);
    else
        net_peer_refuse(peer);
}

static inline void machine_cut(struct ua_machine *m)
{
    while (m->peer_count) {
        int fd = m->peers[--m->peer_count];
        (void)shutdown(fd, SHUT_RDWR);
        (void)close(fd);
    }
    atomic_fetch_add(&m->cuts, 1);
}

static inline void machine_lower(struct ua_machine *m)
{
    ua_server_close(m->server);
    m->server = NULL;
    while (m->peer_count) /* they end by themselves */
        (void)close(m->peers[--m->peer_count]);
}

static inline void machine_restart(struct ua_machine *m)
{
    machine_lower(m);
    machine_raise(m);
}

static inline void machine_rest(struct ua_machine *m)
{
    m->step_ms = 0;
    timer_stop(m->loop, &m->step);
}

static inline void machine_run(struct ua_machine *m)
{
    timer_start(m->loop, &m->step, m->step_ms, machine_on_step);
}

/* ---- life ---- */

static inline void *machine_loop(void *l)
{
    loop_run(l);
    return NULL;
}

/* Its port is known, and nobody answers there yet. */
static inline void machine_listen(struct ua_machine *m)
{
    struct fault why;
    machine_must(loop_open_uv(&m->loop, &why), &why);
    machine_must(net_listen(&m->listener, m->loop, "127.0.0.1:0", machine_accept, m, &why), &why);
    m->port = listener_port(m->listener);
}

/* `pki`, `password`, `counters` and `step_ms` are set. After node_open, if there is a node: it seeds the hash tables. */
static inline void machine_begin(struct ua_machine *m)
{
    machine_raise(m);
    if (m->step_ms)
        machine_run(m);
    assert_int_equal(pthread_create(&m->thread, NULL, machine_loop, m->loop), 0);
}

static inline void machine_leave(struct ua_machine *m)
{
    machine_rest(m);
    machine_lower(m);
    listener_close(m->listener);
}

static inline void machine_end(struct ua_machine *m)
{
    machine_do(m, machine_leave);
    loop_stop(m->loop);
    (void)pthread_join(m->thread, NULL);
    loop_close(m->loop);
}
