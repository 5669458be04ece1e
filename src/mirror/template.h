/* template.h - {2}, {#} and {topic} in folders, nodes and topics (settings_braces). Pure, any thread. */
#pragma once

#include "base/buf.h"

/* `filter` says where # begins. Braces that the topic has no level for come out empty. */
void mirror_fill(struct buf *out, const char *text, struct bytes filter, struct bytes topic);
/* The folder of a filter with wildcards that names none: what they stand for, "press/1". */
void mirror_wild_folder(struct buf *out, struct bytes filter, struct bytes topic);
