/* layouts.h - the structures of the services (Part 4) in the order of the wire: one line for a field, from which services.h
 * makes the C structs and services.c their tables.
 *
 *   V(struct, TYPE, field)     one value of a built-in type        A(...)    an array of them
 *   S(struct, other, field)    a structure                         L(...)    an array of structures
 */
#pragma once

#define UA_LAYOUT_request_header(V, A, S, L) \
    V(request_header, NODE_ID, authentication_token) V(request_header, DATE_TIME, timestamp) \
    V(request_header, UINT32, request_handle) V(request_header, UINT32, return_diagnostics) \
    V(request_header, STRING, audit_entry_id) V(request_header, UINT32, timeout_hint) \
    V(request_header, EXTENSION_OBJECT, additional_header)
#define UA_LAYOUT_response_header(V, A, S, L) \
    V(response_header, DATE_TIME, timestamp) V(response_header, UINT32, request_handle) \
    V(response_header, STATUS_CODE, service_result) V(response_header, DIAGNOSTIC_INFO, service_diagnostics) \
    A(response_header, STRING, string_table) V(response_header, EXTENSION_OBJECT, additional_header)
#define UA_LAYOUT_service_fault(V, A, S, L) \
    S(service_fault, response_header, header)
#define UA_LAYOUT_application_description(V, A, S, L) \
    V(application_description, STRING, application_uri) V(application_description, STRING, product_uri) \
    V(application_description, LOCALIZED_TEXT, application_name) V(application_description, INT32, application_type) \
    V(application_description, STRING, gateway_server_uri) V(application_description, STRING, discovery_profile_uri) \
    A(application_description, STRING, discovery_urls)
#define UA_LAYOUT_user_token_policy(V, A, S, L) \
    V(user_token_policy, STRING, policy_id) V(user_token_policy, INT32, token_type) \
    V(user_token_policy, STRING, issued_token_type) V(user_token_policy, STRING, issuer_endpoint_url) \
    V(user_token_policy, STRING, security_policy_uri)
#define UA_LAYOUT_endpoint_description(V, A, S, L) \
    V(endpoint_description, STRING, endpoint_url) S(endpoint_description, application_description, server) \
    V(endpoint_description, BYTE_STRING, server_certificate) V(endpoint_description, INT32, security_mode) \
    V(endpoint_description, STRING, security_policy_uri) \
    L(endpoint_description, user_token_policy, user_identity_tokens) \
    V(endpoint_description, STRING, transport_profile_uri) V(endpoint_description, BYTE, security_level)
#define UA_LAYOUT_find_servers_request(V, A, S, L) \
    S(find_servers_request, request_header, header) V(find_servers_request, STRING, endpoint_url) \
    A(find_servers_request, STRING, locale_ids) A(find_servers_request, STRING, server_uris)
#define UA_LAYOUT_find_servers_response(V, A, S, L) \
    S(find_servers_response, response_header, header) L(find_servers_response, application_description, servers)
#define UA_LAYOUT_get_endpoints_request(V, A, S, L) \
    S(get_endpoints_request, request_header, header) V(get_endpoints_request, STRING, endpoint_url) \
    A(get_endpoints_request, STRING, locale_ids) A(get_endpoints_request, STRING, profile_uris)
#define UA_LAYOUT_get_endpoints_response(V, A, S, L) \
    S(get_endpoints_response, response_header, header) L(get_endpoints_response, endpoint_description, endpoints)
#define UA_LAYOUT_open_secure_channel_request(V, A, S, L) \
    S(open_secure_channel_request, request_header, header) \
    V(open_secure_channel_request, UINT32, client_protocol_version) \
    V(open_secure_channel_request, INT32, request_type) V(open_secure_channel_request, INT32, security_mode) \
    V(open_secure_channel_request, BYTE_STRING, client_nonce) \
    V(open_secure_channel_request, UINT32, requested_lifetime)
#define UA_LAYOUT_channel_security_token(V, A, S, L) \
    V(channel_security_token, UINT32, channel_id) V(channel_security_token, UINT32, token_id) \
    V(channel_security_token, DATE_TIME, created_at) V(channel_security_token, UINT32, revised_lifetime)
#define UA_LAYOUT_open_secure_channel_response(V, A, S, L) \
    S(open_secure_channel_response, response_header, header) \
    V(open_secure_channel_response, UINT32, server_protocol_version) \
    S(open_secure_channel_response, channel_security_token, security_token) \
    V(open_secure_channel_response, BYTE_STRING, server_nonce)
#define UA_LAYOUT_close_secure_channel_request(V, A, S, L) \
    S(close_secure_channel_request, request_header, header)
#define UA_LAYOUT_signature_data(V, A, S, L) \
    V(signature_data, STRING, algorithm) V(signature_data, BYTE_STRING, signature)
#define UA_LAYOUT_signed_software_certificate(V, A, S, L) \
    V(signed_software_certificate, BYTE_STRING, certificate_data) \
    V(signed_software_certificate, BYTE_STRING, signature)
#define UA_LAYOUT_create_session_request(V, A, S, L) \
    S(create_session_request, request_header, header) \
    S(create_session_request, application_description, client_description) \
    V(create_session_request, STRING, server_uri) V(create_session_request, STRING, endpoint_url) \
    V(create_session_request, STRING, session_name) V(create_session_request, BYTE_STRING, client_nonce) \
    V(create_session_request, BYTE_STRING, client_certificate) \
    V(create_session_request, DOUBLE, requested_session_timeout) \
    V(create_session_request, UINT32, max_response_message_size)
#define UA_LAYOUT_create_session_response(V, A, S, L) \
    S(create_session_response, response_header, header) V(create_session_response, NODE_ID, session_id) \
    V(create_session_response, NODE_ID, authentication_token) \
    V(create_session_response, DOUBLE, revised_session_timeout) V(create_session_response, BYTE_STRING, server_nonce) \
    V(create_session_response, BYTE_STRING, server_certificate) \
    L(create_session_response, endpoint_description, server_endpoints) \
    L(create_session_response, signed_software_certificate, server_software_certificates) \
    S(create_session_response, signature_data, server_signature) \
    V(create_session_response, UINT32, max_request_message_size)
#define UA_LAYOUT_activate_session_request(V, A, S, L) \
    S(activate_session_request, request_header, header) S(activate_session_request, signature_data, client_signature) \
    L(activate_session_request, signed_software_certificate, client_software_certificates) \
    A(activate_session_request, STRING, locale_ids) V(activate_session_request, EXTENSION_OBJECT, user_identity_token) \
    S(activate_session_request, signature_data, user_token_signature)
#define UA_LAYOUT_activate_session_response(V, A, S, L) \
    S(activate_session_response, response_header, header) V(activate_session_response, BYTE_STRING, server_nonce) \
    A(activate_session_response, STATUS_CODE, results) A(activate_session_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_close_session_request(V, A, S, L) \
    S(close_session_request, request_header, header) V(close_session_request, BOOLEAN, delete_subscriptions)
#define UA_LAYOUT_close_session_response(V, A, S, L) \
    S(close_session_response, response_header, header)
#define UA_LAYOUT_cancel_request(V, A, S, L) \
    S(cancel_request, request_header, header) V(cancel_request, UINT32, request_handle)
#define UA_LAYOUT_anonymous_identity_token(V, A, S, L) \
    V(anonymous_identity_token, STRING, policy_id)
#define UA_LAYOUT_user_name_identity_token(V, A, S, L) \
    V(user_name_identity_token, STRING, policy_id) V(user_name_identity_token, STRING, user_name) \
    V(user_name_identity_token, BYTE_STRING, password) V(user_name_identity_token, STRING, encryption_algorithm)
#define UA_LAYOUT_x509_identity_token(V, A, S, L) \
    V(x509_identity_token, STRING, policy_id) V(x509_identity_token, BYTE_STRING, certificate_data)
#define UA_LAYOUT_issued_identity_token(V, A, S, L) \
    V(issued_identity_token, STRING, policy_id) V(issued_identity_token, BYTE_STRING, token_data) \
    V(issued_identity_token, STRING, encryption_algorithm)
#define UA_LAYOUT_view_description(V, A, S, L) \
    V(view_description, NODE_ID, view_id) V(view_description, DATE_TIME, timestamp) \
    V(view_description, UINT32, view_version)
#define UA_LAYOUT_browse_description(V, A, S, L) \
    V(browse_description, NODE_ID, node_id) V(browse_description, INT32, browse_direction) \
    V(browse_description, NODE_ID, reference_type_id) V(browse_description, BOOLEAN, include_subtypes) \
    V(browse_description, UINT32, node_class_mask) V(browse_description, UINT32, result_mask)
#define UA_LAYOUT_browse_request(V, A, S, L) \
    S(browse_request, request_header, header) S(browse_request, view_description, view) \
    V(browse_request, UINT32, requested_max_references_per_node) \
    L(browse_request, browse_description, nodes_to_browse)
#define UA_LAYOUT_reference_description(V, A, S, L) \
    V(reference_description, NODE_ID, reference_type_id) V(reference_description, BOOLEAN, is_forward) \
    V(reference_description, EXPANDED_NODE_ID, node_id) V(reference_description, QUALIFIED_NAME, browse_name) \
    V(reference_description, LOCALIZED_TEXT, display_name) V(reference_description, INT32, node_class) \
    V(reference_description, EXPANDED_NODE_ID, type_definition)
#define UA_LAYOUT_browse_result(V, A, S, L) \
    V(browse_result, STATUS_CODE, status_code) V(browse_result, BYTE_STRING, continuation_point) \
    L(browse_result, reference_description, references)
#define UA_LAYOUT_browse_response(V, A, S, L) \
    S(browse_response, response_header, header) L(browse_response, browse_result, results) \
    A(browse_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_browse_next_request(V, A, S, L) \
    S(browse_next_request, request_header, header) V(browse_next_request, BOOLEAN, release_continuation_points) \
    A(browse_next_request, BYTE_STRING, continuation_points)
#define UA_LAYOUT_browse_next_response(V, A, S, L) \
    S(browse_next_response, response_header, header) L(browse_next_response, browse_result, results) \
    A(browse_next_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_relative_path_element(V, A, S, L) \
    V(relative_path_element, NODE_ID, reference_type_id) V(relative_path_element, BOOLEAN, is_inverse) \
    V(relative_path_element, BOOLEAN, include_subtypes) V(relative_path_element, QUALIFIED_NAME, target_name)
#define UA_LAYOUT_relative_path(V, A, S, L) \
    L(relative_path, relative_path_element, elements)
#define UA_LAYOUT_browse_path(V, A, S, L) \
    V(browse_path, NODE_ID, starting_node) S(browse_path, relative_path, relative_path)
#define UA_LAYOUT_browse_path_target(V, A, S, L) \
    V(browse_path_target, EXPANDED_NODE_ID, target_id) V(browse_path_target, UINT32, remaining_path_index)
#define UA_LAYOUT_browse_path_result(V, A, S, L) \
    V(browse_path_result, STATUS_CODE, status_code) L(browse_path_result, browse_path_target, targets)
#define UA_LAYOUT_translate_request(V, A, S, L) \
    S(translate_request, request_header, header) L(translate_request, browse_path, browse_paths)
#define UA_LAYOUT_translate_response(V, A, S, L) \
    S(translate_response, response_header, header) L(translate_response, browse_path_result, results) \
    A(translate_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_register_nodes_request(V, A, S, L) \
    S(register_nodes_request, request_header, header) A(register_nodes_request, NODE_ID, nodes_to_register)
#define UA_LAYOUT_register_nodes_response(V, A, S, L) \
    S(register_nodes_response, response_header, header) A(register_nodes_response, NODE_ID, registered_node_ids)
#define UA_LAYOUT_unregister_nodes_request(V, A, S, L) \
    S(unregister_nodes_request, request_header, header) A(unregister_nodes_request, NODE_ID, nodes_to_unregister)
#define UA_LAYOUT_read_value_id(V, A, S, L) \
    V(read_value_id, NODE_ID, node_id) V(read_value_id, UINT32, attribute_id) V(read_value_id, STRING, index_range) \
    V(read_value_id, QUALIFIED_NAME, data_encoding)
#define UA_LAYOUT_read_request(V, A, S, L) \
    S(read_request, request_header, header) V(read_request, DOUBLE, max_age) \
    V(read_request, INT32, timestamps_to_return) L(read_request, read_value_id, nodes_to_read)
#define UA_LAYOUT_read_response(V, A, S, L) \
    S(read_response, response_header, header) A(read_response, DATA_VALUE, results) \
    A(read_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_write_value(V, A, S, L) \
    V(write_value, NODE_ID, node_id) V(write_value, UINT32, attribute_id) V(write_value, STRING, index_range) \
    V(write_value, DATA_VALUE, value)
#define UA_LAYOUT_write_request(V, A, S, L) \
    S(write_request, request_header, header) L(write_request, write_value, nodes_to_write)
#define UA_LAYOUT_write_response(V, A, S, L) \
    S(write_response, response_header, header) A(write_response, STATUS_CODE, results) \
    A(write_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_call_method_request(V, A, S, L) \
    V(call_method_request, NODE_ID, object_id) V(call_method_request, NODE_ID, method_id) \
    A(call_method_request, VARIANT, input_arguments)
#define UA_LAYOUT_call_method_result(V, A, S, L) \
    V(call_method_result, STATUS_CODE, status_code) A(call_method_result, STATUS_CODE, input_argument_results) \
    A(call_method_result, DIAGNOSTIC_INFO, input_argument_diagnostic_infos) \
    A(call_method_result, VARIANT, output_arguments)
#define UA_LAYOUT_call_request(V, A, S, L) \
    S(call_request, request_header, header) L(call_request, call_method_request, methods_to_call)
#define UA_LAYOUT_call_response(V, A, S, L) \
    S(call_response, response_header, header) L(call_response, call_method_result, results) \
    A(call_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_monitoring_parameters(V, A, S, L) \
    V(monitoring_parameters, UINT32, client_handle) V(monitoring_parameters, DOUBLE, sampling_interval) \
    V(monitoring_parameters, EXTENSION_OBJECT, filter) V(monitoring_parameters, UINT32, queue_size) \
    V(monitoring_parameters, BOOLEAN, discard_oldest)
#define UA_LAYOUT_monitored_item_create_request(V, A, S, L) \
    S(monitored_item_create_request, read_value_id, item_to_monitor) \
    V(monitored_item_create_request, INT32, monitoring_mode) \
    S(monitored_item_create_request, monitoring_parameters, requested_parameters)
#define UA_LAYOUT_monitored_item_create_result(V, A, S, L) \
    V(monitored_item_create_result, STATUS_CODE, status_code) \
    V(monitored_item_create_result, UINT32, monitored_item_id) \
    V(monitored_item_create_result, DOUBLE, revised_sampling_interval) \
    V(monitored_item_create_result, UINT32, revised_queue_size) \
    V(monitored_item_create_result, EXTENSION_OBJECT, filter_result)
#define UA_LAYOUT_create_monitored_items_request(V, A, S, L) \
    S(create_monitored_items_request, request_header, header) \
    V(create_monitored_items_request, UINT32, subscription_id) \
    V(create_monitored_items_request, INT32, timestamps_to_return) \
    L(create_monitored_items_request, monitored_item_create_request, items_to_create)
#define UA_LAYOUT_create_monitored_items_response(V, A, S, L) \
    S(create_monitored_items_response, response_header, header) \
    L(create_monitored_items_response, monitored_item_create_result, results) \
    A(create_monitored_items_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_monitored_item_modify_request(V, A, S, L) \
    V(monitored_item_modify_request, UINT32, monitored_item_id) \
    S(monitored_item_modify_request, monitoring_parameters, requested_parameters)
#define UA_LAYOUT_monitored_item_modify_result(V, A, S, L) \
    V(monitored_item_modify_result, STATUS_CODE, status_code) \
    V(monitored_item_modify_result, DOUBLE, revised_sampling_interval) \
    V(monitored_item_modify_result, UINT32, revised_queue_size) \
    V(monitored_item_modify_result, EXTENSION_OBJECT, filter_result)
#define UA_LAYOUT_modify_monitored_items_request(V, A, S, L) \
    S(modify_monitored_items_request, request_header, header) \
    V(modify_monitored_items_request, UINT32, subscription_id) \
    V(modify_monitored_items_request, INT32, timestamps_to_return) \
    L(modify_monitored_items_request, monitored_item_modify_request, items_to_modify)
#define UA_LAYOUT_set_monitoring_mode_request(V, A, S, L) \
    S(set_monitoring_mode_request, request_header, header) V(set_monitoring_mode_request, UINT32, subscription_id) \
    V(set_monitoring_mode_request, INT32, monitoring_mode) A(set_monitoring_mode_request, UINT32, monitored_item_ids)
#define UA_LAYOUT_set_monitoring_mode_response(V, A, S, L) \
    S(set_monitoring_mode_response, response_header, header) A(set_monitoring_mode_response, STATUS_CODE, results) \
    A(set_monitoring_mode_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_set_triggering_request(V, A, S, L) \
    S(set_triggering_request, request_header, header) V(set_triggering_request, UINT32, subscription_id) \
    V(set_triggering_request, UINT32, triggering_item_id) A(set_triggering_request, UINT32, links_to_add) \
    A(set_triggering_request, UINT32, links_to_remove)
#define UA_LAYOUT_delete_monitored_items_request(V, A, S, L) \
    S(delete_monitored_items_request, request_header, header) \
    V(delete_monitored_items_request, UINT32, subscription_id) \
    A(delete_monitored_items_request, UINT32, monitored_item_ids)
#define UA_LAYOUT_delete_monitored_items_response(V, A, S, L) \
    S(delete_monitored_items_response, response_header, header) \
    A(delete_monitored_items_response, STATUS_CODE, results) \
    A(delete_monitored_items_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_create_subscription_request(V, A, S, L) \
    S(create_subscription_request, request_header, header) \
    V(create_subscription_request, DOUBLE, requested_publishing_interval) \
    V(create_subscription_request, UINT32, requested_lifetime_count) \
    V(create_subscription_request, UINT32, requested_max_keep_alive_count) \
    V(create_subscription_request, UINT32, max_notifications_per_publish) \
    V(create_subscription_request, BOOLEAN, publishing_enabled) V(create_subscription_request, BYTE, priority)
#define UA_LAYOUT_create_subscription_response(V, A, S, L) \
    S(create_subscription_response, response_header, header) V(create_subscription_response, UINT32, subscription_id) \
    V(create_subscription_response, DOUBLE, revised_publishing_interval) \
    V(create_subscription_response, UINT32, revised_lifetime_count) \
    V(create_subscription_response, UINT32, revised_max_keep_alive_count)
#define UA_LAYOUT_modify_subscription_request(V, A, S, L) \
    S(modify_subscription_request, request_header, header) V(modify_subscription_request, UINT32, subscription_id) \
    V(modify_subscription_request, DOUBLE, requested_publishing_interval) \
    V(modify_subscription_request, UINT32, requested_lifetime_count) \
    V(modify_subscription_request, UINT32, requested_max_keep_alive_count) \
    V(modify_subscription_request, UINT32, max_notifications_per_publish) \
    V(modify_subscription_request, BYTE, priority)
#define UA_LAYOUT_modify_subscription_response(V, A, S, L) \
    S(modify_subscription_response, response_header, header) \
    V(modify_subscription_response, DOUBLE, revised_publishing_interval) \
    V(modify_subscription_response, UINT32, revised_lifetime_count) \
    V(modify_subscription_response, UINT32, revised_max_keep_alive_count)
#define UA_LAYOUT_set_publishing_mode_request(V, A, S, L) \
    S(set_publishing_mode_request, request_header, header) V(set_publishing_mode_request, BOOLEAN, publishing_enabled) \
    A(set_publishing_mode_request, UINT32, subscription_ids)
#define UA_LAYOUT_set_publishing_mode_response(V, A, S, L) \
    S(set_publishing_mode_response, response_header, header) A(set_publishing_mode_response, STATUS_CODE, results) \
    A(set_publishing_mode_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_notification_message(V, A, S, L) \
    V(notification_message, UINT32, sequence_number) V(notification_message, DATE_TIME, publish_time) \
    A(notification_message, EXTENSION_OBJECT, notification_data)
#define UA_LAYOUT_monitored_item_notification(V, A, S, L) \
    V(monitored_item_notification, UINT32, client_handle) V(monitored_item_notification, DATA_VALUE, value)
#define UA_LAYOUT_data_change_notification(V, A, S, L) \
    L(data_change_notification, monitored_item_notification, monitored_items) \
    A(data_change_notification, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_event_field_list(V, A, S, L) \
    V(event_field_list, UINT32, client_handle) A(event_field_list, VARIANT, event_fields)
#define UA_LAYOUT_event_notification_list(V, A, S, L) \
    L(event_notification_list, event_field_list, events)
#define UA_LAYOUT_status_change_notification(V, A, S, L) \
    V(status_change_notification, STATUS_CODE, status) V(status_change_notification, DIAGNOSTIC_INFO, diagnostic_info)
#define UA_LAYOUT_subscription_acknowledgement(V, A, S, L) \
    V(subscription_acknowledgement, UINT32, subscription_id) V(subscription_acknowledgement, UINT32, sequence_number)
#define UA_LAYOUT_publish_request(V, A, S, L) \
    S(publish_request, request_header, header) \
    L(publish_request, subscription_acknowledgement, subscription_acknowledgements)
#define UA_LAYOUT_publish_response(V, A, S, L) \
    S(publish_response, response_header, header) V(publish_response, UINT32, subscription_id) \
    A(publish_response, UINT32, available_sequence_numbers) V(publish_response, BOOLEAN, more_notifications) \
    S(publish_response, notification_message, notification_message) A(publish_response, STATUS_CODE, results) \
    A(publish_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_republish_request(V, A, S, L) \
    S(republish_request, request_header, header) V(republish_request, UINT32, subscription_id) \
    V(republish_request, UINT32, retransmit_sequence_number)
#define UA_LAYOUT_republish_response(V, A, S, L) \
    S(republish_response, response_header, header) S(republish_response, notification_message, notification_message)
#define UA_LAYOUT_transfer_result(V, A, S, L) \
    V(transfer_result, STATUS_CODE, status_code) A(transfer_result, UINT32, available_sequence_numbers)
#define UA_LAYOUT_transfer_subscriptions_request(V, A, S, L) \
    S(transfer_subscriptions_request, request_header, header) \
    A(transfer_subscriptions_request, UINT32, subscription_ids) \
    V(transfer_subscriptions_request, BOOLEAN, send_initial_values)
#define UA_LAYOUT_transfer_subscriptions_response(V, A, S, L) \
    S(transfer_subscriptions_response, response_header, header) \
    L(transfer_subscriptions_response, transfer_result, results) \
    A(transfer_subscriptions_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_delete_subscriptions_request(V, A, S, L) \
    S(delete_subscriptions_request, request_header, header) A(delete_subscriptions_request, UINT32, subscription_ids)
#define UA_LAYOUT_delete_subscriptions_response(V, A, S, L) \
    S(delete_subscriptions_response, response_header, header) A(delete_subscriptions_response, STATUS_CODE, results) \
    A(delete_subscriptions_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_data_change_filter(V, A, S, L) \
    V(data_change_filter, INT32, trigger) V(data_change_filter, UINT32, deadband_type) \
    V(data_change_filter, DOUBLE, deadband_value)
#define UA_LAYOUT_simple_attribute_operand(V, A, S, L) \
    V(simple_attribute_operand, NODE_ID, type_definition_id) A(simple_attribute_operand, QUALIFIED_NAME, browse_path) \
    V(simple_attribute_operand, UINT32, attribute_id) V(simple_attribute_operand, STRING, index_range)
#define UA_LAYOUT_content_filter_element(V, A, S, L) \
    V(content_filter_element, INT32, filter_operator) A(content_filter_element, EXTENSION_OBJECT, filter_operands)
#define UA_LAYOUT_content_filter(V, A, S, L) \
    L(content_filter, content_filter_element, elements)
#define UA_LAYOUT_event_filter(V, A, S, L) \
    L(event_filter, simple_attribute_operand, select_clauses) S(event_filter, content_filter, where_clause)
#define UA_LAYOUT_content_filter_element_result(V, A, S, L) \
    V(content_filter_element_result, STATUS_CODE, status_code) \
    A(content_filter_element_result, STATUS_CODE, operand_status_codes) \
    A(content_filter_element_result, DIAGNOSTIC_INFO, operand_diagnostic_infos)
#define UA_LAYOUT_content_filter_result(V, A, S, L) \
    L(content_filter_result, content_filter_element_result, element_results) \
    A(content_filter_result, DIAGNOSTIC_INFO, element_diagnostic_infos)
#define UA_LAYOUT_event_filter_result(V, A, S, L) \
    A(event_filter_result, STATUS_CODE, select_clause_results) \
    A(event_filter_result, DIAGNOSTIC_INFO, select_clause_diagnostic_infos) \
    S(event_filter_result, content_filter_result, where_clause_result)
#define UA_LAYOUT_literal_operand(V, A, S, L) \
    V(literal_operand, VARIANT, value)
#define UA_LAYOUT_range(V, A, S, L) \
    V(range, DOUBLE, low) V(range, DOUBLE, high)
#define UA_LAYOUT_eu_information(V, A, S, L) \
    V(eu_information, STRING, namespace_uri) V(eu_information, INT32, unit_id) \
    V(eu_information, LOCALIZED_TEXT, display_name) V(eu_information, LOCALIZED_TEXT, description)
#define UA_LAYOUT_argument(V, A, S, L) \
    V(argument, STRING, name) V(argument, NODE_ID, data_type) V(argument, INT32, value_rank) \
    A(argument, UINT32, array_dimensions) V(argument, LOCALIZED_TEXT, description)
#define UA_LAYOUT_build_info(V, A, S, L) \
    V(build_info, STRING, product_uri) V(build_info, STRING, manufacturer_name) V(build_info, STRING, product_name) \
    V(build_info, STRING, software_version) V(build_info, STRING, build_number) V(build_info, DATE_TIME, build_date)
#define UA_LAYOUT_server_status_data_type(V, A, S, L) \
    V(server_status_data_type, DATE_TIME, start_time) V(server_status_data_type, DATE_TIME, current_time) \
    V(server_status_data_type, INT32, state) S(server_status_data_type, build_info, build_info) \
    V(server_status_data_type, UINT32, seconds_till_shutdown) \
    V(server_status_data_type, LOCALIZED_TEXT, shutdown_reason)
#define UA_LAYOUT_structure_field(V, A, S, L) \
    V(structure_field, STRING, name) V(structure_field, LOCALIZED_TEXT, description) \
    V(structure_field, NODE_ID, data_type) V(structure_field, INT32, value_rank) \
    A(structure_field, UINT32, array_dimensions) V(structure_field, UINT32, max_string_length) \
    V(structure_field, BOOLEAN, is_optional)
#define UA_LAYOUT_structure_definition(V, A, S, L) \
    V(structure_definition, NODE_ID, default_encoding_id) V(structure_definition, NODE_ID, base_data_type) \
    V(structure_definition, INT32, structure_type) L(structure_definition, structure_field, fields)
#define UA_LAYOUT_enum_field(V, A, S, L) \
    V(enum_field, INT64, value) V(enum_field, LOCALIZED_TEXT, display_name) V(enum_field, LOCALIZED_TEXT, description) \
    V(enum_field, STRING, name)
#define UA_LAYOUT_enum_definition(V, A, S, L) \
    L(enum_definition, enum_field, fields)
#define UA_LAYOUT_enum_value_type(V, A, S, L) \
    V(enum_value_type, INT64, value) V(enum_value_type, LOCALIZED_TEXT, display_name) \
    V(enum_value_type, LOCALIZED_TEXT, description)
#define UA_LAYOUT_unregister_nodes_response(V, A, S, L) \
    S(unregister_nodes_response, response_header, header)
#define UA_LAYOUT_cancel_response(V, A, S, L) \
    S(cancel_response, response_header, header) V(cancel_response, UINT32, cancel_count)
#define UA_LAYOUT_modify_monitored_items_response(V, A, S, L) \
    S(modify_monitored_items_response, response_header, header) \
    L(modify_monitored_items_response, monitored_item_modify_result, results) \
    A(modify_monitored_items_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_set_triggering_response(V, A, S, L) \
    S(set_triggering_response, response_header, header) A(set_triggering_response, STATUS_CODE, add_results) \
    A(set_triggering_response, DIAGNOSTIC_INFO, add_diagnostic_infos) \
    A(set_triggering_response, STATUS_CODE, remove_results) \
    A(set_triggering_response, DIAGNOSTIC_INFO, remove_diagnostic_infos)
#define UA_LAYOUT_history_read_value_id(V, A, S, L) \
    V(history_read_value_id, NODE_ID, node_id) V(history_read_value_id, STRING, index_range) \
    V(history_read_value_id, QUALIFIED_NAME, data_encoding) V(history_read_value_id, BYTE_STRING, continuation_point)
#define UA_LAYOUT_history_read_request(V, A, S, L) \
    S(history_read_request, request_header, header) V(history_read_request, EXTENSION_OBJECT, history_read_details) \
    V(history_read_request, INT32, timestamps_to_return) V(history_read_request, BOOLEAN, release_continuation_points) \
    L(history_read_request, history_read_value_id, nodes_to_read)
#define UA_LAYOUT_history_read_result(V, A, S, L) \
    V(history_read_result, STATUS_CODE, status_code) V(history_read_result, BYTE_STRING, continuation_point) \
    V(history_read_result, EXTENSION_OBJECT, history_data)
#define UA_LAYOUT_history_read_response(V, A, S, L) \
    S(history_read_response, response_header, header) L(history_read_response, history_read_result, results) \
    A(history_read_response, DIAGNOSTIC_INFO, diagnostic_infos)
#define UA_LAYOUT_read_raw_modified_details(V, A, S, L) \
    V(read_raw_modified_details, BOOLEAN, is_read_modified) V(read_raw_modified_details, DATE_TIME, start_time) \
    V(read_raw_modified_details, DATE_TIME, end_time) V(read_raw_modified_details, UINT32, num_values_per_node) \
    V(read_raw_modified_details, BOOLEAN, return_bounds)
#define UA_LAYOUT_history_data(V, A, S, L) \
    A(history_data, DATA_VALUE, data_values)

/* name, number of its binary encoding (0: only inside of others) */
#define UA_STRUCTS(X) \
    X(request_header, 0) \
    X(response_header, 0) \
    X(service_fault, 397) \
    X(application_description, 0) \
    X(user_token_policy, 0) \
    X(endpoint_description, 0) \
    X(find_servers_request, 422) \
    X(find_servers_response, 425) \
    X(get_endpoints_request, 428) \
    X(get_endpoints_response, 431) \
    X(open_secure_channel_request, 446) \
    X(channel_security_token, 0) \
    X(open_secure_channel_response, 449) \
    X(close_secure_channel_request, 452) \
    X(signature_data, 0) \
    X(signed_software_certificate, 346) \
    X(create_session_request, 461) \
    X(create_session_response, 464) \
    X(activate_session_request, 467) \
    X(activate_session_response, 470) \
    X(close_session_request, 473) \
    X(close_session_response, 476) \
    X(cancel_request, 479) \
    X(anonymous_identity_token, 321) \
    X(user_name_identity_token, 324) \
    X(x509_identity_token, 327) \
    X(issued_identity_token, 940) \
    X(view_description, 0) \
    X(browse_description, 0) \
    X(browse_request, 527) \
    X(reference_description, 0) \
    X(browse_result, 0) \
    X(browse_response, 530) \
    X(browse_next_request, 533) \
    X(browse_next_response, 536) \
    X(relative_path_element, 0) \
    X(relative_path, 0) \
    X(browse_path, 0) \
    X(browse_path_target, 0) \
    X(browse_path_result, 0) \
    X(translate_request, 554) \
    X(translate_response, 557) \
    X(register_nodes_request, 560) \
    X(register_nodes_response, 563) \
    X(unregister_nodes_request, 566) \
    X(read_value_id, 0) \
    X(read_request, 631) \
    X(read_response, 634) \
    X(write_value, 0) \
    X(write_request, 673) \
    X(write_response, 676) \
    X(call_method_request, 0) \
    X(call_method_result, 0) \
    X(call_request, 712) \
    X(call_response, 715) \
    X(monitoring_parameters, 0) \
    X(monitored_item_create_request, 0) \
    X(monitored_item_create_result, 0) \
    X(create_monitored_items_request, 751) \
    X(create_monitored_items_response, 754) \
    X(monitored_item_modify_request, 0) \
    X(monitored_item_modify_result, 0) \
    X(modify_monitored_items_request, 763) \
    X(set_monitoring_mode_request, 769) \
    X(set_monitoring_mode_response, 772) \
    X(set_triggering_request, 775) \
    X(delete_monitored_items_request, 781) \
    X(delete_monitored_items_response, 784) \
    X(create_subscription_request, 787) \
    X(create_subscription_response, 790) \
    X(modify_subscription_request, 793) \
    X(modify_subscription_response, 796) \
    X(set_publishing_mode_request, 799) \
    X(set_publishing_mode_response, 802) \
    X(notification_message, 0) \
    X(monitored_item_notification, 0) \
    X(data_change_notification, 811) \
    X(event_field_list, 0) \
    X(event_notification_list, 916) \
    X(status_change_notification, 820) \
    X(subscription_acknowledgement, 0) \
    X(publish_request, 826) \
    X(publish_response, 829) \
    X(republish_request, 832) \
    X(republish_response, 835) \
    X(transfer_result, 0) \
    X(transfer_subscriptions_request, 841) \
    X(transfer_subscriptions_response, 844) \
    X(delete_subscriptions_request, 847) \
    X(delete_subscriptions_response, 850) \
    X(data_change_filter, 724) \
    X(simple_attribute_operand, 603) \
    X(content_filter_element, 0) \
    X(content_filter, 588) \
    X(event_filter, 727) \
    X(content_filter_element_result, 0) \
    X(content_filter_result, 0) \
    X(event_filter_result, 736) \
    X(literal_operand, 597) \
    X(range, 886) \
    X(eu_information, 889) \
    X(argument, 298) \
    X(build_info, 340) \
    X(server_status_data_type, 864) \
    X(structure_field, 14844) \
    X(structure_definition, 122) \
    X(enum_field, 14845) \
    X(enum_definition, 123) \
    X(enum_value_type, 8251) \
    X(unregister_nodes_response, 569) \
    X(cancel_response, 482) \
    X(modify_monitored_items_response, 766) \
    X(set_triggering_response, 778) \
    X(history_read_value_id, 0) \
    X(history_read_request, 664) \
    X(history_read_result, 0) \
    X(history_read_response, 667) \
    X(read_raw_modified_details, 649) \
    X(history_data, 658)
