/* segmenting.c - the option --overlap, which predict and eval share. */
#include "cli.h"

#include <stdlib.h>

int cli_overlap_get(double *out, const char *text, const char *command)
{
    char *end;
    if (!text)
        return CLI_GO;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 0.95))
        return cli_usage(command, NULL, "--overlap takes a number from 0 to 0.95, not \"%s\"",
                         text);
    *out = value > 0 ? value : -1;
    return CLI_GO;
}
