/* scram_text.h - the grammar that both sides of SCRAM read (RFC 5802 section 7): attributes between commas. Pure. */
#pragma once

#include "base/bytes.h"
#include "identity/scram.h"

#include <string.h>

/* The part up to the next comma; *rest is what stands behind it, rest->at NULL at the end. */
static inline struct bytes scram_part(struct bytes *rest)
{
    const uint8_t *comma = rest->len ? memchr(rest->at, ',', rest->len) : NULL;
    struct bytes p = bytes_of(rest->at, comma ? (size_t)(comma - rest->at) : rest->len);
    *rest = comma ? bytes_from(*rest, p.len + 1) : BYTES_NONE;
    return p;
}

/* "x=..." */
static inline bool scram_attribute(struct bytes p, char name, struct bytes *value)
{
    if (p.len < 2 || p.at[0] != (uint8_t)name || p.at[1] != '=')
        return false;
    *value = bytes_from(p, 2);
    return true;
}

static inline bool scram_printable(struct bytes nonce)
{
    if (nonce.len == 0 || nonce.len > SCRAM_NONCE_MAX)
        return false;
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.at[i] < 0x21 || nonce.at[i] > 0x7e || nonce.at[i] == ',')
            return false;
    return true;
}
