#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct fault *why, enum code code, int number, uint64_t at, const char *where)
{
    why->code = code;
    why->number = number;
    why->sys_errno = 0;
    why->mqtt_reason = 0;
    why->at = at;
    why->where = where;
}

enum code fault_set(struct fault *why, enum code code, int number, uint64_t at, const char *where,
                    const char *fmt, ...)
{
    if (why) {
        va_list ap;
        fill(why, code, number, at, where);
        va_start(ap, fmt);
        (void)vsnprintf(why->text, sizeof why->text, fmt, ap);
        va_end(ap);
    }
    return code;
}

enum code fault_sys(struct fault *why, enum code code, int number, int err, const char *where,
                    const char *fmt, ...)
{
    if (why) {
        va_list ap;
        fill(why, code, number, 0, where);
        why->sys_errno = err;
        va_start(ap, fmt);
        int n = vsnprintf(why->text, sizeof why->text, fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < sizeof why->text) {
            char word[80];
            const char *said = strerror_r(err, word, sizeof word);
            (void)snprintf(why->text + n, sizeof why->text - (size_t)n, ": %s", said);
        }
    }
    return code;
}

const char *code_name(enum code code)
{
    static const char *const names[] = {
        "OK", "AGAIN", "MORE", "END", "NOMEM", "MALFORMED", "PROTOCOL", "LIMIT", "REFUSED", "NOTFOUND",
        "EXISTS", "USAGE", "IO", "FULL", "DAMAGED", "CLOSED", "UNSUPPORTED",
    };
    return (size_t)code < sizeof names / sizeof names[0] ? names[code] : "?";
}

_Noreturn void assert_failed(const char *what, const char *where)
{
    (void)fprintf(stderr, "fieldgate: internal check failed at %s: %s\n", where, what);
    abort();
}
