/* Structures by their description, from a server that the test plays. */
#include "uaclient/uaclient_test_stage.h"

#include "opcua/json.h"
#include "uaclient/shape.h"
#include "uaclient/thing_json.h"

/* Types by number in namespace 1, their encodings by number + 1000. */
struct described {
    uint32_t number;
    uint32_t base; /* in namespace 0 */
    int32_t kind;  /* enum ua_structure_kind, -1: an enumeration, -2: says nothing */
    struct {
        const char *name;
        uint16_t ns;
        uint32_t type;
        int32_t rank;
        bool optional;
    } fields[5];
};
static const struct described types[] = {
    {1, 22, UA_STRUCTURE, {{"X", 0, 11, -1, false}, {"Y", 0, 290, -1, false}}},
    {2,
     22,
     UA_STRUCTURE,
     {{"Name", 0, 12, -1, false},
      {"Mode", 1, 3, -1, false},
      {"Points", 1, 1, 1, false},
      {"Loads", 0, 4, 1, false},
      {"Any", 0, 24, -1, false}}},
    {3, 29, -1, {{"Idle", 0, 0, 0, false}, {"Fault", 0, 7, 0, false}}},
    {4,
     22,
     UA_STRUCTURE_OPTIONAL,
     {{"Id", 0, 7, -1, false}, {"Note", 0, 12, -1, true}, {"Peak", 0, 11, -1, true}}},
    {5, 22, UA_UNION, {{"Number", 0, 6, -1, false}, {"Text", 0, 12, -1, false}}},
    {6, 22, UA_STRUCTURE, {{"Self", 1, 6, -1, false}}}, /* without an end */
    {7, 22, -2, {{NULL, 0, 0, 0, false}}},
    {8,
     22,
     UA_STRUCTURE,
     {{"Matrix", 1, 1, 2, false}, {"Bits", 1, 9, -1, false}, {"Object", 0, 22, -1, false}}},
    {9, 7, -1, {{"A", 0, 0, 0, false}}}, /* a set of bits, of UInt32 */
    {10, 22, UA_STRUCTURE, {{"Odd", 0, 6, 0, false}}},
    {11, 22, UA_STRUCTURE, {{"Lost", 1, 7, -1, false}}},
};
static unsigned asked;

static const struct described *described(const struct ua_node_id *id)
{
    for (size_t i = 0; id->ns == 1 && i < COUNT(types); i++)
        if (types[i].number == id->number % 1000)
            return &types[i];
    return NULL;
}

static void serve_up(struct stage *st, uint32_t id, const struct ua_browse_request *q)
{
    const struct ua_browse_description *d = &q->nodes_to_browse[0];
    const struct described *t = described(&d->node_id);
    struct ua_reference_description ref = {.is_forward = false, .node_id.id = UA_NS0(0)};
    struct ua_browse_result result = {.references = &ref, .references_count = t ? 1 : 0};
    if (t && d->reference_type_id.number == UA_ID_HAS_ENCODING)
        ref.node_id.id = (struct ua_node_id){.ns = 1, .number = t->number};
    else if (t)
        ref.node_id.id = UA_NS0(t->base);
    struct ua_browse_response r = {.results = &result, .results_count = 1};
    respond(st, id, &ua_browse_response_type, &r);
}

static void serve_definition(struct stage *st, uint32_t id, const struct ua_read_request *q)
{
    const struct described *t = described(&q->nodes_to_read[0].node_id);
    struct ua_structure_field fields[5] = {0};
    struct ua_enum_field names[5] = {0};
    struct ua_qualified_name name = {1, BYTES_LIT("T")};
    struct ua_extension_object o = {0};
    struct arena arena;
    uint32_t n = 0;
    arena_init(&arena, NULL, 0, 1 << 16);
    for (; t && n < 5 && t->fields[n].name; n++) {
        fields[n] = (struct ua_structure_field){
            .name = bytes_str(t->fields[n].name),
            .value_rank = t->fields[n].rank,
            .data_type = {.ns = t->fields[n].ns, .number = t->fields[n].type},
            .is_optional = t->fields[n].optional};
        names[n] = (struct ua_enum_field){.value = t->fields[n].type, .name = bytes_str(t->fields[n].name)};
    }
    struct ua_structure_definition sd = {
        .structure_type = t ? t->kind : 0, .fields = fields, .fields_count = n};
    struct ua_enum_definition ed = {.fields = names, .fields_count = n};
    bool ok = t && t->kind >= 0 ? ua_object_of(&arena, &ua_structure_definition_type, &sd, &o)
                                : ua_object_of(&arena, &ua_enum_definition_type, &ed, &o);
    struct ua_data_value values[2] = {{.has = 1, .value = {.type = UA_EXTENSION_OBJECT, .at = &o}},
                                      {.has = 1, .value = {.type = UA_QUALIFIED_NAME, .at = &name}}};
    if (!t || t->kind == -2 || !ok)
        values[0] = (struct ua_data_value){.has = UA_HAS_STATUS, .status = UA_BAD_ATTRIBUTE_ID_INVALID};
    struct ua_read_response r = {.results = values, .results_count = 2};
    respond(st, id, &ua_read_response_type, &r);
    arena_clear(&arena);
}

static bool serve_types(struct stage *st, uint32_t id, uint32_t encoding, const void *request)
{
    const struct ua_read_request *q = request;
    asked++;
    if (encoding == ua_browse_request_type.encoding)
        serve_up(st, id, request);
    else if (encoding == ua_read_request_type.encoding &&
             q->nodes_to_read[0].attribute_id == UA_ATTR_DATA_TYPE_DEFINITION)
        serve_definition(st, id, q);
    else
        return false;
    return true;
}

/* ---- as text ---- */

static void put(struct buf *b, const struct ua_thing *t)
{
    double d;
    if (t->name.len)
        buf_printf(b, "%.*s=", BYTES_FMT(t->name));
    if (t->kind == UA_THING_ENUM) {
        buf_printf(b, "%.*s(%d)", BYTES_FMT(t->text), t->value.i32);
    } else if (t->kind == UA_THING_RAW) {
        buf_printf(b, "raw");
    } else if (t->kind == UA_THING_STRUCT || t->kind == UA_THING_LIST) {
        buf_u8(b, t->kind == UA_THING_LIST ? '[' : '{');
        for (uint32_t i = 0; i < t->count; i++) {
            if (i)
                buf_u8(b, ' ');
            put(b, &t->fields[i]);
        }
        buf_u8(b, t->kind == UA_THING_LIST ? ']' : '}');
    } else if (t->value.array) {
        buf_printf(b, "%u of %s", t->value.count, ua_builtin_name(t->value.type));
    } else if (ua_number(&t->value, &d)) {
        buf_printf(b, "%g", d);
    } else if (t->value.type == UA_STRING) {
        buf_printf(b, "'%.*s'", BYTES_FMT(t->value.text));
    } else {
        buf_printf(b, "?");
    }
}

static void on_shape(void *ctx, ua_status status)
{
    *(ua_status *)ctx = status ? status : 1;
}

static enum code read_as(struct ua_shapes *shapes, uint32_t number, struct bytes body, const char *want)
{
    struct ua_extension_object o = {{.ns = 1, .number = number + 1000}, UA_BODY_BINARY, body};
    struct arena arena;
    struct ua_thing thing;
    struct buf text = {0};
    struct fault why = {0};
    arena_init(&arena, NULL, 0, 1 << 20);
    enum code code = ua_shapes_read(shapes, &o, &arena, &thing, &why);
    if (!code) {
        put(&text, &thing);
        buf_u8(&text, 0);
        assert_string_equal((const char *)text.at, want);
    } else {
        assert_int_equal(thing.kind, UA_THING_RAW);
        assert_true(why.text[0] != 0);
    }
    buf_clear(&text);
    arena_clear(&arena);
    return code;
}

static void open_all(struct stage *st, struct ua_shapes **shapes)
{
    struct ua_client_options o = plain_options();
    stage_set(st);
    st->hook = serve_types;
    stage_open(st, &o);
    assert_int_equal(ua_shapes_open(shapes, st->client, NULL), CODE_OK);
    for (size_t i = 0; i < COUNT(types); i++) {
        ua_status status = 0;
        struct ua_node_id id = {.ns = 1, .number = types[i].number + 1000};
        assert_int_equal(ua_shapes_ask(*shapes, &id, on_shape, &status, NULL), CODE_OK);
        assert_int_equal(status, 0);
        sim_advance(st->sim, 100000);
        bool structure = types[i].base == 22 && types[i].kind >= 0;
        assert_int_equal(status, structure ? 1 : UA_BAD_DATA_TYPE_ID_UNKNOWN);
        assert_int_equal(ua_shapes_know(*shapes, &id), structure);
    }
}

static void close_all(struct stage *st, struct ua_shapes *shapes)
{
    ua_shapes_close(shapes);
    stage_close(st);
}

#define BODY(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define ONE       0, 0, 0, 0, 0, 0, 0xf0, 0x3f
#define TWO       0, 0, 0, 0, 0, 0, 0, 0x40

static void test_structures(void **state)
{
    struct ua_shapes *s;
    struct stage st;
    (void)state;
    open_all(&st, &s);
    assert_int_equal(read_as(s, 1, BODY(ONE, TWO), "{X=1 Y=2}"), CODE_OK);
    assert_int_equal(read_as(s, 2,
                             BODY(1, 0, 0, 0, 'a', 7, 0, 0, 0, 1, 0, 0, 0, ONE, TWO, 2, 0, 0, 0, 1, 0, 2, 0,
                                  6, 5, 0, 0, 0),
                             "{Name='a' Mode=Fault(7) Points=[{X=1 Y=2}] Loads=2 of Int16 Any=5}"),
                     CODE_OK);
    assert_int_equal(read_as(s, 2,
                             BODY(0xff, 0xff, 0xff, 0xff, 9, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0),
                             "{Name='' Mode=(9) Points=[] Loads=0 of Int16 Any=?}"),
                     CODE_OK);
    assert_int_equal(read_as(s, 4, BODY(0, 0, 0, 0, 5, 0, 0, 0), "{Id=5}"), CODE_OK);
    assert_int_equal(read_as(s, 4, BODY(2, 0, 0, 0, 5, 0, 0, 0, TWO), "{Id=5 Peak=2}"), CODE_OK);
    assert_int_equal(
        read_as(s, 4, BODY(3, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 'n', TWO), "{Id=5 Note='n' Peak=2}"), CODE_OK);
    assert_int_equal(read_as(s, 5, BODY(0, 0, 0, 0), "{}"), CODE_OK);
    assert_int_equal(read_as(s, 5, BODY(2, 0, 0, 0, 1, 0, 0, 0, 'u'), "{Text='u'}"), CODE_OK);
    assert_int_equal(read_as(s, 8,
                             BODY(2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, ONE, TWO, 3, 0, 0, 0, 1, 1, 0xe9, 3, 1,
                                  16, 0, 0, 0, TWO, ONE),
                             "{Matrix=[{X=1 Y=2}] Bits=3 Object={X=2 Y=1}}"),
                     CODE_OK);
    assert_int_equal(read_as(s, 8, BODY(0, 0, 0, 0, 3, 0, 0, 0, 1, 1, 0xff, 3, 1, 0, 0, 0, 0),
                             "{Matrix=[] Bits=3 Object=raw}"),
                     CODE_OK);
    close_all(&st, s);
}

static void test_bodies_that_do_not_fit(void **state)
{
    struct ua_shapes *s;
    struct stage st;
    (void)state;
    open_all(&st, &s);
    assert_int_equal(read_as(s, 1, BODY(ONE, 1, 2, 3), ""), CODE_MALFORMED);
    assert_int_equal(read_as(s, 2, BODY(0xff, 0xff, 0xff, 0x7f), ""), CODE_MALFORMED);
    assert_int_equal(read_as(s, 2, BODY(0, 0, 0, 0, 7, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f), ""), CODE_MALFORMED);
    assert_int_equal(read_as(s, 5, BODY(3, 0, 0, 0), ""), CODE_MALFORMED);
    assert_int_equal(read_as(s, 6, BODY(1, 2, 3), ""), CODE_LIMIT);
    assert_int_equal(read_as(s, 8, BODY(2, 0, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0), ""), CODE_LIMIT);
    assert_int_equal(read_as(s, 10, BODY(1, 0, 0, 0), ""), CODE_MALFORMED);
    assert_int_equal(read_as(s, 11, BODY(1), ""), CODE_NOTFOUND);
    assert_int_equal(read_as(s, 7, BODY(1), ""), CODE_NOTFOUND);
    assert_int_equal(read_as(s, 99, BODY(1), ""), CODE_NOTFOUND);
    close_all(&st, s);
}

static void test_known_ones_cost_little_and_other_namespaces_all(void **state)
{
    struct ua_node_id id = {.ns = 1, .number = 1002};
    struct ua_shapes *s;
    ua_status status = 0;
    struct stage st;
    (void)state;
    open_all(&st, &s);
    asked = 0;
    assert_int_equal(ua_shapes_ask(s, &id, on_shape, &status, NULL), CODE_OK);
    sim_advance(st.sim, 100000);
    assert_int_equal(status, 1);
    assert_int_equal(asked, 1);
    st.namespaces[2] = "urn:other";
    st.session = 0;
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    assert_false(ua_shapes_know(s, &id));
    assert_int_equal(ua_shapes_ask(s, &id, on_shape, &status, NULL), CODE_OK);
    sim_advance(st.sim, 100000);
    assert_true(ua_shapes_know(s, &id));
    close_all(&st, s);
}

static void test_ends_under_way(void **state)
{
    struct ua_client_options o = plain_options();
    struct ua_node_id id = {.ns = 1, .number = 1002};
    (void)state;
    for (unsigned what = 0; what < 4; what++) {
        struct ua_shapes *s;
        ua_status status = 0;
        struct stage st;
        stage_set(&st);
        st.hook = serve_types;
        stage_open(&st, &o);
        assert_int_equal(ua_shapes_open(&s, st.client, NULL), CODE_OK);
        assert_int_equal(ua_shapes_ask(s, &id, on_shape, &status, NULL), CODE_OK);
        if (what == 0) { /* closed, then answered */
            ua_shapes_close(s);
            sim_advance(st.sim, 100000);
        } else if (what == 1) { /* both closed */
            ua_shapes_close(s);
        } else if (what == 2) { /* the connection is lost */
            cut(&st);
            assert_int_equal(status, UA_BAD_CONNECTION_CLOSED);
            ua_shapes_close(s);
        } else { /* the client first */
            ua_client_close(st.client);
            st.client = NULL;
            ua_shapes_close(s);
        }
        if (what != 2)
            assert_int_equal(status, 0);
        stage_close(&st);
    }
}

static bool decode(void *ctx, const struct ua_json *j, const struct ua_extension_object *o)
{
    (void)o;
    thing_json(j, ctx);
    return true;
}

static void test_json(void **state)
{
    static const struct {
        bool plain, reversible;
        const char *want;
    } rows[] = {{false, false, "{\"L\xef\xbf\xbd\":[\"5\",\"On_1\"],\"E\":9}"},
                {true, false, "{\"L\xef\xbf\xbd\":[5,\"On\"],\"E\":9}"},
                {false, true, "{\"Type\":22,\"Body\":{\"L\xef\xbf\xbd\":[{\"Type\":8,\"Body\":\"5\"},{\"Type\":6,\"Body\":1}],"
                              "\"E\":{\"Type\":6,\"Body\":9}}}"}};
    struct ua_thing list[2] = {{.kind = UA_THING_VALUE, .value = {.type = UA_INT64, .i64 = 5}},
                               {.kind = UA_THING_ENUM, .text = BYTES_LIT("On"), .value = {.type = UA_INT32, .i32 = 1}}};
    struct ua_thing parts[2] = {{.kind = UA_THING_LIST, .name = BYTES_LIT("L\xff"), .fields = list, .count = 2},
                                {.kind = UA_THING_ENUM, .name = BYTES_LIT("E"), .value = {.type = UA_INT32, .i32 = 9}}};
    struct ua_thing top = {.kind = UA_THING_STRUCT, .fields = parts, .count = 2};
    struct ua_extension_object o = {.type = UA_NS0(1), .kind = UA_BODY_BINARY};
    struct ua_variant v = {.type = UA_EXTENSION_OBJECT, .at = &o};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = {0};
        struct ua_json j = {.out = &b, .plain = rows[i].plain, .reversible = rows[i].reversible, .object = decode, .ctx = &top};
        ua_json_variant(&j, &v);
        buf_u8(&b, 0);
        assert_string_equal((const char *)b.at, rows[i].want);
        buf_clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_bodies_that_do_not_fit),
        cmocka_unit_test(test_known_ones_cost_little_and_other_namespaces_all),
        cmocka_unit_test(test_ends_under_way),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
