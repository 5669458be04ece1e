/* Two clients and a whole broker: the bytes are what the clients do. After each input the durable state in memory must be
 * what a replay of the log gives, and everything the broker sent must have been packets.
 *
 *   u8 what (bits 0-2) and client (bit 3) · u8 length · bytes
 *
 *   0 raw bytes         1 a packet: its first byte, then a body whose length is made right
 *   2 hang up, dial     3 everything happens       4 everything but the disk
 *   5 time passes, length * 100 ms                 6 the node crashes and starts       7 it stops in order and starts
 *
 * Who gives no user name is let in; who does (alice, secret) or begins an exchange of AUTH packets is checked.
 */
#include "identity/identity_test_users.h"
#include "base/log.h"
#include "support/broker_peer.h"
#include "support/broker_state.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 64, RESTARTS_MAX = 3 };

struct stage {
    struct rig        *rig;
    struct sim_client *clients[2];
    unsigned           restarts;
};

static void open_node(struct stage *s)
{
    struct fault why;
    if (rig_open(s->rig, &why) != CODE_OK)
        abort();
}

/* What the broker sent: whole packets, whatever version the client has claimed to speak. */
static void hear(struct sim_client *c)
{
    struct mqtt_frame f;
    struct fault why;
    enum code code;
    while ((code = mqtt_frame(sim_received(c), 1 << 24, &f, &why)) == CODE_OK)
        sim_take(c, f.size);
    if (code != CODE_MORE)
        abort();
}

static void dial(struct stage *s, unsigned who)
{
    if (s->clients[who])
        sim_free(s->clients[who]);
    s->clients[who] = rig_dial(s->rig, who % s->rig->config.shards, NULL);
}

static void restart(struct stage *s, bool crash)
{
    if (s->restarts++ >= RESTARTS_MAX)
        return;
    s->clients[0] = s->clients[1] = NULL; /* they go with the simulation */
    if (crash)
        rig_abandon(s->rig);
    else
        rig_close(s->rig);
    open_node(s);
}

static void send_packet(struct sim_client *c, struct bytes b)
{
    uint8_t head[2] = { b.at[0], (uint8_t)(b.len - 1) };
    if (b.len - 1 > 127)
        return;
    sim_send(c, bytes_of(head, 2));
    sim_send(c, bytes_from(b, 1));
}

static void step(struct stage *s, uint8_t what, struct bytes b, uint8_t length)
{
    unsigned who = what >> 3 & 1;
    switch (what & 7) {
    case 0:
    case 1:
        if (!s->clients[who])
            dial(s, who);
        if ((what & 7) == 0)
            sim_send(s->clients[who], b);
        else if (b.len)
            send_packet(s->clients[who], b);
        break;
    case 2: dial(s, who); break;
    case 3: rig_run(s->rig); break;
    case 4: rig_run_without_disk(s->rig); break;
    case 5: rig_advance(s->rig, length * INT64_C(100000)); break;
    case 6: restart(s, true); break;
    case 7: restart(s, false); break;
    }
    for (unsigned i = 0; i < 2; i++)
        if (s->clients[i])
            hear(s->clients[i]);
}

static void swallow(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static const char *users(void)
{
    static char text[1024];
    if (!text[0]) {
        struct buf out = { 0 };
        test_user(&out, "alice", "secret", NULL, true);
        memcpy(text, buf_bytes(&out).at, buf_size(&out));
        buf_clear(&out);
    }
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig_config config;
    struct stage s = { .rig = NULL };
    rig_defaults(&config);
    config.limits.queued_messages = 8; /* small, so that inputs reach them */
    config.limits.receive_maximum = 4;
    config.limits.subscriptions = 4;
    config.limits.retained_messages = 3;
    config.limits.shared_groups = 2;
    config.limits.topic_aliases = 2;
    config.users = users();
    config.chain = (struct settings_choices){ { AUTH_USERS, AUTH_ANONYMOUS }, 2 };
    log_set_level(LOG_ERROR);
    log_set_sink(swallow, NULL);
    s.rig = rig_new(&config);
    open_node(&s);
    for (unsigned steps = 0; size >= 2 && steps < STEPS_MAX; steps++) {
        size_t len = (data[0] & 7) < 2 ? data[1] : 0;
        len = len < size - 2 ? len : size - 2;
        step(&s, data[0], bytes_of(data + 2, len), data[1]);
        data += 2 + len;
        size -= 2 + len;
    }
    const char *what = state_compare(s.rig);
    if (what) {
        (void)fprintf(stderr, "memory and replay differ: %s\n", what);
        abort();
    }
    rig_free(s.rig);
    return 0;
}
