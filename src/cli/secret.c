#include "cli/secret.h"

#include "base/mem.h"
#include "identity/crypto.h"

#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_MAX = 65535, LINE_MAX_BYTES = 4096 };

void secret_free(struct bytes b)
{
    crypto_wipe((void *)(uintptr_t)b.at, b.len);
    mem_free((void *)(uintptr_t)b.at);
}

static enum code keep(const char *text, size_t len, struct bytes *out, struct fault *why)
{
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    if (len == 0)
        return FAIL(why, CODE_USAGE, 0, "an empty password is none");
    const char *copy = mem_strndup(text, len);
    if (!copy)
        return FAIL(why, CODE_NOMEM, 0, "no memory");
    *out = bytes_of(copy, len);
    return CODE_OK;
}

static enum code from_file(const struct verb_call *call, const char *path, struct bytes *out, struct fault *why)
{
    char *text;
    size_t len;
    enum code c = io_load(call->io, path, SECRET_MAX, &text, &len, why);
    if (c != CODE_OK)
        return c;
    c = keep(text, len, out, why);
    crypto_wipe(text, len);
    mem_free(text);
    return c;
}

static enum code one_line(struct bytes *out, struct fault *why)
{
    char line[LINE_MAX_BYTES];
    bool some = fgets(line, sizeof line, stdin) != NULL;
    if (some && strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n') {
        crypto_wipe(line, sizeof line);
        return FAIL(why, CODE_USAGE, 0, "the password is longer than %d bytes; give it as @FILE", LINE_MAX_BYTES - 2);
    }
    enum code c = some ? keep(line, strlen(line), out, why)
                       : FAIL(why, CODE_USAGE, 0, "no password came on standard input");
    crypto_wipe(line, sizeof line);
    return c;
}

/* Ctrl-C waits until the terminal shows again what is typed. */
static enum code unseen_line(const struct verb_call *call, const char *prompt, const char *what, struct bytes *out,
                             struct fault *why)
{
    struct termios before, silent;
    sigset_t set, old;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return FAIL(why, CODE_USAGE, 0, "standard input is no terminal to type a password at; use --password @FILE or -");
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &set, &old);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    (void)fprintf(call->err, "%s for %s: ", prompt, what);
    (void)fflush(call->err);
    enum code c = one_line(out, why);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputc('\n', call->err);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    return c;
}

static enum code asked(const struct verb_call *call, const char *what, struct bytes *out, struct fault *why)
{
    struct bytes again = BYTES_NONE;
    enum code c = unseen_line(call, "Password", what, out, why);
    if (c != CODE_OK)
        return c;
    c = unseen_line(call, "Once more", what, &again, why);
    if (c == CODE_OK && !bytes_equal(*out, again))
        c = FAIL(why, CODE_USAGE, 0, "the two passwords differ; nothing was changed");
    secret_free(again);
    if (c != CODE_OK)
        secret_free(*out);
    return c;
}

enum code secret_read(const struct verb_call *call, const char *given, const char *what, struct bytes *out, struct fault *why)
{
    *out = BYTES_NONE;
    if (!given)
        return asked(call, what, out, why);
    if (given[0] == '@')
        return from_file(call, given + 1, out, why);
    if (strcmp(given, "-") == 0)
        return one_line(out, why);
    verb_warn(call, "other users of this machine can read a password given with -P; use -P @FILE or -P -");
    return keep(given, strlen(given), out, why);
}
