/* json.h - JSON made and shown with jansson; without it they say so. */
#ifndef VOX_CLI_JSON_H
#define VOX_CLI_JSON_H

/* A JSON document of the library's as text and tables; returns the exit code. */
int cli_document_print(const char *text);

/* The complaint of a build without jansson; returns the exit code. */
int cli_no_json(void);

#ifdef VOXCL_WITH_JANSSON
#include <jansson.h>
#include <stdint.h>

/* A string value; bytes that are no UTF-8 (drivers' names) become '?'. */
json_t *cli_json_text(const char *text);
/* A number, or null where it is not finite, which JSON cannot say. */
json_t *cli_json_real(double x);
/* [[...], ...] from counts [classes][classes]. */
json_t *cli_json_square(const int64_t *counts, int64_t classes);
/* Sets a key; a value that could not be made ends the program (out of memory). */
void cli_json_set(json_t *object, const char *key, json_t *value);
/* Prints the document and releases it; returns the exit code. */
int cli_json_print(json_t *document);
#endif

#endif
