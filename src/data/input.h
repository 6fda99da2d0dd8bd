/* input.h - one unlabelled input from files, prepared as the cases of a data set are. */
#ifndef VOX_DATA_INPUT_H
#define VOX_DATA_INPUT_H

#include "base/file.h"
#include "data/prepare.h"

/* files: "t2.mhd", a folder with a DICOM series, or several with ';' between them, whose channels
 * follow each other.  prepare: the list under `data.prepare`, may be NULL; stats: the training
 * data's figures (a checkpoint has them), NULL: none.  From any thread.
 *
 * A prepared input of whatever size: *image, which the caller frees (vox_image_free), and where its
 * voxels lie in the input's grid: *map (may be NULL), whose size is the input's. */
vox_status vox_input_prepare(vox_image **image, vox_voxel_map *map, const char *files,
                             const vox_yaml_node *prepare, const vox_prepare_stats *stats,
                             vox_error *err);
/* Fails unless it has `shape`; writes its C*D*H*W floats to out. */
vox_status vox_dataset_read_input(const char *files, const vox_yaml_node *prepare,
                                  const vox_prepare_stats *stats, const int64_t shape[4],
                                  float *out, vox_error *err);

/* ---- its parts, which data sets use too ---- */

/* "a;b": paths relative to dir (NULL: to the working folder) that must exist, added to out. */
vox_status vox_input_paths(vox_names *out, const char *dir, const char *text, vox_error *err);
/* Reads the files, checks that their voxels are finite, and stacks their channels. */
vox_status vox_input_read(const vox_names *files, vox_image **out, vox_error *err);
/* Fails with both shapes if the image is not C,D,H,W. */
vox_status vox_input_shape(const int64_t shape[4], const vox_image *image, vox_error *err);
/* The error of an image that does not have shape's channels. */
vox_status vox_input_channels(const int64_t shape[4], const vox_image *image, vox_error *err);

#endif
