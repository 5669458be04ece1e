/* seat.c - see seat.h. */
#include "publisher/seat.h"

#include "base/mem.h"

#include <pthread.h>

struct publisher_seat {
    pthread_mutex_t lock;
    pthread_cond_t empty;
    struct publisher *p;
    unsigned in;
};

enum code publisher_seat_new(struct publisher_seat **out, struct fault *why)
{
    struct publisher_seat *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the OPC publisher");
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->empty, NULL);
    *out = s;
    return CODE_OK;
}

void publisher_seat_free(struct publisher_seat *s)
{
    if (!s)
        return;
    (void)pthread_cond_destroy(&s->empty);
    (void)pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

struct publisher *publisher_enter(struct publisher_seat *s)
{
    if (!s)
        return NULL;
    pthread_mutex_lock(&s->lock);
    struct publisher *p = s->p;
    s->in += p != NULL;
    pthread_mutex_unlock(&s->lock);
    return p;
}

void publisher_leave(struct publisher_seat *s)
{
    pthread_mutex_lock(&s->lock);
    if (--s->in == 0)
        (void)pthread_cond_broadcast(&s->empty);
    pthread_mutex_unlock(&s->lock);
}

struct publisher *publisher_put(struct publisher_seat *s, struct publisher *p)
{
    pthread_mutex_lock(&s->lock);
    struct publisher *old = s->p;
    s->p = NULL;
    while (s->in)
        (void)pthread_cond_wait(&s->empty, &s->lock);
    s->p = p;
    pthread_mutex_unlock(&s->lock);
    return old;
}
