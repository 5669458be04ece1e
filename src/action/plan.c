/* plan.c - what the settings say of an action, checked. */
#include "action/action_private.h"
#include "action/fill.h"

#include "base/hash.h"
#include "base/mem.h"
#include "expr/json.h"
#include "message/message.h"
#include "mqtt/topic.h"

#include <stdio.h>

enum { PLAN_BYTES_MAX = 1 << 20 };

const struct action_kind *const action_kinds[] = {&action_publish, &action_webhook, &action_program, &action_opcua_write,
                                                  &action_opcua_call, NULL};

/* ---- templates ---- */

enum code plan_keep(struct action_plan *p, const char *text, const char **out, struct fault *why)
{
    *out = arena_text(&p->arena, bytes_str(text));
    return *out ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for an action");
}

enum code plan_template(struct action_plan *p, const char *key, const char *text, const char **out,
                        struct fault *why)
{
    size_t at = 0;
    if (!fill_valid(text, &at))
        return FAIL_FG(why, CODE_USAGE, 6301,
                       "action %s: %s has `${` at byte %zu without a name and its `}` (`$${` is a plain `${`)",
                       p->name, key, at + 1);
    p->needs_event = p->needs_event || fill_needs_event(text);
    return plan_keep(p, text, out, why);
}

static bool is_json(const char *text, struct fault *why)
{
    struct buf filled = {.max = FILL_BYTES_MAX};
    struct arena arena;
    struct value v;
    arena_init(&arena, NULL, 0, 16 << 20);
    fill_json(&filled, text, value_null());
    bool ok = !filled.bad && json_value(buf_bytes(&filled), &arena, &v, why) == CODE_OK;
    arena_clear(&arena);
    buf_clear(&filled);
    return ok;
}

/* What begins as JSON and is none would be sent as it is, with the machines' texts not escaped: that is not guessed at. A [ may begin
 * a line of text, too. */
enum code plan_body(struct action_plan *p, const char *key, const char *text, struct body *out,
                    struct fault *why)
{
    struct fault inner;
    const char *first = text + strspn(text, " \t\r\n");
    enum code c = plan_template(p, key, text, &out->text, why);
    if (c != CODE_OK || (*first != '{' && *first != '['))
        return c;
    out->json = is_json(text, &inner);
    if (out->json || *first != '{')
        return CODE_OK;
    return FAIL_FG(why, CODE_USAGE, 6301, "action %s: %s begins as JSON and is none: %.120s", p->name, key,
                   inner.text);
}

void body_fill(struct buf *out, const struct body *b, const struct attempt *a)
{
    if (!b->text[0])
        buf_add_bytes(out, a->message->payload);
    else if (b->json)
        fill_json(out, b->text, a->event);
    else
        fill(out, b->text, a->event);
}

/* ---- the plan ---- */

static enum code one_guard(const struct action_plan *p, const char *key, const char *text, const char *word,
                           struct guard_rule *out, struct fault *why)
{
    struct fault inner;
    if (guard_parse(text, word, out, &inner) == CODE_OK)
        return CODE_OK;
    return FAIL_FG(why, CODE_USAGE, 6301, "action %s: %s must be %s", p->name, key, inner.text);
}

static enum code choose_kind(struct action_plan *p, const struct settings_action *s, const struct io *io,
                             struct fault *why)
{
    for (size_t i = 0; action_kinds[i]; i++) {
        enum code c = action_kinds[i]->plan(p, s, io, why);
        if (c == CODE_NOTFOUND)
            continue;
        if (c != CODE_OK)
            return c;
        if (p->kind)
            return FAIL_FG(why, CODE_USAGE, 6301,
                           "action %s does two things, %s and %s: make two actions of it", p->name,
                           p->kind->name, action_kinds[i]->name);
        p->kind = action_kinds[i];
    }
    return p->kind ? CODE_OK
                   : FAIL_FG(why, CODE_USAGE, 6301,
                             "action %s does nothing: `do` needs publish, webhook, program, opcua-write or opcua-call", p->name);
}

static enum code check_source(const struct action_plan *p, struct fault *why)
{
    char own[128];
    (void)snprintf(own, sizeof own, "$actions/%s", p->name);
    if (topic_matches(p->topic, bytes_str(own)))
        return FAIL_FG(why, CODE_USAGE, 6301,
                       "action %s: on '%.*s' is also what this action says of itself (%s): it would never end",
                       p->name, BYTES_FMT(p->topic), own);
    return CODE_OK;
}

/* ---- has it changed? ---- */

static void mix(uint64_t *mark, const void *at, size_t n)
{
    *mark = hash_partition(bytes_of(at, n)) ^ (*mark << 9 | *mark >> 55);
}

static void mix_text(uint64_t *mark, const char *text)
{
    mix(mark, text, strlen(text) + 1);
}

static void mix_file(uint64_t *mark, const struct io *io, const char *path)
{
    struct io_stat st = {0};
    if (!path[0] || io->stat(io->self, path, &st) < 0)
        return;
    uint64_t figures[] = {st.size, st.inode, (uint64_t)st.mtime_ns};
    mix(mark, figures, sizeof figures);
}

static uint64_t mark_of(const struct action_plan *p, const struct settings_action *s, const struct io *io)
{
    uint64_t mark = 1;
    uint32_t numbers[] = {s->publish.qos, s->publish.retain, s->dry_run, s->retry, s->timeout_s};
    const char *const texts[] = {s->publish.topic, s->publish.message, s->webhook.url, s->webhook.body,
                                 s->webhook.ca,    s->at_least,        s->at_most,
                                 s->opcua_write.node, s->opcua_write.value, s->opcua_call.object,
                                 s->opcua_call.method};
    mix(&mark, p->topic.at, p->topic.len);
    mix(&mark, numbers, sizeof numbers);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mix_text(&mark, texts[i]);
    for (size_t i = 0; i < s->webhook.headers.count; i++) {
        mix_text(&mark, s->webhook.headers.at[i].name);
        mix_text(&mark, s->webhook.headers.at[i].to);
    }
    for (size_t i = 0; i < s->program.count; i++)
        mix_text(&mark, s->program.at[i]);
    for (size_t i = 0; i < s->opcua_call.arguments.count; i++)
        mix_text(&mark, s->opcua_call.arguments.at[i]);
    mix(&mark, &p->opcua.machine.mark, sizeof p->opcua.machine.mark);
    mix_file(&mark, io, s->webhook.ca);
    return mark;
}

/* ---- */

static enum code make(struct action_plan *p, const struct settings_action *s, struct bytes topic,
                      const struct io *io, struct fault *why)
{
    p->name = arena_text(&p->arena, bytes_str(s->entry.name));
    char *copy = arena_text(&p->arena, topic);
    if (!p->name || !copy)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    p->topic = bytes_of(copy, topic.len);
    p->dry_run = s->dry_run;
    p->retry = s->retry;
    p->timeout_ms = (int64_t)s->timeout_s * 1000;
    enum code c = check_source(p, why);
    if (c == CODE_OK)
        c = one_guard(p, "guard.at-least", s->at_least, "in", &p->at_least, why);
    if (c == CODE_OK)
        c = one_guard(p, "guard.at-most", s->at_most, "per", &p->at_most, why);
    if (c == CODE_OK)
        c = choose_kind(p, s, io, why);
    if (c == CODE_OK)
        p->mark = mark_of(p, s, io);
    return c;
}

enum code action_plan_new(struct action_plan **out, const struct settings_action *s, struct bytes topic,
                          const struct action_servers *servers, const struct io *io, struct fault *why)
{
    struct action_plan *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    arena_init(&p->arena, NULL, 0, PLAN_BYTES_MAX);
    p->servers = servers;
    enum code c = make(p, s, topic, io, why);
    p->servers = NULL;
    if (c == CODE_OK)
        *out = p;
    else
        action_plan_free(p);
    return c;
}

void action_plan_free(struct action_plan *p)
{
    if (!p)
        return;
    tls_client_drop(p->webhook.tls);
    machine_wish_clear(&p->opcua.machine);
    arena_clear(&p->arena);
    mem_free(p);
}
