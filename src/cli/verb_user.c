/* user add, user list, user rm: the users file. Offline; a running node sees the change by itself. */
#include "base/mem.h"
#include "cli/config.h"
#include "cli/secret.h"
#include "cli/verbs.h"
#include "identity/users.h"

#include <errno.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

struct user_flags {
    struct config_flags config;
    enum output_format  format;
    const char         *password;
    struct texts        roles;
    bool                scram, no_password;
};

/* ---- the file ---- */

struct file {
    const struct verb_call *call;
    char                    dir[PATH_BYTES], name[256], path[PATH_BYTES + 256];
    bool                    in_data; /* DATA/users: its folder may be made */
    int                     lock;    /* -1: none */
    char                   *text;    /* owned */
    size_t                  len;
    struct users           *users;
};

static enum code find(struct file *f, const struct settings *s, struct fault *why)
{
    const char *given = s->users, *slash = strrchr(given, '/');
    int a, b;
    f->in_data = !given[0];
    if (f->in_data) {
        a = snprintf(f->dir, sizeof f->dir, "%s", s->data);
        b = snprintf(f->name, sizeof f->name, "users");
    } else {
        a = snprintf(f->dir, sizeof f->dir, "%.*s", slash ? (int)(slash - given) : 1, slash ? given : ".");
        b = snprintf(f->name, sizeof f->name, "%s", slash ? slash + 1 : given);
    }
    if (a < 0 || b < 1 || (size_t)a >= sizeof f->dir || (size_t)b >= sizeof f->name)
        return FAIL(why, CODE_USAGE, 0, "users: '%s' is not a file's name", given);
    if (!f->dir[0])
        (void)snprintf(f->dir, sizeof f->dir, "/");
    (void)snprintf(f->path, sizeof f->path, "%s/%s", f->dir, f->name);
    return CODE_OK;
}

static enum code load(struct file *f, struct fault *why)
{
    enum code c = io_load(f->call->io, f->path, USERS_FILE_BYTES_MAX, &f->text, &f->len, why);
    if (c == CODE_NOTFOUND)
        c = CODE_OK; /* as an empty one */
    if (c == CODE_OK)
        c = users_parse(&f->users, f->path, bytes_of(f->text, f->len), why);
    return c;
}

/* As `mkdir -p`. */
static int make_folder(const struct io *io, const char *path)
{
    char part[PATH_BYTES];
    int r = 0;
    for (const char *at = path; *at && r == 0;) {
        const char *slash = strchr(at + 1, '/');
        size_t n = slash ? (size_t)(slash - path) : strlen(path);
        (void)snprintf(part, sizeof part, "%.*s", (int)n, path);
        struct io_stat st;
        if (io->stat(io->self, part, &st) < 0)
            r = io->mkdir(io->self, part);
        if (r == -EEXIST)
            r = 0;
        at = path + n;
    }
    return r;
}

/* Two `fieldgate user` at once must not undo each other. */
static enum code take_lock(struct file *f, struct fault *why)
{
    const struct io *io = f->call->io;
    char path[PATH_BYTES + 300];
    int r = f->in_data ? make_folder(io, f->dir) : 0;
    if (r < 0)
        return FAIL_SYS(why, CODE_IO, -r, "cannot make %s", f->dir);
    (void)snprintf(path, sizeof path, "%s.lock", f->path);
    /* Only what we have just made gets the owner of its neighbours: what is there may be a link to anything. */
    f->lock = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE | IO_EXCL);
    if (f->lock >= 0)
        io_keep_owner(io, f->lock, f->path, f->dir);
    else if (f->lock == -EEXIST)
        f->lock = io->open(io->self, path, IO_READ | IO_WRITE);
    if (f->lock < 0)
        return FAIL_SYS(why, CODE_IO, -f->lock, "cannot write in %s", f->dir);
    r = io->lock(io->self, f->lock);
    if (r == -EAGAIN)
        return FAIL(why, CODE_EXISTS, 0, "another `fieldgate user` is changing %s just now; try again", f->path);
    return r < 0 ? FAIL_SYS(why, CODE_IO, -r, "cannot lock %s", path) : CODE_OK;
}

static void close_file(struct file *f)
{
    if (f->lock >= 0)
        f->call->io->close(f->call->io->self, f->lock);
    users_free(f->users);
    if (f->text)
        crypto_wipe(f->text, f->len);
    mem_free(f->text);
}

/* The whole file without `name`, then `user` (NULL: none). Read back before it replaces the old one. */
static enum code replace(struct file *f, struct bytes name, const struct user *user, struct fault *why)
{
    struct buf out = { 0 };
    struct users *check = NULL;
    if (f->len == 0)
        buf_printf(&out, "# Users of Fieldgate. Made by `fieldgate user`; docs/access.md says what a line means.\n");
    users_put_others(&out, bytes_of(f->text, f->len), name);
    if (user)
        users_put(&out, user);
    enum code c = out.bad ? FAIL(why, CODE_NOMEM, 0, "no memory") : users_parse(&check, f->path, buf_bytes(&out), why);
    users_free(check);
    if (c == CODE_OK)
        c = io_replace(f->call->io, f->dir, f->name, buf_bytes(&out), why);
    crypto_wipe(out.at, out.len);
    buf_clear(&out);
    return c;
}

static int with_file(struct verb_call *call, bool writes, enum code (*work)(struct file *, struct fault *))
{
    const struct user_flags *flags = call->values;
    const struct settings *settings;
    struct fault why;
    int status = config_load(call, &flags->config, &settings);
    if (status != STATUS_DONE)
        return status;
    struct file *f = mem_zalloc(1, sizeof *f);
    enum code c = f ? CODE_OK : FAIL(&why, CODE_NOMEM, 0, "no memory");
    if (f) {
        f->call = call;
        f->lock = -1;
        c = find(f, settings, &why);
    }
    settings_free(settings);
    if (c == CODE_OK && writes)
        c = take_lock(f, &why);
    if (c == CODE_OK)
        c = load(f, &why);
    if (c == CODE_OK)
        c = work(f, &why);
    if (f)
        close_file(f);
    mem_free(f);
    return c == CODE_OK ? STATUS_DONE : verb_fail(call, &why);
}

static struct bytes name_argument(const struct verb_call *call)
{
    return bytes_str(call->options->args.at[0]);
}

/* ---- user add ---- */

static enum code read_roles(const struct file *f, const struct user *old, struct bytes roles[USER_ROLES_MAX], struct user *user,
                            struct fault *why)
{
    const struct user_flags *flags = f->call->values;
    if (!flags->roles.count && old) {
        user->roles = old->roles;
        user->role_count = old->role_count;
        return CODE_OK;
    }
    if (flags->roles.count > USER_ROLES_MAX)
        return FAIL(why, CODE_USAGE, 0, "a user has at most %d roles", USER_ROLES_MAX);
    for (size_t i = 0; i < flags->roles.count; i++) {
        roles[i] = bytes_str(flags->roles.at[i]);
        if (!users_role_valid(roles[i]))
            return FAIL(why, CODE_USAGE, 0, "the role '%s' is not 1 to 32 letters, digits, '-', '_' or '.'", flags->roles.at[i]);
    }
    user->roles = roles;
    user->role_count = (uint8_t)flags->roles.count;
    return CODE_OK;
}

static enum code make_records(const struct file *f, struct bytes password, struct user *user, struct fault *why)
{
    const struct user_flags *flags = f->call->values;
    const struct io *io = f->call->io;
    user->has_password = true;
    user->password.cost = scrypt_default;
    user->password.salt_len = 16;
    io->random(io->self, user->password.salt, user->password.salt_len);
    bool ok = password_hash(&user->password, password);
    if (ok && flags->scram) {
        user->has_scram = true;
        user->scram.iterations = SCRAM_ITERATIONS_DEFAULT;
        user->scram.salt_len = 16;
        io->random(io->self, user->scram.salt, user->scram.salt_len);
        ok = scram_record_make(&user->scram, password);
    }
    return ok ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory to hash a password (%s needs 32 MiB)", "scrypt");
}

static enum code add(struct file *f, struct fault *why)
{
    const struct user_flags *flags = f->call->values;
    struct bytes name = name_argument(f->call), password = BYTES_NONE, roles[USER_ROLES_MAX];
    const struct user *old = users_find(f->users, name);
    struct user user = { .name = name };
    const char *flaw = users_name_flaw(name);
    char said[160];
    (void)bytes_escape(name, said, sizeof said);
    if (flaw)
        return FAIL(why, CODE_USAGE, 0, "the name '%s' %s", said, flaw);
    if (flags->no_password && (flags->password || flags->scram))
        return FAIL(why, CODE_USAGE, 0, "--no-password contradicts --password and --scram");
    enum code c = read_roles(f, old, roles, &user, why);
    if (c == CODE_OK && !flags->no_password)
        c = secret_read(f->call, flags->password, said, &password, why);
    if (c == CODE_OK && !flags->no_password)
        c = make_records(f, password, &user, why);
    secret_free(password);
    if (c == CODE_OK)
        c = replace(f, name, &user, why);
    crypto_wipe(&user.password, sizeof user.password);
    crypto_wipe(&user.scram, sizeof user.scram);
    if (c != CODE_OK)
        return c;
    (void)fprintf(f->call->err, "%s is %s %s; a running node sees it within a few seconds\n", said, old ? "changed in" : "now in",
                  f->path);
    if (old && old->has_scram && !user.has_scram)
        verb_warn(f->call, "the record for SCRAM-SHA-256 was of the old password and is gone; --scram makes a new one");
    return CODE_OK;
}

static int run_add(struct verb_call *call)
{
    return with_file(call, true, add);
}

static const struct flag add_flags[] = {
    { 'P', "password", FLAG_TEXT, FLAG_FIELD(struct user_flags, password), .value = "PASSWORD",
      .help = "@FILE or - (standard input); without it you are asked" },
    { 0, "scram", FLAG_SWITCH, FLAG_FIELD(struct user_flags, scram), .help = "may also sign in by SCRAM-SHA-256 (MQTT 5)" },
    { 0, "role", FLAG_TEXTS, FLAG_FIELD(struct user_flags, roles), .value = "ROLE",
      .help = "a role that rules speak of; may be repeated (admin and monitor may read $SYS)" },
    { 0, "no-password", FLAG_SWITCH, FLAG_FIELD(struct user_flags, no_password),
      .help = "roles only, for one who signs in with a certificate" },
    CONFIG_FLAGS(struct user_flags, config),
    FLAGS_END,
};

static const struct verb verb_user_add = {
    .name = "add",
    .group = "care",
    .summary = "add a user, or give one a new password",
    .detail = "The password is kept as a scrypt hash in DATA/users (or the file of the setting `users`), readable\n"
              "by its owner alone. Roles of a user who is there already stay unless new ones are given.",
    .examples = { "fieldgate user add press-1", "fieldgate user add press-1 --password @secret.txt --scram",
                  "fieldgate user add anna --role admin --role monitor" },
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .flags = add_flags,
    .values_size = sizeof(struct user_flags),
    .run = run_add,
};

/* ---- user rm ---- */

static enum code drop(struct file *f, struct fault *why)
{
    struct bytes name = name_argument(f->call);
    char said[160];
    (void)bytes_escape(name, said, sizeof said);
    if (!users_find(f->users, name))
        return FAIL(why, CODE_NOTFOUND, 0, "there is no user '%s' in %s", said, f->path);
    enum code c = replace(f, name, NULL, why);
    if (c == CODE_OK)
        (void)fprintf(f->call->err, "%s is gone; a running node ends his connections within a few seconds\n", said);
    return c;
}

static int run_rm(struct verb_call *call)
{
    return with_file(call, true, drop);
}

static const struct flag rm_flags[] = { CONFIG_FLAGS(struct user_flags, config), FLAGS_END };

static const struct verb verb_user_rm = {
    .name = "rm",
    .group = "care",
    .summary = "remove a user",
    .detail = "A running node ends his connections. His sessions stay until they expire, for nobody else.",
    .examples = { "fieldgate user rm press-1", "fieldgate user rm press-1 --data /var/lib/fieldgate" },
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .flags = rm_flags,
    .values_size = sizeof(struct user_flags),
    .run = run_rm,
};

/* ---- user list ---- */

static enum code list(struct file *f, struct fault *why)
{
    static const struct column columns[] = { { "NAME", "name", COLUMN_TEXT },
                                             { "ROLES", "roles", COLUMN_TEXT },
                                             { "PASSWORD", "password", COLUMN_TEXT },
                                             { "SCRAM", "scram", COLUMN_TEXT } };
    const struct user_flags *flags = f->call->values;
    struct output o;
    struct buf roles = { 0 };
    output_open(&o, f->call->out, flags->format, "users", columns, 4);
    o.err = f->call->err;
    for (size_t i = 0; i < f->users->count; i++) {
        const struct user *u = &f->users->at[i];
        buf_reset(&roles);
        for (size_t k = 0; k < u->role_count; k++) {
            if (k)
                buf_u8(&roles, ',');
            buf_add_bytes(&roles, u->roles[k]);
        }
        output_text(&o, u->name);
        output_text(&o, buf_bytes(&roles));
        output_text(&o, bytes_str(u->has_password ? "scrypt" : "none"));
        output_text(&o, bytes_str(u->has_scram ? "sha-256" : "no"));
    }
    buf_clear(&roles);
    if (output_close(&o))
        return FAIL(why, CODE_IO, 0, "not everything could be printed");
    if (!f->users->count && flags->format == OUTPUT_TABLE)
        (void)fprintf(f->call->err, "No users in %s. fieldgate user add NAME\n", f->path);
    return CODE_OK;
}

static int run_list(struct verb_call *call)
{
    return with_file(call, false, list);
}

static const struct flag list_flags[] = {
    CONFIG_FLAGS(struct user_flags, config),
    FLAG_OUTPUT(struct user_flags, format),
    FLAGS_END,
};

static const struct verb verb_user_list = {
    .name = "list",
    .group = "care",
    .summary = "show the users and their roles",
    .examples = { "fieldgate user list", "fieldgate user list -o json" },
    .flags = list_flags,
    .values_size = sizeof(struct user_flags),
    .run = run_list,
};

static const struct verb *const children[] = { &verb_user_add, &verb_user_list, &verb_user_rm, NULL };

const struct verb verb_user = {
    .name = "user",
    .group = "care",
    .summary = "users and their passwords",
    .examples = { "fieldgate user add press-1", "fieldgate user list", "fieldgate user rm press-1" },
    .children = children,
};
