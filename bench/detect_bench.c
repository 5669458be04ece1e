/* detect_bench.c - what one event costs a detection model: nanoseconds of processor time, scored and learned, on a noisy
 * daily curve with a spike now and then.
 *
 *   detect_bench            both models, both functions, history 60, 600, 6000; and bytes per model
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "detect/detect.h"

enum { EVENTS = 400000 };

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double *series(void)
{
    double *v = malloc(EVENTS * sizeof *v);
    uint64_t x = 1;
    if (!v)
        abort();
    for (int i = 0; i < EVENTS; i++) {
        double sum = 0;
        for (int k = 0; k < 12; k++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(x >> 11) * 0x1p-53;
        }
        v[i] = 20 + 5 * sin(i * 2 * M_PI / 1440) + (sum - 6) + (i % 5000 == 4999 ? 15 : 0);
    }
    return v;
}

static void run(const char *name, struct detect_config c, const double *v)
{
    struct detect_model *m;
    struct detect_result r;
    if (detect_prepare(&c, NULL) || detect_create(&c, &m))
        abort();
    uint32_t flagged = 0;
    double start = 0;
    int learn = EVENTS / 4;
    for (int i = 0; i < EVENTS; i++) {
        if (i == learn)
            start = cpu_ns();
        if (detect_observe(m, i * 60 * DETECT_SECOND, v[i], false, &r))
            abort();
        flagged += r.is_anomaly;
    }
    double ns = (cpu_ns() - start) / (EVENTS - learn);
    printf("%-10s %-12s %8u %10.0f %12.2f %10zu %9u\n", name, c.kind ? "ChangePoint" : "SpikeAndDip",
           c.history_size, ns, 1e3 / ns, detect_bytes(m), flagged);
    detect_destroy(m);
}

int main(void)
{
    double *v = series();
    const uint32_t history[] = {60, 600, 6000};
    printf("%-10s %-12s %8s %10s %12s %10s %9s\n", "model", "function", "history", "ns/event", "M events/s",
           "bytes", "flagged");
    for (int kind = 0; kind < 2; kind++) {
        for (int a = 0; a < 2; a++) {
            for (int i = 0; i < 3; i++) {
                struct detect_config c = {.algorithm = (enum detect_algorithm)a,
                                          .kind = (enum detect_kind)kind,
                                          .mode = DETECT_SPIKES_AND_DIPS,
                                          .confidence = 99.9,
                                          .history_size = history[i],
                                          .duration = DETECT_DURATION_MAX};
                run(a == DETECT_KDE ? "kde" : "fieldgate", c, v);
            }
        }
    }
    free(v);
    return 0;
}
