/* Call: methods of objects, their arguments checked before they hear of it. */
#include "uaserver/fit.h"
#include "uaserver/serve.h"

/* The object has it as a component, or its type does. */
static bool has_method(const struct ua_node *object, const struct ua_node *method)
{
    for (uint32_t i = 0; i < object->ref_count; i++) {
        const struct ua_ref *ref = &object->refs[i];
        if (ref->inverse)
            continue;
        if (ref->type == UA_ID_HAS_COMPONENT && ref->to == method)
            return true;
        if (ref->type == UA_ID_HAS_TYPE_DEFINITION && ref->to != object && has_method(ref->to, method))
            return true;
    }
    return false;
}

static ua_status find_method(const struct uas_request *r, const struct ua_call_method_request *q, struct ua_node **object,
                             struct ua_method **method)
{
    *object = ua_find(r->server->space, &q->object_id);
    struct ua_node *m = ua_find(r->server->space, &q->method_id);
    *method = ua_as_method(m);
    if (!*object)
        return UA_BAD_NODE_ID_UNKNOWN;
    if (!m || !*method || !has_method(*object, m))
        return UA_BAD_METHOD_INVALID;
    if (!(*method)->executable || !(*method)->call)
        return UA_BAD_NOT_EXECUTABLE;
    return ua_may_call(&r->session->user, *method) ? UA_GOOD : UA_BAD_USER_ACCESS_DENIED;
}

static ua_status check_arguments(const struct uas_request *r, const struct ua_method *m, struct ua_variant *inputs, uint32_t count,
                                 ua_status *results)
{
    if (count < m->input_count)
        return UA_BAD_ARGUMENTS_MISSING;
    if (count > m->input_count)
        return UA_BAD_TOO_MANY_ARGUMENTS;
    ua_status status = UA_GOOD;
    for (uint32_t i = 0; i < count; i++) {
        const struct ua_argument *a = &m->inputs[i];
        const struct ua_shape shape = { a->data_type, ua_builtin_of(r->server->space, &a->data_type), a->value_rank,
                                        a->array_dimensions, a->array_dimensions_count };
        if (ua_fits(&shape, &inputs[i]))
            continue;
        results[i] = UA_BAD_TYPE_MISMATCH;
        status = UA_BAD_INVALID_ARGUMENT;
    }
    return status;
}

static bool any_bad(const ua_status *results, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ua_is_bad(results[i]))
            return true;
    return false;
}

static void call_one(struct uas_request *r, const struct ua_call_method_request *q, struct ua_call_method_result *out)
{
    struct ua_node *object;
    struct ua_method *m;
    uint32_t count = q->input_arguments_count;
    out->status_code = find_method(r, q, &object, &m);
    if (out->status_code != UA_GOOD)
        return;
    uint32_t output_count = m->output_count; /* a method may remove itself */
    struct ua_variant *inputs = arena_take(r->arena, (count + 1) * sizeof *inputs);
    struct ua_variant *outputs = arena_zero(r->arena, (output_count + 1) * sizeof *outputs);
    ua_status *results = arena_zero(r->arena, (count + 1) * sizeof *results);
    if (!inputs || !outputs || !results) {
        out->status_code = UA_BAD_OUT_OF_MEMORY;
        return;
    }
    if (count)
        memcpy(inputs, q->input_arguments, count * sizeof *inputs);
    out->status_code = check_arguments(r, m, inputs, count, results);
    if (out->status_code == UA_GOOD) {
        struct ua_call call = { object, &m->node, &r->session->user, inputs,         count,
                                results, outputs, output_count,       r->arena };
        out->status_code = m->call(m->ctx, &call);
        if (any_bad(results, count))
            out->status_code = UA_BAD_INVALID_ARGUMENT;
    }
    if (out->status_code == UA_BAD_INVALID_ARGUMENT) {
        out->input_argument_results = results;
        out->input_argument_results_count = count;
    }
    if (ua_is_bad(out->status_code))
        return;
    out->output_arguments = outputs;
    out->output_arguments_count = output_count;
}

void uas_call_service(struct uas_request *r)
{
    struct ua_call_request q;
    if (!uas_read(r, &ua_call_request_type, &q) || !uas_count(r, q.methods_to_call_count))
        return;
    struct ua_call_method_result *results = arena_zero(r->arena, q.methods_to_call_count * sizeof *results);
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < q.methods_to_call_count; i++)
        call_one(r, &q.methods_to_call[i], &results[i]);
    uas_add(&uas_counters.calls, q.methods_to_call_count);
    struct ua_call_response a = { .results = results, .results_count = q.methods_to_call_count };
    uas_answer(r, &ua_call_response_type, &a);
}
