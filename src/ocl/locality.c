/* locality.c - where a device sits: PCI address by the vendors' queries, NUMA node and the
 * processors near it by hwloc. */
#include "ocl/internal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* From cl_khr_pci_bus_info, cl_nv_device_attribute_query and cl_amd_device_attribute_query;
 * given here by number because older headers lack some. */
#define PCI_BUS_INFO_KHR 0x410F
#define PCI_BUS_ID_NV    0x4008
#define PCI_SLOT_ID_NV   0x4009
#define PCI_DOMAIN_ID_NV 0x400A
#define TOPOLOGY_AMD     0x4037

typedef struct pci_place {
    unsigned domain, bus, device, function;
} pci_place;

static bool pci_khr(cl_device_id id, pci_place *p)
{
    cl_uint v[4];
    if (clGetDeviceInfo(id, PCI_BUS_INFO_KHR, sizeof v, v, NULL) != CL_SUCCESS)
        return false;
    *p = (pci_place){v[0], v[1], v[2], v[3]};
    return true;
}

static bool pci_nvidia(cl_device_id id, pci_place *p)
{
    cl_uint bus, slot, domain = 0;
    if (clGetDeviceInfo(id, PCI_BUS_ID_NV, sizeof bus, &bus, NULL) != CL_SUCCESS ||
        clGetDeviceInfo(id, PCI_SLOT_ID_NV, sizeof slot, &slot, NULL) != CL_SUCCESS)
        return false;
    clGetDeviceInfo(id, PCI_DOMAIN_ID_NV, sizeof domain, &domain, NULL);
    *p = (pci_place){domain, bus, slot >> 3, slot & 7};
    return true;
}

static bool pci_amd(cl_device_id id, pci_place *p)
{
    unsigned char t[24]; /* u32 type (1: PCIe), 17 unused, bus, device, function */
    cl_uint type;
    if (clGetDeviceInfo(id, TOPOLOGY_AMD, sizeof t, t, NULL) != CL_SUCCESS)
        return false;
    memcpy(&type, t, sizeof type);
    *p = (pci_place){0, t[21], t[22], t[23]};
    return type == 1;
}

static bool find_pci(cl_device_id id, pci_place *p)
{
    return pci_khr(id, p) || pci_nvidia(id, p) || pci_amd(id, p);
}

#if VOXCL_WITH_HWLOC
#include <hwloc.h>

static hwloc_topology_t topology;
static bool topology_good;
static pthread_once_t topology_once = PTHREAD_ONCE_INIT;

static void load_topology(void)
{
    if (hwloc_topology_init(&topology) != 0)
        return;
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    topology_good = hwloc_topology_load(topology) == 0;
}

/* The smallest part of the machine that holds the device: what is above its PCI bridge, or the
 * whole machine for a CPU device. NULL when unknown. */
static hwloc_obj_t place_of(const vox_device_desc *d)
{
    pthread_once(&topology_once, load_topology);
    if (!topology_good)
        return NULL;
    if (d->type == VOX_DEVICE_CPU)
        return hwloc_get_root_obj(topology);
    hwloc_obj_t pci = d->pci[0] ? hwloc_get_pcidev_by_busidstring(topology, d->pci) : NULL;
    return pci ? hwloc_get_non_io_ancestor_obj(topology, pci) : NULL;
}

static void describe_place(vox_device_desc *d)
{
    hwloc_obj_t place = place_of(d);
    if (!place)
        return;
    if (place->nodeset && hwloc_bitmap_weight(place->nodeset) == 1)
        d->numa_node = hwloc_bitmap_first(place->nodeset);
    hwloc_obj_type_snprintf(d->locality, sizeof d->locality, place, 0);
    size_t used = strlen(d->locality);
    snprintf(d->locality + used, sizeof d->locality - used, ", %d processors",
             hwloc_bitmap_weight(place->cpuset));
}

/* What the device is below; room is left for itself and its part. */
static void add_ancestors(const vox_device_desc *d, vox_place *p)
{
    hwloc_obj_t chain[64], place = place_of(d);
    int n = 0;
    if (place && d->type != VOX_DEVICE_CPU) /* from its own bridge on */
        place = hwloc_get_pcidev_by_busidstring(topology, d->pci);
    for (; place && n < 64; place = place->parent)
        chain[n++] = place;
    while (n-- > 0 && p->depth < VOX_PLACE_DEPTH - 2)
        p->at[p->depth++] = chain[n]->gp_index;
}

void vox_device_bind_thread(const vox_device *dev)
{
    hwloc_obj_t place = place_of(&dev->found.desc);
    if (!place || dev->found.desc.type == VOX_DEVICE_CPU)
        return; /* a CPU device is everywhere */
    hwloc_set_cpubind(topology, place->cpuset, HWLOC_CPUBIND_THREAD);
}
#else
static void describe_place(vox_device_desc *d)
{
    snprintf(d->locality, sizeof d->locality, "unknown (built without hwloc)");
}

static void add_ancestors(const vox_device_desc *d, vox_place *p)
{
    (void)d;
    p->at[p->depth++] = 0;
}

void vox_device_bind_thread(const vox_device *dev)
{
    (void)dev;
}
#endif

void vox_device_place(const vox_device *dev, vox_place *place)
{
    const vox_device_desc *d = &dev->found.desc;
    *place = (vox_place){.depth = 0};
    add_ancestors(d, place);
    /* not to be taken for one of hwloc's numbers */
    place->at[place->depth++] = UINT64_C(1) << 63 | (uint64_t)d->index;
    place->at[place->depth++] = UINT64_C(1) << 62 | d->part;
}

void vox_locality_describe(cl_device_id id, vox_device_desc *desc)
{
    pci_place p;
    desc->numa_node = -1;
    if (find_pci(id, &p))
        snprintf(desc->pci, sizeof desc->pci, "%04x:%02x:%02x.%x", p.domain, p.bus, p.device,
                 p.function);
    describe_place(desc);
}
