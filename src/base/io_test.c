#include "base/io.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct io *const sys = &io_system;

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    (void)strcpy(folder, "/tmp/io_test.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static void remove_one(void *ctx, const char *name)
{
    (void)ctx;
    char each[384];
    (void)snprintf(each, sizeof each, "%s/%s", folder, name);
    if (unlink(each) < 0)
        (void)rmdir(each);
}

static int remove_folder(void **state)
{
    (void)state;
    (void)sys->list(sys->self, folder, remove_one, NULL);
    return rmdir(folder);
}

static int open_new(void)
{
    int file = sys->open(sys->self, path, IO_READ | IO_WRITE | IO_CREATE);
    assert_true(file >= 0);
    return file;
}

static void behind_the_end_of_the_data_all_is_zero(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20, AT = 300000 };
    static char back[SIZE];
    int file = open_new();
    assert_int_equal(sys->allocate(sys->self, file, SIZE), 0);
    assert_true(sys->data_end(sys->self, file) >= 0);
    assert_int_equal(io_write_all(sys, file, "ab", 2, 10), 0);
    assert_true(sys->data_end(sys->self, file) >= 12); /* not synced, and known all the same */
    assert_int_equal(io_write_all(sys, file, "cd", 2, AT), 0);
    int64_t end = sys->data_end(sys->self, file);
    assert_true(end >= AT + 2);
    assert_int_equal(io_read_all(sys, file, back, SIZE, 0), SIZE);
    for (int64_t i = end; i < SIZE; i++)
        assert_int_equal(back[i], 0);
    sys->close(sys->self, file);
}

static void what_is_written_is_read_at_its_place(void **state)
{
    (void)state;
    char back[16] = "";
    int file = open_new();
    assert_int_equal(io_write_all(sys, file, "0123456789", 10, 0), 0);
    assert_int_equal(io_write_all(sys, file, "ab", 2, 4), 0);
    assert_int_equal(sys->fdatasync(sys->self, file), 0);
    assert_int_equal(io_read_all(sys, file, back, sizeof back, 2), 8);
    assert_memory_equal(back, "23ab6789", 8);
    assert_int_equal(io_read_all(sys, file, back, 4, 100), 0);
    assert_int_equal(sys->truncate(sys->self, file, 3), 0);
    assert_int_equal(io_read_all(sys, file, back, sizeof back, 0), 3);
    sys->close(sys->self, file);
}

static void files_and_folders_are_for_their_owner_alone(void **state)
{
    (void)state;
    struct stat st;
    char deeper[128];
    umask(0);
    sys->close(sys->self, open_new());
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    (void)snprintf(deeper, sizeof deeper, "%s/deeper", folder);
    assert_int_equal(sys->mkdir(sys->self, deeper), 0);
    assert_int_equal(stat(deeper, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(sys->mkdir(sys->self, deeper), -EEXIST);
    struct io_stat have;
    assert_int_equal(sys->stat(sys->self, deeper, &have), 0);
    assert_true(have.is_dir);
}

static void opening_does_what_its_flags_say(void **state)
{
    (void)state;
    struct io_stat have;
    assert_int_equal(sys->open(sys->self, path, IO_READ), -ENOENT);
    assert_int_equal(sys->stat(sys->self, path, &have), -ENOENT);
    int file = sys->open(sys->self, path, IO_WRITE | IO_CREATE | IO_EXCL);
    assert_true(file >= 0);
    assert_int_equal(sys->open(sys->self, path, IO_WRITE | IO_CREATE | IO_EXCL), -EEXIST);
    assert_int_equal(sys->allocate(sys->self, file, 4096), 0);
    sys->close(sys->self, file);
    assert_int_equal(sys->stat(sys->self, path, &have), 0);
    assert_int_equal(have.size, 4096);
    assert_false(have.is_dir);
    file = sys->open(sys->self, path, IO_READ);
    assert_true(file >= 0);
    assert_int_equal(sys->pwrite(sys->self, file, "x", 1, 0), -EBADF);
    sys->close(sys->self, file);
}

static void renamed_files_keep_their_content(void **state)
{
    (void)state;
    char other[128];
    struct io_stat have;
    (void)snprintf(other, sizeof other, "%s/other", folder);
    int file = open_new();
    assert_int_equal(io_write_all(sys, file, "abc", 3, 0), 0);
    sys->close(sys->self, file);
    assert_int_equal(sys->rename(sys->self, path, other), 0);
    assert_int_equal(sys->sync_dir(sys->self, folder), 0);
    assert_int_equal(sys->stat(sys->self, path, &have), -ENOENT);
    assert_int_equal(sys->stat(sys->self, other, &have), 0);
    assert_int_equal(have.size, 3);
    assert_int_equal(sys->unlink(sys->self, other), 0);
    assert_int_equal(sys->unlink(sys->self, other), -ENOENT);
    assert_int_equal(sys->rename(sys->self, other, path), -ENOENT);
    assert_int_equal(sys->sync_dir(sys->self, other), -ENOENT);
}

static void collect(void *ctx, const char *name)
{
    strcat(ctx, name);
}

static void a_folder_lists_all_but_the_dots(void **state)
{
    (void)state;
    char names[64] = "";
    assert_int_equal(sys->list(sys->self, folder, collect, names), 0);
    assert_string_equal(names, "");
    sys->close(sys->self, open_new());
    assert_int_equal(sys->list(sys->self, folder, collect, names), 0);
    assert_string_equal(names, "file");
    assert_int_equal(sys->list(sys->self, path, collect, names), -ENOTDIR);
}

static void a_lock_has_one_holder(void **state)
{
    (void)state;
    int one = open_new(), two = open_new();
    assert_int_equal(sys->lock(sys->self, one), 0);
    assert_int_equal(sys->lock(sys->self, two), -EAGAIN);
    sys->close(sys->self, one);
    assert_int_equal(sys->lock(sys->self, two), 0);
    sys->close(sys->self, two);
}

static void clocks_go_on_and_random_differs(void **state)
{
    (void)state;
    int64_t before = sys->monotonic_us(sys->self);
    assert_true(sys->monotonic_us(sys->self) >= before);
    /* After 2020, before 2200. */
    assert_true(sys->wall_us(sys->self) > INT64_C(1577836800000000));
    assert_true(sys->wall_us(sys->self) < INT64_C(7258118400000000));
    uint8_t a[32] = { 0 }, b[32] = { 0 };
    sys->random(sys->self, a, sizeof a);
    sys->random(sys->self, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(sys->free_bytes(sys->self, folder) > 0);
    assert_int_equal(sys->free_bytes(sys->self, path), -ENOENT);
}

/* ---- whole files ---- */

static void a_small_file_is_loaded_whole(void **state)
{
    (void)state;
    char *text;
    size_t len;
    struct fault why;
    assert_int_equal(io_load(sys, path, 100, &text, &len, &why), CODE_NOTFOUND);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(why.sys_errno, ENOENT);
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("a\0b"), &why), CODE_OK);
    assert_int_equal(io_load(sys, path, 3, &text, &len, &why), CODE_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(text, "a\0b\0", 4);
    mem_free(text);
    assert_int_equal(io_load(sys, path, 2, &text, &len, &why), CODE_LIMIT);
    assert_non_null(strstr(why.text, "has 3 bytes, the limit is 2"));
    assert_int_equal(io_load(sys, folder, 100, &text, &len, &why), CODE_IO);
    assert_non_null(strstr(why.text, "it is a directory"));
    mem_fail_at(1);
    assert_int_equal(io_load(sys, path, 3, &text, &len, &why), CODE_NOMEM);
    mem_fail_at(0);
    assert_int_equal(io_replace(sys, folder, "file", BYTES_NONE, &why), CODE_OK);
    assert_int_equal(io_load(sys, path, 3, &text, &len, &why), CODE_OK);
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    mem_free(text);
}

/* Root replaces a file of somebody else's in his folder. */
static void a_file_without_a_size_is_read(void **state)
{
    (void)state;
    char text[16], name[16];
    assert_true(io_read_text(sys, "/proc/self/comm", name, sizeof name));
    assert_string_equal(name, "io_test\n");
    assert_true(io_read_text(sys, "/proc/self/comm", text, 4));
    assert_string_equal(text, "io_");
    assert_false(io_read_text(sys, path, text, sizeof text)); /* it is not there */
    sys->close(sys->self, open_new());
    assert_false(io_read_text(sys, path, text, sizeof text)); /* and empty */
}

static void a_replaced_file_stays_its_owners(void **state)
{
    (void)state;
    struct io_stat st;
    if (geteuid() != 0)
        skip();
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("a"), NULL), CODE_OK);
    assert_int_equal(chown(path, 65534, 65533), 0);
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("b"), NULL), CODE_OK);
    assert_int_equal(sys->stat(sys->self, path, &st), 0);
    assert_int_equal(st.uid, 65534);
    assert_int_equal(st.gid, 65533);
    assert_int_equal(sys->unlink(sys->self, path), 0);
    assert_int_equal(chown(folder, 65534, 65533), 0);
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("c"), NULL), CODE_OK); /* a new one: the folder's */
    assert_int_equal(sys->stat(sys->self, path, &st), 0);
    assert_int_equal(st.uid, 65534);
    assert_int_equal(st.mode, 0600);
    assert_int_equal(chown(folder, 0, 0), 0);
}

/* What lies where the new content goes first may be a trap. */
static void a_link_in_the_way_is_not_followed(void **state)
{
    (void)state;
    char other[200], temp[200];
    char *text;
    size_t len;
    struct io_stat st;
    (void)snprintf(other, sizeof other, "%s/other", folder);
    (void)snprintf(temp, sizeof temp, "%s/file.tmp", folder);
    assert_int_equal(io_replace(sys, folder, "other", BYTES_LIT("precious"), NULL), CODE_OK);
    assert_int_equal(symlink(other, temp), 0);
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("secret"), NULL), CODE_OK);
    assert_int_equal(io_load(sys, other, 100, &text, &len, NULL), CODE_OK);
    assert_string_equal(text, "precious");
    mem_free(text);
    int readable = sys->open(sys->self, temp, IO_WRITE | IO_CREATE); /* left over, with another mode */
    assert_true(readable >= 0);
    assert_int_equal(fchmod(readable, 0644), 0);
    sys->close(sys->self, readable);
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("secret"), NULL), CODE_OK);
    assert_int_equal(sys->stat(sys->self, path, &st), 0);
    assert_int_equal(st.mode, 0600);
    assert_int_equal(sys->unlink(sys->self, other), 0);
}

static void a_replaced_file_leaves_nothing_beside_it(void **state)
{
    (void)state;
    char names[64] = "";
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("a longer first content"), NULL), CODE_OK);
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("short"), NULL), CODE_OK);
    assert_int_equal(sys->list(sys->self, folder, collect, names), 0);
    assert_string_equal(names, "file");
    char *text;
    size_t len;
    assert_int_equal(io_load(sys, path, 100, &text, &len, NULL), CODE_OK);
    assert_string_equal(text, "short");
    mem_free(text);
    char long_name[5000];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_int_equal(io_replace(sys, folder, long_name, BYTES_LIT("x"), NULL), CODE_LIMIT);
}

/* ---- a system that says no at its n-th call, and is short and slow otherwise ---- */

static int     calls_left, error;
static int64_t step; /* bytes a read or write moves at most */

static char    order[64]; /* a letter per call */

static bool refused(char letter)
{
    size_t n = strlen(order);
    if (n < sizeof order - 1 && (n == 0 || order[n - 1] != letter))
        order[n] = letter;
    return calls_left >= 0 && calls_left-- == 0;
}

static int bad_open(void *self, const char *p, int flags)
{
    return refused('o') ? error : io_system.open(self, p, flags);
}

static int64_t bad_pread(void *self, int file, void *to, size_t n, uint64_t at)
{
    return refused('r') ? error : io_system.pread(self, file, to, n > (size_t)step ? (size_t)step : n, at);
}

static int64_t bad_pwrite(void *self, int file, const void *from, size_t n, uint64_t at)
{
    return refused('w') ? error : io_system.pwrite(self, file, from, n > (size_t)step ? (size_t)step : n, at);
}

static int bad_fdatasync(void *self, int file)
{
    return refused('s') ? error : io_system.fdatasync(self, file);
}

static int bad_truncate(void *self, int file, uint64_t size)
{
    return refused('t') ? error : io_system.truncate(self, file, size);
}

static int bad_rename(void *self, const char *from, const char *to)
{
    return refused('n') ? error : io_system.rename(self, from, to);
}

static int bad_sync_dir(void *self, const char *p)
{
    return refused('d') ? error : io_system.sync_dir(self, p);
}

static struct io bad_io(int after, int err)
{
    struct io io = io_system;
    memset(order, 0, sizeof order);
    calls_left = after;
    error = err;
    step = 3;
    io.open = bad_open;
    io.pread = bad_pread;
    io.pwrite = bad_pwrite;
    io.fdatasync = bad_fdatasync;
    io.truncate = bad_truncate;
    io.rename = bad_rename;
    io.sync_dir = bad_sync_dir;
    return io;
}

static void short_reads_and_writes_are_carried_on(void **state)
{
    (void)state;
    struct io io = bad_io(-1, 0);
    char *text;
    size_t len;
    assert_int_equal(io_replace(&io, folder, "file", BYTES_LIT("ten bytes!"), NULL), CODE_OK);
    assert_int_equal(io_load(&io, path, 100, &text, &len, NULL), CODE_OK);
    assert_string_equal(text, "ten bytes!");
    mem_free(text);
}

/* Old or new after any crash: content before name, name before "done". */
static void a_replacement_is_synced_in_its_order(void **state)
{
    (void)state;
    struct io io = bad_io(-1, 0);
    assert_int_equal(io_replace(&io, folder, "file", BYTES_LIT("ten bytes!"), NULL), CODE_OK);
    assert_string_equal(order, "owsnd");
}

static void a_write_without_progress_is_an_error(void **state)
{
    (void)state;
    struct io io = bad_io(-1, 0);
    step = 0;
    int file = open_new();
    assert_int_equal(io_write_all(&io, file, "abc", 3, 0), -EIO);
    assert_int_equal(io_write_all(&io, file, "", 0, 0), 0);
    sys->close(sys->self, file);
}

/* Whatever call fails, the old content or the new one stands, and no half file beside it. */
static void a_replacement_that_fails_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    static const struct {
        int       err;
        enum code code;
    } kinds[] = { { -EIO, CODE_IO }, { -ENOSPC, CODE_FULL }, { -EDQUOT, CODE_FULL }, { -EROFS, CODE_IO } };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (int n = 0;; n++) {
            char *text, names[64] = "";
            size_t len;
            struct fault why;
            assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("old"), NULL), CODE_OK);
            struct io io = bad_io(n, kinds[k].err);
            enum code c = io_replace(&io, folder, "file", BYTES_LIT("new one"), &why);
            assert_int_equal(io_load(sys, path, 100, &text, &len, NULL), CODE_OK);
            bool is_new = strcmp(text, "new one") == 0;
            assert_true(is_new || strcmp(text, "old") == 0);
            mem_free(text);
            assert_int_equal(sys->list(sys->self, folder, collect, names), 0);
            assert_string_equal(names, "file");
            if (calls_left >= 0) {
                assert_int_equal(c, CODE_OK);
                assert_true(is_new);
                assert_true(n > 5);
                break;
            }
            assert_int_equal(c, kinds[k].code);
            assert_int_equal(why.sys_errno, -kinds[k].err);
            assert_non_null(strstr(why.text, path));
        }
}

static void a_load_that_fails_gives_nothing(void **state)
{
    (void)state;
    assert_int_equal(io_replace(sys, folder, "file", BYTES_LIT("seven b"), NULL), CODE_OK);
    for (int n = 0;; n++) {
        char *text = NULL;
        size_t len;
        struct io io = bad_io(n, -EIO);
        enum code c = io_load(&io, path, 100, &text, &len, NULL);
        if (calls_left >= 0) {
            assert_int_equal(c, CODE_OK);
            mem_free(text);
            break;
        }
        assert_int_equal(c, CODE_IO);
        assert_null(text);
    }
}

/* Nobody writes into it: to open it would be to wait for ever. */
static void a_pipe_is_not_waited_for(void **state)
{
    char *text;
    size_t len;
    struct io_stat have;
    struct fault why;
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sys->stat(sys->self, path, &have), 0);
    assert_true(have.is_pipe && !have.is_dir);
    assert_int_equal(io_load(sys, path, 100, &text, &len, &why), CODE_IO);
    assert_non_null(strstr(why.text, "pipe"));
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_is_written_is_read_at_its_place),
        IN_FOLDER(a_pipe_is_not_waited_for),
        IN_FOLDER(behind_the_end_of_the_data_all_is_zero),
        IN_FOLDER(files_and_folders_are_for_their_owner_alone),
        IN_FOLDER(opening_does_what_its_flags_say),
        IN_FOLDER(renamed_files_keep_their_content),
        IN_FOLDER(a_folder_lists_all_but_the_dots),
        IN_FOLDER(a_lock_has_one_holder),
        IN_FOLDER(clocks_go_on_and_random_differs),
        IN_FOLDER(a_small_file_is_loaded_whole),
        IN_FOLDER(a_file_without_a_size_is_read),
        IN_FOLDER(a_replaced_file_stays_its_owners),
        IN_FOLDER(a_link_in_the_way_is_not_followed),
        IN_FOLDER(a_replaced_file_leaves_nothing_beside_it),
        IN_FOLDER(short_reads_and_writes_are_carried_on),
        IN_FOLDER(a_replacement_is_synced_in_its_order),
        IN_FOLDER(a_write_without_progress_is_an_error),
        IN_FOLDER(a_replacement_that_fails_leaves_the_old_or_the_new),
        IN_FOLDER(a_load_that_fails_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
