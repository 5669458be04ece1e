/* topic.c - see topic.h. */
#include "publisher/topic.h"

#include "mqtt/topic.h"
#include "publisher/jtree.h"

static const struct {
    const char *name;
    enum topic_variable v;
} variables[] = {
    {"PublisherId", TOPIC_PUBLISHER_ID},
    {"Site", TOPIC_SITE},
    {"WriterGroup", TOPIC_WRITER_GROUP},
    {"DataSetWriterGroup", TOPIC_WRITER_GROUP},
    {"Writer", TOPIC_WRITER},
    {"DataSetWriter", TOPIC_WRITER},
    {"DataSetWriterId", TOPIC_WRITER},
    {"DataSetWriterName", TOPIC_WRITER},
    {"DataSetName", TOPIC_DATASET_NAME},
    {"Endpoint", TOPIC_ENDPOINT},
    {"RootTopic", TOPIC_ROOT},
    {"TelemetryTopic", TOPIC_TELEMETRY},
    {"DisplayName", TOPIC_DISPLAY_NAME},
    {"NodeId", TOPIC_NODE_ID},
    {"FieldId", TOPIC_FIELD_ID},
    {"DataSetFieldId", TOPIC_FIELD_ID},
    {"BrowsePath", TOPIC_BROWSE_PATH},
};
enum { COUNT = sizeof variables / sizeof variables[0] };

static int variable_of(struct bytes name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (jtree_is(name, variables[i].name))
            return (int)variables[i].v;
    return -1;
}

/* The length of "{Name}" at the front of `text` and what is in it; 0: there is none. */
static size_t brace(struct bytes text, struct bytes *name)
{
    const uint8_t *end = text.len && text.at[0] == '{' ? memchr(text.at, '}', text.len) : NULL;
    if (!end)
        return 0;
    *name = bytes_of(text.at + 1, (size_t)(end - text.at) - 1);
    return (size_t)(end - text.at) + 1;
}

enum code topic_template_check(struct bytes text, bool *of_node, bool *of_path, struct fault *why)
{
    char said[64];
    bool node = false, path = false;
    if (text.len > TOPIC_TEMPLATE_BYTES)
        return FAIL(why, CODE_USAGE, 0, "a topic template of %zu bytes; the most is %d", text.len,
                    TOPIC_TEMPLATE_BYTES);
    for (struct bytes at = text; at.len;) {
        struct bytes name;
        size_t n = brace(at, &name);
        int v = n ? variable_of(name) : 0;
        if (v < 0 || (!n && at.at[0] == '{'))
            return FAIL(why, CODE_USAGE, 0,
                        "{%s} is nothing that a topic can have: {WriterGroup}, {Writer}, {DataSetName}, "
                        "{Endpoint}, {Site},"
                        " {PublisherId}, {DisplayName}, {NodeId}, {FieldId} and {BrowsePath} are",
                        n ? bytes_escape(name, said, sizeof said) : "");
        if (!n && (at.at[0] == '+' || at.at[0] == '#' || at.at[0] == 0))
            return FAIL(why, CODE_USAGE, 0, "a topic template with '%c', which no topic may have",
                        at.at[0] ? at.at[0] : '0');
        node = node || (n && v >= TOPIC_DISPLAY_NAME);
        path = path || (n && v == TOPIC_BROWSE_PATH);
        at = bytes_from(at, n ? n : 1);
    }
    if (!utf8_valid(text, false))
        return FAIL(why, CODE_USAGE, 0, "a topic template that is not UTF-8");
    if (of_node)
        *of_node = node;
    if (of_path)
        *of_path = path;
    return CODE_OK;
}

struct filling {
    char *out;
    size_t n;
    bool over;
};

static void put(struct filling *f, uint8_t c)
{
    bool slash = f->n && f->out[f->n - 1] == '/';
    if (c == '/' && (slash || !f->n))
        return; /* the level in front is empty */
    if (f->n == TOPIC_MOST)
        f->over = true;
    else
        f->out[f->n++] = (char)c;
}

static void put_value(struct filling *f, struct bytes v, bool flat)
{
    if (!utf8_valid(v, false)) {
        for (size_t i = 0; i < v.len; i++)
            put(f, v.at[i] < 0x80 && v.at[i] > ' ' && v.at[i] != '+' && v.at[i] != '#' && v.at[i] != '/'
                       ? v.at[i]
                       : '_');
        return;
    }
    for (size_t i = 0; i < v.len; i++) {
        uint8_t c = v.at[i];
        bool odd = c == '+' || c == '#' || c < 0x20 || c == 0x7f || (c == '$' && !f->n) || (flat && c == '/');
        put(f, odd ? '_' : c);
    }
}

bool topic_fill(const char *text, const struct bytes values[TOPIC_VARIABLES], char *out)
{
    struct filling f = {.out = out};
    for (struct bytes at = bytes_str(text); at.len;) {
        struct bytes name;
        size_t n = brace(at, &name);
        int v = n ? variable_of(name) : -1;
        if (v >= 0)
            put_value(&f, values[v],
                      v == TOPIC_DISPLAY_NAME || v == TOPIC_NODE_ID || v == TOPIC_FIELD_ID ||
                          v == TOPIC_ENDPOINT);
        else
            put(&f, at.at[0]);
        at = bytes_from(at, v >= 0 ? n : 1);
    }
    while (f.n && out[f.n - 1] == '/')
        f.n--;
    out[f.n] = 0;
    return !f.over && topic_name_valid(bytes_of(out, f.n), TOPIC_MOST, TOPIC_LEVELS_MOST);
}

struct bytes topic_host(const char *endpoint)
{
    static const char scheme[] = "opc.tcp://";
    struct bytes host = bytes_str(endpoint);
    if (bytes_starts(host, scheme))
        host = bytes_from(host, sizeof scheme - 1);
    const uint8_t *slash = host.len ? memchr(host.at, '/', host.len) : NULL;
    if (slash)
        host.len = (size_t)(slash - host.at);
    if (host.len > 5 && bytes_is(bytes_from(host, host.len - 5), ":4840"))
        host.len -= 5;
    return host;
}
