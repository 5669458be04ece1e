/* The bytes up to a zero are a rules file, the three texts behind it a user, a client and a topic or filter: whatever they are, a
 * filter that is allowed allows no topic that a rule denies, and nobody gains by a name with a wildcard in it. */
#include "identity/rules.h"
#include "mqtt/topic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes next(struct bytes *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->at, 0, rest->len) : NULL;
    struct bytes part = bytes_of(rest->at, end ? (size_t)(end - rest->at) : rest->len);
    *rest = end ? bytes_from(*rest, part.len + 1) : BYTES_NONE;
    return part;
}

static void check(const struct rules *r, const struct subject *s, struct bytes filter, struct bytes topic)
{
    bool filter_ok = topic_filter_valid(filter, 1024, 32) && !topic_filter_shared(filter);
    bool topic_ok = topic_name_valid(topic, 1024, 32);
    for (int right = 0; right < RIGHTS; right++) {
        enum ruling of_topic = topic_ok ? rules_topic(r, s, (enum right)right, topic) : RULING_NONE;
        enum ruling of_filter = filter_ok ? rules_filter(r, s, (enum right)right, filter) : RULING_NONE;
        if (topic_ok && of_filter == RULING_ALLOWED && topic_matches(filter, topic))
            FG_ASSERT(of_topic == RULING_ALLOWED);
        if (topic_ok) /* a topic is a filter for itself alone */
            FG_ASSERT(rules_filter(r, s, (enum right)right, topic) == of_topic);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct bytes roles[] = { { (const uint8_t *)"admin", 5 }, { (const uint8_t *)"guest", 5 } };
    struct bytes rest = bytes_of(data, size), file = next(&rest), user = next(&rest), client = next(&rest), filter = next(&rest),
                 topic = next(&rest);
    struct rules *r;
    struct fault why;
    enum code c = rules_parse(&r, "fuzz", file, &why);
    FG_ASSERT(c == CODE_OK || (c == CODE_DAMAGED && strncmp(why.text, "fuzz:", 5) == 0));
    if (topic_filter_valid(filter, 1024, 32) && topic_filter_valid(topic, 1024, 32)) {
        bool both = rules_overlap(filter, topic);
        FG_ASSERT(both == rules_overlap(topic, filter));
        FG_ASSERT(!rules_covers(filter, topic) || both);
    }
    if (c != CODE_OK)
        return 0;
    struct subject s = { .user = user, .client = client, .roles = roles, .role_count = 2 };
    check(r, &s, filter, topic);
    s = (struct subject){ .anonymous = true, .client = client };
    check(r, &s, filter, topic);
    rules_free(r);
    return 0;
}
