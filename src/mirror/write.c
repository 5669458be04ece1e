/* write.c - what an OPC UA client writes becomes a message: good is answered when it is on disk. */
#include "base/buf.h"
#include "base/log.h"
#include "mirror/mirror_private.h"
#include "opcua/json.h"
#include "opcua/status.h"

#include <stdio.h>

enum { TOO_LARGE = 0x95, SETTLE_MS = 5000 };

/* As people write it: 21.5, true, the text itself, a time without quotes. */
static void print(struct buf *out, const struct ua_variant *v)
{
    struct buf json = { 0 };
    if (v->type == UA_STRING) {
        buf_add_bytes(out, v->text);
        return;
    }
    ua_json_variant(&(struct ua_json){ .out = &json, .plain = true }, v);
    struct bytes text = buf_bytes(&json);
    if (text.len >= 2 && text.at[0] == '"')
        text = bytes_of(text.at + 1, text.len - 2);
    buf_add_bytes(out, text);
    out->bad = out->bad || json.bad;
    buf_clear(&json);
}

static ua_status publish(struct mirror *m, const char *topic, struct bytes payload, struct bytes principal)
{
    const struct io *io = m->config.io;
    struct fault why;
    struct message *msg = message_new(&(struct message_parts){ .qos = 1, .text = true, .wall_us = io->wall_us(io->self),
                                                               .now_us = io->monotonic_us(io->self), .topic = bytes_str(topic),
                                                               .principal = principal, .source = BYTES_LIT("opcua"), .payload = payload });
    if (!msg)
        return UA_BAD_OUT_OF_MEMORY;
    struct consumer_word word = { .message = msg };
    enum code c = consumer_publish(m->consumer, &word, 1, &why);
    message_drop(msg);
    if (c == CODE_OK && word.result == TOO_LARGE)
        return UA_BAD_REQUEST_TOO_LARGE;
    /* Good is an acknowledgement, as a PUBACK is one. This loop waits meanwhile: what is written here are commands, not floods. */
    if (c == CODE_OK)
        c = consumer_settle(m->consumer, SETTLE_MS, &why);
    if (c == CODE_AGAIN)
        return UA_BAD_TIMEOUT;
    return c == CODE_OK ? UA_GOOD : c == CODE_NOMEM ? UA_BAD_OUT_OF_MEMORY : c == CODE_CLOSED ? UA_BAD_SHUTDOWN : UA_BAD_RESOURCE_UNAVAILABLE;
}

static ua_status written(struct mirror_variable *v, const struct ua_server_user *user, const struct ua_variant *value)
{
    struct mirror *m = v->mirror;
    char principal[UA_USER_CHARS + 8];
    struct buf payload = { 0 };
    (void)snprintf(principal, sizeof principal, "%s%s", user->kind == UA_USER_ANONYMOUS ? "" : "user:", user->name);
    if (m->config.may_publish && !m->config.may_publish(m->config.ctx, user, bytes_str(principal), bytes_str(v->writable)))
        return UA_BAD_USER_ACCESS_DENIED;
    print(&payload, value);
    ua_status status = payload.bad ? UA_BAD_OUT_OF_MEMORY : publish(m, v->writable, buf_bytes(&payload), bytes_str(principal));
    buf_clear(&payload);
    return status;
}

static ua_status on_write(void *ctx, struct ua_variable *node, const struct ua_server_user *user, const struct ua_data_value *value)
{
    struct mirror_variable *v = ctx;
    (void)node;
    ua_status status = value->value.type == UA_NULL ? UA_BAD_TYPE_MISMATCH : written(v, user, &value->value);
    if (status == UA_GOOD) {
        v->mirror->count.writes++;
        v->seen = true;
    } else {
        v->mirror->count.writes_refused++;
        log_warn("opcua", "FG5409 %s may not, or cannot, write %s: %s on %s", user->name, v->entry->entry.name, ua_status_name(status), v->writable);
    }
    return status;
}

const struct ua_variable_ops mirror_writable_ops = { .write = on_write };
