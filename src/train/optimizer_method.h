/* optimizer_method.h - what an optimiser is: one struct in one file, listed in optimizer.c. */
#ifndef VOX_TRAIN_OPTIMIZER_METHOD_H
#define VOX_TRAIN_OPTIMIZER_METHOD_H

#include "ocl/kernel.h"
#include "train/optimizer.h"
#include "train/optimizer_trust.h"

#define VOX_OPTIMIZER_MAX_PARTS 4

/* The flat vectors are worked on in blocks of this many floats: every tensor begins at one, so a
 * table of the elements in use in each tells tensors from padding and from what is not trainable.
 */
#define VOX_OPTIMIZER_BLOCK (VOX_BUFFER_ALIGN / 4)

/* One update in host memory. */
typedef struct vox_host_update {
    float *param, *grad;        /* flat; in grad is nothing where it is made of: */
    const vox_factors *factors; /* or NULL */
    float scale;                /* of the gradients: clipping's coefficient */
    double lr;
    int64_t step;
} vox_host_update;

typedef struct vox_optimizer_method {
    /* The names of its state vectors for these settings; returns their count. */
    size_t (*parts)(const vox_optimizer_spec *spec, const char *name[VOX_OPTIMIZER_MAX_PARTS]);
    /* Makes o->kernel. */
    vox_status (*build)(struct vox_optimizer *o, vox_error *err);
    /* Enqueues one update; coefficient holds one float that the gradients are multiplied by, or a
     * negative one: then nothing may change. */
    vox_status (*step)(struct vox_optimizer *o, vox_buffer *params, vox_buffer *grads, double lr,
                       int64_t step, vox_error *err);
    /* On the host: updates `count` trainable elements from `at`, all of one tensor if it is
     * layer-wise, on the calling thread, by grad[count]. */
    void (*host)(const struct vox_optimizer *o, const vox_host_update *u, size_t at, size_t count,
                 const float *restrict grad);
    bool layer_wise; /* it goes by o->trust; false may be left out, as the next */
    /* On the host, before the tensors' norms are taken: makes grad what the weights are to go
     * along; NULL: it is. */
    void (*host_direction)(const struct vox_optimizer *o, const vox_host_update *u, size_t at,
                           size_t count);
} vox_optimizer_method;

struct vox_optimizer {
    vox_device *dev; /* borrowed; NULL: host memory, and then only what is said to be there */
    const vox_optimizer_method *method;
    vox_optimizer_spec spec;
    double clip_norm;
    size_t floats;           /* of the flat vector */
    int64_t blocks;          /* of it */
    uint32_t *host_used;     /* [blocks]: trainable elements at the start of each block; on the
                                host, and: */
    vox_buffer *used;        /* the same */
    vox_buffer *coefficient; /* [1] */
    vox_buffer *norm_part;   /* sums of squares; NULL without clipping */
    vox_kernel *kernel, *direction_kernel, *norm_kernel, *clip_kernel, *guard_kernel;
    vox_buffer *part[VOX_OPTIMIZER_MAX_PARTS];
    float *host_part[VOX_OPTIMIZER_MAX_PARTS]; /* on the host instead */
    double *host_sum;                          /* [pieces]: sums of squares; on the host */
    float *host_whole;          /* [floats], once gradients made of factors are wanted whole */
    bool shared;                /* what is on the host is somebody else's, but for tables */
    const vox_portion *portion; /* of the host's pieces; NULL: all */
    const char *part_name[VOX_OPTIMIZER_MAX_PARTS];
    size_t parts;
    vox_trust trust; /* zeros unless it is layer-wise */
};

/* Options and grid of kernels that take BLOCKS blocks an item (CPUs) or one element (GPUs). */
const char *vox_optimizer_options(const vox_device *dev);
vox_grid vox_optimizer_grid(const vox_optimizer *o);

/* optimizer_host.c: what of a zeroed optimiser is only there on the host. */
vox_status vox_optimizer_open_host(vox_optimizer *o, vox_error *err);
void vox_optimizer_free_host(vox_optimizer *o);
size_t vox_optimizer_room_of(size_t floats, size_t parts, bool layer_wise);

extern const vox_optimizer_method vox_optimizer_sgd, vox_optimizer_adam, vox_optimizer_lars,
    vox_optimizer_lamb;

#endif
