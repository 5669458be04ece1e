/* Tests of frame.h and scan.h: the bytes of frames, and finding them among others. */
#include "journal/scan.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "support/memfs.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FILE_BYTES = 16384 };
static const uint64_t JOURNAL = 0x1122334455667788u;

static struct frame some_frame(void)
{
    return (struct frame){.type = 17,
                          .flags = RECORD_MORE,
                          .seq = 77,
                          .synced = 70,
                          .wall_us = -5,
                          .stream = 3,
                          .stream_seq = 12,
                          .body_len = 9,
                          .meta_len = 4,
                          .body_crc = 0xdeadbeef};
}

static void a_frame_header_comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t head[JOURNAL_FRAME_HEAD];
    struct frame f = some_frame(), g;
    frame_encode(head, &f, JOURNAL, 5, 4096);
    assert_true(frame_decode(&g, head, JOURNAL, 5, 4096));
    assert_int_equal(g.type, f.type);
    assert_int_equal(g.flags, f.flags);
    assert_int_equal(g.seq, f.seq);
    assert_int_equal(g.synced, f.synced);
    assert_int_equal(g.wall_us, f.wall_us);
    assert_int_equal(g.stream, f.stream);
    assert_int_equal(g.stream_seq, f.stream_seq);
    assert_int_equal(g.body_len, f.body_len);
    assert_int_equal(g.meta_len, f.meta_len);
    assert_int_equal(g.body_crc, f.body_crc);
}

static void a_frame_belongs_to_its_journal_segment_and_offset(void **state)
{
    (void)state;
    uint8_t head[JOURNAL_FRAME_HEAD];
    struct frame f = some_frame(), g;
    frame_encode(head, &f, JOURNAL, 5, 4096);
    assert_false(frame_decode(&g, head, JOURNAL + 1, 5, 4096));
    assert_false(frame_decode(&g, head, JOURNAL, 6, 4096));
    assert_false(frame_decode(&g, head, JOURNAL, 5, 4104));
}

static void every_flipped_bit_of_a_header_is_seen(void **state)
{
    (void)state;
    uint8_t head[JOURNAL_FRAME_HEAD];
    struct frame f = some_frame(), g;
    frame_encode(head, &f, JOURNAL, 5, 4096);
    for (size_t bit = 0; bit < sizeof head * 8; bit++) {
        head[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(frame_decode(&g, head, JOURNAL, 5, 4096));
        head[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(frame_decode(&g, head, JOURNAL, 5, 4096));
}

static void headers_that_nothing_writes_are_no_frames(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t type;
        uint64_t seq, synced;
        uint32_t body, meta;
    } cases[] = {
        {"type 0", 0, 77, 70, 9, 4},
        {"sequence 0", 17, 0, 0, 9, 4},
        {"synced itself", 17, 77, 77, 9, 4},
        {"synced later", 17, 77, 78, 9, 4},
        {"meta longer than the body", 17, 77, 70, 9, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t head[JOURNAL_FRAME_HEAD];
        struct frame f = some_frame(), g;
        f.type = cases[i].type;
        f.seq = cases[i].seq;
        f.synced = cases[i].synced;
        f.body_len = cases[i].body;
        f.meta_len = cases[i].meta;
        frame_encode(head, &f, JOURNAL, 5, 4096);
        assert_false(frame_decode(&g, head, JOURNAL, 5, 4096));
    }
    uint8_t zero[JOURNAL_FRAME_HEAD] = {0};
    struct frame g;
    assert_false(frame_decode(&g, zero, JOURNAL, 5, 4096));
}

static void a_body_is_checked_in_both_parts(void **state)
{
    (void)state;
    uint8_t body[] = "metapayload";
    struct frame f = {.body_len = 11, .meta_len = 4};
    f.body_crc = frame_body_crc(crc32c(0, body + 4, 7), bytes_of(body, 4));
    assert_true(frame_body_holds(&f, body));
    for (size_t bit = 0; bit < 11 * 8; bit++) {
        body[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(frame_body_holds(&f, body));
        body[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    f.meta_len = 5;
    assert_false(frame_body_holds(&f, body));
}

static void a_segment_header_comes_back_and_every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct segment_head h = {.number = 9,
                             .first_seq = 100,
                             .synced = 99,
                             .state = {50, 7, 640},
                             .bytes = 65536,
                             .wall_us = 123,
                             .age_us = 456},
                        g;
    uint8_t head[SEGMENT_HEAD];
    segment_head_encode(head, &h, JOURNAL);
    assert_true(segment_head_decode(&g, head, JOURNAL));
    assert_int_equal(g.number, 9);
    assert_int_equal(g.first_seq, 100);
    assert_int_equal(g.synced, 99);
    assert_int_equal(g.state.seq, 50);
    assert_int_equal(g.state.segment, 7);
    assert_int_equal(g.state.offset, 640);
    assert_int_equal(g.bytes, 65536);
    assert_int_equal(g.wall_us, 123);
    assert_int_equal(g.age_us, 456);
    assert_false(segment_head_decode(&g, head, JOURNAL + 1));
    for (size_t bit = 0; bit < sizeof head * 8; bit++) {
        head[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(segment_head_decode(&g, head, JOURNAL));
        head[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ---- scanning ---- */

struct file {
    struct memfs *fs;
    int handle;
    uint8_t bytes[FILE_BYTES];
    size_t end;
    uint64_t seq;
    uint32_t offsets[64];
    unsigned count;
};

static void put(struct file *f, size_t body_len)
{
    uint8_t *at = f->bytes + f->end;
    uint8_t *body = at + JOURNAL_FRAME_HEAD;
    memset(body, (int)(f->seq + 1), body_len);
    struct frame frame = {.type = 16, .seq = ++f->seq, .body_len = (uint32_t)body_len};
    frame.body_crc = frame_body_crc(crc32c(0, body, body_len), BYTES_NONE);
    frame_encode(at, &frame, JOURNAL, 1, (uint32_t)f->end);
    f->offsets[f->count++] = (uint32_t)f->end;
    f->end += frame_bytes((uint32_t)body_len);
}

/* Frames with bodies of 0, 7, 8, 100 and 3,000 bytes. */
static struct file *make_file(void)
{
    struct file *f = calloc(1, sizeof *f);
    f->end = SEGMENT_HEAD;
    static const size_t lengths[] = {0, 7, 8, 100, 3000, 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        put(f, lengths[i]);
    f->fs = memfs_new(1);
    const struct io *io = memfs_io(f->fs);
    f->handle = io->open(io->self, "/f", IO_READ | IO_WRITE | IO_CREATE);
    return f;
}

static void store(struct file *f, size_t size)
{
    const struct io *io = memfs_io(f->fs);
    assert_int_equal(io->truncate(io->self, f->handle, 0), 0);
    assert_int_equal(io_write_all(io, f->handle, f->bytes, size, 0), 0);
}

static void free_file(struct file *f)
{
    memfs_free(f->fs);
    free(f);
}

/* "f1 f2 g f4 e": frames by their sequence, b bad body, g garbage, e end. */
static const char *walk(struct file *f, size_t size, char out[256])
{
    struct scan s;
    struct fault why;
    size_t n = 0;
    scan_init(&s, memfs_io(f->fs), f->handle, "/f", JOURNAL, 1, size);
    for (;;) {
        struct scan_item item;
        assert_int_equal(scan_next(&s, &item, &why), CODE_OK);
        assert_true(item.from <= item.to || item.kind == SCAN_END);
        assert_true(item.to <= size || item.kind == SCAN_END);
        if (item.kind == SCAN_END)
            break;
        if (item.kind == SCAN_GARBAGE)
            n += (size_t)snprintf(out + n, 256 - n, "g ");
        else
            n += (size_t)snprintf(out + n, 256 - n, "%c%d ", item.kind == SCAN_FRAME ? 'f' : 'b',
                                  (int)item.frame.seq);
        if (item.kind == SCAN_FRAME)
            for (size_t i = 0; i < item.payload.len; i++)
                assert_int_equal(item.payload.at[i], item.frame.seq);
    }
    snprintf(out + n, 256 - n, "e");
    scan_clear(&s);
    return out;
}

static void all_frames_are_found_also_with_short_reads(void **state)
{
    (void)state;
    struct file *f = make_file();
    char text[256];
    store(f, FILE_BYTES);
    assert_string_equal(walk(f, FILE_BYTES, text), "f1 f2 f3 f4 f5 f6 e");
    memfs_short(f->fs, 50);
    assert_string_equal(walk(f, FILE_BYTES, text), "f1 f2 f3 f4 f5 f6 e");
    free_file(f);
}

static void damage_costs_the_frames_hit_and_no_other(void **state)
{
    (void)state;
    struct file *f = make_file();
    char text[256], want[256];
    for (unsigned hit = 0; hit < f->count; hit++) {
        size_t end = hit + 1 < f->count ? f->offsets[hit + 1] : f->end;
        for (size_t at = f->offsets[hit]; at < end; at += at < f->offsets[hit] + 64 ? 1 : 13) {
            uint8_t was = f->bytes[at];
            f->bytes[at] ^= 0x40;
            store(f, FILE_BYTES);
            walk(f, FILE_BYTES, text);
            size_t n = 0;
            for (unsigned i = 0; i < f->count; i++) {
                bool in_head = at < f->offsets[hit] + 64;
                if (i != hit)
                    n += (size_t)snprintf(want + n, sizeof want - n, "f%u ", i + 1);
                else
                    n += (size_t)snprintf(want + n, sizeof want - n,
                                          in_head             ? "g "
                                          : strstr(text, "b") ? "b%u "
                                                              : "f%u ",
                                          i + 1);
            }
            snprintf(want + n, sizeof want - n, "e");
            assert_string_equal(text, want);
            f->bytes[at] = was;
        }
    }
    free_file(f);
}

static void a_file_cut_at_any_byte_keeps_its_whole_frames(void **state)
{
    (void)state;
    struct file *f = make_file();
    size_t ends[64]; /* of the bodies: padding may be missing */
    static const size_t bodies[] = {0, 7, 8, 100, 3000, 1};
    for (unsigned i = 0; i < f->count; i++)
        ends[i] = f->offsets[i] + JOURNAL_FRAME_HEAD + bodies[i];
    for (size_t size = 0; size <= f->end; size += size > 500 && size + 200 < f->end ? 31 : 1) {
        char text[256], want[256];
        size_t n = 0;
        store(f, size);
        walk(f, size, text);
        unsigned i = 0;
        for (; i < f->count && size >= ends[i]; i++)
            n += (size_t)snprintf(want + n, sizeof want - n, "f%u ", i + 1);
        want[n] = 0;
        assert_memory_equal(text, want, n); /* then at most one broken thing, and the end */
        assert_true(strchr(text + n, 'f') == NULL);
    }
    free_file(f);
}

static void a_payload_that_imitates_frames_is_not_searched_when_its_frame_is_whole(void **state)
{
    (void)state;
    struct file *f = calloc(1, sizeof *f);
    f->end = SEGMENT_HEAD;
    put(f, 0);
    uint8_t *evil = f->bytes + f->end + JOURNAL_FRAME_HEAD;
    size_t at = f->end;
    put(f, 640);
    put(f, 1);
    /* A copy of a true frame, and frames for this very place, in the payload of the second one. */
    memcpy(evil, f->bytes + SEGMENT_HEAD, JOURNAL_FRAME_HEAD);
    for (size_t i = 64; i < 640; i += 64) {
        struct frame lie = {.type = 16, .seq = 99, .body_len = i == 128 ? UINT32_MAX : 0};
        frame_encode(evil + i, &lie, JOURNAL, 1, (uint32_t)(at + JOURNAL_FRAME_HEAD + i));
    }
    struct frame true_one = {.type = 16, .seq = 2, .body_len = 640};
    true_one.body_crc = crc32c(0, evil, 640);
    frame_encode(f->bytes + at, &true_one, JOURNAL, 1, (uint32_t)at);
    f->fs = memfs_new(1);
    f->handle = memfs_io(f->fs)->open(memfs_io(f->fs)->self, "/f", IO_READ | IO_WRITE | IO_CREATE);
    store(f, FILE_BYTES);
    struct scan s;
    struct scan_item item;
    scan_init(&s, memfs_io(f->fs), f->handle, "/f", JOURNAL, 1, FILE_BYTES);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(scan_next(&s, &item, NULL), CODE_OK);
        assert_int_equal(item.kind, SCAN_FRAME);
        assert_int_equal(item.frame.seq, seq);
    }
    scan_clear(&s);
    free_file(f);
}

static void a_length_beyond_the_file_takes_no_memory(void **state)
{
    (void)state;
    struct file *f = make_file();
    struct frame huge = {.type = 16, .seq = 7, .body_len = UINT32_MAX - 7};
    frame_encode(f->bytes + f->end, &huge, JOURNAL, 1, (uint32_t)f->end);
    store(f, FILE_BYTES);
    char text[256];
    uint64_t before = mem_in_use();
    assert_string_equal(walk(f, FILE_BYTES, text), "f1 f2 f3 f4 f5 f6 b7 e");
    assert_true(mem_in_use() < before + (1u << 20));
    free_file(f);
}

static void garbage_tells_where_it_is_dirty(void **state)
{
    (void)state;
    struct file *f = make_file();
    f->bytes[f->end + 1001] = 1;
    store(f, FILE_BYTES);
    struct scan s;
    struct scan_item item;
    scan_init(&s, memfs_io(f->fs), f->handle, "/f", JOURNAL, 1, FILE_BYTES);
    do
        assert_int_equal(scan_next(&s, &item, NULL), CODE_OK);
    while (item.kind == SCAN_FRAME);
    assert_int_equal(item.kind, SCAN_GARBAGE);
    assert_int_equal(item.from, f->end);
    assert_int_equal(item.to, FILE_BYTES);
    assert_true(item.dirty_to > f->end + 1001 && item.dirty_to <= f->end + 1008);
    assert_int_equal(scan_next(&s, &item, NULL), CODE_OK);
    assert_int_equal(item.kind, SCAN_END);
    assert_int_equal(scan_next(&s, &item, NULL), CODE_OK);
    assert_int_equal(item.kind, SCAN_END);
    scan_clear(&s);
    free_file(f);
}

static void a_read_error_is_told_and_not_taken_for_the_end(void **state)
{
    (void)state;
    struct file *f = make_file();
    store(f, FILE_BYTES);
    memfs_fail(f->fs, FS_PREAD, 1, 5, true);
    struct scan s;
    struct scan_item item;
    struct fault why;
    scan_init(&s, memfs_io(f->fs), f->handle, "/f", JOURNAL, 1, FILE_BYTES);
    assert_int_equal(scan_next(&s, &item, &why), CODE_IO);
    assert_int_equal(why.sys_errno, 5);
    scan_clear(&s);
    memfs_fail(f->fs, FS_PREAD, 0, 0, false);
    mem_fail_at(1);
    scan_init(&s, memfs_io(f->fs), f->handle, "/f", JOURNAL, 1, FILE_BYTES);
    assert_int_equal(scan_next(&s, &item, &why), CODE_NOMEM);
    mem_fail_at(0);
    assert_int_equal(scan_next(&s, &item, &why), CODE_OK);
    scan_clear(&s);
    free_file(f);
}

static void random_bytes_are_never_a_frame(void **state)
{
    (void)state;
    struct file *f = make_file();
    struct random r = {7};
    char text[256];
    for (int i = 0; i < 50; i++) {
        random_fill(&r, f->bytes, FILE_BYTES);
        /* With the journal's id in many places, so that headers are looked at. */
        for (size_t at = SEGMENT_HEAD; at + 8 <= FILE_BYTES; at += 8 * (1 + random_below(&r, 8)))
            put_le64(f->bytes + at, JOURNAL);
        store(f, FILE_BYTES);
        assert_string_equal(walk(f, FILE_BYTES, text), "g e");
    }
    free_file(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_header_comes_back_as_it_was),
        cmocka_unit_test(a_frame_belongs_to_its_journal_segment_and_offset),
        cmocka_unit_test(every_flipped_bit_of_a_header_is_seen),
        cmocka_unit_test(headers_that_nothing_writes_are_no_frames),
        cmocka_unit_test(a_body_is_checked_in_both_parts),
        cmocka_unit_test(a_segment_header_comes_back_and_every_flipped_bit_is_seen),
        cmocka_unit_test(all_frames_are_found_also_with_short_reads),
        cmocka_unit_test(damage_costs_the_frames_hit_and_no_other),
        cmocka_unit_test(a_file_cut_at_any_byte_keeps_its_whole_frames),
        cmocka_unit_test(a_payload_that_imitates_frames_is_not_searched_when_its_frame_is_whole),
        cmocka_unit_test(a_length_beyond_the_file_takes_no_memory),
        cmocka_unit_test(garbage_tells_where_it_is_dirty),
        cmocka_unit_test(a_read_error_is_told_and_not_taken_for_the_end),
        cmocka_unit_test(random_bytes_are_never_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
