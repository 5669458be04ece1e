/* api_client.h - asking the running node, from a verb: blocking, over DATA/api.sock.
 *
 * What the node refuses comes back as its own sentence and number. CODE_CLOSED: no node runs there (verb_fail
 * makes it exit status 3). Thread: main; a loop lives as long as the call.
 */
#pragma once

#include "base/buf.h"
#include "cli/config.h"
#include "node/node.h"

enum { API_BODY_MAX = 8 * 1024 * 1024 };

struct api_client {
    char        host[NODE_SOCKET_MAX + 8];    /* "unix:/var/lib/fieldgate/api.sock" */
    char        data_dir[NODE_SOCKET_MAX];    /* absolute                         */
    const struct config_flags *given;         /* how it was found, for messages; NULL: not by api_client_find */
    bool        by_default;                   /* neither a flag nor the environment named a file or a folder  */
};

/* The node of this data directory. CODE_LIMIT: its path is too long for a socket. */
FG_CHECK enum code api_client_at(const char *data, struct api_client *out, struct fault *why);
/* Finds the data directory: --data, else that of the settings, which are those `fieldgate run` would take with the same flags.
 * STATUS_DONE, else said on stderr. The flags are used as long as the client is. */
int api_client_find(const struct verb_call *, const struct config_flags *, struct api_client *out);

/* GET; the answer's body is appended to `body`, at most API_BODY_MAX. Gives up after 10 s. */
FG_CHECK enum code api_client_get(const struct api_client *, const char *target, struct buf *body,
                                  struct fault *why);
/* POST of `sent`, which may be empty, up to 60 s. `body` has the answer's, of a refusal too. */
FG_CHECK enum code api_client_post(const struct api_client *, const char *target, struct bytes sent, struct buf *body,
                                   struct fault *why);
/* What a stream's reader is told. */
struct api_lines {
    bool (*line)(void *ctx,
                 struct bytes line); /* each whole line, without its end; false ends the call (CODE_OK) */
    bool (*rest)(void *ctx);         /* that was all for now: time to flush; false as above             */
};
/* GET of a stream, until it ends (CODE_OK) or breaks off. deadline_us: give up after so long, as if it had
 * ended; 0 = never. */
FG_CHECK enum code api_client_lines(const struct api_client *, const char *target, uint64_t deadline_us,
                                    const struct api_lines *, void *ctx, struct fault *why);
