/* The table of nodes, and the namespaces. */
#include "uaserver/space_private.h"

#include "base/mem.h"

enum { FIRST_BITS = 8, NODES = 100000, NAMESPACES = 64, NAME_BYTES = 512 };

/* ---- the table ---- */

static size_t place(const struct ua_space *s, uint64_t hash)
{
    return (size_t)(hash >> (64 - s->bits));
}

static size_t next_place(const struct ua_space *s, size_t i)
{
    return (i + 1) & (((size_t)1 << s->bits) - 1);
}

struct ua_node *ua_find(const struct ua_space *s, const struct ua_node_id *id)
{
    uint64_t hash = ua_node_id_hash(id);
    for (size_t i = place(s, hash); s->slots[i].node; i = next_place(s, i))
        if (s->slots[i].hash == hash && ua_node_id_equal(&s->slots[i].node->id, id))
            return s->slots[i].node;
    return NULL;
}

static void put(struct ua_space *s, struct ua_space_slot slot)
{
    size_t i = place(s, slot.hash);
    while (s->slots[i].node)
        i = next_place(s, i);
    s->slots[i] = slot;
}

static bool widen(struct ua_space *s)
{
    size_t old = (size_t)1 << s->bits;
    struct ua_space_slot *was = s->slots, *fresh = mem_zalloc(2 * old, sizeof *fresh);
    if (!fresh)
        return false;
    s->slots = fresh;
    s->bits++;
    for (size_t i = 0; i < old; i++)
        if (was[i].node)
            put(s, was[i]);
    mem_free(was);
    return true;
}

bool space_put(struct ua_space *s, struct ua_node *n)
{
    if (((size_t)s->count + 1) * 2 > (size_t)1 << s->bits && !widen(s))
        return false;
    n->hash = ua_node_id_hash(&n->id);
    put(s, (struct ua_space_slot){ n->hash, n });
    s->count++;
    return true;
}

/* Those behind it that were pushed out of their place move up. */
void space_take(struct ua_space *s, struct ua_node *n)
{
    size_t hole = place(s, n->hash);
    while (s->slots[hole].node != n)
        hole = next_place(s, hole);
    size_t mask = ((size_t)1 << s->bits) - 1;
    for (size_t i = next_place(s, hole); s->slots[i].node; i = next_place(s, i)) {
        size_t home = place(s, s->slots[i].hash);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        s->slots[hole] = s->slots[i];
        hole = i;
    }
    s->slots[hole] = (struct ua_space_slot){ 0 };
    s->count--;
}

/* ---- life ---- */

enum code ua_space_open(struct ua_space **out, struct loop *loop, struct bytes application_uri,
                        const struct ua_space_limits *limits, struct fault *why)
{
    struct ua_space *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an address space");
    s->loop = loop;
    s->limits = limits ? *limits : (struct ua_space_limits){ 0 };
    if (!s->limits.nodes)
        s->limits.nodes = NODES;
    if (!s->limits.namespaces)
        s->limits.namespaces = NAMESPACES;
    if (!s->limits.name_bytes)
        s->limits.name_bytes = NAME_BYTES;
    s->bits = FIRST_BITS;
    s->slots = mem_zalloc((size_t)1 << s->bits, sizeof *s->slots);
    uint16_t index;
    enum code c = s->slots ? ua_namespace(s, BYTES_LIT("http://opcfoundation.org/UA/"), &index, why)
                           : FAIL(why, CODE_NOMEM, 0, "no memory for an address space");
    if (!c)
        c = ua_namespace(s, application_uri, &index, why);
    if (c) {
        ua_space_close(s);
        return c;
    }
    *out = s;
    return CODE_OK;
}

void ua_space_close(struct ua_space *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->slots && i < (size_t)1 << s->bits; i++)
        if (s->slots[i].node)
            space_free_node(s->slots[i].node);
    for (uint16_t i = 0; i < s->uri_count; i++)
        mem_free(s->uris[i]);
    mem_free(s->uris);
    mem_free(s->slots);
    mem_free(s);
}

/* ---- namespaces ---- */

enum code ua_namespace(struct ua_space *s, struct bytes uri, uint16_t *index, struct fault *why)
{
    for (uint16_t i = 0; i < s->uri_count; i++)
        if (bytes_is(uri, s->uris[i])) {
            *index = i;
            return CODE_OK;
        }
    if (s->uri_count >= s->limits.namespaces || s->uri_count == UINT16_MAX)
        return FAIL(why, CODE_LIMIT, 0, "the server has %u namespaces, that is all it may have", s->uri_count);
    if (uri.len > s->limits.name_bytes)
        return FAIL(why, CODE_LIMIT, 0, "the namespace's URI has %zu bytes; at most %u", uri.len, s->limits.name_bytes);
    char **uris = mem_realloc(s->uris, ((size_t)s->uri_count + 1) * sizeof *uris);
    if (uris)
        s->uris = uris;
    char *copy = uris ? mem_strndup(uri.at, uri.len) : NULL;
    if (!copy)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a namespace");
    *index = s->uri_count;
    s->uris[s->uri_count++] = copy;
    return CODE_OK;
}

struct bytes ua_namespace_uri(const struct ua_space *s, uint16_t index)
{
    return index < s->uri_count ? bytes_str(s->uris[index]) : BYTES_NONE;
}

uint16_t ua_namespace_count(const struct ua_space *s)
{
    return s->uri_count;
}

uint32_t ua_node_count(const struct ua_space *s)
{
    return s->count;
}

ua_time ua_space_now(const struct ua_space *s)
{
    return ua_time_from_us(loop_wall_us(s->loop));
}
