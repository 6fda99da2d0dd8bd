/* header.c - voxcl.h compiles alone as C11. */
#include "voxcl.h"

typedef int vox_header_compiles;
