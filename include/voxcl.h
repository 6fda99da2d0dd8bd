/* voxcl.h - the whole public C API: train volumetric neural networks on every
 * OpenCL device in the machine at once.
 *
 * Conventions, once for all of it:
 *  - A fallible function returns vox_status and takes a vox_error last.  The
 *    caller owns the vox_error and may pass NULL.  It is filled on failure and
 *    untouched on success.  Out parameters are set only on success (handles are
 *    NULL on failure).
 *  - open/free make and destroy heap handles; free takes the address of the
 *    handle, sets it to NULL, and accepts NULL.
 *  - The library never prints, exits or asserts because of input, files or
 *    drivers.  What it would say goes to the log callback.
 *  - Triples are (d, h, w).  Lengths are in mm, times in seconds, sizes in bytes.
 *    Physical points are LPS (DICOM's patient coordinates).
 *  - A handle may be used by one thread at a time. */
#ifndef VOXCL_H
#define VOXCL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(VOX_API)
#define VOX_API __attribute__((visibility("default")))
#elif !defined(VOX_API)
#define VOX_API
#endif

/* ---- errors and the log ------------------------------------------------ */

typedef enum vox_status {
    VOX_OK = 0,
    VOX_ERR_USAGE,       /* a call or command line that makes no sense */
    VOX_ERR_INPUT,       /* a file or experiment that is wrong */
    VOX_ERR_IO,          /* the operating system refused a read or write */
    VOX_ERR_MEMORY,      /* host memory ran out */
    VOX_ERR_DEVICE,      /* an OpenCL call or a kernel failed */
    VOX_ERR_UNSUPPORTED, /* known, but not by this build or device */
    VOX_ERR_NONFINITE,   /* training produced NaN or infinity */
    VOX_ERR_INTERRUPTED, /* stopped on request, state saved */
    VOX_ERR_ROOM         /* a device's memory ran out */
} vox_status;

typedef struct vox_error {
    vox_status code;
    char message[160]; /* what failed: one line, lower case, no full stop */
    char detail[480];  /* the facts: shapes, file:line:column, kernel, CL error by name */
    char hint[240];    /* what to try; may be empty */
} vox_error;

typedef enum vox_log_level { VOX_LOG_DEBUG, VOX_LOG_INFO, VOX_LOG_WARN } vox_log_level;

/* Called with one line without newline, possibly from another thread. */
typedef void (*vox_log_fn)(void *user, vox_log_level level, const char *line);

/* Process-wide; NULL silences (the default).  Set before any other call. */
VOX_API void vox_log_set(vox_log_fn fn, void *user);

/* "0.1.0", static. */
VOX_API const char *vox_version(void);

/* Frees a string the library returned; NULL is fine. */
VOX_API void vox_string_free(char **text);

/* ---- devices ------------------------------------------------------------ */

typedef enum vox_device_type { VOX_DEVICE_CPU, VOX_DEVICE_GPU, VOX_DEVICE_OTHER } vox_device_type;

/* What `voxcl devices` shows of one device; strings are never NULL. */
typedef struct vox_device_desc {
    int index; /* the number --devices takes */
    char name[128];
    char vendor[128];
    char platform[128];
    char platform_version[128];
    char device_version[128];
    char opencl_c_version[64];
    char driver_version[64];
    vox_device_type type;
    bool usable;
    char reason[240]; /* why not usable, else empty */
    uint32_t compute_units;
    uint32_t clock_mhz;
    uint64_t global_mem_bytes;
    uint64_t max_alloc_bytes;
    uint64_t local_mem_bytes;
    bool local_mem_dedicated; /* false: local memory is global memory (CPUs) */
    uint64_t cache_bytes;
    size_t max_work_group;
    size_t max_work_items[3];
    uint32_t mem_align_bytes;    /* of sub-buffers */
    uint32_t vector_width_float; /* preferred */
    bool unified_memory;
    char extensions[512]; /* the usable ones, space separated */
    int numa_node;        /* -1 unknown */
    char pci[32];         /* "0000:3b:00.0", empty if none */
    char locality[64];    /* hwloc's words for where it sits, empty if unknown */
    uint32_t max_parts;   /* equal sub-devices it can be split into; below 2: it cannot be split */
    /* An opened sub-device is part 1..parts of device `index`, with its share of the compute units
     * and of the memory; a whole device is part 0 of 0. */
    uint32_t part, parts;
    bool parts_share; /* a part alone is known to use other parts' compute units as well: one is no
                       * measure of what several can do */
} vox_device_desc;

typedef struct vox_device_list {
    vox_device_desc *device; /* [count] */
    size_t count;
    size_t platforms; /* ICD platforms found, with or without devices */
} vox_device_list;

/* Every device of every platform, the unusable ones included.  No device is not
 * an error here: count is 0. */
VOX_API vox_status vox_device_list_open(vox_device_list **out, vox_error *err);
VOX_API void vox_device_list_free(vox_device_list **list);

/* The devices a job runs on, opened. */
typedef struct vox_ctx vox_ctx;

/* selector: "all", "cpu", "gpu", a list of indices "0,2", or a part of a name
 * (case does not matter).  NULL means "all".  "/N" behind one splits what it names into N equal
 * sub-devices, each a device of its own: "0/2,1", "cpu/2"; of "all/2" the CPUs, while the others
 * stay whole; "/N.K" and "/N.K-L" are part K, or parts K to L, of N.  Fails if nothing matches, a
 * named device cannot be used or split, or is named twice. */
VOX_API vox_status vox_ctx_open(vox_ctx **out, const char *selector, vox_error *err);
VOX_API void vox_ctx_free(vox_ctx **ctx);
VOX_API size_t vox_ctx_device_count(const vox_ctx *ctx);
/* Borrowed from ctx. */
VOX_API const vox_device_desc *vox_ctx_device(const vox_ctx *ctx, size_t i);

/* ---- many hosts ---------------------------------------------------------- */

/* The processes (ranks) that mpirun or srun started as one job. */
typedef struct vox_hosts vox_hosts;

/* Under mpirun or srun it joins the ranks, by MPI, which is left alone otherwise: then there is one
 * rank.  Open it once in a process.  VOX_ERR_UNSUPPORTED: several ranks, and a build without MPI.
 */
VOX_API vox_status vox_hosts_open(vox_hosts **out, vox_error *err);
/* Waits for the others.  After an error that this rank alone knows of (vox_hosts_alone) it ends all
 * processes of the job, this one too, so that none waits for ever: report the error before. */
VOX_API void vox_hosts_free(vox_hosts **hosts);
/* NULL: rank 0 of 1. */
VOX_API size_t vox_hosts_rank(const vox_hosts *hosts);
VOX_API size_t vox_hosts_size(const vox_hosts *hosts);
/* Its number among the ranks of its own host; *of: how many these are. */
VOX_API size_t vox_hosts_local(const vox_hosts *hosts, size_t *of);
/* Every rank tells how it fared (mine; if not VOX_OK, err says why).  VOX_OK if all are well; else
 * every rank gets the error of the first that is not, which is named unless all have the same. */
VOX_API vox_status vox_hosts_agree(vox_hosts *hosts, vox_status mine, vox_error *err);
/* false: all ranks returned the same error, and one telling of it will do. */
VOX_API bool vox_hosts_alone(const vox_hosts *hosts);

/* ---- images ------------------------------------------------------------- */

/* A volume in host memory, and where it lies in the patient.
 * The centre of voxel (d,h,w) is at
 *   origin_mm + d*spacing_mm[0]*direction[0] + h*spacing_mm[1]*direction[1]
 *             + w*spacing_mm[2]*direction[2]           (LPS, x y z) */
typedef struct vox_image {
    float *voxel; /* [C, D, H, W], rescale slope and intercept applied; owned */
    int64_t channels;
    int64_t size[3];        /* d, h, w; all >= 1 */
    double spacing_mm[3];   /* d, h, w; > 0 */
    double origin_mm[3];    /* x, y, z */
    double direction[3][3]; /* direction[axis] = unit vector (x,y,z) of axis d, h, w */
    bool has_geometry;      /* false: the file has none; spacing 1, identity */
    char stored_type[16];   /* "uint16", "float32", ... as the file has it */
    char format[16];        /* "dicom", "nifti", "metaimage", "numpy", "png" */
} vox_image;

/* Reads any supported file, or a folder holding one DICOM series; of several
 * series "DIR#SERIES" names one by its UID, description or number.  The format
 * is told by content first, then by name.  NumPy arrays are [H,W], [D,H,W] or
 * [C,D,H,W]; a 2D image has D = 1; further dimensions, colours and alpha become
 * channels.  NaN and infinity are kept.  64-bit integers are rounded to float. */
VOX_API vox_status vox_image_read(vox_image **out, const char *path, vox_error *err);
VOX_API void vox_image_free(vox_image **image);

/* Writes by the name's ending: .npy (no geometry), .nii, .nii.gz, .mha, .mhd (with
 * .raw beside it; name the .zraw to have that compressed), .png (one slice), or a
 * folder (ending in '/') of PNG slices.  All but PNG are float32.  PNG: 8-bit data
 * as they are, others scaled from their range to 16 bits, with the range in the
 * texts voxcl:min and voxcl:max.  Whole or not at all. */
VOX_API vox_status vox_image_write(const vox_image *image, const char *path, vox_error *err);

/* ---- synthetic data ----------------------------------------------------- */

typedef struct vox_synth_options {
    uint64_t seed;
    int64_t patients; /* 0: the kind's default */
    int64_t size[3];  /* d, h, w of a volume; 0: the kind's default.  Not for "prostate" */
} vox_synth_options;

/* kind: "prostate" (ProstateX's layout), "nodule" (lung CT with masks, MetaImage) or "tumour" (four
 * channels of brain MR with masks, the Medical Segmentation Decathlon's layout).  dir is made; it
 * must not exist or be empty. */
VOX_API vox_status vox_synth(const char *kind, const char *dir, const vox_synth_options *opt,
                             vox_error *err);

/* ---- experiments -------------------------------------------------------- */

/* A parsed and checked experiment file with its overrides applied. */
typedef struct vox_experiment vox_experiment;

/* overrides: "train.batch=8" and the like, may be NULL with count 0. */
VOX_API vox_status vox_experiment_open(vox_experiment **out, const char *path,
                                       const char *const *overrides, size_t override_count,
                                       vox_error *err);
VOX_API void vox_experiment_free(vox_experiment **exp);
VOX_API const char *vox_experiment_name(const vox_experiment *exp);
VOX_API int64_t vox_experiment_batch(const vox_experiment *exp);

/* One row of `voxcl info`. */
typedef struct vox_layer_desc {
    char name[64];
    char kind[32];
    int64_t out_shape[5]; /* N, C, D, H, W for one sample (N = 1) */
    int64_t parameters;
    int64_t trainable;
    double forward_flops; /* for one sample */
} vox_layer_desc;

/* What training at the experiment's batch would take of one device, all of the batch on it. */
typedef struct vox_device_memory {
    int index; /* the number --devices takes */
    char name[128];
    uint64_t activation_bytes, device_bytes; /* in the layouts this device prefers */
    uint64_t global_mem_bytes;
    bool fits;
    char reason[240]; /* why no figure is there (device_bytes 0), else empty */
} vox_device_memory;

typedef struct vox_network_desc {
    vox_layer_desc *layer; /* [count] */
    size_t count;
    char loss[400];   /* "dice_ce {smooth: 1}", with the layers it is of if there are several */
    char update[400]; /* "sgd {lr: 0.1}", and what train.reference_batch makes of its rate */
    int64_t input_shape[5];
    int64_t parameters, trainable;
    double forward_flops;  /* for one sample */
    double training_flops; /* forward and both backward passes, one sample */
    uint64_t parameter_bytes;
    uint64_t activation_bytes; /* for the training batch on one device, plain layouts */
    uint64_t device_bytes;     /* all of a training plan at that batch, one device; plain layouts */
    int64_t batch;             /* samples of a training step */
    int64_t at_once; /* of these at a time (train.accumulate): the bytes are for so many */
    vox_device_memory *device; /* [device_count]: the usable devices found, maybe none */
    size_t device_count;
} vox_network_desc;

/* Needs no device.  The optimiser's state is not counted. */
VOX_API vox_status vox_experiment_describe(vox_network_desc **out, const vox_experiment *exp,
                                           vox_error *err);
VOX_API void vox_network_desc_free(vox_network_desc **desc);

/* ---- choosing methods ---------------------------------------------------- */

/* Each operation offers several algorithms; which one runs is chosen by a rule, or by times
 * measured on the device and kept in the find-db (finddb.txt in the cache directory). */
typedef enum vox_tune_mode {
    VOX_TUNE_OFF,   /* by the rule alone: the same choice, and bits, on every run */
    VOX_TUNE_QUICK, /* by measured times; what was not measured yet is, within the budget */
    VOX_TUNE_FULL   /* by times measured anew, within the budget */
} vox_tune_mode;

/* Zeros are the defaults. */
typedef struct vox_methods {
    vox_tune_mode tune;
    double budget_s; /* for measuring, over all devices; 0: 60 */
    /* Most bytes an algorithm may allocate for itself; 0: a quarter of the device's memory, of that
     * which is free while it is measured.  One that wants more is passed over, unless forced. */
    uint64_t workspace_bytes;
    /* "conv=direct16,dense=gemm", with tuning values "conv=direct16:r7q2": forced; or NULL */
    const char *algo;
} vox_methods;

typedef struct vox_tune_options {
    vox_methods methods; /* tune OFF counts as QUICK */
    /* Before each pass of a layer is measured: "conv2 forward"; may be NULL. */
    void (*on_progress)(void *user, int64_t done, int64_t total, const char *text);
    void *user;
} vox_tune_options;

/* Fills the find-db for training the experiment on ctx.  *json (free with vox_string_free):
 * {experiment, batch, measured, known, skipped, time_s, layers: [{device, layer, op, pass, winner,
 * time_s, second, second_s, rule, rule_s}]}; winner is what a tuned training runs ("direct16:r7q2
 * block16": with its tuning values unless they are the rule's, and its layouts
 * where they are not plain; "fused" for a relu that the layers around it do; null where a time was
 * not measured), second the fastest other algorithm, rule what runs without measured times. */
VOX_API vox_status vox_tune(const vox_experiment *exp, vox_ctx *ctx, const vox_tune_options *opt,
                            char **json, vox_error *err);

/* ---- training ------------------------------------------------------------ */

typedef enum vox_event_kind {
    VOX_EVENT_START, /* text: the scheme and shards, several lines */
    VOX_EVENT_STEP,
    VOX_EVENT_VALID,
    VOX_EVENT_CHECKPOINT /* text: its path */
} vox_event_kind;

typedef struct vox_event {
    vox_event_kind kind;
    int64_t step, steps; /* done so far, in all */
    int64_t epoch;
    double loss; /* of this step, or the validation mean */
    double lr;
    double time_s; /* since training began */
    double samples_per_s;
    double accuracy, auc, kappa; /* VALID; NaN where undefined */
    /* VALID of a segmentation: mean Dice of the classes but the first, and each class's [classes],
     * over the voxels of all cases together; else dice NaN, classes 0.  Borrowed for the call. */
    double dice;
    const double *class_dice;
    const char *const *class_name;
    int64_t classes;
    double
        staleness; /* STEP of VOX_SYNC_ASYNC: how many updates its gradients were late, the mean */
    const char *text; /* borrowed for the call; may be NULL */
} vox_event;

/* How the gradients of several devices come together (docs/parallel.md). */
typedef enum vox_sync {
    VOX_SYNC_TREE,   /* summed pairwise, level by level */
    VOX_SYNC_SERVER, /* the host adds them up one after the other, in the order of the devices */
    VOX_SYNC_ASYNC   /* each share changes the host's weights by itself as soon as it is there */
} vox_sync;

typedef struct vox_train_options {
    const char *data_dir; /* resolves the experiment's data paths; NULL: the experiment's folder */
    const char *run_dir;  /* NULL: runs/<name>-<date> below the working directory */
    const char *init;     /* safetensors file with initial weights, or NULL */
    bool resume;          /* continue run_dir's last checkpoint */
    /* With tune on, the times chosen by are kept in the run's tuning.txt, and a resume goes by
     * those, whatever tune says then: what it computes is the same to the bit. */
    /* Several devices: gradients are summed in pieces of about this many bytes while others are
     * still computed; 0: 4 MiB. */
    size_t bucket_bytes;
    /* Gradients of large dense layers are summed like all others, also where what they are products
     * of, each sample's input and output gradient, is much less (but with ASYNC, which sums none).
     */
    bool whole_gradients;
    vox_methods methods;
    /* Where to write what ran when, on every device and thread, as Chrome's trace events (JSON;
     * opens in ui.perfetto.dev); NULL: nowhere.  Of the first trace_steps steps of this call, 0: of
     * all; in any case no more than 128 MiB.  It appears when it is whole, also if the training
     * fails; one that cannot be written is told in the log, and the training goes on. */
    const char *trace;
    int64_t trace_steps;
    /* How a batch is shared out over several devices: "auto" (or NULL), by measured speeds,
     * followed as long as it takes; "equal"; or a weight for each device, such as "3,2,1".  Which
     * one it is changes no result beyond the order of additions. */
    const char *shard;
    /* Seconds after which a device whose work does not end counts as lost, but for first steps,
     * which may build kernels; 0: 60, or 50 times what its share takes.  Its thread cannot be
     * ended: see vox_train_result.hangs. */
    double hang_timeout_s;
    /* May change at a resume.  ASYNC: not with layers or losses that take statistics over the whole
     * batch, and which device has what share is not for `shard` to say. */
    vox_sync sync;
    /* With ASYNC, how many updates gradients may be late (>= 0); not set: 4 for each device but the
     * first.  With 0 the devices take turns, and runs repeat to the bit. */
    bool staleness_set;
    int64_t staleness;
    /* The ranks that train together, each with the devices of its own ctx, all with the same
     * experiment and options; borrowed, NULL: this process alone.  `shard` is about the devices of
     * all, in the order of the ranks.  Rank 0 alone reads and writes the run's folder
     * and init, traces, and calls on_event; a stop that one is asked for stops all. */
    vox_hosts *hosts;
    void (*on_event)(void *user, const vox_event *event); /* may be NULL */
    bool (*should_stop)(void *user); /* asked before the first and after every step; may be NULL */
    void *user;
} vox_train_options;

/* Where a device's time went in the steps after the first (in which kernels are built); the seconds
 * add up to wall_s.  On the host's clock: compute_s is from the first command of a share to the end
 * of the last one; transfer_s is what was waited for apart (gradients, weights); in reduce_s and
 * update_s it was idle while gradients were summed and the host updated the weights; wait_s is all
 * other idle time: for the other devices, for data.  A single device updates within compute_s. */
typedef struct vox_device_usage {
    char name[160];  /* "0 Tesla T4"; with several ranks "rank 1: 0 Tesla T4" */
    int64_t samples; /* it computed in these steps */
    double wall_s, compute_s, transfer_s, reduce_s, update_s, wait_s;
    double utilisation; /* compute_s / wall_s */
    /* By the device's own clock, if all of these steps were traced; else NaN.  Copies are those
     * between host and device, of which some run beside kernels. */
    double kernel_s, copy_s;
} vox_device_usage;

/* A device that failed and that the job went on without. */
typedef struct vox_lost_device {
    char device[160]; /* number and name */
    int64_t step;     /* it failed at; 0: before the first */
    char reason[240];
} vox_lost_device;

typedef struct vox_train_result {
    char run_dir[1024];
    size_t all_devices;       /* to begin with */
    size_t lost;              /* of them, ... */
    vox_lost_device gone[16]; /* ... the first ones */
    /* One of them does not answer.  What belongs to it is never freed; ctx may be freed, exp not,
     * and a driver may keep the process from ending other than by _exit. */
    bool hangs;
    int64_t steps;
    double time_s;
    double train_loss;
    bool validated;
    double valid_loss, accuracy, auc, kappa; /* of the best checkpoint */
    double last_accuracy;
    bool maps;              /* a segmentation: accuracy and confusion count voxels, and */
    double dice, last_dice; /* as in vox_event; of the best checkpoint and the last one */
    double class_dice[64];
    char class_name[64][32];
    int64_t classes;
    int64_t confusion[64 * 64]; /* [truth][predicted], classes*classes used */
    size_t bad_cases;           /* skipped under data.skip_bad */
    double data_s;              /* of the devices' wall_s: waiting for data to be read */
    double between_s;           /* between steps: validations, checkpoints */
    size_t devices;             /* 0: there was no second step */
    vox_device_usage device[64];
    /* VOX_SYNC_ASYNC: how many updates gradients were late in this call, mean and most, and the
     * bound; else bound -1. */
    double staleness;
    int64_t staleness_most, staleness_bound;
} vox_train_result;

/* Trains to the end, or until should_stop: then the state is saved and the
 * status is VOX_ERR_INTERRUPTED.  ctx is borrowed. */
VOX_API vox_status vox_train(const vox_experiment *exp, vox_ctx *ctx, const vox_train_options *opt,
                             vox_train_result *result, vox_error *err);

/* A trained network, from a checkpoint alone. */
typedef struct vox_model vox_model;

VOX_API vox_status vox_model_open(vox_model **out, vox_ctx *ctx, const char *checkpoint,
                                  vox_error *err);
VOX_API void vox_model_free(vox_model **model);

typedef struct vox_eval_result {
    int64_t samples;
    double loss, accuracy, auc, kappa;
    bool maps; /* as in vox_train_result */
    double dice, class_dice[64];
    char class_name[64][32];
    int64_t classes;
    int64_t confusion[64 * 64];
} vox_eval_result;

/* data: a manifest file or a data folder; NULL: the experiment's own validation set. */
VOX_API vox_status vox_model_eval(vox_model *model, const char *data, vox_eval_result *result,
                                  vox_error *err);

/* inputs: image paths.  output: ".csv" path (one row per input: input, predicted,
 * p0, p1, ...) or ".npy" (the raw outputs, [N, ...]). */
VOX_API vox_status vox_model_predict(vox_model *model, const char *const *inputs, size_t count,
                                     const char *output, vox_error *err);

/* Does the network have an output for every voxel (a segmentation), or one for the whole input? */
VOX_API bool vox_model_segments(const vox_model *model);
/* Classes it tells apart, and their names: "" where the training data had none.  Borrowed. */
VOX_API int64_t vox_model_classes(const vox_model *model);
VOX_API const char *vox_model_class(const vox_model *model, int64_t k);

/* Zeros are the defaults. */
typedef struct vox_segment_options {
    /* The volume is seen through windows of the network's input size.  The share that neighbouring
     * ones have in common: at most 0.95; 0: half; negative: none. */
    double overlap;
    /* Outputs are averaged over the window and its mirror images, along "all" axes, those that the
     * network was "trained" with, or some of "dhw": 2, 4 or 8 times the work.  NULL: not. */
    const char *mirror;
    /* Paths; NULL: not wanted.  mask: the class of each voxel (8-bit integers).  probabilities:
     * "p.nii.gz" writes p_0.nii.gz, p_1.nii.gz ... (float32), one for each class. */
    const char *mask, *probabilities;
    /* A picture to check at a glance (PNG): up to twelve slices of the input's first channel with
     * the outlines of the mask's classes. */
    const char *png;
    void (*on_progress)(void *user, int64_t done, int64_t total); /* windows; may be NULL */
    bool (*should_stop)(void *user); /* asked between batches of windows; may be NULL */
    void *user;
} vox_segment_options;

typedef struct vox_segment_result {
    int64_t size[3]; /* of the mask: the input's own */
    int64_t windows; /* that the network saw, mirrored ones counted */
    int64_t classes;
    int64_t voxels[64];       /* of each class in the mask */
    double volume_ml[64];     /* likewise; NaN where the input has no spacing */
    double network_s, time_s; /* while the devices had work, and in all but writing */
} vox_segment_result;

/* Segments one scan: input is a file or a folder with a DICOM series, of several channels
 * "a.nii.gz;b.nii.gz".  It is prepared as the experiment says and predicted window by window, the
 * network's outputs averaged with Gaussian weights and then made probabilities; these are
 * interpolated to the input's own grid, and the most probable class is the mask's.  What prepare
 * cut away is class 0.  From NIfTI to NIfTI the header's geometry is copied byte for byte, from
 * MetaImage to MetaImage word for word.  Files appear whole, when everything was computed; after
 * should_stop the status is VOX_ERR_INTERRUPTED and there is none. */
VOX_API vox_status vox_model_segment(vox_model *model, const char *input,
                                     const vox_segment_options *opt, vox_segment_result *result,
                                     vox_error *err);

/* How a class's voxels agree with the truth, on the case's own grid; NaN where undefined. */
typedef struct vox_class_score {
    int64_t truth, predicted, both; /* voxels */
    /* 2 both / (truth + predicted); where the truth is empty, by a rule: nnU-Net's is NaN if the
     * prediction is empty too, else 0; MONAI's is NaN; "one" is 1 if both are empty, else 0. */
    double dice_nnunet, dice_monai, dice_one;
    double iou, sensitivity, precision;
    double hd95_mm; /* 95 % Hausdorff distance as MONAI has it */
    double truth_ml, predicted_ml, volume_error_ml;
    double volume_error; /* (predicted - truth) / truth */
} vox_class_score;

typedef struct vox_case_score {
    char *name;
    vox_class_score *score; /* [classes - 1]: of class 1 and on; the background has none */
} vox_case_score;

typedef struct vox_segment_scores {
    vox_case_score *item; /* [count] */
    size_t count;
    int64_t classes;
    vox_class_score
        *mean;        /* [classes - 1]: of each figure over the cases that have it; voxels: sums */
    size_t bad_cases; /* left out under data.skip_bad */
} vox_segment_scores;

/* Zeros are the defaults. */
typedef struct vox_segment_eval_options {
    double overlap;     /* as in vox_segment_options */
    const char *mirror; /* likewise */
    /* A table to write: a row per case and class, empty fields for NaN; or NULL. */
    const char *csv;
    void (*on_case)(void *user, const vox_case_score *score, int64_t done, int64_t total);
    bool (*should_stop)(void *user); /* asked between batches of windows; may be NULL */
    void *user;
} vox_segment_eval_options;

/* Predicts every case of a data set whole, as vox_model_segment does, and compares it with its
 * mask. data: as in vox_model_eval, a set with masks.  Voxels that the loss ignores do not count.
 */
VOX_API vox_status vox_model_eval_segments(vox_model *model, const char *data,
                                           const vox_segment_eval_options *opt,
                                           vox_segment_scores **out, vox_error *err);
VOX_API void vox_segment_scores_free(vox_segment_scores **scores);
/* A JSON document {samples, dice, cases: [{case, classes: [...]}], mean: [...], bad_cases}, null
 * for NaN (free with vox_string_free).  Names are as in vox_class_score; dice is the classes' mean.
 */
VOX_API vox_status vox_segment_scores_json(const vox_segment_scores *scores, const vox_model *model,
                                           char **json, vox_error *err);

/* ---- benchmarks ---------------------------------------------------------- */

/* Each returns a JSON document (free with vox_string_free) whose keys are in
 * the manual of `voxcl bench`. */
VOX_API vox_status vox_bench_step(const vox_experiment *exp, vox_ctx *ctx, int64_t steps,
                                  const vox_methods *methods, /* NULL: the defaults */
                                  const char *roofline,       /* a PNG to draw, or NULL */
                                  /* vox_train_options.shard, but NULL: equal.  With auto the steps
                                   * are timed when the shares have settled. */
                                  const char *shard, char **json, vox_error *err);
/* arguments: "--in", "4,1,25,224,224", ... as on the command line. */
VOX_API vox_status vox_bench_conv(vox_ctx *ctx, const char *const *args, size_t count, char **json,
                                  vox_error *err);
/* name: an operation's, as in experiments, or "sgd"; every algorithm of every pass.  args:
 * "--in", "4,32,13,56,56" and so on, and attributes as "kernel=2,3,3". */
VOX_API vox_status vox_bench_op(vox_ctx *ctx, const char *name, const char *const *args,
                                size_t count, char **json, vox_error *err);
/* kind: "conv", "gemm", "reduce" or "softmax", from the naive method to the tuned one; args change
 * the shape: for conv as for vox_bench_conv, for the others "--size" and "--repeat". */
VOX_API vox_status vox_bench_ladder(vox_ctx *ctx, const char *kind, const char *const *args,
                                    size_t count, char **json, vox_error *err);
/* The ceilings of every device of ctx: float32 multiply-adds, and copies in its memory. */
VOX_API vox_status vox_bench_peak(vox_ctx *ctx, char **json, vox_error *err);

/* Zeros are the defaults. */
typedef struct vox_scaling_options {
    const char *experiment; /* file; needed */
    const char *const *set; /* [sets]: overrides as for vox_experiment_open */
    size_t sets;
    const char *devices; /* as for vox_ctx_open; NULL: all, but one CPU alone in parts */
    const vox_methods *methods;
    int64_t steps;    /* timed of each size; 0: 5 */
    int64_t share;    /* samples of each device when the batch grows with them; 0: train.batch */
    int64_t most;     /* devices to predict for; 0: 1,024 */
    int64_t per_host; /* of them in a host; 0: as many as were measured */
    double network_latency_s, network_bytes_per_s; /* between hosts; 0: 30 us, 1.25e9 */
    double network_hidden; /* share of the compute time that the network works beside; 0: none */
    /* Trainings with the batches of 1, 2, 4 ... workers, for at most `minutes` in all (0: 10), on
     * the experiment's data; 0: none. */
    int64_t workers;
    double minutes;
    const char *data_dir;                              /* as in vox_train_options */
    const char *png;                                   /* a picture to draw, or NULL */
    void (*on_progress)(void *user, const char *text); /* before each measurement; may be NULL */
    void *user;
} vox_scaling_options;

/* What more devices bring: steps on 1, 2 ... of the devices at hand, of the same batch (strong) and
 * of one that grows with them (weak); beyond them predicted by a model fitted to those, and marked
 * so (docs/parallel.md). */
VOX_API vox_status vox_bench_scaling(const vox_scaling_options *opt, char **json, vox_error *err);
VOX_API vox_status vox_bench_reduce(int64_t devices, uint64_t bytes, char **json, vox_error *err);
/* Sums of `bytes` over the ranks, of which there must be several: all call this. */
VOX_API vox_status vox_bench_hosts(vox_hosts *hosts, uint64_t bytes, char **json, vox_error *err);

#ifdef __cplusplus
}
#endif

#endif
