/* services.h - requests, responses and what they are made of, as C structs and as tables for ua_read_struct and ua_write_struct.
 *
 * struct ua_read_request has the fields of layouts.h in their order; `nodes_to_read` of it is a pointer to the first of
 * `nodes_to_read_count` structures. ua_read_request_type is its table.
 */
#pragma once

#include "opcua/codec.h"
#include "opcua/layouts.h"

typedef bool     ua_c_BOOLEAN;
typedef int8_t   ua_c_SBYTE;
typedef uint8_t  ua_c_BYTE;
typedef int16_t  ua_c_INT16;
typedef uint16_t ua_c_UINT16;
typedef int32_t  ua_c_INT32;
typedef uint32_t ua_c_UINT32;
typedef int64_t  ua_c_INT64;
typedef uint64_t ua_c_UINT64;
typedef float    ua_c_FLOAT;
typedef double   ua_c_DOUBLE;
typedef ua_time  ua_c_DATE_TIME;
typedef ua_status ua_c_STATUS_CODE;
typedef struct bytes   ua_c_STRING;
typedef struct bytes   ua_c_BYTE_STRING;
typedef struct ua_guid ua_c_GUID;
typedef struct ua_node_id ua_c_NODE_ID;
typedef struct ua_expanded_node_id ua_c_EXPANDED_NODE_ID;
typedef struct ua_qualified_name ua_c_QUALIFIED_NAME;
typedef struct ua_localized_text ua_c_LOCALIZED_TEXT;
typedef struct ua_extension_object ua_c_EXTENSION_OBJECT;
typedef struct ua_data_value ua_c_DATA_VALUE;
typedef struct ua_variant ua_c_VARIANT;
typedef struct ua_diagnostic_info ua_c_DIAGNOSTIC_INFO;

#define UA_V(in, type, field) ua_c_##type field;
#define UA_A(in, type, field) \
    const ua_c_##type *field; \
    uint32_t field##_count;
#define UA_S(in, of, field) struct ua_##of field;
#define UA_L(in, of, field) \
    const struct ua_##of *field; \
    uint32_t field##_count;
#define UA_X(name, encoding) \
    struct ua_##name { \
        UA_LAYOUT_##name(UA_V, UA_A, UA_S, UA_L) \
    }; \
    extern const struct ua_struct ua_##name##_type;
UA_STRUCTS(UA_X)
#undef UA_X
#undef UA_V
#undef UA_A
#undef UA_S
#undef UA_L

enum ua_encoding {
#define UA_X(name, encoding) UA_ENCODING_##name = encoding,
    UA_STRUCTS(UA_X)
#undef UA_X
};

/* The table of the message with that encoding, NULL: none of ours. */
const struct ua_struct *ua_struct_of(uint32_t encoding);

enum ua_message_security_mode { UA_MODE_INVALID, UA_MODE_NONE, UA_MODE_SIGN, UA_MODE_SIGN_AND_ENCRYPT };
enum ua_token_request { UA_TOKEN_ISSUE, UA_TOKEN_RENEW };
enum ua_user_token { UA_USER_ANONYMOUS, UA_USER_NAME, UA_USER_CERTIFICATE, UA_USER_ISSUED };
enum ua_application_type { UA_APPLICATION_SERVER, UA_APPLICATION_CLIENT, UA_APPLICATION_BOTH, UA_APPLICATION_DISCOVERY };
enum ua_node_class {
    UA_CLASS_OBJECT = 1,
    UA_CLASS_VARIABLE = 2,
    UA_CLASS_METHOD = 4,
    UA_CLASS_OBJECT_TYPE = 8,
    UA_CLASS_VARIABLE_TYPE = 16,
    UA_CLASS_REFERENCE_TYPE = 32,
    UA_CLASS_DATA_TYPE = 64,
    UA_CLASS_VIEW = 128
};
enum ua_browse_direction { UA_BROWSE_FORWARD, UA_BROWSE_INVERSE, UA_BROWSE_BOTH };
enum ua_browse_mask {
    UA_BROWSE_REFERENCE_TYPE = 1,
    UA_BROWSE_IS_FORWARD = 2,
    UA_BROWSE_NODE_CLASS = 4,
    UA_BROWSE_BROWSE_NAME = 8,
    UA_BROWSE_DISPLAY_NAME = 16,
    UA_BROWSE_TYPE_DEFINITION = 32,
    UA_BROWSE_ALL = 63
};
enum ua_timestamps { UA_TIMES_SOURCE, UA_TIMES_SERVER, UA_TIMES_BOTH, UA_TIMES_NEITHER };
enum ua_monitoring_mode { UA_MONITOR_DISABLED, UA_MONITOR_SAMPLING, UA_MONITOR_REPORTING };
enum ua_trigger { UA_TRIGGER_STATUS, UA_TRIGGER_STATUS_VALUE, UA_TRIGGER_STATUS_VALUE_TIMESTAMP };
enum ua_deadband { UA_DEADBAND_NONE, UA_DEADBAND_ABSOLUTE, UA_DEADBAND_PERCENT };
enum ua_server_state { UA_STATE_RUNNING, UA_STATE_FAILED, UA_STATE_NO_CONFIGURATION, UA_STATE_SUSPENDED, UA_STATE_SHUTDOWN };
enum ua_structure_kind { UA_STRUCTURE, UA_STRUCTURE_OPTIONAL, UA_UNION, UA_STRUCTURE_SUBTYPED, UA_UNION_SUBTYPED };
