/* settings_variables.c - `opcua.server` and `opcua.variables`: what is right by itself and wrong with another, and what only this part of
 * the file knows how to read. */
#include "base/number.h"
#include "base/settings_table.h"
#include "base/suggest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEVELS_MAX = 64, TYPE_STRING = 11, TYPE_DATE_TIME = 12 };

bool settings_braces(const char *text, size_t from, size_t *at, size_t *len, uint32_t *level)
{
    const char *open = strpbrk(text + from, "{}"), *close = open && *open == '{' ? strchr(open, '}') : NULL;
    *len = 0;
    if (!open)
        return true;
    if (!close)
        return false;
    *at = (size_t)(open - text);
    *len = (size_t)(close - open) + 1;
    if (!strncmp(open, "{#}", 3)) {
        *level = UINT32_MAX;
    } else if (!strncmp(open, "{topic}", 7)) {
        *level = 0;
    } else {
        char *end;
        unsigned long n = open[1] >= '1' && open[1] <= '9' ? strtoul(open + 1, &end, 10) : 0;
        if (!n || n > LEVELS_MAX || end != close)
            return false;
        *level = (uint32_t)n;
    }
    return true;
}

/* ---- the server ---- */

static const char *const policies[] = { "None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss" };

static struct origin item_place(struct loading *l, const char *key, size_t i)
{
    struct origin o = *settings_origin(l, key);
    if (o.items)
        o.place = o.items[i];
    return o;
}

/* The first address that others can reach, or NULL. */
static const char *check_addresses(struct loading *l, struct settings_opcua_served *s)
{
    const char *outside = NULL;
    for (size_t i = 0; i < s->at.count; i++) {
        struct settings_address a;
        struct fault why;
        struct origin o = item_place(l, "opcua.server.at", i);
        enum code c = setting_address(bytes_str(s->at.at[i]), &a, &l->inner->arena, &why);
        if (c == CODE_NOMEM)
            l->nomem = true;
        else if (c != CODE_OK)
            settings_say(l, NOTE_VALUE, false, &o, "opcua.server.at[%zu] must be %s", i, why.text);
        else if (!a.loopback && !outside)
            outside = s->at.at[i];
    }
    s->local = !outside;
    return outside;
}

static bool check_policies(struct loading *l, const struct settings_opcua_served *s)
{
    bool none = false;
    for (size_t i = 0; i < s->security.count; i++) {
        size_t k = 0;
        while (k < 4 && strcmp(policies[k], s->security.at[i]))
            k++;
        struct origin o = item_place(l, "opcua.server.security", i);
        none = none || k == 0;
        if (k == 4)
            settings_say(l, NOTE_VALUE, false, &o,
                         "opcua.server.security[%zu] must be Basic256Sha256, Aes128_Sha256_RsaOaep, Aes256_Sha256_RsaPss or None, got '%.60s'", i,
                         s->security.at[i]);
    }
    return none;
}

static void check_server(struct loading *l)
{
    struct settings_opcua_served *s = &l->inner->settings.opcua.server;
    const char *outside = check_addresses(l, s);
    bool none = check_policies(l, s);
    if (outside && none && !s->insecure)
        settings_say(l, NOTE_TOGETHER, false, settings_origin(l, "opcua.server.security"),
                     "opcua.server.security has None, and other machines reach %s: anybody there could read along. Remove None, listen on"
                     " 127.0.0.1 or [::1], or accept that with `insecure: true`",
                     outside);
    if (outside && s->anonymous == OPCUA_WRITE && !s->insecure)
        settings_say(l, NOTE_TOGETHER, false, settings_origin(l, "opcua.server.anonymous"),
                     "opcua.server.anonymous is write, and other machines reach %s: anybody there could give orders. Write `anonymous: read`,"
                     " listen on 127.0.0.1 or [::1], or accept that with `insecure: true`",
                     outside);
    if (s->at.count && !s->anonymous && !s->users && !s->certificates)
        settings_say(l, NOTE_TOGETHER, false, settings_origin(l, "opcua.server.anonymous"),
                     "opcua.server lets nobody in: anonymous, users and certificates are all none. Give one of them read or write");
    if (!s->at.count && l->inner->settings.opcua.variables.count)
        settings_say(l, NOTE_TOGETHER, true, settings_origin(l, "opcua.variables"),
                     "opcua.variables has %zu, and no server serves them. Say where with opcua: { server: { at: \"127.0.0.1:4840\" } }",
                     l->inner->settings.opcua.variables.count);
}

/* ---- a variable ---- */

struct looking {
    struct loading *l;
    const struct settings_opcua_variable *v;
    struct origin o;
    uint64_t wild;   /* bit n: level n is + */
    uint32_t levels; /* before # */
    bool hash;
};

static void wrong(const struct looking *k, int number, const char *key, const char *fmt, ...) FG_PRINTF(4, 5);
static void wrong(const struct looking *k, int number, const char *key, const char *fmt, ...)
{
    char text[360];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    settings_say(k->l, number, false, &k->o, "opcua.variables.%s.%s %s", k->v->entry.name, key, text);
}

static bool check_topic(struct looking *k)
{
    const struct settings *s = &k->l->inner->settings;
    struct bytes topic = bytes_str(k->v->topic);
    if (!strncmp(k->v->topic, "$share/", 7) ||
        (k->l->source->filter_valid && !k->l->source->filter_valid(topic, s->limits.topic_bytes, s->limits.topic_levels))) {
        wrong(k, NOTE_VALUE, "topic", "must be a topic, or a topic filter such as factory/+/+/telemetry, of at most %u bytes and %u levels, got '%.100s'",
              s->limits.topic_bytes, s->limits.topic_levels, k->v->topic);
        return false;
    }
    for (const char *at = k->v->topic; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
        k->hash = at[0] == '#' && !at[1];
        if (k->hash)
            break;
        k->levels++;
        if (at[0] == '+' && (at[1] == '/' || !at[1]) && k->levels < LEVELS_MAX)
            k->wild |= UINT64_C(1) << k->levels;
    }
    return true;
}

/* What stands in braces is of the topic, and tells apart what the wildcards tell apart. */
static void check_template(const struct looking *k, const char *key, const char *text)
{
    uint64_t named = 0;
    bool all = false, rest = false;
    size_t at = 0, len = 0;
    uint32_t level;
    for (size_t from = 0; text[0]; from = at + len) {
        if (!settings_braces(text, from, &at, &len, &level)) {
            wrong(k, NOTE_VALUE, key, "has braces with something else than a level's number, # or topic in them: '%.100s'. Write {2} for the second"
                                      " level of the topic", text);
            return;
        }
        if (!len)
            break;
        all = all || level == 0;
        rest = rest || level == UINT32_MAX;
        if (level == UINT32_MAX ? !k->hash : level > k->levels) {
            wrong(k, NOTE_TOGETHER, key, "has %.*s, which the topic %.100s does not have", (int)len, text + at, k->v->topic);
            return;
        }
        if (level && level != UINT32_MAX)
            named |= UINT64_C(1) << level;
    }
    for (uint32_t i = 1; text[0] && !all && i <= k->levels && i < LEVELS_MAX; i++)
        if ((k->wild & ~named) >> i & 1) {
            wrong(k, NOTE_TOGETHER, key, "does not say {%u}: several topics that %.100s matches would be one. Write it in, or {topic}", i, k->v->topic);
            return;
        }
    if (text[0] && !all && k->hash && !rest)
        wrong(k, NOTE_TOGETHER, key, "does not say {#}: several topics that %.100s matches would be one. Write it in, or {topic}", k->v->topic);
}

static void check_writable(const struct looking *k)
{
    const struct settings *s = &k->l->inner->settings;
    const char *w = k->v->writable;
    if (w[0] && (strpbrk(w, "+") || (strchr(w, '#') && !strstr(w, "{#}")) || w[0] == '$' || strlen(w) > s->limits.topic_bytes))
        wrong(k, NOTE_VALUE, "writable", "must be a topic to publish to, of at most %u bytes, without wildcards and not beginning with $, got '%.100s'",
              s->limits.topic_bytes, w);
}

static void check_path(const struct looking *k, const char *key, const char *text)
{
    unsigned parts = 1;
    size_t n = strlen(text);
    for (const char *at = text; (at = strchr(at, '.')); at++)
        parts++;
    if (n && (text[0] == '.' || text[n - 1] == '.' || strstr(text, "..") || parts > OPCUA_FIELD_PARTS))
        wrong(k, NOTE_VALUE, key, "must be names with dots between them, at most %d, such as motor.speed, got '%.100s'", OPCUA_FIELD_PARTS, text);
}

static void check_node(const struct looking *k)
{
    const char *n = k->v->node, *id = !strncmp(n, "ns=2;", 5) ? n + 5 : n;
    char *end = NULL;
    if (!n[0] || (!strncmp(id, "s=", 2) && id[2]))
        return;
    if (!strncmp(id, "i=", 2) && id[2] >= '0' && id[2] <= '9' && strtoull(id + 2, &end, 10) <= UINT32_MAX && !*end)
        return;
    wrong(k, NOTE_VALUE, "node", "must be s=TEXT or i=NUMBER, perhaps with ns=2; before it, got '%.100s'", n);
}

static void check_number_things(const struct looking *k)
{
    const struct settings_opcua_variable *v = k->v;
    double low, high;
    bool number = v->type > 0 && v->type < TYPE_STRING;
    if (!number && (v->unit[0] || v->range.count))
        wrong(k, NOTE_TOGETHER, v->unit[0] ? "unit" : "range", "is for numbers, and the type is %s. Remove it, or write `type: Double`",
              v->type == 0 ? "Boolean" : v->type == TYPE_STRING ? "String" : "DateTime");
    if (v->range.count && (v->range.count != 2 || !float_parse(bytes_str(v->range.at[0]), &low) ||
                           !float_parse(bytes_str(v->range.at[1]), &high) || !(low < high)))
        wrong(k, NOTE_VALUE, "range", "must be two numbers, the lower one first, such as [0, 120]");
}

static void check_variable(struct loading *l, const struct settings_opcua_variable *v)
{
    struct looking k = { .l = l, .v = v, .o = setting_in_file(v->entry.line, v->entry.column) };
    if (!v->entry.name || !v->topic || !v->topic[0] || !check_topic(&k))
        return;
    check_template(&k, "folder", v->folder);
    check_template(&k, "node", v->node);
    check_template(&k, "writable", v->writable);
    check_writable(&k);
    check_path(&k, "field", v->field);
    check_path(&k, "timestamp", v->timestamp);
    if (v->timestamp[0] && !v->field[0])
        wrong(&k, NOTE_TOGETHER, "timestamp", "is a field of a JSON payload, and without `field` the whole payload is the value. Name the value's"
                                              " field, or remove it");
    if (!strncmp(v->node, "i=", 2) || !strncmp(v->node, "ns=2;i=", 7) ? k.wild || k.hash : false)
        wrong(&k, NOTE_TOGETHER, "node", "is one number, and the topic %.100s is many. Write s=TEXT with the levels in it, or remove it", v->topic);
    check_node(&k);
    check_number_things(&k);
}

static const char *id_of(const struct settings_opcua_variable *v)
{
    const char *n = v->node;
    return !strncmp(n, "ns=2;", 5) ? n + 5 : n;
}

static int by_id(const void *a, const void *b)
{
    const struct settings_opcua_variable *const *x = a, *const *y = b;
    return strcmp(id_of(*x), id_of(*y));
}

/* Names are unique; what `node` says may not be. */
static void check_twice(struct loading *l)
{
    const struct settings *s = &l->inner->settings;
    size_t n = 0;
    const struct settings_opcua_variable **list = arena_zero(&l->inner->arena, (s->opcua.variables.count + 1) * sizeof *list);
    if (!list) {
        l->nomem = true;
        return;
    }
    for (size_t i = 0; i < s->opcua.variables.count; i++)
        if (s->opcua.variables.at[i].node && s->opcua.variables.at[i].node[0])
            list[n++] = &s->opcua.variables.at[i];
    qsort(list, n, sizeof *list, by_id);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(id_of(list[i - 1]), id_of(list[i]))) {
            struct looking k = { .l = l, .v = list[i], .o = setting_in_file(list[i]->entry.line, list[i]->entry.column) };
            wrong(&k, NOTE_TOGETHER, "node", "is %.100s, and so is that of opcua.variables.%s. Give one of them another", list[i]->node,
                  list[i - 1]->entry.name);
        }
}

void settings_settle_opcua(struct loading *l)
{
    const struct settings *s = &l->inner->settings;
    if (l->nomem)
        return;
    check_server(l);
    for (size_t i = 0; i < s->opcua.variables.count && !l->nomem; i++)
        check_variable(l, &s->opcua.variables.at[i]);
    check_twice(l);
}
