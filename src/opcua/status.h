/* status.h - status codes (Part 4, 7.39). The two highest bits are the severity; the low 16 bits are flags, which are masked
 * before codes are compared. */
#pragma once

#include "opcua/types.h"

/* name, code */
#define UA_STATUS_CODES(X) \
    X(GOOD, "Good", 0x00000000u) \
    X(GOOD_SUBSCRIPTION_TRANSFERRED, "GoodSubscriptionTransferred", 0x002D0000u) \
    X(GOOD_COMPLETES_ASYNCHRONOUSLY, "GoodCompletesAsynchronously", 0x002E0000u) \
    X(GOOD_OVERLOAD, "GoodOverload", 0x002F0000u) \
    X(GOOD_CLAMPED, "GoodClamped", 0x00300000u) \
    X(GOOD_NO_DATA, "GoodNoData", 0x00A50000u) \
    X(GOOD_MORE_DATA, "GoodMoreData", 0x00A60000u) \
    X(GOOD_CALL_AGAIN, "GoodCallAgain", 0x00A90000u) \
    X(GOOD_RETRANSMISSION_QUEUE_NOT_SUPPORTED, "GoodRetransmissionQueueNotSupported", 0x00DF0000u) \
    X(UNCERTAIN, "Uncertain", 0x40000000u) \
    X(UNCERTAIN_NO_COMMUNICATION_LAST_USABLE_VALUE, "UncertainNoCommunicationLastUsableValue", 0x408F0000u) \
    X(UNCERTAIN_LAST_USABLE_VALUE, "UncertainLastUsableValue", 0x40900000u) \
    X(UNCERTAIN_SUBSTITUTE_VALUE, "UncertainSubstituteValue", 0x40910000u) \
    X(UNCERTAIN_INITIAL_VALUE, "UncertainInitialValue", 0x40920000u) \
    X(UNCERTAIN_SENSOR_NOT_ACCURATE, "UncertainSensorNotAccurate", 0x40930000u) \
    X(UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, "UncertainEngineeringUnitsExceeded", 0x40940000u) \
    X(UNCERTAIN_SUB_NORMAL, "UncertainSubNormal", 0x40950000u) \
    X(BAD_UNEXPECTED_ERROR, "BadUnexpectedError", 0x80010000u) \
    X(BAD_INTERNAL_ERROR, "BadInternalError", 0x80020000u) \
    X(BAD_OUT_OF_MEMORY, "BadOutOfMemory", 0x80030000u) \
    X(BAD_RESOURCE_UNAVAILABLE, "BadResourceUnavailable", 0x80040000u) \
    X(BAD_COMMUNICATION_ERROR, "BadCommunicationError", 0x80050000u) \
    X(BAD_ENCODING_ERROR, "BadEncodingError", 0x80060000u) \
    X(BAD_DECODING_ERROR, "BadDecodingError", 0x80070000u) \
    X(BAD_ENCODING_LIMITS_EXCEEDED, "BadEncodingLimitsExceeded", 0x80080000u) \
    X(BAD_UNKNOWN_RESPONSE, "BadUnknownResponse", 0x80090000u) \
    X(BAD_TIMEOUT, "BadTimeout", 0x800A0000u) \
    X(BAD_SERVICE_UNSUPPORTED, "BadServiceUnsupported", 0x800B0000u) \
    X(BAD_SHUTDOWN, "BadShutdown", 0x800C0000u) \
    X(BAD_SERVER_NOT_CONNECTED, "BadServerNotConnected", 0x800D0000u) \
    X(BAD_SERVER_HALTED, "BadServerHalted", 0x800E0000u) \
    X(BAD_NOTHING_TO_DO, "BadNothingToDo", 0x800F0000u) \
    X(BAD_TOO_MANY_OPERATIONS, "BadTooManyOperations", 0x80100000u) \
    X(BAD_DATA_TYPE_ID_UNKNOWN, "BadDataTypeIdUnknown", 0x80110000u) \
    X(BAD_CERTIFICATE_INVALID, "BadCertificateInvalid", 0x80120000u) \
    X(BAD_SECURITY_CHECKS_FAILED, "BadSecurityChecksFailed", 0x80130000u) \
    X(BAD_CERTIFICATE_TIME_INVALID, "BadCertificateTimeInvalid", 0x80140000u) \
    X(BAD_CERTIFICATE_ISSUER_TIME_INVALID, "BadCertificateIssuerTimeInvalid", 0x80150000u) \
    X(BAD_CERTIFICATE_HOST_NAME_INVALID, "BadCertificateHostNameInvalid", 0x80160000u) \
    X(BAD_CERTIFICATE_URI_INVALID, "BadCertificateUriInvalid", 0x80170000u) \
    X(BAD_CERTIFICATE_USE_NOT_ALLOWED, "BadCertificateUseNotAllowed", 0x80180000u) \
    X(BAD_CERTIFICATE_ISSUER_USE_NOT_ALLOWED, "BadCertificateIssuerUseNotAllowed", 0x80190000u) \
    X(BAD_CERTIFICATE_UNTRUSTED, "BadCertificateUntrusted", 0x801A0000u) \
    X(BAD_CERTIFICATE_REVOCATION_UNKNOWN, "BadCertificateRevocationUnknown", 0x801B0000u) \
    X(BAD_CERTIFICATE_ISSUER_REVOCATION_UNKNOWN, "BadCertificateIssuerRevocationUnknown", 0x801C0000u) \
    X(BAD_CERTIFICATE_REVOKED, "BadCertificateRevoked", 0x801D0000u) \
    X(BAD_CERTIFICATE_ISSUER_REVOKED, "BadCertificateIssuerRevoked", 0x801E0000u) \
    X(BAD_USER_ACCESS_DENIED, "BadUserAccessDenied", 0x801F0000u) \
    X(BAD_IDENTITY_TOKEN_INVALID, "BadIdentityTokenInvalid", 0x80200000u) \
    X(BAD_IDENTITY_TOKEN_REJECTED, "BadIdentityTokenRejected", 0x80210000u) \
    X(BAD_SECURE_CHANNEL_ID_INVALID, "BadSecureChannelIdInvalid", 0x80220000u) \
    X(BAD_INVALID_TIMESTAMP, "BadInvalidTimestamp", 0x80230000u) \
    X(BAD_NONCE_INVALID, "BadNonceInvalid", 0x80240000u) \
    X(BAD_SESSION_ID_INVALID, "BadSessionIdInvalid", 0x80250000u) \
    X(BAD_SESSION_CLOSED, "BadSessionClosed", 0x80260000u) \
    X(BAD_SESSION_NOT_ACTIVATED, "BadSessionNotActivated", 0x80270000u) \
    X(BAD_SUBSCRIPTION_ID_INVALID, "BadSubscriptionIdInvalid", 0x80280000u) \
    X(BAD_REQUEST_HEADER_INVALID, "BadRequestHeaderInvalid", 0x802A0000u) \
    X(BAD_TIMESTAMPS_TO_RETURN_INVALID, "BadTimestampsToReturnInvalid", 0x802B0000u) \
    X(BAD_REQUEST_CANCELLED_BY_CLIENT, "BadRequestCancelledByClient", 0x802C0000u) \
    X(BAD_NO_COMMUNICATION, "BadNoCommunication", 0x80310000u) \
    X(BAD_WAITING_FOR_INITIAL_DATA, "BadWaitingForInitialData", 0x80320000u) \
    X(BAD_NODE_ID_INVALID, "BadNodeIdInvalid", 0x80330000u) \
    X(BAD_NODE_ID_UNKNOWN, "BadNodeIdUnknown", 0x80340000u) \
    X(BAD_ATTRIBUTE_ID_INVALID, "BadAttributeIdInvalid", 0x80350000u) \
    X(BAD_INDEX_RANGE_INVALID, "BadIndexRangeInvalid", 0x80360000u) \
    X(BAD_INDEX_RANGE_NO_DATA, "BadIndexRangeNoData", 0x80370000u) \
    X(BAD_DATA_ENCODING_INVALID, "BadDataEncodingInvalid", 0x80380000u) \
    X(BAD_DATA_ENCODING_UNSUPPORTED, "BadDataEncodingUnsupported", 0x80390000u) \
    X(BAD_NOT_READABLE, "BadNotReadable", 0x803A0000u) \
    X(BAD_NOT_WRITABLE, "BadNotWritable", 0x803B0000u) \
    X(BAD_OUT_OF_RANGE, "BadOutOfRange", 0x803C0000u) \
    X(BAD_NOT_SUPPORTED, "BadNotSupported", 0x803D0000u) \
    X(BAD_NOT_FOUND, "BadNotFound", 0x803E0000u) \
    X(BAD_OBJECT_DELETED, "BadObjectDeleted", 0x803F0000u) \
    X(BAD_NOT_IMPLEMENTED, "BadNotImplemented", 0x80400000u) \
    X(BAD_MONITORING_MODE_INVALID, "BadMonitoringModeInvalid", 0x80410000u) \
    X(BAD_MONITORED_ITEM_ID_INVALID, "BadMonitoredItemIdInvalid", 0x80420000u) \
    X(BAD_MONITORED_ITEM_FILTER_INVALID, "BadMonitoredItemFilterInvalid", 0x80430000u) \
    X(BAD_MONITORED_ITEM_FILTER_UNSUPPORTED, "BadMonitoredItemFilterUnsupported", 0x80440000u) \
    X(BAD_FILTER_NOT_ALLOWED, "BadFilterNotAllowed", 0x80450000u) \
    X(BAD_STRUCTURE_MISSING, "BadStructureMissing", 0x80460000u) \
    X(BAD_EVENT_FILTER_INVALID, "BadEventFilterInvalid", 0x80470000u) \
    X(BAD_CONTENT_FILTER_INVALID, "BadContentFilterInvalid", 0x80480000u) \
    X(BAD_FILTER_OPERAND_INVALID, "BadFilterOperandInvalid", 0x80490000u) \
    X(BAD_CONTINUATION_POINT_INVALID, "BadContinuationPointInvalid", 0x804A0000u) \
    X(BAD_NO_CONTINUATION_POINTS, "BadNoContinuationPoints", 0x804B0000u) \
    X(BAD_REFERENCE_TYPE_ID_INVALID, "BadReferenceTypeIdInvalid", 0x804C0000u) \
    X(BAD_BROWSE_DIRECTION_INVALID, "BadBrowseDirectionInvalid", 0x804D0000u) \
    X(BAD_NODE_NOT_IN_VIEW, "BadNodeNotInView", 0x804E0000u) \
    X(BAD_SERVER_URI_INVALID, "BadServerUriInvalid", 0x804F0000u) \
    X(BAD_REQUEST_TYPE_INVALID, "BadRequestTypeInvalid", 0x80530000u) \
    X(BAD_SECURITY_MODE_REJECTED, "BadSecurityModeRejected", 0x80540000u) \
    X(BAD_SECURITY_POLICY_REJECTED, "BadSecurityPolicyRejected", 0x80550000u) \
    X(BAD_TOO_MANY_SESSIONS, "BadTooManySessions", 0x80560000u) \
    X(BAD_USER_SIGNATURE_INVALID, "BadUserSignatureInvalid", 0x80570000u) \
    X(BAD_APPLICATION_SIGNATURE_INVALID, "BadApplicationSignatureInvalid", 0x80580000u) \
    X(BAD_BROWSE_NAME_INVALID, "BadBrowseNameInvalid", 0x80600000u) \
    X(BAD_TYPE_DEFINITION_INVALID, "BadTypeDefinitionInvalid", 0x80630000u) \
    X(BAD_VIEW_ID_UNKNOWN, "BadViewIdUnknown", 0x806B0000u) \
    X(BAD_TOO_MANY_MATCHES, "BadTooManyMatches", 0x806D0000u) \
    X(BAD_QUERY_TOO_COMPLEX, "BadQueryTooComplex", 0x806E0000u) \
    X(BAD_NO_MATCH, "BadNoMatch", 0x806F0000u) \
    X(BAD_MAX_AGE_INVALID, "BadMaxAgeInvalid", 0x80700000u) \
    X(BAD_HISTORY_OPERATION_INVALID, "BadHistoryOperationInvalid", 0x80710000u) \
    X(BAD_HISTORY_OPERATION_UNSUPPORTED, "BadHistoryOperationUnsupported", 0x80720000u) \
    X(BAD_WRITE_NOT_SUPPORTED, "BadWriteNotSupported", 0x80730000u) \
    X(BAD_TYPE_MISMATCH, "BadTypeMismatch", 0x80740000u) \
    X(BAD_METHOD_INVALID, "BadMethodInvalid", 0x80750000u) \
    X(BAD_ARGUMENTS_MISSING, "BadArgumentsMissing", 0x80760000u) \
    X(BAD_TOO_MANY_SUBSCRIPTIONS, "BadTooManySubscriptions", 0x80770000u) \
    X(BAD_TOO_MANY_PUBLISH_REQUESTS, "BadTooManyPublishRequests", 0x80780000u) \
    X(BAD_NO_SUBSCRIPTION, "BadNoSubscription", 0x80790000u) \
    X(BAD_SEQUENCE_NUMBER_UNKNOWN, "BadSequenceNumberUnknown", 0x807A0000u) \
    X(BAD_MESSAGE_NOT_AVAILABLE, "BadMessageNotAvailable", 0x807B0000u) \
    X(BAD_TCP_SERVER_TOO_BUSY, "BadTcpServerTooBusy", 0x807D0000u) \
    X(BAD_TCP_MESSAGE_TYPE_INVALID, "BadTcpMessageTypeInvalid", 0x807E0000u) \
    X(BAD_TCP_SECURE_CHANNEL_UNKNOWN, "BadTcpSecureChannelUnknown", 0x807F0000u) \
    X(BAD_TCP_MESSAGE_TOO_LARGE, "BadTcpMessageTooLarge", 0x80800000u) \
    X(BAD_TCP_NOT_ENOUGH_RESOURCES, "BadTcpNotEnoughResources", 0x80810000u) \
    X(BAD_TCP_INTERNAL_ERROR, "BadTcpInternalError", 0x80820000u) \
    X(BAD_TCP_ENDPOINT_URL_INVALID, "BadTcpEndpointUrlInvalid", 0x80830000u) \
    X(BAD_REQUEST_INTERRUPTED, "BadRequestInterrupted", 0x80840000u) \
    X(BAD_REQUEST_TIMEOUT, "BadRequestTimeout", 0x80850000u) \
    X(BAD_SECURE_CHANNEL_CLOSED, "BadSecureChannelClosed", 0x80860000u) \
    X(BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, "BadSecureChannelTokenUnknown", 0x80870000u) \
    X(BAD_SEQUENCE_NUMBER_INVALID, "BadSequenceNumberInvalid", 0x80880000u) \
    X(BAD_CONFIGURATION_ERROR, "BadConfigurationError", 0x80890000u) \
    X(BAD_NOT_CONNECTED, "BadNotConnected", 0x808A0000u) \
    X(BAD_DEVICE_FAILURE, "BadDeviceFailure", 0x808B0000u) \
    X(BAD_SENSOR_FAILURE, "BadSensorFailure", 0x808C0000u) \
    X(BAD_OUT_OF_SERVICE, "BadOutOfService", 0x808D0000u) \
    X(BAD_DEADBAND_FILTER_INVALID, "BadDeadbandFilterInvalid", 0x808E0000u) \
    X(BAD_NO_DATA, "BadNoData", 0x809B0000u) \
    X(BAD_DATA_LOST, "BadDataLost", 0x809D0000u) \
    X(BAD_DATA_UNAVAILABLE, "BadDataUnavailable", 0x809E0000u) \
    X(BAD_INVALID_ARGUMENT, "BadInvalidArgument", 0x80AB0000u) \
    X(BAD_CONNECTION_REJECTED, "BadConnectionRejected", 0x80AC0000u) \
    X(BAD_DISCONNECT, "BadDisconnect", 0x80AD0000u) \
    X(BAD_CONNECTION_CLOSED, "BadConnectionClosed", 0x80AE0000u) \
    X(BAD_INVALID_STATE, "BadInvalidState", 0x80AF0000u) \
    X(BAD_MAX_CONNECTIONS_REACHED, "BadMaxConnectionsReached", 0x80B70000u) \
    X(BAD_REQUEST_TOO_LARGE, "BadRequestTooLarge", 0x80B80000u) \
    X(BAD_RESPONSE_TOO_LARGE, "BadResponseTooLarge", 0x80B90000u) \
    X(BAD_INVALID_TIMESTAMP_ARGUMENT, "BadInvalidTimestampArgument", 0x80BD0000u) \
    X(BAD_PROTOCOL_VERSION_UNSUPPORTED, "BadProtocolVersionUnsupported", 0x80BE0000u) \
    X(BAD_FILTER_OPERATOR_INVALID, "BadFilterOperatorInvalid", 0x80C10000u) \
    X(BAD_FILTER_OPERATOR_UNSUPPORTED, "BadFilterOperatorUnsupported", 0x80C20000u) \
    X(BAD_FILTER_OPERAND_COUNT_MISMATCH, "BadFilterOperandCountMismatch", 0x80C30000u) \
    X(BAD_FILTER_ELEMENT_INVALID, "BadFilterElementInvalid", 0x80C40000u) \
    X(BAD_FILTER_LITERAL_INVALID, "BadFilterLiteralInvalid", 0x80C50000u) \
    X(BAD_BOUND_NOT_FOUND, "BadBoundNotFound", 0x80D70000u) \
    X(BAD_TOO_MANY_MONITORED_ITEMS, "BadTooManyMonitoredItems", 0x80DB0000u) \
    X(BAD_TOO_MANY_ARGUMENTS, "BadTooManyArguments", 0x80E50000u) \
    X(BAD_CERTIFICATE_CHAIN_INCOMPLETE, "BadCertificateChainIncomplete", 0x810D0000u) \
    X(BAD_LICENSE_LIMITS_EXCEEDED, "BadLicenseLimitsExceeded", 0x810F0000u) \
    X(BAD_NOT_EXECUTABLE, "BadNotExecutable", 0x81110000u) \
    X(BAD_CERTIFICATE_POLICY_CHECK_FAILED, "BadCertificatePolicyCheckFailed", 0x81140000u)

enum ua_status_code {
#define UA_X(name, text, code) UA_##name = code,
    UA_STATUS_CODES(UA_X)
#undef UA_X
};

/* Flags of a value: its queue had no room for one before or behind it. */
enum { UA_INFO_DATA_VALUE = 0x400, UA_OVERFLOW = 0x80 };

static inline ua_status ua_code(ua_status s) { return s & 0xffff0000u; }
static inline bool ua_is_good(ua_status s) { return s >> 30 == 0; }
static inline bool ua_is_uncertain(ua_status s) { return s >> 30 == 1; }
static inline bool ua_is_bad(ua_status s) { return s >> 31 == 1; }
/* "BadNodeIdUnknown", flags left out; NULL: a code we do not know. */
const char *ua_status_name(ua_status);
/* Always something to print: the name, or "0x80AB1234" written into scratch. */
const char *ua_status_text(ua_status, char scratch[16]);
/* The other way. False: no such name. */
bool ua_status_from(struct bytes name, ua_status *out);
