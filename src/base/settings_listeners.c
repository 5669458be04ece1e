/* `listeners:` - a list of maps, each with rows of its own, and the rule that keeps them safe. */
#include "base/settings_table.h"
#include "base/suggest.h"

static void read_addresses(struct loading *l, const struct setting *row, const struct yaml_node *n,
                           const char *path, struct settings_listener *listener)
{
    size_t count;
    if (!setting_is_list(l, n, path, row))
        return;
    const struct yaml_node *item = setting_items(n, &count);
    struct settings_address *at = arena_zero(&l->inner->arena, count * sizeof *at);
    if (!at) {
        l->nomem = true;
        return;
    }
    for (size_t i = 0; i < count; i++, item = item->next) {
        char deeper[PATH_MAX_BYTES + 16];
        struct fault why;
        setting_path(deeper, sizeof deeper, "%s[%zu]", path, i);
        if (!setting_one_value(l, item, deeper, row))
            continue;
        enum code c = setting_address(item->text, &at[listener->at_count], &l->inner->arena, &why);
        if (c == CODE_OK)
            listener->at_count++;
        else
            setting_bad_value(l, item, deeper, row, c, &why);
    }
    listener->at = at;
}

/* Encryption and sign-in are what make an address safe to reach; these listeners have neither. */
static void check_reach(struct loading *l, const struct yaml_node *n, const char *path,
                        const struct settings_listener *listener)
{
    struct origin o = setting_in_file(n->line, n->column);
    for (size_t i = 0; i < listener->at_count; i++)
        if (!listener->at[i].loopback && !listener->insecure)
            settings_say(
                l, NOTE_TOGETHER, false, &o,
                "%s listens on %s, which other machines reach, without encryption and for anyone (auth:"
                " anonymous)."
                " Listen on 127.0.0.1 or [::1], or accept that with `insecure: true`",
                path, listener->at[i].text);
}

static const struct setting *listener_row(struct bytes key, const char *names[LISTENER_ROWS_MAX])
{
    const struct setting *found = NULL;
    for (size_t i = 0; i < listener_row_count; i++) {
        names[i] = listener_rows[i].key;
        if (bytes_is(key, listener_rows[i].key))
            found = &listener_rows[i];
    }
    return found;
}

static void read_listener_key(struct loading *l, const struct yaml_node *n, const char *path,
                              struct settings_listener *listener, struct place *places)
{
    const char *names[LISTENER_ROWS_MAX];
    char deeper[PATH_MAX_BYTES], said[64];
    const struct setting *row = listener_row(n->key, names);
    struct origin o = setting_key_place(n);
    if (!row) {
        const char *near = suggest_word(n->key, names, listener_row_count);
        settings_say(l, NOTE_UNKNOWN, false, &o, "unknown key '%s' in %s. %s%s%s",
                     bytes_escape(n->key, said, sizeof said), path,
                     near ? "Did you mean '" : "A listener has type, at, auth and insecure", near ? near : "",
                     near ? "'?" : "");
        return;
    }
    places[row - listener_rows] = (struct place){ n->key_line, n->key_column };
    setting_path(deeper, sizeof deeper, "%s.%s", path, row->key);
    if (row->kind == AS_ADDRESSES) {
        read_addresses(l, row, n, deeper, listener);
        return;
    }
    struct fault why;
    if (!setting_one_value(l, n, deeper, row))
        return;
    enum code c = setting_store(row, listener, n->text, &l->inner->arena, &why);
    if (c != CODE_OK)
        setting_bad_value(l, n, deeper, row, c, &why);
}

static void read_listener(struct loading *l, const struct yaml_node *n, size_t index,
                          struct settings_listener *listener, struct place *places)
{
    char path[PATH_MAX_BYTES];
    size_t before = l->report->errors;
    struct origin o = setting_place(n);
    setting_path(path, sizeof path, "listeners[%zu]", index);
    if (n->kind != YAML_MAP) {
        settings_say(l, NOTE_VALUE, false, &o,
                     "%s must be a map, such as { type: mqtt, at: [\"127.0.0.1:1883\"] }", path);
        return;
    }
    for (size_t i = 0; i < listener_row_count; i++)
        if (setting_store_default(&listener_rows[i], listener, &l->inner->arena) != CODE_OK)
            l->nomem = true;
    for (const struct yaml_node *k = n->first; k; k = k->next)
        read_listener_key(l, k, path, listener, places);
    for (size_t i = 0; i < listener_row_count; i++)
        if (!listener_rows[i].def && !places[i].line)
            settings_say(l, NOTE_VALUE, false, &o,
                         "%s has no %s; a listener must say its type and where it listens, such as"
                         " { type: mqtt, at: [\"127.0.0.1:1883\"] }",
                         path, listener_rows[i].key);
    /* What is wrong already would only be said twice. */
    if (l->report->errors == before)
        check_reach(l, n, path, listener);
}

static void check_twice(struct loading *l, const struct yaml_node *n, const struct settings_listener *all,
                        size_t count)
{
    for (size_t i = 0; i < count; i++, n = n->next)
        for (size_t a = 0; a < all[i].at_count; a++)
            for (size_t k = 0; k <= i; k++)
                for (size_t b = 0; b < (k < i ? all[k].at_count : a); b++) {
                    const struct settings_address *x = &all[i].at[a], *y = &all[k].at[b];
                    struct origin o = setting_in_file(n->line, n->column);
                    if (x->port && x->port == y->port && strcmp(x->host, y->host) == 0)
                        settings_say(l, NOTE_TOGETHER, false, &o,
                                     "listeners[%zu] listens on %s, and so does listeners[%zu];"
                                     " give one of them another port",
                                     i, x->text, k);
                }
}

void settings_read_listeners(struct loading *l, const struct setting *row, const struct yaml_node *n,
                           struct origin *origin)
{
    struct settings_inner *inner = l->inner;
    struct origin o = setting_place(n);
    if (n->kind != YAML_LIST) {
        settings_say(
            l, NOTE_VALUE, false, &o,
            "listeners must be a list; put a dash before each: - { type: mqtt, at: [\"127.0.0.1:1883\"] }");
        return;
    }
    if (n->count > row->max) {
        settings_say(l, NOTE_VALUE, false, &o, "listeners holds %zu entries, the most is %zu", n->count,
                     (size_t)row->max);
        return;
    }
    struct settings_listener *all = arena_zero(&inner->arena, (n->count + 1) * sizeof *all);
    inner->listener_places = arena_zero(&inner->arena, (n->count + 1) * sizeof *inner->listener_places);
    if (!all || !inner->listener_places) {
        l->nomem = true;
        return;
    }
    size_t i = 0;
    for (const struct yaml_node *item = n->first; item; item = item->next, i++)
        read_listener(l, item, i, &all[i], inner->listener_places[i]);
    check_twice(l, n->first, all, n->count);
    inner->settings.listeners = all;
    inner->settings.listener_count = n->count;
    *origin = o;
}
