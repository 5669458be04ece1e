/* Telemetry for bench/sql.sh: N lines of JSON, about 190 bytes each, 100 devices, 500 events a second of event time. The same every time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state = 88172645463325252u;

static double draw(void) /* 0..1 */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    for (long i = 0; i < n; i++) {
        time_t second = 1704067200 + i / 500;
        char when[32];
        struct tm tm;
        gmtime_r(&second, &tm);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
        printf("{\"deviceId\":\"device-%03ld\",\"time\":\"%s.%03ldZ\",\"temperature\":%.2f,\"humidity\":%.1f,\"pressure\":%d,\"status\":\"%s\","
               "\"line\":\"line-%ld\",\"seq\":%ld,\"vibration\":[%.3f,%.3f,%.3f]}\n",
               i % 100, when, i % 500 * 2, 20 + draw() * 10, 40 + draw() * 20, 1000 + (int)(draw() * 30), draw() < 0.2 ? "warn" : "ok", i % 7,
               i, draw(), draw(), draw());
    }
    return 0;
}
