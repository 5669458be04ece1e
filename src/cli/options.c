#include "cli/options.h"

#include "base/mem.h"
#include "base/suggest.h"
#include "base/values.h"

#include <inttypes.h>
#include <stdio.h>

#define SAID(s) bytes_escape(bytes_str(s), (char[64]){ 0 }, 64)

struct parsing {
    struct options    *o;
    const char *const *argv;
    int                argc, at; /* at: the next word */
    int64_t            now_us;
    struct fault      *why;
};

static size_t count_of(const struct flag *flags)
{
    size_t n = 0;
    while (flags && flags[n].name)
        n++;
    FG_ASSERT(n <= OPTIONS_FLAGS_MAX);
    return n;
}

static void *field_of(const struct parsing *p, const struct flag *f)
{
    return (char *)p->o->values + f->offset;
}

/* "-t" or "--topic", as the row can be typed. */
static const char *spelled(const struct flag *f, char out[64])
{
    char letter[8] = "";
    if (f->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", f->letter);
    (void)snprintf(out, 64, "%s--%s", letter, f->name);
    return out;
}

/* ---- one value ---- */

static enum code wrong(const struct parsing *p, const struct flag *f, const char *must)
{
    char name[64];
    return FAIL(p->why, CODE_USAGE, 0, "%s must be %s", spelled(f, name), must);
}

static void put_number(const struct parsing *p, const struct flag *f, uint64_t v)
{
    uint32_t narrow = (uint32_t)v;
    if (f->size == sizeof v)
        memcpy(field_of(p, f), &v, sizeof v);
    else
        memcpy(field_of(p, f), &narrow, sizeof narrow);
}

static uint64_t max_of(const struct flag *f)
{
    if (f->max)
        return f->max;
    return f->size == sizeof(uint64_t) ? UINT64_MAX : UINT32_MAX;
}

static const char *number_text(const struct flag *f, uint64_t v, char out[VALUE_TEXT_MAX])
{
    if (f->kind == FLAG_SIZE)
        return value_print_size(v, out);
    if (f->kind == FLAG_DURATION || f->kind == FLAG_SECONDS)
        return value_print_duration(v, out);
    (void)snprintf(out, VALUE_TEXT_MAX, "%" PRIu64, v);
    return out;
}

static enum code set_number(const struct parsing *p, const struct flag *f, const char *text)
{
    struct bytes b = bytes_str(text);
    struct fault why;
    uint64_t v = 0;
    double seconds;
    enum code c;
    switch (f->kind) {
    case FLAG_SIZE:
        c = value_parse_size(b, &v, &why);
        break;
    case FLAG_SECONDS:
        if (value_parse_decimal(b, &seconds, NULL) == CODE_OK && seconds >= 0 && seconds <= UINT32_MAX) {
            v = (uint64_t)(seconds * (double)VALUE_US_PER_S + 0.5);
            c = CODE_OK;
            break;
        }
        __attribute__((fallthrough));
    case FLAG_DURATION:
        c = value_parse_duration(b, &v, &why);
        break;
    default:
        c = value_parse_count(b, f->min, max_of(f), &v, &why);
        break;
    }
    if (c != CODE_OK)
        return wrong(p, f, why.text);
    if (v < f->min || v > max_of(f)) {
        char low[VALUE_TEXT_MAX], high[VALUE_TEXT_MAX], must[160];
        (void)snprintf(must, sizeof must, "from %s to %s, got '%s'", number_text(f, f->min, low),
                       number_text(f, max_of(f), high), SAID(text));
        return wrong(p, f, must);
    }
    put_number(p, f, v);
    return CODE_OK;
}

static enum code set_choice(const struct parsing *p, const struct flag *f, const char *text)
{
    char must[200] = "";
    size_t n = 0;
    for (int i = 0; f->words[i]; i++) {
        if (strcmp(f->words[i], text) == 0) {
            memcpy(field_of(p, f), &i, sizeof i);
            return CODE_OK;
        }
        if (n < sizeof must)
            n += (size_t)snprintf(must + n, sizeof must - n, "%s%s",
                                  !i                ? ""
                                  : f->words[i + 1] ? ", "
                                                    : " or ",
                                  f->words[i]);
    }
    if (n < sizeof must)
        (void)snprintf(must + n, sizeof must - n, ", got '%s'", SAID(text));
    return wrong(p, f, must);
}

static enum code set_text(const struct parsing *p, const struct flag *f, const char *text)
{
    memcpy(field_of(p, f), &text, sizeof text);
    return CODE_OK;
}

static enum code no_memory(const struct parsing *p)
{
    return FAIL(p->why, CODE_NOMEM, 0, "no memory to read the command line");
}

static enum code add_text(const struct parsing *p, struct texts *list, const char *text)
{
    const char **more = mem_realloc(list->at, (list->count + 1) * sizeof *more);
    if (!more)
        return no_memory(p);
    list->at = more;
    list->at[list->count++] = text;
    return CODE_OK;
}

static enum code set_value(const struct parsing *p, const struct flag *f, const char *text)
{
    struct fault why;
    double decimal;
    int64_t moment;
    switch (f->kind) {
    case FLAG_COUNT:
    case FLAG_SIZE:
    case FLAG_DURATION:
    case FLAG_SECONDS:
        return set_number(p, f, text);
    case FLAG_DECIMAL:
        if (value_parse_decimal(bytes_str(text), &decimal, &why) != CODE_OK)
            return wrong(p, f, why.text);
        memcpy(field_of(p, f), &decimal, sizeof decimal);
        return CODE_OK;
    case FLAG_TIME:
        if (value_parse_time(bytes_str(text), p->now_us, &moment, &why) != CODE_OK)
            return wrong(p, f, why.text);
        memcpy(field_of(p, f), &moment, sizeof moment);
        return CODE_OK;
    case FLAG_TEXTS:
        return add_text(p, field_of(p, f), text);
    case FLAG_CHOICE:
        return set_choice(p, f, text);
    default:
        return set_text(p, f, text);
    }
}

/* -D COMMAND PROPERTY VALUE, or -D COMMAND user-property NAME VALUE: the words behind the flag. */
static enum code set_property(struct parsing *p, const struct flag *f)
{
    int left = p->argc - p->at;
    bool user = left >= 2 && strcmp(p->argv[p->at + 1], "user-property") == 0;
    struct flag_properties *list = field_of(p, f);
    if (left < (user ? 4 : 3))
        return wrong(p, f, "COMMAND PROPERTY VALUE, or COMMAND user-property NAME VALUE, such as"
                           " -D PUBLISH content-type text/plain");
    struct flag_property *more = mem_realloc(list->at, (list->count + 1) * sizeof *more);
    if (!more)
        return no_memory(p);
    const char *const *word = &p->argv[p->at];
    list->at = more;
    list->at[list->count++] = (struct flag_property){
        .command = word[0], .name = word[1], .key = user ? word[2] : NULL, .value = word[user ? 3 : 2]
    };
    p->at += user ? 4 : 3;
    return CODE_OK;
}

static bool may_repeat(const struct flag *f)
{
    return f->kind == FLAG_TEXTS || f->kind == FLAG_PROPERTY || f->kind == FLAG_SWITCH;
}

/* `text` is what stood attached (-tX, --topic=X), NULL if nothing did. */
static enum code take(struct parsing *p, const struct flag *f, const char *text)
{
    char name[64];
    uint64_t bit = UINT64_C(1) << (f - p->o->flags);
    if ((p->o->given & bit) && !may_repeat(f))
        return FAIL(p->why, CODE_USAGE, 0, "%s stands twice on the command line; keep one", spelled(f, name));
    /* What is said replaces a list's default as a whole. */
    if (!(p->o->given & bit) && f->kind == FLAG_TEXTS)
        ((struct texts *)field_of(p, f))->count = 0;
    p->o->given |= bit;
    if (f->kind == FLAG_SWITCH) {
        if (text)
            return FAIL(p->why, CODE_USAGE, 0, "%s takes no value, got '%s'", spelled(f, name), SAID(text));
        *(bool *)field_of(p, f) = true;
        return CODE_OK;
    }
    if (f->kind == FLAG_PROPERTY && !text)
        return set_property(p, f);
    if (!text && p->at == p->argc)
        return FAIL(p->why, CODE_USAGE, 0, "%s needs a value: %s", spelled(f, name),
                    f->value ? f->value : "VALUE");
    return set_value(p, f, text ? text : p->argv[p->at++]);
}

/* ---- words ---- */

static enum code unknown(const struct parsing *p, const char *word, size_t len)
{
    struct suggest s = { 0 };
    char said[64];
    struct bytes typed = bytes_of(word, len);
    bool longer = len > 2 && word[0] == '-' && word[1] == '-';
    for (const struct flag *f = p->o->flags; longer && f && f->name; f++)
        if (!f->hidden)
            suggest_offer(&s, bytes_from(typed, 2), f->name);
    if (longer)
        suggest_offer(&s, bytes_from(typed, 2), "help");
    return FAIL(p->why, CODE_USAGE, 0, "unknown flag %s%s%s%s", bytes_escape(typed, said, sizeof said),
                s.best ? ". Did you mean --" : "", s.best ? s.best : "", s.best ? "?" : "");
}

static enum code take_long(struct parsing *p, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    struct bytes typed = bytes_of(name, equals ? (size_t)(equals - name) : strlen(name));
    for (const struct flag *f = p->o->flags; f && f->name; f++)
        if (bytes_is(typed, f->name))
            return take(p, f, equals ? equals + 1 : NULL);
    if (bytes_is(typed, "help") && !equals) {
        p->o->help = true;
        return CODE_OK;
    }
    return unknown(p, word, typed.len + 2);
}

static const struct flag *by_letter(const struct parsing *p, char letter)
{
    for (const struct flag *f = p->o->flags; f && f->name; f++)
        if (f->letter == letter)
            return f;
    return NULL;
}

static enum code take_letters(struct parsing *p, const char *word)
{
    for (const char *c = word + 1; *c; c++) {
        const struct flag *f = by_letter(p, *c);
        char alone[3] = { '-', *c, 0 };
        if (!f && *c == 'h') {
            p->o->help = true;
            continue;
        }
        if (!f)
            return unknown(p, alone, 2);
        if (f->kind != FLAG_SWITCH)
            return take(p, f, c[1] ? c + 1 : NULL);
        enum code code = take(p, f, NULL);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static enum code take_argument(struct parsing *p, const char *word)
{
    if (p->o->args.count == OPTIONS_ARGS_MAX)
        return FAIL(p->why, CODE_USAGE, 0, "more than %d arguments", OPTIONS_ARGS_MAX);
    return add_text(p, &p->o->args, word);
}

/* "-1", "-0.5", "-.5e3": an argument of a verb that has no such flag letter. Whoever reads it says what is wrong with "-1x". */
static bool is_negative(const struct parsing *p, const char *word)
{
    const char *digit = word + 1 + (word[1] == '.');
    return *digit >= '0' && *digit <= '9' && !by_letter(p, word[1]);
}

static enum code take_words(struct parsing *p)
{
    bool flags_end = false;
    while (p->at < p->argc) {
        const char *word = p->argv[p->at++];
        enum code c;
        if (flags_end || word[0] != '-' || word[1] == 0 || is_negative(p, word))
            c = take_argument(p, word);
        else if (strcmp(word, "--") == 0)
            c = (flags_end = true, CODE_OK);
        else
            c = word[1] == '-' ? take_long(p, word) : take_letters(p, word);
        if (c != CODE_OK)
            return c;
    }
    return CODE_OK;
}

static enum code fill_defaults(const struct parsing *p)
{
    for (const struct flag *f = p->o->flags; f && f->name; f++) {
        enum code c = f->def && f->kind != FLAG_SWITCH ? set_value(p, f, f->def) : CODE_OK;
        FG_ASSERT(c != CODE_USAGE); /* our own rows are right */
        if (c != CODE_OK)
            return c;
    }
    return CODE_OK;
}

static enum code check_required(const struct parsing *p)
{
    char name[64];
    for (const struct flag *f = p->o->flags; f && f->name; f++)
        if (f->required && !(p->o->given & (UINT64_C(1) << (f - p->o->flags))))
            return FAIL(p->why, CODE_USAGE, 0, "%s %s is missing: %s", spelled(f, name),
                        f->value ? f->value : "", f->help);
    return CODE_OK;
}

static bool asks_help(const struct parsing *p)
{
    for (int i = p->at; i < p->argc && strcmp(p->argv[i], "--") != 0; i++)
        if (strcmp(p->argv[i], "--help") == 0)
            return true;
    return false;
}

enum code options_parse(struct options *o, const struct flag *flags, void *values, int argc,
                        const char *const *argv, int64_t now_us, struct fault *why)
{
    struct parsing p = { .o = o, .argv = argv, .argc = argc, .now_us = now_us, .why = why };
    *o = (struct options){ .flags = flags, .values = values };
    (void)count_of(flags);
    enum code c = fill_defaults(&p);
    /* --help wins over whatever else is wrong with the line. */
    if (c == CODE_OK && (o->help = asks_help(&p)))
        return CODE_OK;
    if (c == CODE_OK)
        c = take_words(&p);
    if (c == CODE_OK && !o->help)
        c = check_required(&p);
    return c;
}

void options_clear(struct options *o)
{
    for (const struct flag *f = o->flags; f && f->name; f++) {
        struct texts *texts = (struct texts *)(void *)((char *)o->values + f->offset);
        if (f->kind == FLAG_TEXTS)
            mem_free(texts->at);
        else if (f->kind == FLAG_PROPERTY)
            mem_free(((struct flag_properties *)(void *)texts)->at);
    }
    mem_free(o->args.at);
    *o = (struct options){ 0 };
}

bool options_given(const struct options *o, const char *name)
{
    for (size_t i = 0; i < count_of(o->flags); i++)
        if (strcmp(o->flags[i].name, name) == 0)
            return o->given >> i & 1;
    FG_ASSERT(!"a flag of the verb's own table");
    return false;
}
