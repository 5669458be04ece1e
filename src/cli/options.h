/* options.h - command lines from a table of rows.
 *
 * A row (struct flag) is the flag: parsing, range, default, --help and completion all read it. Values land
 * in a struct of the verb's own, at the row's field:
 *
 *   struct pub { struct texts topics; uint32_t qos; bool retain; uint64_t for_us; };
 *   static const struct flag flags[] = {
 *       { 't', "topic", FLAG_TEXTS, FLAG_FIELD(struct pub, topics), .value = "TOPIC", .help = "where to" },
 *       { 'q', "qos", FLAG_COUNT, FLAG_FIELD(struct pub, qos), .max = 2, .def = "0", .help = "0, 1 or 2" },
 *       { 'r', "retain", FLAG_SWITCH, FLAG_FIELD(struct pub, retain), .help = "the broker keeps it" },
 *       { 0, "for", FLAG_DURATION, FLAG_FIELD(struct pub, for_us), .value = "TIME", .help = "end then" },
 *   };
 *
 * Understood: -t X, -tX, -rt X (switches bundle), --topic X, --topic=X, -- (the rest are arguments), - (an
 * argument), -1 and -0.5 (arguments, unless the digit is a letter of the table). Flags and arguments mix freely. A switch takes no value. Anything unknown is refused with the
 * nearest known flag. A flag that is no list may be given once only.
 *
 * Thread: main only. Texts point into argv (or the row's default) and live as long as the process.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

enum flag_kind {
    FLAG_SWITCH,   /* bool                                                                  */
    FLAG_COUNT,    /* uint32_t or uint64_t, row's min..max (max 0 = what the field holds)   */
    FLAG_DECIMAL,  /* double                                                                */
    FLAG_SIZE,     /* uint64_t, bytes ("64MiB"); min..max as for FLAG_COUNT                 */
    FLAG_DURATION, /* uint64_t, microseconds ("30s"); min..max in microseconds              */
    FLAG_SECONDS,  /* uint64_t, microseconds, but a bare number is seconds (0.5 too: mosquitto's) */
    FLAG_TIME,     /* int64_t, microseconds since 1970 ("today 06:00", "1m")                */
    FLAG_TEXT,     /* const char *                                                          */
    FLAG_TEXTS,    /* struct texts, may be repeated                                         */
    FLAG_CHOICE,   /* int (or an enum): the index in the row's words                        */
    FLAG_PROPERTY  /* struct flag_properties, may be repeated: mosquitto's -D               */
};

struct flag {
    char               letter; /* 't' for -t, 0 = none                      */
    const char        *name;   /* "topic" for --topic; never NULL           */
    enum flag_kind     kind;
    size_t             offset, size; /* FLAG_FIELD                          */
    const char        *value;  /* in --help: "TOPIC"                        */
    const char        *help;   /* what it does, one line                    */
    const char        *def;    /* the value when not given, as typed; NULL = zero */
    uint64_t           min, max;
    const char *const *words;  /* FLAG_CHOICE: NULL at the end              */
    bool               required;
    bool               hidden; /* not in --help: an old spelling            */
};
#define FLAG_FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)
#define FLAGS_END { .name = NULL }

struct texts {
    const char **at; /* owned by the options */
    size_t       count;
};

/* -D PUBLISH content-type text/plain; -D CONNECT user-property NAME VALUE. Words as typed; which properties
 * exist is the verb's business. */
struct flag_property {
    const char *command, *name, *key /* NULL unless user-property */, *value;
};
struct flag_properties {
    struct flag_property *at; /* owned by the options */
    size_t                count;
};

/* The outcome of options_parse; freed by options_clear. */
struct options {
    const struct flag *flags;    /* ends with FLAGS_END                            */
    void              *values;   /* the verb's struct                              */
    uint64_t           given;    /* bit i: flags[i] stood on the command line      */
    struct texts       args;     /* what is no flag, in order                      */
    bool               help;     /* --help (or -h, where the verb has no own -h)   */
};

enum { OPTIONS_FLAGS_MAX = 64, OPTIONS_ARGS_MAX = 1024 };

/* Fills `values` (zeroed by the caller) from defaults and argv[0..argc). now_us is for FLAG_TIME. CODE_USAGE
 * with the whole sentence in *why; CODE_NOMEM. With --help, what else is wrong does not matter. */
FG_CHECK enum code options_parse(struct options *, const struct flag *flags, void *values, int argc,
                                 const char *const *argv, int64_t now_us, struct fault *why);
void options_clear(struct options *);
/* True if --name was on the command line. The name must be in the table. */
bool options_given(const struct options *, const char *name);
