/* Every value with its origin: `config show`, /metrics, support. */
#include "base/hash.h"
#include "base/settings_table.h"

#include <stdio.h>

struct showing {
    const struct settings *settings;
    void (*each)(void *ctx, const struct settings_line *);
    void      *ctx;
    struct buf value, json, origin;
    bool       bad;
};

static void print_origin(struct showing *s, const struct origin *o)
{
    const char *file = s->settings->inner->file;
    if (o->kind == FROM_FILE)
        buf_printf(&s->origin, "%s:%u", file ? file : "settings", o->place.line);
    else
        buf_printf(&s->origin, "%s", o->kind == FROM_DEFAULT ? "default" : o->said);
}

static void show(struct showing *s, const char *key, const struct setting *row, const void *base,
                 const struct origin *o)
{
    buf_reset(&s->value);
    buf_reset(&s->json);
    buf_reset(&s->origin);
    setting_print(row, base, &s->value);
    setting_print_json(row, base, &s->json);
    print_origin(s, o);
    uint64_t mark = 0;
    if (row->secret && s->value.len > 2 && !s->json.bad) { /* not "" or {} */
        mark = hash_keyed(buf_bytes(&s->json)) | 1;
        buf_reset(&s->value);
        buf_reset(&s->json);
        buf_printf(&s->value, "(hidden)");
        buf_printf(&s->json, "\"(hidden)\"");
    }
    if (s->value.bad || s->json.bad || s->origin.bad) {
        s->bad = true;
        return;
    }
    struct settings_line line = { key, buf_bytes(&s->value), buf_bytes(&s->json), buf_bytes(&s->origin),
                                  o->kind == FROM_DEFAULT, mark };
    s->each(s->ctx, &line);
}

static void show_listeners(struct showing *s, const struct origin *o)
{
    const struct settings_inner *inner = s->settings->inner;
    for (size_t i = 0; i < s->settings->listener_count; i++)
        for (size_t k = 0; k < listener_row_count; k++) {
            char key[64];
            struct origin own = { .kind = FROM_DEFAULT };
            if (o->kind == FROM_FILE && inner->listener_places[i][k].line)
                own = (struct origin){ .kind = FROM_FILE, .place = inner->listener_places[i][k] };
            setting_path(key, sizeof key, "listeners[%zu].%s", i, listener_rows[k].key);
            show(s, key, &listener_rows[k], &s->settings->listeners[i], &own);
        }
}

/* routes.all.route and so on; what an entry does not say itself is not shown. */
static void show_entries(struct showing *s, const struct setting *row, const struct origin *o)
{
    const struct entry_kind *kind = row->entries;
    struct entry_list list;
    memcpy(&list, (const char *)s->settings + row->offset, sizeof list);
    if (kind->other && o->kind == FROM_FILE && list.count == 0)
        show(s, row->key, kind->other, s->settings, o);
    for (size_t i = 0; i < list.count; i++)
        for (size_t k = 0; k < kind->row_count; k++) {
            const char *base = (const char *)list.at + i * kind->size;
            struct settings_entry entry;
            char key[128];
            memcpy(&entry, base, sizeof entry);
            struct origin own = { .kind = FROM_FILE, .place = { entry.line, entry.column } };
            setting_path(key, sizeof key, "%s.%s.%s", row->key, entry.name, kind->rows[k].key);
            show(s, key, &kind->rows[k], base, &own);
        }
}

enum code settings_each(const struct settings *settings, void (*each)(void *, const struct settings_line *),
                        void *ctx)
{
    struct showing s = { .settings = settings, .each = each, .ctx = ctx };
    for (size_t i = 0; i < settings_row_count && !s.bad; i++) {
        const struct origin *o = &settings->inner->origins[i];
        if (settings_rows[i].kind == AS_LISTENERS)
            show_listeners(&s, o);
        else if (settings_rows[i].kind == AS_ENTRIES)
            show_entries(&s, &settings_rows[i], o);
        else
            show(&s, settings_rows[i].key, &settings_rows[i], settings, o);
    }
    buf_clear(&s.value);
    buf_clear(&s.json);
    buf_clear(&s.origin);
    return s.bad ? CODE_NOMEM : CODE_OK;
}
