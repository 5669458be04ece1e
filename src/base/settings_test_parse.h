/* settings_test_parse.h - what the tests of the settings share: a text in, settings or a report out. */
#pragma once

#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])

static struct settings_report report;
static struct fault           why;
static const char *const      home[] = { "HOME=/h/ann", NULL };

/* As MQTT says, near enough: + and # alone in their level, # last. The real check belongs to another folder.
 * */
static inline bool filter_valid(struct bytes filter, uint32_t max_bytes, uint32_t max_levels)
{
    uint32_t levels = 1;
    if (filter.len == 0 || filter.len > max_bytes)
        return false;
    for (size_t i = 0; i < filter.len; i++) {
        bool alone = (i == 0 || filter.at[i - 1] == '/') && (i + 1 == filter.len || filter.at[i + 1] == '/');
        if ((filter.at[i] == '+' || filter.at[i] == '#') && !alone)
            return false;
        if (filter.at[i] == '#' && i + 1 != filter.len)
            return false;
        levels += filter.at[i] == '/';
    }
    return levels <= max_levels;
}

static inline enum code parse_with(const struct settings **out, const char *text, size_t len,
                            struct settings_source source)
{
    /* Exactly as long as it says, so that reading past the end is seen. */
    char *exact = malloc(len ? len : 1);
    memcpy(exact, text, len);
    source.filter_valid = filter_valid;
    enum code c = settings_parse(out, &io_system, &source, "f.yaml", bytes_of(exact, len), &report, &why);
    free(exact);
    return c;
}

static inline const struct settings *good(const char *text)
{
    const struct settings *s;
    enum code c = parse_with(&s, text, strlen(text), (struct settings_source){ .environment = home });
    if (c != CODE_OK)
        print_error("%s\n", why.text);
    assert_int_equal(c, CODE_OK);
    assert_int_equal(report.count, 0);
    return s;
}
