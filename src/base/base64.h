/* base64.h - RFC 4648, section 4, with its padding, nothing else: each byte string has exactly one text. Pure, any thread. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

/* Appends (out->bad). */
void base64_put(struct buf *out, struct bytes data);
/* False: not such a text, or more than cap bytes. */
FG_CHECK bool base64_read(struct bytes text, uint8_t *out, size_t cap, size_t *len);
