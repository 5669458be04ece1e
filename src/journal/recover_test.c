/* Tests of recovery: a second start finds what the first one found, also when the first one was killed anywhere
 * on its way. The segments are written here byte by byte, as damage and a crash together leave them. */
#include "base/crc32c.h"
#include "journal/journal_test_rig.h"

struct lab {
    struct rig *r;
    uint64_t journal, segment;
    uint8_t bytes[65536];
    uint32_t at;
};

/* ---- writing segments ---- */

static void path_of(uint64_t segment, char path[64])
{
    snprintf(path, 64, "/data/journal/%016llx.seg", (unsigned long long)segment);
}

/* `bytes` of the segment that is being written, whose file is as long. */
static void store(struct lab *l, size_t bytes)
{
    const struct io *io = l->r->opt.io;
    char path[64];
    path_of(l->segment, path);
    int file = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    assert_true(file >= 0);
    assert_int_equal(io_write_all(io, file, l->bytes, bytes, 0), 0);
    assert_int_equal(io->truncate(io->self, file, bytes), 0);
    io->close(io->self, file);
}

static void segment(struct lab *l, uint64_t first_seq, uint64_t synced, struct place state)
{
    struct segment_head head = {
        .number = ++l->segment, .first_seq = first_seq, .synced = synced, .state = state, .bytes = 65536};
    memset(l->bytes, 0, sizeof l->bytes);
    segment_head_encode(l->bytes, &head, l->journal);
    l->at = SEGMENT_HEAD;
    store(l, sizeof l->bytes);
}

/* A note "n<seq>". */
static void note(struct lab *l, uint64_t seq, uint64_t synced, uint16_t flags)
{
    char text[24];
    struct frame f = {.type = RIG_NOTE, .flags = flags, .seq = seq, .synced = synced};
    f.body_len = (uint32_t)snprintf(text, sizeof text, "n%llu", (unsigned long long)seq);
    f.body_crc = frame_body_crc(crc32c(0, text, f.body_len), BYTES_NONE);
    frame_encode(l->bytes + l->at, &f, l->journal, l->segment, l->at);
    memcpy(l->bytes + l->at + JOURNAL_FRAME_HEAD, text, f.body_len);
    l->at += (uint32_t)frame_bytes(f.body_len);
    store(l, sizeof l->bytes);
}

/* Where frames were. */
static void hole(struct lab *l)
{
    l->at += 512;
}

static void cut(struct lab *l)
{
    store(l, l->at);
}

static const struct place nowhere = {0};

/* ---- the two starts ---- */

typedef void (*build_fn)(struct lab *);

static void build(struct lab *l, build_fn fn)
{
    struct format format;
    *l = (struct lab){.r = rig_new()};
    l->r->opt.write_state = NULL;
    rig_must_open(l->r);
    rig_kill(l->r);
    assert_int_equal(format_load(l->r->opt.io, "/data", &format, NULL), CODE_OK);
    l->journal = format.journal;
    fn(l);
}

static void assert_found(struct lab *l, const char *want, uint64_t durable)
{
    rig_must_open(l->r);
    assert_string_equal(l->r->applied, want);
    assert_true(journal_durable(l->r->j) >= durable);
    rig_kill(l->r);
}

/* A start, then another; then a start that is killed at its first call, second and so on, and then another. */
static void always_found(build_fn fn, const char *want, uint64_t durable)
{
    static struct lab l;
    build(&l, fn);
    assert_found(&l, want, durable);
    assert_found(&l, want, durable);
    rig_free(l.r);
    bool killed = true;
    for (uint64_t n = 1; killed; n++) {
        build(&l, fn);
        memfs_fail(l.r->fs, FS_ANY, n, 5, true);
        killed = rig_open(l.r) != CODE_OK;
        rig_kill(l.r);
        memfs_fail(l.r->fs, FS_ANY, 0, 0, false);
        assert_found(&l, want, durable);
        rig_free(l.r);
        assert_true(n < 1000);
    }
}

/* ---- what is left of a journal ---- */

static void state_of_which_nothing_is_left(struct lab *l)
{
    segment(l, 1, 0, nowhere);
    for (uint64_t seq = 1; seq <= 3; seq++)
        note(l, seq, 0, 0);
    segment(l, 4, 7, (struct place){.seq = 4, .segment = 2, .offset = SEGMENT_HEAD});
    hole(l);
    note(l, 8, 7, RECORD_MORE); /* a batch that the crash cut */
}

static void a_segment_where_the_state_begins_stays(void **state)
{
    (void)state;
    static struct lab l;
    always_found(state_of_which_nothing_is_left, "", 7);
    build(&l, state_of_which_nothing_is_left);
    assert_found(&l, "", 7);
    assert_true(memfs_exists(l.r->fs, "/data/journal/0000000000000002.seg"));
    rig_free(l.r);
}

static void state_that_begins_with_a_damaged_frame(struct lab *l)
{
    segment(l, 1, 0, nowhere);
    note(l, 1, 0, 0);
    segment(l, 2, 4, (struct place){.seq = 2, .segment = 2, .offset = SEGMENT_HEAD});
    hole(l);
    for (uint64_t seq = 3; seq <= 5; seq++)
        note(l, seq, seq - 1, 0);
}

static void a_state_is_known_although_its_first_frame_is_damaged(void **state)
{
    (void)state;
    always_found(state_that_begins_with_a_damaged_frame, "note:n3 note:n4 note:n5 ", 5);
}

static void damage_and_a_torn_batch(struct lab *l)
{
    segment(l, 1, 0, nowhere);
    note(l, 1, 0, 0);
    hole(l); /* 2 */
    note(l, 3, 0, 0);
    note(l, 4, 0, 0);
    note(l, 5, 4, RECORD_MORE); /* only this one says that the others were durable, and it goes */
}

static void damage_stays_damage_when_the_witness_is_cleared(void **state)
{
    (void)state;
    always_found(damage_and_a_torn_batch, "note:n1 note:n3 note:n4 ", 4);
}

static void damage_and_a_spare_segment(struct lab *l)
{
    segment(l, 1, 0, nowhere);
    note(l, 1, 0, 0);
    hole(l); /* 2 */
    note(l, 3, 0, 0);
    segment(l, 0, 3, nowhere); /* made ahead of time: only its header says it, and it goes */
}

static void damage_stays_damage_when_the_spare_segment_goes(void **state)
{
    (void)state;
    always_found(damage_and_a_spare_segment, "note:n1 note:n3 ", 3);
}

static void a_batch_given_up_and_a_torn_one(struct lab *l)
{
    segment(l, 1, 0, nowhere);
    note(l, 1, 0, 0);
    note(l, 2, 1, RECORD_MORE);
    note(l, 3, 2, RECORD_MORE);
}

static void a_promised_sequence_is_not_used_again(void **state)
{
    (void)state;
    always_found(a_batch_given_up_and_a_torn_one, "note:n1 ", 2);
}

static void frames_behind_a_first_one_that_never_came(struct lab *l)
{
    segment(l, 1, 0, nowhere);
    segment(l, 2, 0, nowhere);
    note(l, 2, 0, 0);
    segment(l, 3, 0, nowhere);
    note(l, 3, 0, 0);
}

static void what_was_given_up_does_not_return_when_the_place_before_it_goes(void **state)
{
    (void)state;
    always_found(frames_behind_a_first_one_that_never_came, "", 0);
}

static void cut_file_with_a_hole(struct lab *l)
{
    segment(l, 1, 0, nowhere);
    note(l, 1, 0, 0);
    hole(l); /* 2 */
    note(l, 3, 0, 0);
    cut(l);
    segment(l, 4, 0, nowhere);
    note(l, 4, 0, 0);
    hole(l); /* 5 */
    note(l, 6, 0, 0);
}

static void before_the_frame_behind_a_cut_file_all_is_damage(void **state)
{
    (void)state;
    always_found(cut_file_with_a_hole, "note:n1 note:n3 note:n4 ", 4);
}

/* ---- the unused rest ---- */

static void what_was_never_written_is_not_read(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->opt.segment_bytes = 16 << 20;
    rig_must_open(r);
    for (int i = 0; i < 20; i++)
        assert_int_equal(rig_note(r, "n", 0), CODE_OK);
    rig_settle(r); /* the next segment was made, too */
    rig_kill(r);
    assert_true(memfs_exists(r->fs, "/data/journal/0000000000000002.seg"));
    uint64_t before = memfs_calls(r->fs, FS_PREAD);
    rig_must_open(r);
    assert_int_equal(r->notes, 20);
    assert_true(memfs_calls(r->fs, FS_PREAD) < before + 20);
    rig_kill(r);
    /* Something does lie there: it is found, and cleared before anything is written. */
    assert_true(memfs_flip(r->fs, "/data/journal/0000000000000001.seg", 9 << 20, 1));
    before = memfs_calls(r->fs, FS_PWRITE);
    rig_must_open(r);
    assert_int_equal(r->notes, 20);
    assert_true(memfs_calls(r->fs, FS_PWRITE) > before);
    assert_int_equal(rig_note(r, "n", 0), CODE_OK);
    rig_close(r);
    assert_int_equal(rig_check(r, NULL).errors, 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_where_the_state_begins_stays),
        cmocka_unit_test(a_state_is_known_although_its_first_frame_is_damaged),
        cmocka_unit_test(damage_stays_damage_when_the_witness_is_cleared),
        cmocka_unit_test(damage_stays_damage_when_the_spare_segment_goes),
        cmocka_unit_test(a_promised_sequence_is_not_used_again),
        cmocka_unit_test(what_was_given_up_does_not_return_when_the_place_before_it_goes),
        cmocka_unit_test(before_the_frame_behind_a_cut_file_all_is_damage),
        cmocka_unit_test(what_was_never_written_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
