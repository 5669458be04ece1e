#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 3720 B.4, and the check value of the CRC catalogue. */
static void published_values_come_out(void **state)
{
    (void)state;
    uint8_t data[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    memset(data, 0, sizeof data);
    assert_int_equal(crc32c(0, data, 32), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(crc32c(0, data, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = i;
    assert_int_equal(crc32c(0, data, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, data, 32), 0x113fdb5c);
}

static void both_forms_agree_at_every_length_and_alignment(void **state)
{
    (void)state;
    uint8_t data[300];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof data; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
    for (size_t n = 0; n < 260; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, data + n % 9, n);
        assert_int_equal(crc32c(0, exact, n), crc32c_portable(0, exact, n));
        free(exact);
        assert_int_equal(crc32c(n, data + n % 16, n), crc32c_portable(n, data + n % 16, n));
    }
}

static void pieces_chain(void **state)
{
    (void)state;
    static const char text[] = "a record's header and its body, one after the other";
    uint32_t whole = crc32c(0, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, sizeof text - cut), whole);
        assert_int_equal(crc32c_portable(crc32c_portable(0, text, cut), text + cut, sizeof text - cut),
                         whole);
    }
}

static void any_flipped_bit_is_seen(void **state)
{
    (void)state;
    uint8_t data[64] = "every bit counts";
    uint32_t right = crc32c(0, data, sizeof data);
    for (size_t bit = 0; bit < sizeof data * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, data, sizeof data), right);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_come_out),
        cmocka_unit_test(both_forms_agree_at_every_length_and_alignment),
        cmocka_unit_test(pieces_chain),
        cmocka_unit_test(any_flipped_bit_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
