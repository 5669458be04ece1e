/* mqtt_checks_hostile.c - what no client may send: the standard says how each is answered. */
#include "cli/mqtt_checks.h"

#include <stdio.h>

#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Sends bytes on a good connection; it must end. With 5.0 the DISCONNECT's reason is remembered. */
static enum code refused(struct check_run *r, struct bytes bytes, const char *what, char *reasons, size_t cap,
                         struct fault *why)
{
    struct probe *p;
    uint8_t reason;
    TRY(probe_open(r->world, &(struct greeting){0}, &p, why));
    probe_send(p, bytes);
    TRY(probe_thrown_out(p, what, &reason, why));
    size_t n = strlen(reasons);
    if (reason)
        (void)snprintf(reasons + n, cap - n, "%s0x%02X", n ? " " : "", reason);
    else
        (void)snprintf(reasons + n, cap - n, "%scut", n ? " " : "");
    return CODE_OK;
}

static enum code check_malformed(struct check_run *r, struct fault *why)
{
    char reasons[80] = "";
    const struct {
        const char *what;
        struct bytes bytes;
    } cases[] = {
        {"SUBSCRIBE with wrong flags", BYTES(0x80, 7, 0, 1, 0, 0, 1, 'a', 0)},
        {"a packet type that does not exist", BYTES(0x00, 0)},
        {"a remaining length of five bytes", BYTES(0x30, 0xff, 0xff, 0xff, 0xff, 0x01)},
        {"PUBLISH with QoS 3", BYTES(0x36, 7, 0, 1, 'a', 0, 1, 0, 'x')},
        {"a topic that is not UTF-8", BYTES(0x30, 6, 0, 2, 0xc3, 0x28, 0, 'x')},
        {"PUBLISH with packet identifier 0", BYTES(0x32, 6, 0, 1, 'a', 0, 0, 0)},
        {"SUBSCRIBE without a filter", BYTES(0x82, 3, 0, 1, 0)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        TRY(refused(r, cases[i].bytes, cases[i].what, reasons, sizeof reasons, why));
    (void)snprintf(r->said, sizeof r->said, "seven kinds end the connection: %s", reasons);
    return CODE_OK;
}

static enum code check_protocol(struct check_run *r, struct fault *why)
{
    char reasons[80] = "";
    const struct {
        const char *what;
        struct bytes bytes;
    } cases[] = {
        {"a second CONNECT", BYTES(0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 1, 'x')},
        {"a wildcard in the topic of a PUBLISH", BYTES(0x30, 5, 0, 2, 'a', '#', 0)},
        {"a topic alias of 0", BYTES(0x30, 7, 0, 1, 'a', 3, 0x23, 0, 0)},
        {"CONNACK from a client", BYTES(0x20, 3, 0, 0, 0)},
        {"a property twice", BYTES(0x30, 8, 0, 1, 'a', 4, 0x01, 1, 0x01, 1)},
        {"a subscription identifier in a client's PUBLISH", BYTES(0x30, 6, 0, 1, 'a', 2, 0x0b, 1)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        TRY(refused(r, cases[i].bytes, cases[i].what, reasons, sizeof reasons, why));
    (void)snprintf(r->said, sizeof r->said, "six kinds end the connection: %s", reasons);
    return CODE_OK;
}

static enum code check_first_packet(struct check_run *r, struct fault *why)
{
    struct probe *p;
    uint8_t reason;
    TRY(probe_dial(r->world, MQTT_5, &p, why));
    probe_send(p, BYTES(0x30, 5, 0, 1, 'a', 0, 'x'));
    (void)snprintf(r->said, sizeof r->said, "PUBLISH before CONNECT ends the connection");
    return probe_thrown_out(p, "PUBLISH before CONNECT", &reason, why);
}

static enum code check_version(struct check_run *r, struct fault *why)
{
    struct probe *p;
    struct packet *k;
    uint8_t reason;
    TRY(probe_dial(r->world, MQTT_5, &p, why));
    probe_send(p, BYTES(0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 9, 2, 0, 60, 0, 0, 1, 'x'));
    enum code c = probe_wait(p, MQTT_CONNACK, PROBE_MS, &k, why);
    if (c == CODE_OK && k->len >= 2 && k->body[1] == 0)
        return FAIL(why, CODE_PROTOCOL, 0, "protocol level 9 was accepted");
    (void)snprintf(r->said, sizeof r->said,
                   c == CODE_OK && k->len >= 2 ? "level 9 is refused with 0x%02X"
                                               : "level 9: the connection is cut",
                   c == CODE_OK && k->len >= 2 ? k->body[1] : 0);
    return probe_thrown_out(p, "protocol level 9", &reason, why);
}

static enum code check_filter(struct check_run *r, struct fault *why)
{
    struct probe *p;
    TRY(probe_open(r->world, &(struct greeting){0}, &p, why));
    enum code c = probe_listen(p, "a#", 0, why);
    if (c == CODE_OK)
        return FAIL(why, CODE_PROTOCOL, 0, "the filter 'a#' was accepted");
    if (c != CODE_REFUSED && c != CODE_CLOSED)
        return c;
    (void)snprintf(r->said, sizeof r->said, "'a#' is refused: %s0x%02X",
                   c == CODE_CLOSED ? "disconnected, " : "", why->mqtt_reason);
    return CODE_OK;
}

const struct mqtt_check mqtt_checks_hostile[] = {
    {"Wrong input", "malformed packets", check_malformed}, {"Wrong input", "protocol errors", check_protocol},
    {"Wrong input", "first packet", check_first_packet},   {"Wrong input", "unknown version", check_version},
    {"Wrong input", "invalid filter", check_filter},       {0},
};
