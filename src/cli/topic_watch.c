#include "cli/topic_watch.h"

#include "base/mem.h"
#include "base/values.h"
#include "cli/output.h"

#include <math.h>
#include <stdio.h>

/* ---- the table ---- */

static int compare(const struct watched *w, struct bytes topic)
{
    size_t n = w->key_len < topic.len ? w->key_len : topic.len;
    int c = n ? memcmp(w->key, topic.at, n) : 0;
    return c ? c : (w->key_len > topic.len) - (w->key_len < topic.len);
}

/* The place of the first that is not below `topic`. */
static size_t place_of(const struct topic_watch *t, struct bytes topic)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (compare(t->sorted[mid], topic) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void free_watched(struct watched *w)
{
    if (!w)
        return;
    mem_free(w->topic);
    mem_free(w->key);
    mem_free(w);
}

static struct watched *make(struct bytes topic)
{
    struct watched *w = mem_zalloc(1, sizeof *w);
    struct buf said = {0};
    if (!w)
        return NULL;
    output_escape(&said, topic);
    w->key = mem_alloc(topic.len + 1);
    w->topic = said.bad ? NULL
                        : mem_strndup(said.at ? said.at + said.from : (const uint8_t *)"", buf_size(&said));
    buf_clear(&said);
    if (!w->key || !w->topic) {
        free_watched(w);
        return NULL;
    }
    if (topic.len)
        memcpy(w->key, topic.at, topic.len);
    w->key_len = topic.len;
    return w;
}

static struct watched *find(struct topic_watch *t, struct bytes topic)
{
    size_t at = place_of(t, topic);
    if (at < t->count && compare(t->sorted[at], topic) == 0)
        return t->sorted[at];
    if (t->count == WATCH_TOPICS_MAX)
        return NULL;
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct watched **more = mem_realloc(t->sorted, cap * sizeof *more);
        if (!more)
            return NULL;
        t->sorted = more;
        t->cap = cap;
    }
    struct watched *w = make(topic);
    if (!w)
        return NULL;
    memmove(&t->sorted[at + 1], &t->sorted[at], (t->count - at) * sizeof *t->sorted);
    t->sorted[at] = w;
    t->count++;
    return w;
}

static void take_value(struct watched *w, struct bytes payload)
{
    double n;
    bool number = payload.len < 40 && value_parse_decimal(payload, &n, NULL) == CODE_OK;
    w->has_change = number && w->is_number && w->count > 0;
    if (number) {
        w->change = w->has_change ? n - w->number : 0;
        w->number = n;
    }
    w->is_number = number;
    struct buf said = {0};
    output_escape(&said, payload.len < WATCH_VALUE_MAX ? payload : bytes_of(payload.at, WATCH_VALUE_MAX));
    (void)snprintf(w->value, sizeof w->value, "%.*s", BYTES_FMT(buf_bytes(&said)));
    buf_clear(&said);
}

struct watched *topic_watch_note(struct topic_watch *t, struct bytes topic, struct bytes payload,
                                 int64_t now_us)
{
    struct watched *w = find(t, topic);
    if (!w) {
        t->beyond++;
        return NULL;
    }
    take_value(w, payload);
    w->seen_us = now_us;
    w->count++;
    w->bytes += payload.len;
    return w;
}

bool topic_watch_second(struct topic_watch *t, int64_t now_us)
{
    if (!t->second_us)
        t->second_us = now_us;
    int64_t passed = now_us - t->second_us;
    if (passed < VALUE_US_PER_S)
        return false;
    for (size_t i = 0; i < t->count; i++) {
        struct watched *w = t->sorted[i];
        w->rate = (double)(w->count - w->count_then) * 1e6 / (double)passed;
        w->byte_rate = (double)(w->bytes - w->bytes_then) * 1e6 / (double)passed;
        w->count_then = w->count;
        w->bytes_then = w->bytes;
    }
    t->second_us = now_us;
    return true;
}

void topic_watch_clear(struct topic_watch *t)
{
    for (size_t i = 0; i < t->count; i++)
        free_watched(t->sorted[i]);
    mem_free(t->sorted);
    *t = (struct topic_watch){0};
}

/* ---- lines ---- */

/* Bytes of UTF-8 that make up `columns` characters; *used is how many there were. */
static size_t cut(const char *text, size_t columns, size_t *used)
{
    size_t n = 0;
    *used = 0;
    while (text[n]) {
        bool begins = ((unsigned char)text[n] & 0xc0) != 0x80;
        if (begins && *used == columns)
            break;
        *used += begins;
        n++;
    }
    return n;
}

static void put_column(struct buf *out, const char *text, size_t width)
{
    size_t used, n = cut(text, width, &used);
    buf_add(out, text, n);
    for (; used < width; used++)
        buf_u8(out, ' ');
}

static const char *change_text(const struct watched *w, char out[24])
{
    if (!w->has_change)
        return "";
    /* 21.4 - 21.1 is no 0.29999999999999716. */
    (void)snprintf(out, 24, "(%+.6g)", fabs(w->change) < 1e-9 * fabs(w->number) ? 0.0 : w->change);
    return out;
}

enum { TAIL_WIDTH = 2 + 12 + 2 + 9 + 2 + 10, VALUE_LEAST = 8 };

static void put_tail(struct buf *out, const char *change, const char *age, const char *rate)
{
    buf_printf(out, "  %-12s  %9s  %10s", change, age, rate);
}

void topic_watch_line(struct buf *out, const struct watched *w, int64_t now_us, size_t topic_width,
                      size_t width)
{
    char change[24], age[VALUE_TEXT_MAX], rate[32];
    if (!width) {
        buf_printf(out, "%s\t%s\t%s\t%.1f/s", w->topic, w->value, change_text(w, change), w->rate);
        return;
    }
    size_t room = width > topic_width + 2 + TAIL_WIDTH + VALUE_LEAST ? width - topic_width - 2 - TAIL_WIDTH
                                                                     : VALUE_LEAST;
    (void)snprintf(rate, sizeof rate, "%.1f/s", w->rate);
    put_column(out, w->topic, topic_width);
    buf_printf(out, "  ");
    put_column(out, w->value, room);
    (void)value_print_duration_about(
        (uint64_t)(now_us > w->seen_us ? now_us - w->seen_us : 0) / 100000 * 100000, age);
    put_tail(out, change_text(w, change), age, rate);
}

static size_t longest_topic(const struct topic_watch *t, size_t most)
{
    size_t longest = strlen("TOPIC");
    for (size_t i = 0; i < t->count; i++) {
        size_t used;
        (void)cut(t->sorted[i]->topic, most, &used);
        longest = used > longest ? used : longest;
    }
    return longest;
}

size_t topic_watch_screen(struct buf *out, const struct topic_watch *t, int64_t now_us, size_t width,
                          size_t height)
{
    size_t topic_width = longest_topic(t, width / 2), shown = height > 2 ? height - 2 : 1, lines = 1;
    size_t room = width > topic_width + 2 + TAIL_WIDTH + VALUE_LEAST ? width - topic_width - 2 - TAIL_WIDTH
                                                                     : VALUE_LEAST;
    put_column(out, "TOPIC", topic_width);
    buf_printf(out, "  ");
    put_column(out, "VALUE", room);
    put_tail(out, "CHANGE", "AGE", "RATE");
    buf_printf(out, "\033[K\n");
    for (size_t i = 0; i < t->count && i < shown; i++, lines++) {
        topic_watch_line(out, t->sorted[i], now_us, topic_width, width);
        buf_printf(out, "\033[K\n");
    }
    uint64_t hidden = t->beyond ? UINT64_MAX : t->count > shown ? t->count - shown : 0;
    if (hidden) {
        if (t->beyond)
            buf_printf(out, "more than %d topics: the others are not watched\033[K\n", WATCH_TOPICS_MAX);
        else
            buf_printf(out, "and %llu topics more: make the window taller, or the filter narrower\033[K\n",
                       (unsigned long long)hidden);
        lines++;
    }
    return lines;
}
