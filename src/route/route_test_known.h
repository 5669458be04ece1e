/* route_test_known.h - a node's jobs, as tests of routes know them. */
#pragma once

#include "route/route.h"

/* job humidity: reads factory/+/t by itself (input machines), and what routes bring (input rows); says humidityAnomaly, and averages to
 * a topic of its own. job Press reads factory/average; one input for routes (in); says alarms. job quiet: nothing. */
static const struct route_output humidity_outputs[] = {{"humidityAnomaly", "$jobs/humidity/humidityAnomaly"},
                                                       {"averages", "factory/average"}};
static const struct route_input humidity_inputs[] = {{"machines", 0}, {"rows", 7}, {"more", 8}};
static const char *const humidity_reads[] = {"factory/+/t"};
static const struct route_output press_outputs[] = {{"alarms", "$jobs/Press/alarms"}};
static const struct route_input press_inputs[] = {{"factory/average", 0}, {"in", 9}};
static const char *const press_reads[] = {"factory/average"};
static const struct route_job test_jobs[] = {
    {"humidity", humidity_outputs, humidity_inputs, humidity_reads, 2, 3, 1, false},
    {"Press", press_outputs, press_inputs, press_reads, 1, 2, 1, false},
    {"quiet", NULL, NULL, NULL, 0, 0, 0, false},
};
static const char *const test_events[] = {"hub/#", "machines/+/t"};
static const struct route_known test_known = {test_jobs, test_events, 3, 2};
