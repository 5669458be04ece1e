/* node_auth.c - the files of users and rules: read at the start, looked at every two seconds, taken when they changed. */
#include "node/node_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/pool.h"

#include <stdio.h>

enum { LOOK_MS = 2000, SOON_MS = 1000 };

static bool wants_users(const struct settings *s)
{
    for (size_t i = 0; i < s->listener_count; i++)
        if (memchr(s->listeners[i].auth.at, AUTH_USERS, s->listeners[i].auth.count))
            return true;
    return false;
}

enum code auth_open(struct node *n, struct fault *why)
{
    const struct settings *s = n->options.settings;
    char path[DATA_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/users", n->data_dir);
    struct auth_door *doors = mem_zalloc(s->listener_count + 1, sizeof *doors);
    if (!doors)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %zu listeners", s->listener_count);
    for (size_t i = 0; i < s->listener_count; i++)
        doors[i] = (struct auth_door){ s->listeners[i].auth, s->listeners[i].certificate_user };
    struct auth_config config = {
        .io = n->options.io,
        .doors = doors,
        .door_count = s->listener_count,
        .users_path = s->users[0] ? s->users : path,
        .rules_path = s->rules[0] ? s->rules : NULL,
        .secret_dir = n->data_dir,
        .users_optional = !s->users[0],
        .failures_per_minute = s->limits.auth_failures,
    };
    enum code c = auth_new(&n->auth, &config, why);
    mem_free(doors);
    if (c != CODE_OK)
        return c;
    struct auth_stats stats;
    auth_stats(n->auth, &stats);
    if (stats.users == 0 && wants_users(s))
        log_warn("node", "FG1021 a listener asks for users and %s has none: nobody can sign in. fieldgate user add NAME",
                 config.users_path);
    return CODE_OK;
}

/* ---- changes ---- */

struct node_look {
    struct pool_job     job; /* first */
    struct node        *node;
    struct auth_change *change; /* NULL: nothing new, or it is not in order */
    enum code           code;
    bool                soon;   /* they are changing just now */
    struct fault        why;
};

static void look_again(struct timer *t);

/* On the pool: files may lie on a slow disk. */
static void look(struct pool_job *job)
{
    struct node_look *l = (struct node_look *)job;
    l->code = auth_look(l->node->auth, &l->change, &l->soon, &l->why);
}

static void tell_trouble(struct node *n, const struct fault *why)
{
    if (strcmp(n->users_trouble, why->text) == 0)
        return;
    (void)snprintf(n->users_trouble, sizeof n->users_trouble, "%s", why->text);
    log_error("node", "FG%04d %s. What held before goes on to hold", why->number, why->text);
}

static void looked(struct pool_job *job, struct loop *here)
{
    struct node_look *l = (struct node_look *)job;
    struct node *n = l->node;
    if (l->change && (n->users_over || auth_overtaken(n->auth, l->change))) {
        auth_discard(l->change);
        l->change = NULL;
    }
    if (!n->users_over) {
        if (l->code != CODE_OK)
            tell_trouble(n, &l->why);
        else if (!l->soon)
            n->users_trouble[0] = 0;
        if (l->change) {
            auth_commit(n->auth, l->change);
            broker_access_changed(n->broker);
            log_info("node", "users and rules were read again");
        }
        timer_start(here, &n->users_timer, l->soon ? SOON_MS : LOOK_MS, look_again);
    }
    mem_free(l);
}

static void look_again(struct timer *t)
{
    struct node *n = (struct node *)(void *)((char *)t - offsetof(struct node, users_timer));
    struct node_look *l = mem_zalloc(1, sizeof *l);
    if (l) {
        l->job = (struct pool_job){ look, looked };
        l->node = n;
    }
    if (l && pool_submit(n->loops[0], &l->job) == CODE_OK)
        return;
    mem_free(l);
    timer_start(n->loops[0], t, LOOK_MS, look_again);
}

void auth_watch(struct node *n)
{
    timer_start(n->loops[0], &n->users_timer, LOOK_MS, look_again);
}

void auth_end(struct node *n)
{
    n->users_over = true;
    timer_stop(n->loops[0], &n->users_timer);
}
