/* Built-in types: what is read is written as bytes that read as the same again; parts of it by a range, and the texts of nodes.
 * The first byte is the type (0: an ExtensionObject's content as a structure of the services, chosen by the second). */
#include "opcua/services.h"
#include "opcua/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool x)
{
    if (!x)
        abort();
}

static void node_texts(const struct ua_expanded_node_id *id, struct arena *arena)
{
    struct buf text = { 0 };
    struct ua_expanded_node_id again;
    ua_expanded_format(&text, id);
    bool plain = id->id.kind != UA_ID_STRING || utf8_valid(id->id.text, false);
    /* A ';' or '#' in an address, or an address in front of nothing, reads otherwise than it was meant. */
    bool clear = !id->uri.len || (!memchr(id->uri.at, ';', id->uri.len));
    if (plain && clear && !(id->uri.at && id->uri.len == 0) && !(id->uri.at && id->id.ns) && !text.bad) {
        if (ua_expanded_parse(&again, buf_bytes(&text), arena, NULL) == CODE_OK && id->uri.at)
            demand(bytes_equal(again.uri, id->uri) && again.server == id->server);
    }
    if (ua_expanded_parse(&again, id->uri, arena, NULL) == CODE_OK) {
        buf_reset(&text);
        ua_expanded_format(&text, &again);
    }
    buf_clear(&text);
}

static void ranges(const struct ua_variant *v, struct bytes text, struct arena *arena)
{
    struct ua_index_range range;
    struct ua_variant part, whole;
    if (!ua_range_parse(&range, text) || ua_range_take(&range, v, arena, &part) != 0)
        return;
    if (ua_range_put(&range, v, &part, arena, &whole) == 0)
        demand(ua_variant_equal(v, &whole));
}

static void structure(const struct ua_struct *s, struct bytes in, struct arena *arena)
{
    static uint64_t first[512], second[512];
    demand(s->size <= sizeof first);
    struct ua_reader r = ua_reader_of(in, arena, NULL);
    ua_read_struct(&r, s, first);
    if (!ua_read_good(&r))
        return;
    struct buf once = { 0 }, twice = { 0 };
    ua_write_struct(&once, s, first);
    struct ua_reader again = ua_reader_of(buf_bytes(&once), arena, NULL);
    ua_read_struct(&again, s, second);
    if (!once.bad && again.status != 0x80030000u /* no memory */) {
        demand(ua_read_good(&again) && wire_left(&again.wire) == 0);
        ua_write_struct(&twice, s, second);
        demand(twice.bad || bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    buf_clear(&once);
    buf_clear(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ua_struct *const structs[] = {
#define UA_X(name, number) &ua_##name##_type,
        UA_STRUCTS(UA_X)
#undef UA_X
    };
    if (size < 2)
        return 0;
    struct arena arena;
    arena_init(&arena, NULL, 0, 16 << 20);
    struct bytes in = bytes_of(data + 2, size - 2);
    if (data[0] == 0) {
        structure(structs[data[1] % (sizeof structs / sizeof *structs)], in, &arena);
        arena_clear(&arena);
        return 0;
    }
    struct ua_reader r = ua_reader_of(in, &arena, NULL);
    struct ua_variant v, again, copy;
    ua_read_variant(&r, &v);
    if (ua_read_good(&r)) {
        struct buf once = { 0 };
        ua_write_variant(&once, &v);
        struct ua_reader second = ua_reader_of(buf_bytes(&once), &arena, NULL);
        ua_read_variant(&second, &again);
        if (!once.bad && ua_read_good(&second)) {
            demand(wire_left(&second.wire) == 0);
            demand(ua_variant_equal(&v, &again));
        }
        if (ua_variant_copy(&arena, &v, &copy))
            demand(ua_variant_equal(&v, &copy));
        ranges(&v, bytes_of(r.wire.at, wire_left(&r.wire)), &arena);
        if (v.type == UA_EXPANDED_NODE_ID && !v.array)
            node_texts(v.at, &arena);
        buf_clear(&once);
    }
    arena_clear(&arena);
    return 0;
}
