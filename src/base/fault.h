/* fault.h - how a failure travels: a code to branch on and a sentence for a person.
 *
 * Every function that can fail for a reason outside our own code returns `enum code` and
 * takes a `struct fault *why` (may be NULL when the caller does not want the sentence).
 * The code that first understands what went wrong fills it, with FAIL(); callers above
 * only pass it on or branch on the code. Our own bugs are FG_ASSERT, which stays on in
 * release builds: recovery from a stop is tested, going on with broken state is not.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FG_CHECK __attribute__((warn_unused_result))
#define FG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum code {
    CODE_OK = 0,
    CODE_AGAIN,     /* full for now: stop reading from the source, try again when told    */
    CODE_MORE,      /* a parser needs more bytes                                          */
    CODE_END,       /* no further item                                                    */
    CODE_NOMEM,     /* the allocator said no                                              */
    CODE_MALFORMED, /* bytes that no conforming peer sends                                */
    CODE_PROTOCOL,  /* well-formed, but not allowed here                                  */
    CODE_LIMIT,     /* above a configured limit                                           */
    CODE_REFUSED,   /* not authorised, or refused by policy                               */
    CODE_NOTFOUND,
    CODE_EXISTS,
    CODE_USAGE,     /* the person's command line or settings are wrong                    */
    CODE_IO,        /* the kernel said no; sys_errno tells what                           */
    CODE_FULL,      /* no room on disk                                                    */
    CODE_DAMAGED,   /* a checksum or cross-reference does not hold                        */
    CODE_CLOSED,    /* the thing is stopping or stopped                                   */
    CODE_UNSUPPORTED
};

struct fault {
    enum code   code;
    int         number;      /* FGnnnn for the person, 0 = none                           */
    int         sys_errno;   /* the kernel's word, 0 = none                               */
    uint8_t     mqtt_reason; /* what an MQTT 5 peer is told, 0 = nothing set              */
    uint64_t    at;          /* byte in the packet, line*65536+column, or file offset     */
    const char *where;       /* "mqtt/packet.c:88"                                        */
    char        text[240];   /* one sentence for the log and the dashboard, no line break */
};

/* Fills *why (if given) and yields `code`. */
enum code fault_set(struct fault *why, enum code code, int number, uint64_t at, const char *where,
                    const char *fmt, ...) FG_PRINTF(6, 7);
/* As fault_set, and appends errno's text. */
enum code fault_sys(struct fault *why, enum code code, int number, int err, const char *where,
                    const char *fmt, ...) FG_PRINTF(6, 7);
/* "FULL", "DAMAGED": for logs and tests. */
const char *code_name(enum code code);

#define FG_STR2(x) #x
#define FG_STR(x) FG_STR2(x)
#define FG_HERE __FILE__ ":" FG_STR(__LINE__)
#define FAIL(why, code, at, ...) fault_set((why), (code), 0, (at), FG_HERE, __VA_ARGS__)
#define FAIL_FG(why, code, number, ...) fault_set((why), (code), (number), 0, FG_HERE, __VA_ARGS__)
#define FAIL_SYS(why, code, err, ...) fault_sys((why), (code), 0, (err), FG_HERE, __VA_ARGS__)

_Noreturn void assert_failed(const char *what, const char *where);
#define FG_ASSERT(x) ((x) ? (void)0 : assert_failed(#x, FG_HERE))
