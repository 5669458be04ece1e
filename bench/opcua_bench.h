/* opcua_bench.h - what the two programs of the OPC UA benchmark share: options, processor time, our certificate. */
#pragma once

#include "base/io.h"
#include "base/mem.h"
#include "net/loop.h"
#include "opcua/pki.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { ITEMS_MAX = 10000 };

static struct options {
    const char *url, *policy, *data;
    int items, every_ms, publish_ms, seconds, batch, mode, pid;
} o = { .items = 1000, .every_ms = 10, .publish_ms = 10, .seconds = 5, .batch = 1000, .mode = 1, .policy = "None", .data = "." };

static struct loop *loop;
static struct ua_pki *pki; /* NULL: without security */
static struct fault why;

static inline void must(enum code c, const char *what)
{
    if (c == CODE_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, why.text);
    exit(1);
}

static inline double cpu_us(void)
{
    struct rusage r;
    (void)getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* A figure of a file as /proc/self/status, in KiB. */
static inline long kib_of(const char *path, const char *name)
{
    char text[8192];
    if (!io_read_text(&io_system, path, text, sizeof text))
        return 0;
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

/* Flags from argv[from] on, and what both need. */
static inline void begin(int argc, char **argv, int from)
{
    for (int i = from; i + 1 < argc; i += 2) {
        const char *k = argv[i] + 2, *v = argv[i + 1];
        const struct {
            const char *name;
            int        *to;
        } numbers[] = { { "items", &o.items },     { "every-ms", &o.every_ms }, { "publish-ms", &o.publish_ms },
                        { "seconds", &o.seconds }, { "batch", &o.batch },       { "mode", &o.mode },
                        { "pid", &o.pid } };
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
            if (!strcmp(k, numbers[n].name))
                *numbers[n].to = atoi(v);
        if (!strcmp(k, "policy"))
            o.policy = v;
        if (!strcmp(k, "data"))
            o.data = v;
    }
    must(loop_open_uv(&loop, &why), "loop");
}

static inline void certify(void)
{
    must(ua_pki_open(&pki, &io_system, o.data, NULL, &why), "certificate");
}
