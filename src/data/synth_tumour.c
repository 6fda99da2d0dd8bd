/* synth_tumour.c - MR of brains with tumours in the layout of the Medical Segmentation Decathlon:
 *
 *   dataset.json               modalities, labels, the list of training cases
 *   imagesTr/BRATS_NNN.nii.gz  [4 channels]: FLAIR, T1, T1 with contrast agent, T2
 *   labelsTr/BRATS_NNN.nii.gz  0 background, 1 edema, 2 core that does not enhance, 3 rim that does
 *
 * As in real archives not all volumes point the same way: half are stored RAS, the others in one of
 * several orientations; a quarter is a little oblique. */
#include "data/synth.h"

#include "base/philox.h"
#include "data/formats/nifti_write.h"
#include "data/phantom_head.h"
#include "data/volume.h"

#include <stdlib.h>

enum { LANE_HEAD_SCANNER = 112 };

/* mm around the brain along d, h, w: the field of the BraTS volumes. */
static const double field_mm[3] = {155, 240, 240};

/* "RAS" for every other patient. */
static const char *orientation_of(uint64_t patient)
{
    static const char *const others[] = {"LPS", "PIR", "LAS", "ASR", "LPI", "SRA"};
    return patient % 2 == 0 ? "RAS" : others[patient / 2 % (sizeof others / sizeof *others)];
}

static vox_status make_grids(vox_image *grid[2], const vox_head *head, const int64_t size[3],
                             vox_error *err)
{
    vox_random r;
    vox_random_init(&r, head->seed, VOX_RANDOM_SYNTH, LANE_HEAD_SCANNER, head->patient, 0);
    const bool oblique = vox_random_below(&r, 4) == 0;
    const double tilt = oblique ? vox_random_range(&r, -0.15, 0.15) : 0; /* radians */
    const double spin = oblique ? vox_random_range(&r, -0.08, 0.08) : 0;
    double spacing[3], middle[3];
    for (int x = 0; x < 3; x++) {
        spacing[x] = field_mm[x] / (double)size[x];
        middle[x] = head->center_mm[x] + vox_random_range(&r, -2, 2);
    }
    vox_status s =
        vox_phantom_grid(&grid[0], VOX_HEAD_CHANNELS, size, spacing, middle, tilt, spin, err);
    return s == VOX_OK ? vox_phantom_grid(&grid[1], 1, size, spacing, middle, tilt, spin, err) : s;
}

static vox_status write_image(vox_image *image, const char *dir, const char *folder, size_t i,
                              vox_error *err)
{
    char *path = vox_format(err, "%s/%s/BRATS_%03zu.nii.gz", dir, folder, i + 1);
    vox_status s = path ? vox_volume_reorient(image, orientation_of(i), err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_nifti_write(image, path, err);
    free(path);
    return s;
}

static vox_status write_patient(void *user, size_t i, vox_error *err)
{
    const vox_synth_order *order = user;
    vox_image *grid[2] = {NULL, NULL};
    vox_head head;
    vox_status s = vox_head_make(&head, order->seed, i, err);
    if (s != VOX_OK)
        return s;
    s = make_grids(grid, &head, order->size, err);
    if (s == VOX_OK) {
        vox_head_render(&head, grid[0], grid[1]);
        s = write_image(grid[0], order->dir, "imagesTr", i, err);
    }
    if (s == VOX_OK)
        s = write_image(grid[1], order->dir, "labelsTr", i, err);
    vox_image_free(&grid[0]);
    vox_image_free(&grid[1]);
    vox_head_release(&head);
    return s;
}

static const char readme[] =
    "Synthetic MR of brains with tumours, in the layout of the Medical Segmentation Decathlon,\n"
    "written by `voxcl synth tumour`.  No patient is behind it.  Images have four channels\n"
    "(FLAIR, T1, T1 with contrast agent, T2), stored in several orientations; outside of the\n"
    "brain they are 0.  Labels: 1 edema, 2 core, 3 enhancing rim.\n"
    "\n"
    "To train on it:\n"
    "\n"
    "  voxcl train models/brain-tumour-unet3d.yaml --data DIR     (DIR: this folder)\n"
    "\n"
    "or in an experiment of your own, for a network with four input channels:\n"
    "\n"
    "  data:\n"
    "    train: {msd: ., patients: {folds: 5, without: 0}}\n"
    "    valid: {msd: ., patients: {folds: 5, only: 0}}\n"
    "    prepare: [{reorient: RAS}, {normalize: {zscore: {nonzero: true}}}]\n"
    "    patch: {foreground: 0.33}\n";

static vox_status write_texts(const vox_synth_order *order, vox_error *err)
{
    vox_str json = {0}, text = {0};
    vox_str_add(
        &json,
        "{\n \"name\": \"synthetic brain tumours\",\n"
        " \"description\": \"written by voxcl synth tumour; no patient is behind it\",\n"
        " \"tensorImageSize\": \"4D\",\n"
        " \"modality\": {\"0\": \"FLAIR\", \"1\": \"T1w\", \"2\": \"t1gd\", \"3\": \"T2w\"},\n"
        " \"labels\": {\"0\": \"background\", \"1\": \"edema\", \"2\": \"non-enhancing tumor\","
        " \"3\": \"enhancing tumour\"},\n"
        " \"numTraining\": %zu,\n \"numTest\": 0,\n \"training\": [\n",
        order->patients);
    for (size_t i = 1; i <= order->patients; i++)
        vox_str_add(&json,
                    "  {\"image\": \"./imagesTr/BRATS_%03zu.nii.gz\","
                    " \"label\": \"./labelsTr/BRATS_%03zu.nii.gz\"}%s\n",
                    i, i, i < order->patients ? "," : "");
    vox_str_add(&json, " ],\n \"test\": []\n}\n");
    vox_str_add(&text, "%s", readme);
    vox_status s = vox_synth_text(order->dir, "dataset.json", &json, err);
    if (s == VOX_OK)
        s = vox_synth_text(order->dir, "README.txt", &text, err);
    vox_str_release(&text);
    return s;
}

static vox_status write_set(const vox_synth_order *order, vox_error *err)
{
    vox_synth_order copy = *order;
    vox_status s = vox_synth_folders(order->dir, "imagesTr", "labelsTr", err);
    if (s == VOX_OK)
        s = vox_synth_each(order->patients, write_patient, &copy, err);
    return s == VOX_OK ? write_texts(order, err) : s;
}

const vox_synth_kind vox_synth_tumour = {.name = "tumour",
                                         .patients = 24,
                                         .patients_max = 999,
                                         .size = {64, 96, 96},
                                         .write = write_set};
