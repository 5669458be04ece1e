/* The table of verbs. A verb is a file verb_NAME.c, its line in verbs.h, and its line here. */
#include "cli/verbs.h"

#include <unistd.h>

enum { STANDARD_FILES = 3 };

static const struct verb *const verbs[] = {
    &verb_bench,
    &verb_check,
    &verb_completion,
    &verb_config,
    &verb_demo,
    &verb_events,
    &verb_help,
    &verb_job,
    &verb_log,
    &verb_mqtt_test,
    &verb_opcua,
    &verb_pub,
    &verb_reload,
    &verb_route,
    &verb_run,
    &verb_sensor,
    &verb_simulate,
    &verb_sql,
    &verb_status,
    &verb_sub,
    &verb_user,
    &verb_version,
    NULL,
};

/* Whoever starts us without standard input, output or error gets them nevertheless, so that no file or socket of ours takes
 * their numbers and what is printed never goes there. Nothing can be written to them: a verb says so as it does of a full disk. */
static void hold_standard_files(const struct io *io)
{
    int file = 0;
    while (file >= 0 && file < STANDARD_FILES)
        file = io->open(io->self, "/dev/null", IO_READ);
    if (file >= STANDARD_FILES)
        io->close(io->self, file);
}

int main(int argc, char **argv)
{
    hold_standard_files(&io_system);
    return verb_main(verbs, &io_system, argc, (const char *const *)argv, (const char *const *)environ, stdout, stderr);
}
