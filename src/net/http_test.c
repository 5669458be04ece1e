/* http_test.c - requests good and hostile, whole and cut at every byte, against what must come back. */
#include "net/http_test_stage.h"

#include "base/mem.h"
#include "net/backend.h"
#include "net/http_conn.h"

/* ---- a server that answers with what it understood ---- */

static void on_gone(void *ctx)
{
    struct stage *t = ctx;
    t->gone++;
    t->held = NULL;
}

static void stream_on(void *ctx)
{
    struct stage *t = ctx;
    static const uint8_t part[10000];
    t->drained++;
    while (t->streamed < t->to_stream) {
        enum code code = http_chunk(t->held, bytes_of(part, sizeof part));
        if (code == CODE_AGAIN)
            return;
        assert_int_equal(code, CODE_OK);
        t->streamed += sizeof part;
    }
    http_end(t->held);
    t->held = NULL;
}

static void handle(void *ctx, struct http_exchange *e, const struct http_request *r)
{
    struct stage *t = ctx;
    struct buf said = { 0 };
    t->calls++;
    if (bytes_is(r->path, "/hold") || bytes_is(r->path, "/hold-watched")) {
        t->held = e;
        if (r->path.len > 5)
            http_watch(e, NULL, on_gone, t);
        return;
    }
    if (bytes_is(r->path, "/stream")) {
        t->held = e;
        http_watch(e, stream_on, on_gone, t);
        http_begin(e, 200, "application/octet-stream");
        stream_on(t);
        return;
    }
    if (bytes_is(r->path, "/fault")) {
        struct fault why;
        (void)FAIL_FG(&why, CODE_LIMIT, 42, "a \"quoted\" thing");
        http_add_header(e, "Retry-After", "7");
        http_reply_fault(e, 503, &why);
        return;
    }
    if (bytes_is(r->path, "/nothing")) {
        http_reply(e, 204, NULL, BYTES_NONE);
        return;
    }
    buf_printf(&said, "%.*s %.*s ?%.*s ", BYTES_FMT(r->method), BYTES_FMT(r->path), BYTES_FMT(r->query));
    buf_printf(&said, "x=%.*s ", BYTES_FMT(http_header(e, "x-test")));
    buf_add_bytes(&said, r->body);
    http_reply(e, 200, "text/plain", buf_bytes(&said));
    buf_clear(&said);
}

static void stage_open(struct stage *t)
{
    stage_open_with(t, NULL);
}

/* ---- the table ---- */

#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
    const char *name, *request;
    unsigned    status; /* of the first answer */
    const char *says;   /* stands in the answers, in this order, separated by '|' */
    bool        closes;
} cases[] = {
    { "a request", GET "\r\n", 200, "Content-Length: 12|GET /a ? x= ", false },
    { "a query and an escape",
      "GET /a%20b/%C3%A9?q=%31&r HTTP/1.1\r\n" H "\r\n", 200, "GET /a b/\xc3\xa9 ?q=%31&r", false },
    { "a header in any case", GET "X-TEST:  some value \r\n\r\n", 200, "x=some value ", false },
    { "the last of two headers", GET "X-Test: 1\r\nX-Test: 2\r\n\r\n", 200, "x=2", false },
    { "an empty header", GET "X-Test:\r\n\r\n", 200, "x= ", false },
    { "a body", "POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 200, "POST /p ? x= hello", false },
    { "an empty body", "POST /p HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 200, "POST /p ? x= ", false },
    { "chunks",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\n\r\n",
      200,
      "POST /p ? x= hello!", false },
    { "chunks with a trailer",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nX-Test: 5\r\n\r\n" GET
      "\r\n",
      200, "POST /p ? x= h|HTTP/1.1 200|GET /a ? x= ", false },
    { "two at once", GET "\r\n" GET "X-Test: 2\r\n\r\n", 200, "x= |HTTP/1.1 200 OK|x=2", false },
    { "three, one with a body",
      GET "\r\nPOST /p HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi" GET "\r\n", 200,
      "GET /a|POST /p ? x= hi|GET /a", false },
    { "an empty line first", "\r\n\r\n" GET "\r\n", 200, "GET /a", false },
    { "HEAD",
      "HEAD /a HTTP/1.1\r\n" H "\r\n" GET "\r\n", 200, "Content-Length: 13\r\n\r\nHTTP/1.1 200", false },
    { "no content",
      "GET /nothing HTTP/1.1\r\n" H "\r\n" GET "\r\n", 204, "nosniff\r\n\r\nHTTP/1.1 200", false },
    { "a fault", "GET /fault HTTP/1.1\r\n" H "\r\n", 503,
      "Retry-After: 7|{\"error\":{\"code\":\"FG0042\",\"message\":\"a \\\"quoted\\\" thing\"}}", false },
    { "asked to close", GET "Connection: close\r\n\r\n" GET "\r\n", 200, "Connection: close|GET /a", true },
    { "HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", 200, "Connection: close|GET /a", true },
    { "HTTP/1.0 keep-alive",
      "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "Connection: keep-alive|GET /a", false },
    { "the absolute form", "GET http://here/x?y HTTP/1.1\r\n" H "\r\n", 200, "GET /x ?y", false },
    { "OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 200, "OPTIONS * ?", false },
    { "an upgrade we do not know",
      GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" GET "\r\n", 200, "GET /a|GET /a", false },
    { "an upgrade with a body",
      "POST /p HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi" GET "\r\n",
      200, "POST /p ? x= hi|GET /a", false },
    { "100-continue", "POST /p HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", 100,
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK|x= hi", false },
    { "a streamed answer", "GET /stream HTTP/1.1\r\n" H "\r\n" GET "\r\n", 200,
      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200", false },
    { "a streamed answer to HTTP/1.0",
      "GET /stream HTTP/1.0\r\n\r\n", 200, "Connection: close\r\n\r\n", true },

    { "no host", "GET /a HTTP/1.1\r\n\r\n", 400, "Host", true },
    { "two hosts", GET H "\r\n", 400, "Host", true },
    { "garbage", "\x16\x03\x01\x02", 400, "MALFORMED", true },
    { "an MQTT packet", "\x10\x13", 400, "MALFORMED", true },
    { "an unknown method", "BREW /a HTTP/1.1\r\n" H "\r\n", 400, "method", true },
    { "CONNECT", "CONNECT here:80 HTTP/1.1\r\n" H "\r\n", 405, "proxy", true },
    { "HTTP/0.9", "GET /a\r\n\r\n", 505, "", true },
    { "HTTP/2.0", "GET /a HTTP/2.0\r\n" H "\r\n", 505, "", true },
    { "HTTP/1.2", "GET /a HTTP/1.2\r\n" H "\r\n", 505, "", true },
    { "no slash", "GET a HTTP/1.1\r\n" H "\r\n", 400, "", true },
    { "a bad escape", "GET /%4 HTTP/1.1\r\n" H "\r\n", 400, "target", true },
    { "a bad escape's digit", "GET /%zz HTTP/1.1\r\n" H "\r\n", 400, "target", true },
    { "a NUL in the path", "GET /a%00b HTTP/1.1\r\n" H "\r\n", 400, "target", true },
    { "a fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", 400, "target", true },
    { "the absolute form without a path", "GET http://here HTTP/1.1\r\n" H "\r\n", 400, "target", true },
    { "length and coding",
      "POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400, "", true },
    { "coding and length",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      400, "", true },
    { "two lengths",
      "POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, "", true },
    { "two lengths in one", "POST /p HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello", 400, "", true },
    { "two codings",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400, "", true },
    { "another coding",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "", true },
    { "chunked, then another",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, "", true },
    { "coding in HTTP/1.0",
      "POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "", true },
    { "a negative length", "POST /p HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, "", true },
    { "a length that overflows",
      "POST /p HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400, "", true },
    { "a length with a plus", "POST /p HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello", 400, "", true },
    { "too long a body", "POST /p HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n", 413, "", true },
    { "a chunk that overflows",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400, "", true },
    { "a chunk's size that is none",
      "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400, "", true },
    { "a space before the colon", GET "X-Test : 1\r\n\r\n", 400, "space", true },
    { "a length with a space before the colon",
      "POST /p HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\nhello", 400, "space", true },
    { "a control character in a value", GET "X-Test: a\x01\r\n\r\n", 400, "", true },
    { "a bare carriage return", GET "X-Test: a\rb\r\n\r\n", 400, "", true },
    { "a header without a colon", GET "X-Test\r\n\r\n", 400, "", true },
};

/* Each part of `says` must follow the one before it. */
static void check_says(const char *name, const char *text, const char *says)
{
    char part[200];
    while (*says) {
        size_t n = strcspn(says, "|");
        memcpy(part, says, n);
        part[n] = 0;
        const char *found = strstr(text, part);
        if (!found)
            fail_msg("%s: '%s' is missing in\n%s", name, part, text);
        text = found + n;
        says += n + (says[n] == '|');
    }
}

static void check_answer(struct stage *t, struct sim_client *c, size_t i)
{
    const char *text = heard(c);
    char status[40];
    (void)t;
    (void)snprintf(status, sizeof status, "HTTP/1.1 %u ", cases[i].status);
    if (strncmp(text, status, strlen(status)) != 0)
        fail_msg("%s: expected %u, got\n%s", cases[i].name, cases[i].status, text);
    check_says(cases[i].name, text, cases[i].says);
    if (sim_closed(c) != cases[i].closes)
        fail_msg("%s: closed: %d", cases[i].name, sim_closed(c));
}

static void every_request_gets_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stage t;
        stage_open(&t);
        check_answer(&t, say(&t, cases[i].request), i);
        stage_close(&t);
    }
}

static void the_same_when_cut_at_any_byte_or_sent_one_by_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].request);
        struct stage t;
        stage_open(&t);
        for (size_t cut = 1; cut < n; cut++) {
            struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
            sim_send(c, bytes_of(cases[i].request, cut));
            sim_step(t.sim);
            sim_send(c, bytes_of(cases[i].request + cut, n - cut));
            sim_step(t.sim);
            check_answer(&t, c, i);
            sim_free(c);
            sim_step(t.sim);
        }
        struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
        for (size_t at = 0; at < n; at++) {
            sim_send(c, bytes_of(cases[i].request + at, 1));
            sim_step(t.sim);
        }
        check_answer(&t, c, i);
        stage_close(&t);
    }
}

static void a_truncated_request_is_never_answered_with_success(void **state)
{
    (void)state;
    struct stage t;
    static const char request[] = "POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello";
    stage_open(&t);
    for (size_t n = 0; n < sizeof request - 1; n++) {
        struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
        sim_send(c, bytes_of(request, n));
        sim_step(t.sim);
        assert_int_equal(sim_received(c).len, 0);
        sim_hang_up(c, n % 2);
        sim_step(t.sim);
        assert_true(sim_closed(c));
    }
    assert_int_equal(t.calls, 0);
    stage_close(&t);
}

/* ---- limits ---- */

static char *filled(const char *before, char c, size_t n, const char *after)
{
    size_t b = strlen(before), a = strlen(after);
    char *text = malloc(b + n + a + 1);
    memcpy(text, before, b);
    memset(text + b, c, n);
    memcpy(text + b + n, after, a + 1);
    return text;
}

static void expect(const struct http_limits *limits, char *request, unsigned status)
{
    struct stage t;
    char want[40];
    stage_open_with(&t, limits);
    struct sim_client *c = say(&t, request);
    (void)snprintf(want, sizeof want, "HTTP/1.1 %u ", status);
    if (strncmp(heard(c), want, strlen(want)) != 0)
        fail_msg("expected %u, got %.60s", status, heard(c));
    assert_int_equal(sim_closed(c), status != 200);
    stage_close(&t);
    free(request);
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    struct http_limits l = { .request_line = 100, .header_bytes = 200, .header_count = 5, .body_bytes = 50, .connections = 10,
                             .header_seconds = 10 };
    const size_t line = sizeof "GET / HTTP/1.1\r\n" - 1, host = sizeof "Host: here\r\n" - 1;
    expect(&l, filled("GET /", 'a', 100 - line, " HTTP/1.1\r\n" H "\r\n"), 200);
    expect(&l, filled("GET /", 'a', 101 - line, " HTTP/1.1\r\n" H "\r\n"), 414);
    expect(&l, filled("GET /", 'a', 100000, ""), 414);
    expect(&l, filled("GET / HTTP/1.1\r\n" H "X-Test: ", 'a', 200 - host - 10, "\r\n\r\n"), 200);
    expect(&l, filled("GET / HTTP/1.1\r\n" H "X-Test: ", 'a', 201 - host - 10, "\r\n\r\n"), 431);
    expect(&l, filled("GET / HTTP/1.1\r\n" H "X-Test: ", 'a', 100000, ""), 431);
    expect(&l, filled("GET / HTTP/1.1\r\n" H, 'a', 100000, ""), 431);
    expect(&l, filled("GET / HTTP/1.1\r\n" H "A:1\r\nB:2\r\nC:3\r\nD:4\r\n", 0, 0, "\r\n"), 200);
    expect(&l, filled("GET / HTTP/1.1\r\n" H "A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\n", 0, 0, "\r\n"), 431);
    expect(&l, filled("POST / HTTP/1.1\r\n" H "Content-Length: 50\r\n\r\n", 'a', 50, ""), 200);
    expect(&l, filled("POST / HTTP/1.1\r\n" H "Content-Length: 51\r\n\r\n", 'a', 51, ""), 413);
    expect(&l, filled(CHUNKED "32\r\n", 'a', 50, "\r\n0\r\n\r\n"), 200);
    expect(&l, filled(CHUNKED "33\r\n", 'a', 51, ""), 413);
    expect(&l, filled(CHUNKED "0\r\nX-T: ", 'a', 300, "\r\n\r\n"), 431);
    expect(NULL, filled("\r\n", '\n', 200000, ""), 431);
    expect(NULL, filled("GET /", 'a', 8000, " HTTP/1.1\r\n" H "\r\n"), 200);
}

/* ---- time ---- */

static void a_request_has_ten_seconds_for_its_headers(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    struct http_stats before, after;
    http_stats(&before);
    struct sim_client *mute = say(&t, ""), *slow = say(&t, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 9; i++) {
        sim_advance(t.sim, 1000000);
        sim_send(slow, BYTES_LIT("X: y\r\n"));
    }
    sim_step(t.sim);
    assert_false(sim_closed(mute) || sim_closed(slow));
    sim_advance(t.sim, 1100000);
    assert_true(sim_closed(mute) && sim_closed(slow));
    http_stats(&after);
    assert_int_equal(after.silent - before.silent, 1);
    assert_int_equal(after.refused - before.refused, 1);
    assert_int_equal(sim_received(mute).len, 0);
    assert_int_equal(strncmp(heard(slow), "HTTP/1.1 408 ", 13), 0);
    stage_close(&t);
}

static void a_body_has_thirty_seconds_for_any_progress(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    struct sim_client *c = say(&t, "POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        sim_advance(t.sim, 25000000);
        sim_send(c, BYTES_LIT("."));
        sim_step(t.sim);
    }
    assert_false(sim_closed(c));
    sim_advance(t.sim, 31000000);
    assert_int_equal(strncmp(heard(c), "HTTP/1.1 408 ", 13), 0);
    stage_close(&t);
}

static void an_idle_connection_is_closed_after_a_minute(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    struct sim_client *c = say(&t, GET "\r\n");
    for (int i = 0; i < 3; i++) {
        sim_advance(t.sim, 59000000);
        assert_false(sim_closed(c));
        sim_send(c, BYTES_LIT(GET "\r\n"));
        sim_step(t.sim);
    }
    sim_advance(t.sim, 61000000);
    assert_true(sim_closed(c));
    assert_int_equal(t.calls, 4);
    stage_close(&t);
}

static void who_takes_nothing_for_a_minute_is_cut_off(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    t.to_stream = 10000000;
    struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
    sim_stall(c, 1000);
    sim_send(c, BYTES_LIT("GET /stream HTTP/1.1\r\n" H "\r\n"));
    sim_step(t.sim);
    for (int i = 0; i < 10; i++) {
        sim_advance(t.sim, 50000000);
        assert_false(sim_closed(c));
        sim_take(c, 100);
        sim_step(t.sim);
    }
    assert_int_equal(t.gone, 0);
    sim_advance(t.sim, 80000000);
    assert_true(sim_closed(c));
    assert_int_equal(t.gone, 1);
    stage_close(&t);
}

/* ---- answers later, and streams ---- */

static void answers_come_in_order_also_when_late(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    struct sim_client *c = say(&t, "GET /hold HTTP/1.1\r\n" H "\r\n" GET "\r\n" GET "\r\n");
    assert_int_equal(t.calls, 1);
    sim_advance(t.sim, 300000000); /* the handler may take its time */
    assert_false(sim_closed(c));
    assert_int_equal(sim_received(c).len, 0);
    http_reply(t.held, 202, "text/plain", BYTES_LIT("late"));
    sim_step(t.sim);
    check_says("late", heard(c), "HTTP/1.1 202|late|HTTP/1.1 200|GET /a|HTTP/1.1 200|GET /a");
    assert_int_equal(t.calls, 3);
    stage_close(&t);
}

static void a_flood_behind_a_held_request_stops_being_read(void **state)
{
    struct stage t;
#define TWO GET "\r\n" GET "\r\n"
    static const char many[] = TWO TWO TWO TWO;
    (void)state;
    stage_open(&t);
    struct sim_client *c = say(&t, "GET /hold HTTP/1.1\r\n" H "\r\n");
    for (int i = 0; i < 20000; i++)
        sim_send(c, BYTES_LIT(many));
    sim_step(t.sim);
    const struct conn *conn = t.server->conns->conn;
    assert_true(conn->left.len - conn->left.from < HTTP_HELD + 5 * NET_LENT_BYTES);
    http_reply(t.held, 200, "text/plain", BYTES_LIT("go"));
    sim_step(t.sim);
    assert_int_equal(t.calls, 1 + 8 * 20000);
    stage_close(&t);
}

/* P-LIVE, L-OUT: 40 bytes asked for may be 20 KB of answer. Neither memory nor the turn of others is his. */
static void who_asks_without_reading_has_few_answers_at_a_time(void **state)
{
    enum { MANY = 40000, ANSWER = 190 };
    struct stage t;
    (void)state;
    stage_open(&t);
    struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
    sim_stall(c, 50000);
    for (int i = 0; i < MANY; i++)
        sim_send(c, BYTES_LIT(GET "\r\n"));
    sim_step(t.sim);
    assert_true(t.calls > 100 && t.calls < (50000 + 2 * HTTP_AHEAD) / ANSWER);
    size_t taken = 0;
    unsigned before = 0;
    for (int i = 0; i < 1000 && t.calls < MANY; i++) {
        size_t n = sim_received(c).len;
        assert_true(t.calls < before + (50000 + 2 * HTTP_AHEAD) / ANSWER);
        before = t.calls;
        taken += n;
        sim_take(c, n);
        sim_step(t.sim);
    }
    assert_int_equal(t.calls, MANY);
    sim_stall(c, SIZE_MAX);
    sim_step(t.sim);
    taken += sim_received(c).len;
    struct bytes got = sim_received(c);
    assert_true(got.len > 12 && memcmp(got.at + got.len - 12, "GET /a ? x= ", 12) == 0);
    assert_int_equal(taken % MANY, 0); /* every answer is as long as any other */
    stage_close(&t);
}

static void a_stream_waits_for_a_slow_reader(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    t.to_stream = 6000000;
    struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
    sim_stall(c, 50000);
    sim_send(c, BYTES_LIT("GET /stream HTTP/1.1\r\n" H "\r\n" GET "\r\n"));
    sim_step(t.sim);
    size_t taken = 0;
    bool ended = false;
    while (!ended) {
        size_t n = sim_received(c).len;
        assert_true(n <= 50000);
        assert_true(t.streamed <= taken + 50000 + 1300000); /* and no more than that is waiting */
        ended = n > 12 && memcmp(sim_received(c).at + n - 12, "GET /a ? x= ", 12) == 0;
        taken += n;
        sim_take(c, n);
        sim_step(t.sim);
    }
    assert_true(t.drained > 4);
    assert_true(taken > 6000000 + 600 * 8 && taken < 6000000 + 600 * 8 + 1000);
    stage_close(&t);
}

static void gone_is_told_while_waiting_and_while_streaming(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    t.to_stream = 5000000;
    struct sim_client *waits = say(&t, "GET /hold-watched HTTP/1.1\r\n" H "\r\n");
    sim_hang_up(waits, false);
    sim_step(t.sim);
    assert_int_equal(t.gone, 1);
    struct sim_client *streams = sim_connect(t.sim, "127.0.0.1:8080");
    sim_stall(streams, 10);
    sim_send(streams, BYTES_LIT("GET /stream HTTP/1.1\r\n" H "\r\n"));
    sim_step(t.sim);
    assert_non_null(t.held);
    sim_hang_up(streams, true);
    sim_step(t.sim);
    assert_int_equal(t.gone, 2);
    stage_close(&t);
}

static void an_unwatched_exchange_may_be_answered_after_its_peer_left(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    struct sim_client *c = say(&t, "GET /hold HTTP/1.1\r\n" H "\r\n");
    sim_hang_up(c, true);
    sim_step(t.sim);
    http_begin(t.held, 200, "text/plain");
    assert_int_equal(http_chunk(t.held, BYTES_LIT("x")), CODE_CLOSED);
    http_end(t.held);
    /* Also when the server and its loop are gone. */
    c = say(&t, "GET /hold HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(t.calls, 2);
    stage_close(&t);
    http_reply(t.held, 200, NULL, BYTES_NONE);
}

static void closing_the_server_tells_open_exchanges(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    struct sim_client *c = say(&t, "GET /hold-watched HTTP/1.1\r\n" H "\r\n");
    http_server_close(t.server);
    assert_int_equal(t.gone, 1);
    sim_step(t.sim);
    assert_true(sim_closed(c));
    assert_int_equal(t.gone, 1);
    loop_close(t.loop);
    sim_close(t.sim);
}

/* ---- queries ---- */

static void a_query_gives_its_values(void **state)
{
    char out[8];
    (void)state;
    struct bytes q = BYTES_LIT("a=1&bb=x+y%21&c&d=&e=%zz&f=%00&long=12345678&a=2");
    assert_true(http_query(q, "a", out, sizeof out));
    assert_string_equal(out, "1");
    assert_true(http_query(q, "bb", out, sizeof out));
    assert_string_equal(out, "x y!");
    assert_true(http_query(q, "c", out, sizeof out));
    assert_string_equal(out, "");
    assert_true(http_query(q, "d", out, sizeof out));
    assert_string_equal(out, "");
    assert_false(http_query(q, "b", out, sizeof out));
    assert_false(http_query(q, "e", out, sizeof out));
    assert_false(http_query(q, "f", out, sizeof out));
    assert_false(http_query(q, "long", out, sizeof out));
    assert_false(http_query(q, "g", out, sizeof out));
    assert_false(http_query(BYTES_NONE, "a", out, sizeof out));
}

/* ---- memory ---- */

static void each_failed_allocation_costs_one_connection(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct stage t;
        struct fault why;
        stage_open(&t);
        t.to_stream = 100000;
        struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
        sim_send(c, BYTES_LIT("POST /fault?a HTTP/1.1\r\n" H "X-Test: 1\r\nContent-Length: 5\r\n\r\nhello" GET
                              "\r\nGET /stream HTTP/1.1\r\n" H "\r\n"));
        mem_fail_at(n);
        sim_step(t.sim);
        int fired = mem_fail_fired();
        mem_fail_at(0);
        struct sim_client *after = say(&t, GET "\r\n");
        check_says("after", heard(after), "HTTP/1.1 200|GET /a");
        (void)why;
        stage_close(&t);
        if (!fired)
            break;
    }
}

/* ---- the client ---- */

struct outcome {
    unsigned   status, heads, dones;
    struct buf body;
    bool       failed;
    struct fault why;
    struct http_call *call, *cancel_at_head;
};

static void call_head(void *ctx, unsigned status)
{
    struct outcome *o = ctx;
    o->heads++;
    o->status = status;
    if (o->cancel_at_head)
        http_call_cancel(o->call);
}

static void call_body(void *ctx, struct bytes part)
{
    buf_add_bytes(&((struct outcome *)ctx)->body, part);
}

static void call_done(void *ctx, const struct fault *why)
{
    struct outcome *o = ctx;
    o->dones++;
    o->failed = why;
    if (why)
        o->why = *why;
}

static const struct http_call_events call_events = { call_head, call_body, call_done };

static void call(struct stage *t, struct outcome *o, uint16_t port, const char *method, const char *target,
                 const char *body)
{
    struct fault why;
    memset(o, 0, sizeof *o);
    enum code code = http_call_open(&o->call, t->loop, "127.0.0.1", port, method, target, bytes_str(body),
                                    &call_events, o, &why);
    ok(code, &why);
}

static void the_client_reads_what_the_server_says(void **state)
{
    struct stage t;
    struct outcome o;
    (void)state;
    stage_open(&t);
    sim_split_bytes(t.sim, true);
    call(&t, &o, 8080, "POST", "/x?y=1", "{}");
    assert_int_equal(o.dones, 0);
    sim_step(t.sim);
    assert_int_equal(o.status, 200);
    assert_int_equal(o.dones, 1);
    assert_false(o.failed);
    assert_true(bytes_is(buf_bytes(&o.body), "POST /x ?y=1 x= {}"));
    buf_clear(&o.body);
    t.to_stream = 3000000;
    call(&t, &o, 8080, "GET", "/stream", "");
    sim_step(t.sim);
    assert_int_equal(o.dones, 1);
    assert_int_equal(buf_size(&o.body), 3000000);
    buf_clear(&o.body);
    call(&t, &o, 8080, "HEAD", "/x", "");
    sim_step(t.sim);
    assert_int_equal(o.dones, 1);
    assert_int_equal(o.status, 200);
    assert_int_equal(buf_size(&o.body), 0);
    call(&t, &o, 8080, "GET", "/nothing", "");
    sim_step(t.sim);
    assert_int_equal(o.status, 204);
    assert_int_equal(o.dones, 1);
    call(&t, &o, 8081, "GET", "/", "");
    sim_step(t.sim);
    assert_true(o.failed && o.dones == 1 && o.heads == 0);
    assert_non_null(strstr(o.why.text, "Connection refused"));
    stage_close(&t);
}

/* A server that says exactly this and hangs up. */
struct script {
    const char *text;
    struct loop *loop;
};

static size_t script_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct script *s = ctx;
    buf_add_bytes(conn_out(c), bytes_str(s->text));
    conn_close(c, true);
    return in.len;
}

static void script_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static const struct conn_events script_events = { .on_bytes = script_bytes, .on_close = script_close };

static void script_accept(void *ctx, const struct net_peer *peer)
{
    struct script *s = ctx;
    struct conn *c;
    (void)!conn_open(&c, s->loop, peer, &script_events, s, NULL);
}

static void the_client_survives_what_servers_say(void **state)
{
    static const struct {
        const char *text;
        unsigned    status;
        bool        fails;
        const char *body;
    } answers[] = {
        { "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, false, "until the end" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, false, "hello" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", 200, false, "hello" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\nx", 201, false, "x" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", 200, true, "hello" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200, true, "hello" },
        { "HTTP/1.1 200 OK\r\nContent-Len", 0, true, "" },
        { "", 0, true, "" },
        { "SSH-2.0-x\r\n", 0, true, "" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 200, true, "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        for (int split = 0; split < 2; split++) {
            struct stage t;
            struct outcome o;
            struct fault why;
            struct listener *l;
            stage_open(&t);
            sim_split_bytes(t.sim, split);
            struct script s = { answers[i].text, t.loop };
            ok(net_listen(&l, t.loop, "127.0.0.1:9000", script_accept, &s, &why), &why);
            call(&t, &o, 9000, "GET", "/", "");
            sim_step(t.sim);
            if (o.dones != 1 || o.failed != answers[i].fails || o.status != answers[i].status ||
                !bytes_is(buf_bytes(&o.body), answers[i].body))
                fail_msg("answer %zu: done %u, failed %d (%s), status %u", i, o.dones, o.failed, o.why.text,
                         o.status);
            buf_clear(&o.body);
            stage_close(&t);
        }
}

static void a_cancelled_call_says_nothing_more(void **state)
{
    struct stage t;
    struct outcome o;
    (void)state;
    stage_open(&t);
    call(&t, &o, 8080, "GET", "/x", "");
    http_call_cancel(o.call);
    sim_step(t.sim);
    assert_int_equal(o.heads + o.dones, 0);
    call(&t, &o, 8080, "GET", "/x", "");
    o.cancel_at_head = o.call;
    sim_step(t.sim);
    assert_int_equal(o.heads, 1);
    assert_int_equal(o.dones, 0);
    assert_int_equal(buf_size(&o.body), 0);
    call(&t, &o, 8080, "GET", "/hold", "");
    sim_step(t.sim);
    http_reply(t.held, 200, NULL, BYTES_NONE);
    http_call_cancel(o.call);
    stage_close(&t);
    assert_int_equal(o.dones, 0);
}

/* ---- the same on real sockets ---- */

static struct loop *real_loop;

static void real_done(void *ctx, const struct fault *why)
{
    call_done(ctx, why);
    loop_stop(real_loop);
}

static void it_works_on_real_sockets(void **state)
{
    static const struct http_call_events events = { call_head, call_body, real_done };
    struct stage t = { .to_stream = 5000000 };
    struct outcome o = { 0 };
    struct fault why;
    (void)state;
    ok(loop_open_uv(&real_loop, &why), &why);
    t.loop = real_loop;
    ok(http_server_open(&t.server, t.loop, NULL, handle, &t, &why), &why);
    ok(net_listen(&t.listener, t.loop, "127.0.0.1:0", stage_accept, &t, &why), &why);
    uint16_t port = listener_port(t.listener);
    ok(http_call_open(&o.call, t.loop, "127.0.0.1", port, "GET", "/stream", BYTES_NONE, &events, &o, &why),
       &why);
    loop_run(t.loop);
    assert_int_equal(o.dones, 1);
    assert_false(o.failed);
    assert_int_equal(buf_size(&o.body), 5000000);
    buf_clear(&o.body);
    /* A body that is refused: the answer arrives although the client is still sending. */
    static uint8_t much[4000000];
    memset(&o, 0, sizeof o);
    struct bytes body = bytes_of(much, sizeof much);
    ok(http_call_open(&o.call, t.loop, "localhost", port, "POST", "/x", body, &events, &o, &why), &why);
    loop_run(t.loop);
    assert_int_equal(o.status, 413);
    assert_false(o.failed);
    buf_clear(&o.body);
    http_server_close(t.server);
    loop_close(t.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_gets_its_answer),
        cmocka_unit_test(the_same_when_cut_at_any_byte_or_sent_one_by_one),
        cmocka_unit_test(a_truncated_request_is_never_answered_with_success),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(a_request_has_ten_seconds_for_its_headers),
        cmocka_unit_test(a_body_has_thirty_seconds_for_any_progress),
        cmocka_unit_test(an_idle_connection_is_closed_after_a_minute),
        cmocka_unit_test(who_takes_nothing_for_a_minute_is_cut_off),
        cmocka_unit_test(answers_come_in_order_also_when_late),
        cmocka_unit_test(a_flood_behind_a_held_request_stops_being_read),
        cmocka_unit_test(who_asks_without_reading_has_few_answers_at_a_time),
        cmocka_unit_test(a_stream_waits_for_a_slow_reader),
        cmocka_unit_test(gone_is_told_while_waiting_and_while_streaming),
        cmocka_unit_test(an_unwatched_exchange_may_be_answered_after_its_peer_left),
        cmocka_unit_test(closing_the_server_tells_open_exchanges),
        cmocka_unit_test(a_query_gives_its_values),
        cmocka_unit_test(each_failed_allocation_costs_one_connection),
        cmocka_unit_test(the_client_reads_what_the_server_says),
        cmocka_unit_test(the_client_survives_what_servers_say),
        cmocka_unit_test(a_cancelled_call_says_nothing_more),
        cmocka_unit_test(it_works_on_real_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
