/* input.h - one unlabelled input from files, prepared as the cases of a data set are. */
#ifndef VOX_DATA_INPUT_H
#define VOX_DATA_INPUT_H

#include "base/yaml.h"

/* files: "t2.mhd", a folder with a DICOM series, or several with ';' between them, whose channels
 * follow each other.  prepare: the list under `data.prepare`, may be NULL.  Writes shape's
 * C*D*H*W floats to out.  From any thread. */
vox_status vox_dataset_read_input(const char *files, const vox_yaml_node *prepare,
                                  const int64_t shape[4], float *out, vox_error *err);

#endif
