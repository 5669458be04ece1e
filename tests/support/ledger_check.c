/* What is looked at as a whole: retained values, partitions. And events for a person. */
#include "support/ledger_private.h"

static const char *name_of(const struct ledger *l, unsigned actor)
{
    return l->cast->actors[actor].client_id;
}

void ledger_check_retained(struct ledger *l, const uint16_t values[LEDGER_TOPICS])
{
    bool right[LEDGER_TOPICS];
    for (unsigned t = 0; t < l->cast->topic_count; t++)
        right[t] = !l->retained[t] && values[t] == LEDGER_NONE;
    for (unsigned i = 0; i < l->message_count; i++) {
        const struct ledger_message *m = &l->messages[i];
        if (!(m->flags & EVENT_RETAIN) || m->is_will || i + 1 < l->retained[m->topic])
            continue;
        uint16_t value = m->flags & EVENT_EMPTY ? LEDGER_NONE : (uint16_t)i;
        right[m->topic] = right[m->topic] || values[m->topic] == value;
    }
    for (unsigned t = 0; t < l->cast->topic_count; t++)
        if (!right[t])
            ledger_broken(l, "P-RETAIN: %s has message %d, acknowledged was %d", l->cast->topics[t],
                          values[t] == LEDGER_NONE ? -1 : values[t], l->retained[t] - 1);
}

static bool part_holds_known(struct ledger *l, unsigned p, const struct ledger_part *part)
{
    for (size_t i = 0; i < part->count; i++) {
        uint16_t m = part->messages[i];
        uint64_t seq = part->first + i;
        if (m >= l->message_count || !l->cast->hub_topic[l->messages[m].topic]) {
            ledger_broken(l, "P-PART: partition %u holds something that nobody sent", p);
            return false;
        }
        if (seq < l->part_count[p] && l->parts[p][seq] != m && l->parts[p][seq] != LEDGER_NONE)
            ledger_broken(l, "P-PART: record %llu of partition %u was message %u, now it is %u",
                          (unsigned long long)seq, p, l->parts[p][seq], m);
    }
    if (part->first + part->count < l->part_count[p])
        ledger_broken(l, "P-PART: partition %u ends at %llu, record %u was read", p,
                      (unsigned long long)(part->first + part->count), l->part_count[p] - 1);
    return true;
}

/* A device is a publisher: its records lie in one partition, in order, those of QoS 2 once. */
struct device {
    int home; /* partition, -1: none seen */
    uint16_t low, last;
};

static void check_order(struct ledger *l, unsigned p, const struct ledger_part *part, struct device *devices,
                        bool *there)
{
    for (size_t i = 0; i < part->count; i++) {
        uint16_t number = part->messages[i];
        const struct ledger_message *m = &l->messages[number];
        struct device *d = &devices[m->publisher];
        if (d->home < 0)
            *d = (struct device){.home = (int)p, .low = LEDGER_NONE};
        if (d->home != (int)p)
            ledger_broken(l, "P-PART: %s has records in two partitions", name_of(l, m->publisher));
        bool again = (part->first > 0 || m->maybe_refused) && m->again_behind > d->last; /* the first one may be gone */
        if (!there[number] && d->last > number && !again)
            ledger_broken(l, "P-PART: message %u stands behind %u", number, d->last);
        if (there[number] && (m->flags & EVENT_QOS) == 2 && l->cast->actors[m->publisher].persistent)
            ledger_broken(l, "P-PART: message %u of QoS 2 is there twice", number);
        if (!there[number] && number > d->last)
            d->last = number;
        if (number < d->low && !m->again_behind) /* else an earlier one may have been the only one */
            d->low = number;
        there[number] = true;
    }
}

void ledger_check_partitions(struct ledger *l, const struct ledger_part parts[LEDGER_PARTITIONS])
{
    struct device devices[LEDGER_ACTORS];
    bool there[LEDGER_MESSAGES] = {false}, gone = false;
    for (unsigned a = 0; a < LEDGER_ACTORS; a++)
        devices[a] = (struct device){.home = -1};
    for (unsigned p = 0; p < LEDGER_PARTITIONS; p++) {
        if (!part_holds_known(l, p, &parts[p]))
            return;
        check_order(l, p, &parts[p], devices, there);
        gone = gone || parts[p].first > 0;
    }
    for (unsigned i = 0; i < l->message_count; i++) {
        const struct ledger_message *m = &l->messages[i];
        const struct device *d = &devices[m->publisher];
        if (!m->acked || there[i] || !l->cast->hub_topic[m->topic])
            continue;
        /* Retention takes the oldest first. */
        if (!gone || (d->home >= 0 && (parts[d->home].first == 0 || i > d->low)))
            ledger_broken(l, "P-PART: message %u, acknowledged, is in no partition", i);
    }
}

void ledger_print_event(const struct ledger_cast *c, const struct event *e, FILE *to)
{
    static const char *const names[] = {
        "CONNECT", "connack", "lost",   "DISCONNECT", "closed",      "PUBLISH", "puback",
        "pubrec",  "pubcomp", "PUBREL", "SUBSCRIBE",  "UNSUBSCRIBE", "suback",  "unsuback",
        "publish", "pubrel",  "PUBACK", "PUBREC",     "PUBCOMP",     "read",    "crash"};
    (void)fprintf(to, "%-12s %-11s id %-3u", e->kind == EV_READ ? "partition" : c->actors[e->actor].client_id,
                  names[e->kind], e->pid);
    if (e->kind == EV_PUBLISH || e->kind == EV_DELIVER)
        (void)fprintf(to, " message %d on %s QoS %u%s%s%s", e->message == LEDGER_NONE ? -1 : e->message,
                      c->topics[e->value], e->flags & EVENT_QOS, e->flags & EVENT_DUP ? " dup" : "",
                      e->flags & EVENT_RETAIN ? " retain" : "", e->flags & EVENT_EMPTY ? " empty" : "");
    for (unsigned f = 0; f < c->filter_count && e->kind == EV_DELIVER; f++)
        if (e->filters >> f & 1)
            (void)fprintf(to, " by %s", c->filters[f]);
    if (e->kind == EV_PUBLISH || e->kind == EV_DELIVER)
        ;
    else if (e->kind == EV_SUBSCRIBE || e->kind == EV_UNSUBSCRIBE)
        (void)fprintf(to, " %s", c->filters[e->value]);
    else if (e->kind == EV_READ)
        (void)fprintf(to, " %u record %u is message %u", e->actor, e->value, e->message);
    else if (e->kind == EV_OPEN && e->message != LEDGER_NONE)
        (void)fprintf(to, " will %u%s", e->message, e->flags & EVENT_CLEAN ? " clean" : "");
    else if (e->value || (e->flags & (EVENT_CLEAN | EVENT_PRESENT)))
        (void)fprintf(to, " reason 0x%02X%s%s", e->value, e->flags & EVENT_CLEAN ? " clean" : "",
                      e->flags & EVENT_PRESENT ? " present" : "");
    (void)fputc('\n', to);
}
