/* json.h - values as JSON, as OPC UA has it (Part 6, 5.4) and as people want it.
 *
 *                        OPC UA                                     people (plain)
 *   Int64, UInt64        "9007199254740993"                          9007199254740993
 *   Float, Double        21.4; "NaN", "Infinity", "-Infinity"        the same
 *   ByteString           base64; null is null                        the same
 *   DateTime             "2026-11-22T06:00:04.1234567Z"              the same
 *   NodeId               "nsu=http://example.org/;s=Temp", "ns=2;..." the same
 *   StatusCode           {"Code":2150891520,"Symbol":"BadNodeIdUnknown"}  "BadNodeIdUnknown"
 *   QualifiedName        {"Name":"Temp","Uri":2}                      "2:Temp"
 *   LocalizedText        "text"  (reversible: {"Locale":"de","Text":"text"})
 *   Guid                 "6B29FC40-CA47-1067-B31D-00DD010662DA"
 *   ExtensionObject      what `object` writes; without it {"TypeId":..., "Body":"base64"}
 *   arrays, matrices     arrays, in each other
 *   Variant in an array  its value (reversible: {"Type":11,"Body":21.4})
 *
 * Text that is not UTF-8 becomes U+FFFD. No memory but `out`'s. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "opcua/types.h"

struct ua_json {
    struct buf *out;
    bool plain;      /* for people */
    bool reversible; /* types with the values */
    /* The URI of a namespace, null: its number is written. NULL: numbers always. */
    struct bytes (*namespace_uri)(void *ctx, uint16_t index);
    /* Writes the structure. False: it cannot, and has written nothing. NULL: nobody can. */
    bool (*object)(void *ctx, const struct ua_json *, const struct ua_extension_object *);
    void *ctx;
};

/* The value: null, a scalar, or an array. With `reversible`: {"Type":..,"Body":..,"Dimensions":[..]}. */
void ua_json_variant(const struct ua_json *, const struct ua_variant *);
/* One value of a built-in type, of ua_size bytes. */
void ua_json_builtin(const struct ua_json *, unsigned type, const void *);
void ua_json_status(const struct ua_json *, ua_status);
void ua_json_node_id(const struct ua_json *, const struct ua_node_id *);
/* A text, or null. */
void ua_json_text(struct buf *, struct bytes);
void ua_json_time(struct buf *, ua_time); /* with its quotes; 0 is "0001-01-01T00:00:00Z" */
