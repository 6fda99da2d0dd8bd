/* place.h - where a device sits in the machine. */
#ifndef VOX_OCL_PLACE_H
#define VOX_OCL_PLACE_H

#include <stdint.h>

/* Where a device is: the things it is below, from the whole machine (storey 0) down through NUMA
 * nodes and PCI bridges to the device itself and its part, as numbers that only tell whether two
 * are the same thing. */
#define VOX_PLACE_DEPTH 14
typedef struct vox_place {
    uint32_t depth; /* storeys known, 0..VOX_PLACE_DEPTH */
    uint64_t at[VOX_PLACE_DEPTH];
} vox_place;

#endif
