/* units.h - units of measurement as OPC UA has them: common codes of UN/ECE Recommendation 20 as numbers (Part 8, 5.6.3.3). */
#pragma once

#include "opcua/services.h"

/* A code ("CEL"), its symbol ("°C"), or any text, which then has no number (-1). Views of `text` or constants. */
void mirror_unit(struct bytes text, struct ua_eu_information *out);
