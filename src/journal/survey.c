/* survey.c - reads the log from where its state begins to its end and decides, before anything is changed,
 * what it says: where it ends, what is damaged, where the replay begins.
 *
 *      state begins                                    S = highest `synced`         the log ends
 *   ────┬──────────────┬───────╳╳───────┬──────────────────┬───────┬─────────╳╳╳────────┬──┬─╳──── zeroes
 *       │              │     damage:    │                  │ kept: │  the first gap     whatever lies behind
 *       │              │   below S, so  │                  │ whole │  above S: torn,    it was never promised
 *       │              │  it was there  │                  │       │  never promised    and is cleared
 */
#include "journal/journal_private.h"

struct walk {
    struct journal *j;
    struct survey *v;
    struct scan scan;
    uint64_t expect;    /* the next sequence, 0 = any                            */
    struct place here;  /* behind the last frame taken: where the next one is due */
    struct place batch; /* seq 0 = none open                                     */
    bool orphan;        /* frames that continue now belong to a broken batch     */
    struct gap open;    /* bytes met that were no frame                          */
    bool has_open;
    bool jump; /* segments are missing before the one being read         */
    bool cut;  /* the file that holds the last frame taken is too short  */
    struct round_seen round;
    bool in_round;
    uint64_t lost_at_begin, lost;
};

/* Room for one more of `size` bytes in a growing array. */
static bool grow(void **at, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 16;
    void *fresh = mem_realloc(*at, more * size);
    if (!fresh)
        return false;
    *at = fresh;
    *cap = more;
    return true;
}
#define GROW(v, list, n) grow((void **)&(v)->list, &(v)->n##_cap, (v)->n##_count, sizeof *(v)->list)

static enum code no_memory(struct fault *why)
{
    return FAIL(why, CODE_NOMEM, 0, "no memory to read the journal");
}

/* ---- gaps and broken batches ---- */

static enum code add_gap(struct walk *w, const struct gap *g, struct fault *why)
{
    struct survey *v = w->v;
    if (!GROW(v, gaps, gap))
        return no_memory(why);
    v->gaps[v->gap_count++] = *g;
    w->lost += g->missing;
    return CODE_OK;
}

static enum code add_broken(struct walk *w, uint64_t from, uint64_t to, struct fault *why)
{
    struct survey *v = w->v;
    if (v->broken_count && v->broken[v->broken_count - 1].to + 1 >= from) {
        v->broken[v->broken_count - 1].to = to;
        return CODE_OK;
    }
    if (!GROW(v, broken, broken))
        return no_memory(why);
    v->broken[v->broken_count++] = (struct seq_range){from, to};
    return CODE_OK;
}

static void meet_garbage(struct walk *w, uint64_t segment, const struct scan_item *item)
{
    bool dirty = item->dirty_to > item->from;
    if (w->has_open) {
        w->open.dirty |= dirty;
        return;
    }
    w->has_open = true;
    w->open = (struct gap){.at = {.segment = segment, .offset = (uint32_t)item->from}, .dirty = dirty};
}

/* Frames from w->expect up to `seq` (or to the end: 0) are not there, or bytes were met that are no frame. */
static enum code close_gap(struct walk *w, uint64_t seq, struct fault *why)
{
    struct gap g = w->has_open ? w->open : (struct gap){.at = w->here};
    w->has_open = false;
    g.at.seq = w->expect;
    g.batch = w->batch;
    g.missing = seq && w->expect ? seq - w->expect : 0;
    g.last = seq == 0;
    g.jump = w->jump;
    g.what = g.dirty ? "no frame where one should be" : "frames are missing";
    if (w->batch.seq && w->expect && g.missing) {
        enum code code = add_broken(w, w->batch.seq, w->expect - 1, why);
        if (code != CODE_OK)
            return code;
    }
    if (g.missing || !w->expect) {
        w->batch = (struct place){0};
        w->orphan = true;
    }
    return add_gap(w, &g, why);
}

/* A frame whose header holds and whose body does not. */
static enum code bad_body(struct walk *w, uint64_t segment, const struct scan_item *item, struct fault *why)
{
    const struct frame *f = &item->frame;
    struct gap g = {.at = {.seq = f->seq, .segment = segment, .offset = (uint32_t)item->from},
                    .batch = w->batch,
                    .missing = 1,
                    .dirty = true,
                    .what = "the body's checksum does not hold"};
    enum code code = CODE_OK;
    uint64_t from = w->batch.seq ? w->batch.seq : f->seq;
    if (w->batch.seq || (f->flags & RECORD_MORE))
        code = add_broken(w, from, f->seq, why);
    w->batch = (struct place){0};
    w->orphan = (f->flags & RECORD_MORE) != 0;
    w->expect = f->seq + 1;
    return code == CODE_OK ? add_gap(w, &g, why) : code;
}

/* ---- frames ---- */

static enum code follow_batch(struct walk *w, uint64_t segment, const struct scan_item *item,
                              struct fault *why)
{
    const struct frame *f = &item->frame;
    bool more = f->flags & RECORD_MORE, continues = f->flags & RECORD_CONTINUES;
    if (w->orphan && continues)
        return add_broken(w, f->seq, f->seq, why);
    w->orphan = false;
    if (w->batch.seq && !continues) { /* given up before its end */
        enum code code = add_broken(w, w->batch.seq, f->seq - 1, why);
        if (code != CODE_OK)
            return code;
        w->batch = (struct place){0};
    }
    if (!more)
        w->batch = (struct place){0};
    else if (!w->batch.seq)
        w->batch = (struct place){.seq = f->seq, .segment = segment, .offset = (uint32_t)item->from};
    return CODE_OK;
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->seq == b->seq && a->segment == b->segment && a->offset == b->offset;
}

static enum code follow_round(struct walk *w, uint64_t segment, const struct scan_item *item,
                              struct fault *why)
{
    const struct frame *f = &item->frame;
    struct survey *v = w->v;
    if (f->type == RECORD_STATE_BEGIN) {
        w->in_round = true;
        w->round = (struct round_seen){
            .begin = {.seq = f->seq, .segment = segment, .offset = (uint32_t)item->from}};
        w->lost_at_begin = w->lost;
    } else if (f->type == RECORD_STATE_END && item->meta.len == STATE_END_META) {
        struct round_seen r = {
            .begin = {.seq = get_le64(item->meta.at),
                      .segment = get_le64(item->meta.at + 8),
                      .offset = get_le32(item->meta.at + 16)},
            .end_seq = f->seq,
            .bytes = get_le64(item->meta.at + 24),
        };
        bool begun = w->in_round && same_place(&w->round.begin, &r.begin);
        r.whole = begun && w->lost == w->lost_at_begin;
        w->in_round = false;
        if (!begun && !same_place(&r.begin, &v->start))
            return CODE_OK; /* its beginning is lost, or it never was */
        if (!GROW(v, rounds, round))
            return no_memory(why);
        v->rounds[v->round_count++] = r;
    } else if (f->type == RECORD_MOVED && item->meta.len == MOVED_META) {
        if (!GROW(v, moved, moved))
            return no_memory(why);
        v->moved[v->moved_count++] = (struct moved){.seq = f->seq,
                                                    .id = get_le64(item->meta.at),
                                                    .segment = segment,
                                                    .offset = (uint32_t)item->from,
                                                    .body_len = f->body_len};
    }
    return CODE_OK;
}

static enum code take(struct walk *w, uint64_t segment, const struct scan_item *item, struct fault *why)
{
    const struct frame *f = &item->frame;
    struct survey *v = w->v;
    v->synced = f->synced > v->synced ? f->synced : v->synced;
    if (v->clean.valid && f->seq > v->clean.last.seq) { /* not this log's end: a copy of an earlier time */
        v->clean.valid = false;
        w->scan.clean_from = 0;
    }
    if (w->expect && f->seq < w->expect) { /* an older copy of something: not part of this log */
        struct scan_item stale = *item;
        stale.dirty_to = item->to;
        meet_garbage(w, segment, &stale);
        return CODE_OK;
    }
    if (w->cut) { /* a crash does not shorten a file: what it held may have been promised */
        v->synced = f->seq - 1 > v->synced ? f->seq - 1 : v->synced;
        w->cut = false;
    }
    if (w->expect == 0 && v->start.seq && f->seq > v->start.seq)
        w->expect = v->start.seq; /* that one was there */
    enum code code = CODE_OK;
    if (w->has_open || (w->expect && f->seq != w->expect))
        code = close_gap(w, f->seq, why);
    if (code != CODE_OK)
        return code;
    w->here = (struct place){.segment = segment, .offset = (uint32_t)item->to};
    if (item->kind == SCAN_BAD_BODY)
        return bad_body(w, segment, item, why);
    w->expect = f->seq + 1;
    w->jump = false;
    code = follow_batch(w, segment, item, why);
    return code == CODE_OK ? follow_round(w, segment, item, why) : code;
}

static enum code walk_segment(struct walk *w, struct segment *s, struct fault *why)
{
    int file;
    segment_pin_locked(s);
    journal_unlock(w->j);
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    segment_name(s->number, "seg", name);
    enum code code = segment_open_pinned(w->j, s, &file, why);
    if (code == CODE_OK) {
        scan_again(&w->scan, file, journal_path(w->j, path, name), s->number, s->size);
        int64_t unused = w->j->io->data_end(w->j->io->self, file);
        if (unused < s->size)
            w->scan.clean_from = unused > SEGMENT_HEAD ? (uint64_t)unused : SEGMENT_HEAD;
        if (w->v->clean.valid && w->v->clean.last.segment == s->number)
            w->scan.clean_from = w->v->clean.last.offset;
        if (w->v->clean.valid && s->number > w->v->clean.last.segment)
            w->scan.clean_from = SEGMENT_HEAD;
    }
    for (bool done = false; code == CODE_OK && !done;) {
        struct scan_item item;
        code = scan_next(&w->scan, &item, why);
        if (code != CODE_OK)
            break;
        done = item.kind == SCAN_END;
        if (item.kind == SCAN_GARBAGE)
            meet_garbage(w, s->number, &item);
        else if (!done)
            code = take(w, s->number, &item, why);
    }
    w->cut |= w->here.segment == s->number && s->size < s->bytes;
    segment_unpin(w->j, s);
    journal_lock(w->j);
    return code;
}

/* ---- the decision ---- */

/* The last segment with something in it was cut: as many frames may be gone as fit into what is missing, and
 * they may have been promised. */
static void count_cut(struct walk *w)
{
    const struct segment *s = segment_find(w->j, w->here.segment);
    if (!w->cut || !s || w->expect == 0)
        return;
    uint32_t from = w->here.offset > s->size ? s->size : w->here.offset;
    uint64_t most = w->expect - 1 + (s->bytes - from) / JOURNAL_FRAME_HEAD;
    w->v->synced = w->v->synced > most ? w->v->synced : most;
}

static void end_at(struct survey *v, const struct gap *g)
{
    v->end = g->at;
    v->end.seq = g->at.seq - 1;
    v->next_seq = g->at.seq;
    v->tail_clean = false;
    if (g->batch.seq && g->batch.seq > v->synced) { /* the batch that was cut goes as a whole */
        v->torn += v->next_seq - g->batch.seq;
        v->end = g->batch;
        v->end.seq = g->batch.seq - 1;
        v->next_seq = g->batch.seq;
    }
    v->batch_from = g->batch.seq; /* what is left of it is not applied */
    if (v->synced >= v->next_seq) {
        v->damaged_end = true;
        v->next_seq = v->synced + 1;
    }
}

static void decide_end(struct walk *w)
{
    struct survey *v = w->v;
    for (size_t i = 0; i < v->gap_count; i++) {
        const struct gap *g = &v->gaps[i];
        uint64_t last = g->last ? v->synced : g->at.seq + g->missing - 1;
        bool nothing = g->missing == 0 && !g->last;
        if (g->at.seq == 0 || nothing)
            continue; /* before the first frame there is, or bytes in a place that is not used */
        if (g->last || g->at.seq > v->synced || last > v->synced) {
            if (g->at.seq > v->synced && (g->dirty || !g->last))
                v->torn++;
            v->gap_count = i + 1;
            end_at(v, g);
            return;
        }
    }
    FG_ASSERT(!"the walk ends with a gap");
}

/* A place that its own segment says to lie before its first record is no place. */
static bool possible(const struct journal *j, const struct place *state)
{
    const struct segment *s = segment_find(j, state->segment);
    return !s || !s->head_fine || !s->head.first_seq || state->seq >= s->head.first_seq;
}

/* The newest round that lies before the end of the log; one with a hole in it only if there is no other. */
static void decide_state(const struct journal *j, struct survey *v)
{
    v->state = v->start;
    for (int whole = 0; whole < 2; whole++) {
        for (size_t i = 0; i < v->round_count; i++) {
            const struct round_seen *r = &v->rounds[i];
            if (r->end_seq > v->end.seq || (whole && !r->whole) || r->begin.segment < v->first_segment ||
                !possible(j, &r->begin))
                continue;
            if (whole || v->state.seq == 0 || same_place(&v->start, &r->begin)) {
                v->state = r->begin;
                v->state_bytes = r->bytes;
            }
        }
    }
}

static void count_damage(struct survey *v)
{
    for (size_t i = 0; i < v->gap_count; i++) {
        struct gap *g = &v->gaps[i];
        if (g->at.seq == 0 || g->at.seq > v->synced || g->last)
            continue;
        if (g->jump && g->at.seq < v->state.seq)
            g->missing = 0; /* nobody needed them any more */
        uint64_t most = v->synced + 1 - g->at.seq;
        v->damaged += g->missing < most ? g->missing : most;
    }
    if (v->damaged_end && v->gaps[v->gap_count - 1].last)
        v->damaged += v->synced - v->end.seq;
    if (v->start_lost && v->state.seq == 0 && v->synced > 0) {
        log_error(JOURNAL_AREA, "no complete round of state is left: what lay in older segments is lost");
        v->damaged++;
    }
}

/* ---- where to begin ---- */

/* The header that names the newest state, and the highest sequence known durable. */
static void read_heads(struct journal *j, struct survey *v)
{
    for (size_t i = 0; i < j->segment_count; i++) {
        const struct segment *s = j->segments[i];
        if (!s->head_fine)
            continue;
        v->synced = s->head.synced > v->synced ? s->head.synced : v->synced;
        if (s->head.state.seq > v->start.seq && possible(j, &s->head.state))
            v->start = s->head.state;
    }
    j->witness = v->start;
    if (v->clean.valid) {
        v->synced = v->clean.last.seq > v->synced ? v->clean.last.seq : v->synced;
        if (v->clean.state.seq > v->start.seq && possible(j, &v->clean.state))
            v->start = v->clean.state;
    }
    v->synced = v->start.seq > v->synced ? v->start.seq : v->synced;
}

static struct segment *first_segment(struct journal *j, struct survey *v)
{
    if (v->start.seq) {
        struct segment *s = segment_find(j, v->start.segment);
        if (s)
            return s;
        log_warn(JOURNAL_AREA,
                 "segment %" PRIx64 ", where the state began, is not in %s: reading all there is",
                 v->start.segment, j->dir);
        v->start = (struct place){0};
        v->start_lost = true;
    }
    return j->segment_count ? j->segments[0] : NULL;
}

enum code survey_run(struct journal *j, struct survey *v, struct fault *why)
{
    clean_load(j->io, j->dir, j->id, &v->clean);
    read_heads(j, v);
    struct segment *s = first_segment(j, v);
    if (!s) {
        v->empty = true;
        return CODE_OK;
    }
    v->first_segment = s->number;
    struct walk w = {.j = j, .v = v, .orphan = true};
    scan_init(&w.scan, j->io, -1, "", j->id, 0, 0);
    w.here = (struct place){.segment = s->number, .offset = SEGMENT_HEAD};
    /* Without any state nothing was deleted yet, and the log begins with 1. */
    bool beginning = v->start.seq == 0 && !v->start_lost;
    w.expect = s->head_fine && s->head.first_seq ? s->head.first_seq : beginning ? 1 : 0;
    enum code code = CODE_OK;
    for (; s && code == CODE_OK; s = segment_after(j, s)) {
        code = walk_segment(&w, s, why);
        s->surveyed = true;
        const struct segment *next = segment_after(j, s);
        w.jump |= next && next->number != s->number + 1;
    }
    if (w.expect == 0)
        w.expect = v->start.seq ? v->start.seq : v->synced + 1;
    if (code == CODE_OK) {
        count_cut(&w);
        v->tail_clean = !w.has_open;
        code = close_gap(&w, 0, why);
    }
    scan_clear(&w.scan);
    if (code != CODE_OK)
        return code;
    bool quiet = v->tail_clean && v->gap_count == 1 && !w.batch.seq;
    decide_end(&w);
    v->tail_clean = quiet && !v->damaged_end;
    decide_state(j, v);
    count_damage(v);
    return CODE_OK;
}

void survey_clear(struct survey *v)
{
    mem_free(v->gaps);
    mem_free(v->broken);
    mem_free(v->moved);
    mem_free(v->rounds);
}
