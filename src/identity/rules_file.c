/* rules_file.c - from the YAML of a rules file to rules. */
#include "identity/rules_private.h"

#include "base/mem.h"
#include "base/settings_yaml.h"
#include "base/suggest.h"
#include "base/values.h"
#include "mqtt/topic.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { NAME_BYTES_MAX = 256, PATTERN_BYTES_MAX = 1024, PATTERN_LEVELS_MAX = 128 };

struct reading {
    struct rules *rules;
    const char   *file;
    struct fault *why;
    enum code     code; /* the first flaw */
};

static const char *const keys[] = { "user", "role", "client", "anonymous", "deny", "publish", "subscribe", "read" };

#define said(b) bytes_escape((b), (char[64]){ 0 }, 64)
enum { KEY_ANONYMOUS = 3, KEY_DENY, KEY_PUBLISH, KEY_COUNT = 8 };

static void flaw(struct reading *r, uint32_t line, uint32_t column, const char *fmt, ...) FG_PRINTF(4, 5);
static void flaw(struct reading *r, uint32_t line, uint32_t column, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    if (r->code)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->code = FAIL(r->why, CODE_DAMAGED, yaml_place(line, column), "%s:%u:%u: %s", r->file, line, column, text);
}

static void no_memory(struct reading *r)
{
    if (!r->code)
        r->code = FAIL(r->why, CODE_NOMEM, 0, "no memory for the rules");
}

/* A text, or a list of texts. */
static const struct yaml_node *texts_of(struct reading *r, const struct yaml_node *n, size_t *count)
{
    const struct yaml_node *first = n->kind == YAML_LIST ? n->first : n;
    *count = n->kind == YAML_LIST ? n->count : 1;
    if (n->kind == YAML_MAP || *count == 0)
        flaw(r, n->key_line, n->key_column, "%s must be a text or a list of texts", said(n->key));
    const struct yaml_node *item = first;
    for (size_t i = 0; i < *count && item && !r->code; i++, item = item->next)
        if (item->kind != YAML_SCALAR || !item->text.len)
            flaw(r, n->key_line, n->key_column, "%s must be a text or a list of texts", said(n->key));
    return r->code ? NULL : first;
}

static struct bytes keep(struct reading *r, struct bytes text)
{
    const char *copy = arena_text(&r->rules->arena, text);
    if (!copy)
        no_memory(r);
    return bytes_of(copy, copy ? text.len : 0);
}

static void read_names(struct reading *r, const struct yaml_node *n, struct names *out)
{
    size_t count;
    const struct yaml_node *item = texts_of(r, n, &count);
    struct bytes *at = item ? arena_zero(&r->rules->arena, count * sizeof *at) : NULL;
    if (item && !at)
        no_memory(r);
    for (size_t i = 0; at && i < count && !r->code; i++, item = item->next) {
        if (item->text.len > NAME_BYTES_MAX)
            flaw(r, item->line, item->column, "a name has at most %d bytes", NAME_BYTES_MAX);
        else
            at[i] = keep(r, item->text);
    }
    *out = (struct names){ at, count, true };
}

/* %u, %c and %% only; what is put in has no wildcard and no slash, so one stand-in shows whether the rest is a filter. */
static uint8_t parts_of(struct reading *r, const struct yaml_node *n)
{
    uint8_t parts = 0, sample[PATTERN_BYTES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < n->text.len; i++) {
        uint8_t c = n->text.at[i];
        sample[len++] = c;
        if (c != '%')
            continue;
        uint8_t what = ++i < n->text.len ? n->text.at[i] : 0;
        sample[len - 1] = 'x';
        parts |= what == 'u' ? PATTERN_USER : what == 'c' ? PATTERN_CLIENT : PATTERN_PERCENT;
        if (what != 'u' && what != 'c' && what != '%') {
            flaw(r, n->line, n->column, "'%s': behind a %% stands u (the user), c (the client) or another %%", said(n->text));
            return 0;
        }
    }
    struct bytes filter = bytes_of(sample, len);
    enum topic_flaw bad = topic_filter_check(filter, PATTERN_BYTES_MAX, PATTERN_LEVELS_MAX);
    if (topic_filter_shared(filter))
        flaw(r, n->line, n->column, "'%s' is a shared filter; write what stands behind the share's name", said(n->text));
    else if (bad)
        flaw(r, n->line, n->column, "the filter '%s' %s", said(n->text), topic_flaw_text(bad));
    return parts;
}

static void read_patterns(struct reading *r, const struct yaml_node *n, struct patterns *out)
{
    size_t count = 0;
    const struct yaml_node *item = NULL;
    bool none = n->kind == YAML_LIST && n->count == 0; /* `read: []`: nothing at all */
    if (!none)
        item = texts_of(r, n, &count);
    struct pattern *at = item ? arena_zero(&r->rules->arena, count * sizeof *at) : NULL;
    if (item && !at)
        no_memory(r);
    for (size_t i = 0; at && i < count && !r->code; i++, item = item->next) {
        if (item->text.len > PATTERN_BYTES_MAX) {
            flaw(r, item->line, item->column, "a filter has at most %d bytes here", PATTERN_BYTES_MAX);
            return;
        }
        at[i].parts = parts_of(r, item);
        at[i].text = keep(r, item->text);
    }
    *out = (struct patterns){ at, count, true };
}

static bool read_switch(struct reading *r, const struct yaml_node *n)
{
    bool on = false;
    if (n->kind != YAML_SCALAR || value_parse_switch(n->text, &on, NULL) != CODE_OK)
        flaw(r, n->key_line, n->key_column, "%s must be true or false", said(n->key));
    return on;
}

static void read_key(struct reading *r, const struct yaml_node *n, struct rule *rule)
{
    size_t k = 0;
    while (k < KEY_COUNT && !bytes_is(n->key, keys[k]))
        k++;
    if (k == KEY_COUNT) {
        const char *near = suggest_word(n->key, keys, KEY_COUNT);
        flaw(r, n->key_line, n->key_column, "unknown key '%s'. %s%s%s", said(n->key), near ? "Did you mean '" : "A rule has "
             "user, role, client, anonymous, deny, publish, subscribe and read", near ? near : "", near ? "'?" : "");
    } else if (k == KEY_ANONYMOUS) {
        rule->asks_anonymous = true;
        rule->anonymous = read_switch(r, n);
    } else if (k == KEY_DENY) {
        rule->deny = read_switch(r, n);
    } else if (k < KEY_ANONYMOUS) {
        read_names(r, n, &rule->names[k]);
    } else {
        read_patterns(r, n, &rule->patterns[k - KEY_PUBLISH]);
    }
}

static void read_rule(struct reading *r, const struct yaml_node *n, struct rule *rule)
{
    if (n->kind != YAML_MAP) {
        flaw(r, n->line, n->column, "a rule is a map, such as { user: anna, subscribe: [\"factory/#\"] }");
        return;
    }
    for (const struct yaml_node *k = n->first; k && !r->code; k = k->next)
        read_key(r, k, rule);
    bool about = false;
    for (int i = 0; i < RIGHTS; i++)
        about |= rule->patterns[i].given;
    if (!about)
        flaw(r, n->line, n->column, "this rule says nothing: it has neither publish nor subscribe nor read");
}

static void read_rules(struct reading *r, const struct yaml_node *n)
{
    bool empty = n->kind == YAML_SCALAR && n->plain && (!n->text.len || bytes_is(n->text, "null") || bytes_is(n->text, "~"));
    if (empty)
        return;
    if (n->kind != YAML_LIST) {
        flaw(r, n->key_line, n->key_column, "rules must be a list; put a dash before each");
        return;
    }
    r->rules->at = arena_zero(&r->rules->arena, (n->count + 1) * sizeof *r->rules->at);
    if (!r->rules->at) {
        no_memory(r);
        return;
    }
    for (const struct yaml_node *item = n->first; item && !r->code; item = item->next)
        read_rule(r, item, &r->rules->at[r->rules->count++]);
}

static void read_root(struct reading *r, const struct yaml_node *root)
{
    if (root->kind != YAML_MAP) {
        flaw(r, root->line, root->column, "a rules file has the keys version and rules");
        return;
    }
    for (const struct yaml_node *k = root->first; k && !r->code; k = k->next) {
        uint64_t version;
        if (bytes_is(k->key, "rules"))
            read_rules(r, k);
        else if (!bytes_is(k->key, "version"))
            flaw(r, k->key_line, k->key_column, "unknown key '%s'. A rules file has version and rules", said(k->key));
        else if (k->kind != YAML_SCALAR || value_parse_count(k->text, 1, 1, &version, NULL) != CODE_OK)
            flaw(r, k->key_line, k->key_column, "version must be 1");
    }
}

enum code rules_parse(struct rules **out, const char *file, struct bytes text, struct fault *why)
{
    struct reading r = { .rules = mem_zalloc(1, sizeof *r.rules), .file = file, .why = why };
    struct yaml_node *root = NULL;
    struct arena tree;
    struct fault inner;
    if (!r.rules)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the rules");
    arena_init(&r.rules->arena, NULL, 0, (size_t)64 << 20);
    arena_init(&tree, NULL, 0, (size_t)64 << 20);
    enum code c = settings_yaml_parse(text, &tree, &root, &inner);
    if (c == CODE_USAGE)
        flaw(&r, (uint32_t)(inner.at >> 16), (uint32_t)(inner.at & 65535), "%s", inner.text);
    else if (c != CODE_OK)
        no_memory(&r);
    else if (root)
        read_root(&r, root);
    arena_clear(&tree);
    if (r.code != CODE_OK) {
        rules_free(r.rules);
        return r.code;
    }
    *out = r.rules;
    return CODE_OK;
}
