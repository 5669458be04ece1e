/* geo.h - shapes on the earth: read from GeoJSON records or WKT texts, compared as figures in the plane of longitude and latitude
 * (edges are straight there; shapes do not cross the 180th meridian), measured in metres on the ellipsoid of WGS 84. */
#pragma once

#include "base/arena.h"
#include "expr/value.h"

enum geo_kind { GEO_POINT, GEO_LINE, GEO_POLYGON };
struct geo_point {
    double x, y; /* longitude, latitude in degrees */
};
struct geo_ring { /* a point, a line, or a border, the first point at its end again */
    uint32_t from, count;
};
struct geo_part {
    uint8_t kind;
    uint32_t from, count; /* rings: of a polygon the border, then holes */
};
struct geo {
    struct geo_part *part;
    struct geo_ring *ring;
    struct geo_point *point;
    uint32_t parts, rings, points;
};
enum { GEO_POINTS = 10000 };

/* CODE_MALFORMED with a constant sentence, CODE_NOMEM. */
FG_CHECK enum code geo_read(struct geo *out, struct value v, struct arena *, const char **wrong);

bool geo_intersects(const struct geo *, const struct geo *);
/* a lies in b: none of it outside, and not only on its border. CODE_NOMEM from the arena. */
FG_CHECK enum code geo_within(const struct geo *a, const struct geo *b, struct arena *, bool *out);
/* They share ground, and neither lies in the other; polygons only. */
FG_CHECK enum code geo_overlaps(const struct geo *a, const struct geo *b, struct arena *, bool *out);
/* Metres; 0 if they meet. */
double geo_distance(const struct geo *, const struct geo *);
double geo_metres(struct geo_point, struct geo_point);
