#include "base/mem.h"
#include "net/sim_world.h"

#include <stdio.h>

struct sim_client {
    struct sim_end     end; /* its memory is the client's, not sim_end_close's */
    struct sim_client *next, *prev;
    bool               hung_up;
};

struct sim_client *sim_connect_from(struct sim *s, const char *address, const char *from, uint32_t uid)
{
    struct sim_client *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->end.sim = s;
    c->end.window = SIZE_MAX;
    c->end.handle = -1;
    c->end.uid = uid;
    if (from)
        (void)snprintf(c->end.from, sizeof c->end.from, "%s", from);
    else
        (void)snprintf(c->end.from, sizeof c->end.from, "127.0.0.1:%u", s->next_client_port++);
    if (!sim_end_connect(&c->end, address)) {
        mem_free(c);
        return NULL;
    }
    c->next = s->clients;
    if (c->next)
        c->next->prev = c;
    s->clients = c;
    return c;
}

struct sim_client *sim_connect(struct sim *s, const char *address)
{
    return sim_connect_from(s, address, NULL, 1000);
}

void sim_send(struct sim_client *c, struct bytes b)
{
    struct sim_end *to = c->end.other;
    if (!to || c->hung_up)
        return;
    buf_add_bytes(&to->in, b);
    FG_ASSERT(!to->in.bad);
    sim_end_tell(to);
}

struct bytes sim_received(const struct sim_client *c)
{
    return buf_bytes(&c->end.in);
}

void sim_take(struct sim_client *c, size_t n)
{
    buf_take(&c->end.in, n);
    if (c->end.other)
        sim_end_tell(c->end.other);
}

void sim_stall(struct sim_client *c, size_t window)
{
    c->end.window = window;
    if (c->end.other)
        sim_end_tell(c->end.other);
}

bool sim_closed(const struct sim_client *c)
{
    return c->end.ended;
}

void sim_hang_up(struct sim_client *c, bool reset)
{
    struct sim_end *to = c->end.other;
    c->hung_up = true;
    if (!to)
        return;
    to->ended = true;
    to->reset |= reset;
    sim_end_tell(to);
}

void sim_free(struct sim_client *c)
{
    struct sim *s = c->end.sim;
    sim_hang_up(c, false);
    if (c->end.other)
        c->end.other->other = NULL;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->clients = c->next;
    if (c->next)
        c->next->prev = c->prev;
    buf_clear(&c->end.in);
    mem_free(c);
}
