/* fit.h - whether a value is of a data type and shape: Write, the arguments of Call. Not for others. Pure. */
#pragma once

#include "uaserver/space.h"

struct ua_shape {
    struct ua_node_id data_type;
    unsigned builtin;      /* of the data type, 0: abstract */
    int32_t  rank;
    const uint32_t *dims;  /* the most elements of each, 0: any */
    uint32_t dims_count;
};
static inline struct ua_shape ua_shape_of(const struct ua_variable *v)
{
    return (struct ua_shape){ v->data_type, v->builtin, v->rank, v->dims, v->dims_count };
}
/* A ByteString that stands for an array of Byte becomes one. */
bool ua_fits(const struct ua_shape *, struct ua_variant *);
