/* nodes_file.h - publishednodes.json: which nodes of which servers are read, and how they are sent.
 *
 * The shapes of OPC Publisher 2.4/2.5, 2.8 and 2.9 are one: a list of entries, each an endpoint with nodes. Names match in any
 * case. What is not done here is said once in `notes`, with the place and the reason; what is wrong is an error, and then
 * there is no file.
 *
 * Numbers without a unit are as OPC Publisher reads them: intervals of sampling and publishing and of batches in ms, heartbeats in
 * seconds; `...Timespan` ("hh:mm:ss.fff", "d.hh:mm:ss") wins over the number. UseSecurity that is not given means true
 * for the old generation (`old`), false for the new one.
 *
 * The tree stays with the model: a change is made in the tree, the text of which is the file, and read again from there, so
 * that what we do not know is kept, too. Comments are not.
 *
 * Thread: any one at a time. What is loaded does not change; texts live as long as it.
 */
#pragma once

#include "base/io.h"
#include "publisher/jtree.h"

enum { NODES_FILE_BYTES = 64 << 20, NODES_ENTRIES_MAX = 10000, NODES_NODES_MAX = 500000, NODES_NOTES_MAX = 64, NODES_TEXT_MAX = 4096 };
#define NODES_UNSET INT64_MIN

enum nodes_security { NODES_NONE, NODES_SIGN, NODES_SIGN_AND_ENCRYPT, NODES_NOT_NONE, NODES_BEST };
enum nodes_auth { NODES_ANONYMOUS, NODES_USER, NODES_CERTIFICATE };
/* In the order of the words in nodes_file.c. */
enum nodes_mode {
    NODES_MODE_UNSET,
    NODES_PUBSUB,
    NODES_SAMPLES,
    NODES_FULL_NETWORK,
    NODES_FULL_SAMPLES,
    NODES_DATASET_MESSAGES,
    NODES_SINGLE_DATASET_MESSAGE,
    NODES_DATASETS,
    NODES_SINGLE_DATASET,
    NODES_RAW_DATASETS,
    NODES_SINGLE_RAW_DATASET
};
enum nodes_encoding { NODES_ENCODING_UNSET, NODES_JSON, NODES_JSON_REVERSIBLE };
enum nodes_heartbeat {
    NODES_HEARTBEAT_UNSET,
    NODES_WATCHDOG_LKV,
    NODES_WATCHDOG_LKG,
    NODES_PERIODIC_LKV,
    NODES_PERIODIC_LKG,
    NODES_WATCHDOG_LKV_TIMES,
    NODES_WATCHDOG_LKG_TIMES,
    NODES_PERIODIC_LKV_DROP,
    NODES_PERIODIC_LKG_DROP
};
enum nodes_routing { NODES_ROUTING_UNSET, NODES_ROUTING_NONE, NODES_BROWSE_NAMES, NODES_BROWSE_NAMES_NS };

struct nodes_node {
    const struct jtree *tree;
    const char *id;          /* as written: "ns=2;s=a", "nsu=...", "i=2258" */
    const char *expanded_id; /* the same, when it was written as ExpandedNodeId; else NULL */
    const char *name, *field_id;
    const char *index_range, *topic;
    int64_t sampling_ms, publishing_ms, heartbeat_ms, queue_size; /* NODES_UNSET */
    int64_t attribute, qos, retain, ttl_ms;
    int8_t skip_first, discard_new, fetch_name, register_node, cyclic; /* -1: not said */
    int64_t max_age_ms; /* of cyclic reads; NODES_UNSET */
    const struct jtree *browse_path; /* a list, checked (target.h); NULL: not given */
    uint8_t heartbeat, trigger, deadband; /* nodes_heartbeat; 0: not said, else 1 + ua_trigger; ua_deadband */
    double deadband_value;
};

struct nodes_entry {
    const struct jtree *tree;
    const char *endpoint;
    const char *group, *writer, *dataset; /* "" when not given */
    const char *class_id, *description, *publisher_id, *topic, *metadata_topic;
    const char *user, *password; /* "" */
    const char *policy;          /* its URI, "" */
    const struct jtree *extension; /* DataSetExtensionFields, or NULL */
    enum nodes_security security;
    enum nodes_auth auth;
    uint8_t mode, encoding, heartbeat, routing;
    int64_t publishing_ms, sampling_ms, batch_size, batch_ms, key_frames, metadata_ms; /* NODES_UNSET */
    int64_t heartbeat_ms, qos, retain, ttl_ms, max_keep_alive, priority;
    int8_t fetch_names, keep_alives; /* -1: not said */
    struct nodes_node *nodes;
    uint32_t node_count;
};

struct nodes_note {
    uint32_t line, column;
    char text[320]; /* without the place */
};

struct nodes_file {
    struct arena arena;
    struct jtree *tree; /* a list */
    struct nodes_entry *entries;
    uint32_t entry_count, node_count;
    struct nodes_note notes[NODES_NOTES_MAX];
    uint32_t note_count;
};

/* CODE_MALFORMED (why: "LINE:COLUMN: ..."), CODE_LIMIT, CODE_NOMEM. `text` is copied; empty means no entries. */
FG_CHECK enum code nodes_file_parse(struct nodes_file **out, struct bytes text, bool old, struct fault *why);
/* From a tree that may be anywhere; it is copied. */
FG_CHECK enum code nodes_file_from(struct nodes_file **out, const struct jtree *, bool old, struct fault *why);
/* CODE_NOTFOUND: there is none. The fault names the file in front of the place. */
FG_CHECK enum code nodes_file_load(struct nodes_file **out, const struct io *, const char *path, bool old, struct fault *why);
/* As a whole or not at all; it keeps its owner. CODE_IO with EROFS or EACCES in sys_errno: it cannot be written there. */
FG_CHECK enum code nodes_file_save(const struct nodes_file *, const struct io *, const char *path, struct fault *why);
void nodes_file_free(struct nodes_file *); /* NULL is fine */

/* "00:00:10.5", "1.02:00:00", "00:10" (hours, minutes); a number alone is days, as .NET has it. False: it is none. */
bool nodes_timespan(struct bytes text, int64_t *ms);
/* A word of a field, letters in any case; -1: there is none. */
int nodes_word(const char *const *words, struct bytes text);
extern const char *const nodes_mode_words[], *const nodes_encoding_words[], *const nodes_heartbeat_words[], *const nodes_routing_words[];
