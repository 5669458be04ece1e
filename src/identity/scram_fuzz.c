/* Two messages of a client, divided by a zero: refused, or (only with the right proof) answered. The stored keys belong to no
 * password, so nothing here may ever be granted. */
#include "identity/scram.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct scram_record record = { .iterations = 4096, .salt_len = 16, .stored_key = { 1 }, .server_key = { 2 } };
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    struct bytes first_text = bytes_of(data, zero ? (size_t)(zero - data) : size);
    struct bytes last = zero ? bytes_of(zero + 1, size - first_text.len - 1) : BYTES_NONE;
    struct scram_first first;
    struct scram *s;
    struct buf reply = { 0 }, done = { 0 };
    struct fault why;
    enum code c = scram_read_first(first_text, &first, &why);
    FG_ASSERT(c == CODE_OK || c == CODE_MALFORMED || c == CODE_REFUSED || c == CODE_UNSUPPORTED);
    if (c != CODE_OK)
        return 0;
    FG_ASSERT(first.name.len && first.name.len <= USER_NAME_MAX && first.nonce.len);
    FG_ASSERT(first.gs2.len + first.bare.len == first_text.len);
    FG_ASSERT(scram_answer_first(&s, &first, &record, "abcdefghijklmnopqrstuvwx", &reply, &why) == CODE_OK);
    FG_ASSERT(memchr(buf_bytes(&reply).at, ',', buf_size(&reply)));
    c = scram_check_final(s, last, &done, &why);
    FG_ASSERT((c == CODE_MALFORMED || c == CODE_REFUSED) && buf_size(&done) == 0);
    scram_free(s);
    buf_clear(&reply);
    buf_clear(&done);
    return 0;
}
