/* Routes: a text, and a body on which its condition is tried. The first line of the input is the text, the rest the body. */
#include "message/message.h"
#include "route/route_test_known.h"
#include "route/table.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_body(const struct route_table *t, struct bytes body)
{
    struct message *m = message_new(
        &(struct message_parts){.topic = BYTES_LIT("hub/x"), .source = BYTES_LIT("c"), .payload = body});
    struct route_matcher matcher;
    struct fault why;
    struct value slots[CONDITION_NAMES_MAX], out;
    if (!m || route_matcher_init(&matcher, &why) != CODE_OK)
        abort();
    for (size_t i = 0; i < t->count; i++) {
        enum route_outcome o;
        route_matcher_begin(&matcher);
        if (route_match(&matcher, &t->routes[i], m, m->topic, &o, slots) == CODE_OK &&
            o == OUTCOME_ELSEWHERE && t->routes[i].parts.condition) {
            /* The condition all the same: with nothing there. */
            for (uint32_t k = 0; k < t->routes[i].parts.condition->name_count; k++)
                slots[k] = value_null();
            (void)!condition_eval(t->routes[i].parts.condition, slots, &matcher.scratch, &out);
        }
    }
    route_matcher_clear(&matcher);
    message_drop(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t n = end ? (size_t)(end - data) : size;
    char *text = malloc(n + 1);
    if (!text)
        return 0;
    if (n)
        memcpy(text, data, n);
    text[n] = 0;
    struct route_text said = {.name = "r",
                              .text = text,
                              .priority = ROUTE_NO_PRIORITY,
                              .file = "f",
                              .line = 1,
                              .column = 1,
                              .in_place = true};
    struct route_table *t;
    struct fault why;
    if (route_table_new(&t, &said, 1, &test_known, &why) == CODE_OK) {
        if (route_table_count(t) != 1)
            abort();
        try_body(t, end ? bytes_of(end + 1, size - n - 1) : BYTES_NONE);
        route_table_free(t);
    } else if (!why.text[0]) {
        abort();
    }
    free(text);
    return 0;
}
