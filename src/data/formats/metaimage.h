/* metaimage.h - a MetaImage header: read, cut into keys and values, understood. */
#ifndef VOX_DATA_FORMATS_METAIMAGE_H
#define VOX_DATA_FORMATS_METAIMAGE_H

#include "data/formats/sample.h"

enum { VOX_META_KEYS_MAX = 256 };

/* The header as text, cut into keys and values in place. */
typedef struct vox_meta {
    const char *path; /* borrowed */
    char *text;       /* owned; what follows the header is there too, up to a limit */
    size_t length;
    size_t data; /* where the bytes after the ElementDataFile line begin */
    struct {
        const char *key, *value;
    } pair[VOX_META_KEYS_MAX];
    size_t count;
} vox_meta;

/* What the header says of the data, checked: every length is at least 1 and the product of all
 * of them does not overflow. */
typedef struct vox_meta_layout {
    int64_t rank, dim[4], channels; /* dim in the file's order x, y, z, t; 1 beyond rank */
    vox_sample type;
    bool msb, compressed;
    int64_t skip;             /* HeaderSize, -1: the data end the file */
    int64_t compressed_bytes; /* 0: not said */
} vox_meta_layout;

vox_status vox_meta_read(vox_meta *meta, const char *path, vox_error *err);
void vox_meta_release(vox_meta *meta);
vox_status vox_meta_get_layout(const vox_meta *meta, vox_meta_layout *layout, vox_error *err);
vox_status vox_meta_get_geometry(const vox_meta *meta, const vox_meta_layout *layout,
                                 vox_image *image, vox_error *err);

/* The value of key, NULL if it is not there. */
const char *vox_meta_find(const vox_meta *meta, const char *key);
/* Cuts the space off both ends, in place. */
char *vox_meta_trim(char *text);

/* Writes by the ending: .mha; .mhd or .raw give the pair of them; .zraw gives .mhd and .zraw. */
vox_status vox_meta_write_by_name(const vox_image *image, const char *path, vox_error *err);

#endif
