/* stall.c - values with a structure whose description is not known yet wait, and those behind them, until the server has told it or has
 * not. One description is asked for at a time. */
#include "publisher/publisher_private.h"

#include "base/mem.h"
#include "opcua/status.h"

enum { STALLED_BYTES = 64 << 20 };

struct pub_stalled {
    struct pub_stalled *next;
    struct arena arena;
    struct ua_changes changes;
};

/* ---- what is known ---- */

static bool given_up(const struct pub_session *s, uint64_t hash)
{
    for (size_t i = 0; i < s->given_up_count; i++)
        if (s->given_up[i] == hash)
            return true;
    return false;
}

static void give_up(struct pub_session *s, uint64_t hash)
{
    if (s->given_up_count < PUB_GIVEN_UP)
        s->given_up[s->given_up_count++] = hash;
    else
        s->given_up[hash % PUB_GIVEN_UP] = hash;
}

static void shape_told(void *ctx, ua_status status)
{
    struct pub_session *s = ctx;
    s->shape_asked = false;
    if (ua_is_bad(status) && ua_code(status) != UA_BAD_CONNECTION_CLOSED)
        give_up(s, s->shape_hash);
    if (s->up)
        pub_unstall_all(s);
}

/* True: nothing more will be known of it. */
static bool ask(struct pub_session *s, const struct ua_node_id *type, uint64_t hash)
{
    struct fault why;
    if (s->shape_asked || !s->up)
        return false;
    s->shape_hash = hash;
    s->shape_asked = ua_shapes_ask(s->shapes, type, shape_told, s, &why) == CODE_OK;
    if (!s->shape_asked)
        give_up(s, hash);
    return !s->shape_asked;
}

static bool known(struct pub_session *s, const struct ua_variant *v)
{
    if (v->type != UA_EXTENSION_OBJECT)
        return true;
    for (uint32_t i = 0; i < (v->array ? v->count : 1); i++) {
        const struct ua_extension_object *o = ua_item(v, i);
        uint64_t hash = ua_node_id_hash(&o->type);
        if (o->kind == UA_BODY_BINARY && !ua_shapes_know(s->shapes, &o->type) && !given_up(s, hash) &&
            !ask(s, &o->type, hash))
            return false;
    }
    return true;
}

static bool all_known(struct pub_session *s, const struct ua_changes *c)
{
    for (size_t i = 0; s->shapes && i < c->count; i++)
        if (!known(s, &c->at[i].value.value))
            return false;
    return true;
}

/* ---- waiting ---- */

static void free_one(struct pub_stalled *one)
{
    arena_clear(&one->arena);
    mem_free(one);
}

static struct pub_stalled *copy(const struct ua_changes *c)
{
    struct pub_stalled *one = mem_zalloc(1, sizeof *one);
    if (!one)
        return NULL;
    arena_init(&one->arena, NULL, 0, STALLED_BYTES);
    one->changes = *c;
    struct ua_change *at = arena_zero(&one->arena, (c->count + 1) * sizeof *at);
    for (size_t i = 0; at && i < c->count; i++) {
        at[i] = c->at[i];
        if (!ua_variant_copy(&one->arena, &c->at[i].value.value, &at[i].value.value))
            at = NULL;
    }
    one->changes.at = at;
    if (at)
        return one;
    free_one(one);
    return NULL;
}

bool pub_stall(struct pub_stream *s, const struct ua_changes *c)
{
    struct pub_stalled **end = &s->stalled;
    if (!s->stalled && all_known(s->session, c))
        return false;
    struct pub_stalled *one = copy(c);
    if (!one) {
        pub_unstall(s, true); /* no memory to wait with: as bytes, but in order */
        return false;
    }
    while (*end)
        end = &(*end)->next;
    *end = one;
    s->session->all->count.waiting += c->count;
    return true;
}

void pub_unstall(struct pub_stream *s, bool all)
{
    while (s->stalled && (all || all_known(s->session, &s->stalled->changes))) {
        struct pub_stalled *one = s->stalled;
        s->stalled = one->next;
        s->session->all->count.waiting -= one->changes.count;
        pub_stream_take(s, &one->changes);
        free_one(one);
    }
}

void pub_unstall_all(struct pub_session *s)
{
    for (struct pub_stream *t = s->streams; t; t = t->next)
        pub_unstall(t, false);
}
