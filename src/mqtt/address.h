/* address.h - where an MQTT server is and how it is reached: mqtt://host:1883, mqtts://, ws://host/mqtt, wss://.
 *
 * Everything of ours that is an MQTT client dials through mqtt_dial: the transports (TLS, WebSocket) are put on
 * the connection there and nowhere else, and its users do not notice. Thread: parsing any; dialling the loop's.
 */
#pragma once

#include "net/loop.h"
#include "net/tls.h"

enum mqtt_scheme { MQTT_TCP, MQTT_TLS, MQTT_WS, MQTT_WSS };

enum { MQTT_HOST_MAX = 256, MQTT_PATH_MAX = 256, MQTT_USER_MAX = 256 };

struct mqtt_address {
    enum mqtt_scheme scheme;
    char             host[MQTT_HOST_MAX]; /* a name, an address without brackets, or unix:/path */
    uint16_t         port;
    char             path[MQTT_PATH_MAX]; /* "/mqtt", with its query; empty when none was given  */
    char             user[MQTT_USER_MAX], password[MQTT_USER_MAX]; /* of user:password@, decoded; empty = none */
};

/* "host", "host:1883", "[::1]:1883", "unix:/path", or one of these behind a scheme, with a path. `port`: used when
 * the text has none, 0 = the scheme's own (1883, 8883, 80, 443). A bare IPv6 address needs no brackets. CODE_USAGE
 * with the whole sentence. */
FG_CHECK enum code mqtt_address_parse(struct mqtt_address *out, struct bytes text, uint16_t port,
                                      struct fault *why);
uint16_t mqtt_scheme_port(enum mqtt_scheme);
/* "mqtts" */
const char *mqtt_scheme_name(enum mqtt_scheme);

/* What conn_dial needs, and what lies between the socket and MQTT. Views, valid during the call. */
struct mqtt_route {
    enum mqtt_scheme scheme;
    const char      *host; /* as for conn_dial */
    uint16_t         port;
    const char      *path; /* of the WebSocket; NULL or empty = /mqtt */
    struct tls_client *tls; /* needed where the scheme has TLS */
};
/* As conn_dial; on_open comes when the transports are open too. CODE_UNSUPPORTED: this build cannot do that scheme. */
FG_CHECK enum code mqtt_dial(struct conn **out, struct loop *, const struct mqtt_route *, const struct conn_events *,
                             void *ctx, struct fault *why);
