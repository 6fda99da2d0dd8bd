/* text.h - words: strict numbers and "did you mean". */
#ifndef VOX_BASE_TEXT_H
#define VOX_BASE_TEXT_H

#include "base/error.h"

/* The whole of text (spaces around allowed) as a number; false when it is not
 * one or does not fit.  The decimal point is '.', whatever the locale. */
bool vox_parse_i64(const char *text, int64_t *out);
bool vox_parse_double(const char *text, double *out);
/* "4,1,25" into out[most]; returns how many there are, 0 when text is anything else. */
int vox_parse_list(const char *text, int64_t *out, int most);

/* The candidate nearest to `word` by edit distance, or NULL when none is near
 * enough (more than a third of the letters differ).  candidates ends with NULL. */
const char *vox_nearest(const char *word, const char *const *candidates);

#endif
