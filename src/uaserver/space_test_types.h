/* space_test_types.h - the few nodes of namespace 0 that tests of the address space need. */
#pragma once

#include "uaserver/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static inline struct ua_node *test_type(struct ua_space *s, uint32_t number, uint8_t node_class, struct ua_node *above,
                                        const char *name)
{
    struct ua_node *n;
    const struct ua_new p = {
        .id = UA_NS0(number), .node_class = node_class, .parent = above, .browse_name = { 0, bytes_str(name) }
    };
    assert_int_equal(ua_add(s, &p, &n, NULL), CODE_OK);
    return n;
}

/* Returns the Objects folder. */
static inline struct ua_node *test_types(struct ua_space *s)
{
    struct ua_node *base = test_type(s, UA_ID_BASE_OBJECT_TYPE, UA_CLASS_OBJECT_TYPE, NULL, "BaseObjectType");
    (void)test_type(s, UA_ID_FOLDER_TYPE, UA_CLASS_OBJECT_TYPE, base, "FolderType");
    struct ua_node *variable = test_type(s, UA_ID_BASE_VARIABLE_TYPE, UA_CLASS_VARIABLE_TYPE, NULL, "BaseVariableType");
    (void)test_type(s, UA_ID_BASE_DATA_VARIABLE_TYPE, UA_CLASS_VARIABLE_TYPE, variable, "BaseDataVariableType");
    (void)test_type(s, UA_ID_PROPERTY_TYPE, UA_CLASS_VARIABLE_TYPE, variable, "PropertyType");
    struct ua_node *any = test_type(s, UA_ID_BASE_DATA_TYPE, UA_CLASS_DATA_TYPE, NULL, "BaseDataType");
    struct ua_node *number = test_type(s, UA_ID_NUMBER_TYPE, UA_CLASS_DATA_TYPE, any, "Number");
    struct ua_node *real = test_type(s, UA_DOUBLE, UA_CLASS_DATA_TYPE, number, "Double");
    (void)test_type(s, UA_ID_DURATION, UA_CLASS_DATA_TYPE, real, "Duration");
    const struct ua_new objects = {
        .id = UA_NS0(UA_ID_OBJECTS_FOLDER), .type = UA_ID_FOLDER_TYPE, .browse_name = { 0, BYTES_LIT("Objects") }
    };
    struct ua_node *n;
    assert_int_equal(ua_add(s, &objects, &n, NULL), CODE_OK);
    return n;
}
