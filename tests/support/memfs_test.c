/* The simulated file system behaves as the real one does where the two must agree, and breaks where it is
 * told to. */
#include "support/memfs.h"

#include "base/io.h"
#include "base/mem.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int make(const struct io *io, const char *path)
{
    int f = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    assert_true(f >= 0);
    return f;
}

static void write_text(const struct io *io, const char *path, const char *text)
{
    int f = make(io, path);
    assert_int_equal(io_write_all(io, f, text, strlen(text), 0), 0);
    io->close(io->self, f);
}

static void assert_text(const struct io *io, const char *path, const char *want)
{
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(io_load(io, path, 1 << 20, &text, &len, NULL), CODE_OK);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    mem_free(text);
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    int f = make(io, "a");
    struct random r = {7};
    static uint8_t model[40000], got[50000];
    uint64_t size = 0;
    for (int i = 0; i < 2000; i++) {
        uint8_t part[9000];
        size_t at = (size_t)random_below(&r, 30000), n = (size_t)random_below(&r, sizeof part);
        random_fill(&r, part, n);
        if (random_chance(&r, 10)) {
            assert_int_equal(io->truncate(io->self, f, at), 0);
            memset(model + at, 0, sizeof model - at);
            size = at;
        } else {
            assert_int_equal(io->pwrite(io->self, f, part, n, at), (int64_t)n);
            memcpy(model + at, part, n);
            size = n > 0 && at + n > size ? at + n : size;
        }
        assert_int_equal(io->pread(io->self, f, got, sizeof got, 0), (int64_t)size);
        assert_memory_equal(got, model, size);
    }
    io->close(io->self, f);
    memfs_free(fs);
}

static void a_file_that_grows_reads_as_zero_in_between(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    int f = make(io, "a");
    char got[8];
    assert_int_equal(io->pwrite(io->self, f, "abcdef", 6, 0), 6);
    assert_int_equal(io->truncate(io->self, f, 2), 0);
    assert_int_equal(io->pwrite(io->self, f, "z", 1, 7), 1);
    assert_int_equal(io->pread(io->self, f, got, 8, 0), 8);
    assert_memory_equal(got, "ab\0\0\0\0\0z", 8);
    assert_int_equal(io->pread(io->self, f, got, 8, 8), 0);
    io->close(io->self, f);
    memfs_free(fs);
}

static void names_follow_the_rules_of_a_directory_tree(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    struct io_stat st;
    assert_int_equal(io->open(io->self, "/d/a", IO_WRITE | IO_CREATE), -ENOENT);
    assert_int_equal(io->mkdir(io->self, "/d"), 0);
    assert_int_equal(io->mkdir(io->self, "d/"), -EEXIST);
    assert_int_equal(io->mkdir(io->self, "/"), -EEXIST);
    assert_int_equal(io->open(io->self, "/d/a", IO_READ), -ENOENT);
    write_text(io, "/d/a", "one");
    assert_int_equal(io->open(io->self, "/d/a", IO_WRITE | IO_CREATE | IO_EXCL), -EEXIST);
    assert_int_equal(io->open(io->self, "/d", IO_READ), -EISDIR);
    assert_int_equal(io->open(io->self, "/d/a/b", IO_WRITE | IO_CREATE), -ENOTDIR);
    write_text(io, "/d/b", "two");
    assert_int_equal(io->rename(io->self, "/d/b", "/d/a"), 0);
    assert_int_equal(io->rename(io->self, "/d/b", "/d/a"), -ENOENT);
    assert_int_equal(io->rename(io->self, "/d/a", "/e"), -EXDEV);
    assert_text(io, "/d/a", "two");
    assert_int_equal(io->stat(io->self, "/d/a", &st), 0);
    assert_true(st.size == 3 && !st.is_dir);
    assert_int_equal(io->stat(io->self, "/d", &st), 0);
    assert_true(st.is_dir);
    assert_int_equal(io->unlink(io->self, "/d"), -EISDIR);
    assert_int_equal(io->unlink(io->self, "/d/a"), 0);
    assert_int_equal(io->unlink(io->self, "/d/a"), -ENOENT);
    assert_int_equal(io->sync_dir(io->self, "/d"), 0);
    assert_int_equal(io->sync_dir(io->self, "/"), 0);
    assert_int_equal(io->sync_dir(io->self, "/e"), -ENOENT);
    memfs_free(fs);
}

static void count_one(void *ctx, const char *name)
{
    assert_null(strchr(name, '/'));
    ++*(int *)ctx;
}

static void a_list_names_what_lies_directly_inside(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    int n = 0;
    assert_int_equal(io->mkdir(io->self, "/d"), 0);
    assert_int_equal(io->mkdir(io->self, "/d/e"), 0);
    assert_int_equal(io->mkdir(io->self, "/dd"), 0);
    write_text(io, "/d/a", "1");
    write_text(io, "/d/e/x", "1");
    write_text(io, "/dd/y", "1");
    assert_int_equal(io->list(io->self, "/d", count_one, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(io->list(io->self, "/", count_one, &n), 0);
    assert_int_equal(n, 4);
    assert_int_equal(io->list(io->self, "/d/a", count_one, &n), -ENOTDIR);
    memfs_free(fs);
}

static void a_removed_file_lives_while_it_is_open(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    char got[3];
    int f = make(io, "a");
    assert_int_equal(io->pwrite(io->self, f, "abc", 3, 0), 3);
    assert_int_equal(io->unlink(io->self, "a"), 0);
    assert_int_equal(io->pread(io->self, f, got, 3, 0), 3);
    assert_memory_equal(got, "abc", 3);
    assert_int_equal(memfs_used(fs), PAGE_BYTES);
    io->close(io->self, f);
    assert_int_equal(memfs_used(fs), 0);
    assert_int_equal(memfs_open_files(fs), 0);
    memfs_free(fs);
}

static void a_lock_belongs_to_one_open_file(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    int f = make(io, "a"), g = make(io, "a");
    assert_int_equal(io->lock(io->self, f), 0);
    assert_int_equal(io->lock(io->self, f), 0);
    assert_int_equal(io->lock(io->self, g), -EAGAIN);
    io->close(io->self, f);
    assert_int_equal(io->lock(io->self, g), 0);
    io->close(io->self, g);
    memfs_free(fs);
}

static void a_copy_goes_its_own_way(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    write_text(io, "a", "before");
    int held = make(io, "a");
    assert_int_equal(io->lock(io->self, held), 0);
    memfs_fail(fs, FS_OPEN, 1, EIO, true);
    struct memfs *copy = memfs_copy(fs);
    const struct io *cio = memfs_io(copy);
    assert_int_equal(memfs_open_files(copy), 0);
    int f = make(cio, "a");
    assert_int_equal(cio->lock(cio->self, f), 0);
    assert_int_equal(cio->pwrite(cio->self, f, "A", 1, 0), 1);
    cio->close(cio->self, f);
    memfs_fail(fs, FS_OPEN, 0, 0, false);
    assert_text(cio, "a", "Aefore");
    assert_text(io, "a", "before");
    assert_int_equal(io->pwrite(io->self, held, "BE", 2, 0), 2);
    memfs_free(fs); /* with a file open: the program was killed */
    assert_text(cio, "a", "Aefore");
    memfs_clear(copy);
    assert_false(memfs_exists(copy, "/a"));
    assert_int_equal(memfs_used(copy), 0);
    memfs_free(copy);
}

static void a_full_disk_refuses_what_needs_room_and_nothing_else(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    static char block[3 * PAGE_BYTES];
    int f = make(io, "a"), g = make(io, "b");
    assert_true(io->free_bytes(io->self, "/") > INT64_C(1) << 30);
    memfs_set_room(fs, 4 * PAGE_BYTES);
    assert_int_equal(io->allocate(io->self, f, 5 * PAGE_BYTES), -ENOSPC);
    assert_int_equal(memfs_used(fs), 0);
    assert_int_equal(io->allocate(io->self, f, 2 * PAGE_BYTES), 0);
    assert_int_equal(io->free_bytes(io->self, "/"), 2 * PAGE_BYTES);
    assert_int_equal(io->pwrite(io->self, g, block, sizeof block, 0), 2 * PAGE_BYTES); /* what fits */
    assert_int_equal(io->pwrite(io->self, g, block, 10, 2 * PAGE_BYTES), -ENOSPC);
    assert_int_equal(io->pwrite(io->self, g, block, 10, 100), 10); /* has room already */
    assert_int_equal(io->pwrite(io->self, f, block, 2 * PAGE_BYTES, 0), 2 * PAGE_BYTES);
    assert_int_equal(io->free_bytes(io->self, "/"), 0);
    assert_int_equal(io->truncate(io->self, g, 10), 0);
    assert_int_equal(io->pwrite(io->self, f, block, 10, 2 * PAGE_BYTES), 10);
    assert_int_equal(io->allocate(io->self, f, 3 * PAGE_BYTES), 0); /* nothing is missing */
    memfs_set_room(fs, UINT64_MAX);
    assert_int_equal(io->allocate(io->self, g, 100 * PAGE_BYTES), 0);
    io->close(io->self, f);
    io->close(io->self, g);
    memfs_free(fs);
}

static void the_nth_call_fails_once_or_for_ever(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    const struct io *io = memfs_io(fs);
    int f = make(io, "a");
    memfs_fail(fs, FS_PWRITE, 2, EIO, false);
    assert_int_equal(io->pwrite(io->self, f, "1", 1, 0), 1);
    assert_int_equal(io->pwrite(io->self, f, "2", 1, 0), -EIO);
    assert_int_equal(io->pwrite(io->self, f, "3", 1, 1), 1);
    assert_int_equal(memfs_failed(fs, FS_PWRITE), 1);
    assert_int_equal(memfs_calls(fs, FS_PWRITE), 3);
    assert_text(io, "a", "13");
    memfs_fail(fs, FS_FDATASYNC, 1, ENOSPC, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(io->fdatasync(io->self, f), -ENOSPC);
    memfs_fail(fs, FS_FDATASYNC, 0, 0, false);
    assert_int_equal(io->fdatasync(io->self, f), 0);
    memfs_fail(fs, FS_ANY, 3, EROFS, false);
    assert_int_equal(io->fdatasync(io->self, f), 0);
    assert_int_equal(io->truncate(io->self, f, 1), 0);
    assert_int_equal(io->unlink(io->self, "a"), -EROFS);
    assert_true(memfs_exists(fs, "a"));
    assert_int_equal(io->open(io->self, "c", IO_READ), -ENOENT);
    io->close(io->self, f);
    memfs_free(fs);
}

static void short_reads_and_writes_happen_when_asked_for(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(5);
    const struct io *io = memfs_io(fs);
    int f = make(io, "a"), reads = 0, writes = 0;
    static char block[4000];
    memfs_short(fs, 50);
    assert_int_equal(io_write_all(io, f, block, sizeof block, 0), 0);
    for (int i = 0; i < 100; i++) {
        int64_t n = io->pread(io->self, f, block, sizeof block, 0);
        assert_true(n >= 1 && n <= 4000);
        reads += n < 4000;
        n = io->pwrite(io->self, f, block, sizeof block, 100);
        assert_true(n >= 1 && n <= 4000 && (n == 4000 || (n + 100) % 512 == 0));
        writes += n < 4000;
        assert_int_equal(io->pwrite(io->self, f, block, 400, 100), 400); /* within one sector */
    }
    assert_true(reads > 20 && reads < 80 && writes > 20 && writes < 80);
    assert_int_equal(io_read_all(io, f, block, sizeof block, 0), 4000);
    io->close(io->self, f);
    memfs_free(fs);
}

static void clock_and_random_come_from_the_test(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(5), *same = memfs_new(5);
    const struct io *io = memfs_io(fs), *sio = memfs_io(same);
    int64_t wall = io->wall_us(io->self), mono = io->monotonic_us(io->self);
    uint8_t a[16], b[16];
    assert_int_equal(io->wall_us(io->self), wall);
    memfs_advance(fs, 10);
    memfs_set_wall(fs, 0);
    memfs_advance(fs, 5);
    assert_int_equal(io->wall_us(io->self), 5);
    assert_int_equal(io->monotonic_us(io->self), mono + 15);
    io->random(io->self, a, sizeof a);
    sio->random(sio->self, b, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    sio->random(sio->self, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    memfs_free(fs);
    memfs_free(same);
}

static void the_end_of_the_data_is_that_of_the_last_page_written(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(5);
    const struct io *io = memfs_io(fs);
    int file = io->open(io->self, "/f", IO_READ | IO_WRITE | IO_CREATE);
    assert_int_equal(io->data_end(io->self, file), 0);
    assert_int_equal(io->allocate(io->self, file, 65536), 0);
    assert_int_equal(io->data_end(io->self, file), 0);
    assert_int_equal(io_write_all(io, file, "x", 1, 5000), 0);
    assert_int_equal(io->data_end(io->self, file), 8192);
    assert_true(memfs_flip(fs, "/f", 30000, 1)); /* rot also comes to places never written */
    assert_int_equal(io->data_end(io->self, file), 32768);
    io->close(io->self, file);
    memfs_free(fs);
}

static void a_flipped_bit_is_seen_by_the_reader(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(5);
    write_text(memfs_io(fs), "a", "abc");
    assert_true(memfs_flip(fs, "/a", 1, 0x20));
    assert_text(memfs_io(fs), "a", "aBc");
    assert_false(memfs_flip(fs, "/a", 3, 1));
    assert_false(memfs_flip(fs, "/b", 0, 1));
    memfs_free(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(a_file_that_grows_reads_as_zero_in_between),
        cmocka_unit_test(the_end_of_the_data_is_that_of_the_last_page_written),
        cmocka_unit_test(names_follow_the_rules_of_a_directory_tree),
        cmocka_unit_test(a_list_names_what_lies_directly_inside),
        cmocka_unit_test(a_removed_file_lives_while_it_is_open),
        cmocka_unit_test(a_lock_belongs_to_one_open_file),
        cmocka_unit_test(a_copy_goes_its_own_way),
        cmocka_unit_test(a_full_disk_refuses_what_needs_room_and_nothing_else),
        cmocka_unit_test(the_nth_call_fails_once_or_for_ever),
        cmocka_unit_test(short_reads_and_writes_happen_when_asked_for),
        cmocka_unit_test(clock_and_random_come_from_the_test),
        cmocka_unit_test(a_flipped_bit_is_seen_by_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
