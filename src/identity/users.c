#include "identity/users.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/settings_yaml.h"
#include "base/values.h"

#include <stdio.h>

enum { FIELDS_MAX = 7 };
#define ARENA_MAX ((size_t)256 << 20)

static const uint8_t client_key_text[] = "Client Key", server_key_text[] = "Server Key";

/* ---- names ---- */

const char *users_name_flaw(struct bytes name)
{
    if (name.len == 0)
        return "is empty";
    if (name.len > USER_NAME_MAX)
        return "is longer than 128 bytes";
    if (!yaml_visible(name))
        return "is not UTF-8, or has a control character";
    if (name.at[0] == ' ' || name.at[name.len - 1] == ' ')
        return "begins or ends with a blank";
    if (name.at[0] == '$')
        return "begins with '$', as the topics of the node itself do";
    for (size_t i = 0; i < name.len; i++)
        if (strchr(":+#/", name.at[i]))
            return "has one of : + # /, which separate fields and topics";
    return NULL;
}

bool users_role_valid(struct bytes role)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (role.len == 0 || role.len > USER_ROLE_MAX)
        return false;
    for (size_t i = 0; i < role.len; i++)
        if (!role.at[i] || !strchr(allowed, role.at[i]))
            return false;
    return true;
}

/* ---- reading ---- */

struct reading {
    struct users *users;
    const char   *file;
    unsigned      line;
    struct fault *why;
};

static enum code damaged(const struct reading *r, const char *what)
{
    enum code c = FAIL(r->why, CODE_DAMAGED, (uint64_t)r->line << 16, "%s:%u: %s", r->file, r->line, what);
    return c;
}

static bool next_part(struct bytes *rest, char separator, struct bytes *part)
{
    if (!rest->at)
        return false;
    const uint8_t *end = rest->len ? memchr(rest->at, separator, rest->len) : NULL;
    *part = bytes_of(rest->at, end ? (size_t)(end - rest->at) : rest->len);
    *rest = end ? bytes_from(*rest, part->len + 1) : BYTES_NONE;
    return true;
}

static bool read_number(struct bytes text, uint64_t min, uint64_t max, uint64_t *out)
{
    return value_parse_count(text, min, max, out, NULL) == CODE_OK;
}

static bool read_salt(struct bytes text, uint8_t salt[USER_SALT_MAX], uint8_t *len)
{
    size_t n;
    if (!base64_read(text, salt, USER_SALT_MAX, &n) || n < USER_SALT_MIN)
        return false;
    *len = (uint8_t)n;
    return true;
}

static bool read_key(struct bytes text, uint8_t key[SHA256_BYTES])
{
    size_t n;
    return base64_read(text, key, SHA256_BYTES, &n) && n == SHA256_BYTES;
}

static bool read_cost(struct bytes text, struct scrypt_cost *cost)
{
    struct bytes part;
    uint64_t v[3];
    for (int i = 0; i < 3; i++)
        if (!next_part(&text, ',', &part) || !read_number(part, 1, 255, &v[i]))
            return false;
    *cost = (struct scrypt_cost){ (uint8_t)v[0], (uint8_t)v[1], (uint8_t)v[2] };
    return !text.at && scrypt_cost_valid(*cost);
}

static enum code read_roles(const struct reading *r, struct bytes text, struct user *user)
{
    struct bytes found[USER_ROLES_MAX], part;
    if (text.len == 0)
        return CODE_OK;
    while (next_part(&text, ',', &part)) {
        if (user->role_count == USER_ROLES_MAX)
            return damaged(r, "more than 16 roles");
        if (!users_role_valid(part))
            return damaged(r, "a role is not 1 to 32 letters, digits, '-', '_' or '.'");
        const char *copy = arena_text(&r->users->arena, part);
        if (!copy)
            return FAIL(r->why, CODE_NOMEM, 0, "no memory for the users");
        found[user->role_count++] = bytes_str(copy);
    }
    struct bytes *roles = arena_take(&r->users->arena, user->role_count * sizeof *roles);
    if (!roles)
        return FAIL(r->why, CODE_NOMEM, 0, "no memory for the users");
    memcpy(roles, found, user->role_count * sizeof *roles);
    user->roles = roles;
    return CODE_OK;
}

static enum code enter(const struct reading *r, struct bytes name, struct user **out)
{
    struct users *u = r->users;
    const char *flaw = users_name_flaw(name);
    if (flaw) {
        char text[128];
        (void)snprintf(text, sizeof text, "the user's name %s", flaw);
        return damaged(r, text);
    }
    const char *copy = arena_text(&u->arena, name);
    struct user *user = &u->at[u->count];
    if (!copy)
        return FAIL(r->why, CODE_NOMEM, 0, "no memory for the users");
    *user = (struct user){ .name = bytes_str(copy) };
    enum code c = table_put(&u->by_name, user->name, user);
    if (c == CODE_EXISTS)
        return damaged(r, "this user is there twice");
    if (c != CODE_OK)
        return FAIL(r->why, CODE_NOMEM, 0, "no memory for the users");
    u->count++;
    *out = user;
    return CODE_OK;
}

/* user:NAME:ROLES:none   user:NAME:ROLES:scrypt:COST:SALT:HASH */
static enum code read_user(const struct reading *r, const struct bytes *field, size_t count)
{
    struct user *user = NULL;
    bool none = count == 4 && bytes_is(field[3], "none");
    if (!none && (count != 7 || !bytes_is(field[3], "scrypt")))
        return damaged(r, "not user:NAME:ROLES:scrypt:COST:SALT:HASH or user:NAME:ROLES:none");
    enum code c = enter(r, field[1], &user);
    if (c == CODE_OK)
        c = read_roles(r, field[2], user);
    if (c != CODE_OK || none)
        return c;
    if (!read_cost(field[4], &user->password.cost))
        return damaged(r, "the cost of scrypt is not LN,R,P from 10,1,1 to 20,16,16 with at most 256 MiB");
    if (!read_salt(field[5], user->password.salt, &user->password.salt_len) || !read_key(field[6], user->password.hash))
        return damaged(r, "salt or hash is not whole");
    user->has_password = true;
    r->users->cost = user->password.cost;
    return CODE_OK;
}

/* scram-sha-256:NAME:ITERATIONS:SALT:STOREDKEY:SERVERKEY */
static enum code read_scram(const struct reading *r, const struct bytes *field, size_t count)
{
    uint64_t iterations;
    if (count != 6)
        return damaged(r, "not scram-sha-256:NAME:ITERATIONS:SALT:STOREDKEY:SERVERKEY");
    struct user *user = table_get(&r->users->by_name, field[1]);
    if (!user)
        return damaged(r, "a scram-sha-256 line stands behind its user's line, this one has none");
    if (user->has_scram)
        return damaged(r, "this user has two scram-sha-256 lines");
    if (!read_number(field[2], SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX, &iterations))
        return damaged(r, "the iterations are not a number from 4096 to 1000000");
    user->scram.iterations = (uint32_t)iterations;
    if (!read_salt(field[3], user->scram.salt, &user->scram.salt_len) || !read_key(field[4], user->scram.stored_key) ||
        !read_key(field[5], user->scram.server_key))
        return damaged(r, "salt or key is not whole");
    user->has_scram = true;
    r->users->iterations = user->scram.iterations;
    return CODE_OK;
}

static enum code read_line(const struct reading *r, struct bytes line)
{
    struct bytes field[FIELDS_MAX + 1], part;
    size_t count = 0;
    if (line.len == 0 || line.at[0] == '#')
        return CODE_OK;
    while (count <= FIELDS_MAX && next_part(&line, ':', &part))
        field[count++] = part;
    if (bytes_is(field[0], "user"))
        return read_user(r, field, count);
    if (bytes_is(field[0], "scram-sha-256"))
        return read_scram(r, field, count);
    return damaged(r, "a line begins with user: or scram-sha-256: or #");
}

static size_t lines_of(struct bytes text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.at[i] == '\n';
    return n;
}

static enum code read_all(struct reading *r, struct bytes text)
{
    enum code c = CODE_OK;
    while (text.len && c == CODE_OK) {
        r->line++;
        const uint8_t *end = memchr(text.at, '\n', text.len);
        if (!end)
            return damaged(r, "the last line has no end, the file seems to be cut");
        struct bytes line = bytes_of(text.at, (size_t)(end - text.at));
        text = bytes_from(text, line.len + 1);
        c = read_line(r, line);
    }
    return c;
}

enum code users_parse(struct users **out, const char *file, struct bytes text, struct fault *why)
{
    struct users *u = mem_zalloc(1, sizeof *u);
    if (!u)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the users");
    struct reading r = { .users = u, .file = file, .why = why };
    arena_init(&u->arena, NULL, 0, ARENA_MAX);
    u->cost = scrypt_default;
    u->iterations = SCRAM_ITERATIONS_DEFAULT;
    u->at = mem_zalloc(lines_of(text) + 1, sizeof *u->at);
    enum code c = u->at ? read_all(&r, text) : FAIL(why, CODE_NOMEM, 0, "no memory for the users");
    if (c != CODE_OK) {
        users_free(u);
        return c;
    }
    *out = u;
    return CODE_OK;
}

void users_free(struct users *u)
{
    if (!u)
        return;
    table_clear(&u->by_name);
    arena_clear(&u->arena);
    mem_free(u->at);
    mem_free(u);
}

const struct user *users_find(const struct users *u, struct bytes name)
{
    return table_get(&u->by_name, name);
}

/* ---- writing ---- */

void users_put(struct buf *out, const struct user *u)
{
    buf_printf(out, "user:");
    buf_add_bytes(out, u->name);
    buf_u8(out, ':');
    for (size_t i = 0; i < u->role_count; i++) {
        if (i)
            buf_u8(out, ',');
        buf_add_bytes(out, u->roles[i]);
    }
    if (u->has_password) {
        const struct password_record *p = &u->password;
        buf_printf(out, ":scrypt:%u,%u,%u:", p->cost.ln, p->cost.r, p->cost.p);
        base64_put(out, bytes_of(p->salt, p->salt_len));
        buf_u8(out, ':');
        base64_put(out, bytes_of(p->hash, sizeof p->hash));
    } else {
        buf_printf(out, ":none");
    }
    buf_u8(out, '\n');
    if (!u->has_scram)
        return;
    const struct scram_record *s = &u->scram;
    buf_printf(out, "scram-sha-256:");
    buf_add_bytes(out, u->name);
    buf_printf(out, ":%u:", s->iterations);
    base64_put(out, bytes_of(s->salt, s->salt_len));
    buf_u8(out, ':');
    base64_put(out, bytes_of(s->stored_key, sizeof s->stored_key));
    buf_u8(out, ':');
    base64_put(out, bytes_of(s->server_key, sizeof s->server_key));
    buf_u8(out, '\n');
}

void users_put_others(struct buf *out, struct bytes text, struct bytes name)
{
    struct bytes line, rest, kind, whose;
    while (text.len && next_part(&text, '\n', &line)) {
        rest = line;
        bool its = (bytes_starts(line, "user:") || bytes_starts(line, "scram-sha-256:")) && next_part(&rest, ':', &kind) &&
                   next_part(&rest, ':', &whose) && bytes_equal(whose, name);
        if (its)
            continue;
        buf_add_bytes(out, line);
        buf_u8(out, '\n');
    }
}

/* ---- records ---- */

bool password_hash(struct password_record *r, struct bytes password)
{
    return crypto_scrypt(password, bytes_of(r->salt, r->salt_len), r->cost, r->hash);
}

bool password_matches(const struct password_record *r, struct bytes password, bool *matches)
{
    struct password_record other = *r;
    if (!password_hash(&other, password))
        return false;
    *matches = crypto_equal(other.hash, r->hash);
    crypto_wipe(&other, sizeof other);
    return true;
}

bool scram_record_make(struct scram_record *r, struct bytes password)
{
    uint8_t salted[SHA256_BYTES], client_key[SHA256_BYTES];
    bool ok = crypto_pbkdf2_sha256(password, bytes_of(r->salt, r->salt_len), r->iterations, salted) &&
              crypto_hmac_sha256(bytes_of(salted, sizeof salted), bytes_of(client_key_text, sizeof client_key_text - 1),
                                 client_key) &&
              crypto_sha256(bytes_of(client_key, sizeof client_key), r->stored_key) &&
              crypto_hmac_sha256(bytes_of(salted, sizeof salted), bytes_of(server_key_text, sizeof server_key_text - 1),
                                 r->server_key);
    crypto_wipe(salted, sizeof salted);
    crypto_wipe(client_key, sizeof client_key);
    return ok;
}
