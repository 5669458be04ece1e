/* websocket.c - GET /mqtt: MQTT over WebSocket [MQTT-6.0.0-3, MQTT-6.0.0-4]. */
#include "api/api_private.h"

#include "mqtt/packet.h"
#include "net/websocket.h"

static size_t packet_size(struct bytes front)
{
    struct mqtt_frame packet;
    (void)!mqtt_frame(front, UINT32_MAX, &packet, NULL); /* CODE_MORE: its size is known all the same */
    return packet.size;
}

void websocket_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    /* The second is what clients of MQTT 3.1 say. */
    static const char *const protocols[] = { "mqtt", "mqttv3.1", NULL };
    const struct settings *s = a->config.view.settings;
    /* A listener that a reload has closed: its connections may go on, as pages of their own only. */
    const struct settings_listener *door = r->door < a->config.view.door_count ? a->config.view.doors[r->door] : NULL;
    struct websocket_rules rules = {
        .protocols = protocols,
        .origins = door ? door->origins.at : NULL,
        .origin_count = door ? door->origins.count : 0,
        .frame_bytes = s->limits.packet_bytes,
        .message = packet_size,
    };
    struct fault why;
    if (broker_over_memory(a->config.broker)) { /* L-MEM: before anything of it is kept */
        (void)api_over_memory(a, &why);
        api_refuse(x, 503, &why);
        return;
    }
    struct conn *c = websocket_accept(x, r, &rules);
    if (c)
        broker_adopt(a->config.broker, c);
}
