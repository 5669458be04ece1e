/* publisher_text_fuzz.c - any text as a command line, as a telemetry configuration, as a topic template and as a time span. */
#include "mqtt/topic.h"
#include "publisher/nodes_file.h"
#include "publisher/options.h"
#include "publisher/telemetry.h"
#include "publisher/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_options(const char *text)
{
    struct publisher_options o;
    struct fault why = {0};
    if (publisher_options_text(&o, text, &why) != CODE_OK) {
        FG_ASSERT(why.text[0]);
        return;
    }
    FG_ASSERT(o.mode != NODES_MODE_UNSET && o.batch_ms >= 0 && o.batch_size >= 0 && o.message_bytes >= 0 &&
              o.qos >= 0 && o.qos <= 2);
    for (uint32_t i = 0; i < o.note_count; i++)
        FG_ASSERT(o.notes[i][0]);
    publisher_options_clear(&o);
}

static void check_telemetry(struct bytes text)
{
    struct telemetry *t;
    struct fault why = {0};
    char part[64];
    if (telemetry_parse(&t, text, &why) != CODE_OK) {
        FG_ASSERT(why.text[0]);
        return;
    }
    for (int i = 0; i < TELEMETRY_FIELDS; i++)
        FG_ASSERT(telemetry_part(&t->defaults.of[i], text, part, sizeof part) <= sizeof part);
    telemetry_free(t);
}

/* What a template makes is a topic, whatever the values are. */
static void check_topic(const char *text)
{
    bool node, path;
    struct fault why = {0};
    char out[TOPIC_MOST + 1];
    struct bytes v[TOPIC_VARIABLES];
    for (int i = 0; i < TOPIC_VARIABLES; i++)
        v[i] = bytes_str(text);
    if (topic_template_check(bytes_str(text), &node, &path, &why) != CODE_OK) {
        FG_ASSERT(why.text[0]);
        text = "a/{NodeId}/{BrowsePath}/{WriterGroup}";
    }
    if (topic_fill(text, v, out))
        FG_ASSERT(topic_name_valid(bytes_str(out), TOPIC_MOST, TOPIC_LEVELS_MOST));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096];
    int64_t ms;
    if (size >= sizeof text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    check_telemetry(bytes_of(text, size));
    if (strlen(text) != size)
        return 0;
    check_options(text);
    check_topic(text);
    if (nodes_timespan(bytes_of(text, size), &ms))
        FG_ASSERT(ms >= 0);
    return 0;
}
