/* Any bytes as a users file: refused with a line, or read so that what is written from it reads the same. */
#include "identity/users.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_all(const struct users *u, struct buf *out)
{
    for (size_t i = 0; i < u->count; i++)
        users_put(out, &u->at[i]);
}

/* Taking one out leaves exactly the others. */
static void check_removal(const struct users *u, struct bytes text)
{
    const struct user *gone = &u->at[u->count / 2];
    struct buf rest = { 0 };
    struct users *others;
    struct fault why;
    users_put_others(&rest, text, gone->name);
    FG_ASSERT(users_parse(&others, "rest", buf_bytes(&rest), &why) == CODE_OK);
    FG_ASSERT(others->count + 1 == u->count && !users_find(others, gone->name));
    users_free(others);
    buf_clear(&rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct users *u, *again;
    struct fault why;
    struct buf once = { 0 }, twice = { 0 };
    enum code c = users_parse(&u, "fuzz", bytes_of(data, size), &why);
    FG_ASSERT(c == CODE_OK || (c == CODE_DAMAGED && strncmp(why.text, "fuzz:", 5) == 0));
    if (c != CODE_OK)
        return 0;
    write_all(u, &once);
    FG_ASSERT(users_parse(&again, "again", buf_bytes(&once), &why) == CODE_OK && again->count == u->count);
    write_all(again, &twice);
    FG_ASSERT(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    for (size_t i = 0; i < u->count; i++)
        FG_ASSERT(users_find(u, u->at[i].name) == &u->at[i] && !users_name_flaw(u->at[i].name));
    if (u->count)
        check_removal(u, bytes_of(data, size));
    users_free(again);
    users_free(u);
    buf_clear(&once);
    buf_clear(&twice);
    return 0;
}
