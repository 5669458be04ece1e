/* config check, config show: what the settings say, before and while a node runs. */
#include "base/mem.h"
#include "cli/check_flow.h"
#include "cli/config.h"
#include "cli/verbs.h"

#include <stdio.h>

/* ---- config check [FILE] ---- */

struct check {
    struct config_flags config;
    enum output_format  format;
};

static const struct flag check_flags[] = {
    CONFIG_FLAGS(struct check, config),
    FLAG_OUTPUT(struct check, format),
    FLAGS_END,
};

static int print_findings(const struct verb_call *call, enum output_format format,
                          const struct settings_report *report)
{
    static const struct column columns[] = {
        { "LEVEL", "level", COLUMN_TEXT },     { "CODE", "code", COLUMN_TEXT },
        { "WHERE", "where", COLUMN_TEXT },     { "LINE", "line", COLUMN_NUMBER },
        { "COLUMN", "column", COLUMN_NUMBER }, { "TEXT", "text", COLUMN_TEXT },
    };
    struct output o;
    output_open(&o, call->out, format, "findings", columns, sizeof columns / sizeof columns[0]);
    o.err = call->err;
    for (size_t i = 0; i < report->count; i++) {
        const struct settings_note *n = &report->notes[i];
        output_text(&o, bytes_str(n->warning ? "warning" : "error"));
        output_printf(&o, "FG%d", n->number);
        output_text(&o, bytes_str(n->where));
        output_count(&o, n->line);
        output_count(&o, n->column);
        output_text(&o, bytes_str(n->text));
    }
    return output_close(&o);
}

static int print_verdict(const struct verb_call *call, const char *file, const struct settings_report *report)
{
    size_t warnings = report->count + report->unlisted - report->errors;
    config_print_notes(call->out, report);
    if (report->errors)
        (void)fprintf(call->out, "%s: %zu error%s, nothing would start or change\n", file ? file : "settings",
                      report->errors, report->errors == 1 ? "" : "s");
    else if (warnings)
        (void)fprintf(call->out, "%s: valid, %zu warning%s\n", file ? file : "settings", warnings,
                      warnings == 1 ? "" : "s");
    else if (file)
        (void)fprintf(call->out, "%s: valid\n", file);
    else
        (void)fprintf(call->out, "no file, the defaults hold: valid\n");
    return 0;
}

static int check_report(struct verb_call *call, const struct check *check, struct settings_report *report)
{
    const struct settings *settings;
    struct config_flags given = check->config;
    struct fault why;
    const char *file;
    if (call->options->args.count)
        given.file = call->options->args.at[0];
    enum code c = config_read(call, &given, &settings, &file, report, &why);
    if (c == CODE_OK)
        c = check_flow(call->io, settings, report, &why);
    settings_free(settings);
    if (c != CODE_OK && !report->errors)
        return verb_fail(call, &why);
    int lost = check->format == OUTPUT_TABLE ? print_verdict(call, file, report)
                                             : print_findings(call, check->format, report);
    if (lost || report->errors)
        return STATUS_FAILED;
    return report->count ? STATUS_WARNINGS : STATUS_DONE;
}

static int run_check(struct verb_call *call)
{
    struct settings_report *report = mem_alloc(sizeof *report);
    int status = STATUS_FAILED;
    if (report)
        status = check_report(call, call->values, report);
    else
        verb_warn(call, "no memory for the settings");
    mem_free(report);
    return status;
}

static const struct verb verb_config_check = {
    .name = "check",
    .group = "care",
    .summary = "find every error of a settings file",
    .detail = "Nothing is started or changed. Errors are named by file:line:column. Jobs, routes and actions are checked with\n"
              "the queries they name (a path that is not absolute counts from the working directory, as with `run`) and with\n"
              "the jobs that `job apply` made in the data directory.\n"
              "Exit status: 0 valid, 1 errors, 4 warnings only.",
    .examples = { "fieldgate config check", "fieldgate config check ./fieldgate.yaml",
                  "fieldgate config check ./fieldgate.yaml -o json" },
    .args = "[FILE]",
    .args_max = 1,
    .flags = check_flags,
    .values_size = sizeof(struct check),
    .run = run_check,
};

/* ---- config show ---- */

struct show {
    struct config_flags config;
    enum output_format  format;
    bool                effective;
};

static const struct flag show_flags[] = {
    { 0, "effective", FLAG_SWITCH, FLAG_FIELD(struct show, effective),
      .help = "also what is left at its default" },
    CONFIG_FLAGS(struct show, config),
    FLAG_OUTPUT(struct show, format),
    FLAGS_END,
};

struct showing {
    struct output      *output;
    const struct show *show;
};

static void show_line(void *ctx, const struct settings_line *line)
{
    struct showing *s = ctx;
    if (line->is_default && !s->show->effective)
        return;
    output_text(s->output, bytes_str(line->key));
    output_either(s->output, line->value, line->json);
    output_text(s->output, line->origin);
}

static int run_show(struct verb_call *call)
{
    static const struct column columns[] = { { "KEY", "key", COLUMN_TEXT },
                                             { "VALUE", "value", COLUMN_TEXT },
                                             { "FROM", "from", COLUMN_TEXT } };
    const struct show *show = call->values;
    const struct settings *settings;
    int status = config_load(call, &show->config, &settings);
    if (status != STATUS_DONE)
        return status;
    struct output o;
    struct showing s = { &o, show };
    output_open(&o, call->out, show->format, "settings", columns, 3);
    o.err = call->err;
    enum code c = settings_each(settings, show_line, &s);
    settings_free(settings);
    int lost = output_close(&o);
    if (!o.rows && show->format == OUTPUT_TABLE)
        (void)fprintf(call->err, "Everything is at its default; --effective shows it.\n");
    if (c != CODE_OK)
        verb_warn(call, "no memory to show the settings");
    return lost || c != CODE_OK ? STATUS_FAILED : STATUS_DONE;
}

static const struct verb verb_config_show = {
    .name = "show",
    .group = "care",
    .summary = "print the settings and where each came from",
    .detail = "Without --effective only what differs in origin from the default is shown.\n"
              "With -o json sizes are bytes, durations seconds, and unlimited is null.",
    .examples = { "fieldgate config show", "fieldgate config show --effective",
                  "fieldgate config show --effective --set hub.keep=30d -o json" },
    .flags = show_flags,
    .values_size = sizeof(struct show),
    .run = run_show,
};

/* ---- config doc: docs/settings.md ---- */

static int run_doc(struct verb_call *call)
{
    struct buf page = { 0 };
    settings_doc(&page);
    bool bad = page.bad;
    if (!bad)
        (void)fwrite(page.at, 1, page.len, call->out);
    buf_clear(&page);
    if (bad)
        verb_warn(call, "no memory for the page");
    return bad ? STATUS_FAILED : STATUS_DONE;
}

static const struct verb verb_config_doc = {
    .name = "doc",
    .summary = "print docs/settings.md",
    .examples = { "fieldgate config doc > docs/settings.md" },
    .run = run_doc,
};

static const struct verb *const children[] = { &verb_config_check, &verb_config_show, &verb_config_doc,
                                               NULL };

const struct verb verb_config = {
    .name = "config",
    .group = "care",
    .summary = "check and show the settings",
    .examples = { "fieldgate config check", "fieldgate config show --effective",
                  "fieldgate config check ./fieldgate.yaml -o json" },
    .children = children,
};
