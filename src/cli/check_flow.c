#include "cli/check_flow.h"

#include "flow/flow.h"
#include "publisher/nodes_file.h"
#include "publisher/publisher.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ":12:5" at `at`: how long that is, 0 if it is something else. */
static size_t place_length(const char *at, struct settings_note *n)
{
    uint32_t numbers[2];
    const char *p = at;
    for (size_t i = 0; i < 2; i++) {
        if (p[0] != ':' || !isdigit((unsigned char)p[1]))
            return 0;
        char *end;
        numbers[i] = (uint32_t)strtoul(p + 1, &end, 10);
        p = end;
    }
    n->line = numbers[0];
    n->column = numbers[1];
    return (size_t)(p - at);
}

/* "FILE:LINE:COLUMN route a: ..." and "FILE:LINE:COLUMN: ..." begin with their place; other faults are of what the settings say there,
 * and a place that they quote stands behind what it is about ("action a: ..."). */
static const char *split_place(struct settings_note *n, const char *file, const struct settings_entry *entry,
                               const char *text)
{
    const char *about = strstr(text, ": ");
    for (const char *at = strchr(text, ':'); at && (!about || at < about); at = strchr(at + 1, ':')) {
        size_t len = place_length(at, n);
        if (!len || (at[len] != ' ' && at[len] != ':'))
            continue;
        (void)snprintf(n->where, sizeof n->where, "%.*s", (int)(at + len - text), text);
        return at + len + strspn(at + len, ": ");
    }
    n->line = entry ? entry->line : 0;
    n->column = entry ? entry->column : 0;
    if (n->line)
        (void)snprintf(n->where, sizeof n->where, "%s:%u:%u", file, n->line, n->column);
    else
        (void)snprintf(n->where, sizeof n->where, "%s", file);
    return text;
}

static struct settings_note *add_note(struct settings_report *r, bool warning, int number)
{
    r->errors += !warning;
    if (r->count == SETTINGS_NOTES_MAX) {
        r->unlisted++;
        return NULL;
    }
    struct settings_note *n = &r->notes[r->count++];
    *n = (struct settings_note){.warning = warning, .number = number};
    return n;
}

static void ignore_name(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
}

/* A data directory is its node's alone, and who checks a file need not be the node's user. */
static bool out_of_reach(const struct io *io, const char *data, struct settings_report *r)
{
    char dir[4096];
    (void)snprintf(dir, sizeof dir, "%s/jobs", data);
    if (io->list(io->self, dir, ignore_name, NULL) != -EACCES)
        return false;
    struct settings_note *n = add_note(r, true, 6117);
    if (n) {
        (void)snprintf(n->where, sizeof n->where, "%.250s", dir);
        (void)snprintf(n->text, sizeof n->text, "%s",
                       "the jobs that `job apply` made cannot be read (Permission denied), so this check "
                       "does not know them."
                       " Check as the user whom the node runs as");
    }
    return true;
}

/* A route from or into a job that is not there, an action on one: it may be one of those that are out of reach. */
static bool names_what_is_missing(const struct fault *why)
{
    return why->number == 4101 || why->number == 4102 || why->number == 6301;
}

struct checking {
    struct settings_report *report;
    const char *file;
    bool unsure; /* jobs may be there that could not be read */
};

static void add_finding(void *ctx, const struct settings_entry *entry, const struct fault *why)
{
    struct checking *c = ctx;
    bool missing = names_what_is_missing(why);
    c->unsure = c->unsure || (why->number == 6117 && !entry);
    struct settings_note *n = add_note(c->report, c->unsure && missing, why->number);
    if (n)
        (void)snprintf(n->text, sizeof n->text, "%s", split_place(n, c->file, entry, why->text));
}

/* What the publisher would say of its options, and of its file if it is there. */
static void check_publisher(const struct io *io, const struct settings *s, struct checking *c)
{
    struct fault why;
    struct nodes_file *nodes;
    struct publisher_config config = {.io = io, .site = s->site, .nodes_path = s->opcua.published_nodes,
                                      .options = s->opcua.options, .topic = s->opcua.topic};
    if (!s->opcua.published_nodes[0] && !s->opcua.options[0])
        return;
    if (publisher_check(&config, &why) != CODE_OK)
        add_finding(c, NULL, &why);
    if (!s->opcua.published_nodes[0])
        return;
    enum code code = nodes_file_load(&nodes, io, s->opcua.published_nodes, false, &why);
    why.number = 5262;
    if (code != CODE_OK && code != CODE_NOTFOUND)
        add_finding(c, NULL, &why);
    if (code != CODE_OK)
        return;
    for (uint32_t i = 0; i < nodes->note_count; i++) {
        struct settings_note *n = add_note(c->report, true, 5259);
        if (!n)
            continue;
        n->line = nodes->notes[i].line;
        n->column = nodes->notes[i].column;
        (void)snprintf(n->where, sizeof n->where, "%.200s:%u:%u", s->opcua.published_nodes, n->line, n->column);
        (void)snprintf(n->text, sizeof n->text, "%s", nodes->notes[i].text);
    }
    nodes_file_free(nodes);
}

enum code check_flow(const struct io *io, const struct settings *s, struct settings_report *report,
                     struct fault *why)
{
    struct checking c = {.report = report, .file = settings_file(s), .unsure = out_of_reach(io, s->data, report)};
    check_publisher(io, s, &c);
    return flow_check(s, io, c.unsure ? NULL : s->data, add_finding, &c, why);
}
