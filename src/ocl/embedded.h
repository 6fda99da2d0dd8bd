/* embedded.h - the kernel files, built into the library. */
#ifndef VOX_OCL_EMBEDDED_H
#define VOX_OCL_EMBEDDED_H

#include <stddef.h>

typedef struct vox_embedded {
    const char *name;          /* "conv3d_naive.cl" */
    const unsigned char *text; /* NUL terminated */
    size_t size;               /* without the NUL */
} vox_embedded;

extern const vox_embedded vox_embedded_files[]; /* ends with name NULL */

#endif
