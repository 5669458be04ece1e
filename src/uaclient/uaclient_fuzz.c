/* uaclient_fuzz.c - a client with a subscription, and a server that answers as the input says. Records: one byte what, two bytes how
 * long (low first), then so many bytes. Each request takes the next record of 0 to 7:
 *
 *   0, 1  an honest answer       2  the right type, then the bytes     3  the bytes as a whole    4  no answer
 *   5     a fault, its status    6  an honest one and then the bytes   7  to a request that was not made
 *
 * In between, when nothing is under way:
 *
 *   8   a Publish is answered with the bytes as its notifications, numbered on     9   the same, the number in the first four
 *   10  so many ms pass          11 the connection breaks                          12  the session is forgotten
 *   13  the owner does something: the first byte says what                         14  a value, well made
 *
 * When there are no more, all is honest.
 */
#define UACLIENT_FUZZ
#include "uaclient/uaclient_test_stage.h"

#include "base/log.h"
#include "opcua/json.h"
#include "uaclient/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wire input;
static struct stage st;
static struct ua_shapes *shapes;
static struct arena owner;
static uint32_t sequence;
static volatile uint64_t sum; /* of everything that is given: all of it is read */

static void eat(const struct ua_variant *v)
{
    struct buf text = {.max = 1 << 20};
    struct ua_json j = {.out = &text};
    ua_json_variant(&j, v);
    sum += buf_size(&text);
    buf_clear(&text);
}

static void eat_thing(const struct ua_thing *t)
{
    for (size_t i = 0; i < t->name.len; i++)
        sum += t->name.at[i];
    for (size_t i = 0; i < t->text.len; i++)
        sum += t->text.at[i];
    if (t->kind == UA_THING_VALUE || t->kind == UA_THING_ENUM || t->kind == UA_THING_RAW)
        eat(&t->value);
    for (uint32_t i = 0; i < t->count; i++)
        eat_thing(&t->fields[i]);
}

/* ---- the owner ---- */

static void changes_come(void *ctx, struct ua_subscription *s, const struct ua_changes *c)
{
    (void)ctx;
    assert_true(c->count <= 64);
    for (size_t i = 0; i < c->count; i++) {
        assert_true(c->at[i].handle >= 1 && c->at[i].handle <= 3);
        eat(&c->at[i].value.value);
    }
    if (c->message && c->last && c->sequence % 3 == 0)
        ua_subscription_ack(s, c->message);
}

static void event_comes(void *ctx, struct ua_subscription *s, const struct ua_occurrence *o)
{
    (void)ctx;
    (void)s;
    for (uint32_t i = 0; i < o->count; i++)
        eat(&o->fields[i]);
}

static void gap_comes(void *ctx, struct ua_subscription *s, const struct ua_gap *g)
{
    (void)ctx;
    (void)s;
    assert_true(g->why.code != CODE_OK && g->filled <= 3);
}

static void part_comes(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    const struct ua_data_value *v = results;
    (void)ctx;
    assert_true(first + count <= 3 && (results != NULL) == (status == 0));
    for (size_t i = 0; v && i < count; i++)
        eat(&v[i].value);
}

static void done(void *ctx, ua_status status)
{
    (void)ctx;
    sum += status;
}

static void call_part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    const struct ua_call_method_result *r = results;
    (void)ctx;
    assert_true(first + count <= 2);
    sum += status;
    for (size_t i = 0; r && i < count; i++)
        for (uint32_t k = 0; k < r[i].output_arguments_count; k++)
            eat(&r[i].output_arguments[k]);
}

static bool reference_comes(void *ctx, const struct ua_node_id *parent, unsigned level,
                            const struct ua_reference_description *r)
{
    (void)ctx;
    (void)parent;
    sum += level + r->browse_name.name.len + (r->browse_name.name.len ? r->browse_name.name.at[0] : 0);
    return true;
}

static bool past_comes(void *ctx, const struct ua_data_value *v, uint32_t count)
{
    (void)ctx;
    for (uint32_t i = 0; i < count; i++)
        eat(&v[i].value);
    return count < 5;
}

static const struct ua_node_id node = {.ns = 1, .kind = UA_ID_NUMBER, .number = 7};
static uint8_t object_bytes[64];
static struct ua_extension_object object = {
    {.ns = 1, .kind = UA_ID_NUMBER, .number = 7}, UA_BODY_BINARY, {object_bytes, 0}};

static void shape_comes(void *ctx, ua_status status)
{
    struct ua_thing thing;
    struct arena arena;
    (void)ctx;
    arena_init(&arena, NULL, 0, 4 << 20);
    if (!status && ua_shapes_read(shapes, &object, &arena, &thing, NULL) == CODE_OK)
        eat_thing(&thing);
    arena_clear(&arena);
}

/* Also for what it refuses. */
static void act(struct bytes b)
{
    static struct ua_read_value_id reads[3];
    static struct ua_call_method_request calls[2];
    struct ua_browse_options browse = {.depth = 3, .nodes_max = 50};
    struct ua_read_request read = {.nodes_to_read = reads, .nodes_to_read_count = 3};
    struct ua_call_request call = {.methods_to_call = calls, .methods_to_call_count = 2};
    struct ua_watch w = {.handle = 3, .node.id = node, .mode = UA_MONITOR_REPORTING, .history = true};
    uint32_t number = 1u << 20 | (b.len > 1 ? b.at[1] & 3 : 0);
    switch (b.len ? b.at[0] % 9 : 0) {
    case 0: sum += ua_ask_list(st.client, UA_LIST_READ, &read, part_comes, done, NULL, NULL); break;
    case 1: sum += ua_browse(st.client, &node, &browse, reference_comes, done, NULL, NULL); break;
    case 2: sum += ua_history_raw(st.client, &node, 1, 100, 10, past_comes, done, NULL, NULL); break;
    case 3:
        object.body.len = b.len - 1 < sizeof object_bytes ? b.len - 1 : sizeof object_bytes;
        memcpy(object_bytes, b.at + 1, object.body.len);
        sum += ua_shapes_ask(shapes, &node, shape_comes, NULL, NULL);
        break;
    case 4:
        if (st.sub)
            sum += ua_subscription_add(st.sub, &w, 1, NULL, NULL);
        break;
    case 5:
        if (st.sub)
            ua_subscription_remove(st.sub, &number, 1);
        break;
    case 6:
        if (st.sub)
            sum += ua_subscription_modify(st.sub, number, &w, NULL);
        break;
    case 7:
        if (st.sub)
            ua_subscription_close(st.sub);
        st.sub = NULL;
        break;
    default: sum += ua_ask_list(st.client, UA_LIST_CALL, &call, call_part, done, NULL, NULL); break;
    }
}

/* ---- the server ---- */

static bool next_record(uint8_t *what, struct bytes *b)
{
    *what = wire_u8(&input);
    size_t n = wire_le16(&input);
    if (input.bad)
        return false;
    *b = wire_bytes(&input, n < wire_left(&input) ? n : wire_left(&input));
    return true;
}

static void send_bytes(uint32_t id, uint32_t type, struct bytes b)
{
    struct buf *out = conn_out(st.peer);
    struct ua_sending s;
    ua_channel_begin(st.channel, out, &s);
    if (type)
        ua_write_node_id(out, &UA_NS0(type));
    buf_add_bytes(out, b);
    sum += ua_channel_end(st.channel, out, &s, id);
}

static bool answer(struct stage *stage, uint32_t id, uint32_t encoding, const void *request)
{
    struct wire before = input;
    struct bytes b;
    uint8_t what;
    (void)request;
    if (encoding == ua_publish_request_type.encoding)
        return false;
    if (!next_record(&what, &b) || what > 7) {
        input = before; /* it is for the owner */
        return false;
    }
    if (what == 2 || what == 3)
        send_bytes(id, what == 2 ? encoding + 3 : 0, b);
    else if (what == 5)
        fault(stage, id,
              b.len >= 4 ? (uint32_t)b.at[0] | (uint32_t)b.at[1] << 8 | (uint32_t)b.at[2] << 16 | 0x80000000u
                         : UA_BAD_TIMEOUT);
    else if (what == 6 || what == 7)
        send_bytes(what == 6 ? id : id + 5, encoding + 3, b);
    return what == 2 || what == 3 || what == 4 || what == 5;
}

static void play(uint8_t what, struct bytes b)
{
    bool parked = st.peer && st.parked_count > 0;
    switch (what) {
    case 8:
        if (parked)
            publish_raw(&st, ++sequence, b, st.sub_id);
        break;
    case 9:
        if (parked && b.len >= 4)
            publish_raw(&st,
                        (uint32_t)b.at[0] | (uint32_t)b.at[1] << 8 | (uint32_t)b.at[2] << 16 |
                            (uint32_t)b.at[3] << 24,
                        bytes_from(b, 4), st.sub_id);
        break;
    case 10: sim_advance(st.sim, (b.len > 1 ? b.at[0] | b.at[1] << 8 : 100) * (int64_t)1000); break;
    case 11:
        if (st.peer)
            cut(&st);
        sequence = 0;
        break;
    case 12:
        st.session = 0;
        st.sub_known = b.len > 0 && b.at[0] & 1;
        break;
    case 13: act(b); break;
    default:
        if (parked && st.items) {
            sequence++;
            publish(&st, sequence, 0, sequence, sequence);
        }
        break;
    }
    sim_advance(st.sim, 20000);
}

static void no_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ua_subscription_events events = {.on_changes = changes_come, .on_event = event_comes, .on_gap = gap_comes};
    static const struct ua_client_events silent = {0};
    const struct ua_subscription_options options = {
        .publishing_ms = 100, .keep_alive_ms = 1000, .silent_ms = 2000, .acknowledge = size % 2 == 1};
    struct ua_client_options o = plain_options();
    struct ua_watch w[2] = {
        {.handle = 1, .node.id = node, .mode = UA_MONITOR_REPORTING, .history = true},
        {.handle = 2, .node = {.id = node, .uri = BYTES_LIT("urn:y")}, .mode = UA_MONITOR_REPORTING}};
    log_set_sink(no_line, NULL);
    stage_set(&st);
    input = wire_of(bytes_of(data, size));
    sequence = 0;
    st.hook = answer;
    st.history = true;
    arena_init(&owner, NULL, 0, 1 << 20);
    assert_int_equal(ua_client_open(&st.client, st.loop, &o, &silent, NULL, NULL), CODE_OK);
    assert_int_equal(ua_subscription_open(&st.sub, st.client, &options, &events, NULL, NULL), CODE_OK);
    assert_int_equal(ua_subscription_add(st.sub, w, 2, NULL, NULL), CODE_OK);
    assert_int_equal(ua_shapes_open(&shapes, st.client, NULL), CODE_OK);
    sim_advance(st.sim, 100000);
    struct bytes b;
    uint8_t what;
    for (unsigned n = 0; n < 200 && next_record(&what, &b); n++)
        play(what < 8 ? 14 : what, b);
    ua_shapes_close(shapes);
    arena_clear(&owner);
    stage_close(&st);
    return 0;
}
