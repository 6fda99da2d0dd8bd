/* safetensors.h - named tensors in one file, as PyTorch's world exchanges them.
 *
 *   8 bytes, little endian: length of the header | the header, JSON | the tensors' bytes
 *
 * The header maps each name to its dtype, shape and [begin, end) in the bytes; "__metadata__" maps
 * strings to strings.  The bytes are covered without overlap or hole.
 * Source: https://github.com/huggingface/safetensors (README, "Format").
 *
 * One invariant: a file is believed only after every number in it has been checked against its
 * size; nothing is read outside of it. */
#ifndef VOX_TRAIN_SAFETENSORS_H
#define VOX_TRAIN_SAFETENSORS_H

#include "base/file.h"

#define VOX_ST_RANK 8

/* One tensor of a file that was read. */
typedef struct vox_st_tensor {
    char *name;
    char dtype[8]; /* "F32", "I64", ... */
    int rank;
    int64_t shape[VOX_ST_RANK];
    size_t count;         /* elements */
    size_t offset, bytes; /* in the file's tensor bytes */
} vox_st_tensor;

typedef struct vox_safetensors {
    char *path;
    vox_st_tensor *tensor; /* [tensors], by offset */
    size_t tensors;
    char **key, **value; /* [metas] */
    size_t metas;
    char *file;       /* the whole file */
    const char *data; /* into it: the tensors' bytes, not aligned */
} vox_safetensors;

/* The caller frees *out with vox_safetensors_free.  Errors name the file, the tensor and the
 * numbers that do not agree.  VOX_ERR_UNSUPPORTED in builds without jansson. */
vox_status vox_safetensors_open(vox_safetensors **out, const char *path, vox_error *err);
void vox_safetensors_free(vox_safetensors **file);

/* NULL: there is none. */
const vox_st_tensor *vox_safetensors_find(const vox_safetensors *file, const char *name);
const char *vox_safetensors_meta(const vox_safetensors *file, const char *key);

/* Copies an F32 tensor's elements into out[count]; other types are VOX_ERR_UNSUPPORTED. */
vox_status vox_safetensors_floats(const vox_safetensors *file, const vox_st_tensor *tensor,
                                  float *out, vox_error *err);

/* What is to be written; everything is borrowed. */
typedef struct vox_st_item {
    const char *name;
    int rank;
    int64_t shape[VOX_ST_RANK];
    const float *f32; /* one of the two */
    const int64_t *i64;
} vox_st_item;

typedef struct vox_st_meta {
    const char *key, *value;
} vox_st_meta;

/* Whole or not at all (vox_file_commit). */
vox_status vox_safetensors_write(const char *path, const vox_st_item *item, size_t items,
                                 const vox_st_meta *meta, size_t metas, vox_error *err);

#endif
