/* discover.c - every device of every ICD platform, and why one cannot be used. */
#include "ocl/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Info as text: always terminated, leading blanks dropped, empty on error. */
static void device_text(cl_device_id id, cl_device_info what, char *out, size_t size)
{
    char text[8192] = "";
    size_t got = 0;
    if (clGetDeviceInfo(id, what, sizeof text - 1, text, &got) != CL_SUCCESS)
        text[0] = '\0';
    text[sizeof text - 1] = '\0';
    snprintf(out, size, "%s", text + strspn(text, " \t"));
}

static void platform_text(cl_platform_id id, cl_platform_info what, char *out, size_t size)
{
    char text[1024] = "";
    if (clGetPlatformInfo(id, what, sizeof text - 1, text, NULL) != CL_SUCCESS)
        text[0] = '\0';
    snprintf(out, size, "%s", text);
}

static uint64_t device_number(cl_device_id id, cl_device_info what, size_t size)
{
    uint32_t small = 0;
    uint64_t large = 0;
    if (size == sizeof small)
        return clGetDeviceInfo(id, what, size, &small, NULL) == CL_SUCCESS ? small : 0;
    return clGetDeviceInfo(id, what, sizeof large, &large, NULL) == CL_SUCCESS ? large : 0;
}

/* The extensions that kernels or the runtime know what to do with. */
static void usable_extensions(cl_device_id id, vox_device_desc *d)
{
    static const char *const known[] = {"cl_khr_fp16",
                                        "cl_khr_fp64",
                                        "cl_khr_subgroups",
                                        "cl_khr_int64_base_atomics",
                                        "cl_khr_pci_bus_info",
                                        "cl_khr_integer_dot_product",
                                        "cl_intel_subgroups",
                                        "cl_intel_required_subgroup_size",
                                        "cl_nv_device_attribute_query",
                                        "cl_amd_device_attribute_query",
                                        "cl_intel_subgroup_matrix_multiply_accumulate"};
    char all[8192];
    device_text(id, CL_DEVICE_EXTENSIONS, all, sizeof all);
    size_t used = 0;
    for (char *save = NULL, *word = strtok_r(all, " ", &save); word;
         word = strtok_r(NULL, " ", &save))
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strcmp(word, known[i]) == 0 && used + strlen(word) + 2 < sizeof d->extensions)
                used += (size_t)snprintf(d->extensions + used, sizeof d->extensions - used, "%s%s",
                                         used ? " " : "", word);
}

static void describe_names(cl_platform_id platform, cl_device_id id, vox_device_desc *d)
{
    device_text(id, CL_DEVICE_NAME, d->name, sizeof d->name);
    device_text(id, CL_DEVICE_VENDOR, d->vendor, sizeof d->vendor);
    device_text(id, CL_DEVICE_VERSION, d->device_version, sizeof d->device_version);
    device_text(id, CL_DEVICE_OPENCL_C_VERSION, d->opencl_c_version, sizeof d->opencl_c_version);
    device_text(id, CL_DRIVER_VERSION, d->driver_version, sizeof d->driver_version);
    platform_text(platform, CL_PLATFORM_NAME, d->platform, sizeof d->platform);
    platform_text(platform, CL_PLATFORM_VERSION, d->platform_version, sizeof d->platform_version);
    usable_extensions(id, d);
}

/* VOXCL_DEVICE_TYPE=gpu (or cpu) makes every device count as one, so that the methods for GPUs can
 * be tested where there is none. */
static vox_device_type type_of(cl_device_id id)
{
    const char *pretend = getenv("VOXCL_DEVICE_TYPE");
    cl_device_type type = device_number(id, CL_DEVICE_TYPE, sizeof type);
    if (pretend && strcmp(pretend, "gpu") == 0)
        return VOX_DEVICE_GPU;
    if (type & CL_DEVICE_TYPE_CPU || (pretend && strcmp(pretend, "cpu") == 0))
        return VOX_DEVICE_CPU;
    return type & CL_DEVICE_TYPE_GPU ? VOX_DEVICE_GPU : VOX_DEVICE_OTHER;
}

static void describe_limits(cl_device_id id, vox_device_desc *d)
{
    d->type = type_of(id);
    d->compute_units = (uint32_t)device_number(id, CL_DEVICE_MAX_COMPUTE_UNITS, 4);
    d->clock_mhz = (uint32_t)device_number(id, CL_DEVICE_MAX_CLOCK_FREQUENCY, 4);
    d->global_mem_bytes = device_number(id, CL_DEVICE_GLOBAL_MEM_SIZE, 8);
    d->max_alloc_bytes = device_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, 8);
    d->local_mem_bytes = device_number(id, CL_DEVICE_LOCAL_MEM_SIZE, 8);
    d->cache_bytes = device_number(id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, 8);
    d->local_mem_dedicated = device_number(id, CL_DEVICE_LOCAL_MEM_TYPE, 4) == CL_LOCAL;
    d->mem_align_bytes = (uint32_t)device_number(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, 4) / 8;
    d->vector_width_float = (uint32_t)device_number(id, CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, 4);
    d->unified_memory = device_number(id, CL_DEVICE_HOST_UNIFIED_MEMORY, 4) != 0;
    d->max_work_group = (size_t)device_number(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t));
    size_t items[16] = {0};
    if (clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL) == CL_SUCCESS)
        memcpy(d->max_work_items, items, sizeof d->max_work_items);
}

/* Writes why the device cannot be used into desc->reason; nothing when it can. */
static void judge(cl_device_id id, vox_device_desc *d)
{
    int major = 0, minor = 0;
    if (sscanf(d->device_version, "OpenCL %d.%d", &major, &minor) != 2)
        snprintf(d->reason, sizeof d->reason, "its version is unreadable: \"%s\"",
                 d->device_version);
    else if (major < 1 || (major == 1 && minor < 2))
        snprintf(d->reason, sizeof d->reason, "it has OpenCL %d.%d; 1.2 is needed", major, minor);
    else if (!device_number(id, CL_DEVICE_AVAILABLE, 4))
        snprintf(d->reason, sizeof d->reason, "the driver says it is not available");
    else if (!device_number(id, CL_DEVICE_COMPILER_AVAILABLE, 4))
        snprintf(d->reason, sizeof d->reason, "its driver has no kernel compiler");
    else if (!device_number(id, CL_DEVICE_ENDIAN_LITTLE, 4))
        snprintf(d->reason, sizeof d->reason, "it is big-endian");
    else if (d->mem_align_bytes > VOX_BUFFER_ALIGN)
        snprintf(d->reason, sizeof d->reason, "its buffers align to %u bytes; at most %d is known",
                 d->mem_align_bytes, VOX_BUFFER_ALIGN);
    d->usable = d->reason[0] == '\0';
}

static bool add_platform(cl_platform_id platform, vox_found **found, size_t *count,
                         size_t *capacity, vox_error *err)
{
    cl_device_id id[64];
    cl_uint n = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 64, id, &n) != CL_SUCCESS)
        return true; /* a platform without devices */
    for (cl_uint i = 0; i < n && i < 64; i++) {
        if (!vox_grow(found, capacity, *count + 1, sizeof **found, err))
            return false;
        vox_found *f = *found + *count;
        f->platform = platform;
        f->id = id[i];
        f->desc.index = (int)*count;
        describe_names(platform, id[i], &f->desc);
        describe_limits(id[i], &f->desc);
        vox_locality_describe(id[i], &f->desc);
        judge(id[i], &f->desc);
        f->quirks = vox_quirks_find(f->desc.platform, f->desc.name);
        f->desc.max_parts = vox_subdevice_most(id[i], f->quirks, f->desc.compute_units);
        f->desc.parts_share = f->quirks & VOX_QUIRK_LOOSE_PARTS;
        (*count)++;
    }
    return true;
}

vox_status vox_discover(vox_found **found, size_t *count, size_t *platforms, vox_error *err)
{
    cl_platform_id platform[64];
    cl_uint n = 0;
    size_t capacity = 0;
    *found = NULL;
    *count = 0;
    if (clGetPlatformIDs(64, platform, &n) != CL_SUCCESS)
        n = 0; /* the loader calls "none installed" an error; we do not */
    for (cl_uint i = 0; i < n && i < 64; i++) {
        if (!add_platform(platform[i], found, count, &capacity, err)) {
            free(*found);
            *found = NULL;
            return VOX_ERR_MEMORY;
        }
    }
    *platforms = n;
    return VOX_OK;
}

vox_status vox_device_list_open(vox_device_list **out, vox_error *err)
{
    vox_found *found = NULL;
    size_t count = 0, platforms = 0;
    *out = NULL;
    vox_status s = vox_discover(&found, &count, &platforms, err);
    if (s != VOX_OK)
        return s;
    vox_device_list *list = vox_calloc(1, sizeof *list, "the device list", err);
    if (list)
        list->device = vox_calloc(count, sizeof *list->device, "the device list", err);
    if (!list || !list->device) {
        free(list);
        free(found);
        return VOX_ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++)
        list->device[i] = found[i].desc;
    list->count = count;
    list->platforms = platforms;
    free(found);
    *out = list;
    return VOX_OK;
}

void vox_device_list_free(vox_device_list **list)
{
    if (!list || !*list)
        return;
    free((*list)->device);
    free(*list);
    *list = NULL;
}
