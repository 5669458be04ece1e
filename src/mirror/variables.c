/* variables.c - from the settings' entries to nodes of the address space: folders, variables with their units, one for each topic. */
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "mirror/mirror_private.h"
#include "mirror/template.h"
#include "mirror/units.h"
#include "mqtt/topic.h"
#include "opcua/ids.h"

#include <stdlib.h>

enum { ANALOG_UNIT_TYPE = 17497, DEEP_MAX = 32 };

static bool is_pattern(const struct settings_opcua_variable *e)
{
    return strpbrk(e->topic, "+#") != NULL;
}

/* ---- folders ---- */

static struct ua_node *node_of(struct mirror *m, const struct mirror_folder *f)
{
    return f ? f->node : ua_find0(m->space, UA_ID_OBJECTS_FOLDER);
}

static void folder_leave(struct mirror *m, struct mirror_folder *f)
{
    while (f && --f->used == 0) {
        struct mirror_folder *above = f->above;
        (void)table_remove(&m->folders, bytes_of(f->path, f->len));
        ua_remove(m->space, f->node);
        mem_free(f);
        f = above;
    }
}

/* The id has a slash behind it, so that no variable's is the same. Counted in `above`. */
static struct mirror_folder *folder_new(struct mirror *m, struct mirror_folder *above, struct bytes path, struct bytes name, struct fault *why)
{
    struct mirror_folder *f = mem_alloc(sizeof *f + path.len + 1);
    if (!f) {
        (void)FAIL(why, CODE_NOMEM, 0, "no memory for a folder");
        return NULL;
    }
    *f = (struct mirror_folder){ .above = above, .len = path.len };
    memcpy(f->path, path.at, path.len);
    f->path[path.len] = '/';
    struct ua_new new = { .id = { .ns = m->ns, .kind = UA_ID_STRING, .text = bytes_of(f->path, path.len + 1) },
                          .node_class = UA_CLASS_OBJECT, .type = UA_ID_FOLDER_TYPE, .parent = node_of(m, above),
                          .browse_name = { m->ns, name } };
    enum code c = table_put(&m->folders, bytes_of(f->path, f->len), f);
    if (c == CODE_OK) {
        c = ua_add(m->space, &new, &f->node, why);
        if (c != CODE_OK)
            (void)table_remove(&m->folders, bytes_of(f->path, f->len));
    } else {
        (void)FAIL(why, c, 0, "no memory for a folder");
    }
    if (c != CODE_OK) {
        mem_free(f);
        return NULL;
    }
    if (above)
        above->used++;
    return f;
}

/* The folder of that path, one more in it; *out NULL: Objects. Empty parts are left out. */
static enum code folder_enter(struct mirror *m, struct bytes path, struct mirror_folder **out, struct fault *why)
{
    struct buf so_far = { 0 };
    struct mirror_folder *at = NULL;
    size_t cursor = 0;
    unsigned deep = 0;
    struct bytes name;
    enum code c = CODE_OK;
    while (path.len && c == CODE_OK && topic_level(path, &cursor, &name)) {
        if (!name.len)
            continue;
        if (so_far.len)
            buf_u8(&so_far, '/');
        buf_add_bytes(&so_far, name);
        if (so_far.bad || ++deep > DEEP_MAX) {
            c = FAIL(why, so_far.bad ? CODE_NOMEM : CODE_LIMIT, 0, "folders are at most %d deep", DEEP_MAX);
            break;
        }
        struct mirror_folder *next = table_get(&m->folders, buf_bytes(&so_far));
        if (!next)
            next = folder_new(m, at, buf_bytes(&so_far), name, why);
        c = next ? CODE_OK : why->code;
        at = next ? next : at;
    }
    buf_clear(&so_far);
    if (at)
        at->used++;
    if (c != CODE_OK) {
        folder_leave(m, at);
        at = NULL;
    }
    *out = at;
    return c;
}

/* ---- variables ---- */

/* Into `out`: the text of a string id. */
static void id_text(struct buf *out, const struct mirror_variable *v, struct bytes folder, struct bytes topic)
{
    const char *n = v->entry->node;
    if (n[0]) {
        n += !strncmp(n, "ns=2;", 5) ? 5 : 0;
        mirror_fill(out, n + 2, bytes_str(v->entry->topic), topic);
        return;
    }
    if (is_pattern(v->entry)) {
        buf_add_bytes(out, folder);
        buf_u8(out, '/');
    }
    buf_add_bytes(out, bytes_str(v->entry->entry.name));
}

static enum code add_units(struct mirror *m, struct mirror_variable *v, struct ua_node *node, struct fault *why)
{
    struct ua_range range;
    struct ua_eu_information unit;
    const struct settings_opcua_variable *e = v->entry;
    bool ranged = e->range.count == 2 && float_parse(bytes_str(e->range.at[0]), &range.low) && float_parse(bytes_str(e->range.at[1]), &range.high);
    if (!ranged && !e->unit[0])
        return CODE_OK;
    if (e->unit[0])
        mirror_unit(bytes_str(e->unit), &unit);
    return ua_add_units(m->space, node, ranged ? &range : NULL, e->unit[0] ? &unit : NULL, why);
}

static enum code add_node(struct mirror *m, struct mirror_variable *v, struct bytes folder, struct fault *why)
{
    const struct settings_opcua_variable *e = v->entry;
    struct bytes topic = bytes_of(v->topic->name, v->topic->len);
    struct buf id = { 0 };
    struct ua_node *node = NULL;
    const char *number = strncmp(e->node, "ns=2;", 5) ? e->node : e->node + 5;
    id_text(&id, v, folder, topic);
    struct ua_new new = { .id = { .ns = m->ns, .kind = UA_ID_STRING, .text = buf_bytes(&id) },
                          .node_class = UA_CLASS_VARIABLE,
                          .parent = node_of(m, v->folder),
                          .type = e->range.count ? UA_ID_ANALOG_ITEM_TYPE : e->unit[0] ? ANALOG_UNIT_TYPE : 0,
                          .browse_name = { m->ns, bytes_str(e->entry.name) },
                          .description = topic,
                          .data_type = UA_NS0(e->type + 1),
                          .access = v->writable ? UA_ACCESS_READ | UA_ACCESS_WRITE : UA_ACCESS_READ,
                          .ops = v->writable ? &mirror_writable_ops : NULL,
                          .ctx = v };
    if (!strncmp(number, "i=", 2))
        new.id = (struct ua_node_id){ .ns = m->ns, .kind = UA_ID_NUMBER, .number = (uint32_t)strtoul(number + 2, NULL, 10) };
    enum code c = id.bad ? FAIL(why, CODE_NOMEM, 0, "no memory for a variable") : ua_add(m->space, &new, &node, why);
    buf_clear(&id);
    if (c == CODE_OK && (c = add_units(m, v, node, why)) != CODE_OK)
        ua_remove(m->space, node);
    if (c == CODE_OK)
        v->node = ua_as_variable(node);
    return c;
}

static enum code add_writable(struct mirror_variable *v, struct fault *why)
{
    struct buf topic = { 0 };
    if (!v->entry->writable[0])
        return CODE_OK;
    mirror_fill(&topic, v->entry->writable, bytes_str(v->entry->topic), bytes_of(v->topic->name, v->topic->len));
    bool fine = !topic.bad && topic_name_valid(buf_bytes(&topic), UINT16_MAX, UINT32_MAX);
    v->writable = fine ? mem_strndup((const char *)topic.at, topic.len) : NULL;
    buf_clear(&topic);
    if (!v->writable)
        return FAIL(why, fine ? CODE_NOMEM : CODE_USAGE, 0, "`writable` makes no topic of it");
    return CODE_OK;
}

static enum code place(struct mirror *m, struct mirror_variable *v, struct fault *why)
{
    struct buf folder = { 0 };
    struct bytes filter = bytes_str(v->entry->topic), topic = bytes_of(v->topic->name, v->topic->len);
    if (!v->entry->folder[0] && is_pattern(v->entry))
        mirror_wild_folder(&folder, filter, topic);
    else
        mirror_fill(&folder, v->entry->folder, filter, topic);
    enum code c = folder.bad ? FAIL(why, CODE_NOMEM, 0, "no memory for a folder") : add_writable(v, why);
    if (c == CODE_OK)
        c = folder_enter(m, buf_bytes(&folder), &v->folder, why);
    if (c == CODE_OK && (c = add_node(m, v, buf_bytes(&folder), why)) != CODE_OK)
        folder_leave(m, v->folder);
    buf_clear(&folder);
    return c;
}

static void refuse(struct mirror *m, const struct settings_opcua_variable *e, const struct mirror_topic *t, const struct fault *why)
{
    char said[160];
    m->count.variables_refused++;
    log_warn("opcua", "FG5404 opcua.variables.%s: no variable for the topic %s: %s", e->entry.name,
             bytes_escape(bytes_of(t->name, t->len), said, sizeof said), why->text);
}

static bool has_room(struct mirror *m)
{
    if (m->count.variables < MIRROR_VARIABLES_MAX)
        return true;
    m->count.variables_refused++;
    if (!m->said_full)
        log_warn("opcua", "FG5405 there are %d OPC UA variables, which is the most: further topics get none. Narrower topics in opcua.variables"
                          " make fewer", MIRROR_VARIABLES_MAX);
    m->said_full = true;
    return false;
}

static void variable_add(struct mirror *m, const struct settings_opcua_variable *e, struct mirror_topic *t)
{
    struct fault why;
    struct mirror_variable *v = has_room(m) ? mem_zalloc(1, sizeof *v) : NULL;
    if (!v)
        return;
    *v = (struct mirror_variable){ .mirror = m, .topic = t, .entry = e, .heard_us = loop_now_us(m->loop) };
    if (place(m, v, &why) != CODE_OK) {
        refuse(m, e, t, &why);
        mem_free(v->writable);
        mem_free(v);
        return;
    }
    v->next = t->first;
    t->first = v;
    v->all_next = m->all;
    v->all_link = &m->all;
    if (m->all)
        m->all->all_link = &v->all_next;
    m->all = v;
    m->count.variables++;
    t->planned = false;
}

static void variable_unlist(struct mirror_variable *v)
{
    struct mirror_variable **at = &v->topic->first;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    *v->all_link = v->all_next;
    if (v->all_next)
        v->all_next->all_link = v->all_link;
    v->topic->planned = false;
    v->mirror->count.variables--;
}

static void variable_remove(struct mirror *m, struct mirror_variable *v)
{
    variable_unlist(v);
    ua_remove(m->space, &v->node->node);
    folder_leave(m, v->folder);
    mem_free(v->writable);
    mem_free(v);
}

/* ---- topics ---- */

static struct mirror_topic *topic_new(struct mirror *m, struct bytes name)
{
    struct mirror_topic *t = mem_alloc(sizeof *t + name.len);
    if (!t)
        return NULL;
    *t = (struct mirror_topic){ .len = name.len };
    memcpy(t->name, name.at, name.len);
    if (table_put(&m->topics, bytes_of(t->name, t->len), t) == CODE_OK)
        return t;
    mem_free(t);
    return NULL;
}

static void topic_free(struct mirror *m, struct mirror_topic *t)
{
    (void)table_remove(&m->topics, bytes_of(t->name, t->len));
    json_plan_free(t->plan);
    mem_free(t);
}

static void topic_leave(struct mirror *m, struct mirror_topic *t)
{
    if (!t->first)
        topic_free(m, t);
}

struct mirror_topic *mirror_topic_of(struct mirror *m, struct bytes name)
{
    struct mirror_topic *t = table_get(&m->topics, name);
    if (t || m->count.variables >= MIRROR_VARIABLES_MAX) {
        if (!t)
            (void)has_room(m);
        return t;
    }
    t = topic_new(m, name);
    for (size_t i = 0; t && i < m->settings->opcua.variables.count; i++) {
        const struct settings_opcua_variable *e = &m->settings->opcua.variables.at[i];
        if (topic_matches(bytes_str(e->topic), name))
            variable_add(m, e, t);
    }
    if (!t || t->first)
        return t;
    topic_free(m, t);
    return NULL;
}

/* ---- a change ---- */

static bool same(const struct settings_opcua_variable *a, const struct settings_opcua_variable *b)
{
    bool range = a->range.count == b->range.count;
    for (size_t i = 0; range && i < a->range.count; i++)
        range = !strcmp(a->range.at[i], b->range.at[i]);
    return range && !strcmp(a->entry.name, b->entry.name) && !strcmp(a->topic, b->topic) && !strcmp(a->field, b->field) &&
           a->type == b->type && !strcmp(a->unit, b->unit) && !strcmp(a->timestamp, b->timestamp) && a->stale_s == b->stale_s &&
           !strcmp(a->writable, b->writable) && !strcmp(a->folder, b->folder) && !strcmp(a->node, b->node);
}

static const struct settings_opcua_variable *find(const struct settings_opcua_variable *e, const struct table *by_name)
{
    const struct settings_opcua_variable *found = table_get(by_name, bytes_str(e->entry.name));
    return found && same(found, e) ? found : NULL;
}

static void keep_or_remove(struct mirror *m, const struct table *by_name)
{
    for (struct mirror_variable *v = m->all, *next; v; v = next) {
        next = v->all_next;
        struct mirror_topic *t = v->topic;
        const struct settings_opcua_variable *e = find(v->entry, by_name);
        if (e) {
            v->entry = e;
        } else {
            variable_remove(m, v);
            topic_leave(m, t);
        }
    }
}

static bool has_entry(const struct mirror_topic *t, const struct settings_opcua_variable *e)
{
    for (const struct mirror_variable *v = t->first; v; v = v->next)
        if (v->entry == e)
            return true;
    return false;
}

static void add_new(struct mirror *m, const struct settings_opcua_variable *e)
{
    size_t cursor = 0;
    struct bytes filter = bytes_str(e->topic);
    if (!is_pattern(e)) {
        struct mirror_topic *t = table_get(&m->topics, filter);
        if (!t)
            (void)mirror_topic_of(m, filter);
        else if (!has_entry(t, e))
            variable_add(m, e, t);
        return;
    }
    for (struct mirror_topic *t; (t = table_next(&m->topics, &cursor));)
        if (topic_matches(filter, bytes_of(t->name, t->len)) && !has_entry(t, e))
            variable_add(m, e, t);
}

void mirror_variables(struct mirror *m, const struct settings *s)
{
    const struct settings *old = m->settings;
    struct table by_name = { 0 };
    bool full = true;
    for (size_t i = 0; full && i < s->opcua.variables.count; i++)
        full = table_put(&by_name, bytes_str(s->opcua.variables.at[i].entry.name), (void *)(uintptr_t)&s->opcua.variables.at[i]) == CODE_OK;
    m->said_full = false;
    keep_or_remove(m, &by_name);
    table_clear(&by_name);
    m->settings = s;
    for (size_t i = 0; i < s->opcua.variables.count; i++)
        add_new(m, &s->opcua.variables.at[i]);
    settings_free(old);
}

void mirror_variables_free(struct mirror *m)
{
    size_t cursor = 0;
    for (struct mirror_variable *v = m->all, *next; v; v = next) {
        next = v->all_next;
        mem_free(v->writable);
        mem_free(v);
    }
    m->all = NULL;
    for (struct mirror_topic *t; (t = table_next(&m->topics, &cursor));) {
        json_plan_free(t->plan);
        mem_free(t);
    }
    cursor = 0;
    for (struct mirror_folder *f; (f = table_next(&m->folders, &cursor));)
        mem_free(f);
    table_clear(&m->topics);
    table_clear(&m->folders);
    m->count.variables = 0;
}
