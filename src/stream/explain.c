/* The plan as a person reads it: what each output is made of, from the input on. */
#include "stream/anomaly.h"

#include <inttypes.h>
#include <stdio.h>

static void put_duration(struct buf *out, int64_t ticks)
{
    static const struct {
        enum unit   unit;
        const char *name;
    } units[] = { { UNIT_DAY, "d" }, { UNIT_HOUR, "h" }, { UNIT_MINUTE, "min" }, { UNIT_SECOND, "s" }, { UNIT_MILLISECOND, "ms" },
                  { UNIT_MICROSECOND, "us" } };
    if (!ticks) {
        buf_printf(out, "0 s");
        return;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t n = unit_ticks(units[i].unit);
        if (ticks % n == 0 || i + 1 == sizeof units / sizeof units[0]) {
            buf_printf(out, "%" PRId64 " %s", ticks / n, units[i].name);
            return;
        }
    }
}

static void put_windows(const struct op *op, struct buf *out)
{
    static const char *const names[] = { "tumbling", "hopping", "sliding", "session", "snapshot" };
    for (uint32_t i = 0; i < op->group.window_count; i++) {
        const struct window *w = &op->group.windows[i];
        buf_printf(out, "%s%s", i ? ", " : "", names[w->kind]);
        if (w->kind == WINDOW_SNAPSHOT)
            continue;
        buf_u8(out, ' ');
        put_duration(out, w->size);
        if (w->kind == WINDOW_HOPPING || w->kind == WINDOW_SESSION) {
            buf_printf(out, w->kind == WINDOW_HOPPING ? " every " : " of silence, at most ");
            put_duration(out, w->hop);
        }
    }
    buf_printf(out, "; %u key%s, %u aggregate%s", op->group.key_count, op->group.key_count == 1 ? "" : "s", op->group.aggregate_count,
               op->group.aggregate_count == 1 ? "" : "s");
}

static void put_anomaly(const struct analytic *a, struct buf *out)
{
    const struct detect_config *c = &a->anomaly->config;
    const char *mode = c->kind == DETECT_CHANGE_POINT       ? "change points"
                       : c->mode == DETECT_SPIKES           ? "spikes"
                       : c->mode == DETECT_DIPS             ? "dips"
                                                            : "spikes and dips";
    buf_printf(out, "one model for each of %u key%s: %s, %g %%, %u events within ", a->key_count, a->key_count == 1 ? "" : "s", mode,
               c->confidence, c->history_size);
    put_duration(out, a->duration);
}

static void put_extend(const struct op *op, struct buf *out)
{
    static const char *const names[] = { "LAG", "LAST", "ISFIRST" };
    for (uint32_t i = 0; i < op->extend.count; i++) {
        const struct analytic *a = &op->extend.at[i];
        buf_printf(out, "%s", i ? ", " : "");
        if (a->kind == ANALYTIC_ANOMALY) {
            put_anomaly(a, out);
            continue;
        }
        buf_printf(out, "%s within ", names[a->kind]);
        put_duration(out, a->duration);
        if (a->key_count)
            buf_printf(out, " by %u key%s", a->key_count, a->key_count == 1 ? "" : "s");
    }
    if (op->extend.stamp)
        buf_printf(out, "%sits time", op->extend.count ? ", " : "");
}

static void put_fields(const struct demands *d, struct buf *out)
{
    for (uint32_t i = 0; i < d->count; i++) {
        buf_printf(out, "%s", i ? ", " : "");
        if (!d->at[i].count)
            buf_printf(out, d->at[i].meta ? "metadata" : "the whole event");
        for (uint32_t k = 0; k < d->at[i].count; k++)
            buf_printf(out, "%s%.*s", k ? "." : "", BYTES_FMT(d->at[i].parts[k]));
    }
}

static void put_late(struct buf *out, int64_t late)
{
    if (late == STREAM_LATE_UNLIMITED) {
        buf_printf(out, "any time");
        return;
    }
    buf_printf(out, "up to ");
    put_duration(out, late);
}

static void put_detail(const struct query *q, const struct op *op, struct buf *out)
{
    switch (op->kind) {
    case OP_READER:
        buf_printf(out, "read %.*s: ", BYTES_FMT(op->reader.input->name));
        put_fields(&op->reader.input->fields, out);
        buf_printf(out, op->reader.timestamp ? "; time from the event, late by " : "; time of arrival");
        if (op->reader.timestamp) {
            put_late(out, q->options.late);
            buf_printf(out, ", out of order by up to ");
            put_duration(out, q->options.out_of_order);
            buf_printf(out, ", then %s", q->options.policy == STREAM_DROP ? "dropped" : "adjusted");
        }
        if (op->reader.overs)
            buf_printf(out, "; each key of OVER by itself");
        return;
    case OP_EXTEND:
        buf_printf(out, "add to each row: ");
        put_extend(op, out);
        return;
    case OP_JOIN:
        buf_printf(out, "%sjoin, %u equalit%s, from %" PRId64 " to %" PRId64 " x ", op->join.outer ? "left " : "", op->join.keys,
                   op->join.keys == 1 ? "y" : "ies", op->join.low, op->join.high);
        put_duration(out, unit_ticks(op->join.unit));
        return;
    case OP_LOOKUP:
        buf_printf(out, "%sjoin with reference data %.*s: ", op->lookup.outer ? "left " : "", BYTES_FMT(op->lookup.reference->name));
        put_fields(&op->lookup.reference->fields, out);
        return;
    case OP_APPLY: buf_printf(out, "a row for each %s", op->apply.record ? "property" : "element"); return;
    case OP_FILTER: buf_printf(out, "filter"); return;
    case OP_GROUP:
        buf_printf(out, "group: ");
        put_windows(op, out);
        return;
    case OP_PROJECT: buf_printf(out, "columns of a step"); return;
    case OP_UNION: buf_printf(out, "in the order of time"); return;
    default: buf_printf(out, "write to %.*s", BYTES_FMT(q->outputs[op->write.output].name)); return;
    }
}

void query_explain(const struct query *q, struct buf *out)
{
    for (uint32_t i = 0; i < q->op_count; i++) {
        const struct op *op = q->ops[i];
        buf_printf(out, "%3u  ", i + 1);
        put_detail(q, op, out);
        for (uint32_t k = 0; k < op->out_count; k++)
            buf_printf(out, "%s%u", k ? ", " : "  -> ", op->outs[k].op->id + 1);
        buf_printf(out, "\n");
    }
}
