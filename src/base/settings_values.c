/* From the text of a setting to its field, and back. */
#include "base/settings_table.h"
#include "base/values.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#define SAID(text) bytes_escape((text), (char[64]){ 0 }, 64)
#define MUST(why, ...) FAIL((why), CODE_USAGE, 0, __VA_ARGS__)

static void put_number(const struct setting *row, void *base, uint64_t v)
{
    void *field = (char *)base + row->offset;
    if (row->size == sizeof(uint64_t)) {
        memcpy(field, &v, sizeof v);
    } else if (row->size == sizeof(uint32_t)) {
        uint32_t narrow = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
        memcpy(field, &narrow, sizeof narrow);
    }
}

static uint64_t get_number(const struct setting *row, const void *base)
{
    const void *field = (const char *)base + row->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (row->size == sizeof wide)
        memcpy(&wide, field, sizeof wide);
    else if (row->size == sizeof narrow)
        memcpy(&narrow, field, sizeof narrow);
    return row->size == sizeof wide ? wide : narrow;
}

static uint64_t unlimited_value(const struct setting *row)
{
    if (row->unlimited == UNLIMITED_IS_ZERO)
        return 0;
    return row->size == sizeof(uint64_t) ? UINT64_MAX : UINT32_MAX;
}

static bool is_unlimited(const struct setting *row, const void *base)
{
    return row->unlimited != NEVER_UNLIMITED && get_number(row, base) == unlimited_value(row);
}

/* How one writes the number `v` of this row. */
static const char *number_text(const struct setting *row, uint64_t v, char out[VALUE_TEXT_MAX])
{
    switch (row->kind) {
    case AS_BYTES:
        return value_print_size(v, out);
    case AS_SECONDS:
        return value_print_duration(v * 1000000, out);
    case AS_MICROS:
        return value_print_duration(v, out);
    default:
        (void)snprintf(out, VALUE_TEXT_MAX, "%" PRIu64, v);
        return out;
    }
}

static enum code parse_number(const struct setting *row, struct bytes text, uint64_t *v)
{
    uint64_t us;
    enum code c;
    switch (row->kind) {
    case AS_BYTES:
        return value_parse_size(text, v, NULL);
    case AS_SECONDS:
        if (row->bare && value_parse_count(text, 0, UINT32_MAX, v, NULL) == CODE_OK)
            return CODE_OK;
        c = value_parse_duration(text, &us, NULL);
        if (c == CODE_OK && us % 1000000 == 0) {
            *v = us / 1000000;
            return CODE_OK;
        }
        return CODE_USAGE;
    case AS_MICROS:
        return value_parse_duration(text, v, NULL);
    default:
        return value_parse_count(text, 0, UINT64_MAX, v, NULL);
    }
}

/* "a size from 64KiB to 1GiB, or unlimited, got '3 apples'" */
static enum code number_wrong(const struct setting *row, struct bytes text, struct fault *why)
{
    static const char *const nouns[] = {
        [AS_COUNT] = "a whole number",
        [AS_BYTES] = "a size with its unit",
        [AS_SECONDS] = "a duration with its unit",
        [AS_MICROS] = "a duration with its unit",
    };
    char low[VALUE_TEXT_MAX], high[VALUE_TEXT_MAX];
    number_text(row, row->min, low);
    number_text(row, row->max, high);
    if (row->min == row->max)
        return MUST(why, "%s, got '%s'", low, SAID(text));
    return MUST(why, "%s from %s to %s%s, got '%s'", nouns[row->kind], low, high,
                row->unlimited != NEVER_UNLIMITED ? ", or unlimited" : "", SAID(text));
}

static enum code store_number(const struct setting *row, void *base, struct bytes text, struct fault *why)
{
    uint64_t v;
    if (row->unlimited != NEVER_UNLIMITED && bytes_is(text, "unlimited")) {
        put_number(row, base, unlimited_value(row));
        return CODE_OK;
    }
    if (parse_number(row, text, &v) != CODE_OK || v < row->min || v > row->max)
        return number_wrong(row, text, why);
    put_number(row, base, v);
    return CODE_OK;
}

static enum code store_choice(const struct setting *row, void *base, struct bytes text, struct fault *why)
{
    char list[160] = "";
    size_t n = 0;
    for (int i = 0; row->words[i]; i++) {
        if (bytes_is(text, row->words[i])) {
            /* An enum of ours has the size of an int. */
            memcpy((char *)base + row->offset, &i, sizeof i);
            return CODE_OK;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", !i ? "" : row->words[i + 1] ? ", " : " or ",
                              row->words[i]);
    }
    return MUST(why, "%s, got '%s'", list, SAID(text));
}

/* "users, anonymous": words of the row, each once. */
static enum code store_choices(const struct setting *row, void *base, struct bytes text, struct fault *why)
{
    struct settings_choices list = { 0 };
    for (size_t start = 0, end; start <= text.len; start = end + 1) {
        int one = 0;
        for (end = start; end < text.len && text.at[end] != ','; end++)
            ;
        struct bytes word = bytes_of(text.at + start, end - start);
        while (word.len && word.at[0] == ' ')
            word = bytes_from(word, 1);
        struct setting single = { .kind = AS_CHOICE, .size = sizeof one, .words = row->words };
        enum code c = store_choice(&single, &one, word, why);
        if (c != CODE_OK)
            return c;
        if (list.count && memchr(list.at, one, list.count))
            return MUST(why, "a list without repetition, '%s' is there twice", row->words[one]);
        if (list.count == SETTINGS_CHOICES_MAX || list.count == row->max)
            return MUST(why, "a list of at most %" PRIu64, row->max);
        list.at[list.count++] = (uint8_t)one;
    }
    memcpy((char *)base + row->offset, &list, sizeof list);
    return CODE_OK;
}

static enum code store_text(const struct setting *row, void *base, struct bytes text, struct arena *arena,
                            struct fault *why)
{
    if (!yaml_visible(text))
        return MUST(why, "text without control characters, got '%s'", SAID(text));
    if (text.len < row->min || text.len > row->max)
        return MUST(why, "text of %" PRIu64 " to %" PRIu64 " bytes, got %zu", row->min, row->max, text.len);
    const char *copy = arena_text(arena, text);
    if (!copy)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the settings");
    memcpy((char *)base + row->offset, &copy, sizeof copy);
    return CODE_OK;
}

/* "a,b": how a list is written where there is only one line for it. */
static enum code store_texts(const struct setting *row, void *base, struct bytes text, struct arena *arena,
                             struct fault *why)
{
    struct settings_texts list = { 0 };
    size_t count = text.len > 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == ',';
    if (count > row->max)
        return MUST(why, "a list of at most %" PRIu64 " texts, got %zu", row->max, count);
    const char **at = arena_zero(arena, (count + 1) * sizeof *at);
    if (!at)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the settings");
    for (size_t start = 0, end; list.count < count; start = end + 1) {
        for (end = start; end < text.len && text.at[end] != ','; end++)
            ;
        struct setting one = { .kind = AS_TEXT, .min = 1, .max = 65535 };
        enum code c = store_text(&one, &at[list.count], bytes_of(text.at + start, end - start), arena, why);
        if (c != CODE_OK)
            return c;
        list.count++;
    }
    list.at = at;
    memcpy((char *)base + row->offset, &list, sizeof list);
    return CODE_OK;
}

enum code setting_store(const struct setting *row, void *base, struct bytes text, struct arena *arena,
                        struct fault *why)
{
    bool on;
    enum code c;
    switch (row->kind) {
    case AS_COUNT:
    case AS_BYTES:
    case AS_SECONDS:
    case AS_MICROS:
        return store_number(row, base, text, why);
    case AS_SWITCH:
        c = value_parse_switch(text, &on, why);
        if (c == CODE_OK)
            memcpy((char *)base + row->offset, &on, sizeof on);
        return c;
    case AS_CHOICE:
        return store_choice(row, base, text, why);
    case AS_CHOICES:
        return store_choices(row, base, text, why);
    case AS_TEXT:
        return store_text(row, base, text, arena, why);
    case AS_TEXTS:
        return store_texts(row, base, text, arena, why);
    default:
        return MUST(why, "written in the file, it does not fit into one value");
    }
}

enum code setting_store_default(const struct setting *row, void *base, struct arena *arena)
{
    if (!row->def)
        return CODE_OK;
    struct fault why;
    enum code c = setting_store(row, base, bytes_str(row->def), arena, &why);
    FG_ASSERT(c == CODE_OK || c == CODE_NOMEM);
    return c;
}

/* ---- addresses ---- */

/* ::1, and 127.0.0.0/8 in its mapped form: the kernel treats both as this machine. */
static bool loopback6(const struct in6_addr *a)
{
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

enum code setting_address(struct bytes text, struct settings_address *out, struct arena *arena,
                          struct fault *why)
{
    static const char shape[] = "a numeric address with its port, such as 127.0.0.1:1883 or \"[::1]:1883\"";
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    uint64_t port;
    if (colon == 0)
        return MUST(why, "%s, got '%s'", shape, SAID(text));
    if (value_parse_count(bytes_from(text, colon), 0, 65535, &port, NULL) != CODE_OK)
        return MUST(why, "%s, and the port is from 0 to 65535, got '%s'", shape, SAID(text));
    struct bytes host = bytes_of(text.at, colon - 1);
    bool six = host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (six)
        host = bytes_of(host.at + 1, host.len - 2);
    char name[INET6_ADDRSTRLEN] = "", canonical[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.len && host.len < sizeof name)
        memcpy(name, host.at, host.len);
    int family = six ? AF_INET6 : AF_INET;
    if (strlen(name) != host.len || inet_pton(family, name, &address) != 1)
        return MUST(why, "%s; names are not looked up here, got '%s'", shape, SAID(text));
    /* One spelling per address, so that two listeners on the same one are seen. */
    FG_ASSERT(inet_ntop(family, &address, canonical, sizeof canonical));
    *out = (struct settings_address){ .host = arena_text(arena, bytes_str(canonical)),
                                      .text = arena_text(arena, text),
                                      .port = (uint16_t)port,
                                      .loopback = six ? loopback6(&address)
                                                      : ((const uint8_t *)&address)[0] == 127 };
    return out->host && out->text ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the settings");
}

/* ---- and back ---- */

static bool plain_yaml(struct bytes text)
{
    /* Letters lead; what follows cannot start a comment, a map, a list or a quote. */
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+$";
    if (!text.len || !(bytes_starts(text, "/") || bytes_starts(text, ".") || text.at[0] >= 'A'))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!text.at[i] || !strchr(safe, text.at[i]))
            return false;
    static const char *const taken[] = { "null", "Null", "NULL", "true", "false", "yes", "no", "on", "off" };
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (bytes_is(text, taken[i]))
            return false;
    return true;
}

void setting_print_yaml_text(struct bytes text, struct buf *out)
{
    if (plain_yaml(text))
        buf_add_bytes(out, text);
    else
        buf_json(out, text); /* YAML's double quotes know every escape of JSON's */
}

static void print_texts(const struct settings_texts *list, struct buf *out, bool json)
{
    buf_u8(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_printf(out, "%s", !i ? "" : json ? "," : ", ");
        buf_json(out, bytes_str(list->at[i]));
    }
    buf_u8(out, ']');
}

static void print_pairs(const struct setting *row, const void *base, struct buf *out, bool json)
{
    struct settings_pairs list;
    memcpy(&list, (const char *)base + row->offset, sizeof list);
    buf_u8(out, '{');
    for (size_t i = 0; i < list.count; i++) {
        buf_printf(out, "%s", !i ? "" : json ? "," : ", ");
        buf_json(out, bytes_str(list.at[i].name));
        buf_printf(out, json ? ":" : ": ");
        buf_json(out, bytes_str(list.at[i].to));
    }
    buf_u8(out, '}');
}

static void print_choices(const struct setting *row, const void *base, struct buf *out, bool json)
{
    struct settings_choices list;
    memcpy(&list, (const char *)base + row->offset, sizeof list);
    if (list.count == 1) {
        buf_printf(out, json ? "[\"%s\"]" : "%s", row->words[list.at[0]]);
        return;
    }
    buf_u8(out, '[');
    for (size_t i = 0; i < list.count; i++)
        buf_printf(out, json ? "%s\"%s\"" : "%s%s", !i ? "" : json ? "," : ", ", row->words[list.at[i]]);
    buf_u8(out, ']');
}

static void print_addresses(const struct settings_listener *l, struct buf *out, bool json)
{
    buf_u8(out, '[');
    for (size_t i = 0; i < l->at_count; i++) {
        buf_printf(out, "%s", !i ? "" : json ? "," : ", ");
        buf_json(out, bytes_str(l->at[i].text));
    }
    buf_u8(out, ']');
}

static const char *choice_of(const struct setting *row, const void *base)
{
    int i;
    memcpy(&i, (const char *)base + row->offset, sizeof i);
    return row->words[i];
}

static struct bytes text_of(const struct setting *row, const void *base)
{
    const char *s;
    memcpy(&s, (const char *)base + row->offset, sizeof s);
    return bytes_str(s);
}

static bool switch_of(const struct setting *row, const void *base)
{
    bool on;
    memcpy(&on, (const char *)base + row->offset, sizeof on);
    return on;
}

static void print(const struct setting *row, const void *base, struct buf *out, bool json)
{
    char number[VALUE_TEXT_MAX];
    struct settings_texts list;
    switch (row->kind) {
    case AS_SWITCH:
        buf_printf(out, "%s", switch_of(row, base) ? "true" : "false");
        return;
    case AS_CHOICE:
        buf_printf(out, json ? "\"%s\"" : "%s", choice_of(row, base));
        return;
    case AS_CHOICES:
        print_choices(row, base, out, json);
        return;
    case AS_TEXT:
        if (json)
            buf_json(out, text_of(row, base));
        else
            setting_print_yaml_text(text_of(row, base), out);
        return;
    case AS_TEXTS:
        memcpy(&list, (const char *)base + row->offset, sizeof list);
        print_texts(&list, out, json);
        return;
    case AS_ADDRESSES:
        print_addresses(base, out, json);
        return;
    case AS_PAIRS:
        print_pairs(row, base, out, json);
        return;
    case AS_LISTENERS:
    case AS_ENTRIES:
        return;
    default:
        break;
    }
    uint64_t v = row->size ? get_number(row, base) : row->min;
    if (row->size && is_unlimited(row, base))
        buf_printf(out, json ? "null" : "unlimited");
    else if (!json)
        buf_printf(out, "%s", number_text(row, v, number));
    else if (row->kind == AS_MICROS)
        buf_printf(out, "%" PRIu64 ".%06" PRIu64, v / 1000000, v % 1000000);
    else
        buf_printf(out, "%" PRIu64, v);
}

void setting_print(const struct setting *row, const void *base, struct buf *out)
{
    print(row, base, out, false);
}

/* Sizes in bytes, durations in seconds; unlimited is null. */
void setting_print_json(const struct setting *row, const void *base, struct buf *out)
{
    print(row, base, out, true);
}

void setting_variable_name(const struct setting *row, char *out, size_t cap)
{
    int n = snprintf(out, cap, "FIELDGATE_%s", row->key);
    FG_ASSERT(n > 0 && (size_t)n < cap);
    for (char *p = out; *p; p++) {
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
        else if (*p == '-' || *p == '.')
            *p = '_';
    }
}
