/* linger_test.c - who was told goodbye and does not leave costs a descriptor: not without a bound. */
#include "net/net_test_rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS = 350, MOST = 256 /* UV_LINGERERS */, OTHERS = 16 };

static struct rig r;
static unsigned closes;

static size_t ignore(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx, (void)c;
    return in.len;
}

static void closed(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx, (void)c, (void)why;
    if (++closes == PEERS)
        loop_stop(r.loop);
}

static const struct conn_events events = { .on_bytes = ignore, .on_close = closed };

static void accept_and_close(void *ctx, const struct net_peer *peer)
{
    struct fault why;
    struct conn *c;
    (void)ctx;
    rig_ok(conn_open(&c, r.loop, peer, &events, NULL, &why), &why);
    conn_close(c, true);
}

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

static void those_who_do_not_leave_are_bounded(void **state)
{
    struct fault why;
    int peers[PEERS];
    (void)state;
    rig_open(&r, false, 1);
    listener_close(r.listener);
    rig_ok(net_listen(&r.listener, r.loop, "127.0.0.1:0", accept_and_close, NULL, &why), &why);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(listener_port(r.listener)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int before = open_files();
    for (int i = 0; i < PEERS; i++) {
        peers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(peers[i], (struct sockaddr *)&at, sizeof at), 0);
    }
    rig_run(&r);
    int held = open_files() - before - PEERS;
    assert_true(held > 0 && held <= MOST + OTHERS);
    for (int i = 0; i < PEERS; i++) /* all were told */
        assert_int_equal(recv(peers[i], &(char){ 0 }, 1, 0), 0);
    for (int i = 0; i < PEERS; i++)
        (void)close(peers[i]);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_do_not_leave_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
