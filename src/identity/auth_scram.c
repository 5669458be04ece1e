/* auth_scram.c - sign-in by SCRAM-SHA-256: an exchange of messages instead of a password (scram.h). Nothing here is slow, so
 * nothing goes to the pool. */
#include "identity/auth_private.h"

#include "base/base64.h"
#include "base/mem.h"
#include "identity/scram.h"

#include <stdio.h>

struct auth_exchange {
    struct auth        *auth;
    bool                loopback, asked, known;
    char                address[64];
    struct scram       *scram; /* from server-first on */
    struct scram_record record;
    size_t              name_len;
    uint8_t             name[USER_NAME_MAX];
};

bool auth_offers(const struct auth *a, uint16_t door, struct bytes method)
{
    return bytes_is(method, SCRAM_SHA_256) && auth_door_has(a, door, AUTH_USERS);
}

struct auth_exchange *auth_exchange_new(struct auth *a, bool loopback, const char *address)
{
    struct auth_exchange *x = mem_zalloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->auth = a;
    x->loopback = loopback;
    (void)snprintf(x->address, sizeof x->address, "%s", address);
    return x;
}

void auth_exchange_free(struct auth_exchange *x)
{
    if (!x)
        return;
    scram_free(x->scram);
    crypto_wipe(x, sizeof *x);
    mem_free(x);
}

static bool over(struct auth_answer *answer, enum auth_verdict verdict, const char *because)
{
    *answer = (struct auth_answer){ .verdict = verdict, .because = because };
    return false;
}

static bool over_busy(struct auth *a, struct auth_answer *answer)
{
    atomic_fetch_add(&a->busy, 1);
    return over(answer, AUTH_BUSY, "no memory just now, try again");
}

enum code auth_unknown_key(struct auth *a, const char *dir, struct fault *why)
{
    static const char name[] = "scram.key";
    const struct io *io = a->config.io;
    char path[4096], *text = NULL;
    size_t len = 0;
    io->random(io->self, a->unknown_key, sizeof a->unknown_key);
    if (!dir)
        return CODE_OK;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return FAIL(why, CODE_LIMIT, 0, "path too long: %s/%s", dir, name);
    enum code c = io_load(io, path, sizeof a->unknown_key, &text, &len, why);
    if (c == CODE_OK && len == sizeof a->unknown_key)
        memcpy(a->unknown_key, text, len);
    else if (c == CODE_OK || c == CODE_NOTFOUND || c == CODE_LIMIT) /* none, or not one of ours */
        c = io_replace(io, dir, name, bytes_of(a->unknown_key, sizeof a->unknown_key), why);
    if (text)
        crypto_wipe(text, len);
    mem_free(text);
    return c;
}

/* A name that nobody has gets a salt too, always the same, so that it looks like one that somebody has. */
static bool find_record(struct auth_exchange *x, struct bytes name)
{
    struct auth *a = x->auth;
    uint8_t made[SHA256_BYTES];
    struct access *access = auth_access(a);
    const struct user *user = users_find(access->users, name);
    x->known = user && user->has_scram;
    if (x->known)
        x->record = user->scram;
    uint32_t iterations = access->users->iterations;
    access_drop(access);
    if (x->known)
        return true;
    if (!crypto_hmac_sha256(bytes_of(a->unknown_key, sizeof a->unknown_key), name, made))
        return false;
    x->record = (struct scram_record){ .iterations = iterations, .salt_len = 16 };
    memcpy(x->record.salt, made, 16);
    memcpy(x->record.stored_key, made, SHA256_BYTES); /* the hash of nothing that anybody knows, and `known` says no anyway */
    return true;
}

static bool is_banned(struct auth_exchange *x, int64_t now_us, struct auth_answer *answer)
{
    int64_t wait = auth_wait_us(x->auth, x->address, x->loopback, bytes_of(x->name, x->name_len), now_us);
    if (wait)
        *answer = auth_banned(x->auth, wait);
    return wait != 0;
}

static bool first_message(struct auth_exchange *x, struct bytes data, int64_t now_us, struct buf *reply,
                          struct auth_answer *answer)
{
    struct auth *a = x->auth;
    struct scram_first first;
    struct fault why;
    struct buf nonce = { 0 };
    uint8_t random[SCRAM_OUR_NONCE / 4 * 3];
    enum code c = scram_read_first(data, &first, &why);
    if (c != CODE_OK)
        return over(answer, AUTH_WRONG, c == CODE_UNSUPPORTED ? "SCRAM-SHA-256 is offered without channel binding and extensions"
                                                              : "not a first message of SCRAM-SHA-256 for a user of this node");
    x->name_len = first.name.len;
    memcpy(x->name, first.name.at, first.name.len);
    if (is_banned(x, now_us, answer))
        return false;
    a->config.io->random(a->config.io->self, random, sizeof random);
    base64_put(&nonce, bytes_of(random, sizeof random));
    bool ok = !nonce.bad && find_record(x, first.name) &&
              scram_answer_first(&x->scram, &first, &x->record, (const char *)nonce.at, reply, &why) == CODE_OK;
    buf_clear(&nonce);
    return ok || over_busy(a, answer);
}

/* The user as he is now: the file may have changed between the two messages. */
static bool grant(struct auth_exchange *x, struct auth_answer *answer)
{
    struct access *access = auth_access(x->auth);
    struct bytes name = bytes_of(x->name, x->name_len);
    const struct user *user = users_find(access->users, name);
    bool same = user && user->has_scram && user->scram.iterations == x->record.iterations &&
                crypto_equal(user->scram.stored_key, x->record.stored_key);
    struct principal *p = same ? principal_user(name, user, PROOF_SCRAM, x->loopback) : NULL;
    access_drop(access);
    if (!same)
        return over(answer, AUTH_WRONG, "user name or password is wrong");
    if (!p)
        return over_busy(x->auth, answer);
    failures_forget(&x->auth->failures, address_host(x->address), name);
    *answer = (struct auth_answer){ .verdict = AUTH_GRANTED, .principal = p };
    return false;
}

static bool last_message(struct auth_exchange *x, struct bytes data, int64_t now_us, struct buf *reply,
                         struct auth_answer *answer)
{
    struct fault why;
    if (is_banned(x, now_us, answer)) /* exchanges that were begun side by side */
        return false;
    enum code c = scram_check_final(x->scram, data, reply, &why);
    if (c == CODE_NOMEM)
        return over_busy(x->auth, answer);
    if (c == CODE_OK && x->known)
        return grant(x, answer);
    buf_reset(reply);
    auth_note_failure(x->auth, x->address, x->loopback, bytes_of(x->name, x->name_len), now_us);
    return over(answer, AUTH_WRONG, "user name or password is wrong");
}

bool auth_exchange_step(struct auth_exchange *x, struct bytes data, int64_t now_us, struct buf *reply, struct auth_answer *answer)
{
    if (x->scram)
        return last_message(x, data, now_us, reply, answer);
    if (data.len || x->asked)
        return first_message(x, data, now_us, reply, answer);
    x->asked = true; /* a CONNECT without data: the first message may come by itself */
    return true;
}
