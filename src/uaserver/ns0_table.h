/* ns0_table.h - the nodes of namespace 0 that this server has, by their numbers; one line a node, in the order of the numbers.
 * ns0.h says what they are used for, ns0_test.c that nothing hangs in the air.
 *
 *   N(number, class, name, parent, reference from the parent, type definition, data type, value rank, flags)
 *   I(reference type, name of its other direction)
 */
#pragma once

/* clang-format off */
#define NS0_NODES(N) \
    N(1, DATA_TYPE, "Boolean", 24, SUBTYPE, 0, 0, -1, 0) \
    N(2, DATA_TYPE, "SByte", 27, SUBTYPE, 0, 0, -1, 0) \
    N(3, DATA_TYPE, "Byte", 28, SUBTYPE, 0, 0, -1, 0) \
    N(4, DATA_TYPE, "Int16", 27, SUBTYPE, 0, 0, -1, 0) \
    N(5, DATA_TYPE, "UInt16", 28, SUBTYPE, 0, 0, -1, 0) \
    N(6, DATA_TYPE, "Int32", 27, SUBTYPE, 0, 0, -1, 0) \
    N(7, DATA_TYPE, "UInt32", 28, SUBTYPE, 0, 0, -1, 0) \
    N(8, DATA_TYPE, "Int64", 27, SUBTYPE, 0, 0, -1, 0) \
    N(9, DATA_TYPE, "UInt64", 28, SUBTYPE, 0, 0, -1, 0) \
    N(10, DATA_TYPE, "Float", 26, SUBTYPE, 0, 0, -1, 0) \
    N(11, DATA_TYPE, "Double", 26, SUBTYPE, 0, 0, -1, 0) \
    N(12, DATA_TYPE, "String", 24, SUBTYPE, 0, 0, -1, 0) \
    N(13, DATA_TYPE, "DateTime", 24, SUBTYPE, 0, 0, -1, 0) \
    N(14, DATA_TYPE, "Guid", 24, SUBTYPE, 0, 0, -1, 0) \
    N(15, DATA_TYPE, "ByteString", 24, SUBTYPE, 0, 0, -1, 0) \
    N(16, DATA_TYPE, "XmlElement", 24, SUBTYPE, 0, 0, -1, 0) \
    N(17, DATA_TYPE, "NodeId", 24, SUBTYPE, 0, 0, -1, 0) \
    N(18, DATA_TYPE, "ExpandedNodeId", 24, SUBTYPE, 0, 0, -1, 0) \
    N(19, DATA_TYPE, "StatusCode", 24, SUBTYPE, 0, 0, -1, 0) \
    N(20, DATA_TYPE, "QualifiedName", 24, SUBTYPE, 0, 0, -1, 0) \
    N(21, DATA_TYPE, "LocalizedText", 24, SUBTYPE, 0, 0, -1, 0) \
    N(22, DATA_TYPE, "Structure", 24, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(23, DATA_TYPE, "DataValue", 24, SUBTYPE, 0, 0, -1, 0) \
    N(24, DATA_TYPE, "BaseDataType", 90, ORGANIZES, 0, 0, -1, ABSTRACT) \
    N(25, DATA_TYPE, "DiagnosticInfo", 24, SUBTYPE, 0, 0, -1, 0) \
    N(26, DATA_TYPE, "Number", 24, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(27, DATA_TYPE, "Integer", 26, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(28, DATA_TYPE, "UInteger", 26, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(29, DATA_TYPE, "Enumeration", 24, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(30, DATA_TYPE, "Image", 15, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(31, REFERENCE_TYPE, "References", 91, ORGANIZES, 0, 0, -1, ABSTRACT | SYMMETRIC) \
    N(32, REFERENCE_TYPE, "NonHierarchicalReferences", 31, SUBTYPE, 0, 0, -1, ABSTRACT | SYMMETRIC) \
    N(33, REFERENCE_TYPE, "HierarchicalReferences", 31, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(34, REFERENCE_TYPE, "HasChild", 33, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(35, REFERENCE_TYPE, "Organizes", 33, SUBTYPE, 0, 0, -1, 0) \
    N(36, REFERENCE_TYPE, "HasEventSource", 33, SUBTYPE, 0, 0, -1, 0) \
    N(37, REFERENCE_TYPE, "HasModellingRule", 32, SUBTYPE, 0, 0, -1, 0) \
    N(38, REFERENCE_TYPE, "HasEncoding", 32, SUBTYPE, 0, 0, -1, 0) \
    N(39, REFERENCE_TYPE, "HasDescription", 32, SUBTYPE, 0, 0, -1, 0) \
    N(40, REFERENCE_TYPE, "HasTypeDefinition", 32, SUBTYPE, 0, 0, -1, 0) \
    N(41, REFERENCE_TYPE, "GeneratesEvent", 32, SUBTYPE, 0, 0, -1, 0) \
    N(44, REFERENCE_TYPE, "Aggregates", 34, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(45, REFERENCE_TYPE, "HasSubtype", 34, SUBTYPE, 0, 0, -1, 0) \
    N(46, REFERENCE_TYPE, "HasProperty", 44, SUBTYPE, 0, 0, -1, 0) \
    N(47, REFERENCE_TYPE, "HasComponent", 44, SUBTYPE, 0, 0, -1, 0) \
    N(48, REFERENCE_TYPE, "HasNotifier", 36, SUBTYPE, 0, 0, -1, 0) \
    N(49, REFERENCE_TYPE, "HasOrderedComponent", 47, SUBTYPE, 0, 0, -1, 0) \
    N(50, DATA_TYPE, "Decimal", 26, SUBTYPE, 0, 0, -1, 0) \
    N(51, REFERENCE_TYPE, "FromState", 32, SUBTYPE, 0, 0, -1, 0) \
    N(52, REFERENCE_TYPE, "ToState", 32, SUBTYPE, 0, 0, -1, 0) \
    N(53, REFERENCE_TYPE, "HasCause", 32, SUBTYPE, 0, 0, -1, 0) \
    N(54, REFERENCE_TYPE, "HasEffect", 32, SUBTYPE, 0, 0, -1, 0) \
    N(56, REFERENCE_TYPE, "HasHistoricalConfiguration", 44, SUBTYPE, 0, 0, -1, 0) \
    N(58, OBJECT_TYPE, "BaseObjectType", 88, ORGANIZES, 0, 0, -1, 0) \
    N(61, OBJECT_TYPE, "FolderType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(62, VARIABLE_TYPE, "BaseVariableType", 89, ORGANIZES, 0, 24, -2, ABSTRACT) \
    N(63, VARIABLE_TYPE, "BaseDataVariableType", 62, SUBTYPE, 0, 24, -2, 0) \
    N(68, VARIABLE_TYPE, "PropertyType", 62, SUBTYPE, 0, 24, -2, 0) \
    N(75, OBJECT_TYPE, "DataTypeSystemType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(76, OBJECT_TYPE, "DataTypeEncodingType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(77, OBJECT_TYPE, "ModellingRuleType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(78, OBJECT, "Mandatory", 2996, ORGANIZES, 77, 0, -1, 0) \
    N(80, OBJECT, "Optional", 2996, ORGANIZES, 77, 0, -1, 0) \
    N(83, OBJECT, "ExposesItsArray", 2996, ORGANIZES, 77, 0, -1, 0) \
    N(84, OBJECT, "Root", 0, NONE, 61, 0, -1, 0) \
    N(85, OBJECT, "Objects", 84, ORGANIZES, 61, 0, -1, 0) \
    N(86, OBJECT, "Types", 84, ORGANIZES, 61, 0, -1, 0) \
    N(87, OBJECT, "Views", 84, ORGANIZES, 61, 0, -1, 0) \
    N(88, OBJECT, "ObjectTypes", 86, ORGANIZES, 61, 0, -1, 0) \
    N(89, OBJECT, "VariableTypes", 86, ORGANIZES, 61, 0, -1, 0) \
    N(90, OBJECT, "DataTypes", 86, ORGANIZES, 61, 0, -1, 0) \
    N(91, OBJECT, "ReferenceTypes", 86, ORGANIZES, 61, 0, -1, 0) \
    N(94, DATA_TYPE, "PermissionType", 7, SUBTYPE, 0, 0, -1, 0) \
    N(95, DATA_TYPE, "AccessRestrictionType", 5, SUBTYPE, 0, 0, -1, 0) \
    N(96, DATA_TYPE, "RolePermissionType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(97, DATA_TYPE, "DataTypeDefinition", 22, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(98, DATA_TYPE, "StructureType", 29, SUBTYPE, 0, 0, -1, 0) \
    N(99, DATA_TYPE, "StructureDefinition", 97, SUBTYPE, 0, 0, -1, 0) \
    N(100, DATA_TYPE, "EnumDefinition", 97, SUBTYPE, 0, 0, -1, 0) \
    N(101, DATA_TYPE, "StructureField", 22, SUBTYPE, 0, 0, -1, 0) \
    N(102, DATA_TYPE, "EnumField", 7594, SUBTYPE, 0, 0, -1, 0) \
    N(117, REFERENCE_TYPE, "HasSubStateMachine", 32, SUBTYPE, 0, 0, -1, 0) \
    N(120, DATA_TYPE, "NamingRuleType", 29, SUBTYPE, 0, 0, -1, 0) \
    N(121, OBJECT, "Default Binary", 97, ENCODING, 76, 0, -1, 0) \
    N(122, OBJECT, "Default Binary", 99, ENCODING, 76, 0, -1, 0) \
    N(123, OBJECT, "Default Binary", 100, ENCODING, 76, 0, -1, 0) \
    N(128, OBJECT, "Default Binary", 96, ENCODING, 76, 0, -1, 0) \
    N(129, REFERENCE_TYPE, "HasArgumentDescription", 47, SUBTYPE, 0, 0, -1, 0) \
    N(131, REFERENCE_TYPE, "HasOptionalInputArgumentDescription", 129, SUBTYPE, 0, 0, -1, 0) \
    N(256, DATA_TYPE, "IdType", 29, SUBTYPE, 0, 0, -1, 0) \
    N(257, DATA_TYPE, "NodeClass", 29, SUBTYPE, 0, 0, -1, 0) \
    N(288, DATA_TYPE, "IntegerId", 7, SUBTYPE, 0, 0, -1, 0) \
    N(289, DATA_TYPE, "Counter", 7, SUBTYPE, 0, 0, -1, 0) \
    N(290, DATA_TYPE, "Duration", 11, SUBTYPE, 0, 0, -1, 0) \
    N(291, DATA_TYPE, "NumericRange", 12, SUBTYPE, 0, 0, -1, 0) \
    N(294, DATA_TYPE, "UtcTime", 13, SUBTYPE, 0, 0, -1, 0) \
    N(295, DATA_TYPE, "LocaleId", 12, SUBTYPE, 0, 0, -1, 0) \
    N(296, DATA_TYPE, "Argument", 22, SUBTYPE, 0, 0, -1, 0) \
    N(298, OBJECT, "Default Binary", 296, ENCODING, 76, 0, -1, 0) \
    N(299, DATA_TYPE, "StatusResult", 22, SUBTYPE, 0, 0, -1, 0) \
    N(301, OBJECT, "Default Binary", 299, ENCODING, 76, 0, -1, 0) \
    N(302, DATA_TYPE, "MessageSecurityMode", 29, SUBTYPE, 0, 0, -1, 0) \
    N(303, DATA_TYPE, "UserTokenType", 29, SUBTYPE, 0, 0, -1, 0) \
    N(304, DATA_TYPE, "UserTokenPolicy", 22, SUBTYPE, 0, 0, -1, 0) \
    N(306, OBJECT, "Default Binary", 304, ENCODING, 76, 0, -1, 0) \
    N(307, DATA_TYPE, "ApplicationType", 29, SUBTYPE, 0, 0, -1, 0) \
    N(308, DATA_TYPE, "ApplicationDescription", 22, SUBTYPE, 0, 0, -1, 0) \
    N(310, OBJECT, "Default Binary", 308, ENCODING, 76, 0, -1, 0) \
    N(311, DATA_TYPE, "ApplicationInstanceCertificate", 15, SUBTYPE, 0, 0, -1, 0) \
    N(312, DATA_TYPE, "EndpointDescription", 22, SUBTYPE, 0, 0, -1, 0) \
    N(314, OBJECT, "Default Binary", 312, ENCODING, 76, 0, -1, 0) \
    N(315, DATA_TYPE, "SecurityTokenRequestType", 29, SUBTYPE, 0, 0, -1, 0) \
    N(338, DATA_TYPE, "BuildInfo", 22, SUBTYPE, 0, 0, -1, 0) \
    N(340, OBJECT, "Default Binary", 338, ENCODING, 76, 0, -1, 0) \
    N(344, DATA_TYPE, "SignedSoftwareCertificate", 22, SUBTYPE, 0, 0, -1, 0) \
    N(346, OBJECT, "Default Binary", 344, ENCODING, 76, 0, -1, 0) \
    N(347, DATA_TYPE, "AttributeWriteMask", 7, SUBTYPE, 0, 0, -1, 0) \
    N(348, DATA_TYPE, "NodeAttributesMask", 29, SUBTYPE, 0, 0, -1, 0) \
    N(537, DATA_TYPE, "RelativePathElement", 22, SUBTYPE, 0, 0, -1, 0) \
    N(539, OBJECT, "Default Binary", 537, ENCODING, 76, 0, -1, 0) \
    N(540, DATA_TYPE, "RelativePath", 22, SUBTYPE, 0, 0, -1, 0) \
    N(542, OBJECT, "Default Binary", 540, ENCODING, 76, 0, -1, 0) \
    N(576, DATA_TYPE, "FilterOperator", 29, SUBTYPE, 0, 0, -1, 0) \
    N(583, DATA_TYPE, "ContentFilterElement", 22, SUBTYPE, 0, 0, -1, 0) \
    N(585, OBJECT, "Default Binary", 583, ENCODING, 76, 0, -1, 0) \
    N(586, DATA_TYPE, "ContentFilter", 22, SUBTYPE, 0, 0, -1, 0) \
    N(588, OBJECT, "Default Binary", 586, ENCODING, 76, 0, -1, 0) \
    N(589, DATA_TYPE, "FilterOperand", 22, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(591, OBJECT, "Default Binary", 589, ENCODING, 76, 0, -1, 0) \
    N(592, DATA_TYPE, "ElementOperand", 589, SUBTYPE, 0, 0, -1, 0) \
    N(594, OBJECT, "Default Binary", 592, ENCODING, 76, 0, -1, 0) \
    N(595, DATA_TYPE, "LiteralOperand", 589, SUBTYPE, 0, 0, -1, 0) \
    N(597, OBJECT, "Default Binary", 595, ENCODING, 76, 0, -1, 0) \
    N(598, DATA_TYPE, "AttributeOperand", 589, SUBTYPE, 0, 0, -1, 0) \
    N(600, OBJECT, "Default Binary", 598, ENCODING, 76, 0, -1, 0) \
    N(601, DATA_TYPE, "SimpleAttributeOperand", 589, SUBTYPE, 0, 0, -1, 0) \
    N(603, OBJECT, "Default Binary", 601, ENCODING, 76, 0, -1, 0) \
    N(719, DATA_TYPE, "MonitoringFilter", 22, SUBTYPE, 0, 0, -1, 0) \
    N(721, OBJECT, "Default Binary", 719, ENCODING, 76, 0, -1, 0) \
    N(725, DATA_TYPE, "EventFilter", 719, SUBTYPE, 0, 0, -1, 0) \
    N(727, OBJECT, "Default Binary", 725, ENCODING, 76, 0, -1, 0) \
    N(851, DATA_TYPE, "RedundancySupport", 29, SUBTYPE, 0, 0, -1, 0) \
    N(852, DATA_TYPE, "ServerState", 29, SUBTYPE, 0, 0, -1, 0) \
    N(853, DATA_TYPE, "RedundantServerDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(855, OBJECT, "Default Binary", 853, ENCODING, 76, 0, -1, 0) \
    N(856, DATA_TYPE, "SamplingIntervalDiagnosticsDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(858, OBJECT, "Default Binary", 856, ENCODING, 76, 0, -1, 0) \
    N(859, DATA_TYPE, "ServerDiagnosticsSummaryDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(861, OBJECT, "Default Binary", 859, ENCODING, 76, 0, -1, 0) \
    N(862, DATA_TYPE, "ServerStatusDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(864, OBJECT, "Default Binary", 862, ENCODING, 76, 0, -1, 0) \
    N(865, DATA_TYPE, "SessionDiagnosticsDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(867, OBJECT, "Default Binary", 865, ENCODING, 76, 0, -1, 0) \
    N(868, DATA_TYPE, "SessionSecurityDiagnosticsDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(870, OBJECT, "Default Binary", 868, ENCODING, 76, 0, -1, 0) \
    N(871, DATA_TYPE, "ServiceCounterDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(873, OBJECT, "Default Binary", 871, ENCODING, 76, 0, -1, 0) \
    N(874, DATA_TYPE, "SubscriptionDiagnosticsDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(876, OBJECT, "Default Binary", 874, ENCODING, 76, 0, -1, 0) \
    N(877, DATA_TYPE, "ModelChangeStructureDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(879, OBJECT, "Default Binary", 877, ENCODING, 76, 0, -1, 0) \
    N(884, DATA_TYPE, "Range", 22, SUBTYPE, 0, 0, -1, 0) \
    N(886, OBJECT, "Default Binary", 884, ENCODING, 76, 0, -1, 0) \
    N(887, DATA_TYPE, "EUInformation", 22, SUBTYPE, 0, 0, -1, 0) \
    N(889, OBJECT, "Default Binary", 887, ENCODING, 76, 0, -1, 0) \
    N(890, DATA_TYPE, "ExceptionDeviationFormat", 29, SUBTYPE, 0, 0, -1, 0) \
    N(897, DATA_TYPE, "SemanticChangeStructureDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(899, OBJECT, "Default Binary", 897, ENCODING, 76, 0, -1, 0) \
    N(2000, DATA_TYPE, "ImageBMP", 30, SUBTYPE, 0, 0, -1, 0) \
    N(2001, DATA_TYPE, "ImageGIF", 30, SUBTYPE, 0, 0, -1, 0) \
    N(2002, DATA_TYPE, "ImageJPG", 30, SUBTYPE, 0, 0, -1, 0) \
    N(2003, DATA_TYPE, "ImagePNG", 30, SUBTYPE, 0, 0, -1, 0) \
    N(2004, OBJECT_TYPE, "ServerType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(2005, VARIABLE, "ServerArray", 2004, PROPERTY, 68, 12, 1, MANDATORY) \
    N(2006, VARIABLE, "NamespaceArray", 2004, PROPERTY, 68, 12, 1, MANDATORY) \
    N(2007, VARIABLE, "ServerStatus", 2004, COMPONENT, 2138, 862, -1, MANDATORY) \
    N(2008, VARIABLE, "ServiceLevel", 2004, PROPERTY, 68, 3, -1, MANDATORY) \
    N(2009, OBJECT, "ServerCapabilities", 2004, COMPONENT, 2013, 0, -1, MANDATORY) \
    N(2010, OBJECT, "ServerDiagnostics", 2004, COMPONENT, 2020, 0, -1, MANDATORY) \
    N(2011, OBJECT, "VendorServerInfo", 2004, COMPONENT, 2033, 0, -1, MANDATORY) \
    N(2012, OBJECT, "ServerRedundancy", 2004, COMPONENT, 2034, 0, -1, MANDATORY) \
    N(2013, OBJECT_TYPE, "ServerCapabilitiesType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(2014, VARIABLE, "ServerProfileArray", 2013, PROPERTY, 68, 12, 1, MANDATORY) \
    N(2016, VARIABLE, "LocaleIdArray", 2013, PROPERTY, 68, 295, 1, MANDATORY) \
    N(2017, VARIABLE, "MinSupportedSampleRate", 2013, PROPERTY, 68, 290, -1, MANDATORY) \
    N(2019, OBJECT, "ModellingRules", 2013, COMPONENT, 61, 0, -1, MANDATORY) \
    N(2020, OBJECT_TYPE, "ServerDiagnosticsType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(2021, VARIABLE, "ServerDiagnosticsSummary", 2020, COMPONENT, 2150, 859, -1, MANDATORY) \
    N(2022, VARIABLE, "SamplingIntervalDiagnosticsArray", 2020, COMPONENT, 2164, 856, 1, OPTIONAL) \
    N(2023, VARIABLE, "SubscriptionDiagnosticsArray", 2020, COMPONENT, 2171, 874, 1, MANDATORY) \
    N(2025, VARIABLE, "EnabledFlag", 2020, PROPERTY, 68, 1, -1, MANDATORY) \
    N(2026, OBJECT_TYPE, "SessionsDiagnosticsSummaryType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(2027, VARIABLE, "SessionDiagnosticsArray", 2026, COMPONENT, 2196, 865, 1, MANDATORY) \
    N(2028, VARIABLE, "SessionSecurityDiagnosticsArray", 2026, COMPONENT, 2243, 868, 1, MANDATORY) \
    N(2033, OBJECT_TYPE, "VendorServerInfoType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(2034, OBJECT_TYPE, "ServerRedundancyType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(2035, VARIABLE, "RedundancySupport", 2034, PROPERTY, 68, 851, -1, MANDATORY) \
    N(2041, OBJECT_TYPE, "BaseEventType", 58, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(2042, VARIABLE, "EventId", 2041, PROPERTY, 68, 15, -1, MANDATORY) \
    N(2043, VARIABLE, "EventType", 2041, PROPERTY, 68, 17, -1, MANDATORY) \
    N(2044, VARIABLE, "SourceNode", 2041, PROPERTY, 68, 17, -1, MANDATORY) \
    N(2045, VARIABLE, "SourceName", 2041, PROPERTY, 68, 12, -1, MANDATORY) \
    N(2046, VARIABLE, "Time", 2041, PROPERTY, 68, 294, -1, MANDATORY) \
    N(2047, VARIABLE, "ReceiveTime", 2041, PROPERTY, 68, 294, -1, MANDATORY) \
    N(2050, VARIABLE, "Message", 2041, PROPERTY, 68, 21, -1, MANDATORY) \
    N(2051, VARIABLE, "Severity", 2041, PROPERTY, 68, 5, -1, MANDATORY) \
    N(2052, OBJECT_TYPE, "AuditEventType", 2041, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(2053, VARIABLE, "ActionTimeStamp", 2052, PROPERTY, 68, 294, -1, MANDATORY) \
    N(2054, VARIABLE, "Status", 2052, PROPERTY, 68, 1, -1, MANDATORY) \
    N(2055, VARIABLE, "ServerId", 2052, PROPERTY, 68, 12, -1, MANDATORY) \
    N(2056, VARIABLE, "ClientAuditEntryId", 2052, PROPERTY, 68, 12, -1, MANDATORY) \
    N(2057, VARIABLE, "ClientUserId", 2052, PROPERTY, 68, 12, -1, MANDATORY) \
    N(2130, OBJECT_TYPE, "SystemEventType", 2041, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(2131, OBJECT_TYPE, "DeviceFailureEventType", 2130, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(2132, OBJECT_TYPE, "BaseModelChangeEventType", 2041, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(2133, OBJECT_TYPE, "GeneralModelChangeEventType", 2132, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(2134, VARIABLE, "Changes", 2133, PROPERTY, 68, 877, 1, MANDATORY) \
    N(2137, VARIABLE_TYPE, "ServerVendorCapabilityType", 63, SUBTYPE, 0, 24, -1, ABSTRACT) \
    N(2138, VARIABLE_TYPE, "ServerStatusType", 63, SUBTYPE, 0, 862, -1, 0) \
    N(2139, VARIABLE, "StartTime", 2138, COMPONENT, 63, 294, -1, MANDATORY) \
    N(2140, VARIABLE, "CurrentTime", 2138, COMPONENT, 63, 294, -1, MANDATORY) \
    N(2141, VARIABLE, "State", 2138, COMPONENT, 63, 852, -1, MANDATORY) \
    N(2142, VARIABLE, "BuildInfo", 2138, COMPONENT, 3051, 338, -1, MANDATORY) \
    N(2150, VARIABLE_TYPE, "ServerDiagnosticsSummaryType", 63, SUBTYPE, 0, 859, -1, 0) \
    N(2151, VARIABLE, "ServerViewCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2152, VARIABLE, "CurrentSessionCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2153, VARIABLE, "CumulatedSessionCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2154, VARIABLE, "SecurityRejectedSessionCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2155, VARIABLE, "RejectedSessionCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2156, VARIABLE, "SessionTimeoutCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2157, VARIABLE, "SessionAbortCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2159, VARIABLE, "PublishingIntervalCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2160, VARIABLE, "CurrentSubscriptionCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2161, VARIABLE, "CumulatedSubscriptionCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2162, VARIABLE, "SecurityRejectedRequestsCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2163, VARIABLE, "RejectedRequestsCount", 2150, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2164, VARIABLE_TYPE, "SamplingIntervalDiagnosticsArrayType", 63, SUBTYPE, 0, 856, 1, 0) \
    N(2165, VARIABLE_TYPE, "SamplingIntervalDiagnosticsType", 63, SUBTYPE, 0, 856, -1, 0) \
    N(2166, VARIABLE, "SamplingInterval", 2165, COMPONENT, 63, 290, -1, MANDATORY) \
    N(2171, VARIABLE_TYPE, "SubscriptionDiagnosticsArrayType", 63, SUBTYPE, 0, 874, 1, 0) \
    N(2172, VARIABLE_TYPE, "SubscriptionDiagnosticsType", 63, SUBTYPE, 0, 874, -1, 0) \
    N(2173, VARIABLE, "SessionId", 2172, COMPONENT, 63, 17, -1, MANDATORY) \
    N(2174, VARIABLE, "SubscriptionId", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2175, VARIABLE, "Priority", 2172, COMPONENT, 63, 3, -1, MANDATORY) \
    N(2176, VARIABLE, "PublishingInterval", 2172, COMPONENT, 63, 290, -1, MANDATORY) \
    N(2177, VARIABLE, "MaxKeepAliveCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2179, VARIABLE, "MaxNotificationsPerPublish", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2180, VARIABLE, "PublishingEnabled", 2172, COMPONENT, 63, 1, -1, MANDATORY) \
    N(2181, VARIABLE, "ModifyCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2182, VARIABLE, "EnableCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2183, VARIABLE, "DisableCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2184, VARIABLE, "RepublishRequestCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2185, VARIABLE, "RepublishMessageRequestCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2186, VARIABLE, "RepublishMessageCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2187, VARIABLE, "TransferRequestCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2188, VARIABLE, "TransferredToAltClientCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2189, VARIABLE, "TransferredToSameClientCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2190, VARIABLE, "PublishRequestCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2191, VARIABLE, "DataChangeNotificationsCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2193, VARIABLE, "NotificationsCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2196, VARIABLE_TYPE, "SessionDiagnosticsArrayType", 63, SUBTYPE, 0, 865, 1, 0) \
    N(2197, VARIABLE_TYPE, "SessionDiagnosticsVariableType", 63, SUBTYPE, 0, 865, -1, 0) \
    N(2198, VARIABLE, "SessionId", 2197, COMPONENT, 63, 17, -1, MANDATORY) \
    N(2199, VARIABLE, "SessionName", 2197, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2200, VARIABLE, "ClientDescription", 2197, COMPONENT, 63, 308, -1, MANDATORY) \
    N(2201, VARIABLE, "ServerUri", 2197, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2202, VARIABLE, "EndpointUrl", 2197, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2203, VARIABLE, "LocaleIds", 2197, COMPONENT, 63, 295, 1, MANDATORY) \
    N(2204, VARIABLE, "ActualSessionTimeout", 2197, COMPONENT, 63, 290, -1, MANDATORY) \
    N(2205, VARIABLE, "ClientConnectionTime", 2197, COMPONENT, 63, 294, -1, MANDATORY) \
    N(2206, VARIABLE, "ClientLastContactTime", 2197, COMPONENT, 63, 294, -1, MANDATORY) \
    N(2207, VARIABLE, "CurrentSubscriptionsCount", 2197, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2208, VARIABLE, "CurrentMonitoredItemsCount", 2197, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2209, VARIABLE, "CurrentPublishRequestsInQueue", 2197, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2217, VARIABLE, "ReadCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2218, VARIABLE, "HistoryReadCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2219, VARIABLE, "WriteCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2220, VARIABLE, "HistoryUpdateCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2221, VARIABLE, "CallCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2222, VARIABLE, "CreateMonitoredItemsCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2223, VARIABLE, "ModifyMonitoredItemsCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2224, VARIABLE, "SetMonitoringModeCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2225, VARIABLE, "SetTriggeringCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2226, VARIABLE, "DeleteMonitoredItemsCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2227, VARIABLE, "CreateSubscriptionCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2228, VARIABLE, "ModifySubscriptionCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2229, VARIABLE, "SetPublishingModeCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2230, VARIABLE, "PublishCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2231, VARIABLE, "RepublishCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2232, VARIABLE, "TransferSubscriptionsCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2233, VARIABLE, "DeleteSubscriptionsCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2234, VARIABLE, "AddNodesCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2235, VARIABLE, "AddReferencesCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2236, VARIABLE, "DeleteNodesCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2237, VARIABLE, "DeleteReferencesCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2238, VARIABLE, "BrowseCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2239, VARIABLE, "BrowseNextCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2240, VARIABLE, "TranslateBrowsePathsToNodeIdsCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2241, VARIABLE, "QueryFirstCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2242, VARIABLE, "QueryNextCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2243, VARIABLE_TYPE, "SessionSecurityDiagnosticsArrayType", 63, SUBTYPE, 0, 868, 1, 0) \
    N(2244, VARIABLE_TYPE, "SessionSecurityDiagnosticsType", 63, SUBTYPE, 0, 868, -1, 0) \
    N(2245, VARIABLE, "SessionId", 2244, COMPONENT, 63, 17, -1, MANDATORY) \
    N(2246, VARIABLE, "ClientUserIdOfSession", 2244, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2247, VARIABLE, "ClientUserIdHistory", 2244, COMPONENT, 63, 12, 1, MANDATORY) \
    N(2248, VARIABLE, "AuthenticationMechanism", 2244, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2249, VARIABLE, "Encoding", 2244, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2250, VARIABLE, "TransportProtocol", 2244, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2251, VARIABLE, "SecurityMode", 2244, COMPONENT, 63, 302, -1, MANDATORY) \
    N(2252, VARIABLE, "SecurityPolicyUri", 2244, COMPONENT, 63, 12, -1, MANDATORY) \
    N(2253, OBJECT, "Server", 85, ORGANIZES, 2004, 0, -1, 0) \
    N(2254, VARIABLE, "ServerArray", 2253, PROPERTY, 68, 12, 1, 0) \
    N(2255, VARIABLE, "NamespaceArray", 2253, PROPERTY, 68, 12, 1, 0) \
    N(2256, VARIABLE, "ServerStatus", 2253, COMPONENT, 2138, 862, -1, 0) \
    N(2257, VARIABLE, "StartTime", 2256, COMPONENT, 63, 294, -1, 0) \
    N(2258, VARIABLE, "CurrentTime", 2256, COMPONENT, 63, 294, -1, 0) \
    N(2259, VARIABLE, "State", 2256, COMPONENT, 63, 852, -1, 0) \
    N(2260, VARIABLE, "BuildInfo", 2256, COMPONENT, 3051, 338, -1, 0) \
    N(2261, VARIABLE, "ProductName", 2260, COMPONENT, 63, 12, -1, 0) \
    N(2262, VARIABLE, "ProductUri", 2260, COMPONENT, 63, 12, -1, 0) \
    N(2263, VARIABLE, "ManufacturerName", 2260, COMPONENT, 63, 12, -1, 0) \
    N(2264, VARIABLE, "SoftwareVersion", 2260, COMPONENT, 63, 12, -1, 0) \
    N(2265, VARIABLE, "BuildNumber", 2260, COMPONENT, 63, 12, -1, 0) \
    N(2266, VARIABLE, "BuildDate", 2260, COMPONENT, 63, 294, -1, 0) \
    N(2267, VARIABLE, "ServiceLevel", 2253, PROPERTY, 68, 3, -1, 0) \
    N(2268, OBJECT, "ServerCapabilities", 2253, COMPONENT, 2013, 0, -1, 0) \
    N(2269, VARIABLE, "ServerProfileArray", 2268, PROPERTY, 68, 12, 1, 0) \
    N(2271, VARIABLE, "LocaleIdArray", 2268, PROPERTY, 68, 295, 1, 0) \
    N(2272, VARIABLE, "MinSupportedSampleRate", 2268, PROPERTY, 68, 290, -1, 0) \
    N(2274, OBJECT, "ServerDiagnostics", 2253, COMPONENT, 2020, 0, -1, 0) \
    N(2294, VARIABLE, "EnabledFlag", 2274, PROPERTY, 68, 1, -1, 0) \
    N(2295, OBJECT, "VendorServerInfo", 2253, COMPONENT, 2033, 0, -1, 0) \
    N(2296, OBJECT, "ServerRedundancy", 2253, COMPONENT, 2034, 0, -1, 0) \
    N(2340, OBJECT_TYPE, "AggregateFunctionType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(2365, VARIABLE_TYPE, "DataItemType", 63, SUBTYPE, 0, 24, -2, 0) \
    N(2366, VARIABLE, "Definition", 2365, PROPERTY, 68, 12, -1, OPTIONAL) \
    N(2367, VARIABLE, "ValuePrecision", 2365, PROPERTY, 68, 11, -1, OPTIONAL) \
    N(2368, VARIABLE_TYPE, "AnalogItemType", 15318, SUBTYPE, 0, 26, -2, 0) \
    N(2369, VARIABLE, "EURange", 2368, PROPERTY, 68, 884, -1, MANDATORY) \
    N(2372, VARIABLE_TYPE, "DiscreteItemType", 2365, SUBTYPE, 0, 24, -2, ABSTRACT) \
    N(2373, VARIABLE_TYPE, "TwoStateDiscreteType", 2372, SUBTYPE, 0, 1, -2, 0) \
    N(2374, VARIABLE, "FalseState", 2373, PROPERTY, 68, 21, -1, MANDATORY) \
    N(2375, VARIABLE, "TrueState", 2373, PROPERTY, 68, 21, -1, MANDATORY) \
    N(2376, VARIABLE_TYPE, "MultiStateDiscreteType", 2372, SUBTYPE, 0, 28, -2, 0) \
    N(2377, VARIABLE, "EnumStrings", 2376, PROPERTY, 68, 21, 1, MANDATORY) \
    N(2730, VARIABLE, "RegisterNodesCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2731, VARIABLE, "UnregisterNodesCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(2732, VARIABLE, "MaxBrowseContinuationPoints", 2013, PROPERTY, 68, 5, -1, MANDATORY) \
    N(2733, VARIABLE, "MaxQueryContinuationPoints", 2013, PROPERTY, 68, 5, -1, MANDATORY) \
    N(2734, VARIABLE, "MaxHistoryContinuationPoints", 2013, PROPERTY, 68, 5, -1, MANDATORY) \
    N(2735, VARIABLE, "MaxBrowseContinuationPoints", 2268, PROPERTY, 68, 5, -1, 0) \
    N(2736, VARIABLE, "MaxQueryContinuationPoints", 2268, PROPERTY, 68, 5, -1, 0) \
    N(2737, VARIABLE, "MaxHistoryContinuationPoints", 2268, PROPERTY, 68, 5, -1, 0) \
    N(2738, OBJECT_TYPE, "SemanticChangeEventType", 2041, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(2739, VARIABLE, "Changes", 2738, PROPERTY, 68, 897, 1, MANDATORY) \
    N(2742, VARIABLE, "Auditing", 2004, PROPERTY, 68, 1, -1, MANDATORY) \
    N(2744, OBJECT, "SessionsDiagnosticsSummary", 2020, COMPONENT, 2026, 0, -1, MANDATORY) \
    N(2752, VARIABLE, "SecondsTillShutdown", 2138, COMPONENT, 63, 7, -1, MANDATORY) \
    N(2753, VARIABLE, "ShutdownReason", 2138, COMPONENT, 63, 21, -1, MANDATORY) \
    N(2754, OBJECT, "AggregateFunctions", 2013, COMPONENT, 61, 0, -1, MANDATORY) \
    N(2992, VARIABLE, "SecondsTillShutdown", 2256, COMPONENT, 63, 7, -1, 0) \
    N(2993, VARIABLE, "ShutdownReason", 2256, COMPONENT, 63, 21, -1, 0) \
    N(2994, VARIABLE, "Auditing", 2253, PROPERTY, 68, 1, -1, 0) \
    N(2996, OBJECT, "ModellingRules", 2268, COMPONENT, 61, 0, -1, 0) \
    N(2997, OBJECT, "AggregateFunctions", 2268, COMPONENT, 61, 0, -1, 0) \
    N(2998, VARIABLE, "EventNotificationsCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3035, OBJECT_TYPE, "EventQueueOverflowEventType", 2041, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(3048, OBJECT, "EventTypes", 86, ORGANIZES, 61, 0, -1, 0) \
    N(3049, VARIABLE, "SoftwareCertificates", 2013, PROPERTY, 68, 344, 1, MANDATORY) \
    N(3050, VARIABLE, "MaxResponseMessageSize", 2197, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3051, VARIABLE_TYPE, "BuildInfoType", 63, SUBTYPE, 0, 338, -1, 0) \
    N(3052, VARIABLE, "ProductUri", 3051, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3053, VARIABLE, "ManufacturerName", 3051, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3054, VARIABLE, "ProductName", 3051, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3055, VARIABLE, "SoftwareVersion", 3051, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3056, VARIABLE, "BuildNumber", 3051, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3057, VARIABLE, "BuildDate", 3051, COMPONENT, 63, 294, -1, MANDATORY) \
    N(3058, VARIABLE, "ClientCertificate", 2244, COMPONENT, 63, 15, -1, MANDATORY) \
    N(3065, REFERENCE_TYPE, "AlwaysGeneratesEvent", 41, SUBTYPE, 0, 0, -1, 0) \
    N(3074, VARIABLE, "StartTime", 2007, COMPONENT, 63, 294, -1, MANDATORY) \
    N(3075, VARIABLE, "CurrentTime", 2007, COMPONENT, 63, 294, -1, MANDATORY) \
    N(3076, VARIABLE, "State", 2007, COMPONENT, 63, 852, -1, MANDATORY) \
    N(3077, VARIABLE, "BuildInfo", 2007, COMPONENT, 3051, 338, -1, MANDATORY) \
    N(3078, VARIABLE, "ProductUri", 3077, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3079, VARIABLE, "ManufacturerName", 3077, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3080, VARIABLE, "ProductName", 3077, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3081, VARIABLE, "SoftwareVersion", 3077, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3082, VARIABLE, "BuildNumber", 3077, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3083, VARIABLE, "BuildDate", 3077, COMPONENT, 63, 294, -1, MANDATORY) \
    N(3084, VARIABLE, "SecondsTillShutdown", 2007, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3085, VARIABLE, "ShutdownReason", 2007, COMPONENT, 63, 21, -1, MANDATORY) \
    N(3086, VARIABLE, "ServerProfileArray", 2009, PROPERTY, 68, 12, 1, MANDATORY) \
    N(3087, VARIABLE, "LocaleIdArray", 2009, PROPERTY, 68, 295, 1, MANDATORY) \
    N(3088, VARIABLE, "MinSupportedSampleRate", 2009, PROPERTY, 68, 290, -1, MANDATORY) \
    N(3089, VARIABLE, "MaxBrowseContinuationPoints", 2009, PROPERTY, 68, 5, -1, MANDATORY) \
    N(3090, VARIABLE, "MaxQueryContinuationPoints", 2009, PROPERTY, 68, 5, -1, MANDATORY) \
    N(3091, VARIABLE, "MaxHistoryContinuationPoints", 2009, PROPERTY, 68, 5, -1, MANDATORY) \
    N(3092, VARIABLE, "SoftwareCertificates", 2009, PROPERTY, 68, 344, 1, MANDATORY) \
    N(3093, OBJECT, "ModellingRules", 2009, COMPONENT, 61, 0, -1, MANDATORY) \
    N(3094, OBJECT, "AggregateFunctions", 2009, COMPONENT, 61, 0, -1, MANDATORY) \
    N(3095, VARIABLE, "ServerDiagnosticsSummary", 2010, COMPONENT, 2150, 859, -1, MANDATORY) \
    N(3096, VARIABLE, "ServerViewCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3097, VARIABLE, "CurrentSessionCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3098, VARIABLE, "CumulatedSessionCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3099, VARIABLE, "SecurityRejectedSessionCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3100, VARIABLE, "RejectedSessionCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3101, VARIABLE, "SessionTimeoutCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3102, VARIABLE, "SessionAbortCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3104, VARIABLE, "PublishingIntervalCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3105, VARIABLE, "CurrentSubscriptionCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3106, VARIABLE, "CumulatedSubscriptionCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3107, VARIABLE, "SecurityRejectedRequestsCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3108, VARIABLE, "RejectedRequestsCount", 3095, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3110, VARIABLE, "SubscriptionDiagnosticsArray", 2010, COMPONENT, 2171, 874, 1, MANDATORY) \
    N(3111, OBJECT, "SessionsDiagnosticsSummary", 2010, COMPONENT, 2026, 0, -1, MANDATORY) \
    N(3112, VARIABLE, "SessionDiagnosticsArray", 3111, COMPONENT, 2196, 865, 1, MANDATORY) \
    N(3113, VARIABLE, "SessionSecurityDiagnosticsArray", 3111, COMPONENT, 2243, 868, 1, MANDATORY) \
    N(3114, VARIABLE, "EnabledFlag", 2010, PROPERTY, 68, 1, -1, MANDATORY) \
    N(3115, VARIABLE, "RedundancySupport", 2012, PROPERTY, 68, 851, -1, MANDATORY) \
    N(3116, VARIABLE, "ServerViewCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3117, VARIABLE, "CurrentSessionCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3118, VARIABLE, "CumulatedSessionCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3119, VARIABLE, "SecurityRejectedSessionCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3120, VARIABLE, "RejectedSessionCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3121, VARIABLE, "SessionTimeoutCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3122, VARIABLE, "SessionAbortCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3124, VARIABLE, "PublishingIntervalCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3125, VARIABLE, "CurrentSubscriptionCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3126, VARIABLE, "CumulatedSubscriptionCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3127, VARIABLE, "SecurityRejectedRequestsCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3128, VARIABLE, "RejectedRequestsCount", 2021, COMPONENT, 63, 7, -1, MANDATORY) \
    N(3129, VARIABLE, "SessionDiagnosticsArray", 2744, COMPONENT, 2196, 865, 1, MANDATORY) \
    N(3130, VARIABLE, "SessionSecurityDiagnosticsArray", 2744, COMPONENT, 2243, 868, 1, MANDATORY) \
    N(3190, VARIABLE, "LocalTime", 2041, PROPERTY, 68, 8912, -1, OPTIONAL) \
    N(3698, VARIABLE, "ProductUri", 2142, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3699, VARIABLE, "ManufacturerName", 2142, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3700, VARIABLE, "ProductName", 2142, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3701, VARIABLE, "SoftwareVersion", 2142, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3702, VARIABLE, "BuildNumber", 2142, COMPONENT, 63, 12, -1, MANDATORY) \
    N(3703, VARIABLE, "BuildDate", 2142, COMPONENT, 63, 294, -1, MANDATORY) \
    N(3704, VARIABLE, "SoftwareCertificates", 2268, PROPERTY, 68, 344, 1, 0) \
    N(3709, VARIABLE, "RedundancySupport", 2296, PROPERTY, 68, 851, -1, 0) \
    N(7591, VARIABLE, "EnumStrings", 256, PROPERTY, 68, 21, 1, 0) \
    N(7594, DATA_TYPE, "EnumValueType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(7595, VARIABLE, "EnumStrings", 302, PROPERTY, 68, 21, 1, 0) \
    N(7596, VARIABLE, "EnumStrings", 303, PROPERTY, 68, 21, 1, 0) \
    N(7597, VARIABLE, "EnumStrings", 307, PROPERTY, 68, 21, 1, 0) \
    N(7598, VARIABLE, "EnumStrings", 315, PROPERTY, 68, 21, 1, 0) \
    N(7605, VARIABLE, "EnumStrings", 576, PROPERTY, 68, 21, 1, 0) \
    N(7611, VARIABLE, "EnumStrings", 851, PROPERTY, 68, 21, 1, 0) \
    N(7612, VARIABLE, "EnumStrings", 852, PROPERTY, 68, 21, 1, 0) \
    N(7614, VARIABLE, "EnumStrings", 890, PROPERTY, 68, 21, 1, 0) \
    N(8251, OBJECT, "Default Binary", 7594, ENCODING, 76, 0, -1, 0) \
    N(8888, VARIABLE, "MaxLifetimeCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8889, VARIABLE, "LatePublishRequestCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8890, VARIABLE, "CurrentKeepAliveCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8891, VARIABLE, "CurrentLifetimeCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8892, VARIABLE, "UnacknowledgedMessageCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8893, VARIABLE, "DiscardedMessageCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8894, VARIABLE, "MonitoredItemCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8895, VARIABLE, "DisabledMonitoredItemCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8896, VARIABLE, "MonitoringQueueOverflowCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8897, VARIABLE, "NextSequenceNumber", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8900, VARIABLE, "TotalRequestCount", 2197, COMPONENT, 63, 871, -1, MANDATORY) \
    N(8902, VARIABLE, "EventQueueOverflowCount", 2172, COMPONENT, 63, 7, -1, MANDATORY) \
    N(8912, DATA_TYPE, "TimeZoneDataType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(8917, OBJECT, "Default Binary", 8912, ENCODING, 76, 0, -1, 0) \
    N(9004, REFERENCE_TYPE, "HasTrueSubState", 32, SUBTYPE, 0, 0, -1, 0) \
    N(9005, REFERENCE_TYPE, "HasFalseSubState", 32, SUBTYPE, 0, 0, -1, 0) \
    N(9006, REFERENCE_TYPE, "HasCondition", 32, SUBTYPE, 0, 0, -1, 0) \
    N(11238, VARIABLE_TYPE, "MultiStateValueDiscreteType", 2372, SUBTYPE, 0, 26, -2, 0) \
    N(11241, VARIABLE, "EnumValues", 11238, PROPERTY, 68, 7594, 1, MANDATORY) \
    N(11436, OBJECT_TYPE, "ProgressEventType", 2041, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(11446, OBJECT_TYPE, "SystemStatusChangeEventType", 2130, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(11461, VARIABLE, "ValueAsText", 11238, PROPERTY, 68, 21, -1, MANDATORY) \
    N(11487, VARIABLE_TYPE, "OptionSetType", 63, SUBTYPE, 0, 24, -1, 0) \
    N(11488, VARIABLE, "OptionSetValues", 11487, PROPERTY, 68, 21, 1, MANDATORY) \
    N(11492, METHOD, "GetMonitoredItems", 2253, COMPONENT, 0, 0, -1, 0) \
    N(11493, VARIABLE, "InputArguments", 11492, PROPERTY, 68, 296, 1, 0) \
    N(11494, VARIABLE, "OutputArguments", 11492, PROPERTY, 68, 296, 1, 0) \
    N(11508, OBJECT, "OptionalPlaceholder", 2996, ORGANIZES, 77, 0, -1, 0) \
    N(11510, OBJECT, "MandatoryPlaceholder", 2996, ORGANIZES, 77, 0, -1, 0) \
    N(11527, OBJECT, "Namespaces", 2004, COMPONENT, 11645, 0, -1, OPTIONAL) \
    N(11549, VARIABLE, "MaxArrayLength", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11550, VARIABLE, "MaxStringLength", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11551, OBJECT, "OperationLimits", 2013, COMPONENT, 11564, 0, -1, OPTIONAL) \
    N(11562, VARIABLE, "<VendorCapability>", 2013, COMPONENT, 2137, 24, -1, OPTIONAL_PLACEHOLDER) \
    N(11564, OBJECT_TYPE, "OperationLimitsType", 61, SUBTYPE, 0, 0, -1, 0) \
    N(11565, VARIABLE, "MaxNodesPerRead", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11567, VARIABLE, "MaxNodesPerWrite", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11569, VARIABLE, "MaxNodesPerMethodCall", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11570, VARIABLE, "MaxNodesPerBrowse", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11571, VARIABLE, "MaxNodesPerRegisterNodes", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11572, VARIABLE, "MaxNodesPerTranslateBrowsePathsToNodeIds", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11573, VARIABLE, "MaxNodesPerNodeManagement", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11574, VARIABLE, "MaxMonitoredItemsPerCall", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(11616, OBJECT_TYPE, "NamespaceMetadataType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(11617, VARIABLE, "NamespaceUri", 11616, PROPERTY, 68, 12, -1, MANDATORY) \
    N(11618, VARIABLE, "NamespaceVersion", 11616, PROPERTY, 68, 12, -1, MANDATORY) \
    N(11619, VARIABLE, "NamespacePublicationDate", 11616, PROPERTY, 68, 13, -1, MANDATORY) \
    N(11620, VARIABLE, "IsNamespaceSubset", 11616, PROPERTY, 68, 1, -1, MANDATORY) \
    N(11621, VARIABLE, "StaticNodeIdTypes", 11616, PROPERTY, 68, 256, 1, MANDATORY) \
    N(11622, VARIABLE, "StaticNumericNodeIdRange", 11616, PROPERTY, 68, 291, 1, MANDATORY) \
    N(11623, VARIABLE, "StaticStringNodeIdPattern", 11616, PROPERTY, 68, 12, -1, MANDATORY) \
    N(11645, OBJECT_TYPE, "NamespacesType", 58, SUBTYPE, 0, 0, -1, 0) \
    N(11646, OBJECT, "<NamespaceIdentifier>", 11645, COMPONENT, 11616, 0, -1, OPTIONAL_PLACEHOLDER) \
    N(11647, VARIABLE, "NamespaceUri", 11646, PROPERTY, 68, 12, -1, MANDATORY) \
    N(11648, VARIABLE, "NamespaceVersion", 11646, PROPERTY, 68, 12, -1, MANDATORY) \
    N(11649, VARIABLE, "NamespacePublicationDate", 11646, PROPERTY, 68, 13, -1, MANDATORY) \
    N(11650, VARIABLE, "IsNamespaceSubset", 11646, PROPERTY, 68, 1, -1, MANDATORY) \
    N(11651, VARIABLE, "StaticNodeIdTypes", 11646, PROPERTY, 68, 256, 1, MANDATORY) \
    N(11652, VARIABLE, "StaticNumericNodeIdRange", 11646, PROPERTY, 68, 291, 1, MANDATORY) \
    N(11653, VARIABLE, "StaticStringNodeIdPattern", 11646, PROPERTY, 68, 12, -1, MANDATORY) \
    N(11696, VARIABLE, "SystemState", 11446, PROPERTY, 68, 852, -1, MANDATORY) \
    N(11697, VARIABLE, "SampledMonitoredItemsCount", 2165, COMPONENT, 63, 7, -1, MANDATORY) \
    N(11698, VARIABLE, "MaxSampledMonitoredItemsCount", 2165, COMPONENT, 63, 7, -1, MANDATORY) \
    N(11699, VARIABLE, "DisabledMonitoredItemsSamplingCount", 2165, COMPONENT, 63, 7, -1, MANDATORY) \
    N(11701, VARIABLE, "BitMask", 11487, PROPERTY, 68, 1, 1, OPTIONAL) \
    N(11702, VARIABLE, "MaxArrayLength", 2268, PROPERTY, 68, 7, -1, 0) \
    N(11703, VARIABLE, "MaxStringLength", 2268, PROPERTY, 68, 7, -1, 0) \
    N(11704, OBJECT, "OperationLimits", 2268, COMPONENT, 11564, 0, -1, 0) \
    N(11705, VARIABLE, "MaxNodesPerRead", 11704, PROPERTY, 68, 7, -1, 0) \
    N(11707, VARIABLE, "MaxNodesPerWrite", 11704, PROPERTY, 68, 7, -1, 0) \
    N(11709, VARIABLE, "MaxNodesPerMethodCall", 11704, PROPERTY, 68, 7, -1, 0) \
    N(11710, VARIABLE, "MaxNodesPerBrowse", 11704, PROPERTY, 68, 7, -1, 0) \
    N(11711, VARIABLE, "MaxNodesPerRegisterNodes", 11704, PROPERTY, 68, 7, -1, 0) \
    N(11712, VARIABLE, "MaxNodesPerTranslateBrowsePathsToNodeIds", 11704, PROPERTY, 68, 7, -1, 0) \
    N(11714, VARIABLE, "MaxMonitoredItemsPerCall", 11704, PROPERTY, 68, 7, -1, 0) \
    N(11715, OBJECT, "Namespaces", 2253, COMPONENT, 11645, 0, -1, 0) \
    N(11878, VARIABLE, "EnumValues", 257, PROPERTY, 68, 7594, 1, 0) \
    N(11881, VARIABLE, "EnumValues", 348, PROPERTY, 68, 7594, 1, 0) \
    N(11892, VARIABLE, "UnauthorizedRequestCount", 2197, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12021, VARIABLE_TYPE, "ArrayItemType", 2365, SUBTYPE, 0, 24, 0, ABSTRACT) \
    N(12024, VARIABLE, "InstrumentRange", 12021, PROPERTY, 68, 884, -1, OPTIONAL) \
    N(12025, VARIABLE, "EURange", 12021, PROPERTY, 68, 884, -1, MANDATORY) \
    N(12026, VARIABLE, "EngineeringUnits", 12021, PROPERTY, 68, 887, -1, MANDATORY) \
    N(12027, VARIABLE, "Title", 12021, PROPERTY, 68, 21, -1, MANDATORY) \
    N(12028, VARIABLE, "AxisScaleType", 12021, PROPERTY, 68, 12077, -1, MANDATORY) \
    N(12029, VARIABLE_TYPE, "YArrayItemType", 12021, SUBTYPE, 0, 24, 1, 0) \
    N(12037, VARIABLE, "XAxisDefinition", 12029, PROPERTY, 68, 12079, -1, MANDATORY) \
    N(12077, DATA_TYPE, "AxisScaleEnumeration", 29, SUBTYPE, 0, 0, -1, 0) \
    N(12078, VARIABLE, "EnumStrings", 12077, PROPERTY, 68, 21, 1, 0) \
    N(12079, DATA_TYPE, "AxisInformation", 22, SUBTYPE, 0, 0, -1, 0) \
    N(12080, DATA_TYPE, "XVType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(12089, OBJECT, "Default Binary", 12079, ENCODING, 76, 0, -1, 0) \
    N(12090, OBJECT, "Default Binary", 12080, ENCODING, 76, 0, -1, 0) \
    N(12161, VARIABLE, "MaxNodesPerHistoryReadData", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(12162, VARIABLE, "MaxNodesPerHistoryReadEvents", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(12163, VARIABLE, "MaxNodesPerHistoryUpdateData", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(12164, VARIABLE, "MaxNodesPerHistoryUpdateEvents", 11564, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(12165, VARIABLE, "MaxNodesPerHistoryReadData", 11704, PROPERTY, 68, 7, -1, 0) \
    N(12169, VARIABLE, "EnumValues", 120, PROPERTY, 68, 7594, 1, 0) \
    N(12171, DATA_TYPE, "ComplexNumberType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(12172, DATA_TYPE, "DoubleComplexNumberType", 22, SUBTYPE, 0, 0, -1, 0) \
    N(12181, OBJECT, "Default Binary", 12171, ENCODING, 76, 0, -1, 0) \
    N(12182, OBJECT, "Default Binary", 12172, ENCODING, 76, 0, -1, 0) \
    N(12502, VARIABLE, "Context", 11436, PROPERTY, 68, 24, -1, MANDATORY) \
    N(12503, VARIABLE, "Progress", 11436, PROPERTY, 68, 5, -1, MANDATORY) \
    N(12755, DATA_TYPE, "OptionSet", 22, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(12756, DATA_TYPE, "Union", 22, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(12765, OBJECT, "Default Binary", 12755, ENCODING, 76, 0, -1, 0) \
    N(12766, OBJECT, "Default Binary", 12756, ENCODING, 76, 0, -1, 0) \
    N(12779, VARIABLE, "SamplingIntervalDiagnostics", 2164, COMPONENT, 2165, 856, -1, EXPOSES_ITS_ARRAY) \
    N(12780, VARIABLE, "SamplingInterval", 12779, COMPONENT, 63, 290, -1, MANDATORY) \
    N(12781, VARIABLE, "SampledMonitoredItemsCount", 12779, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12782, VARIABLE, "MaxSampledMonitoredItemsCount", 12779, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12783, VARIABLE, "DisabledMonitoredItemsSamplingCount", 12779, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12784, VARIABLE, "SubscriptionDiagnostics", 2171, COMPONENT, 2172, 874, -1, EXPOSES_ITS_ARRAY) \
    N(12785, VARIABLE, "SessionId", 12784, COMPONENT, 63, 17, -1, MANDATORY) \
    N(12786, VARIABLE, "SubscriptionId", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12787, VARIABLE, "Priority", 12784, COMPONENT, 63, 3, -1, MANDATORY) \
    N(12788, VARIABLE, "PublishingInterval", 12784, COMPONENT, 63, 290, -1, MANDATORY) \
    N(12789, VARIABLE, "MaxKeepAliveCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12790, VARIABLE, "MaxLifetimeCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12791, VARIABLE, "MaxNotificationsPerPublish", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12792, VARIABLE, "PublishingEnabled", 12784, COMPONENT, 63, 1, -1, MANDATORY) \
    N(12793, VARIABLE, "ModifyCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12794, VARIABLE, "EnableCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12795, VARIABLE, "DisableCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12796, VARIABLE, "RepublishRequestCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12797, VARIABLE, "RepublishMessageRequestCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12798, VARIABLE, "RepublishMessageCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12799, VARIABLE, "TransferRequestCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12800, VARIABLE, "TransferredToAltClientCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12801, VARIABLE, "TransferredToSameClientCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12802, VARIABLE, "PublishRequestCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12803, VARIABLE, "DataChangeNotificationsCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12804, VARIABLE, "EventNotificationsCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12805, VARIABLE, "NotificationsCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12806, VARIABLE, "LatePublishRequestCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12807, VARIABLE, "CurrentKeepAliveCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12808, VARIABLE, "CurrentLifetimeCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12809, VARIABLE, "UnacknowledgedMessageCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12810, VARIABLE, "DiscardedMessageCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12811, VARIABLE, "MonitoredItemCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12812, VARIABLE, "DisabledMonitoredItemCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12813, VARIABLE, "MonitoringQueueOverflowCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12814, VARIABLE, "NextSequenceNumber", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12815, VARIABLE, "EventQueueOverflowCount", 12784, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12816, VARIABLE, "SessionDiagnostics", 2196, COMPONENT, 2197, 865, -1, EXPOSES_ITS_ARRAY) \
    N(12817, VARIABLE, "SessionId", 12816, COMPONENT, 63, 17, -1, MANDATORY) \
    N(12818, VARIABLE, "SessionName", 12816, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12819, VARIABLE, "ClientDescription", 12816, COMPONENT, 63, 308, -1, MANDATORY) \
    N(12820, VARIABLE, "ServerUri", 12816, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12821, VARIABLE, "EndpointUrl", 12816, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12822, VARIABLE, "LocaleIds", 12816, COMPONENT, 63, 295, 1, MANDATORY) \
    N(12823, VARIABLE, "ActualSessionTimeout", 12816, COMPONENT, 63, 290, -1, MANDATORY) \
    N(12824, VARIABLE, "MaxResponseMessageSize", 12816, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12825, VARIABLE, "ClientConnectionTime", 12816, COMPONENT, 63, 294, -1, MANDATORY) \
    N(12826, VARIABLE, "ClientLastContactTime", 12816, COMPONENT, 63, 294, -1, MANDATORY) \
    N(12827, VARIABLE, "CurrentSubscriptionsCount", 12816, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12828, VARIABLE, "CurrentMonitoredItemsCount", 12816, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12829, VARIABLE, "CurrentPublishRequestsInQueue", 12816, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12830, VARIABLE, "TotalRequestCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12831, VARIABLE, "UnauthorizedRequestCount", 12816, COMPONENT, 63, 7, -1, MANDATORY) \
    N(12832, VARIABLE, "ReadCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12833, VARIABLE, "HistoryReadCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12834, VARIABLE, "WriteCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12835, VARIABLE, "HistoryUpdateCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12836, VARIABLE, "CallCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12837, VARIABLE, "CreateMonitoredItemsCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12838, VARIABLE, "ModifyMonitoredItemsCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12839, VARIABLE, "SetMonitoringModeCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12840, VARIABLE, "SetTriggeringCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12841, VARIABLE, "DeleteMonitoredItemsCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12842, VARIABLE, "CreateSubscriptionCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12843, VARIABLE, "ModifySubscriptionCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12844, VARIABLE, "SetPublishingModeCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12845, VARIABLE, "PublishCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12846, VARIABLE, "RepublishCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12847, VARIABLE, "TransferSubscriptionsCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12848, VARIABLE, "DeleteSubscriptionsCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12849, VARIABLE, "AddNodesCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12850, VARIABLE, "AddReferencesCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12851, VARIABLE, "DeleteNodesCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12852, VARIABLE, "DeleteReferencesCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12853, VARIABLE, "BrowseCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12854, VARIABLE, "BrowseNextCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12855, VARIABLE, "TranslateBrowsePathsToNodeIdsCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12856, VARIABLE, "QueryFirstCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12857, VARIABLE, "QueryNextCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12858, VARIABLE, "RegisterNodesCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12859, VARIABLE, "UnregisterNodesCount", 12816, COMPONENT, 63, 871, -1, MANDATORY) \
    N(12860, VARIABLE, "SessionSecurityDiagnostics", 2243, COMPONENT, 2244, 868, -1, EXPOSES_ITS_ARRAY) \
    N(12861, VARIABLE, "SessionId", 12860, COMPONENT, 63, 17, -1, MANDATORY) \
    N(12862, VARIABLE, "ClientUserIdOfSession", 12860, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12863, VARIABLE, "ClientUserIdHistory", 12860, COMPONENT, 63, 12, 1, MANDATORY) \
    N(12864, VARIABLE, "AuthenticationMechanism", 12860, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12865, VARIABLE, "Encoding", 12860, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12866, VARIABLE, "TransportProtocol", 12860, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12867, VARIABLE, "SecurityMode", 12860, COMPONENT, 63, 302, -1, MANDATORY) \
    N(12868, VARIABLE, "SecurityPolicyUri", 12860, COMPONENT, 63, 12, -1, MANDATORY) \
    N(12869, VARIABLE, "ClientCertificate", 12860, COMPONENT, 63, 15, -1, MANDATORY) \
    N(12873, METHOD, "ResendData", 2253, COMPONENT, 0, 0, -1, 0) \
    N(12874, VARIABLE, "InputArguments", 12873, PROPERTY, 68, 296, 1, 0) \
    N(12877, DATA_TYPE, "NormalizedString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(12878, DATA_TYPE, "DecimalString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(12879, DATA_TYPE, "DurationString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(12880, DATA_TYPE, "TimeString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(12881, DATA_TYPE, "DateString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(12882, VARIABLE, "EstimatedReturnTime", 2004, PROPERTY, 68, 13, -1, OPTIONAL) \
    N(12910, VARIABLE, "MaxByteStringLength", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(12911, VARIABLE, "MaxByteStringLength", 2268, PROPERTY, 68, 7, -1, 0) \
    N(14528, VARIABLE, "EnumStrings", 98, PROPERTY, 68, 21, 1, 0) \
    N(14533, DATA_TYPE, "KeyValuePair", 22, SUBTYPE, 0, 0, -1, 0) \
    N(14844, OBJECT, "Default Binary", 101, ENCODING, 76, 0, -1, 0) \
    N(14845, OBJECT, "Default Binary", 102, ENCODING, 76, 0, -1, 0) \
    N(14846, OBJECT, "Default Binary", 14533, ENCODING, 76, 0, -1, 0) \
    N(15003, VARIABLE, "UrisVersion", 2004, PROPERTY, 68, 20998, -1, OPTIONAL) \
    N(15030, VARIABLE, "OptionSetValues", 94, PROPERTY, 68, 21, 1, 0) \
    N(15031, DATA_TYPE, "AccessLevelType", 3, SUBTYPE, 0, 0, -1, 0) \
    N(15032, VARIABLE, "OptionSetValues", 15031, PROPERTY, 68, 21, 1, 0) \
    N(15033, DATA_TYPE, "EventNotifierType", 3, SUBTYPE, 0, 0, -1, 0) \
    N(15034, VARIABLE, "OptionSetValues", 15033, PROPERTY, 68, 21, 1, 0) \
    N(15035, VARIABLE, "OptionSetValues", 95, PROPERTY, 68, 21, 1, 0) \
    N(15036, VARIABLE, "OptionSetValues", 347, PROPERTY, 68, 21, 1, 0) \
    N(15318, VARIABLE_TYPE, "BaseAnalogType", 2365, SUBTYPE, 0, 26, -2, 0) \
    N(15406, DATA_TYPE, "AccessLevelExType", 7, SUBTYPE, 0, 0, -1, 0) \
    N(15407, VARIABLE, "OptionSetValues", 15406, PROPERTY, 68, 21, 1, 0) \
    N(16137, VARIABLE, "DefaultRolePermissions", 11616, PROPERTY, 68, 96, 1, OPTIONAL) \
    N(16138, VARIABLE, "DefaultUserRolePermissions", 11616, PROPERTY, 68, 96, 1, OPTIONAL) \
    N(16139, VARIABLE, "DefaultAccessRestrictions", 11616, PROPERTY, 68, 95, -1, OPTIONAL) \
    N(17497, VARIABLE_TYPE, "AnalogUnitType", 15318, SUBTYPE, 0, 26, -2, 0) \
    N(17502, VARIABLE, "EngineeringUnits", 17497, PROPERTY, 68, 887, -1, MANDATORY) \
    N(17567, VARIABLE, "InstrumentRange", 15318, PROPERTY, 68, 884, -1, OPTIONAL) \
    N(17568, VARIABLE, "EURange", 15318, PROPERTY, 68, 884, -1, OPTIONAL) \
    N(17569, VARIABLE, "EngineeringUnits", 15318, PROPERTY, 68, 887, -1, OPTIONAL) \
    N(17570, VARIABLE_TYPE, "AnalogUnitRangeType", 2368, SUBTYPE, 0, 26, -2, 0) \
    N(17575, VARIABLE, "EngineeringUnits", 17570, PROPERTY, 68, 887, -1, MANDATORY) \
    N(17588, DATA_TYPE, "Index", 7, SUBTYPE, 0, 0, -1, 0) \
    N(17597, REFERENCE_TYPE, "HasDictionaryEntry", 32, SUBTYPE, 0, 0, -1, 0) \
    N(17602, OBJECT_TYPE, "BaseInterfaceType", 58, SUBTYPE, 0, 0, -1, ABSTRACT) \
    N(17603, REFERENCE_TYPE, "HasInterface", 32, SUBTYPE, 0, 0, -1, 0) \
    N(17604, REFERENCE_TYPE, "HasAddIn", 47, SUBTYPE, 0, 0, -1, 0) \
    N(17612, VARIABLE, "LocalTime", 2004, PROPERTY, 68, 8912, -1, OPTIONAL) \
    N(19809, VARIABLE, "MaxLogObjectContinuationPoints", 2013, PROPERTY, 68, 5, -1, OPTIONAL) \
    N(19811, VARIABLE, "ClientApplicationUri", 2052, PROPERTY, 68, 12, -1, OPTIONAL) \
    N(20998, DATA_TYPE, "VersionTime", 7, SUBTYPE, 0, 0, -1, 0) \
    N(23469, REFERENCE_TYPE, "AliasFor", 32, SUBTYPE, 0, 0, -1, 0) \
    N(23751, DATA_TYPE, "UriString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(24088, VARIABLE, "MaxSessions", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(24089, VARIABLE, "MaxSubscriptions", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(24090, VARIABLE, "MaxMonitoredItems", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(24091, VARIABLE, "MaxSubscriptionsPerSession", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(24092, VARIABLE, "MaxSelectClauseParameters", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(24093, VARIABLE, "MaxWhereClauseParameters", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(24094, VARIABLE, "ConformanceUnits", 2013, PROPERTY, 68, 20, 1, OPTIONAL) \
    N(24095, VARIABLE, "MaxSessions", 2268, PROPERTY, 68, 7, -1, 0) \
    N(24096, VARIABLE, "MaxSubscriptions", 2268, PROPERTY, 68, 7, -1, 0) \
    N(24097, VARIABLE, "MaxMonitoredItems", 2268, PROPERTY, 68, 7, -1, 0) \
    N(24098, VARIABLE, "MaxSubscriptionsPerSession", 2268, PROPERTY, 68, 7, -1, 0) \
    N(24099, VARIABLE, "MaxSelectClauseParameters", 2268, PROPERTY, 68, 7, -1, 0) \
    N(24103, VARIABLE, "MaxMonitoredItemsPerSubscription", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(24104, VARIABLE, "MaxMonitoredItemsPerSubscription", 2268, PROPERTY, 68, 7, -1, 0) \
    N(24136, REFERENCE_TYPE, "HasStructuredComponent", 47, SUBTYPE, 0, 0, -1, 0) \
    N(24137, REFERENCE_TYPE, "AssociatedWith", 32, SUBTYPE, 0, 0, -1, SYMMETRIC) \
    N(24263, DATA_TYPE, "SemanticVersionString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(25267, VARIABLE, "ConfigurationVersion", 11616, PROPERTY, 68, 20998, -1, OPTIONAL) \
    N(31770, VARIABLE, "MaxMonitoredItemsQueueSize", 2013, PROPERTY, 68, 7, -1, OPTIONAL) \
    N(31771, VARIABLE, "ConditionClassId", 2041, PROPERTY, 68, 17, -1, OPTIONAL) \
    N(31772, VARIABLE, "ConditionClassName", 2041, PROPERTY, 68, 21, -1, OPTIONAL) \
    N(31773, VARIABLE, "ConditionSubClassId", 2041, PROPERTY, 68, 17, 1, OPTIONAL) \
    N(31774, VARIABLE, "ConditionSubClassName", 2041, PROPERTY, 68, 21, 1, OPTIONAL) \
    N(31916, VARIABLE, "MaxMonitoredItemsQueueSize", 2268, PROPERTY, 68, 7, -1, 0) \
    N(31918, DATA_TYPE, "TrimmedString", 12, SUBTYPE, 0, 0, -1, 0) \
    N(32410, VARIABLE, "RedundantServerArray", 2034, PROPERTY, 68, 853, 1, OPTIONAL) \
    N(32419, VARIABLE, "ModelVersion", 11616, PROPERTY, 68, 24263, -1, OPTIONAL)

#define NS0_INVERSE_NAMES(I) \
    I(33, "InverseHierarchicalReferences") \
    I(34, "ChildOf") \
    I(35, "OrganizedBy") \
    I(36, "EventSourceOf") \
    I(37, "ModellingRuleOf") \
    I(38, "EncodingOf") \
    I(39, "DescriptionOf") \
    I(40, "TypeDefinitionOf") \
    I(41, "GeneratedBy") \
    I(44, "AggregatedBy") \
    I(45, "SubtypeOf") \
    I(46, "PropertyOf") \
    I(47, "ComponentOf") \
    I(48, "NotifierOf") \
    I(49, "OrderedComponentOf") \
    I(51, "ToTransition") \
    I(52, "FromTransition") \
    I(53, "MayBeCausedBy") \
    I(54, "MayBeEffectedBy") \
    I(56, "HistoricalConfigurationOf") \
    I(117, "SubStateMachineOf") \
    I(129, "ArgumentDescriptionOf") \
    I(131, "OptionalInputArgumentDescriptionOf") \
    I(3065, "AlwaysGeneratedBy") \
    I(9004, "IsTrueSubStateOf") \
    I(9005, "IsFalseSubStateOf") \
    I(9006, "IsConditionOf") \
    I(17597, "DictionaryEntryOf") \
    I(17603, "InterfaceOf") \
    I(17604, "AddInOf") \
    I(23469, "HasAlias") \
    I(24136, "IsStructuredComponentOf")
/* clang-format on */
