/* kind_publish.c - a message to a topic of this node. */
#include "action/action_private.h"
#include "action/fill.h"

#include "message/message.h"
#include "mqtt/topic.h"

/* What events may fill in is left open: `_` stands for it. */
static enum code check_topic(const struct action_plan *p, const char *template, struct fault *why)
{
    struct buf topic = {.max = FILL_BYTES_MAX};
    fill_topic(&topic, template, value_null());
    if (!buf_size(&topic) && template[0])
        buf_u8(&topic, '_'); /* "${topic}" alone */
    struct bytes b = buf_bytes(&topic);
    enum code c = CODE_OK;
    if (topic.bad)
        c = FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    else if (bytes_starts(b, "$") || !topic_name_valid(b, TOPIC_BYTES, TOPIC_LEVELS))
        c = FAIL_FG(
            why, CODE_USAGE, 6301,
            "action %s: do.publish.topic '%.100s' is not a topic to publish to: no wildcards, not below $",
            p->name, template);
    else if (!fill_needs_event(template) && topic_matches(p->topic, b))
        c = FAIL_FG(why, CODE_USAGE, 6301,
                    "action %s: do.publish.topic '%.100s' is what it reads (on): it would never end", p->name,
                    template);
    buf_clear(&topic);
    return c;
}

static enum code publish_plan(struct action_plan *p, const struct settings_action *s, const struct io *io,
                              struct fault *why)
{
    (void)io;
    if (!s->publish.topic[0])
        return s->publish.message[0] ? FAIL_FG(why, CODE_USAGE, 6301,
                                               "action %s: do.publish has a message and no topic", p->name)
                                     : CODE_NOTFOUND;
    enum code c = plan_template(p, "do.publish.topic", s->publish.topic, &p->publish.topic, why);
    if (c == CODE_OK)
        c = plan_body(p, "do.publish.message", s->publish.message, &p->publish.message, why);
    p->publish.qos = (uint8_t)s->publish.qos;
    p->publish.retain = s->publish.retain;
    return c == CODE_OK ? check_topic(p, p->publish.topic, why) : c;
}

static void publish_describe(const struct action_plan *p, const struct attempt *a, struct buf *out)
{
    buf_printf(out, "publish ");
    fill_topic(out, p->publish.topic, a->event);
}

/* The event itself travels on with its properties. */
static struct message *make_message(struct action *a, struct bytes topic, struct bytes body)
{
    const struct action_plan *p = a->plan;
    const struct io *io = a->all->io;
    const struct message *event = a->now.message;
    bool same = !p->publish.message.text[0];
    return message_new(&(struct message_parts){.qos = p->publish.qos,
                                               .retain = p->publish.retain,
                                               .text = same && (event->encoded.at[1] & MESSAGE_TEXT),
                                               .wall_us = io->wall_us(io->self),
                                               .now_us = io->monotonic_us(io->self),
                                               .topic = topic,
                                               .principal = bytes_str("node"),
                                               .source = bytes_str(p->name),
                                               .props = same ? event->props : BYTES_NONE,
                                               .payload = body});
}

static void publish_it(struct action *a, struct bytes topic, struct bytes body)
{
    struct fault why;
    struct message *m = make_message(a, topic, body);
    /* Two numbers for each event: this is the first one, what is said about it has the second (work.c). */
    struct consumer_word w = {.message = m, .ordinal = 2 * a->now.index + 1};
    enum code c =
        m ? consumer_publish(a->consumer, &w, 1, &why) : FAIL(&why, CODE_NOMEM, 0, "no memory for a message");
    message_drop(m);
    /* Our own node is full, or stops: the event is not at fault, and what it says is not lost for it. A retained message may be refused
     * for itself (limits.retained-per-identity). */
    bool later = c == CODE_CLOSED || (c == CODE_FULL && !a->plan->publish.retain);
    action_tried(a, c == CODE_OK ? ACTION_GOOD : later ? ACTION_LATER : ACTION_FAILED,
                 c == CODE_OK ? "" : why.text);
}

static void publish_begin(struct action *a)
{
    const struct action_plan *p = a->plan;
    struct buf topic = {.max = FILL_BYTES_MAX}, body = {.max = FILL_BYTES_MAX};
    fill_topic(&topic, p->publish.topic, a->now.event);
    body_fill(&body, &p->publish.message, &a->now);
    struct bytes to = buf_bytes(&topic);
    if (topic.bad || body.bad)
        action_tried(a, ACTION_HOPELESS, "topic and message are too long, or there is no memory for them");
    else if (bytes_starts(to, "$") || !topic_name_valid(to, TOPIC_BYTES, TOPIC_LEVELS))
        action_tried(a, ACTION_HOPELESS, "with the event's fields it is not a topic to publish to");
    else if (topic_matches(p->topic, to))
        action_tried(a, ACTION_HOPELESS, "the topic is what this action reads (on): it would never end");
    else
        publish_it(a, to, buf_bytes(&body));
    buf_clear(&topic);
    buf_clear(&body);
}

static void publish_cancel(struct action *a)
{
    (void)a; /* it is never under way between two turns */
}

const struct action_kind action_publish = {"publish", publish_plan, publish_describe, publish_begin,
                                           publish_cancel, NULL, NULL};
