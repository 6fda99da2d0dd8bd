/* version.c - the version, from CMakeLists.txt. */
#include "voxcl.h"

const char *vox_version(void)
{
    return VOXCL_VERSION;
}
