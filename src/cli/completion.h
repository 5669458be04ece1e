/* completion.h - the table of verbs as shells and man want it. Thread: main. */
#pragma once

#include "cli/verb.h"

/* A script for the shell, to be sourced. */
void completion_bash(FILE *to, const struct verb *const *verbs);
void completion_zsh(FILE *to, const struct verb *const *verbs);
void completion_fish(FILE *to, const struct verb *const *verbs);
/* A manual page in man(7)'s language. */
void manual_page(FILE *to, const struct verb *, const char *path);
