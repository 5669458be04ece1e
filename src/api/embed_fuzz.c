/* Whatever embed_json takes, jansson takes too; the text has no blanks and taking it again changes nothing.
 * */
#include "api/embed.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = { 0 }, twice = { 0 };
    if (embed_json(&once, bytes_of(data, size), EMBED_DEPTH_MAX)) {
        FG_ASSERT(buf_size(&once) > 0 && buf_size(&once) <= size);
        FG_ASSERT(embed_json(&twice, buf_bytes(&once), EMBED_DEPTH_MAX));
        FG_ASSERT(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
        json_error_t error;
        json_t *tree = json_loadb((const char *)once.at + once.from, buf_size(&once),
                                  JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
        /* A number beyond double and U+0000 in a key are right, but not for jansson. */
        FG_ASSERT(tree || json_error_code(&error) == json_error_numeric_overflow ||
                  json_error_code(&error) == json_error_null_byte_in_key);
        json_decref(tree);
    } else {
        FG_ASSERT(buf_size(&once) == 0);
    }
    buf_clear(&once);
    buf_clear(&twice);
    return 0;
}
