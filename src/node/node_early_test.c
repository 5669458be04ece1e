/* node_early_test.c - signals that come while a node is still being opened. */
#include "node/node.h"

#include "mqtt/topic.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct node *node;
static char home[64];
static _Atomic unsigned rereads;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static enum code load(void *ctx, const struct settings **out, struct settings_report *report, struct fault *why)
{
    char text[256];
    struct settings_source source = { .filter_valid = topic_filter_valid };
    (void)ctx;
    (void)snprintf(text, sizeof text, "data: %s/data\nloops: 2\nlisteners:\n  - { type: mqtt, at: [\"127.0.0.1:0\"] }\n", home);
    return settings_parse(out, &io_system, &source, "test.yaml", bytes_str(text), report, why);
}

static enum code reread(void *ctx, const struct settings **out, struct settings_report *report, struct fault *why)
{
    atomic_fetch_add(&rereads, 1);
    node_stop(node);
    return load(ctx, out, report, why);
}

/* The first file that is looked at: no loop is there yet. */
static int hang_up_then_mkdir(void *self, const char *path)
{
    struct timespec while_it_is_seen = { .tv_nsec = 100000000 };
    (void)self;
    (void)kill(getpid(), SIGHUP);
    (void)nanosleep(&while_it_is_seen, NULL);
    return io_system.mkdir(io_system.self, path);
}

static void a_hang_up_while_it_opens_is_a_reload_when_it_runs(void **state)
{
    const struct settings *settings;
    struct fault why;
    struct io io = io_system;
    (void)state;
    (void)snprintf(home, sizeof home, "/tmp/fg-early-XXXXXX");
    assert_non_null(mkdtemp(home));
    io.mkdir = hang_up_then_mkdir;
    assert_int_equal(load(NULL, &settings, NULL, &why), CODE_OK);
    struct node_options options = { .settings = settings, .io = &io, .version = "test", .signals = true, .reread = reread };
    assert_int_equal(node_open(&node, &options, &why), CODE_OK);
    assert_int_equal(atomic_load(&rereads), 0);
    (void)alarm(20); /* it never comes */
    assert_int_equal(node_run(node, &why), CODE_OK);
    (void)alarm(0);
    assert_int_equal(atomic_load(&rereads), 1);
    node_close(node);
    settings_free(settings);
    (void)nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hang_up_while_it_opens_is_a_reload_when_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
