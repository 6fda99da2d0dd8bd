/* gdcm_none.c - stands in for gdcm_bridge.cpp in a build without GDCM. */
#include "data/formats/gdcm_bridge.h"

#ifndef VOXCL_WITH_GDCM

static vox_status without(const char *path, vox_error *err)
{
    vox_fail(err, VOX_ERR_UNSUPPORTED, "this voxcl was built without DICOM");
    vox_detail(err, "%s", path);
    vox_hint(err, "configure with -DVOXCL_WITH_GDCM=ON");
    return VOX_ERR_UNSUPPORTED;
}

vox_status vox_gdcm_write_slice(const char *path, const vox_dicom_slice *slice, vox_error *err)
{
    (void)slice;
    return without(path, err);
}

#endif
