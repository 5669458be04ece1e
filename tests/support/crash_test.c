/* The crash model itself: what is synced never goes, what is not can go in every way the fault model names,
 * and a program that forgets a sync is caught. */
#include "support/crash.h"

#include "base/mem.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

enum { VARIANTS = 400 };

struct bench {
    struct memfs *fs, *disk;
    const struct io *io, *disk_io;
    struct crash *rec;
};

static struct bench bench_open(void)
{
    struct bench b = {.fs = memfs_new(1), .disk = memfs_new(2)};
    b.io = memfs_io(b.fs);
    b.disk_io = memfs_io(b.disk);
    return b;
}

static void bench_close(struct bench *b)
{
    crash_free(b->rec);
    memfs_free(b->fs);
    memfs_free(b->disk);
}

static int open_new(const struct io *io, const char *path)
{
    int f = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    assert_true(f >= 0);
    return f;
}

static void put(const struct io *io, int f, const void *at, size_t n, uint64_t where)
{
    assert_int_equal(io_write_all(io, f, at, n, where), 0);
}

static void fill(const struct io *io, int f, char c, size_t n, uint64_t where)
{
    char *block = malloc(n);
    memset(block, c, n);
    put(io, f, block, n, where);
    free(block);
}

/* The file's size and content in the crashed disk, -1 when it is not there. */
static int64_t get(struct bench *b, const char *path, char *to, size_t cap)
{
    int f = b->disk_io->open(b->disk_io->self, path, IO_READ);
    if (f < 0) {
        assert_int_equal(f, -ENOENT);
        return -1;
    }
    int64_t n = io_read_all(b->disk_io, f, to, cap, 0);
    b->disk_io->close(b->disk_io->self, f);
    return n;
}

static void synced_data_is_in_every_state_and_unsynced_data_is_not(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    b.rec = crash_begin(b.fs);
    put(b.io, f, "first", 5, 0);
    assert_int_equal(b.io->fdatasync(b.io->self, f), 0);
    uint64_t synced = 2; /* operations */
    put(b.io, f, "later", 5, 5);
    crash_end(b.rec);
    assert_int_equal(crash_length(b.rec), 3);
    bool lost = false, kept = false, empty = false;
    for (uint64_t prefix = 0; prefix <= 3; prefix++)
        for (uint64_t v = 0; v < VARIANTS; v++) {
            char got[32] = {0};
            crash_state_build(b.rec, prefix, v, b.disk);
            int64_t n = get(&b, "/a", got, sizeof got);
            if (prefix < synced) {
                empty |= n == 0;
                continue;
            }
            assert_true(n >= 5);
            assert_memory_equal(got, "first", 5);
            lost |= n == 5;
            kept |= n == 10 && memcmp(got, "firstlater", 10) == 0;
        }
    assert_true(lost && kept && empty);
    b.io->close(b.io->self, f);
    bench_close(&b);
}

static void a_file_can_grow_without_its_data(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    b.rec = crash_begin(b.fs);
    fill(b.io, f, 'x', 2048, 0);
    crash_end(b.rec);
    bool hollow = false, half = false;
    for (uint64_t v = 0; v < VARIANTS; v++) {
        char got[2048], zero[2048] = {0};
        crash_state_build(b.rec, 1, v, b.disk);
        int64_t n = get(&b, "/a", got, sizeof got);
        assert_true(n == 0 || n == 2048);
        hollow |= n == 2048 && memcmp(got, zero, 2048) == 0;
        half |= n == 2048 && got[0] != got[2047];
    }
    assert_true(hollow && half);
    b.io->close(b.io->self, f);
    bench_close(&b);
}

static void a_write_is_torn_between_sectors_and_never_inside_one(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    fill(b.io, f, 'o', 4096, 0);
    b.rec = crash_begin(b.fs);
    fill(b.io, f, 'n', 3000, 300);
    crash_end(b.rec);
    unsigned patterns = 0;
    bool seen[1 << 7] = {0};
    for (uint64_t v = 0; v < 4000; v++) {
        char got[4096];
        unsigned pattern = 0;
        crash_state_build(b.rec, 1, v, b.disk);
        assert_int_equal(get(&b, "/a", got, sizeof got), 4096);
        for (unsigned s = 0; s < 8; s++) {
            bool is_new = false;
            for (unsigned i = s * 512; i < (s + 1) * 512; i++)
                is_new |= got[i] == 'n';
            for (unsigned i = s * 512; i < (s + 1) * 512; i++)
                assert_int_equal(got[i], is_new && i >= 300 && i < 3300 ? 'n' : 'o');
            pattern |= is_new ? 1u << s : 0;
        }
        assert_int_equal(pattern & 0x80, 0);
        patterns += !seen[pattern];
        seen[pattern] = true;
    }
    assert_true(patterns > 64); /* of 128: in any order, not just a head */
    b.io->close(b.io->self, f);
    bench_close(&b);
}

static void a_sector_holds_any_version_since_its_last_sync(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    put(b.io, f, "0", 1, 0);
    b.rec = crash_begin(b.fs);
    put(b.io, f, "1", 1, 0);
    b.io->fdatasync(b.io->self, f);
    put(b.io, f, "2", 1, 0);
    put(b.io, f, "3", 1, 0);
    crash_end(b.rec);
    bool seen[4] = {0};
    for (uint64_t v = 0; v < VARIANTS; v++) {
        char got[1];
        crash_state_build(b.rec, 4, v, b.disk);
        assert_int_equal(get(&b, "/a", got, 1), 1);
        seen[got[0] - '0'] = true;
    }
    assert_false(seen[0]);
    assert_true(seen[1] && seen[2] && seen[3]);
    b.io->close(b.io->self, f);
    bench_close(&b);
}

/* Writes a new file; which of its steps are left out decides what may be found after the crash. */
static void new_file_seen_as(bool sync_data, bool sync_name, bool *missing, bool *empty, bool *whole)
{
    struct bench b = bench_open();
    assert_int_equal(b.io->mkdir(b.io->self, "/d"), 0);
    b.rec = crash_begin(b.fs);
    int f = open_new(b.io, "/d/a");
    put(b.io, f, "text", 4, 0);
    if (sync_data)
        b.io->fdatasync(b.io->self, f);
    if (sync_name)
        b.io->sync_dir(b.io->self, "/d");
    b.io->close(b.io->self, f);
    crash_end(b.rec);
    *missing = *empty = *whole = false;
    for (uint64_t v = 0; v < VARIANTS; v++) {
        char got[8];
        crash_state_build(b.rec, crash_length(b.rec), v, b.disk);
        int64_t n = get(&b, "/d/a", got, sizeof got);
        *missing |= n < 0;
        *empty |= n == 0 || (n == 4 && got[0] == 0);
        *whole |= n == 4 && memcmp(got, "text", 4) == 0;
    }
    bench_close(&b);
}

static void a_file_needs_its_data_and_its_name_synced(void **state)
{
    (void)state;
    bool missing, empty, whole;
    new_file_seen_as(true, true, &missing, &empty, &whole);
    assert_true(!missing && !empty && whole);
    new_file_seen_as(true, false, &missing, &empty, &whole);
    assert_true(missing && !empty && whole); /* who forgets the directory loses the file */
    new_file_seen_as(false, true, &missing, &empty, &whole);
    assert_true(!missing && empty && whole);
    new_file_seen_as(false, false, &missing, &empty, &whole);
    assert_true(missing && empty && whole);
}

static void a_directory_that_is_gone_takes_everything_with_it(void **state)
{
    (void)state;
    struct bench b = bench_open();
    b.rec = crash_begin(b.fs);
    assert_int_equal(b.io->mkdir(b.io->self, "/d"), 0);
    int f = open_new(b.io, "/d/a");
    b.io->fdatasync(b.io->self, f);
    b.io->sync_dir(b.io->self, "/d"); /* but nobody synced "/" */
    b.io->close(b.io->self, f);
    uint64_t before = 4;
    b.io->sync_dir(b.io->self, "/");
    crash_end(b.rec);
    bool gone = false;
    for (uint64_t v = 0; v < VARIANTS; v++) {
        crash_state_build(b.rec, before, v, b.disk);
        assert_int_equal(memfs_exists(b.disk, "/d"), memfs_exists(b.disk, "/d/a"));
        gone |= !memfs_exists(b.disk, "/d/a");
        crash_state_build(b.rec, before + 1, v, b.disk);
        assert_true(memfs_exists(b.disk, "/d/a"));
    }
    assert_true(gone);
    bench_close(&b);
}

static void a_rename_is_whole_and_gives_the_old_or_the_new_file(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct fault why;
    assert_int_equal(b.io->mkdir(b.io->self, "/d"), 0);
    assert_int_equal(io_replace(b.io, "/d", "x", BYTES_LIT("old"), &why), CODE_OK);
    b.rec = crash_begin(b.fs);
    assert_int_equal(io_replace(b.io, "/d", "x", BYTES_LIT("newer"), &why), CODE_OK);
    crash_mark(b.rec, 1, 5);
    crash_end(b.rec);
    bool old = false, newer = false, both = false;
    for (uint64_t prefix = 0; prefix <= crash_length(b.rec); prefix++)
        for (uint64_t v = 0; v < VARIANTS; v++) {
            char got[8] = {0}, temp[8];
            crash_state_build(b.rec, prefix, v, b.disk);
            int64_t n = get(&b, "/d/x", got, sizeof got);
            bool is_old = n == 3 && memcmp(got, "old", 3) == 0,
                 is_new = n == 5 && memcmp(got, "newer", 5) == 0;
            assert_true(is_old || is_new);
            old |= is_old;
            newer |= is_new;
            both |= is_new && get(&b, "/d/x.tmp", temp, sizeof temp) >= 0;
            if (crash_marks_before(b.rec, prefix).count > 0)
                assert_true(is_new);
        }
    assert_true(old && newer && !both);
    bench_close(&b);
}

static void an_unlink_is_undone_until_the_directory_is_synced(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a"), g = open_new(b.io, "/b");
    put(b.io, f, "keep", 4, 0);
    b.io->close(b.io->self, f);
    b.io->close(b.io->self, g);
    b.rec = crash_begin(b.fs);
    b.io->unlink(b.io->self, "/a");
    b.io->unlink(b.io->self, "/b");
    b.io->sync_dir(b.io->self, "/");
    crash_end(b.rec);
    unsigned seen = 0; /* each alone, both, none */
    for (uint64_t v = 0; v < VARIANTS; v++) {
        char got[8];
        crash_state_build(b.rec, 2, v, b.disk);
        int64_t n = get(&b, "/a", got, sizeof got);
        assert_true(n < 0 || (n == 4 && memcmp(got, "keep", 4) == 0));
        seen |= 1u << ((n >= 0) + 2 * memfs_exists(b.disk, "/b"));
        crash_state_build(b.rec, 3, v, b.disk);
        assert_true(!memfs_exists(b.disk, "/a") && !memfs_exists(b.disk, "/b"));
    }
    assert_int_equal(seen, 15);
    bench_close(&b);
}

static void what_a_failed_sync_left_out_is_not_covered_by_the_next(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    fill(b.io, f, 'o', 2048, 0);
    b.rec = crash_begin(b.fs);
    fill(b.io, f, 'x', 2048, 0);
    memfs_fail(b.fs, FS_FDATASYNC, 1, EIO, false);
    assert_int_equal(b.io->fdatasync(b.io->self, f), -EIO);
    assert_int_equal(b.io->fdatasync(b.io->self, f), 0); /* says yes, covers nothing */
    fill(b.io, f, 'y', 512, 512);
    assert_int_equal(b.io->fdatasync(b.io->self, f), 0); /* covers what was written anew */
    crash_end(b.rec);
    bool lost = false, kept = false;
    for (uint64_t v = 0; v < VARIANTS; v++) {
        char got[2048];
        crash_state_build(b.rec, crash_length(b.rec), v, b.disk);
        assert_int_equal(get(&b, "/a", got, sizeof got), 2048);
        for (unsigned i = 512; i < 1024; i++)
            assert_int_equal(got[i], 'y');
        lost |= got[0] == 'o' && got[2047] == 'x';
        kept |= got[0] == 'x' && got[2047] == 'o';
    }
    assert_true(lost && kept);
    b.io->close(b.io->self, f);
    bench_close(&b);
}

static void a_truncation_is_undone_or_done_and_what_it_cut_stays_cut(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    fill(b.io, f, 'o', 1000, 0);
    b.rec = crash_begin(b.fs);
    b.io->truncate(b.io->self, f, 10);
    b.io->fdatasync(b.io->self, f);
    b.io->allocate(b.io->self, f, 1000);
    crash_end(b.rec);
    for (uint64_t v = 0; v < VARIANTS; v++) {
        char got[1000];
        crash_state_build(b.rec, 1, v, b.disk);
        int64_t n = get(&b, "/a", got, sizeof got);
        assert_true(n == 10 || n == 1000);
        crash_state_build(b.rec, 3, v, b.disk);
        n = get(&b, "/a", got, sizeof got);
        assert_true(n == 10 || n == 1000);
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(got[i], i < 10 ? 'o' : 0);
    }
    b.io->close(b.io->self, f);
    bench_close(&b);
}

static void a_disk_that_ignores_syncs_loses_what_it_confirmed(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    b.rec = crash_begin(b.fs);
    memfs_ignore_sync(b.fs, true, true);
    put(b.io, f, "text", 4, 0);
    assert_int_equal(b.io->fdatasync(b.io->self, f), 0);
    assert_int_equal(b.io->sync_dir(b.io->self, "/"), 0);
    crash_end(b.rec);
    char got[4];
    crash_state_build(b.rec, crash_length(b.rec), CRASH_NONE, b.disk);
    assert_int_equal(get(&b, "/a", got, 4), 0);
    b.io->close(b.io->self, f);
    bench_close(&b);
}

static void marks_are_told_up_to_the_crash(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    crash_mark(NULL, 1, 1);
    b.rec = crash_begin(b.fs);
    crash_mark(b.rec, 1, 100);
    put(b.io, f, "x", 1, 0);
    crash_mark(b.rec, 2, 101);
    crash_mark(b.rec, 2, 102);
    put(b.io, f, "x", 1, 1);
    crash_end(b.rec);
    crash_mark(b.rec, 9, 9); /* too late: ignored */
    assert_int_equal(crash_marks_before(b.rec, 0).count, 1);
    struct crash_marks m = crash_marks_before(b.rec, 1);
    assert_int_equal(m.count, 3);
    assert_true(m.mark[2].at == 1 && m.mark[2].kind == 2 && m.mark[2].value == 102);
    assert_int_equal(crash_marks_before(b.rec, 2).count, 3);
    b.io->close(b.io->self, f);
    bench_close(&b);
}

static void add_up(void *ctx, const char *path, bool is_dir, uint64_t size)
{
    uint64_t *sum = ctx;
    for (const char *p = path; *p; p++)
        *sum = random_mix(*sum, (uint64_t)*p);
    *sum = random_mix(*sum, size + is_dir);
}

/* A random program on a few files, against which the rules are checked from outside: CRASH_ALL at the
 * end is what the program saw, and going back and forth between positions changes nothing. */
static void states_do_not_depend_on_the_order_of_building(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bench b = bench_open();
        struct random r = {seed};
        char path[8];
        b.rec = crash_begin(b.fs);
        for (int i = 0; i < 200; i++) {
            snprintf(path, sizeof path, "/%c", (char)('a' + random_below(&r, 5)));
            int f = open_new(b.io, path);
            uint8_t block[3000];
            random_fill(&r, block, sizeof block);
            switch (random_below(&r, 6)) {
            case 0: b.io->fdatasync(b.io->self, f); break;
            case 1: b.io->sync_dir(b.io->self, "/"); break;
            case 2: b.io->truncate(b.io->self, f, random_below(&r, 5000)); break;
            case 3: b.io->rename(b.io->self, path, "/z"); break;
            case 4: b.io->unlink(b.io->self, path); break;
            default:
                put(b.io, f, block, 1 + random_below(&r, sizeof block - 1), random_below(&r, 6000));
                break;
            }
            b.io->close(b.io->self, f);
        }
        crash_end(b.rec);
        uint64_t sums[40], length = crash_length(b.rec);
        for (uint64_t i = 0; i < 40; i++) {
            crash_state_build(b.rec, length * i / 40, i * 77, b.disk);
            sums[i] = 0;
            memfs_each(b.disk, add_up, &sums[i]);
        }
        for (uint64_t i = 40; i-- > 0;) {
            uint64_t sum = 0;
            crash_state_build(b.rec, length * i / 40, i * 77, b.disk);
            memfs_each(b.disk, add_up, &sum);
            assert_true(sum == sums[i]);
        }
        crash_state_build(b.rec, length, CRASH_ALL, b.disk);
        for (char name = 'a'; name <= 'z'; name++) {
            char want[16384], got[16384];
            snprintf(path, sizeof path, "/%c", name);
            int f = b.io->open(b.io->self, path, IO_READ);
            int64_t n = f < 0 ? -1 : io_read_all(b.io, f, want, sizeof want, 0);
            if (f >= 0)
                b.io->close(b.io->self, f);
            assert_int_equal(get(&b, path, got, sizeof got), n);
            if (n > 0)
                assert_memory_equal(got, want, n);
        }
        bench_close(&b);
    }
}

/* A process that was killed leaves what it wrote to the next one; the power can still take it. */
static void after_a_kill_all_is_seen_and_the_unsynced_can_still_go(void **state)
{
    (void)state;
    struct bench b = bench_open();
    assert_int_equal(b.io->mkdir(b.io->self, "/d"), 0);
    b.rec = crash_begin(b.fs);
    int f = open_new(b.io, "/d/a");
    put(b.io, f, "synced", 6, 0);
    b.io->fdatasync(b.io->self, f);
    b.io->sync_dir(b.io->self, "/d");
    put(b.io, f, " written", 8, 6);
    int g = open_new(b.io, "/d/b");
    b.io->close(b.io->self, g);
    b.io->close(b.io->self, f);
    crash_end(b.rec);
    for (int sync = 0; sync < 2; sync++) {
        struct memfs *next = memfs_new(3), *disk = b.disk;
        char got[16] = {0};
        struct crash *inner = crash_kill(b.rec, crash_length(b.rec), next);
        b.disk_io = memfs_io(next);
        assert_int_equal(get(&b, "/d/a", got, sizeof got), 14);
        assert_memory_equal(got, "synced written", 14);
        assert_true(memfs_exists(next, "/d/b"));
        f = b.disk_io->open(b.disk_io->self, "/d/a", IO_READ | IO_WRITE);
        g = open_new(b.disk_io, "/d/c"); /* must not be taken for one of the old ones */
        put(b.disk_io, g, "c", 1, 0);
        if (sync)
            b.disk_io->fdatasync(b.disk_io->self, f);
        b.disk_io->close(b.disk_io->self, f);
        b.disk_io->close(b.disk_io->self, g);
        crash_end(inner);
        b.disk_io = memfs_io(disk);
        bool lost = false, kept = false, b_gone = false;
        for (uint64_t v = 0; v < VARIANTS; v++) {
            crash_state_build(inner, crash_length(inner), v, disk);
            int64_t n = get(&b, "/d/a", got, sizeof got);
            assert_true(n >= 6);
            assert_memory_equal(got, "synced", 6);
            lost |= n < 14;
            kept |= n == 14 && memcmp(got, "synced written", 14) == 0;
            b_gone |= !memfs_exists(disk, "/d/b");
        }
        assert_true(kept && b_gone && lost == !sync);
        crash_free(inner);
        memfs_free(next);
    }
    bench_close(&b);
}

static void a_sync_that_failed_before_a_kill_covers_nothing_after_it(void **state)
{
    (void)state;
    struct bench b = bench_open();
    int f = open_new(b.io, "/a");
    b.rec = crash_begin(b.fs);
    fill(b.io, f, 'x', 1024, 0);
    memfs_fail(b.fs, FS_FDATASYNC, 1, EIO, false);
    assert_int_equal(b.io->fdatasync(b.io->self, f), -EIO);
    b.io->close(b.io->self, f);
    crash_end(b.rec);
    struct memfs *next = memfs_new(3);
    struct crash *inner = crash_kill(b.rec, crash_length(b.rec), next);
    const struct io *io = memfs_io(next);
    f = io->open(io->self, "/a", IO_READ | IO_WRITE);
    assert_int_equal(io->fdatasync(io->self, f), 0);
    io->close(io->self, f);
    crash_end(inner);
    char got[1024];
    crash_state_build(inner, crash_length(inner), CRASH_NONE, b.disk);
    assert_int_equal(get(&b, "/a", got, sizeof got), 0);
    crash_state_build(inner, crash_length(inner), CRASH_ALL, b.disk);
    assert_int_equal(get(&b, "/a", got, sizeof got), 1024);
    crash_free(inner);
    memfs_free(next);
    bench_close(&b);
}

/* A log of a few hundred operations over preallocated segments of 64 KiB, as a journal writes it. */
static void thousands_of_states_are_built_in_a_second(void **state)
{
    (void)state;
    struct bench b = bench_open();
    b.io->mkdir(b.io->self, "/d");
    b.rec = crash_begin(b.fs);
    for (int s = 0; s < 10; s++) {
        char path[32];
        snprintf(path, sizeof path, "/d/%d.seg", s);
        int f = open_new(b.io, path);
        b.io->allocate(b.io->self, f, 65536);
        b.io->fdatasync(b.io->self, f);
        b.io->sync_dir(b.io->self, "/d");
        for (int i = 0; i < 30; i++) {
            fill(b.io, f, (char)i, 2000, (uint64_t)i * 2000);
            if (i % 3 == 0)
                b.io->fdatasync(b.io->self, f);
        }
        b.io->close(b.io->self, f);
    }
    crash_end(b.rec);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    uint64_t states = 0, length = crash_length(b.rec);
    for (uint64_t prefix = 0; prefix <= length; prefix++)
        for (uint64_t v = 0; v < 20; v++, states++)
            crash_state_build(b.rec, prefix, v, b.disk);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("%llu states of %llu operations in %.3f s: %.0f a second\n", (unsigned long long)states,
           (unsigned long long)length, s, (double)states / s);
    assert_true((double)states / s > 500); /* a floor for sanitizers on a busy machine */
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_data_is_in_every_state_and_unsynced_data_is_not),
        cmocka_unit_test(a_file_can_grow_without_its_data),
        cmocka_unit_test(a_write_is_torn_between_sectors_and_never_inside_one),
        cmocka_unit_test(a_sector_holds_any_version_since_its_last_sync),
        cmocka_unit_test(a_file_needs_its_data_and_its_name_synced),
        cmocka_unit_test(a_directory_that_is_gone_takes_everything_with_it),
        cmocka_unit_test(a_rename_is_whole_and_gives_the_old_or_the_new_file),
        cmocka_unit_test(an_unlink_is_undone_until_the_directory_is_synced),
        cmocka_unit_test(what_a_failed_sync_left_out_is_not_covered_by_the_next),
        cmocka_unit_test(a_truncation_is_undone_or_done_and_what_it_cut_stays_cut),
        cmocka_unit_test(a_disk_that_ignores_syncs_loses_what_it_confirmed),
        cmocka_unit_test(marks_are_told_up_to_the_crash),
        cmocka_unit_test(after_a_kill_all_is_seen_and_the_unsynced_can_still_go),
        cmocka_unit_test(a_sync_that_failed_before_a_kill_covers_nothing_after_it),
        cmocka_unit_test(states_do_not_depend_on_the_order_of_building),
        cmocka_unit_test(thousands_of_states_are_built_in_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
