/* Any bytes as a settings file: refused with a place, or loaded and then printable so that it loads again. */
#include "base/settings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_wildcard_or_text(struct bytes filter, uint32_t max_bytes, uint32_t max_levels)
{
    FG_ASSERT(max_levels > 0);
    return filter.len > 0 && filter.len <= max_bytes;
}

struct rewritten {
    struct buf text;
    bool       listeners;
};

/* The settings as a file again: "hub.keep" is unfolded by hand, listeners are left out. */
static void add_line(void *ctx, const struct settings_line *line)
{
    struct rewritten *r = ctx;
    const char *dot = strchr(line->key, '.');
    FG_ASSERT(line->value.len && line->json.len && line->origin.len);
    if (strncmp(line->key, "listeners", 9) == 0 || dot)
        return;
    buf_printf(&r->text, "%s: ", line->key);
    buf_add_bytes(&r->text, line->value);
    buf_u8(&r->text, '\n');
}

static void check_report(const struct settings_report *report)
{
    FG_ASSERT(report->count <= SETTINGS_NOTES_MAX);
    for (size_t i = 0; i < report->count; i++) {
        const struct settings_note *n = &report->notes[i];
        FG_ASSERT(n->number >= 1010 && n->number <= 1019 && n->text[0] && n->where[0]);
        FG_ASSERT(utf8_valid(bytes_str(n->text), false) || strlen(n->text) == sizeof n->text - 1);
        FG_ASSERT(!strchr(n->text, '\n'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const environment[] = { "HOME=/h/x", NULL };
    struct settings_source source = { .environment = environment, .filter_valid = has_wildcard_or_text };
    static struct settings_report report;
    const struct settings *settings;
    struct fault why;
    enum code c = settings_parse(&settings, &io_system, &source, "fuzz.yaml", bytes_of(data, size), &report,
                                 &why);
    check_report(&report);
    FG_ASSERT((c == CODE_OK) == (report.errors == 0) && (c == CODE_OK || c == CODE_USAGE));
    if (c != CODE_OK)
        return 0;
    struct rewritten r = { 0 };
    FG_ASSERT(settings_each(settings, add_line, &r) == CODE_OK && !r.text.bad);
    const struct settings *again;
    c = settings_parse(&again, &io_system, &source, "again.yaml", buf_bytes(&r.text), &report, &why);
    FG_ASSERT(c == CODE_OK);
    FG_ASSERT(strcmp(again->site, settings->site) == 0 && strcmp(again->data, settings->data) == 0);
    settings_free(again);
    settings_free(settings);
    buf_clear(&r.text);
    return 0;
}
