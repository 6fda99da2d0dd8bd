/* input.h - one unlabelled input from files, prepared as the cases of a data set are. */
#ifndef VOX_DATA_INPUT_H
#define VOX_DATA_INPUT_H

#include "base/file.h"
#include "base/yaml.h"

/* files: "t2.mhd", a folder with a DICOM series, or several with ';' between them, whose channels
 * follow each other.  prepare: the list under `data.prepare`, may be NULL.  Writes shape's
 * C*D*H*W floats to out.  From any thread. */
vox_status vox_dataset_read_input(const char *files, const vox_yaml_node *prepare,
                                  const int64_t shape[4], float *out, vox_error *err);

/* ---- its parts, which data sets use too ---- */

/* "a;b": paths relative to dir (NULL: to the working folder) that must exist, added to out. */
vox_status vox_input_paths(vox_names *out, const char *dir, const char *text, vox_error *err);
/* Reads the files, checks that their voxels are finite, and stacks their channels. */
vox_status vox_input_read(const vox_names *files, vox_image **out, vox_error *err);
/* Fails with both shapes if the image is not C,D,H,W. */
vox_status vox_input_shape(const int64_t shape[4], const vox_image *image, vox_error *err);

#endif
