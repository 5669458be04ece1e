/* completion.c - shell completion. Verbs, flags and the words of choices come from the table; where a flag wants a FILE or a DIR,
 * the shell completes names. */
#include "cli/completion.h"

#include <stdio.h>

enum { PATH_MAX_BYTES = 64 };

typedef void (*leaf_fn)(FILE *to, const struct verb *, const char *path);

/* Calls `leaf` for each verb that does something, with its path ("config show"). */
static void each_leaf(FILE *to, const struct verb *const *verbs, const char *before, leaf_fn leaf)
{
    for (; *verbs; verbs++) {
        char path[PATH_MAX_BYTES];
        if (!(*verbs)->group)
            continue;
        (void)snprintf(path, sizeof path, "%s%s%s", before, before[0] ? " " : "", (*verbs)->name);
        if ((*verbs)->children)
            each_leaf(to, (*verbs)->children, path, leaf);
        else
            leaf(to, *verbs, path);
    }
}

static bool wants_name(const struct flag *f)
{
    return f->value && (strcmp(f->value, "FILE") == 0 || strcmp(f->value, "DIR") == 0);
}

static bool shown(const struct flag *f)
{
    return !f->hidden;
}

static bool takes_value(const struct flag *f)
{
    return f->kind != FLAG_SWITCH;
}

/* ---- bash ---- */

static void bash_flags(FILE *to, const struct verb *verb, const char *path)
{
    (void)fprintf(to, "    '%s') words='--help", path);
    for (const struct flag *f = verb->flags; f && f->name; f++)
        if (shown(f))
            (void)fprintf(to, " --%s", f->name);
    (void)fprintf(to, "' ;;\n");
}

static void bash_values(FILE *to, const struct verb *verb, const char *path)
{
    for (const struct flag *f = verb->flags; f && f->name; f++) {
        if (!shown(f) || !takes_value(f))
            continue;
        (void)fprintf(to, "    '%s --%s'", path, f->name);
        if (f->letter)
            (void)fprintf(to, "|'%s -%c'", path, f->letter);
        if (f->words) {
            (void)fprintf(to, ") values='");
            for (size_t i = 0; f->words[i]; i++)
                (void)fprintf(to, "%s%s", i ? " " : "", f->words[i]);
            (void)fprintf(to, "' ;;\n");
        } else {
            (void)fprintf(to, ") %s ;;\n", wants_name(f) ? "names=1" : "free=1");
        }
    }
}

static void bash_verbs(FILE *to, const struct verb *const *verbs)
{
    for (const char *space = ""; *verbs; verbs++)
        if ((*verbs)->group) {
            (void)fprintf(to, "%s%s", space, (*verbs)->name);
            space = " ";
        }
}

void completion_bash(FILE *to, const struct verb *const *verbs)
{
    (void)fprintf(to, "# fieldgate completion for bash: source <(fieldgate completion bash)\n"
                      "_fieldgate() {\n"
                      "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} "
                      "path=${COMP_WORDS[1]} words= values= names= free=\n"
                      "    COMPREPLY=()\n"
                      "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                      "        COMPREPLY=($(compgen -W '");
    bash_verbs(to, verbs);
    (void)fprintf(to, " --help --version' -- \"$cur\"))\n        return\n    fi\n");
    for (const struct verb *const *v = verbs; *v; v++) {
        if (!(*v)->children || !(*v)->group)
            continue;
        (void)fprintf(to,
                      "    if [ \"$path\" = %s ]; then\n"
                      "        if [ \"$COMP_CWORD\" -eq 2 ]; then COMPREPLY=($(compgen -W '",
                      (*v)->name);
        bash_verbs(to, (*v)->children);
        (void)fprintf(to, "' -- \"$cur\")); return; fi\n        path=\"$path ${COMP_WORDS[2]}\"\n    fi\n");
    }
    (void)fprintf(to, "    case \"$path $prev\" in\n");
    each_leaf(to, verbs, "", bash_values);
    (void)fprintf(
        to, "    esac\n"
            "    if [ -n \"$values\" ]; then COMPREPLY=($(compgen -W \"$values\" -- \"$cur\")); return; fi\n"
            "    if [ -n \"$names\" ]; then COMPREPLY=($(compgen -f -- \"$cur\")); return; fi\n"
            "    if [ -n \"$free\" ]; then return; fi\n"
            "    case \"$path\" in\n");
    each_leaf(to, verbs, "", bash_flags);
    (void)fprintf(to, "    esac\n"
                      "    case \"$cur\" in -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;; *) "
                      "COMPREPLY=($(compgen -f -- \"$cur\")) ;; esac\n"
                      "}\n"
                      "complete -o filenames -F _fieldgate fieldgate\n");
}

/* ---- zsh ---- */

/* Inside '...': the quote itself, and what _arguments and _describe would take for their own. */
static void zsh_text(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            (void)fputs("'\\''", to);
        else if (strchr("[]:\\", *text))
            (void)fprintf(to, "\\%c", *text);
        else
            (void)fputc(*text, to);
    }
}

static void zsh_value(FILE *to, const struct flag *f)
{
    if (!takes_value(f))
        return;
    (void)fputc(':', to);
    zsh_text(to, f->value ? f->value : "VALUE");
    (void)fputc(':', to);
    if (f->words) {
        (void)fputc('(', to);
        for (size_t i = 0; f->words[i]; i++)
            (void)fprintf(to, "%s%s", i ? " " : "", f->words[i]);
        (void)fputc(')', to);
    } else if (wants_name(f)) {
        (void)fputs("_files", to);
    }
}

static void zsh_leaf(FILE *to, const struct verb *verb, const char *path)
{
    (void)fprintf(to, "    '%s') _arguments -s -S", path);
    for (const struct flag *f = verb->flags; f && f->name; f++) {
        const char *repeat = f->kind == FLAG_TEXTS || f->kind == FLAG_PROPERTY ? "*" : "";
        if (!shown(f))
            continue;
        if (f->letter) {
            (void)fprintf(to, " \\\n        '%s-%c[", repeat, f->letter);
            zsh_text(to, f->help);
            (void)fputc(']', to);
            zsh_value(to, f);
            (void)fputc('\'', to);
        }
        (void)fprintf(to, " \\\n        '%s--%s[", repeat, f->name);
        zsh_text(to, f->help);
        (void)fputc(']', to);
        zsh_value(to, f);
        (void)fputc('\'', to);
    }
    (void)fprintf(to, " \\\n        '--help[examples and flags]' '*:argument:_files' ;;\n");
}

static void zsh_verbs(FILE *to, const struct verb *const *verbs)
{
    for (; *verbs; verbs++) {
        if (!(*verbs)->group)
            continue;
        (void)fprintf(to, " '%s:", (*verbs)->name);
        zsh_text(to, (*verbs)->summary);
        (void)fputc('\'', to);
    }
}

void completion_zsh(FILE *to, const struct verb *const *verbs)
{
    (void)fprintf(to, "#compdef fieldgate\n"
                      "# fieldgate completion for zsh: source <(fieldgate completion zsh)\n"
                      "_fieldgate() {\n"
                      "    local -a verbs\n"
                      "    local path_=$words[2]\n"
                      "    if (( CURRENT == 2 )); then\n"
                      "        verbs=(");
    zsh_verbs(to, verbs);
    (void)fprintf(to, ")\n        _describe verb verbs\n        return\n    fi\n");
    for (const struct verb *const *v = verbs; *v; v++) {
        if (!(*v)->children || !(*v)->group)
            continue;
        (void)fprintf(
            to, "    if [[ $path_ == %s ]]; then\n        if (( CURRENT == 3 )); then\n            verbs=(",
            (*v)->name);
        zsh_verbs(to, (*v)->children);
        (void)fprintf(to,
                      ")\n            _describe verb verbs\n            return\n        fi\n"
                      "        path_=\"$path_ $words[3]\"\n        shift words; (( CURRENT-- ))\n    fi\n");
    }
    (void)fprintf(to, "    shift words; (( CURRENT-- ))\n    case $path_ in\n");
    each_leaf(to, verbs, "", zsh_leaf);
    (void)fprintf(to, "    esac\n}\ncompdef _fieldgate fieldgate\n");
}

/* ---- fish ---- */

static void fish_text(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            (void)fputc('\\', to);
        (void)fputc(*text, to);
    }
}

/* The condition under which a leaf's flags are offered. */
static void fish_when(FILE *to, const char *path)
{
    const char *space = strchr(path, ' ');
    if (space)
        (void)fprintf(
            to,
            "complete -c fieldgate -n '__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s'",
            (int)(space - path), path, space + 1);
    else
        (void)fprintf(to, "complete -c fieldgate -n '__fish_seen_subcommand_from %s'", path);
}

static void fish_leaf(FILE *to, const struct verb *verb, const char *path)
{
    for (const struct flag *f = verb->flags; f && f->name; f++) {
        if (!shown(f))
            continue;
        fish_when(to, path);
        if (f->letter)
            (void)fprintf(to, " -s %c", f->letter);
        (void)fprintf(to, " -l %s", f->name);
        if (takes_value(f))
            (void)fputs(wants_name(f) ? " -r -F" : " -x", to);
        if (f->words) {
            (void)fputs(" -a '", to);
            for (size_t i = 0; f->words[i]; i++)
                (void)fprintf(to, "%s%s", i ? " " : "", f->words[i]);
            (void)fputc('\'', to);
        }
        (void)fputs(" -d '", to);
        fish_text(to, f->help);
        (void)fputs("'\n", to);
    }
}

void completion_fish(FILE *to, const struct verb *const *verbs)
{
    (void)fprintf(to, "# fieldgate completion for fish: fieldgate completion fish | source\n");
    for (const struct verb *const *v = verbs; *v; v++) {
        if (!(*v)->group)
            continue;
        (void)fprintf(to, "complete -c fieldgate -f -n __fish_use_subcommand -a %s -d '", (*v)->name);
        fish_text(to, (*v)->summary);
        (void)fputs("'\n", to);
        for (const struct verb *const *c = (*v)->children; c && *c; c++) {
            (void)fprintf(to, "complete -c fieldgate -f -n '__fish_seen_subcommand_from %s' -a %s -d '",
                          (*v)->name, (*c)->name);
            fish_text(to, (*c)->summary);
            (void)fputs("'\n", to);
        }
    }
    each_leaf(to, verbs, "", fish_leaf);
}

/* ---- man ---- */

/* Text that troff takes as it stands. */
static void roff(FILE *to, const char *text)
{
    for (bool start = true; *text; start = *text == '\n', text++) {
        if (start && (*text == '.' || *text == '\''))
            (void)fputs("\\&", to);
        if (*text == '\\')
            (void)fputs("\\e", to);
        else if (*text == '-')
            (void)fputs("\\-", to);
        else
            (void)fputc(*text, to);
    }
}

static void roff_flag(FILE *to, const struct flag *f)
{
    (void)fputs(".TP\n", to);
    if (f->letter)
        (void)fprintf(to, "\\fB\\-%c\\fR, ", f->letter);
    (void)fputs("\\fB\\-\\-", to);
    roff(to, f->name);
    (void)fputs("\\fR", to);
    if (f->value) {
        (void)fputs(" \\fI", to);
        roff(to, f->value);
        (void)fputs("\\fR", to);
    }
    (void)fputc('\n', to);
    roff(to, f->help);
    if (f->def && f->def[0] && f->kind != FLAG_SWITCH) {
        (void)fputs(" (default ", to);
        roff(to, f->def);
        (void)fputc(')', to);
    }
    (void)fputc('\n', to);
}

void manual_page(FILE *to, const struct verb *verb, const char *path)
{
    char name[PATH_MAX_BYTES];
    (void)snprintf(name, sizeof name, "fieldgate-%s", path);
    for (char *c = name; *c; c++)
        if (*c == ' ')
            *c = '-';
    (void)fprintf(to, ".TH %s 1 \"\" \"fieldgate " FG_VERSION "\"\n.SH NAME\n", name);
    roff(to, name);
    (void)fprintf(to, " \\- ");
    roff(to, verb->summary);
    (void)fprintf(to, "\n.SH SYNOPSIS\n\\fBfieldgate %s\\fR%s%s%s\n", path, verb->children ? " VERB" : "",
                  verb->flags || verb->children ? " [FLAGS] " : " ", verb->args ? verb->args : "");
    (void)fprintf(to, ".SH EXAMPLES\n.nf\n");
    for (size_t i = 0; i < 3 && verb->examples[i]; i++) {
        roff(to, verb->examples[i]);
        (void)fputc('\n', to);
    }
    (void)fprintf(to, ".fi\n");
    if (verb->flags)
        (void)fprintf(to, ".SH FLAGS\n");
    for (const struct flag *f = verb->flags; f && f->name; f++)
        if (shown(f))
            roff_flag(to, f);
    if (verb->detail) {
        (void)fprintf(to, ".SH NOTES\n.nf\n");
        roff(to, verb->detail);
        (void)fprintf(to, "\n.fi\n");
    }
}
