/* Tests of check.h, and of what damage costs: every bit of a small journal is flipped, and it is cut at every
 * byte. */
#include "journal/journal_test_rig.h"

#define SEG "/data/journal/0000000000000001.seg"

enum { FRAMES_MAX = 32 };

struct small {
    struct rig *r;
    bool clean;
    size_t count;
    struct {
        uint64_t from, body_end, to;
        uint8_t type;
        char text[16]; /* as it is applied, "" when it is the journal's own */
    } frames[FRAMES_MAX];
    uint64_t end;
};

/* Three notes, three messages in partition 1, one of them kept; then a clean stop or kill -9. */
static struct small *make(bool clean)
{
    struct small *s = calloc(1, sizeof *s);
    struct rig *r = s->r = rig_new();
    s->clean = clean;
    r->opt.write_state = NULL; /* so that every start replays everything */
    rig_must_open(r);
    static const char *texts[] = {"n1", "m1", "n2", "m2", "m3", "n3"};
    for (int i = 0; i < 6; i++) {
        if (texts[i][0] == 'n')
            assert_int_equal(rig_note(r, texts[i], 0), CODE_OK);
        else
            assert_int_equal(rig_message(r, texts[i], i == 3 ? 20 : 0, 1, i == 3, NULL), CODE_OK);
        if (i % 2)
            rig_settle(r);
    }
    rig_settle(r);
    if (clean)
        rig_close(r);
    else
        rig_kill(r);
    struct scan scan;
    const struct io *io = r->opt.io;
    struct format format;
    assert_int_equal(format_load(io, "/data", &format, NULL), CODE_OK);
    int file = io->open(io->self, SEG, IO_READ);
    scan_init(&scan, io, file, SEG, format.journal, 1, 65536);
    for (int text = 0;;) {
        struct scan_item item;
        assert_int_equal(scan_next(&scan, &item, NULL), CODE_OK);
        s->end = item.from;
        if (item.kind == SCAN_END)
            break;
        size_t k = s->count++;
        s->frames[k].from = item.from;
        s->frames[k].body_end = item.from + JOURNAL_FRAME_HEAD + item.frame.body_len;
        s->frames[k].to = item.to;
        s->frames[k].type = item.frame.type;
        if (item.frame.type == RIG_NOTE || item.frame.type == RECORD_MESSAGE)
            snprintf(s->frames[k].text, sizeof s->frames[k].text, "%s:%s ",
                     item.frame.type == RIG_NOTE ? "note" : "message", texts[text++]);
    }
    scan_clear(&scan);
    io->close(io->self, file);
    return s;
}

static void free_small(struct small *s)
{
    rig_free(s->r);
    free(s);
}

/* The texts of all frames, but for the one hit, and none from the first that does not end before `cut`. */
static void expect(const struct small *s, size_t hit, uint64_t cut, char out[256])
{
    size_t n = 0;
    out[0] = 0;
    for (size_t k = 0; k < s->count && s->frames[k].body_end <= cut; k++)
        if (k != hit)
            n += (size_t)snprintf(out + n, 256 - n, "%s", s->frames[k].text);
}

static void assert_applied(struct rig *r, const char *want)
{
    assert_string_equal(r->applied, want);
}

/* On a copy of the disk, which is then thrown away. */
static struct memfs *swap_in_copy(struct rig *r)
{
    struct memfs *was = r->fs;
    r->fs = memfs_copy(was);
    r->opt.io = memfs_io(r->fs);
    return was;
}

static void swap_back(struct rig *r, struct memfs *was)
{
    rig_kill(r);
    memfs_free(r->fs);
    r->fs = was;
    r->opt.io = memfs_io(was);
}

static size_t frame_of(const struct small *s, uint64_t at)
{
    for (size_t k = 0; k < s->count; k++)
        if (at >= s->frames[k].from && at < s->frames[k].body_end)
            return k;
    return SIZE_MAX; /* header of the segment, padding, unused */
}

static void flip_and_compare(struct small *s, uint64_t at, unsigned bit)
{
    struct rig *r = s->r;
    struct memfs *was = swap_in_copy(r);
    char want[256], text[64];
    size_t hit = frame_of(s, at);
    assert_true(memfs_flip(r->fs, SEG, at, (uint8_t)(1u << bit)));
    struct rig_findings found = rig_check(r, NULL);
    /* A frame that was never acknowledged (the last seal of a killed node), or unused space, may be an
     * unfinished write. */
    bool promised = s->clean || at < s->frames[s->count - 1].from;
    if (found.errors + found.remarks == 0 || (promised && at < s->end && found.errors == 0))
        fail_msg("bit %u of byte %d is not found", bit, (int)at);
    for (int start = 0; start < 2; start++) { /* what the first start made of it the second one finds again */
        expect(s, hit, UINT64_MAX, want);
        if (rig_open(r) != CODE_OK)
            fail_msg("bit %u of byte %d: %s", bit, (int)at, r->why.text);
        assert_applied(r, want);
        assert_int_equal(r->kept_count, strstr(want, "m2") != NULL);
        if (r->kept_count)
            assert_string_equal(rig_read(r, stored_id(r->kept[0]), text), "m2");
        struct rig_heard h;
        const char *part = rig_partition(r, 1, 0, &h);
        assert_int_equal(strstr(part, "0:m1") != NULL, strstr(want, "m1") != NULL);
        assert_int_equal(strstr(part, "1:m2") != NULL, strstr(want, "m2") != NULL);
        assert_int_equal(strstr(part, "2:m3") != NULL, strstr(want, "m3") != NULL);
        rig_kill(r);
    }
    swap_back(r, was);
}

static void flip_every_bit(bool clean)
{
    struct small *s = make(clean);
    assert_int_equal(rig_check(s->r, NULL).errors, 0);
    for (uint64_t at = 0; at < s->end; at++)
        for (unsigned bit = 0; bit < 8; bit++)
            flip_and_compare(s, at, bit);
    for (uint64_t at = s->end; at < 65536; at += at < s->end + 200 ? 1 : 509)
        flip_and_compare(s, at, at % 8);
    free_small(s);
}

static void every_flipped_bit_is_found_and_costs_one_record_at_most(void **state)
{
    (void)state;
    flip_every_bit(false);
}

static void the_same_after_an_orderly_stop(void **state)
{
    (void)state;
    flip_every_bit(true);
}

static void cut_and_compare(struct small *s, uint64_t size)
{
    struct rig *r = s->r;
    struct memfs *was = swap_in_copy(r);
    char want[256];
    int file = r->opt.io->open(r->opt.io->self, SEG, IO_WRITE);
    assert_int_equal(r->opt.io->truncate(r->opt.io->self, file, size), 0);
    r->opt.io->close(r->opt.io->self, file);
    struct rig_findings found = rig_check(r, NULL);
    if (found.errors == 0 && (s->clean || size > SEGMENT_HEAD))
        fail_msg("cut at %d is not found", (int)size);
    expect(s, SIZE_MAX, size, want);
    uint64_t next = 0;
    for (int start = 0; start < 2; start++) {
        if (rig_open(r) != CODE_OK)
            fail_msg("cut at %d: %s", (int)size, r->why.text);
        assert_applied(r, want);
        if (size >= SEGMENT_HEAD || s->clean) {      /* else nothing tells that it was ever used */
            assert_true(journal_durable(r->j) >= 6); /* no sequence is used again */
            uint64_t first;
            journal_partition_range(r->j, 1, &first, &next);
            assert_true(next >= 3);
        }
        rig_kill(r);
    }
    swap_back(r, was);
}

static void a_journal_cut_at_any_byte_keeps_what_lies_before(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct small *s = make(clean);
        for (uint64_t size = 0; size < s->end + 9; size++)
            cut_and_compare(s, size);
        for (uint64_t size = s->end + 9; size < 65536; size += 1021)
            cut_and_compare(s, size);
        cut_and_compare(s, 65535);
        free_small(s);
    }
}

/* Some byte of [at, end) was in the sector at `from`, and was not zero before. */
static bool loses(const uint8_t had[512], uint64_t from, uint64_t at, uint64_t end)
{
    for (; at < end; at++)
        if (at >= from && at < from + 512 && had[at - from])
            return true;
    return false;
}

static void a_zeroed_sector_costs_what_lies_in_it(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct small *s = make(clean);
        for (uint64_t from = 0; from < s->end; from += 512) {
            struct rig *r = s->r;
            struct memfs *was = swap_in_copy(r);
            static const uint8_t zero[512];
            uint8_t had[512];
            int file = r->opt.io->open(r->opt.io->self, SEG, IO_READ | IO_WRITE);
            assert_int_equal(io_read_all(r->opt.io, file, had, 512, from), 512);
            assert_int_equal(io_write_all(r->opt.io, file, zero, 512, from), 0);
            r->opt.io->close(r->opt.io->self, file);
            /* Only when frames behind it tell that it was promised, or the orderly stop. */
            if (clean || from + 512 < s->end)
                assert_true(rig_check(r, NULL).errors > 0);
            rig_must_open(r);
            char want[256];
            size_t n = 0;
            want[0] = 0;
            for (size_t k = 0; k < s->count; k++)
                if (!loses(had, from, s->frames[k].from, s->frames[k].body_end))
                    n += (size_t)snprintf(want + n, sizeof want - n, "%s", s->frames[k].text);
            assert_applied(r, want);
            swap_back(r, was);
        }
        free_small(s);
    }
}

static void frames_in_the_wrong_place_are_not_believed(void **state)
{
    (void)state;
    struct small *s = make(false);
    struct rig *r = s->r;
    const struct io *io = r->opt.io;
    uint8_t sector[512];
    int file = io->open(io->self, SEG, IO_WRITE);
    /* A misdirected write: a sector with whole frames lands behind the end. */
    assert_int_equal(io_read_all(io, file, sector, 512, 0), 512);
    assert_int_equal(io_write_all(io, file, sector, 512, 4096), 0);
    io->close(io->self, file);
    assert_true(rig_check(r, NULL).errors + rig_check(r, NULL).remarks > 0);
    rig_must_open(r);
    char want[256];
    expect(s, SIZE_MAX, UINT64_MAX, want);
    assert_applied(r, want);
    rig_close(r);
    assert_int_equal(rig_check(r, NULL).errors, 0); /* it was cleared */
    free_small(s);
}

static void a_segment_of_another_journal_is_not_believed(void **state)
{
    (void)state;
    struct small *s = make(false), *other = make(false);
    const struct io *io = s->r->opt.io, *from = other->r->opt.io;
    uint8_t *bytes = malloc(65536);
    /* Their journal ids differ: the second one is made on a disk with other random numbers. */
    rig_free(other->r);
    other->r = rig_new();
    memfs_seed(other->r->fs, 99);
    from = other->r->opt.io;
    rig_must_open(other->r);
    for (int i = 0; i < 20; i++)
        (void)rig_note(other->r, "foreign", 0);
    rig_close(other->r);
    int a = from->open(from->self, SEG, IO_READ),
        b = io->open(io->self, "/data/journal/0000000000000002.seg", IO_WRITE | IO_CREATE);
    assert_int_equal(io_read_all(from, a, bytes, 65536, 0), 65536);
    assert_int_equal(io_write_all(io, b, bytes, 65536, 0), 0);
    io->close(io->self, b);
    free(bytes);
    assert_true(rig_check(s->r, NULL).errors + rig_check(s->r, NULL).remarks > 0);
    rig_must_open(s->r);
    assert_null(strstr(s->r->applied, "foreign"));
    assert_non_null(strstr(s->r->applied, "n3"));
    rig_free(other->r);
    free(other);
    free_small(s);
}

static void older_segments_are_verified_after_a_start_and_damage_stops_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_must_open(r);
    char text[32];
    for (int i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "m%d", i);
        assert_int_equal(rig_message(r, text, 1000, 0, false, NULL), CODE_OK);
        if (i % 10 == 0)
            rig_settle(r);
    }
    rig_close(r);
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000002.seg", 5000, 1));
    rig_must_open(r);
    struct journal_stats stats;
    journal_stats(r->j, &stats);
    assert_int_equal(stats.damaged_frames, 0); /* it did not read that far back */
    assert_true(stats.verifying);
    rig_settle(r);
    journal_stats(r->j, &stats);
    assert_int_equal(stats.damaged_frames, 1);
    assert_false(stats.verifying);
    assert_int_equal(r->damage_lines, 1);
    assert_int_equal(rig_note(r, "goes on", 0), CODE_OK);
    rig_free(r);
}

/* Sealed, its file made, and not a byte of it written: nobody has read it from disk yet, so nothing is missing. */
static void what_is_still_in_memory_is_not_taken_for_damage(void **state)
{
    (void)state;
    for (int memory = 0; memory < 2; memory++) {
        struct rig *r = rig_new();
        r->opt.no_sync = memory;
        rig_must_open(r);
        for (int i = 0; i < 100; i++)
            assert_int_equal(rig_message(r, "x", 1000, 0, false, NULL), CODE_OK);
        assert_true(r->j->active->number > 1); /* the first one is sealed */
        while (verify_step(r->j))
            ;
        assert_int_equal(r->damage_lines, 0);
        rig_settle(r);
        assert_int_equal(r->damage_lines, 0);
        rig_free(r);
    }
}

/* Memory durability promises before it writes. An index that says more than its segment would be told as damage. */
static void an_index_waits_for_its_segment_to_be_written(void **state)
{
    (void)state;
    for (int written = 0; written < 2; written++) {
        struct rig *r = rig_new();
        r->opt.no_sync = true;
        rig_must_open(r);
        rig_settle(r);
        for (int i = 0; i < 100; i++)
            assert_int_equal(rig_message(r, "x", 1000, 0, false, NULL), CODE_OK);
        (void)upkeep_step(r->j, false);
        if (written)
            rig_settle(r);
        assert_int_equal(memfs_exists(r->fs, "/data/journal/0000000000000001.idx"), written);
        rig_kill(r);
        struct rig_findings all = rig_check(r, NULL);
        if (all.errors)
            fail_msg("%s", all.first);
        rig_free(r);
    }
}

static void check_counts_what_there_is(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct journal_check_result result;
    assert_int_equal(journal_check(r->opt.io, "/data", NULL, NULL, &result, &r->why), CODE_NOTFOUND);
    rig_must_open(r);
    for (int i = 0; i < 200; i++)
        (void)rig_message(r, "x", 1000, i % 2 ? 0 : JOURNAL_NO_PARTITION, false, NULL);
    rig_close(r);
    assert_int_equal(rig_check(r, &result).errors, 0);
    assert_int_equal(result.messages, 200);
    assert_int_equal(result.partition_records, 100);
    assert_true(result.frames > 200);
    assert_true(result.segments >= 4);
    assert_int_equal(result.damaged, 0);
    assert_int_equal(result.torn, 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_found_and_costs_one_record_at_most),
        cmocka_unit_test(the_same_after_an_orderly_stop),
        cmocka_unit_test(a_journal_cut_at_any_byte_keeps_what_lies_before),
        cmocka_unit_test(a_zeroed_sector_costs_what_lies_in_it),
        cmocka_unit_test(frames_in_the_wrong_place_are_not_believed),
        cmocka_unit_test(a_segment_of_another_journal_is_not_believed),
        cmocka_unit_test(older_segments_are_verified_after_a_start_and_damage_stops_nothing),
        cmocka_unit_test(what_is_still_in_memory_is_not_taken_for_damage),
        cmocka_unit_test(an_index_waits_for_its_segment_to_be_written),
        cmocka_unit_test(check_counts_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
