#include "mirror/template.h"

#include "base/settings.h"
#include "mqtt/topic.h"

static struct bytes level_of(struct bytes topic, uint32_t number)
{
    size_t cursor = 0;
    struct bytes level;
    for (uint32_t i = 1; topic_level(topic, &cursor, &level); i++)
        if (i == number)
            return level;
    return BYTES_NONE;
}

/* What # stands for. */
static struct bytes rest_of(struct bytes filter, struct bytes topic)
{
    size_t cursor = 0, at = 0;
    struct bytes level;
    while (topic_level(filter, &cursor, &level) && !bytes_is(level, "#")) {
        const uint8_t *slash = at < topic.len ? memchr(topic.at + at, '/', topic.len - at) : NULL;
        at = slash ? (size_t)(slash - topic.at) + 1 : topic.len;
    }
    return bytes_from(topic, at);
}

void mirror_fill(struct buf *out, const char *text, struct bytes filter, struct bytes topic)
{
    size_t from = 0, at, len;
    uint32_t level;
    while (settings_braces(text, from, &at, &len, &level) && len) {
        buf_add_bytes(out, bytes_of(text + from, at - from));
        buf_add_bytes(out, level == 0 ? topic : level == UINT32_MAX ? rest_of(filter, topic) : level_of(topic, level));
        from = at + len;
    }
    buf_add_bytes(out, bytes_str(text + from));
}

void mirror_wild_folder(struct buf *out, struct bytes filter, struct bytes topic)
{
    size_t cursor = 0;
    struct bytes level;
    for (uint32_t i = 1; topic_level(filter, &cursor, &level); i++) {
        bool rest = bytes_is(level, "#");
        if (!rest && !bytes_is(level, "+"))
            continue;
        if (out->len)
            buf_u8(out, '/');
        buf_add_bytes(out, rest ? rest_of(filter, topic) : level_of(topic, i));
    }
}
