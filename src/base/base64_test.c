#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/mem.h"

/* RFC 4648 section 10. */
static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
                                            { "\xff\xef\xbe", "/+++" } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buf out = { 0 };
        uint8_t back[8];
        size_t n;
        base64_put(&out, bytes_str(pairs[i][0]));
        assert_true(bytes_equal(buf_bytes(&out), bytes_str(pairs[i][1])));
        assert_true(base64_read(bytes_str(pairs[i][1]), back, sizeof back, &n));
        assert_true(bytes_equal(bytes_of(back, n), bytes_str(pairs[i][0])));
        buf_clear(&out);
    }
}

static void a_text_that_is_not_the_one_of_its_bytes_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "=", "==", "====", "Zg==Zg==", "Z-8=", " Zm8",
                                       "Zm8\n", "Zm9v=", "Z=8=" };
    uint8_t out[16];
    size_t n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (base64_read(bytes_str(bad[i]), out, sizeof out, &n))
            fail_msg("'%s' was taken", bad[i]);
    assert_false(base64_read(BYTES_LIT("Zm9v"), out, 2, &n)); /* no room */
}

static void base64_is_padded(void **state)
{
    (void)state;
    static const struct {
        const char *data, *want;
        size_t      len;
    } table[] = {
        { "", "", 0 },        { "f", "Zg==", 1 },          { "fo", "Zm8=", 2 },
        { "foo", "Zm9v", 3 }, { "foobar", "Zm9vYmFy", 6 }, { "\xff\xfe\xfd\0", "//79AA==", 4 },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf out = { 0 };
        base64_put(&out, bytes_of(table[i].data, table[i].len));
        assert_true(bytes_is(buf_bytes(&out), table[i].want));
        buf_clear(&out);
    }
}

static void without_memory_nothing_is_written(void **state)
{
    (void)state;
    struct buf out = { 0 };
    mem_fail_at(1);
    base64_put(&out, BYTES_LIT("foo"));
    mem_fail_at(0);
    assert_true(out.bad);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(base64_is_padded),
        cmocka_unit_test(a_text_that_is_not_the_one_of_its_bytes_is_refused),
        cmocka_unit_test(without_memory_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
