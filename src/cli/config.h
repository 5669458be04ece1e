/* config.h - the settings of a verb: which file, which flags, and every error on stderr.
 *
 *   struct run { struct config_flags config; ... };
 *   static const struct flag flags[] = { CONFIG_FLAGS(struct run, config), ..., FLAGS_END };
 *
 *   const struct settings *settings;
 *   int status = config_load(call, &run->config, &settings);
 *   if (status != STATUS_DONE)
 *       return status;
 *   ...
 *   settings_free(settings);
 *
 * Without --config the file is FIELDGATE_CONFIG's, else /etc/fieldgate/fieldgate.yaml if it is there, else
 * none. Thread: main.
 */
#pragma once

#include "base/settings.h"
#include "cli/verb.h"

struct config_flags {
    const char  *file; /* --config */
    const char  *data; /* --data   */
    struct texts set;  /* --set    */
};

#define CONFIG_FLAGS(type, field)                                                                            \
    { 'c', "config", FLAG_TEXT, FLAG_FIELD(type, field.file), .value = "FILE", .help = "settings file" },      \
    { 0, "data", FLAG_TEXT, FLAG_FIELD(type, field.data), .value = "DIR", .help = "data directory" },        \
    { 0, "set", FLAG_TEXTS, FLAG_FIELD(type, field.set), .value = "KEY=VALUE",                               \
      .help = "one setting, over the file and the environment; may be repeated" }

/* STATUS_DONE and *out (settings_free); else everything wrong is on stderr and the status to exit with is
 * returned. Warnings go to stderr as well. */
int config_load(const struct verb_call *, const struct config_flags *, const struct settings **out);

/* The same without a word: the code of settings_load, notes in `report`, the file's name in *file (NULL =
 * none). A --set without `=` is a note too. */
FG_CHECK enum code config_read(const struct verb_call *, const struct config_flags *,
                               const struct settings **out, const char **file, struct settings_report *report,
                               struct fault *why);
/* "FG1012 FILE:1:1: TEXT", a line each. */
void config_print_notes(FILE *to, const struct settings_report *);
