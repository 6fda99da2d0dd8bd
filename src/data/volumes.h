/* volumes.h - volumes that several cases share, read once while they are near each other.
 *
 * A few findings lie in one scan, and threads work on neighbouring findings at the same time: the
 * last few volumes are kept, and one that is being read by a thread is waited for, not read twice.
 */
#ifndef VOX_DATA_VOLUMES_H
#define VOX_DATA_VOLUMES_H

#include "base/error.h"

typedef struct vox_volumes vox_volumes;

vox_status vox_volumes_open(vox_volumes **out, size_t keep, vox_error *err);
void vox_volumes_free(vox_volumes **volumes); /* nothing may be held any more */

/* The volume of a path, from memory or read by vox_image_read; *out is borrowed until put.  From
 * any thread. */
vox_status vox_volumes_get(vox_volumes *volumes, const char *path, const vox_image **out,
                           vox_error *err);
void vox_volumes_clear(vox_volumes *volumes); /* lets go of what nobody holds */
void vox_volumes_put(vox_volumes *volumes, const vox_image *image); /* NULL is fine */

#endif
