/* attr_words.h - attributes from words such as a command line has: "kernel=2,3,3", "p=0.5". */
#ifndef VOX_OPS_ATTR_WORDS_H
#define VOX_OPS_ATTR_WORDS_H

#include "ops/op.h"

/* Fills the attribute struct `out` (attrs may be NULL: none) from words "key=value"; what is not
 * given has its default.  A triple is "d,h,w" or one number for all three, a list of
 * numbers "1,0.5,2".  An unknown key, a
 * value out of range or a missing key is VOX_ERR_USAGE; `what` begins the message. */
vox_status vox_attr_words(const vox_attr *attrs, void *out, const char *what,
                          const char *const *words, size_t count, vox_error *err);

#endif
