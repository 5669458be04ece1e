/* format_pubsub.c - OPC UA PubSub JSON (Part 14, 7.2.5), and the modes that leave its headers out. */
#include "publisher/format.h"

#include "opcua/status.h"

static bool raw(const struct format *f)
{
    return f->mode == NODES_RAW_DATASETS || f->mode == NODES_SINGLE_RAW_DATASET;
}

/* The payload alone. */
static bool bare(const struct format *f)
{
    return raw(f) || f->mode == NODES_DATASETS || f->mode == NODES_SINGLE_DATASET;
}

void format_name(struct buf *b, const struct format_node *n)
{
    buf_json(b, n->field);
    buf_u8(b, ':');
}

static void put_version(struct buf *b, const struct format *f)
{
    format_text(b, "{\"MajorVersion\":1,\"MinorVersion\":");
    format_number(b, f->minor);
    format_text(b, "}");
}

static void put_writer(struct buf *b, const struct format *f)
{
    format_text(b, "\"DataSetWriterId\":");
    if (!f->strict) {
        buf_json(b, bytes_str(f->writer));
        return;
    }
    format_number(b, f->writer_number);
    format_text(b, ",\"DataSetWriterName\":");
    buf_json(b, bytes_str(f->writer));
}

void format_set_open(struct buf *b, const struct format *f, enum format_frame frame, uint32_t sequence,
                     ua_time stamp)
{
    static const char *const types[] = {"ua-deltaframe", "ua-keyframe", "ua-keepalive"};
    if (!bare(f)) {
        format_text(b, "{");
        put_writer(b, f);
        format_text(b, ",\"SequenceNumber\":");
        format_number(b, sequence);
        format_text(b, ",\"MetaDataVersion\":");
        put_version(b, f);
        format_text(b, ",\"MessageType\":\"");
        format_text(b, types[frame]);
        format_text(b, "\",\"Timestamp\":");
        format_time(b, stamp, false);
        if (frame != FORMAT_KEEP_ALIVE)
            format_text(b, ",\"Payload\":");
    }
    if (bare(f) || frame != FORMAT_KEEP_ALIVE)
        format_text(b, "{");
}

static void put_data_value(struct buf *b, const struct format *f, const struct format_value *v)
{
    const char *between = "{";
    if (v->json.len) {
        format_text(b, "{\"Value\":");
        buf_add_bytes(b, v->json);
        between = ",";
    }
    if (v->status) {
        format_text(b, between);
        format_text(b, f->strict ? "\"Status\":" : "\"StatusCode\":");
        format_status(b, v->status, f->strict);
        between = ",";
    }
    if (v->has_source) {
        format_text(b, between);
        format_text(b, "\"SourceTimestamp\":");
        format_time(b, v->source, false);
        between = ",";
    }
    if (v->has_server) {
        format_text(b, between);
        format_text(b, "\"ServerTimestamp\":");
        format_time(b, v->server, false);
        between = ",";
    }
    format_text(b, between[0] == '{' ? "{}" : "}");
}

void format_set_field(struct buf *b, const struct format *f, struct bytes name, const struct format_value *v,
                      bool first)
{
    if (!first)
        buf_u8(b, ',');
    buf_add_bytes(b, name);
    if (!raw(f))
        put_data_value(b, f, v);
    else if (v->json.len)
        buf_add_bytes(b, v->json);
    else
        format_text(b, "null");
}

void format_set_close(struct buf *b, const struct format *f, enum format_frame frame)
{
    if (bare(f) || frame != FORMAT_KEEP_ALIVE)
        format_text(b, "}");
    if (!bare(f))
        format_text(b, "}");
}

/* ---- metadata ---- */

void format_metadata_open(struct buf *b, const struct format *f, uint64_t id)
{
    format_text(b, "{\"MessageId\":\"");
    format_number(b, id);
    format_text(b, "\",\"MessageType\":\"ua-metadata\",\"PublisherId\":");
    buf_json(b, bytes_str(f->publisher_id));
    format_text(b, ",");
    put_writer(b, f);
    format_text(b, ",\"MetaData\":{\"Name\":");
    buf_json(b, bytes_str(f->dataset[0] ? f->dataset : f->writer));
    format_text(b, ",\"Fields\":[");
}

void format_metadata_field(struct buf *b, const struct format_field *v, bool first)
{
    format_text(b, first ? "{\"Name\":" : ",{\"Name\":");
    buf_json(b, v->name);
    if (v->type != UA_NULL) {
        format_text(b, ",\"BuiltInType\":");
        format_number(b, v->type);
        format_text(b, ",\"DataType\":\"i=");
        format_number(b, v->type);
        format_text(b, v->array ? "\",\"ValueRank\":1" : "\",\"ValueRank\":-1");
    }
    if (v->field_id.len) {
        format_text(b, ",\"DataSetFieldId\":");
        buf_json(b, v->field_id);
    }
    format_text(b, "}");
}

void format_metadata_close(struct buf *b, const struct format *f)
{
    format_text(b, "],\"ConfigurationVersion\":");
    put_version(b, f);
    format_text(b, "}}");
}
