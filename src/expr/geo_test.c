#include "expr/geo.h"

#include "expr/expr_test_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROW                                                                                                  \
    "{\"lat\":3.0,\"lon\":-10.2,\"n\":null,\"s\":\"x\","                                                     \
    "\"a\":{\"type\":\"Polygon\",\"coordinates\":[[0,0],[10,0],[10,10],[0,10],[0,0]]},"                      \
    "\"b\":{\"type\":\"Polygon\",\"coordinates\":[[[30,30],[40,30],[40,40],[30,40],[30,30]]]},"              \
    "\"c\":{\"type\":\"Polygon\",\"coordinates\":[[0.0,0.0],[20.0,0.0],[20.0,20.0],[0.0,20.0],[0.0,0.0]]},"  \
    "\"d\":{\"type\":\"Polygon\",\"coordinates\":[[10.0,10.0],[40.0,10.0],[40.0,40.0],[40.0,20.0],[40.0,40." \
    "0]]},"                                                                                                  \
    "\"p\":{\"type\":\"Point\",\"coordinates\":[5,5]}}"

static void check(const char *expression, const char *want)
{
    const char *got = rig_says(expression, ROW);
    if (strcmp(got, want) != 0)
        fail_msg("%s\n  is       %s\n  and not  %s", expression, got, want);
}

static void shapes_are_made(void **state)
{
    (void)state;
    check("CreatePoint(lat, lon)", "{\"type\":\"Point\",\"coordinates\":[-10.2,3.0]}");
    check("CreatePoint(3, -10)", "{\"type\":\"Point\",\"coordinates\":[-10.0,3.0]}");
    check("CreatePoint(n, lon)", "null");
    check("CreatePoint(90.5 + 0 * lat, lon)",
          "The arguments of function createpoint are a latitude from -90 to 90 and a longitude from "
          "-180 to 180. At line '1' and column '1'.");
    check("CreatePoint(s, 1)", "The 1st argument of function createpoint has invalid type 'nvarchar(max)'. "
                               "Only 'bigint', 'float' is "
                               "allowed. At line '1' and column '1'.");
    check("CreateLineString(CreatePoint(lat, lon), CreatePoint(10.0, 10.0), CreatePoint(10.5, 10.5))",
          "{\"type\":\"LineString\",\"coordinates\":[[-10.2,3.0],[10.0,10.0],[10.5,10.5]]}");
    check("CreateLineString(p, a)",
          "Argument 2 of function CreateLineString is not a point. At line '1' and column '1'.");
    check("CreatePolygon(p, CreatePoint(10.0, 10.0), CreatePoint(10.5, 10.5), p)",
          "{\"type\":\"Polygon\",\"coordinates\":[[[5,5],[10.0,10.0],[10.5,10.5],[5,5]]]}");
    check("CreatePolygon(p, CreatePoint(10.0, 10.0), CreatePoint(10.5, 10.5), CreatePoint(1, 1))",
          "The last point of function createpolygon is not the first one again. At line '1' and column '1'.");
}

static void what_is_no_shape_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"ROUND(1, 1)", "it begins with no kind of WKT such as POINT or POLYGON"},
        {"POINT(1)", "a coordinate is no number"},
        {"POINT 1 2", "a ( is missing"},
        {"POINT(1 2", "a ) is missing"},
        {"POINT(1 2) x", "something stands behind its end"},
        {"POINT(200 2)", "a longitude is outside of -180 to 180, or a latitude outside of -90 to 90"},
        {"POINT(2 nan)", "a coordinate is no number"},
        {"LINESTRING(1 2)", "a line has less than two points"},
        {"POLYGON((1 2, 3 4))", "a polygon has less than three points"},
        {"", "it begins with no kind of WKT such as POINT or POLYGON"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expression[200], want[200];
        (void)snprintf(expression, sizeof expression, "ST_WITHIN(p, '%s')", rows[i].text);
        (void)snprintf(want, sizeof want,
                       "Argument 2 of function ST_WITHIN is no GeoJSON shape: %s. At line '1' and column '1'.",
                       rows[i].want);
        check(expression, want);
    }
    check("ST_WITHIN(GetArrayElement(a.coordinates, 0), p)",
          "The 1st argument of function st_within has invalid type 'array'. Only 'nvarchar(max)', 'record' "
          "is allowed. At line '1' and "
          "column '1'.");
    assert_string_equal(rig_says("ST_WITHIN(x, x)", "{\"x\":{\"type\":\"Circle\"}}"),
                        "Argument 1 of function ST_WITHIN is no GeoJSON shape: its type is not Point, LineString or "
                        "Polygon. At line '1' and "
                        "column '1'.");
    assert_string_equal(rig_says("ST_WITHIN(x, x)", "{\"x\":{\"type\":\"Point\",\"coordinates\":[1,\"2\"]}}"),
                        "Argument 1 of function ST_WITHIN is no GeoJSON shape: coordinates are not pairs of numbers. "
                        "At line '1' and column '1'.");
    assert_string_equal(rig_says("ST_WITHIN(x, x)", "{\"x\":{\"type\":\"Polygon\"}}"),
                        "Argument 1 of function ST_WITHIN is no GeoJSON shape: a polygon has no coordinates. At line "
                        "'1' and column '1'.");
}

/* within, intersects and overlaps of two WKT shapes, in both directions where they differ. */
static void relations(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int a_in_b, b_in_a, meet, overlap;
    } rows[] = {
        {"POINT(5 5)", "POLYGON((0 0,10 0,10 10,0 10,0 0))", 1, 0, 1, 0},
        {"POINT(0 5)", "POLYGON((0 0,10 0,10 10,0 10,0 0))", 0, 0, 1,
         0}, /* on the border: meets, is not within */
        {"POINT(11 5)", "POLYGON((0 0,10 0,10 10,0 10,0 0))", 0, 0, 0, 0},
        {"POINT(5 5)", "POLYGON((0 0,10 0,10 10,0 10),(4 4,6 4,6 6,4 6))", 0, 0, 0, 0}, /* in the hole */
        {"POINT(3 5)", "POLYGON((0 0,10 0,10 10,0 10),(4 4,6 4,6 6,4 6))", 1, 0, 1, 0},
        {"POINT(1 1)", "POINT(1 1)", 1, 1, 1, 0},
        {"POINT(1 1)", "POINT(1 2)", 0, 0, 0, 0},
        {"POINT(1 1)", "LINESTRING(0 0,2 2)", 1, 0, 1, 0},
        {"POINT(1 1.5)", "LINESTRING(0 0,2 2)", 0, 0, 0, 0},
        {"LINESTRING(1 1,2 2)", "LINESTRING(0 0,3 3)", 1, 0, 1, 0},
        {"LINESTRING(0 0,2 2)", "LINESTRING(0 2,2 0)", 0, 0, 1, 0},
        {"LINESTRING(0 0,2 2)", "LINESTRING(3 3,4 4)", 0, 0, 0, 0},
        {"LINESTRING(1 1,9 9)", "POLYGON((0 0,10 0,10 10,0 10))", 1, 0, 1, 0},
        {"LINESTRING(1 1,12 9)", "POLYGON((0 0,10 0,10 10,0 10))", 0, 0, 1, 0},
        {"LINESTRING(0 1,0 9)", "POLYGON((0 0,10 0,10 10,0 10))", 0, 0, 1, 0},
        {"LINESTRING(-1 -1,11 11)", "POLYGON((0 0,10 0,10 10,0 10))", 0, 0, 1, 0},
        /* across the notch of a U: both ends lie on the border, the middle outside */
        {"LINESTRING(2 8,8 8)", "POLYGON((0 0,10 0,10 10,8 10,8 2,2 2,2 10,0 10))", 0, 0, 1, 0},
        {"POLYGON((1 1,2 1,2 2,1 2))", "POLYGON((0 0,10 0,10 10,0 10))", 1, 0, 1, 0},
        {"POLYGON((0 0,5 0,5 5,0 5))", "POLYGON((0 0,10 0,10 10,0 10))", 1, 0, 1, 0},     /* in a corner */
        {"POLYGON((0 0,10 0,10 10,0 10))", "POLYGON((10 10,0 10,0 0,10 0))", 1, 1, 1, 0}, /* the same */
        {"POLYGON((5 5,15 5,15 15,5 15))", "POLYGON((0 0,10 0,10 10,0 10))", 0, 0, 1, 1},
        {"POLYGON((10 0,20 0,20 10,10 10))", "POLYGON((0 0,10 0,10 10,0 10))", 0, 0, 1,
         0}, /* a border in common */
        {"POLYGON((20 0,30 0,30 10,20 10))", "POLYGON((0 0,10 0,10 10,0 10))", 0, 0, 0, 0},
        /* around a hole that is not in its middle */
        {"POLYGON((1 1,9 1,9 9,1 9))", "POLYGON((0 0,10 0,10 10,0 10),(2 2,3 2,3 3,2 3))", 0, 0, 1, 1},
        {"POLYGON((3 3,7 3,7 7,3 7))", "POLYGON((0 0,10 0,10 10,0 10),(4 4,6 4,6 6,4 6))", 0, 0, 1,
         1}, /* around the hole */
        {"POLYGON((4.5 4.5,5 4.5,5 5,4.5 5))", "POLYGON((0 0,10 0,10 10,0 10),(4 4,6 4,6 6,4 6))", 0, 0, 0,
         0},
        {"POLYGON((4 4,6 4,6 6,4 6))", "POLYGON((0 0,10 0,10 10,0 10),(4 4,6 4,6 6,4 6))", 0, 0, 1,
         0},                                                                              /* fills the hole */
        {"POLYGON((-1 4,11 4,11 6,-1 6))", "POLYGON((4 -1,6 -1,6 11,4 11))", 0, 0, 1, 1}, /* a cross */
        {"MULTIPOINT(1 1,(2 2))", "POLYGON((0 0,10 0,10 10,0 10))", 1, 0, 1, 0},
        {"MULTIPOINT(1 1,20 2)", "POLYGON((0 0,10 0,10 10,0 10))", 0, 0, 1, 0},
        {"POINT(22 5)", "MULTIPOLYGON(((0 0,10 0,10 10,0 10)),((20 0,30 0,30 10,20 10)))", 1, 0, 1, 0},
        {"point ( 5 5 100 )", "polygon((0 0,10 0,10 10,0 10,0 0))", 1, 0, 1, 0},
        {"GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(1 1,2 2))", "POLYGON((0 0,10 0,10 10,0 10))", 1, 0, 1, 0},
        {"MULTILINESTRING((1 1,2 2),(3 3,4 4))", "POLYGON((0 0,10 0,10 10,0 10))", 1, 0, 1, 0},
        {"POLYGON((0.1 0.1,0.3 0.1,0.3 0.7))", "POLYGON((0.1 0.1,0.9 0.1,0.3 0.7))", 1, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expression[1000], want[60];
        (void)snprintf(
            expression, sizeof expression,
            "CONCAT(ST_WITHIN('%1$s','%2$s'),ST_WITHIN('%2$s','%1$s'),ST_INTERSECTS('%1$s','%2$s'),"
            "ST_INTERSECTS('%2$s','%1$s'),ST_OVERLAPS('%1$s','%2$s'),ST_OVERLAPS('%2$s','%1$s'))",
            rows[i].a, rows[i].b);
        (void)snprintf(want, sizeof want, "\"%d%d%d%d%d%d\"", rows[i].a_in_b, rows[i].b_in_a, rows[i].meet,
                       rows[i].meet, rows[i].overlap, rows[i].overlap);
        check(expression, want);
    }
}

static void samples_of_the_language(void **state)
{
    (void)state;
    check("ST_OVERLAPS(a, b)", "0");
    check("ST_OVERLAPS(c, d)", "1");
    check("ST_WITHIN(p, a)", "1");
    check("ST_INTERSECTS(a, b)", "0");
    check("ST_WITHIN(n, a)", "null");
    check("ST_DISTANCE(p, a)", "0.0");
    check("ST_DISTANCE(p, CreatePoint(5, 5))", "0.0");
}

static void near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%f and not %f", got, want);
}

static void distances_are_metres_on_the_ellipsoid(void **state)
{
    (void)state;
    /* A degree of the equator, and the meridian's quarter: both follow from the ellipsoid's axes. */
    near(geo_metres((struct geo_point){0, 0}, (struct geo_point){1, 0}), 6378137.0 * M_PI / 180, 0.001);
    near(geo_metres((struct geo_point){0, 0}, (struct geo_point){0, 90}), 10001965.729, 0.01);
    /* Flinders Peak to Buninyong, the surveyors' test line (on WGS 84's sister ellipsoid GRS 80: the same to the millimetre). */
    near(geo_metres((struct geo_point){144.42486788888888, -37.95103341666667},
                    (struct geo_point){143.92649552777777, -37.65282113888889}),
         54972.271, 0.001);
    near(geo_metres((struct geo_point){10, 20}, (struct geo_point){10, 20}), 0, 0);
    /* Antipodes: half a great circle, on the sphere that steps in. */
    near(geo_metres((struct geo_point){0, 0}, (struct geo_point){180, 0}), 20015000, 50000);
    check("ROUND(ST_DISTANCE('POINT(0 0)', 'POINT(1 0)'), 3)", "111319.491");
    check("ROUND(ST_DISTANCE('POINT(0 1)', 'LINESTRING(-1 0,1 0)'), 0)", "110574.0");
    check("ROUND(ST_DISTANCE('LINESTRING(-1 0,1 0)', 'POINT(2 0)'), 3)", "111319.491");
    check("ROUND(ST_DISTANCE('POLYGON((0 0,1 0,1 1,0 1))', 'POINT(2 0.5)'), -2)", "111300.0");
    check("ST_DISTANCE('POLYGON((0 0,1 0,1 1,0 1))', 'POINT(0.5 0.5)')", "0.0");
}

static void work_is_limited(void **state)
{
    (void)state;
    struct buf row = {0};
    buf_printf(&row, "{\"x\":{\"type\":\"LineString\",\"coordinates\":[");
    for (int i = 0; i < 600; i++)
        buf_printf(&row, "%s[%d.%d,%d]", i ? "," : "", i % 90, i % 7, i % 2);
    buf_printf(&row, "]}}");
    buf_u8(&row, 0);
    assert_string_equal(rig_says("ST_DISTANCE(x, x)", (const char *)row.at),
                        "The shapes of function ST_DISTANCE have 600 and 600 points; their product may be "
                        "250000. At line '1' and "
                        "column '1'.");
    assert_string_equal(rig_says("ST_DISTANCE(x, 'POINT(0 0)')", (const char *)row.at), "0.0");
    buf_clear(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_made),
        cmocka_unit_test(what_is_no_shape_is_refused),
        cmocka_unit_test(relations),
        cmocka_unit_test(samples_of_the_language),
        cmocka_unit_test(distances_are_metres_on_the_ellipsoid),
        cmocka_unit_test(work_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
