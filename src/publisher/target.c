/* target.c - see target.h. */
#include "publisher/target.h"

/* "2:" in front of the name. */
static bool take_index(struct bytes *text, uint16_t *ns)
{
    size_t n = 0;
    uint32_t v = 0;
    while (n < text->len && n < 5 && text->at[n] >= '0' && text->at[n] <= '9')
        v = v * 10 + (text->at[n++] - '0');
    if (!n || n >= text->len || text->at[n] != ':' || v > UINT16_MAX)
        return false;
    *ns = (uint16_t)v;
    *text = bytes_from(*text, n + 1);
    return true;
}

/* "http://press.example/#Name" or "nsu=http://press.example/;Name". */
static void take_uri(struct bytes *text, struct bytes *uri)
{
    bool marked = bytes_starts(*text, "nsu=");
    size_t end = 0, colon = 0;
    for (size_t i = 0; i < text->len; i++) {
        if (text->at[i] == (marked ? ';' : '#') && !(i && text->at[i - 1] == '&')) {
            end = i;
            if (marked)
                break;
        }
        if (text->at[i] == ':' && !colon)
            colon = i;
    }
    if (!end || (!marked && (!colon || colon > end)))
        return;
    *uri = bytes_of(text->at + (marked ? 4 : 0), end - (marked ? 4 : 0));
    *text = bytes_from(*text, end + 1);
}

static bool plain_name(struct bytes text, struct arena *arena, struct bytes *out)
{
    uint8_t *to = arena_take(arena, text.len + 1);
    size_t n = 0;
    if (!to)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '&' && i + 1 < text.len)
            i++;
        to[n++] = text.at[i];
    }
    *out = bytes_of(to, n);
    return true;
}

/* False: no memory. A step without a name is one that cannot be read. */
static bool read_step(struct target_step *s, struct bytes text, struct arena *arena)
{
    if (text.len && (text.at[0] == '/' || text.at[0] == '.')) {
        s->part = text.at[0] == '.';
        text = bytes_from(text, 1);
    }
    if (text.len && (text.at[0] == '<' || text.at[0] == '/'))
        return true;
    if (!take_index(&text, &s->ns))
        take_uri(&text, &s->uri);
    if (s->uri.len) {
        s->uri.at = (const uint8_t *)arena_text(arena, s->uri);
        if (!s->uri.at)
            return false;
    }
    return !text.len || plain_name(text, arena, &s->name);
}

enum code target_parse(struct target_step **steps, uint32_t *count, const struct jtree *list,
                       struct arena *arena, struct fault *why)
{
    if (list->kind != JTREE_LIST || !list->count || list->count > TARGET_STEPS_MAX)
        return FAIL(why, CODE_MALFORMED, 0, "%u:%u: BrowsePath must be a list of 1 to %d names", list->line,
                    list->column, TARGET_STEPS_MAX);
    struct target_step *at = arena_zero(arena, list->count * sizeof *at);
    if (!at)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the published nodes");
    *steps = at;
    *count = list->count;
    for (const struct jtree *v = list->first; v; v = v->next, at++) {
        char said[64];
        if (v->kind == JTREE_TEXT && !read_step(at, v->text, arena))
            return FAIL(why, CODE_NOMEM, 0, "no memory for the published nodes");
        if (!at->name.len)
            return FAIL(
                why, CODE_MALFORMED, 0,
                "%u:%u: a part of BrowsePath must be a browse name such as \"2:Temperature\", got '%s'",
                v->line, v->column,
                v->kind == JTREE_TEXT ? bytes_escape(v->text, said, sizeof said) : "no text");
    }
    return CODE_OK;
}
