#include "cli/ask.h"

void answer_clear(struct answer *a)
{
    json_decref(a->tree);
    buf_clear(&a->body);
    *a = (struct answer){ 0 };
}

enum code ask(const struct api_client *client, const char *target, const struct bytes *posted, struct answer *a,
              struct fault *why)
{
    *a = (struct answer){ 0 };
    enum code c = posted ? api_client_post(client, target, *posted, &a->body, why)
                         : api_client_get(client, target, &a->body, why);
    if (c == CODE_OK) {
        struct bytes body = buf_bytes(&a->body);
        a->tree = json_loadb((const char *)body.at, body.len, 0, NULL);
        if (!json_is_object(a->tree))
            c = FAIL(why, CODE_MALFORMED, 0, "the node's answer is no JSON object; is it of another version?");
    }
    if (c != CODE_OK)
        answer_clear(a);
    return c;
}

int ask_node(const struct verb_call *call, const struct config_flags *config, const char *target,
             const struct bytes *posted, struct answer *a)
{
    struct api_client client;
    struct fault why;
    int status = api_client_find(call, config, &client);
    if (status != STATUS_DONE)
        return status;
    return ask(&client, target, posted, a, &why) == CODE_OK ? STATUS_DONE : verb_fail(call, &why);
}

const char *member_text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

uint64_t member_count(const json_t *o, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(o, name));
    return v > 0 ? (uint64_t)v : 0;
}
