#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "action/action_private.h"
#include "base/log.h"
#include "base/mem.h"
#include "expr/json.h"
#include "support/memfs.h"

#include <errno.h>

#define FILE_NOW "/data/audit/actions.jsonl"
#define FILE_OLD "/data/audit/actions.1.jsonl"

static struct memfs *fs;
static const struct io *io;
static unsigned errors;

static void count_errors(void *ctx, const char *line)
{
    (void)ctx;
    errors += strstr(line, "FG6311") != NULL;
}

static struct audit *open_audit(void)
{
    struct audit *a;
    struct fault why;
    if (audit_open(&a, io, "/data", &why) != CODE_OK)
        fail_msg("%s", why.text);
    return a;
}

static void write_one(struct audit *a, const char *message, size_t len)
{
    struct buf json = {0};
    struct audit_line l = {.action = "stop", .event = "stop-0-1", .what = "publish a/b", .result = "good", .said = "",
                           .took_us = 1500, .after_us = 2500, .tries = 1, .message = bytes_of(message, len)};
    audit_write(a, &l, &json);
    buf_clear(&json);
}

static void write_many(struct audit *a, int n)
{
    for (int i = 0; i < n; i++)
        write_one(a, "{\"t\":1}", 7);
}

static char *text_of(const char *path, size_t *len)
{
    char *text;
    struct fault why;
    if (io_load(io, path, 32 << 20, &text, len, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return text;
}

/* Every line is JSON, and they are numbered from `first` on; the last number. */
static uint64_t check_file(const char *path, uint64_t first)
{
    size_t len;
    char *text = text_of(path, &len);
    uint64_t number = first - 1;
    for (char *at = text; at < text + len;) {
        char *end = memchr(at, '\n', (size_t)(text + len - at));
        struct arena arena;
        struct value v;
        struct fault why;
        assert_non_null(end);
        arena_init(&arena, NULL, 0, 1 << 20);
        if (json_value(bytes_of(at, (size_t)(end - at)), &arena, &v, &why) != CODE_OK)
            fail_msg("%s: %.*s", why.text, (int)(end - at), at);
        assert_int_equal(value_field(v, BYTES_LIT("number")).i, ++number);
        arena_clear(&arena);
        at = end + 1;
    }
    mem_free(text);
    return number;
}

static void put_file(const char *path, const char *text, size_t len, uint64_t at)
{
    int f = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE);
    assert_true(f >= 0);
    assert_true(io_write_all(io, f, text, len, at) >= 0);
    io->close(io->self, f);
}

static uint64_t size_of(const char *path)
{
    struct io_stat st;
    assert_int_equal(io->stat(io->self, path, &st), 0);
    return st.size;
}

static void lines(void **state)
{
    (void)state;
    struct audit *a = open_audit();
    const char like_ours[] = "x\n{\"number\":99,\"a\":1}\n{\"number\":98}";
    write_one(a, like_ours, sizeof like_ours - 1);
    struct buf json = {0};
    struct audit_line l = {.action = "x", .event = "x-1-2", .what = "run \x1b[2J", .result = "failed", .said = "no\nway \xff",
                           .tries = 3, .held_back = 17, .message = BYTES_NONE};
    audit_write(a, &l, &json);
    const char want[] = "\"event\":\"x-1-2\",\"what\":\"run \\u001b[2J\",\"result\":\"failed\",\"tries\":3,\"took-ms\":0.000,"
                        "\"after-ms\":0.000,\"held-back\":17,\"said\":\"no\\u000away \xef\xbf\xbd\",\"message\":\"\"}";
    buf_u8(&json, 0);
    if (!strstr((const char *)json.at, want))
        fail_msg("%s", (const char *)json.at);
    buf_clear(&json);
    audit_close(a);
    assert_int_equal(check_file(FILE_NOW, 1), 2);
}

static void long_ones_are_cut(void **state)
{
    static char message[20000], what[20000];
    (void)state;
    memset(message, 1, sizeof message);
    memset(what, 2, sizeof what - 1);
    struct audit *a = open_audit();
    struct buf json = {0};
    struct audit_line l = {.action = "x", .event = "e", .what = what, .result = "good", .said = what, .message = bytes_of(message, sizeof message)};
    for (int i = 0; i < 10; i++)
        audit_write(a, &l, &json);
    assert_true(buf_size(&json) < 12 * 1024);
    buf_clear(&json);
    audit_close(a);
    a = open_audit(); /* and found again */
    write_many(a, 1);
    audit_close(a);
    assert_int_equal(check_file(FILE_NOW, 1), 11);
}

static void numbers_go_on(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct audit *a = open_audit();
        write_many(a, 3);
        audit_close(a);
    }
    assert_int_equal(check_file(FILE_NOW, 1), 15);
}

static void a_torn_end_is_removed(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } ends[] = {{"{\"number\":16,\"ti", 16}, {"\0\0\0\0\0\0\0\0", 8}, {"\n\n\n", 3}, {"{\"number\":16,\"time\":\"2026\n", 26}, {"{", 1}};
    (void)state;
    struct audit *a = open_audit();
    write_many(a, 15);
    audit_close(a);
    uint64_t whole = size_of(FILE_NOW);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        put_file(FILE_NOW, ends[i].text, ends[i].len, size_of(FILE_NOW));
        a = open_audit();
        assert_int_equal(size_of(FILE_NOW), whole);
        audit_close(a);
    }
    static char zeros[200000];
    put_file(FILE_NOW, zeros, sizeof zeros, size_of(FILE_NOW)); /* as after a power failure */
    a = open_audit();
    write_many(a, 1);
    audit_close(a);
    assert_int_equal(check_file(FILE_NOW, 1), 16);
}

static void it_turns_over(void **state)
{
    static char message[1024];
    (void)state;
    memset(message, 'x', sizeof message);
    struct audit *a = open_audit();
    int n = 0;
    struct io_stat st;
    while (io->stat(io->self, FILE_OLD, &st) < 0 && n++ < 20000)
        write_one(a, message, sizeof message);
    assert_true(st.size >= 16 << 20 && st.size < (16 << 20) + 8192);
    assert_int_equal(size_of(FILE_NOW), 0);
    audit_close(a);
    a = open_audit(); /* the number is in the old one */
    write_many(a, 1);
    audit_close(a);
    a = open_audit();
    write_many(a, 1);
    audit_close(a);
    uint64_t last = check_file(FILE_OLD, 1);
    assert_int_equal(last, n);
    assert_int_equal(check_file(FILE_NOW, last + 1), last + 2);
}

static void what_cannot_be_written_is_said_once(void **state)
{
    (void)state;
    struct audit *a = open_audit();
    write_many(a, 2);
    errors = 0;
    memfs_fail(fs, FS_PWRITE, 1, EIO, true);
    write_many(a, 5);
    assert_int_equal(errors, 1);
    memfs_fail(fs, FS_PWRITE, 0, 0, false);
    write_many(a, 1); /* has number 8: the gap shows */
    memfs_fail(fs, FS_PWRITE, 1, EIO, true);
    write_many(a, 1);
    assert_int_equal(errors, 2);
    memfs_fail(fs, FS_PWRITE, 0, 0, false);
    audit_close(a);
    size_t len;
    char *text = text_of(FILE_NOW, &len), *last = strstr(text, "{\"number\":8,");
    assert_non_null(last);
    assert_null(strstr(text, "{\"number\":3,"));
    mem_free(text);
}

static void a_disk_that_takes_nothing(void **state)
{
    (void)state;
    errors = 0;
    memfs_fail(fs, FS_OPEN, 1, EACCES, true);
    struct audit *a = open_audit(); /* the actions are needed all the same */
    write_many(a, 3);
    assert_int_equal(errors, 1);
    memfs_fail(fs, FS_OPEN, 0, 0, false);
    write_many(a, 2);
    audit_close(a);
    assert_int_equal(check_file(FILE_NOW, 4), 5);
    errors = 0;
    a = open_audit();
    memfs_set_room(fs, 0); /* a part of the line may fit */
    write_many(a, 100);
    memfs_set_room(fs, UINT64_MAX);
    audit_close(a);
    a = open_audit();
    audit_close(a);
    assert_int_equal(errors, 1);
}

static int setup(void **state)
{
    (void)state;
    fs = memfs_new(1);
    io = memfs_io(fs);
    return io->mkdir(io->self, "/data");
}

static int teardown(void **state)
{
    (void)state;
    memfs_free(fs);
    return 0;
}

#define ON_A_DISK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_DISK(lines),         ON_A_DISK(long_ones_are_cut), ON_A_DISK(numbers_go_on),
        ON_A_DISK(a_torn_end_is_removed), ON_A_DISK(it_turns_over), ON_A_DISK(what_cannot_be_written_is_said_once),
        ON_A_DISK(a_disk_that_takes_nothing),
    };
    log_set_sink(count_errors, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
