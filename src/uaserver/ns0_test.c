/* The table of namespace 0: nothing hangs in the air, and what it says of structures is what the codec does. */
#include "opcua/ids.h"
#include "opcua/services.h"
#include "opcua/status.h"
#include "uaserver/ns0.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void numbers_rise(void **state)
{
    (void)state;
    for (size_t i = 1; i < ns0_count; i++)
        assert_true(ns0_nodes[i - 1].id < ns0_nodes[i].id);
    for (size_t i = 0; i < ns0_count; i++)
        assert_ptr_equal(ns0_find(ns0_nodes[i].id), &ns0_nodes[i]);
    assert_null(ns0_find(0));
    assert_null(ns0_find(65535));
}

static bool leads_somewhere(const struct ns0_node *n)
{
    for (int steps = 0; steps < 20; steps++) {
        if (n->id == UA_ID_ROOT_FOLDER)
            return true;
        n = ns0_find(n->parent);
        if (!n)
            return false;
    }
    return false;
}

static void every_node_is_reached_from_the_root(void **state)
{
    (void)state;
    for (size_t i = 0; i < ns0_count; i++) {
        const struct ns0_node *n = &ns0_nodes[i];
        if (!leads_somewhere(n))
            fail_msg("%u %s is not reached", n->id, ns0_name(n));
        if (n->id != UA_ID_ROOT_FOLDER && n->reference != UA_ID_HAS_ENCODING &&
            !ns0_is_subtype(n->reference, UA_ID_HIERARCHICAL_REFERENCES))
            fail_msg("%u %s hangs by a reference of type %u", n->id, ns0_name(n), n->reference);
        if (n->reference == UA_ID_HAS_SUBTYPE && ns0_find(n->parent)->node_class != n->node_class)
            fail_msg("%u %s comes from another class", n->id, ns0_name(n));
    }
}

static void every_node_has_what_its_class_asks_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ns0_count; i++) {
        const struct ns0_node *n = &ns0_nodes[i], *type = ns0_find(n->type), *data = ns0_find(n->data_type);
        bool object = n->node_class == UA_CLASS_OBJECT, variable = n->node_class == UA_CLASS_VARIABLE;
        if ((object || variable) != (type != NULL))
            fail_msg("%u %s: type definition %u", n->id, ns0_name(n), n->type);
        if (type && type->node_class != (object ? UA_CLASS_OBJECT_TYPE : UA_CLASS_VARIABLE_TYPE))
            fail_msg("%u %s: %u is not a type for it", n->id, ns0_name(n), n->type);
        if ((variable || n->node_class == UA_CLASS_VARIABLE_TYPE) != (data != NULL))
            fail_msg("%u %s: data type %u", n->id, ns0_name(n), n->data_type);
        if (data && data->node_class != UA_CLASS_DATA_TYPE)
            fail_msg("%u %s: %u is not a data type", n->id, ns0_name(n), n->data_type);
        if (ns0_rule(n) && (!ns0_find(ns0_rule(n)) || ns0_find(ns0_rule(n))->type != 77))
            fail_msg("%u %s: modelling rule %u", n->id, ns0_name(n), ns0_rule(n));
        if (n->node_class == UA_CLASS_REFERENCE_TYPE && !(n->flags & (NS0_SYMMETRIC | NS0_ABSTRACT)) && !ns0_inverse_name(n->id))
            fail_msg("%u %s has no inverse name", n->id, ns0_name(n));
    }
}

static void what_generic_clients_look_for_is_there(void **state)
{
    (void)state;
    static const struct {
        uint32_t    id;
        const char *name;
        uint32_t    parent, reference;
    } some[] = {
        { UA_ID_OBJECTS_FOLDER, "Objects", UA_ID_ROOT_FOLDER, UA_ID_ORGANIZES },
        { UA_ID_SERVER, "Server", UA_ID_OBJECTS_FOLDER, UA_ID_ORGANIZES },
        { UA_ID_SERVER_NAMESPACE_ARRAY, "NamespaceArray", UA_ID_SERVER, UA_ID_HAS_PROPERTY },
        { UA_ID_SERVER_SERVER_STATUS_STATE, "State", UA_ID_SERVER_SERVER_STATUS, UA_ID_HAS_COMPONENT },
        { 11705, "MaxNodesPerRead", 11704, UA_ID_HAS_PROPERTY },
        { 2294, "EnabledFlag", 2274, UA_ID_HAS_PROPERTY },
        { 3709, "RedundancySupport", 2296, UA_ID_HAS_PROPERTY },
        { UA_ID_SERVER_GET_MONITORED_ITEMS, "GetMonitoredItems", UA_ID_SERVER, UA_ID_HAS_COMPONENT },
        { UA_ID_SERVER_RESEND_DATA, "ResendData", UA_ID_SERVER, UA_ID_HAS_COMPONENT },
        { UA_ID_ANALOG_ITEM_TYPE, "AnalogItemType", 15318, UA_ID_HAS_SUBTYPE },
        { UA_ID_BASE_EVENT_TYPE_SEVERITY, "Severity", UA_ID_BASE_EVENT_TYPE, UA_ID_HAS_PROPERTY },
        { UA_ID_MODELLING_RULE_MANDATORY, "Mandatory", 2996, UA_ID_ORGANIZES },
        { 886, "Default Binary", 884, UA_ID_HAS_ENCODING },
    };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        const struct ns0_node *n = ns0_find(some[i].id);
        assert_non_null(n);
        assert_string_equal(ns0_name(n), some[i].name);
        assert_int_equal(n->parent, some[i].parent);
        assert_int_equal(n->reference, some[i].reference);
    }
    assert_string_equal(ns0_inverse_name(UA_ID_ORGANIZES), "OrganizedBy");
    assert_null(ns0_inverse_name(UA_ID_REFERENCES));
}

static void subtypes_are_known(void **state)
{
    (void)state;
    assert_true(ns0_is_subtype(UA_ID_HAS_PROPERTY, UA_ID_HIERARCHICAL_REFERENCES));
    assert_true(ns0_is_subtype(UA_ID_HAS_COMPONENT, UA_ID_HAS_COMPONENT));
    assert_false(ns0_is_subtype(UA_ID_HAS_COMPONENT, UA_ID_ORGANIZES));
    assert_false(ns0_is_subtype(UA_ID_HAS_TYPE_DEFINITION, UA_ID_HIERARCHICAL_REFERENCES));
    assert_true(ns0_is_subtype(UA_ID_DURATION, UA_ID_NUMBER_TYPE));
    assert_true(ns0_is_subtype(UA_ID_ANALOG_ITEM_TYPE, UA_ID_BASE_VARIABLE_TYPE));
    assert_false(ns0_is_subtype(4711, UA_ID_BASE_OBJECT_TYPE));
    static const struct {
        uint32_t type;
        enum ua_builtin builtin;
    } types[] = { { UA_ID_DURATION, UA_DOUBLE }, { UA_ID_UTC_TIME, UA_DATE_TIME }, { UA_ID_LOCALE_ID, UA_STRING }, { 852, UA_INT32 },
                  { 884, UA_EXTENSION_OBJECT }, { UA_ID_NUMBER_TYPE, UA_VARIANT }, { UA_ID_INTEGER, UA_VARIANT },
                  { UA_ID_BASE_DATA_TYPE, UA_VARIANT }, { 11, UA_DOUBLE }, { UA_ID_SERVER, UA_NULL }, { 2000, UA_BYTE_STRING },
                  { 288, UA_UINT32 }, { 94, UA_UINT32 } };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_int_equal(ns0_builtin(types[i].type), types[i].builtin);
}

/* "application_uri" or "ApplicationUri", letter by letter; EUInformation's "EURange" like names go along. */
static bool same_name(const char *ours, struct bytes theirs)
{
    size_t at = 0;
    for (; *ours; ours++) {
        if (*ours == '_')
            continue;
        if (at == theirs.len || tolower((unsigned char)*ours) != tolower(theirs.at[at]))
            return false;
        at++;
    }
    return at == theirs.len;
}

static void definitions_are_what_the_codec_writes(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    int compared = 0;
    for (size_t i = 0; i < ns0_count; i++) {
        const struct ns0_node *n = &ns0_nodes[i];
        struct ua_variant v;
        if (n->node_class != UA_CLASS_DATA_TYPE) {
            assert_int_equal(ns0_definition(n->id, &arena, &v), UA_BAD_ATTRIBUTE_ID_INVALID);
            continue;
        }
        ua_status status = ns0_definition(n->id, &arena, &v);
        if (status != UA_GOOD) {
            assert_int_equal(status, UA_BAD_ATTRIBUTE_ID_INVALID);
            continue;
        }
        struct ua_reader like = ua_reader_of(BYTES_NONE, &arena, NULL);
        if (!ns0_is_subtype(n->id, UA_ID_STRUCTURE)) {
            struct ua_enum_definition d;
            assert_true(ua_object_read(&like, v.at, &ua_enum_definition_type, &d));
            assert_true(d.fields_count > 0);
            continue;
        }
        struct ua_structure_definition d;
        assert_true(ua_object_read(&like, v.at, &ua_structure_definition_type, &d));
        const struct ua_struct *codec = ua_struct_of(d.default_encoding_id.number);
        for (uint32_t f = 0; f < d.fields_count; f++) {
            enum ua_builtin builtin = ns0_builtin(d.fields[f].data_type.number);
            assert_int_not_equal(builtin, UA_NULL);
            if (!codec)
                continue;
            assert_int_equal(codec->count, d.fields_count);
            const struct ua_field *field = &codec->fields[f];
            assert_int_equal(field->array, d.fields[f].value_rank == 1);
            assert_int_equal(field->type ? field->type : UA_EXTENSION_OBJECT, builtin);
            compared++;
        }
    }
    assert_true(compared > 40);
    struct ua_variant v;
    assert_int_equal(ns0_definition(UA_ID_BASE_DATA_TYPE, &arena, &v), UA_BAD_ATTRIBUTE_ID_INVALID);
    assert_int_equal(ns0_definition(862, &arena, &v), UA_GOOD);
    struct ua_reader like = ua_reader_of(BYTES_NONE, &arena, NULL);
    struct ua_structure_definition d;
    assert_true(ua_object_read(&like, v.at, &ua_structure_definition_type, &d));
    static const char *const names[] = { "start_time", "current_time", "state", "build_info", "seconds_till_shutdown", "shutdown_reason" };
    assert_int_equal(d.fields_count, 6);
    for (int f = 0; f < 6; f++)
        assert_true(same_name(names[f], d.fields[f].name));
    arena_clear(&arena);
}

static void constants_follow_from_the_table(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    struct ua_variant v;
    assert_int_equal(ns0_constant(ns0_find(7612), &arena, &v), UA_GOOD); /* EnumStrings of ServerState */
    assert_int_equal(v.count, 8);
    const struct ua_localized_text *texts = v.at;
    assert_true(bytes_is(texts[0].text, "Running"));
    assert_true(bytes_is(texts[7].text, "Unknown"));
    assert_int_equal(ns0_constant(ns0_find(11878), &arena, &v), UA_GOOD); /* EnumValues of NodeClass */
    assert_int_equal(v.type, UA_EXTENSION_OBJECT);
    assert_int_equal(v.count, 9);
    struct ua_reader like = ua_reader_of(BYTES_NONE, &arena, NULL);
    struct ua_enum_value_type value;
    assert_true(ua_object_read(&like, (const struct ua_extension_object *)v.at + 8, &ua_enum_value_type_type, &value));
    assert_int_equal(value.value, 128);
    assert_true(bytes_is(value.display_name.text, "View"));
    assert_int_equal(ns0_constant(ns0_find(UA_ID_SERVER_SERVICE_LEVEL), &arena, &v), UA_GOOD);
    assert_int_equal(v.type, UA_NULL);
    arena_clear(&arena);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    struct arena none;
    arena_init(&none, NULL, 0, 0);
    struct ua_variant v;
    assert_int_equal(ns0_definition(862, &none, &v), UA_BAD_OUT_OF_MEMORY);
    assert_int_equal(ns0_definition(852, &none, &v), UA_BAD_OUT_OF_MEMORY);
    assert_int_equal(ns0_constant(ns0_find(7612), &none, &v), UA_BAD_OUT_OF_MEMORY);
    assert_int_equal(ns0_constant(ns0_find(11878), &none, &v), UA_BAD_OUT_OF_MEMORY);
    arena_clear(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_rise),
        cmocka_unit_test(every_node_is_reached_from_the_root),
        cmocka_unit_test(every_node_has_what_its_class_asks_for),
        cmocka_unit_test(what_generic_clients_look_for_is_there),
        cmocka_unit_test(subtypes_are_known),
        cmocka_unit_test(definitions_are_what_the_codec_writes),
        cmocka_unit_test(constants_follow_from_the_table),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
