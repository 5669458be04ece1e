/* number.h - decimal texts and numbers. Pure, any thread, no memory, independent of the locale. */
#pragma once

#include "base/bytes.h"

/* [+-] digits [. digits] [e [+-] digits], the whole text: the nearest double. False: another form, or infinite. */
bool float_parse(struct bytes text, double *out);
/* [+-] digits, the whole text. False: another form, or outside of int64. */
bool bigint_parse(struct bytes text, int64_t *out);

enum { FLOAT_TEXT = 32 };
/* The shortest digits that read back as the same double, JSON's grammar, ".0" behind a whole one ("-0.0", "1e+300", "1.5e-7").
 * Plain notation from 1e-6 up to below 1e21. `f` must be finite. Returns the length; not NUL-terminated. */
size_t float_write(double f, char out[FLOAT_TEXT]);
/* The same for a single: the shortest digits that read back as the same float, "21.4" and not "21.399999618530273". */
size_t single_write(float f, char out[FLOAT_TEXT]);
/* Decimal digits; at most 20 characters. Returns the length. */
size_t bigint_write(int64_t i, char out[FLOAT_TEXT]);
