#include "base/limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)
#define OF(bytes) ((bytes) / 10 * 6 & ~(MIB - 1))

/* A machine of text files; a handle is an index. */
static const struct page {
    const char *path, *text;
} *machine;

static int page_open(void *self, const char *path, int flags)
{
    (void)self, (void)flags;
    for (int i = 0; machine[i].path; i++)
        if (strcmp(machine[i].path, path) == 0)
            return i;
    return -ENOENT;
}

static void page_close(void *self, int file)
{
    (void)self, (void)file;
}

static int64_t page_read(void *self, int file, void *to, size_t n, uint64_t at)
{
    (void)self;
    size_t len = strlen(machine[file].text);
    if (at >= len)
        return 0;
    size_t part = len - at < 7 ? len - at : 7; /* /proc may hand out little at a time */
    part = part < n ? part : n;
    memcpy(to, machine[file].text + at, part);
    return (int64_t)part;
}

static uint64_t memory_of(const struct page *pages)
{
    const struct io io = { .open = page_open, .close = page_close, .pread = page_read };
    machine = pages;
    return limits_memory(&io);
}

#define MEMINFO { "/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:         1000 kB\n" } /* 16 GiB */
#define END { NULL, NULL }

static void the_machines_memory_counts_without_groups(void **state)
{
    (void)state;
    assert_int_equal(memory_of((struct page[]){ MEMINFO, END }), OF(16 * GIB));
}

static void the_smallest_limit_of_the_groups_above_us_counts(void **state)
{
    (void)state;
    assert_int_equal(memory_of((struct page[]){ MEMINFO,
                                                { "/proc/self/cgroup", "0::/a.slice/b.service\n" },
                                                { "/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n" },
                                                { "/sys/fs/cgroup/a.slice/memory.max", "1073741824\n" },
                                                END }),
                     OF(GIB));
    assert_int_equal(memory_of((struct page[]){ MEMINFO,
                                                { "/proc/self/cgroup", "1:name=x:/y\n0::/\n" },
                                                { "/sys/fs/cgroup/memory.max", "536870912\n" },
                                                END }),
                     OF(GIB / 2));
    /* A limit above the machine's memory is none. */
    assert_int_equal(memory_of((struct page[]){ MEMINFO,
                                                { "/proc/self/cgroup", "0::/a\n" },
                                                { "/sys/fs/cgroup/a/memory.max", "99999999999999\n" },
                                                END }),
                     OF(16 * GIB));
}

static void the_older_groups_are_known(void **state)
{
    (void)state;
    assert_int_equal(memory_of((struct page[]){
                         MEMINFO, { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n" }, END }),
                     OF(2 * GIB));
    assert_int_equal(
        memory_of((struct page[]){
            MEMINFO, { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n" }, END }),
        OF(16 * GIB));
}

static void what_cannot_be_read_is_taken_for_little(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "MemTotal:", "MemTotal: many kB", "MemTotal: 0 kB", "Other: 1 kB" };
    assert_int_equal(memory_of((struct page[]){ END }), OF(GIB));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(memory_of((struct page[]){ { "/proc/meminfo", bad[i] }, END }), OF(GIB));
    /* Group lines that are none of ours. */
    assert_int_equal(memory_of((struct page[]){ MEMINFO, { "/proc/self/cgroup", "10::/a\n" }, END }), OF(16 * GIB));
    assert_int_equal(memory_of((struct page[]){ MEMINFO, { "/proc/self/cgroup", "" }, END }), OF(16 * GIB));
}

static void a_group_with_a_long_name_does_no_harm(void **state)
{
    (void)state;
    char line[4200] = "0::/";
    memset(line + 4, 'x', sizeof line - 5);
    line[sizeof line - 1] = 0;
    assert_int_equal(memory_of((struct page[]){ MEMINFO, { "/proc/self/cgroup", line }, END }), OF(16 * GIB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machines_memory_counts_without_groups),
        cmocka_unit_test(the_smallest_limit_of_the_groups_above_us_counts),
        cmocka_unit_test(the_older_groups_are_known),
        cmocka_unit_test(what_cannot_be_read_is_taken_for_little),
        cmocka_unit_test(a_group_with_a_long_name_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
