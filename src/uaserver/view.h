/* view.h - the view services: browse.c has Browse and BrowseNext, translate.c TranslateBrowsePathsToNodeIds, RegisterNodes and
 * UnregisterNodes. Not for others than the table of services (dispatch.c) and the server's hooks. */
#pragma once

#include "uaserver/serve.h"

void uas_browse(struct uas_request *);
void uas_browse_next(struct uas_request *);
void uas_translate(struct uas_request *);
void uas_register_nodes(struct uas_request *);
void uas_unregister_nodes(struct uas_request *);

/* Continuation points go with their session. */
extern const struct uas_hooks uas_view_hooks;
