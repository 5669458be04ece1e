/* secret.h - a password from a file, from standard input, or typed twice without being seen. Thread: main. */
#pragma once

#include "cli/verb.h"

/* `given`: "@FILE", "-", the password itself (with a warning: other users of the machine see it), or NULL: asked for, twice, on
 * a terminal, as the password of `what`. One line break at the end does not count. *out is the caller's: secret_free. CODE_USAGE
 * when there is none, or the two differ. */
FG_CHECK enum code secret_read(const struct verb_call *, const char *given, const char *what, struct bytes *out,
                               struct fault *why);
void               secret_free(struct bytes);
