/* Payloads that become values: as a whole, and their fields (first byte: type). What comes out is of the type, can be sent and is UTF-8;
 * and what stands in braces of folders and topics. */
#include "base/settings.h"
#include "expr/json.h"
#include "mirror/convert.h"
#include "mirror/template.h"
#include "opcua/json.h"
#include "opcua/status.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(ua_status status, unsigned type, const struct ua_variant *v)
{
    struct buf json = { 0 };
    if (status != UA_GOOD)
        return;
    if (v->type != type || v->array)
        abort();
    ua_json_variant(&(struct ua_json){ .out = &json }, v);
    if (!utf8_valid(buf_bytes(&json), true) || (type == UA_STRING && !utf8_valid(v->text, true)))
        abort();
    buf_clear(&json);
}

static void fields(unsigned type, struct bytes body, struct arena *arena)
{
    static const struct bytes name = { (const uint8_t *)"v", 1 };
    struct json_plan *plan = json_plan_new(&(struct json_path){ &name, 1 }, 1);
    struct json_reader *reader = json_reader_new(NULL);
    const struct value *slots;
    struct ua_variant v;
    ua_time t;
    if (plan && reader && json_read(reader, plan, body, false, NULL) == CODE_OK)
        while (json_next(reader, &slots) == CODE_OK) {
            look(mirror_convert(&v, type, slots[0], arena), type, &v);
            if (mirror_time(slots[0], &t) && t < UA_UNIX_EPOCH)
                abort();
        }
    json_reader_free(reader);
    json_plan_free(plan);
}

static void braces(struct bytes text, struct arena *arena)
{
    struct buf out = { 0 };
    char *copy = memchr(text.at, 0, text.len) ? NULL : arena_text(arena, text);
    if (copy)
        mirror_fill(&out, copy, BYTES_LIT("a/+/#"), text);
    mirror_wild_folder(&out, BYTES_LIT("+/b/#"), text);
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct ua_variant v;
    if (size < 2)
        return 0;
    unsigned type = data[0] % UA_DATE_TIME + 1;
    struct bytes body = bytes_of(data + 1, size - 1);
    arena_init(&arena, NULL, 0, 16 << 20);
    look(mirror_convert_text(&v, type, body, &arena), type, &v);
    fields(type, body, &arena);
    braces(body, &arena);
    arena_clear(&arena);
    return 0;
}
