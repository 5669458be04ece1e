#include "cli/sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct sequence s;

static void note_all(const int *numbers)
{
    sequence_clear(&s);
    for (; *numbers >= 0; numbers++)
        (void)sequence_note(&s, (uint64_t)*numbers);
}
#define NOTE(...) note_all((const int[]){__VA_ARGS__, -1})

static void is(uint64_t sent, uint64_t missing, uint64_t again, uint64_t late)
{
    assert_int_equal(sequence_missing(&s, sent), missing);
    assert_int_equal(s.again, again);
    assert_int_equal(s.late, late);
    sequence_clear(&s);
}

static void what_went_wrong_is_told_apart(void **state)
{
    (void)state;
    NOTE(0, 1, 2, 3);
    is(4, 0, 0, 0);
    NOTE(0, 1, 2, 3);
    is(6, 2, 0, 0); /* the end is missing */
    NOTE(1, 2, 3);
    is(4, 1, 0, 0); /* the beginning */
    NOTE(0, 2, 4, 5);
    is(6, 2, 0, 0);
    NOTE(0, 2, 1, 3);
    is(4, 0, 0, 1); /* late, not lost */
    NOTE(0, 1, 1, 2, 0);
    is(3, 0, 2, 0); /* twice */
    NOTE(0, 2, 1, 1);
    is(3, 0, 1, 1); /* late, and then again */
    NOTE(9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    is(10, 0, 0, 9);
    NOTE(9, 4, 6, 5, 5);
    is(10, 6, 1, 3); /* a gap split and split again: 0..3, 7, 8 are missing */
    is(0, 0, 0, 0);
}

static void it_tells_how_far_it_rose(void **state)
{
    (void)state;
    assert_int_equal(sequence_note(&s, 0), 1);
    assert_int_equal(sequence_note(&s, 4), 4);
    assert_int_equal(sequence_note(&s, 2), 0);
    assert_int_equal(sequence_note(&s, 2), 0);
    sequence_clear(&s);
}

/* Against a plain table of what has come. */
static void random_streams_agree_with_a_table(void **state)
{
    (void)state;
    enum { N = 400 };
    uint32_t r = 2463534242u;
    for (int round = 0; round < 200; round++) {
        uint8_t came[N] = {0};
        uint64_t again = 0, late = 0, missing = 0;
        int highest = -1;
        for (int i = 0; i < N; i++) {
            r ^= r << 13;
            r ^= r >> 17;
            r ^= r << 5;
            int n = (int)(r % 4 ? (uint32_t)(i > 20 ? i - (int)(r / 4 % 20) : i) : r / 4 % N);
            if (came[n]++)
                again++;
            else if (n < highest)
                late++;
            highest = n > highest ? n : highest;
            (void)sequence_note(&s, (uint64_t)n);
        }
        for (int n = 0; n < N; n++)
            missing += !came[n];
        is(N, missing, again, late);
    }
}

static void too_many_gaps_are_given_up_but_counted(void **state)
{
    (void)state;
    uint64_t n = 0;
    for (; n < 2 * (SEQUENCE_GAPS_MAX + 100); n += 2)
        (void)sequence_note(&s, n + 1);
    assert_int_equal(s.given_up, 100);
    assert_int_equal(sequence_missing(&s, n), SEQUENCE_GAPS_MAX + 100);
    /* No room to split the first gap either. */
    s.gaps[0].from = 0;
    (void)sequence_note(&s, 0);
    assert_int_equal(s.late, 1);
    sequence_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_went_wrong_is_told_apart),
        cmocka_unit_test(it_tells_how_far_it_rose),
        cmocka_unit_test(random_streams_agree_with_a_table),
        cmocka_unit_test(too_many_gaps_are_given_up_but_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
