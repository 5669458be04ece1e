/* letter.h - upper and lower case of one character: Latin (with its supplement and Extended-A), Greek, Cyrillic, Armenian. Others
 * are their own upper and lower case. Independent of the locale; pure. */
#pragma once

#include <stdint.h>

uint32_t letter_upper(uint32_t c);
uint32_t letter_lower(uint32_t c);
