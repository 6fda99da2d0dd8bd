/* formula.h - arithmetic in texts: "level + 1", "width * 2^(level - 1)".
 *
 *   sum     = product { ("+" | "-") product }
 *   product = power { ("*" | "/" | "//" | "%") power }      // is division rounded down
 *   power   = ["-"] atom [ "^" power ]                      -2^2 is -4, as in mathematics
 *   atom    = number | name | "(" sum ")"
 *
 * Values are doubles, so whole numbers are exact up to 2^53.  Names are letters, digits and _, not
 * beginning with a digit. */
#ifndef VOX_BASE_FORMULA_H
#define VOX_BASE_FORMULA_H

#include "base/error.h"

/* The value of a name of `length` letters; false: there is none. */
typedef bool vox_formula_find(void *from, const char *name, size_t length, double *out);

/* Evaluates all `length` bytes of text.  What is wrong (an unknown name, a division by zero, a
 * result that is no finite number) is said in err->message, and for an unknown name, which is then
 * in `unknown`, nothing more: the caller knows the candidates. */
vox_status vox_formula(const char *text, size_t length, vox_formula_find *find, void *from,
                       double *out, char unknown[64], vox_error *err);

#endif
