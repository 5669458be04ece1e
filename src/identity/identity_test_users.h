/* identity_test_users.h - lines of a users file for tests, with the cheapest scrypt that is allowed. Included by one test file
 * each. */
#pragma once

#include "identity/users.h"

#include <stdlib.h>

static __attribute__((unused)) void test_user(struct buf *out, const char *name, const char *password, const char *role, bool scram)
{
    struct bytes roles[1] = { bytes_str(role) };
    struct user u = { .name = bytes_str(name), .roles = roles, .role_count = role != NULL };
    if (password) {
        u.has_password = true;
        u.password.cost = (struct scrypt_cost){ SCRYPT_LN_MIN, 8, 1 };
        u.password.salt_len = 16;
        memset(u.password.salt, name[0], 16);
        if (!password_hash(&u.password, bytes_str(password)))
            abort();
        u.has_scram = scram;
        u.scram.iterations = SCRAM_ITERATIONS_MIN;
        u.scram.salt_len = 16;
        memset(u.scram.salt, name[0], 16);
        if (scram && !scram_record_make(&u.scram, bytes_str(password)))
            abort();
    }
    users_put(out, &u);
}
