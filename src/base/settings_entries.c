/* settings_entries.c - `jobs`, `routes`, `actions`: maps of entries, each with rows of its own. */
#include "base/settings_table.h"
#include "base/suggest.h"

#include <stdio.h>

enum { ENTRY_NAME_MAX = 64, KEY_BYTES = 64 };

struct reading {
    struct loading *l;
    const struct entry_kind *kind;
    void *base;
    bool said[ENTRY_ROWS_MAX]; /* rows that the entry has */
};

static bool entry_name_ok(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_';
        if (!word)
            return false;
    }
    return name.len > 0 && name.len <= ENTRY_NAME_MAX;
}

/* ---- one value ---- */

static void read_pairs(struct loading *l, const struct setting *row, const struct yaml_node *n,
                       const char *path, void *base)
{
    static const struct setting one = {.kind = AS_TEXT, .min = 1, .max = 65535};
    struct origin o = setting_place(n);
    if (n->kind != YAML_MAP) {
        settings_say(l, NOTE_VALUE, false, &o, "%s must be a map of names to texts, such as { name: text }",
                     path);
        return;
    }
    if (n->count > row->max) {
        settings_say(l, NOTE_VALUE, false, &o, "%s holds %zu entries, the most is %zu", path, n->count,
                     (size_t)row->max);
        return;
    }
    struct settings_pair *at = arena_zero(&l->inner->arena, (n->count + 1) * sizeof *at);
    struct settings_pairs list = {.at = at};
    for (const struct yaml_node *k = n->first; k && at; k = k->next) {
        char deeper[PATH_MAX_BYTES], said[64];
        struct fault why;
        setting_path(deeper, sizeof deeper, "%s.%s", path, bytes_escape(k->key, said, sizeof said));
        if (!setting_one_value(l, k, deeper, &one))
            continue;
        at[list.count].name = arena_text(&l->inner->arena, k->key);
        enum code c = at[list.count].name
                          ? setting_store(&one, &at[list.count].to, k->text, &l->inner->arena, &why)
                          : CODE_NOMEM;
        if (c == CODE_OK)
            list.count++;
        else
            setting_bad_value(l, k, deeper, &one, c, &why);
    }
    if (!at)
        l->nomem = true;
    memcpy((char *)base + row->offset, &list, sizeof list);
}

static bool has_any(struct bytes text, const char *of)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(of, text.at[i]))
            return true;
    return false;
}

/* Behind a quote, and without what is written as more than one character between quotes. */
static void note_place(struct settings_entry *e, const struct yaml_node *n)
{
    e->text_line = n->line;
    e->text_column = n->column + !n->plain;
    e->text_in_place = n->plain || !has_any(n->text, "'\"\\\t");
}

static void read_value(struct reading *r, const struct setting *row, const struct yaml_node *n,
                       const char *path)
{
    struct fault why;
    r->said[row - r->kind->rows] = true;
    if (r->kind->main && strcmp(row->key, r->kind->main) == 0)
        note_place(r->base, n);
    if (row->kind == AS_PAIRS) {
        read_pairs(r->l, row, n, path, r->base);
        return;
    }
    if (row->kind == AS_TEXTS) {
        setting_read_texts(r->l, n, path, row, r->base, NULL);
        return;
    }
    if (!setting_one_value(r->l, n, path, row))
        return;
    enum code c = setting_store(row, r->base, n->text, &r->l->inner->arena, &why);
    if (c != CODE_OK)
        setting_bad_value(r->l, n, path, row, c, &why);
}

/* ---- keys of an entry ---- */

static const struct setting *entry_row(const struct entry_kind *kind, const char *key)
{
    for (size_t i = 0; i < kind->row_count; i++)
        if (strcmp(kind->rows[i].key, key) == 0)
            return &kind->rows[i];
    return NULL;
}

static bool entry_group(const struct entry_kind *kind, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < kind->row_count; i++)
        if (strncmp(kind->rows[i].key, key, n) == 0 && kind->rows[i].key[n] == '.')
            return true;
    return false;
}

/* What may stand below `prefix`. */
static size_t words_below(const struct entry_kind *kind, const char *prefix,
                          char words[ENTRY_ROWS_MAX][KEY_BYTES], const char *at[ENTRY_ROWS_MAX])
{
    size_t count = 0, n = strlen(prefix);
    for (size_t i = 0; i < kind->row_count; i++) {
        if (strncmp(kind->rows[i].key, prefix, n) != 0)
            continue;
        (void)snprintf(words[count], KEY_BYTES, "%.*s", (int)strcspn(kind->rows[i].key + n, "."),
                       kind->rows[i].key + n);
        at[count] = words[count];
        if (count == 0 || strcmp(words[count], words[count - 1]) != 0)
            count++;
    }
    return count;
}

static void unknown(struct reading *r, const struct yaml_node *n, const char *prefix, const char *path)
{
    char words[ENTRY_ROWS_MAX][KEY_BYTES], said[64], list[256] = "";
    const char *at[ENTRY_ROWS_MAX];
    size_t count = words_below(r->kind, prefix, words, at), used = 0;
    const char *near = suggest_word(n->key, at, count);
    struct origin o = setting_key_place(n);
    for (size_t i = 0; i < count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", at[i]);
    settings_say(r->l, NOTE_UNKNOWN, false, &o, "unknown key '%s' in %s. %s%s%s",
                 bytes_escape(n->key, said, sizeof said), path,
                 near ? "Did you mean '" : "Known here: ", near ? near : list, near ? "'?" : "");
}

static void read_keys(struct reading *r, const struct yaml_node *map, const char *prefix, const char *path)
{
    for (const struct yaml_node *n = map->first; n; n = n->next) {
        char key[KEY_BYTES], deeper[PATH_MAX_BYTES], below[KEY_BYTES + 1];
        bool fits = strlen(prefix) + n->key.len < sizeof key && n->key.len &&
                    !memchr(n->key.at, 0, n->key.len) &&
                    !memchr(n->key.at, '.', n->key.len); /* a dot would look like a path */
        setting_path(key, sizeof key, "%s%.*s", prefix, fits ? (int)n->key.len : 0, (const char *)n->key.at);
        const struct setting *row = fits ? entry_row(r->kind, key) : NULL;
        setting_path(deeper, sizeof deeper, "%s.%s", path, key + strlen(prefix));
        if (row) {
            read_value(r, row, n, deeper);
        } else if (fits && entry_group(r->kind, key)) {
            struct origin o = setting_place(n);
            setting_path(below, sizeof below, "%s.", key);
            if (n->kind == YAML_MAP)
                read_keys(r, n, below, deeper);
            else
                settings_say(r->l, NOTE_VALUE, false, &o, "%s holds keys; write them below it, indented",
                             deeper);
        } else {
            unknown(r, n, prefix, path);
        }
    }
}

/* ---- entries ---- */

static void read_entry(struct loading *l, const struct setting *row, const struct yaml_node *n, void *base)
{
    struct reading r = {.l = l, .kind = row->entries, .base = base};
    char path[PATH_MAX_BYTES], said[64];
    struct origin o = setting_key_place(n);
    struct settings_entry head = {
        .name = arena_text(&l->inner->arena, n->key), .line = n->key_line, .column = n->key_column};
    l->nomem = l->nomem || !head.name;
    setting_path(path, sizeof path, "%s.%s", row->key, bytes_escape(n->key, said, sizeof said));
    if (!entry_name_ok(n->key)) {
        settings_say(l, NOTE_VALUE, false, &o,
                     "'%s' cannot be the name of a %s: letters, digits, - and _, up to %d of them",
                     bytes_escape(n->key, said, sizeof said), r.kind->what, ENTRY_NAME_MAX);
        return;
    }
    for (size_t i = 0; i < r.kind->row_count; i++)
        l->nomem = setting_store_default(&r.kind->rows[i], base, &l->inner->arena) != CODE_OK || l->nomem;
    memcpy(base, &head, sizeof head);
    if (n->kind == YAML_SCALAR && r.kind->main && !setting_means_nothing(n)) {
        read_value(&r, entry_row(r.kind, r.kind->main), n, path);
    } else if (n->kind == YAML_MAP) {
        read_keys(&r, n, "", path);
    } else {
        settings_say(l, NOTE_VALUE, false, &o, "%s must be %sa map with the keys of a %s", path,
                     r.kind->main ? "a text or " : "", r.kind->what);
        return;
    }
    for (size_t i = 0; i < r.kind->row_count; i++)
        if (!r.kind->rows[i].def && !r.said[i] && r.kind->rows[i].kind != AS_PAIRS &&
            r.kind->rows[i].kind != AS_TEXTS)
            settings_say(l, NOTE_VALUE, false, &o, "%s has no %s, which a %s must have", path,
                         r.kind->rows[i].key, r.kind->what);
}

void settings_read_entries(struct loading *l, const struct setting *row, const struct yaml_node *n,
                           struct origin *origin)
{
    const struct entry_kind *kind = row->entries;
    struct origin o = setting_place(n);
    if (kind->other && n->kind != YAML_MAP) {
        setting_read_texts(l, n, row->key, kind->other, &l->inner->settings, NULL);
        *origin = setting_in_file(n->line, n->column);
        return;
    }
    if (n->kind != YAML_MAP) {
        settings_say(l, NOTE_VALUE, false, &o, "%s must be a map of names to %ss", row->key, kind->what);
        return;
    }
    if (n->count > row->max) {
        settings_say(l, NOTE_VALUE, false, &o, "%s holds %zu entries, the most is %zu", row->key, n->count,
                     (size_t)row->max);
        return;
    }
    struct entry_list list = {arena_zero(&l->inner->arena, (n->count + 1) * kind->size), 0};
    if (!list.at) {
        l->nomem = true;
        return;
    }
    for (const struct yaml_node *e = n->first; e; e = e->next)
        read_entry(l, row, e, (char *)list.at + list.count++ * kind->size);
    memcpy((char *)&l->inner->settings + row->offset, &list, sizeof list);
    *origin = setting_in_file(n->line, n->column);
}
