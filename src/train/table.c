/* table.c - fields of CSV files. */
#include "train/table.h"

#include <math.h>
#include <string.h>

void vox_table_text(FILE *f, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

void vox_table_number(FILE *f, double value)
{
    char text[40];
    if (isnan(value))
        return;
    snprintf(text, sizeof text, "%.9g", value);
    char *comma = strchr(text, ','); /* the program using us may have set a locale */
    if (comma)
        *comma = '.';
    fputs(text, f);
}
