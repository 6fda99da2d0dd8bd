/* pooling.h - what max_pool and avg_pool share: attributes, shapes, kernel options, grids. */
#ifndef VOX_OPS_POOLING_H
#define VOX_OPS_POOLING_H

#include "ops/op.h"

typedef struct vox_pooling_attr {
    int64_t kernel[3], stride[3], pad[3];
    bool ceil;              /* round output sizes up */
    bool count_include_pad; /* avg_pool: padding counts as elements of the mean */
} vox_pooling_attr;

/* The keys both have, for their tables. */
#define VOX_POOLING_ATTRS                                                                          \
    {"kernel", VOX_ATTR_TRIPLE, offsetof(vox_pooling_attr, kernel), true, 0, 1, 4096, NULL,        \
     NULL,     "window size"},                                                                     \
        {"stride",                                                                                 \
         VOX_ATTR_TRIPLE,                                                                          \
         offsetof(vox_pooling_attr, stride),                                                       \
         false,                                                                                    \
         0,                                                                                        \
         1,                                                                                        \
         4096,                                                                                     \
         NULL,                                                                                     \
         "kernel",                                                                                 \
         "step between windows; the kernel's size unless given"},                                  \
        {"pad",                                                                                    \
         VOX_ATTR_TRIPLE,                                                                          \
         offsetof(vox_pooling_attr, pad),                                                          \
         false,                                                                                    \
         0,                                                                                        \
         0,                                                                                        \
         2048,                                                                                     \
         NULL,                                                                                     \
         NULL,                                                                                     \
         "padding on both sides, at most half the kernel"},                                        \
    {                                                                                              \
        "ceil", VOX_ATTR_BOOL, offsetof(vox_pooling_attr, ceil), false, 0, 0, 1, NULL, NULL,       \
            "round output sizes up instead of down"                                                \
    }

/* PyTorch's shapes: out = floor or ceil((in + 2 pad - kernel) / stride) + 1, where with ceil the
 * last window must start inside the input or its left padding. */
vox_status vox_pooling_infer(const vox_node *node, const vox_shape *in, vox_shape *out,
                             vox_error *err);

/* How a kernel walks the tensors. */
typedef enum vox_pooling_shape {
    VOX_POOLING_ROWS, /* CPUs: work-group of one, whole rows in vectors of 16 floats (-DLANES) */
    VOX_POOLING_ITEMS /* GPUs: an element an item, neighbours next to each other (-DSTEP) */
} vox_pooling_shape;

/* Builds w->kernel[slot] of `file` with the shapes, `more` and vox_relu_options() as options. */
vox_status vox_pooling_kernel(vox_work *w, int slot, const char *file, const char *entry,
                              vox_pooling_shape shape, const char *more, vox_error *err);

/* Whether a row with its margins fits the private memory that kernels of VOX_POOLING_ROWS take. */
bool vox_pooling_rows_fit(const vox_problem *p, vox_layout layout);

/* [n * channel blocks] (BLOCK16) or [n * channels] planes of a tensor. */
int64_t vox_pooling_planes(const vox_tensor *t, int64_t n);
/* The same at n_max. */
int64_t vox_pooling_planes_max(const vox_problem *p, vox_layout layout);

/* Rows of t an item should have, so that every compute unit has several items. */
int64_t vox_pooling_run(const vox_problem *p, const vox_shape *t, vox_layout layout);

/* Launches kernel[slot] with work-groups of one over the rows of t, `run` an item; the number of
 * rows is added as the last argument. */
vox_status vox_pooling_launch_rows(vox_work *w, int slot, const vox_tensor *t, int64_t n,
                                   int64_t run, const vox_arg *args, size_t count, vox_error *err);
/* With work-groups of one, `slabs` for each plane of t; the number of planes is added. */
vox_status vox_pooling_launch_slabs(vox_work *w, int slot, const vox_tensor *t, int64_t n,
                                    int64_t slabs, const vox_arg *args, size_t count,
                                    vox_error *err);
/* An item for each float of t; their number is added. */
vox_status vox_pooling_launch_items(vox_work *w, int slot, const vox_tensor *t, int64_t n,
                                    const vox_arg *args, size_t count, vox_error *err);

double vox_pooling_seconds(const vox_problem *p, vox_pooling_shape shape, vox_pass pass);

#endif
