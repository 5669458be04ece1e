/* The client against a server that the test plays: coming up, what it refuses, coming back. */
#include "uaclient/uaclient_test_stage.h"

static void up(struct stage *st)
{
    struct ua_client_options o = plain_options();
    stage_set(st);
    stage_open(st, &o);
    told(st, "up ");
}

static void test_up_and_leave(void **state)
{
    struct stage st;
    struct ua_client_look l;
    (void)state;
    up(&st);
    ua_client_look(st.client, &l);
    assert_int_equal(l.state, UA_CLIENT_UP);
    assert_string_equal(l.policy, "None");
    assert_int_equal(l.namespaces, 3);
    assert_int_equal(l.lacks, 1u << UA_LACK_LIMITS | 1u << UA_LACK_CLOCK | 1u << UA_LACK_ENDPOINTS);
    ua_client_leave(st.client);
    sim_advance(st.sim, SECOND / 10);
    told(&st, "down(0 end) ");
    assert_null(st.peer);
    stage_close(&st);
}

static void test_wrong_options(void **state)
{
    static const struct {
        struct ua_client_options options;
        const char *says;
    } wrong[] = {
        {{.url = NULL}, "no server"},
        {{.url = "http://x"}, "no address"},
        {{.url = "opc.tcp://"}, "no address"},
        {{.url = "opc.tcp://x:0"}, "no address"},
        {{.url = "opc.tcp://x:65536"}, "no address"},
        {{.url = "opc.tcp://x:1x"}, "no address"},
        {{.url = URL, .policy = "Basic999"}, "no security policy"},
        {{.url = URL, .policy = "Basic256Sha256"}, "certificate"},
        {{.url = URL, .mode = UA_MODE_SIGN}, "certificate"},
        {{.url = URL, .user.kind = UA_USER_NAME}, "no name"},
    };
    struct stage st;
    (void)state;
    stage_set(&st);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct fault why = {0};
        assert_int_equal(ua_client_open(&st.client, st.loop, &wrong[i].options, &client_events, &st, &why),
                         CODE_USAGE);
        if (!strstr(why.text, wrong[i].says))
            fail_msg("%zu: %s", i, why.text);
    }
    stage_close(&st);
}

static void test_refusals(void **state)
{
    static const struct {
        const struct ua_struct *request;
        ua_status status;
        const char *told;
    } cases[] = {
        {&ua_get_endpoints_request_type, UA_BAD_SERVICE_UNSUPPORTED, "down(5209 end) "},
        {&ua_create_session_request_type, UA_BAD_TOO_MANY_SESSIONS, "down(5209 end) "},
        {&ua_activate_session_request_type, UA_BAD_USER_ACCESS_DENIED, "down(5206 end) "},
        {&ua_activate_session_request_type, UA_BAD_IDENTITY_TOKEN_INVALID, "down(5206 end) "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ua_client_options o = plain_options();
        struct stage st;
        o.reconnect = false;
        stage_set(&st);
        fail_next(&st, cases[i].request, cases[i].status, 1);
        stage_open(&st, &o);
        told(&st, cases[i].told);
        stage_close(&st);
    }
}

static void test_servers_that_lie(void **state)
{
    struct ua_client_options o = plain_options();
    struct stage st;
    (void)state;
    o.reconnect = false;
    stage_set(&st);
    st.no_token = true;
    stage_open(&st, &o);
    told(&st, "down(5213 end) ");
    stage_close(&st);

    stage_set(&st);
    st.no_endpoints = true;
    stage_open(&st, &o);
    told(&st, "down(5209 end) ");
    stage_close(&st);

    /* Other services' answers, answers that come twice: counted, and the client goes on. */
    stage_set(&st);
    st.wrong_type = true;
    st.twice = true;
    stage_open(&st, &o);
    told(&st, "up ");
    struct ua_client_look l;
    ua_client_look(st.client, &l);
    assert_true(l.unasked >= 3);
    assert_true(l.lacks & 1u << UA_LACK_NAMESPACES);
    stage_close(&st);

    /* One that accepts and says nothing. */
    stage_set(&st);
    st.dead = true;
    stage_open(&st, &o);
    sim_advance(st.sim, 16 * (int64_t)SECOND);
    told(&st, "down(5201 end) ");
    stage_close(&st);
}

static void test_clocks_apart(void **state)
{
    struct ua_client_options o = plain_options();
    struct ua_client_look l;
    struct stage st;
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        stage_set(&st);
        st.clock_us = sign * 3600 * (int64_t)SECOND;
        stage_open(&st, &o);
        told(&st, "notice(5208) up ");
        ua_client_look(st.client, &l);
        assert_true(l.clock_us == st.clock_us);
        stage_close(&st);
    }
}

static unsigned endpoints_seen;
static void on_endpoints(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    const struct ua_get_endpoints_response *r = response;
    (void)ctx;
    (void)arena;
    endpoints_seen = status ? 0 : r->endpoints_count;
}

static void test_only_a_channel(void **state)
{
    struct ua_get_endpoints_request r = {.endpoint_url = BYTES_LIT(URL)};
    struct ua_client_options o = plain_options();
    struct stage st;
    (void)state;
    stage_set(&st);
    o.channel_only = true;
    stage_open(&st, &o);
    told(&st, "up ");
    assert_int_equal(ua_client_ask(st.client, &ua_get_endpoints_request_type, &r,
                                   &ua_get_endpoints_response_type, 0, on_endpoints, NULL, NULL),
                     CODE_OK);
    sim_advance(st.sim, 60 * (int64_t)SECOND);
    assert_int_equal(endpoints_seen, 1);
    assert_int_equal(st.sessions, 0);
    told(&st, "");
    ua_client_leave(st.client);
    sim_advance(st.sim, SECOND);
    told(&st, "down(0 end) ");
    stage_close(&st);
}

static void test_addresses(void **state)
{
    static const char *const urls[] = {"opc.tcp://[::1]:4841/a/b", "opc.tcp://[::1]:4841",
                                       "opc.tcp://localhost", "opc.tcp://127.0.0.1:4840"};
    (void)state;
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct ua_client_options o = plain_options();
        struct listener *more;
        struct stage st;
        stage_set(&st);
        assert_int_equal(net_listen(&more, st.loop, "[::1]:4841", accepted, &st, NULL), CODE_OK);
        o.url = urls[i];
        stage_open(&st, &o);
        buf_u8(&st.log, 0);
        if (!strstr((const char *)st.log.at, "up "))
            fail_msg("%s: %s", urls[i], st.why.text);
        stage_close(&st);
    }
}

static void test_comes_back(void **state)
{
    struct stage st;
    (void)state;
    up(&st);
    sim_advance(st.sim, 2 * SECOND);
    cut(&st);
    sim_advance(st.sim, SECOND / 10);
    told(&st, "down(5201) up+ ");
    assert_int_equal(st.sessions, 1);
    st.session = 0; /* forgotten */
    sim_advance(st.sim, 2 * SECOND);
    cut(&st);
    sim_advance(st.sim, SECOND / 10);
    told(&st, "down(5201) up ");
    assert_int_equal(st.sessions, 2);
    /* Nobody there: tried again, ever more slowly, but each 2 s, so that a server that starts again is soon found. */
    sim_advance(st.sim, 2 * SECOND);
    listener_close(st.listener);
    cut(&st);
    sim_advance(st.sim, 60 * (int64_t)SECOND);
    buf_u8(&st.log, 0);
    unsigned downs = 0;
    for (const char *p = (const char *)st.log.at; (p = strstr(p, "down(5201)")); p++)
        downs++;
    assert_in_range(downs, 30, 45);
    struct fault why = {0};
    buf_reset(&st.log);
    assert_int_equal(net_listen(&st.listener, st.loop, "127.0.0.1:4840", accepted, &st, &why), CODE_OK);
    sim_advance(st.sim, 2100000);
    buf_u8(&st.log, 0);
    assert_non_null(strstr((const char *)st.log.at, "up"));
    stage_close(&st);
}

static void test_a_session_ended_under_way(void **state)
{
    struct stage st;
    (void)state;
    up(&st);
    sim_advance(st.sim, 2 * SECOND);
    st.session = 0;
    sim_advance(st.sim, 20 * (int64_t)SECOND); /* the next look whether it is alive tells */
    told(&st, "down(5209) up ");
    stage_close(&st);
}

static void test_a_dead_line(void **state)
{
    struct stage st;
    (void)state;
    up(&st);
    st.dead = true;
    sim_advance(st.sim, 35 * (int64_t)SECOND);
    assert_int_equal(memcmp(st.log.at, "down(5201) ", 11), 0);
    stage_close(&st);
}

/* ---- lists ---- */

struct parts {
    struct buf log;
};
static void on_part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct parts *p = ctx;
    char scratch[16];
    (void)results;
    buf_printf(&p->log, "%zu+%zu%s%s ", first, count, status ? " " : "",
               status ? ua_status_text(status, scratch) : "");
}
static void on_parts_done(void *ctx, ua_status status)
{
    struct parts *p = ctx;
    char scratch[16];
    buf_printf(&p->log, "done %s", ua_status_text(status, scratch));
}

static void read_many(struct stage *st, uint32_t n, const char *want)
{
    struct ua_read_value_id nodes[64] = {0};
    struct ua_read_request r = {.nodes_to_read = nodes, .nodes_to_read_count = n};
    struct parts p = {0};
    struct fault why = {0};
    assert_int_equal(ua_ask_list(st->client, UA_LIST_READ, &r, on_part, on_parts_done, &p, &why), CODE_OK);
    assert_int_equal(p.log.len, 0);
    sim_advance(st->sim, SECOND / 10);
    buf_u8(&p.log, 0);
    assert_string_equal((const char *)p.log.at, want);
    buf_clear(&p.log);
}

static void test_lists(void **state)
{
    struct stage st;
    (void)state;
    up(&st);
    read_many(&st, 0, "done Good");
    read_many(&st, 10, "0+10 done Good");
    fail_next(&st, &ua_read_request_type, UA_BAD_TOO_MANY_OPERATIONS, 2);
    read_many(&st, 10, "0+2 2+2 4+2 6+2 8+2 done Good");
    fail_next(&st, &ua_read_request_type, UA_BAD_OUT_OF_MEMORY, 1);
    read_many(&st, 4, "0+2 BadOutOfMemory 2+2 done BadOutOfMemory");
    fail_next(&st, &ua_read_request_type, UA_BAD_SERVICE_UNSUPPORTED, 1);
    read_many(&st, 6, "0+6 BadServiceUnsupported done BadServiceUnsupported");
    st.fewer = true; /* which of them belongs to what? */
    read_many(&st, 4, "0+2 BadUnknownResponse 2+2 BadUnknownResponse done BadUnknownResponse");
    st.fewer = false;
    st.wrong_type = true;
    read_many(&st, 2, "0+2 BadUnknownResponse done BadUnknownResponse");
    stage_close(&st);
}

static void test_a_list_and_the_end(void **state)
{
    struct ua_read_value_id node = {0};
    struct ua_read_request r = {.nodes_to_read = &node, .nodes_to_read_count = 1};
    struct parts p = {0};
    struct stage st;
    (void)state;
    up(&st);
    st.dead = true;
    assert_int_equal(ua_ask_list(st.client, UA_LIST_READ, &r, on_part, on_parts_done, &p, NULL), CODE_OK);
    sim_step(st.sim);
    cut(&st);
    buf_u8(&p.log, 0);
    assert_string_equal((const char *)p.log.at, "0+1 BadConnectionClosed done BadConnectionClosed");
    buf_reset(&p.log);
    st.dead = false;
    sim_advance(st.sim, SECOND);
    st.dead = true;
    assert_int_equal(ua_ask_list(st.client, UA_LIST_READ, &r, on_part, on_parts_done, &p, NULL), CODE_OK);
    sim_step(st.sim);
    ua_client_close(st.client); /* tells nothing, keeps nothing */
    st.client = NULL;
    assert_int_equal(p.log.len, 0);
    buf_clear(&p.log);
    stage_close(&st);
}

/* ---- browsing: a tree of numbers, each node with the next two below it, that ends in its root; two references at a time ---- */

static unsigned no_points, endless;

static void put_result(struct ua_browse_result *r, struct ua_reference_description refs[4], uint32_t node,
                       unsigned from, uint8_t *point)
{
    static const uint32_t up = 1;
    unsigned n = 0;
    for (unsigned i = from; i < 3 && n < 2; i++)
        refs[n++] = (struct ua_reference_description){
            .node_id.id = {.ns = 1, .number = i == 2 ? up : node * 2 + i}, .is_forward = true};
    *r = (struct ua_browse_result){.references = refs, .references_count = node >= 8 ? 0 : n};
    point[0] = (uint8_t)node;
    point[1] = (uint8_t)(from + n);
    if (node < 8 && from + n < 3)
        r->continuation_point = bytes_of(point, 2);
    if (endless) {
        r->continuation_point = bytes_of(point, 2);
        r->references_count = endless == 1 ? 0 : r->references_count;
    }
}

static bool serve_tree(struct stage *st, uint32_t id, uint32_t encoding, const void *request)
{
    static uint8_t points[8][2];
    static struct ua_reference_description refs[8][4];
    struct ua_browse_result results[8];
    const struct ua_browse_request *b = request;
    const struct ua_browse_next_request *n = request;
    if (encoding == ua_browse_request_type.encoding) {
        for (uint32_t i = 0; i < b->nodes_to_browse_count; i++) {
            put_result(&results[i], refs[i], b->nodes_to_browse[i].node_id.number, 0, points[i]);
            if (no_points && i && results[i].continuation_point.len)
                results[i] = (struct ua_browse_result){.status_code = UA_BAD_NO_CONTINUATION_POINTS};
        }
        struct ua_browse_response r = {.results = results, .results_count = b->nodes_to_browse_count};
        respond(st, id, &ua_browse_response_type, &r);
        return true;
    }
    if (encoding != ua_browse_next_request_type.encoding)
        return false;
    buf_printf(&st->log, n->release_continuation_points ? "release " : "");
    for (uint32_t i = 0; i < n->continuation_points_count; i++)
        put_result(&results[i], refs[i], n->continuation_points[i].at[0], n->continuation_points[i].at[1],
                   points[i]);
    struct ua_browse_next_response r = {
        .results = results,
        .results_count = n->release_continuation_points ? 0 : n->continuation_points_count};
    respond(st, id, &ua_browse_next_response_type, &r);
    return true;
}

static bool note_reference(void *ctx, const struct ua_node_id *parent, unsigned level,
                           const struct ua_reference_description *r)
{
    struct parts *p = ctx;
    buf_printf(&p->log, "%u/%u>%u ", level, parent->number, r->node_id.id.number);
    return true;
}

static void browse(struct stage *st, unsigned depth, uint32_t most, const char *want)
{
    const struct ua_node_id root = {.ns = 1, .number = 1};
    struct ua_browse_options o = {.depth = depth, .nodes_max = most};
    struct parts p = {0};
    assert_int_equal(ua_browse(st->client, &root, &o, note_reference, on_parts_done, &p, NULL), CODE_OK);
    sim_advance(st->sim, SECOND / 10);
    buf_u8(&p.log, 0);
    if (strncmp((const char *)p.log.at, want, strlen(want)) != 0 && !strstr((const char *)p.log.at, want))
        fail_msg("browsed %s", (const char *)p.log.at);
    buf_clear(&p.log);
}

static void test_browsing(void **state)
{
    struct stage st;
    (void)state;
    up(&st);
    st.hook = serve_tree;
    no_points = endless = 0;
    browse(&st, 1, 0, "1/1>2 1/1>3 1/1>1 done Good");
    browse(&st, 2, 0, "1/1>2 1/1>3 1/1>1 2/2>4 2/2>5 2/3>6 2/3>7 2/2>1 2/3>1 done Good");
    no_points = 1; /* one at a time then, and nothing twice */
    browse(&st, 2, 0, "1/1>2 1/1>3 1/1>1 2/2>4 2/2>5 2/2>1 2/3>6 2/3>7 2/3>1 done Good");
    no_points = 0;
    browse(&st, 20, 0, "3/7>14 3/7>15 3/4>1 3/5>1 3/6>1 3/7>1 done Good"); /* circles end */
    browse(&st, 20, 3, "done BadTooManyOperations");
    buf_reset(&st.log);
    browse(&st, 2, 2, "done BadTooManyOperations");
    told(&st, "release ");
    endless = 1; /* more to come, for ever, and nothing comes */
    browse(&st, 1, 0, "done BadContinuationPointInvalid");
    endless = 2;
    browse(&st, 1, 100, "done Bad");
    stage_close(&st);
}

/* ---- history ---- */

static bool serve_past(struct stage *st, uint32_t id, uint32_t encoding, const void *request)
{
    const struct ua_history_read_request *q = request;
    struct ua_data_value v = {.has = 1 | UA_HAS_SOURCE_TIME, .value = {.type = UA_INT64}};
    struct ua_history_data data = {.data_values = &v, .data_values_count = 1};
    struct arena arena;
    uint8_t point;
    if (encoding != ua_history_read_request_type.encoding)
        return false;
    point = q->nodes_to_read[0].continuation_point.len
                ? (uint8_t)(q->nodes_to_read[0].continuation_point.at[0] + 1)
                : 1;
    v.value.i64 = v.source_time = point;
    struct ua_history_read_result result = {.continuation_point = bytes_of(&point, point < 5 ? 1 : 0)};
    struct ua_history_read_response r = {.results = &result, .results_count = 1};
    arena_init(&arena, NULL, 0, 1 << 16);
    if (!ua_object_of(&arena, &ua_history_data_type, &data, &result.history_data))
        result = (struct ua_history_read_result){.status_code = UA_BAD_OUT_OF_MEMORY};
    if (q->release_continuation_points)
        buf_printf(&st->log, "release ");
    respond(st, id, &ua_history_read_response_type, &r);
    arena_clear(&arena);
    return true;
}

static unsigned past_most;
static bool note_past(void *ctx, const struct ua_data_value *v, uint32_t count)
{
    struct parts *p = ctx;
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&p->log, "%lld ", (long long)v[i].value.i64);
    return v[count - 1].value.i64 < past_most;
}

static void test_history(void **state)
{
    const struct ua_node_id node = {.ns = 1, .number = 1};
    struct stage st;
    (void)state;
    up(&st);
    st.hook = serve_past;
    for (past_most = 3; past_most <= 9; past_most += 6) {
        struct parts p = {0};
        assert_int_equal(ua_history_raw(st.client, &node, 1, 9, 1, note_past, on_parts_done, &p, NULL),
                         CODE_OK);
        sim_advance(st.sim, SECOND / 10);
        buf_u8(&p.log, 0);
        assert_string_equal((const char *)p.log.at,
                            past_most == 3 ? "1 2 3 done Good" : "1 2 3 4 5 done Good");
        told(&st, past_most == 3 ? "release " : "");
        buf_clear(&p.log);
    }
    stage_close(&st);
}

static void on_answer(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    (void)arena;
    assert_true(response == NULL || status == 0);
    *(ua_status *)ctx = status ? status : 1;
}

static void test_time_outs(void **state)
{
    struct ua_read_value_id node = {0};
    struct ua_read_request r = {.nodes_to_read = &node, .nodes_to_read_count = 1};
    ua_status said = 0;
    struct stage st;
    (void)state;
    up(&st);
    st.mute = ua_read_request_type.encoding;
    assert_int_equal(ua_client_ask(st.client, &ua_read_request_type, &r, &ua_read_response_type, 500,
                                   on_answer, &said, NULL),
                     CODE_OK);
    sim_advance(st.sim, 400000);
    assert_int_equal(said, 0);
    sim_advance(st.sim, 200000);
    assert_int_equal(said, UA_BAD_TIMEOUT);
    stage_close(&st);
}

static void test_closed_inside_of_callbacks(void **state)
{
    (void)state;
    for (int n = 1; n < 30; n++) {
        struct stage st;
        struct ua_client_options o = plain_options();
        stage_set(&st);
        st.close_at = n;
        assert_int_equal(ua_client_open(&st.client, st.loop, &o, &client_events, &st, NULL), CODE_OK);
        watch(&st, NULL, 3, true);
        for (uint32_t i = 1; i < 4 && st.client; i++)
            publish(&st, i, 0, i, i);
        st.session = 0;
        st.sub_known = false;
        st.history = true;
        if (st.client) {
            cut(&st);
            sim_advance(st.sim, 5 * SECOND);
        }
        bool all = st.client != NULL;
        stage_close(&st);
        if (all)
            return;
    }
    fail_msg("it never ends");
}

/* With each allocation refused once: no crash, no leak, and it comes up in the end. */
static void test_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 2000; n++) {
        struct ua_client_options o = plain_options();
        struct stage st;
        stage_set(&st);
        mem_fail_at(n);
        if (ua_client_open(&st.client, st.loop, &o, &client_events, &st, NULL) == CODE_OK) {
            static const struct ua_subscription_options sub = {
                .publishing_ms = 100, .keep_alive_ms = 1000, .silent_ms = 2000};
            struct ua_watch w = {.node = {.id = {.ns = 1, .number = 7}, .uri = BYTES_LIT("urn:x")},
                                 .mode = UA_MONITOR_REPORTING};
            if (ua_subscription_open(&st.sub, st.client, &sub, &sub_events, &st, NULL) == CODE_OK)
                (void)!ua_subscription_add(st.sub, &w, 1, NULL, NULL);
            sim_advance(st.sim, 200000);
            if (st.parked_count && st.items)
                publish(&st, 1, 0, 1, 1);
            if (st.parked_count && st.items)
                publish(&st, 3, 0, 3, 3);
            if (st.peer)
                cut(&st);
            sim_advance(st.sim, 40 * (int64_t)SECOND);
            struct ua_client_look l;
            ua_client_look(st.client, &l);
            if (l.state != UA_CLIENT_UP && mem_fail_fired())
                fail_msg("allocation %llu: %s, %s", (unsigned long long)n, ua_client_state_name(l.state),
                         l.last.text);
        }
        bool fired = mem_fail_fired() != 0;
        mem_fail_at(0);
        stage_close(&st);
        if (!fired)
            return;
    }
    fail_msg("it never ends");
}

/* The same for work that takes many requests. */
static void test_memory_of_lists(void **state)
{
    const struct ua_node_id node = {.ns = 1, .number = 1};
    struct ua_browse_options depth = {.depth = 4};
    (void)state;
    no_points = endless = 0;
    past_most = 9;
    for (uint64_t n = 1; n < 1000; n++) {
        struct parts p = {0};
        struct stage st;
        up(&st);
        st.hook = n % 2 ? serve_tree : serve_past;
        mem_fail_at((n + 1) / 2);
        enum code code = n % 2
                             ? ua_browse(st.client, &node, &depth, note_reference, on_parts_done, &p, NULL)
                             : ua_history_raw(st.client, &node, 1, 9, 1, note_past, on_parts_done, &p, NULL);
        if (!code) {
            sim_advance(st.sim, 20 * (int64_t)SECOND);
            bool lost = p.log.bad; /* the test's own memory */
            p.log.bad = false;
            buf_u8(&p.log, 0);
            assert_true(lost || strstr((const char *)p.log.at, "done ") != NULL);
        }
        bool fired = mem_fail_fired() != 0;
        mem_fail_at(0);
        buf_clear(&p.log);
        stage_close(&st);
        if (!fired && n % 2 == 0)
            return;
    }
    fail_msg("it never ends");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_and_leave),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_servers_that_lie),
        cmocka_unit_test(test_clocks_apart),
        cmocka_unit_test(test_only_a_channel),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_a_session_ended_under_way),
        cmocka_unit_test(test_a_dead_line),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_browsing),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_a_list_and_the_end),
        cmocka_unit_test(test_time_outs),
        cmocka_unit_test(test_closed_inside_of_callbacks),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
