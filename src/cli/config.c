#include "cli/config.h"

#include "base/mem.h"
#include "mqtt/topic.h"

#include <unistd.h>

/* Splits KEY=VALUE in place of a copy; `flags` has room for every --set and for --data. */
static enum code collect(const struct config_flags *given, struct settings_flag *flags, size_t *count,
                         struct fault *why)
{
    if (given->data)
        flags[(*count)++] = (struct settings_flag){ "data", given->data, "--data" };
    for (size_t i = 0; i < given->set.count; i++) {
        const char *text = given->set.at[i], *equals = strchr(text, '=');
        char said[64];
        if (!equals || equals == text)
            return FAIL(why, CODE_USAGE, 0, "--set needs KEY=VALUE, such as log.level=debug, got '%s'",
                        bytes_escape(bytes_str(text), said, sizeof said));
        char *key = mem_strndup(text, (size_t)(equals - text));
        if (!key)
            return FAIL(why, CODE_NOMEM, 0, "no memory for --set");
        flags[(*count)++] = (struct settings_flag){ key, equals + 1, "--set" };
    }
    return CODE_OK;
}

static void forget(struct settings_flag *flags, size_t count, bool data)
{
    for (size_t i = data; i < count; i++)
        mem_free((void *)(uintptr_t)flags[i].key);
    mem_free(flags);
}

enum code config_read(const struct verb_call *call, const struct config_flags *given,
                      const struct settings **out, const char **file, struct settings_report *report,
                      struct fault *why)
{
    size_t count = 0;
    struct settings_flag *flags = mem_zalloc(given->set.count + 1, sizeof *flags);
    *report = (struct settings_report){ 0 };
    *out = NULL;
    *file = given->file ? given->file : settings_default_path(call->io, call->environment);
    if (!flags)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the settings");
    enum code c = collect(given, flags, &count, why);
    struct settings_source source = {
        .path = *file, .environment = call->environment, .flags = flags, .flag_count = count,
        .system = geteuid() == 0, .filter_valid = topic_filter_valid,
    };
    if (c == CODE_OK)
        c = settings_load(out, call->io, &source, report, why);
    forget(flags, count, given->data != NULL);
    return c;
}

void config_print_notes(FILE *to, const struct settings_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        (void)fprintf(to, "FG%d %s: %s\n", report->notes[i].number, report->notes[i].where,
                      report->notes[i].text);
    if (report->unlisted)
        (void)fprintf(to, "%zu more are not listed\n", report->unlisted);
}

int config_load(const struct verb_call *call, const struct config_flags *given, const struct settings **out)
{
    struct settings_report *report = mem_alloc(sizeof *report);
    struct fault why;
    const char *file;
    if (!report) {
        verb_warn(call, "no memory for the settings");
        return STATUS_FAILED;
    }
    enum code c = config_read(call, given, out, &file, report, &why);
    config_print_notes(call->err, report);
    int status = STATUS_DONE;
    if (c != CODE_OK && report->errors)
        status = STATUS_USAGE;
    else if (c != CODE_OK)
        status = c == CODE_USAGE ? verb_usage(call, "%s", why.text) : verb_fail(call, &why);
    mem_free(report);
    return status;
}
