#include "identity/auth_private.h"

#include "base/limits_use.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/pool.h"

#include <stdio.h>

/* ---- doors ---- */

static const struct auth_door *door_of(const struct auth *a, uint16_t number)
{
    static const struct auth_door users = { .chain = { { AUTH_USERS }, 1 } };
    if (number == AUTH_DOOR_USERS)
        return &users;
    const struct auth_doors *d = atomic_load_explicit((_Atomic(struct auth_doors *) *)(uintptr_t)&a->doors, memory_order_acquire);
    return number < d->count ? &d->at[number] : NULL;
}

bool auth_door_has(const struct auth *a, uint16_t door, enum settings_auth auth)
{
    const struct auth_door *d = door_of(a, door);
    return d && memchr(d->chain.at, (int)auth, d->chain.count);
}

bool auth_has_door(const struct auth *a, enum settings_auth auth)
{
    bool has = false;
    for (uint16_t i = 0; !has && i < AUTH_DOOR_USERS && door_of(a, i); i++)
        has = auth_door_has(a, i, auth);
    return has;
}

bool auth_door_takes(const struct auth *a, uint16_t door, const struct principal *p)
{
    static const enum settings_auth by[] = { [PROOF_NONE] = AUTH_ANONYMOUS, [PROOF_PASSWORD] = AUTH_USERS,
                                             [PROOF_SCRAM] = AUTH_USERS, [PROOF_CERTIFICATE] = AUTH_CERTIFICATE };
    return auth_door_has(a, door, by[p->proof]);
}

/* ---- files ---- */

struct file {
    char        *text; /* owned */
    size_t       len;
    enum code    code;
    struct fault why;  /* code is not OK */
};

static void load(const struct io *io, const char *path, size_t max, struct file *f)
{
    f->text = NULL;
    f->len = 0;
    f->code = io_load(io, path, max, &f->text, &f->len, &f->why);
}

static void unload(struct file *f)
{
    if (f->text)
        crypto_wipe(f->text, f->len);
    mem_free(f->text);
}

/* What stands in the file, or why it could not be read. */
static bool digest_of(const struct file *f, uint8_t out[SHA256_BYTES])
{
    if (f->code == CODE_OK)
        return crypto_sha256(bytes_of(f->text, f->len), out);
    memset(out, 0, SHA256_BYTES);
    out[0] = (uint8_t)f->code;
    return true;
}

struct files {
    struct file users, rules;
};

static void load_both(const struct auth *a, struct files *f)
{
    *f = (struct files){ .rules = { .code = CODE_NOTFOUND } };
    load(a->config.io, a->config.users_path, USERS_FILE_BYTES_MAX, &f->users);
    if (a->config.rules_path)
        load(a->config.io, a->config.rules_path, RULES_FILE_BYTES_MAX, &f->rules);
}

static void unload_both(struct files *f)
{
    unload(&f->users);
    unload(&f->rules);
}

static bool digest_both(const struct files *f, uint8_t out[SHA256_BYTES])
{
    uint8_t two[2 * SHA256_BYTES];
    return digest_of(&f->users, two) && digest_of(&f->rules, two + SHA256_BYTES) && crypto_sha256(bytes_of(two, sizeof two), out);
}

static enum code parse_users(const struct auth *a, const struct file *f, struct users **out, struct fault *why)
{
    struct fault inner = f->why;
    enum code c = f->code;
    if (c == CODE_OK || (c == CODE_NOTFOUND && a->config.users_optional))
        c = users_parse(out, a->config.users_path, bytes_of(f->text, f->len), &inner);
    if (c == CODE_OK)
        return CODE_OK;
    return FAIL_FG(why, c, 1020, "%s. Half a file lets nobody in: put it right, or make it anew with `fieldgate user`",
                   inner.text);
}

static enum code parse_rules(const struct auth *a, const struct file *f, struct rules **out, struct fault *why)
{
    struct fault inner = f->why;
    if (!a->config.rules_path)
        return CODE_OK;
    enum code c = f->code == CODE_OK ? rules_parse(out, a->config.rules_path, bytes_of(f->text, f->len), &inner) : f->code;
    return c == CODE_OK ? CODE_OK : FAIL_FG(why, c, 1022, "%s. Rules hold as a whole or not at all: put the file right", inner.text);
}

static uint64_t serial_now(struct auth *a)
{
    struct access *access = auth_access(a);
    uint64_t serial = access ? access->serial : 0;
    access_drop(access);
    return serial;
}

static enum code prepare_from(struct auth *a, const struct files *f, const uint8_t digest[SHA256_BYTES], struct auth_change **out,
                              struct fault *why)
{
    struct auth_change *change = mem_zalloc(1, sizeof *change);
    struct users *users = NULL;
    struct rules *rules = NULL;
    if (!change)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the users");
    memcpy(change->digest, digest, SHA256_BYTES);
    change->base = serial_now(a);
    enum code c = parse_users(a, &f->users, &users, why);
    if (c == CODE_OK)
        c = parse_rules(a, &f->rules, &rules, why);
    if (c == CODE_OK) {
        change->access = access_new(users, rules);
        users = NULL;
        rules = NULL;
        if (!change->access)
            c = FAIL(why, CODE_NOMEM, 0, "no memory for the users");
    }
    users_free(users);
    rules_free(rules);
    if (c != CODE_OK) {
        mem_free(change);
        return c;
    }
    *out = change;
    return CODE_OK;
}

enum code auth_prepare(struct auth *a, struct auth_change **out, struct fault *why)
{
    uint8_t digest[SHA256_BYTES];
    struct files f;
    load_both(a, &f);
    enum code c = digest_both(&f, digest) ? prepare_from(a, &f, digest, out, why)
                                          : FAIL(why, CODE_NOMEM, 0, "no memory for the users");
    unload_both(&f);
    return c;
}

enum code auth_look(struct auth *a, struct auth_change **out, bool *soon, struct fault *why)
{
    uint8_t digest[SHA256_BYTES];
    struct files f;
    enum code c = CODE_OK;
    *out = NULL;
    *soon = false;
    load_both(a, &f);
    if (!digest_both(&f, digest)) {
        c = FAIL(why, CODE_NOMEM, 0, "no memory for the users");
    } else {
        (void)pthread_mutex_lock(&a->lock);
        bool holds = memcmp(digest, a->digest, sizeof digest) == 0;
        (void)pthread_mutex_unlock(&a->lock);
        *soon = !holds && memcmp(digest, a->seen, sizeof digest) != 0;
        memcpy(a->seen, digest, sizeof digest);
        if (!holds && !*soon)
            c = prepare_from(a, &f, digest, out, why);
    }
    unload_both(&f);
    return c;
}

bool auth_overtaken(struct auth *a, const struct auth_change *change)
{
    return serial_now(a) != change->base;
}

void auth_commit(struct auth *a, struct auth_change *change)
{
    (void)pthread_mutex_lock(&a->lock);
    struct access *old = a->access;
    a->access = change->access;
    memcpy(a->digest, change->digest, sizeof a->digest);
    (void)pthread_mutex_unlock(&a->lock);
    access_drop(old);
    mem_free(change);
}

void auth_discard(struct auth_change *change)
{
    if (!change)
        return;
    access_drop(change->access);
    mem_free(change);
}

/* ---- life ---- */

enum code auth_doors_new(struct auth_doors **out, const struct auth_door *doors, size_t count, struct fault *why)
{
    struct auth_doors *d = mem_alloc(sizeof *d + count * sizeof d->at[0]);
    if (!d)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %zu listeners", count);
    d->count = count;
    if (count)
        memcpy(d->at, doors, count * sizeof d->at[0]);
    *out = d;
    return CODE_OK;
}

struct auth_doors *auth_change_doors(struct auth *a, struct auth_doors *doors)
{
    return atomic_exchange(&a->doors, doors);
}

void auth_doors_free(struct auth_doors *doors)
{
    mem_free(doors);
}

static enum code copy_config(struct auth *a, const struct auth_config *config)
{
    struct auth_doors *doors = NULL;
    a->config = *config;
    a->config.doors = NULL;
    a->config.door_count = 0;
    a->config.users_path = mem_strdup(config->users_path);
    a->config.rules_path = config->rules_path ? mem_strdup(config->rules_path) : NULL;
    enum code c = auth_doors_new(&doors, config->doors, config->door_count, NULL);
    atomic_init(&a->doors, doors);
    return a->config.users_path && !a->config.rules_path == !config->rules_path ? c : CODE_NOMEM;
}

enum code auth_new(struct auth **out, const struct auth_config *config, struct fault *why)
{
    struct auth *a = mem_zalloc(1, sizeof *a);
    struct auth_change *change;
    if (!a)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the users");
    (void)pthread_mutex_init(&a->lock, NULL);
    failures_init(&a->failures, config->failures_per_minute);
    verified_init(&a->verified, config->io);
    enum code c = copy_config(a, config);
    if (c != CODE_OK)
        (void)FAIL(why, c, 0, "no memory for the users");
    if (c == CODE_OK)
        c = auth_unknown_key(a, config->secret_dir, why);
    if (c == CODE_OK)
        c = auth_prepare(a, &change, why);
    if (c != CODE_OK) {
        auth_free(a);
        return c;
    }
    auth_commit(a, change);
    *out = a;
    return CODE_OK;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    access_drop(a->access);
    failures_clear(&a->failures);
    verified_clear(&a->verified);
    crypto_wipe(a->unknown_key, sizeof a->unknown_key);
    (void)pthread_mutex_destroy(&a->lock);
    auth_doors_free(atomic_load(&a->doors));
    mem_free((void *)(uintptr_t)a->config.users_path);
    mem_free((void *)(uintptr_t)a->config.rules_path);
    mem_free(a);
}

struct access *auth_access(struct auth *a)
{
    (void)pthread_mutex_lock(&a->lock);
    struct access *access = a->access ? access_hold(a->access) : NULL; /* NULL: inside auth_new */
    (void)pthread_mutex_unlock(&a->lock);
    return access;
}

void auth_stats(struct auth *a, struct auth_stats *out)
{
    struct access *access = auth_access(a);
    *out = (struct auth_stats){ .checked = atomic_load(&a->checked), .remembered = atomic_load(&a->remembered),
                                .failed = atomic_load(&a->failed), .banned = atomic_load(&a->banned),
                                .busy = atomic_load(&a->busy), .users = access->users->count,
                                .rules = access->rules ? rules_count(access->rules) : 0 };
    access_drop(access);
}

/* ---- passwords ---- */

/* One check: everything it needs, copied, because the peer may be gone before it ends. */
struct check {
    struct pool_job        job; /* first */
    struct auth           *auth;
    auth_done              later;
    void                  *ctx;
    bool                   known; /* the name is a user's, with a password */
    bool                   loopback, right, failed;
    int64_t                now_us, wait_us; /* when it came; banned meanwhile */
    struct password_record record;
    uint8_t                digest[SHA256_BYTES];
    char                   address[64];
    size_t                 name_len, password_len, size;
    uint8_t                text[]; /* name, password */
};

static struct bytes name_of(const struct check *k)
{
    return bytes_of(k->text, k->name_len);
}

static int64_t monotonic_us(const struct auth *a)
{
    return a->config.io->monotonic_us(a->config.io->self);
}

static void forget(struct check *k)
{
    crypto_wipe(k, k->size);
    mem_free(k);
}

static struct auth_answer refusal(enum auth_verdict verdict, const char *because)
{
    return (struct auth_answer){ .verdict = verdict, .because = because };
}

static struct auth_answer wrong(void)
{
    return refusal(AUTH_WRONG, "user name or password is wrong");
}

static struct auth_answer busy(struct auth *a)
{
    atomic_fetch_add(&a->busy, 1);
    return refusal(AUTH_BUSY, "too many are signing in at once, try again");
}

static struct auth_answer granted(struct auth *a, struct principal *p)
{
    return p ? (struct auth_answer){ .verdict = AUTH_GRANTED, .principal = p } : busy(a);
}

void auth_note_failure(struct auth *a, const char *address, bool loopback, struct bytes name, int64_t now)
{
    char said[96];
    atomic_fetch_add(&a->failed, 1);
    if (!loopback)
        failures_add(&a->failures, address_host(address), name, now);
    log_info("identity", "FG2200 user '%s' at %s: the name is not known here or the password is wrong",
             bytes_escape(name, said, sizeof said), address);
}

int64_t auth_wait_us(struct auth *a, const char *address, bool loopback, struct bytes name, int64_t now)
{
    return loopback ? 0 : failures_wait_us(&a->failures, address_host(address), name, now);
}

struct auth_answer auth_banned(struct auth *a, int64_t wait_us)
{
    atomic_fetch_add(&a->banned, 1);
    limits_refused(LIMIT_AUTH_FAILURES);
    return (struct auth_answer){ .verdict = AUTH_BANNED, .because = "too many failures to sign in, wait a minute",
                                 .wait_us = wait_us };
}

/* On the pool. */
static void hash(struct pool_job *job)
{
    struct check *k = (struct check *)job;
    struct auth *a = k->auth;
    struct bytes password = bytes_of(k->text + k->name_len, k->password_len);
    /* Somebody with the same name and password may have been first. */
    if (k->known && verified_has(&a->verified, k->digest, monotonic_us(a))) {
        atomic_fetch_add(&a->remembered, 1);
        k->right = true;
        return;
    }
    /* Guesses that were sent all at once came before the failures of the first ones. */
    k->wait_us = auth_wait_us(a, k->address, k->loopback, name_of(k), k->now_us);
    if (k->wait_us)
        return;
    atomic_fetch_add(&a->checked, 1);
    bool matches = false;
    k->failed = !password_matches(&k->record, password, &matches);
    k->right = k->known && matches;
    if (k->right)
        verified_add(&a->verified, k->digest, monotonic_us(a));
}

/* The user as he is now: the file may have been changed while the pool worked. */
static struct auth_answer sign_in(struct auth *a, struct bytes name, const struct password_record *record, bool loopback)
{
    struct access *access = auth_access(a);
    const struct user *user = users_find(access->users, name);
    bool same = user && user->has_password && memcmp(&user->password, record, sizeof *record) == 0;
    struct auth_answer answer = same ? granted(a, principal_user(name, user, PROOF_PASSWORD, loopback)) : wrong();
    access_drop(access);
    return answer;
}

static void hashed(struct pool_job *job, struct loop *here)
{
    struct check *k = (struct check *)job;
    struct auth *a = k->auth;
    struct auth_answer answer;
    if (k->wait_us) {
        answer = auth_banned(a, k->wait_us);
    } else if (k->failed) {
        answer = busy(a);
    } else if (k->right) {
        failures_forget(&a->failures, address_host(k->address), name_of(k));
        answer = sign_in(a, name_of(k), &k->record, k->loopback);
    } else {
        auth_note_failure(a, k->address, k->loopback, name_of(k), loop_now_us(here));
        answer = wrong();
    }
    k->later(k->ctx, &answer);
    forget(k);
}

static struct check *check_new(struct auth *a, const struct auth_ask *ask, const struct user *user,
                               struct scrypt_cost otherwise)
{
    size_t size = sizeof(struct check) + ask->user.len + ask->password.len;
    struct check *k = mem_zalloc(1, size);
    if (!k)
        return NULL;
    *k = (struct check){ .job = { hash, hashed }, .auth = a, .loopback = ask->loopback, .size = size,
                         .name_len = ask->user.len, .password_len = ask->password.len };
    (void)snprintf(k->address, sizeof k->address, "%s", ask->address);
    if (ask->user.len)
        memcpy(k->text, ask->user.at, ask->user.len);
    if (ask->password.len)
        memcpy(k->text + ask->user.len, ask->password.at, ask->password.len);
    k->known = user && user->has_password;
    if (k->known)
        k->record = user->password;
    else /* any salt: what counts is that it takes as long */
        k->record = (struct password_record){ .cost = otherwise, .salt_len = 16 };
    return k;
}

static bool check_password(struct auth *a, struct loop *loop, const struct auth_ask *ask, struct auth_answer *now,
                           auth_done later, void *ctx)
{
    if (!ask->has_password) {
        auth_note_failure(a, ask->address, ask->loopback, ask->user, loop_now_us(loop));
        *now = wrong();
        return true;
    }
    struct access *access = auth_access(a);
    const struct user *user = users_find(access->users, ask->user);
    struct check *k = check_new(a, ask, user, access->users->cost);
    access_drop(access);
    struct bytes password = k ? bytes_of(k->text + k->name_len, k->password_len) : BYTES_NONE;
    if (!k || !verified_digest(&a->verified, name_of(k), password, &k->record, k->digest)) {
        if (k)
            forget(k);
        *now = busy(a);
        return true;
    }
    if (k->known && verified_has(&a->verified, k->digest, monotonic_us(a))) {
        atomic_fetch_add(&a->remembered, 1);
        *now = sign_in(a, name_of(k), &k->record, k->loopback);
        forget(k);
        return true;
    }
    k->later = later;
    k->ctx = ctx;
    k->now_us = loop_now_us(loop);
    if (pool_submit(loop, &k->job) == CODE_OK)
        return false;
    forget(k);
    *now = busy(a);
    return true;
}

/* ---- the chain ---- */

enum { CERTIFICATE_NAME_MAX = 512 };

static bool banned(struct auth *a, struct loop *loop, const struct auth_ask *ask, struct auth_answer *now)
{
    int64_t wait = auth_wait_us(a, ask->address, ask->loopback, ask->user, loop_now_us(loop));
    if (wait)
        *now = auth_banned(a, wait);
    return wait != 0;
}

/* The name of the door's kind that the certificate has; the CA vouches for it. */
static struct bytes certificate_name(const struct auth_door *door, const struct tls_peer *peer)
{
    static const uint8_t kinds[] = { [CERTIFICATE_DNS] = TLS_NAME_DNS, [CERTIFICATE_URI] = TLS_NAME_URI,
                                     [CERTIFICATE_EMAIL] = TLS_NAME_EMAIL };
    if (door->certificate_user == CERTIFICATE_COMMON_NAME)
        return bytes_str(peer->common_name);
    for (size_t i = 0; i < peer->name_count; i++)
        if (peer->name_kinds[i] == kinds[door->certificate_user])
            return bytes_str(peer->names[i]);
    return BYTES_NONE;
}

static struct auth_answer check_certificate(struct auth *a, const struct auth_door *door, const struct auth_ask *ask)
{
    struct bytes name = certificate_name(door, ask->certificate);
    if (!name.len || name.len > CERTIFICATE_NAME_MAX)
        return refusal(AUTH_NOT_ALLOWED, "the client certificate has no name that this listener takes (certificate-user)");
    struct principal *p = principal_user(name, NULL, PROOF_CERTIFICATE, ask->loopback);
    int64_t ends = ask->certificate->not_after_s;
    if (p)
        p->valid_until_us = ends > INT64_MAX / 1000000 ? INT64_MAX : ends * 1000000;
    return granted(a, p);
}

bool auth_check(struct auth *a, struct loop *loop, const struct auth_ask *ask, struct auth_answer *now, auth_done later,
                void *ctx)
{
    bool names_count = auth_door_has(a, ask->door, AUTH_USERS);
    const struct auth_door *door = door_of(a, ask->door);
    for (size_t i = 0; door && i < door->chain.count; i++) {
        enum settings_auth auth = (enum settings_auth)door->chain.at[i];
        if (auth == AUTH_CERTIFICATE && ask->certificate) {
            *now = check_certificate(a, door, ask);
            return true;
        }
        if (auth == AUTH_ANONYMOUS && (!ask->has_user || !names_count)) {
            *now = granted(a, principal_anonymous(ask->loopback));
            return true;
        }
        if (auth == AUTH_USERS && ask->has_user)
            return banned(a, loop, ask, now) || check_password(a, loop, ask, now, later, ctx);
    }
    *now = refusal(AUTH_NOT_ALLOWED, names_count ? "sign in with a user name and password" : "nobody may sign in here");
    return true;
}
