/* `fieldgate check`: this machine, its settings and its disk. `fieldgate check DIR`: the data directory of a
 * node that does not run, every byte of it. */
#include "base/mem.h"
#include "base/values.h"
#include "cli/api_client.h"
#include "cli/check_machine.h"
#include "cli/verbs.h"
#include "journal/check.h"

#include <inttypes.h>

struct check {
    struct config_flags config;
    enum output_format  format;
    bool                failed;
};

static const struct flag flags[] = {
    { 0, "failed", FLAG_SWITCH, FLAG_FIELD(struct check, failed), .help = "show only warnings and errors" },
    CONFIG_FLAGS(struct check, config),
    FLAG_OUTPUT(struct check, format),
    FLAGS_END,
};

/* ---- a data directory ---- */

struct reading {
    struct verb_call *call;
    struct output    *output; /* NULL: for people */
    uint64_t          errors, remarks;
};

static void tell_finding(void *ctx, const struct journal_finding *f)
{
    struct reading *r = ctx;
    *(f->error ? &r->errors : &r->remarks) += 1;
    if (!r->output) {
        (void)fputs("  ", r->call->out);
        output_mark(r->call->out, f->error ? MARK_BAD : MARK_WARN);
        (void)fprintf(r->call->out, "  %s byte %" PRIu64 ": %s\n", f->file, f->offset, f->text);
        return;
    }
    output_text(r->output, f->error ? BYTES_LIT("error") : BYTES_LIT("warning"));
    output_text(r->output, bytes_str(f->file));
    output_count(r->output, f->offset);
    output_text(r->output, bytes_str(f->text));
}

static void print_result(FILE *to, const char *dir, const struct journal_check_result *c,
                         const struct reading *r)
{
    char segments[VALUE_TEXT_MAX], frames[VALUE_TEXT_MAX], messages[VALUE_TEXT_MAX], kept[VALUE_TEXT_MAX];
    (void)fputs("  ", to);
    output_mark(to, r->errors ? MARK_BAD : r->remarks ? MARK_WARN : MARK_OK);
    (void)fprintf(to, "  %s: %s segments, %s frames, %s messages, %s events in partitions\n", dir,
                  value_print_count(c->segments, segments), value_print_count(c->frames, frames),
                  value_print_count(c->messages, messages), value_print_count(c->partition_records, kept));
    if (r->errors)
        (void)fprintf(to,
                      "      %" PRIu64
                      " damaged. What stands before and behind it can be read; what is damaged is lost.\n"
                      "      Look for disk errors (dmesg), and restore from a backup what is missing.\n",
                      r->errors);
    else if (r->remarks)
        (void)fprintf(to, "      Nothing acknowledged is missing; a crash cut what was being written.\n");
}

static int check_data(struct verb_call *call, const char *dir, enum output_format format)
{
    static const struct column columns[] = { { "LEVEL", "level", COLUMN_TEXT },
                                             { "FILE", "file", COLUMN_TEXT },
                                             { "BYTE", "byte", COLUMN_NUMBER },
                                             { "WHAT", "what", COLUMN_TEXT } };
    struct output o;
    struct reading r = { .call = call, .output = format == OUTPUT_TABLE ? NULL : &o };
    struct journal_check_result result;
    struct fault why;
    if (r.output)
        output_open(&o, call->out, format, "findings", columns, 4);
    enum code code = journal_check(call->io, dir, tell_finding, &r, &result, &why);
    int lost = r.output ? output_close(&o) : 0;
    if (code == CODE_EXISTS)
        code = FAIL_FG(
            &why, code, 1005,
            "%s is in use by a running node. Stop it first; how it does: fieldgate status --data %s", dir,
            dir);
    /* Damage that was found is the result, not a failure to look. */
    if (code != CODE_OK && !(code == CODE_DAMAGED && r.errors))
        return verb_fail(call, &why);
    if (!r.output)
        print_result(call->out, dir, &result, &r);
    if (lost || r.errors)
        return STATUS_FAILED;
    return r.remarks ? STATUS_WARNINGS : STATUS_DONE;
}

/* ---- this machine ---- */

enum { TEXT_WIDTH = 48 };

struct showing {
    struct verb_call *call;
    struct output    *output;
    bool              failed_only;
    const char       *group; /* the heading printed last */
    unsigned          counts[MARK_NOT_TRIED + 1];
};

static void show_people(struct showing *s, const struct check_line *l)
{
    FILE *to = s->call->out;
    if (s->group != l->group)
        (void)fprintf(to, "%s\n", l->group);
    s->group = l->group;
    (void)fputs("  ", to);
    output_mark(to, l->mark);
    (void)fprintf(to, "  %-*s %s\n", l->detail[0] ? TEXT_WIDTH : 0, l->what, l->detail);
    if (l->advice[0])
        (void)fprintf(to, "      %s\n", l->advice);
}

static void show_line(void *ctx, const struct check_line *l)
{
    static const char *const levels[] = { "ok", "warning", "error", "not tried" };
    struct showing *s = ctx;
    s->counts[l->mark]++;
    if (s->failed_only && l->mark != MARK_WARN && l->mark != MARK_BAD)
        return;
    if (!s->output) {
        show_people(s, l);
        return;
    }
    output_text(s->output, bytes_str(l->group));
    output_text(s->output, bytes_str(levels[l->mark]));
    output_text(s->output, bytes_str(l->what));
    output_text(s->output, bytes_str(l->detail));
    output_text(s->output, bytes_str(l->advice));
}

static int check_this_machine(struct verb_call *call, const struct check *given)
{
    static const struct column columns[] = { { "GROUP", "group", COLUMN_TEXT },
                                             { "LEVEL", "level", COLUMN_TEXT },
                                             { "WHAT", "what", COLUMN_TEXT },
                                             { "DETAIL", "detail", COLUMN_TEXT },
                                             { "ADVICE", "advice", COLUMN_TEXT } };
    struct output o;
    struct showing s = { .call = call,
                         .output = given->format == OUTPUT_TABLE ? NULL : &o,
                         .failed_only = given->failed };
    if (s.output)
        output_open(&o, call->out, given->format, "checks", columns, 5);
    check_machine(call, &given->config, show_line, &s);
    int lost = s.output ? output_close(&o) : 0;
    unsigned ok = s.counts[MARK_OK], warnings = s.counts[MARK_WARN], errors = s.counts[MARK_BAD];
    if (!s.output)
        (void)fprintf(call->out, "%u ok%s, %u warning%s, %u error%s.%s\n", ok,
                      given->failed && ok ? " (not shown)" : "", warnings, warnings == 1 ? "" : "s", errors,
                      errors == 1 ? "" : "s",
                      !given->failed && warnings + errors ? " Only these again: fieldgate check --failed"
                                                          : "");
    if (lost || errors)
        return STATUS_FAILED;
    return warnings ? STATUS_WARNINGS : STATUS_DONE;
}

static int run(struct verb_call *call)
{
    const struct check *given = call->values;
    if (call->options->args.count)
        return check_data(call, call->options->args.at[0], given->format);
    return check_this_machine(call, given);
}

const struct verb verb_check = {
    .name = "check",
    .group = "run",
    .summary = "find what is wrong with this machine, or with a data directory",
    .detail =
        "With DIR it verifies every byte of the journal of a node that does not run and changes nothing;\n"
        "damage is named by file and byte. Without, it looks at the settings, the addresses and the disk.\n"
        "Exit status: 0 all well, 1 errors, 4 warnings only (such as a torn end after a power cut).",
    .examples = { "fieldgate check", "fieldgate check --failed", "fieldgate check /var/lib/fieldgate" },
    .args = "[DIR]",
    .args_max = 1,
    .flags = flags,
    .values_size = sizeof(struct check),
    .run = run,
};
