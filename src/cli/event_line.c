#include "cli/event_line.h"

#include "base/buf.h"

json_t *event_line_head(struct bytes line, struct bytes *body)
{
    static const char mark[] = ",\"body\":";
    const uint8_t *at = memmem(line.at, line.len, mark, sizeof mark - 1);
    *body = BYTES_NONE;
    if (!at || line.at[line.len - 1] != '}')
        return json_loadb((const char *)line.at, line.len, 0, NULL);
    size_t head_len = (size_t)(at - line.at), from = head_len + sizeof mark - 1;
    *body = bytes_of(line.at + from, line.len - from - 1);
    struct buf head = { 0 };
    buf_add(&head, line.at, head_len);
    buf_u8(&head, '}');
    json_t *tree = head.bad ? NULL : json_loadb((const char *)head.at, buf_size(&head), 0, NULL);
    buf_clear(&head);
    return tree;
}
