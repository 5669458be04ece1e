/* thing_json.h - structures by their description (uaclient/shape.h) as JSON: { "Field": value ... }.
 *
 * An enumeration is "Name_3" (reversible: 3; plain: "Name"), as OPC Publisher has it; a structure whose type nobody knows is its type's id and its bytes.
 * Any thread; nothing is allocated.
 */
#pragma once

#include "opcua/json.h"
#include "uaclient/shape.h"

void thing_json(const struct ua_json *, const struct ua_thing *);
