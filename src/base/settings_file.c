/* From the tree of a file to the rows: which key is which, and what is said of those that are none. */
#include "base/settings_table.h"
#include "base/suggest.h"

#include <stdarg.h>
#include <stdio.h>

enum { LEVEL_NAMES_MAX = 64, NAME_MAX_BYTES = 48, SHOWN_NAMES_MAX = 20, HINT_MAX_BYTES = 96 };

bool setting_means_nothing(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && n->plain &&
           (n->text.len == 0 || bytes_is(n->text, "~") || bytes_is(n->text, "null"));
}

/* libfyaml gives no place for a value that is not there: the key's does as well. */
struct origin setting_place(const struct yaml_node *n)
{
    return setting_means_nothing(n) && n->key_line ? setting_in_file(n->key_line, n->key_column)
                                           : setting_in_file(n->line, n->column);
}

struct origin setting_key_place(const struct yaml_node *n)
{
    return setting_in_file(n->key_line, n->key_column);
}

static const char *escaped(struct bytes b, char out[64])
{
    return bytes_escape(b, out, 64);
}

void setting_path(char *out, size_t cap, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out, cap, fmt, ap);
    va_end(ap);
}

/* ". Its default is 4" or nothing. */
static const char *default_hint(const struct setting *row, char *out, size_t cap)
{
    out[0] = 0;
    if (row->def && row->def[0] && row->min != row->max)
        (void)snprintf(out, cap, ". Its default is %s", row->def);
    else if (row->def && row->words)
        (void)snprintf(out, cap, ". Its default is %s", row->def);
    return out;
}

void setting_bad_value(struct loading *l, const struct yaml_node *n, const char *path,
                       const struct setting *row, enum code c, const struct fault *why)
{
    if (c == CODE_NOMEM) {
        l->nomem = true;
        return;
    }
    char hint[HINT_MAX_BYTES];
    struct origin o = setting_place(n);
    settings_say(l, NOTE_VALUE, false, &o, "%s must be %s%s", path, why->text,
                 default_hint(row, hint, sizeof hint));
}

/* True if `n` is one value; else says what it must be. */
bool setting_one_value(struct loading *l, const struct yaml_node *n, const char *path,
                       const struct setting *row)
{
    struct origin o = setting_place(n);
    char hint[HINT_MAX_BYTES];
    if (n->kind != YAML_SCALAR) {
        settings_say(l, NOTE_VALUE, false, &o, "%s must be one value, got a %s%s", path,
                     n->kind == YAML_LIST ? "list; write it without brackets or dashes"
                                          : "map; remove the keys below it",
                     default_hint(row, hint, sizeof hint));
        return false;
    }
    if (setting_means_nothing(n)) {
        settings_say(l, NOTE_VALUE, false, &o, "%s has no value; write one, or remove the line%s", path,
             default_hint(row, hint, sizeof hint));
        return false;
    }
    return true;
}

/* ---- lists ---- */

/* A single value may stand for a list of one. */
const struct yaml_node *setting_items(const struct yaml_node *n, size_t *count)
{
    *count = n->kind == YAML_LIST ? n->count : 1;
    return n->kind == YAML_LIST ? n->first : n;
}

bool setting_is_list(struct loading *l, const struct yaml_node *n, const char *path,
                     const struct setting *row)
{
    size_t count;
    struct origin o = setting_place(n);
    (void)setting_items(n, &count);
    if (n->kind == YAML_MAP || setting_means_nothing(n) || (n->kind == YAML_LIST && count < row->min)) {
        settings_say(l, NOTE_VALUE, false, &o, "%s must be a list, such as [a, b], got %s", path,
                     n->kind == YAML_MAP ? "a map; put a dash before each entry"
                                         : "nothing; remove the line or fill it in");
        return false;
    }
    if (count > row->max) {
        settings_say(l, NOTE_VALUE, false, &o, "%s holds %zu entries, the most is %zu", path, count,
                     (size_t)row->max);
        return false;
    }
    return true;
}

void setting_read_texts(struct loading *l, const struct yaml_node *n, const char *path, const struct setting *row, void *base,
                        const struct place **items)
{
    size_t count;
    if (!setting_is_list(l, n, path, row))
        return;
    const struct yaml_node *item = setting_items(n, &count);
    const char **at = arena_zero(&l->inner->arena, (count + 1) * sizeof *at);
    struct place *places = arena_zero(&l->inner->arena, (count + 1) * sizeof *places);
    if (!at || !places) {
        l->nomem = true;
        return;
    }
    struct settings_texts list = { .at = at };
    for (size_t i = 0; i < count; i++, item = item->next) {
        char deeper[PATH_MAX_BYTES + 16];
        struct fault why;
        struct setting one = { .kind = AS_TEXT, .min = 1, .max = 65535 };
        setting_path(deeper, sizeof deeper, "%s[%zu]", path, i);
        if (!setting_one_value(l, item, deeper, &one))
            continue;
        enum code c = setting_store(&one, &at[list.count], item->text, &l->inner->arena, &why);
        if (c != CODE_OK) {
            setting_bad_value(l, item, deeper, &one, c, &why);
            continue;
        }
        places[list.count++] = (struct place){ item->line, item->column };
    }
    memcpy((char *)base + row->offset, &list, sizeof list);
    if (items)
        *items = places;
}

static void read_texts(struct loading *l, const struct setting *row, const struct yaml_node *n, struct origin *origin)
{
    const struct place *places = NULL;
    setting_read_texts(l, n, row->key, row, &l->inner->settings, &places);
    if (!places)
        return;
    *origin = setting_in_file(n->line, n->column);
    origin->items = places;
}

/* ---- keys ---- */

struct level {
    char        names[LEVEL_NAMES_MAX][NAME_MAX_BYTES];
    const char *at[LEVEL_NAMES_MAX];
    size_t      count;
};

/* The keys that may stand under `prefix`: "" or "hub.". */
static void level_of(const char *prefix, struct level *level)
{
    level->count = 0;
    for (size_t i = 0; i < settings_row_count; i++) {
        struct bytes key = bytes_str(settings_rows[i].key);
        if (!bytes_starts(key, prefix))
            continue;
        key = bytes_from(key, strlen(prefix));
        const uint8_t *dot = memchr(key.at, '.', key.len);
        size_t n = dot ? (size_t)(dot - key.at) : key.len;
        char *name = level->names[level->count];
        FG_ASSERT(level->count < LEVEL_NAMES_MAX && n < NAME_MAX_BYTES);
        memcpy(name, key.at, n);
        name[n] = 0;
        if (level->count == 0 || strcmp(name, level->at[level->count - 1]) != 0)
            level->at[level->count++] = name;
    }
}

/* The group that has this key, for one who wrote it a level too high or too low. */
static const char *belongs_to(struct bytes key, char out[NAME_MAX_BYTES])
{
    for (size_t i = 0; i < settings_row_count; i++) {
        const char *whole = settings_rows[i].key, *dot = strrchr(whole, '.');
        if (!bytes_is(key, dot ? dot + 1 : whole))
            continue;
        (void)snprintf(out, NAME_MAX_BYTES, "%.*s", dot ? (int)(dot - whole) : 0, whole);
        return out;
    }
    return NULL;
}

static void unknown_key(struct loading *l, const struct yaml_node *n, const char *prefix)
{
    struct level level;
    char said[64], group[NAME_MAX_BYTES], in[PATH_MAX_BYTES] = "";
    struct origin o = setting_key_place(n);
    level_of(prefix, &level);
    if (prefix[0])
        (void)snprintf(in, sizeof in, " in %.*s", (int)strlen(prefix) - 1, prefix);
    const char *near = suggest_word(n->key, level.at, level.count);
    const char *home = near ? NULL : belongs_to(n->key, group);
    if (near) {
        settings_say(l, NOTE_UNKNOWN, false, &o, "unknown key '%s'%s. Did you mean '%s'?",
                     escaped(n->key, said), in, near);
    } else if (home) {
        settings_say(l, NOTE_UNKNOWN, false, &o, "unknown key '%s'%s. It belongs %s%s", escaped(n->key, said),
                     in, home[0] ? "under " : "to the top level of the file", home);
    } else {
        char list[256] = "";
        for (size_t i = 0, at = 0; i < level.count && level.count <= SHOWN_NAMES_MAX; i++)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                                   i ? ", " : ". Known here: ", level.at[i]);
        settings_say(l, NOTE_UNKNOWN, false, &o, "unknown key '%s'%s%s. All keys: fieldgate config show",
                     escaped(n->key, said), in, list);
    }
}

static void read_row(struct loading *l, const struct setting *row, const struct yaml_node *n)
{
    struct origin *origin = &l->inner->origins[row - settings_rows];
    if (row->kind == AS_LISTENERS) {
        settings_read_listeners(l, row, n, origin);
    } else if (row->kind == AS_ENTRIES) {
        settings_read_entries(l, row, n, origin);
    } else if (row->kind == AS_TEXTS) {
        read_texts(l, row, n, origin);
    } else if (setting_one_value(l, n, row->key, row)) {
        struct fault why;
        enum code c = setting_store(row, &l->inner->settings, n->text, &l->inner->arena, &why);
        if (c != CODE_OK)
            setting_bad_value(l, n, row->key, row, c, &why);
        *origin = setting_in_file(n->line, n->column);
    }
}

static const struct setting *row_of(const char *key)
{
    for (size_t i = 0; i < settings_row_count; i++)
        if (strcmp(settings_rows[i].key, key) == 0)
            return &settings_rows[i];
    return NULL;
}

static bool is_group(const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < settings_row_count; i++)
        if (strncmp(settings_rows[i].key, key, n) == 0 && settings_rows[i].key[n] == '.')
            return true;
    return false;
}

static void read_map(struct loading *l, const struct yaml_node *map, const char *prefix)
{
    for (const struct yaml_node *n = map->first; n; n = n->next) {
        char key[PATH_MAX_BYTES];
        int len = snprintf(key, sizeof key, "%s%.*s", prefix, n->key.len < 64 ? (int)n->key.len : 64,
                           (const char *)n->key.at);
        /* A key with a dot in it would look like a path; one with a NUL like a shorter key. */
        bool whole = strlen(prefix) + n->key.len == (size_t)len && strlen(key) == (size_t)len &&
                     !(n->key.len && memchr(n->key.at, '.', n->key.len));
        const struct setting *row = whole ? row_of(key) : NULL;
        struct origin o = setting_place(n);
        if (row) {
            read_row(l, row, n);
        } else if (whole && n->key.len && is_group(key)) {
            char deeper[PATH_MAX_BYTES];
            setting_path(deeper, sizeof deeper, "%.120s.", key);
            if (n->kind == YAML_MAP)
                read_map(l, n, deeper);
            else if (!setting_means_nothing(n))
                settings_say(l, NOTE_VALUE, false, &o, "%s holds keys, got %s; write them below it, indented",
                             key, n->kind == YAML_LIST ? "a list" : "one value");
        } else {
            unknown_key(l, n, prefix);
        }
    }
}

void settings_read_tree(struct loading *l, const struct yaml_node *root)
{
    if (!root || setting_means_nothing(root))
        return;
    if (root->kind == YAML_MAP) {
        read_map(l, root, "");
        return;
    }
    struct origin o = setting_in_file(root->line, root->column);
    settings_say(l, NOTE_VALUE, false, &o, "settings are `key: value` lines, got %s",
                 root->kind == YAML_LIST ? "a list; remove the dashes"
                                         : "plain text; write `site: NAME`, for example");
}
