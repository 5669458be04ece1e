#include "stream/merge.h"

enum code merge_make(struct merge *m, uint32_t ports)
{
    m->count = ports;
    if (!(m->ports = mem_zalloc(ports, sizeof *m->ports)))
        return CODE_NOMEM;
    for (uint32_t i = 0; i < ports; i++)
        m->ports[i].mark = TIME_NONE;
    return CODE_OK;
}

void merge_free(struct stream *s, struct merge *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        for (struct kept *k = m->ports[i].first, *next; k; k = next) {
            next = k->next;
            kept_free(s, k);
        }
    mem_free(m->ports);
}

static void append(struct merge_port *p, struct kept *k)
{
    k->next = NULL;
    *(p->last ? &p->last->next : &p->first) = k;
    p->last = k;
}

enum code merge_put(struct stream *s, struct merge *m, uint32_t port, const struct row *r, uint32_t width)
{
    struct kept *k = kept_make(s, r->slots, width, r->time);
    if (!k)
        return run_no_memory(s);
    k->port = port;
    s->waiting++;
    append(&m->ports[port], k);
    return CODE_OK;
}

int64_t merge_mark(struct merge *m, uint32_t port, int64_t mark)
{
    if (mark > m->ports[port].mark)
        m->ports[port].mark = mark;
    int64_t all = INT64_MAX;
    for (uint32_t i = 0; i < m->count; i++)
        all = m->ports[i].mark < all ? m->ports[i].mark : all;
    return all;
}

struct kept *merge_next(struct stream *s, struct merge *m, int64_t mark)
{
    struct merge_port *best = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        struct merge_port *p = &m->ports[i];
        if (p->first && (!best || p->first->time < best->first->time))
            best = p;
    }
    if (!best || best->first->time >= mark)
        return NULL;
    struct kept *k = best->first;
    best->first = k->next;
    if (!best->first)
        best->last = NULL;
    s->waiting--;
    return k;
}

int64_t merge_due(const struct merge *m)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->ports[i].first && m->ports[i].first->time < due)
            due = m->ports[i].first->time;
    return due;
}

void merge_save(const struct merge *m, struct buf *out)
{
    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t n = 0;
        for (const struct kept *k = m->ports[i].first; k; k = k->next)
            n++;
        buf_le64(out, (uint64_t)m->ports[i].mark);
        buf_varint(out, n);
        for (const struct kept *k = m->ports[i].first; k; k = k->next)
            save_kept(out, k);
    }
}

enum code merge_load(struct loader *l, struct merge *m, const uint32_t *widths)
{
    for (uint32_t i = 0; i < m->count; i++) {
        m->ports[i].mark = load_time(l);
        uint64_t n = load_count(l, UINT32_MAX);
        for (; n && !l->bad; n--) {
            struct kept *k;
            TRY(load_kept(l, widths[i], &k));
            const struct kept *before = m->ports[i].last;
            k->port = i;
            l->stream->waiting++;
            append(&m->ports[i], k);
            if (before && before->time > k->time)
                return load_bad(l, "rows that wait are out of order");
        }
    }
    return l->bad ? load_bad(l, "rows that wait") : CODE_OK;
}
