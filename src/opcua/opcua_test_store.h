/* opcua_test_store.h - a trust store on a simulated disk, and a judgement that has to be as expected. */
#pragma once

#include "opcua/opcua_test_certs.h"
#include "opcua/status.h"
#include "opcua/trust.h"
#include "support/memfs.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct memfs *fs;
static struct ua_trust *trust;
static struct fault why;
static unsigned lines;

/* The simulated disk knows neither the number of a file nor when it was written: both are known from its renames. */
static struct io io;
static struct seen {
    char path[MEMFS_PATH];
    int64_t at_us;
} seen[256];
static size_t seen_count;

static inline int note_rename(void *self, const char *from, const char *to)
{
    size_t i = 0;
    while (i < seen_count && strcmp(seen[i].path, to) != 0)
        i++;
    assert_true(i < sizeof seen / sizeof *seen);
    seen_count += i == seen_count;
    (void)snprintf(seen[i].path, sizeof seen[i].path, "%s", to);
    seen[i].at_us = memfs_io(fs)->wall_us(self);
    return memfs_io(fs)->rename(self, from, to);
}

static inline int dated_stat(void *self, const char *path, struct io_stat *st)
{
    int r = memfs_io(fs)->stat(self, path, st);
    for (size_t i = 0; r == 0 && i < seen_count; i++)
        if (strcmp(seen[i].path, path) == 0)
            st->mtime_ns = seen[i].at_us * 1000;
    return r;
}

static inline void count_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
    lines++;
}

static inline int begin(void **state)
{
    (void)state;
    log_set_sink(count_line, NULL);
    lines = 0;
    fs = memfs_new(1);
    memfs_set_wall(fs, NOW_S * INT64_C(1000000));
    seen_count = 0;
    io = *memfs_io(fs);
    io.rename = note_rename;
    io.stat = dated_stat;
    peers_must(ua_trust_open(&trust, &io, "/pki", &why) == CODE_OK);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    ua_trust_close(trust);
    memfs_free(fs);
    log_set_sink(NULL, NULL);
    return 0;
}

static inline struct ua_trust_question server_question(void)
{
    return (struct ua_trust_question){.kind = UA_PEER_SERVER,
                                      .who = "opc.tcp://peer.lan:4840",
                                      .host = BYTES_LIT("peer.lan"),
                                      .uri = BYTES_LIT("urn:peer"),
                                      .wall_us = NOW_S * INT64_C(1000000)};
}

static inline void judged_as(struct ua_certificate *c, struct ua_trust_question q, ua_status status,
                             int number)
{
    assert_non_null(c);
    why = (struct fault){0};
    memfs_advance(fs, 1000);
    ua_status got = ua_trust_verify(trust, c, &q, &why);
    ua_certificate_drop(c);
    if (got != status)
        fail_msg("%s instead of %s: %s", ua_status_name(got), ua_status_name(status), why.text);
    assert_int_equal(why.number, number);
    if (number) {
        assert_non_null(strstr(why.text, q.who));
        assert_true(strlen(why.text) < sizeof why.text - 1); /* whole */
    }
}
