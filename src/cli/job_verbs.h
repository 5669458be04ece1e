/* job_verbs.h - what the verbs of `fieldgate job` share. */
#pragma once

#include "cli/ask.h"
#include "cli/verbs.h"

/* The node's answer as JSON (the caller's), or the status to end with and *tree NULL. `posted` NULL: GET. */
int job_ask(const struct verb_call *call, const struct config_flags *config, const char *path, const char *name,
            const char *key, const struct bytes *posted, json_t **tree);

extern const struct verb job_replay; /* job_replay.c */
