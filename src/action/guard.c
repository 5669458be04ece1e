#include "action/guard.h"

#include "base/mem.h"
#include "base/values.h"

#include <stdio.h>
#include <stdlib.h>

enum code guard_parse(const char *text, const char *word, struct guard_rule *out, struct fault *why)
{
    char *end;
    uint64_t us = 0;
    *out = (struct guard_rule){0};
    if (!text[0])
        return CODE_OK;
    unsigned long count = strtoul(text, &end, 10);
    size_t n = strlen(word);
    bool ok = end != text && text[0] != '-' && count >= 1 && count <= GUARD_COUNT_MAX && *end == ' ' &&
              strncmp(end + 1, word, n) == 0 && end[1 + n] == ' ' &&
              value_parse_duration(bytes_str(end + 2 + n), &us, NULL) == CODE_OK && us > 0;
    if (!ok)
        return FAIL(why, CODE_USAGE, 0, "a number (1 to %d), `%s` and a time, such as `%s`, got '%.60s'",
                    GUARD_COUNT_MAX, word, word[0] == 'i' ? "2 in 10s" : "1 per 5m", text);
    *out = (struct guard_rule){(uint32_t)count, (int64_t)us};
    return CODE_OK;
}

enum code guard_init(struct guard_times *t, const struct guard_rule *rule)
{
    *t = (struct guard_times){0};
    if (!rule->count)
        return CODE_OK;
    t->at = mem_zalloc(rule->count, sizeof *t->at);
    return t->at ? CODE_OK : CODE_NOMEM;
}

void guard_clear(struct guard_times *t)
{
    mem_free(t->at);
    *t = (struct guard_times){0};
}

static void add(const struct guard_rule *rule, struct guard_times *t, int64_t us)
{
    t->at[t->next] = us;
    t->next = (t->next + 1) % rule->count;
    t->used += t->used < rule->count;
}

/* Of the last `count` times, those within the span before `us`. */
static uint32_t within(const struct guard_rule *rule, const struct guard_times *t, int64_t us)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->used; i++)
        n += us - t->at[i] < rule->span_us;
    return n;
}

enum guard_verdict guard_ask(const struct guard_rule *at_least, struct guard_times *seen,
                             const struct guard_rule *at_most, struct guard_times *done, int64_t us)
{
    if (at_least->count) {
        add(at_least, seen, us);
        if (within(at_least, seen, us) < at_least->count)
            return GUARD_TOO_FEW;
    }
    if (at_most->count && within(at_most, done, us) >= at_most->count)
        return GUARD_TOO_OFTEN;
    if (at_most->count)
        add(at_most, done, us);
    return GUARD_GO;
}
