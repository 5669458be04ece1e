/* machine_server.h - a machine as an OPC UA server shows it: `fieldgate sensor`, and the machine of `demo anomaly`.
 *
 *   Objects
 *     press-1                     ns=2;s=press-1
 *       Temperature   Double      ns=2;s=Temperature    °C, with its range
 *       Humidity      Double      ns=2;s=Humidity       %
 *       Run           Boolean     ns=2;s=Run            writable: false stops the machine
 *       Stop()  Start()           ns=2;s=Stop, ns=2;s=Start
 *
 * Namespace 2 is urn:fieldgate:machine. Thread: the server's loop.
 */
#pragma once

#include "sensor/device.h"
#include "uaserver/server.h"

struct machine_server;

struct machine_server_events {
    /* Run has been written, or Stop() or Start() called, and now it is so. Also when it was so already. False: it could not be done,
     * and the client is told (BadDeviceFailure). NULL: nobody wants to know. */
    bool (*on_run)(void *ctx, bool run);
};
/* Adds the machine to the server's space. `name` is copied. `server` must outlive it. */
FG_CHECK enum code machine_server_open(struct machine_server **out, struct ua_server *server, const char *name,
                                       const struct machine_server_events *, void *ctx, struct fault *why);
void machine_server_close(struct machine_server *);
/* A variable of the machine. Its node is ns=2;s=NAME, blanks as they are. */
FG_CHECK enum code machine_server_add(struct machine_server *, const char *name, enum sensor_quantity, unsigned *number,
                                      struct fault *why);
/* A reading, now. */
void machine_server_set(struct machine_server *, unsigned number, double value);
/* The same with the time it was taken at. */
void machine_server_set_at(struct machine_server *, unsigned number, double value, ua_time);
/* There is none: the sensor does not answer. */
void machine_server_fail(struct machine_server *, unsigned number, ua_status);
bool machine_server_runs(const struct machine_server *);
/* Somebody at the machine has pressed the button; on_run is not called. */
void machine_server_put_run(struct machine_server *, bool run);
