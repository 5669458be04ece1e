/* topic_fuzz.c - two bytes of limits, then a filter and a name with a line feed between: topic.c against the
 * naive rules. */
#include "mqtt/topic.h"

#include "base/fault.h"
#include "mqtt/topic_naive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_levels(struct bytes topic)
{
    size_t cursor = 0, bytes = 0;
    uint32_t n = 0;
    struct bytes level;
    for (; topic_level(topic, &cursor, &level); n++) {
        FG_ASSERT(!naive_has(level, '/'));
        bytes += level.len + 1;
    }
    FG_ASSERT(n == naive_levels(topic) && bytes == topic.len + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint32_t max_bytes = data[0], max_levels = data[1] & 31;
    struct bytes text = bytes_of(data + 2, size - 2);
    const uint8_t *cut = text.len ? memchr(text.at, '\n', text.len) : NULL;
    struct bytes filter = cut ? bytes_of(text.at, (size_t)(cut - text.at)) : text;
    struct bytes name = cut ? bytes_from(text, filter.len + 1) : text;

    bool f_valid = topic_filter_valid(filter, max_bytes, max_levels);
    bool n_valid = topic_name_valid(name, max_bytes, max_levels);
    FG_ASSERT(f_valid == naive_filter(filter, max_bytes, max_levels));
    FG_ASSERT(n_valid == naive_name(name, max_bytes, max_levels));
    FG_ASSERT((topic_name_check(name, max_bytes, max_levels) == TOPIC_NOT_UTF8) == !naive_utf8(name));
    FG_ASSERT((topic_filter_check(filter, max_bytes, max_levels) == TOPIC_NOT_UTF8) == !naive_utf8(filter));
    check_levels(filter);
    if (f_valid && n_valid)
        FG_ASSERT(topic_matches(filter, name) == naive_matches(filter, name));
    return 0;
}
