/* expr.c - what one core does per message: check a telemetry message of 190 bytes to its end and pick three fields out of it,
 * then filter by them. Message by message, as they come from the broker; processor time of this thread.
 *
 *   cc -O2 -std=c17 -D_GNU_SOURCE -Isrc -o expr_bench bench/expr.c build/libfg_expr.a build/libfg_base.a -lfyaml -lm */
#include "expr/expr.h"
#include "expr/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MESSAGES = 20000, ROUNDS = 50, RUNS = 5, PAD = 64 };

static uint8_t *bodies[MESSAGES];
static size_t lengths[MESSAGES];

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_messages(void)
{
    uint64_t seed = 42;
    size_t all = 0;
    for (unsigned i = 0; i < MESSAGES; i++) {
        char text[400];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t r = (uint32_t)(seed >> 33);
        int n = snprintf(text, sizeof text,
                         "{\"deviceId\":\"press-%02u\",\"ts\":\"2024-01-01T00:%02u:%02u.%03uZ\",\"seq\":%u,"
                         "\"temperature\":%.2f,"
                         "\"humidity\":%.1f,\"pressure\":%.3f,\"running\":%s,\"mode\":\"automatic\","
                         "\"vibration\":[%.3f,%.3f,%.3f]}",
                         r % 100, i / 60 % 60, i % 60, r % 1000, i + 100000, 15 + r % 2000 / 100.0,
                         30 + r % 300 / 10.0, 1000 + r % 30000 / 1000.0, r & 1 ? "true" : "false",
                         r % 700 / 1000.0, r % 311 / 1000.0, r % 977 / 1000.0);
        lengths[i] = (size_t)n;
        bodies[i] = calloc(1, (size_t)n + PAD);
        memcpy(bodies[i], text, (size_t)n);
        all += (size_t)n;
    }
    printf("%d messages of %.0f bytes\n", MESSAGES, (double)all / MESSAGES);
}

static void report(const char *what, double best, uint64_t hits)
{
    double events = (double)MESSAGES * ROUNDS;
    printf("%-44s %6.2f M events/s %6.0f ns, %.1f %% pass\n", what, events / best / 1e6, best / events * 1e9,
           100.0 * (double)hits / events);
}

static void read_and(const char *what, struct json_plan *plan, bool (*filter)(const struct value *))
{
    struct json_reader *r = json_reader_new(NULL);
    double best = 1e9;
    uint64_t hits = 0;
    for (int run = 0; run < RUNS; run++) {
        hits = 0;
        double from = cpu_s();
        for (int round = 0; round < ROUNDS; round++)
            for (unsigned i = 0; i < MESSAGES; i++) {
                const struct value *slots;
                if (json_read(r, plan, bytes_of(bodies[i], lengths[i]), true, NULL) || json_next(r, &slots))
                    abort();
                hits += filter(slots);
            }
        double took = cpu_s() - from;
        best = took < best ? took : best;
    }
    report(what, best, hits);
    json_reader_free(r);
}

/* ---- filters ---- */

static bool by_hand(const struct value *s)
{
    return s[0].type == VALUE_FLOAT && s[0].f > 25 && s[1].type == VALUE_FLOAT && s[1].f < 45;
}

static bool nothing(const struct value *s)
{
    (void)s;
    return true;
}

static const struct bytes names[] = {
    {(const uint8_t *)"temperature", 11}, {(const uint8_t *)"humidity", 8}, {(const uint8_t *)"deviceId", 8}};

/* The same condition as an expression, and what `SELECT deviceId, temperature` writes of those that pass. */
static struct expr *compiled;
static struct eval  eval;
static struct buf   output;

static bool by_expression(const struct value *s)
{
    bool pass = false;
    eval.slots = s;
    return expr_test(compiled, &eval, &pass) == CODE_OK && pass;
}

static bool and_write(const struct value *s)
{
    if (!by_expression(s))
        return false;
    buf_add(&output, "{\"deviceId\":", 12);
    value_write_json(&output, s[2]);
    buf_add(&output, ",\"temperature\":", 15);
    value_write_json(&output, s[0]);
    buf_add(&output, "}\n", 2);
    if (output.len > 60000)
        buf_reset(&output);
    return true;
}

static void resolve(struct ast *a)
{
    for (uint32_t i = 0; a->kind == AST_NAME && i < 3; i++)
        if (bytes_equal(a->name, names[i])) {
            a->kind = AST_SLOT;
            a->slot = i;
            a->part_count = 0;
        }
    for (uint32_t i = 0; i < a->arg_count; i++)
        resolve(a->args[i]);
}

static void compile(const char *text, struct arena *arena)
{
    struct parser p;
    struct ast *a;
    struct fault why;
    if (parser_begin(&p, bytes_str(text), arena, &why) || parse_expr(&p, &a))
        abort();
    resolve(a);
    if (expr_compile(&compiled, a, 3, &why))
        abort();
}

int main(void)
{
    struct arena arena, scratch;
    arena_init(&arena, NULL, 0, 1 << 20);
    arena_init(&scratch, NULL, 0, 1 << 20);
    eval.scratch = &scratch;
    make_messages();
    struct json_path three[] = { { &names[0], 1 }, { &names[1], 1 }, { &names[2], 1 } }, whole = { NULL, 0 };
    struct json_plan *some = json_plan_new(three, 3), *all = json_plan_new(&whole, 1), *none = json_plan_new(three, 0);
    read_and("checked to the end, nothing picked", none, nothing);
    read_and("three fields picked", some, nothing);
    read_and("three fields, filter written in C", some, by_hand);
    compile("temperature > 25 AND humidity < 45", &arena);
    read_and("three fields, WHERE of two conditions", some, by_expression);
    read_and("the same, two fields of those that pass written", some, and_write);
    compile("temperature * 1.8 + 32 > 77 AND deviceId LIKE 'press-%'", &arena);
    read_and("three fields, arithmetic and LIKE", some, by_expression);
    read_and("the whole event made", all, nothing);
    return 0;
}
