/* ns0_types_table.h - what the data types of ns0_table.h are made of.
 *
 *   F(structure, field, data type, value rank)      its own fields; those of its supertype come before them
 *   E(enumeration or option set, name, value or bit)
 */
#pragma once

/* clang-format off */
#define NS0_FIELDS(F) \
    F(96, "RoleId", 17, -1) \
    F(96, "Permissions", 94, -1) \
    F(99, "DefaultEncodingId", 17, -1) \
    F(99, "BaseDataType", 17, -1) \
    F(99, "StructureType", 98, -1) \
    F(99, "Fields", 101, 1) \
    F(100, "Fields", 102, 1) \
    F(101, "Name", 12, -1) \
    F(101, "Description", 21, -1) \
    F(101, "DataType", 17, -1) \
    F(101, "ValueRank", 6, -1) \
    F(101, "ArrayDimensions", 7, 1) \
    F(101, "MaxStringLength", 7, -1) \
    F(101, "IsOptional", 1, -1) \
    F(102, "Name", 12, -1) \
    F(296, "Name", 12, -1) \
    F(296, "DataType", 17, -1) \
    F(296, "ValueRank", 6, -1) \
    F(296, "ArrayDimensions", 7, 1) \
    F(296, "Description", 21, -1) \
    F(299, "StatusCode", 19, -1) \
    F(299, "DiagnosticInfo", 25, -1) \
    F(304, "PolicyId", 12, -1) \
    F(304, "TokenType", 303, -1) \
    F(304, "IssuedTokenType", 12, -1) \
    F(304, "IssuerEndpointUrl", 12, -1) \
    F(304, "SecurityPolicyUri", 12, -1) \
    F(308, "ApplicationUri", 12, -1) \
    F(308, "ProductUri", 12, -1) \
    F(308, "ApplicationName", 21, -1) \
    F(308, "ApplicationType", 307, -1) \
    F(308, "GatewayServerUri", 12, -1) \
    F(308, "DiscoveryProfileUri", 12, -1) \
    F(308, "DiscoveryUrls", 12, 1) \
    F(312, "EndpointUrl", 12, -1) \
    F(312, "Server", 308, -1) \
    F(312, "ServerCertificate", 311, -1) \
    F(312, "SecurityMode", 302, -1) \
    F(312, "SecurityPolicyUri", 12, -1) \
    F(312, "UserIdentityTokens", 304, 1) \
    F(312, "TransportProfileUri", 12, -1) \
    F(312, "SecurityLevel", 3, -1) \
    F(338, "ProductUri", 12, -1) \
    F(338, "ManufacturerName", 12, -1) \
    F(338, "ProductName", 12, -1) \
    F(338, "SoftwareVersion", 12, -1) \
    F(338, "BuildNumber", 12, -1) \
    F(338, "BuildDate", 294, -1) \
    F(344, "CertificateData", 15, -1) \
    F(344, "Signature", 15, -1) \
    F(537, "ReferenceTypeId", 17, -1) \
    F(537, "IsInverse", 1, -1) \
    F(537, "IncludeSubtypes", 1, -1) \
    F(537, "TargetName", 20, -1) \
    F(540, "Elements", 537, 1) \
    F(583, "FilterOperator", 576, -1) \
    F(583, "FilterOperands", 22, 1) \
    F(586, "Elements", 583, 1) \
    F(592, "Index", 7, -1) \
    F(595, "Value", 24, -1) \
    F(598, "NodeId", 17, -1) \
    F(598, "Alias", 12, -1) \
    F(598, "BrowsePath", 540, -1) \
    F(598, "AttributeId", 288, -1) \
    F(598, "IndexRange", 291, -1) \
    F(601, "TypeDefinitionId", 17, -1) \
    F(601, "BrowsePath", 20, 1) \
    F(601, "AttributeId", 288, -1) \
    F(601, "IndexRange", 291, -1) \
    F(725, "SelectClauses", 601, 1) \
    F(725, "WhereClause", 586, -1) \
    F(853, "ServerId", 12, -1) \
    F(853, "ServiceLevel", 3, -1) \
    F(853, "ServerState", 852, -1) \
    F(856, "SamplingInterval", 290, -1) \
    F(856, "MonitoredItemCount", 7, -1) \
    F(856, "MaxMonitoredItemCount", 7, -1) \
    F(856, "DisabledMonitoredItemCount", 7, -1) \
    F(859, "ServerViewCount", 7, -1) \
    F(859, "CurrentSessionCount", 7, -1) \
    F(859, "CumulatedSessionCount", 7, -1) \
    F(859, "SecurityRejectedSessionCount", 7, -1) \
    F(859, "RejectedSessionCount", 7, -1) \
    F(859, "SessionTimeoutCount", 7, -1) \
    F(859, "SessionAbortCount", 7, -1) \
    F(859, "CurrentSubscriptionCount", 7, -1) \
    F(859, "CumulatedSubscriptionCount", 7, -1) \
    F(859, "PublishingIntervalCount", 7, -1) \
    F(859, "SecurityRejectedRequestsCount", 7, -1) \
    F(859, "RejectedRequestsCount", 7, -1) \
    F(862, "StartTime", 294, -1) \
    F(862, "CurrentTime", 294, -1) \
    F(862, "State", 852, -1) \
    F(862, "BuildInfo", 338, -1) \
    F(862, "SecondsTillShutdown", 7, -1) \
    F(862, "ShutdownReason", 21, -1) \
    F(865, "SessionId", 17, -1) \
    F(865, "SessionName", 12, -1) \
    F(865, "ClientDescription", 308, -1) \
    F(865, "ServerUri", 12, -1) \
    F(865, "EndpointUrl", 12, -1) \
    F(865, "LocaleIds", 295, 1) \
    F(865, "ActualSessionTimeout", 290, -1) \
    F(865, "MaxResponseMessageSize", 7, -1) \
    F(865, "ClientConnectionTime", 294, -1) \
    F(865, "ClientLastContactTime", 294, -1) \
    F(865, "CurrentSubscriptionsCount", 7, -1) \
    F(865, "CurrentMonitoredItemsCount", 7, -1) \
    F(865, "CurrentPublishRequestsInQueue", 7, -1) \
    F(865, "TotalRequestCount", 871, -1) \
    F(865, "UnauthorizedRequestCount", 7, -1) \
    F(865, "ReadCount", 871, -1) \
    F(865, "HistoryReadCount", 871, -1) \
    F(865, "WriteCount", 871, -1) \
    F(865, "HistoryUpdateCount", 871, -1) \
    F(865, "CallCount", 871, -1) \
    F(865, "CreateMonitoredItemsCount", 871, -1) \
    F(865, "ModifyMonitoredItemsCount", 871, -1) \
    F(865, "SetMonitoringModeCount", 871, -1) \
    F(865, "SetTriggeringCount", 871, -1) \
    F(865, "DeleteMonitoredItemsCount", 871, -1) \
    F(865, "CreateSubscriptionCount", 871, -1) \
    F(865, "ModifySubscriptionCount", 871, -1) \
    F(865, "SetPublishingModeCount", 871, -1) \
    F(865, "PublishCount", 871, -1) \
    F(865, "RepublishCount", 871, -1) \
    F(865, "TransferSubscriptionsCount", 871, -1) \
    F(865, "DeleteSubscriptionsCount", 871, -1) \
    F(865, "AddNodesCount", 871, -1) \
    F(865, "AddReferencesCount", 871, -1) \
    F(865, "DeleteNodesCount", 871, -1) \
    F(865, "DeleteReferencesCount", 871, -1) \
    F(865, "BrowseCount", 871, -1) \
    F(865, "BrowseNextCount", 871, -1) \
    F(865, "TranslateBrowsePathsToNodeIdsCount", 871, -1) \
    F(865, "QueryFirstCount", 871, -1) \
    F(865, "QueryNextCount", 871, -1) \
    F(865, "RegisterNodesCount", 871, -1) \
    F(865, "UnregisterNodesCount", 871, -1) \
    F(868, "SessionId", 17, -1) \
    F(868, "ClientUserIdOfSession", 12, -1) \
    F(868, "ClientUserIdHistory", 12, 1) \
    F(868, "AuthenticationMechanism", 12, -1) \
    F(868, "Encoding", 12, -1) \
    F(868, "TransportProtocol", 12, -1) \
    F(868, "SecurityMode", 302, -1) \
    F(868, "SecurityPolicyUri", 12, -1) \
    F(868, "ClientCertificate", 15, -1) \
    F(871, "TotalCount", 7, -1) \
    F(871, "ErrorCount", 7, -1) \
    F(874, "SessionId", 17, -1) \
    F(874, "SubscriptionId", 7, -1) \
    F(874, "Priority", 3, -1) \
    F(874, "PublishingInterval", 290, -1) \
    F(874, "MaxKeepAliveCount", 7, -1) \
    F(874, "MaxLifetimeCount", 7, -1) \
    F(874, "MaxNotificationsPerPublish", 7, -1) \
    F(874, "PublishingEnabled", 1, -1) \
    F(874, "ModifyCount", 7, -1) \
    F(874, "EnableCount", 7, -1) \
    F(874, "DisableCount", 7, -1) \
    F(874, "RepublishRequestCount", 7, -1) \
    F(874, "RepublishMessageRequestCount", 7, -1) \
    F(874, "RepublishMessageCount", 7, -1) \
    F(874, "TransferRequestCount", 7, -1) \
    F(874, "TransferredToAltClientCount", 7, -1) \
    F(874, "TransferredToSameClientCount", 7, -1) \
    F(874, "PublishRequestCount", 7, -1) \
    F(874, "DataChangeNotificationsCount", 7, -1) \
    F(874, "EventNotificationsCount", 7, -1) \
    F(874, "NotificationsCount", 7, -1) \
    F(874, "LatePublishRequestCount", 7, -1) \
    F(874, "CurrentKeepAliveCount", 7, -1) \
    F(874, "CurrentLifetimeCount", 7, -1) \
    F(874, "UnacknowledgedMessageCount", 7, -1) \
    F(874, "DiscardedMessageCount", 7, -1) \
    F(874, "MonitoredItemCount", 7, -1) \
    F(874, "DisabledMonitoredItemCount", 7, -1) \
    F(874, "MonitoringQueueOverflowCount", 7, -1) \
    F(874, "NextSequenceNumber", 7, -1) \
    F(874, "EventQueueOverflowCount", 7, -1) \
    F(877, "Affected", 17, -1) \
    F(877, "AffectedType", 17, -1) \
    F(877, "Verb", 3, -1) \
    F(884, "Low", 11, -1) \
    F(884, "High", 11, -1) \
    F(887, "NamespaceUri", 12, -1) \
    F(887, "UnitId", 6, -1) \
    F(887, "DisplayName", 21, -1) \
    F(887, "Description", 21, -1) \
    F(897, "Affected", 17, -1) \
    F(897, "AffectedType", 17, -1) \
    F(7594, "Value", 8, -1) \
    F(7594, "DisplayName", 21, -1) \
    F(7594, "Description", 21, -1) \
    F(8912, "Offset", 4, -1) \
    F(8912, "DaylightSavingInOffset", 1, -1) \
    F(12079, "EngineeringUnits", 887, -1) \
    F(12079, "EURange", 884, -1) \
    F(12079, "Title", 21, -1) \
    F(12079, "AxisScaleType", 12077, -1) \
    F(12079, "AxisSteps", 11, 1) \
    F(12080, "X", 11, -1) \
    F(12080, "Value", 10, -1) \
    F(12171, "Real", 10, -1) \
    F(12171, "Imaginary", 10, -1) \
    F(12172, "Real", 11, -1) \
    F(12172, "Imaginary", 11, -1) \
    F(12755, "Value", 15, -1) \
    F(12755, "ValidBits", 15, -1) \
    F(14533, "Key", 20, -1) \
    F(14533, "Value", 24, -1)

#define NS0_ENUMS(E) \
    E(94, "Browse", 0) \
    E(94, "ReadRolePermissions", 1) \
    E(94, "WriteAttribute", 2) \
    E(94, "WriteRolePermissions", 3) \
    E(94, "WriteHistorizing", 4) \
    E(94, "Read", 5) \
    E(94, "Write", 6) \
    E(94, "ReadHistory", 7) \
    E(94, "InsertHistory", 8) \
    E(94, "ModifyHistory", 9) \
    E(94, "DeleteHistory", 10) \
    E(94, "ReceiveEvents", 11) \
    E(94, "Call", 12) \
    E(94, "AddReference", 13) \
    E(94, "RemoveReference", 14) \
    E(94, "DeleteNode", 15) \
    E(94, "AddNode", 16) \
    E(95, "SigningRequired", 0) \
    E(95, "EncryptionRequired", 1) \
    E(95, "SessionRequired", 2) \
    E(95, "ApplyRestrictionsToBrowse", 3) \
    E(98, "Structure", 0) \
    E(98, "StructureWithOptionalFields", 1) \
    E(98, "Union", 2) \
    E(98, "StructureWithSubtypedValues", 3) \
    E(98, "UnionWithSubtypedValues", 4) \
    E(120, "Mandatory", 1) \
    E(120, "Optional", 2) \
    E(120, "Constraint", 3) \
    E(256, "Numeric", 0) \
    E(256, "String", 1) \
    E(256, "Guid", 2) \
    E(256, "Opaque", 3) \
    E(257, "Unspecified", 0) \
    E(257, "Object", 1) \
    E(257, "Variable", 2) \
    E(257, "Method", 4) \
    E(257, "ObjectType", 8) \
    E(257, "VariableType", 16) \
    E(257, "ReferenceType", 32) \
    E(257, "DataType", 64) \
    E(257, "View", 128) \
    E(302, "Invalid", 0) \
    E(302, "None", 1) \
    E(302, "Sign", 2) \
    E(302, "SignAndEncrypt", 3) \
    E(303, "Anonymous", 0) \
    E(303, "UserName", 1) \
    E(303, "Certificate", 2) \
    E(303, "IssuedToken", 3) \
    E(307, "Server", 0) \
    E(307, "Client", 1) \
    E(307, "ClientAndServer", 2) \
    E(307, "DiscoveryServer", 3) \
    E(315, "Issue", 0) \
    E(315, "Renew", 1) \
    E(347, "AccessLevel", 0) \
    E(347, "ArrayDimensions", 1) \
    E(347, "BrowseName", 2) \
    E(347, "ContainsNoLoops", 3) \
    E(347, "DataType", 4) \
    E(347, "Description", 5) \
    E(347, "DisplayName", 6) \
    E(347, "EventNotifier", 7) \
    E(347, "Executable", 8) \
    E(347, "Historizing", 9) \
    E(347, "InverseName", 10) \
    E(347, "IsAbstract", 11) \
    E(347, "MinimumSamplingInterval", 12) \
    E(347, "NodeClass", 13) \
    E(347, "NodeId", 14) \
    E(347, "Symmetric", 15) \
    E(347, "UserAccessLevel", 16) \
    E(347, "UserExecutable", 17) \
    E(347, "UserWriteMask", 18) \
    E(347, "ValueRank", 19) \
    E(347, "WriteMask", 20) \
    E(347, "ValueForVariableType", 21) \
    E(347, "DataTypeDefinition", 22) \
    E(347, "RolePermissions", 23) \
    E(347, "AccessRestrictions", 24) \
    E(347, "AccessLevelEx", 25) \
    E(348, "None", 0) \
    E(348, "AccessLevel", 1) \
    E(348, "ArrayDimensions", 2) \
    E(348, "BrowseName", 4) \
    E(348, "ContainsNoLoops", 8) \
    E(348, "DataType", 16) \
    E(348, "Description", 32) \
    E(348, "DisplayName", 64) \
    E(348, "EventNotifier", 128) \
    E(348, "Executable", 256) \
    E(348, "Historizing", 512) \
    E(348, "InverseName", 1024) \
    E(348, "IsAbstract", 2048) \
    E(348, "MinimumSamplingInterval", 4096) \
    E(348, "NodeClass", 8192) \
    E(348, "NodeId", 16384) \
    E(348, "Symmetric", 32768) \
    E(348, "UserAccessLevel", 65536) \
    E(348, "UserExecutable", 131072) \
    E(348, "UserWriteMask", 262144) \
    E(348, "ValueRank", 524288) \
    E(348, "WriteMask", 1048576) \
    E(348, "Value", 2097152) \
    E(348, "DataTypeDefinition", 4194304) \
    E(348, "RolePermissions", 8388608) \
    E(348, "AccessRestrictions", 16777216) \
    E(348, "All", 33554431) \
    E(348, "BaseNode", 26501220) \
    E(348, "Object", 26501348) \
    E(348, "ObjectType", 26503268) \
    E(348, "Variable", 26571383) \
    E(348, "VariableType", 28600438) \
    E(348, "Method", 26632548) \
    E(348, "ReferenceType", 26537060) \
    E(348, "View", 26501356) \
    E(576, "Equals", 0) \
    E(576, "IsNull", 1) \
    E(576, "GreaterThan", 2) \
    E(576, "LessThan", 3) \
    E(576, "GreaterThanOrEqual", 4) \
    E(576, "LessThanOrEqual", 5) \
    E(576, "Like", 6) \
    E(576, "Not", 7) \
    E(576, "Between", 8) \
    E(576, "InList", 9) \
    E(576, "And", 10) \
    E(576, "Or", 11) \
    E(576, "Cast", 12) \
    E(576, "InView", 13) \
    E(576, "OfType", 14) \
    E(576, "RelatedTo", 15) \
    E(576, "BitwiseAnd", 16) \
    E(576, "BitwiseOr", 17) \
    E(851, "None", 0) \
    E(851, "Cold", 1) \
    E(851, "Warm", 2) \
    E(851, "Hot", 3) \
    E(851, "Transparent", 4) \
    E(851, "HotAndMirrored", 5) \
    E(852, "Running", 0) \
    E(852, "Failed", 1) \
    E(852, "NoConfiguration", 2) \
    E(852, "Suspended", 3) \
    E(852, "Shutdown", 4) \
    E(852, "Test", 5) \
    E(852, "CommunicationFault", 6) \
    E(852, "Unknown", 7) \
    E(890, "AbsoluteValue", 0) \
    E(890, "PercentOfValue", 1) \
    E(890, "PercentOfRange", 2) \
    E(890, "PercentOfEURange", 3) \
    E(890, "Unknown", 4) \
    E(12077, "Linear", 0) \
    E(12077, "Log", 1) \
    E(12077, "Ln", 2) \
    E(15031, "CurrentRead", 0) \
    E(15031, "CurrentWrite", 1) \
    E(15031, "HistoryRead", 2) \
    E(15031, "HistoryWrite", 3) \
    E(15031, "SemanticChange", 4) \
    E(15031, "StatusWrite", 5) \
    E(15031, "TimestampWrite", 6) \
    E(15033, "SubscribeToEvents", 0) \
    E(15033, "HistoryRead", 2) \
    E(15033, "HistoryWrite", 3) \
    E(15406, "CurrentRead", 0) \
    E(15406, "CurrentWrite", 1) \
    E(15406, "HistoryRead", 2) \
    E(15406, "HistoryWrite", 3) \
    E(15406, "SemanticChange", 4) \
    E(15406, "StatusWrite", 5) \
    E(15406, "TimestampWrite", 6) \
    E(15406, "NonatomicRead", 8) \
    E(15406, "NonatomicWrite", 9) \
    E(15406, "WriteFullArrayOnly", 10) \
    E(15406, "NoSubDataTypes", 11) \
    E(15406, "NonVolatile", 12) \
    E(15406, "Constant", 13)

/* clang-format on */
