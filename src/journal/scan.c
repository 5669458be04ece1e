#include "journal/scan.h"

#include "base/mem.h"

enum { WINDOW = 256 * 1024, BLOCK = 4096 };

void scan_init(struct scan *s, const struct io *io, int file, const char *path, uint64_t journal,
               uint64_t segment, uint64_t size)
{
    *s = (struct scan){.io = io, .journal = journal, .window = WINDOW};
    scan_again(s, file, path, segment, size);
}

void scan_again(struct scan *s, int file, const char *path, uint64_t segment, uint64_t size)
{
    s->file = file;
    s->path = path;
    s->segment = segment;
    s->size = size;
    s->at = SEGMENT_HEAD;
    s->clean_from = 0;
    s->from = 0;
    s->have = 0;
}

void scan_clear(struct scan *s)
{
    mem_free(s->buf);
    s->buf = NULL;
    s->cap = s->have = 0;
}

bool bytes_zero(const void *at, size_t n)
{
    const uint8_t *p = at;
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

const uint8_t *scan_view(struct scan *s, uint64_t at, size_t n, struct fault *why)
{
    FG_ASSERT(n <= s->size && at <= s->size - n);
    if (at >= s->from && at + n <= s->from + s->have)
        return s->buf + (at - s->from);
    uint64_t rest = s->size - at;
    size_t want = s->window > n ? s->window : n;
    if (want > rest)
        want = (size_t)rest;
    if (want > s->cap) {
        uint8_t *fresh = mem_alloc(want);
        if (!fresh) {
            FAIL(why, CODE_NOMEM, at, "no memory for %zu bytes of %s", want, s->path);
            return NULL;
        }
        mem_free(s->buf);
        s->buf = fresh;
        s->cap = want;
    }
    s->have = 0;
    int64_t got = io_read_all(s->io, s->file, s->buf, want, at);
    if (got < 0) {
        FAIL_SYS(why, CODE_IO, (int)-got, "cannot read %s at %llu", s->path, (unsigned long long)at);
        return NULL;
    }
    if ((size_t)got < n) {
        FAIL(why, CODE_IO, at, "%s became shorter while it was read at %llu", s->path,
             (unsigned long long)at);
        return NULL;
    }
    s->from = at;
    s->have = (size_t)got;
    return s->buf + 0;
}

/* A header that holds at `at`, and whose body fits into the file. 1, 0, or -1 with *why. */
static int frame_at(struct scan *s, uint64_t at, struct frame *f, struct fault *why)
{
    if (at + JOURNAL_FRAME_HEAD > s->size)
        return 0;
    const uint8_t *head = scan_view(s, at, JOURNAL_FRAME_HEAD, why);
    if (!head)
        return -1;
    return frame_decode(f, head, s->journal, s->segment, (uint32_t)at);
}

/* The first place behind `from` where a header holds, or size; and the end of what is not zero before it. */
static int search(struct scan *s, uint64_t from, uint64_t *found, uint64_t *dirty_to, struct fault *why)
{
    struct frame f;
    *dirty_to = from;
    for (uint64_t at = from; at < s->size;) {
        if (s->clean_from && at >= s->clean_from)
            break;
        size_t n = (size_t)(s->size - at < BLOCK ? s->size - at : BLOCK);
        const uint8_t *p = scan_view(s, at, n, why);
        if (!p)
            return -1;
        if (bytes_zero(p, n)) { /* the journal id is not zero, so no header reaches into here with its id */
            at += n;
            continue;
        }
        for (size_t i = 0; i + 8 <= n; i += 8) {
            uint64_t word = get_le64(p + i), here = at + i - 8;
            if (word == s->journal && at + i >= from + 16) {
                int r = frame_at(s, here, &f, why);
                if (r < 0)
                    return -1;
                if (r > 0) {
                    /* The first bytes of that header were counted as dirty when they were passed. */
                    *dirty_to = *dirty_to > here ? here : *dirty_to;
                    *found = here;
                    return 0;
                }
                p = scan_view(s, at, n, why); /* the window may have moved */
                if (!p)
                    return -1;
            }
            if (word)
                *dirty_to = at + i + 8;
        }
        if (n % 8 && !bytes_zero(p + n - n % 8, n % 8))
            *dirty_to = at + n;
        at += n;
    }
    *found = s->size;
    return 0;
}

static enum code take_frame(struct scan *s, struct scan_item *item, struct fault *why)
{
    const struct frame *f = &item->frame;
    uint64_t whole = frame_bytes(f->body_len), left = s->size - s->at;
    item->from = s->at;
    if (JOURNAL_FRAME_HEAD + (uint64_t)f->body_len > left) { /* the file was cut */
        item->kind = SCAN_BAD_BODY;
        item->to = s->at = s->size;
        return CODE_OK;
    }
    if (whole > left) /* only padding is missing */
        whole = left;
    const uint8_t *p = scan_view(s, s->at, (size_t)whole, why);
    if (!p)
        return why ? why->code : CODE_IO;
    const uint8_t *body = p + JOURNAL_FRAME_HEAD;
    item->kind = frame_body_holds(f, body) ? SCAN_FRAME : SCAN_BAD_BODY;
    item->meta = bytes_of(body, f->meta_len);
    item->payload = bytes_of(body + f->meta_len, f->body_len - f->meta_len);
    item->bad_padding = !bytes_zero(body + f->body_len, (size_t)whole - JOURNAL_FRAME_HEAD - f->body_len);
    s->at += whole;
    item->to = s->at;
    return CODE_OK;
}

enum code scan_next(struct scan *s, struct scan_item *item, struct fault *why)
{
    struct fault own;
    if (!why)
        why = &own;
    memset(item, 0, sizeof *item);
    int r = s->at < s->size ? frame_at(s, s->at, &item->frame, why) : 0;
    if (r < 0)
        return why->code;
    if (r > 0)
        return take_frame(s, item, why);
    item->from = s->at;
    item->to = s->size;
    item->kind = SCAN_END;
    if (s->at >= s->size)
        return CODE_OK;
    uint64_t found, dirty_to;
    if (search(s, s->at, &found, &dirty_to, why) < 0)
        return why->code;
    if (found == s->size && dirty_to == s->at)
        return CODE_OK;
    item->kind = SCAN_GARBAGE;
    item->to = s->at = found;
    item->dirty_to = dirty_to;
    return CODE_OK;
}
