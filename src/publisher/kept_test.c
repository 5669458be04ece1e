#include "publisher/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key[KEPT_KEY] = "stream", session[KEPT_KEY] = "session";
enum { ONE = 1 << 20, TWO = 1 << 20 | 1 };

/* Stream 1 with subscription 9 and two items; a word for message 4, one for a part of message 5. */
static void write_file(struct buf *b)
{
    struct kept head = {
        .stream = 1, .sub = 9, .settled = true, .publishing_ms = 100, .keep_alive_count = 10, .lifetime_count = 99};
    struct kept_item one = {.number = ONE, .id = 3, .queue = 5, .sampling_ms = 20, .key = "a"},
                     two = {.number = TWO, .id = 4, .queue = 6, .sampling_ms = 30, .key = "b"};
    struct kept_place at = {.sub = 9, .sequence = 4, .index = UINT32_MAX, .published = 1000};
    struct buf lasts = {0};
    buf_add(b, KEPT_MAGIC, sizeof KEPT_MAGIC - 1);
    kept_stream(b, 1, key, session);
    size_t from = kept_items(b, &head);
    kept_item(b, &one);
    kept_item(b, &two);
    kept_end(b, from);
    kept_last(&lasts, ONE, 50, 500);
    kept_word(b, 1, 70, &at, buf_bytes(&lasts));
    at = (struct kept_place){.sub = 9, .sequence = 5, .index = 2, .published = 2000};
    buf_reset(&lasts);
    kept_last(&lasts, ONE, 60, 600);
    kept_last(&lasts, TWO, 61, 601);
    kept_word(b, 1, 71, &at, buf_bytes(&lasts));
    buf_clear(&lasts);
}

static void place_is(const struct kept_store *s, uint32_t sequence, uint32_t index, int64_t one, int64_t two)
{
    const struct kept *k = kept_by_key(s, key);
    assert_non_null(k);
    assert_int_equal(k->sub, 9);
    assert_true(k->settled);
    assert_int_equal(k->place.sequence, sequence);
    assert_int_equal(k->place.index, index);
    assert_int_equal(k->items[0].last, one);
    assert_int_equal(k->items[1].last, two);
    assert_int_equal(k->items[1].id, 4);
    assert_memory_equal(k->session, session, KEPT_KEY);
}

/* What counts is what the log has: words above it are as if they had never been. */
static void words_count_when_the_log_has_them(void **state)
{
    struct buf b = {0};
    (void)state;
    write_file(&b);
    for (uint64_t published = 69; published < 73; published++) {
        struct kept_store s = {0};
        assert_int_equal(kept_read(&s, buf_bytes(&b), published), b.len);
        if (published == 69)
            place_is(&s, 0, 0, 0, 0);
        else if (published == 70)
            place_is(&s, 4, UINT32_MAX, 50, 0);
        else
            place_is(&s, 5, 2, 60, 61);
        kept_clear(&s);
    }
    buf_clear(&b);
}

static void the_shortest_file_says_the_same(void **state)
{
    struct buf b = {0}, again = {0};
    struct kept_store s = {0}, t = {0};
    (void)state;
    write_file(&b);
    (void)kept_read(&s, buf_bytes(&b), 71);
    kept_write(&s, &again);
    assert_true(again.len < b.len);
    assert_int_equal(kept_read(&t, buf_bytes(&again), 0), again.len); /* whatever the log has */
    place_is(&t, 5, 2, 60, 61);
    assert_int_equal(t.streams, 1);
    kept_clear(&s);
    kept_clear(&t);
    buf_clear(&b);
    buf_clear(&again);
}

static void safe_never_goes_back(void **state)
{
    struct buf b = {0};
    struct kept_store s = {0};
    (void)state;
    write_file(&b);
    kept_safe(&b, 1, 9, 4); /* message 5 has begun */
    kept_safe(&b, 1, 8, 400); /* another subscription, of before */
    assert_int_equal(kept_read(&s, buf_bytes(&b), 71), b.len);
    place_is(&s, 5, 2, 60, 61);
    kept_clear(&s);
    kept_safe(&b, 1, 9, 7);
    assert_int_equal(kept_read(&s, buf_bytes(&b), 71), b.len);
    place_is(&s, 7, UINT32_MAX, 60, 61);
    kept_clear(&s);
    kept_drop(&b, 1);
    assert_int_equal(kept_read(&s, buf_bytes(&b), 71), b.len);
    assert_null(s.first);
    kept_clear(&s);
    buf_clear(&b);
}

/* Cut anywhere, or a bit turned anywhere: what stands in front counts. */
static void torn(void **state)
{
    struct buf b = {0};
    (void)state;
    write_file(&b);
    for (size_t n = 0; n < b.len; n++) {
        struct kept_store s = {0};
        assert_true(kept_read(&s, bytes_of(b.at, n), 71) <= n);
        kept_clear(&s);
        b.at[n] ^= 4;
        assert_true(kept_read(&s, buf_bytes(&b), 71) <= n);
        kept_clear(&s);
        b.at[n] ^= 4;
    }
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_count_when_the_log_has_them),
        cmocka_unit_test(the_shortest_file_says_the_same),
        cmocka_unit_test(safe_never_goes_back),
        cmocka_unit_test(torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
