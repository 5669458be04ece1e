/* format.h - messages as OPC Publisher writes them: samples (2.4, 2.9), OPC UA PubSub JSON, and the plain data sets in between.
 *
 * A message is made of pieces: a sample is one value; with PubSub a piece is a DataSetMessage, the values of one writer that belong together.
 *
 *   format_open  piece  format_between  piece ... format_close         one body
 *
 * What is the same for all values of a node is made once (format_head, format_name) and lies with the node.
 *
 * Pure, any thread. Nothing is allocated but what the buffers take.
 */
#pragma once

#include "base/buf.h"
#include "opcua/types.h"
#include "publisher/nodes_file.h"
#include "publisher/telemetry.h"

struct format {
    bool old;        /* 2.4 */
    bool iot_central; /* 2.4: { "DisplayName": "value as text" } */
    bool alone;      /* a sample is not put into an array */
    bool strict;     /* PubSub: numbers for writers and statuses, one network message around many pieces */
    bool routing_info;
    uint8_t mode;    /* enum nodes_mode, not 0 */
    const struct telemetry *telemetry; /* 2.4; borrowed */
    const char *endpoint, *application_uri, *publisher_id, *group, *writer, *dataset, *class_id;
    uint16_t writer_number;
    uint32_t minor;   /* of the metadata: how often it has changed */
    struct bytes extension; /* JSON object of extension fields, or none */
};

/* A node, as texts. */
struct format_node {
    struct bytes id;       /* as it is to be shown; ExpandedNodeId where that was written (2.4) */
    struct bytes expanded; /* the nsu= form; none when it is not known */
    struct bytes name;     /* display name */
    struct bytes field;    /* data set field */
};

struct format_value {
    struct bytes json; /* of the value; none: there is no value */
    ua_status status;
    bool has_source, has_server;
    ua_time source, server;
};

/* ---- samples ---- */
/* What stands in front of each value of the node. */
void format_head(struct buf *, const struct format *, const struct format_node *);
void format_sample(struct buf *, const struct format *, struct bytes head, const struct format_value *, uint32_t sequence, ua_time stamp);

/* ---- data sets ---- */
enum format_frame { FORMAT_DELTA, FORMAT_KEY, FORMAT_KEEP_ALIVE };
/* "field": */
void format_name(struct buf *, const struct format_node *);
void format_set_open(struct buf *, const struct format *, enum format_frame, uint32_t sequence, ua_time stamp);
/* `first` of the piece. `name` by format_name. */
void format_set_field(struct buf *, const struct format *, struct bytes name, const struct format_value *, bool first);
void format_set_close(struct buf *, const struct format *, enum format_frame);

/* ---- bodies ---- */
static inline bool format_is_samples(const struct format *f)
{
    return f->old || f->mode == NODES_SAMPLES || f->mode == NODES_FULL_SAMPLES;
}
static inline bool format_is_pubsub(const struct format *f)
{
    return !f->old && (f->mode == NODES_PUBSUB || f->mode == NODES_FULL_NETWORK);
}
/* A body holds one piece. */
bool format_is_single(const struct format *f);
void format_open(struct buf *, const struct format *, uint64_t message_id);
void format_between(struct buf *, const struct format *, uint64_t message_id);
void format_close(struct buf *, const struct format *);
/* MQTT properties of it: content type, and as user properties what OPC Publisher sets. */
void format_props(struct buf *props, const struct format *, bool metadata);

/* The metadata message of a writer: its fields with their types. */
struct format_field {
    struct bytes name, field_id;
    uint8_t type; /* enum ua_builtin, UA_NULL: not known yet */
    bool array;
};
void format_metadata_open(struct buf *, const struct format *, uint64_t message_id);
void format_metadata_field(struct buf *, const struct format_field *, bool first);
void format_metadata_close(struct buf *, const struct format *);

/* ISO 8601 with quotes: up to seven decimals, or always seven. */
void format_time(struct buf *, ua_time, bool seven);
/* { "Symbol": "BadNoCommunication", "Code": 2150694912 }, or the number. */
void format_status(struct buf *, ua_status, bool number);
void format_text(struct buf *, const char *);     /* as it is */
void format_number(struct buf *, uint64_t);
