/* shape_private.h - what is known of a server's types. Shared by shape.c (asking) and shape_read.c (decoding). */
#pragma once

#include "uaclient/client_private.h"
#include "uaclient/shape.h"

enum { SHAPES_MAX = 1024, SHAPE_FIELDS_MAX = 256, SHAPE_NAMES_MAX = 4096, SHAPE_VALUES_MAX = 8192, SHAPE_SLOTS = 2048, ALIASES_MAX = 16 };

enum shape_kind {
    SHAPE_ASKED,   /* not known yet */
    SHAPE_UNKNOWN, /* the server does not tell */
    SHAPE_BUILTIN,
    SHAPE_ENUM,
    SHAPE_STRUCT,
    SHAPE_ALIAS    /* encoded as `parent` is, which is no structure */
};
struct shape_field {
    struct bytes  name;
    struct shape *type;
    int32_t       rank;
    bool          optional; /* or, with subtyped values: any subtype */
};
struct shape_name {
    int64_t      value;
    struct bytes name;
};
struct shape {
    struct ua_node_id type;
    enum shape_kind kind;
    uint8_t       builtin;
    uint8_t       structure; /* enum ua_structure_kind */
    bool          named;     /* an enumeration, or a set of bits: its base type says which */
    bool          complete;  /* it and everything below it is known */
    uint32_t      mark;
    struct bytes  name;
    struct shape *parent;
    struct shape_field *fields;
    struct shape_name  *names;
    uint32_t      count; /* of fields or names */
};
/* A type by the encoding of its values. */
struct shape_encoding {
    struct ua_node_id id;
    struct shape *shape; /* NULL: not known yet */
    bool          unknown;
};
struct shape_want {
    struct shape_want *next;
    struct shape_encoding *encoding;
    void (*done)(void *ctx, ua_status);
    void *ctx;
};

struct ua_shapes {
    struct ua_work work; /* first */
    struct ua_client *client; /* NULL: closed */
    bool     closed, asking, attached;
    uint64_t generation; /* of the namespaces */
    struct arena arena;
    struct shape *shapes[SHAPES_MAX];
    uint32_t count, mark;
    struct shape_encoding *encodings[SHAPE_SLOTS]; /* by hash, open */
    uint32_t encoding_count;
    struct shape_want *wants;
    struct shape_encoding *now; /* whose type is asked for */
    struct shape *shape_now;
};

/* NULL: it was never asked for. */
struct shape_encoding *shapes_encoding(const struct ua_shapes *, const struct ua_node_id *);
/* What it is encoded as; NULL: not known. */
static inline const struct shape *shape_of(const struct shape *s)
{
    for (unsigned i = 0; s && s->kind == SHAPE_ALIAS; i++)
        s = i < ALIASES_MAX && s->parent && s->parent->kind != SHAPE_STRUCT ? s->parent : NULL;
    return s && s->kind > SHAPE_UNKNOWN ? s : NULL;
}
