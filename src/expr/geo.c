#include "expr/geo.h"

#include <math.h>
#include <stdlib.h>

/* ---- metres ---- */

enum { TURNS = 100 };
static const double wgs_a = 6378137.0, wgs_f = 1 / 298.257223563;

static double radians(double degrees)
{
    return degrees * (M_PI / 180);
}

static double on_sphere(struct geo_point a, struct geo_point b)
{
    double dy = sin(radians(b.y - a.y) / 2), dx = sin(radians(b.x - a.x) / 2);
    double h = dy * dy + cos(radians(a.y)) * cos(radians(b.y)) * dx * dx;
    return 2 * 6371008.8 * asin(h < 1 ? sqrt(h) : 1);
}

/* Vincenty's inverse solution (1975): half a millimetre. Near the antipodes it does not converge, and a sphere serves. */
double geo_metres(struct geo_point p, struct geo_point q)
{
    const double b = wgs_a * (1 - wgs_f);
    double u1 = atan((1 - wgs_f) * tan(radians(p.y))), u2 = atan((1 - wgs_f) * tan(radians(q.y)));
    double sin1 = sin(u1), cos1 = cos(u1), sin2 = sin(u2), cos2 = cos(u2);
    double length = radians(q.x - p.x), lambda = length;
    if (p.x == q.x && p.y == q.y)
        return 0;
    for (int turn = 0; turn < TURNS; turn++) {
        double sl = sin(lambda), cl = cos(lambda), across = cos2 * sl, along = cos1 * sin2 - sin1 * cos2 * cl;
        double ss = sqrt(across * across + along * along), cs = sin1 * sin2 + cos1 * cos2 * cl,
               sigma = atan2(ss, cs);
        if (ss == 0)
            return 0;
        double sa = cos1 * cos2 * sl / ss, ca2 = 1 - sa * sa;
        double c2m = ca2 == 0 ? 0 : cs - 2 * sin1 * sin2 / ca2; /* on the equator */
        double c = wgs_f / 16 * ca2 * (4 + wgs_f * (4 - 3 * ca2)), before = lambda;
        lambda = length + (1 - c) * wgs_f * sa * (sigma + c * ss * (c2m + c * cs * (2 * c2m * c2m - 1)));
        if (fabs(lambda - before) > 1e-12)
            continue;
        double v2 = ca2 * (wgs_a * wgs_a - b * b) / (b * b);
        double big_a = 1 + v2 / 16384 * (4096 + v2 * (-768 + v2 * (320 - 175 * v2)));
        double big_b = v2 / 1024 * (256 + v2 * (-128 + v2 * (74 - 47 * v2)));
        double d = big_b * ss *
                   (c2m + big_b / 4 *
                              (cs * (2 * c2m * c2m - 1) -
                               big_b / 6 * c2m * (4 * ss * ss - 3) * (4 * c2m * c2m - 3)));
        return b * big_a * (sigma - d);
    }
    return on_sphere(p, q);
}

/* ---- the plane ---- */

struct edge {
    struct geo_point a, b;
};

/* All edges of a shape, point by point (a point is an edge of no length). */
struct edges {
    const struct geo *geo;
    uint32_t ring, at;
};
static bool next_edge(struct edges *i, struct edge *out)
{
    while (i->ring < i->geo->rings) {
        const struct geo_ring *r = &i->geo->ring[i->ring];
        uint32_t count = r->count > 1 ? r->count - 1 : r->count;
        if (i->at < count) {
            const struct geo_point *p = &i->geo->point[r->from + i->at++];
            *out = (struct edge){p[0], r->count > 1 ? p[1] : p[0]};
            return true;
        }
        i->ring++;
        i->at = 0;
    }
    return false;
}

static double turn(struct geo_point a, struct geo_point b, struct geo_point c)
{
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

static bool between(double v, double a, double b)
{
    return v >= fmin(a, b) && v <= fmax(a, b);
}

static bool on_edge(struct geo_point p, struct edge e)
{
    return turn(e.a, e.b, p) == 0 && between(p.x, e.a.x, e.b.x) && between(p.y, e.a.y, e.b.y);
}

static bool edges_meet(struct edge e, struct edge f)
{
    double t1 = turn(e.a, e.b, f.a), t2 = turn(e.a, e.b, f.b), t3 = turn(f.a, f.b, e.a),
           t4 = turn(f.a, f.b, e.b);
    if (((t1 > 0) != (t2 > 0) && t1 != 0 && t2 != 0) && ((t3 > 0) != (t4 > 0) && t3 != 0 && t4 != 0))
        return true;
    return on_edge(f.a, e) || on_edge(f.b, e) || on_edge(e.a, f) || on_edge(e.b, f);
}

enum side { OUTSIDE, BORDER, INSIDE };

/* Of one polygon: border and holes. */
static enum side side_of_part(const struct geo *g, const struct geo_part *part, struct geo_point p)
{
    bool inside = false;
    for (uint32_t r = part->from; r < part->from + part->count; r++)
        for (uint32_t i = 0; i + 1 < g->ring[r].count; i++) {
            const struct geo_point *q = &g->point[g->ring[r].from + i];
            struct edge e = {q[0], q[1]};
            if (on_edge(p, e))
                return BORDER;
            if ((e.a.y > p.y) != (e.b.y > p.y) && (turn(e.a, e.b, p) > 0) == (e.b.y > e.a.y))
                inside = !inside;
        }
    return inside ? INSIDE : OUTSIDE;
}

/* Where a point lies in what the shape covers: points and lines are all border. */
static enum side side_of(const struct geo *g, struct geo_point p)
{
    enum side best = OUTSIDE;
    for (uint32_t i = 0; i < g->parts && best != INSIDE; i++) {
        const struct geo_part *part = &g->part[i];
        enum side s = OUTSIDE;
        if (part->kind == GEO_POLYGON) {
            s = side_of_part(g, part, p);
        } else {
            const struct geo_ring *r = &g->ring[part->from];
            for (uint32_t k = 0; k < (r->count > 1 ? r->count - 1 : 1) && s == OUTSIDE; k++) {
                const struct geo_point *q = &g->point[r->from + k];
                s = on_edge(p, (struct edge){q[0], r->count > 1 ? q[1] : q[0]}) ? BORDER : OUTSIDE;
            }
        }
        best = s > best ? s : best;
    }
    return best;
}

static bool any_point_in(const struct geo *a, const struct geo *b)
{
    for (uint32_t i = 0; i < a->parts; i++)
        if (side_of(b, a->point[a->ring[a->part[i].from].from]) != OUTSIDE)
            return true;
    return false;
}

bool geo_intersects(const struct geo *a, const struct geo *b)
{
    /* Without edges that meet, each part lies wholly inside or wholly outside. */
    struct edge e, f;
    for (struct edges i = {a, 0, 0}; next_edge(&i, &e);)
        for (struct edges k = {b, 0, 0}; next_edge(&k, &f);)
            if (edges_meet(e, f))
                return true;
    return any_point_in(a, b) || any_point_in(b, a);
}

/* ---- within: the edges of a are cut where they meet those of b, and each piece lies on one side ---- */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How far along e, from 0 to 1, the line of f crosses it, and f's ends if they lie on it. */
static uint32_t cuts(struct edge e, struct edge f, double *out)
{
    uint32_t n = 0;
    double dx = e.b.x - e.a.x, dy = e.b.y - e.a.y, size = dx * dx + dy * dy;
    double t1 = turn(f.a, f.b, e.a), t2 = turn(f.a, f.b, e.b);
    if (size == 0)
        return 0;
    if (edges_meet(e, f) && t1 != t2)
        out[n++] = t1 / (t1 - t2);
    if (on_edge(f.a, e))
        out[n++] = ((f.a.x - e.a.x) * dx + (f.a.y - e.a.y) * dy) / size;
    if (on_edge(f.b, e))
        out[n++] = ((f.b.x - e.a.x) * dx + (f.b.y - e.a.y) * dy) / size;
    return n;
}

struct sides {
    bool outside, border, inside;
};

static void note(struct sides *s, enum side side)
{
    s->outside |= side == OUTSIDE;
    s->border |= side == BORDER;
    s->inside |= side == INSIDE;
}

/* A piece along a border is found on it only up to rounding; so what lies between two cuts of one edge of b is border. */
static bool runs_along(struct edge piece, const struct geo *b)
{
    struct edge f;
    double size = hypot(piece.b.x - piece.a.x, piece.b.y - piece.a.y);
    for (struct edges k = {b, 0, 0}; next_edge(&k, &f);) {
        double base = hypot(f.b.x - f.a.x, f.b.y - f.a.y), near = 1e-12 * (base + size) * base;
        if (base > 0 && fabs(turn(f.a, f.b, piece.a)) <= near && fabs(turn(f.a, f.b, piece.b)) <= near) {
            struct geo_point m = {(piece.a.x + piece.b.x) / 2, (piece.a.y + piece.b.y) / 2};
            if (between(m.x, f.a.x - 1e-12, f.b.x + 1e-12) || between(m.x, f.b.x - 1e-12, f.a.x + 1e-12))
                if (between(m.y, f.a.y - 1e-12, f.b.y + 1e-12) || between(m.y, f.b.y - 1e-12, f.a.y + 1e-12))
                    return true;
        }
    }
    return false;
}

static struct geo_point along(struct edge e, double t)
{
    return (struct geo_point){e.a.x + (e.b.x - e.a.x) * t, e.a.y + (e.b.y - e.a.y) * t};
}

static void note_edge(struct edge e, const struct geo *b, double *t, struct sides *s)
{
    struct edge f;
    uint32_t n = 0;
    if (e.a.x == e.b.x && e.a.y == e.b.y) {
        note(s, side_of(b, e.a));
        return;
    }
    t[n++] = 0;
    t[n++] = 1;
    for (struct edges k = {b, 0, 0}; next_edge(&k, &f);)
        n += cuts(e, f, t + n);
    qsort(t, n, sizeof *t, by_number);
    for (uint32_t i = 0; i + 1 < n; i++) {
        if (t[i + 1] - t[i] <= 1e-12)
            continue;
        struct edge piece = {along(e, t[i]), along(e, t[i + 1])};
        note(s, runs_along(piece, b) ? BORDER : side_of(b, along(e, (t[i] + t[i + 1]) / 2)));
    }
}

/* On which sides of b the edges of a lie. */
static enum code sides_of(const struct geo *a, const struct geo *b, struct arena *arena, struct sides *out)
{
    struct edge e;
    double *t = arena_take(arena, (3 * (size_t)b->points + 2) * sizeof *t);
    *out = (struct sides){0};
    if (!t)
        return CODE_NOMEM;
    for (struct edges i = {a, 0, 0}; next_edge(&i, &e);)
        note_edge(e, b, t, out);
    return CODE_OK;
}

static bool has_area(const struct geo *g)
{
    for (uint32_t i = 0; i < g->parts; i++)
        if (g->part[i].kind == GEO_POLYGON)
            return true;
    return false;
}

/* The height halfway between the polygon's lowest points and those above them: no point lies on it. */
static double free_height(const struct geo *g, const struct geo_ring *r)
{
    double low = INFINITY, above = INFINITY;
    for (uint32_t i = 0; i < r->count; i++) {
        double y = g->point[r->from + i].y;
        if (y < low) {
            above = low;
            low = y;
        } else if (y > low && y < above) {
            above = y;
        }
    }
    return above == INFINITY ? low : low + (above - low) / 2;
}

/* A point inside of a polygon: between the first two places where a line at that height goes through its border and holes. */
static enum code inner_point(const struct geo *g, const struct geo_part *part, struct arena *arena,
                             struct geo_point *out)
{
    double y = free_height(g, &g->ring[part->from]), *x = arena_take(arena, g->points * sizeof *x);
    uint32_t n = 0;
    if (!x)
        return CODE_NOMEM;
    for (uint32_t r = part->from; r < part->from + part->count; r++)
        for (uint32_t i = 0; i + 1 < g->ring[r].count; i++) {
            const struct geo_point *p = &g->point[g->ring[r].from + i];
            if ((p[0].y > y) != (p[1].y > y))
                x[n++] = p[0].x + (p[1].x - p[0].x) * ((y - p[0].y) / (p[1].y - p[0].y));
        }
    qsort(x, n, sizeof *x, by_number);
    *out = n < 2 ? g->point[g->ring[part->from].from] : (struct geo_point){(x[0] + x[1]) / 2, y};
    return CODE_OK;
}

/* A polygon may have its border on that of b and still lie in a hole of it. */
static enum code inner_points_in(const struct geo *a, const struct geo *b, struct arena *arena, bool *out)
{
    enum code code = CODE_OK;
    for (uint32_t i = 0; i < a->parts && *out && !code; i++) {
        struct geo_point p = {0, 0};
        if (a->part[i].kind != GEO_POLYGON)
            continue;
        code = inner_point(a, &a->part[i], arena, &p);
        *out = side_of(b, p) == INSIDE;
    }
    return code;
}

enum code geo_within(const struct geo *a, const struct geo *b, struct arena *arena, bool *out)
{
    struct sides of_a, of_b;
    *out = false;
    enum code code = sides_of(a, b, arena, &of_a);
    if (code || of_a.outside)
        return code;
    if (!has_area(a)) { /* lines and points in a polygon: not only on its border */
        *out = has_area(b) ? of_a.inside : of_a.border;
        return CODE_OK;
    }
    /* No border of b inside of a: neither holes nor gaps. */
    code = sides_of(b, a, arena, &of_b);
    *out = !code && !of_b.inside && has_area(b);
    return code ? code : inner_points_in(a, b, arena, out);
}

enum code geo_overlaps(const struct geo *a, const struct geo *b, struct arena *arena, bool *out)
{
    struct sides of_a = {0}, of_b = {0};
    bool a_in_b = false, b_in_a = false;
    *out = false;
    if (!has_area(a) || !has_area(b))
        return CODE_OK;
    enum code code = sides_of(a, b, arena, &of_a);
    code = code ? code : sides_of(b, a, arena, &of_b);
    code = code ? code : geo_within(a, b, arena, &a_in_b);
    code = code ? code : geo_within(b, a, arena, &b_in_a);
    *out = !code && (of_a.inside || of_b.inside) && !a_in_b && !b_in_a;
    return code;
}

/* ---- distance ---- */

/* The edge is short enough to be straight where longitude is scaled by the latitude of the point. */
static double to_edge(struct geo_point p, struct edge e)
{
    double scale = cos(radians(p.y)), dx = (e.b.x - e.a.x) * scale, dy = e.b.y - e.a.y,
           size = dx * dx + dy * dy;
    double t = size > 0 ? ((p.x - e.a.x) * scale * dx + (p.y - e.a.y) * dy) / size : 0;
    return geo_metres(p, along(e, t < 0 ? 0 : t > 1 ? 1 : t));
}

static double from_points(const struct geo *a, const struct geo *b)
{
    double least = INFINITY;
    struct edge e;
    for (uint32_t i = 0; i < a->points; i++)
        for (struct edges k = {b, 0, 0}; next_edge(&k, &e);)
            least = fmin(least, to_edge(a->point[i], e));
    return least;
}

double geo_distance(const struct geo *a, const struct geo *b)
{
    if (geo_intersects(a, b))
        return 0;
    return fmin(from_points(a, b), from_points(b, a));
}
