#include "expr/json_reader.h"

#include "base/mem.h"

#include <stdio.h>

enum { PAD = 64, LENT = 8192, KEYS_MAX = 10000, SLOTS_AT_ONCE = 4096, KEEP_BYTES = 1024 * 1024 };

/* Where in a body the next event is looked for. */
enum place_in { BETWEEN_EVENTS, ARRAY_BEGUN, BEHIND_ITEM };

struct json_reader {
    struct walk walk;
    struct pick pick;
    struct json_index index;
    struct arena arena;
    uint32_t nodes;      /* room in pick.seen                                           */
    struct value *slots; /* of the events that are made, one behind the other           */
    uint32_t events, events_room, served;
    bool later; /* events that were checked and will be made when they are asked for */
    const uint32_t *later_word;
    enum place_in place, later_place;
    uint8_t *copy; /* of a body without padding */
    size_t copy_room;
    uint8_t *start;                /* of the arena when it is empty */
    uint8_t lent[LENT];
};

struct json_reader *json_reader_new(const struct json_limits *limits)
{
    struct json_reader *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->walk.depth_max = limits && limits->depth ? limits->depth : VALUE_DEPTH;
    r->walk.keys_max = limits && limits->keys ? limits->keys : KEYS_MAX;
    if (r->walk.depth_max > VALUE_DEPTH)
        r->walk.depth_max = VALUE_DEPTH;
    /* What values take is bounded by the body: at most 32 bytes for each of its own. */
    arena_init(&r->arena, r->lent, sizeof r->lent, SIZE_MAX / 4);
    r->start = r->arena.at;
    r->walk.arena = &r->arena;
    return r;
}

void json_reader_free(struct json_reader *r)
{
    if (!r)
        return;
    json_index_clear(&r->index);
    arena_clear(&r->arena);
    mem_free(r->walk.stack);
    mem_free(r->pick.seen);
    mem_free(r->slots);
    mem_free(r->copy);
    mem_free(r);
}

static bool no_memory(struct json_reader *r)
{
    return walk_refuse(&r->walk, CODE_NOMEM, 0, "no memory for it");
}

/* What one large body needed is not kept for the small ones. */
static void forget(struct json_reader *r)
{
    r->events = r->served = 0;
    r->later = false;
    if (r->arena.at != r->start)
        arena_reset(&r->arena);
    if ((size_t)r->index.room * sizeof *r->index.at > KEEP_BYTES)
        json_index_clear(&r->index);
    if (r->copy_room > KEEP_BYTES) {
        mem_free(r->copy);
        r->copy = NULL;
        r->copy_room = 0;
    }
    if ((size_t)r->walk.room * sizeof *r->walk.stack > KEEP_BYTES) {
        mem_free(r->walk.stack);
        r->walk.stack = NULL;
        r->walk.room = 0;
    }
}

static bool own_copy(struct json_reader *r, struct bytes *body)
{
    size_t need = body->len + PAD;
    if (need > r->copy_room) {
        uint8_t *more = mem_realloc(r->copy, need);
        if (!more)
            return no_memory(r);
        r->copy = more;
        r->copy_room = need;
    }
    if (body->len)
        memcpy(r->copy, body->at, body->len);
    memset(r->copy + body->len, 0, PAD);
    body->at = r->copy;
    return true;
}

static bool use_plan(struct json_reader *r, const struct json_plan *plan)
{
    r->pick.plan = plan;
    if (plan->nodes <= r->nodes)
        return true;
    uint8_t *seen = mem_realloc(r->pick.seen, plan->nodes);
    if (seen)
        r->pick.seen = seen;
    if (!seen)
        return no_memory(r);
    r->nodes = plan->nodes;
    return true;
}

static uint32_t stride(const struct json_reader *r)
{
    return r->pick.plan->slots ? r->pick.plan->slots : 1;
}

/* Room for the slots of one more event, or *full. */
static bool slots_room(struct json_reader *r, bool *full)
{
    uint32_t events_max = stride(r) < SLOTS_AT_ONCE ? SLOTS_AT_ONCE / stride(r) : 1;
    *full = r->events == events_max;
    size_t need = ((size_t)r->events + 1) * stride(r);
    if (*full || need <= r->events_room)
        return true;
    size_t room = need <= 64 ? 64 : 2 * need;
    struct value *more = mem_realloc(r->slots, room * sizeof *more);
    if (!more)
        return no_memory(r);
    r->slots = more;
    r->events_room = (uint32_t)room;
    return true;
}

static bool refuse_here(struct json_reader *r, const char *what)
{
    struct walk *w = &r->walk;
    bool end = w->word >= w->last;
    return walk_refuse(w, CODE_MALFORMED, end ? w->len : *w->word, end ? "it ends too early" : what);
}

/* To the `{` of the next event, over commas and brackets of arrays of events. *end: there is none. */
static bool find_event(struct json_reader *r, bool *end)
{
    struct walk *w = &r->walk;
    for (;; w->word++) {
        uint8_t c = walk_at(w);
        *end = w->word >= w->last;
        if (r->place == BETWEEN_EVENTS) {
            if (*end || c == '{')
                return true;
            if (c != '[')
                return refuse_here(r, "neither an object nor an array of objects");
            r->place = ARRAY_BEGUN;
        } else if (r->place == ARRAY_BEGUN && c == '{') {
            return true;
        } else if (c == ']') {
            r->place = BETWEEN_EVENTS;
        } else if (r->place == BEHIND_ITEM && c == ',') {
            w->word++;
            return walk_at(w) == '{' || refuse_here(r, "not an object in an array of objects");
        } else {
            return refuse_here(r, r->place == ARRAY_BEGUN ? "not an object in an array of objects"
                                                          : "neither , nor ] behind an object in an array");
        }
    }
}

/* Goes over the events from here on. They are made until there is no room, then only checked. */
static bool read_events(struct json_reader *r)
{
    struct walk *w = &r->walk;
    bool checked = r->later; /* a second time: what is left is known to be right */
    r->later = false;
    for (;;) {
        bool end, full = true;
        enum place_in place = r->place;
        const uint32_t *word = w->word;
        if (!find_event(r, &end))
            return false;
        if (end)
            return true;
        if (!r->later && !slots_room(r, &full))
            return false;
        w->keys = 0;
        if (full && !r->later) {
            r->later = true;
            r->later_word = word;
            r->later_place = place;
            if (checked)
                return true;
        }
        r->pick.slots = r->slots + (size_t)r->events * stride(r);
        if (full ? !walk_skip(w) : !pick_event(w, &r->pick))
            return false;
        r->events += !full;
        r->place = r->place == BETWEEN_EVENTS ? BETWEEN_EVENTS : BEHIND_ITEM;
    }
}

static bool begin(struct json_reader *r, struct bytes body)
{
    struct walk *w = &r->walk;
    enum code code = json_index_build(&r->index, body);
    if (code)
        return walk_refuse(w, code, r->index.wrong_at,
                           code == CODE_NOMEM ? "no memory for it" : r->index.wrong);
    if (r->index.high && !utf8_valid(body, true))
        return walk_refuse(w, CODE_MALFORMED, 0, "bytes that are not UTF-8");
    w->text = body.at;
    w->len = body.len;
    w->word = r->index.at;
    w->last = r->index.count ? r->index.at + r->index.count : r->index.at; /* no arithmetic on NULL */
    w->escapes = r->index.escapes;
    w->depth = w->used = 0;
    r->place = BETWEEN_EVENTS;
    return true;
}

static enum code say(const struct walk *w, struct fault *why, size_t at)
{
    return FAIL(why, w->code, at, "%s: %s at byte %zu",
                w->code == CODE_MALFORMED ? "no JSON objects" : "cannot be read", w->wrong, at);
}

static struct bytes without_mark(struct bytes body) /* the byte order mark that some write before UTF-8 */
{
    return body.len >= 3 && memcmp(body.at, "\xef\xbb\xbf", 3) == 0 ? bytes_from(body, 3) : body;
}

enum code json_read(struct json_reader *r, const struct json_plan *plan, struct bytes body, bool padded,
                    struct fault *why)
{
    size_t len = body.len;
    forget(r);
    r->walk.code = CODE_OK;
    body = without_mark(body);
    bool ok = (padded || own_copy(r, &body)) && use_plan(r, plan) && begin(r, body) && read_events(r);
    if (ok && r->index.count == 0)
        ok = walk_refuse(&r->walk, CODE_MALFORMED, body.len, "it is empty");
    if (ok)
        return CODE_OK;
    r->events = 0;
    r->later = false;
    return say(&r->walk, why, r->walk.wrong_at + len - body.len);
}

enum code json_next(struct json_reader *r, const struct value **slots)
{
    if (r->served == r->events && r->later) {
        r->events = r->served = 0;
        r->walk.word = r->later_word;
        r->walk.depth = 0;
        r->place = r->later_place;
        if (!read_events(r)) {
            r->events = 0;
            r->later = false;
            return r->walk.code;
        }
    }
    if (r->served == r->events)
        return CODE_END;
    *slots = r->slots + (size_t)r->served++ * stride(r);
    return CODE_OK;
}

enum code json_value(struct bytes text, struct arena *arena, struct value *out, struct fault *why)
{
    /* As the only item of an array, a number has a word behind it as it has everywhere else. */
    struct buf copy = {0};
    struct json_reader *r = json_reader_new(NULL);
    buf_u8(&copy, '[');
    buf_add_bytes(&copy, text);
    buf_u8(&copy, ']');
    static const uint8_t zeros[PAD];
    size_t len = copy.len;
    buf_add(&copy, zeros, sizeof zeros);
    if (!r || copy.bad) {
        json_reader_free(r);
        buf_clear(&copy);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a JSON value");
    }
    struct walk *w = &r->walk;
    w->arena = arena;
    w->copy_texts = true;
    w->depth_max++;
    struct value list;
    bool ok = begin(r, bytes_of(copy.at, len)) && build_value(w, &list);
    if (ok && (w->word != w->last || list.array->count != 1))
        ok = walk_refuse(w, CODE_MALFORMED, w->word < w->last ? *w->word : len, "not one value");
    enum code code = CODE_OK;
    if (ok)
        *out = list.array->items[0];
    else
        code = say(w, why, w->wrong_at ? w->wrong_at - 1 : 0);
    json_reader_free(r);
    buf_clear(&copy);
    return code;
}
