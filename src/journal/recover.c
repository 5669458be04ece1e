/* recover.c - from files to memory: segments are listed, the survey decides, what it kept is replayed, and
 * repair.c makes the disk agree. */
#include "journal/journal_private.h"

#include <errno.h>

struct replay {
    struct journal *j;
    const struct survey *v;
    struct scan scan;
    struct replayed met;
    size_t broken; /* cursor in v->broken */
    uint8_t last_type;
};

/* ---- the files ---- */

struct listing {
    struct journal *j;
    struct buf temps; /* names to remove, each with its NUL */
    bool no_memory;
};

static void list_one(void *ctx, const char *name)
{
    struct listing *l = ctx;
    uint64_t number = segment_number(name, "seg");
    size_t n = strlen(name);
    if (number && !segment_find(l->j, number)) {
        struct segment *s = segment_add(l->j, number, 0);
        l->no_memory |= s == NULL;
        if (s)
            s->sealed = s->made = true;
    } else if (n > 4 && strcmp(name + n - 4, ".tmp") == 0) {
        buf_add(&l->temps, name, n + 1);
    }
}

static enum code read_head(struct journal *j, struct segment *s, struct fault *why)
{
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    segment_name(s->number, "seg", name);
    journal_path(j, path, name);
    struct io_stat st;
    int r = j->io->stat(j->io->self, path, &st);
    int file = r == 0 ? j->io->open(j->io->self, path, IO_READ) : r;
    if (file < 0)
        return FAIL_SYS(why, CODE_IO, -file, "cannot open %s", path);
    uint8_t bytes[SEGMENT_HEAD] = {0};
    int64_t n = io_read_all(j->io, file, bytes, sizeof bytes, 0);
    j->io->close(j->io->self, file);
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read %s", path);
    const struct segment_head *h = &s->head;
    s->head_fine = segment_head_decode(&s->head, bytes, j->id) && h->number == s->number &&
                   h->bytes >= SEGMENT_BYTES_MIN && h->bytes <= SEGMENT_BYTES_MAX &&
                   (h->state.seq == 0) == (h->state.segment == 0) && h->state.segment <= h->number &&
                   h->state.seq <= h->synced && (h->state.seq == 0 || h->state.offset >= SEGMENT_HEAD) &&
                   (h->state.segment != h->number || h->state.seq == 0 || h->state.seq >= h->first_seq);
    uint64_t size = st.size < SEGMENT_BYTES_MAX ? st.size : SEGMENT_BYTES_MAX;
    s->bytes = s->head_fine ? s->head.bytes : (uint32_t)size;
    s->size = size < s->bytes ? (uint32_t)size : s->bytes;
    return CODE_OK;
}

static enum code list_files(struct journal *j, struct fault *why)
{
    struct listing l = {.j = j};
    int r = j->io->list(j->io->self, j->dir, list_one, &l);
    enum code code = CODE_OK;
    if (r < 0)
        code = FAIL_SYS(why, CODE_IO, -r, "cannot list %s", j->dir);
    else if (l.no_memory || l.temps.bad)
        code = FAIL(why, CODE_NOMEM, 0, "no memory to list %s", j->dir);
    for (size_t at = 0; code == CODE_OK && at < l.temps.len; at += strlen((char *)l.temps.at + at) + 1) {
        char path[PATH_MAX_OWN];
        (void)j->io->unlink(j->io->self, journal_path(j, path, (char *)l.temps.at + at));
    }
    buf_clear(&l.temps);
    for (size_t i = 0; i < j->segment_count && code == CODE_OK; i++)
        code = read_head(j, j->segments[i], why);
    return code;
}

/* ---- the replay ---- */

static bool in_broken(struct replay *r, uint64_t seq)
{
    const struct survey *v = r->v;
    while (r->broken < v->broken_count && v->broken[r->broken].to < seq)
        r->broken++;
    return (r->broken < v->broken_count && v->broken[r->broken].from <= seq) ||
           (v->batch_from && seq >= v->batch_from);
}

static enum code note_partition(struct replay *r, struct segment *s, const struct scan_item *item,
                                struct fault *why)
{
    struct journal *j = r->j;
    const struct frame *f = &item->frame;
    uint32_t partition = f->stream - 1;
    if (f->stream == 0 || f->type != RECORD_MESSAGE)
        return CODE_OK;
    if (partition >= j->partition_count)
        return FAIL(why, CODE_DAMAGED, item->from,
                    "a record of partition %u in segment %" PRIx64 ", there are %u", partition, s->number,
                    j->partition_count);
    struct partition *p = &j->partitions[partition];
    if (f->stream_seq >= p->next) {
        p->next = f->stream_seq + 1;
        p->lost_at = j->lost;
    }
    if (item->kind == SCAN_BAD_BODY)
        return CODE_OK;
    enum code code = index_reserve(s, partition, f->stream_seq, why);
    if (code != CODE_OK)
        return code;
    index_add(s, partition, f->stream_seq, (uint32_t)item->from, f->wall_us);
    s->partition_bytes += item->to - item->from;
    return CODE_OK;
}

static enum code apply(struct replay *r, struct segment *s, const struct scan_item *item, struct fault *why)
{
    struct journal *j = r->j;
    const struct frame *f = &item->frame;
    struct record record = {
        .type = f->type,
        .flags = f->flags,
        .seq = f->seq,
        .wall_us = f->wall_us,
        .partition = f->stream ? f->stream - 1 : JOURNAL_NO_PARTITION,
        .partition_seq = f->stream_seq,
        .meta = item->meta,
        .payload = item->payload,
        .segment = s->number,
        .segment_offset = (uint32_t)item->from,
    };
    if (f->type == RECORD_PARTITIONS)
        return state_read_partitions(j, &record, why);
    bool program = f->type == RECORD_MESSAGE || f->type >= RECORD_PROGRAM;
    if (!program || !j->opt.apply || f->seq < r->v->state.seq || in_broken(r, f->seq))
        return CODE_OK;
    return j->opt.apply(j->opt.ctx, j, &record, why);
}

static enum code replay_frame(struct replay *r, struct segment *s, const struct scan_item *item,
                              struct fault *why)
{
    const struct frame *f = &item->frame;
    if (f->seq <= r->met.last)
        return CODE_OK;
    if (r->met.last)
        r->j->lost += f->seq - r->met.last - 1;
    r->met.last = f->seq;
    r->met.open = f->flags & RECORD_MORE;
    r->last_type = f->type;
    r->j->appended = f->seq; /* what handles are dropped against */
    if (s->first_seq == 0)
        s->first_seq = f->seq;
    s->last_seq = f->seq;
    s->end = (uint32_t)item->to;
    if (f->seq > r->v->synced && r->met.unproven.seq == 0)
        r->met.unproven = (struct place){.seq = f->seq, .segment = s->number, .offset = (uint32_t)item->from};
    enum code code = note_partition(r, s, item, why);
    return code == CODE_OK && item->kind == SCAN_FRAME ? apply(r, s, item, why) : code;
}

static enum code replay_segment(struct replay *r, struct segment *s, struct fault *why)
{
    struct journal *j = r->j;
    int file;
    segment_pin_locked(s);
    journal_unlock(j);
    enum code code = segment_open_pinned(j, s, &file, why);
    journal_lock(j);
    uint64_t size = s->number == r->v->end.segment ? r->v->end.offset : s->size;
    if (size > s->size)
        size = s->size;
    if (code == CODE_OK)
        scan_again(&r->scan, file, "a segment", s->number, size);
    while (code == CODE_OK) {
        struct scan_item item;
        code = scan_next(&r->scan, &item, why);
        if (code != CODE_OK || item.kind == SCAN_END)
            break;
        if (item.kind != SCAN_GARBAGE && item.frame.seq <= r->v->end.seq)
            code = replay_frame(r, s, &item, why);
    }
    journal_unlock(j);
    segment_unpin(j, s);
    journal_lock(j);
    return code;
}

static enum code remember_moves(struct journal *j, const struct survey *v, struct fault *why)
{
    for (size_t i = 0; i < v->moved_count; i++) {
        const struct moved *m = &v->moved[i];
        if (m->seq > v->end.seq || m->id == 0)
            continue;
        struct idmap_entry *e = idmap_put(j->map, m->id);
        if (!e)
            return FAIL(why, CODE_NOMEM, 0, "no memory for the messages that were moved");
        e->segment = m->segment;
        e->offset = m->offset;
        e->body_len = m->body_len;
    }
    return CODE_OK;
}

static enum code replay_all(struct replay *r, struct fault *why)
{
    struct journal *j = r->j;
    enum code code = remember_moves(j, r->v, why);
    scan_init(&r->scan, j->io, -1, "", j->id, 0, 0);
    for (size_t i = 0; i < j->segment_count && code == CODE_OK; i++) {
        struct segment *s = j->segments[i];
        if (s->number >= r->v->first_segment && s->number <= r->v->end.segment)
            code = replay_segment(r, s, why);
    }
    scan_clear(&r->scan);
    j->lost += r->v->next_seq - 1 - r->v->end.seq;
    return code;
}

/* ---- indexes and partitions ---- */

/* A segment that was read has its index in memory; the file spares that memory if it says the same. */
static void trade_index(struct journal *j, struct segment *s)
{
    struct segment file = {.number = s->number, .bytes = s->bytes};
    if (index_load(j, &file, NULL) == CODE_OK && index_same(&file, s)) {
        index_drop(s);
        s->spans = file.spans;
        s->span_count = file.span_count;
        s->span_cap = file.span_cap;
        s->has_index = true;
    } else {
        index_drop(&file);
    }
}

static enum code load_indexes(struct journal *j, const struct survey *v, struct fault *why)
{
    for (size_t i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        enum code code = CODE_OK;
        if (s->number >= v->end.segment)
            break;
        if (s->number >= v->first_segment) {
            trade_index(j, s);
            continue;
        }
        const struct segment *next = i + 1 < j->segment_count ? j->segments[i + 1] : NULL;
        bool known = next && next->number == s->number + 1 && next->head_fine && next->head.first_seq;
        if (index_load(j, s, why) == CODE_OK && (!known || s->last_seq + 1 == next->head.first_seq))
            continue;
        s->has_index = false; /* missing, damaged, or of an earlier time */
        journal_unlock(j);
        code = index_rebuild(j, s, why);
        journal_lock(j);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static bool given_up(const struct journal *j, const struct segment *s)
{
    for (uint32_t i = 0; i < s->span_count; i++)
        if (s->spans[i].partition < j->partition_count &&
            s->spans[i].first + s->spans[i].count > j->partitions[s->spans[i].partition].first)
            return false;
    return true;
}

static enum code settle_partitions(struct journal *j, struct fault *why)
{
    for (size_t i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        for (uint32_t k = 0; k < s->span_count; k++) {
            const struct span *p = &s->spans[k];
            if (p->partition >= j->partition_count)
                return FAIL(why, CODE_DAMAGED, 0, "segment %" PRIx64 " holds partition %u, there are %u",
                            s->number, p->partition, j->partition_count);
            struct partition *of = &j->partitions[p->partition];
            if (p->first + p->count > of->next) {
                of->next = p->first + p->count;
                of->lost_at = j->lost;
            }
        }
        if (s->partition_bytes && given_up(j, s) && s->sealed) {
            s->released = true;
            index_drop(s);
        }
    }
    for (uint32_t i = 0; i < j->partition_count; i++) {
        struct partition *p = &j->partitions[i];
        /* Lost frames may have been of this partition; their sequences are not used again. */
        p->next += j->lost - p->lost_at;
        p->durable_next = p->group_next = p->next;
    }
    return CODE_OK;
}

/* ---- together ---- */

static void settle_ages(struct journal *j)
{
    for (size_t i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        if (s->head_fine && s->head.age_us >= j->age_base_us) {
            j->age_base_us = s->head.age_us;
            j->age_wall_us = s->head.wall_us;
        }
    }
    retention_start(j);
    int64_t age = retention_age(j);
    /* The one after the next was planned when this one was closed, or later. */
    for (size_t i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        const struct segment *later = i + 2 < j->segment_count ? j->segments[i + 2] : NULL;
        s->age_us = later && later->head_fine ? later->head.age_us : age;
        s->opened_age_us = s->head_fine ? s->head.age_us : age;
    }
}

static void report(struct journal *j, const struct survey *v)
{
    char name[SEGMENT_NAME];
    for (size_t i = 0; i < v->gap_count; i++) {
        const struct gap *g = &v->gaps[i];
        segment_name(g->at.segment, "seg", name);
        bool torn = g->at.seq > v->synced;
        if (torn && g->dirty)
            log_info(JOURNAL_AREA, "%s/%s at %u: an unfinished write that was never acknowledged is cleared",
                     j->dir, name, g->at.offset);
        else if (!torn && (g->missing || (g->last && v->damaged_end)))
            log_error(JOURNAL_AREA,
                      "%s/%s is damaged at %u: %s (from record %" PRIu64 " on, %" PRIu64 " lost)", j->dir,
                      name, g->at.offset, g->what, g->at.seq,
                      g->missing ? g->missing : v->synced + 1 - g->at.seq);
        else if (g->dirty && !g->last)
            log_warn(JOURNAL_AREA, "%s/%s is damaged at %u, in a place that is not used", j->dir, name,
                     g->at.offset);
    }
    atomic_store(&j->damaged_frames, v->damaged);
    atomic_store(&j->torn_frames, v->torn);
}

static void take_over(struct journal *j, const struct survey *v, const struct replay *r)
{
    j->appended = j->wanted = j->urgent = j->synced = v->next_seq - 1;
    atomic_store(&j->durable, j->appended);
    j->seal_seq = r->last_type == RECORD_SEAL && r->met.last == j->appended ? j->appended : 0;
    j->state = v->state;
    if (j->witness.seq > j->state.seq)
        j->witness = j->state;
    j->last_round_bytes = v->state_bytes;
    j->round_live = j->live_total;
    uint64_t from = v->state.seq ? v->state.segment : v->first_segment;
    j->bytes_appended = v->empty || v->end.segment < from
                            ? 0
                            : (v->end.segment - from) * j->opt.segment_bytes + v->end.offset -
                                  (v->end.segment == from && v->end.offset >= v->state.offset
                                       ? v->state.offset
                                       : 0);
}

static enum code recover_steps(struct journal *j, struct survey *v, struct fault *why)
{
    enum code code = list_files(j, why);
    if (code == CODE_OK)
        code = survey_run(j, v, why);
    if (code != CODE_OK)
        return code;
    struct replay r = {.j = j, .v = v};
    if (v->empty) {
        v->next_seq = 1;
    } else {
        report(j, v);
        code = replay_all(&r, why);
        if (code == CODE_OK)
            code = load_indexes(j, v, why);
        if (code == CODE_OK)
            code = settle_partitions(j, why);
    }
    if (code != CODE_OK)
        return code;
    j->index_due = true;
    settle_ages(j);
    take_over(j, v, &r);
    journal_unlock(j);
    code = repair_run(j, v, &r.met, why);
    journal_lock(j);
    return code;
}

enum code recover_open(struct journal *j, struct fault *why)
{
    struct survey v = {0};
    struct idmap map = {0};
    j->map = &map;
    j->replaying = true;
    enum code code = recover_steps(j, &v, why);
    j->replaying = false;
    j->map = NULL;
    idmap_clear(&map);
    survey_clear(&v);
    return code;
}
