/* What a server may send to who signs in by SCRAM: a challenge and, behind a zero, the end. No end may ever be believed. */
#include "identity/scram_client.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Many iterations are allowed, but take their time. */
static bool slow(struct bytes challenge)
{
    const uint8_t *i = challenge.len ? memmem(challenge.at, challenge.len, ",i=", 3) : NULL;
    size_t digits = 0;
    while (i && i + 3 + digits < challenge.at + challenge.len && i[3 + digits] >= '0' && i[3 + digits] <= '9')
        digits++;
    return digits > 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    struct bytes challenge = bytes_of(data, zero ? (size_t)(zero - data) : size);
    struct bytes final = zero ? bytes_of(zero + 1, size - challenge.len - 1) : BYTES_NONE;
    struct scram_client *c;
    struct buf out = { 0 };
    struct fault why;
    if (slow(challenge))
        return 0;
    FG_ASSERT(scram_client_new(&c, BYTES_LIT("user"), BYTES_LIT("pencil"), BYTES_LIT("rOprNGfwEbeRWgbNEkqO"), &why) == CODE_OK);
    enum code code = scram_client_answer(c, challenge, &out, &why);
    FG_ASSERT(code == CODE_OK ? bytes_starts(buf_bytes(&out), "c=biws,r=rOprNGfwEbeRWgbNEkqO")
                              : code == CODE_PROTOCOL && buf_size(&out) == 0);
    /* Its signature hangs on the password, which the fuzzer's input may know: the example of RFC 7677 alone is right. */
    bool example = bytes_is(final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    FG_ASSERT(scram_client_proven(c, final, &why) == CODE_REFUSED || (code == CODE_OK && example));
    buf_clear(&out);
    scram_client_free(c);
    return 0;
}
