/* kind_program.c - a program, with the event on its standard input. */
#include "action/action_private.h"
#include "action/fill.h"

#include "message/message.h"

#include <stdio.h>

enum { ARGS_MAX = 100 };

static enum code program_plan(struct action_plan *p, const struct settings_action *s, const struct io *io,
                              struct fault *why)
{
    (void)io;
    if (!s->program.count)
        return CODE_NOTFOUND;
    if (s->program.count > ARGS_MAX)
        return FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.program has %zu parts, the most is %d", p->name,
                       s->program.count, ARGS_MAX);
    const char **args = arena_zero(&p->arena, (s->program.count + 1) * sizeof *args);
    enum code c = args ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    for (size_t i = 0; c == CODE_OK && i < s->program.count; i++)
        c = plan_template(p, "do.program", s->program.at[i], &args[i], why);
    if (c == CODE_OK && !args[0][0])
        c = FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.program: the program has no name", p->name);
    if (c == CODE_OK && fill_needs_event(args[0]))
        c = FAIL_FG(why, CODE_USAGE, 6301,
                    "action %s: do.program: the program itself cannot come from the event", p->name);
    p->program = args;
    return c;
}

static void program_describe(const struct action_plan *p, const struct attempt *a, struct buf *out)
{
    (void)a; /* arguments may hold anything */
    buf_printf(out, "run %s", p->program[0]);
}

static void on_program_end(void *ctx, const struct process_end *end)
{
    struct action *a = ctx;
    char said[SAID_MAX], text[SAID_MAX];
    struct bytes first = end->said;
    const uint8_t *line = first.len ? memchr(first.at, '\n', first.len) : NULL;
    if (line)
        first.len = (size_t)(line - first.at);
    a->process = NULL;
    if (end->late)
        (void)snprintf(said, sizeof said, "killed: not done in time");
    else if (end->signal)
        (void)snprintf(said, sizeof said, "ended by signal %d", end->signal);
    else
        (void)snprintf(said, sizeof said, "status %d%s%.*s", end->code, first.len ? ": " : "", 120,
                       first.len ? bytes_escape(first, text, sizeof text) : "");
    action_tried(a, end->code == 0 && !end->late ? ACTION_GOOD : ACTION_FAILED, said);
}

/* False: no memory, or a text of the event has a U+0000, which no argument can hold. */
static bool make_args(const struct action *a, struct buf *texts, const char *args[ARGS_MAX + 1])
{
    size_t offsets[ARGS_MAX], n = 0;
    for (; a->plan->program[n] && !texts->bad; n++) {
        offsets[n] = buf_size(texts);
        fill(texts, a->plan->program[n], a->now.event);
        if (!texts->bad && memchr(texts->at + offsets[n], 0, buf_size(texts) - offsets[n]))
            return false;
        buf_u8(texts, 0);
    }
    for (size_t i = 0; i < n && !texts->bad; i++)
        args[i] = (const char *)texts->at + offsets[i];
    args[n] = NULL;
    return !texts->bad;
}

static void program_begin(struct action *a)
{
    char event[EVENT_ID_MAX + 32], name[128];
    const char *const environment[] = {event, name, NULL};
    const char *args[ARGS_MAX + 1];
    struct buf texts = {.max = FILL_BYTES_MAX};
    struct fault why;
    (void)snprintf(event, sizeof event, "FIELDGATE_EVENT=%s", a->now.id);
    (void)snprintf(name, sizeof name, "FIELDGATE_ACTION=%s", a->plan->name);
    if (!make_args(a, &texts, args)) {
        buf_clear(&texts);
        action_tried(a, ACTION_HOPELESS, "with the event's fields they are no arguments: too long, or with a U+0000");
        return;
    }
    struct process_options o = {.args = args,
                                .environment = environment,
                                .input = a->now.message->payload,
                                .timeout_ms = a->plan->timeout_ms};
    enum code c = process_start(&a->process, a->all->loop, &o, on_program_end, a, &why);
    buf_clear(&texts);
    if (c != CODE_OK)
        action_tried(a, ACTION_FAILED, why.text);
}

static void program_cancel(struct action *a)
{
    process_cancel(a->process);
    a->process = NULL;
}

const struct action_kind action_program = {"program", program_plan, program_describe, program_begin,
                                           program_cancel, NULL, NULL};
