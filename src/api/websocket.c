/* websocket.c - GET /mqtt: MQTT over WebSocket [MQTT-6.0.0-3, MQTT-6.0.0-4]. */
#include "api/api_private.h"

#include "net/websocket.h"

void websocket_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    /* The second is what clients of MQTT 3.1 say. */
    static const char *const protocols[] = { "mqtt", "mqttv3.1", NULL };
    const struct settings *s = a->config.settings;
    const struct settings_listener *door = &s->listeners[r->door];
    struct websocket_rules rules = {
        .protocols = protocols,
        .origins = door->origins.at,
        .origin_count = door->origins.count,
        .frame_bytes = s->limits.packet_bytes,
    };
    struct conn *c = websocket_accept(x, r, &rules);
    if (c)
        broker_adopt(a->config.broker, c);
}
