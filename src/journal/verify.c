/* verify.c - reads the older segments once after a start, in the background: damage is reported with file and
 * offset, and stops nothing. What a start replays it has verified already; what is appended after it may be in
 * memory only, also when its segment is full. */
#include "journal/journal_private.h"

#include <time.h>

enum { SLICE_BYTES = 1024 * 1024, PAUSE_MS = 20 };

/* The next segment of before the start that was not read since. Pinned. */
static struct segment *next_segment(struct journal *j)
{
    struct segment *found = NULL;
    journal_lock(j);
    for (size_t i = 0; i < j->segment_count && !found; i++) {
        struct segment *s = j->segments[i];
        if (s->number > j->verify_segment && s->number < j->verify_until && !s->surveyed)
            found = s;
    }
    if (found) {
        segment_pin_locked(found);
        j->verify_segment = found->number;
    }
    journal_unlock(j);
    return found;
}

static bool open_next(struct journal *j)
{
    struct segment *s = next_segment(j);
    if (!s)
        return false;
    int file;
    struct fault why;
    if (segment_open_pinned(j, s, &file, &why) != CODE_OK) {
        log_error(JOURNAL_AREA, "verification: %s", why.text);
        segment_unpin(j, s);
        return true;
    }
    scan_again(&j->verify_scan, file, "a segment", s->number, s->size);
    j->verify_open = s;
    j->verify_expect = s->first_seq;
    return true;
}

static void report(struct journal *j, uint64_t offset, const char *what)
{
    char name[SEGMENT_NAME];
    segment_name(j->verify_open->number, "seg", name);
    if (damage_note(j, j->verify_open->number, offset))
        log_error(JOURNAL_AREA, "%s/%s is damaged at %" PRIu64 ": %s", j->dir, name, offset, what);
}

static void close_segment(struct journal *j)
{
    segment_unpin(j, j->verify_open);
    j->verify_open = NULL;
}

bool verify_step(struct journal *j)
{
    if (!atomic_load(&j->verifying))
        return false;
    if (!j->verify_open && !open_next(j)) {
        scan_clear(&j->verify_scan);
        atomic_store(&j->verifying, false);
        return false;
    }
    for (uint64_t from = j->verify_scan.at; j->verify_open && j->verify_scan.at - from < SLICE_BYTES;) {
        struct scan_item item;
        struct fault why;
        enum code code = scan_next(&j->verify_scan, &item, &why);
        if (code != CODE_OK || item.kind == SCAN_END) {
            if (code != CODE_OK) /* that is no damage: the next start reads it again */
                log_error(JOURNAL_AREA, "verification: %s", why.text);
            else if (j->verify_expect && j->verify_expect <= j->verify_open->last_seq)
                report(j, item.from, "the last records are missing");
            close_segment(j);
            break;
        }
        if (item.kind == SCAN_GARBAGE) {
            report(j, item.from, "no frame where one should be");
            j->verify_expect = 0; /* what is missing behind it is the same damage */
        } else {
            if (item.kind == SCAN_BAD_BODY)
                report(j, item.from, "the body's checksum does not hold");
            else if (j->verify_expect && item.frame.seq != j->verify_expect)
                report(j, item.from, "records are missing before this place");
            j->verify_expect = item.frame.seq + 1;
        }
    }
    return true;
}

static void *run(void *arg)
{
    struct journal *j = arg;
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    while (!atomic_load(&j->stop_verify) && verify_step(j))
        (void)nanosleep(&pause, NULL);
    return NULL;
}

bool verify_start(struct journal *j, struct fault *why)
{
    scan_init(&j->verify_scan, j->io, -1, "", j->id, 0, 0);
    j->verify_until = j->active->number; /* nobody appends yet */
    atomic_store(&j->verifying, true);
    if (j->opt.manual)
        return true;
    int r = pthread_create(&j->verifier, NULL, run, j);
    if (r != 0) {
        FAIL_SYS(why, CODE_NOMEM, r, "cannot start the thread that verifies");
        return false;
    }
    j->has_verifier = true;
    return true;
}

void verify_stop(struct journal *j)
{
    atomic_store(&j->stop_verify, true);
    if (j->has_verifier)
        FG_ASSERT(pthread_join(j->verifier, NULL) == 0);
    j->has_verifier = false;
    if (j->verify_open)
        close_segment(j);
    scan_clear(&j->verify_scan);
}
