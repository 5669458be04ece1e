#include "action/machine.h"

#include "action/action_private.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/crypto.h"
#include "opcua/pki.h"

#include <stdio.h>

enum { PASSWORD_BYTES = 1024 };

struct machine {
    struct machine   *next;
    struct actions   *all;
    struct ua_client *client;
    char             *name;
    uint64_t          mark, ups;
    unsigned          users;
    struct machine_errand *errands;
    bool              up;
    struct fault      last; /* why it is not */
};

/* ---- wishes ---- */

static void mix(uint64_t *mark, struct bytes b)
{
    *mark = hash_partition(b) ^ (*mark << 9 | *mark >> 55);
}

static enum code cannot(const char *what, const char *key, const struct fault *inner, struct fault *why)
{
    return FAIL_FG(why, CODE_USAGE, 6301, "%s: %s: %.140s", what, key, inner->text);
}

static enum code read_password(struct machine_wish *w, struct arena *arena, const char *path, const char *what, const struct io *io,
                               struct fault *why)
{
    struct fault inner;
    char *text;
    size_t len;
    if (io_load(io, path, PASSWORD_BYTES, &text, &len, &inner) != CODE_OK)
        return cannot(what, "password-file", &inner, why);
    size_t n = len;
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    const char *copy = arena_text(arena, bytes_of(text, n));
    crypto_wipe(text, len);
    mem_free(text);
    if (!copy)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    w->password = bytes_of(copy, n);
    return CODE_OK;
}

static enum code read_person(struct machine_wish *w, const struct settings_opcua_server *s, const char *what, const struct io *io,
                             struct fault *why)
{
    struct fault inner;
    enum code c = ua_application_load(&w->person, io, s->certificate, s->key, &inner);
    return c == CODE_OK ? CODE_OK : cannot(what, "certificate and key", &inner, why);
}

static enum code read_user(struct machine_wish *w, struct arena *arena, const struct settings_opcua_server *s, const char *what,
                           const struct io *io, struct fault *why)
{
    if (!s->certificate[0] != !s->key[0])
        return FAIL_FG(why, CODE_USAGE, 6301, "%s: server %s needs both certificate and key", what, w->name);
    if (s->user[0] && s->certificate[0])
        return FAIL_FG(why, CODE_USAGE, 6301, "%s: server %s has a user and a certificate; one of them signs in", what, w->name);
    if (s->user[0] && !s->password[0])
        return FAIL_FG(why, CODE_USAGE, 6301, "%s: server %s has a user and no password-file", what, w->name);
    if (s->user[0])
        return read_password(w, arena, s->password, what, io, why);
    return s->certificate[0] ? read_person(w, s, what, io, why) : CODE_OK;
}

enum code machine_wish_read(struct machine_wish *w, struct arena *arena, const struct settings_opcua_server *s, const char *what,
                            const struct io *io, struct fault *why)
{
    *w = (struct machine_wish){
        .name = arena_text(arena, bytes_str(s->entry.name)),
        .url = arena_text(arena, bytes_str(s->url)),
        .user = arena_text(arena, bytes_str(s->user)),
        .policy = s->security == OPCUA_BEST ? NULL : settings_opcua_policies[s->security],
        .mode = (int)s->mode,
        .accept_any = s->accept_any,
        .any_host = s->any_host,
        .mark = 1,
    };
    if (!w->name || !w->url || !w->user)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    if (strncmp(s->url, "opc.tcp://", 10) != 0)
        return FAIL_FG(why, CODE_USAGE, 6301, "%s: server %s: the url must begin with opc.tcp://", what, w->name);
    enum code c = read_user(w, arena, s, what, io, why);
    uint8_t figures[] = { (uint8_t)s->security, (uint8_t)s->mode, s->accept_any, s->any_host };
    const char *const texts[] = { s->entry.name, s->url, s->user, s->certificate, s->key };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mix(&w->mark, bytes_of(texts[i], strlen(texts[i]) + 1));
    mix(&w->mark, bytes_of(figures, sizeof figures));
    mix(&w->mark, w->password);
    if (w->person)
        mix(&w->mark, w->person->certificate->leaf);
    return c;
}

void machine_wish_clear(struct machine_wish *w)
{
    if (w->password.len)
        crypto_wipe((void *)(uintptr_t)w->password.at, w->password.len);
    ua_application_drop(w->person);
    *w = (struct machine_wish){ 0 };
}

/* ---- connections ---- */

static void on_up(void *ctx, struct ua_client *client, bool same)
{
    struct machine *m = ctx;
    (void)client;
    (void)same;
    m->up = true;
    m->ups++;
    log_info("action", "FG6321 %s is connected", m->name);
    for (struct action *a = m->all->first; a; a = a->next)
        if (a->machine == m)
            action_machine_up(a);
}

static void on_down(void *ctx, struct ua_client *client, const struct fault *why, int64_t retry_ms)
{
    struct machine *m = ctx;
    (void)client;
    (void)retry_ms;
    if (!why)
        return;
    if (m->up || strcmp(m->last.text, why->text) != 0)
        log_warn("action", "FG%04d %s: %s", why->number ? why->number : 6322, m->name, why->text);
    m->up = false;
    m->last = *why;
}

static void on_notice(void *ctx, struct ua_client *client, const struct fault *what)
{
    struct machine *m = ctx;
    (void)client;
    log_warn("action", "FG%04d %s: %s", what->number ? what->number : 6323, m->name, what->text);
}

static enum code open_client(struct machine *m, const struct machine_wish *w, struct fault *why)
{
    static const struct ua_client_events events = { on_up, on_down, on_notice };
    struct ua_pki *pki = m->all->pki;
    struct ua_client_options o = {
        .url = w->url,
        .policy = w->policy,
        .mode = (enum ua_message_security_mode)w->mode,
        .user = { .kind = w->user[0] ? UA_USER_NAME : w->person ? UA_USER_CERTIFICATE : UA_USER_ANONYMOUS,
                  .name = bytes_str(w->user), .password = w->password, .certificate = w->person },
        .own = pki ? ua_pki_own(pki) : NULL,
        .trust = pki ? ua_pki_trust(pki) : NULL,
        .accept_any = w->accept_any,
        .any_host = w->any_host,
        .name = "fieldgate actions",
        .reconnect = true,
        .io = m->all->io,
    };
    return ua_client_open(&m->client, m->all->loop, &o, &events, m, why);
}

struct machine *machine_join(struct actions *all, const struct machine_wish *w)
{
    struct fault why;
    for (struct machine *m = all->machines; m; m = m->next)
        if (m->mark == w->mark) {
            m->users++;
            return m;
        }
    struct machine *m = mem_zalloc(1, sizeof *m);
    enum code c = m ? CODE_OK : FAIL(&why, CODE_NOMEM, 0, "no memory");
    if (m) {
        m->all = all;
        m->mark = w->mark;
        m->users = 1;
        m->name = mem_strdup(w->name);
        (void)FAIL(&m->last, CODE_AGAIN, 0, "it has not answered yet");
        c = m->name ? open_client(m, w, &why) : FAIL(&why, CODE_NOMEM, 0, "no memory");
    }
    if (c != CODE_OK) {
        log_error("action", "FG6320 server %s cannot be connected to: %s", w->name, why.text);
        if (m)
            mem_free(m->name);
        mem_free(m);
        return NULL;
    }
    m->next = all->machines;
    all->machines = m;
    return m;
}

void machine_part(struct machine *m)
{
    if (!m || --m->users)
        return;
    for (struct machine **at = &m->all->machines; *at; at = &(*at)->next)
        if (*at == m) {
            *at = m->next;
            break;
        }
    ua_client_close(m->client);
    while (m->errands) {
        struct machine_errand *e = m->errands;
        machine_errand_end(e);
        mem_free(e);
    }
    mem_free(m->name);
    mem_free(m);
}

void machine_errand_begin(struct machine *m, struct machine_errand *e)
{
    e->next = m->errands;
    e->link = &m->errands;
    if (e->next)
        e->next->link = &e->next;
    m->errands = e;
}

void machine_errand_end(struct machine_errand *e)
{
    *e->link = e->next;
    if (e->next)
        e->next->link = e->link;
}

struct ua_client *machine_client(const struct machine *m)
{
    return m && m->up ? m->client : NULL;
}

uint64_t machine_ups(const struct machine *m)
{
    return m ? m->ups : 0;
}

void machine_trouble(const struct machine *m, char *out, size_t cap)
{
    if (!m)
        (void)snprintf(out, cap, "the server cannot be connected to (FG6320)");
    else
        (void)snprintf(out, cap, "%s is not connected: %s", m->name, m->last.text);
}
