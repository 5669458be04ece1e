/* nab.c - runs a detection model over one file of the Numenta Anomaly Benchmark, through detect/detect.h alone.
 *
 *   nab kde|fieldgate HISTORY IN.csv OUT.csv     one setting for all files
 *
 * IN has the columns timestamp,value; OUT gets timestamp,value,score. The score is surprise/(surprise + 10), 0 while
 * learning: a threshold on it is a choice of confidence, the same for all files. The run itself has confidence 100, which flags
 * nothing, so kde's cut of flagged values (kde.h, masking) is not in it. Prints the nanoseconds of processor time an
 * event took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "detect/detect.h"

enum { ROWS_MAX = 100000 };

struct row {
    char time[32];
    int64_t ticks;
    double value, score;
};

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    year -= month <= 2;
    int era = year / 400, of_era = year - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static size_t read_rows(const char *path, struct row *rows)
{
    char line[256];
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f)) {
        perror(path);
        exit(1);
    }
    size_t n = 0;
    for (; n < ROWS_MAX && fgets(line, sizeof line, f); n++) {
        struct row *r = &rows[n];
        int y, mo, d, h, mi, s;
        char *comma = strchr(line, ',');
        if (!comma || comma - line >= (int)sizeof r->time ||
            sscanf(line, "%d-%d-%d %d:%d:%d", &y, &mo, &d, &h, &mi, &s) != 6) {
            fprintf(stderr, "%s: line %zu is not timestamp,value\n", path, n + 2);
            exit(1);
        }
        memcpy(r->time, line, (size_t)(comma - line));
        r->ticks = (((days_of(y, mo, d) * 24 + h) * 60 + mi) * 60 + s) * DETECT_SECOND;
        r->value = strtod(comma + 1, NULL);
    }
    fclose(f);
    return n;
}

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double score_rows(struct detect_config c, struct row *rows, size_t n)
{
    struct detect_model *m;
    struct detect_result r;
    struct fault why;
    if (detect_prepare(&c, &why) || detect_create(&c, &m)) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    double start = cpu_ns();
    for (size_t i = 0; i < n; i++) {
        if (detect_observe(m, rows[i].ticks, rows[i].value, false, &r))
            abort();
        rows[i].score = r.state == DETECT_READY ? r.surprise / (r.surprise + 10) : 0;
    }
    double ns = cpu_ns() - start;
    detect_destroy(m);
    return ns / (double)n;
}

int main(int argc, char **argv)
{
    static struct row rows[ROWS_MAX];
    if (argc != 5) {
        fprintf(stderr, "usage: nab kde|fieldgate HISTORY IN.csv OUT.csv\n");
        return 2;
    }
    struct detect_config c = {
        .algorithm = strcmp(argv[1], "kde") ? DETECT_FIELDGATE : DETECT_KDE,
        .mode = DETECT_SPIKES_AND_DIPS,
        .confidence = 100,
        .history_size = (uint32_t)strtoul(argv[2], NULL, 10),
        .duration = DETECT_DURATION_MAX,
    };
    size_t n = read_rows(argv[3], rows);
    double ns = score_rows(c, rows, n);
    FILE *out = fopen(argv[4], "w");
    if (!out) {
        perror(argv[4]);
        return 1;
    }
    fputs("timestamp,value,score\n", out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s,%.17g,%.9f\n", rows[i].time, rows[i].value, rows[i].score);
    if (fclose(out)) {
        perror(argv[4]);
        return 1;
    }
    printf("%zu %.1f\n", n, ns);
    return 0;
}
