/* certificate_fuzz.c - what strangers show as their certificate: read, put into words, and judged by a store that knows a CA and
 * one application. Whatever it is, it is only believed when it is one of the corpus that should be. */
#include "opcua/own.h"
#include "opcua/status.h"
#include "opcua/trust.h"
#include "support/memfs.h"

#include "base/log.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct memfs *fs;
static struct ua_trust *trust;
static struct ua_application *own;

static void check(int holds)
{
    if (!holds)
        abort();
}

static void no_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void open_store(void)
{
    static const char *const hosts[] = {"gw1", "10.0.4.2"};
    const struct ua_own_wish wish = {.uri = "urn:gw1",
                                     .name = "gw1",
                                     .hosts = hosts,
                                     .host_count = 2,
                                     .wall_us = INT64_C(1790000000000000)};
    struct ua_own_result result;
    log_set_sink(no_line, NULL);
    fs = memfs_new(1);
    check(ua_trust_open(&trust, memfs_io(fs), "/pki", NULL) == CODE_OK);
    check(ua_own_open(&own, memfs_io(fs), "/pki", &wish, &result, NULL) == CODE_OK);
    check(ua_trust_add(trust, UA_PLACE_TRUSTED, own->certificate->der, NULL, NULL) == CODE_OK);
}

static void put_into_words(const struct ua_certificate *c)
{
    char text[60];
    check(c->count >= 1 && c->count <= UA_CHAIN_MAX && c->leaf.len > 0 && c->leaf.len <= c->der.len);
    check(strlen(c->name) < UA_SUBJECT_CHARS && strlen(c->subject) < UA_SUBJECT_CHARS &&
          strlen(c->hex) == 40);
    check(strlen(ua_certificate_hosts(c, text, sizeof text)) < sizeof text);
    check(!c->uri || (c->uri_count == 1 && utf8_valid(bytes_str(c->uri), false)));
    check(!ua_certificate_names(c, BYTES_NONE));
    (void)ua_certificate_names(c, BYTES_LIT("peer.lan"));
    (void)ua_certificate_names(c, BYTES_LIT("[fe80::1]"));
    for (const char *p = c->name; *p; p++)
        check((unsigned char)*p >= 0x20 && *p != 0x7f); /* fit for one line */
}

static void judge(const struct ua_certificate *c)
{
    struct fault why = {0};
    for (int i = 0; i < 6; i++) {
        struct ua_trust_question q = {.kind = (enum ua_peer_kind)(i % 3),
                                      .who = "peer",
                                      .host = BYTES_LIT("peer.lan"),
                                      .uri = BYTES_LIT("urn:peer"),
                                      .wall_us = INT64_C(1790000000000000),
                                      .accept_any = i >= 3,
                                      .any_revocation = i >= 3};
        ua_status status = ua_trust_verify(trust, c, &q, &why);
        check(status == UA_GOOD || (ua_is_bad(status) && why.text[0] && why.number >= UA_TRUST_UNKNOWN));
        check(q.accept_any || status != UA_GOOD || ua_certificate_equal(c, own->certificate));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ua_certificate *c;
    struct fault why = {0};
    if (!fs)
        open_store();
    struct bytes in = bytes_of(data, size);
    enum code code = ua_certificate_read_file(&c, in, &why);
    check((code == CODE_OK) == (c != NULL) && (c || why.text[0]));
    if (!c)
        return 0;
    put_into_words(c);
    judge(c);
    /* What was read once is read again, and the same. */
    struct ua_certificate *again;
    check(ua_certificate_read(&again, c->der, NULL) == CODE_OK && ua_certificate_equal(c, again) &&
          again->count == c->count);
    ua_certificate_drop(again);
    ua_certificate_drop(c);
    return 0;
}
