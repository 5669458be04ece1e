/* node_doors.c - the numbers that connections carry from the listener they came through. */
#include "node/node_private.h"

#include "base/mem.h"

static bool share_an_address(const struct settings_listener *a, const struct settings_listener *b)
{
    for (size_t i = 0; i < a->at_count; i++)
        for (size_t k = 0; k < b->at_count; k++)
            if (strcmp(a->at[i].text, b->at[k].text) == 0)
                return true;
    return false;
}

/* The number of the listener of before that has an address of this one; its count when there is none or it is taken. */
static uint16_t number_of(const struct settings_listener *l, const struct settings *before, const struct doors *old,
                          const struct doors *out)
{
    for (size_t i = 0; before && i < before->listener_count; i++)
        if (!out->at[old->of[i]] && share_an_address(l, &before->listeners[i]))
            return old->of[i];
    return UINT16_MAX;
}

enum code doors_make(const struct settings *s, const struct settings *before, const struct doors *old, struct doors *out,
                     struct fault *why)
{
    size_t had = old ? old->count : 0, most = had + s->listener_count;
    *out = (struct doors){
        .of = mem_zalloc(s->listener_count + 1, sizeof *out->of),
        .listeners = s->listener_count,
        .at = mem_zalloc(most + 1, sizeof *out->at),
        .auth = mem_zalloc(most + 1, sizeof *out->auth),
        .count = had,
    };
    if (!out->of || !out->at || !out->auth) {
        doors_clear(out);
        return FAIL(why, CODE_NOMEM, 0, "no memory for %zu listeners", s->listener_count);
    }
    if (had)
        memcpy(out->auth, old->auth, had * sizeof *out->auth);
    for (size_t i = 0; i < s->listener_count; i++) {
        const struct settings_listener *l = &s->listeners[i];
        uint16_t number = number_of(l, before, old, out);
        if (number == UINT16_MAX && out->count >= UINT16_MAX) {
            doors_clear(out);
            return FAIL_FG(why, CODE_LIMIT, 1032, "listeners were changed 65535 times since the start: start the node again");
        }
        if (number == UINT16_MAX)
            number = (uint16_t)out->count++;
        out->of[i] = number;
        out->at[number] = l;
        out->auth[number] = (struct auth_door){ l->auth, l->certificate_user };
    }
    return CODE_OK;
}

void doors_clear(struct doors *d)
{
    mem_free(d->of);
    mem_free(d->at);
    mem_free(d->auth);
    *d = (struct doors){ 0 };
}
