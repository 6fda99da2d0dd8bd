/* json.c - JSON documents on standard output. */
#include "json.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int cli_no_json(void)
{
    return cli_error(&(vox_error){.code = VOX_ERR_UNSUPPORTED,
                                  .message = "this build cannot write JSON",
                                  .detail = "it was configured with -DVOXCL_WITH_JANSSON=OFF",
                                  .hint = "leave --json away, or build with jansson"});
}

#ifdef VOXCL_WITH_JANSSON
static void no_memory(void)
{
    fprintf(stderr, "voxcl: error: out of memory\n");
    exit(CLI_FAILED);
}

json_t *cli_json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    char *copy = strdup(text);
    if (!copy)
        no_memory();
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p > 127)
            *p = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *cli_json_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *cli_json_square(const int64_t *counts, int64_t classes)
{
    json_t *square = json_array();
    for (int64_t i = 0; i < classes; i++) {
        json_t *row = json_array();
        for (int64_t j = 0; j < classes; j++)
            if (json_array_append_new(row, json_integer(counts[i * classes + j])))
                no_memory();
        if (json_array_append_new(square, row))
            no_memory();
    }
    return square;
}

void cli_json_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        no_memory();
}

int cli_json_print(json_t *document)
{
    char *text = json_dumps(document, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(document);
    if (!text)
        no_memory();
    puts(text);
    free(text);
    return CLI_DONE;
}
#endif
