/* What people write: values of every type (first byte: type, second: rank), nodes and ranges. What is read can be sent, and as JSON. */
#include "opcua/codec.h"
#include "opcua/from_text.h"
#include "opcua/json.h"
#include "opcua/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct arena arena;
    struct ua_variant v, again;
    struct ua_expanded_node_id id;
    struct ua_index_range range;
    struct bytes text = bytes_of(data + 2, size - 2);
    arena_init(&arena, NULL, 0, 16 << 20);
    if (ua_from_text(&v, data[0] % UA_BUILTIN_COUNT, (int8_t)data[1] % 4, text, 0, &arena, NULL) == CODE_OK) {
        struct buf wire = { 0 }, json = { 0 };
        struct ua_json j = { .out = &json };
        static const struct ua_limits none = { UINT32_MAX, UINT32_MAX, 32 };
        ua_write_variant(&wire, &v);
        struct ua_reader r = ua_reader_of(buf_bytes(&wire), &arena, &none);
        ua_read_variant(&r, &again);
        if (!ua_read_good(&r) || !ua_variant_equal(&v, &again))
            abort();
        ua_json_variant(&j, &v);
        if (!utf8_valid(buf_bytes(&json), true))
            abort();
        buf_clear(&wire);
        buf_clear(&json);
    }
    if (ua_expanded_parse(&id, text, &arena, NULL) == CODE_OK) {
        struct buf once = { 0 };
        ua_expanded_format(&once, &id);
        buf_clear(&once);
    }
    if (ua_range_parse(&range, text) && range.dims > UA_RANGE_DIMS)
        abort();
    arena_clear(&arena);
    return 0;
}
