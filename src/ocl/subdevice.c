/* subdevice.c - splitting a device into equal sub-devices (clCreateSubDevices).
 *
 * Drivers of CPUs can; a sub-device has some of the cores.  Which ones, OpenCL does not tell: only
 * that those of one call are disjoint, so all parts of a device are made by one call.
 *
 * One invariant: the parts are equal, so that 1 -> N of them is a fair comparison; compute units
 * that N does not divide stay idle. */
#include "ocl/internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* By counts first: PARTITION_EQUALLY takes the units of a part and makes as many as fit, which of
 * 8 units in parts of 2 are four, when three were wanted. */
static cl_device_partition_property scheme_of(cl_device_id id)
{
    cl_device_partition_property has[16] = {0}, found = 0;
    size_t bytes = 0;
    if (clGetDeviceInfo(id, CL_DEVICE_PARTITION_PROPERTIES, sizeof has, has, &bytes) != CL_SUCCESS)
        return 0;
    for (size_t i = 0; i < bytes / sizeof *has && i < 16; i++)
        if (has[i] == CL_DEVICE_PARTITION_BY_COUNTS ||
            (has[i] == CL_DEVICE_PARTITION_EQUALLY && !found))
            found = has[i];
    return found;
}

uint32_t vox_subdevice_most(cl_device_id id, unsigned quirks, uint32_t compute_units)
{
    cl_uint most = 0;
    if (quirks & VOX_QUIRK_NO_PARTS || !scheme_of(id) ||
        clGetDeviceInfo(id, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof most, &most, NULL) !=
            CL_SUCCESS)
        return 1;
    most = most < compute_units ? most : compute_units;
    return most < 2 ? 1 : most;
}

vox_status vox_subdevice_check(const vox_device_desc *d, unsigned long parts, vox_error *err)
{
    if (parts >= 1 && parts <= (d->max_parts ? d->max_parts : 1))
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "device %d cannot be split into %lu parts", d->index, parts);
    if (parts == 0)
        return vox_hint(err, "/1 is the whole device, /2 two halves");
    if (d->max_parts >= 2)
        return vox_detail(err, "%s: %" PRIu32 " compute units make at most %" PRIu32 " parts",
                          d->name, d->compute_units, d->max_parts);
    vox_detail(err, "%s: %s", d->name,
               d->compute_units < 2 ? "it has one compute unit" : "its driver cannot split it");
    return vox_hint(err, "`voxcl devices` says which can be split, and how far");
}

/* Asks the driver: makes at most `room` and gives how many. */
static cl_int create(cl_device_id *id, cl_uint room, const vox_found *whole, uint32_t parts,
                     cl_uint *made)
{
    const cl_device_partition_property each =
        (cl_device_partition_property)(whole->desc.compute_units / parts);
    cl_device_partition_property *scheme = calloc(parts + 3, sizeof *scheme);
    if (!scheme)
        return CL_OUT_OF_HOST_MEMORY;
    scheme[0] = scheme_of(whole->id);
    for (uint32_t i = 0; i < parts; i++)
        scheme[1 + i] = each;
    if (scheme[0] == CL_DEVICE_PARTITION_EQUALLY)
        scheme[2] = 0;
    else
        scheme[1 + parts] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END;
    cl_int code = clCreateSubDevices(whole->id, scheme, room, id, made);
    free(scheme);
    return code;
}

static vox_status make(cl_device_id *id, const vox_found *whole, uint32_t parts, vox_error *err)
{
    /* Units that do not divide may make more equal parts than were asked for. */
    cl_uint room = whole->desc.compute_units, made = 0;
    vox_status s = VOX_OK;
    cl_device_id *all = vox_calloc(room, sizeof(cl_device_id), "sub-devices", err);
    if (!all)
        return VOX_ERR_MEMORY;
    const cl_int code = create(all, room, whole, parts, &made);
    if (code != CL_SUCCESS || made < parts) {
        vox_fail(err, VOX_ERR_DEVICE, "splitting device %d failed", whole->desc.index);
        s = vox_detail(err, "%s (%d): %u of %" PRIu32 " parts of %s", vox_cl_name(code), (int)code,
                       made, parts, whole->desc.name);
        parts = 0;
    }
    for (cl_uint i = 0; i < made; i++)
        if (i < parts)
            id[i] = all[i];
        else
            clReleaseDevice(all[i]);
    free(all);
    return s;
}

/* ---- parts that must not be released are made once ---- */

typedef struct kept {
    struct kept *next;
    cl_device_id whole;
    uint32_t parts;
    cl_device_id id[]; /* [parts] */
} kept;

static kept *all_kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static vox_status make_kept(cl_device_id *id, const vox_found *whole, uint32_t parts,
                            vox_error *err)
{
    kept *k = all_kept;
    while (k && (k->whole != whole->id || k->parts != parts))
        k = k->next;
    if (!k) {
        vox_status s;
        k = vox_calloc(1, sizeof *k + parts * sizeof *k->id, "sub-devices", err);
        if (!k)
            return VOX_ERR_MEMORY;
        k->whole = whole->id;
        k->parts = parts;
        if ((s = make(k->id, whole, parts, err)) != VOX_OK) {
            free(k);
            return s;
        }
        k->next = all_kept;
        all_kept = k;
    }
    memcpy(id, k->id, parts * sizeof(cl_device_id));
    return VOX_OK;
}

vox_status vox_subdevice_make(cl_device_id *id, const vox_found *whole, uint32_t parts,
                              vox_error *err)
{
    vox_status s = vox_subdevice_check(&whole->desc, parts, err);
    if (s != VOX_OK || !(whole->quirks & VOX_QUIRK_KEEP_PARTS))
        return s == VOX_OK ? make(id, whole, parts, err) : s;
    pthread_mutex_lock(&lock);
    s = make_kept(id, whole, parts, err);
    pthread_mutex_unlock(&lock);
    return s;
}

void vox_subdevice_release(cl_device_id id, unsigned quirks)
{
    if (!(quirks & VOX_QUIRK_KEEP_PARTS))
        clReleaseDevice(id);
}

/* A driver may go on telling of the whole device's memory: a part has its share, so that the parts
 * together do not plan for more than there is. */
void vox_subdevice_describe(vox_device_desc *d, cl_device_id id, uint32_t part, uint32_t parts)
{
    cl_uint units = 0;
    const uint32_t share = d->compute_units / parts;
    if (clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL) !=
            CL_SUCCESS ||
        units == 0 || units > share)
        units = share;
    d->compute_units = units;
    d->global_mem_bytes /= parts;
    if (d->max_alloc_bytes > d->global_mem_bytes)
        d->max_alloc_bytes = d->global_mem_bytes;
    d->max_parts = 1;
    d->part = part;
    d->parts = parts;
}
