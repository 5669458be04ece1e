/* auth_private.h - what the files of the authenticator share. Not for others. */
#pragma once

#include "identity/auth.h"
#include "identity/failures.h"
#include "identity/verified.h"

struct auth_change {
    struct access *access;
    uint8_t        digest[SHA256_BYTES]; /* of the files' bytes */
    uint64_t       base;                 /* serial of what it would replace */
};

struct auth_doors { /* immutable */
    size_t           count;
    struct auth_door at[];
};

struct auth {
    struct auth_config config; /* path owned; of the doors ask `doors` */
    _Atomic(struct auth_doors *) doors; /* owned */
    struct failures    failures;
    struct verified    verified;
    uint8_t            seen[SHA256_BYTES]; /* auth_look's alone: of the bytes of the look before */
    uint8_t            unknown_key[SHA256_BYTES]; /* of the salts of names that nobody has */
    pthread_mutex_t    lock;   /* guards what follows */
    struct access     *access;
    uint8_t            digest[SHA256_BYTES];

    _Atomic uint64_t checked, remembered, failed, banned, busy;
};

/* The same after each start, so that nobody tells names that exist from others by salts that change. */
FG_CHECK enum code auth_unknown_key(struct auth *, const char *secret_dir, struct fault *why);
/* A wrong or banned attempt, told in the log and counted. */
void auth_note_failure(struct auth *, const char *address, bool loopback, struct bytes name, int64_t now_us);
/* 0, or how much longer this name is not looked at from this address; and the answer then. */
int64_t auth_wait_us(struct auth *, const char *address, bool loopback, struct bytes name, int64_t now_us);
struct auth_answer auth_banned(struct auth *, int64_t wait_us);
bool auth_door_has(const struct auth *, uint16_t door, enum settings_auth);
