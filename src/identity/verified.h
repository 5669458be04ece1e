/* verified.h - passwords that were found right a moment ago, so that a thousand machines that come back at once after a
 * power cut do not each cost a scrypt.
 *
 * What is kept is not the password but an HMAC-SHA256, under a key of this process alone, of name, password and the record it
 * was checked by: a changed password is another entry. An entry counts for VERIFIED_US after the check (it is not prolonged by
 * use). Only right ones are kept. Thread: any; a lock of its own. Memory: a table of fixed size.
 */
#pragma once

#include "base/io.h"
#include "identity/users.h"

#include <pthread.h>

enum { VERIFIED_MAX = 4096, VERIFIED_WAYS = 4 };
#define VERIFIED_US (60 * INT64_C(1000000))

struct verified_entry {
    int64_t until_us; /* 0 = free */
    uint8_t digest[SHA256_BYTES];
};
struct verified {
    pthread_mutex_t        lock;
    uint8_t                key[SHA256_BYTES];
    struct verified_entry *at; /* VERIFIED_MAX, made at the first use */
};

void verified_init(struct verified *, const struct io *); /* draws the key */
void verified_clear(struct verified *);
/* The digest of these. False: no memory. */
FG_CHECK bool verified_digest(struct verified *, struct bytes name, struct bytes password, const struct password_record *,
                              uint8_t out[SHA256_BYTES]);
bool verified_has(struct verified *, const uint8_t digest[SHA256_BYTES], int64_t now_us);
void verified_add(struct verified *, const uint8_t digest[SHA256_BYTES], int64_t now_us);
