/* Finds the verb, parses its flags, runs it; and every sentence a verb says when it cannot. */
#include "cli/verb.h"

#include "base/mem.h"
#include "base/suggest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES_MAX = 64, NAMES_MAX = 64 };

const struct verb *verb_find(const struct verb *const *verbs, struct bytes name)
{
    for (; verbs && *verbs; verbs++)
        if (bytes_is(name, (*verbs)->name))
            return *verbs;
    return NULL;
}

/* ---- sentences ---- */

static void say(const struct verb_call *call, const char *fmt, va_list ap)
{
    (void)fprintf(call->err, "fieldgate%s%s: ", call->path[0] ? " " : "", call->path);
    (void)vfprintf(call->err, fmt, ap);
    (void)fputc('\n', call->err);
}

int verb_usage(const struct verb_call *call, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(call, fmt, ap);
    va_end(ap);
    (void)fprintf(call->err, "How to use it: fieldgate %s%s--help\n", call->path, call->path[0] ? " " : "");
    return STATUS_USAGE;
}

void verb_warn(const struct verb_call *call, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(call, fmt, ap);
    va_end(ap);
}

int verb_fail(const struct verb_call *call, const struct fault *why)
{
    /* A numbered sentence names its subject itself. */
    if (why->number)
        (void)fprintf(call->err, "FG%d %s\n", why->number, why->text);
    else
        (void)fprintf(call->err, "fieldgate %s: %s\n", call->path, why->text);
    if (why->code == CODE_USAGE)
        return STATUS_USAGE;
    return why->code == CODE_CLOSED ? STATUS_NOT_RUNNING : STATUS_FAILED;
}

/* ---- help ---- */

static void print_usage_line(FILE *to, const struct verb *verb, const char *path)
{
    (void)fprintf(to, "Usage: fieldgate %s%s%s%s%s\n", path, verb->children ? " VERB" : "",
                  verb->flags || verb->children ? " [FLAGS]" : "", verb->args ? " " : "",
                  verb->args ? verb->args : "");
}

static int flag_width(const struct flag *f, char *out, size_t cap)
{
    char letter[8] = "    ";
    if (f->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", f->letter);
    return snprintf(out, cap, "  %s--%s%s%s", letter, f->name, f->value ? " " : "", f->value ? f->value : "");
}

static void print_flags(FILE *to, const struct flag *flags)
{
    char text[96];
    int width = 12;
    for (const struct flag *f = flags; f && f->name; f++) {
        int n = f->hidden ? 0 : flag_width(f, text, sizeof text);
        width = n > width && n < 36 ? n : width;
    }
    (void)fprintf(to, "\nFlags:\n");
    for (const struct flag *f = flags; f && f->name; f++) {
        if (f->hidden)
            continue;
        if (flag_width(f, text, sizeof text) > width)
            (void)fprintf(to, "%s\n%-*s  %s", text, width, "", f->help);
        else
            (void)fprintf(to, "%-*s  %s", width, text, f->help);
        if (f->def && f->def[0] && f->kind != FLAG_SWITCH)
            (void)fprintf(to, " (default %s)", f->def);
        (void)fputc('\n', to);
    }
    (void)fprintf(to, "%-*s  %s\n", width, "      --help", "this page");
}

void verb_print_help(FILE *to, const struct verb *verb, const char *path)
{
    (void)fprintf(to, "fieldgate %s - %s\n\n", path, verb->summary);
    for (size_t i = 0; i < 3 && verb->examples[i]; i++)
        (void)fprintf(to, "  %s\n", verb->examples[i]);
    (void)fputc('\n', to);
    print_usage_line(to, verb, path);
    if (verb->children) {
        (void)fprintf(to, "\nVerbs:\n");
        for (const struct verb *const *c = verb->children; *c; c++)
            if ((*c)->group)
                (void)fprintf(to, "  %-12s  %s\n", (*c)->name, (*c)->summary);
    }
    print_flags(to, verb->flags);
    if (verb->detail)
        (void)fprintf(to, "\n%s\n", verb->detail);
}

static void print_verbs(FILE *to, const struct verb *verb, const char *before)
{
    char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s%s", before, verb->name);
    if (!verb->children) {
        (void)fprintf(to, "  %-16s  %s\n", path, verb->summary);
        return;
    }
    for (const struct verb *const *c = verb->children; *c; c++)
        if ((*c)->group)
            (void)fprintf(to, "  %s %-*s  %s\n", path, 15 - (int)strlen(path), (*c)->name, (*c)->summary);
}

void verb_print_overview(FILE *to, const struct verb *const *verbs)
{
    static const char *const groups[] = { "run",   "messages",      "hub",     "identity",
                                          "field", "streaming SQL", "modules", "care" };
    static const char *const first[] = { "demo", "run", "sub" };
    (void)fprintf(to, "fieldgate - edge gateway and hub for machines\n\n");
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        const struct verb *v = verb_find(verbs, bytes_str(first[i]));
        if (v && v->examples[0])
            (void)fprintf(to, "  %s\n", v->examples[0]);
    }
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        bool any = false;
        for (const struct verb *const *v = verbs; *v; v++) {
            if (!(*v)->group || strcmp((*v)->group, groups[g]) != 0)
                continue;
            if (!any)
                (void)fprintf(to, "\n%s\n", groups[g]);
            any = true;
            print_verbs(to, *v, "");
        }
    }
    (void)fprintf(
        to,
        "\nfieldgate VERB --help shows examples and flags. Exit status: 0 done, 1 failed, 2 wrong usage,\n"
        "3 not running, 4 done with warnings.\n");
}

/* ---- dispatch ---- */

static const char *nearest(const struct verb *const *verbs, const char *typed)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; *verbs && n < NAMES_MAX; verbs++)
        if ((*verbs)->group)
            names[n++] = (*verbs)->name;
    return suggest_word(bytes_str(typed), names, n);
}

static int unknown_verb(const struct verb_call *call, const struct verb *const *verbs, const char *typed)
{
    char said[64];
    const char *near = nearest(verbs, typed);
    bytes_escape(bytes_str(typed), said, sizeof said);
    (void)fprintf(call->err, "fieldgate%s%s: there is no verb '%s'.", call->path[0] ? " " : "", call->path,
                  said);
    if (near)
        (void)fprintf(call->err, " Did you mean '%s'?", near);
    (void)fprintf(call->err, "\nAll verbs: fieldgate %s%s--help\n", call->path, call->path[0] ? " " : "");
    return STATUS_USAGE;
}

/* What could not be written makes a done verb a failed one: `fieldgate events > /dev/full` must not say 0. */
static int check_written(const struct verb_call *call, int status)
{
    errno = 0;
    if (fflush(call->out) == 0 && !ferror(call->out))
        return status;
    struct fault why = { 0 };
    if (errno)
        (void)FAIL_SYS(&why, CODE_IO, errno, "not everything could be written");
    else
        (void)FAIL(&why, CODE_IO, 0, "not everything could be written: its reader or the disk did not take it");
    verb_warn(call, "%s", why.text);
    return status == STATUS_DONE || status == STATUS_WARNINGS ? STATUS_FAILED : status;
}

static int run_parsed(struct verb_call *call)
{
    const struct verb *verb = call->verb;
    const struct texts *args = &call->options->args;
    if (call->options->help) {
        verb_print_help(call->out, verb, call->path);
        return STATUS_DONE;
    }
    if (!verb->args && args->count)
        return verb_usage(call, "takes no arguments, got '%s'", args->at[0]);
    if (args->count < verb->args_min)
        return verb_usage(call, "needs %s", verb->args);
    if (args->count > verb->args_max && verb->args)
        return verb_usage(call, "takes %s, got also '%s'", verb->args, args->at[verb->args_max]);
    return verb->run(call);
}

static enum code take_raw(struct options *o, int argc, const char *const *argv, struct fault *why)
{
    o->help = argc == 1 && strcmp(argv[0], "--help") == 0;
    o->args.at = mem_zalloc((size_t)argc + 1, sizeof *o->args.at);
    if (!o->args.at)
        return FAIL(why, CODE_NOMEM, 0, "no memory");
    for (int i = 0; i < argc; i++)
        o->args.at[o->args.count++] = argv[i];
    return CODE_OK;
}

static int run_verb(struct verb_call *call, int argc, const char *const *argv)
{
    struct options options = { 0 };
    struct fault why;
    call->options = &options;
    call->values = mem_zalloc(1, call->verb->values_size);
    if (!call->values) {
        verb_warn(call, "no memory");
        return STATUS_FAILED;
    }
    enum code c = call->verb->raw ? take_raw(&options, argc, argv, &why)
                                  : options_parse(&options, call->verb->flags, call->values, argc, argv,
                                                  call->io->wall_us(call->io->self), &why);
    int status;
    if (c == CODE_OK)
        status = run_parsed(call);
    else if (c == CODE_USAGE)
        status = verb_usage(call, "%s", why.text);
    else
        status = verb_fail(call, &why);
    status = check_written(call, status);
    options_clear(&options);
    mem_free(call->values);
    return status;
}

/* `fieldgate config show ...`: walks down while a verb has children. argv[0] is the first word behind the
 * verb. */
static int descend(struct verb_call *call, int argc, const char *const *argv)
{
    char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s", call->verb->name);
    call->path = path;
    while (call->verb->children) {
        if (argc == 0)
            return verb_usage(call, "needs a verb");
        if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
            verb_print_help(call->out, call->verb, path);
            return check_written(call, STATUS_DONE);
        }
        const struct verb *child = verb_find(call->verb->children, bytes_str(argv[0]));
        if (!child)
            return unknown_verb(call, call->verb->children, argv[0]);
        size_t n = strlen(path);
        (void)snprintf(path + n, sizeof path - n, " %s", child->name);
        call->verb = child;
        argc--;
        argv++;
    }
    return run_verb(call, argc, argv);
}

int verb_main(const struct verb *const *verbs, const struct io *io, int argc, const char *const *argv,
              const char *const *environment, FILE *out, FILE *err)
{
    struct verb_call call = { .path = "", .io = io, .environment = environment, .verbs = verbs, .out = out,
                              .err = err };
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        verb_print_overview(out, verbs);
        return check_written(&call, STATUS_DONE);
    }
    if (strcmp(first, "--version") == 0)
        first = "version";
    if (!first[0]) {
        verb_print_overview(err, verbs);
        return STATUS_USAGE;
    }
    if (first[0] == '-')
        return verb_usage(&call, "a verb comes first, got '%s'", first);
    call.verb = verb_find(verbs, bytes_str(first));
    if (!call.verb)
        return unknown_verb(&call, verbs, first);
    return descend(&call, argc - 2, argv + 2);
}
