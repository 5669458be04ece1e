/* verb.h - one verb of the command line, and what every verb has at hand.
 *
 * A verb is a file src/cli/verb_NAME.c that exports one `const struct verb verb_NAME`, a line in verbs.h and
 * one in main.c. Parsing, --help, `help`, and refusals of wrong usage come from the struct; run() does the
 * work and returns the exit status. "config show" is a verb of its own, a child of "config".
 *
 *   const struct verb verb_pub = {
 *       .name = "pub", .group = "messages", .summary = "publish messages to a topic",
 *       .examples = { "fieldgate pub -t factory/line1/press-1 -m 21.4", "...", "..." },
 *       .flags = flags, .values_size = sizeof(struct pub), .run = run,
 *   };
 *
 * Rules: stdout carries the result, stderr everything else. Thread: main.
 */
#pragma once

#include "base/io.h"
#include "cli/options.h"
#include "cli/output.h"

enum exit_status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_NOT_RUNNING = 3,
    STATUS_WARNINGS = 4
};

struct verb;

struct verb_call {
    const struct verb *verb;
    const char        *path;    /* "config show", for messages                                    */
    struct options    *options; /* options->args; options_given                                   */
    void              *values;  /* the verb's struct, filled; freed after run                     */
    const struct io   *io;
    const char *const *environment; /* as environ                                                 */
    const struct verb *const *verbs; /* every verb, NULL at the end: for help and completion      */
    FILE              *out, *err;   /* stdout and stderr, or a test's                             */
};

struct verb {
    const char *name;    /* one word; children are reached as "config show"                       */
    const char *group;   /* heading in `fieldgate --help`: run, messages, hub, care; NULL = hidden */
    const char *summary; /* one line, lower case, no full stop                                    */
    const char *detail;  /* paragraphs for --help behind the examples; may be NULL                */
    const char *examples[3]; /* whole commands, shown first                                       */
    const char *args;    /* "[FILE]" in the usage line; NULL = takes no arguments                 */
    size_t      args_min, args_max;
    const struct flag *flags; /* ends with FLAGS_END; NULL = none                                 */
    bool        raw;     /* all words behind it are arguments, also those that look like flags; --help alone is help */
    size_t      values_size;
    const struct verb *const *children; /* NULL at the end; a verb has children or run            */
    int (*run)(struct verb_call *);
};

/* main.c's whole work: finds the verb in the table, parses, runs. Returns the exit status. */
int verb_main(const struct verb *const *verbs, const struct io *, int argc, const char *const *argv,
              const char *const *environment, FILE *out, FILE *err);

/* Prints `fieldgate PATH: the sentence` and how to get help to stderr; returns STATUS_USAGE. */
int verb_usage(const struct verb_call *, const char *fmt, ...) FG_PRINTF(2, 3);
/* Prints "FG1004 sentence" or "fieldgate PATH: sentence" to stderr; returns STATUS_FAILED, STATUS_USAGE for
 * CODE_USAGE, STATUS_NOT_RUNNING for CODE_CLOSED. */
int verb_fail(const struct verb_call *, const struct fault *why);
/* A sentence to stderr that changes nothing. */
void verb_warn(const struct verb_call *, const char *fmt, ...) FG_PRINTF(2, 3);
/* The whole --help page of a verb; `path` as typed ("config show"). */
void verb_print_help(FILE *to, const struct verb *, const char *path);
/* The overview: every group with its verbs. */
void verb_print_overview(FILE *to, const struct verb *const *verbs);
/* The verb of that name, or NULL. */
const struct verb *verb_find(const struct verb *const *verbs, struct bytes name);

/* The row that gives a verb `-o`; the field is an enum output_format. */
#define FLAG_OUTPUT(type, field)                                                                             \
    { 'o', "output", FLAG_CHOICE, FLAG_FIELD(type, field), .value = "FORMAT", .words = output_words,         \
      .def = "table", .help = "table, json, jsonl or csv" }
