#include "base/settings_yaml.h"

#include <libfyaml.h>
#include <stdio.h>

#define BAD(why, line, column, ...)                                                                          \
    fault_set((why), CODE_USAGE, 0, yaml_place((line), (column)), FG_HERE, __VA_ARGS__)

/* ---- what libfyaml may see ---- */

/* The character at the front, in bytes, when it is UTF-8 that can be seen or a tab or line end; else 0. */
static size_t visible(struct bytes text)
{
    const uint8_t *p = text.at;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n > text.len || !utf8_valid(bytes_of(p, n), true))
        return 0;
    if (n == 1)
        return (p[0] >= 0x20 && p[0] != 0x7f) || p[0] == '\t' || p[0] == '\n' || p[0] == '\r';
    /* C1 controls, the Unicode line ends that YAML 1.1 counted as such, the byte order mark, non-characters
     * */
    bool hidden = (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) ||
                  (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) ||
                  (n == 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) ||
                  (n == 3 && p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe);
    return hidden ? 0 : n;
}

bool yaml_visible(struct bytes text)
{
    while (text.len) {
        size_t n = visible(text);
        if (!n || text.at[0] < 0x20)
            return false;
        text = bytes_from(text, n);
    }
    return true;
}

static enum code check_bytes(struct bytes text, struct fault *why)
{
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < text.len;) {
        uint8_t c = text.at[i];
        size_t n = visible(bytes_from(text, i));
        if (!n)
            return BAD(why, line, column, "byte 0x%02x is %s", c,
                       utf8_valid(text, true) ? "part of a character that cannot be seen; remove it"
                                              : "not UTF-8; save the file as UTF-8");
        if (c == '%' && column == 1)
            return BAD(why, line, column, "a YAML directive; settings need none, remove the line");
        if (c == '\r' && (i + 1 == text.len || text.at[i + 1] != '\n'))
            return BAD(why, line, column,
                       "a carriage return without a line feed; end lines with a line feed");
        i += n;
        column++;
        if (c == '\n') {
            line++;
            column = 1;
        }
    }
    return CODE_OK;
}

/* ---- events to tree ---- */

struct reader {
    struct fy_parser *fyp;
    struct fy_diag   *diag;
    struct bytes      text;
    struct arena     *arena;
    struct fault     *why;
    size_t            nodes, documents;
    uint32_t          seen_line;            /* of the newest value */
    struct yaml_node *root;
    struct yaml_node *open[YAML_DEPTH_MAX]; /* maps and lists not ended yet */
    struct yaml_node *last[YAML_DEPTH_MAX]; /* their newest entries         */
    size_t            depth;
    struct yaml_node *keyed;                /* a map's key that waits for its value */
};

static enum code no_memory(struct reader *r)
{
    return FAIL(r->why, CODE_NOMEM, 0, "no memory to read the settings");
}

static const struct fy_mark *mark_of(struct fy_event *e)
{
    static const struct fy_mark start;
    const struct fy_mark *m = fy_event_start_mark(e);
    return m ? m : &start;
}

static struct yaml_node *parent_of(struct reader *r)
{
    return r->depth ? r->open[r->depth - 1] : NULL;
}

static struct yaml_node *new_node(struct reader *r, struct fy_event *e)
{
    struct yaml_node *n = arena_zero(r->arena, sizeof *n);
    if (n) {
        n->line = r->seen_line = (uint32_t)mark_of(e)->line + 1;
        n->column = (uint32_t)mark_of(e)->column + 1;
    }
    return n;
}

static enum code append(struct reader *r, struct yaml_node *n)
{
    struct yaml_node *parent = parent_of(r), **last = &r->last[r->depth - 1];
    if (++r->nodes > YAML_NODES_MAX)
        return BAD(r->why, n->line, n->column, "more than %d values in one file", YAML_NODES_MAX);
    if (++parent->count > YAML_ENTRIES_MAX)
        return BAD(r->why, n->line, n->column, "more than %d entries in one place", YAML_ENTRIES_MAX);
    *(*last ? &(*last)->next : &parent->first) = n;
    *last = n;
    return CODE_OK;
}

/* Puts a value where it belongs: as the root, in a list, or behind a key. */
static enum code place(struct reader *r, struct yaml_node *n)
{
    struct yaml_node *parent = parent_of(r);
    if (!parent) {
        r->root = n;
        return CODE_OK;
    }
    if (parent->kind == YAML_LIST)
        return append(r, n);
    n->key = r->keyed->key;
    n->key_line = r->keyed->key_line;
    n->key_column = r->keyed->key_column;
    r->keyed = NULL;
    return append(r, n);
}

static bool wants_key(struct reader *r)
{
    struct yaml_node *parent = parent_of(r);
    return parent && parent->kind == YAML_MAP && !r->keyed;
}

static enum code begin(struct reader *r, struct fy_event *e, enum yaml_kind kind)
{
    const struct fy_mark *m = mark_of(e);
    if (wants_key(r))
        return BAD(r->why, (uint32_t)m->line + 1, (uint32_t)m->column + 1,
                   "a key must be a word; write `key: value`, and quote a value that begins with { or [");
    if (r->depth == YAML_DEPTH_MAX)
        return BAD(r->why, (uint32_t)m->line + 1, (uint32_t)m->column + 1, "more than %d levels deep",
                   YAML_DEPTH_MAX);
    struct yaml_node *n = new_node(r, e);
    if (!n)
        return no_memory(r);
    n->kind = kind;
    enum code c = place(r, n);
    if (c != CODE_OK)
        return c;
    r->open[r->depth] = n;
    r->last[r->depth] = NULL;
    r->depth++;
    return CODE_OK;
}

/* libfyaml 0.7.12 loses memory over many '' in one text (its issue 233), so single quotes are read from the
 * file itself: what stands between the marks, with '' for '. */
static char *single_quoted(struct reader *r, struct fy_token *token, size_t *len)
{
    const struct fy_mark *from = fy_token_start_mark(token), *to = fy_token_end_mark(token);
    FG_ASSERT(from && to && from->input_pos <= to->input_pos && to->input_pos <= r->text.len);
    struct bytes raw = bytes_of(r->text.at + from->input_pos, to->input_pos - from->input_pos);
    char *copy = arena_text(r->arena, raw);
    *len = 0;
    for (size_t i = 0; copy && i < raw.len; i++) {
        copy[(*len)++] = (char)raw.at[i];
        if (raw.at[i] == '\'')
            i++;
    }
    if (copy)
        copy[*len] = 0;
    return copy;
}

static bool on_one_line(struct fy_token *token)
{
    const struct fy_mark *from = fy_token_start_mark(token), *to = fy_token_end_mark(token);
    return from && to && from->line == to->line;
}

/* The text of a scalar, or why not. */
static enum code read_scalar(struct reader *r, struct fy_token *token, struct yaml_node *n)
{
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    size_t len = 0;
    char *copy;
    /* No setting has lines, and libfyaml takes stack (its issue 315) or square time for them. */
    if (token && (style == FYSS_LITERAL || style == FYSS_FOLDED || !on_one_line(token)))
        return BAD(r->why, r->keyed ? r->keyed->key_line : n->line,
                   r->keyed ? r->keyed->key_column : n->column,
                   "a text of several lines; write it on one line, in quotes");
    if (style == FYSS_SINGLE_QUOTED) {
        copy = single_quoted(r, token, &len);
    } else {
        const char *text = token ? fy_token_get_text(token, &len) : "";
        copy = text ? arena_text(r->arena, bytes_of(text, len)) : NULL;
    }
    if (!copy)
        return no_memory(r);
    n->kind = YAML_SCALAR;
    n->text = bytes_of(copy, len);
    n->plain = style == FYSS_PLAIN;
    /* A quoted text's mark stands behind its quote. */
    n->column -= n->plain ? 0 : 1;
    return CODE_OK;
}

static enum code scalar(struct reader *r, struct fy_event *e)
{
    struct yaml_node *n = new_node(r, e);
    enum code c = n ? read_scalar(r, e->scalar.value, n) : no_memory(r);
    if (c != CODE_OK || !wants_key(r))
        return c == CODE_OK ? place(r, n) : c;
    for (struct yaml_node *other = parent_of(r)->first; other; other = other->next)
        if (bytes_equal(other->key, n->text))
            return BAD(r->why, n->line, n->column, "key '%s' stands here twice, first at line %u; keep one",
                       bytes_escape(n->text, (char[64]){ 0 }, 64), other->key_line);
    n->key = n->text;
    n->key_line = n->line;
    n->key_column = n->column;
    r->keyed = n;
    return CODE_OK;
}

static struct fy_token *anchor_of(const struct fy_event *e)
{
    switch (e->type) {
    case FYET_ALIAS:
        return e->alias.anchor;
    case FYET_SCALAR:
        return e->scalar.anchor;
    case FYET_MAPPING_START:
        return e->mapping_start.anchor;
    case FYET_SEQUENCE_START:
        return e->sequence_start.anchor;
    default:
        return NULL;
    }
}

static struct fy_token *tag_of(const struct fy_event *e)
{
    switch (e->type) {
    case FYET_SCALAR:
        return e->scalar.tag;
    case FYET_MAPPING_START:
        return e->mapping_start.tag;
    case FYET_SEQUENCE_START:
        return e->sequence_start.tag;
    default:
        return NULL;
    }
}

static enum code refuse_at(struct reader *r, struct fy_token *token, const char *text)
{
    const struct fy_mark *m = token ? fy_token_start_mark(token) : NULL;
    return BAD(r->why, m ? (uint32_t)m->line + 1 : r->seen_line + 1, m ? (uint32_t)m->column + 1 : 1, "%s",
               text);
}

static enum code step(struct reader *r, struct fy_event *e)
{
    if (e->type == FYET_ALIAS || anchor_of(e))
        return refuse_at(r, anchor_of(e),
                         "anchors and aliases (& and *) are not read here; write the value out, or"
                         " quote it");
    if (tag_of(e))
        return refuse_at(r, tag_of(e), "tags (!) are not read here; remove it, or quote the value");
    switch (e->type) {
    case FYET_DOCUMENT_START:
        return r->documents++ ? refuse_at(r, e->document_start.document_start,
                                          "a second document (---); settings are one, remove the line")
                              : CODE_OK;
    case FYET_MAPPING_START:
        return begin(r, e, YAML_MAP);
    case FYET_SEQUENCE_START:
        return begin(r, e, YAML_LIST);
    case FYET_SCALAR:
        return scalar(r, e);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        FG_ASSERT(r->depth > 0);
        r->depth--;
        return CODE_OK;
    default:
        return CODE_OK;
    }
}

/* libfyaml's first complaint; its columns and lines already count from 1. */
static enum code not_yaml(struct reader *r)
{
    void *cursor = NULL;
    for (struct fy_diag_error *e; (e = fy_diag_errors_iterate(r->diag, &cursor));)
        if (e->type == FYET_ERROR && e->msg)
            return BAD(r->why, e->line > 0 ? (uint32_t)e->line : 1, e->column > 0 ? (uint32_t)e->column : 1,
                       "this is not YAML: %s; check indentation and quotes around here",
                       bytes_escape(bytes_str(e->msg), (char[128]){ 0 }, 128));
    return BAD(r->why, 1, 1, "this is not YAML; check indentation and quotes");
}

static enum code read_events(struct reader *r)
{
    for (;;) {
        struct fy_event *e = fy_parser_parse(r->fyp);
        if (!e)
            return fy_diag_got_error(r->diag) ? not_yaml(r) : CODE_OK;
        bool end = e->type == FYET_STREAM_END;
        enum code c = step(r, e);
        fy_parser_event_free(r->fyp, e);
        if (c != CODE_OK || end)
            return c;
    }
}

static void quiet(struct fy_diag *diag, void *user, const char *at, size_t len)
{
    (void)diag, (void)user, (void)at, (void)len;
}

enum code settings_yaml_parse(struct bytes text, struct arena *arena, struct yaml_node **root,
                              struct fault *why)
{
    if (bytes_starts(text, "\xef\xbb\xbf"))
        text = bytes_from(text, 3);
    enum code c = check_bytes(text, why);
    if (c != CODE_OK)
        return c;
    struct reader r = { .text = text, .arena = arena, .why = why };
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = quiet;
    diag_cfg.colorize = false;
    r.diag = fy_diag_create(&diag_cfg);
    if (!r.diag)
        return no_memory(&r);
    fy_diag_set_collect_errors(r.diag, true);
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_JSON_NONE | FYPCF_DISABLE_MMAP_OPT,
                                .diag = r.diag };
    r.fyp = fy_parser_create(&cfg);
    c = r.fyp && fy_parser_set_string(r.fyp, (const char *)text.at, text.len) == 0 ? read_events(&r)
                                                                                   : no_memory(&r);
    if (r.fyp)
        fy_parser_destroy(r.fyp);
    fy_diag_destroy(r.diag);
    *root = r.root;
    return c;
}
