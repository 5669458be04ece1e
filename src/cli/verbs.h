/* verbs.h - every verb of the program; a line here and one in main.c adds one. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_bench;
extern const struct verb verb_check;
extern const struct verb verb_completion;
extern const struct verb verb_config;
extern const struct verb verb_demo;
extern const struct verb verb_events;
extern const struct verb verb_help;
extern const struct verb verb_job;
extern const struct verb verb_log;
extern const struct verb verb_mqtt_test;
extern const struct verb verb_opcua;
extern const struct verb verb_pub;
extern const struct verb verb_reload;
extern const struct verb verb_route;
extern const struct verb verb_run;
extern const struct verb verb_sensor;
extern const struct verb verb_simulate;
extern const struct verb verb_sql;
extern const struct verb verb_status;
extern const struct verb verb_sub;
extern const struct verb verb_user;
extern const struct verb verb_version;
