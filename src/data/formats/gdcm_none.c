/* gdcm_none.c - stands in for gdcm_bridge.cpp in a build without GDCM. */
#include "data/formats/gdcm_bridge.h"

#ifndef VOXCL_WITH_GDCM

#include "data/formats/image.h"

#include <string.h>

vox_status vox_gdcm_decompress(vox_gdcm_pixels *out, const char *bytes, size_t size,
                               const vox_dicom_header *header, size_t max_bytes, const char *path,
                               vox_error *err)
{
    (void)bytes, (void)size, (void)header, (void)max_bytes;
    memset(out, 0, sizeof *out);
    return vox_image_switched_off(err, "GDCM", path);
}

void vox_gdcm_lock(void)
{
}

void vox_gdcm_unlock(void)
{
}

vox_status vox_gdcm_write_slice(const char *path, const vox_dicom_slice *slice, vox_error *err)
{
    (void)slice;
    return vox_image_switched_off(err, "GDCM", path);
}

#endif
