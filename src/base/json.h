/* json.h - writing JSON into a growing string; reading is jansson's, where it is needed.
 *
 * Commas are the writer's: begin, members, end.  Zero-initialise (nothing to open).  A failed
 * append stays visible in text.failed, as with every vox_str. */
#ifndef VOX_BASE_JSON_H
#define VOX_BASE_JSON_H

#include "base/mem.h"

typedef struct vox_json {
    vox_str text;
    bool comma; /* something stands before the next value */
} vox_json;

/* key NULL: an item of a list (or the document itself). */
void vox_json_begin(vox_json *j, const char *key, char bracket); /* '{' or '[' */
void vox_json_end(vox_json *j, char bracket);                    /* '}' or ']' */
void vox_json_string(vox_json *j, const char *key, const char *value);
void vox_json_int(vox_json *j, const char *key, int64_t value);
/* Nine significant digits, enough for any float; JSON has no NaN or infinity: null. */
void vox_json_number(vox_json *j, const char *key, double value);
void vox_json_bool(vox_json *j, const char *key, bool value);

/* The text, now the caller's; NULL and *err filled if memory ran out on the way. */
char *vox_json_take(vox_json *j, vox_error *err);

#endif
