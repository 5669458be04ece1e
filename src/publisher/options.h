/* options.h - the command line of OPC Publisher, 2.4 and 2.9, and the environment variables of 2.9.
 *
 * `--name=value`, `--name:value`, `--name value`, `-x value`, switches with and without true or false, letters in any case. What has no meaning here
 * is accepted and named once, with the reason; what nobody knows is named, too. A value that is wrong is an error.
 *
 * The two generations have other defaults; `old` says which hold: when an option is given that only the old one has, or --generation=2.4.
 *
 * Pure, any thread. Texts are copied into the arena of the options.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

enum { OPTIONS_NOTES_MAX = 64, OPTIONS_STATUSES_MAX = 64 };
enum publisher_node_ids { NODE_IDS_AS_WRITTEN, NODE_IDS_URI, NODE_IDS_INDEX, NODE_IDS_EXPANDED };

struct publisher_options {
    struct arena arena;
    bool old;
    const char *nodes_path;     /* NULL: not given */
    const char *telemetry_path; /* --tc; NULL */
    const char *site, *publisher_id; /* "" */
    const char *root_topic, *topic, *metadata_topic; /* templates; NULL: not given */
    bool create_file, iot_central, skip_first, fetch_names, accept_any, strict, routing_info, full_samples;
    bool discard_new, keep_alives, no_group, ignore_publishing, auto_queue, retain, single_item, cyclic_reads;
    int8_t generation; /* 0: found out; 1: 2.4; 2: 2.9 */
    uint8_t mode, encoding, heartbeat, routing; /* enum nodes_mode ...; 0: not given */
    uint8_t node_ids, trigger;                  /* enum publisher_node_ids; 0 or 1 + enum ua_trigger */
    int64_t message_bytes;   /* 0: every value at once */
    int64_t batch_ms, batch_size; /* 0: none */
    int64_t heartbeat_ms, sampling_ms, publishing_ms;
    int64_t queue_size, qos, ttl_ms, key_frames, metadata_ms;
    int64_t session_ms, connect_ms, request_ms;
    int64_t max_string; /* bytes of a text from a server; 0: the client's limit */
    uint32_t suppressed[OPTIONS_STATUSES_MAX]; /* statuses that make no telemetry */
    uint32_t suppressed_count;
    const char *const *notes; /* sentences for the log */
    uint32_t note_count;
};

/* argv without the program's name; `environment` as environ, or NULL. CODE_USAGE names the option; CODE_NOMEM. */
FG_CHECK enum code publisher_options_parse(struct publisher_options *, int argc, const char *const *argv, const char *const *environment,
                                           struct fault *why);
/* The same from one text, split at blanks; '...' and "..." keep theirs. */
FG_CHECK enum code publisher_options_text(struct publisher_options *, const char *text, struct fault *why);
/* The variables that mean something, as options of one text. */
void publisher_options_environment(struct buf *out, const char *const *environment);
/* One more word for such a text. False: it has both kinds of quotes. */
bool publisher_options_quote(struct buf *out, const char *word);
void publisher_options_clear(struct publisher_options *);
