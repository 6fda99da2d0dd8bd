/* room.c - how much of a device's memory is free.
 *
 * OpenCL has no query for it.  AMD's drivers have one; a CPU's memory is the host's, which the
 * operating system tells about; for the others (NVIDIA, Intel) it is all of the memory less what
 * this process holds, as if the device were ours alone. */
#include "base/host.h"
#include "ocl/internal.h"

#include <string.h>

#ifndef CL_DEVICE_GLOBAL_FREE_MEMORY_AMD
#define CL_DEVICE_GLOBAL_FREE_MEMORY_AMD 0x4039
#endif

/* AMD: in KiB, all that is free, then the largest block; 0: not known. */
static uint64_t amd_free_bytes(const vox_device *dev)
{
    size_t kib[2] = {0};
    if (!strstr(dev->found.desc.extensions, "cl_amd_device_attribute_query") ||
        clGetDeviceInfo(dev->found.id, CL_DEVICE_GLOBAL_FREE_MEMORY_AMD, sizeof kib, kib, NULL) !=
            CL_SUCCESS)
        return 0;
    return (uint64_t)kib[0] * 1024;
}

uint64_t vox_device_free_bytes(const vox_device *dev)
{
    const uint64_t all = dev->found.desc.global_mem_bytes;
    const uint64_t left = all > dev->bytes ? all - dev->bytes : 0;
    uint64_t told = vox_device_has_host_memory(dev) ? vox_host_free_bytes() : amd_free_bytes(dev);
    return told > 0 && told < left ? told : left;
}
