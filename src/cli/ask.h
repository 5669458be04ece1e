/* ask.h - one question to the running node and its answer, for the verbs that print it.
 *
 *   struct answer a;
 *   int status = ask_node(call, &given->config, "/api/v1/routes", NULL, &a);
 *   if (status != STATUS_DONE)
 *       return status;
 *   ... member_text(a.tree, "name") ...
 *   answer_clear(&a);
 *
 * Thread: main.
 */
#pragma once

#include "cli/api_client.h"

#include <jansson.h>

struct answer {
    struct buf body; /* as the node sent it                 */
    json_t    *tree; /* the same, read: an object of ours   */
};

/* GET, or POST of `posted` where it is not NULL. Codes as in api_client.h; CODE_MALFORMED: the answer is no JSON object. */
FG_CHECK enum code ask(const struct api_client *, const char *target, const struct bytes *posted, struct answer *,
                       struct fault *why);
/* The same of the node that --data or the settings name. STATUS_DONE; else it is said on stderr and nothing is to be cleared. */
int  ask_node(const struct verb_call *, const struct config_flags *, const char *target, const struct bytes *posted,
              struct answer *);
void answer_clear(struct answer *);

/* Members of an object. One that is missing is "" or 0, so that an older node can be asked, too. */
const char *member_text(const json_t *, const char *name);
uint64_t    member_count(const json_t *, const char *name);
