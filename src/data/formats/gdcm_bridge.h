/* gdcm_bridge.h - what dicom*.c asks of GDCM, in C.
 *
 * Without GDCM, gdcm_none.c has the same functions: each says so and fails. */
#ifndef VOX_DATA_FORMATS_GDCM_BRIDGE_H
#define VOX_DATA_FORMATS_GDCM_BRIDGE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "data/formats/dicom.h"

/* As vox_dicom_write_slice, whose arguments are checked already. */
vox_status vox_gdcm_write_slice(const char *path, const vox_dicom_slice *slice, vox_error *err);

#ifdef __cplusplus
}
#endif

#endif
