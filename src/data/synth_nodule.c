/* synth_nodule.c - CT of chests with lung nodules, and their masks:
 *
 *   manifest.csv               image,mask,patient
 *   nodules.csv                where the nodules are (mm, LPS), how large and of which kind
 *   images/chest_NNN.mhd       HU, with chest_NNN.zraw
 *   masks/chest_NNN.mhd        1 in nodules; some are empty
 *
 * In-plane spacing follows the patient's width; slices are 1, 1.25 or 1.5 times as thick as the
 * thinnest, and fewer. */
#include "data/synth.h"

#include "base/philox.h"
#include "data/formats/image.h"
#include "data/phantom_chest.h"

#include <math.h>
#include <stdlib.h>

enum { LANE_CHEST_SCANNER = 73 };

typedef struct job {
    const vox_synth_order *order;
    vox_str *rows; /* [patients], of nodules.csv */
} job;

static vox_status make_grids(vox_image *grid[2], const vox_chest *c, const int64_t largest[3],
                             vox_error *err)
{
    vox_random r;
    vox_random_init(&r, c->seed, VOX_RANDOM_SYNTH, LANE_CHEST_SCANNER, c->patient, 0);
    const double thicker = 1 + 0.25 * vox_random_below(&r, 3);
    const double field = 2 * c->body_mm[0] + vox_random_range(&r, 8, 30);
    const int64_t size[3] = {llrint(fmax((double)largest[0] / thicker, 1)), largest[1], largest[2]};
    const double mm = field / (double)(largest[2] < largest[1] ? largest[2] : largest[1]);
    const double spacing[3] = {c->length_mm / (double)size[0], mm, mm};
    double middle[3] = {c->center_mm[0] + vox_random_range(&r, -3, 3),
                        c->center_mm[1] + vox_random_range(&r, -3, 3), c->center_mm[2]};
    vox_status s = VOX_OK;
    for (int i = 0; i < 2 && s == VOX_OK; i++)
        s = vox_phantom_grid(&grid[i], 1, size, spacing, middle, 0, 0, err);
    return s;
}

static vox_status write_image(const vox_image *image, const char *dir, const char *folder, size_t i,
                              vox_error *err)
{
    char *path = vox_format(err, "%s/%s/chest_%03zu.mhd", dir, folder, i);
    vox_status s = path ? vox_metaimage_write(image, path, true, err) : VOX_ERR_MEMORY;
    free(path);
    return s;
}

static void add_rows(vox_str *rows, const vox_chest *c, size_t i)
{
    static const char *const kind[] = {"solid", "part-solid", "ground-glass"};
    for (size_t k = 0; k < c->nodules; k++) {
        const vox_chest_nodule *n = &c->nodule[k];
        const double *at = n->shape.center_mm, *radius = n->shape.radius_mm;
        vox_str_add(rows, "chest_%03zu,%.2f %.2f %.2f,%.2f %.2f %.2f,%s,%.0f\n", i, at[0], at[1],
                    at[2], radius[0], radius[1], radius[2], kind[n->kind], n->hu);
    }
}

static vox_status write_patient(void *user, size_t i, vox_error *err)
{
    const job *j = user;
    vox_image *grid[2] = {NULL, NULL};
    vox_chest chest;
    vox_status s = vox_chest_make(&chest, j->order->seed, i, err);
    if (s != VOX_OK)
        return s;
    s = make_grids(grid, &chest, j->order->size, err);
    if (s == VOX_OK)
        s = vox_chest_render(&chest, grid[0], grid[1], err);
    if (s == VOX_OK)
        s = write_image(grid[0], j->order->dir, "images", i, err);
    if (s == VOX_OK)
        s = write_image(grid[1], j->order->dir, "masks", i, err);
    add_rows(&j->rows[i], &chest, i);
    vox_image_free(&grid[0]);
    vox_image_free(&grid[1]);
    vox_chest_release(&chest);
    return s;
}

static const char readme[] =
    "Synthetic CT of the chest with lung nodules, written by `voxcl synth nodule`.\n"
    "No patient is behind it.  images/ are HU, masks/ 1 in nodules (a tenth of them has none),\n"
    "manifest.csv pairs them, nodules.csv tells where nodules are (mm, LPS), their radii and\n"
    "their kind.\n"
    "\n"
    "To train on it:\n"
    "\n"
    "  voxcl train models/lung-nodule-unet3d.yaml --data DIR      (DIR: this folder)\n"
    "\n"
    "or in an experiment of your own, for a network with one input channel:\n"
    "\n"
    "  data:\n"
    "    train: {manifest: manifest.csv, patients: {folds: 5, without: 0}}\n"
    "    valid: {manifest: manifest.csv, patients: {folds: 5, only: 0}}\n"
    "    prepare: [{window: {min: -1000, max: 400}}]\n"
    "    patch: {foreground: 0.5}\n";

static vox_status write_tables(const vox_synth_order *order, const vox_str *rows, vox_error *err)
{
    vox_str manifest = {0}, nodules = {0}, text = {0};
    vox_str_add(&manifest, "image,mask,patient\n");
    vox_str_add(&nodules, "patient,center_mm,radius_mm,kind,hu\n");
    vox_str_add(&text, "%s", readme);
    for (size_t i = 0; i < order->patients; i++) {
        vox_str_add(&manifest, "images/chest_%03zu.mhd,masks/chest_%03zu.mhd,chest_%03zu\n", i, i,
                    i);
        if (rows[i].text)
            vox_str_add(&nodules, "%s", rows[i].text);
    }
    vox_status s = vox_synth_text(order->dir, "manifest.csv", &manifest, err);
    if (s == VOX_OK)
        s = vox_synth_text(order->dir, "nodules.csv", &nodules, err);
    if (s == VOX_OK)
        s = vox_synth_text(order->dir, "README.txt", &text, err);
    vox_str_release(&nodules);
    vox_str_release(&text);
    return s;
}

static vox_status write_set(const vox_synth_order *order, vox_error *err)
{
    job j = {order, vox_calloc(order->patients, sizeof *j.rows, "patients", err)};
    vox_status s = j.rows ? vox_synth_folders(order->dir, "images", "masks", err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_synth_each(order->patients, write_patient, &j, err);
    if (s == VOX_OK)
        s = write_tables(order, j.rows, err);
    for (size_t i = 0; j.rows && i < order->patients; i++)
        vox_str_release(&j.rows[i]);
    free(j.rows);
    return s;
}

const vox_synth_kind vox_synth_nodule = {.name = "nodule",
                                         .patients = 24,
                                         .patients_max = 999,
                                         .size = {96, 160, 160},
                                         .write = write_set};
