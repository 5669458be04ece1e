/* settings_table.h - the rows behind settings.h, and what the settings_*.c files share. Not for others. */
#pragma once

#include "base/arena.h"
#include "base/settings.h"
#include "base/settings_yaml.h"

#include <stdatomic.h>

enum setting_kind {
    AS_COUNT,    /* uint32_t                                       */
    AS_BYTES,    /* uint32_t or uint64_t, "64MiB"                  */
    AS_SECONDS,  /* uint32_t or uint64_t, "7d"                     */
    AS_MICROS,   /* uint32_t, "500us"                              */
    AS_SWITCH,   /* bool                                           */
    AS_CHOICE,   /* an enum: index in words                        */
    AS_CHOICES,  /* struct settings_choices: indexes in words      */
    AS_TEXT,     /* const char *, min..max bytes                   */
    AS_TEXTS,    /* struct settings_texts                          */
    AS_ADDRESSES,/* at and at_count of a listener                  */
    AS_LISTENERS,/* listeners and listener_count                   */
    AS_PAIRS,    /* struct settings_pairs                          */
    AS_ENTRIES   /* a pointer to entries and their number          */
};

/* What the word `unlimited` stores, where it is allowed. */
enum setting_unlimited { NEVER_UNLIMITED, UNLIMITED_IS_MAX, UNLIMITED_IS_ZERO };

struct setting {
    const char            *key;      /* "hub.keep"; of a listener's own rows "type"                 */
    enum setting_kind      kind;
    size_t                 offset, size; /* of the field in struct settings or settings_listener    */
    uint64_t               min, max;
    const char            *def;      /* as one would write it; NULL = computed when loading         */
    const char            *def_said; /* for docs, when def is NULL                                  */
    const char            *help;     /* docs/settings.md and messages: a sentence                   */
    const char *const     *words;    /* AS_CHOICE, NULL at the end                                  */
    enum setting_unlimited unlimited;
    bool                   bare;     /* AS_SECONDS: the key says seconds, so a bare number is right */
    const struct entry_kind *entries; /* AS_ENTRIES */
    bool                   secret;   /* AS_TEXT, AS_PAIRS: shown as (hidden)                        */
};

/* A map of entries of one kind, each a map with rows of its own. A row's key may have dots: maps within. */
struct entry_kind {
    const char           *what;  /* "route": for messages                                                        */
    const struct setting *rows;
    size_t                row_count, size; /* of the struct; it begins with a struct settings_entry               */
    const char           *main;  /* the row that an entry of one text means, or NULL                              */
    const struct setting *other; /* where one text, or a list of them, goes instead of entries, or NULL           */
    const char           *example;
    const char           *help;  /* docs/settings.md */
};
extern const struct entry_kind job_entries, route_entries, action_entries, opcua_server_entries, opcua_variable_entries;
enum { ENTRY_ROWS_MAX = 24, ENTRIES_MAX = 200, PAIRS_MAX = 100 };
/* What stands where. */
struct entry_list {
    void  *at;
    size_t count;
};

extern const struct setting settings_rows[];
extern const size_t         settings_row_count;
extern const struct setting listener_rows[];
extern const size_t         listener_row_count;
enum { SETTINGS_ROWS_MAX = 96, LISTENER_ROWS_MAX = 16, LISTENERS_MAX = 100, LISTENER_ADDRESSES_MAX = 100 };

/* The paragraph above a group of keys in docs/settings.md: "" is the top. */
struct setting_group {
    const char *name, *help;
};
extern const struct setting_group settings_groups[];
extern const size_t               settings_group_count;

/* The listeners that hold when none is written. */
extern const struct settings_listener listeners_default[];
extern const size_t                   listeners_default_count;

/* ---- where a value came from ---- */
enum origin_kind { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct place {
    uint32_t line, column;
};

struct origin {
    enum origin_kind    kind;
    struct place        place; /* FROM_FILE                                      */
    const char         *said;  /* FROM_ENVIRONMENT "FIELDGATE_DATA", FROM_FLAG "--data" */
    const struct place *items; /* FROM_FILE, AS_TEXTS: each item's place         */
};

struct settings_inner {
    _Atomic int others; /* who reads them besides the one that loaded them */
    struct settings settings; /* what settings_load hands out */
    struct arena    arena;    /* texts, lists, listeners      */
    const char     *file;     /* its name, or NULL            */
    struct origin   origins[SETTINGS_ROWS_MAX];
    struct settings_listener *written; /* the same as settings.listeners, or NULL: none are written */
    /* per written listener and row; line 0 = default */
    struct place (*listener_places)[LISTENER_ROWS_MAX];
};

/* ---- values (settings_values.c) ---- */

/* Stores a scalar of the row's kind at `base` + offset. CODE_USAGE: why->text continues "KEY must be ". */
FG_CHECK enum code setting_store(const struct setting *, void *base, struct bytes text, struct arena *,
                                 struct fault *why);
/* Stores the row's default. Our own rows are right, so only memory can fail. */
FG_CHECK enum code setting_store_default(const struct setting *, void *base, struct arena *);
/* As one would write it in YAML; and as a JSON value. */
void setting_print(const struct setting *, const void *base, struct buf *out);
void setting_print_json(const struct setting *, const void *base, struct buf *out);
/* "127.0.0.1:1883" or "[::1]:1883" or port 0. CODE_USAGE: why->text continues "must be ". */
FG_CHECK enum code setting_address(struct bytes text, struct settings_address *out, struct arena *,
                                   struct fault *why);
/* "FIELDGATE_HUB_KEEP_SIZE" for "hub.keep-size". */
void setting_variable_name(const struct setting *, char *out, size_t cap);
/* A key that begins with a blank, has a colon and so on needs quotes in YAML. */
void setting_print_yaml_text(struct bytes text, struct buf *out);

/* ---- notes (settings.c) ---- */
struct loading {
    struct settings_inner        *inner;
    const struct settings_source *source;
    struct settings_report       *report;
    struct fault                 *why;
    bool                          nomem;
};
enum {
    NOTE_UNREADABLE = 1010, /* the file cannot be read                     */
    NOTE_NOT_YAML = 1011,   /* not YAML, or YAML we refuse                 */
    NOTE_UNKNOWN = 1012,    /* no such key, listener type, variable        */
    NOTE_VALUE = 1013,      /* wrong type or out of range                  */
    NOTE_TOGETHER = 1014    /* right by itself, wrong with another setting */
};
void settings_say(struct loading *, int number, bool warning, const struct origin *, const char *fmt, ...)
    FG_PRINTF(5, 6);
struct origin setting_in_file(uint32_t line, uint32_t column);
struct origin *settings_origin(struct loading *, const char *key); /* of a row */

/* ---- the file (settings_file.c, settings_listeners.c) ---- */
enum { PATH_MAX_BYTES = 128 };

void settings_read_tree(struct loading *, const struct yaml_node *root);
void settings_read_listeners(struct loading *, const struct setting *, const struct yaml_node *,
                             struct origin *);
void settings_read_entries(struct loading *, const struct setting *, const struct yaml_node *, struct origin *);
/* Fills in what listeners take from elsewhere in the file, and says what then does not fit. After all has been read. */
void settings_settle_listeners(struct loading *);
void settings_settle_opcua(struct loading *); /* settings_variables.c; likewise */
/* What both read a value with; each notes what is wrong itself. `path` is "listeners[0].at". */
bool                    setting_means_nothing(const struct yaml_node *); /* `key:`, `key: ~`, `key: null` */
struct origin           setting_place(const struct yaml_node *);
struct origin           setting_key_place(const struct yaml_node *);
bool                    setting_one_value(struct loading *, const struct yaml_node *, const char *path,
                                          const struct setting *);
bool                    setting_is_list(struct loading *, const struct yaml_node *, const char *path,
                                        const struct setting *);
const struct yaml_node *setting_items(const struct yaml_node *,
                                      size_t *count); /* one value is a list of one */
/* A list of texts into a field of `base`; *items: each one's place. NULL: nobody wants them. */
void                    setting_read_texts(struct loading *, const struct yaml_node *, const char *path,
                                           const struct setting *, void *base, const struct place **items);
void                    setting_bad_value(struct loading *, const struct yaml_node *, const char *path,
                                          const struct setting *, enum code, const struct fault *why);
void                    setting_path(char *out, size_t cap, const char *fmt, ...) FG_PRINTF(3, 4);
