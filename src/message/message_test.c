/* Tests of message.h. */
#include "message/message.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* MQTT 5 bytes: payload format 1, user property partition-key=k7, user property a=b. */
static const uint8_t props_with_key[] = "\x01\x01\x26\x00\x0dpartition-key\x00\x02k7\x26\x00\x01"
                                        "a\x00\x01"
                                        "b";

static struct message_parts parts(void)
{
    return (struct message_parts){
        .qos = 1,
        .retain = true,
        .expires = true,
        .text = true,
        .expiry_s = 60,
        .wall_us = 1700000000000000,
        .now_us = 5000,
        .topic = BYTES_LIT("factory/line1"),
        .principal = BYTES_LIT("anna"),
        .source = BYTES_LIT("press-1"),
        .props = bytes_of(props_with_key, sizeof props_with_key - 1),
        .payload = BYTES_LIT("{\"t\":21.5}"),
    };
}

static void assert_text(struct bytes b, const char *want)
{
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.at, want, b.len);
}

static void a_new_message_holds_what_it_was_given(void **state)
{
    (void)state;
    uint64_t before = message_bytes_in_use();
    struct message_parts p = parts();
    struct message *m = message_new(&p);
    assert_non_null(m);
    assert_text(m->topic, "factory/line1");
    assert_text(m->principal, "anna");
    assert_text(m->source, "press-1");
    assert_text(m->payload, "{\"t\":21.5}");
    assert_true(bytes_equal(m->props, p.props));
    assert_int_equal(m->qos, 1);
    assert_true(m->retain);
    assert_int_equal(m->expiry_s, 60);
    assert_int_equal(m->expires_us, 5000 + 60 * 1000000);
    assert_int_equal(m->encoded.at[0], 1);
    assert_int_equal(m->encoded.at[1], 1 | MESSAGE_RETAIN | MESSAGE_EXPIRES | MESSAGE_TEXT);
    for (size_t i = 0; i < MESSAGE_PAD; i++)
        assert_int_equal(m->encoded.at[m->encoded.len + i], 0);
    assert_true(message_bytes_in_use() > before);
    message_drop(message_hold(m));
    message_drop(m);
    assert_int_equal(message_bytes_in_use(), before);
    message_drop(NULL);
}

static void encoding_and_decoding_give_the_same_message(void **state)
{
    (void)state;
    struct message_parts p = parts();
    struct message *m = message_new(&p), *d;
    struct fault why;
    assert_int_equal(message_decode(&d, m->encoded, p.wall_us, 70000000, 20000000, &why), CODE_OK);
    assert_true(bytes_equal(d->encoded, m->encoded));
    assert_ptr_not_equal(d->encoded.at, m->encoded.at);
    assert_true(bytes_equal(d->topic, m->topic));
    assert_true(d->topic.at >= d->encoded.at &&
                d->payload.at + d->payload.len == d->encoded.at + d->encoded.len);
    assert_int_equal(d->wall_us, p.wall_us);
    assert_int_equal(d->expires_us, 70000000 - 20000000 + 60000000);
    message_drop(d);
    message_drop(m);
}

static void an_expiry_that_is_over_is_never_mistaken_for_none(void **state)
{
    (void)state;
    struct message_parts p = parts();
    p.expiry_s = 0;
    p.now_us = 0;
    struct message *m = message_new(&p), *d;
    assert_int_equal(m->expires_us, 1);
    assert_int_equal(message_decode(&d, m->encoded, 0, 60000000, 60000000, NULL), CODE_OK);
    assert_int_equal(d->expires_us, 1);
    message_drop(d);
    /* A clock that went back does not lengthen a life. */
    assert_int_equal(message_decode(&d, m->encoded, 0, 100, -5000000, NULL), CODE_OK);
    assert_int_equal(d->expires_us, 100);
    message_drop(d);
    message_drop(m);
    p.expires = false;
    m = message_new(&p);
    assert_int_equal(m->expires_us, 0);
    assert_int_equal(m->encoded.at[1] & MESSAGE_EXPIRES, 0);
    message_drop(m);
}

static void empty_parts_are_fine(void **state)
{
    (void)state;
    struct message_parts p = {0};
    struct message *m = message_new(&p), *d;
    assert_int_equal(m->encoded.len, MESSAGE_HEAD);
    assert_int_equal(message_decode(&d, m->encoded, 0, 0, 0, NULL), CODE_OK);
    assert_int_equal(d->payload.len, 0);
    message_drop(d);
    message_drop(m);
}

static void a_part_too_long_for_its_length_field_is_refused(void **state)
{
    (void)state;
    uint8_t *big = calloc(1, 65536);
    struct message_parts p = parts();
    p.topic = bytes_of(big, 65536);
    assert_null(message_new(&p));
    p = parts();
    p.principal = bytes_of(big, 65536);
    assert_null(message_new(&p));
    p = parts();
    p.source = bytes_of(big, 65536);
    assert_null(message_new(&p));
    p = parts();
    p.payload = bytes_of(big, (size_t)UINT32_MAX); /* refused by its length, before a byte is read */
    assert_null(message_new(&p));
    p = parts();
    p.topic = bytes_of(big, 65535);
    struct message *m = message_new(&p);
    assert_non_null(m);
    message_drop(m);
    free(big);
}

static void a_message_cut_before_its_payload_is_damaged(void **state)
{
    (void)state;
    struct message_parts p = parts();
    struct message *m = message_new(&p);
    size_t need = m->encoded.len - m->payload.len;
    for (size_t n = 0; n <= m->encoded.len; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, m->encoded.at, n);
        struct message v, *d = NULL;
        struct fault why;
        assert_int_equal(message_view(&v, bytes_of(exact, n), 0, &why), n < need ? CODE_DAMAGED : CODE_OK);
        assert_int_equal(message_decode(&d, bytes_of(exact, n), 0, 0, 0, &why),
                         n < need ? CODE_DAMAGED : CODE_OK);
        message_drop(d);
        free(exact);
    }
    message_drop(m);
}

static void heads_nobody_writes_are_damaged(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {0, 0}, {0, 2}, {1, 3}, {1, 0x21}, {1, 0x80}, {3, 0xff}, {5, 0xff}, {7, 0xff}, {11, 0xff},
    };
    struct message_parts p = parts();
    struct message *m = message_new(&p), v;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *copy = malloc(m->encoded.len);
        memcpy(copy, m->encoded.at, m->encoded.len);
        copy[cases[i].at] = cases[i].value;
        assert_int_equal(message_view(&v, bytes_of(copy, m->encoded.len), 0, NULL), CODE_DAMAGED);
        free(copy);
    }
    message_drop(m);
}

static void the_partition_key_is_the_property_or_the_publisher(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *props;
        size_t len;
        const char *want;
    } cases[] = {
        {"property", "\x26\x00\x0dpartition-key\x00\x02k7", 20, "k7"},
        {"first one counts", "\x26\x00\x0dpartition-key\x00\x02k7\x26\x00\x0dpartition-key\x00\x02k8", 40,
         "k7"},
        {"empty value", "\x26\x00\x0dpartition-key\x00\x00", 18, ""},
        {"behind all others",
         "\x01\x01\x03\x00\x01x\x08\x00\x01y\x09\x00\x01z\x26\x00\x0dpartition-key\x00\x02k7", 34, "k7"},
        {"none", "\x26\x00\x01x\x00\x02k7", 8, "annapress-1"},
        {"no properties", "", 0, "annapress-1"},
        {"cut", "\x26\x00\x0dpartition-key\x00\x02k", 19, "annapress-1"},
        {"unknown", "\x7f\x26\x00\x0dpartition-key\x00\x02k7", 21, "annapress-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message_parts p = parts();
        p.props = bytes_of(cases[i].props, cases[i].len);
        struct message *m = message_new(&p);
        uint8_t scratch[64];
        assert_text(message_partition_key(m, scratch, sizeof scratch), cases[i].want);
        message_drop(m);
    }
}

static void no_memory_is_told(void **state)
{
    (void)state;
    struct message_parts p = parts();
    struct message *m = message_new(&p), *d = NULL;
    uint64_t before = message_bytes_in_use();
    mem_fail_at(1);
    assert_null(message_new(&p));
    mem_fail_at(1);
    assert_int_equal(message_decode(&d, m->encoded, 0, 0, 0, NULL), CODE_NOMEM);
    mem_fail_at(0);
    assert_int_equal(message_bytes_in_use(), before);
    message_drop(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_message_holds_what_it_was_given),
        cmocka_unit_test(encoding_and_decoding_give_the_same_message),
        cmocka_unit_test(an_expiry_that_is_over_is_never_mistaken_for_none),
        cmocka_unit_test(empty_parts_are_fine),
        cmocka_unit_test(a_part_too_long_for_its_length_field_is_refused),
        cmocka_unit_test(a_message_cut_before_its_payload_is_damaged),
        cmocka_unit_test(heads_nobody_writes_are_damaged),
        cmocka_unit_test(the_partition_key_is_the_property_or_the_publisher),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
