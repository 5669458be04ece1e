#include "base/settings.h"

#include "base/mem.h"
#include "base/settings_table.h"
#include "base/suggest.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    ARENA_BYTES_MAX = 32 << 20,
    VARIABLE_BYTES_MAX = 64,
    /* What a stored record adds to a packet: frame header, principal, source. */
    RECORD_OVERHEAD = 32 * 1024,
};
#define VARIABLE_PREFIX "FIELDGATE_"

/* ---- notes ---- */

struct origin setting_in_file(uint32_t line, uint32_t column)
{
    return (struct origin){ .kind = FROM_FILE, .place = { line, column } };
}

static void print_where(const struct loading *l, const struct origin *o, char *out, size_t cap)
{
    const char *file = l->inner->file ? l->inner->file : "settings";
    switch (o->kind) {
    case FROM_FILE:
        if (o->place.line)
            (void)snprintf(out, cap, "%s:%u:%u", file, o->place.line, o->place.column);
        else
            (void)snprintf(out, cap, "%s", file);
        return;
    case FROM_ENVIRONMENT:
        (void)snprintf(out, cap, "environment %s", o->said);
        return;
    case FROM_FLAG:
        (void)snprintf(out, cap, "%s", o->said);
        return;
    default:
        (void)snprintf(out, cap, "settings");
        return;
    }
}

void settings_say(struct loading *l, int number, bool warning, const struct origin *origin, const char *fmt,
                  ...)
{
    struct settings_note n = { .warning = warning, .number = number };
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(n.text, sizeof n.text, fmt, ap);
    va_end(ap);
    print_where(l, origin, n.where, sizeof n.where);
    if (origin->kind == FROM_FILE) {
        n.line = origin->place.line;
        n.column = origin->place.column;
    }
    if (!warning && l->report->errors++ == 0)
        (void)fault_set(l->why, CODE_USAGE, number, yaml_place(n.line, n.column), FG_HERE, "%s: %s", n.where,
                        n.text);
    if (l->report->count < SETTINGS_NOTES_MAX)
        l->report->notes[l->report->count++] = n;
    else
        l->report->unlisted++;
}

struct origin *settings_origin(struct loading *l, const char *key)
{
    for (size_t i = 0; i < settings_row_count; i++)
        if (strcmp(settings_rows[i].key, key) == 0)
            return &l->inner->origins[i];
    FG_ASSERT(!"a key of our own table");
    return NULL;
}

/* ---- environment and flags ---- */

const char *settings_variable(const char *const *environment, const char *name)
{
    size_t n = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return *environment + n + 1;
    return NULL;
}

static void store_said(struct loading *l, const struct setting *row, const char *value,
                       const struct origin *o)
{
    struct fault why;
    enum code c = setting_store(row, &l->inner->settings, bytes_str(value), &l->inner->arena, &why);
    if (c == CODE_NOMEM)
        l->nomem = true;
    else if (c != CODE_OK)
        settings_say(l, NOTE_VALUE, false, o, "%s must be %s", row->key, why.text);
    l->inner->origins[row - settings_rows] = *o;
}

/* One variable "NAME=value" that begins with FIELDGATE_. */
static void read_variable(struct loading *l, const char *variable)
{
    char names[SETTINGS_ROWS_MAX][VARIABLE_BYTES_MAX];
    const char *at[SETTINGS_ROWS_MAX];
    const char *equals = strchr(variable, '=');
    if (!equals)
        return;
    struct bytes name = bytes_of(variable, (size_t)(equals - variable));
    if (bytes_is(name, "FIELDGATE_CONFIG"))
        return;
    char *kept = arena_text(&l->inner->arena, name);
    if (!kept) {
        l->nomem = true;
        return;
    }
    struct origin o = { .kind = FROM_ENVIRONMENT, .said = kept };
    for (size_t i = 0; i < settings_row_count; i++) {
        setting_variable_name(&settings_rows[i], names[i], sizeof names[i]);
        at[i] = names[i] + strlen(VARIABLE_PREFIX);
        if (bytes_is(name, names[i])) {
            store_said(l, &settings_rows[i], equals + 1, &o);
            return;
        }
    }
    const char *near = suggest_word(bytes_from(name, strlen(VARIABLE_PREFIX)), at, settings_row_count);
    settings_say(l, NOTE_UNKNOWN, true, &o, "no setting has this name; it changes nothing%s%s%s",
         near ? ". Did you mean " VARIABLE_PREFIX : ". All keys: fieldgate config show", near ? near : "",
         near ? "?" : "");
}

static void read_environment(struct loading *l)
{
    for (const char *const *v = l->source->environment; v && *v; v++)
        if (strncmp(*v, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) == 0)
            read_variable(l, *v);
}

static void read_flag(struct loading *l, const struct settings_flag *flag)
{
    const char *keys[SETTINGS_ROWS_MAX];
    char *said = arena_text(&l->inner->arena, bytes_str(flag->said));
    if (!said) {
        l->nomem = true;
        return;
    }
    struct origin o = { .kind = FROM_FLAG, .said = said };
    for (size_t i = 0; i < settings_row_count; i++) {
        keys[i] = settings_rows[i].key;
        if (strcmp(keys[i], flag->key) == 0) {
            store_said(l, &settings_rows[i], flag->value, &o);
            return;
        }
    }
    char text[64];
    const char *near = suggest_word(bytes_str(flag->key), keys, settings_row_count);
    settings_say(l, NOTE_UNKNOWN, false, &o, "unknown key '%s'. %s%s%s",
                 bytes_escape(bytes_str(flag->key), text, sizeof text),
                 near ? "Did you mean '" : "All keys: fieldgate config", near ? near : " show",
                 near ? "'?" : "");
}

/* ---- values that depend on others ---- */

static void default_data(struct loading *l)
{
    struct settings *s = &l->inner->settings;
    const char *state = settings_variable(l->source->environment, "XDG_STATE_HOME");
    const char *home = settings_variable(l->source->environment, "HOME");
    char path[1100];
    if (s->data)
        return;
    /* The base directory specification says that a relative XDG_STATE_HOME must be ignored. */
    if (l->source->system)
        (void)snprintf(path, sizeof path, "%s", SETTINGS_SYSTEM_DATA);
    else if (state && state[0] == '/' && strlen(state) < 1000)
        (void)snprintf(path, sizeof path, "%s/fieldgate", state);
    else if (home && home[0] == '/' && strlen(home) < 1000)
        (void)snprintf(path, sizeof path, "%s/.local/state/fieldgate", home);
    else
        (void)snprintf(path, sizeof path, "fieldgate-data");
    s->data = arena_text(&l->inner->arena, bytes_str(path));
    l->nomem |= !s->data;
}

static void compute(struct loading *l, const struct io *io)
{
    struct settings *s = &l->inner->settings;
    default_data(l);
    if (!s->limits.half_open) {
        uint32_t part = s->limits.connections / 20;
        s->limits.half_open = part > 10 ? part : 10;
    }
    if (!s->limits.memory_bytes)
        s->limits.memory_bytes = limits_memory(io);
}

/* ---- right by itself, wrong with another ---- */

static void check_topics(struct loading *l)
{
    const struct settings *s = &l->inner->settings;
    struct origin whole = *settings_origin(l, "hub.topics");
    for (size_t i = 0; i < s->hub.topics.count; i++) {
        struct bytes filter = bytes_str(s->hub.topics.at[i]);
        struct origin o = whole;
        char said[96];
        if (whole.items)
            o.place = whole.items[i];
        if (l->source->filter_valid &&
            !l->source->filter_valid(filter, s->limits.topic_bytes, s->limits.topic_levels))
            settings_say(
                l, NOTE_VALUE, false, &o,
                "hub.topics[%zu]: '%s' is not an MQTT topic filter of at most %u bytes and"
                " %u levels. + stands for one whole level, # for all the rest and last, as in \"factory/#\"",
                i, bytes_escape(filter, said, sizeof said), s->limits.topic_bytes, s->limits.topic_levels);
    }
}

static void check_sizes(struct loading *l)
{
    const struct settings *s = &l->inner->settings;
    if (s->limits.packet_bytes > s->journal.segment_bytes - RECORD_OVERHEAD)
        settings_say(
            l, NOTE_TOGETHER, false, settings_origin(l, "limits.packet-bytes"),
            "limits.packet-bytes (%u) does not fit into journal.segment-bytes (%llu), which needs %d more"
            " than the"
            " largest packet. Make the packet smaller or the segment larger",
            s->limits.packet_bytes, (unsigned long long)s->journal.segment_bytes, RECORD_OVERHEAD);
    if (s->limits.connect_bytes > s->limits.packet_bytes)
        settings_say(
            l, NOTE_TOGETHER, false, settings_origin(l, "limits.connect-bytes"),
            "limits.connect-bytes (%u) is more than limits.packet-bytes (%u), which holds afterwards; lower"
            " it",
            s->limits.connect_bytes, s->limits.packet_bytes);
}

static void check_together(struct loading *l)
{
    check_topics(l);
    check_sizes(l);
    settings_settle_listeners(l);
    settings_settle_opcua(l);
}

/* ---- loading ---- */

static void read_defaults(struct loading *l)
{
    struct settings *s = &l->inner->settings;
    for (size_t i = 0; i < settings_row_count; i++)
        if (setting_store_default(&settings_rows[i], s, &l->inner->arena) != CODE_OK)
            l->nomem = true;
    s->listeners = listeners_default;
    s->listener_count = listeners_default_count;
}

static void read_text(struct loading *l, struct bytes text)
{
    struct arena tree;
    struct yaml_node *root = NULL;
    struct fault why;
    if (text.len > SETTINGS_FILE_BYTES_MAX) {
        struct origin o = setting_in_file(0, 0);
        settings_say(l, NOTE_UNREADABLE, false, &o,
                     "the file has %zu bytes, the most is %zu; this is not a settings file", text.len,
                     SETTINGS_FILE_BYTES_MAX);
        return;
    }
    arena_init(&tree, NULL, 0, ARENA_BYTES_MAX);
    enum code c = settings_yaml_parse(text, &tree, &root, &why);
    if (c == CODE_NOMEM) {
        l->nomem = true;
    } else if (c != CODE_OK) {
        struct origin o = setting_in_file((uint32_t)(why.at >> 16), (uint32_t)(why.at & 0xffff));
        settings_say(l, NOTE_NOT_YAML, false, &o, "%s", why.text);
    } else {
        settings_read_tree(l, root);
    }
    arena_clear(&tree);
}

static void read_path(struct loading *l, const struct io *io)
{
    char *text;
    size_t len;
    struct fault why;
    enum code c = io_load(io, l->source->path, SETTINGS_FILE_BYTES_MAX, &text, &len, &why);
    if (c == CODE_NOMEM) {
        l->nomem = true;
    } else if (c != CODE_OK) {
        struct origin o = setting_in_file(0, 0);
        settings_say(l, NOTE_UNREADABLE, false, &o, "%s. Name the right file, or none to use the defaults",
                     why.text);
    } else {
        read_text(l, bytes_of(text, len));
        mem_free(text);
    }
}

static enum code finish(struct loading *l, const struct settings **out, const struct io *io)
{
    struct settings_inner *inner = l->inner;
    read_environment(l);
    for (size_t i = 0; i < l->source->flag_count; i++)
        read_flag(l, &l->source->flags[i]);
    compute(l, io);
    if (!l->nomem && !l->report->errors)
        check_together(l);
    if (!l->nomem && !l->report->errors) {
        inner->settings.inner = inner;
        *out = &inner->settings;
        return CODE_OK;
    }
    settings_free(&inner->settings);
    return l->nomem ? FAIL(l->why, CODE_NOMEM, 0, "no memory to load the settings") : CODE_USAGE;
}

/* `text` NULL: read source->path, if there is one. */
static enum code load(const struct settings **out, const struct io *io, const struct settings_source *source,
                      const char *name, const struct bytes *text, struct settings_report *report,
                      struct fault *why)
{
    struct settings_inner *inner = mem_zalloc(1, sizeof *inner);
    struct settings_report *own = report ? NULL : mem_zalloc(1, sizeof *own);
    *out = NULL;
    if (!inner || (!report && !own)) {
        mem_free(inner);
        mem_free(own);
        return FAIL(why, CODE_NOMEM, 0, "no memory to load the settings");
    }
    if (report)
        *report = (struct settings_report){ 0 };
    arena_init(&inner->arena, NULL, 0, ARENA_BYTES_MAX);
    inner->settings.inner = inner;
    struct loading l = { .inner = inner, .source = source, .report = report ? report : own, .why = why };
    inner->file = name ? arena_text(&inner->arena, bytes_str(name)) : NULL;
    l.nomem = name && !inner->file;
    read_defaults(&l);
    if (text)
        read_text(&l, *text);
    else if (source->path)
        read_path(&l, io);
    enum code c = finish(&l, out, io);
    mem_free(own);
    return c;
}

enum code settings_load(const struct settings **out, const struct io *io,
                        const struct settings_source *source, struct settings_report *report,
                        struct fault *why)
{
    return load(out, io, source, source->path, NULL, report, why);
}

enum code settings_parse(const struct settings **out, const struct io *io,
                         const struct settings_source *source, const char *name, struct bytes text,
                         struct settings_report *report, struct fault *why)
{
    return load(out, io, source, name, &text, report, why);
}

const struct settings *settings_hold(const struct settings *s)
{
    (void)atomic_fetch_add(&s->inner->others, 1);
    return s;
}

const char *settings_file(const struct settings *s)
{
    return s->inner->file ? s->inner->file : "settings";
}

void settings_free(const struct settings *s)
{
    if (!s || atomic_fetch_sub(&s->inner->others, 1) > 0)
        return;
    struct settings_inner *inner = s->inner;
    arena_clear(&inner->arena);
    mem_free(inner);
}

const char *settings_default_path(const struct io *io, const char *const *environment)
{
    struct io_stat st;
    const char *named = settings_variable(environment, "FIELDGATE_CONFIG");
    if (named && named[0])
        return named;
    return io->stat(io->self, SETTINGS_SYSTEM_FILE, &st) == 0 ? SETTINGS_SYSTEM_FILE : NULL;
}

enum code settings_keep(const struct settings *fresh, const struct settings *old, bool (*keep)(const char *key),
                        struct fault *why)
{
    struct settings_inner *inner = fresh->inner;
    for (size_t i = 0; i < settings_row_count; i++) {
        const struct setting *row = &settings_rows[i];
        if (!row->size || !keep(row->key))
            continue;
        FG_ASSERT(row->kind != AS_TEXTS && row->kind != AS_LISTENERS && row->kind != AS_ENTRIES);
        void *to = (char *)&inner->settings + row->offset;
        memcpy(to, (const char *)old + row->offset, row->size);
        if (row->kind == AS_TEXT) {
            const char *text;
            memcpy(&text, to, sizeof text);
            char *copy = arena_take(&inner->arena, strlen(text) + 1);
            if (!copy)
                return FAIL(why, CODE_NOMEM, 0, "no memory for the settings");
            memcpy(copy, text, strlen(text) + 1);
            memcpy(to, &copy, sizeof copy);
        }
    }
    return CODE_OK;
}
