/* The table of verbs. A verb is a file verb_NAME.c, its line in verbs.h, and its line here. */
#include "cli/verbs.h"

#include <unistd.h>

static const struct verb *const verbs[] = {
    &verb_bench,
    &verb_check,
    &verb_completion,
    &verb_config,
    &verb_demo,
    &verb_events,
    &verb_help,
    &verb_log,
    &verb_mqtt_test,
    &verb_pub,
    &verb_reload,
    &verb_run,
    &verb_simulate,
    &verb_status,
    &verb_sub,
    &verb_user,
    &verb_version,
    NULL,
};

int main(int argc, char **argv)
{
    return verb_main(verbs, &io_system, argc, (const char *const *)argv, (const char *const *)environ, stdout, stderr);
}
