/* space.h - the address space of a server: nodes, what refers to what, and the values of its variables.
 *
 *                         refs (both ways)
 *   ua_node  id, class, names ───────────────► ua_node
 *      └ ua_variable  type, rank, access, value as it goes over the wire ──► fed: watchers told at each ua_set_value
 *
 * A value lies here as a reader gets it: its variant in wire format, encoded once when it is set, and its times beside it. Up
 * to UA_VALUE_INLINE bytes stand in the node; more lie in a block that is counted and never changed, so that whoever keeps a
 * value (a monitored item's queue, history) keeps a copy of 48 bytes and at most one reference.
 *
 * Reference types are nodes of namespace 0 and are named by their number.
 *
 * Thread: everything on the loop the space was opened with. A value that comes from another thread travels in a letter.
 * Lifetime: ua_space_open .. ua_space_close; nodes until ua_remove. Texts given to functions here are copied.
 */
#pragma once

#include "net/loop.h"
#include "opcua/certificate.h"
#include "opcua/ids.h"
#include "opcua/services.h"
#include "opcua/status.h"
#include "opcua/text.h"

struct ua_space;
struct ua_node;

/* ---- values ---- */
enum { UA_VALUE_INLINE = 24, UA_VALUE_SHARED = 255 };
struct ua_blob { /* not changed once made */
    uint32_t holds, len;
    uint8_t  at[];
};
/* A DataValue. 48 bytes; zeroed it is: no value, Good, times unknown. */
struct ua_value {
    ua_time   source_time, server_time; /* 0: unknown */
    ua_status status;
    uint8_t   len; /* of the variant in `at`; UA_VALUE_SHARED: it is in *blob; 0: there is none */
    union {
        uint8_t         at[UA_VALUE_INLINE];
        struct ua_blob *blob;
    };
};

static inline struct bytes ua_value_bytes(const struct ua_value *v)
{
    return v->len == UA_VALUE_SHARED ? bytes_of(v->blob->at, v->blob->len) : bytes_of(v->at, v->len);
}
/* *to is overwritten, not dropped. */
static inline void ua_value_copy(struct ua_value *to, const struct ua_value *from)
{
    *to = *from;
    if (from->len == UA_VALUE_SHARED)
        from->blob->holds++;
}
void ua_blob_drop(struct ua_blob *);
/* Leaves it without a value; status and times stay. */
static inline void ua_value_drop(struct ua_value *v)
{
    if (v->len == UA_VALUE_SHARED)
        ua_blob_drop(v->blob);
    v->len = 0;
}
/* Encodes it in the place of what was there; status and times stay. False: no memory, and nothing has changed. */
FG_CHECK bool ua_value_set(struct ua_value *, const struct ua_variant *);
FG_CHECK bool ua_value_set_bytes(struct ua_value *, struct bytes variant); /* one variant in wire format */
/* Decodes it; texts are views of the value, arrays lie in the arena. False: no memory. */
FG_CHECK bool ua_value_read(const struct ua_value *, struct arena *, struct ua_variant *out);
/* Its built-in type; UA_NULL: no value. *array tells whether it is one. */
unsigned ua_value_type(const struct ua_value *, bool *array);
/* Scalars as a number (deadbands). */
bool ua_value_number(const struct ua_value *, double *out);
/* The same variant, bit by bit; status and times are not looked at. */
static inline bool ua_value_same(const struct ua_value *a, const struct ua_value *b)
{
    return bytes_equal(ua_value_bytes(a), ua_value_bytes(b));
}
/* A DataValue on the wire takes at most so much. */
static inline size_t ua_value_room(const struct ua_value *v)
{
    return ua_value_bytes(v).len + 1 + 4 + 8 + 8;
}
/* Writes it as a DataValue with the times asked for to a place with ua_value_room bytes; returns the end. */
uint8_t *ua_value_put(uint8_t *to, const struct ua_value *, enum ua_timestamps);
void     ua_value_write(struct buf *, const struct ua_value *, enum ua_timestamps);

/* ---- who is asking ---- */
enum { UA_USER_CHARS = 128 };
struct ua_server_user {
    char    name[UA_USER_CHARS]; /* escaped, for the log; "anonymous" */
    uint8_t thumbprint[UA_THUMBPRINT_BYTES]; /* of a user's certificate, put here by the server: names may be alike; else zeros */
    uint8_t kind;                /* enum ua_user_token */
    bool    may_write;           /* what it may not is BadUserAccessDenied */
    bool    may_call;
};

/* ---- nodes ---- */
struct ua_ref {
    struct ua_node *to;
    uint32_t type; /* number of the reference type */
    bool     inverse;
};

struct ua_node {
    struct ua_node_id id;
    uint8_t  node_class;    /* enum ua_node_class */
    uint8_t  notifier;      /* objects, views: EventNotifier; 1: events can be watched */
    bool     is_abstract;   /* types */
    bool     symmetric;     /* reference types */
    bool     dying;         /* being removed */
    uint16_t browse_ns;
    uint32_t ref_count, ref_room;
    struct ua_ref *refs;
    struct bytes   browse_name, display_name, description, inverse_name; /* description may be null */
    struct ua_watcher *watchers; /* all but those that are fed */
    uint64_t hash;
    uint32_t held;          /* references to it that it does not know of (ua_refer): it cannot be removed */
    void    *texts;         /* what the names lie in */
};

struct ua_variable;
struct ua_variable_ops { /* neither may remove the node, or close the server */
    /* The value now, with status and times; *out is zeroed, dropped by the caller. NULL: the one that was set. Not Good: the
     * reader gets this status. Variables that have it are not fed: items sample them. */
    ua_status (*read)(void *ctx, struct ua_variable *, struct ua_value *out);
    /* A client writes: type, rank, range and access are checked, an index range is merged in. Good: it is stored (unless there
     * is `read`) and watchers are told. NULL: every such write is taken. */
    ua_status (*write)(void *ctx, struct ua_variable *, const struct ua_server_user *, const struct ua_data_value *);
};

/* Variables and variable types. */
struct ua_variable {
    struct ua_node  node;
    struct ua_value value;
    struct ua_watcher *fed;  /* of the value, told at each set */
    uint32_t changes;        /* counts sets: what samples compares it with what it saw */
    uint8_t  builtin;        /* of its data type; 0: an abstract one (Number, BaseDataType) */
    uint8_t  access;         /* enum ua_access bits */
    bool     historizing;
    int32_t  rank;           /* -1 scalar, 1.. dimensions, -2 any, -3 scalar or one, 0 one or more */
    uint32_t dims_count;
    uint32_t *dims;          /* 0: any length */
    struct ua_node_id data_type;
    double   sampling_ms;    /* MinimumSamplingInterval; 0: fed */
    const struct ua_variable_ops *ops; /* NULL: none */
    void    *ctx;
    struct ua_history *history; /* history.h; NULL: none */
};

/* One call. */
struct ua_call {
    struct ua_node *object, *method;
    const struct ua_server_user *user;
    const struct ua_variant *inputs; /* of the number and the types that the method's arguments say */
    uint32_t        input_count;
    ua_status      *input_results; /* zeroed, input_count of them: set one to say what is wrong with it */
    struct ua_variant *outputs;    /* zeroed (null), output_count of them: to be filled; what they point to lies in the arena */
    uint32_t        output_count;
    struct arena   *arena;
};
struct ua_method {
    struct ua_node node;
    bool executable;
    const struct ua_argument *inputs, *outputs; /* copies */
    uint32_t input_count, output_count;
    ua_status (*call)(void *ctx, struct ua_call *);
    void *ctx;
    struct arena memory; /* of the arguments */
};

/* NULL: it is not one. */
static inline struct ua_variable *ua_as_variable(struct ua_node *n)
{
    return n && n->node_class & (UA_CLASS_VARIABLE | UA_CLASS_VARIABLE_TYPE) ? (struct ua_variable *)(void *)n : NULL;
}
static inline struct ua_method *ua_as_method(struct ua_node *n)
{
    return n && n->node_class == UA_CLASS_METHOD ? (struct ua_method *)(void *)n : NULL;
}

/* The standard's own methods are about what the caller has anyway: his subscriptions. NULL: nobody. */
static inline bool ua_may_call(const struct ua_server_user *user, const struct ua_method *m)
{
    return user && (user->may_call || m->node.id.ns == 0);
}

/* ---- the space ---- */
struct ua_space_limits { /* 0: the default */
    uint32_t nodes;      /* 100,000; above: CODE_LIMIT */
    uint32_t namespaces; /* 64 */
    uint32_t name_bytes; /* of browse names, display names, identifiers; 512 */
};
/* Empty but for the namespaces: 0, and 1 the application's URI. */
FG_CHECK enum code ua_space_open(struct ua_space **out, struct loop *, struct bytes application_uri,
                                 const struct ua_space_limits *, struct fault *why);
void ua_space_close(struct ua_space *);
/* Finds or adds the URI. */
FG_CHECK enum code ua_namespace(struct ua_space *, struct bytes uri, uint16_t *index, struct fault *why);
struct bytes ua_namespace_uri(const struct ua_space *, uint16_t index); /* null: there is none */
uint16_t     ua_namespace_count(const struct ua_space *);
uint32_t     ua_node_count(const struct ua_space *);
/* Wall time of this turn. */
ua_time ua_space_now(const struct ua_space *);

/* NULL: there is none. */
struct ua_node *ua_find(const struct ua_space *, const struct ua_node_id *);
static inline struct ua_node *ua_find0(const struct ua_space *s, uint32_t number)
{
    return ua_find(s, &UA_NS0(number));
}

/* A node to be made; what is zero is left out. */
struct ua_new {
    struct ua_node_id id;    /* null: a free number of namespace 1 */
    uint8_t  node_class;     /* 0: object, or variable if data_type is set */
    uint8_t  notifier;
    bool     is_abstract, symmetric;
    struct ua_node *parent;  /* NULL: none */
    uint32_t reference;      /* parent to node; 0: HasComponent, Organizes below a FolderType object, HasSubtype for types */
    uint32_t type;           /* HasTypeDefinition, of namespace 0; 0: BaseObjectType, BaseDataVariableType */
    struct ua_node *type_node; /* the same for types of other namespaces */
    struct ua_qualified_name browse_name;
    struct bytes display_name; /* null: the browse name */
    struct bytes description, inverse_name;
    /* variables, variable types */
    struct ua_node_id data_type;
    int32_t  rank;           /* 0: scalar (-1); UA_RANK_ONE_OR_MORE for the standard's 0 */
    const uint32_t *dims;
    uint32_t dims_count;
    uint8_t  access;         /* 0: read */
    uint32_t history;        /* values kept for HistoryRead, at most 100,000; 0: none */
    double   sampling_ms;
    const struct ua_variant *value; /* NULL: BadWaitingForInitialData until one is set */
    const struct ua_variable_ops *ops;
    /* methods */
    const struct ua_argument *inputs, *outputs; /* InputArguments and OutputArguments are made of them */
    uint32_t input_count, output_count;
    ua_status (*call)(void *ctx, struct ua_call *);
    void    *ctx;            /* of ops and call */
};
enum { UA_RANK_ONE_OR_MORE = INT32_MIN };
/* CODE_EXISTS: the id is taken; CODE_LIMIT, CODE_NOMEM; CODE_NOTFOUND: the type is not there. Failed, nothing is there. */
FG_CHECK enum code ua_add(struct ua_space *, const struct ua_new *, struct ua_node **out, struct fault *why);
/* A property of namespace 0's names: "EURange". */
FG_CHECK enum code ua_add_property(struct ua_space *, struct ua_node *of, const char *name, uint32_t data_type,
                                   const struct ua_variant *value, struct ua_node **out, struct fault *why);
/* EURange and EngineeringUnits; either may be NULL. */
FG_CHECK enum code ua_add_units(struct ua_space *, struct ua_node *of, const struct ua_range *, const struct ua_eu_information *,
                                struct fault *why);
/* Both ways; one way for HasTypeDefinition and HasModellingRule, whose inverse nobody needs and every variable would add to. */
FG_CHECK enum code ua_refer(struct ua_space *, struct ua_node *from, uint32_t type, struct ua_node *to, struct fault *why);
/* With what hangs below it by HasComponent and HasProperty and by nothing else. Watches are told that it is gone. Not types that
 * have instances. */
void ua_remove(struct ua_space *, struct ua_node *);

/* The first one that this type of reference (exactly) leads to, NULL: none. */
struct ua_node *ua_follow(const struct ua_node *, uint32_t type, bool inverse);
/* The component or property of that name, NULL: none. */
struct ua_node *ua_child(const struct ua_node *, uint16_t ns, struct bytes name);
/* The same, or below it by HasSubtype. */
bool ua_is_subtype(const struct ua_space *, const struct ua_node_id *type, const struct ua_node_id *of);
/* Of a data type: its own, or that of the standard type above it; UA_EXTENSION_OBJECT for structures, UA_INT32 for enumerations;
 * 0: abstract, or not known. */
unsigned ua_builtin_of(const struct ua_space *, const struct ua_node_id *data_type);

/* ---- setting and reading ---- */
/* From the program. Times that `has` does not name are this moment. False: no memory; the old value stays. */
FG_CHECK bool ua_set_value(struct ua_space *, struct ua_variable *, const struct ua_data_value *);
/* A status instead of a value ("BadNoCommunication"): the last value stays beside an Uncertain one, and goes with a Bad one. */
void ua_set_status(struct ua_space *, struct ua_variable *, ua_status, ua_time source_time);

/* Any attribute for any reader. What is wrong stands in out->status. *out is overwritten; drop it. */
void ua_read_attribute(struct ua_space *, const struct ua_server_user *, struct ua_node *, uint32_t attribute,
                       const struct ua_index_range *range, struct ua_value *out);
/* The same with all checks of a ReadValueId; index range and data encoding are parsed here. */
void ua_read_one(struct ua_space *, const struct ua_server_user *, const struct ua_read_value_id *, struct ua_value *out);
/* Whether a node of this class has the attribute. */
bool ua_has_attribute(const struct ua_node *, uint32_t attribute);

/* ---- watching ---- */
struct ua_watcher {
    struct ua_watcher *next, **link; /* private */
    struct ua_node    *node;         /* NULL: not watching */
    /* Only of those that are fed, at each set. The value is borrowed: ua_value_copy keeps it. May not set, add or remove. */
    void (*changed)(struct ua_watcher *, const struct ua_value *);
    /* The node is being removed; the watcher is loose already. */
    void (*gone)(struct ua_watcher *);
};
void ua_watch_fed(struct ua_watcher *, struct ua_variable *);
/* Only told when the node goes: items that sample, other attributes, events. */
void ua_watch_node(struct ua_watcher *, struct ua_node *);
void ua_unwatch(struct ua_watcher *); /* harmless when not watching */
