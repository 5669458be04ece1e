/* loop_test.c - what only real sockets, real time and real threads can show. */
#include "net/net_test_rig.h"

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_us(void)
{
    return io_system.monotonic_us(io_system.self);
}

static int dial_raw(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void stop_now(struct timer *t)
{
    struct rig *r = (struct rig *)(void *)((char *)t - offsetof(struct rig, guard));
    loop_stop(r->loop);
}

/* Lets the loop run for a while. */
static void rig_run_ms(struct rig *r, int64_t ms)
{
    timer_start(r->loop, &r->guard, ms, stop_now);
    loop_run(r->loop);
}

static void ignore_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    buf_add_bytes(conn_out(c), in);
    return in.len;
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = ignore_close };

/* ---- time ---- */

struct alarm {
    struct timer timer;
    struct rig  *rig;
    int64_t      started, delay_ms, late_us;
    unsigned     rank;
};
static unsigned rank;

static void on_alarm(struct timer *t)
{
    struct alarm *a = (struct alarm *)(void *)t;
    a->late_us = clock_us() - a->started - a->delay_ms * 1000;
    a->rank = ++rank;
    if (rank == 5)
        loop_stop(a->rig->loop);
}

static void timers_fire_late_never_early_and_in_order(void **state)
{
    struct rig r;
    static const int64_t delays[] = { 90, 0, 35, 35, 700 };
    struct alarm a[6] = { 0 };
    (void)state;
    rig_open(&r, false, 0);
    rank = 0;
    usleep(30000); /* the loop has not read its clock since it was opened */
    for (int i = 0; i < 6; i++) {
        a[i].rig = &r;
        a[i].started = clock_us();
        a[i].delay_ms = i < 5 ? delays[i] : 50;
        timer_start(r.loop, &a[i].timer, a[i].delay_ms, on_alarm);
    }
    timer_stop(r.loop, &a[5].timer);
    assert_false(timer_running(&a[5].timer));
    rig_run(&r);
    for (int i = 0; i < 5; i++)
        assert_true(a[i].late_us >= 0 && a[i].late_us < 500000);
    static const int order[] = { 1, 2, 3, 0, 4 };
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(a[order[i]].rank, i + 1);
    assert_int_equal(a[5].rank, 0);
    /* One that still runs when the loop closes is forgotten, so that it may be stopped later. */
    timer_start(r.loop, &a[5].timer, 1000, on_alarm);
    rig_close(&r);
    assert_false(timer_running(&a[5].timer));
}

static unsigned turns;

static void count_turn(void *ctx)
{
    (void)ctx;
    turns++;
}

static size_t hold_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    (void)in;
    conn_read_pause(c);
    return 0;
}

static void a_loop_without_work_sleeps(void **state)
{
    struct rig r;
    static const struct conn_events hold = { .on_bytes = hold_bytes, .on_close = ignore_close };
    struct timer far_away = { 0 };
    static char much[200000];
    (void)state;
    rig_open(&r, false, 0);
    loop_set_turn(r.loop, count_turn, NULL);
    r.events = &hold; /* unread bytes, unsent bytes and a peer that is gone must not keep it awake */
    timer_start(r.loop, &far_away, 90000, stop_now);
    int fd = dial_raw(listener_port(r.listener)), gone = dial_raw(listener_port(r.listener));
    assert_true(write(fd, much, sizeof much) > 0);
    assert_true(write(gone, much, 10) > 0);
    rig_run_ms(&r, 50);
    close(gone);
    conn_send_ref(r.accepted, bytes_of(much, 100), NULL, NULL);
    rig_run_ms(&r, 50);
    turns = 0;
    rig_run_ms(&r, 400);
    assert_true(turns < 20);
    close(fd);
    rig_close(&r);
}

struct reader {
    struct timer timer;
    struct rig  *rig;
    int          fd;
    size_t       got, want;
};

static void read_some(struct timer *t)
{
    struct reader *me = (struct reader *)(void *)t;
    static char to[300000];
    ssize_t n = recv(me->fd, to, sizeof to, MSG_DONTWAIT);
    me->got += n > 0 ? (size_t)n : 0;
    if (me->got == me->want)
        loop_stop(me->rig->loop);
    else
        timer_start(me->rig->loop, t, 0, read_some);
}

static void a_connection_that_had_to_wait_for_its_reader_sleeps_again(void **state)
{
    struct rig r;
    static char much[8000000];
    (void)state;
    rig_open(&r, false, 0);
    loop_set_turn(r.loop, count_turn, NULL);
    r.events = &echo_events;
    struct reader reader = { .rig = &r, .fd = dial_raw(listener_port(r.listener)), .want = sizeof much };
    rig_run_ms(&r, 30);
    conn_send_ref(r.accepted, bytes_of(much, sizeof much), NULL, NULL);
    timer_start(r.loop, &reader.timer, 50, read_some);
    rig_run(&r);
    assert_int_equal(reader.got, sizeof much);
    turns = 0;
    rig_run_ms(&r, 300);
    assert_true(turns < 20);
    close(reader.fd);
    rig_close(&r);
}

/* ---- letters ---- */

enum { LETTERS = 2000 };

struct note {
    struct letter letter;
    unsigned      number;
    unsigned     *next, *wrong;
};

static void open_note(struct letter *l, struct loop *here)
{
    struct note *n = (struct note *)(void *)l;
    *n->wrong += n->number != *n->next;
    (*n->next)++;
    if (n->number == LETTERS - 1)
        loop_stop(here);
    free(n);
}

static unsigned next_number, wrong_number;

static void post_all(struct loop *l, bool slowly)
{
    for (unsigned i = 0; i < LETTERS; i++) {
        struct note *n = calloc(1, sizeof *n);
        *n = (struct note){ { NULL, open_note }, i, &next_number, &wrong_number };
        loop_post(l, &n->letter);
        if (slowly && i % 100 == 0)
            usleep(500); /* so that it falls asleep in between */
    }
}

static void *post_from_there(void *loop)
{
    post_all(loop, true);
    return NULL;
}

static void letters_are_opened_in_the_order_posted(void **state)
{
    struct rig r;
    pthread_t thread;
    (void)state;
    rig_open(&r, false, 0);
    next_number = wrong_number = 0;
    post_all(r.loop, false);
    rig_run(&r);
    assert_int_equal(next_number, LETTERS);
    next_number = 0;
    assert_int_equal(pthread_create(&thread, NULL, post_from_there, r.loop), 0);
    rig_run(&r);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(next_number, LETTERS);
    assert_int_equal(wrong_number, 0);
    /* A letter that was never opened is, when the loop closes: it owns what it carries. */
    next_number = 0;
    post_all(r.loop, false);
    rig_close(&r);
    assert_int_equal(next_number, LETTERS);
}

static void a_loop_with_a_letter_does_not_fall_asleep(void **state)
{
    struct rig r;
    struct note *n = calloc(1, sizeof *n);
    (void)state;
    rig_open(&r, false, 0);
    next_number = wrong_number = 0;
    *n = (struct note){ { NULL, open_note }, 0, &next_number, &wrong_number };
    assert_true(loop_may_sleep(r.loop));
    loop_awake(r.loop);
    /* The letter that comes after the last look into the inbox, and before the sleep. */
    loop_post(r.loop, &n->letter);
    assert_false(loop_may_sleep(r.loop));
    rig_close(&r);
}

static void *stop_from_there(void *loop)
{
    usleep(50000);
    loop_stop(loop);
    return NULL;
}

static void a_loop_can_be_stopped_from_elsewhere_and_run_again(void **state)
{
    struct rig r;
    pthread_t thread;
    (void)state;
    rig_open(&r, false, 0);
    for (int i = 0; i < 3; i++) {
        int64_t start = clock_us();
        assert_int_equal(pthread_create(&thread, NULL, stop_from_there, r.loop), 0);
        rig_run(&r);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(clock_us() - start >= 50000);
    }
    rig_close(&r);
}

/* ---- many connections, on two loops ---- */

enum { STORM = 200, STORM_ROUNDS = 20 };

struct caller {
    struct rig  *rig;
    struct conn *conn;
    unsigned     got, closes;
};
static unsigned storm_open, storm_done;

static void caller_send(struct conn *c)
{
    for (int i = 0; i < 100; i++)
        buf_printf(conn_out(c), "%07d\n", i);
}

static void caller_open(void *ctx, struct conn *c)
{
    (void)ctx;
    storm_open++;
    caller_send(c);
}

static size_t caller_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct caller *me = ctx;
    size_t used = 0;
    for (; in.len - used >= 8; used += 8) {
        char line[9] = { 0 };
        memcpy(line, in.at + used, 8);
        assert_int_equal(atoi(line), me->got % 100);
        me->got++;
        if (me->got % 100 == 0 && me->got < 100 * STORM_ROUNDS)
            caller_send(c);
        if (me->got == 100 * STORM_ROUNDS)
            conn_close(c, true);
    }
    return used;
}

static void caller_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct caller *me = ctx;
    (void)c;
    assert_null(why);
    assert_int_equal(++me->closes, 1);
    if (++storm_done == STORM)
        loop_stop(me->rig->loop);
}

static const struct conn_events caller_events = {
    .on_bytes = caller_bytes, .on_close = caller_close, .on_open = caller_open
};

static struct loop *second;
static unsigned storm_accepts;

struct parcel {
    struct letter   letter;
    struct net_peer peer;
};

static void take_parcel(struct letter *l, struct loop *here)
{
    struct parcel *p = (struct parcel *)(void *)l;
    struct conn *c;
    struct fault why;
    rig_ok(conn_open(&c, here, &p->peer, &echo_events, NULL, &why), &why);
    free(p);
}

static void share_out(void *ctx, const struct net_peer *peer)
{
    struct rig *r = ctx;
    struct conn *c;
    struct fault why;
    assert_true(peer->loopback);
    assert_int_equal(strncmp(peer->address, "127.0.0.1:", 10), 0);
    assert_true(peer->uid == UINT32_MAX);
    int on = 0;
    socklen_t n = sizeof on;
    assert_int_equal(getsockopt(peer->handle, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
    assert_int_equal(on, 1); /* inherited from the listening socket */
    if (storm_accepts++ % 2) {
        rig_ok(conn_open(&c, r->loop, peer, &echo_events, NULL, &why), &why);
        return;
    }
    struct parcel *p = calloc(1, sizeof *p);
    p->letter.open = take_parcel;
    p->peer = *peer;
    loop_post(second, &p->letter);
}

static void *run_second(void *ctx)
{
    (void)ctx;
    loop_run(second);
    return NULL;
}

static void two_hundred_connections_on_two_loops(void **state)
{
    struct rig r;
    struct fault why;
    pthread_t thread;
    static struct caller callers[STORM];
    (void)state;
    rig_open(&r, false, 0);
    listener_close(r.listener);
    rig_ok(net_listen(&r.listener, r.loop, "127.0.0.1:0", share_out, &r, &why), &why);
    rig_ok(loop_open_uv(&second, &why), &why);
    storm_open = storm_done = storm_accepts = 0;
    memset(callers, 0, sizeof callers);
    assert_int_equal(pthread_create(&thread, NULL, run_second, NULL), 0);
    for (int i = 0; i < STORM; i++) {
        callers[i].rig = &r;
        callers[i].conn = rig_dial(&r, &caller_events, &callers[i]);
    }
    rig_run(&r);
    loop_stop(second);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(storm_open, STORM);
    assert_int_equal(storm_accepts, STORM);
    loop_close(second);
    rig_close(&r);
}

/* ---- listening ---- */

static void a_taken_port_is_told_with_its_owner(void **state)
{
    struct rig r;
    struct fault why;
    struct listener *l;
    char at[128], owner[64];
    (void)state;
    rig_open(&r, false, 0);
    (void)snprintf(at, sizeof at, "%s", listener_address(r.listener));
    assert_int_equal(net_listen(&l, r.loop, at, rig_accept, &r, &why), CODE_EXISTS);
    assert_int_equal(why.number, 1002);
    (void)snprintf(owner, sizeof owner, "(pid %ld). ", (long)getpid());
    assert_non_null(strstr(why.text, owner));
    assert_int_equal(strncmp(why.text, "FG1002 127.0.0.1:", 17), 0);
    rig_close(&r);
}

static void an_address_that_is_none_is_the_persons_mistake(void **state)
{
    static const char *const bad[] = {
        "",          "1883",         "127.0.0.1",     "127.0.0.1:", "127.0.0.1:65536", "localhost:1",
        "[::1]",     "::1:1883",     "[::1:1883",     "[::1]]:1",   "127.0.0.1:18x",   "1.2.3:4",
        "256.0.0.1:1", "127.0.0.1:-1", "unix:relative",
    };
    struct rig r;
    struct fault why;
    struct listener *l;
    (void)state;
    rig_open(&r, false, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (net_listen(&l, r.loop, bad[i], rig_accept, &r, &why) != CODE_USAGE)
            fail_msg("'%s' was taken for an address", bad[i]);
    char longest[200] = "unix:/";
    memset(longest + 6, 'x', 120);
    assert_int_equal(net_listen(&l, r.loop, longest, rig_accept, &r, &why), CODE_USAGE);
    assert_int_equal(net_listen(&l, r.loop, "192.0.2.1:1", rig_accept, &r, &why), CODE_IO);
    rig_close(&r);
}

static struct net_peer last_peer;

static void keep_peer(void *ctx, const struct net_peer *peer)
{
    struct rig *r = ctx;
    last_peer = *peer;
    net_peer_refuse(peer);
    loop_stop(r->loop);
}

static void a_unix_socket_is_ours_alone_and_names_its_peer(void **state)
{
    struct rig r;
    struct fault why;
    struct listener *l, *again;
    struct stat st;
    struct conn *c;
    struct caller *nobody = NULL;
    char folder[] = "/tmp/fg-loop-XXXXXX", path[64], at[80];
    (void)state;
    (void)nobody;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/api.sock", folder);
    (void)snprintf(at, sizeof at, "unix:%s", path);
    mode_t old = umask(0);
    /* A stale one is replaced. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    memcpy(a.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    rig_open(&r, false, 0);
    rig_ok(net_listen(&l, r.loop, at, keep_peer, &r, &why), &why);
    (void)umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_string_equal(listener_address(l), at);
    /* One that is served is not. */
    assert_int_equal(net_listen(&again, r.loop, at, keep_peer, &r, &why), CODE_EXISTS);
    assert_int_equal(why.number, 1002);
    static const struct conn_events quiet = { .on_bytes = echo_bytes, .on_close = ignore_close };
    rig_ok(conn_dial(&c, r.loop, at, 0, &quiet, NULL, &why), &why);
    while (last_peer.uid != getuid() || last_peer.address[0] != 'u')
        rig_run(&r);
    assert_string_equal(last_peer.address, "unix");
    assert_true(last_peer.loopback);
    assert_int_equal(last_peer.uid, getuid());
    rig_close(&r);
    assert_int_equal(stat(path, &st), -1); /* removed */
    /* A file that is no socket stays. */
    FILE *f = fopen(path, "w");
    fclose(f);
    rig_open(&r, false, 0);
    assert_int_equal(net_listen(&l, r.loop, at, keep_peer, &r, &why), CODE_EXISTS);
    assert_int_equal(stat(path, &st), 0);
    rig_close(&r);
    (void)unlink(path);
    (void)rmdir(folder);
}

static char logged[400];

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)snprintf(logged, sizeof logged, "%s", line);
}

static void without_descriptors_accepting_pauses_and_goes_on(void **state)
{
    struct rig r;
    struct rlimit was, low;
    (void)state;
    rig_open(&r, false, 0);
    r.events = &echo_events;
    int a = dial_raw(listener_port(r.listener));
    int top = dup(a);
    close(top);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    low = was;
    low.rlim_cur = (rlim_t)top;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    log_set_sink(keep_line, NULL);
    rig_run_ms(&r, 250);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    log_set_sink(NULL, NULL);
    assert_int_equal(r.accepts, 0);
    assert_non_null(strstr(logged, "Too many open files"));
    rig_run_ms(&r, 250);
    assert_int_equal(r.accepts, 1);
    char got[3];
    assert_int_equal(write(a, "abc", 3), 3);
    rig_run_ms(&r, 50);
    assert_int_equal(read(a, got, 3), 3);
    close(a);
    rig_close(&r);
}

static void a_name_and_ipv6_can_be_dialled(void **state)
{
    struct rig r;
    struct fault why;
    struct listener *six;
    static struct caller caller[2];
    struct conn *c;
    (void)state;
    rig_open(&r, false, 0);
    r.events = &echo_events;
    memset(caller, 0, sizeof caller);
    storm_open = 0;
    storm_done = STORM - 1;
    caller[0].rig = &r;
    rig_ok(conn_dial(&c, r.loop, "localhost", listener_port(r.listener), &caller_events, &caller[0], &why),
           &why);
    rig_run(&r);
    assert_int_equal(caller[0].got, 100 * STORM_ROUNDS);
    if (net_listen(&six, r.loop, "[::1]:0", rig_accept, &r, &why) == CODE_OK) {
        assert_int_equal(strncmp(listener_address(six), "[::1]:", 6), 0);
        storm_done = STORM - 1;
        caller[1].rig = &r;
        rig_ok(conn_dial(&c, r.loop, "::1", listener_port(six), &caller_events, &caller[1], &why), &why);
        rig_run(&r);
        assert_int_equal(caller[1].got, 100 * STORM_ROUNDS);
    } else {
        print_message("no IPv6 here: %s\n", why.text);
    }
    rig_close(&r);
}

struct ending {
    struct rig  *rig;
    unsigned     closes;
    struct fault why;
};

static void ending_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct ending *e = ctx;
    (void)c;
    e->closes++;
    e->why = *why;
    loop_stop(e->rig->loop);
}

static const struct conn_events ending_events = { .on_bytes = echo_bytes, .on_close = ending_close };

/* A label of more than 63 bytes: the resolver knows without asking anybody. */
#define NO_NAME "a-label-that-is-longer-than-any-label-of-a-name-in-the-internet-may-be.invalid"

static void a_name_that_does_not_exist_ends_in_on_close(void **state)
{
    struct rig r;
    struct fault why;
    struct conn *c;
    struct ending e = { .rig = &r };
    (void)state;
    rig_open(&r, false, 0);
    rig_ok(conn_dial(&c, r.loop, NO_NAME, 1883, &ending_events, &e, &why), &why);
    rig_run(&r);
    assert_int_equal(e.closes, 1);
    assert_int_equal(e.why.code, CODE_IO);
    /* Closed while it is being looked up. */
    rig_ok(conn_dial(&c, r.loop, NO_NAME, 1883, &ending_events, &e, &why), &why);
    rig_close(&r);
    assert_int_equal(e.closes, 2);
    assert_int_equal(e.why.code, CODE_CLOSED);
}

/* ---- the last bytes ---- */

static size_t refuse_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    buf_add(conn_out(c), "go away", 7);
    conn_close(c, true);
    return in.len / 2;
}

static void last_words_reach_a_peer_that_is_still_talking(void **state)
{
    struct rig r;
    static const struct conn_events refuse = { .on_bytes = refuse_bytes, .on_close = ignore_close };
    static char much[300000];
    char got[20] = { 0 };
    (void)state;
    rig_open(&r, false, 0);
    r.events = &refuse;
    for (int i = 0; i < 10; i++) {
        int fd = dial_raw(listener_port(r.listener));
        assert_true(send(fd, much, sizeof much, MSG_DONTWAIT) > 0);
        rig_run_ms(&r, 30);
        assert_int_equal(recv(fd, got, sizeof got, 0), 7); /* and not a reset */
        assert_memory_equal(got, "go away", 7);
        assert_int_equal(recv(fd, got, sizeof got, 0), 0);
        close(fd);
    }
    rig_close(&r);
}

static void bytes_that_came_before_a_reset_are_not_made_up(void **state)
{
    struct rig r;
    struct ending e = { .rig = &r };
    (void)state;
    rig_open(&r, false, 0);
    r.events = &ending_events;
    r.ctx = &e;
    int fd = dial_raw(listener_port(r.listener));
    struct linger at_once = { 1, 0 };
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
    rig_run(&r);
    assert_int_equal(e.closes, 1);
    assert_int_equal(e.why.code, CODE_IO);
    assert_int_equal(e.why.sys_errno, ECONNRESET);
    rig_close(&r);
}

/* ---- what an idle connection costs ---- */

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define PLAIN_HEAP 1
#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef PLAIN_HEAP
#endif
#endif
#endif

/* Connects [from, to), and lets each send and receive something, in one burst. */
static void make_busy(struct rig *r, int *fds, int from, int to)
{
    char text[40] = "some bytes so that it has been busy";
    for (int i = from; i < to; i++)
        fds[i] = dial_raw(listener_port(r->listener));
    rig_run_ms(r, 60);
    for (int i = from; i < to; i++)
        assert_true(write(fds[i], text, sizeof text) == sizeof text);
    rig_run_ms(r, 60);
    for (int i = from; i < to; i++)
        assert_int_equal(recv(fds[i], text, sizeof text, MSG_DONTWAIT), sizeof text);
}

static void an_idle_connection_costs_less_than_450_bytes(void **state)
{
    enum { FIRST = 150, MANY = 450 };
    struct rig r;
    int fds[MANY];
    (void)state;
    rig_open(&r, false, 0);
    r.events = &echo_events;
    make_busy(&r, fds, 0, FIRST); /* fills pools and tables */
    uint64_t before = mem_in_use();
    make_busy(&r, fds, FIRST, MANY);
    uint64_t each = (mem_in_use() - before) / (MANY - FIRST);
    assert_int_equal(r.accepts, MANY);
    print_message("%llu bytes of heap per idle connection\n", (unsigned long long)each);
#ifdef PLAIN_HEAP
    assert_true(each < 450);
#endif
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    rig_run_ms(&r, 60);
    rig_close(&r);
}

/* ---- long polls ---- */

enum { SLOW = 6 };
static unsigned slow_seen, slow_turns, turns_between;

static size_t slow_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct timespec work = { .tv_nsec = 2000000 };
    (void)c;
    if (slow_seen++ == 0)
        slow_turns = 0;
    (void)nanosleep(&work, NULL);
    if (slow_seen == SLOW) {
        turns_between = slow_turns;
        loop_stop(((struct rig *)ctx)->loop);
    }
    return in.len;
}

static void slow_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx, (void)c, (void)why;
}

static void slow_turn(void *ctx)
{
    (void)ctx;
    slow_turns++;
}

static const struct conn_events slow_events = { .on_bytes = slow_bytes, .on_close = slow_close };
static const struct conn_events quiet_events = { .on_close = slow_close };

/* What the first one answered does not wait until the last one was read, even when one poll brought them all. */
static void a_poll_that_takes_long_is_several_turns(void **state)
{
    struct rig r;
    struct conn *conns[SLOW];
    (void)state;
    rig_open(&r, false, 0);
    r.events = &slow_events;
    r.ctx = &r;
    slow_seen = 0;
    for (int i = 0; i < SLOW; i++)
        conns[i] = rig_dial(&r, &quiet_events, NULL);
    for (int i = 0; i < SLOW; i++)
        buf_u8(conn_out(conns[i]), 1);
    loop_set_turn(r.loop, slow_turn, NULL);
    rig_run(&r);
    assert_true(turns_between >= SLOW - 1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poll_that_takes_long_is_several_turns),
        cmocka_unit_test(timers_fire_late_never_early_and_in_order),
        cmocka_unit_test(a_loop_without_work_sleeps),
        cmocka_unit_test(a_connection_that_had_to_wait_for_its_reader_sleeps_again),
        cmocka_unit_test(a_loop_with_a_letter_does_not_fall_asleep),
        cmocka_unit_test(letters_are_opened_in_the_order_posted),
        cmocka_unit_test(a_loop_can_be_stopped_from_elsewhere_and_run_again),
        cmocka_unit_test(two_hundred_connections_on_two_loops),
        cmocka_unit_test(a_taken_port_is_told_with_its_owner),
        cmocka_unit_test(an_address_that_is_none_is_the_persons_mistake),
        cmocka_unit_test(a_unix_socket_is_ours_alone_and_names_its_peer),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_goes_on),
        cmocka_unit_test(a_name_and_ipv6_can_be_dialled),
        cmocka_unit_test(a_name_that_does_not_exist_ends_in_on_close),
        cmocka_unit_test(last_words_reach_a_peer_that_is_still_talking),
        cmocka_unit_test(bytes_that_came_before_a_reset_are_not_made_up),
        cmocka_unit_test(an_idle_connection_costs_less_than_450_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
