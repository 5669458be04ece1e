#include "expr/geo.h"

#include "base/number.h"

#include <math.h>

struct reading {
    struct geo *geo;
    struct arena *arena;
    uint32_t room_parts, room_rings, room_points, depth;
    enum code code;
    const char *wrong;
    const uint8_t *at, *end; /* WKT */
};

static bool refuse(struct reading *r, const char *wrong)
{
    if (!r->code) {
        r->code = CODE_MALFORMED;
        r->wrong = wrong;
    }
    return false;
}

/* Room for one more of `size` bytes; lists double in the arena. */
static bool more(struct reading *r, void *list, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return true;
    uint32_t twice = *room ? 2 * *room : 8;
    void *fresh = arena_take(r->arena, twice * size), *old;
    if (!fresh) {
        r->code = CODE_NOMEM;
        return false;
    }
    memcpy(&old, list, sizeof old);
    if (count)
        memcpy(fresh, old, count * size);
    memcpy(list, &fresh, sizeof fresh);
    *room = twice;
    return true;
}

static bool begin_part(struct reading *r, enum geo_kind kind)
{
    struct geo *g = r->geo;
    if (!more(r, &g->part, g->parts, &r->room_parts, sizeof *g->part))
        return false;
    g->part[g->parts++] = (struct geo_part){(uint8_t)kind, g->rings, 0};
    return true;
}

static bool begin_ring(struct reading *r)
{
    struct geo *g = r->geo;
    if (!more(r, &g->ring, g->rings, &r->room_rings, sizeof *g->ring))
        return false;
    g->ring[g->rings++] = (struct geo_ring){g->points, 0};
    g->part[g->parts - 1].count++;
    return true;
}

static bool add_point(struct reading *r, double x, double y)
{
    struct geo *g = r->geo;
    if (!(fabs(x) <= 180) || !(fabs(y) <= 90))
        return refuse(r, "a longitude is outside of -180 to 180, or a latitude outside of -90 to 90");
    if (g->points == GEO_POINTS)
        return refuse(r, "it has more than 10000 points");
    if (!more(r, &g->point, g->points, &r->room_points, sizeof *g->point))
        return false;
    g->point[g->points++] = (struct geo_point){x, y};
    g->ring[g->rings - 1].count++;
    return true;
}

/* A border is closed if it was not. */
static bool end_ring(struct reading *r)
{
    struct geo *g = r->geo;
    enum geo_kind kind = (enum geo_kind)g->part[g->parts - 1].kind;
    const struct geo_ring *ring = &g->ring[g->rings - 1];
    if (kind == GEO_POINT)
        return true;
    if (kind == GEO_LINE)
        return ring->count >= 2 || refuse(r, "a line has less than two points");
    if (ring->count < 3)
        return refuse(r, "a polygon has less than three points");
    struct geo_point first = g->point[ring->from], last = g->point[ring->from + ring->count - 1];
    return (first.x == last.x && first.y == last.y) || add_point(r, first.x, first.y);
}

/* ---- GeoJSON ---- */

static bool is_number(struct value v)
{
    return v.type == VALUE_BIGINT || v.type == VALUE_FLOAT;
}

static double number(struct value v)
{
    return v.type == VALUE_FLOAT ? v.f : (double)v.i;
}

static bool is_position(struct value v)
{
    return v.type == VALUE_ARRAY && v.array->count >= 2 && is_number(v.array->items[0]) &&
           is_number(v.array->items[1]);
}

static bool position(struct reading *r, struct value v)
{
    if (!is_position(v))
        return refuse(r, "coordinates are not pairs of numbers");
    return add_point(r, number(v.array->items[0]), number(v.array->items[1]));
}

static bool positions(struct reading *r, struct value v)
{
    if (v.type != VALUE_ARRAY)
        return refuse(r, "coordinates are not an array");
    if (!begin_ring(r))
        return false;
    for (uint32_t i = 0; i < v.array->count; i++)
        if (!position(r, v.array->items[i]))
            return false;
    return end_ring(r);
}

/* Rings, or, as in the samples of the language, one ring without the array around it. */
static bool polygon(struct reading *r, struct value v)
{
    if (v.type != VALUE_ARRAY || v.array->count == 0)
        return refuse(r, "a polygon has no coordinates");
    if (is_position(v.array->items[0]))
        return positions(r, v);
    for (uint32_t i = 0; i < v.array->count; i++)
        if (!positions(r, v.array->items[i]))
            return false;
    return true;
}

static bool from_record(struct reading *r, struct value v)
{
    struct value type = value_field(v, bytes_str("type")), at = value_field(v, bytes_str("coordinates"));
    struct bytes name = type.type == VALUE_TEXT ? value_bytes(type) : BYTES_NONE;
    if (bytes_is(name, "Point"))
        return begin_part(r, GEO_POINT) && begin_ring(r) && position(r, at);
    if (bytes_is(name, "LineString"))
        return begin_part(r, GEO_LINE) && positions(r, at);
    if (bytes_is(name, "Polygon"))
        return begin_part(r, GEO_POLYGON) && polygon(r, at);
    return refuse(r, "its type is not Point, LineString or Polygon");
}

/* ---- WKT ---- */

static void blanks(struct reading *r)
{
    while (r->at < r->end && (*r->at == ' ' || (*r->at >= '\t' && *r->at <= '\r')))
        r->at++;
}

static bool mark(struct reading *r, uint8_t c)
{
    blanks(r);
    bool there = r->at < r->end && *r->at == c;
    r->at += there;
    return there;
}

static bool word(struct reading *r, const char *name)
{
    blanks(r);
    size_t len = strlen(name), n = 0;
    while (r->at + n < r->end && (uint8_t)((r->at[n] | 0x20) - 'a') < 26)
        n++;
    if (n != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((r->at[i] & ~0x20) != name[i])
            return false;
    r->at += len;
    return true;
}

static bool coordinate(struct reading *r, double *out)
{
    blanks(r);
    const uint8_t *from = r->at;
    while (r->at < r->end && (strchr("+-.eE", *r->at) ? *r->at != 0 : (uint8_t)(*r->at - '0') < 10))
        r->at++;
    return float_parse(bytes_of(from, (size_t)(r->at - from)), out) || refuse(r, "a coordinate is no number");
}

/* x y, and more numbers that are left out: height, measure. */
static bool pair(struct reading *r)
{
    double x, y, other;
    if (!coordinate(r, &x) || !coordinate(r, &y))
        return false;
    for (int i = 0; i < 2; i++) {
        blanks(r);
        if (r->at < r->end && *r->at != ',' && *r->at != ')' && !coordinate(r, &other))
            return false;
    }
    return add_point(r, x, y);
}

/* ( item , item ... ) */
static bool listed(struct reading *r, bool (*item)(struct reading *))
{
    if (!mark(r, '('))
        return refuse(r, "a ( is missing");
    do
        if (!item(r))
            return false;
    while (mark(r, ','));
    return mark(r, ')') || refuse(r, "a ) is missing");
}

static bool pairs(struct reading *r)
{
    return begin_ring(r) && listed(r, pair) && end_ring(r);
}

static bool one_point(struct reading *r)
{
    return begin_part(r, GEO_POINT) && begin_ring(r) && pair(r);
}

/* Of MULTIPOINT: the brackets around each may be left out. */
static bool any_point(struct reading *r)
{
    bool open = mark(r, '(');
    return one_point(r) && (!open || mark(r, ')') || refuse(r, "a ) is missing"));
}

static bool one_line(struct reading *r)
{
    return begin_part(r, GEO_LINE) && pairs(r);
}

static bool one_polygon(struct reading *r)
{
    return begin_part(r, GEO_POLYGON) && listed(r, pairs);
}

static bool shape(struct reading *r)
{
    if (word(r, "POINT"))
        return listed(r, one_point);
    if (word(r, "LINESTRING"))
        return one_line(r);
    if (word(r, "POLYGON"))
        return one_polygon(r);
    if (word(r, "MULTIPOINT"))
        return listed(r, any_point);
    if (word(r, "MULTILINESTRING"))
        return listed(r, one_line);
    if (word(r, "MULTIPOLYGON"))
        return listed(r, one_polygon);
    if (!word(r, "GEOMETRYCOLLECTION"))
        return refuse(r, "it begins with no kind of WKT such as POINT or POLYGON");
    if (r->depth++ == 8)
        return refuse(r, "collections are nested more than 8 deep");
    bool ok = listed(r, shape);
    r->depth--;
    return ok;
}

static bool from_text(struct reading *r, struct bytes text)
{
    r->at = text.at;
    r->end = text.len ? text.at + text.len : text.at;
    if (!shape(r))
        return false;
    blanks(r);
    return r->at == r->end || refuse(r, "something stands behind its end");
}

enum code geo_read(struct geo *out, struct value v, struct arena *arena, const char **wrong)
{
    *out = (struct geo){0};
    struct reading r = {.geo = out, .arena = arena};
    if (v.type == VALUE_TEXT)
        (void)from_text(&r, value_bytes(v));
    else
        (void)from_record(&r, v);
    *wrong = r.wrong;
    return r.code;
}
