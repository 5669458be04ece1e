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

/* `auth: users` or `auth: [certificate, users]`. */
static void read_choices(struct loading *l, const struct setting *row, const struct yaml_node *n, const char *path,
                         struct settings_listener *listener)
{
    struct buf joined = { 0 };
    struct fault why;
    size_t count;
    if (!setting_is_list(l, n, path, row))
        return;
    const struct yaml_node *item = setting_items(n, &count);
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (!setting_one_value(l, item, path, row)) {
            buf_clear(&joined);
            return;
        }
        if (i)
            buf_u8(&joined, ',');
        buf_add_bytes(&joined, item->text);
    }
    enum code c = joined.bad ? CODE_NOMEM : setting_store(row, listener, buf_bytes(&joined), &l->inner->arena, &why);
    if (c != CODE_OK)
        setting_bad_value(l, n, path, row, c, &why);
    buf_clear(&joined);
}

static bool lets_in(const struct settings_listener *listener, enum settings_auth auth)
{
    return memchr(listener->auth.at, (int)auth, listener->auth.count) != NULL;
}

/* Who may connect when nobody says: anyone only from this machine. */
static void settle_auth(struct settings_listener *listener)
{
    bool outside = false;
    if (listener->auth.count)
        return;
    for (size_t i = 0; i < listener->at_count; i++)
        outside |= !listener->at[i].loopback;
    listener->auth = (struct settings_choices){ { outside ? AUTH_USERS : AUTH_ANONYMOUS }, 1 };
}

/* Encryption and sign-in are what make an address safe to reach. */
static void check_reach(struct loading *l, const struct yaml_node *n, const char *path,
                        const struct settings_listener *listener)
{
    struct origin o = setting_in_file(n->line, n->column);
    bool plain = !settings_is_tls(listener), open = lets_in(listener, AUTH_ANONYMOUS);
    for (size_t i = 0; i < listener->at_count && (plain || open); i++)
        if (!listener->at[i].loopback && !listener->insecure)
            settings_say(
                l, NOTE_TOGETHER, false, &o,
                "%s listens on %s, which other machines reach, %s%s%s."
                " Listen on 127.0.0.1 or [::1], or accept that with `insecure: true`",
                path, listener->at[i].text, plain ? "without encryption" : "", plain && open ? " and " : "",
                open ? "for anyone (auth: anonymous)" : "");
    if (plain && lets_in(listener, AUTH_CERTIFICATE))
        settings_say(l, NOTE_TOGETHER, false, &o,
                     "%s has auth: certificate, but without encryption no client can show one. Write auth: users",
                     path);
}

/* An origin is a scheme and an authority [RFC 6454, 6.2]: what a browser says, letter for letter. */
static bool origin_valid(const char *text)
{
    const char *authority = strstr(text, "://");
    return strcmp(text, "*") == 0 || (authority && authority > text && authority[3] && !strpbrk(authority + 3, "/?# "));
}

static void read_origins(struct loading *l, const struct yaml_node *n, const char *path, const struct setting *row,
                         struct settings_listener *listener)
{
    const struct place *places = NULL;
    setting_read_texts(l, n, path, row, listener, &places);
    for (size_t i = 0; places && i < listener->origins.count; i++) {
        struct origin o = setting_in_file(places[i].line, places[i].column);
        if (!origin_valid(listener->origins.at[i]))
            settings_say(l, NOTE_VALUE, false, &o,
                         "%s[%zu] must be a scheme, a host and perhaps a port, such as https://plant.example:8443, or"
                         " \"*\", got '%.100s'", path, i, listener->origins.at[i]);
    }
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
                     near ? "Did you mean '" : "A listener has type, at, auth, certificate-user, insecure, origins, chain, key, client-ca and client-certificate", near ? near : "",
                     near ? "'?" : "");
        return;
    }
    places[row - listener_rows] = (struct place){ n->key_line, n->key_column };
    setting_path(deeper, sizeof deeper, "%s.%s", path, row->key);
    if (row->kind == AS_ADDRESSES) {
        read_addresses(l, row, n, deeper, listener);
        return;
    }
    if (row->kind == AS_CHOICES) {
        read_choices(l, row, n, deeper, listener);
        return;
    }
    if (row->kind == AS_TEXTS) {
        read_origins(l, n, deeper, row, listener);
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
        if (!listener_rows[i].def && listener_rows[i].kind != AS_CHOICES && !places[i].line)
            settings_say(l, NOTE_VALUE, false, &o,
                         "%s has no %s; a listener must say its type and where it listens, such as"
                         " { type: mqtt, at: [\"127.0.0.1:1883\"] }",
                         path, listener_rows[i].key);
    /* What is wrong already would only be said twice. */
    settle_auth(listener);
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
    inner->settings.listeners = inner->written = all;
    inner->settings.listener_count = n->count;
    *origin = o;
}

/* ---- what depends on the rest of the file ---- */

static struct origin place_of(const struct loading *l, size_t listener, const char *key)
{
    for (size_t k = 0; k < listener_row_count; k++)
        if (strcmp(listener_rows[k].key, key) == 0) {
            struct place p = l->inner->listener_places[listener][k];
            return setting_in_file(p.line, p.column);
        }
    FG_ASSERT(!"a key of our own table");
    return setting_in_file(0, 0);
}

static const char *type_of(const struct settings_listener *s)
{
    return listener_rows[0].words[s->type];
}

static void refuse_tls_keys(struct loading *l, size_t i, const struct settings_listener *s)
{
    const struct {
        const char *key;
        bool        given;
    } keys[] = { { "chain", s->chain[0] },
                 { "key", s->key[0] },
                 { "client-ca", s->client_ca[0] },
                 { "client-certificate", s->client_certificate != CLIENT_CERTIFICATE_NONE } };
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        struct origin o = place_of(l, i, keys[k].key);
        if (keys[k].given)
            settings_say(l, NOTE_TOGETHER, false, &o,
                         "listeners[%zu] has %s, but type %s is not encrypted. Write `type: %ss`, or remove it", i,
                         keys[k].key, type_of(s), type_of(s));
    }
}

static void settle_tls(struct loading *l, size_t i, struct settings_listener *s)
{
    const struct settings *all = &l->inner->settings;
    struct origin o = place_of(l, i, "type"), asks = place_of(l, i, "client-certificate");
    if (!s->chain[0] != !s->key[0]) {
        settings_say(l, NOTE_TOGETHER, false, &o, "listeners[%zu] has %s without %s; one is made for the other, name both",
                     i, s->chain[0] ? "chain" : "key", s->chain[0] ? "key" : "chain");
        return;
    }
    if (!s->chain[0]) {
        s->chain = all->certificates.chain;
        s->key = all->certificates.key;
    }
    if (!s->chain[0] || !s->key[0])
        settings_say(l, NOTE_TOGETHER, false, &o,
                     "listeners[%zu] is of type %s and has no certificate to show. Name its files with `chain` and `key`"
                     " here, or for all listeners with gateway: { certificates: { chain: FILE, key: FILE } }",
                     i, type_of(s));
    if (s->client_certificate != CLIENT_CERTIFICATE_NONE && !s->client_ca[0])
        s->client_ca = all->certificates.root;
    if (s->client_certificate != CLIENT_CERTIFICATE_NONE && !s->client_ca[0])
        settings_say(l, NOTE_TOGETHER, false, &asks,
                     "listeners[%zu] asks for certificates of clients, but not whose. Name the file of their root with"
                     " `client-ca` here, or with gateway: { certificates: { root: FILE } }",
                     i);
    if (settings_is_tls(s) && lets_in(s, AUTH_CERTIFICATE) && s->client_certificate == CLIENT_CERTIFICATE_NONE)
        settings_say(l, NOTE_TOGETHER, false, &o,
                     "listeners[%zu] has auth: certificate, but asks no client for one. Add `client-certificate: optional`"
                     " or `required`",
                     i);
    if (s->client_certificate == CLIENT_CERTIFICATE_NONE && s->client_ca[0]) {
        struct origin ca = place_of(l, i, "client-ca");
        settings_say(l, NOTE_TOGETHER, false, &ca,
                     "listeners[%zu] has client-ca, but asks no client for a certificate. Add `client-certificate:"
                     " required` (or optional), or remove it",
                     i);
    }
}

void settings_settle_listeners(struct loading *l)
{
    struct settings_listener *all = l->inner->written;
    for (size_t i = 0; all && i < l->inner->settings.listener_count; i++)
        if (settings_is_tls(&all[i]))
            settle_tls(l, i, &all[i]);
        else
            refuse_tls_keys(l, i, &all[i]);
}
