/* bench_fuzz.c - the load generator's own look at a PUBLISH, against the real decoder: whatever a broker sends it stays inside
 * the packet, and where the decoder says yes it says the same. First byte: the version; then bytes as they come. */
#include "cli/bench_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum mqtt_version version = (enum mqtt_version)(MQTT_3_1 + data[0] % 3);
    struct bytes in = bytes_of(data + 1, size - 1);
    struct mqtt_frame f;
    while (mqtt_frame(in, 1 << 20, &f, NULL) == CODE_OK) {
        struct mqtt_publish p;
        struct bytes payload = BYTES_NONE;
        uint16_t id = 0;
        in = bytes_from(in, f.size);
        if (f.first >> 4 != MQTT_PUBLISH)
            continue;
        enum code code = bench_split(version, &f, &id, &payload, NULL);
        FG_ASSERT(code == CODE_OK || code == CODE_MALFORMED);
        if (code == CODE_OK && payload.len)
            FG_ASSERT(payload.at >= f.body.at && payload.at + payload.len == f.body.at + f.body.len);
        if (mqtt_decode_publish(version, f.first, f.body, &mqtt_limits_default, &p, NULL) != CODE_OK)
            continue;
        FG_ASSERT(code == CODE_OK && id == p.packet_id && bytes_equal(payload, p.payload));
    }
    return 0;
}
