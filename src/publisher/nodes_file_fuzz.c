/* nodes_file_fuzz.c - any bytes as a published-nodes file. What is read is written and read again as the same, and the places of
 * what is said lie in the text. */
#include "publisher/nodes_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_places(const struct nodes_file *f, struct bytes text)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.at[i] == '\n';
    for (uint32_t i = 0; i < f->note_count; i++)
        FG_ASSERT(f->notes[i].line >= 1 && f->notes[i].line <= lines && f->notes[i].column >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nodes_file *f, *again;
    struct fault why = {0};
    struct buf one = {0}, two = {0};
    struct bytes text = bytes_of(data, size);
    bool old = size && data[size - 1] == 1;
    if (nodes_file_parse(&f, text, old, &why) != CODE_OK) {
        FG_ASSERT(why.text[0]);
        return 0;
    }
    check_places(f, text);
    jtree_write(&one, f->tree, size % 3);
    FG_ASSERT(nodes_file_parse(&again, buf_bytes(&one), old, &why) == CODE_OK);
    FG_ASSERT(again->entry_count == f->entry_count && again->node_count == f->node_count);
    jtree_write(&two, again->tree, size % 3);
    FG_ASSERT(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
    buf_clear(&one);
    buf_clear(&two);
    nodes_file_free(f);
    nodes_file_free(again);
    return 0;
}
