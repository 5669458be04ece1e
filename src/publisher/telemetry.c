/* telemetry.c - see telemetry.h. */
#include "publisher/telemetry.h"

#include "base/mem.h"
#include "publisher/jtree.h"

#include <stdio.h>

static const struct {
    const char *group, *name;
    bool on;
} fields[TELEMETRY_FIELDS] = {
    {NULL, "EndpointUrl", false},
    {NULL, "NodeId", true},
    {NULL, "ExpandedNodeId", false},
    {"MonitoredItem", "ApplicationUri", true},
    {"MonitoredItem", "DisplayName", true},
    {"Value", "Value", true},
    {"Value", "SourceTimestamp", true},
    {"Value", "StatusCode", false},
    {"Value", "Status", false},
};

#define RULE(i, text, on) [i] = {on, text, NULL}
const struct telemetry telemetry_default = {
    .item_flat = true,
    .defaults = {NULL,
                 {RULE(TELEMETRY_ENDPOINT_URL, "EndpointUrl", false), RULE(TELEMETRY_NODE_ID, "NodeId", true),
                  RULE(TELEMETRY_EXPANDED_NODE_ID, "ExpandedNodeId", false),
                  RULE(TELEMETRY_APPLICATION_URI, "ApplicationUri", true),
                  RULE(TELEMETRY_DISPLAY_NAME, "DisplayName", true), RULE(TELEMETRY_VALUE, "Value", true),
                  RULE(TELEMETRY_SOURCE_TIMESTAMP, "SourceTimestamp", true),
                  RULE(TELEMETRY_STATUS_CODE, "StatusCode", false),
                  RULE(TELEMETRY_STATUS, "Status", false)}}};

struct reading {
    struct telemetry *t;
    struct fault *why;
};

static enum code wrong(struct reading *r, const struct jtree *at, const char *name, const char *what)
{
    return FAIL(r->why, CODE_USAGE, (uint64_t)at->line * 65536 + (at->column & 65535), "%u:%u: %s %s",
                at->line, at->column, name, what);
}

static bool truth(const struct jtree *v, bool *out)
{
    *out = v->kind == JTREE_TRUE;
    return v->kind == JTREE_TRUE || v->kind == JTREE_FALSE;
}

static enum code read_rule(struct reading *r, const struct jtree *v, struct telemetry_rule *rule,
                           bool defaults)
{
    const char *bad = NULL;
    if (v->kind != JTREE_MAP)
        return wrong(r, v, "this", "must be an object with Publish, Pattern and Name");
    for (const struct jtree *f = v->first; f; f = f->next) {
        if (jtree_is(f->name, "Publish")) {
            if (!truth(f, &rule->publish))
                return wrong(r, f, "Publish", "must be true or false");
        } else if (jtree_is(f->name, "Pattern")) {
            regex_free(rule->pattern);
            rule->pattern = NULL;
            if (f->kind != JTREE_TEXT)
                return wrong(r, f, "Pattern", "must be a text");
            if (regex_new(&rule->pattern, f->text, &bad) != CODE_OK)
                return wrong(r, f, "Pattern", bad ? bad : "is too much");
        } else if (jtree_is(f->name, "Name") && defaults && f->kind == JTREE_TEXT && f->text.len) {
            rule->name = arena_text(&r->t->arena, f->text);
            if (!rule->name)
                return FAIL(r->why, CODE_NOMEM, 0, "no memory for the telemetry configuration");
        } else {
            return wrong(r, f, "this",
                         defaults ? "must be Publish, Pattern or Name (a text)"
                                  : "must be Publish or Pattern; names are the same for all endpoints");
        }
    }
    return CODE_OK;
}

static int field_of(const char *group, struct bytes name)
{
    for (int i = 0; i < TELEMETRY_FIELDS; i++)
        if ((group ? fields[i].group && strcmp(group, fields[i].group) == 0 : !fields[i].group) &&
            jtree_is(name, fields[i].name))
            return i;
    return -1;
}

static enum code read_group(struct reading *r, const struct jtree *v, const char *group,
                            struct telemetry_set *set, bool *flat)
{
    enum code c = CODE_OK;
    if (v->kind != JTREE_MAP)
        return wrong(r, v, group, "must be an object");
    for (const struct jtree *f = v->first; f && c == CODE_OK; f = f->next) {
        int i = field_of(group, f->name);
        if (flat && jtree_is(f->name, "Flat"))
            c = truth(f, flat) ? CODE_OK : wrong(r, f, "Flat", "must be true or false");
        else if (i < 0)
            c = wrong(r, f, "this", "is no field that can be configured here");
        else
            c = read_rule(r, f, &set->of[i], flat);
    }
    return c;
}

static enum code read_set(struct reading *r, const struct jtree *v, struct telemetry_set *set, bool defaults)
{
    enum code c = CODE_OK;
    struct telemetry *t = r->t;
    if (v->kind != JTREE_MAP)
        return wrong(r, v, "this", "must be an object");
    for (const struct jtree *f = v->first; f && c == CODE_OK; f = f->next) {
        int i = field_of(NULL, f->name);
        if (i >= 0)
            c = read_rule(r, f, &set->of[i], defaults);
        else if (jtree_is(f->name, "MonitoredItem"))
            c = read_group(r, f, "MonitoredItem", set, defaults ? &t->item_flat : NULL);
        else if (jtree_is(f->name, "Value"))
            c = read_group(r, f, "Value", set, defaults ? &t->value_flat : NULL);
        else if (defaults || !jtree_is(f->name, "ForEndpointUrl"))
            c = wrong(r, f, "this", "is no field that can be configured here");
    }
    return c;
}

/* Patterns belong to their set; names and switches are inherited. */
static enum code read_special(struct reading *r, const struct jtree *list)
{
    struct telemetry *t = r->t;
    enum code c = CODE_OK;
    if (list->kind != JTREE_LIST || list->count > TELEMETRY_SPECIAL_MAX)
        return wrong(r, list, "EndpointSpecific", "must be a list of up to 1,000 objects");
    t->special = arena_zero(&t->arena, (list->count + 1) * sizeof *t->special);
    if (!t->special)
        return FAIL(r->why, CODE_NOMEM, 0, "no memory for the telemetry configuration");
    for (const struct jtree *v = list->first; v && c == CODE_OK; v = v->next) {
        const struct jtree *url = jtree_get(v, "ForEndpointUrl");
        if (!url || url->kind != JTREE_TEXT)
            return wrong(r, v, "this", "must have a ForEndpointUrl");
        struct telemetry_set *set = &t->special[t->special_count++];
        for (int i = 0; i < TELEMETRY_FIELDS; i++)
            set->of[i] = (struct telemetry_rule){t->defaults.of[i].publish, t->defaults.of[i].name, NULL};
        set->endpoint = arena_text(&t->arena, url->text);
        c = set->endpoint ? read_set(r, v, set, false)
                          : FAIL(r->why, CODE_NOMEM, 0, "no memory for the telemetry configuration");
    }
    return c;
}

static enum code read_all(struct reading *r, const struct jtree *tree)
{
    enum code c = CODE_OK;
    if (tree->kind != JTREE_MAP)
        return wrong(r, tree, "the file", "must be an object with Defaults and EndpointSpecific");
    for (const struct jtree *f = tree->first; f && c == CODE_OK; f = f->next)
        if (jtree_is(f->name, "Defaults"))
            c = read_set(r, f, &r->t->defaults, true);
        else if (!jtree_is(f->name, "EndpointSpecific"))
            c = wrong(r, f, "this", "must be Defaults or EndpointSpecific");
    const struct jtree *special = jtree_get(tree, "EndpointSpecific");
    return c == CODE_OK && special ? read_special(r, special) : c;
}

enum code telemetry_parse(struct telemetry **out, struct bytes text, struct fault *why)
{
    struct jtree *tree;
    struct fault own;
    why = why ? why : &own;
    struct telemetry *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the telemetry configuration");
    *t = telemetry_default;
    arena_init(&t->arena, NULL, 0, 64 << 20);
    char *copy = arena_text(&t->arena, text);
    enum code c = copy ? jtree_parse(&tree, &t->arena, bytes_of(copy, text.len), why)
                       : FAIL(why, CODE_NOMEM, 0, "no memory for the telemetry configuration");
    if (c == CODE_OK)
        c = read_all(&(struct reading){t, why}, tree);
    if (c == CODE_OK)
        *out = t;
    else
        telemetry_free(t);
    return c;
}

enum code telemetry_load(struct telemetry **out, const struct io *io, const char *path, struct fault *why)
{
    char *text;
    size_t len;
    struct fault inner;
    enum code c = io_load(io, path, TELEMETRY_BYTES, &text, &len, why);
    if (c != CODE_OK)
        return c;
    c = telemetry_parse(out, bytes_of(text, len), &inner);
    mem_free(text);
    return c == CODE_OK ? c : fault_set(why, c, 0, inner.at, FG_HERE, "%s:%s", path, inner.text);
}

const struct telemetry_set *telemetry_for(const struct telemetry *t, const char *endpoint)
{
    for (uint32_t i = 0; i < t->special_count; i++)
        if (jtree_is(bytes_str(endpoint), t->special[i].endpoint))
            return &t->special[i];
    return &t->defaults;
}

size_t telemetry_part(const struct telemetry_rule *rule, struct bytes text, char *out, size_t cap)
{
    struct regex_match m;
    struct arena scratch;
    size_t n = 0;
    if (!rule->pattern) {
        n = text.len < cap ? text.len : cap;
        if (n)
            memcpy(out, text.at, n);
        return n;
    }
    arena_init(&scratch, NULL, 0, 1 << 20);
    if (regex_find(rule->pattern, text, 0, &scratch, &m) == CODE_OK)
        for (int i = 1; i < REGEX_GROUPS; i++)
            for (size_t k = m.from[i]; m.from[i] != SIZE_MAX && k < m.to[i] && n < cap; k++)
                out[n++] = (char)text.at[k];
    arena_clear(&scratch);
    return n;
}

static void free_set(struct telemetry_set *set)
{
    for (int i = 0; i < TELEMETRY_FIELDS; i++)
        regex_free(set->of[i].pattern);
}

void telemetry_free(struct telemetry *t)
{
    if (!t)
        return;
    free_set(&t->defaults);
    for (uint32_t i = 0; i < t->special_count; i++)
        free_set(&t->special[i]);
    arena_clear(&t->arena);
    mem_free(t);
}
