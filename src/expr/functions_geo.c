#include "expr/function.h"
#include "expr/geo.h"
#include "base/number.h"
#include "expr/program.h"

enum { WORK_MAX = 250000 }; /* pairs of points that one call may compare */

static double number(struct value v)
{
    return v.type == VALUE_FLOAT ? v.f : (double)v.i;
}

/* { "type": ..., "coordinates": ... } */
static bool give(struct call *c, const char *type, struct value coordinates, struct value *out)
{
    struct record_value *r = call_take(c, sizeof *r);
    struct record_field *f = r ? call_take(c, 2 * sizeof *f) : NULL;
    if (!f)
        return false;
    f[0] = (struct record_field){bytes_str("type"), value_text(bytes_str(type))};
    f[1] = (struct record_field){bytes_str("coordinates"), coordinates};
    *r = (struct record_value){2, f};
    *out = (struct value){.type = VALUE_RECORD, .record = r};
    return true;
}

static struct value *list_of(struct call *c, uint32_t count, struct value *out)
{
    struct array_value *a = call_take(c, sizeof *a);
    struct value *items = a ? call_take(c, count * sizeof *items) : NULL;
    if (!items)
        return NULL;
    *a = (struct array_value){count, items};
    *out = (struct value){.type = VALUE_ARRAY, .array = a};
    return items;
}

static bool create_point(struct call *c, const struct value *a, struct value *out)
{
    double latitude = number(a[0]), longitude = number(a[1]);
    struct value place;
    if (!(latitude >= -90 && latitude <= 90) || !(longitude >= -180 && longitude <= 180))
        return call_fail(c, "The arguments of function createpoint are a latitude from -90 to 90 and a "
                            "longitude from -180 to 180.");
    struct value *xy = list_of(c, 2, &place);
    if (!xy)
        return false;
    xy[0] = value_float(longitude);
    xy[1] = value_float(latitude);
    return give(c, "Point", place, out);
}

/* The places of the points that were given, in one array. */
static bool places(struct call *c, const struct value *a, struct value *out)
{
    struct value *items = list_of(c, c->count, out);
    for (uint32_t i = 0; items && i < c->count; i++) {
        struct value type = value_field(a[i], bytes_str("type"));
        items[i] = value_field(a[i], bytes_str("coordinates"));
        if (type.type != VALUE_TEXT || !bytes_is(value_bytes(type), "Point") || items[i].type != VALUE_ARRAY)
            return call_fail(c, "Argument %u of function %s is not a point.", i + 1, c->node->function->name);
    }
    return items != NULL;
}

static bool create_line(struct call *c, const struct value *a, struct value *out)
{
    struct value list;
    return places(c, a, &list) && give(c, "LineString", list, out);
}

static bool create_polygon(struct call *c, const struct value *a, struct value *out)
{
    struct value list, rings;
    if (!places(c, a, &list))
        return false;
    if (value_order(list.array->items[0], list.array->items[c->count - 1]) != 0)
        return call_fail(c, "The last point of function createpolygon is not the first one again.");
    struct value *ring = list_of(c, 1, &rings);
    if (!ring)
        return false;
    *ring = list;
    return give(c, "Polygon", rings, out);
}

static bool read_both(struct call *c, const struct value *a, struct geo geo[2])
{
    for (int i = 0; i < 2; i++) {
        const char *wrong;
        enum code code = geo_read(&geo[i], a[i], c->scratch, &wrong);
        if (code == CODE_NOMEM)
            return eval_no_memory(c->eval, c->node);
        if (code)
            return call_fail(c, "Argument %d of function %s is no GeoJSON shape: %s.", i + 1, c->node->function->name,
                             wrong);
    }
    return (uint64_t)geo[0].points * geo[1].points <= WORK_MAX ||
           call_fail(c, "The shapes of function %s have %u and %u points; their product may be %d.",
                     c->node->function->name, (unsigned)geo[0].points, (unsigned)geo[1].points, WORK_MAX);
}

static bool distance(struct call *c, const struct value *a, struct value *out)
{
    struct geo geo[2];
    if (!read_both(c, a, geo))
        return false;
    *out = value_float(geo_distance(&geo[0], &geo[1]));
    return true;
}

static bool intersects(struct call *c, const struct value *a, struct value *out)
{
    struct geo geo[2];
    if (!read_both(c, a, geo))
        return false;
    *out = value_bigint(geo_intersects(&geo[0], &geo[1]));
    return true;
}

static bool within(struct call *c, const struct value *a, struct value *out)
{
    struct geo geo[2];
    bool yes = false;
    if (!read_both(c, a, geo))
        return false;
    if (geo_within(&geo[0], &geo[1], c->scratch, &yes))
        return eval_no_memory(c->eval, c->node);
    *out = value_bigint(yes);
    return true;
}

static bool overlaps(struct call *c, const struct value *a, struct value *out)
{
    struct geo geo[2];
    bool yes = false;
    if (!read_both(c, a, geo))
        return false;
    if (geo_overlaps(&geo[0], &geo[1], c->scratch, &yes))
        return eval_no_memory(c->eval, c->node);
    *out = value_bigint(yes);
    return true;
}

enum { TYPE_SHAPE = TYPE_RECORD | TYPE_TEXT };
static const struct function list[] = {
    {"CreateLineString", 2, ARGS_MAX, 0, {TYPE_RECORD}, create_line},
    {"CreatePoint", 2, 2, 0, {TYPE_NUMBER}, create_point},
    {"CreatePolygon", 4, ARGS_MAX, 0, {TYPE_RECORD}, create_polygon},
    {"ST_DISTANCE", 2, 2, 0, {TYPE_SHAPE}, distance},
    {"ST_INTERSECTS", 2, 2, 0, {TYPE_SHAPE}, intersects},
    {"ST_OVERLAPS", 2, 2, 0, {TYPE_SHAPE}, overlaps},
    {"ST_WITHIN", 2, 2, 0, {TYPE_SHAPE}, within},
};
const struct functions functions_geo = {list, sizeof list / sizeof list[0]};
