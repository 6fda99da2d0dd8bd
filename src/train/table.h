/* table.h - fields of CSV files (RFC 4180); failed writes are found when the file is committed. */
#ifndef VOX_TRAIN_TABLE_H
#define VOX_TRAIN_TABLE_H

#include <stdio.h>

/* Quoted where it must be. */
void vox_table_text(FILE *f, const char *text);
/* Nine significant digits, with a point whatever the locale; nothing for NaN. */
void vox_table_number(FILE *f, double value);

#endif
