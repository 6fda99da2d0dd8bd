/* internal.h - what the files of this room share; nobody else includes it. */
#ifndef VOX_OCL_INTERNAL_H
#define VOX_OCL_INTERNAL_H

#include "base/mem.h"
#include "ocl/device.h"
#include "ocl/kernel.h"
#include "ocl/quirks.h"

#include <CL/cl.h>

/* A device as discovered. */
typedef struct vox_found {
    cl_platform_id platform;
    cl_device_id id;
    vox_device_desc desc;
    unsigned quirks; /* VOX_QUIRK_* */
} vox_found;

/* Every device of every platform, in the loader's order; the caller frees *found. */
vox_status vox_discover(vox_found **found, size_t *count, size_t *platforms, vox_error *err);

/* Into how many equal sub-devices the device can be split; 1: it cannot. */
uint32_t vox_subdevice_most(cl_device_id id, unsigned quirks, uint32_t compute_units);
/* Whether it can be split so (1: whole), as an error. */
vox_status vox_subdevice_check(const vox_device_desc *d, unsigned long parts, vox_error *err);
/* Makes id[parts], each to be released. */
vox_status vox_subdevice_make(cl_device_id *id, const vox_found *whole, uint32_t parts,
                              vox_error *err);
void vox_subdevice_release(cl_device_id id, unsigned quirks);
/* What a part is described as, from its own id. */
void vox_subdevice_describe(vox_device_desc *d, cl_device_id id, uint32_t part, uint32_t parts);

/* What --devices asks of one device. */
typedef struct vox_chosen {
    size_t device;         /* number in the list */
    uint32_t parts;        /* 1: whole */
    uint32_t first, count; /* the parts to be used, from 1 */
} vox_chosen;
/* chosen[list->count], *count of them used, in the order of the list. */
vox_status vox_selector_read(vox_chosen *chosen, size_t *count, const char *selector,
                             const vox_device_list *list, vox_error *err);

/* Fills desc's numa_node, pci and locality. */
void vox_locality_describe(cl_device_id id, vox_device_desc *desc);

/* A program in memory; lives as long as its device. */
typedef struct vox_program {
    struct vox_program *next;
    uint64_t hash;
    char *key; /* everything that decides the binary */
    cl_program program;
    bool from_source; /* not yet in the cache on disk */
} vox_program;

typedef enum vox_command_kind {
    VOX_COMMAND_KERNEL,
    VOX_COMMAND_LIBRARY, /* several launches that a library makes */
    VOX_COMMAND_WRITE,
    VOX_COMMAND_READ,
    VOX_COMMAND_COPY,
    VOX_COMMAND_FILL,
    VOX_COMMAND_MAP,
    VOX_COMMAND_UNMAP
} vox_command_kind;

/* What is about to be enqueued, for whoever records it. */
typedef struct vox_command {
    vox_command_kind kind;
    const char *name; /* of the kernel or library, else NULL */
    size_t bytes;     /* that move; 0: unknown */
    bool side;        /* in the queue beside */
} vox_command;

typedef struct vox_launch_record {
    cl_event from; /* a marker before the first of several launches, or NULL */
    cl_event event;
    int label;
    vox_command command; /* its name is NULL: */
    char name[96];       /* while traced */
} vox_launch_record;

typedef struct vox_device_traced vox_device_traced;

struct vox_device {
    vox_found found;
    bool part; /* found.id is a sub-device, ours to release */
    char title[160];
    cl_context context;
    cl_command_queue queue, side; /* side: writes that run beside the work of queue */
    bool side_busy;               /* there were some since the last finish */
    vox_program *programs;
    uint64_t bytes, peak_bytes;
    bool abandoned; /* its driver does not answer: vox_device_free leaves all as it is */
    bool recording; /* profiling or traced: commands get events */
    bool profiling;
    vox_device_traced *traced; /* NULL: it is not */
    vox_device_busy busy;      /* while it was */
    int label;
    vox_launch_record *record; /* [records], launches not yet booked */
    size_t records, record_capacity;
    double *label_seconds;   /* [VOX_LABELS], made by the first vox_device_profile */
    int64_t *label_launches; /* [VOX_LABELS] */
};

struct vox_buffer {
    vox_device *dev;
    cl_mem mem;
    size_t bytes;
    bool window; /* of another buffer */
    void *host;  /* pinned: the mapped address */
};

struct vox_kernel {
    vox_device *dev;
    cl_kernel kernel;
    cl_uint args;
    char name[96]; /* "conv3d_naive.cl:conv3d_forward" */
};

/* "CL_OUT_OF_RESOURCES" */
const char *vox_cl_name(cl_int code);

/* An error of an OpenCL call on a device: message "<what> failed", detail the device and the
 * code's name, with a hint where one is known. */
vox_status vox_cl_fail(vox_error *err, const vox_device *dev, cl_int code, const char *what);

/* The text of a kernel file with its #include lines replaced by the files, #line kept right.
 * Caller frees. */
vox_status vox_source_load(char **text, const char *file, vox_error *err);

/* The program for (file, options) on dev, from memory, the cache or the compiler; borrowed. */
vox_status vox_program_get(cl_program *out, vox_device *dev, const char *file, const char *options,
                           vox_error *err);
/* Writes what the quirk of late binaries held back, and releases all. */
void vox_programs_release(vox_device *dev);

/* Makes both queues anew, and releases those there. */
vox_status vox_device_make_queues(vox_device *dev, bool profiling, vox_error *err);

/* ---- profile.c, trace.c: events of what is enqueued ---- */

/* The event for the command enqueued next: NULL when nobody wants it. */
cl_event *vox_profile_slot(vox_device *dev, const vox_command *command);
/* The same for the last of several launches that a library makes: all from here on counts. */
cl_event *vox_profile_span(vox_device *dev, const char *library);
/* For the trace alone: a command whose event is there already. */
void vox_profile_add(vox_device *dev, const vox_command *command, cl_event event);
void vox_profile_release(vox_device *dev);
/* Books the first `count` records, which are done, and forgets them. */
void vox_profile_book(vox_device *dev, size_t count);
/* A time of an event in the device's clock; false: it has none. */
bool vox_event_time(cl_event event, cl_profiling_info which, int64_t *ns);
/* Records of commands that are done, from the first on. */
size_t vox_profile_done(const vox_device *dev);

/* Whether its trace takes spans still. */
bool vox_device_trace_on(const vox_device *dev);
/* Writes the spans of the commands recorded, all of which are done. */
void vox_device_trace_collect(vox_device *dev);
/* Writes the span of one. */
void vox_device_trace_record(vox_device *dev, const vox_launch_record *record);
void vox_device_trace_free(vox_device *dev);

#endif
